#ifndef HOLDFAST_BACKUP_AGENT_CLI_INPUT_FILE_H_
#define HOLDFAST_BACKUP_AGENT_CLI_INPUT_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backup-agent/cli/console.h"
#include "common/base/cancellation.h"
#include "common/io/fd.h"

namespace holdfast {

// What a command reads: a file that the user names (a pipe too), or standard input for "-".
//
// Not thread-safe. Does not take ownership of the console, which must outlive it.
class InputFile {
 public:
  static absl::StatusOr<std::unique_ptr<InputFile>> Open(const std::string& path, Console& console);

  // "users.jsonl" or "standard input", for messages.
  const std::string& name() const { return name_; }
  // The size of a regular file; zero where it is not known before it ends.
  uint64_t size_bytes() const { return size_bytes_; }

  // The next bytes, at most `size_max`; empty at the end.
  absl::StatusOr<std::string> ReadSome(size_t size_max, const Cancellation& cancellation);

  // All of it. INVALID_ARGUMENT where it has more than `size_max` bytes.
  absl::StatusOr<std::string> ReadAll(size_t size_max, const Cancellation& cancellation);

 private:
  InputFile(std::string name, Console& console) : name_(std::move(name)), console_(console) {}

  const std::string name_;
  Console& console_;
  UniqueFd file_;  // empty: standard input
  uint64_t size_bytes_ = 0;
};

// LineReader cuts an input into lines.
//
// Not thread-safe. Does not take ownership.
class LineReader {
 public:
  LineReader(InputFile& input, size_t line_size_max, Cancellation cancellation)
      : input_(input), line_size_max_(line_size_max), cancellation_(std::move(cancellation)) {}

  // The next line without its end ("\n" or "\r\n"); nullopt after the last. It is valid until the
  // next call. INVALID_ARGUMENT where it is longer than `line_size_max`.
  absl::StatusOr<std::optional<absl::string_view>> Next();

  // Of the line that was returned last, from 1.
  uint64_t line_number() const { return line_number_; }
  // How much was read of the input.
  uint64_t bytes_read() const { return bytes_read_; }

 private:
  InputFile& input_;
  const size_t line_size_max_;
  const Cancellation cancellation_;
  std::string buffer_;
  size_t begin_ = 0;     // of the next line in buffer_
  size_t searched_ = 0;  // there is no newline from begin_ to here
  bool has_ended_ = false;
  uint64_t line_number_ = 0;
  uint64_t bytes_read_ = 0;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_CLI_INPUT_FILE_H_
