#ifndef HOLDFAST_COMMON_STORAGE_RCLONE_DAEMON_H_
#define HOLDFAST_COMMON_STORAGE_RCLONE_DAEMON_H_

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/child_process.h"
#include "common/base/mutex.h"

namespace holdfast {

// An RcloneDaemon is an `rclone rcd` of ours: rclone, running beside us and commanded by HTTP on
// loopback. It is started when it is first needed, again when it died, and ended with the object.
//
//   const std::shared_ptr<RcloneDaemon> daemon = RcloneDaemon::Shared();
//   HOLDFAST_ASSIGN_OR_RETURN(const RcloneDaemon::Endpoint endpoint, daemon->Start());
//
// Its configuration is the user's: what `rclone` on the command line of the same user would use,
// RCLONE_CONFIG and the other variables of rclone included, but for those that would change how it
// is commanded. Name and password of the remote control are random, known to the child by its
// environment alone, and new with each start.
//
// Thread-safe.
class RcloneDaemon {
 public:
  struct Options {
    std::string program = "rclone";
    // Added to the environment that we have, as NAME=value.
    std::vector<std::string> environment = {};
  };

  // Where to send requests.
  struct Endpoint {
    std::string url;          // "http://127.0.0.1:41235", without a slash at the end
    std::string credentials;  // "name:password"
  };

  // How long it may take until it listens.
  static constexpr absl::Duration kStartMax = absl::Seconds(20);

  // The one that all of this process share. It lives as long as somebody holds it.
  static std::shared_ptr<RcloneDaemon> Shared();

  explicit RcloneDaemon(Options options);
  ~RcloneDaemon();
  RcloneDaemon(const RcloneDaemon&) = delete;
  RcloneDaemon& operator=(const RcloneDaemon&) = delete;

  // Where it listens; starts it if it does not run. FAILED_PRECONDITION where rclone is not
  // installed, or does not start with this configuration; its words are in the message.
  absl::StatusOr<Endpoint> Start();

  // Why it no longer answers: how it ended, and the last that it said; empty while it runs.
  std::string DescribeEnd() const;

  // Its process, for tests that kill it; -1 where there is none.
  pid_t pid() const;

 private:
  void OnLine(absl::string_view line);
  std::string LastLines() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;

  // Held while it is started, for all who need it wait for that; before mutex_.
  Mutex start_mutex_;

  mutable Mutex mutex_;
  CondVar said_something_;
  Endpoint endpoint_ ABSL_GUARDED_BY(mutex_);  // the url is empty until it listens
  std::deque<std::string> last_lines_ ABSL_GUARDED_BY(mutex_);
  // Written under both locks. Its thread calls OnLine, so it is destroyed under neither of them
  // unless it has ended.
  std::unique_ptr<ChildProcess> child_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_STORAGE_RCLONE_DAEMON_H_
