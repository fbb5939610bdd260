#include "backup-agent/transfer/pipe.h"

#include <memory>
#include <string>

#include "common/base/thread.h"
#include "common/crypto/hash.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

Chunk MakeChunk(const std::string& text) { return std::make_shared<const std::string>(text); }

TEST(PipeTest, ChunksComeOutInOrderThenTheEnd) {
  Pipe pipe(2);
  EXPECT_TRUE(pipe.Push(MakeChunk("a")));
  EXPECT_TRUE(pipe.Push(MakeChunk("b")));
  pipe.Close(absl::OkStatus());
  EXPECT_EQ(**pipe.Pop(), "a");
  EXPECT_EQ(**pipe.Pop(), "b");
  ASSERT_OK_AND_ASSIGN(const Chunk end, pipe.Pop());
  EXPECT_EQ(end, nullptr);
}

TEST(PipeTest, ReaderGetsTheErrorAndNothingElse) {
  Pipe pipe(2);
  EXPECT_TRUE(pipe.Push(MakeChunk("a")));
  pipe.Close(absl::DataLossError("bad"));
  EXPECT_THAT(pipe.Pop(), StatusIs(absl::StatusCode::kDataLoss));
  pipe.Close(absl::OkStatus());
  EXPECT_THAT(pipe.Pop(), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(PipeTest, WriterWaitsForRoomUntilTheDeadline) {
  FakeClock clock;
  Pipe pipe(1);
  EXPECT_TRUE(pipe.Push(MakeChunk("a")));
  PushResult result = PushResult::kPushed;
  Thread thread("writer", [&] {
    result = pipe.Push(clock, clock.MonotonicNow() + absl::Seconds(30), MakeChunk("b"));
  });
  clock.AwaitWaiters(1);
  clock.Advance(absl::Seconds(30));
  thread.Join();
  EXPECT_EQ(result, PushResult::kTimedOut);
}

TEST(PipeTest, ReaderThatGivesUpFreesTheWriter) {
  Pipe pipe(1);
  EXPECT_TRUE(pipe.Push(MakeChunk("a")));
  bool pushed = true;
  Thread thread("writer", [&] { pushed = pipe.Push(MakeChunk("b")); });
  pipe.Abandon();
  thread.Join();
  EXPECT_FALSE(pushed);
}

TEST(PipeTest, ReaderWaitsForAChunkUntilTheDeadline) {
  FakeClock clock;
  Pipe pipe(1);
  absl::StatusOr<Chunk> popped = Chunk();
  Thread thread("reader",
                [&] { popped = pipe.Pop(clock, clock.MonotonicNow() + absl::Seconds(30)); });
  clock.AwaitWaiters(1);
  clock.Advance(absl::Seconds(30));
  thread.Join();
  EXPECT_THAT(popped, StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST(PipeTest, SourceCountsWhatItTakesAndAbandonsThePipeWhenItGoes) {
  auto pipe = std::make_shared<Pipe>(2);
  auto progress = std::make_shared<std::atomic<uint64_t>>(0);
  EXPECT_TRUE(pipe->Push(MakeChunk("abc")));
  {
    PipeSource source(pipe, progress);
    ASSERT_OK_AND_ASSIGN(const absl::Span<const uint8_t> piece, source.Next());
    EXPECT_EQ(AsText(piece), "abc");
    EXPECT_EQ(progress->load(), 1);
  }
  EXPECT_FALSE(pipe->Push(MakeChunk("d")));
}

}  // namespace
}  // namespace holdfast
