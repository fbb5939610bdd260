#include "tests/testing/test_store.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/database/database_verifier.h"
#include "common/database/document_record.h"
#include "common/database/rocksdb_status.h"
#include "common/io/files.h"
#include "rocksdb/metadata.h"

namespace holdfast {

absl::StatusOr<std::unique_ptr<TestStore>> TestStore::Open(const std::string& path,
                                                           const MasterKey& master_key) {
  HOLDFAST_ASSIGN_OR_RETURN(const bool exists, FileExists(path));
  if (!exists) HOLDFAST_RETURN_IF_ERROR(DataDirectory::Create(path, master_key, kTestTime));
  auto store = std::make_unique<TestStore>();
  HOLDFAST_ASSIGN_OR_RETURN(store->directory_, DataDirectory::Open(path, master_key));
  HOLDFAST_ASSIGN_OR_RETURN(
      store->database_,
      OpenDatabase(store->directory_->env(), store->directory_->database_path(), OpenMode::kServe));
  HOLDFAST_ASSIGN_OR_RETURN(store->metadata_, ReadMetadata(store->database_->db()));
  return store;
}

absl::Status TestStore::Put(absl::string_view collection, absl::string_view id,
                            absl::string_view content) {
  HOLDFAST_RETURN_IF_ERROR(SubtractOld(collection, id).status());
  const uint64_t revision = metadata_.head.revision() + 1;
  const int64_t time_us = absl::ToUnixMicros(kTestTime) + static_cast<int64_t>(revision);
  DocumentRecord record{.revision = revision,
                        .create_time_us = time_us,
                        .change_time_us = time_us,
                        .media_type = "application/json",
                        .content = content};
  record.hash = HashDocument(metadata_.DigestKey(), collection, id, record);
  metadata_.digest.Add(collection, record.hash);
  rocksdb::WriteBatch batch;
  HOLDFAST_RETURN_IF_ERROR(
      StatusFromRocksDb(batch.Put(database_->documents(), EncodeDocumentKey(collection, id),
                                  EncodeDocumentRecord(record)),
                        "put"));
  return Commit(batch, collection);
}

absl::Status TestStore::Delete(absl::string_view collection, absl::string_view id) {
  HOLDFAST_ASSIGN_OR_RETURN(const bool was_there, SubtractOld(collection, id));
  if (!was_there) return absl::NotFoundError("no such document");
  rocksdb::WriteBatch batch;
  HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(
      batch.Delete(database_->documents(), EncodeDocumentKey(collection, id)), "delete"));
  return Commit(batch, collection);
}

absl::StatusOr<bool> TestStore::SubtractOld(absl::string_view collection, absl::string_view id) {
  std::string value;
  const rocksdb::Status status =
      database_->db().Get({}, database_->documents(), EncodeDocumentKey(collection, id), &value);
  if (status.IsNotFound()) return false;
  HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(status, "get"));
  HOLDFAST_ASSIGN_OR_RETURN(const DocumentRecord record, DecodeDocumentRecord(value));
  HOLDFAST_RETURN_IF_ERROR(metadata_.digest.Subtract(collection, record.hash));
  return true;
}

absl::Status TestStore::Commit(rocksdb::WriteBatch& batch, absl::string_view collection) {
  metadata_.head.set_revision(metadata_.head.revision() + 1);
  metadata_.head.set_commit_time_us(absl::ToUnixMicros(kTestTime) +
                                    static_cast<int64_t>(metadata_.head.revision()));
  HOLDFAST_RETURN_IF_ERROR(PutHead(metadata_.head, batch));
  const auto& collections = metadata_.digest.collections();
  const auto found = collections.find(collection);
  HOLDFAST_RETURN_IF_ERROR(
      PutCollection(collection, found == collections.end() ? nullptr : &found->second, batch));
  rocksdb::WriteOptions synced;
  synced.sync = true;
  return StatusFromRocksDb(database_->db().Write(synced, &batch), "write");
}

absl::StatusOr<std::map<std::string, std::string>> TestStore::ReadAll() const {
  std::map<std::string, std::string> documents;
  const std::unique_ptr<rocksdb::Iterator> entries(
      database_->db().NewIterator({}, database_->documents()));
  for (entries->SeekToFirst(); entries->Valid(); entries->Next()) {
    const std::string key = entries->key().ToString();
    const std::string value = entries->value().ToString();
    HOLDFAST_ASSIGN_OR_RETURN(const DocumentKey name, DecodeDocumentKey(key));
    HOLDFAST_ASSIGN_OR_RETURN(const DocumentRecord record, DecodeDocumentRecord(value));
    documents.emplace(absl::StrCat(name.collection, "/", name.id), record.content);
  }
  HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(entries->status(), "iterate"));
  return documents;
}

absl::Status TestStore::Verify() const {
  HOLDFAST_ASSIGN_OR_RETURN(const DatabaseMetadata metadata, ReadMetadata(database_->db()));
  return VerifyDocuments(*database_, metadata, [](uint64_t) { return absl::OkStatus(); });
}

absl::Status TestStore::Flush() { return database_->Flush(); }

absl::StatusOr<std::map<std::string, std::string>> TestStore::ReadLiveFiles() const {
  // A compaction in the background must not delete what is being read.
  rocksdb::DB& db = database_->db();
  HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(db.DisableFileDeletions(), "keep the files"));
  const absl::Cleanup allow_deletions = [&db] {
    db.EnableFileDeletions(/*force=*/false).PermitUncheckedError();
  };
  std::vector<rocksdb::LiveFileStorageInfo> infos;
  rocksdb::LiveFilesStorageInfoOptions options;
  options.wal_size_for_flush = UINT64_MAX;
  HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(db.GetLiveFilesStorageInfo(options, &infos), "list"));
  std::map<std::string, std::string> files;
  for (const rocksdb::LiveFileStorageInfo& info : infos) {
    std::string& content = files[info.relative_filename];
    content = info.replacement_contents;
    if (!content.empty()) continue;
    const std::string path = absl::StrCat(info.directory, "/", info.relative_filename);
    HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(
        rocksdb::ReadFileToString(directory_->env(), path, &content), info.relative_filename));
    content.resize(info.size);
  }
  return files;
}

absl::StatusOr<std::map<std::string, std::string>> ReadDatabaseFiles(const std::string& path,
                                                                     const MasterKey& master_key) {
  HOLDFAST_ASSIGN_OR_RETURN(const auto store, TestStore::Open(path, master_key));
  return store->ReadLiveFiles();
}

std::string FindFile(const std::string& folder, absl::string_view suffix) {
  std::string found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string path = entry.path();
    if (absl::EndsWith(path, suffix) || absl::StrContains(path, absl::StrCat("/", suffix))) {
      found = std::max(found, path);
    }
  }
  HOLDFAST_CHECK(!found.empty(), suffix);
  return found;
}

std::string ReadRaw(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  HOLDFAST_CHECK(file.is_open(), path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void WriteRaw(const std::string& path, absl::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  HOLDFAST_CHECK(file.good(), path);
}

void FlipByte(const std::string& path, int64_t offset) {
  std::string bytes = ReadRaw(path);
  HOLDFAST_CHECK(offset < static_cast<int64_t>(bytes.size()));
  bytes[static_cast<size_t>(offset)] = static_cast<char>(bytes[static_cast<size_t>(offset)] ^ 0x10);
  WriteRaw(path, bytes);
}

void CopyTree(const std::string& from, const std::string& to) {
  std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
}

std::vector<std::string> ListFiles(const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace holdfast
