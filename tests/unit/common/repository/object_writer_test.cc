#include "common/repository/object_writer.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/memory_blob_store.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/common/repository/test_backups.h"

namespace holdfast {
namespace {

using repository::v1::ObjectEntry;
using testing::HasSubstr;

class ObjectSealerTest : public testing::Test {
 protected:
  std::string RandomText(size_t size) {
    std::string text(size, '\0');
    backups_.random.Fill(absl::MakeSpan(reinterpret_cast<uint8_t*>(text.data()), size));
    return text;
  }

  ObjectSealer MakeSealer(ObjectEntry::Codec codec, uint64_t content_size) {
    const std::string name = MakeObjectName(ObjectIdentity{}, backups_.now, backups_.random);
    return ObjectSealer(backups_.store_id, name, backups_.store->content_key(), codec,
                        content_size);
  }

  TestBackups backups_;
};

TEST_F(ObjectSealerTest, WhatIsSealedInPiecesIsReadBack) {
  for (const ObjectEntry::Codec codec : {ObjectEntry::CODEC_NONE, ObjectEntry::CODEC_ZSTD}) {
    for (const size_t size : {0, 1, 65'535, 65'536, 65'537, 131'072, 1'000'003}) {
      const std::string content = RandomText(size / 2) + std::string(size - size / 2, 'x');
      ObjectSealer sealer = MakeSealer(codec, size);
      std::string sealed;
      for (size_t i = 0; i < size; i += 30'011) {
        ASSERT_OK(sealer.Update(AsBytes(absl::string_view(content).substr(i, 30'011)), sealed));
      }
      ASSERT_OK(sealer.Finish(sealed));
      EXPECT_EQ(sealer.entry().sealed_size_bytes(), sealed.size());
      EXPECT_EQ(sealer.entry().content_size_bytes(), size);
      EXPECT_EQ(sealer.entry().codec(), codec);
      if (codec == ObjectEntry::CODEC_NONE) {
        EXPECT_EQ(sealed.size(), SealedSizeBytes(size));
      }

      backups_.blobs.Write(backups_.PathOf(sealer.entry()), sealed);
      ASSERT_OK_AND_ASSIGN(const auto source, backups_.store->ReadObject(sealer.entry()));
      ASSERT_OK_AND_ASSIGN(const std::string read, ReadSource(*source));
      EXPECT_TRUE(read == content) << size;
    }
  }
}

TEST_F(ObjectSealerTest, ContentOfAnotherLengthThanAnnouncedIsRefused) {
  for (const ObjectEntry::Codec codec : {ObjectEntry::CODEC_NONE, ObjectEntry::CODEC_ZSTD}) {
    std::string sealed;
    ObjectSealer too_little = MakeSealer(codec, 10);
    ASSERT_OK(too_little.Update(AsBytes("123"), sealed));
    EXPECT_THAT(too_little.Finish(sealed),
                StatusIs(absl::StatusCode::kInternal, HasSubstr("3 bytes")));
    ObjectSealer too_much = MakeSealer(codec, 2);
    EXPECT_THAT(too_much.Update(AsBytes("123"), sealed),
                StatusIs(absl::StatusCode::kInternal, HasSubstr("more content")));
  }
}

TEST_F(ObjectSealerTest, NothingOfTheContentShowsInWhatIsSealed) {
  const std::string content = "a secret that nobody may read";
  for (const ObjectEntry::Codec codec : {ObjectEntry::CODEC_NONE, ObjectEntry::CODEC_ZSTD}) {
    const ObjectEntry entry = backups_.WriteObject(content, codec);
    EXPECT_THAT(backups_.blobs.Read(backups_.PathOf(entry)), testing::Not(HasSubstr("secret")));
  }
}

}  // namespace
}  // namespace holdfast
