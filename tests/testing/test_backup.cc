#include "tests/testing/test_backup.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "common/database/database.h"
#include "common/database/database_metadata.h"
#include "common/io/xxh3_stream.h"
#include "common/repository/layout.h"
#include "common/repository/manifest.h"
#include "common/repository/object_writer.h"

namespace holdfast {

namespace {

using repository::v1::FileEntry;
using repository::v1::ObjectEntry;

// Writes objects, and the list that names them.
class BackupWriter {
 public:
  explicit BackupWriter(StoreRepository& store) : store_(store) {}

  // Returns the index of the new object.
  absl::StatusOr<uint32_t> AddObject(const std::string& content, ObjectEntry::Codec codec) {
    const std::string name =
        MakeObjectName(Id128::Generate().bytes(), kTestTime + absl::Milliseconds(++objects_));
    ObjectSealer sealer(store_.store_id(), name, store_.content_key(), codec, content.size());
    std::string sealed;
    HOLDFAST_RETURN_IF_ERROR(sealer.Update(AsBytes(content), sealed));
    HOLDFAST_RETURN_IF_ERROR(sealer.Finish(sealed));
    MemorySource source(sealed);
    HOLDFAST_RETURN_IF_ERROR(store_.blobs().Put(ObjectPath(store_.store_id(), name), source));
    *files_.add_objects() = sealer.entry();
    return static_cast<uint32_t>(files_.objects_size() - 1);
  }

  FileEntry& AddFile(const std::string& name, FileEntry::Kind kind, const std::string& content) {
    FileEntry& file = by_name_[name];
    file.set_name(name);
    file.set_kind(kind);
    file.set_size_bytes(content.size());
    file.set_xxh3_128(Xxh3Of(content));
    return file;
  }

  static void AddExtent(FileEntry& file, uint32_t object_index, uint64_t offset, uint64_t length) {
    if (length == 0) return;
    repository::v1::Extent& extent = *file.add_extents();
    extent.set_object_index(object_index);
    extent.set_offset(offset);
    extent.set_length(length);
  }

  repository::v1::FileList TakeFiles() {
    for (auto& [name, file] : by_name_) *files_.add_files() = std::move(file);
    return std::move(files_);
  }

 private:
  StoreRepository& store_;
  int objects_ = 0;
  repository::v1::FileList files_;
  std::map<std::string, FileEntry> by_name_;
};

}  // namespace

absl::StatusOr<Manifest> MakeTestBackup(BlobStore& blobs, const TestStore& store,
                                        const MasterKey& master_key,
                                        const TestBackupOptions& options) {
  const DatabaseMetadata& metadata = store.metadata();
  HOLDFAST_ASSIGN_OR_RETURN(auto contents, store.ReadLiveFiles());
  for (const auto& [name, content] : options.instance_files) {
    contents[absl::StrCat("instance/", name)] = content;
  }

  absl::StatusOr<Repository> repository = Repository::Open(blobs);
  if (absl::IsNotFound(repository.status())) repository = Repository::Create(blobs, kTestTime);
  HOLDFAST_RETURN_IF_ERROR(repository.status());
  const StoreId store_id = metadata.store_id();
  HOLDFAST_ASSIGN_OR_RETURN(
      const auto opened, repository->OpenOrCreateStore(store_id, master_key, nullptr, kTestTime));

  BackupWriter writer(*opened);
  std::string bundle;
  std::vector<std::pair<FileEntry*, uint64_t>> bundled;
  Manifest manifest;
  for (const auto& [name, content] : contents) {
    HOLDFAST_ASSIGN_OR_RETURN(const FileEntry::Kind kind, KindOfFileName(name));
    FileEntry& file = writer.AddFile(name, kind, content);
    if (kind == FileEntry::KIND_INSTANCE) file.set_mode(0640);
    manifest.summary.set_size_bytes(manifest.summary.size_bytes() + content.size());
    if (kind == FileEntry::KIND_MANIFEST && options.splits_a_file) {
      const uint64_t half = content.size() / 2;
      // The second half lies before the first, and other bytes around them.
      HOLDFAST_ASSIGN_OR_RETURN(
          const uint32_t object,
          writer.AddObject(absl::StrCat("xx", content.substr(half), "xxx", content.substr(0, half)),
                           ObjectEntry::CODEC_NONE));
      BackupWriter::AddExtent(file, object, 2 + (content.size() - half) + 3, half);
      BackupWriter::AddExtent(file, object, 2, content.size() - half);
    } else if (kind == FileEntry::KIND_TABLE || kind == FileEntry::KIND_LOG) {
      if (content.empty()) continue;
      HOLDFAST_ASSIGN_OR_RETURN(
          const uint32_t object,
          writer.AddObject(content, kind == FileEntry::KIND_LOG ? ObjectEntry::CODEC_ZSTD
                                                                : ObjectEntry::CODEC_NONE));
      BackupWriter::AddExtent(file, object, 0, content.size());
    } else {
      bundled.emplace_back(&file, bundle.size());
      bundle += content;
    }
  }
  HOLDFAST_ASSIGN_OR_RETURN(const uint32_t bundle_object,
                            writer.AddObject(bundle, ObjectEntry::CODEC_ZSTD));
  for (const auto& [file, offset] : bundled) {
    BackupWriter::AddExtent(*file, bundle_object, offset, file->size_bytes());
  }
  manifest.files = writer.TakeFiles();

  repository::v1::BackupSummary& summary = manifest.summary;
  summary.set_backup_id(
      MakeBackupId(kTestTime + absl::Hours(static_cast<int64_t>(options.ordinal))));
  summary.set_store_id(store_id.ToByteString());
  summary.set_incarnation(metadata.incarnation().ToByteString());
  summary.set_ordinal(options.ordinal);
  if (!options.previous_backup_id.empty()) {
    HOLDFAST_ASSIGN_OR_RETURN(const auto previous,
                              opened->LoadManifest(options.previous_backup_id));
    summary.set_previous_backup_id(options.previous_backup_id);
    summary.set_previous_manifest_hash(std::string(AsText(previous.sealed_hash)));
  }
  summary.set_revision(metadata.head.revision());
  summary.set_commit_time_us(metadata.head.commit_time_us());
  summary.set_checkpoint_time_us(absl::ToUnixMicros(kTestTime));
  summary.set_commit_at_agent_time_us(absl::ToUnixMicros(kTestTime));
  summary.set_document_count(metadata.digest.document_count());
  summary.set_state_digest(std::string(AsText(metadata.digest.Digest(metadata.DigestKey()))));
  summary.set_file_count(static_cast<uint64_t>(manifest.files.files_size()));
  if (options.edit_manifest) options.edit_manifest(manifest);
  HOLDFAST_ASSIGN_OR_RETURN(const std::string sealed,
                            SealManifest(manifest, store_id, opened->manifest_key()));
  HOLDFAST_RETURN_IF_ERROR(opened->CommitManifest(summary.backup_id(), sealed));
  return manifest;
}

}  // namespace holdfast
