#ifndef HOLDFAST_COMMON_STORAGE_RCLONE_CLIENT_H_
#define HOLDFAST_COMMON_STORAGE_RCLONE_CLIENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/cancellation.h"
#include "common/storage/blob_store.h"
#include "common/storage/rclone_daemon.h"

namespace holdfast {

class HttpExchange;

// A file that rclone sends. Yields its bytes as they come; nothing is read ahead beyond a MiB.
//
// Not thread-safe.
class RcloneDownload {
 public:
  ~RcloneDownload();

  // Of the whole file.
  uint64_t file_size_bytes() const { return file_size_bytes_; }

  // The next piece; empty at the end of the range. UNAVAILABLE where it breaks off, or nothing
  // comes for RcloneClient::kStallMax.
  absl::StatusOr<absl::Span<const uint8_t>> Next();

 private:
  friend class RcloneClient;
  RcloneDownload(std::unique_ptr<HttpExchange> exchange, uint64_t file_size_bytes);

  const std::unique_ptr<HttpExchange> exchange_;
  const uint64_t file_size_bytes_;
  std::string piece_;
};

// An RcloneClient commands an RcloneDaemon: calls of its remote control, uploads, downloads. Places
// are named as rclone names them: `fs` is "remote:path", what is below it a path without a slash in
// front.
//
// Every call ends: on its deadline where nothing moves, or at once when `cancellation` is
// cancelled, with its status. What rclone was told to do goes on for a moment then, and may or may
// not come to an end.
//
// Thread-safe; calls run at the same time, each with a connection of its own.
//
// Errors: those of RcloneDaemon::Start; those of StatusFromRclone; UNAVAILABLE where rclone does
// not answer.
class RcloneClient {
 public:
  // How long a transfer may stand still: without a byte taken from a source that has one, or
  // without one that came.
  static constexpr absl::Duration kStallMax = absl::Seconds(30);

  RcloneClient(std::shared_ptr<RcloneDaemon> daemon, Cancellation cancellation)
      : daemon_(std::move(daemon)), cancellation_(std::move(cancellation)) {}

  // Calls "operations/stat" and the like with parameters in JSON, and returns the answer in JSON.
  absl::StatusOr<std::string> Call(absl::string_view command, const std::string& parameters,
                                   absl::Duration deadline) const;

  // How an upload went.
  struct Uploaded {
    absl::Status status;         // OK where rclone has stored all of it
    bool source_failed = false;  // `status` is that of the source, as it was
    bool is_answered = false;    // rclone has ended it; else it may still be busy with it
    uint64_t size_bytes = 0;     // taken from the source
  };

  // Stores what `source` yields as `folder`/`file_name` in `fs`; folders are made. One of that name
  // is replaced. Where the source fails, rclone removes what it has written. Once all is sent, the
  // answer may take `answer_max`.
  Uploaded Upload(absl::string_view fs, absl::string_view folder, absl::string_view file_name,
                  ByteSource& source, absl::Duration answer_max) const;

  // Begins to read a file at `offset`, at most `length_max` bytes of it. UNAVAILABLE also where the
  // place refuses the offset as one beyond the end, or at it.
  // REQUIRES: length_max > 0.
  absl::StatusOr<std::unique_ptr<RcloneDownload>> Download(absl::string_view fs,
                                                           absl::string_view path, uint64_t offset,
                                                           uint64_t length_max) const;

 private:
  absl::StatusOr<std::unique_ptr<HttpExchange>> NewExchange(absl::string_view path) const;

  const std::shared_ptr<RcloneDaemon> daemon_;
  const Cancellation cancellation_;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_STORAGE_RCLONE_CLIENT_H_
