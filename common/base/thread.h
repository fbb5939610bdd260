#ifndef HOLDFAST_COMMON_BASE_THREAD_H_
#define HOLDFAST_COMMON_BASE_THREAD_H_

#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"

namespace holdfast {

// A Thread runs a function and is joined when it is destroyed. It is the only way in which Holdfast
// starts threads; work that comes in pieces goes to an Executor instead.
//
//   Thread thread("compactor", [this] { Run(); });
//
// The function must end by itself or be told to (a Cancellation, a closed queue): destruction waits
// for it. It must not throw. The process ends if a thread cannot be started.
//
// Not thread-safe. Movable; an empty one (default, moved from) has nothing to join.
class Thread {
 public:
  Thread() = default;
  // `name` shows up in debuggers and in top; the system keeps its first 15 bytes.
  Thread(absl::string_view name, absl::AnyInvocable<void()> body);
  // Waits until the function has returned.
  ~Thread();

  Thread(Thread&& other) noexcept = default;
  // Joins what this ran before.
  Thread& operator=(Thread&& other) noexcept;

  // Waits until the function has returned; the Thread is empty afterwards. Does nothing if empty.
  // REQUIRES: not called by the thread itself.
  void Join();

 private:
  std::thread thread_;
};

// Lets others go first: from now on the calling thread, and the threads and processes that it
// starts, have a nice value of kBackgroundNice, if theirs is not higher already. Where a processor
// is wanted by one of them and one other, Linux gives them a tenth of it: enough to get their work
// done however long that lasts. Can't be undone.
inline constexpr int kBackgroundNice = 10;
void StepBack();

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_BASE_THREAD_H_
