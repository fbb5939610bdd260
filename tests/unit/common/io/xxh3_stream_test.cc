#include "common/io/xxh3_stream.h"

#include <string>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace holdfast {
namespace {

TEST(Xxh3StreamTest, DigestsAreThoseOfTheReferenceInCanonicalOrder) {
  // python3: xxhash.xxh3_128_hexdigest(…)
  EXPECT_EQ(absl::BytesToHexString(Xxh3Of("")), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(absl::BytesToHexString(Xxh3Of("holdfast")), "d725ef720e130d9fdf1a3c122ca59e45");
}

TEST(Xxh3StreamTest, PiecesAreAsTheWhole) {
  std::string bytes;
  for (int i = 0; i < 100'000; ++i) bytes.push_back(static_cast<char>(i * 7));
  for (const size_t piece_size : {1, 31, 240, 4096, 100'000}) {
    Xxh3Stream checksum;
    for (size_t i = 0; i < bytes.size(); i += piece_size) {
      checksum.Update(absl::string_view(bytes).substr(i, piece_size));
    }
    EXPECT_EQ(checksum.Digest(), Xxh3Of(bytes)) << piece_size;
  }
}

TEST(Xxh3StreamTest, MoreMayFollowADigest) {
  Xxh3Stream checksum;
  checksum.Update("hold");
  EXPECT_EQ(checksum.Digest(), Xxh3Of("hold"));
  checksum.Update("");
  checksum.Update("fast");
  EXPECT_EQ(checksum.Digest(), Xxh3Of("holdfast"));
}

}  // namespace
}  // namespace holdfast
