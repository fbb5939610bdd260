#ifndef HOLDFAST_COMMON_DATABASE_DATABASE_METADATA_H_
#define HOLDFAST_COMMON_DATABASE_DATABASE_METADATA_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/id128.h"
#include "common/base/random.h"
#include "common/crypto/secret.h"
#include "common/database/state_digest.h"
#include "holdfast/store/v1/data_directory.pb.h"
#include "rocksdb/db.h"
#include "rocksdb/write_batch.h"

namespace holdfast {

// What the database says about itself: the entries of RocksDB's default column family.
//
//   "identity"           DatabaseIdentity
//   "head"               DatabaseHead
//   "collection/" name   CollectionDigest::Encode(), for each collection that has documents
//
// Part of the database's format (README.md draws it); do not change.
inline constexpr uint32_t kSchemaVersion = 1;
inline constexpr absl::string_view kIdentityKey = "identity";
inline constexpr absl::string_view kHeadKey = "head";
inline constexpr absl::string_view kCollectionKeyPrefix = "collection/";
std::string CollectionKey(absl::string_view collection);

// The most incarnations that a database remembers; then the oldest go.
inline constexpr int kEarlierIncarnationsMax = 1000;

// How far the revision counter is raised when a new incarnation begins, so that no revision is ever
// given twice: above all that the earlier incarnation gave after the state that this one begins
// with, and above all that is known of others that began with the same state.
inline constexpr uint64_t kRevisionStep = uint64_t{1} << 40;

struct DatabaseMetadata {
  store::v1::DatabaseIdentity identity;
  store::v1::DatabaseHead head;
  StateDigest digest;

  // Parts of `identity`, which was checked when it was read.
  Id128 store_id() const;
  Id128 incarnation() const;
  // The digest key.
  Key DigestKey() const;
};

// Reads all of it. DATA_LOSS where an entry is missing or makes no sense; UNIMPLEMENTED where the
// schema is newer.
absl::StatusOr<DatabaseMetadata> ReadMetadata(rocksdb::DB& db,
                                              const rocksdb::ReadOptions& options = {});

// The metadata of a new, empty store.
DatabaseMetadata MakeMetadata(const Id128& store_id, absl::Time now,
                              RandomSource& random = SystemRandom());

// Makes a new incarnation of `metadata`: the old one joins the earlier ones, and the revision is
// raised by kRevisionStep above its own and above `known_revision`, the highest that any backup of
// the store is known to hold; what lies between is remembered as a gap. OUT_OF_RANGE where the
// counter is at its end. Nothing is written.
absl::Status BeginIncarnation(DatabaseMetadata& metadata, uint64_t known_revision,
                              RandomSource& random = SystemRandom());

// Put what they say into `batch`, for the default column family.
absl::Status PutIdentity(const store::v1::DatabaseIdentity& identity, rocksdb::WriteBatch& batch);
absl::Status PutHead(const store::v1::DatabaseHead& head, rocksdb::WriteBatch& batch);
// Deletes the entry where `digest` is null: the collection has no document any more.
absl::Status PutCollection(absl::string_view collection, const CollectionDigest* digest,
                           rocksdb::WriteBatch& batch);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_DATABASE_DATABASE_METADATA_H_
