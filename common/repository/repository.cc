#include "common/repository/repository.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/repository/blob_calls.h"

namespace holdfast {

namespace {

absl::StatusOr<bool> HasBackups(BlobStore& blobs, const StoreId& store_id) {
  const absl::Status status =
      ListBelow(blobs, BackupsPath(store_id), [](absl::string_view name, uint64_t /*size*/) {
        return IsBackupId(name) ? StopListing() : absl::OkStatus();
      });
  if (absl::IsAborted(status)) return true;
  HOLDFAST_RETURN_IF_ERROR(status);
  return false;
}

}  // namespace

absl::StatusOr<Repository> Repository::Open(BlobStore& blobs) {
  const absl::StatusOr<RepositoryFile> file = ReadRepositoryFile(blobs);
  if (absl::IsNotFound(file.status())) {
    return absl::NotFoundError(absl::StrCat(
        "there is no repository at ", blobs.Describe(), ": no ", kRepositoryFileName,
        " (a share that is not mounted looks like this; a new repository has yet to be made)"));
  }
  HOLDFAST_RETURN_IF_ERROR(file.status(),
                           absl::StrCat("open the repository at ", blobs.Describe()));
  return Repository(blobs, *file);
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
  if (absl::StartsWith(found, absl::StrCat(kStoresPath, "/"))) {
    return absl::FailedPreconditionError(absl::StrCat(
        place, " holds backups, but both ", kRepositoryFileName, " and ", kRepositoryFileCopyName,
        " are lost, without which none opens: put one back; or move what is there away, begin "
        "anew, and bring the backups over from another destination (`holdfast copy --all`)"));
  }
  if (!found.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(place, " is not empty: it holds ", found,
                     ", but no repository; make the repository in an empty directory"));
  }
  HOLDFAST_RETURN_IF_ERROR(listed);

  const RepositoryFile file = MakeRepositoryFile(Id128::Generate(), now);
  const absl::Status put = PutRepositoryFile(blobs, file);
  if (absl::IsAlreadyExists(put)) return already_exists;
  HOLDFAST_RETURN_IF_ERROR(put, absl::StrCat("make a repository at ", place));
  return Repository(blobs, file);
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

absl::StatusOr<std::unique_ptr<StoreRepository>> Repository::OpenStore(
    const StoreId& store_id, const MasterKey& master_key) const {
  HOLDFAST_ASSIGN_OR_RETURN(BackupKeyRing keys, ReadKeys(store_id, master_key));
  const std::string context =
      absl::StrCat("open the backups of store ", store_id.ToText(), " at ", blobs_->Describe());
  if (keys.IsEmpty()) {
    if (!keys.unopened().empty()) {
      return Annotate(keys.unopened().begin()->second,
                      absl::StrCat(context,
                                   " (`holdfast check --repair` mends a key file with what "
                                   "another destination holds)"));
    }
    if (!keys.other_fingerprints().empty()) {
      return absl::PermissionDeniedError(absl::StrCat(
          context, ": the master key given has the fingerprint ", master_key.fingerprint().ToText(),
          "; they open with the one of fingerprint ",
          absl::StrJoin(keys.other_fingerprints(), " or ")));
    }
    HOLDFAST_ASSIGN_OR_RETURN(const std::vector<StoreId> stores, ListStores());
    if (!std::binary_search(stores.begin(), stores.end(), store_id)) {
      return absl::NotFoundError(absl::StrCat(context, ": there are none"));
    }
    return absl::DataLossError(absl::StrCat(context, ": its key files are missing"));
  }
  keys.ChooseCurrent();
  return MakeStore(store_id, std::move(keys));
}

absl::StatusOr<std::unique_ptr<StoreRepository>> Repository::OpenOrCreateStore(
    const StoreId& store_id, const MasterKey& master_key, const BackupKey* backup_key,
    absl::Time now) const {
  HOLDFAST_ASSIGN_OR_RETURN(BackupKeyRing keys, ReadKeys(store_id, master_key));
  const std::string context = absl::StrCat("open the backups of store ", store_id.ToText(), " at ",
                                           blobs_->Describe(), " for writing");
  if (keys.IsEmpty()) {
    if (!keys.unopened().empty()) {
      return Annotate(keys.unopened().begin()->second, context);
    }
    HOLDFAST_ASSIGN_OR_RETURN(const bool has_backups, HasBackups(*blobs_, store_id));
    if (has_backups) {
      return absl::FailedPreconditionError(absl::StrCat(
          context, ": there are backups, but none is for the master key given (fingerprint ",
          master_key.fingerprint().ToText(), "); ",
          keys.other_fingerprints().empty()
              ? "their key files are missing"
              : absl::StrCat("they are for fingerprint ",
                             absl::StrJoin(keys.other_fingerprints(), " or "))));
    }
  }

  bool has_to_add = keys.IsEmpty();
  if (backup_key != nullptr) {
    const auto existing = keys.all().find(backup_key->key_id);
    has_to_add = existing == keys.all().end();
    if (!has_to_add &&
        !ConstantTimeEqual(existing->second.backup_key.bytes(), backup_key->key.bytes())) {
      return absl::FailedPreconditionError(
          absl::StrCat(context, ": the backup key ", KeyIdText(backup_key->key_id),
                       " is another one here than at another destination"));
    }
  }
  if (has_to_add) {
    int64_t create_time_us = absl::ToUnixMicros(now);
    for (const auto& [key_id, known] : keys.all()) {
      create_time_us = std::max(create_time_us, known.create_time_us + 1);
    }
    const DatedBackupKey key = {
        .backup_key = backup_key != nullptr ? BackupKey{backup_key->key_id, backup_key->key.Clone()}
                                            : BackupKey{Id128::Generate().bytes(), Key::Generate()},
        .create_time_us = create_time_us};
    HOLDFAST_RETURN_IF_ERROR(keys.Add(master_key, key), context);
  }
  keys.ChooseCurrent();
  return MakeStore(store_id, std::move(keys));
}

absl::StatusOr<std::unique_ptr<StoreRepository>> Repository::OpenStoreWithKeys(
    const StoreId& store_id, const MasterKey& master_key,
    const std::vector<DatedBackupKey>& backup_keys) const {
  HOLDFAST_ASSIGN_OR_RETURN(BackupKeyRing keys, ReadKeys(store_id, master_key));
  const std::string context = absl::StrCat("open the backups of store ", store_id.ToText(), " at ",
                                           blobs_->Describe(), " for copies");
  if (keys.IsEmpty() && keys.unopened().empty() && !keys.other_fingerprints().empty()) {
    HOLDFAST_ASSIGN_OR_RETURN(const bool has_backups, HasBackups(*blobs_, store_id));
    if (has_backups) {
      return absl::PermissionDeniedError(absl::StrCat(
          context, ": the master key given has the fingerprint ", master_key.fingerprint().ToText(),
          "; the backups there open with the one of fingerprint ",
          absl::StrJoin(keys.other_fingerprints(), " or ")));
    }
  }
  int64_t create_time_us_max = INT64_MAX;
  if (!keys.IsEmpty()) {
    keys.ChooseCurrent();
    create_time_us_max = keys.current().create_time_us - 1;
  }
  for (const DatedBackupKey& key : backup_keys) {
    const KeyId& key_id = key.backup_key.key_id;
    const auto existing = keys.all().find(key_id);
    if (existing != keys.all().end()) {
      if (ConstantTimeEqual(existing->second.backup_key.bytes(), key.backup_key.key.bytes())) {
        continue;
      }
      return absl::FailedPreconditionError(absl::StrCat(
          context, ": the backup key ", KeyIdText(key_id), " is another one here than there"));
    }
    const auto unopened = keys.unopened().find(key_id);
    if (unopened != keys.unopened().end()) return Annotate(unopened->second, context);
    HOLDFAST_RETURN_IF_ERROR(
        keys.Add(master_key, {.backup_key = {key_id, key.backup_key.key.Clone()},
                              .create_time_us = std::min(key.create_time_us, create_time_us_max)}),
        context);
  }
  if (keys.IsEmpty()) return absl::InvalidArgumentError(absl::StrCat(context, ": no key"));
  keys.ChooseCurrent();
  return MakeStore(store_id, std::move(keys));
}

absl::StatusOr<std::vector<Repository::RepairedKeyFile>> Repository::RepairKeyFiles(
    const StoreId& store_id, const MasterKey& master_key,
    const std::vector<DatedBackupKey>& backup_keys, const std::set<KeyId>& needed) const {
  HOLDFAST_ASSIGN_OR_RETURN(const BackupKeyRing keys, ReadKeys(store_id, master_key));
  const std::string context =
      absl::StrCat("repair ", KeysPath(store_id), " at ", blobs_->Describe());
  std::vector<RepairedKeyFile> repaired;
  for (const DatedBackupKey& key : backup_keys) {
    const KeyId& key_id = key.backup_key.key_id;
    if (keys.all().contains(key_id)) continue;
    const std::string path = KeyFilePath(store_id, key_id, master_key.fingerprint());
    absl::Status damage = absl::NotFoundError(absl::StrCat(path, ": missing"));
    const auto unopened = keys.unopened().find(key_id);
    if (unopened != keys.unopened().end()) {
      damage = unopened->second;
      HOLDFAST_ASSIGN_OR_RETURN(const BlobInfo info, blobs_->Stat(path));
      const std::optional<SealedFault> fault = GetSealedFault(damage);
      const bool is_damaged = info.size_bytes > kSealedKeyFileSizeMaxBytes ||
                              (fault.has_value() && fault != SealedFault::kUnknownVersion);
      if (!is_damaged) continue;
    } else if (!needed.contains(key_id)) {
      continue;
    }
    HOLDFAST_RETURN_IF_ERROR(CheckThatRepositoryFilesAgree(*blobs_), context);
    HOLDFAST_RETURN_IF_ERROR(keys.ReplaceFile(master_key, key));
    repaired.push_back({.path = path, .damage = std::move(damage)});
  }
  return repaired;
}

absl::StatusOr<BackupKeyRing> Repository::ReadKeys(const StoreId& store_id,
                                                   const MasterKey& master_key) const {
  return BackupKeyRing::Read(*blobs_, store_id, master_key, repository_hash_);
}

std::unique_ptr<StoreRepository> Repository::MakeStore(const StoreId& store_id,
                                                       BackupKeyRing keys) const {
  return std::unique_ptr<StoreRepository>(new StoreRepository(store_id, *blobs_, std::move(keys)));
}

}  // namespace holdfast
