#include "common/repository/layout.h"

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "simdjson.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using repository::v1::FileEntry;
using repository::v1::Mark;
using testing::MatchesRegex;

constexpr absl::string_view kStoreText = "00112233445566778899aabbccddeeff";
constexpr absl::string_view kBackupId = "20261122T183500.123Z-1f9a2b3c";
constexpr absl::string_view kObjectName =
    "0f/0f1e2d3c4b5a69788796a5b4c3d2e1f0-20261122T183500.123Z-1f9a2b3c";
const absl::Time kTime = absl::FromUnixMillis(1'795'372'500'123);

StoreId TestStoreId() { return *StoreId::FromText(kStoreText); }

const auto kIsInvalid = StatusIs(absl::StatusCode::kInvalidArgument);

TEST(LayoutTest, PathsAreAsTheFormatSays) {
  const std::string store = absl::StrCat("stores/", kStoreText);
  EXPECT_EQ(StorePath(TestStoreId()), store);
  EXPECT_EQ(BackupPath(TestStoreId(), kBackupId), absl::StrCat(store, "/backups/", kBackupId));
  EXPECT_EQ(ObjectPath(TestStoreId(), kObjectName), absl::StrCat(store, "/objects/", kObjectName));
  const KeyFingerprint fingerprint({1, 2, 3, 4, 5, 6, 7, 0xAB});
  EXPECT_EQ(KeyFilePath(TestStoreId(), TestStoreId().bytes(), fingerprint),
            absl::StrCat(store, "/keys/", kStoreText, "-01020304050607ab"));
  SeededRandom random(1);
  EXPECT_THAT(MarkPath(TestStoreId(), kBackupId, kTime, Mark::KIND_UNDELETED, random),
              MatchesRegex(absl::StrCat(store, "/marks/", kBackupId,
                                        "/20261122T183500\\.123Z-undeleted-[0-9a-f]{8}")));
}

TEST(LayoutTest, BackupIdsAreMadeAndRecognised) {
  SeededRandom random(1);
  const std::string id = MakeBackupId(kTime, random);
  EXPECT_THAT(id, MatchesRegex("20261122T183500\\.123Z-[0-9a-f]{8}"));
  EXPECT_TRUE(IsBackupId(id));
  EXPECT_TRUE(IsBackupId(kBackupId));
  for (const char* text : {"", "20261122T183500.123Z", "20261122T183500.123Z-1f9a2b3",
                           "20261122T183500.123Z-1f9a2b3cd", "20261122T183500.123Z-1F9A2B3C",
                           "20261322T183500.123Z-1f9a2b3c", "20261122T183500.123Z_1f9a2b3c",
                           "20261122T183500-123Z-1f9a2b3c", "../../../../../../etc/passwd",
                           "20261122T183500.123Z-1f9a/b3c"}) {
    EXPECT_FALSE(IsBackupId(text)) << text;
  }
}

TEST(LayoutTest, ObjectNamesAreMadeAndParsed) {
  SeededRandom random(1);
  const ObjectIdentity identity = Id128::FromText("0f1e2d3c4b5a69788796a5b4c3d2e1f0")->bytes();
  const std::string name = MakeObjectName(identity, kTime, random);
  EXPECT_THAT(name, MatchesRegex("0f/0f1e2d3c4b5a69788796a5b4c3d2e1f0-20261122T183500\\.123Z-"
                                 "[0-9a-f]{8}"));
  ASSERT_OK_AND_ASSIGN(const ParsedObjectName parsed, ParseObjectName(name));
  EXPECT_EQ(parsed.identity, identity);
  EXPECT_EQ(parsed.time, kTime);
  EXPECT_NE(MakeObjectName(identity, kTime, random), name);

  const std::string good(kObjectName);
  std::vector<std::string> bad = {"",
                                  "/",
                                  good + "/",
                                  "/" + good,
                                  "a/" + good,
                                  good + "0",
                                  good.substr(3),
                                  "1" + good.substr(1),
                                  "0F" + good.substr(2),
                                  "..",
                                  "0f/../x",
                                  good.substr(0, good.size() - 1)};
  for (size_t i = 0; i < good.size(); ++i) {
    std::string changed = good;
    changed[i] = changed[i] == '~' ? '!' : '~';
    bad.push_back(changed);
  }
  for (const std::string& each : bad) EXPECT_THAT(ParseObjectName(each), kIsInvalid) << each;
}

TEST(LayoutTest, NamesOfLeasesAreParsed) {
  SeededRandom random(1);
  const std::string path = PruneLeasePath(TestStoreId(), kTime, random);
  const std::string prefix = absl::StrCat(LeasesPath(TestStoreId()), "/");
  ASSERT_EQ(path.substr(0, prefix.size()), prefix);
  const std::string name = path.substr(prefix.size());
  EXPECT_THAT(name, MatchesRegex("20261122T183500\\.123Z-prune-[0-9a-f]{8}"));
  EXPECT_THAT(ParsePruneLeaseName(name), IsOkAndHolds(kTime));
  for (const std::string& bad :
       {std::string(), name + "0", name.substr(1), std::string("20261122T183500.123Z-prune"),
        std::string("20261122T183500.123Z-other-00ff00ff"),
        std::string("20261122T183500.123Z-prune-00FF00FF")}) {
    EXPECT_THAT(ParsePruneLeaseName(bad), kIsInvalid) << bad;
  }
}

TEST(LayoutTest, MarkNamesAreParsed) {
  ASSERT_OK_AND_ASSIGN(
      const ParsedMarkName parsed,
      ParseMarkName(absl::StrCat(kBackupId, "/20261122T183500.124Z-deleted-00ff00ff")));
  EXPECT_EQ(parsed.backup_id, kBackupId);
  EXPECT_EQ(parsed.time, kTime + absl::Milliseconds(1));
  EXPECT_EQ(parsed.kind, Mark::KIND_DELETED);
  SeededRandom random(1);
  for (int kind = Mark::KIND_PINNED; kind <= Mark::Kind_MAX; ++kind) {
    const std::string path =
        MarkPath(TestStoreId(), kBackupId, kTime, static_cast<Mark::Kind>(kind), random);
    ASSERT_OK_AND_ASSIGN(const ParsedMarkName each,
                         ParseMarkName(path.substr(MarksPath(TestStoreId()).size() + 1)));
    EXPECT_EQ(each.kind, kind);
  }
  for (const char* rest :
       {"", "/", "/x", "/20261122T183500.124Z-deleted", "/20261122T183500.124Z-none-00ff00ff",
        "/20261122T183500.124Z-Deleted-00ff00ff", "/20261122T183500.124Z--00ff00ff",
        "/20261122T183500.124Z-deleted-00ff00f", "/20261122T183500.124Z-deleted-00ff00ff/x",
        "/20261122T183500.124Z-deleted-00ff00ff-1"}) {
    EXPECT_THAT(ParseMarkName(absl::StrCat(kBackupId, rest)), kIsInvalid) << rest;
  }
  EXPECT_THAT(ParseMarkName("x/20261122T183500.124Z-deleted-00ff00ff"), kIsInvalid);
}

TEST(LayoutTest, KeyFileNamesAreParsed) {
  ASSERT_OK_AND_ASSIGN(const ParsedKeyFileName parsed,
                       ParseKeyFileName(absl::StrCat(kStoreText, "-01020304050607ab")));
  EXPECT_EQ(KeyIdText(parsed.key_id), kStoreText);
  EXPECT_EQ(parsed.fingerprint.ToText(), "01020304050607ab");
  for (const std::string& text :
       {std::string(kStoreText), absl::StrCat(kStoreText, "-01020304050607AB"),
        absl::StrCat(kStoreText, "-01020304050607a"), absl::StrCat(kStoreText, "_01020304050607ab"),
        absl::StrCat(kStoreText, "-01020304050607ab1"), std::string()}) {
    EXPECT_THAT(ParseKeyFileName(text), kIsInvalid) << text;
  }
}

// Expected by Python's hashlib.blake2b, from FORMAT.md.
TEST(LayoutTest, IdentitiesAreAsTheFormatSays) {
  std::string key_bytes;
  for (int i = 0; i < 32; ++i) key_bytes.push_back(static_cast<char>(i));
  const Key key = Key::FromBytes(AsBytes(key_bytes));
  const std::string checksum = absl::HexStringToBytes("000102030405060708090a0b0c0d0e0f");
  const auto identity = [&](FileEntry::Kind kind, uint64_t number, uint64_t size) {
    return Id128(ComputeObjectIdentity(key, kind, TestStoreId(), number, size, checksum)).ToText();
  };
  const std::string expected = identity(FileEntry::KIND_TABLE, 42, 123'456'789'012);
  EXPECT_EQ(expected, "335399c51856d2055ccb08a68f07cc05");
  EXPECT_NE(identity(FileEntry::KIND_BLOB, 42, 123'456'789'012), expected);
  EXPECT_NE(identity(FileEntry::KIND_TABLE, 43, 123'456'789'012), expected);
  EXPECT_NE(identity(FileEntry::KIND_TABLE, 42, 123'456'789'013), expected);
}

TEST(LayoutTest, IdentitiesAreThoseOfTheTestVectors) {
  simdjson::dom::parser parser;
  simdjson::dom::element vectors;
  ASSERT_EQ(parser.load(HOLDFAST_TEST_VECTORS_PATH).get(vectors), simdjson::SUCCESS);
  int count = 0;
  for (const simdjson::dom::element vector : vectors["identities"].get_array()) {
    const auto bytes = [&](const char* member) {
      return absl::HexStringToBytes(vector[member].get_c_str().value());
    };
    const ObjectIdentity identity = ComputeObjectIdentity(
        Key::FromBytes(AsBytes(bytes("id_key_hex"))),
        static_cast<FileEntry::Kind>(vector["kind_number"].get_uint64().value()),
        *StoreId::FromBytes(bytes("store_id_hex")), vector["file_number"].get_uint64().value(),
        vector["size_bytes"].get_uint64().value(), bytes("xxh3_128_hex"));
    EXPECT_EQ(AsText(identity), bytes("identity_hex"));
    ++count;
  }
  EXPECT_GE(count, 2);
}

TEST(LayoutTest, FileNamesStandForKinds) {
  EXPECT_THAT(KindOfFileName("000007.sst"), IsOkAndHolds(FileEntry::KIND_TABLE));
  EXPECT_THAT(KindOfFileName("000007.ldb"), IsOkAndHolds(FileEntry::KIND_TABLE));
  EXPECT_THAT(KindOfFileName("12345678901234567890.sst"), IsOkAndHolds(FileEntry::KIND_TABLE));
  EXPECT_THAT(KindOfFileName("000007.blob"), IsOkAndHolds(FileEntry::KIND_BLOB));
  EXPECT_THAT(KindOfFileName("000007.log"), IsOkAndHolds(FileEntry::KIND_LOG));
  EXPECT_THAT(KindOfFileName("MANIFEST-000007"), IsOkAndHolds(FileEntry::KIND_MANIFEST));
  EXPECT_THAT(KindOfFileName("OPTIONS-000007"), IsOkAndHolds(FileEntry::KIND_OPTIONS));
  EXPECT_THAT(KindOfFileName("CURRENT"), IsOkAndHolds(FileEntry::KIND_CURRENT));
  EXPECT_THAT(KindOfFileName("instance/a"), IsOkAndHolds(FileEntry::KIND_INSTANCE));
  EXPECT_THAT(KindOfFileName("instance/a/\xC3\xA4 b/.c"), IsOkAndHolds(FileEntry::KIND_INSTANCE));
  EXPECT_THAT(KindOfFileName(absl::StrCat("instance/", std::string(1024, 'a'))),
              IsOkAndHolds(FileEntry::KIND_INSTANCE));
}

TEST(LayoutTest, EveryOtherFileNameIsRefused) {
  for (const std::string& name : {std::string(),
                                  std::string("00007.sst"),
                                  std::string("123456789012345678901.sst"),
                                  std::string("00000a.sst"),
                                  std::string("000007.SST"),
                                  std::string("000007.sst.bak"),
                                  std::string("000007."),
                                  std::string("000007"),
                                  std::string(".sst"),
                                  std::string("db/000007.sst"),
                                  std::string("../000007.sst"),
                                  std::string("/000007.sst"),
                                  std::string("MANIFEST-"),
                                  std::string("MANIFEST-00007"),
                                  std::string("MANIFEST-000007x"),
                                  std::string("OPTIONS-000007.dbtmp"),
                                  std::string("CURRENT "),
                                  std::string("current"),
                                  std::string("LOCK"),
                                  std::string("LOG"),
                                  std::string("IDENTITY"),
                                  std::string("instance"),
                                  std::string("instance/"),
                                  std::string("instance//a"),
                                  std::string("instance/a/"),
                                  std::string("instance/."),
                                  std::string("instance/.."),
                                  std::string("instance/../db/CURRENT"),
                                  std::string("instance/a/../../x"),
                                  std::string("instance/a\\b"),
                                  std::string("instance/a\nb"),
                                  std::string("instance/a\x7F"),
                                  std::string("instance/a\0b", 12),
                                  std::string("instance/\xFF"),
                                  absl::StrCat("instance/", std::string(1025, 'a'))}) {
    EXPECT_THAT(KindOfFileName(name), kIsInvalid) << name;
  }
}

}  // namespace
}  // namespace holdfast
