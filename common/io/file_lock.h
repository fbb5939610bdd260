#ifndef HOLDFAST_COMMON_IO_FILE_LOCK_H_
#define HOLDFAST_COMMON_IO_FILE_LOCK_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "common/io/fd.h"

namespace holdfast {

// A FileLock keeps a second process (or a second part of this one) out of a folder. It lasts until
// it is destroyed or the process ends, however it ends; the file stays, and means nothing unlocked.
//
// Not thread-safe.
class FileLock {
 public:
  // Locks `path`, which is created if needed, or fails at once. FAILED_PRECONDITION if it is locked
  // already; the message names the process that holds it.
  static absl::StatusOr<std::unique_ptr<FileLock>> Acquire(const std::string& path);

  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  explicit FileLock(UniqueFd file) : file_(std::move(file)) {}

  UniqueFd file_;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_IO_FILE_LOCK_H_
