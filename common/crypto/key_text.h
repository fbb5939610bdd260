#ifndef HOLDFAST_COMMON_CRYPTO_KEY_TEXT_H_
#define HOLDFAST_COMMON_CRYPTO_KEY_TEXT_H_

#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"

// How a master key is typed (FORMAT.md, "Keys"): what master_key.cc and key_copy.cc share.

namespace holdfast::internal {

// Part of the repository format; do not change.
inline constexpr absl::string_view kKeyTextPrefix = "HF1";
inline constexpr size_t kKeyTextGroupSize = 4;

// What a reader takes a character for: the other case, and letters that look like digits.
inline char CanonicalKeyCharacter(char c) {
  const char upper = absl::ascii_toupper(static_cast<unsigned char>(c));
  switch (upper) {
    case 'I':
    case 'L':
      return '1';
    case 'O':
      return '0';
    default:
      return upper;
  }
}

// Hyphens and blanks, which may stand anywhere.
inline bool IsIgnoredInKeyText(char c) {
  return c == '-' || absl::ascii_isspace(static_cast<unsigned char>(c));
}

}  // namespace holdfast::internal

#endif  // HOLDFAST_COMMON_CRYPTO_KEY_TEXT_H_
