#include "common/repository/zstd_stream.h"

#include <zstd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "common/crypto/hash.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

std::string RandomText(size_t size) {
  SeededRandom random(1);
  std::string text(size, '\0');
  random.Fill(absl::MakeSpan(reinterpret_cast<uint8_t*>(text.data()), size));
  return text;
}

std::string Compress(absl::string_view content) {
  auto frame = ZstdCompress(content);
  EXPECT_OK(frame);
  return *std::move(frame);
}

const auto kIsDamaged = StatusIs(absl::StatusCode::kDataLoss, HasSubstr("Zstandard"));

TEST(ZstdStreamTest, ContentComesBack) {
  for (const size_t size : {0, 1, 1'000, 131'071, 131'072, 131'073, 1'000'000}) {
    for (const std::string& content : {std::string(size, 'x'), RandomText(size)}) {
      const std::string frame = Compress(content);
      ASSERT_OK_AND_ASSIGN(const std::string back, ZstdDecompress(AsBytes(frame), size));
      EXPECT_TRUE(back == content) << size;
    }
  }
}

TEST(ZstdStreamTest, AFrameMayComeInPiecesOfAnySize) {
  const std::string content = RandomText(10'000) + std::string(500'000, 'x') + RandomText(300'000);
  const std::string frame = Compress(content);
  for (const size_t piece_size : {1, 7, 100'000}) {
    ZstdDecompressor decompressor(content.size());
    std::string back;
    for (size_t i = 0; i < frame.size(); i += piece_size) {
      absl::Span<const uint8_t> piece = AsBytes(absl::string_view(frame).substr(i, piece_size));
      for (;;) {
        ASSERT_OK_AND_ASSIGN(const absl::Span<const uint8_t> out, decompressor.Next(piece));
        if (out.empty()) break;
        absl::StrAppend(&back, AsText(out));
      }
      EXPECT_TRUE(piece.empty());
      // As often as it is asked without input.
      for (int j = 0; j < 20; ++j) ASSERT_OK(decompressor.Next(piece));
    }
    EXPECT_OK(decompressor.Finish());
    EXPECT_TRUE(back == content) << piece_size;
  }
}

TEST(ZstdStreamTest, ABombEndsAtTheSizeThatItMayHave) {
  const std::string bomb = Compress(std::string(100 << 20, '\0'));
  EXPECT_LT(bomb.size(), 20'000u);
  EXPECT_THAT(ZstdDecompress(AsBytes(bomb), 1'000'000),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("more than 1000000 bytes")));
  const std::string by_one = Compress(std::string(1'001, 'x'));
  EXPECT_THAT(ZstdDecompress(AsBytes(by_one), 1'000), kIsDamaged);
  EXPECT_THAT(ZstdDecompress(AsBytes(Compress("x")), 0), kIsDamaged);
}

TEST(ZstdStreamTest, AWindowOfMoreThanEightMebibytesIsRefused) {
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
  const std::string content = RandomText(9 << 20);
  std::string frame(ZSTD_compressBound(content.size()), '\0');
  ZSTD_inBuffer in = {content.data(), content.size(), 0};
  ZSTD_outBuffer out = {frame.data(), frame.size(), 0};
  while (ZSTD_compressStream2(context, &out, &in, ZSTD_e_end) != 0) {
  }
  ZSTD_freeCCtx(context);
  frame.resize(out.pos);
  EXPECT_THAT(ZstdDecompress(AsBytes(frame), content.size()), kIsDamaged);
}

TEST(ZstdStreamTest, ACutFrameIsFoundWhereverItIsCut) {
  const std::string frame = Compress(RandomText(1'000));
  for (size_t size = 0; size < frame.size(); ++size) {
    EXPECT_THAT(ZstdDecompress(AsBytes(frame).first(size), 1'000), kIsDamaged) << size;
  }
}

TEST(ZstdStreamTest, WhatIsNotExactlyOneFrameIsRefused) {
  const std::string frame = Compress("content");
  const std::string skippable("\x50\x2A\x4D\x18\x01\x00\x00\x00x", 9);
  EXPECT_THAT(ZstdDecompress(AsBytes(frame + "x"), 100), kIsDamaged);
  EXPECT_THAT(ZstdDecompress(AsBytes(frame + frame), 100), kIsDamaged);
  EXPECT_THAT(ZstdDecompress(AsBytes(skippable + frame), 100), kIsDamaged);
  EXPECT_THAT(ZstdDecompress(AsBytes(frame + skippable), 100), kIsDamaged);
  EXPECT_THAT(ZstdDecompress(AsBytes("no frame at all"), 100), kIsDamaged);
}

TEST(ZstdStreamTest, ContentOfAnotherLengthThanAnnouncedIsNoFrame) {
  const auto drop = [](absl::Span<const uint8_t> /*piece*/) { return absl::OkStatus(); };
  ZstdCompressor too_little(10);
  ASSERT_OK(too_little.Update(AsBytes("123"), drop));
  EXPECT_THAT(too_little.Finish(drop), StatusIs(absl::StatusCode::kInternal));
}

TEST(ZstdStreamTest, AnErrorOfTheSinkEndsIt) {
  ZstdCompressor compressor(3);
  const auto fail = [](absl::Span<const uint8_t> /*piece*/) {
    return absl::ResourceExhaustedError("full");
  };
  absl::Status status = compressor.Update(AsBytes("123"), fail);
  if (status.ok()) status = compressor.Finish(fail);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, "full"));
}

}  // namespace
}  // namespace holdfast
