#include "common/storage/blob_store.h"

#include <memory>
#include <utility>

#include "common/base/cancellation.h"
#include "common/storage/cancellable_blob_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fault_blob_store.h"
#include "tests/testing/memory_blob_store.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/common/storage/blob_store_conformance.h"

namespace holdfast {
namespace {

class MemoryUnderTest : public BlobStoreUnderTest {
 public:
  BlobStore& store() override { return store_; }

 private:
  MemoryBlobStore store_;
};

class FaultUnderTest : public BlobStoreUnderTest {
 public:
  BlobStore& store() override { return faults_; }

 private:
  MemoryBlobStore medium_;
  FaultBlobStore faults_{medium_};
};

class CancellableUnderTest : public BlobStoreUnderTest {
 public:
  BlobStore& store() override { return store_; }

 private:
  MemoryBlobStore medium_;
  CancellationSource source_;
  CancellableBlobStore store_{medium_, source_.token()};
};

INSTANTIATE_TEST_SUITE_P(
    Memory, BlobStoreConformanceTest,
    testing::Values(BlobStoreMaker{"Memory", [] { return std::make_unique<MemoryUnderTest>(); }},
                    BlobStoreMaker{"Faults", [] { return std::make_unique<FaultUnderTest>(); }},
                    BlobStoreMaker{"Cancellable",
                                   [] { return std::make_unique<CancellableUnderTest>(); }}),
    BlobStoreConformanceTest::NameOf);

TEST(CancellableBlobStoreTest, OnceCancelledEverythingFailsWithTheReason) {
  MemoryBlobStore medium;
  medium.Write("a", "bytes");
  CancellationSource job;
  CancellableBlobStore store(medium, job.token());
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ByteSource> source, store.Get("a", 0, UINT64_MAX));

  job.Cancel(absl::CancelledError("the user gave up"));

  const auto is_cancelled = StatusIs(absl::StatusCode::kCancelled, "the user gave up");
  MemorySource bytes("new");
  EXPECT_THAT(source->Next(), is_cancelled);
  EXPECT_THAT(store.Put("b", bytes), is_cancelled);
  EXPECT_THAT(store.Get("a", 0, 1), is_cancelled);
  EXPECT_THAT(store.Stat("a"), is_cancelled);
  EXPECT_THAT(store.List("", [](const BlobInfo& /*info*/) { return absl::OkStatus(); }),
              is_cancelled);
  EXPECT_THAT(store.ListFolders(""), is_cancelled);
  EXPECT_THAT(store.Delete("a"), is_cancelled);
  EXPECT_THAT(medium.Contents(), testing::ElementsAre(testing::Pair("a", "bytes")));
}

TEST(CancellableBlobStoreTest, APutThatIsUnderWayIsCutBetweenPieces) {
  class CancellingSource : public ByteSource {
   public:
    explicit CancellingSource(CancellationSource& job) : job_(job) {}
    absl::StatusOr<absl::Span<const uint8_t>> Next() override {
      job_.Cancel(absl::CancelledError("the user gave up"));
      return absl::MakeConstSpan(&byte_, 1);
    }

   private:
    CancellationSource& job_;
    const uint8_t byte_ = 0;
  };
  MemoryBlobStore medium;
  CancellationSource job;
  CancellableBlobStore store(medium, job.token());
  CancellingSource source(job);
  EXPECT_THAT(store.Put("a", source), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(medium.Contents(), testing::IsEmpty());
}

}  // namespace
}  // namespace holdfast
