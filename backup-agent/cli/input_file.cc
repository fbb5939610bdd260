#include "backup-agent/cli/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"

namespace holdfast {

namespace {

constexpr absl::string_view kStandardInput = "-";
constexpr size_t kReadSizeBytes = size_t{256} << 10;

}  // namespace

absl::StatusOr<std::unique_ptr<InputFile>> InputFile::Open(const std::string& path,
                                                           Console& console) {
  if (path == kStandardInput) {
    return std::unique_ptr<InputFile>(new InputFile("standard input", console));
  }
  std::unique_ptr<InputFile> input(new InputFile(path, console));
  // A pipe is welcome: a shell's <(command) is one.
  input->file_ = UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!input->file_.is_valid()) return StatusFromErrno(errno, path);
  struct stat info;
  if (fstat(input->file_.get(), &info) != 0) return StatusFromErrno(errno, path);
  if (S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is a directory"));
  }
  if (S_ISREG(info.st_mode)) input->size_bytes_ = static_cast<uint64_t>(info.st_size);
  return input;
}

absl::StatusOr<std::string> InputFile::ReadSome(size_t size_max, const Cancellation& cancellation) {
  absl::StatusOr<std::string> piece = file_.is_valid()
                                          ? ReadSomeFrom(file_.get(), size_max, cancellation)
                                          : console_.ReadSome(size_max, cancellation);
  if (!piece.ok() && !cancellation.IsCancelled()) return Annotate(piece.status(), name_);
  return piece;
}

absl::StatusOr<std::string> InputFile::ReadAll(size_t size_max, const Cancellation& cancellation) {
  std::string all;
  for (;;) {
    HOLDFAST_ASSIGN_OR_RETURN(const std::string piece,
                              ReadSome(size_max + 1 - all.size(), cancellation));
    if (piece.empty()) return all;
    all += piece;
    if (all.size() > size_max) {
      return absl::InvalidArgumentError(absl::StrCat(name_, " has more than ", size_max, " bytes"));
    }
  }
}

absl::StatusOr<std::optional<absl::string_view>> LineReader::Next() {
  size_t end;
  while ((end = buffer_.find('\n', searched_)) == std::string::npos && !has_ended_) {
    buffer_.erase(0, begin_);
    begin_ = 0;
    searched_ = buffer_.size();
    if (buffer_.size() > line_size_max_) break;
    HOLDFAST_ASSIGN_OR_RETURN(const std::string piece,
                              input_.ReadSome(kReadSizeBytes, cancellation_));
    has_ended_ = piece.empty();
    bytes_read_ += piece.size();
    buffer_ += piece;
  }
  const bool is_last = end == std::string::npos;
  if (is_last) end = buffer_.size();
  if (is_last && end == begin_ && has_ended_) return std::nullopt;
  ++line_number_;
  if (end - begin_ > line_size_max_) {
    return absl::InvalidArgumentError(absl::StrCat("line ", line_number_, " of ", input_.name(),
                                                   " has more than ", line_size_max_, " bytes"));
  }
  const absl::string_view line =
      absl::StripSuffix(absl::string_view(buffer_).substr(begin_, end - begin_), "\r");
  begin_ = searched_ = is_last ? end : end + 1;
  return std::optional<absl::string_view>(line);
}

}  // namespace holdfast
