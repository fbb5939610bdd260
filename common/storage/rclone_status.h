#ifndef HOLDFAST_COMMON_STORAGE_RCLONE_STATUS_H_
#define HOLDFAST_COMMON_STORAGE_RCLONE_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace holdfast {

// The border between rclone's errors and Status. What a call of its remote control answered with
// another HTTP status than success tells what went wrong only in words: those of rclone, of a
// library in it, of the system, or of a server. So this knows the words of the backends that were
// tried (local, SFTP, SMB, WebDAV) and of S3; of words that it does not know it makes UNAVAILABLE.
//   NOT_FOUND            rclone says so by its status, 404: no such file or directory
//   RESOURCE_EXHAUSTED   no space or quota left there
//   PERMISSION_DENIED    not allowed there, or read-only; marked by MarkDeniedBySystem
//   FAILED_PRECONDITION  something has to be changed first: no such remote, a wrong password, an
//                        unknown host key, no such share or bucket; or a file is where a folder is
//                        wanted, or the other way round
//   INVALID_ARGUMENT     a name that the place does not take
//   UNAVAILABLE          all else: the server can't be reached, or does not do it now
// The message says first what that comes to and what to do; then it is rclone's, on one line, cut
// at 500 bytes. Of NOT_FOUND it is rclone's alone: callers say what is not there.
absl::Status StatusFromRclone(int http_status, absl::string_view body);

// Whether an error is that a file is where a folder is wanted, or the other way round.
bool IsFileOrFolderConflict(const absl::Status& status);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_STORAGE_RCLONE_STATUS_H_
