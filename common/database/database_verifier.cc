#include "common/database/database_verifier.h"

#include <memory>
#include <set>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status_macros.h"
#include "common/database/document_record.h"
#include "common/database/rocksdb_status.h"
#include "common/database/state_digest.h"

namespace holdfast {

namespace {

constexpr uint64_t kProgressStep = 1024;
constexpr size_t kReadaheadSizeBytes = size_t{2} << 20;

// Adds the document to `found`, after comparing it with its own hash.
absl::Status VerifyDocument(absl::string_view key, absl::string_view value, const Key& digest_key,
                            StateDigest& found) {
  HOLDFAST_ASSIGN_OR_RETURN(const DocumentKey name, DecodeDocumentKey(key));
  const auto context = [&name] {
    return absl::StrCat("document ", absl::Utf8SafeCHexEscape(name.collection), "/",
                        absl::Utf8SafeCHexEscape(name.id));
  };
  HOLDFAST_ASSIGN_OR_RETURN(const DocumentRecord record, DecodeDocumentRecord(value), context());
  const Hash256 hash = HashDocument(digest_key, name.collection, name.id, record);
  if (hash != record.hash) {
    return absl::DataLossError(
        absl::StrCat(context(), ": it is not what was written: its hash differs"));
  }
  found.Add(name.collection, hash);
  return absl::OkStatus();
}

absl::Status CompareCollections(const StateDigest& found, const StateDigest& expected) {
  std::set<std::string> names;
  for (const auto& [name, digest] : found.collections()) names.insert(name);
  for (const auto& [name, digest] : expected.collections()) names.insert(name);
  for (const std::string& name : names) {
    const auto get = [&name](const StateDigest& digest) {
      const auto at = digest.collections().find(name);
      return at == digest.collections().end() ? CollectionDigest() : at->second;
    };
    const CollectionDigest is = get(found);
    const CollectionDigest should = get(expected);
    if (is.document_count() != should.document_count()) {
      return absl::DataLossError(absl::StrCat("collection ", name, " has ", is.document_count(),
                                              " documents, and should have ",
                                              should.document_count()));
    }
    if (is != should) {
      return absl::DataLossError(
          absl::StrCat("collection ", name, " has other documents than it should have"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status VerifyDocuments(
    const OpenedDatabase& database, const DatabaseMetadata& metadata,
    const std::function<absl::Status(uint64_t documents_done)>& on_progress) {
  rocksdb::ReadOptions options;
  options.verify_checksums = true;
  options.fill_cache = false;
  options.readahead_size = kReadaheadSizeBytes;
  const std::unique_ptr<rocksdb::Iterator> entries(
      database.db().NewIterator(options, database.documents()));
  const Key digest_key = metadata.DigestKey();
  StateDigest found;
  for (entries->SeekToFirst(); entries->Valid(); entries->Next()) {
    const rocksdb::Slice key = entries->key();
    const rocksdb::Slice value = entries->value();
    HOLDFAST_RETURN_IF_ERROR(
        VerifyDocument({key.data(), key.size()}, {value.data(), value.size()}, digest_key, found));
    if (found.document_count() % kProgressStep == 0) {
      HOLDFAST_RETURN_IF_ERROR(on_progress(found.document_count()));
    }
  }
  HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(entries->status(), "read the documents"));
  HOLDFAST_RETURN_IF_ERROR(CompareCollections(found, metadata.digest));
  return on_progress(found.document_count());
}

}  // namespace holdfast
