#include "tests/unit/common/repository/test_backups.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/io/xxh3_stream.h"
#include "common/repository/object_writer.h"
#include "common/repository/zstd_stream.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {

using repository::v1::BackupSummary;
using repository::v1::Extent;
using repository::v1::FileEntry;
using repository::v1::ObjectEntry;

namespace {

void AddExtent(FileEntry& file, int object_index, uint64_t offset) {
  if (file.size_bytes() == 0) return;
  Extent& extent = *file.add_extents();
  extent.set_object_index(static_cast<uint32_t>(object_index));
  extent.set_offset(offset);
  extent.set_length(file.size_bytes());
}

}  // namespace

TestBackups::TestBackups() {
  auto repository = Repository::Create(blobs, now);
  HOLDFAST_CHECK(repository.ok(), repository.status().message());
  auto opened = repository->OpenOrCreateStore(store_id, master_key, nullptr, now);
  HOLDFAST_CHECK(opened.ok(), opened.status().message());
  store = *std::move(opened);
}

ObjectEntry TestBackups::WriteObject(absl::string_view content, ObjectEntry::Codec codec) {
  const std::string name =
      MakeObjectName(ComputeObjectIdentity(store->id_key(), FileEntry::KIND_TABLE, store_id, 1,
                                           content.size(), Xxh3Of(content)),
                     now, random);
  ObjectSealer sealer(store_id, name, store->content_key(), codec, content.size(), random);
  std::string sealed;
  HOLDFAST_CHECK(sealer.Update(AsBytes(content), sealed).ok());
  HOLDFAST_CHECK(sealer.Finish(sealed).ok());
  MemorySource source(sealed);
  HOLDFAST_CHECK(blobs.Put(ObjectPath(store_id, name), source).ok());
  return sealer.entry();
}

Manifest TestBackups::Prepare(const Files& files) {
  now += absl::Hours(4);
  Manifest manifest;
  std::string bundle;
  std::vector<FileEntry*> bundled;
  uint64_t size_bytes = 0;
  for (const auto& [name, content] : files) {
    FileEntry& file = *manifest.files.add_files();
    const auto kind = KindOfFileName(name);
    HOLDFAST_CHECK(kind.ok(), name);
    file.set_name(name);
    file.set_kind(*kind);
    file.set_size_bytes(content.size());
    file.set_xxh3_128(Xxh3Of(content));
    if (*kind == FileEntry::KIND_INSTANCE) file.set_mode(0640);
    size_bytes += content.size();
    if (*kind == FileEntry::KIND_TABLE || *kind == FileEntry::KIND_BLOB) {
      if (content.empty()) continue;
      ObjectEntry& table = tables_[absl::StrCat(name, " ", content)];
      if (table.name().empty()) table = WriteObject(content, ObjectEntry::CODEC_NONE);
      *manifest.files.add_objects() = table;
      AddExtent(file, manifest.files.objects_size() - 1, 0);
    } else {
      AddExtent(file, 0, bundle.size());
      bundled.push_back(&file);
      bundle += content;
    }
  }
  if (!bundle.empty()) {
    *manifest.files.add_objects() = WriteObject(bundle, ObjectEntry::CODEC_ZSTD);
    for (FileEntry* const file : bundled) {
      for (Extent& extent : *file->mutable_extents()) {
        extent.set_object_index(static_cast<uint32_t>(manifest.files.objects_size() - 1));
      }
    }
  }

  BackupSummary& summary = manifest.summary;
  summary.set_backup_id(MakeBackupId(now, random));
  summary.set_store_id(store_id.ToByteString());
  summary.set_incarnation(std::string(16, 'i'));
  summary.set_ordinal(last_.ordinal() + 1);
  summary.set_previous_backup_id(last_.backup_id());
  summary.set_previous_manifest_hash(last_manifest_hash_);
  summary.set_revision(last_.revision() + 100);
  summary.set_file_count(files.size());
  summary.set_size_bytes(size_bytes);
  return manifest;
}

void TestBackups::Commit(const Manifest& manifest) {
  std::string content;
  const std::string summary = manifest.summary.SerializeAsString();
  for (size_t i = 0; i < 4; ++i) content.push_back(static_cast<char>(summary.size() >> (8 * i)));
  const auto frame = ZstdCompress(manifest.files.SerializeAsString());
  HOLDFAST_CHECK(frame.ok());
  CommitContent(manifest.summary.backup_id(), absl::StrCat(content, summary, *frame));
}

void TestBackups::CommitContent(absl::string_view backup_id, absl::string_view content) {
  const std::string path = BackupPath(store_id, backup_id);
  blobs.Write(path,
              Seal(SealedKind::kManifest, store->manifest_key(), path, AsBytes(content), random));
}

std::string TestBackups::Write(const Files& files) {
  const Manifest manifest = Prepare(files);
  const auto sealed = SealManifest(manifest, store_id, store->manifest_key(), random);
  EXPECT_OK(sealed);
  EXPECT_OK(store->CommitManifest(manifest.summary.backup_id(), *sealed));
  last_ = manifest.summary;
  last_manifest_hash_ = std::string(AsText(Blake2b256({AsBytes(*sealed)})));
  return last_.backup_id();
}

std::unique_ptr<StoreRepository> TestBackups::Reopen() const {
  auto repository = Repository::Open(const_cast<MemoryBlobStore&>(blobs));
  HOLDFAST_CHECK(repository.ok(), repository.status().message());
  auto opened = repository->OpenStore(store_id, master_key);
  HOLDFAST_CHECK(opened.ok(), opened.status().message());
  return *std::move(opened);
}

std::map<std::string, std::string> TestBackups::ObjectPaths(absl::string_view backup_id) const {
  const auto loaded = store->LoadManifest(backup_id);
  HOLDFAST_CHECK(loaded.ok(), loaded.status().message());
  std::map<std::string, std::string> paths;
  for (const FileEntry& file : loaded->manifest.files.files()) {
    for (const Extent& extent : file.extents()) {
      const ObjectEntry& object =
          loaded->manifest.files.objects(static_cast<int>(extent.object_index()));
      paths[object.codec() == ObjectEntry::CODEC_NONE ? file.name() : "bundle"] = PathOf(object);
    }
  }
  return paths;
}

TestBackups::Files SmallStoreFiles(RandomSource& random, size_t table_size_bytes) {
  const auto random_text = [&](size_t size) {
    std::string text(size, '\0');
    random.Fill(absl::MakeSpan(reinterpret_cast<uint8_t*>(text.data()), size));
    return text;
  };
  return {{"000007.sst", random_text(table_size_bytes)},
          {"000009.sst", random_text(table_size_bytes + 1)},
          {"000011.blob", random_text(65'536)},
          {"000013.log", std::string(5'000, 'l')},
          {"CURRENT", "MANIFEST-000012\n"},
          {"MANIFEST-000012", random_text(3'000)},
          {"OPTIONS-000014", std::string(2'000, 'o')},
          {"instance/empty", ""},
          {"instance/etc/holdfast.toml", "[store]\n"}};
}

absl::StatusOr<std::string> ReadSource(ByteSource& source) {
  std::string bytes;
  for (;;) {
    HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, source.Next());
    if (piece.empty()) return bytes;
    absl::StrAppend(&bytes, AsText(piece));
  }
}

}  // namespace holdfast
