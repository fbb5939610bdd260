// Computes every vector of common/repository/test-vectors.json anew and compares the whole file.
//
// To write the file (only for vectors that are new: a vector that was released never changes):
//   HOLDFAST_WRITE_TEST_VECTORS=common/repository/test-vectors.json crypto_test
//       --gtest_filter=TestVectorsTest.*

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/crypto/hash.h"
#include "common/crypto/little_endian.h"
#include "common/crypto/master_key.h"
#include "common/crypto/sealed_file.h"
#include "common/io/durable_file.h"
#include "common/io/files.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

constexpr absl::string_view kStoreId = "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf";
constexpr absl::string_view kBackupKeyId = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf";
constexpr absl::string_view kBackupId = "20261122T183500.123Z-1f9a2b3c";
constexpr size_t kShownSizeMaxBytes = 1024;  // sealed files that are given in full

std::string Hex(absl::Span<const uint8_t> bytes) { return absl::BytesToHexString(AsText(bytes)); }
std::string Hex(const Key& key) { return Hex(key.bytes()); }
std::string Unhex(absl::string_view hex) { return absl::HexStringToBytes(hex); }

KeyId KeyIdOf(absl::string_view hex) {
  const std::string bytes = Unhex(hex);
  KeyId key_id;
  std::copy(bytes.begin(), bytes.end(), key_id.begin());
  return key_id;
}

template <size_t Size>
std::array<uint8_t, Size> CountingFrom(uint8_t first) {
  std::array<uint8_t, Size> bytes;
  for (size_t i = 0; i < Size; ++i) bytes[i] = static_cast<uint8_t>(first + i);
  return bytes;
}

// --- JSON ------------------------------------------------------------------------------------

std::string Quoted(absl::string_view text) {
  return absl::StrCat(
      "\"", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}}), "\"");
}

using Members = std::vector<std::pair<std::string, std::string>>;  // the values are JSON

std::string ObjectOf(const Members& members) {
  return absl::StrCat("{",
                      absl::StrJoin(members, ", ",
                                    [](std::string* out, const auto& member) {
                                      absl::StrAppend(out, Quoted(member.first), ": ",
                                                      member.second);
                                    }),
                      "}");
}

// One line for each item, so that a difference is seen at once.
std::string ArrayOf(const std::vector<std::string>& items) {
  return absl::StrCat("[\n    ", absl::StrJoin(items, ",\n    "), "\n  ]");
}

// --- The inputs ------------------------------------------------------------------------------

// Salts that anybody can read: 32 bytes that count up, the next file's from where these ended.
class CountingRandom : public RandomSource {
 public:
  void Fill(absl::Span<uint8_t> bytes) override {
    for (uint8_t& byte : bytes) byte = next_++;
  }

 private:
  uint8_t next_ = 0;
};

struct SealedVector {
  std::string name;
  SealedKind kind;
  std::string path;
  uint64_t content_size_bytes;
  bool is_content_size_known;
  std::string sealed;
};

// A way to damage a sealed file, or to open it wrongly, and what that must be called.
struct Damage {
  std::string file;
  std::string what;
  Members how;
  std::function<std::string(std::string)> apply;
  SealedFault fault;
  SealedKind open_as_kind;
  std::string open_as_path;
  std::string open_with_key_id;
  std::string open_with_key;  // empty: the right one
};

class TestVectorsTest : public testing::Test {
 protected:
  TestVectorsTest() {
    const std::string keys =
        absl::StrCat("keys/", kBackupKeyId, "-", master_key_.fingerprint().ToText());
    const std::string store = absl::StrCat("stores/", kStoreId, "/");
    const std::string object = absl::StrCat(
        store, "objects/4f/4f0102030405060708090a0b0c0d0e0f-20261122T183500.123Z-5a6b7c8d");
    AddSealed("backup_key", SealedKind::kBackupKey, store + keys, 40, true);
    AddSealed("manifest", SealedKind::kManifest, absl::StrCat(store, "backups/", kBackupId), 40,
              true);
    AddSealed("mark", SealedKind::kMark,
              absl::StrCat(store, "marks/", kBackupId, "/20261123T010203.004Z-pinned-0a0b0c0d"), 40,
              true);
    AddSealed("data_key", SealedKind::kDataKey, keys, 40, true);
    AddSealed("settings", SealedKind::kSettings, "settings", 40, true);
    for (const bool is_known : {true, false}) {
      for (const uint64_t size : {0, 1, 40, 65'535, 65'536, 65'537, 131'072}) {
        AddSealed(absl::StrCat("object_", size, is_known ? "_known" : "_unknown"),
                  SealedKind::kObject, object, size, is_known);
      }
    }
    AddDamages();
  }

  Key MasterSealingKey(SealedKind kind) const {
    switch (kind) {
      case SealedKind::kBackupKey:
        return master_key_.DeriveBackupKeyWrap();
      case SealedKind::kDataKey:
        return master_key_.DeriveDataKeyWrap();
      default:
        return master_key_.DeriveSettingsKey();
    }
  }

  SealingKey SealingKeyOf(SealedKind kind) const {
    switch (kind) {
      case SealedKind::kManifest:
      case SealedKind::kMark:
        return SealingKey::ForBackup(KeyIdOf(kBackupKeyId), DeriveKey(backup_key_, "manifest"));
      case SealedKind::kObject:
        return SealingKey::ForBackup(KeyIdOf(kBackupKeyId), DeriveKey(backup_key_, "content"));
      default:
        return SealingKey::ForMaster(master_key_.fingerprint(), MasterSealingKey(kind));
    }
  }

  static std::string ContentOf(uint64_t size) {
    std::string content(size, '\0');
    for (size_t i = 0; i < size; ++i) content[i] = static_cast<char>(i % 251);
    return content;
  }

  const SealedVector& Sealed(absl::string_view name) const {
    return *std::find_if(sealed_.begin(), sealed_.end(),
                         [&](const SealedVector& vector) { return vector.name == name; });
  }

  void AddSealed(const std::string& name, SealedKind kind, const std::string& path, uint64_t size,
                 bool is_known) {
    Sealer sealer(kind, SealingKeyOf(kind), path, is_known ? size : kUnknownContentSize, salts_);
    std::string sealed(AsText(sealer.Header()));
    sealer.Update(AsBytes(ContentOf(size)), sealed);
    EXPECT_OK(sealer.Finish(sealed));
    sealed_.push_back({name, kind, path, size, is_known, std::move(sealed)});
  }

  Damage& AddDamage(const std::string& file, const std::string& what, Members how,
                    std::function<std::string(std::string)> apply, SealedFault fault) {
    const SealedVector& vector = Sealed(file);
    damages_.push_back({file, what, std::move(how), std::move(apply), fault, vector.kind,
                        vector.path, std::string(kBackupKeyId), ""});
    return damages_.back();
  }

  void AddFlip(const std::string& file, size_t offset, SealedFault fault) {
    AddDamage(
        file, "a byte flipped", {{"xor_ff_at", absl::StrCat(offset)}},
        [offset](std::string sealed) {
          sealed[offset] = static_cast<char>(sealed[offset] ^ 0xFF);
          return sealed;
        },
        fault);
  }

  void AddCut(const std::string& file, size_t size, SealedFault fault) {
    AddDamage(
        file, "cut", {{"cut_to_bytes", absl::StrCat(size)}},
        [size](const std::string& sealed) { return sealed.substr(0, size); }, fault);
  }

  void AddAppended(const std::string& file, const std::string& hex, SealedFault fault) {
    AddDamage(
        file, "bytes appended", {{"append_hex", Quoted(hex)}},
        [hex](const std::string& sealed) { return sealed + Unhex(hex); }, fault);
  }

  // Changes the header and makes its checksum right again.
  void AddForgedHeader(const std::string& file, const std::string& what, size_t offset,
                       const std::string& hex, SealedFault fault) {
    std::string header = Sealed(file).sealed.substr(0, kSealedHeaderSizeBytes);
    header.replace(offset, hex.size() / 2, Unhex(hex));
    const Hash128 checksum = Blake2b128({AsBytes(header).first(112)});
    header.replace(112, 16, std::string(AsText(checksum)));
    AddDamage(
        file, what, {{"replace_header_hex", Quoted(Hex(AsBytes(header)))}},
        [header](const std::string& sealed) {
          return header + sealed.substr(kSealedHeaderSizeBytes);
        },
        fault);
  }

  void AddDamages() {
    const auto same = [](std::string sealed) { return sealed; };

    for (const size_t offset : {0, 7}) AddFlip("object_40_known", offset, SealedFault::kNotSealed);
    for (const size_t offset : {8, 10, 11, 12, 16, 32, 64, 96, 111, 112, 127}) {
      AddFlip("object_40_known", offset, SealedFault::kHeaderDamaged);
    }
    for (const size_t offset : {128, 167, 168, 183}) {
      AddFlip("object_40_known", offset, SealedFault::kSegmentDamaged);
      AddFlip("object_40_unknown", offset, SealedFault::kSegmentDamaged);
    }
    AddFlip("object_0_known", 128, SealedFault::kSegmentDamaged);
    AddFlip("object_65537_known", 128 + 65'552, SealedFault::kSegmentDamaged);
    AddFlip("object_65537_unknown", 128 + 65'552, SealedFault::kSegmentDamaged);
    AddFlip("object_131072_unknown", 128 + 65'551, SealedFault::kSegmentDamaged);

    for (const size_t size : {0, 5, 8, 127, 128, 143, 144, 183}) {
      AddCut("object_40_known", size, SealedFault::kCutShort);
    }
    for (const size_t size : {128, 128 + 65'552, 128 + 65'552 + 16, 128 + 65'552 + 20}) {
      AddCut("object_131072_known", size, SealedFault::kCutShort);
    }
    for (const size_t size : {0, 127, 128, 143, 128 + 65'552, 128 + 65'552 + 16}) {
      AddCut("object_131072_unknown", size, SealedFault::kCutShort);
    }
    for (const size_t size : {144, 128 + 65'551, 128 + 65'552 + 17}) {
      AddCut("object_131072_unknown", size, SealedFault::kSegmentDamaged);
    }

    AddAppended("object_0_known", "00", SealedFault::kBytesAppended);
    AddAppended("object_40_known", "00", SealedFault::kBytesAppended);
    AddAppended("object_65536_known", "00", SealedFault::kBytesAppended);
    AddAppended("object_65536_unknown", "00", SealedFault::kBytesAppended);
    AddAppended("object_65536_unknown", std::string(2 * 17, '0'), SealedFault::kBytesAppended);
    AddAppended("object_40_unknown", "00", SealedFault::kSegmentDamaged);

    AddForgedHeader("object_40_known", "version 2", 8, "0200", SealedFault::kUnknownVersion);
    AddForgedHeader("object_40_known", "header of 256 bytes", 12, "0001",
                    SealedFault::kUnknownVersion);
    AddForgedHeader("object_40_known", "kind exchanged", 10, "02", SealedFault::kOtherName);
    AddForgedHeader("object_40_known", "path exchanged", 64, "00", SealedFault::kOtherName);
    AddForgedHeader("object_40_known", "scheme exchanged", 11, "01", SealedFault::kWrongKey);
    AddForgedHeader("object_40_known", "key id exchanged", 16, "ff", SealedFault::kWrongKey);
    AddForgedHeader("object_40_known", "salt exchanged", 32, "ff", SealedFault::kSegmentDamaged);
    AddForgedHeader("object_40_known", "length announced as 41", 96, "29", SealedFault::kCutShort);
    AddForgedHeader("object_40_known", "length announced as 39", 96, "27",
                    SealedFault::kBytesAppended);
    AddForgedHeader("object_40_known", "length announced as unknown", 96, "ffffffffffffffff",
                    SealedFault::kSegmentDamaged);
    AddForgedHeader("object_40_known", "length announced as 2^64-2", 96, "feffffffffffffff",
                    SealedFault::kCutShort);

    AddDamage(
        "object_131072_known", "segments 0 and 1 exchanged", {{"swap_segments", "[0, 1]"}},
        [](std::string sealed) {
          std::swap_ranges(sealed.begin() + 128, sealed.begin() + 128 + 65'552,
                           sealed.begin() + 128 + 65'552);
          return sealed;
        },
        SealedFault::kSegmentDamaged);

    const std::string other_path = absl::StrCat(Sealed("object_40_known").path, "0");
    AddDamage("object_40_known", "renamed", {{"open_as_path", Quoted(other_path)}}, same,
              SealedFault::kOtherName)
        .open_as_path = other_path;
    AddDamage("manifest", "opened as another kind", {{"open_as_kind", Quoted("mark")}}, same,
              SealedFault::kOtherName)
        .open_as_kind = SealedKind::kMark;

    const std::string other_id = "b0b1b2b3b4b5b6b7b8b9babbbcbdbebf";
    AddDamage("object_40_known", "opened with the key of another id",
              {{"open_with_key_id_hex", Quoted(other_id)}}, same, SealedFault::kWrongKey)
        .open_with_key_id = other_id;
    const std::string other_key = Hex(CountingFrom<32>(0xE0));
    AddDamage("object_40_known", "opened with another key of that id",
              {{"open_with_sealing_key_hex", Quoted(other_key)}}, same,
              SealedFault::kSegmentDamaged)
        .open_with_key = other_key;
  }

  std::string DescribeSealed(const SealedVector& vector) const {
    const SealingKey key = SealingKeyOf(vector.kind);
    Members members = {
        {"name", Quoted(vector.name)},
        {"kind", Quoted(absl::StrReplaceAll(SealedKindName(vector.kind), {{" ", "_"}}))},
        {"kind_number", absl::StrCat(static_cast<int>(vector.kind))},
        {"key_scheme", absl::StrCat(static_cast<int>(key.scheme))},
        {"key_id_hex", Quoted(Hex(key.key_id))},
        {"sealing_key_hex", Quoted(Hex(key.key))},
        {"path", Quoted(vector.path)},
        {"content_size_bytes", absl::StrCat(vector.content_size_bytes)},
        {"content_size_known", vector.is_content_size_known ? "true" : "false"},
        {"header_hex", Quoted(Hex(AsBytes(vector.sealed).first(kSealedHeaderSizeBytes)))},
        {"sealed_size_bytes", absl::StrCat(vector.sealed.size())},
        {"sealed_blake2b_256_hex", Quoted(Hex(Blake2b256({AsBytes(vector.sealed)})))},
    };
    if (vector.sealed.size() <= kShownSizeMaxBytes) {
      members.push_back({"sealed_hex", Quoted(Hex(AsBytes(vector.sealed)))});
    }
    return ObjectOf(members);
  }

  std::string DescribeMasterKey() const {
    const std::string text(master_key_.ToText().text());
    std::string mistyped = text;
    mistyped[10] = 'Z';
    std::string swapped = text;
    std::swap(swapped[9], swapped[10]);
    std::string foreign = text;
    foreign[10] = 'U';
    const std::vector<std::string> accepted = {
        text,
        absl::AsciiStrToLower(text),
        absl::StrReplaceAll(text, {{"-", ""}}),
        absl::StrCat(" ", absl::StrReplaceAll(text, {{"-", " "}}), "\n"),
        absl::StrReplaceAll(text, {{"1", "I"}, {"0", "O"}}),
        absl::StrReplaceAll(text, {{"1", "l"}, {"0", "o"}}),
    };
    const std::vector<std::string> refused = {
        "",
        mistyped,
        swapped,
        foreign,
        text.substr(0, text.size() - 1),
        text + "0",
        text.substr(4),
        "HF2" + text.substr(3),
    };
    for (const std::string& typed : accepted) {
      EXPECT_THAT(MasterKey::FromText(typed), IsOk()) << typed;
    }
    for (const std::string& typed : refused) {
      EXPECT_THAT(MasterKey::FromText(typed), StatusIs(absl::StatusCode::kInvalidArgument))
          << typed;
    }
    const auto quote_all = [](const std::vector<std::string>& texts) {
      return absl::StrCat("[",
                          absl::StrJoin(texts, ", ",
                                        [](std::string* out, const std::string& typed) {
                                          absl::StrAppend(out, Quoted(typed));
                                        }),
                          "]");
    };
    return ObjectOf({{"key_hex", Quoted(Hex(CountingFrom<32>(0)))},
                     {"text", Quoted(text)},
                     {"fingerprint_hex", Quoted(master_key_.fingerprint().ToText())},
                     {"texts_of_this_key", quote_all(accepted)},
                     {"texts_to_refuse", quote_all(refused)}});
  }

  std::string DescribeDerivedKeys() const {
    const Key master = Key::FromBytes(CountingFrom<32>(0));
    std::vector<std::string> items;
    const auto add = [&](absl::string_view from_name, const Key& from, absl::string_view label) {
      items.push_back(ObjectOf({{"from", Quoted(from_name)},
                                {"from_key_hex", Quoted(Hex(from))},
                                {"label", Quoted(label)},
                                {"key_hex", Quoted(Hex(DeriveKey(from, label)))}}));
    };
    for (const absl::string_view label :
         {"fingerprint", "backup key wrap", "data key wrap", "settings", "audit"}) {
      add("master key", master, label);
    }
    for (const absl::string_view label : {"id", "content", "manifest"}) {
      add("backup key", backup_key_, label);
    }
    return ArrayOf(items);
  }

  std::string DescribePathHashes() const {
    std::vector<std::string> items;
    for (const std::string& path :
         {absl::StrCat("stores/", kStoreId, "/backups/", kBackupId), std::string("settings")}) {
      items.push_back(
          ObjectOf({{"path", Quoted(path)}, {"hash_hex", Quoted(Hex(SealedPathHash(path)))}}));
    }
    return ArrayOf(items);
  }

  // FORMAT.md, "Objects".
  std::string DescribeIdentities() const {
    struct Input {
      uint8_t kind;
      uint64_t file_number;
      uint64_t size_bytes;
    };
    const Key id_key = DeriveKey(backup_key_, "id");
    const auto checksum = CountingFrom<16>(0xD0);
    std::vector<std::string> items;
    for (const Input& input : {Input{1, 42, 67'108'864}, Input{3, 1'000'000, 1}}) {
      std::array<uint8_t, 8> file_number;
      std::array<uint8_t, 8> size_bytes;
      internal::StoreLittleEndian(input.file_number, file_number.data());
      internal::StoreLittleEndian(input.size_bytes, size_bytes.data());
      const Hash128 identity =
          KeyedBlake2b128(id_key, {absl::MakeConstSpan(&input.kind, 1), AsBytes(Unhex(kStoreId)),
                                   file_number, size_bytes, checksum});
      items.push_back(ObjectOf({{"id_key_hex", Quoted(Hex(id_key))},
                                {"kind_number", absl::StrCat(input.kind)},
                                {"store_id_hex", Quoted(kStoreId)},
                                {"file_number", absl::StrCat(input.file_number)},
                                {"size_bytes", absl::StrCat(input.size_bytes)},
                                {"xxh3_128_hex", Quoted(Hex(checksum))},
                                {"identity_hex", Quoted(Hex(identity))}}));
    }
    return ArrayOf(items);
  }

  std::string Describe() const {
    std::vector<std::string> sealed;
    for (const SealedVector& vector : sealed_) sealed.push_back(DescribeSealed(vector));
    std::vector<std::string> damages;
    for (const Damage& damage : damages_) {
      Members members = {{"sealed_file", Quoted(damage.file)}, {"what", Quoted(damage.what)}};
      members.insert(members.end(), damage.how.begin(), damage.how.end());
      members.push_back({"fault", Quoted(SealedFaultName(damage.fault))});
      damages.push_back(ObjectOf(members));
    }
    const std::vector<std::string> about = {
        Quoted("Test vectors of the Holdfast repository, format 1: see FORMAT.md. Names that end "
               "in _hex are bytes in hexadecimal."),
        Quoted("sealed_files: byte i of every content is i mod 251. sealed_hex is left out where "
               "it is long: seal the content with the header given, and compare its BLAKE2b-256."),
        Quoted("damages: take the sealed file of that name, do what the members say (xor_ff_at: "
               "XOR the byte at that offset with FF; cut_to_bytes: keep that many; append_hex; "
               "replace_header_hex: in place of the first 128 bytes; swap_segments: exchange the "
               "stored segments of these numbers; open_as_path, open_as_kind, "
               "open_with_key_id_hex, open_with_sealing_key_hex: in place of the file's own), and "
               "read it as FORMAT.md says under \"Reading\": it must fail with that fault."),
    };
    return absl::StrCat(
        "{\n  \"about\": ", ArrayOf(about), ",\n  \"master_key\": ", DescribeMasterKey(),
        ",\n  \"backup_key\": ",
        ObjectOf({{"key_hex", Quoted(Hex(backup_key_))}, {"key_id_hex", Quoted(kBackupKeyId)}}),
        ",\n  \"derived_keys\": ", DescribeDerivedKeys(),
        ",\n  \"path_hashes\": ", DescribePathHashes(),
        ",\n  \"identities\": ", DescribeIdentities(), ",\n  \"sealed_files\": ", ArrayOf(sealed),
        ",\n  \"damages\": ", ArrayOf(damages), "\n}\n");
  }

  CountingRandom salts_;
  const MasterKey master_key_ = MasterKey::FromBytes(CountingFrom<32>(0));
  const Key backup_key_ = Key::FromBytes(CountingFrom<32>(0x20));
  std::vector<SealedVector> sealed_;
  std::vector<Damage> damages_;
};

TEST_F(TestVectorsTest, TheFileHoldsWhatIsComputed) {
  if (const char* path = std::getenv("HOLDFAST_WRITE_TEST_VECTORS"); path != nullptr) {
    ASSERT_OK(WriteFileDurably(path, Describe(),
                               {.mode = 0644, .existing = DurableFile::Existing::kReplace}));
  }
  EXPECT_THAT(ReadFile(HOLDFAST_TEST_VECTORS_PATH, 1 << 20), IsOkAndHolds(Describe()));
}

TEST_F(TestVectorsTest, EverySealedFileOpens) {
  for (const SealedVector& vector : sealed_) {
    const auto content =
        Unseal({vector.kind, vector.path}, SealingKeyOf(vector.kind), AsBytes(vector.sealed));
    ASSERT_OK(content) << vector.name;
    EXPECT_TRUE(*content == ContentOf(vector.content_size_bytes)) << vector.name;
  }
}

TEST_F(TestVectorsTest, EveryDamageHasItsName) {
  for (const Damage& damage : damages_) {
    SCOPED_TRACE(absl::StrCat(damage.file, ": ", damage.what, " ", ObjectOf(damage.how)));
    SealingKey key = SealingKeyOf(damage.open_as_kind);
    key.key_id = KeyIdOf(damage.open_with_key_id);
    if (!damage.open_with_key.empty()) {
      key.key = Key::FromBytes(AsBytes(Unhex(damage.open_with_key)));
    }
    const SealedExpectation expectation = {damage.open_as_kind, damage.open_as_path};
    const std::string damaged = damage.apply(Sealed(damage.file).sealed);

    const auto content = Unseal(expectation, key, AsBytes(damaged));
    EXPECT_EQ(GetSealedFault(content.status()), damage.fault) << content.status();

    Opener opener(expectation, key);
    std::string out;
    absl::Status status = opener.Update(AsBytes(damaged), out);
    if (status.ok()) status = opener.Finish(out);
    // A reader of pieces meets the segment before it knows the length of the file.
    const bool is_forged_length = damage.what == "length announced as 39";
    EXPECT_EQ(GetSealedFault(status),
              is_forged_length ? SealedFault::kSegmentDamaged : damage.fault)
        << status;
  }
}

}  // namespace
}  // namespace holdfast
