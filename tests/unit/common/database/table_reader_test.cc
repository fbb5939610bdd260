#include "common/database/table_reader.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/byte_range.h"
#include "common/database/database.h"
#include "common/database/document_record.h"
#include "common/io/path.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rocksdb/metadata.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_store.h"

namespace holdfast {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// An entry as a test compares it.
using Entry = std::tuple<std::string, uint64_t, DatabaseEntry::Kind, std::string>;

class TableReaderTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(store_, TestStore::Open(dir_.Path("store"), master_key_));
  }

  std::string Noise(size_t size) {
    std::string noise(size, '\0');
    random_.Fill(absl::MakeSpan(reinterpret_cast<uint8_t*>(noise.data()), noise.size()));
    return noise;
  }

  // The tables of the documents.
  std::vector<rocksdb::LiveFileMetaData> Tables() {
    std::vector<rocksdb::LiveFileMetaData> tables;
    store_->database().db().GetLiveFilesMetaData(&tables);
    tables.erase(std::remove_if(tables.begin(), tables.end(),
                                [](const rocksdb::LiveFileMetaData& table) {
                                  return table.column_family_name != kDocumentsFamily;
                                }),
                 tables.end());
    return tables;
  }

  absl::StatusOr<std::unique_ptr<TableReader>> Open(const rocksdb::LiveFileMetaData& table,
                                                    std::vector<ByteRange> lost = {}) {
    return TableReader::Open(store_->directory().env(),
                             absl::StrCat(store_->directory().database_path(), table.name),
                             std::move(lost));
  }

  static std::vector<Entry> ReadAll(TableReader& table) {
    std::vector<Entry> entries;
    TableReader::Cursor cursor(table);
    EXPECT_OK(cursor.Begin());
    while (cursor.valid()) {
      const DatabaseEntry& entry = cursor.entry();
      entries.emplace_back(entry.key, entry.sequence, entry.kind, entry.value);
      EXPECT_OK(cursor.Next());
    }
    return entries;
  }

  void Compact() {
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    ASSERT_TRUE(store_->database()
                    .db()
                    .CompactRange(options, store_->database().documents(), nullptr, nullptr)
                    .ok());
  }

  TempDir dir_;
  SeededRandom random_{7};
  const MasterKey master_key_ = MasterKey::Generate();
  std::unique_ptr<TestStore> store_;
};

TEST_F(TableReaderTest, ReadsWritesAndDeletionsWithTheirSequenceNumbers) {
  ASSERT_OK(store_->Put("a", "1", "first"));
  ASSERT_OK(store_->Put("a", "2", "second"));
  ASSERT_OK(store_->Flush());
  const uint64_t before = store_->database().db().GetLatestSequenceNumber();
  ASSERT_OK(store_->Put("a", "1", "third"));
  ASSERT_OK(store_->Delete("a", "2"));
  ASSERT_OK(store_->Flush());

  const std::vector<rocksdb::LiveFileMetaData> tables = Tables();
  ASSERT_EQ(tables.size(), 2u);
  const auto& newer = tables[0].largest_seqno > before ? tables[0] : tables[1];
  ASSERT_OK_AND_ASSIGN(const auto table, Open(newer));
  EXPECT_EQ(table->column_family(), kDocumentsFamily);
  EXPECT_EQ(table->entry_count(), 2u);
  EXPECT_THAT(table->lost_keys(), IsEmpty());
  const std::vector<Entry> entries = ReadAll(*table);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(std::get<0>(entries[0]), EncodeDocumentKey("a", "1"));
  EXPECT_GT(std::get<1>(entries[0]), before);
  EXPECT_EQ(std::get<2>(entries[0]), DatabaseEntry::Kind::kPut);
  EXPECT_EQ(DecodeDocumentRecord(std::get<3>(entries[0]))->content, "third");
  EXPECT_EQ(std::get<0>(entries[1]), EncodeDocumentKey("a", "2"));
  EXPECT_GT(std::get<1>(entries[1]), std::get<1>(entries[0]));
  EXPECT_EQ(std::get<2>(entries[1]), DatabaseEntry::Kind::kDelete);
}

// Of every shape of table that the store writes: many blocks, compressed and not, at all levels.
TEST_F(TableReaderTest, ReadsWhatRocksDbReads) {
  for (int i = 0; i < 600; ++i) {
    // Text that compresses, bytes that do not, and values larger than a block.
    const std::string content = i % 3 == 0   ? std::string(500, 'x')
                                : i % 3 == 1 ? Noise(700)
                                             : absl::StrCat(Noise(30'000), std::string(9000, 'y'));
    ASSERT_OK(store_->Put(i % 2 == 0 ? "even" : "odd", absl::StrCat(i), content));
  }
  for (const bool is_compacted : {false, true}) {
    if (is_compacted) {
      Compact();
    } else {
      ASSERT_OK(store_->Flush());
    }
    std::map<std::string, std::string> found;
    for (const rocksdb::LiveFileMetaData& info : Tables()) {
      ASSERT_OK_AND_ASSIGN(const auto table, Open(info));
      const std::vector<Entry> entries = ReadAll(*table);
      EXPECT_EQ(entries.size(), info.num_entries);
      EXPECT_EQ(std::get<0>(entries.front()), info.smallestkey);
      EXPECT_EQ(std::get<0>(entries.back()), info.largestkey);
      for (const auto& [key, sequence, kind, value] : entries) {
        EXPECT_LE(sequence, info.largest_seqno);
        found.emplace(key, value);
      }
    }
    size_t count = 0;
    const std::unique_ptr<rocksdb::Iterator> expected(
        store_->database().db().NewIterator({}, store_->database().documents()));
    for (expected->SeekToFirst(); expected->Valid(); expected->Next(), ++count) {
      ASSERT_EQ(found[expected->key().ToString()], expected->value().ToString());
    }
    EXPECT_EQ(found.size(), count);
  }
}

// Whatever range is lost: what is read is a part of what was there, and all that is not read lies
// within the keys that are told.
TEST_F(TableReaderTest, TellsWhichKeysMayBeLost) {
  for (int i = 0; i < 2000; ++i) {
    ASSERT_OK(store_->Put("c", absl::StrCat(1000 + i % 700), Noise(200)));
    if (i == 1000) {
      ASSERT_OK(store_->Delete("c", "1003"));
    }
  }
  ASSERT_OK(store_->Flush());
  for (const rocksdb::LiveFileMetaData& info : Tables()) {
    ASSERT_OK_AND_ASSIGN(const auto whole, Open(info));
    const std::vector<Entry> all = ReadAll(*whole);
    int partly = 0;
    for (int i = 0; i < 200; ++i) {
      const uint64_t offset = random_.Uniform(info.size);
      const uint64_t size = 1 + random_.Uniform(std::min<uint64_t>(40'000, info.size - offset));
      const auto table = Open(info, {{.offset = offset, .size_bytes = size}});
      if (!table.ok()) {
        EXPECT_THAT(table, StatusIs(absl::StatusCode::kDataLoss));
        continue;
      }
      const std::vector<Entry> left = ReadAll(**table);
      partly += left.size() < all.size() ? 1 : 0;
      size_t next = 0;
      for (const Entry& entry : all) {
        if (next < left.size() && left[next] == entry) {
          ++next;
          continue;
        }
        const std::string& key = std::get<0>(entry);
        EXPECT_TRUE(std::any_of((*table)->lost_keys().begin(), (*table)->lost_keys().end(),
                                [&](const TableReader::LostKeys& lost) {
                                  const bool is_above = !lost.has_after || lost.after < key ||
                                                        (lost.includes_after && lost.after == key);
                                  return is_above && key <= lost.up_to;
                                }))
            << key;
      }
      EXPECT_EQ(next, left.size()) << "it read what was not there";
    }
    EXPECT_GT(partly, 50);
  }
}

TEST_F(TableReaderTest, FindsDamageThatNobodyToldOf) {
  for (int i = 0; i < 100; ++i) ASSERT_OK(store_->Put("c", absl::StrCat(i), Noise(300)));
  ASSERT_OK(store_->Flush());
  const rocksdb::LiveFileMetaData info = Tables().front();
  std::string bytes;
  ASSERT_TRUE(rocksdb::ReadFileToString(
                  store_->directory().env(),
                  absl::StrCat(store_->directory().database_path(), info.name), &bytes)
                  .ok());
  ASSERT_OK_AND_ASSIGN(const auto whole, TableReader::OpenBytes(bytes, "whole"));
  const std::vector<Entry> all = ReadAll(*whole);
  for (size_t offset = 0; offset < bytes.size(); offset += 97) {
    std::string damaged = bytes;
    damaged[offset] = static_cast<char>(damaged[offset] ^ 4);
    const auto table = TableReader::OpenBytes(damaged, "damaged");
    if (!table.ok()) continue;
    TableReader::Cursor cursor(**table);
    absl::Status status = cursor.Begin();
    std::vector<Entry> read;
    while (status.ok() && cursor.valid()) {
      const DatabaseEntry& entry = cursor.entry();
      read.emplace_back(entry.key, entry.sequence, entry.kind, entry.value);
      status = cursor.Next();
    }
    // A filter is not read, so damage to it does no harm; all else is found.
    if (status.ok()) {
      EXPECT_EQ(read, all) << offset;
    }
  }
  EXPECT_THAT(TableReader::OpenBytes(bytes.substr(0, bytes.size() - 1), "cut"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("cut")));
  EXPECT_THAT(TableReader::OpenBytes("short", "short"), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace holdfast
