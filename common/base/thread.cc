#include "common/base/thread.h"

#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>
#include <string>
#include <utility>

#include "common/base/check.h"

namespace holdfast {
namespace {

constexpr size_t kNameBytesMax = 15;  // the kernel's limit

}  // namespace

Thread::Thread(absl::string_view name, absl::AnyInvocable<void()> body)
    : thread_(
          [name = std::string(name.substr(0, kNameBytesMax)), body = std::move(body)]() mutable {
            pthread_setname_np(pthread_self(), name.c_str());
            body();
            body = nullptr;  // what it holds is gone before Join returns
          }) {}

Thread::~Thread() { Join(); }

Thread& Thread::operator=(Thread&& other) noexcept {
  if (this != &other) {
    Join();
    thread_ = std::move(other.thread_);
  }
  return *this;
}

void Thread::Join() {
  if (!thread_.joinable()) return;
  HOLDFAST_CHECK(thread_.get_id() != std::this_thread::get_id(), "a thread cannot join itself");
  thread_.join();
}

void StepBack() {
  // On Linux that is of the thread; to be nicer is always allowed.
  setpriority(PRIO_PROCESS, 0, std::max(getpriority(PRIO_PROCESS, 0), kBackgroundNice));
}

}  // namespace holdfast
