#include "backup-agent/restore/file_salvage.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "backup-agent/restore/extent_reader.h"
#include "backup-agent/restore/restore_plan.h"
#include "common/base/status_macros.h"
#include "common/io/xxh3_stream.h"
#include "common/repository/layout.h"
#include "common/repository/object_remains.h"
#include "common/repository/zstd_stream.h"

namespace holdfast {

namespace {

using repository::v1::FileEntry;
using repository::v1::FileList;
using repository::v1::ObjectEntry;

constexpr absl::string_view kInstancePrefix = "instance/";
constexpr size_t kZerosSizeBytes = 64 << 10;

// One file on its way into the target. Its bytes come in ascending order, some perhaps never.
class FileInProgress {
 public:
  FileInProgress(const FileEntry& entry, DataDirectoryRestore& target)
      : entry_(entry), target_(target) {}

  // `offset` is in the file, and not below what was written before.
  absl::Status Write(uint64_t offset, absl::Span<const uint8_t> bytes) {
    HOLDFAST_RETURN_IF_ERROR(SkipTo(offset));
    if (is_given_up_) return absl::OkStatus();
    checksum_.Update(bytes);
    usable_bytes_ += bytes.size();
    return Append(bytes);
  }

  // Nothing more comes.
  absl::Status Close() {
    if (is_closed_) return absl::OkStatus();
    is_closed_ = true;
    if (usable_bytes_ == 0 && entry_.size_bytes() > 0) is_given_up_ = true;
    HOLDFAST_RETURN_IF_ERROR(SkipTo(entry_.size_bytes()));
    has_all_bytes_ = lost_.empty() && !is_given_up_;
    if (has_all_bytes_ && checksum_.Digest() == entry_.xxh3_128()) {
      state_ = RemainingFile::State::kWhole;
      HOLDFAST_RETURN_IF_ERROR(Append({}));  // one of no bytes is a file, too
    } else if (!has_all_bytes_ && usable_bytes_ > 0 && (IsTable() || IsLog())) {
      state_ = RemainingFile::State::kPartly;
    } else {
      state_ = RemainingFile::State::kLost;
      usable_bytes_ = 0;
    }
    // An instance file appears whole or not at all; what is no use of the others is not looked at.
    if (writer_ != nullptr && state_ != RemainingFile::State::kLost) {
      HOLDFAST_RETURN_IF_ERROR(writer_->Close());
    }
    writer_.reset();
    return absl::OkStatus();
  }

  // Adds the file to `salvaged`; `fault` is what is wrong with where it lies.
  // REQUIRES: Close was called.
  void Report(const std::vector<std::string>& objects, const absl::Status& fault,
              SalvagedFiles& salvaged) const {
    const bool is_whole = state_ == RemainingFile::State::kWhole;
    if (!is_whole) {
      std::string what(fault.message());
      if (has_all_bytes_) {
        what =
            "its checksum is not the one that was backed up, though its objects are whole: the "
            "backup was made of damaged data";
      } else if (what.empty()) {
        what = "it ends too early";
      }
      salvaged.damaged.push_back({.name = entry_.name(),
                                  .objects = objects,
                                  .fault = std::move(what),
                                  .size_bytes = entry_.size_bytes(),
                                  .usable_bytes = usable_bytes_});
    }
    if (entry_.kind() != FileEntry::KIND_INSTANCE) {
      RemainingFile& file = salvaged.database_files.emplace_back();
      file.name = entry_.name();
      file.state = state_;
      if (IsTable()) file.lost = lost_;
    } else if (is_whole) {
      salvaged.instance_files.emplace_back(absl::StripPrefix(entry_.name(), kInstancePrefix));
    } else {
      ++salvaged.instance_files_lost;
    }
  }

 private:
  bool IsTable() const { return entry_.kind() == FileEntry::KIND_TABLE; }
  bool IsLog() const { return entry_.kind() == FileEntry::KIND_LOG; }

  absl::Status Append(absl::Span<const uint8_t> bytes) {
    if (writer_ == nullptr) {
      HOLDFAST_ASSIGN_OR_RETURN(writer_, target_.CreateFile(entry_.name(), entry_.mode()));
    }
    written_bytes_ += bytes.size();
    return bytes.empty() ? absl::OkStatus() : writer_->Append(bytes);
  }

  // What lies before `offset` and was not written is lost.
  absl::Status SkipTo(uint64_t offset) {
    if (offset <= written_bytes_ || is_given_up_) return absl::OkStatus();
    if (!IsTable()) {
      // Of a log the beginning is of use; of other files nothing.
      is_given_up_ = true;
      return absl::OkStatus();
    }
    lost_.push_back({.offset = written_bytes_, .size_bytes = offset - written_bytes_});
    static const std::string* const kZeros = new std::string(kZerosSizeBytes, '\0');
    while (written_bytes_ < offset) {
      const size_t size = std::min<uint64_t>(kZerosSizeBytes, offset - written_bytes_);
      HOLDFAST_RETURN_IF_ERROR(Append(AsBytes(*kZeros).first(size)));
    }
    return absl::OkStatus();
  }

  const FileEntry& entry_;
  DataDirectoryRestore& target_;
  std::unique_ptr<DataDirectoryRestore::FileWriter> writer_;  // only while bytes come
  Xxh3Stream checksum_;
  uint64_t written_bytes_ = 0;
  uint64_t usable_bytes_ = 0;
  std::vector<ByteRange> lost_;
  bool is_given_up_ = false;
  bool is_closed_ = false;
  bool has_all_bytes_ = false;
  RemainingFile::State state_ = RemainingFile::State::kLost;
};

class FileSalvage {
 public:
  FileSalvage(const StoreRepository& store, const FileList& files, DataDirectoryRestore& target,
              const std::function<void(uint64_t)>& on_bytes, const Cancellation& cancellation)
      : store_(store),
        files_(files),
        target_(target),
        on_bytes_(on_bytes),
        cancellation_(cancellation) {}

  absl::StatusOr<SalvagedFiles> Run() {
    for (const RestoreUnit& unit : PlanRestore(files_)) {
      HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
      const bool is_simple = std::all_of(unit.files.begin(), unit.files.end(),
                                         [](const FileEntry* f) { return f->extents_size() == 1; });
      if (is_simple && !unit.files.empty()) {
        HOLDFAST_RETURN_IF_ERROR(SalvageObject(unit));
        continue;
      }
      for (const FileEntry* file : unit.files) HOLDFAST_RETURN_IF_ERROR(SalvagePieces(*file));
    }
    return std::move(salvaged_);
  }

 private:
  const ObjectEntry& ObjectOf(const repository::v1::Extent& extent) const {
    return files_.objects(static_cast<int>(extent.object_index()));
  }
  std::string PathOf(const ObjectEntry& object) const {
    return ObjectPath(store_.store_id(), object.name());
  }

  // Files that lie one after the other in one object.
  absl::Status SalvageObject(const RestoreUnit& unit) {
    const ObjectEntry& object = ObjectOf(unit.files.front()->extents(0));
    std::vector<std::unique_ptr<FileInProgress>> in_progress;
    for (const FileEntry* file : unit.files) {
      in_progress.push_back(std::make_unique<FileInProgress>(*file, target_));
    }
    // Gives each file its part of decoded content.
    size_t next = 0;
    const auto write = [&](uint64_t offset, absl::Span<const uint8_t> bytes) -> absl::Status {
      on_bytes_(bytes.size());
      while (!bytes.empty() && next < unit.files.size()) {
        const repository::v1::Extent& extent = unit.files[next]->extents(0);
        const uint64_t begin = extent.offset();
        const uint64_t end = begin + extent.length();
        if (offset >= end) {
          HOLDFAST_RETURN_IF_ERROR(in_progress[next++]->Close());
          continue;
        }
        const uint64_t skipped =
            std::min<uint64_t>(offset < begin ? begin - offset : 0, bytes.size());
        offset += skipped;
        bytes.remove_prefix(skipped);
        if (bytes.empty()) break;
        const absl::Span<const uint8_t> own =
            bytes.first(std::min<uint64_t>(bytes.size(), end - offset));
        HOLDFAST_RETURN_IF_ERROR(in_progress[next]->Write(offset - begin, own));
        offset += own.size();
        bytes.remove_prefix(own.size());
      }
      return absl::OkStatus();
    };

    absl::Status decoding;
    absl::StatusOr<ObjectRemains> remains;
    if (object.codec() == ObjectEntry::CODEC_NONE) {
      remains =
          ReadObjectRemains(store_, object, [&](uint64_t offset, absl::Span<const uint8_t> piece) {
            HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
            return write(offset, piece);
          });
    } else {
      // A frame can be decoded up to the first byte that is lost.
      ZstdDecompressor decompressor(object.content_size_bytes());
      uint64_t stored_bytes = 0;
      uint64_t decoded_bytes = 0;
      remains = ReadObjectRemains(
          store_, object, [&](uint64_t offset, absl::Span<const uint8_t> piece) -> absl::Status {
            HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
            if (offset != stored_bytes || !decoding.ok()) return absl::OkStatus();
            stored_bytes += piece.size();
            for (;;) {
              const absl::StatusOr<absl::Span<const uint8_t>> decoded = decompressor.Next(piece);
              if (!decoded.ok()) {
                decoding = Annotate(decoded.status(), PathOf(object));
                return absl::OkStatus();
              }
              if (decoded->empty()) return absl::OkStatus();
              HOLDFAST_RETURN_IF_ERROR(write(decoded_bytes, *decoded));
              decoded_bytes += decoded->size();
            }
          });
    }
    HOLDFAST_RETURN_IF_ERROR(remains.status());
    const absl::Status& fault = remains->fault.ok() ? decoding : remains->fault;
    for (size_t i = 0; i < unit.files.size(); ++i) {
      HOLDFAST_RETURN_IF_ERROR(in_progress[i]->Close(), unit.files[i]->name());
      in_progress[i]->Report({PathOf(object)}, fault, salvaged_);
    }
    return absl::OkStatus();
  }

  // A file that lies in pieces, or is empty: all of it, or nothing.
  absl::Status SalvagePieces(const FileEntry& file) {
    FileInProgress in_progress(file, target_);
    ExtentReader reader(store_, files_);
    std::set<std::string> objects;
    absl::Status fault;
    uint64_t offset = 0;
    for (const repository::v1::Extent& extent : file.extents()) {
      objects.insert(PathOf(ObjectOf(extent)));
      if (!fault.ok()) continue;
      absl::Status target_status;
      fault = reader.Read(extent, [&](absl::Span<const uint8_t> piece) {
        HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
        on_bytes_(piece.size());
        target_status = in_progress.Write(offset, piece);
        offset += piece.size();
        return target_status;
      });
      HOLDFAST_RETURN_IF_ERROR(target_status);
      HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
      if (!fault.ok()) HOLDFAST_RETURN_IF_ERROR(store_.CheckThatOnlyTheFileFailed(fault));
    }
    HOLDFAST_RETURN_IF_ERROR(in_progress.Close(), file.name());
    in_progress.Report({objects.begin(), objects.end()}, fault, salvaged_);
    return absl::OkStatus();
  }

  const StoreRepository& store_;
  const FileList& files_;
  DataDirectoryRestore& target_;
  const std::function<void(uint64_t)>& on_bytes_;
  const Cancellation& cancellation_;
  SalvagedFiles salvaged_;
};

}  // namespace

absl::StatusOr<SalvagedFiles> SalvageFiles(const StoreRepository& store, const FileList& files,
                                           DataDirectoryRestore& target,
                                           const std::function<void(uint64_t bytes)>& on_bytes,
                                           const Cancellation& cancellation) {
  return FileSalvage(store, files, target, on_bytes, cancellation).Run();
}

}  // namespace holdfast
