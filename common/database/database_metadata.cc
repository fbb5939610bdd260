#include "common/database/database_metadata.h"

#include <algorithm>
#include <array>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/crypto/hash.h"
#include "common/database/rocksdb_status.h"

namespace holdfast {

namespace {

constexpr size_t kIdSizeBytes = sizeof(Id128::Bytes);

rocksdb::Slice SliceOf(absl::string_view text) { return {text.data(), text.size()}; }
absl::string_view ViewOf(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

absl::Status ReadMessage(rocksdb::DB& db, const rocksdb::ReadOptions& options,
                         absl::string_view key, google::protobuf::MessageLite& message) {
  rocksdb::PinnableSlice value;
  const rocksdb::Status status = db.Get(options, db.DefaultColumnFamily(), SliceOf(key), &value);
  if (status.IsNotFound()) {
    return absl::DataLossError(absl::StrCat("the database has no entry \"", key, "\""));
  }
  HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(status, absl::StrCat("read \"", key, "\"")));
  if (!message.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return absl::DataLossError(absl::StrCat("the database's entry \"", key, "\" makes no sense"));
  }
  return absl::OkStatus();
}

absl::Status CheckIdentity(const store::v1::DatabaseIdentity& identity) {
  if (identity.schema_version() > kSchemaVersion) {
    return absl::UnimplementedError(absl::StrCat("the database has schema version ",
                                                 identity.schema_version(),
                                                 "; a newer Holdfast is needed"));
  }
  bool is_good = identity.schema_version() == kSchemaVersion &&
                 identity.store_id().size() == kIdSizeBytes &&
                 identity.incarnation().size() == kIdSizeBytes &&
                 identity.digest_key().size() == kKeySizeBytes &&
                 identity.earlier_incarnations_size() <= kEarlierIncarnationsMax;
  for (const std::string& earlier : identity.earlier_incarnations()) {
    is_good = is_good && earlier.size() == kIdSizeBytes;
  }
  if (!is_good) return absl::DataLossError("the database's entry \"identity\" makes no sense");
  return absl::OkStatus();
}

absl::Status PutMessage(absl::string_view key, const google::protobuf::MessageLite& message,
                        rocksdb::WriteBatch& batch) {
  return StatusFromRocksDb(batch.Put(SliceOf(key), message.SerializeAsString()),
                           absl::StrCat("put \"", key, "\""));
}

}  // namespace

std::string CollectionKey(absl::string_view collection) {
  return absl::StrCat(kCollectionKeyPrefix, collection);
}

Id128 DatabaseMetadata::store_id() const {
  const auto id = Id128::FromBytes(identity.store_id());
  HOLDFAST_CHECK(id.ok());
  return *id;
}

Id128 DatabaseMetadata::incarnation() const {
  const auto id = Id128::FromBytes(identity.incarnation());
  HOLDFAST_CHECK(id.ok());
  return *id;
}

Key DatabaseMetadata::DigestKey() const { return Key::FromBytes(AsBytes(identity.digest_key())); }

absl::StatusOr<DatabaseMetadata> ReadMetadata(rocksdb::DB& db,
                                              const rocksdb::ReadOptions& options) {
  DatabaseMetadata metadata;
  HOLDFAST_RETURN_IF_ERROR(ReadMessage(db, options, kIdentityKey, metadata.identity));
  HOLDFAST_RETURN_IF_ERROR(CheckIdentity(metadata.identity));
  HOLDFAST_RETURN_IF_ERROR(ReadMessage(db, options, kHeadKey, metadata.head));
  const std::unique_ptr<rocksdb::Iterator> entries(
      db.NewIterator(options, db.DefaultColumnFamily()));
  for (entries->Seek(SliceOf(kCollectionKeyPrefix));
       entries->Valid() && absl::StartsWith(ViewOf(entries->key()), kCollectionKeyPrefix);
       entries->Next()) {
    const absl::string_view collection =
        absl::StripPrefix(ViewOf(entries->key()), kCollectionKeyPrefix);
    HOLDFAST_ASSIGN_OR_RETURN(const CollectionDigest digest,
                              CollectionDigest::Decode(ViewOf(entries->value())),
                              absl::StrCat("collection ", collection));
    metadata.digest.Set(collection, digest);
  }
  HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(entries->status(), "read the collections"));
  return metadata;
}

DatabaseMetadata MakeMetadata(const Id128& store_id, absl::Time now, RandomSource& random) {
  DatabaseMetadata metadata;
  std::array<uint8_t, kKeySizeBytes> digest_key;
  random.Fill(absl::MakeSpan(digest_key));
  metadata.identity.set_schema_version(kSchemaVersion);
  metadata.identity.set_store_id(store_id.ToByteString());
  metadata.identity.set_incarnation(Id128::Generate(random).ToByteString());
  metadata.identity.set_digest_key(digest_key.data(), digest_key.size());
  metadata.identity.set_create_time_us(absl::ToUnixMicros(now));
  metadata.head.set_commit_time_us(absl::ToUnixMicros(now));
  WipeMemory(digest_key.data(), digest_key.size());
  return metadata;
}

absl::Status BeginIncarnation(DatabaseMetadata& metadata, uint64_t known_revision,
                              RandomSource& random) {
  const uint64_t highest = std::max(metadata.head.revision(), known_revision);
  if (highest > UINT64_MAX - kRevisionStep) {
    return absl::OutOfRangeError(absl::StrCat("the revision counter is at its end: ", highest));
  }
  auto& earlier = *metadata.identity.mutable_earlier_incarnations();
  earlier.Add(std::string(metadata.identity.incarnation()));
  if (earlier.size() > kEarlierIncarnationsMax) {
    earlier.DeleteSubrange(0, earlier.size() - kEarlierIncarnationsMax);
  }
  metadata.identity.set_incarnation(Id128::Generate(random).ToByteString());
  auto& gaps = *metadata.identity.mutable_revision_gaps();
  store::v1::RevisionGap& gap = *gaps.Add();
  gap.set_after(metadata.head.revision());
  gap.set_until(highest + kRevisionStep);
  if (gaps.size() > kEarlierIncarnationsMax) {
    gaps.Mutable(1)->set_after(gaps.Get(0).after());
    gaps.DeleteSubrange(0, 1);
  }
  metadata.head.set_revision(gap.until());
  return absl::OkStatus();
}

absl::Status PutIdentity(const store::v1::DatabaseIdentity& identity, rocksdb::WriteBatch& batch) {
  return PutMessage(kIdentityKey, identity, batch);
}

absl::Status PutHead(const store::v1::DatabaseHead& head, rocksdb::WriteBatch& batch) {
  return PutMessage(kHeadKey, head, batch);
}

absl::Status PutCollection(absl::string_view collection, const CollectionDigest* digest,
                           rocksdb::WriteBatch& batch) {
  const std::string key = CollectionKey(collection);
  return StatusFromRocksDb(digest == nullptr ? batch.Delete(key) : batch.Put(key, digest->Encode()),
                           absl::StrCat("put collection ", collection));
}

}  // namespace holdfast
