#include "common/repository/layout.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/check.h"
#include "common/base/hex.h"
#include "common/base/status_macros.h"
#include "common/base/time_format.h"
#include "common/io/xxh3_stream.h"
#include "simdjson.h"

namespace holdfast {

namespace {

using repository::v1::FileEntry;
using repository::v1::Mark;

// Numbers of the repository format; do not change.
constexpr size_t kRandomSizeBytes = 4;
constexpr size_t kTimeLength = 20;  // 20261122T183500.123Z
constexpr size_t kFingerprintLength = 2 * KeyFingerprint::kSizeBytes;
constexpr size_t kFileNumberLengthMin = 6;
constexpr size_t kFileNumberLengthMax = 20;
constexpr size_t kInstanceNameSizeMaxBytes = 1024;
constexpr absl::string_view kPruneLease = "prune";

constexpr std::pair<Mark::Kind, absl::string_view> kMarkKinds[] = {
    {Mark::KIND_PINNED, "pinned"},   {Mark::KIND_UNPINNED, "unpinned"},
    {Mark::KIND_DELETED, "deleted"}, {Mark::KIND_UNDELETED, "undeleted"},
    {Mark::KIND_CHECKED, "checked"}, {Mark::KIND_DRILLED, "drilled"},
    {Mark::KIND_DAMAGED, "damaged"},
};

bool IsRandomText(absl::string_view text) {
  return text.size() == 2 * kRandomSizeBytes && IsLowerHex(text);
}

bool IsFileNumber(absl::string_view text) {
  return text.size() >= kFileNumberLengthMin && text.size() <= kFileNumberLengthMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isdigit(c); });
}

absl::Status FormError(absl::string_view what, absl::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", absl::CHexEscape(text.substr(0, 200)), "\" is not ", what));
}

absl::string_view MarkKindName(Mark::Kind kind) {
  for (const auto& [each, name] : kMarkKinds) {
    if (each == kind) return name;
  }
  HOLDFAST_CHECK(false, "no such kind of mark");
  return "";
}

// `<time>-<random>`.
std::string TimeAndRandom(absl::Time time, RandomSource& random) {
  return absl::StrCat(FormatTimeCompact(time), "-", random.Hex(kRandomSizeBytes));
}

absl::Status CheckInstanceName(absl::string_view path) {
  if (path.size() > kInstanceNameSizeMaxBytes ||
      !simdjson::validate_utf8(path.data(), path.size())) {
    return FormError("the name of an instance file", path);
  }
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    const bool is_good = !part.empty() && part != "." && part != ".." &&
                         std::none_of(part.begin(), part.end(), [](char c) {
                           return absl::ascii_iscntrl(static_cast<unsigned char>(c)) || c == '\\';
                         });
    if (!is_good) return FormError("the name of an instance file", path);
  }
  return absl::OkStatus();
}

}  // namespace

std::string StorePath(const StoreId& store_id) {
  return absl::StrCat(kStoresPath, "/", store_id.ToText());
}

std::string KeysPath(const StoreId& store_id) { return absl::StrCat(StorePath(store_id), "/keys"); }

std::string BackupsPath(const StoreId& store_id) {
  return absl::StrCat(StorePath(store_id), "/backups");
}

std::string MarksPath(const StoreId& store_id) {
  return absl::StrCat(StorePath(store_id), "/marks");
}

std::string ObjectsPath(const StoreId& store_id) {
  return absl::StrCat(StorePath(store_id), "/objects");
}

std::string LeasesPath(const StoreId& store_id) {
  return absl::StrCat(StorePath(store_id), "/leases");
}

std::string KeyFilePath(const StoreId& store_id, const KeyId& key_id,
                        const KeyFingerprint& fingerprint) {
  return absl::StrCat(KeysPath(store_id), "/", KeyIdText(key_id), "-", fingerprint.ToText());
}

std::string BackupPath(const StoreId& store_id, absl::string_view backup_id) {
  HOLDFAST_CHECK(IsBackupId(backup_id));
  return absl::StrCat(BackupsPath(store_id), "/", backup_id);
}

std::string MarkPath(const StoreId& store_id, absl::string_view backup_id, absl::Time time,
                     Mark::Kind kind, RandomSource& random) {
  HOLDFAST_CHECK(IsBackupId(backup_id));
  return absl::StrCat(MarksPath(store_id), "/", backup_id, "/", FormatTimeCompact(time), "-",
                      MarkKindName(kind), "-", random.Hex(kRandomSizeBytes));
}

std::string ObjectPath(const StoreId& store_id, absl::string_view object_name) {
  HOLDFAST_CHECK(ParseObjectName(object_name).ok());
  return absl::StrCat(ObjectsPath(store_id), "/", object_name);
}

std::string PruneLeasePath(const StoreId& store_id, absl::Time time, RandomSource& random) {
  return absl::StrCat(LeasesPath(store_id), "/", FormatTimeCompact(time), "-", kPruneLease, "-",
                      random.Hex(kRandomSizeBytes));
}

absl::StatusOr<absl::Time> ParsePruneLeaseName(absl::string_view name) {
  constexpr absl::string_view kWhat = "the name of a prune's lease";
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '-');
  if (parts.size() != 3 || parts[1] != kPruneLease || !IsRandomText(parts[2])) {
    return FormError(kWhat, name);
  }
  const absl::StatusOr<absl::Time> time = ParseTimeCompact(parts[0]);
  if (!time.ok()) return FormError(kWhat, name);
  return *time;
}

absl::StatusOr<ParsedKeyFileName> ParseKeyFileName(absl::string_view name) {
  constexpr absl::string_view kWhat = "the name of a key file";
  const size_t key_id_length = 2 * sizeof(KeyId);
  if (name.size() != key_id_length + 1 + kFingerprintLength || name[key_id_length] != '-') {
    return FormError(kWhat, name);
  }
  const absl::StatusOr<Id128> key_id = Id128::FromText(name.substr(0, key_id_length));
  const absl::string_view fingerprint_text = name.substr(key_id_length + 1);
  const absl::StatusOr<KeyFingerprint> fingerprint = KeyFingerprint::FromText(fingerprint_text);
  if (!key_id.ok() || !fingerprint.ok() || !IsLowerHex(fingerprint_text)) {
    return FormError(kWhat, name);
  }
  return ParsedKeyFileName{.key_id = key_id->bytes(), .fingerprint = *fingerprint};
}

absl::StatusOr<ParsedMarkName> ParseMarkName(absl::string_view name) {
  constexpr absl::string_view kWhat = "the name of a mark";
  const std::pair<absl::string_view, absl::string_view> id_and_rest =
      absl::StrSplit(name, absl::MaxSplits('/', 1));
  const std::vector<absl::string_view> parts = absl::StrSplit(id_and_rest.second, '-');
  if (!IsBackupId(id_and_rest.first) || parts.size() != 3 || !IsRandomText(parts[2])) {
    return FormError(kWhat, name);
  }
  const absl::StatusOr<absl::Time> time = ParseTimeCompact(parts[0]);
  if (!time.ok()) return FormError(kWhat, name);
  for (const auto& [kind, kind_name] : kMarkKinds) {
    if (kind_name == parts[1]) {
      return ParsedMarkName{
          .backup_id = std::string(id_and_rest.first), .time = *time, .kind = kind};
    }
  }
  return FormError(kWhat, name);
}

std::string MakeBackupId(absl::Time time, RandomSource& random) {
  return TimeAndRandom(time, random);
}

bool IsBackupId(absl::string_view text) {
  return text.size() == kTimeLength + 1 + 2 * kRandomSizeBytes && text[kTimeLength] == '-' &&
         ParseTimeCompact(text.substr(0, kTimeLength)).ok() &&
         IsRandomText(text.substr(kTimeLength + 1));
}

ObjectIdentity ComputeObjectIdentity(const Key& id_key, FileEntry::Kind kind,
                                     const StoreId& store_id, uint64_t file_number,
                                     uint64_t size_bytes, absl::string_view xxh3_128) {
  HOLDFAST_CHECK(xxh3_128.size() == kXxh3SizeBytes);
  const auto little_endian = [](uint64_t value) {
    std::array<uint8_t, 8> bytes;
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(value >> (8 * i));
    return bytes;
  };
  const std::array<uint8_t, 1> kind_byte = {static_cast<uint8_t>(kind)};
  const std::array<uint8_t, 8> file_number_bytes = little_endian(file_number);
  const std::array<uint8_t, 8> size_number_bytes = little_endian(size_bytes);
  return KeyedBlake2b128(id_key, {kind_byte, store_id.bytes(), file_number_bytes, size_number_bytes,
                                  AsBytes(xxh3_128)});
}

std::string MakeObjectName(const ObjectIdentity& identity, absl::Time time, RandomSource& random) {
  const std::string text = Id128(identity).ToText();
  return absl::StrCat(text.substr(0, 2), "/", text, "-", TimeAndRandom(time, random));
}

absl::StatusOr<ParsedObjectName> ParseObjectName(absl::string_view object_name) {
  constexpr absl::string_view kWhat = "the name of an object";
  const std::vector<absl::string_view> folder_and_file = absl::StrSplit(object_name, '/');
  if (folder_and_file.size() != 2) return FormError(kWhat, object_name);
  const std::vector<absl::string_view> parts = absl::StrSplit(folder_and_file[1], '-');
  if (parts.size() != 3 || !IsRandomText(parts[2])) return FormError(kWhat, object_name);
  const absl::StatusOr<Id128> identity = Id128::FromText(parts[0]);
  const absl::StatusOr<absl::Time> time = ParseTimeCompact(parts[1]);
  if (!identity.ok() || !time.ok() || folder_and_file[0] != parts[0].substr(0, 2)) {
    return FormError(kWhat, object_name);
  }
  return ParsedObjectName{.identity = identity->bytes(), .time = *time};
}

std::string KeyIdText(const KeyId& key_id) { return Id128(key_id).ToText(); }

absl::StatusOr<FileEntry::Kind> KindOfFileName(absl::string_view name) {
  absl::string_view rest = name;
  if (absl::ConsumePrefix(&rest, "instance/")) {
    HOLDFAST_RETURN_IF_ERROR(CheckInstanceName(rest));
    return FileEntry::KIND_INSTANCE;
  }
  if (name == "CURRENT") return FileEntry::KIND_CURRENT;
  if (absl::ConsumePrefix(&rest, "MANIFEST-")) {
    if (IsFileNumber(rest)) return FileEntry::KIND_MANIFEST;
  } else if (absl::ConsumePrefix(&rest, "OPTIONS-")) {
    if (IsFileNumber(rest)) return FileEntry::KIND_OPTIONS;
  } else if (const size_t dot = name.find('.');
             dot != absl::string_view::npos && IsFileNumber(name.substr(0, dot))) {
    const absl::string_view extension = name.substr(dot + 1);
    if (extension == "sst" || extension == "ldb") return FileEntry::KIND_TABLE;
    if (extension == "blob") return FileEntry::KIND_BLOB;
    if (extension == "log") return FileEntry::KIND_LOG;
  }
  return FormError("the name of a file of a store", name);
}

}  // namespace holdfast
