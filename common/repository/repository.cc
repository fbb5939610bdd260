#include "common/repository/repository.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/base/time_format.h"
#include "common/repository/zstd_stream.h"
#include "simdjson.h"

namespace holdfast {

namespace {

using repository::v1::BackupKeyFile;
using repository::v1::BackupSummary;
using repository::v1::Mark;
using repository::v1::ObjectEntry;

// Part of the repository format; do not change.
constexpr absl::string_view kFormatName = "holdfast-repository";
constexpr int64_t kFormatVersion = 1;
constexpr uint64_t kRepositoryFileSizeMaxBytes = 4096;
constexpr uint64_t kSealedKeyFileSizeMaxBytes = 4096;
constexpr uint64_t kSealedMarkSizeMaxBytes = 65536;
constexpr size_t kMarkNoteSizeMaxBytes = 4096;

constexpr size_t kSummariesMax = 10'000;   // remembered
constexpr size_t kGoodMarksMax = 100'000;  // remembered

// Returned by a visitor to end a listing early.
absl::Status StopListing() { return absl::AbortedError("stop"); }

// Calls `visit` with the rest of each name below `folder`.
absl::Status ListBelow(BlobStore& blobs, const std::string& folder,
                       const std::function<absl::Status(absl::string_view, uint64_t)>& visit) {
  const std::string prefix = absl::StrCat(folder, "/");
  return blobs.List(folder, [&](const BlobInfo& info) -> absl::Status {
    absl::string_view name = info.name;
    if (!absl::ConsumePrefix(&name, prefix)) {
      return absl::InternalError(absl::StrCat(info.name, " was listed below ", folder));
    }
    return visit(name, info.size_bytes);
  });
}

absl::StatusOr<bool> HasBackups(BlobStore& blobs, const StoreId& store_id) {
  const absl::Status status =
      ListBelow(blobs, BackupsPath(store_id), [](absl::string_view name, uint64_t /*size*/) {
        return IsBackupId(name) ? StopListing() : absl::OkStatus();
      });
  if (absl::IsAborted(status)) return true;
  HOLDFAST_RETURN_IF_ERROR(status);
  return false;
}

// Puts and reads back what is small. OK where there are these very bytes already, ALREADY_EXISTS
// where there are others.
absl::Status PutAndCompare(BlobStore& blobs, const std::string& name, absl::string_view bytes) {
  MemorySource source(bytes);
  const absl::Status put = blobs.Put(name, source);
  if (absl::IsAlreadyExists(put)) {
    const absl::StatusOr<std::string> existing = ReadBlob(blobs, name, bytes.size());
    return existing.ok() && *existing == bytes ? absl::OkStatus() : put;
  }
  HOLDFAST_RETURN_IF_ERROR(put);
  HOLDFAST_ASSIGN_OR_RETURN(const std::string read, ReadBlob(blobs, name, bytes.size()),
                            absl::StrCat("read back ", name));
  if (read == bytes) return absl::OkStatus();
  // What never counted can go; where it can't, whoever reads it finds it damaged.
  blobs.Delete(name).IgnoreError();
  return absl::DataLossError(
      absl::StrCat(name, " at ", blobs.Describe(),
                   " does not read back as it was written: do not trust this "
                   "destination before it was examined"));
}

// Puts what is small in the place of what is there, and reads it back.
absl::Status ReplaceAndCompare(BlobStore& blobs, const std::string& name, absl::string_view bytes) {
  MemorySource source(bytes);
  HOLDFAST_RETURN_IF_ERROR(blobs.Replace(name, source), absl::StrCat("replace ", name));
  HOLDFAST_ASSIGN_OR_RETURN(const std::string read, ReadBlob(blobs, name, bytes.size()),
                            absl::StrCat("read back ", name));
  if (read == bytes) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(name, " at ", blobs.Describe(),
                   " does not read back as it was written: do not trust this destination before it "
                   "was examined"));
}

absl::StatusOr<Id128> ParseRepositoryFile(absl::string_view bytes) {
  const auto error = [](absl::string_view what) {
    return absl::DataLossError(
        absl::StrCat(kRepositoryFileName, " is not that of a Holdfast repository: ", what));
  };
  simdjson::dom::parser parser;
  const simdjson::padded_string padded(bytes.data(), bytes.size());
  simdjson::dom::object object;
  if (parser.parse(padded).get(object) != simdjson::SUCCESS) return error("it is no JSON object");
  std::string_view format;
  if (object["format"].get(format) != simdjson::SUCCESS ||
      absl::string_view(format.data(), format.size()) != kFormatName) {
    return error(absl::StrCat("\"format\" in it is not \"", kFormatName, "\""));
  }
  int64_t version = 0;
  if (object["version"].get(version) != simdjson::SUCCESS || version < 1) {
    return error("\"version\" in it is not a positive number");
  }
  if (version != kFormatVersion) {
    return absl::UnimplementedError(absl::StrCat(
        "the repository has version ", version, " of the format, and this Holdfast knows ",
        "version ", kFormatVersion, "; a newer Holdfast is needed"));
  }
  std::string_view id_text;
  if (object["repository_id"].get(id_text) != simdjson::SUCCESS) {
    return error("\"repository_id\" is not in it");
  }
  const absl::StatusOr<Id128> id =
      Id128::FromText(absl::string_view(id_text.data(), id_text.size()));
  if (!id.ok()) return error(id.status().message());
  return *id;
}

// Decodes a sealed object while it is read.
class ObjectSource : public ByteSource {
 public:
  ObjectSource(BlobStore& blobs, std::string path, const ObjectEntry& entry,
               const SealingKey& content_key, std::unique_ptr<ByteSource> sealed)
      : blobs_(blobs),
        path_(std::move(path)),
        sealed_size_bytes_(entry.sealed_size_bytes()),
        content_size_bytes_(entry.content_size_bytes()),
        sealed_(std::move(sealed)),
        opener_({.kind = SealedKind::kObject, .path = path_}, content_key) {
    if (entry.codec() == ObjectEntry::CODEC_ZSTD) {
      decompressor_ = std::make_unique<ZstdDecompressor>(content_size_bytes_);
    }
  }

  absl::StatusOr<absl::Span<const uint8_t>> Next() override {
    if (!failure_.ok()) return failure_;
    absl::StatusOr<absl::Span<const uint8_t>> piece = NextUnexplained();
    if (!piece.ok()) {
      failure_ = Explain(piece.status());
      return failure_;
    }
    return piece;
  }

 private:
  absl::StatusOr<absl::Span<const uint8_t>> NextUnexplained() {
    for (;;) {
      HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, Decode());
      if (!piece.empty()) {
        if (piece.size() > content_size_bytes_ - yielded_bytes_) {
          return absl::DataLossError(absl::StrCat("its content is longer than the ",
                                                  content_size_bytes_,
                                                  " bytes that the manifest tells"));
        }
        yielded_bytes_ += piece.size();
        return piece;
      }
      if (is_read_) {
        HOLDFAST_RETURN_IF_ERROR(CheckEnd());
        return absl::Span<const uint8_t>();
      }
      HOLDFAST_RETURN_IF_ERROR(Read());
    }
  }

  // The next piece of what was opened; empty where more must be read.
  absl::StatusOr<absl::Span<const uint8_t>> Decode() {
    if (decompressor_ != nullptr) return decompressor_->Next(opened_rest_);
    return std::exchange(opened_rest_, {});
  }

  absl::Status Read() {
    opened_.clear();
    HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, sealed_->Next());
    read_bytes_ += piece.size();
    if (piece.empty()) {
      is_read_ = true;
      HOLDFAST_RETURN_IF_ERROR(opener_.Finish(opened_));
    } else {
      HOLDFAST_RETURN_IF_ERROR(opener_.Update(piece, opened_));
    }
    opened_rest_ = AsBytes(opened_);
    return absl::OkStatus();
  }

  absl::Status CheckEnd() const {
    if (decompressor_ != nullptr) HOLDFAST_RETURN_IF_ERROR(decompressor_->Finish());
    if (yielded_bytes_ != content_size_bytes_ || read_bytes_ != sealed_size_bytes_) {
      return absl::DataLossError(absl::StrCat(
          "it is not as long as the manifest tells: ", yielded_bytes_, " bytes in a file of ",
          read_bytes_, ", not ", content_size_bytes_, " in one of ", sealed_size_bytes_));
    }
    return absl::OkStatus();
  }

  absl::Status Explain(const absl::Status& failure) const {
    std::string context = path_;
    const std::optional<SealedFault> fault = GetSealedFault(failure);
    const bool is_of_content = !fault.has_value() || fault == SealedFault::kCutShort ||
                               fault == SealedFault::kBytesAppended ||
                               fault == SealedFault::kSegmentDamaged;
    if (absl::IsDataLoss(failure) && is_of_content) {
      const absl::StatusOr<BlobInfo> info = blobs_.Stat(path_);
      if (info.ok() && info->size_bytes != sealed_size_bytes_) {
        absl::StrAppend(&context,
                        info->size_bytes < sealed_size_bytes_ ? ": cut short: " : ": too long: ",
                        info->size_bytes, " of ", sealed_size_bytes_, " bytes");
      }
    }
    return Annotate(failure, context);
  }

  BlobStore& blobs_;
  const std::string path_;
  const uint64_t sealed_size_bytes_;
  const uint64_t content_size_bytes_;
  const std::unique_ptr<ByteSource> sealed_;
  Opener opener_;
  std::unique_ptr<ZstdDecompressor> decompressor_;  // null without a codec
  std::string opened_;
  absl::Span<const uint8_t> opened_rest_;  // of opened_, what was not yielded or decompressed
  uint64_t read_bytes_ = 0;
  uint64_t yielded_bytes_ = 0;
  bool is_read_ = false;
  absl::Status failure_;
};

// What somebody else removed meanwhile is removed.
absl::Status IgnoreNotFound(const absl::Status& removed) {
  return absl::IsNotFound(removed) ? absl::OkStatus() : removed;
}

// The marks of a backup that decide something: the newest by name.
struct DecidingMarks {
  std::string deletion;  // of `deleted` and `undeleted`; empty where there is none
  std::string pin;       // of `pinned` and `unpinned`
  std::string health;    // of `damaged`, `checked` and `drilled`
  std::string drill;     // of `damaged` and `drilled`

  // `name` has the form of a mark's.
  void Add(absl::string_view name, Mark::Kind kind) {
    const auto take_newer = [name](std::string& newest) {
      if (name > newest) newest = std::string(name);
    };
    switch (kind) {
      case Mark::KIND_DELETED:
      case Mark::KIND_UNDELETED:
        take_newer(deletion);
        break;
      case Mark::KIND_PINNED:
      case Mark::KIND_UNPINNED:
        take_newer(pin);
        break;
      case Mark::KIND_DAMAGED:
      case Mark::KIND_DRILLED:
        take_newer(drill);
        take_newer(health);
        break;
      case Mark::KIND_CHECKED:
        take_newer(health);
        break;
      default:
        break;
    }
  }
};

}  // namespace

// --- Repository ------------------------------------------------------------------------------

absl::StatusOr<Repository> Repository::Open(BlobStore& blobs) {
  const absl::StatusOr<std::string> bytes =
      ReadBlob(blobs, kRepositoryFileName, kRepositoryFileSizeMaxBytes);
  if (absl::IsNotFound(bytes.status())) {
    return absl::NotFoundError(absl::StrCat(
        "there is no repository at ", blobs.Describe(), ": no ", kRepositoryFileName,
        " (a share that is not mounted looks like this; a new repository has yet to be made)"));
  }
  HOLDFAST_RETURN_IF_ERROR(bytes.status(),
                           absl::StrCat("open the repository at ", blobs.Describe()));
  HOLDFAST_ASSIGN_OR_RETURN(const Id128 repository_id, ParseRepositoryFile(*bytes),
                            absl::StrCat("open the repository at ", blobs.Describe()));
  return Repository(blobs, repository_id, Blake2b256({AsBytes(*bytes)}));
}

absl::StatusOr<Repository> Repository::Create(BlobStore& blobs, absl::Time now) {
  const std::string place = blobs.Describe();
  const absl::Status already_exists =
      absl::AlreadyExistsError(absl::StrCat("there is a repository at ", place, " already"));
  const absl::StatusOr<BlobInfo> existing = blobs.Stat(kRepositoryFileName);
  if (existing.ok()) return already_exists;
  if (!absl::IsNotFound(existing.status())) return existing.status();

  std::string found;
  const absl::Status listed = blobs.List("", [&](const BlobInfo& info) {
    found = info.name;
    return StopListing();
  });
  if (!found.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(place, " is not empty: it holds ", found,
                     ", but no repository; make the repository in an empty directory"));
  }
  HOLDFAST_RETURN_IF_ERROR(listed);

  const Id128 repository_id = Id128::Generate();
  const std::string bytes = absl::StrCat(
      "{\"format\":\"", kFormatName, "\",\"version\":", kFormatVersion, ",\"repository_id\":\"",
      repository_id.ToText(), "\",\"create_time\":\"", FormatRfc3339Millis(now), "\"}\n");
  const absl::Status put = PutAndCompare(blobs, std::string(kRepositoryFileName), bytes);
  if (absl::IsAlreadyExists(put)) return already_exists;
  HOLDFAST_RETURN_IF_ERROR(put, absl::StrCat("make a repository at ", place));
  return Repository(blobs, repository_id, Blake2b256({AsBytes(bytes)}));
}

absl::StatusOr<std::vector<StoreId>> Repository::ListStores() const {
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<std::string> folders,
                            blobs_->ListFolders(kStoresPath));
  std::vector<StoreId> stores;
  for (const std::string& folder : folders) {
    const absl::StatusOr<StoreId> store_id = StoreId::FromText(folder);
    if (store_id.ok()) stores.push_back(*store_id);
  }
  std::sort(stores.begin(), stores.end());
  return stores;
}

absl::StatusOr<std::unique_ptr<StoreRepository>> Repository::ReadKeys(
    const StoreId& store_id, const MasterKey& master_key,
    std::vector<std::string>& other_fingerprints) const {
  auto store = std::unique_ptr<StoreRepository>(new StoreRepository(store_id, *blobs_));
  const SealingKey wrap_key =
      SealingKey::ForMaster(master_key.fingerprint(), master_key.DeriveBackupKeyWrap());
  std::vector<std::pair<std::string, ParsedKeyFileName>> own_files;
  HOLDFAST_RETURN_IF_ERROR(
      ListBelow(*blobs_, KeysPath(store_id), [&](absl::string_view name, uint64_t /*size*/) {
        const absl::StatusOr<ParsedKeyFileName> parsed = ParseKeyFileName(name);
        if (!parsed.ok()) return absl::OkStatus();
        if (parsed->fingerprint == master_key.fingerprint()) {
          own_files.emplace_back(absl::StrCat(KeysPath(store_id), "/", name), *parsed);
        } else {
          other_fingerprints.push_back(parsed->fingerprint.ToText());
        }
        return absl::OkStatus();
      }));
  std::sort(other_fingerprints.begin(), other_fingerprints.end());
  other_fingerprints.erase(std::unique(other_fingerprints.begin(), other_fingerprints.end()),
                           other_fingerprints.end());
  for (const auto& [path, name] : own_files) {
    const absl::StatusOr<std::string> sealed = ReadBlob(*blobs_, path, kSealedKeyFileSizeMaxBytes);
    absl::Status status = sealed.status();
    if (status.ok()) status = store->AddKeyFile(path, name, wrap_key, repository_hash_, *sealed);
    status = Annotate(status, path);
    if (!status.ok()) {
      HOLDFAST_RETURN_IF_ERROR(store->CheckThatOnlyTheFileFailed(status));
      store->unopened_keys_[name.key_id] = status;
    }
    store->key_files_[path] = status;
  }
  return store;
}

absl::StatusOr<std::unique_ptr<StoreRepository>> Repository::OpenStore(
    const StoreId& store_id, const MasterKey& master_key) const {
  std::vector<std::string> other_fingerprints;
  HOLDFAST_ASSIGN_OR_RETURN(std::unique_ptr<StoreRepository> store,
                            ReadKeys(store_id, master_key, other_fingerprints));
  const std::string context =
      absl::StrCat("open the backups of store ", store_id.ToText(), " at ", blobs_->Describe());
  if (store->keys_.empty()) {
    if (!store->unopened_keys_.empty()) {
      return Annotate(store->unopened_keys_.begin()->second, context);
    }
    if (!other_fingerprints.empty()) {
      return absl::PermissionDeniedError(absl::StrCat(
          context, ": the master key given has the fingerprint ", master_key.fingerprint().ToText(),
          "; they open with the one of fingerprint ", absl::StrJoin(other_fingerprints, " or ")));
    }
    HOLDFAST_ASSIGN_OR_RETURN(const std::vector<StoreId> stores, ListStores());
    if (!std::binary_search(stores.begin(), stores.end(), store_id)) {
      return absl::NotFoundError(absl::StrCat(context, ": there are none"));
    }
    return absl::DataLossError(absl::StrCat(context, ": its key files are missing"));
  }
  store->ChooseCurrentKey();
  return store;
}

absl::StatusOr<std::unique_ptr<StoreRepository>> Repository::OpenOrCreateStore(
    const StoreId& store_id, const MasterKey& master_key, const BackupKey* backup_key,
    absl::Time now) const {
  std::vector<std::string> other_fingerprints;
  HOLDFAST_ASSIGN_OR_RETURN(std::unique_ptr<StoreRepository> store,
                            ReadKeys(store_id, master_key, other_fingerprints));
  const std::string context = absl::StrCat("open the backups of store ", store_id.ToText(), " at ",
                                           blobs_->Describe(), " for writing");
  if (store->keys_.empty()) {
    if (!store->unopened_keys_.empty()) {
      return Annotate(store->unopened_keys_.begin()->second, context);
    }
    HOLDFAST_ASSIGN_OR_RETURN(const bool has_backups, HasBackups(*blobs_, store_id));
    if (has_backups) {
      return absl::FailedPreconditionError(absl::StrCat(
          context, ": there are backups, but none is for the master key given (fingerprint ",
          master_key.fingerprint().ToText(), "); ",
          other_fingerprints.empty() ? "their key files are missing"
                                     : absl::StrCat("they are for fingerprint ",
                                                    absl::StrJoin(other_fingerprints, " or "))));
    }
  }

  bool has_to_add = store->keys_.empty();
  if (backup_key != nullptr) {
    const auto existing = store->keys_.find(backup_key->key_id);
    has_to_add = existing == store->keys_.end();
    if (!has_to_add &&
        !ConstantTimeEqual(existing->second.backup_key.bytes(), backup_key->key.bytes())) {
      return absl::FailedPreconditionError(
          absl::StrCat(context, ": the backup key ", KeyIdText(backup_key->key_id),
                       " is another one here than at another destination"));
    }
  }
  if (has_to_add) {
    int64_t create_time_us = absl::ToUnixMicros(now);
    for (const auto& [key_id, keys] : store->keys_) {
      create_time_us = std::max(create_time_us, keys.create_time_us + 1);
    }
    const DatedBackupKey key = {
        .backup_key = backup_key != nullptr ? BackupKey{backup_key->key_id, backup_key->key.Clone()}
                                            : BackupKey{Id128::Generate().bytes(), Key::Generate()},
        .create_time_us = create_time_us};
    HOLDFAST_RETURN_IF_ERROR(AddBackupKey(*store, master_key, key), context);
  }
  store->ChooseCurrentKey();
  return store;
}

absl::StatusOr<std::unique_ptr<StoreRepository>> Repository::OpenStoreWithKeys(
    const StoreId& store_id, const MasterKey& master_key,
    const std::vector<DatedBackupKey>& backup_keys) const {
  std::vector<std::string> other_fingerprints;
  HOLDFAST_ASSIGN_OR_RETURN(std::unique_ptr<StoreRepository> store,
                            ReadKeys(store_id, master_key, other_fingerprints));
  const std::string context = absl::StrCat("open the backups of store ", store_id.ToText(), " at ",
                                           blobs_->Describe(), " for copies");
  if (store->keys_.empty() && store->unopened_keys_.empty() && !other_fingerprints.empty()) {
    HOLDFAST_ASSIGN_OR_RETURN(const bool has_backups, HasBackups(*blobs_, store_id));
    if (has_backups) {
      return absl::PermissionDeniedError(absl::StrCat(
          context, ": the master key given has the fingerprint ", master_key.fingerprint().ToText(),
          "; the backups there open with the one of fingerprint ",
          absl::StrJoin(other_fingerprints, " or ")));
    }
  }
  int64_t create_time_us_max = INT64_MAX;
  if (!store->keys_.empty()) {
    store->ChooseCurrentKey();
    create_time_us_max = store->current_->second.create_time_us - 1;
  }
  for (const DatedBackupKey& key : backup_keys) {
    const KeyId& key_id = key.backup_key.key_id;
    const auto existing = store->keys_.find(key_id);
    if (existing != store->keys_.end()) {
      if (ConstantTimeEqual(existing->second.backup_key.bytes(), key.backup_key.key.bytes())) {
        continue;
      }
      return absl::FailedPreconditionError(absl::StrCat(
          context, ": the backup key ", KeyIdText(key_id), " is another one here than there"));
    }
    const auto unopened = store->unopened_keys_.find(key_id);
    if (unopened != store->unopened_keys_.end()) return Annotate(unopened->second, context);
    HOLDFAST_RETURN_IF_ERROR(
        AddBackupKey(*store, master_key,
                     {.backup_key = {key_id, key.backup_key.key.Clone()},
                      .create_time_us = std::min(key.create_time_us, create_time_us_max)}),
        context);
  }
  if (store->keys_.empty()) return absl::InvalidArgumentError(absl::StrCat(context, ": no key"));
  store->ChooseCurrentKey();
  return store;
}

absl::StatusOr<std::vector<Repository::RepairedKeyFile>> Repository::RepairKeyFiles(
    const StoreId& store_id, const MasterKey& master_key,
    const std::vector<DatedBackupKey>& backup_keys, const std::set<KeyId>& needed) const {
  std::vector<std::string> other_fingerprints;
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<StoreRepository> store,
                            ReadKeys(store_id, master_key, other_fingerprints));
  std::vector<RepairedKeyFile> repaired;
  for (const DatedBackupKey& key : backup_keys) {
    const KeyId& key_id = key.backup_key.key_id;
    if (store->keys_.contains(key_id)) continue;
    const std::string path = KeyFilePath(store_id, key_id, master_key.fingerprint());
    absl::Status damage = absl::NotFoundError(absl::StrCat(path, ": missing"));
    const auto unopened = store->unopened_keys_.find(key_id);
    if (unopened != store->unopened_keys_.end()) {
      damage = unopened->second;
      HOLDFAST_ASSIGN_OR_RETURN(const BlobInfo info, blobs_->Stat(path));
      const std::optional<SealedFault> fault = GetSealedFault(damage);
      const bool is_damaged = info.size_bytes > kSealedKeyFileSizeMaxBytes ||
                              (fault.has_value() && fault != SealedFault::kUnknownVersion);
      if (!is_damaged) continue;
    } else if (!needed.contains(key_id)) {
      continue;
    }
    HOLDFAST_RETURN_IF_ERROR(
        ReplaceAndCompare(*blobs_, path, SealBackupKey(store_id, master_key, key)));
    repaired.push_back({.path = path, .damage = std::move(damage)});
  }
  return repaired;
}

std::string Repository::SealBackupKey(const StoreId& store_id, const MasterKey& master_key,
                                      const DatedBackupKey& key) const {
  const KeyId& key_id = key.backup_key.key_id;
  BackupKeyFile file;
  file.set_backup_key(key.backup_key.key.bytes().data(), key.backup_key.key.bytes().size());
  file.set_key_id(key_id.data(), key_id.size());
  file.set_store_id(store_id.ToByteString());
  file.set_repository_hash(repository_hash_.data(), repository_hash_.size());
  file.set_create_time_us(key.create_time_us);
  std::string content = file.SerializeAsString();
  std::string sealed =
      Seal(SealedKind::kBackupKey,
           SealingKey::ForMaster(master_key.fingerprint(), master_key.DeriveBackupKeyWrap()),
           KeyFilePath(store_id, key_id, master_key.fingerprint()), AsBytes(content));
  WipeMemory(content.data(), content.size());
  WipeMemory(file.mutable_backup_key()->data(), file.backup_key().size());
  return sealed;
}

absl::Status Repository::AddBackupKey(StoreRepository& store, const MasterKey& master_key,
                                      const DatedBackupKey& key) const {
  const ParsedKeyFileName name = {.key_id = key.backup_key.key_id,
                                  .fingerprint = master_key.fingerprint()};
  const std::string path = KeyFilePath(store.store_id(), name.key_id, name.fingerprint);
  const SealingKey wrap_key =
      SealingKey::ForMaster(master_key.fingerprint(), master_key.DeriveBackupKeyWrap());
  const std::string sealed = SealBackupKey(store.store_id(), master_key, key);
  HOLDFAST_RETURN_IF_ERROR(PutAndCompare(*blobs_, path, sealed));
  HOLDFAST_RETURN_IF_ERROR(store.AddKeyFile(path, name, wrap_key, repository_hash_, sealed), path);
  store.key_files_[path] = absl::OkStatus();
  return absl::OkStatus();
}

// --- BackupListing ---------------------------------------------------------------------------

const ListedBackup* BackupListing::Find(absl::string_view backup_id) const {
  for (const ListedBackup& backup : backups) {
    if (backup.summary.backup_id() == backup_id) return &backup;
  }
  return nullptr;
}

// --- StoreRepository -------------------------------------------------------------------------

absl::Status StoreRepository::AddKeyFile(const std::string& path, const ParsedKeyFileName& name,
                                         const SealingKey& wrap_key, const Hash256& repository_hash,
                                         absl::string_view sealed) {
  HOLDFAST_ASSIGN_OR_RETURN(
      std::string content,
      Unseal({.kind = SealedKind::kBackupKey, .path = path}, wrap_key, AsBytes(sealed)));
  BackupKeyFile file;
  const bool is_message = file.ParseFromString(content);
  WipeMemory(content.data(), content.size());
  if (!is_message || file.backup_key().size() != kKeySizeBytes) {
    return absl::DataLossError("its content is not a backup key");
  }
  Key backup_key = Key::FromBytes(AsBytes(file.backup_key()));
  WipeMemory(file.mutable_backup_key()->data(), file.backup_key().size());
  if (file.key_id() != AsText(name.key_id) || file.store_id() != store_id_.ToByteString()) {
    return absl::DataLossError("its content is for another key id or store");
  }
  if (file.repository_hash() != AsText(repository_hash)) {
    return absl::DataLossError(
        absl::StrCat(kRepositoryFileName,
                     " is not the one that this key file was written for: it was "
                     "changed, or comes from another repository"));
  }
  SealingKey content_key = SealingKey::ForBackup(name.key_id, DeriveKey(backup_key, "content"));
  SealingKey manifest_key = SealingKey::ForBackup(name.key_id, DeriveKey(backup_key, "manifest"));
  Key id_key = DeriveKey(backup_key, "id");
  keys_.emplace(name.key_id, Keys{.backup_key = std::move(backup_key),
                                  .id_key = std::move(id_key),
                                  .content_key = std::move(content_key),
                                  .manifest_key = std::move(manifest_key),
                                  .create_time_us = file.create_time_us()});
  return absl::OkStatus();
}

void StoreRepository::ChooseCurrentKey() {
  HOLDFAST_CHECK(!keys_.empty());
  current_ = std::max_element(keys_.begin(), keys_.end(), [](const auto& a, const auto& b) {
    return std::tie(a.second.create_time_us, a.first) < std::tie(b.second.create_time_us, b.first);
  });
}

Repository::BackupKey StoreRepository::CloneCurrentBackupKey() const {
  return {current_->first, current_->second.backup_key.Clone()};
}

std::vector<Repository::DatedBackupKey> StoreRepository::CloneBackupKeys() const {
  std::vector<Repository::DatedBackupKey> clones;
  for (const auto& [key_id, keys] : keys_) {
    clones.push_back(
        {.backup_key = {key_id, keys.backup_key.Clone()}, .create_time_us = keys.create_time_us});
  }
  std::sort(clones.begin(), clones.end(), [](const auto& a, const auto& b) {
    return std::tie(a.create_time_us, a.backup_key.key_id) <
           std::tie(b.create_time_us, b.backup_key.key_id);
  });
  return clones;
}

absl::StatusOr<const StoreRepository::Keys*> StoreRepository::FindKeys(const KeyId& key_id) const {
  const auto keys = keys_.find(key_id);
  if (keys != keys_.end()) return &keys->second;
  const auto unopened = unopened_keys_.find(key_id);
  if (unopened != unopened_keys_.end()) return unopened->second;
  return absl::NotFoundError(absl::StrCat("there is no key file of backup key ", KeyIdText(key_id),
                                          " for this master key"));
}

absl::StatusOr<const SealingKey*> StoreRepository::ContentKey(const KeyId& key_id) const {
  HOLDFAST_ASSIGN_OR_RETURN(const Keys* const keys, FindKeys(key_id));
  return &keys->content_key;
}

absl::StatusOr<const SealingKey*> StoreRepository::ManifestKey(const KeyId& key_id) const {
  HOLDFAST_ASSIGN_OR_RETURN(const Keys* const keys, FindKeys(key_id));
  return &keys->manifest_key;
}

const SealingKey& StoreRepository::ManifestKeyOf(absl::Span<const uint8_t> beginning) const {
  const absl::StatusOr<SealedHeader> header = ParseSealedHeader(beginning);
  if (!header.ok()) return manifest_key();
  const absl::StatusOr<const SealingKey*> key = ManifestKey(header->key_id);
  return key.ok() ? **key : manifest_key();
}

absl::Status StoreRepository::CheckThatOnlyTheFileFailed(const absl::Status& failure) const {
  if (absl::IsCancelled(failure) || absl::IsDeadlineExceeded(failure)) return failure;
  if (GetSealedFault(failure).has_value() || absl::IsDataLoss(failure)) return absl::OkStatus();
  return blobs_->Stat(kRepositoryFileName).status();
}

absl::StatusOr<BackupListing> StoreRepository::ListBackups() {
  // Marks first: prune removes a manifest before its marks, so that no deleted backup seems listed.
  std::map<std::string, DecidingMarks, std::less<>> marks;
  std::map<std::string, std::vector<std::string>> mark_names;
  HOLDFAST_RETURN_IF_ERROR(
      ListBelow(*blobs_, MarksPath(store_id_), [&](absl::string_view name, uint64_t /*size*/) {
        const absl::StatusOr<ParsedMarkName> parsed = ParseMarkName(name);
        if (!parsed.ok()) return absl::OkStatus();
        marks[parsed->backup_id].Add(name, parsed->kind);
        mark_names[parsed->backup_id].emplace_back(name);
        return absl::OkStatus();
      }));
  std::map<std::string, uint64_t> manifests;
  HOLDFAST_RETURN_IF_ERROR(
      ListBelow(*blobs_, BackupsPath(store_id_), [&](absl::string_view name, uint64_t size_bytes) {
        if (IsBackupId(name)) manifests.emplace(name, size_bytes);
        return absl::OkStatus();
      }));

  BackupListing listing;
  for (const auto& [backup_id, names] : mark_names) {
    if (manifests.contains(backup_id)) continue;
    listing.orphaned_marks.insert(listing.orphaned_marks.end(), names.begin(), names.end());
  }
  const auto is_good_mark = [&](const std::string& name) -> absl::StatusOr<bool> {
    const absl::Status status = CheckMark(name);
    if (status.ok()) return true;
    HOLDFAST_RETURN_IF_ERROR(CheckThatOnlyTheFileFailed(status));
    listing.damaged_marks[absl::StrCat(MarksPath(store_id_), "/", name)] = status;
    return false;
  };
  for (const auto& [backup_id, sealed_size_bytes] : manifests) {
    const DecidingMarks& deciding = marks[backup_id];
    if (!deciding.deletion.empty()) {
      HOLDFAST_ASSIGN_OR_RETURN(const bool is_good, is_good_mark(deciding.deletion));
      if (!is_good) {
        const std::string path = absl::StrCat(MarksPath(store_id_), "/", deciding.deletion);
        listing.damaged[backup_id] =
            Annotate(listing.damaged_marks[path], "whether it is deleted can't be told");
        continue;
      }
      const absl::StatusOr<ParsedMarkName> parsed = ParseMarkName(deciding.deletion);
      if (parsed->kind == Mark::KIND_DELETED) {
        listing.deleted.emplace(backup_id, parsed->time);
        continue;
      }
    }
    ListedBackup backup;
    backup.sealed_manifest_size_bytes = sealed_size_bytes;
    if (!deciding.pin.empty()) {
      HOLDFAST_ASSIGN_OR_RETURN(const bool is_good, is_good_mark(deciding.pin));
      backup.pinned = !is_good || ParseMarkName(deciding.pin)->kind == Mark::KIND_PINNED;
    }
    if (!deciding.health.empty() && ParseMarkName(deciding.health)->kind == Mark::KIND_DAMAGED) {
      backup.is_damaged = true;
      const absl::StatusOr<Mark> mark = ReadMark(deciding.health);
      if (mark.ok()) {
        listing.damaged_objects.insert(mark->damaged_objects().begin(),
                                       mark->damaged_objects().end());
      } else {
        HOLDFAST_RETURN_IF_ERROR(CheckThatOnlyTheFileFailed(mark.status()));
      }
    }
    if (!deciding.drill.empty() && ParseMarkName(deciding.drill)->kind == Mark::KIND_DRILLED) {
      HOLDFAST_ASSIGN_OR_RETURN(const bool is_good, is_good_mark(deciding.drill));
      if (is_good) backup.drill_time = ParseMarkName(deciding.drill)->time;
    }
    absl::StatusOr<BackupSummary> summary = ReadSummary(backup_id, sealed_size_bytes);
    if (absl::IsNotFound(summary.status())) continue;  // removed since it was listed
    if (!summary.ok()) {
      HOLDFAST_RETURN_IF_ERROR(CheckThatOnlyTheFileFailed(summary.status()));
      listing.damaged[backup_id] = summary.status();
      continue;
    }
    backup.summary = *std::move(summary);
    listing.backups.push_back(std::move(backup));
  }
  std::sort(listing.backups.begin(), listing.backups.end(),
            [](const ListedBackup& a, const ListedBackup& b) {
              const auto order = [](const BackupSummary& summary) {
                return std::tuple(summary.ordinal(), summary.revision(),
                                  absl::string_view(summary.backup_id()));
              };
              return order(a.summary) < order(b.summary);
            });
  MutexLock lock(&mutex_);
  absl::erase_if(summaries_, [&](const auto& entry) { return !manifests.contains(entry.first); });
  return listing;
}

absl::StatusOr<BackupSummary> StoreRepository::ReadSummary(absl::string_view backup_id,
                                                           uint64_t sealed_size_bytes) {
  {
    MutexLock lock(&mutex_);
    const auto cached = summaries_.find(backup_id);
    if (cached != summaries_.end() && cached->second.sealed_size_bytes == sealed_size_bytes) {
      return cached->second.summary;
    }
  }
  const std::string path = BackupPath(store_id_, backup_id);
  constexpr uint64_t kBeginningSizeBytes = kSealedHeaderSizeBytes + kSealedSegmentSizeBytes;
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source,
                            blobs_->Get(path, 0, kBeginningSizeBytes), path);
  std::string beginning;
  for (;;) {
    HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, source->Next(), path);
    if (piece.empty()) break;
    absl::StrAppend(&beginning, AsText(piece));
  }
  HOLDFAST_ASSIGN_OR_RETURN(BackupSummary summary,
                            OpenManifestSummary(AsBytes(beginning), sealed_size_bytes, store_id_,
                                                backup_id, ManifestKeyOf(AsBytes(beginning))));
  MutexLock lock(&mutex_);
  if (summaries_.size() < kSummariesMax) {
    summaries_[backup_id] = {.sealed_size_bytes = sealed_size_bytes, .summary = summary};
  }
  return summary;
}

absl::StatusOr<StoreRepository::LoadedManifest> StoreRepository::LoadManifest(
    absl::string_view backup_id) const {
  HOLDFAST_ASSIGN_OR_RETURN(const std::string sealed, ReadSealedManifest(backup_id));
  return OpenSealedManifest(backup_id, sealed);
}

absl::StatusOr<std::string> StoreRepository::ReadSealedManifest(absl::string_view backup_id) const {
  if (!IsBackupId(backup_id)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", absl::CHexEscape(backup_id.substr(0, 100)),
                     "\" is not a backup id; they look like 20261122T183500.123Z-1f9a2b3c"));
  }
  absl::StatusOr<std::string> sealed =
      ReadBlob(*blobs_, BackupPath(store_id_, backup_id), kSealedManifestSizeMaxBytes);
  if (absl::IsNotFound(sealed.status())) {
    return absl::NotFoundError(
        absl::StrCat("there is no backup ", backup_id, " at ", blobs_->Describe()));
  }
  HOLDFAST_RETURN_IF_ERROR(sealed.status(), absl::StrCat("manifest of backup ", backup_id));
  return sealed;
}

absl::StatusOr<StoreRepository::LoadedManifest> StoreRepository::OpenSealedManifest(
    absl::string_view backup_id, absl::string_view sealed_manifest) const {
  const absl::Span<const uint8_t> sealed = AsBytes(sealed_manifest);
  HOLDFAST_ASSIGN_OR_RETURN(Manifest manifest,
                            OpenManifest(sealed, store_id_, backup_id, ManifestKeyOf(sealed)));
  return LoadedManifest{.manifest = std::move(manifest), .sealed_hash = Blake2b256({sealed})};
}

absl::Status StoreRepository::CommitManifest(absl::string_view backup_id,
                                             absl::string_view sealed_manifest) {
  if (!IsBackupId(backup_id) || sealed_manifest.size() > kSealedManifestSizeMaxBytes) {
    return absl::InvalidArgumentError("not a manifest that could be read back");
  }
  return Annotate(PutAndCompare(*blobs_, BackupPath(store_id_, backup_id), sealed_manifest),
                  absl::StrCat("commit backup ", backup_id));
}

absl::Status StoreRepository::ReplaceManifest(absl::string_view backup_id,
                                              absl::string_view sealed_manifest) {
  {
    MutexLock lock(&mutex_);
    summaries_.erase(backup_id);
  }
  return ReplaceAndCompare(*blobs_, BackupPath(store_id_, backup_id), sealed_manifest);
}

absl::Status StoreRepository::ReplaceMark(absl::string_view mark_name,
                                          absl::string_view sealed_mark) {
  return ReplaceAndCompare(*blobs_, absl::StrCat(MarksPath(store_id_), "/", mark_name),
                           sealed_mark);
}

absl::StatusOr<std::vector<std::string>> StoreRepository::MarksToCopy(
    absl::string_view backup_id) const {
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListMarks(backup_id));
  DecidingMarks deciding;
  for (const std::string& name : names) {
    const absl::StatusOr<ParsedMarkName> parsed = ParseMarkName(name);
    if (parsed.ok()) deciding.Add(name, parsed->kind);
  }
  std::vector<std::string> to_copy;
  if (!deciding.pin.empty()) to_copy.push_back(deciding.pin);
  if (!deciding.health.empty() && ParseMarkName(deciding.health)->kind == Mark::KIND_DAMAGED) {
    to_copy.push_back(deciding.health);
  }
  return to_copy;
}

absl::Status StoreRepository::PutSealedMark(absl::string_view mark_name,
                                            absl::string_view sealed_mark) {
  return PutAndCompare(*blobs_, absl::StrCat(MarksPath(store_id_), "/", mark_name), sealed_mark);
}

absl::StatusOr<std::vector<std::string>> StoreRepository::ListMarks(
    absl::string_view backup_id) const {
  std::vector<std::string> names;
  HOLDFAST_RETURN_IF_ERROR(ListBelow(*blobs_, absl::StrCat(MarksPath(store_id_), "/", backup_id),
                                     [&](absl::string_view name, uint64_t /*size*/) {
                                       names.push_back(absl::StrCat(backup_id, "/", name));
                                       return absl::OkStatus();
                                     }));
  return names;
}

absl::Status StoreRepository::RemoveBackup(absl::string_view backup_id, absl::Time deleted_before) {
  if (!IsBackupId(backup_id)) {
    return absl::InvalidArgumentError(absl::StrCat("'", backup_id, "' is not the id of a backup"));
  }
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListMarks(backup_id));
  DecidingMarks deciding;
  for (const std::string& name : names) {
    const absl::StatusOr<ParsedMarkName> parsed = ParseMarkName(name);
    if (parsed.ok()) deciding.Add(name, parsed->kind);
  }
  const absl::StatusOr<ParsedMarkName> deletion = ParseMarkName(deciding.deletion);
  if (!deletion.ok() || deletion->kind != Mark::KIND_DELETED || deletion->time >= deleted_before) {
    return absl::FailedPreconditionError(
        absl::StrCat("backup ", backup_id, " is not deleted, or not for long enough"));
  }
  HOLDFAST_RETURN_IF_ERROR(CheckMark(deciding.deletion));
  // In this order: without the marks the backup would seem to be listed.
  HOLDFAST_RETURN_IF_ERROR(IgnoreNotFound(blobs_->Delete(BackupPath(store_id_, backup_id))));
  for (const std::string& name : names) HOLDFAST_RETURN_IF_ERROR(RemoveOrphanedMark(name));
  return absl::OkStatus();
}

absl::Status StoreRepository::RemoveOrphanedMark(absl::string_view mark_name) {
  return IgnoreNotFound(blobs_->Delete(absl::StrCat(MarksPath(store_id_), "/", mark_name)));
}

absl::StatusOr<bool> StoreRepository::RemoveObject(absl::string_view object_name,
                                                   absl::Time written_before) {
  const std::string path = ObjectPath(store_id_, object_name);
  const absl::StatusOr<BlobInfo> info = blobs_->Stat(path);
  if (absl::IsNotFound(info.status())) return false;
  HOLDFAST_RETURN_IF_ERROR(info.status());
  if (info->write_time >= written_before) return false;
  const absl::Status deleted = blobs_->Delete(path);
  if (absl::IsNotFound(deleted)) return false;
  HOLDFAST_RETURN_IF_ERROR(deleted);
  return true;
}

absl::StatusOr<std::string> StoreRepository::AddPruneLease(absl::Time now) {
  std::string path = PruneLeasePath(store_id_, now);
  HOLDFAST_RETURN_IF_ERROR(PutAndCompare(*blobs_, path, ""));
  return path;
}

absl::StatusOr<std::vector<std::string>> StoreRepository::ListPruneLeases(absl::Time now) {
  std::vector<std::string> counting;
  std::vector<std::string> old;
  HOLDFAST_RETURN_IF_ERROR(
      ListBelow(*blobs_, LeasesPath(store_id_), [&](absl::string_view name, uint64_t /*size*/) {
        const absl::StatusOr<absl::Time> time = ParsePruneLeaseName(name);
        if (!time.ok()) return absl::OkStatus();
        const bool counts =
            now - *time < kPruneLeaseCountsFor && *time - now < kPruneLeaseCountsFor;
        (counts ? counting : old).push_back(absl::StrCat(LeasesPath(store_id_), "/", name));
        return absl::OkStatus();
      }));
  for (const std::string& path : old) HOLDFAST_RETURN_IF_ERROR(RemovePruneLease(path));
  return counting;
}

absl::Status StoreRepository::RemovePruneLease(const std::string& path) {
  return IgnoreNotFound(blobs_->Delete(path));
}

absl::Status StoreRepository::AddMark(const Mark& mark, absl::Time now) {
  const std::string& backup_id = mark.backup_id();
  if (!IsBackupId(backup_id) || !Mark::Kind_IsValid(mark.kind()) ||
      mark.kind() == Mark::KIND_UNSPECIFIED || mark.note().size() > kMarkNoteSizeMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a mark that can be made: its backup id or kind is none, or its note has "
                     "more than ",
                     kMarkNoteSizeMaxBytes, " bytes"));
  }
  const absl::Status found = blobs_->Stat(BackupPath(store_id_, backup_id)).status();
  if (absl::IsNotFound(found)) {
    return absl::NotFoundError(
        absl::StrCat("there is no backup ", backup_id, " at ", blobs_->Describe()));
  }
  HOLDFAST_RETURN_IF_ERROR(found);

  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<std::string> existing, ListMarks(backup_id));
  for (const std::string& name : existing) {
    const absl::StatusOr<ParsedMarkName> parsed = ParseMarkName(name);
    if (!parsed.ok() || parsed->time + absl::Milliseconds(1) <= now) continue;
    // One that somebody else put there must not push the time away.
    const absl::Status status = CheckMark(name);
    if (status.ok()) {
      now = parsed->time + absl::Milliseconds(1);
    } else {
      HOLDFAST_RETURN_IF_ERROR(CheckThatOnlyTheFileFailed(status));
    }
  }

  if (!ParseTimeCompact(FormatTimeCompact(now)).ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("backup ", backup_id, " has a mark of a time after which there can be none"));
  }

  Mark dated = mark;
  dated.set_create_time_us(absl::ToUnixMicros(now));
  const std::string path = MarkPath(store_id_, backup_id, now, mark.kind());
  return PutAndCompare(
      *blobs_, path,
      Seal(SealedKind::kMark, manifest_key(), path, AsBytes(dated.SerializeAsString())));
}

absl::StatusOr<Mark> StoreRepository::ReadMark(absl::string_view mark_name) const {
  HOLDFAST_ASSIGN_OR_RETURN(const std::string sealed, ReadMarkBytes(mark_name));
  return OpenMark(mark_name, sealed);
}

absl::StatusOr<std::string> StoreRepository::ReadSealedMark(absl::string_view mark_name) const {
  HOLDFAST_ASSIGN_OR_RETURN(std::string sealed, ReadMarkBytes(mark_name));
  HOLDFAST_RETURN_IF_ERROR(OpenMark(mark_name, sealed).status());
  return sealed;
}

absl::StatusOr<std::string> StoreRepository::ReadMarkBytes(absl::string_view mark_name) const {
  HOLDFAST_RETURN_IF_ERROR(ParseMarkName(mark_name).status());
  const std::string path = absl::StrCat(MarksPath(store_id_), "/", mark_name);
  absl::StatusOr<std::string> sealed = ReadBlob(*blobs_, path, kSealedMarkSizeMaxBytes);
  HOLDFAST_RETURN_IF_ERROR(sealed.status(), path);
  return sealed;
}

absl::StatusOr<Mark> StoreRepository::OpenMark(absl::string_view mark_name,
                                               absl::string_view sealed) const {
  HOLDFAST_ASSIGN_OR_RETURN(const ParsedMarkName name, ParseMarkName(mark_name));
  const std::string path = absl::StrCat(MarksPath(store_id_), "/", mark_name);
  HOLDFAST_ASSIGN_OR_RETURN(const std::string content,
                            Unseal({.kind = SealedKind::kMark, .path = path},
                                   ManifestKeyOf(AsBytes(sealed)), AsBytes(sealed)),
                            path);
  Mark mark;
  if (!mark.ParseFromString(content) || mark.backup_id() != name.backup_id ||
      mark.kind() != name.kind) {
    return absl::DataLossError(absl::StrCat(path, ": its content is not the mark of its name"));
  }
  return mark;
}

absl::Status StoreRepository::CheckMark(const std::string& mark_name) {
  {
    MutexLock lock(&mutex_);
    if (good_marks_.contains(mark_name)) return absl::OkStatus();
  }
  HOLDFAST_RETURN_IF_ERROR(ReadMark(mark_name).status());
  MutexLock lock(&mutex_);
  if (good_marks_.size() >= kGoodMarksMax) good_marks_.clear();
  good_marks_.insert(mark_name);
  return absl::OkStatus();
}

absl::Status StoreRepository::ListObjects(
    const std::function<absl::Status(absl::string_view, uint64_t)>& visit) const {
  return ListBelow(*blobs_, ObjectsPath(store_id_),
                   [&](absl::string_view name, uint64_t size_bytes) {
                     return ParseObjectName(name).ok() ? visit(name, size_bytes) : absl::OkStatus();
                   });
}

absl::StatusOr<std::unique_ptr<ByteSource>> StoreRepository::ReadObject(
    const ObjectEntry& entry) const {
  if (!ParseObjectName(entry.name()).ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", absl::CHexEscape(entry.name().substr(0, 200)), "\" is not the name of an object"));
  }
  std::string path = ObjectPath(store_id_, entry.name());
  const absl::StatusOr<Id128> key_id = Id128::FromBytes(entry.key_id());
  HOLDFAST_RETURN_IF_ERROR(key_id.status(), path);
  HOLDFAST_ASSIGN_OR_RETURN(const SealingKey* const content_key, ContentKey(key_id->bytes()), path);
  absl::StatusOr<std::unique_ptr<ByteSource>> sealed = blobs_->Get(path);
  if (absl::IsNotFound(sealed.status())) {
    return absl::NotFoundError(absl::StrCat(path, ": missing"));
  }
  HOLDFAST_RETURN_IF_ERROR(sealed.status(), path);
  return std::make_unique<ObjectSource>(*blobs_, std::move(path), entry, *content_key,
                                        *std::move(sealed));
}

}  // namespace holdfast
