#include "common/repository/object_remains.h"

#include <map>
#include <string>
#include <vector>

#include "common/crypto/sealed_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/common/repository/test_backups.h"

namespace holdfast {
namespace {

using repository::v1::ObjectEntry;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr uint64_t kSegments = 40;
constexpr uint64_t kContentSize = kSegments * kSegmentSizeBytes - 1000;

class ObjectRemainsTest : public testing::Test {
 protected:
  ObjectRemainsTest() : content_(kContentSize, '\0') {
    backups_.random.Fill(
        absl::MakeSpan(reinterpret_cast<uint8_t*>(content_.data()), content_.size()));
    object_ = backups_.WriteObject(content_, ObjectEntry::CODEC_NONE);
    sealed_ = backups_.blobs.Read(Path());
  }

  std::string Path() const { return backups_.PathOf(object_); }
  void Damage(std::string sealed) { backups_.blobs.Write(Path(), std::move(sealed)); }
  void Flip(uint64_t offset) {
    std::string sealed = backups_.blobs.Read(Path());
    sealed[offset] ^= 1;
    Damage(std::move(sealed));
  }

  // What is left; checks that each byte of it is the one that was stored, and where the rest is.
  ObjectRemains Read() {
    uint64_t position = 0;
    std::vector<ByteRange> between;
    const auto add_gap = [&](uint64_t end) {
      if (end > position) between.push_back({.offset = position, .size_bytes = end - position});
    };
    const absl::StatusOr<ObjectRemains> remains = ReadObjectRemains(
        *backups_.store, object_, [&](uint64_t offset, absl::Span<const uint8_t> piece) {
          add_gap(offset);
          EXPECT_EQ(AsText(piece), absl::string_view(content_).substr(offset, piece.size()));
          position = offset + piece.size();
          return absl::OkStatus();
        });
    EXPECT_OK(remains);
    add_gap(content_.size());
    if (!remains.ok()) return {};
    EXPECT_EQ(between, remains->lost);
    return *remains;
  }

  TestBackups backups_;
  std::string content_;
  ObjectEntry object_;
  std::string sealed_;
};

constexpr uint64_t SegmentAt(uint64_t number) {
  return kSealedHeaderSizeBytes + number * kSealedSegmentSizeBytes;
}
constexpr ByteRange Segments(uint64_t first, uint64_t count) {
  return {.offset = first * kSegmentSizeBytes, .size_bytes = count * kSegmentSizeBytes};
}

TEST_F(ObjectRemainsTest, OfAWholeObjectIsAllOfIt) {
  const ObjectRemains remains = Read();
  EXPECT_OK(remains.fault);
  EXPECT_THAT(remains.lost, IsEmpty());
}

TEST_F(ObjectRemainsTest, LosesOnlyTheSegmentsThatAreDamaged) {
  Flip(SegmentAt(3) + 77);
  Flip(SegmentAt(17));
  Flip(SegmentAt(18) + kSealedSegmentSizeBytes - 1);
  Flip(sealed_.size() - 1);
  const ObjectRemains remains = Read();
  EXPECT_THAT(remains.fault, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("segment 3")));
  EXPECT_THAT(std::string(remains.fault.message()), HasSubstr(Path()));
  EXPECT_THAT(remains.lost,
              ElementsAre(Segments(3, 1), Segments(17, 2),
                          ByteRange{.offset = 39 * kSegmentSizeBytes,
                                    .size_bytes = kContentSize - 39 * kSegmentSizeBytes}));
}

TEST_F(ObjectRemainsTest, KeepsWhatLiesBeforeACut) {
  Damage(sealed_.substr(0, SegmentAt(20) + 5));
  const ObjectRemains remains = Read();
  EXPECT_THAT(remains.fault, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("cut short")));
  EXPECT_THAT(remains.lost,
              ElementsAre(ByteRange{.offset = 20 * kSegmentSizeBytes,
                                    .size_bytes = kContentSize - 20 * kSegmentSizeBytes}));
}

TEST_F(ObjectRemainsTest, TakesNoHarmFromWhatWasAppended) {
  Damage(sealed_ + "more");
  const ObjectRemains remains = Read();
  EXPECT_THAT(remains.fault, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("too long")));
  EXPECT_THAT(remains.lost, IsEmpty());
}

TEST_F(ObjectRemainsTest, LosesAllWithoutHeaderOrFile) {
  const ByteRange all = {.offset = 0, .size_bytes = kContentSize};
  Flip(50);
  EXPECT_THAT(Read().lost, ElementsAre(all));
  Damage(sealed_.substr(0, 60));
  EXPECT_THAT(Read().lost, ElementsAre(all));
  Damage("");
  EXPECT_THAT(Read().lost, ElementsAre(all));
  backups_.blobs.Remove(Path());
  const ObjectRemains remains = Read();
  EXPECT_THAT(remains.lost, ElementsAre(all));
  EXPECT_THAT(std::string(remains.fault.message()), HasSubstr("missing"));
}

TEST_F(ObjectRemainsTest, TakesADestinationThatIsGoneForNoDamage) {
  const auto store = backups_.Reopen();
  for (const auto& [name, content] : backups_.blobs.Contents()) backups_.blobs.Remove(name);
  EXPECT_THAT(
      ReadObjectRemains(*store, object_,
                        [](uint64_t, absl::Span<const uint8_t>) { return absl::OkStatus(); }),
      StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ObjectRemainsTest, ReturnsTheErrorOfWhoTakesIt) {
  EXPECT_THAT(ReadObjectRemains(*backups_.store, object_,
                                [](uint64_t, absl::Span<const uint8_t>) {
                                  return absl::ResourceExhaustedError("full");
                                }),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

}  // namespace
}  // namespace holdfast
