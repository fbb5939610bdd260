#ifndef HOLDFAST_COMMON_DATABASE_STATE_DIGEST_H_
#define HOLDFAST_COMMON_DATABASE_STATE_DIGEST_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/crypto/hash.h"
#include "common/crypto/secret.h"
#include "common/database/document_record.h"

namespace holdfast {

// The state digest proves that two databases hold the same documents, and costs a writer only the
// hash of what it writes. Part of the database's format; do not change.
//
// LE64(n) is n in 8 bytes, least significant first; str(s) = LE64(length of s) ‖ s; key is the
// store's digest key (32 random bytes, DatabaseIdentity.digest_key).
//
//   hash of a content  = BLAKE2b-256(key, "holdfast/1/content" ‖ content)
//   hash of a document = BLAKE2b-256(key, "holdfast/1/document" ‖ str(collection) ‖ str(id) ‖
//                          LE64(revision) ‖ LE64(create time µs) ‖ LE64(change time µs) ‖
//                          str(media type) ‖ LE64(length of content) ‖ hash of the content)
//   of a collection    = the count of its documents, and the sum mod 2^256 of their hashes, each
//                        read as a little-endian number
//   state digest       = BLAKE2b-256(key, "holdfast/1/state" ‖ for each collection that has
//                          documents, in the order of names by bytes:
//                          str(name) ‖ LE64(count) ‖ the sum, 32 bytes, little-endian)
//
// The sum does not depend on any order, and an overwritten or deleted document is subtracted
// without being read. Only the last line is shown outside the store: whoever does not know the key
// can neither guess documents by it, nor find others with the same sum.

// The hash of a content: all that takes time, and all that is known before the write has a
// revision.
Hash256 HashContent(const Key& digest_key, absl::string_view content);

// The hash of a document; `record.hash` is ignored.
Hash256 HashDocument(const Key& digest_key, absl::string_view collection, absl::string_view id,
                     const DocumentRecord& record);
// The same, where the hash of `record.content` is known.
Hash256 HashDocument(const Key& digest_key, absl::string_view collection, absl::string_view id,
                     const DocumentRecord& record, const Hash256& content_hash);

// Count and sum of one collection. A value type.
class CollectionDigest {
 public:
  void Add(const Hash256& document_hash);
  // DATA_LOSS, and nothing changes, where there is no document: count and documents, which come
  // from a disk, contradict each other.
  absl::Status Subtract(const Hash256& document_hash);
  // All that `other` counts. REQUIRES: no document is in both.
  void Merge(const CollectionDigest& other);

  uint64_t document_count() const { return document_count_; }
  // Little-endian.
  const Hash256& sum() const { return sum_; }

  // The value under CollectionKey(): LE64(count) ‖ sum, 40 bytes.
  std::string Encode() const;
  // DATA_LOSS unless 40 bytes with a count above zero.
  static absl::StatusOr<CollectionDigest> Decode(absl::string_view value);

  friend bool operator==(const CollectionDigest& a, const CollectionDigest& b) {
    return a.document_count_ == b.document_count_ && a.sum_ == b.sum_;
  }
  friend bool operator!=(const CollectionDigest& a, const CollectionDigest& b) { return !(a == b); }

 private:
  void AddToSum(const Hash256& number);

  uint64_t document_count_ = 0;
  Hash256 sum_{};
};

// The collections of a store, kept up to date as documents come and go. A value type.
//
// Not thread-safe; const methods may be called concurrently.
class StateDigest {
 public:
  // Sorted by name; only those that have documents.
  using Collections = std::map<std::string, CollectionDigest, std::less<>>;

  void Add(absl::string_view collection, const Hash256& document_hash);
  // DATA_LOSS, and nothing changes, where the collection has no document.
  absl::Status Subtract(absl::string_view collection, const Hash256& document_hash);
  // All that `other` counts. REQUIRES: no document is in both.
  void Merge(const StateDigest& other);
  // Sets what was read from the database.
  void Set(absl::string_view collection, const CollectionDigest& digest);

  const Collections& collections() const { return collections_; }
  uint64_t document_count() const { return document_count_; }

  // What is shown. Takes time in proportion to the number of collections.
  Hash256 Digest(const Key& digest_key) const;

 private:
  Collections collections_;
  uint64_t document_count_ = 0;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_DATABASE_STATE_DIGEST_H_
