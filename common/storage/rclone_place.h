#ifndef HOLDFAST_COMMON_STORAGE_RCLONE_PLACE_H_
#define HOLDFAST_COMMON_STORAGE_RCLONE_PLACE_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace holdfast {

// An RclonePlace is a folder of a remote that rclone's configuration names, written as
// "rclone:REMOTE:PATH": what stands behind "rclone:" is as on rclone's own command line. A path
// that begins with a slash means another place than one that does not, where the remote knows a
// difference (SFTP does).
//
// Backends that are described in place (":sftp,host=nas,pass=…:path") are refused: URLs of
// destinations are shown, logged and copied into backups, and are no place for passwords.
//
// A value type.
class RclonePlace {
 public:
  static constexpr absl::string_view kScheme = "rclone:";

  // INVALID_ARGUMENT, saying why, where it is no such URL.
  static absl::StatusOr<RclonePlace> Parse(absl::string_view url);

  const std::string& remote() const { return remote_; }
  // Without doubled slashes, "." and a slash at the end; empty for the top of the remote.
  const std::string& path() const { return path_; }

  // The canonical form.
  std::string ToUrl() const;
  // What rclone calls it: "REMOTE:PATH".
  std::string ToFs() const;

  // The folder that it lies in. REQUIRES: !IsTop().
  RclonePlace Parent() const;
  // Whether it is the top of the remote, or of the file system there.
  bool IsTop() const { return path_.empty() || path_ == "/"; }

 private:
  RclonePlace(std::string remote, std::string path)
      : remote_(std::move(remote)), path_(std::move(path)) {}

  std::string remote_;
  std::string path_;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_STORAGE_RCLONE_PLACE_H_
