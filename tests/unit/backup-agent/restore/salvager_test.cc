#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "backup-agent/restore/restorer.h"
#include "common/base/status_macros.h"
#include "common/database/data_directory.h"
#include "common/database/database.h"
#include "common/database/document_record.h"
#include "common/database/table_reader.h"
#include "common/io/files.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "holdfast/agent/v1/salvage.pb.h"
#include "rocksdb/db.h"
#include "tests/testing/memory_blob_store.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_backup.h"
#include "tests/testing/test_store.h"

namespace holdfast {
namespace {

using repository::v1::FileEntry;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// "collection/id" and content.
using Documents = std::map<std::string, std::string>;

std::string CollectionOf(const std::string& document) {
  return document.substr(0, document.find('/'));
}

// A report as it is read.
struct Report {
  std::vector<agent::v1::DamagedFile> files;
  std::vector<agent::v1::KeyGap> gaps;
  std::map<std::string, agent::v1::UnprovenDocument> unproven;  // by "collection/id"
  std::map<std::string, agent::v1::SalvagedCollection> collections;
  agent::v1::SalvageSummary summary;
};

class SalvagerTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(store_, TestStore::Open(dir_.Path("store"), master_key_));
  }

  std::string Noise(SeededRandom& random, size_t size) {
    std::string noise(size, '\0');
    random.Fill(absl::MakeSpan(reinterpret_cast<uint8_t*>(noise.data()), noise.size()));
    return noise;
  }

  // Writes, overwrites and deletes; flushes and compacts now and then.
  void WriteMuch(SeededRandom& random, int count) {
    for (int i = 0; i < count; ++i) {
      const std::string collection = absl::StrCat("c", random.Uniform(5));
      const std::string id = absl::StrCat(random.Uniform(300));
      if (random.Uniform(5) == 0) {
        store_->Delete(collection, id).IgnoreError();
      } else {
        ASSERT_OK(store_->Put(collection, id, Noise(random, 100 + random.Uniform(1500))));
      }
      if (random.Uniform(80) == 0) {
        ASSERT_OK(store_->Flush());
      }
      if (random.Uniform(250) == 0) Compact();
    }
  }

  void Compact() {
    for (rocksdb::ColumnFamilyHandle* family :
         {store_->database().documents(), store_->database().metadata()}) {
      ASSERT_TRUE(store_->database().db().CompactRange({}, family, nullptr, nullptr).ok());
    }
  }

  void TakeBackup(std::map<std::string, std::string> instance_files = {}) {
    ++ordinal_;
    ASSERT_OK_AND_ASSIGN(truth_, store_->ReadAll());
    ASSERT_OK_AND_ASSIGN(
        manifest_,
        MakeTestBackup(blobs_, *store_, master_key_,
                       {.ordinal = ordinal_,
                        .previous_backup_id = ordinal_ == 1 ? "" : manifest_.summary.backup_id(),
                        .instance_files = std::move(instance_files)}));
    ASSERT_OK_AND_ASSIGN(store_id_, StoreId::FromBytes(manifest_.summary.store_id()));
  }

  // The path of the object that a file lies in.
  std::string ObjectOf(const FileEntry& file) const {
    return ObjectPath(
        store_id_,
        manifest_.files.objects(static_cast<int>(file.extents(0).object_index())).name());
  }
  std::vector<std::string> Objects() const {
    std::vector<std::string> paths;
    for (const auto& object : manifest_.files.objects()) {
      paths.push_back(ObjectPath(store_id_, object.name()));
    }
    return paths;
  }
  // The objects of files of a kind; of tables only those of a column family.
  std::vector<std::string> ObjectsOf(FileEntry::Kind kind, const std::string& family = "") {
    std::vector<std::string> paths;
    for (const FileEntry& file : manifest_.files.files()) {
      if (file.kind() != kind || file.extents().empty()) continue;
      if (!family.empty()) {
        const auto files = store_->ReadLiveFiles();
        EXPECT_OK(files);
        const auto content = files->find(file.name());
        if (content == files->end()) continue;
        const auto table = TableReader::OpenBytes(content->second, file.name());
        EXPECT_OK(table);
        if ((*table)->column_family() != family) continue;
      }
      paths.push_back(ObjectOf(file));
    }
    return paths;
  }

  absl::StatusOr<SalvageResult> Salvage(const RestoreOptions& options = {}) {
    std::filesystem::remove_all(Target());
    HOLDFAST_ASSIGN_OR_RETURN(
        const auto restorer,
        Restorer::Open(blobs_, master_key_, {.backup_id = manifest_.summary.backup_id()}));
    return restorer->SalvageTo(Target(), options, cancellation_.token());
  }
  std::string Target() const { return dir_.Path("target"); }

  Report ReadReport() const {
    Report report;
    std::ifstream file(absl::StrCat(Target(), "/", kSalvageReportName));
    std::string text;
    bool is_first = true;
    while (std::getline(file, text)) {
      agent::v1::Line line;
      EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(text, &line).ok()) << text;
      EXPECT_EQ(line.has_backup(), is_first);
      is_first = false;
      EXPECT_FALSE(report.summary.document_count() > 0) << "the summary is last";
      if (line.has_file()) report.files.push_back(line.file());
      if (line.has_gap()) report.gaps.push_back(line.gap());
      if (line.has_document()) {
        const auto& document = line.document();
        const std::string name = absl::StrCat(document.collection(), "/", document.id());
        EXPECT_TRUE(report.unproven.emplace(name, document).second) << name;
      }
      if (line.has_collection()) {
        report.collections[line.collection().collection()] = line.collection();
      }
      if (line.has_summary()) report.summary = line.summary();
    }
    return report;
  }

  // Serves what was salvaged, as a store would once it was accepted.
  absl::StatusOr<Documents> AcceptAndRead(bool is_whole) {
    if (is_whole) {
      EXPECT_OK(DataDirectory::Open(Target(), master_key_));
    } else {
      EXPECT_THAT(DataDirectory::Open(Target(), master_key_),
                  StatusIs(absl::StatusCode::kFailedPrecondition,
                           AllOf(HasSubstr("salvaged"), HasSubstr("--accept-salvaged"))));
      HOLDFAST_RETURN_IF_ERROR(DataDirectory::AcceptSalvaged(Target()).status());
    }
    HOLDFAST_ASSIGN_OR_RETURN(const auto store, TestStore::Open(Target(), master_key_));
    HOLDFAST_RETURN_IF_ERROR(store->Verify());
    EXPECT_GT(store->revision(), manifest_.summary.revision());
    return store->ReadAll();
  }

  // Salvages, and checks all that a salvage promises against what the store had.
  SalvageResult SalvageAndCheck() {
    const absl::StatusOr<SalvageResult> result = Salvage();
    EXPECT_OK(result);
    if (!result.ok()) return {};
    const Report report = ReadReport();
    const agent::v1::SalvageSummary& summary = result->summary;
    EXPECT_EQ(summary.SerializeAsString(), report.summary.SerializeAsString());
    const absl::StatusOr<Documents> brought = AcceptAndRead(summary.whole());
    EXPECT_OK(brought);
    if (!brought.ok()) return {};
    EXPECT_EQ(brought->size(), result->documents_brought_back);

    // All that is brought and not listed is proven: it must be what the store had.
    std::map<std::string, uint64_t> proven;
    uint64_t proven_count = 0;
    for (const auto& [name, content] : *brought) {
      if (report.unproven.count(name) > 0) continue;
      ++proven_count;
      ++proven[CollectionOf(name)];
      const auto had = truth_.find(name);
      EXPECT_TRUE(had != truth_.end()) << name << " was deleted, and is called proven";
      if (had != truth_.end()) {
        EXPECT_TRUE(had->second == content) << name;
      }
    }
    EXPECT_EQ(proven_count, summary.proven());
    for (const auto& [name, document] : report.unproven) {
      EXPECT_EQ(brought->count(name), document.brought_back() ? 1u : 0u) << name;
    }
    EXPECT_EQ(report.unproven.size(), summary.unproven());

    // Every document that the store had is proven, listed or counted.
    std::map<std::string, uint64_t> had_count;
    std::map<std::string, uint64_t> nameless;
    uint64_t nameless_count = 0;
    for (const auto& [name, content] : truth_) {
      ++had_count[CollectionOf(name)];
      if (report.unproven.count(name) > 0 || brought->count(name) > 0) continue;
      ++nameless[CollectionOf(name)];
      ++nameless_count;
    }
    EXPECT_EQ(summary.document_count(), truth_.size());
    EXPECT_EQ(summary.lost_at_most(), truth_.size() - proven_count);
    EXPECT_LE(summary.lost_at_least(), nameless_count);
    EXPECT_GE(summary.lost_at_most(), nameless_count);
    for (const auto& [name, collection] : report.collections) {
      EXPECT_EQ(collection.proven(), proven[name]) << name;
      if (!collection.count_known()) continue;
      EXPECT_EQ(collection.document_count(), had_count[name]) << name;
      EXPECT_EQ(collection.lost_at_most(), had_count[name] - proven[name]) << name;
      EXPECT_LE(collection.lost_at_least(), nameless[name]) << name;
      EXPECT_GE(collection.lost_at_most(), nameless[name]) << name;
    }
    if (summary.whole()) {
      EXPECT_TRUE(*brought == truth_);
    }
    return *result;
  }

  TempDir dir_;
  MemoryBlobStore blobs_;
  const MasterKey master_key_ = MasterKey::Generate();
  CancellationSource cancellation_;
  std::unique_ptr<TestStore> store_;
  uint64_t ordinal_ = 0;
  Manifest manifest_;
  StoreId store_id_;
  Documents truth_;
};

// What is called proven is what the store had, whatever is damaged; nothing is unaccounted for.
TEST_F(SalvagerTest, NeverCallsProvenWhatIsNot) {
  SeededRandom random;
  uint64_t proven = 0;
  uint64_t unproven = 0;
  uint64_t lost = 0;
  int whole = 0;
  for (int round = 0; round < 5; ++round) {
    WriteMuch(random, 500);
    TakeBackup();
    for (int i = 0; i < 16; ++i) {
      std::vector<std::pair<std::string, std::string>> originals;
      const std::vector<std::string> objects = Objects();
      std::string what = absl::StrCat("seed ", random.seed(), ":");
      const uint64_t damages = 1 + random.Uniform(2);
      for (uint64_t d = 0; d < damages; ++d) {
        const std::string& path = objects[random.Uniform(objects.size())];
        if (std::any_of(originals.begin(), originals.end(),
                        [&](const auto& original) { return original.first == path; })) {
          continue;
        }
        std::string bytes = blobs_.Read(path);
        originals.emplace_back(path, bytes);
        const uint64_t kind = random.Uniform(4);
        const uint64_t at = random.Uniform(bytes.size());
        absl::StrAppend(&what, " ", path, " ", kind, " at ", at, ";");
        if (kind == 0) {
          blobs_.Remove(path);
        } else if (kind == 1) {
          blobs_.Write(path, bytes.substr(0, at));
        } else {
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.Uniform(8)));
          blobs_.Write(path, bytes);
        }
      }
      SCOPED_TRACE(what);
      const SalvageResult result = SalvageAndCheck();
      proven += result.summary.proven();
      unproven += result.summary.unproven();
      lost += result.summary.lost_at_least();
      whole += result.summary.whole() ? 1 : 0;
      for (const auto& [path, bytes] : originals) blobs_.Write(path, bytes);
    }
  }
  EXPECT_GT(proven, 10'000u);
  EXPECT_GT(unproven, 1'000u);
  EXPECT_GT(lost, 100u);
  EXPECT_GT(whole, 0);
}

TEST_F(SalvagerTest, OneFlippedByteCostsAFewDocuments) {
  SeededRandom random(1);
  for (int i = 0; i < 2000; ++i) {
    ASSERT_OK(store_->Put("c", absl::StrCat(10'000 + i), Noise(random, 1000)));
  }
  ASSERT_OK(store_->Flush());
  Compact();
  TakeBackup({{"etc/app.conf", "x"}});
  const std::vector<std::string> tables = ObjectsOf(FileEntry::KIND_TABLE, kDocumentsFamily);
  ASSERT_THAT(tables, SizeIs(1));
  std::string bytes = blobs_.Read(tables[0]);
  ASSERT_GT(bytes.size(), 1'900'000u);
  bytes[bytes.size() / 2] ^= 1;
  blobs_.Write(tables[0], bytes);

  const SalvageResult result = SalvageAndCheck();
  EXPECT_FALSE(result.summary.whole());
  EXPECT_GT(result.summary.proven(), 1'900u);
  EXPECT_LT(result.summary.proven(), 2'000u);
  EXPECT_EQ(result.summary.unproven(), 0u);
  EXPECT_EQ(result.summary.lost_at_least(), 2'000 - result.summary.proven());
  EXPECT_THAT(result.instance_files, ElementsAre("etc/app.conf"));
  EXPECT_THAT(result.damaged_files, ElementsAre(AllOf(HasSubstr(".sst"), HasSubstr("segment"))));
  EXPECT_EQ(std::filesystem::file_size(Target() + "/instance/etc/app.conf"), 1u);
}

TEST_F(SalvagerTest, ProvesAllWhereWhatIsLostHeldNothingCurrent) {
  ASSERT_OK(store_->Put("a", "1", "old"));
  ASSERT_OK(store_->Put("a", "2", "old"));
  ASSERT_OK(store_->Flush());
  TakeBackup();
  const std::vector<std::string> first = ObjectsOf(FileEntry::KIND_TABLE, kDocumentsFamily);
  ASSERT_OK(store_->Put("a", "1", "new"));
  ASSERT_OK(store_->Put("a", "2", "new"));
  ASSERT_OK(store_->Flush());
  TakeBackup();
  const std::vector<std::string> tables = ObjectsOf(FileEntry::KIND_TABLE, kDocumentsFamily);
  ASSERT_THAT(tables, SizeIs(2));
  // The older of the two, as its number is the smaller.
  blobs_.Remove(tables[0]);
  const SalvageResult result = SalvageAndCheck();
  EXPECT_TRUE(result.summary.whole());
  EXPECT_EQ(result.summary.proven(), 2u);
  EXPECT_THAT(ReadReport().files, SizeIs(1)) << "what was damaged is told all the same";
}

TEST_F(SalvagerTest, ALostLogLeavesTheStateBeforeIt) {
  ASSERT_OK(store_->Put("a", "1", "x"));
  ASSERT_OK(store_->Put("a", "2", "x"));
  ASSERT_OK(store_->Flush());
  const uint64_t before = store_->revision();
  ASSERT_OK(store_->Put("a", "2", "y"));
  ASSERT_OK(store_->Delete("a", "1"));
  ASSERT_OK(store_->Put("b", "3", "z"));
  TakeBackup();
  for (const std::string& log : ObjectsOf(FileEntry::KIND_LOG)) blobs_.Remove(log);
  const SalvageResult result = SalvageAndCheck();
  EXPECT_EQ(result.summary.proven(), 0u);
  EXPECT_EQ(result.summary.unproven(), 2u);
  EXPECT_EQ(result.summary.as_of_revision(), before);
  EXPECT_EQ(result.documents_brought_back, 2u);
  EXPECT_EQ(ReadReport().unproven.at("a/1").reason(),
            agent::v1::UnprovenDocument::REASON_MAY_BE_SUPERSEDED);
}

TEST_F(SalvagerTest, WithoutTheManifestTheCountsStillProveWhatIsWhole) {
  SeededRandom random(3);
  WriteMuch(random, 300);
  TakeBackup({{"etc/app.conf", "x"}});
  for (const std::string& bundle : ObjectsOf(FileEntry::KIND_MANIFEST)) blobs_.Remove(bundle);
  const SalvageResult result = SalvageAndCheck();
  EXPECT_EQ(result.summary.proven(), truth_.size());
  EXPECT_EQ(result.summary.instance_files_lost(), 1u);
  EXPECT_FALSE(result.summary.whole()) << "an instance file is missing";
}

TEST_F(SalvagerTest, FindsTheKeyOfTheHashesInAnotherBackup) {
  ASSERT_OK(store_->Put("a", "1", "x"));
  ASSERT_OK(store_->Flush());
  Compact();
  TakeBackup();
  const std::vector<std::string> earlier =
      ObjectsOf(FileEntry::KIND_TABLE, rocksdb::kDefaultColumnFamilyName);
  ASSERT_OK(store_->Put("a", "2", "x"));
  ASSERT_OK(store_->Flush());
  Compact();
  TakeBackup();
  const std::vector<std::string> tables =
      ObjectsOf(FileEntry::KIND_TABLE, rocksdb::kDefaultColumnFamilyName);
  ASSERT_THAT(tables, SizeIs(1));
  blobs_.Remove(tables[0]);
  SalvageResult result = SalvageAndCheck();
  EXPECT_EQ(result.summary.proven(), 2u);
  EXPECT_TRUE(result.summary.whole()) << "with the key the state digest proves all";

  // In no other either: then nothing can be proven, but all comes back.
  for (const std::string& path : earlier) blobs_.Remove(path);
  result = SalvageAndCheck();
  EXPECT_EQ(result.summary.proven(), 0u);
  EXPECT_EQ(result.summary.unproven(), 2u);
  EXPECT_EQ(ReadReport().unproven.at("a/1").reason(),
            agent::v1::UnprovenDocument::REASON_HASH_KEY_LOST);
}

TEST_F(SalvagerTest, DoesNotBringBackWhatIsNotWhatWasWritten) {
  ASSERT_OK(store_->Put("a", "1", "good"));
  ASSERT_OK(store_->Put("a", "2", "good"));
  // As a store with a bad memory would have written it.
  std::string value;
  const std::string key = EncodeDocumentKey("a", "2");
  ASSERT_TRUE(store_->database().db().Get({}, store_->database().documents(), key, &value).ok());
  value.back() ^= 1;
  ASSERT_TRUE(store_->database().db().Put({}, store_->database().documents(), key, value).ok());
  ASSERT_OK(store_->Flush());
  TakeBackup();
  truth_["a/2"] = "good";
  const SalvageResult result = SalvageAndCheck();
  EXPECT_EQ(result.summary.proven(), 1u);
  ASSERT_THAT(ReadReport().unproven, SizeIs(1));
  EXPECT_EQ(ReadReport().unproven.at("a/2").reason(),
            agent::v1::UnprovenDocument::REASON_HASH_DIFFERS);
  EXPECT_EQ(result.documents_brought_back, 1u);
}

TEST_F(SalvagerTest, MakesACopyWithAnIdOfItsOwn) {
  ASSERT_OK(store_->Put("a", "1", "x"));
  TakeBackup();
  for (const std::string& log : ObjectsOf(FileEntry::KIND_LOG)) blobs_.Remove(log);
  ASSERT_OK_AND_ASSIGN(const SalvageResult result, Salvage({.as_new_store = true}));
  EXPECT_NE(result.store_id, store_id_);
  ASSERT_OK(DataDirectory::AcceptSalvaged(Target()));
  ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(Target(), master_key_));
  EXPECT_EQ(store->metadata().store_id(), result.store_id);
}

TEST_F(SalvagerTest, LeavesNothingWhereItIsCancelledOrRefused) {
  ASSERT_OK(store_->Put("a", "1", "x"));
  TakeBackup();
  blobs_.Remove(Objects().front());
  cancellation_.Cancel(absl::CancelledError("enough"));
  EXPECT_THAT(Salvage(), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(DataDirectory::Open(Target(), master_key_), StatusIs(absl::StatusCode::kNotFound));

  std::filesystem::create_directories(Target());
  WriteRaw(Target() + "/mine", "x");
  ASSERT_OK_AND_ASSIGN(const auto restorer, Restorer::Open(blobs_, master_key_, {}));
  EXPECT_THAT(restorer->SalvageTo(Target(), {}, {}), StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST_F(SalvagerTest, IsAcceptedOnceAndForAll) {
  EXPECT_THAT(DataDirectory::AcceptSalvaged(Target()), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(DataDirectory::AcceptSalvaged(dir_.Path("store")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not salvaged")));
  ASSERT_OK(store_->Put("a", "1", "x"));
  TakeBackup();
  for (const std::string& log : ObjectsOf(FileEntry::KIND_LOG)) blobs_.Remove(log);
  ASSERT_OK(Salvage());
  // Neither another restore nor another salvage touches it.
  ASSERT_OK_AND_ASSIGN(const auto restorer, Restorer::Open(blobs_, master_key_, {}));
  EXPECT_THAT(restorer->SalvageTo(Target(), {}, {}), StatusIs(absl::StatusCode::kAlreadyExists));
  ASSERT_OK_AND_ASSIGN(const auto state, DataDirectory::AcceptSalvaged(Target()));
  EXPECT_EQ(state.salvage().document_count(), 1u);
  EXPECT_EQ(state.salvage().proven_count(), 0u);
  EXPECT_OK(DataDirectory::AcceptSalvaged(Target()));
  EXPECT_OK(DataDirectory::Open(Target(), master_key_));
}

}  // namespace
}  // namespace holdfast
