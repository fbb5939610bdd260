#include "common/repository/manifest.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/repository/zstd_stream.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/common/repository/test_backups.h"

namespace holdfast {
namespace {

using repository::v1::Extent;
using repository::v1::FileEntry;
using repository::v1::ObjectEntry;
using testing::HasSubstr;

// Lengths in a manifest of SmallStoreFiles, by index: 0 and 1 tables, 2 a blob file, 3 the bundle.
class ManifestTest : public testing::Test {
 protected:
  ManifestTest() : good_(backups_.Prepare(SmallStoreFiles(backups_.random, 1000))) {}

  const std::string& backup_id() const { return good_.summary.backup_id(); }
  const SealingKey& key() const { return backups_.store->manifest_key(); }

  absl::StatusOr<Manifest> Open(absl::string_view sealed) {
    return OpenManifest(AsBytes(sealed), backups_.store_id, backup_id(), key());
  }

  // Seals whatever is in a manifest, with the right key, and opens it.
  absl::Status OpenCrafted(const Manifest& manifest) {
    TestBackups& backups = backups_;
    const std::string id = manifest.summary.backup_id();
    Manifest named = manifest;
    named.summary.set_backup_id(backup_id());
    std::string content;
    std::string summary = manifest.summary.SerializeAsString();
    for (size_t i = 0; i < 4; ++i) content.push_back(static_cast<char>(summary.size() >> (8 * i)));
    absl::StrAppend(&content, summary, *ZstdCompress(manifest.files.SerializeAsString()));
    backups.CommitContent(backup_id(), content);
    return Open(backups.blobs.Read(BackupPath(backups.store_id, backup_id()))).status();
  }

  absl::Status OpenContent(absl::string_view content) {
    backups_.CommitContent(backup_id(), content);
    return Open(backups_.blobs.Read(BackupPath(backups_.store_id, backup_id()))).status();
  }

  FileEntry& File(Manifest& manifest, absl::string_view name) {
    for (FileEntry& file : *manifest.files.mutable_files()) {
      if (file.name() == name) return file;
    }
    ADD_FAILURE() << name;
    return *manifest.files.mutable_files(0);
  }

  TestBackups backups_;
  const Manifest good_;
};

TEST_F(ManifestTest, WhatIsSealedIsOpened) {
  ASSERT_OK_AND_ASSIGN(const std::string sealed, SealManifest(good_, backups_.store_id, key()));
  ASSERT_OK_AND_ASSIGN(const Manifest opened, Open(sealed));
  EXPECT_EQ(opened.summary.SerializeAsString(), good_.summary.SerializeAsString());
  EXPECT_EQ(opened.files.SerializeAsString(), good_.files.SerializeAsString());
}

TEST_F(ManifestTest, ABackupOfNothingIsOpened) {
  ASSERT_OK_AND_ASSIGN(const std::string sealed,
                       SealManifest(backups_.Prepare({}), backups_.store_id, key()));
  EXPECT_LT(sealed.size(), 1000u);
}

TEST_F(ManifestTest, TheSummaryIsOpenedFromTheFirstSegment) {
  TestBackups::Files files;
  for (int i = 0; i < 5'000; ++i) files[absl::StrCat("instance/", i)] = absl::StrCat(i);
  const Manifest manifest = backups_.Prepare(files);
  ASSERT_OK_AND_ASSIGN(const std::string sealed, SealManifest(manifest, backups_.store_id, key()));
  ASSERT_GT(sealed.size(), kSealedHeaderSizeBytes + kSealedSegmentSizeBytes);
  const auto beginning = AsBytes(sealed).first(kSealedHeaderSizeBytes + kSealedSegmentSizeBytes);
  ASSERT_OK_AND_ASSIGN(const auto summary,
                       OpenManifestSummary(beginning, sealed.size(), backups_.store_id,
                                           manifest.summary.backup_id(), key()));
  EXPECT_EQ(summary.SerializeAsString(), manifest.summary.SerializeAsString());
  EXPECT_THAT(OpenManifestSummary(beginning, sealed.size() - 1, backups_.store_id,
                                  manifest.summary.backup_id(), key()),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("cut short")));
}

TEST_F(ManifestTest, AnotherNameStoreOrKeyIsToldApart) {
  ASSERT_OK_AND_ASSIGN(const std::string sealed, SealManifest(good_, backups_.store_id, key()));
  const auto fault_of = [](const absl::StatusOr<Manifest>& manifest) {
    return GetSealedFault(manifest.status());
  };
  EXPECT_EQ(fault_of(OpenManifest(AsBytes(sealed), backups_.store_id,
                                  "20261122T183500.123Z-00000000", key())),
            SealedFault::kOtherName);
  EXPECT_EQ(fault_of(OpenManifest(AsBytes(sealed), StoreId::Generate(), backup_id(), key())),
            SealedFault::kOtherName);
  const SealingKey other = SealingKey::ForBackup(KeyId{}, Key::Generate());
  EXPECT_EQ(fault_of(OpenManifest(AsBytes(sealed), backups_.store_id, backup_id(), other)),
            SealedFault::kWrongKey);
}

TEST_F(ManifestTest, EveryFlippedByteIsFound) {
  ASSERT_OK_AND_ASSIGN(const std::string sealed, SealManifest(good_, backups_.store_id, key()));
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string flipped = sealed;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x10);
    const absl::StatusOr<Manifest> opened = Open(flipped);
    EXPECT_THAT(opened, StatusIs(absl::StatusCode::kDataLoss, HasSubstr(backup_id()))) << i;
    EXPECT_TRUE(GetSealedFault(opened.status()).has_value()) << i;
  }
}

TEST_F(ManifestTest, EveryCutIsFound) {
  ASSERT_OK_AND_ASSIGN(const std::string sealed, SealManifest(good_, backups_.store_id, key()));
  for (size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_THAT(Open(absl::string_view(sealed).substr(0, size)),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("cut short")))
        << size;
  }
  EXPECT_THAT(Open(sealed + "x"), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("appended")));
}

TEST_F(ManifestTest, AFeatureThatIsNotKnownNeedsANewerVersion) {
  Manifest manifest = good_;
  manifest.summary.add_required_features("time-travel");
  manifest.summary.set_ordinal(0);  // whatever else a newer version does otherwise
  EXPECT_THAT(OpenCrafted(manifest),
              StatusIs(absl::StatusCode::kUnimplemented,
                       testing::AllOf(HasSubstr("newer"), HasSubstr("time-travel"))));
}

TEST_F(ManifestTest, ACodecThatIsNotKnownNeedsANewerVersion) {
  Manifest manifest = good_;
  manifest.files.mutable_objects(0)->set_codec(static_cast<ObjectEntry::Codec>(77));
  EXPECT_THAT(OpenCrafted(manifest),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("codec 77")));
}

TEST_F(ManifestTest, SummariesThatLieAboutTheirLengthAreRefused) {
  const std::string summary = good_.summary.SerializeAsString();
  const auto is_refused = StatusIs(absl::StatusCode::kDataLoss, HasSubstr("summary"));
  const std::string list = *ZstdCompress(good_.files.SerializeAsString());
  EXPECT_THAT(OpenContent(""), is_refused);
  EXPECT_THAT(OpenContent("abc"), is_refused);
  EXPECT_THAT(OpenContent(absl::StrCat("\xFF\xFF\xFF\xFF", summary, list)), is_refused);
  EXPECT_THAT(OpenContent(absl::StrCat("\xFF\xFF\xFF\x7F", summary, list)), is_refused);
  std::string beyond(4, '\0');
  beyond[0] = static_cast<char>(summary.size() + 1);
  beyond[1] = static_cast<char>((summary.size() + 1) >> 8);
  EXPECT_THAT(OpenContent(absl::StrCat(beyond, summary)), is_refused);
  // Longer than a segment, though it is there.
  EXPECT_THAT(OpenContent(absl::StrCat(std::string("\0\0\1\0", 4), std::string(70'000, '\0'))),
              is_refused);
  EXPECT_THAT(OpenContent(absl::StrCat(std::string("\4\0\0\0", 4), "\xFF\xFF\xFF\xFF", list)),
              is_refused);
}

TEST_F(ManifestTest, AListThatIsABombOrNoListIsRefused) {
  const std::string summary = good_.summary.SerializeAsString();
  std::string begin(4, '\0');
  begin[0] = static_cast<char>(summary.size());
  begin[1] = static_cast<char>(summary.size() >> 8);
  begin += summary;
  const auto is_refused = StatusIs(absl::StatusCode::kDataLoss, HasSubstr("list of files"));
  EXPECT_THAT(OpenContent(begin), is_refused);
  EXPECT_THAT(OpenContent(begin + "not zstd"), is_refused);
  EXPECT_THAT(OpenContent(begin + *ZstdCompress("\xFF\xFF\xFF")), is_refused);
  EXPECT_THAT(OpenContent(begin + *ZstdCompress(std::string(300 << 20, '\0'))), is_refused);
}

struct Breakage {
  const char* expected;  // in the message
  std::function<void(Manifest&)> apply;
};

TEST_F(ManifestTest, EveryRuleOfTheFormatIsChecked) {
  const auto extent = [](uint32_t object, uint64_t offset, uint64_t length) {
    Extent result;
    result.set_object_index(object);
    result.set_offset(offset);
    result.set_length(length);
    return result;
  };
  const auto file = [this](Manifest& m, const char* name) -> FileEntry& { return File(m, name); };
  const std::vector<Breakage> breakages = {
      {"is backup", [](Manifest& m) { m.summary.set_backup_id("20261122T183500.123Z-00000000"); }},
      {"another store", [](Manifest& m) { m.summary.set_store_id(std::string(16, 'x')); }},
      {"another store", [](Manifest& m) { m.summary.set_store_id(""); }},
      {"incarnation", [](Manifest& m) { m.summary.set_incarnation("short"); }},
      {"incarnation", [](Manifest& m) { m.summary.add_earlier_incarnations("short"); }},
      {"no ordinal", [](Manifest& m) { m.summary.set_ordinal(0); }},
      {"backup before", [](Manifest& m) { m.summary.set_ordinal(2); }},
      {"backup before",
       [](Manifest& m) { m.summary.set_previous_manifest_hash(std::string(32, 'x')); }},
      {"backup before",
       [](Manifest& m) {
         m.summary.set_ordinal(2);
         m.summary.set_previous_backup_id("../../etc");
         m.summary.set_previous_manifest_hash(std::string(32, 'x'));
       }},
      {"backup before",
       [](Manifest& m) {
         m.summary.set_ordinal(2);
         m.summary.set_previous_backup_id("20261122T183500.123Z-00000000");
         m.summary.set_previous_manifest_hash("short");
       }},
      {"do not go together", [](Manifest& m) { m.summary.set_file_count(1); }},
      {"its settings",
       [](Manifest& m) { m.files.set_agent_settings(std::string((1 << 20) + 1, 's')); }},
      {"do not go together", [](Manifest& m) { m.summary.set_size_bytes(1); }},
      // Objects.
      {"name", [](Manifest& m) { m.files.mutable_objects(0)->set_name("../../../etc/passwd"); }},
      {"name", [](Manifest& m) { m.files.mutable_objects(0)->set_name(""); }},
      {"listed twice",
       [](Manifest& m) { m.files.mutable_objects(1)->set_name(m.files.objects(0).name()); }},
      {"key id", [](Manifest& m) { m.files.mutable_objects(0)->set_key_id("short"); }},
      {"do not go together",
       [](Manifest& m) { m.files.mutable_objects(0)->set_sealed_size_bytes(5); }},
      {"do not go together",
       [](Manifest& m) { m.files.mutable_objects(0)->set_content_size_bytes(UINT64_MAX); }},
      {"less than any",
       [](Manifest& m) { m.files.mutable_objects(3)->set_sealed_size_bytes(143); }},
      // Files.
      {"name of a file", [](Manifest& m) { m.files.mutable_files(0)->set_name("../000007.sst"); }},
      {"name of an instance file",
       [&](Manifest& m) { file(m, "instance/empty").set_name("instance/../../empty"); }},
      {"name of a file", [](Manifest& m) { m.files.mutable_files(0)->set_name("/etc/passwd"); }},
      {"its kind", [](Manifest& m) { m.files.mutable_files(0)->set_kind(FileEntry::KIND_LOG); }},
      {"checksum", [](Manifest& m) { m.files.mutable_files(0)->set_xxh3_128("short"); }},
      {"mode", [](Manifest& m) { m.files.mutable_files(0)->set_mode(0600); }},
      {"mode", [&](Manifest& m) { file(m, "instance/empty").set_mode(010000); }},
      {"order", [](Manifest& m) { m.files.mutable_files()->SwapElements(0, 1); }},
      {"twice", [](Manifest& m) { *m.files.mutable_files(1) = m.files.files(0); }},
      // Extents.
      {"less than its size", [](Manifest& m) { m.files.mutable_files(0)->clear_extents(); }},
      {"less than its size",
       [](Manifest& m) { m.files.mutable_files(0)->set_size_bytes(UINT64_MAX); }},
      {"more than its size", [](Manifest& m) { m.files.mutable_files(0)->set_size_bytes(10); }},
      {"more than its size",
       [&](Manifest& m) { *file(m, "instance/empty").add_extents() = extent(3, 0, 1); }},
      {"not listed",
       [](Manifest& m) { m.files.mutable_files(0)->mutable_extents(0)->set_object_index(4); }},
      {"not listed",
       [](Manifest& m) {
         m.files.mutable_files(0)->mutable_extents(0)->set_object_index(UINT32_MAX);
       }},
      {"within its object",
       [](Manifest& m) { m.files.mutable_files(0)->mutable_extents(0)->set_offset(1); }},
      {"within its object",
       [](Manifest& m) { m.files.mutable_files(0)->mutable_extents(0)->set_offset(UINT64_MAX); }},
      {"within its object",
       [](Manifest& m) { m.files.mutable_files(0)->mutable_extents(0)->set_length(UINT64_MAX); }},
      {"empty", [&](Manifest& m) { *m.files.mutable_files(0)->add_extents() = extent(0, 0, 0); }},
      {"overlap",
       [&](Manifest& m) { file(m, "OPTIONS-000014").mutable_extents(0)->set_offset(1); }},
      {"overlap",
       [](Manifest& m) {
         // The second table is said to be in the first one's object: as long, but the same bytes.
         FileEntry& second = *m.files.mutable_files(1);
         m.summary.set_size_bytes(m.summary.size_bytes() - 1);
         second.set_size_bytes(second.size_bytes() - 1);
         second.mutable_extents(0)->set_length(second.size_bytes());
         second.mutable_extents(0)->set_object_index(0);
       }},
      {"sizes of its files are more",
       [](Manifest& m) {
         for (int i = 0; i < 2; ++i) {
           m.files.mutable_objects(i)->set_content_size_bytes(UINT64_MAX - 1);
           m.files.mutable_objects(i)->set_codec(ObjectEntry::CODEC_ZSTD);
           m.files.mutable_files(i)->set_size_bytes(UINT64_MAX - 1);
           m.files.mutable_files(i)->mutable_extents(0)->set_length(UINT64_MAX - 1);
         }
       }},
  };
  ASSERT_OK(OpenCrafted(good_));
  for (size_t i = 0; i < breakages.size(); ++i) {
    Manifest manifest = good_;
    breakages[i].apply(manifest);
    EXPECT_THAT(OpenCrafted(manifest),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr(breakages[i].expected)))
        << "breakage " << i;
    // What a reader refuses, a writer does not write.
    Manifest named = manifest;
    if (named.summary.backup_id() == backup_id()) {
      EXPECT_THAT(SealManifest(named, backups_.store_id, key()),
                  StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(breakages[i].expected)))
          << "breakage " << i;
    }
  }
}

TEST_F(ManifestTest, WhatExceedsTheBoundsIsNotWritten) {
  Manifest manifest = good_;
  manifest.summary.set_agent_version(std::string(70'000, 'v'));
  EXPECT_THAT(SealManifest(manifest, backups_.store_id, key()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("summary")));
  manifest = good_;
  manifest.summary.set_backup_id("none");
  EXPECT_THAT(SealManifest(manifest, backups_.store_id, key()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("backup id")));
}

}  // namespace
}  // namespace holdfast
