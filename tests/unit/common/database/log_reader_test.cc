#include "common/database/log_reader.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/database/database.h"
#include "common/database/document_record.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rocksdb/write_batch.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_store.h"

namespace holdfast {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class LogReaderTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(store_, TestStore::Open(dir_.Path("store"), master_key_));
    // The log of the creation is no longer needed.
    ASSERT_OK(store_->Flush());
  }

  // The newest log, in the clear.
  std::string Log() {
    std::string log;
    const auto files = store_->ReadLiveFiles();
    EXPECT_OK(files);
    for (const auto& [name, content] : *files) {
      if (name.size() > 4 && name.substr(name.size() - 4) == ".log") log = content;
    }
    return log;
  }

  TempDir dir_;
  const MasterKey master_key_ = MasterKey::Generate();
  std::unique_ptr<TestStore> store_;
};

TEST_F(LogReaderTest, YieldsEveryEntryWithItsSequenceNumber) {
  const uint64_t before = store_->database().db().GetLatestSequenceNumber();
  ASSERT_OK(store_->Put("a", "1", "x"));
  ASSERT_OK(store_->Delete("a", "1"));
  ASSERT_OK_AND_ASSIGN(const LogContent content, ReadLog(Log()));
  EXPECT_TRUE(content.is_complete);
  // Each batch: the document, the head, the collection.
  ASSERT_THAT(content.entries, SizeIs(6));
  for (size_t i = 0; i < content.entries.size(); ++i) {
    EXPECT_EQ(content.entries[i].sequence, before + 1 + i);
  }
  EXPECT_EQ(content.entries[0].key, EncodeDocumentKey("a", "1"));
  EXPECT_EQ(content.entries[0].kind, DatabaseEntry::Kind::kPut);
  EXPECT_EQ(DecodeDocumentRecord(content.entries[0].value)->content, "x");
  EXPECT_EQ(content.entries[0].column_family_id, store_->database().documents()->GetID());
  EXPECT_EQ(content.entries[1].column_family_id, 0u);
  EXPECT_EQ(content.entries[3].kind, DatabaseEntry::Kind::kDelete);
}

TEST_F(LogReaderTest, ReadsRecordsThatSpanBlocksAndKnowsWhereACutLogEnds) {
  for (int i = 0; i < 40; ++i) {
    ASSERT_OK(store_->Put("a", absl::StrCat(i), std::string(static_cast<size_t>(i) * 3000, 'x')));
  }
  const std::string log = Log();
  ASSERT_OK_AND_ASSIGN(const LogContent all, ReadLog(log));
  EXPECT_TRUE(all.is_complete);
  ASSERT_THAT(all.entries, SizeIs(120));
  size_t complete = 0;
  for (size_t size = 0; size < log.size(); size += 1 + size / 50) {
    ASSERT_OK_AND_ASSIGN(const LogContent cut, ReadLog(log.substr(0, size)));
    EXPECT_EQ(cut.entries.size() % 3, 0u) << "a batch counts as a whole or not at all";
    for (size_t i = 0; i < cut.entries.size(); ++i) {
      EXPECT_EQ(cut.entries[i].key, all.entries[i].key);
      EXPECT_EQ(cut.entries[i].value, all.entries[i].value);
    }
    complete += cut.is_complete ? 1 : 0;
  }
  EXPECT_LT(complete, 4u) << "hardly any cut is between two records";
  ASSERT_OK_AND_ASSIGN(const LogContent nothing, ReadLog(""));
  EXPECT_TRUE(nothing.is_complete);
  EXPECT_THAT(nothing.entries, IsEmpty());
}

TEST_F(LogReaderTest, StopsAtTheFirstDamagedRecord) {
  for (int i = 0; i < 10; ++i) ASSERT_OK(store_->Put("a", absl::StrCat(i), "content"));
  std::string log = Log();
  log[log.size() / 2] ^= 1;
  ASSERT_OK_AND_ASSIGN(const LogContent content, ReadLog(log));
  EXPECT_FALSE(content.is_complete);
  EXPECT_GT(content.entries.size(), 3u);
  EXPECT_LT(content.entries.size(), 27u);
}

TEST_F(LogReaderTest, RefusesWhatItDoesNotKnow) {
  rocksdb::WriteBatch batch;
  ASSERT_TRUE(batch.DeleteRange(store_->database().documents(), "a", "b").ok());
  ASSERT_TRUE(store_->database().db().Write({}, &batch).ok());
  EXPECT_THAT(ReadLog(Log()), StatusIs(absl::StatusCode::kUnimplemented));
}

}  // namespace
}  // namespace holdfast
