#ifndef HOLDFAST_COMMON_BASE_CHILD_PROCESS_H_
#define HOLDFAST_COMMON_BASE_CHILD_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/base/thread.h"

namespace holdfast {

// A ChildProcess is another program that runs for us, and never longer than we do: it is ended when
// this is destroyed, and the kernel kills it when our process ends in whatever way, kill -9
// included.
//
//   HOLDFAST_ASSIGN_OR_RETURN(auto child, ChildProcess::Start({.arguments = {"rclone", "rcd"},
//   …}));
//
// The program gets none of our file descriptors, no terminal, no input, no blocked or ignored
// signals, and a session of its own, so that a Ctrl-C for us is not one for it.
//
// Thread-safe.
//
// How: the kernel's word that a child dies with its parent (PR_SET_PDEATHSIG) is about the thread
// that made it. So each child is made by a thread of its own, which then reads what it writes and
// stays until it has ended.
class ChildProcess {
 public:
  struct Options {
    // The program, found in PATH where it has no slash, and its arguments. Everybody on the machine
    // can read them.
    std::vector<std::string> arguments;
    // All of its environment, as NAME=value.
    std::vector<std::string> environment = {};
    // Called with each line that it writes to standard output or error, without its end, by one
    // thread at a time, never after the destruction. Longer lines than 4 KiB come in parts. May be
    // null.
    std::function<void(absl::string_view line)> on_line = nullptr;
    // How long it may take to end by itself, once it was asked to.
    absl::Duration end_grace = absl::Seconds(2);
  };

  // NOT_FOUND where there is no such program, PERMISSION_DENIED where it can't be run; other errors
  // of the system otherwise.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(Options options);

  // Ends it: SIGTERM, and SIGKILL once end_grace has passed. Waits for that.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }

  // True once it has ended and all that it wrote has been handed on.
  bool HasEnded() const;

  // "exit code 1", "signal 9"; empty as long as it has not ended.
  std::string DescribeEnd() const;

 private:
  explicit ChildProcess(Options options) : options_(std::move(options)) {}

  // The thread: starts the program, reads its output, and collects it.
  void Run();
  // Returns the end of the pipe to read from.
  absl::StatusOr<int> Spawn();
  void ReadLines(int fd) const;

  const Options options_;
  pid_t pid_ = -1;  // constant once started

  mutable Mutex mutex_;
  CondVar changed_;
  bool is_start_decided_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status start_status_ ABSL_GUARDED_BY(mutex_);
  bool has_ended_ ABSL_GUARDED_BY(mutex_) = false;
  int wait_status_ ABSL_GUARDED_BY(mutex_) = 0;

  Thread thread_;  // last, for it uses the others
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_BASE_CHILD_PROCESS_H_
