#include "backup-agent/restore/extent_reader.h"

#include <memory>
#include <string>

#include "common/repository/object_writer.h"
#include "common/repository/repository.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fault_blob_store.h"
#include "tests/testing/memory_blob_store.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using repository::v1::Extent;
using repository::v1::FileList;
using repository::v1::ObjectEntry;

constexpr absl::Time kNow = absl::FromUnixSeconds(1'795'372'500);

class ExtentReaderTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Create(blobs_, kNow));
    ASSERT_OK_AND_ASSIGN(
        store_, repository.OpenOrCreateStore(Id128::Generate(), master_key_, nullptr, kNow));
    // Larger than a segment, and than what the blob store yields in one piece.
    for (int i = 0; i < 300'000; ++i) content_ += static_cast<char>('a' + i % 26);
    AddObject(content_, ObjectEntry::CODEC_NONE);
    AddObject(content_, ObjectEntry::CODEC_ZSTD);
  }

  void AddObject(const std::string& content, ObjectEntry::Codec codec) {
    const std::string name = MakeObjectName(Id128::Generate().bytes(), kNow);
    ObjectSealer sealer(store_->store_id(), name, store_->content_key(), codec, content.size());
    std::string sealed;
    ASSERT_OK(sealer.Update(AsBytes(content), sealed));
    ASSERT_OK(sealer.Finish(sealed));
    medium_.Write(ObjectPath(store_->store_id(), name), sealed);
    *files_.add_objects() = sealer.entry();
  }

  std::string PathOf(int object_index) const {
    return ObjectPath(store_->store_id(), files_.objects(object_index).name());
  }

  static absl::StatusOr<std::string> Read(ExtentReader& reader, uint32_t object_index,
                                          uint64_t offset, uint64_t length) {
    Extent extent;
    extent.set_object_index(object_index);
    extent.set_offset(offset);
    extent.set_length(length);
    std::string read;
    const absl::Status status = reader.Read(extent, [&](absl::Span<const uint8_t> piece) {
      read.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
    return read;
  }

  MemoryBlobStore medium_;
  FaultBlobStore blobs_{medium_};
  MasterKey master_key_ = MasterKey::Generate();
  std::unique_ptr<StoreRepository> store_;
  std::string content_;
  FileList files_;
};

TEST_F(ExtentReaderTest, ReadsAscendingRangesInOnePass) {
  ExtentReader reader(*store_, files_);
  const int gets = blobs_.calls(FaultBlobStore::Operation::kGet);
  EXPECT_THAT(Read(reader, 0, 0, 10), IsOkAndHolds(content_.substr(0, 10)));
  EXPECT_THAT(Read(reader, 0, 10, 70'000), IsOkAndHolds(content_.substr(10, 70'000)));
  EXPECT_THAT(Read(reader, 0, 200'000, 100'000), IsOkAndHolds(content_.substr(200'000)));
  EXPECT_OK(reader.Finish());
  EXPECT_EQ(blobs_.calls(FaultBlobStore::Operation::kGet) - gets, 1);
}

TEST_F(ExtentReaderTest, ReadsRangesInAnyOrderFromAnyObject) {
  ExtentReader reader(*store_, files_);
  EXPECT_THAT(Read(reader, 1, 299'990, 10), IsOkAndHolds(content_.substr(299'990)));
  EXPECT_THAT(Read(reader, 1, 5, 10), IsOkAndHolds(content_.substr(5, 10)));
  EXPECT_THAT(Read(reader, 0, 65'530, 12), IsOkAndHolds(content_.substr(65'530, 12)));
  EXPECT_THAT(Read(reader, 1, 5, 10), IsOkAndHolds(content_.substr(5, 10)));
  EXPECT_OK(reader.Finish());
}

TEST_F(ExtentReaderTest, StopsAtTheFirstErrorOfItsConsumer) {
  ExtentReader reader(*store_, files_);
  Extent extent;
  extent.set_length(content_.size());
  int calls = 0;
  EXPECT_THAT(reader.Read(extent,
                          [&](absl::Span<const uint8_t>) {
                            ++calls;
                            return absl::ResourceExhaustedError("full");
                          }),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(calls, 1);
}

TEST_F(ExtentReaderTest, FindsBytesThatWereAppendedToAnObject) {
  for (const int object : {0, 1}) {
    medium_.Write(PathOf(object), medium_.Read(PathOf(object)) + "more");
    ExtentReader reader(*store_, files_);
    const absl::Status read =
        Read(reader, static_cast<uint32_t>(object), 0, content_.size()).status();
    EXPECT_THAT(read.ok() ? reader.Finish() : read, StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST_F(ExtentReaderTest, FindsWhatIsBehindTheLastByteThatIsWanted) {
  // The end of a compressed object says nothing about its content, but belongs to it.
  std::string sealed = medium_.Read(PathOf(1));
  sealed.back() = static_cast<char>(sealed.back() ^ 1);
  medium_.Write(PathOf(1), sealed);
  ExtentReader reader(*store_, files_);
  const absl::Status read = Read(reader, 1, 0, content_.size()).status();
  EXPECT_THAT(read.ok() ? reader.Finish() : read, StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace holdfast
