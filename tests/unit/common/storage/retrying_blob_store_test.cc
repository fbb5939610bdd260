#include "common/storage/retrying_blob_store.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/thread.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fault_blob_store.h"
#include "tests/testing/log_capture.h"
#include "tests/testing/memory_blob_store.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/common/storage/blob_store_conformance.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using Operation = FaultBlobStore::Operation;
using Point = FaultBlobStore::Point;

// Delays so short that nobody waits.
constexpr RetryingBlobStore::Options kQuick = {
    .attempts_max = 5, .backoff = {.initial = absl::Nanoseconds(1), .max = absl::Nanoseconds(1)}};

class RetryingUnderTest : public BlobStoreUnderTest {
 public:
  BlobStore& store() override { return store_; }

 private:
  MemoryBlobStore medium_;
  SeededRandom random_{1};
  RetryingBlobStore store_{std::make_unique<FaultBlobStore>(medium_), kQuick, SystemClock(),
                           random_};
};

// The same over a medium where a call in five fails, none twice in a row as often as it is tried.
class RetryingFaultsUnderTest : public BlobStoreUnderTest {
 public:
  RetryingFaultsUnderTest() {
    auto faults = std::make_unique<OnlyBefore>(medium_);
    faults->random = &random_;
    RetryingBlobStore::Options options = kQuick;
    options.attempts_max = 50;
    store_ =
        std::make_unique<RetryingBlobStore>(std::move(faults), options, SystemClock(), random_);
  }
  BlobStore& store() override { return *store_; }

 private:
  // Fails a call before anything was done: what the caller sees must be as if nothing had failed.
  class OnlyBefore : public FaultBlobStore {
   public:
    using FaultBlobStore::FaultBlobStore;
    RandomSource* random = nullptr;

    absl::Status Put(absl::string_view name, ByteSource& source) override {
      if (random->Uniform(5) == 0) return absl::UnavailableError("injected");
      return FaultBlobStore::Put(name, source);
    }
    absl::StatusOr<BlobInfo> Stat(absl::string_view name) override {
      if (random->Uniform(5) == 0) return absl::UnavailableError("injected");
      return FaultBlobStore::Stat(name);
    }
    absl::Status List(absl::string_view prefix,
                      const std::function<absl::Status(const BlobInfo&)>& visit) override {
      if (random->Uniform(5) == 0) return absl::UnavailableError("injected");
      return FaultBlobStore::List(prefix, visit);
    }
    absl::Status Delete(absl::string_view name) override { return FaultBlobStore::Delete(name); }
    absl::StatusOr<std::unique_ptr<ByteSource>> Get(absl::string_view name, uint64_t offset,
                                                    uint64_t length_max) override {
      if (random->Uniform(5) == 0) return absl::UnavailableError("injected");
      return FaultBlobStore::Get(name, offset, length_max);
    }
  };

  LogCapture log_;
  MemoryBlobStore medium_;
  SeededRandom random_{1};
  std::unique_ptr<RetryingBlobStore> store_;
};

INSTANTIATE_TEST_SUITE_P(
    Retrying, BlobStoreConformanceTest,
    testing::Values(BlobStoreMaker{"Retrying",
                                   [] { return std::make_unique<RetryingUnderTest>(); }},
                    BlobStoreMaker{"RetryingFaults",
                                   [] { return std::make_unique<RetryingFaultsUnderTest>(); }}),
    BlobStoreConformanceTest::NameOf);

class RetryingBlobStoreTest : public testing::Test {
 protected:
  RetryingBlobStoreTest() {
    auto faults = std::make_unique<FaultBlobStore>(medium_);
    faults_ = faults.get();
    store_ = std::make_unique<RetryingBlobStore>(std::move(faults), kQuick, SystemClock(), random_);
  }

  absl::Status Put(absl::string_view name, absl::string_view bytes) {
    MemorySource source(bytes);
    return store_->Put(name, source);
  }

  LogCapture log_;
  SeededRandom random_{1};
  MemoryBlobStore medium_{10};
  FaultBlobStore* faults_;
  std::unique_ptr<RetryingBlobStore> store_;
};

TEST_F(RetryingBlobStoreTest, WhatIsUnavailableIsTriedAgain) {
  faults_->Inject({.operation = Operation::kStat, .times = 4});
  medium_.Write("a", "bytes");
  EXPECT_OK(store_->Stat("a"));
  EXPECT_EQ(faults_->calls(Operation::kStat), 5);
  EXPECT_THAT(log_.lines(), testing::SizeIs(4));
}

TEST_F(RetryingBlobStoreTest, TriesAreBounded) {
  faults_->Inject({.operation = Operation::kStat, .times = 1000});
  EXPECT_THAT(store_->Stat("a"), StatusIs(absl::StatusCode::kUnavailable, "injected fault"));
  EXPECT_EQ(faults_->calls(Operation::kStat), 5);
}

TEST_F(RetryingBlobStoreTest, NothingElseIsTriedAgain) {
  for (const absl::StatusCode code :
       {absl::StatusCode::kNotFound, absl::StatusCode::kResourceExhausted,
        absl::StatusCode::kPermissionDenied, absl::StatusCode::kCancelled,
        absl::StatusCode::kDataLoss, absl::StatusCode::kDeadlineExceeded}) {
    const int calls = faults_->calls();
    faults_->Inject({.status = absl::Status(code, "final")});
    EXPECT_THAT(store_->Stat("a"), StatusIs(code, "final"));
    EXPECT_EQ(faults_->calls(), calls + 1);
  }
}

TEST_F(RetryingBlobStoreTest, APutIsTriedAgainFromItsBeginning) {
  faults_->Inject({.operation = Operation::kPut, .times = 1, .point = Point::kBefore});
  faults_->Inject({.operation = Operation::kPut, .times = 2, .point = Point::kMidway});
  ASSERT_OK(Put("a", "all of it"));
  EXPECT_THAT(medium_.Contents(), ElementsAre(Pair("a", "all of it")));
  EXPECT_EQ(faults_->calls(Operation::kPut), 4);
}

TEST_F(RetryingBlobStoreTest, APutWhoseSourceCannotRewindIsTriedOnlyWhereNothingWasConsumed) {
  class OnceSource : public ByteSource {
   public:
    absl::StatusOr<absl::Span<const uint8_t>> Next() override {
      if (std::exchange(is_done_, true)) return absl::Span<const uint8_t>();
      return absl::MakeConstSpan(bytes_);
    }

   private:
    bool is_done_ = false;
    const std::vector<uint8_t> bytes_ = std::vector<uint8_t>(100, 'x');
  };
  faults_->Inject({.operation = Operation::kPut, .point = Point::kBefore});
  OnceSource first;
  EXPECT_OK(store_->Put("first", first));

  faults_->Inject({.operation = Operation::kPut, .point = Point::kMidway});
  OnceSource second;
  EXPECT_THAT(store_->Put("second", second),
              StatusIs(absl::StatusCode::kUnavailable, "injected fault"));
  EXPECT_THAT(medium_.Contents(), ElementsAre(Pair("first", std::string(100, 'x'))));
}

TEST_F(RetryingBlobStoreTest, APutWhoseAnswerWasLostIsNotTakenForAnotherBlob) {
  faults_->Inject({.operation = Operation::kPut, .point = Point::kAfter});
  EXPECT_THAT(Put("a", "bytes"), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("not known")));
  EXPECT_EQ(faults_->calls(Operation::kPut), 2);
  EXPECT_THAT(Put("a", "other"), StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST_F(RetryingBlobStoreTest, AReadThatBreaksOffGoesOnWhereItWas) {
  const std::string bytes = "0123456789abcdefghijklmnopqrstuvwxyz";
  medium_.Write("a", bytes);
  for (int after = 0; after < 4; ++after) {
    faults_->Inject({.operation = Operation::kRead, .after_calls = after, .times = 3});
    faults_->Inject({.operation = Operation::kGet, .after_calls = 1, .times = 1});
    EXPECT_THAT(ReadBlob(*store_, "a", 100), IsOkAndHolds(bytes)) << after;
    faults_->Clear();
  }
  ASSERT_OK_AND_ASSIGN(const auto source, store_->Get("a", 5, 20));
  faults_->Inject({.operation = Operation::kRead, .after_calls = 1});
  std::string read;
  for (;;) {
    ASSERT_OK_AND_ASSIGN(const auto piece, source->Next());
    if (piece.empty()) break;
    read.append(piece.begin(), piece.end());
  }
  EXPECT_EQ(read, bytes.substr(5, 20));
}

TEST_F(RetryingBlobStoreTest, AReadThatBreaksOffTooOftenFails) {
  medium_.Write("a", "0123456789");
  faults_->Inject({.operation = Operation::kRead, .times = 1000});
  EXPECT_THAT(ReadBlob(*store_, "a", 100), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(RetryingBlobStoreTest, AListingThatBreaksOffShowsNothingTwice) {
  medium_.Write("a", "1");
  medium_.Write("b", "1");
  faults_->Inject({.operation = Operation::kList, .times = 2, .point = Point::kMidway});
  std::vector<std::string> names;
  ASSERT_OK(store_->List("", [&](const BlobInfo& info) {
    names.push_back(info.name);
    return absl::OkStatus();
  }));
  EXPECT_THAT(names, ElementsAre("a", "b"));
}

TEST(RetryingListTest, ShowsWhatIsListedWhileTheListingGoesOn) {
  // Each try lists one blob more than the one before, in another order, and the third is whole.
  class SlowPlace : public FaultBlobStore {
   public:
    using FaultBlobStore::FaultBlobStore;
    absl::Status List(absl::string_view /*prefix*/,
                      const std::function<absl::Status(const BlobInfo&)>& visit) override {
      ++tries;
      for (int i = tries; i > 0; --i) {
        absl::Status status = visit({.name = absl::StrCat(i)});
        if (!status.ok()) return status;
      }
      return tries < 3 ? absl::UnavailableError("broke off") : absl::OkStatus();
    }
    int tries = 0;
  };
  LogCapture log;
  SeededRandom random{1};
  MemoryBlobStore medium;
  auto owned = std::make_unique<SlowPlace>(medium);
  const SlowPlace& place = *owned;
  RetryingBlobStore store(std::move(owned), kQuick, SystemClock(), random);
  std::vector<std::pair<std::string, int>> visits;
  ASSERT_OK(store.List("", [&](const BlobInfo& info) {
    visits.emplace_back(info.name, place.tries);
    return absl::OkStatus();
  }));
  EXPECT_THAT(visits, ElementsAre(Pair("1", 1), Pair("2", 2), Pair("3", 3)));
}

TEST_F(RetryingBlobStoreTest, AnErrorOfTheVisitorIsNotTriedAgain) {
  medium_.Write("a", "1");
  int visits = 0;
  EXPECT_THAT(store_->List("",
                           [&](const BlobInfo& /*info*/) {
                             ++visits;
                             return absl::UnavailableError("the visitor's");
                           }),
              StatusIs(absl::StatusCode::kUnavailable, "the visitor's"));
  EXPECT_EQ(visits, 1);
}

TEST_F(RetryingBlobStoreTest, ADeleteWhoseAnswerWasLostIsDone) {
  medium_.Write("a", "1");
  faults_->Inject({.operation = Operation::kDelete, .point = Point::kAfter});
  EXPECT_OK(store_->Delete("a"));
  EXPECT_THAT(medium_.Contents(), IsEmpty());
  EXPECT_THAT(store_->Delete("a"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(RetryingBlobStoreTest, BetweenTriesItWaitsLongerAndLonger) {
  FakeClock clock;
  auto faults = std::make_unique<FaultBlobStore>(medium_);
  faults->Inject({.operation = Operation::kStat, .times = 2});
  medium_.Write("a", "1");
  const RetryingBlobStore::Options options = {
      .attempts_max = 3,
      .backoff = {.initial = absl::Seconds(1), .max = absl::Seconds(2), .min = absl::Seconds(1)}};
  RetryingBlobStore store(std::move(faults), options, clock, random_);
  absl::Status status = absl::UnknownError("not done");
  {
    Thread thread("stat", [&] { status = store.Stat("a").status(); });
    clock.AwaitWaitsBegun(1);
    clock.Advance(absl::Seconds(1));
    clock.AwaitWaitsBegun(2);
    clock.Advance(absl::Seconds(2));
  }
  EXPECT_OK(status);
}

}  // namespace
}  // namespace holdfast
