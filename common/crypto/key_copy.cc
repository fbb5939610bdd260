#include "common/crypto/key_copy.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/crypto/key_text.h"

namespace holdfast {

namespace {

// Where more groups differ it is hardly a slip of the finger.
constexpr size_t kGroupsNamedMax = 4;

// The characters behind the prefix as a reader takes them.
class Characters {
 public:
  explicit Characters(absl::string_view text) : bytes_(std::max<size_t>(text.size(), 1)) {
    size_t prefix_size = 0;
    for (const char c : text) {
      if (internal::IsIgnoredInKeyText(c)) continue;
      const char canonical = internal::CanonicalKeyCharacter(c);
      if (prefix_size < internal::kKeyTextPrefix.size()) {
        has_prefix_ = has_prefix_ && canonical == internal::kKeyTextPrefix[prefix_size];
        ++prefix_size;
        continue;
      }
      bytes_.mutable_bytes()[size_++] = static_cast<uint8_t>(canonical);
    }
  }

  bool has_prefix() const { return has_prefix_; }
  size_t size() const { return size_; }
  uint8_t operator[](size_t i) const { return bytes_.bytes()[i]; }

 private:
  SecretBytes bytes_;
  bool has_prefix_ = true;
  size_t size_ = 0;
};

}  // namespace

absl::StatusOr<MasterKey> ReadKeyCopy(absl::string_view text, const MasterKey& original) {
  absl::StatusOr<MasterKey> key = MasterKey::FromText(text);
  if (!absl::IsInvalidArgument(key.status())) return key;
  const SecretBytes original_text = original.ToText();
  const Characters typed(text);
  const Characters right(original_text.text());
  std::vector<size_t> groups;  // that differ, counted from one
  for (size_t i = 0; i < std::min(typed.size(), right.size()); ++i) {
    const size_t group = i / internal::kKeyTextGroupSize + 1;
    if (typed[i] != right[i] && (groups.empty() || groups.back() != group)) groups.push_back(group);
  }
  if (typed.size() == 0 || !typed.has_prefix()) return key;
  if (typed.size() != right.size()) {
    const size_t first =
        groups.empty() ? std::min(typed.size(), right.size() - 1) / internal::kKeyTextGroupSize + 1
                       : groups.front();
    return absl::InvalidArgumentError(absl::StrCat(
        "mistyped master key: it has ", typed.size(), " characters after HF1-, not ", right.size(),
        "; the first group that differs from the key in use is group ", first));
  }
  if (groups.empty() || groups.size() > kGroupsNamedMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(key.status().message(), "; ", groups.size(),
                     " of its groups differ from the key in use: it may be another key"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("mistyped master key: it differs from the key in use in group",
                   groups.size() == 1 ? " " : "s ", absl::StrJoin(groups, ", "), " after HF1-"));
}

}  // namespace holdfast
