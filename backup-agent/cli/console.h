#ifndef HOLDFAST_BACKUP_AGENT_CLI_CONSOLE_H_
#define HOLDFAST_BACKUP_AGENT_CLI_CONSOLE_H_

#include <cstddef>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/cancellation.h"
#include "common/base/mutex.h"

namespace holdfast {

// Console is what the command line talks to: standard input, output and error. Results go to the
// output, all else to the error stream.
//
// Thread-safe, but for reading.
class Console {
 public:
  // Does not take ownership of the descriptors, which must outlive it.
  struct Streams {
    int input_fd = 0;
    int output_fd = 1;
    int error_fd = 2;
  };

  // `is_quiet`: leave out what Note and ShowStatusLine say.
  Console(const Streams& streams, bool is_quiet);
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  bool input_is_terminal() const { return input_is_terminal_; }
  bool output_is_terminal() const { return output_is_terminal_; }
  bool error_is_terminal() const { return error_is_terminal_; }
  bool is_quiet() const { return is_quiet_; }

  // Adds to the output, which is buffered. Once writing has failed every call returns that error.
  absl::Status Write(absl::string_view text) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status WriteLine(absl::string_view line) ABSL_LOCKS_EXCLUDED(mutex_);
  // Writes what is buffered.
  absl::Status Flush() ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether output was lost because its reader has gone, as `head` does once it has enough.
  bool output_was_closed() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Writes a secret at once, so that no copy of it stays in the buffer.
  absl::Status WriteSecret(absl::string_view text) ABSL_LOCKS_EXCLUDED(mutex_);

  // Writes a line to the error stream, unless quiet.
  void Note(absl::string_view line) ABSL_LOCKS_EXCLUDED(mutex_);
  // Writes a line to the error stream, also when quiet.
  void Complain(absl::string_view line) ABSL_LOCKS_EXCLUDED(mutex_);

  // On a terminal: shows `line` as the last line, in place of the one shown before; empty removes
  // it. REQUIRES: error_is_terminal().
  void ShowStatusLine(absl::string_view line) ABSL_LOCKS_EXCLUDED(mutex_);

  // Reads the next bytes of the input, at most `size_max`; empty at its end. Waits for them, and
  // ends early with the reason of `cancellation`.
  absl::StatusOr<std::string> ReadSome(size_t size_max, const Cancellation& cancellation);

 private:
  absl::Status FlushLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteErrorLocked(absl::string_view text) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Streams streams_;
  const bool is_quiet_;
  const bool input_is_terminal_;
  const bool output_is_terminal_;
  const bool error_is_terminal_;

  mutable Mutex mutex_;
  std::string buffer_ ABSL_GUARDED_BY(mutex_);
  absl::Status output_status_ ABSL_GUARDED_BY(mutex_);
  bool has_status_line_ ABSL_GUARDED_BY(mutex_) = false;
};

// Reads from `fd` as Console::ReadSome does.
absl::StatusOr<std::string> ReadSomeFrom(int fd, size_t size_max, const Cancellation& cancellation);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_CLI_CONSOLE_H_
