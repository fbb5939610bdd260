#include "common/database/data_keys.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/io/durable_file.h"
#include "common/io/files.h"
#include "common/io/path.h"
#include "holdfast/store/v1/data_directory.pb.h"

namespace holdfast {

namespace {

constexpr std::array<absl::string_view, 2> kCopySuffixes = {".1", ".2"};
constexpr size_t kKeyFileSizeMaxBytes = 4096;
constexpr size_t kKeyFilesMax = 10'000;

std::string KeyIdText(const KeyId& id) { return absl::BytesToHexString(AsText(id)); }

std::string SealedPath(const Id128& store_id, const KeyId& key_id) {
  return absl::StrCat("store/", store_id.ToText(), "/keys/", KeyIdText(key_id));
}

std::string CopyPath(const std::string& folder, const KeyId& key_id, size_t copy) {
  return JoinPath(folder, absl::StrCat(KeyIdText(key_id), kCopySuffixes[copy]));
}

SealingKey SealingKeyOf(const MasterKey& master_key) {
  return SealingKey::ForMaster(master_key.fingerprint(), master_key.DeriveDataKeyWrap());
}

// The fingerprint of the master key that a sealed file was sealed for; empty where it cannot be
// told.
std::string FingerprintOf(absl::string_view sealed) {
  if (sealed.size() < kSealedHeaderSizeBytes) return "";
  const auto header = ParseSealedHeader(AsBytes(sealed.substr(0, kSealedHeaderSizeBytes)));
  if (!header.ok()) return "";
  KeyFingerprint::Bytes bytes;
  std::copy_n(header->key_id.begin(), bytes.size(), bytes.begin());
  return KeyFingerprint(bytes).ToText();
}

absl::StatusOr<Key> OpenKeyFile(absl::string_view sealed, const MasterKey& master_key,
                                const Id128& store_id, const KeyId& key_id) {
  const std::string path = SealedPath(store_id, key_id);
  absl::StatusOr<std::string> content =
      Unseal({SealedKind::kDataKey, path}, SealingKeyOf(master_key), AsBytes(sealed));
  if (GetSealedFault(content.status()) == SealedFault::kWrongKey) {
    return WithCode(
        absl::UnknownError(absl::StrCat(
            "the data keys are sealed for the master key with fingerprint ", FingerprintOf(sealed),
            "; the given one has ", master_key.fingerprint().ToText())),
        absl::StatusCode::kPermissionDenied);
  }
  HOLDFAST_RETURN_IF_ERROR(content.status());
  store::v1::DataKeyFile file;
  const bool is_parsed = file.ParseFromString(*content);
  WipeMemory(content->data(), content->size());
  const bool is_good = is_parsed && file.data_key().size() == kKeySizeBytes &&
                       file.key_id() == AsText(key_id) &&
                       file.store_id() == store_id.ToByteString();
  absl::StatusOr<Key> key = is_good ? absl::StatusOr<Key>(Key::FromBytes(AsBytes(file.data_key())))
                                    : absl::DataLossError("its content makes no sense");
  WipeMemory(file.mutable_data_key()->data(), file.data_key().size());
  return key;
}

// One copy of a key as it was found.
struct Copy {
  std::string path;
  absl::StatusOr<std::string> sealed;
  absl::StatusOr<Key> key;
};

Copy ReadCopy(const std::string& folder, const MasterKey& master_key, const Id128& store_id,
              const KeyId& key_id, size_t index) {
  Copy copy{.path = CopyPath(folder, key_id, index),
            .sealed = absl::UnknownError(""),
            .key = absl::UnknownError("")};
  copy.sealed = ReadFile(copy.path, kKeyFileSizeMaxBytes);
  copy.key = copy.sealed.ok() ? OpenKeyFile(*copy.sealed, master_key, store_id, key_id)
                              : absl::StatusOr<Key>(copy.sealed.status());
  return copy;
}

// What to say where neither copy opens: a wrong key first, for it explains most.
absl::Status ExplainBoth(const KeyId& key_id, const std::array<Copy, 2>& copies) {
  for (const absl::StatusCode code :
       {absl::StatusCode::kPermissionDenied, absl::StatusCode::kUnimplemented,
        absl::StatusCode::kUnavailable}) {
    for (const Copy& copy : copies) {
      if (copy.key.status().code() == code) return copy.key.status();
    }
  }
  return absl::DataLossError(
      absl::StrCat("both copies of the data key ", KeyIdText(key_id), " are damaged (",
                   copies[0].key.status().message(), "; ", copies[1].key.status().message(),
                   "): without it the database cannot be read; restore the newest backup"));
}

absl::StatusOr<Key> ReadDataKey(const std::string& folder, const MasterKey& master_key,
                                const Id128& store_id, const KeyId& key_id) {
  std::array<Copy, 2> copies = {ReadCopy(folder, master_key, store_id, key_id, 0),
                                ReadCopy(folder, master_key, store_id, key_id, 1)};
  if (!copies[0].key.ok() && !copies[1].key.ok()) return ExplainBoth(key_id, copies);
  for (size_t i = 0; i < copies.size(); ++i) {
    const Copy& bad = copies[i];
    const Copy& good = copies[1 - i];
    if (bad.key.ok()) continue;
    const absl::Status replaced =
        WriteFileDurably(bad.path, *good.sealed, {.existing = DurableFile::Existing::kReplace});
    if (replaced.ok()) {
      LogWarning("replaced a damaged copy of a data key by the other one",
                 {{"path", bad.path}, {"found", bad.key.status()}});
    } else {
      LogWarning("a damaged copy of a data key cannot be replaced now; the other one is whole",
                 {{"path", bad.path}, {"found", bad.key.status()}, {"error", replaced}});
    }
  }
  return std::move(copies[copies[0].key.ok() ? 0 : 1].key);
}

absl::StatusOr<std::set<KeyId>> ListKeyIds(const std::string& folder) {
  std::set<KeyId> ids;
  HOLDFAST_ASSIGN_OR_RETURN(const auto entries, ListDirectory(folder, kKeyFilesMax));
  for (const DirectoryEntry& entry : entries) {
    const absl::string_view name = entry.name;
    if (name.size() < kCopySuffixes[0].size()) continue;
    const absl::string_view suffix = name.substr(name.size() - kCopySuffixes[0].size());
    if (std::find(kCopySuffixes.begin(), kCopySuffixes.end(), suffix) == kCopySuffixes.end()) {
      continue;
    }
    const auto id = Id128::FromText(name.substr(0, name.size() - suffix.size()));
    if (id.ok()) ids.insert(id->bytes());
  }
  return ids;
}

}  // namespace

DataKey GenerateDataKey(RandomSource& random) {
  return {.id = Id128::Generate(random).bytes(), .key = Key::Generate()};
}

absl::Status WriteDataKey(const std::string& folder, const MasterKey& master_key,
                          const Id128& store_id, const DataKey& data_key, absl::Time now) {
  store::v1::DataKeyFile file;
  const absl::string_view key_bytes = AsText(data_key.key.bytes());
  file.set_data_key(key_bytes.data(), key_bytes.size());
  file.set_key_id(data_key.id.data(), data_key.id.size());
  file.set_store_id(store_id.ToByteString());
  file.set_create_time_us(absl::ToUnixMicros(now));
  std::string content = file.SerializeAsString();
  const std::string sealed = Seal(SealedKind::kDataKey, SealingKeyOf(master_key),
                                  SealedPath(store_id, data_key.id), AsBytes(content));
  WipeMemory(content.data(), content.size());
  WipeMemory(file.mutable_data_key()->data(), file.data_key().size());
  HOLDFAST_RETURN_IF_ERROR(MakeDirectories(folder));
  for (size_t copy = 0; copy < kCopySuffixes.size(); ++copy) {
    HOLDFAST_RETURN_IF_ERROR(WriteFileDurably(CopyPath(folder, data_key.id, copy), sealed,
                                              {.existing = DurableFile::Existing::kReplace}));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::map<KeyId, Key>> ReadDataKeys(const std::string& folder,
                                                  const MasterKey& master_key,
                                                  const Id128& store_id) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::set<KeyId> ids, ListKeyIds(folder));
  std::map<KeyId, Key> keys;
  for (const KeyId& id : ids) {
    HOLDFAST_ASSIGN_OR_RETURN(Key key, ReadDataKey(folder, master_key, store_id, id));
    keys.emplace(id, std::move(key));
  }
  return keys;
}

}  // namespace holdfast
