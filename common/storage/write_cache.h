#ifndef HOLDFAST_COMMON_STORAGE_WRITE_CACHE_H_
#define HOLDFAST_COMMON_STORAGE_WRITE_CACHE_H_

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/storage/blob_store.h"

// Mounts that lie: an `rclone mount` with a write cache says that a file is stored, and synced,
// while it is on this machine only. What a backup promises does not hold there. Nothing that can be
// asked of the file system tells; but the kernel knows which mounts are rclone's, and the command
// line of the program that made one how it caches.
//
// Thread-safe. Nothing here touches the mount itself, which may hang.

namespace holdfast {

// What somebody should know of the file system with this device number (st_dev): that it caches
// writes, or that this can't be told.
PlaceWarning WriteCacheWarning(dev_t device);

// --- Parts, for tests

struct Mount {
  std::string point;   // the directory that it is mounted on
  std::string type;    // "ext4", "fuse.rclone"
  std::string source;  // "/dev/sda1", "share:backups"
};

// The mount of a device number in the text of /proc/self/mountinfo; the newest, where there are
// several. nullopt where there is none: some file systems number their parts otherwise.
std::optional<Mount> FindMount(absl::string_view mountinfo, dev_t device);

// A process, as far as it is needed here.
struct MountProcess {
  std::vector<std::string> arguments;
  std::string working_directory;         // empty where it can't be read
  std::vector<std::string> environment;  // "NAME=value"; empty where it can't be read
};

// The cache mode ("off", "minimal", "writes", "full") of the process, if it is the `rclone mount`
// that serves `mount_point`.
std::optional<std::string> RcloneCacheMode(const MountProcess& process,
                                           absl::string_view mount_point);

// WriteCacheWarning of a mount, where `processes` yields all that run.
PlaceWarning WriteCacheWarning(const Mount& mount,
                               const std::function<std::vector<MountProcess>()>& processes);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_STORAGE_WRITE_CACHE_H_
