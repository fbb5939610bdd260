#include "backup-agent/schedule/run_watchers.h"

#include <algorithm>

namespace holdfast {

void RunWatchers::Add(uint64_t ticket, uint64_t version, MonotonicTime now, Callback callback) {
  watchers_.push_back({ticket, version, version == 0 ? now : now + kPause, std::move(callback)});
}

void RunWatchers::Forget(uint64_t ticket) {
  watchers_.erase(
      std::remove_if(watchers_.begin(), watchers_.end(),
                     [ticket](const Watcher& watcher) { return watcher.ticket == ticket; }),
      watchers_.end());
}

RunWatchers::Due RunWatchers::TakeDue(const RunSnapshot& current, MonotonicTime now) {
  Due due;
  std::vector<Watcher> waiting;
  for (Watcher& watcher : watchers_) {
    if (current.is_last || (current.version > watcher.version && now >= watcher.not_before)) {
      due.emplace_back(std::move(watcher.callback), current);
    } else {
      waiting.push_back(std::move(watcher));
    }
  }
  watchers_ = std::move(waiting);
  return due;
}

MonotonicTime RunWatchers::NextDue(uint64_t version) const {
  MonotonicTime next = MonotonicTime::InfiniteFuture();
  for (const Watcher& watcher : watchers_) {
    if (version > watcher.version) next = std::min(next, watcher.not_before);
  }
  return next;
}

}  // namespace holdfast
