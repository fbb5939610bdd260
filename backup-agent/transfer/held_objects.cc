#include "backup-agent/transfer/held_objects.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backup-agent/transfer/transfer_limits.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/io/xxh3_stream.h"
#include "common/repository/copied_objects.h"

namespace holdfast {
namespace {

using repository::v1::ObjectEntry;

// How many backups, newest first, are tried for one that can be read whole.
constexpr int kManifestAttemptsMax = 3;
// How many unnamed objects of one identity are looked at.
constexpr size_t kUnnamedCandidatesMax = 3;

// More objects than this are looked up by one listing: each call costs its way to the place.
constexpr size_t kStatsMax = 1'000;

// The errors that say that a file in a repository is not what it should be, rather than that the
// place can't be read now.
bool IsDamage(const absl::Status& status) {
  return GetSealedFault(status).has_value() || absl::IsDataLoss(status) ||
         absl::IsNotFound(status) || absl::IsUnimplemented(status);
}

std::string KeyIdBytes(const KeyId& key_id) { return std::string(key_id.begin(), key_id.end()); }

// Whether what a manifest says of an object fits what is wanted.
bool Fits(const ObjectEntry& entry, const WantedObject& wanted, const KeyId& key_id) {
  return entry.codec() == wanted.codec && entry.content_size_bytes() == wanted.content_size_bytes &&
         entry.key_id() == KeyIdBytes(key_id);
}

// The sizes of `wanted` that are there.
absl::StatusOr<absl::flat_hash_map<absl::string_view, uint64_t>> SizesOf(
    OpenDestination& open, const std::vector<ObjectEntry*>& wanted, const ProgressCounter& progress,
    const Cancellation& cancellation) {
  absl::flat_hash_map<absl::string_view, uint64_t> sizes;
  sizes.reserve(wanted.size());
  if (wanted.size() > kStatsMax) {
    constexpr uint64_t kNotThere = std::numeric_limits<uint64_t>::max();
    for (const ObjectEntry* entry : wanted) sizes.emplace(entry->name(), kNotThere);
    HOLDFAST_RETURN_IF_ERROR(
        open.store->ListObjects([&](absl::string_view object_name, uint64_t size_bytes) {
          progress->fetch_add(1);
          const auto size = sizes.find(object_name);
          if (size != sizes.end()) size->second = size_bytes;
          return cancellation.status();
        }),
        "list the objects");
    return sizes;
  }
  for (const ObjectEntry* entry : wanted) {
    HOLDFAST_RETURN_IF_ERROR(cancellation.status());
    const absl::StatusOr<BlobInfo> info =
        open.blobs->Stat(ObjectPath(open.store->store_id(), entry->name()));
    progress->fetch_add(1);
    if (absl::IsNotFound(info.status()) || absl::IsDataLoss(info.status())) continue;
    HOLDFAST_RETURN_IF_ERROR(info.status(), absl::StrCat("look at object ", entry->name()));
    sizes.emplace(entry->name(), info->size_bytes);
  }
  return sizes;
}

// Finds what of `manifest` is wanted and is there, and not known to be damaged; takes it out of
// there.
absl::Status FindNamed(OpenDestination& open, Manifest& manifest,
                       const absl::flat_hash_set<std::string>& damaged_objects,
                       const FindHeldObjectsRequest& request, const ProgressCounter& progress,
                       const Cancellation& cancellation, HeldObjects& held) {
  int missing = 0;
  int damaged = 0;
  std::vector<ObjectEntry*> wanted_entries;
  for (ObjectEntry& entry : *manifest.files.mutable_objects()) {
    const absl::StatusOr<ParsedObjectName> name = ParseObjectName(entry.name());
    if (!name.ok()) continue;
    const auto wanted = request.wanted->find(name->identity);
    if (wanted == request.wanted->end() || !Fits(entry, wanted->second, request.key_id)) continue;
    if (damaged_objects.contains(entry.name())) {
      ++damaged;
      continue;
    }
    wanted_entries.push_back(&entry);
  }
  HOLDFAST_ASSIGN_OR_RETURN(const auto sizes,
                            SizesOf(open, wanted_entries, progress, cancellation));
  std::vector<ObjectEntry*> found;
  for (ObjectEntry* entry : wanted_entries) {
    const auto size = sizes.find(entry->name());
    if (size == sizes.end() || size->second != entry->sealed_size_bytes()) {
      ++missing;
    } else {
      found.push_back(entry);
    }
  }
  held.named.reserve(found.size());
  for (ObjectEntry* entry : found) {
    const ObjectIdentity identity = ParseObjectName(entry->name())->identity;
    held.named.emplace(identity, std::move(*entry));
  }
  if (missing > 0) {
    held.has_missing_objects = true;
    held.warnings.push_back(absl::StrCat(
        missing, missing == 1 ? " object" : " objects", " of backup ", held.named_by,
        " missing or cut short there, and sent again; a check tells what backups lack"));
  }
  if (damaged > 0) {
    held.warnings.push_back(absl::StrCat(damaged, damaged == 1 ? " object" : " objects",
                                         " of backup ", held.named_by,
                                         " found damaged there, and sent again"));
  }
  return absl::OkStatus();
}

absl::Status FindUnnamed(OpenDestination& open, const FindHeldObjectsRequest& request,
                         const ProgressCounter& progress, const Cancellation& cancellation,
                         HeldObjects& held) {
  return open.store->ListObjects([&](absl::string_view object_name, uint64_t size_bytes) {
    progress->fetch_add(1);
    HOLDFAST_RETURN_IF_ERROR(cancellation.status());
    const absl::StatusOr<ParsedObjectName> name = ParseObjectName(object_name);
    if (!name.ok() || held.named.contains(name->identity)) return absl::OkStatus();
    const auto wanted = request.wanted->find(name->identity);
    if (wanted == request.wanted->end() || wanted->second.codec != ObjectEntry::CODEC_NONE ||
        size_bytes != SealedSizeBytes(wanted->second.content_size_bytes) ||
        !IsYoungAtPlace(object_name, /*write_time=*/absl::InfinitePast(), request.now)) {
      return absl::OkStatus();
    }
    std::vector<ObjectEntry>& candidates = held.unnamed[name->identity];
    if (candidates.size() >= kUnnamedCandidatesMax) return absl::OkStatus();
    ObjectEntry& entry = candidates.emplace_back();
    entry.set_name(std::string(object_name));
    entry.set_sealed_size_bytes(size_bytes);
    entry.set_codec(ObjectEntry::CODEC_NONE);
    entry.set_content_size_bytes(wanted->second.content_size_bytes);
    entry.set_key_id(KeyIdBytes(request.key_id));
    return absl::OkStatus();
  });
}

absl::StatusOr<const SealingKey*> KeyOf(const OpenDestination& open, const ObjectEntry& entry) {
  KeyId key_id{};
  if (entry.key_id().size() != key_id.size()) return absl::DataLossError("no usable key id");
  std::copy(entry.key_id().begin(), entry.key_id().end(), key_id.begin());
  return open.store->ContentKey(key_id);
}

// Reads all sealed bytes of an object and calls `visit` with each piece and the content that it
// completes.
absl::Status ReadSealed(
    OpenDestination& open, const ObjectEntry& entry,
    absl::FunctionRef<absl::Status(absl::Span<const uint8_t> sealed, absl::string_view content)>
        visit) {
  const std::string path = ObjectPath(open.store->store_id(), entry.name());
  HOLDFAST_ASSIGN_OR_RETURN(const SealingKey* key, KeyOf(open, entry));
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, open.blobs->Get(path));
  Opener opener({SealedKind::kObject, path}, *key);
  std::string content;
  while (true) {
    HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, source->Next());
    content.clear();
    HOLDFAST_RETURN_IF_ERROR(piece.empty() ? opener.Finish(content)
                                           : opener.Update(piece, content));
    HOLDFAST_RETURN_IF_ERROR(visit(piece, content));
    if (piece.empty()) return absl::OkStatus();
  }
}

// nullopt where it can't be read at all.
std::optional<Hash256> HashStoredManifest(OpenDestination& open, const std::string& backup_id) {
  const absl::StatusOr<std::string> bytes = ReadBlob(
      *open.blobs, BackupPath(open.store->store_id(), backup_id), kSealedManifestSizeMaxBytes);
  if (!bytes.ok()) return std::nullopt;
  return Blake2b256({AsBytes(*bytes)});
}

}  // namespace

absl::StatusOr<HeldObjects> FindHeldObjects(OpenDestination& open,
                                            const FindHeldObjectsRequest& request,
                                            const ProgressCounter& progress,
                                            const Cancellation& cancellation) {
  HeldObjects held;
  HOLDFAST_ASSIGN_OR_RETURN(const BackupListing listing, open.store->ListBackups());
  progress->fetch_add(1);
  for (const ListedBackup& backup : listing.backups) {
    held.backup_ids.insert(backup.summary.backup_id());
  }
  for (const auto& [backup_id, time] : listing.deleted) held.backup_ids.insert(backup_id);
  for (const auto& [backup_id, status] : listing.damaged) {
    held.backup_ids.insert(backup_id);
    held.warnings.push_back(
        absl::StrCat("the manifest of backup ", backup_id, " can't be read: ", status.message()));
  }
  held.damaged_objects = listing.damaged_objects;
  int attempts = 0;
  for (auto backup = listing.backups.rbegin();
       backup != listing.backups.rend() && attempts < kManifestAttemptsMax; ++backup, ++attempts) {
    HOLDFAST_RETURN_IF_ERROR(cancellation.status());
    const std::string& backup_id = backup->summary.backup_id();
    if (attempts == 0) held.latest = backup->summary;
    absl::StatusOr<StoreRepository::LoadedManifest> loaded = open.store->LoadManifest(backup_id);
    progress->fetch_add(1);
    if (!loaded.ok()) {
      if (!IsDamage(loaded.status())) {
        return Annotate(loaded.status(), absl::StrCat("read backup ", backup_id));
      }
      // The chain goes on all the same: by the bytes as they are.
      if (attempts == 0) held.latest_hash = HashStoredManifest(open, backup_id);
      held.warnings.push_back(absl::StrCat("the manifest of backup ", backup_id,
                                           " can't be read: ", loaded.status().message()));
      continue;
    }
    if (attempts == 0) held.latest_hash = loaded->sealed_hash;
    held.named_by = backup_id;
    HOLDFAST_RETURN_IF_ERROR(FindNamed(open, loaded->manifest, listing.damaged_objects, request,
                                       progress, cancellation, held));
    break;
  }
  if (request.look_for_unnamed) {
    HOLDFAST_RETURN_IF_ERROR(FindUnnamed(open, request, progress, cancellation, held),
                             "list the objects");
  }
  return held;
}

absl::Status ProveObject(OpenDestination& open, const ObjectEntry& entry,
                         const WantedObject& wanted, const ProgressCounter& progress,
                         const Cancellation& cancellation) {
  Xxh3Stream checksum;
  uint64_t content_size_bytes = 0;
  HOLDFAST_RETURN_IF_ERROR(ReadSealed(open, entry,
                                      [&](absl::Span<const uint8_t>, absl::string_view content) {
                                        progress->fetch_add(1);
                                        checksum.Update(content);
                                        content_size_bytes += content.size();
                                        return cancellation.status();
                                      }),
                           absl::StrCat("prove object ", entry.name()));
  if (wanted.codec == ObjectEntry::CODEC_NONE &&
      (content_size_bytes != wanted.content_size_bytes || checksum.Digest() != wanted.xxh3_128)) {
    return absl::DataLossError(absl::StrCat("object ", entry.name(), " holds other content"));
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::Time> WriteTimeOf(OpenDestination& open, const std::string& object_name) {
  const absl::StatusOr<BlobInfo> info =
      open.blobs->Stat(ObjectPath(open.store->store_id(), object_name));
  if (absl::IsNotFound(info.status())) return absl::InfinitePast();
  HOLDFAST_RETURN_IF_ERROR(info.status());
  return info->write_time;
}

void PumpObject(OpenDestination& open, const ObjectEntry& entry, Pipe& pipe) {
  std::string chunk;
  absl::Status status = ReadSealed(
      open, entry, [&](absl::Span<const uint8_t> sealed, absl::string_view) -> absl::Status {
        // Pieces may have any size; chunks are bounded.
        while (!sealed.empty()) {
          const size_t part = std::min(sealed.size(), kChunkSizeBytes - chunk.size());
          absl::StrAppend(&chunk, AsText(sealed.subspan(0, part)));
          sealed.remove_prefix(part);
          if (chunk.size() < kChunkSizeBytes) continue;
          if (!pipe.Push(std::make_shared<const std::string>(std::move(chunk)))) {
            return absl::CancelledError("nobody takes the object any more");
          }
          chunk = std::string();
        }
        return absl::OkStatus();
      });
  if (status.ok() && !chunk.empty() &&
      !pipe.Push(std::make_shared<const std::string>(std::move(chunk)))) {
    status = absl::CancelledError("nobody takes the object any more");
  }
  pipe.Close(Annotate(status, absl::StrCat("copy object ", entry.name())));
}

}  // namespace holdfast
