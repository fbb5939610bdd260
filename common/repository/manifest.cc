#include "common/repository/manifest.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/io/xxh3_stream.h"
#include "common/repository/zstd_stream.h"

namespace holdfast {

namespace {

using repository::v1::BackupSummary;
using repository::v1::Extent;
using repository::v1::FileEntry;
using repository::v1::FileList;
using repository::v1::ObjectEntry;

// Numbers of the repository format; do not change.
constexpr size_t kSummaryLengthSizeBytes = 4;
constexpr size_t kSummarySizeMaxBytes = kSegmentSizeBytes - kSummaryLengthSizeBytes;
constexpr size_t kIdSizeBytes = 16;
constexpr size_t kManifestHashSizeBytes = 32;
constexpr uint32_t kModeMax = 07777;
// The least that a sealed object with a codec has: a header and a tag.
constexpr uint64_t kSealedObjectSizeMinBytes = kSealedHeaderSizeBytes + kSegmentTagSizeBytes;

// A rule of the format is broken. (SealManifest, which checks the same rules, changes the code.)
absl::Status RuleError(absl::string_view what) { return absl::DataLossError(what); }

std::string Quote(absl::string_view name) {
  return absl::StrCat("\"", absl::CHexEscape(name.substr(0, 200)), "\"");
}

absl::Status CheckSummary(const BackupSummary& summary, const StoreId& store_id,
                          absl::string_view backup_id) {
  if (summary.required_features_size() > 0) {
    return absl::UnimplementedError(
        absl::StrCat("it is from a newer version: it needs the feature ",
                     Quote(summary.required_features(0)), "; a newer Holdfast is needed"));
  }
  if (summary.backup_id() != backup_id) {
    return RuleError(absl::StrCat("it says that it is backup ", Quote(summary.backup_id())));
  }
  if (summary.store_id() != store_id.ToByteString()) {
    return RuleError("it says that it is of another store");
  }
  if (summary.incarnation().size() != kIdSizeBytes ||
      std::any_of(summary.earlier_incarnations().begin(), summary.earlier_incarnations().end(),
                  [](const std::string& id) { return id.size() != kIdSizeBytes; })) {
    return RuleError("an incarnation in it is not 16 bytes long");
  }
  if (summary.ordinal() == 0) return RuleError("it has no ordinal");
  const bool has_previous = !summary.previous_backup_id().empty();
  if (has_previous != (summary.ordinal() > 1) ||
      has_previous != !summary.previous_manifest_hash().empty()) {
    return RuleError("its ordinal and what it says of the backup before do not go together");
  }
  if (has_previous &&
      (!IsBackupId(summary.previous_backup_id()) || summary.previous_backup_id() == backup_id ||
       summary.previous_manifest_hash().size() != kManifestHashSizeBytes)) {
    return RuleError("what it says of the backup before has not the right form");
  }
  return absl::OkStatus();
}

absl::Status CheckObject(const ObjectEntry& object) {
  if (!ParseObjectName(object.name()).ok()) return RuleError("its name is not one of an object");
  if (object.key_id().size() != kIdSizeBytes) return RuleError("its key id is not 16 bytes long");
  switch (object.codec()) {
    case ObjectEntry::CODEC_NONE:
      if (object.sealed_size_bytes() != SealedSizeBytes(object.content_size_bytes())) {
        return RuleError("the lengths of the content and of the file do not go together");
      }
      return absl::OkStatus();
    case ObjectEntry::CODEC_ZSTD:
      if (object.sealed_size_bytes() < kSealedObjectSizeMinBytes) {
        return RuleError("the length of the file is less than any can have");
      }
      return absl::OkStatus();
    default:
      return absl::UnimplementedError(absl::StrCat("its codec ", static_cast<int>(object.codec()),
                                                   " is not known; a newer Holdfast is needed"));
  }
}

absl::Status CheckFile(const FileEntry& file, const FileList& list) {
  const absl::StatusOr<FileEntry::Kind> kind = KindOfFileName(file.name());
  if (!kind.ok()) return RuleError(kind.status().message());
  if (*kind != file.kind()) return RuleError("its kind is not what its name stands for");
  if (file.xxh3_128().size() != kXxh3SizeBytes)
    return RuleError("its checksum is not 16 bytes long");
  if (file.mode() > (file.kind() == FileEntry::KIND_INSTANCE ? kModeMax : 0)) {
    return RuleError("its mode is not one that it can have");
  }
  uint64_t rest = file.size_bytes();
  for (const Extent& extent : file.extents()) {
    if (extent.object_index() >= static_cast<uint32_t>(list.objects_size())) {
      return RuleError("an extent of it lies in an object that is not listed");
    }
    const uint64_t content_size_bytes =
        list.objects(static_cast<int>(extent.object_index())).content_size_bytes();
    if (extent.length() == 0 || extent.offset() > content_size_bytes ||
        extent.length() > content_size_bytes - extent.offset()) {
      return RuleError("an extent of it is empty or does not lie within its object");
    }
    if (extent.length() > rest) return RuleError("its extents are more than its size");
    rest -= extent.length();
  }
  if (rest > 0) return RuleError("its extents are less than its size");
  return absl::OkStatus();
}

// No byte of an object belongs to two files: so what is restored is never more than what is stored,
// but for what compression saved.
absl::Status CheckThatExtentsDoNotOverlap(const FileList& list) {
  struct Range {
    uint32_t object_index;
    uint64_t offset;
    uint64_t length;
  };
  std::vector<Range> ranges;
  for (const FileEntry& file : list.files()) {
    for (const Extent& extent : file.extents()) {
      ranges.push_back({extent.object_index(), extent.offset(), extent.length()});
    }
  }
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
    return std::pair(a.object_index, a.offset) < std::pair(b.object_index, b.offset);
  });
  for (size_t i = 1; i < ranges.size(); ++i) {
    const Range& before = ranges[i - 1];
    if (before.object_index == ranges[i].object_index &&
        ranges[i].offset - before.offset < before.length) {
      return RuleError(absl::StrCat("object ",
                                    list.objects(static_cast<int>(before.object_index)).name(),
                                    ": extents of it overlap"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckFiles(const BackupSummary& summary, const FileList& list) {
  absl::flat_hash_set<absl::string_view> object_names;
  for (const ObjectEntry& object : list.objects()) {
    HOLDFAST_RETURN_IF_ERROR(CheckObject(object), absl::StrCat("object ", Quote(object.name())));
    if (!object_names.insert(object.name()).second) {
      return RuleError(absl::StrCat("object ", Quote(object.name()), ": it is listed twice"));
    }
  }
  uint64_t size_bytes = 0;
  const FileEntry* before = nullptr;
  for (const FileEntry& file : list.files()) {
    HOLDFAST_RETURN_IF_ERROR(CheckFile(file, list), absl::StrCat("file ", Quote(file.name())));
    if (before != nullptr && before->name() >= file.name()) {
      return RuleError(absl::StrCat("file ", Quote(file.name()),
                                    ": it is listed twice, or not in the order of names"));
    }
    if (file.size_bytes() > UINT64_MAX - size_bytes) {
      return RuleError("the sizes of its files are more than can be");
    }
    size_bytes += file.size_bytes();
    before = &file;
  }
  if (static_cast<uint64_t>(list.files_size()) != summary.file_count() ||
      size_bytes != summary.size_bytes()) {
    return RuleError("its summary and its list of files do not go together");
  }
  if (list.agent_settings().size() > kAgentSettingsSizeMaxBytes) {
    return RuleError("its settings are larger than they can be");
  }
  return CheckThatExtentsDoNotOverlap(list);
}

// Takes the summary from the front of `content`, which may be cut behind the first segment.
absl::StatusOr<BackupSummary> TakeSummary(absl::string_view& content, const StoreId& store_id,
                                          absl::string_view backup_id) {
  if (content.size() < kSummaryLengthSizeBytes) return RuleError("its summary is cut short");
  size_t size_bytes = 0;
  for (size_t i = 0; i < kSummaryLengthSizeBytes; ++i) {
    size_bytes |= size_t{static_cast<uint8_t>(content[i])} << (8 * i);
  }
  content.remove_prefix(kSummaryLengthSizeBytes);
  if (size_bytes > kSummarySizeMaxBytes || size_bytes > content.size()) {
    return RuleError("the length of its summary is more than it can be");
  }
  BackupSummary summary;
  if (!summary.ParseFromArray(content.data(), static_cast<int>(size_bytes))) {
    return RuleError("its summary is no message");
  }
  content.remove_prefix(size_bytes);
  HOLDFAST_RETURN_IF_ERROR(CheckSummary(summary, store_id, backup_id));
  return summary;
}

std::string ContextOf(absl::string_view backup_id) {
  return absl::StrCat("manifest of backup ", backup_id);
}

absl::StatusOr<Manifest> OpenManifestUnannotated(absl::Span<const uint8_t> sealed,
                                                 const StoreId& store_id,
                                                 absl::string_view backup_id,
                                                 const SealingKey& manifest_key) {
  if (sealed.size() > kSealedManifestSizeMaxBytes) return RuleError("it is larger than any can be");
  const std::string path = BackupPath(store_id, backup_id);
  HOLDFAST_ASSIGN_OR_RETURN(
      const std::string content,
      Unseal({.kind = SealedKind::kManifest, .path = path}, manifest_key, sealed));
  absl::string_view rest = content;
  Manifest manifest;
  HOLDFAST_ASSIGN_OR_RETURN(manifest.summary, TakeSummary(rest, store_id, backup_id));
  HOLDFAST_ASSIGN_OR_RETURN(const std::string list,
                            ZstdDecompress(AsBytes(rest), kFileListSizeMaxBytes),
                            "its list of files");
  if (!manifest.files.ParseFromString(list)) return RuleError("its list of files is no message");
  HOLDFAST_RETURN_IF_ERROR(CheckFiles(manifest.summary, manifest.files));
  return manifest;
}

absl::StatusOr<BackupSummary> OpenSummaryUnannotated(absl::Span<const uint8_t> beginning,
                                                     uint64_t sealed_size_bytes,
                                                     const StoreId& store_id,
                                                     absl::string_view backup_id,
                                                     const SealingKey& manifest_key) {
  const std::string path = BackupPath(store_id, backup_id);
  HOLDFAST_ASSIGN_OR_RETURN(const std::string content,
                            UnsealFirstSegment({.kind = SealedKind::kManifest, .path = path},
                                               manifest_key, beginning, sealed_size_bytes));
  absl::string_view rest = content;
  return TakeSummary(rest, store_id, backup_id);
}

}  // namespace

absl::StatusOr<std::string> SealManifest(const Manifest& manifest, const StoreId& store_id,
                                         const SealingKey& manifest_key, RandomSource& random) {
  const std::string& backup_id = manifest.summary.backup_id();
  if (!IsBackupId(backup_id)) {
    return absl::FailedPreconditionError(absl::StrCat(Quote(backup_id), " is not a backup id"));
  }
  // Nothing is written that could not be read back.
  absl::Status rules = CheckSummary(manifest.summary, store_id, backup_id);
  if (rules.ok()) rules = CheckFiles(manifest.summary, manifest.files);
  if (!rules.ok()) {
    return Annotate(WithCode(rules, absl::StatusCode::kFailedPrecondition), ContextOf(backup_id));
  }

  const auto too_large = [&](absl::string_view what, uint64_t size_bytes, uint64_t size_max_bytes) {
    return absl::FailedPreconditionError(absl::StrCat(ContextOf(backup_id), ": ", what, " has ",
                                                      size_bytes, " bytes, more than the ",
                                                      size_max_bytes, " that it may have"));
  };
  const size_t summary_size_bytes = manifest.summary.ByteSizeLong();
  if (summary_size_bytes > kSummarySizeMaxBytes) {
    return too_large("its summary", summary_size_bytes, kSummarySizeMaxBytes);
  }
  const size_t list_size_bytes = manifest.files.ByteSizeLong();
  if (list_size_bytes > kFileListSizeMaxBytes) {
    return too_large("its list of files", list_size_bytes, kFileListSizeMaxBytes);
  }
  std::string content;
  for (size_t i = 0; i < kSummaryLengthSizeBytes; ++i) {
    content.push_back(static_cast<char>(summary_size_bytes >> (8 * i)));
  }
  absl::StrAppend(&content, manifest.summary.SerializeAsString());
  {
    // With many files each of these texts has megabytes.
    HOLDFAST_ASSIGN_OR_RETURN(const std::string frame,
                              ZstdCompress(manifest.files.SerializeAsString()));
    content.reserve(content.size() + frame.size());
    content.append(frame);
  }
  if (SealedSizeBytes(content.size()) > kSealedManifestSizeMaxBytes) {
    return too_large("it", SealedSizeBytes(content.size()), kSealedManifestSizeMaxBytes);
  }
  return Seal(SealedKind::kManifest, manifest_key, BackupPath(store_id, backup_id),
              AsBytes(content), random);
}

absl::StatusOr<Manifest> OpenManifest(absl::Span<const uint8_t> sealed, const StoreId& store_id,
                                      absl::string_view backup_id, const SealingKey& manifest_key) {
  absl::StatusOr<Manifest> manifest =
      OpenManifestUnannotated(sealed, store_id, backup_id, manifest_key);
  HOLDFAST_RETURN_IF_ERROR(manifest.status(), ContextOf(backup_id));
  return manifest;
}

absl::StatusOr<BackupSummary> OpenManifestSummary(absl::Span<const uint8_t> beginning,
                                                  uint64_t sealed_size_bytes,
                                                  const StoreId& store_id,
                                                  absl::string_view backup_id,
                                                  const SealingKey& manifest_key) {
  absl::StatusOr<BackupSummary> summary =
      OpenSummaryUnannotated(beginning, sealed_size_bytes, store_id, backup_id, manifest_key);
  HOLDFAST_RETURN_IF_ERROR(summary.status(), ContextOf(backup_id));
  return summary;
}

}  // namespace holdfast
