#include "backup-agent/transfer/checkpoint_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "backup-agent/transfer/listing.h"
#include "backup-agent/transfer/transfer_limits.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/crypto/hash.h"
#include "common/crypto/secret.h"

namespace holdfast {
namespace {

constexpr Backoff::Options kResumeBackoff = {.initial = absl::Milliseconds(100),
                                             .max = absl::Seconds(5)};

// Instance files up to this size are searched for a master key.
constexpr uint64_t kInspectedSizeMaxBytes = 64 << 10;

bool IsInspected(const v1::CheckpointFile& file) {
  return file.kind() == v1::CheckpointFile::KIND_INSTANCE &&
         file.size_bytes() <= kInspectedSizeMaxBytes;
}

bool CanResume(const absl::Status& error) {
  return absl::IsUnavailable(error) || absl::IsDeadlineExceeded(error);
}

}  // namespace

CheckpointFileReader::CheckpointFileReader(const CheckpointReadContext& context,
                                           const v1::CheckpointFile& file)
    : context_(context), file_(file), backoff_(kResumeBackoff, *context.random) {}

CheckpointFileReader::~CheckpointFileReader() = default;

absl::StatusOr<absl::Span<const uint8_t>> CheckpointFileReader::Next() {
  HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, NextPiece(),
                            absl::StrCat("read ", file_.name(), " from the store"));
  return piece;
}

absl::StatusOr<absl::Span<const uint8_t>> CheckpointFileReader::NextPiece() {
  if (has_ended_) return absl::Span<const uint8_t>();
  while (true) {
    HOLDFAST_RETURN_IF_ERROR(context_.cancellation.status());
    if (stream_ == nullptr) {
      absl::StatusOr<std::unique_ptr<ByteSource>> stream = context_.source->ReadFile(
          context_.checkpoint_id, file_.name(), offset_, context_.cancellation);
      if (!stream.ok()) {
        HOLDFAST_RETURN_IF_ERROR(WaitToResume(stream.status()));
        continue;
      }
      stream_ = *std::move(stream);
    }
    const absl::StatusOr<absl::Span<const uint8_t>> piece = stream_->Next();
    if (!piece.ok()) {
      stream_.reset();
      HOLDFAST_RETURN_IF_ERROR(WaitToResume(piece.status()));
      continue;
    }
    if (piece->empty()) return End();
    if (piece->size() > file_.size_bytes() - offset_) {
      return absl::DataLossError(absl::StrCat("the store sends more than the ", file_.size_bytes(),
                                              " bytes that it listed"));
    }
    checksum_.Update(*piece);
    offset_ += piece->size();
    backoff_.Reset();
    return *piece;
  }
}

absl::StatusOr<absl::Span<const uint8_t>> CheckpointFileReader::End() {
  stream_.reset();
  if (offset_ < file_.size_bytes()) {
    return absl::DataLossError(absl::StrCat("the store sent only ", offset_, " of the ",
                                            file_.size_bytes(), " bytes that it listed"));
  }
  if (checksum_.Digest() != file_.xxh3_128()) {
    return absl::DataLossError("the store sent other bytes than it listed: checksum mismatch");
  }
  has_ended_ = true;
  return absl::Span<const uint8_t>();
}

absl::Status CheckpointFileReader::WaitToResume(const absl::Status& error) {
  HOLDFAST_RETURN_IF_ERROR(context_.cancellation.status());
  if (!CanResume(error) || backoff_.attempts() >= kResumeAttemptsMax ||
      resumed_ >= kResumeTotalMax) {
    return error;
  }
  ++resumed_;
  return SleepFor(*context_.clock, backoff_.Next(), context_.cancellation);
}

BundleReader::BundleReader(const CheckpointReadContext& context,
                           std::vector<const v1::CheckpointFile*> files)
    : context_(context), files_(std::move(files)) {}

BundleReader::~BundleReader() { WipeMemory(inspected_.data(), inspected_.size()); }

absl::StatusOr<absl::Span<const uint8_t>> BundleReader::Next() {
  while (true) {
    if (reader_ == nullptr) {
      if (next_file_ == files_.size()) return absl::Span<const uint8_t>();
      const v1::CheckpointFile& file = *files_[next_file_];
      reader_ = std::make_unique<CheckpointFileReader>(context_, file);
      WipeMemory(inspected_.data(), inspected_.size());
      inspected_.clear();
      // All at once: a string that grows leaves copies of a key behind.
      if (IsInspected(file)) inspected_.reserve(file.size_bytes());
    }
    const v1::CheckpointFile& file = *files_[next_file_];
    HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, reader_->Next());
    if (!piece.empty()) {
      if (IsInspected(file)) absl::StrAppend(&inspected_, AsText(piece));
      return piece;
    }
    if (IsInspected(file) && HoldsMasterKey(inspected_)) {
      return absl::FailedPreconditionError(
          absl::StrCat(file.name(),
                       " holds a master key: a key must not lie in the backups that it opens. "
                       "Nothing was backed "
                       "up. Take the file out of the instance files in the store's configuration"));
    }
    reader_.reset();
    ++next_file_;
  }
}

}  // namespace holdfast
