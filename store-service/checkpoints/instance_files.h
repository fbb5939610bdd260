#ifndef HOLDFAST_STORE_SERVICE_CHECKPOINTS_INSTANCE_FILES_H_
#define HOLDFAST_STORE_SERVICE_CHECKPOINTS_INSTANCE_FILES_H_

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace holdfast {

inline constexpr size_t kInstanceFileSizeMaxBytes = 16 * 1024 * 1024;
inline constexpr size_t kInstanceFilesSizeMaxBytes = 256 * 1024 * 1024;
inline constexpr size_t kInstanceFilesMax = 10'000;
inline constexpr size_t kInstanceFolderDepthMax = 32;
inline constexpr size_t kInstanceFileNameSizeMaxBytes = 1024;

// InstanceFiles finds and reads the files that are not the database's, but
// without which an instance cannot be restored: those that the configuration
// names, and all within the folders that it names.
//
// What a backup holds of them:
//   - regular files. A path in the configuration may be a symbolic link and is
//   followed; links inside
//     of folders are left out, and so are sockets, pipes and devices, each with
//     a warning in the log;
//   - never the master key: the file that it is read from, its copies under
//   other names (hard links),
//     and every file in which a key is found, however it is typed, are left out, with a
//     warning. Naming the key file itself in the configuration is refused;
//   - never anything of the data directory: `instance/` in it is what a restore
//   brought back, for a
//     person to put where it belongs; from there it is backed up.
//
// Thread-safe after construction.
class InstanceFiles {
 public:
  struct File {
    std::string name;   // "instance/" and the absolute path without its first slash
    mode_t mode = 0;    // permission bits, 0 to 0777
    std::string bytes;  // all of it
  };

  struct Options {
    std::vector<std::string> paths{};   // absolute
    std::string master_key_path{};      // empty where the key comes from no file
    std::string data_directory_path{};  // absolute
  };

  // INVALID_ARGUMENT for a path that is not absolute and normal, the master
  // key's, or one in or around the data directory. A path where nothing is yet
  // is no error here, but a warning in the log.
  static absl::StatusOr<InstanceFiles> FromConfiguration(Options options);

  // Reads all files, each as it was at one moment, and gives each to `visit`;
  // ends with the first error of that. The order is that of the configuration;
  // no name comes twice. Errors: NOT_FOUND where a path of the configuration is
  // gone. RESOURCE_EXHAUSTED where a bound above is passed; INVALID_ARGUMENT
  // for a name that no backup can hold; those of reading.
  absl::Status ReadAll(const std::function<absl::Status(const File&)>& visit) const;

 private:
  class Reading;

  explicit InstanceFiles(Options options) : options_(std::move(options)) {}

  const Options options_;
};

}  // namespace holdfast

#endif  // HOLDFAST_STORE_SERVICE_CHECKPOINTS_INSTANCE_FILES_H_
