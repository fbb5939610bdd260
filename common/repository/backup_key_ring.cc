#include "common/repository/backup_key_ring.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/repository/blob_calls.h"
#include "holdfast/repository/v1/repository.pb.h"

namespace holdfast {

using repository::v1::BackupKeyFile;

absl::StatusOr<BackupKeyRing> BackupKeyRing::Read(BlobStore& blobs, const StoreId& store_id,
                                                  const MasterKey& master_key,
                                                  const Hash256& repository_hash) {
  BackupKeyRing ring(blobs, store_id, repository_hash);
  const SealingKey wrap_key =
      SealingKey::ForMaster(master_key.fingerprint(), master_key.DeriveBackupKeyWrap());
  std::vector<std::pair<std::string, ParsedKeyFileName>> own_files;
  HOLDFAST_RETURN_IF_ERROR(
      ListBelow(blobs, KeysPath(store_id), [&](absl::string_view name, uint64_t /*size*/) {
        const absl::StatusOr<ParsedKeyFileName> parsed = ParseKeyFileName(name);
        if (!parsed.ok()) return absl::OkStatus();
        if (parsed->fingerprint == master_key.fingerprint()) {
          own_files.emplace_back(absl::StrCat(KeysPath(store_id), "/", name), *parsed);
        } else {
          ring.other_fingerprints_.push_back(parsed->fingerprint.ToText());
        }
        return absl::OkStatus();
      }));
  std::sort(ring.other_fingerprints_.begin(), ring.other_fingerprints_.end());
  ring.other_fingerprints_.erase(
      std::unique(ring.other_fingerprints_.begin(), ring.other_fingerprints_.end()),
      ring.other_fingerprints_.end());
  for (const auto& [path, name] : own_files) {
    const absl::StatusOr<std::string> sealed = ReadBlob(blobs, path, kSealedKeyFileSizeMaxBytes);
    absl::Status status = sealed.status();
    if (status.ok()) status = ring.AddFile(path, name, wrap_key, *sealed);
    status = Annotate(status, path);
    if (!status.ok()) {
      HOLDFAST_RETURN_IF_ERROR(CheckThatOnlyTheFileFailed(blobs, status));
      ring.unopened_[name.key_id] = status;
    }
    ring.files_[path] = status;
  }
  return ring;
}

absl::Status BackupKeyRing::Add(const MasterKey& master_key, const DatedBackupKey& key) {
  const ParsedKeyFileName name = {.key_id = key.backup_key.key_id,
                                  .fingerprint = master_key.fingerprint()};
  const std::string path = KeyFilePath(store_id_, name.key_id, name.fingerprint);
  const SealingKey wrap_key =
      SealingKey::ForMaster(master_key.fingerprint(), master_key.DeriveBackupKeyWrap());
  const std::string sealed = SealKey(master_key, key);
  HOLDFAST_RETURN_IF_ERROR(PutAndCompare(*blobs_, path, sealed));
  HOLDFAST_RETURN_IF_ERROR(AddFile(path, name, wrap_key, sealed), path);
  files_[path] = absl::OkStatus();
  return absl::OkStatus();
}

absl::Status BackupKeyRing::ReplaceFile(const MasterKey& master_key,
                                        const DatedBackupKey& key) const {
  const std::string path = KeyFilePath(store_id_, key.backup_key.key_id, master_key.fingerprint());
  return ReplaceAndCompare(*blobs_, path, SealKey(master_key, key));
}

std::string BackupKeyRing::SealKey(const MasterKey& master_key, const DatedBackupKey& key) const {
  const KeyId& key_id = key.backup_key.key_id;
  BackupKeyFile file;
  file.set_backup_key(key.backup_key.key.bytes().data(), key.backup_key.key.bytes().size());
  file.set_key_id(key_id.data(), key_id.size());
  file.set_store_id(store_id_.ToByteString());
  file.set_repository_hash(repository_hash_.data(), repository_hash_.size());
  file.set_create_time_us(key.create_time_us);
  std::string content = file.SerializeAsString();
  std::string sealed =
      Seal(SealedKind::kBackupKey,
           SealingKey::ForMaster(master_key.fingerprint(), master_key.DeriveBackupKeyWrap()),
           KeyFilePath(store_id_, key_id, master_key.fingerprint()), AsBytes(content));
  WipeMemory(content.data(), content.size());
  WipeMemory(file.mutable_backup_key()->data(), file.backup_key().size());
  return sealed;
}

absl::Status BackupKeyRing::AddFile(const std::string& path, const ParsedKeyFileName& name,
                                    const SealingKey& wrap_key, absl::string_view sealed) {
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
  if (file.repository_hash() != AsText(repository_hash_)) {
    return absl::DataLossError(
        absl::StrCat(kRepositoryFileName,
                     " is not the one that this key file was written for: it was "
                     "changed, or comes from another repository. Put the right one back; ",
                     kRepositoryFileCopyName, " beside it may be that"));
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

void BackupKeyRing::ChooseCurrent() {
  HOLDFAST_CHECK(!keys_.empty());
  current_ = std::max_element(keys_.begin(), keys_.end(), [](const auto& a, const auto& b) {
    return std::tie(a.second.create_time_us, a.first) < std::tie(b.second.create_time_us, b.first);
  });
}

absl::StatusOr<const BackupKeyRing::Keys*> BackupKeyRing::Find(const KeyId& key_id) const {
  const auto keys = keys_.find(key_id);
  if (keys != keys_.end()) return &keys->second;
  const auto unopened = unopened_.find(key_id);
  if (unopened != unopened_.end()) return unopened->second;
  return absl::NotFoundError(absl::StrCat("there is no key file of backup key ", KeyIdText(key_id),
                                          " for this master key"));
}

std::vector<DatedBackupKey> BackupKeyRing::Clone() const {
  std::vector<DatedBackupKey> clones;
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

}  // namespace holdfast
