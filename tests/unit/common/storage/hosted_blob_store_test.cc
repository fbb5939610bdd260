#include "common/storage/hosted_blob_store.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/cancellation.h"
#include "common/base/exit_code.h"
#include "common/base/mutex.h"
#include "common/base/thread.h"
#include "common/io/files.h"
#include "common/storage/blob_store_host.h"
#include "common/storage/host_protocol.h"
#include "common/storage/local_blob_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/unit/common/storage/blob_store_conformance.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// A host on a thread of the test, and the store at the other end.
class Hosted {
 public:
  explicit Hosted(std::function<absl::StatusOr<std::unique_ptr<BlobStore>>()> open,
                  Clock& clock = SystemClock()) {
    auto sockets = host::MakeSocketPair();
    EXPECT_OK(sockets);
    host_ = Thread("host", [socket = std::move(sockets->second), open = std::move(open),
                            &clock]() mutable { ServeBlobStore(std::move(socket), open, clock); });
    connected_ = HostedBlobStore::Connect(
        std::move(sockets->first),
        {.url = "fake://", .patience = {}, .on_closed = [this] { ++closed_; }});
  }
  ~Hosted() {
    const bool was_connected = connected_.ok();
    if (was_connected) connected_->reset();
    EXPECT_EQ(closed_, 1);
    host_.Join();
  }

  const absl::Status& status() const { return connected_.status(); }
  HostedBlobStore& store() { return **connected_; }

 private:
  int closed_ = 0;
  Thread host_;
  absl::StatusOr<std::unique_ptr<HostedBlobStore>> connected_;
};

class HostedUnderTest : public BlobStoreUnderTest {
 public:
  BlobStore& store() override { return hosted_.store(); }

 private:
  TempDir directory_;
  Hosted hosted_{[this]() -> absl::StatusOr<std::unique_ptr<BlobStore>> {
    return LocalBlobStore::Open(directory_.path());
  }};
};

INSTANTIATE_TEST_SUITE_P(Hosted, BlobStoreConformanceTest,
                         testing::Values(BlobStoreMaker{
                             "Hosted", [] { return std::make_unique<HostedUnderTest>(); }}),
                         BlobStoreConformanceTest::NameOf);

// What is behind the host, when the test wants to decide it.
class FakePlace : public BlobStore {
 public:
  absl::Status Put(absl::string_view /*name*/, ByteSource& source) override {
    for (;;) {
      const auto piece = source.Next();
      if (!piece.ok()) return piece.status();
      if (piece->empty()) return put_status;
      pieces.push_back(piece->size());
    }
  }
  absl::StatusOr<std::unique_ptr<ByteSource>> Get(absl::string_view /*name*/, uint64_t /*offset*/,
                                                  uint64_t /*length_max*/) override {
    return MarkDeniedBySystem(absl::PermissionDeniedError("no"));
  }
  absl::StatusOr<BlobInfo> Stat(absl::string_view /*name*/) override {
    return absl::DataLossError("gone");
  }
  absl::Status List(absl::string_view /*prefix*/,
                    const std::function<absl::Status(const BlobInfo&)>& visit) override {
    for (int i = 0; i < 10'000; ++i) {
      absl::Status status = visit({.name = "blob-" + std::to_string(i), .size_bytes = 1});
      if (!status.ok()) return status;
    }
    return absl::UnavailableError("broke off");
  }
  absl::StatusOr<std::vector<std::string>> ListFolders(absl::string_view /*prefix*/) override {
    return std::vector<std::string>{"a", "b"};
  }
  absl::Status Delete(absl::string_view /*name*/) override { return absl::OkStatus(); }
  std::string Describe() const override { return "fake://place"; }
  PlaceWarning Warning() const override { return {.text = "beware", .is_unsafe = true}; }

  absl::Status put_status;
  std::vector<size_t> pieces;
};

class HostedBlobStoreTest : public testing::Test {
 protected:
  HostedBlobStore& store() { return hosted_.store(); }

  FakePlace* place_ = nullptr;
  Hosted hosted_{[this]() -> absl::StatusOr<std::unique_ptr<BlobStore>> {
    auto place = std::make_unique<FakePlace>();
    place_ = place.get();
    return place;
  }};
};

TEST(HostedPlaceTest, ABlobIsReplacedAtOnceWhereThePlaceCan) {
  TempDir directory;
  Hosted hosted([&]() -> absl::StatusOr<std::unique_ptr<BlobStore>> {
    return LocalBlobStore::Open(directory.path());
  });
  MemorySource old("old");
  ASSERT_OK(hosted.store().Put("a/b", old));
  // Yields nothing but an error: what was there must still be.
  class BrokenSource : public ByteSource {
   public:
    absl::StatusOr<absl::Span<const uint8_t>> Next() override {
      return absl::DataLossError("the source broke");
    }
  };
  BrokenSource broken;
  EXPECT_THAT(hosted.store().Replace("a/b", broken),
              StatusIs(absl::StatusCode::kDataLoss, "the source broke"));
  EXPECT_THAT(ReadBlob(hosted.store(), "a/b", 100), IsOkAndHolds("old"));
  MemorySource good("new");
  ASSERT_OK(hosted.store().Replace("a/b", good));
  EXPECT_THAT(ReadBlob(hosted.store(), "a/b", 100), IsOkAndHolds("new"));
  ASSERT_OK_AND_ASSIGN(const BlobInfo info, hosted.store().Stat("a/b"));
  EXPECT_GT(info.write_time, absl::InfinitePast());
}

TEST_F(HostedBlobStoreTest, TellsWhatThePlaceIs) {
  EXPECT_EQ(store().Describe(), "fake://place");
  EXPECT_EQ(store().Warning().text, "beware");
  EXPECT_TRUE(store().Warning().is_unsafe);
}

TEST_F(HostedBlobStoreTest, ErrorsComeAsTheyAre) {
  const absl::Status denied = store().Get("a", 0, 1).status();
  EXPECT_THAT(denied, StatusIs(absl::StatusCode::kPermissionDenied, "no"));
  EXPECT_EQ(ExitCodeFor(denied), kExitFailure);  // the mark of the system is still there
  EXPECT_THAT(store().Stat("a"), StatusIs(absl::StatusCode::kDataLoss, "gone"));
  place_->put_status = absl::ResourceExhaustedError("full");
  MemorySource source("bytes");
  EXPECT_THAT(store().Put("a", source), StatusIs(absl::StatusCode::kResourceExhausted, "full"));
  EXPECT_THAT(store().ListFolders(""), IsOkAndHolds(ElementsAre("a", "b")));
}

TEST_F(HostedBlobStoreTest, AListingThatBreaksOffIsAnErrorAfterWhatCame) {
  int seen = 0;
  EXPECT_THAT(store().List("",
                           [&](const BlobInfo& info) {
                             EXPECT_EQ(info.name, "blob-" + std::to_string(seen++));
                             return absl::OkStatus();
                           }),
              StatusIs(absl::StatusCode::kUnavailable, "broke off"));
  EXPECT_GT(seen, 5'000);
}

// Lists "first" and, a minute later, "second"; then waits until the other end has seen both.
class SlowListing : public FakePlace {
 public:
  explicit SlowListing(FakeClock& clock) : clock_(clock) {}

  absl::Status List(absl::string_view /*prefix*/,
                    const std::function<absl::Status(const BlobInfo&)>& visit) override {
    for (const char* const name : {"first", "second"}) {
      clock_.Advance(absl::Minutes(1));
      absl::Status status = visit({.name = name});
      if (!status.ok()) return status;
    }
    const MonotonicTime deadline = SystemClock().MonotonicNow() + kHangMax;
    MutexLock lock(&mutex_);
    while (seen_ < 2) {
      if (!SystemClock().WaitUntil(&changed_, &mutex_, deadline)) {
        return absl::InternalError("the other end sees nothing of the listing");
      }
    }
    return absl::OkStatus();
  }

  void Saw() {
    MutexLock lock(&mutex_);
    ++seen_;
    changed_.SignalAll();
  }

 private:
  static constexpr absl::Duration kHangMax = absl::Seconds(20);

  FakeClock& clock_;
  Mutex mutex_;
  CondVar changed_;
  int seen_ ABSL_GUARDED_BY(mutex_) = 0;
};

TEST(HostedPlaceTest, ASlowListingIsSeenWhileItGoesOn) {
  FakeClock clock;
  SlowListing* place = nullptr;
  Hosted hosted(
      [&]() -> absl::StatusOr<std::unique_ptr<BlobStore>> {
        auto owned = std::make_unique<SlowListing>(clock);
        place = owned.get();
        return owned;
      },
      clock);
  EXPECT_OK(hosted.store().List("", [&](const BlobInfo& /*info*/) {
    place->Saw();
    return absl::OkStatus();
  }));
}

TEST_F(HostedBlobStoreTest, LargePiecesTravelInParts) {
  constexpr size_t kMax = host::kPieceSizeMaxBytes;
  const std::string bytes(3 * kMax + 1, 'x');
  MemorySource source(bytes);
  EXPECT_OK(store().Put("a", source));
  EXPECT_THAT(place_->pieces, ElementsAre(kMax, kMax, kMax, 1));
}

TEST_F(HostedBlobStoreTest, APlaceThatCanNotBeOpenedIsNotConnected) {
  const Hosted hosted([]() -> absl::StatusOr<std::unique_ptr<BlobStore>> {
    return absl::NotFoundError("mount it");
  });
  EXPECT_THAT(hosted.status(), StatusIs(absl::StatusCode::kNotFound, "mount it"));
}

// A host that ends in the middle of everything.
class DyingHostTest : public testing::Test {
 protected:
  DyingHostTest() {
    auto control = host::MakeSocketPair();
    EXPECT_OK(control);
    control_ = host::Channel(std::move(control->second));
    EXPECT_OK(control_.Send(host::Kind::kOpened,
                            host::Writer().Text("file:///mnt/share").Text("").Number(0)));
    auto store = HostedBlobStore::Connect(std::move(control->first),
                                          {.url = "fake://", .patience = {}, .on_closed = nullptr});
    EXPECT_OK(store);
    store_ = *std::move(store);
  }

  // Answers one message, then goes.
  Thread DieAfter(host::Kind kind, const absl::Status& status) {
    return Thread("host", [this, kind, status] {
      ASSERT_OK_AND_ASSIGN(host::Channel channel, control_.ReceiveChannel());
      EXPECT_OK(channel.Receive());
      if (kind == host::Kind::kStatus) {
        EXPECT_OK(channel.SendStatus(status));
      } else {
        EXPECT_OK(channel.Send(kind));
      }
      EXPECT_OK(channel.Receive());
      control_.Close();
    });
  }

  host::Channel control_;
  std::unique_ptr<HostedBlobStore> store_;
};

TEST_F(DyingHostTest, APutIsUnavailable) {
  const Thread host = DieAfter(host::Kind::kNext, absl::OkStatus());
  MemorySource source("bytes");
  EXPECT_THAT(store_->Put("a", source),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("file:///mnt/share")));
  EXPECT_THAT(store_->Stat("a"), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(DyingHostTest, ASourceIsUnavailable) {
  const Thread host = DieAfter(host::Kind::kStatus, absl::OkStatus());
  auto source = store_->Get("a", 0, 1);
  ASSERT_OK(source);
  EXPECT_THAT((*source)->Next(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("file:///mnt/share")));
  EXPECT_THAT((*source)->Next(), StatusIs(absl::StatusCode::kUnavailable));
}

// A host that opened its place, and then says nothing.
class SilentHostTest : public testing::Test {
 protected:
  // Connects to a new one.
  HostedBlobStore& Connect(const host::Patience& patience) {
    store_.reset();
    auto control = host::MakeSocketPair();
    EXPECT_OK(control);
    control_ = host::Channel(std::move(control->second));
    EXPECT_OK(control_.Send(host::Kind::kOpened,
                            host::Writer().Text("file:///mnt/share").Text("").Number(0)));
    auto store = HostedBlobStore::Connect(std::move(control->first), WithPatience(patience));
    EXPECT_OK(store);
    store_ = *std::move(store);
    return *store_;
  }

  static HostedBlobStore::Options WithPatience(const host::Patience& patience) {
    return {.url = "file:///mnt/share", .patience = patience, .on_closed = nullptr};
  }

  // Answers the first message of the first channel, which stays open and unread.
  Thread AnswerOnce(host::Kind kind) {
    return Thread("host", [this, kind] {
      ASSERT_OK_AND_ASSIGN(channel_, control_.ReceiveChannel());
      EXPECT_OK(channel_.Receive());
      EXPECT_OK(channel_.Send(kind, kind == host::Kind::kStatus
                                        ? host::Writer().Status(absl::OkStatus())
                                        : host::Writer()));
    });
  }

  host::Channel control_;
  host::Channel channel_;
  std::unique_ptr<HostedBlobStore> store_;
};

constexpr absl::Duration kShort = absl::Milliseconds(1);

auto IsSilence() {
  return StatusIs(absl::StatusCode::kDeadlineExceeded,
                  testing::StartsWith("file:///mnt/share: does not answer"));
}

TEST_F(SilentHostTest, EveryCallEndsWhereItIsNotAnswered) {
  MemorySource source("bytes");
  const auto visit = [](const BlobInfo& /*info*/) { return absl::OkStatus(); };
  EXPECT_THAT(Connect({.silence_max = kShort}).Stat("a"), IsSilence());
  EXPECT_THAT(Connect({.silence_max = kShort}).Get("a", 0, 1), IsSilence());
  EXPECT_THAT(Connect({.silence_max = kShort}).Put("a", source), IsSilence());
  EXPECT_THAT(Connect({.silence_max = kShort}).Replace("a", source), IsSilence());
  EXPECT_THAT(Connect({.silence_max = kShort}).List("", visit), IsSilence());
  EXPECT_THAT(Connect({.silence_max = kShort}).ListFolders(""), IsSilence());
  EXPECT_THAT(Connect({.silence_max = kShort}).Delete("a"), IsSilence());
  EXPECT_THAT(Connect({.silence_max = kShort}).RemoveLeftovers("", absl::UnixEpoch()), IsSilence());
}

TEST_F(SilentHostTest, SoDoesOpening) {
  auto control = host::MakeSocketPair();
  ASSERT_OK(control);
  EXPECT_THAT(
      HostedBlobStore::Connect(std::move(control->first), WithPatience({.silence_max = kShort})),
      IsSilence());
}

TEST_F(SilentHostTest, SoDoesWhatBeganWell) {
  {
    HostedBlobStore& store = Connect({.silence_max = kShort});
    const Thread host = AnswerOnce(host::Kind::kStatus);
    ASSERT_OK_AND_ASSIGN(const auto source, store.Get("a", 0, 1));
    EXPECT_THAT(source->Next(), IsSilence());
  }
  // A host that asks for more than it takes.
  HostedBlobStore& store = Connect({.silence_max = kShort});
  const Thread host = AnswerOnce(host::Kind::kNext);
  const std::string bytes(4 << 20, 'x');
  MemorySource source(bytes);
  EXPECT_THAT(store.Put("a", source), IsSilence());
}

TEST_F(SilentHostTest, IsNotAskedAgain) {
  HostedBlobStore& store = Connect({.silence_max = kShort});
  EXPECT_THAT(store.Stat("a"), IsSilence());
  EXPECT_THAT(store.Stat("a"), IsSilence());
  store_.reset();
  ASSERT_OK_AND_ASSIGN(const host::Channel first, control_.ReceiveChannel());
  EXPECT_TRUE(first.is_open());
  ASSERT_OK_AND_ASSIGN(const host::Channel second, control_.ReceiveChannel());
  EXPECT_FALSE(second.is_open());
}

TEST_F(SilentHostTest, ACancellationEndsTheWait) {
  CancellationSource job;
  HostedBlobStore& store = Connect({.cancellation = job.token()});
  absl::Status status;
  {
    const Thread thread("stat", [&] { status = store.Stat("a").status(); });
    ASSERT_OK_AND_ASSIGN(host::Channel channel, control_.ReceiveChannel());
    EXPECT_OK(channel.Receive());
    job.Cancel(absl::CancelledError("interrupted"));
    EXPECT_FALSE(channel.Receive().ok()) << "until the other end has given up";
  }
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kCancelled, "interrupted"));
}

TEST(BlobStoreHostTest, APutWhoseOtherEndDiesLeavesNothing) {
  TempDir directory;
  auto control = host::MakeSocketPair();
  ASSERT_OK(control);
  Thread serving("host", [&, socket = std::move(control->second)]() mutable {
    ServeBlobStore(std::move(socket), [&]() -> absl::StatusOr<std::unique_ptr<BlobStore>> {
      return LocalBlobStore::Open(directory.path());
    });
  });
  {
    host::Channel store(std::move(control->first));
    ASSERT_OK(store.Receive());
    ASSERT_OK_AND_ASSIGN(auto made, host::MakeChannel(host::Patience()));
    ASSERT_OK(store.SendChannel(made.second));
    made.second = {};
    host::Channel channel = std::move(made.first);
    ASSERT_OK(channel.Send(host::Kind::kPut, host::Writer().Text("a/b")));
    ASSERT_OK(channel.Receive());
    constexpr uint8_t kBytes[] = {1, 2, 3};
    ASSERT_OK(channel.SendPiece(kBytes));
    ASSERT_OK(channel.Receive());
  }
  serving.Join();
  ASSERT_OK_AND_ASSIGN(const auto entries, ListDirectory(directory.Path("a")));
  EXPECT_THAT(entries, SizeIs(0));
}

TEST(HostProtocolTest, WhatIsTooShortIsSaid) {
  host::Reader reader("1234");
  EXPECT_EQ(reader.Number(), 0u);
  EXPECT_THAT(reader.status(), StatusIs(absl::StatusCode::kInternal));
  const std::string text = host::Writer().Number(100).fields() + "short";
  host::Reader cut(text);
  EXPECT_EQ(cut.Text(), "");
  EXPECT_THAT(cut.Status(), StatusIs(absl::StatusCode::kInternal));
}

}  // namespace
}  // namespace holdfast
