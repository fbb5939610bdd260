#include "common/base/id128.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/base/hex.h"

namespace holdfast {

Id128 Id128::Generate(RandomSource& random) {
  Bytes bytes;
  random.Fill(absl::MakeSpan(bytes));
  return Id128(bytes);
}

absl::StatusOr<Id128> Id128::FromText(absl::string_view text) {
  if (text.size() != 2 * sizeof(Bytes) || !IsLowerHex(text)) {
    return absl::InvalidArgumentError(
        absl::StrCat("an id is 32 lower-case hexadecimal digits, not \"",
                     absl::CHexEscape(text.substr(0, 64)), "\""));
  }
  return FromBytes(absl::HexStringToBytes(text));
}

absl::StatusOr<Id128> Id128::FromBytes(absl::string_view bytes) {
  if (bytes.size() != sizeof(Bytes)) {
    return absl::InvalidArgumentError(absl::StrCat("an id is 16 bytes, not ", bytes.size()));
  }
  Bytes result;
  std::copy(bytes.begin(), bytes.end(), result.begin());
  return Id128(result);
}

std::string Id128::ToText() const { return absl::BytesToHexString(ToByteString()); }

std::string Id128::ToByteString() const { return std::string(bytes_.begin(), bytes_.end()); }

}  // namespace holdfast
