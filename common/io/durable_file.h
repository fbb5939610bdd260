#ifndef HOLDFAST_COMMON_IO_DURABLE_FILE_H_
#define HOLDFAST_COMMON_IO_DURABLE_FILE_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/random.h"
#include "common/io/fd.h"

namespace holdfast {

// Names that begin like this are files that were being written when something went wrong. Nobody
// reads them; whoever owns the folder may remove them. Part of the repository format; do not
// change.
inline constexpr absl::string_view kTemporaryPrefix = ".tmp-";

// Whether that is a name that a DurableFile gives: the prefix and 16 lower-case hexadecimal digits.
// Others begin the names of their files so, too.
bool IsTemporaryName(absl::string_view name);

// A DurableFile writes a file that appears whole or not at all, and survives a power loss once
// Commit has returned OK. It is the only class that knows how.
//
//   HOLDFAST_ASSIGN_OR_RETURN(auto file, DurableFile::Create(path, {.mode = 0600}));
//   HOLDFAST_RETURN_IF_ERROR(file->Append(bytes));
//   HOLDFAST_RETURN_IF_ERROR(file->Commit());
//
// Destroyed without a successful Commit it leaves nothing. After an error it cannot be used
// further: every later call returns that error again.
//
// Not thread-safe.
//
// Errors: those of StatusFromErrno, and DATA_LOSS if the file's length is not what was written.
//
// How: an exclusive temporary name in the same folder, write, compare the length, fsync, close,
// rename to the final name without replacing, fsync the folder. A folder that is renamed meanwhile
// still gets the file. What is written begins to go out early: else the fsync would find all of a
// large file in memory, and whoever syncs anything on that disk would wait with it.
class DurableFile {
 public:
  enum class Existing {
    kKeep,  // Commit fails with ALREADY_EXISTS where the name is taken
    // As kKeep; but where the file system cannot promise it (some shares), Commit looks before it
    // renames: of two that write the same new name at the same moment one may replace the other.
    // For names that are chosen at random.
    kKeepAsFarAsPossible,
    kReplace,  // Commit replaces what is there, atomically
  };

  struct Options {
    mode_t mode = 0600;  // permissions, whatever the umask; as near as the file system can
    Existing existing = Existing::kKeep;
  };

  // Creates the temporary file in the folder of `path`, which must exist (else NOT_FOUND).
  // `random` makes the temporary name; it must outlive the call only.
  static absl::StatusOr<std::unique_ptr<DurableFile>> Create(const std::string& path,
                                                             const Options& options,
                                                             RandomSource& random = SystemRandom());

  // The same in a folder that is open for reading, so that the file goes there and nowhere else,
  // whatever the path leads to by now. The last part of `path` is its name; the rest is for
  // messages.
  static absl::StatusOr<std::unique_ptr<DurableFile>> CreateIn(
      UniqueFd folder, const std::string& path, const Options& options,
      RandomSource& random = SystemRandom());

  ~DurableFile();
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;

  absl::Status Append(absl::Span<const uint8_t> bytes);
  absl::Status Append(absl::string_view bytes);

  // What was appended so far.
  int64_t size_bytes() const { return size_bytes_; }

  // Makes the file durable and visible. On an error nothing of it is visible, with one exception:
  // if kReplace was asked for and only the last step (fsync of the folder) failed, the old or the
  // new file may be there after a power loss, each whole.
  //   ALREADY_EXISTS  the name is taken (kKeep)
  //   UNIMPLEMENTED   kKeep, and the file system can neither rename without replacing nor link
  absl::Status Commit();

 private:
  enum class State { kOpen, kCommitted, kFailed };

  DurableFile(std::string path, std::string name, std::string temporary_name,
              const Options& options, UniqueFd folder, UniqueFd file);

  absl::Status CommitSteps();
  absl::Status Fail(absl::Status status);
  void RemoveTemporary();

  const std::string path_;            // for messages
  const std::string name_;            // in folder_
  const std::string temporary_name_;  // in folder_
  const Options options_;
  const UniqueFd folder_;
  UniqueFd file_;
  State state_ = State::kOpen;
  absl::Status error_;
  bool has_temporary_ = true;
  int64_t size_bytes_ = 0;
  int64_t begun_bytes_ = 0;  // of these, the system was told to write out
};

// Writes a small file in one go, with a DurableFile.
absl::Status WriteFileDurably(const std::string& path, absl::string_view bytes,
                              const DurableFile::Options& options);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_IO_DURABLE_FILE_H_
