#ifndef HOLDFAST_COMMON_REPOSITORY_LAYOUT_H_
#define HOLDFAST_COMMON_REPOSITORY_LAYOUT_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/id128.h"
#include "common/base/random.h"
#include "common/crypto/hash.h"
#include "common/crypto/master_key.h"
#include "common/crypto/sealed_file.h"
#include "holdfast/repository/v1/repository.pb.h"

namespace holdfast {

// The names of a repository (FORMAT.md, "Names"): this file is the only one that knows them.
//
// What takes the text of an id or name to make a path of it REQUIRES one of the right form, for
// paths are also what is authenticated: check what comes from outside with the functions below.

// Names a store's data for life.
using StoreId = Id128;

inline constexpr absl::string_view kRepositoryFileName = "holdfast.json";
inline constexpr absl::string_view kRepositoryFileCopyName = "holdfast-copy.json";

// The folders, without a slash at the end.
inline constexpr absl::string_view kStoresPath = "stores";
std::string StorePath(const StoreId& store_id);    // stores/<id>
std::string KeysPath(const StoreId& store_id);     // stores/<id>/keys
std::string BackupsPath(const StoreId& store_id);  // stores/<id>/backups
std::string MarksPath(const StoreId& store_id);    // stores/<id>/marks
std::string ObjectsPath(const StoreId& store_id);  // stores/<id>/objects
std::string LeasesPath(const StoreId& store_id);   // stores/<id>/leases

// The files.
std::string KeyFilePath(const StoreId& store_id, const KeyId& key_id,
                        const KeyFingerprint& fingerprint);
std::string BackupPath(const StoreId& store_id, absl::string_view backup_id);
std::string MarkPath(const StoreId& store_id, absl::string_view backup_id, absl::Time time,
                     repository::v1::Mark::Kind kind, RandomSource& random = SystemRandom());
// `object_name` is what manifests hold: "<xx>/<identity>-<time>-<random>".
std::string ObjectPath(const StoreId& store_id, absl::string_view object_name);

std::string PruneLeasePath(const StoreId& store_id, absl::Time time,
                           RandomSource& random = SystemRandom());

// The name of a key file, below keys/.
struct ParsedKeyFileName {
  KeyId key_id;
  KeyFingerprint fingerprint;
};
absl::StatusOr<ParsedKeyFileName> ParseKeyFileName(absl::string_view name);

// The name of a mark, below marks/: "<backup id>/<time>-<kind>-<random>".
struct ParsedMarkName {
  std::string backup_id;
  absl::Time time;
  repository::v1::Mark::Kind kind;
};
absl::StatusOr<ParsedMarkName> ParseMarkName(absl::string_view name);

// When the lease of a prune was made, by its name below leases/: "<time>-prune-<random>".
absl::StatusOr<absl::Time> ParsePruneLeaseName(absl::string_view name);

// "20261122T183500.123Z-1f9a2b3c".
std::string MakeBackupId(absl::Time time, RandomSource& random = SystemRandom());
bool IsBackupId(absl::string_view text);

// What the agent compares to know that an object is there already.
using ObjectIdentity = Hash128;
ObjectIdentity ComputeObjectIdentity(const Key& id_key, repository::v1::FileEntry::Kind kind,
                                     const StoreId& store_id, uint64_t file_number,
                                     uint64_t size_bytes, absl::string_view xxh3_128);
// A new name for an object of that identity.
std::string MakeObjectName(const ObjectIdentity& identity, absl::Time time,
                           RandomSource& random = SystemRandom());
struct ParsedObjectName {
  ObjectIdentity identity;
  absl::Time time;
};
absl::StatusOr<ParsedObjectName> ParseObjectName(absl::string_view object_name);

// 32 lower-case hexadecimal digits.
std::string KeyIdText(const KeyId& key_id);

// How a file's name in a manifest or a checkpoint must look (FORMAT.md, "Names of files"): the kind
// that a name stands for. INVALID_ARGUMENT for every other name.
absl::StatusOr<repository::v1::FileEntry::Kind> KindOfFileName(absl::string_view name);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_REPOSITORY_LAYOUT_H_
