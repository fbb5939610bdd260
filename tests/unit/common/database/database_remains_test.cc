#include "common/database/database_remains.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/database/database.h"
#include "common/database/document_record.h"
#include "common/io/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rocksdb/env.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_store.h"

namespace holdfast {
namespace {

using State = RemainingFile::State;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// What is known of a key: its newest entry, and whether a newer one may be lost.
struct Known {
  uint64_t sequence = 0;
  DatabaseEntry::Kind kind = DatabaseEntry::Kind::kPut;
  std::string value;
  bool is_certain = false;
};
using Keys = std::map<std::string, Known>;

class DatabaseRemainsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(store_, TestStore::Open(dir_.Path("store"), master_key_));
  }

  // Writes, overwrites and deletes; flushes and compacts now and then.
  void WriteMuch(SeededRandom& random, int count) {
    for (int i = 0; i < count; ++i) {
      const std::string id = absl::StrCat(random.Uniform(200));
      const std::string collection = absl::StrCat("c", random.Uniform(4));
      if (random.Uniform(5) == 0) {
        store_->Delete(collection, id).IgnoreError();
      } else {
        std::string content(20 + random.Uniform(800), '\0');
        random.Fill(absl::MakeSpan(reinterpret_cast<uint8_t*>(content.data()), content.size()));
        ASSERT_OK(store_->Put(collection, id, content));
      }
      if (random.Uniform(60) == 0) {
        ASSERT_OK(store_->Flush());
      }
      if (random.Uniform(150) == 0) Compact(absl::StrCat("c", random.Uniform(4)));
    }
  }

  void Compact(const std::string& collection) {
    const std::string begin = DocumentKeyPrefix(collection);
    const std::string end = DocumentKeyEnd(collection);
    const rocksdb::Slice from(begin);
    const rocksdb::Slice to(end);
    ASSERT_TRUE(
        store_->database().db().CompactRange({}, store_->database().documents(), &from, &to).ok());
  }

  // Puts the files of the database into a folder of their own.
  std::vector<RemainingFile> TakeFiles() {
    const auto files = store_->ReadLiveFiles();
    EXPECT_OK(files);
    folder_ = dir_.Path(absl::StrCat("files", ++folders_));
    EXPECT_OK(MakeDirectories(folder_));
    contents_ = *files;
    std::vector<RemainingFile> remaining;
    for (const auto& [name, content] : contents_) {
      WriteFile(name, content);
      remaining.emplace_back().name = name;
    }
    return remaining;
  }
  void WriteFile(const std::string& name, const std::string& content) {
    const std::string path = absl::StrCat(folder_, "/", name);
    RemoveFile(path).IgnoreError();
    EXPECT_TRUE(rocksdb::WriteStringToFile(store_->directory().env(), content, path, false).ok());
  }

  // Loses a file, or a part of it.
  void Damage(RemainingFile& file, SeededRandom& random) {
    const std::string& content = contents_[file.name];
    const bool is_table = absl::EndsWith(file.name, ".sst");
    const bool is_log = absl::EndsWith(file.name, ".log");
    if (is_table && !content.empty() && random.Uniform(3) > 0) {
      const uint64_t offset = random.Uniform(content.size());
      const uint64_t size = 1 + random.Uniform(std::min<uint64_t>(20'000, content.size() - offset));
      file.state = State::kPartly;
      file.lost = {{.offset = offset, .size_bytes = size}};
      std::string zeroed = content;
      std::fill_n(zeroed.begin() + static_cast<std::ptrdiff_t>(offset), size, '\0');
      WriteFile(file.name, zeroed);
    } else if (is_log && !content.empty() && random.Uniform(2) == 0) {
      file.state = State::kPartly;
      WriteFile(file.name, content.substr(0, random.Uniform(content.size())));
    } else {
      file.state = State::kLost;
      RemoveFile(absl::StrCat(folder_, "/", file.name)).IgnoreError();
    }
  }

  absl::StatusOr<Keys> ReadKeys(const std::vector<RemainingFile>& files,
                                const std::string& family = kDocumentsFamily) {
    RemoveTree(absl::StrCat(folder_, "/tables")).IgnoreError();
    HOLDFAST_ASSIGN_OR_RETURN(remains_,
                              DatabaseRemains::Open(store_->directory().env(), folder_, files));
    Keys keys;
    HOLDFAST_RETURN_IF_ERROR(remains_->Visit(family, [&](const DatabaseRemains::Found& found) {
      const DatabaseEntry& entry = found.entry;
      const bool is_new =
          keys.emplace(std::string(entry.key), Known{.sequence = entry.sequence,
                                                     .kind = entry.kind,
                                                     .value = std::string(entry.value),
                                                     .is_certain = found.gap == nullptr})
              .second;
      EXPECT_TRUE(is_new) << "each key comes once";
      return absl::OkStatus();
    }));
    return keys;
  }

  TempDir dir_;
  const MasterKey master_key_ = MasterKey::Generate();
  std::unique_ptr<TestStore> store_;
  std::map<std::string, std::string> contents_;
  std::string folder_;
  int folders_ = 0;
  std::unique_ptr<DatabaseRemains> remains_;
};

TEST_F(DatabaseRemainsTest, OfAllFilesAreWhatTheDatabaseHolds) {
  SeededRandom random;
  WriteMuch(random, 800);
  std::vector<RemainingFile> files = TakeFiles();
  for (const bool has_manifest : {true, false}) {
    if (!has_manifest) {
      for (RemainingFile& file : files) {
        if (absl::StartsWith(file.name, "MANIFEST-")) file.state = State::kLost;
      }
    }
    ASSERT_OK_AND_ASSIGN(const Keys keys, ReadKeys(files));
    EXPECT_EQ(remains_->has_manifest(), has_manifest);
    EXPECT_THAT(remains_->gaps(), IsEmpty());
    std::map<std::string, std::string> found;
    for (const auto& [key, known] : keys) {
      EXPECT_TRUE(known.is_certain);
      if (known.kind == DatabaseEntry::Kind::kPut) found.emplace(key, known.value);
    }
    std::map<std::string, std::string> expected;
    const std::unique_ptr<rocksdb::Iterator> entries(
        store_->database().db().NewIterator({}, store_->database().documents()));
    for (entries->SeekToFirst(); entries->Valid(); entries->Next()) {
      expected.emplace(entries->key().ToString(), entries->value().ToString());
    }
    EXPECT_TRUE(found == expected);
  }
}

// The heart of it: whatever is lost, what is called certain is what the database held.
TEST_F(DatabaseRemainsTest, CallNothingCertainThatIsNot) {
  SeededRandom random;
  int certain = 0;
  int uncertain = 0;
  for (int round = 0; round < 4; ++round) {
    WriteMuch(random, 400);
    std::vector<RemainingFile> whole = TakeFiles();
    ASSERT_OK_AND_ASSIGN(const Keys truth, ReadKeys(whole));
    for (int i = 0; i < 40; ++i) {
      std::vector<RemainingFile> files = whole;
      for (const auto& [name, content] : contents_) WriteFile(name, content);
      std::string damaged;
      const uint64_t damage_count = 1 + random.Uniform(3);
      for (uint64_t d = 0; d < damage_count; ++d) {
        RemainingFile& file = files[random.Uniform(files.size())];
        if (file.state != State::kWhole || contents_[file.name].empty()) continue;
        Damage(file, random);
        absl::StrAppend(&damaged, file.name, " ");
      }
      SCOPED_TRACE(absl::StrCat("seed ", random.seed(), ", lost: ", damaged));
      ASSERT_OK_AND_ASSIGN(const Keys left, ReadKeys(files));
      for (const auto& [key, known] : left) {
        const auto was = truth.find(key);
        if (!known.is_certain) {
          ++uncertain;
          continue;
        }
        ++certain;
        // A deletion that nothing needs any more may be forgotten together with what it deleted.
        if (was == truth.end()) {
          FAIL() << key << " was deleted and forgotten, and now it is called certain";
        }
        ASSERT_EQ(known.kind, was->second.kind) << key;
        ASSERT_EQ(known.value, was->second.value) << key;
      }
      for (const auto& [key, was] : truth) {
        if (left.count(key) > 0) continue;
        // What is not found must lie in a gap.
        ASSERT_TRUE(std::any_of(remains_->gaps().begin(), remains_->gaps().end(),
                                [&, &key = key](const Gap& gap) { return gap.Covers(key); }))
            << key;
      }
    }
  }
  EXPECT_GT(certain, 1000);
  EXPECT_GT(uncertain, 1000);
}

TEST_F(DatabaseRemainsTest, LoseNothingThatAnOlderTableHeldAlone) {
  ASSERT_OK(store_->Put("a", "old", "1"));
  ASSERT_OK(store_->Put("a", "both", "1"));
  ASSERT_OK(store_->Flush());
  ASSERT_OK(store_->Put("a", "both", "2"));
  ASSERT_OK(store_->Put("z", "new", "1"));
  ASSERT_OK(store_->Flush());
  std::vector<RemainingFile> files = TakeFiles();
  // The documents' tables, the older first.
  std::vector<RemainingFile*> tables;
  for (RemainingFile& file : files) {
    if (!absl::EndsWith(file.name, ".sst")) continue;
    ASSERT_OK_AND_ASSIGN(const auto table, TableReader::OpenBytes(contents_[file.name], file.name));
    if (table->column_family() == kDocumentsFamily) tables.push_back(&file);
  }
  ASSERT_THAT(tables, SizeIs(2));

  tables[0]->state = State::kLost;
  ASSERT_OK_AND_ASSIGN(Keys keys, ReadKeys(files));
  EXPECT_THAT(keys, SizeIs(2));
  EXPECT_TRUE(keys[EncodeDocumentKey("a", "both")].is_certain) << "what is lost is older";
  EXPECT_TRUE(keys[EncodeDocumentKey("z", "new")].is_certain);

  tables[0]->state = State::kWhole;
  tables[1]->state = State::kLost;
  ASSERT_OK_AND_ASSIGN(keys, ReadKeys(files));
  EXPECT_FALSE(keys[EncodeDocumentKey("a", "both")].is_certain);
  // Within the keys of the lost table nobody knows.
  EXPECT_FALSE(keys[EncodeDocumentKey("a", "old")].is_certain);
  ASSERT_THAT(remains_->gaps(), SizeIs(1));
  EXPECT_EQ(remains_->gaps()[0].smallest, EncodeDocumentKey("a", "both"));
  EXPECT_EQ(remains_->gaps()[0].largest, EncodeDocumentKey("z", "new"));
}

TEST_F(DatabaseRemainsTest, ALostLogMakesAllUncertainButWhatCameLater) {
  ASSERT_OK(store_->Put("a", "1", "x"));
  ASSERT_OK(store_->Flush());
  ASSERT_OK(store_->Put("a", "2", "x"));
  std::vector<RemainingFile> files = TakeFiles();
  for (RemainingFile& file : files) {
    if (absl::EndsWith(file.name, ".log") && !contents_[file.name].empty()) {
      file.state = State::kLost;
    }
  }
  ASSERT_OK_AND_ASSIGN(Keys keys, ReadKeys(files));
  EXPECT_FALSE(keys[EncodeDocumentKey("a", "1")].is_certain);
  EXPECT_EQ(keys.count(EncodeDocumentKey("a", "2")), 0u);
}

}  // namespace
}  // namespace holdfast
