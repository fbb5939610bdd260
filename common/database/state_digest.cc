#include "common/database/state_digest.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/database/little_endian.h"

namespace holdfast {

namespace {

using internal::AppendLittleEndian;
using internal::ReadLittleEndian;

// Part of the database's format; do not change.
constexpr absl::string_view kContentLabel = "holdfast/1/content";
constexpr absl::string_view kDocumentLabel = "holdfast/1/document";
constexpr absl::string_view kStateLabel = "holdfast/1/state";
constexpr size_t kCollectionValueSizeBytes = sizeof(uint64_t) + sizeof(Hash256);

void AppendString(absl::string_view text, std::string& out) {
  AppendLittleEndian(text.size(), sizeof(uint64_t), out);
  out.append(text.data(), text.size());
}

}  // namespace

Hash256 HashContent(const Key& digest_key, absl::string_view content) {
  return KeyedBlake2b256(digest_key, {AsBytes(kContentLabel), AsBytes(content)});
}

Hash256 HashDocument(const Key& digest_key, absl::string_view collection, absl::string_view id,
                     const DocumentRecord& record) {
  return HashDocument(digest_key, collection, id, record, HashContent(digest_key, record.content));
}

Hash256 HashDocument(const Key& digest_key, absl::string_view collection, absl::string_view id,
                     const DocumentRecord& record, const Hash256& content_hash) {
  std::string head(kDocumentLabel);
  AppendString(collection, head);
  AppendString(id, head);
  AppendLittleEndian(record.revision, sizeof(uint64_t), head);
  AppendLittleEndian(static_cast<uint64_t>(record.create_time_us), sizeof(uint64_t), head);
  AppendLittleEndian(static_cast<uint64_t>(record.change_time_us), sizeof(uint64_t), head);
  AppendString(record.media_type, head);
  AppendLittleEndian(record.content.size(), sizeof(uint64_t), head);
  return KeyedBlake2b256(digest_key, {AsBytes(head), content_hash});
}

void CollectionDigest::Add(const Hash256& document_hash) {
  ++document_count_;
  AddToSum(document_hash);
}

void CollectionDigest::Merge(const CollectionDigest& other) {
  document_count_ += other.document_count_;
  AddToSum(other.sum_);
}

void CollectionDigest::AddToSum(const Hash256& number) {
  unsigned carry = 0;
  for (size_t i = 0; i < sum_.size(); ++i) {
    const unsigned digit = sum_[i] + number[i] + carry;
    sum_[i] = static_cast<uint8_t>(digit);
    carry = digit >> 8;
  }
}

absl::Status CollectionDigest::Subtract(const Hash256& document_hash) {
  if (document_count_ == 0) {
    return absl::DataLossError(
        "the collection has documents although its count is zero: the database contradicts itself; "
        "restore the newest backup");
  }
  --document_count_;
  unsigned borrow = 0;
  for (size_t i = 0; i < sum_.size(); ++i) {
    const unsigned digit = 0x100u + sum_[i] - document_hash[i] - borrow;
    sum_[i] = static_cast<uint8_t>(digit);
    borrow = 1 - (digit >> 8);
  }
  return absl::OkStatus();
}

std::string CollectionDigest::Encode() const {
  std::string value;
  AppendLittleEndian(document_count_, sizeof(uint64_t), value);
  const absl::string_view sum = AsText(sum_);
  value.append(sum.data(), sum.size());
  return value;
}

absl::StatusOr<CollectionDigest> CollectionDigest::Decode(absl::string_view value) {
  if (value.size() != kCollectionValueSizeBytes) {
    return absl::DataLossError(
        absl::StrCat("a collection's count and sum of ", value.size(), " bytes"));
  }
  CollectionDigest digest;
  digest.document_count_ = ReadLittleEndian(value.substr(0, sizeof(uint64_t)));
  std::copy_n(value.begin() + sizeof(uint64_t), digest.sum_.size(), digest.sum_.begin());
  if (digest.document_count_ == 0) {
    return absl::DataLossError("a collection's count is zero");
  }
  return digest;
}

void StateDigest::Add(absl::string_view collection, const Hash256& document_hash) {
  auto found = collections_.find(collection);
  if (found == collections_.end()) found = collections_.try_emplace(std::string(collection)).first;
  found->second.Add(document_hash);
  ++document_count_;
}

absl::Status StateDigest::Subtract(absl::string_view collection, const Hash256& document_hash) {
  const auto found = collections_.find(collection);
  if (found == collections_.end()) return CollectionDigest().Subtract(document_hash);
  HOLDFAST_RETURN_IF_ERROR(found->second.Subtract(document_hash));
  --document_count_;
  if (found->second.document_count() == 0) collections_.erase(found);
  return absl::OkStatus();
}

void StateDigest::Merge(const StateDigest& other) {
  for (const auto& [name, digest] : other.collections_) collections_[name].Merge(digest);
  document_count_ += other.document_count_;
}

void StateDigest::Set(absl::string_view collection, const CollectionDigest& digest) {
  HOLDFAST_CHECK(digest.document_count() > 0);
  CollectionDigest& own = collections_[std::string(collection)];
  document_count_ += digest.document_count() - own.document_count();
  own = digest;
}

Hash256 StateDigest::Digest(const Key& digest_key) const {
  Blake2b256Stream hash(digest_key);
  std::string piece(kStateLabel);
  hash.Update(AsBytes(piece));
  for (const auto& [name, digest] : collections_) {
    piece.clear();
    AppendString(name, piece);
    AppendLittleEndian(digest.document_count(), sizeof(uint64_t), piece);
    hash.Update(AsBytes(piece));
    hash.Update(digest.sum());
  }
  return hash.Finish();
}

}  // namespace holdfast
