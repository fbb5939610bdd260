#include "store-service/documents/json_check.h"

#include <simdjson.h>

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace holdfast {
namespace {

class JsonChecker {
 public:
  JsonChecker(absl::string_view text, size_t depth_max) : text_(text), depth_max_(depth_max) {}

  absl::Status Check() {
    if (!simdjson::validate_utf8(text_.data(), text_.size())) {
      return absl::InvalidArgumentError("not valid UTF-8");
    }
    SkipSpace();
    do {
      // Here a value begins, or an empty array or object ends.
      HOLDFAST_RETURN_IF_ERROR(ReadValueOrOpen());
      if (is_open_) continue;
      // Here a value has ended: so may what is around it.
      HOLDFAST_RETURN_IF_ERROR(ReadUntilNextValue());
    } while (is_open_ || !in_object_.empty());
    return at_ == text_.size() ? absl::OkStatus() : Wrong("something follows the value");
  }

 private:
  absl::Status Wrong(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(what, " at byte ", at_));
  }

  bool IsAtEnd() const { return at_ == text_.size(); }
  char Peek() const { return IsAtEnd() ? '\0' : text_[at_]; }

  bool Take(char c) {
    if (IsAtEnd() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void SkipSpace() {
    while (!IsAtEnd() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) {
      ++at_;
    }
  }

  // Reads a value, or the beginning of an array or object up to its first value
  // (is_open_).
  absl::Status ReadValueOrOpen() {
    is_open_ = false;
    switch (Peek()) {
      case '{':
        return Open(/*is_object=*/true);
      case '[':
        return Open(/*is_object=*/false);
      case '"':
        return ReadString();
      case 't':
        return ReadWord("true");
      case 'f':
        return ReadWord("false");
      case 'n':
        return ReadWord("null");
      default:
        return ReadNumber();
    }
  }

  absl::Status Open(bool is_object) {
    if (in_object_.size() == depth_max_) {
      return Wrong(absl::StrCat("nested more than ", depth_max_, " deep"));
    }
    ++at_;
    SkipSpace();
    if (Take(is_object ? '}' : ']')) return absl::OkStatus();
    in_object_.push_back(is_object);
    is_open_ = true;
    return is_object ? ReadName() : absl::OkStatus();
  }

  absl::Status ReadName() {
    if (Peek() != '"') return Wrong("expected a name in quotes");
    HOLDFAST_RETURN_IF_ERROR(ReadString());
    SkipSpace();
    if (!Take(':')) return Wrong("expected ':'");
    SkipSpace();
    return absl::OkStatus();
  }

  // Closes what ends here; then either another value of the same array or
  // object begins (is_open_), or all is closed.
  absl::Status ReadUntilNextValue() {
    SkipSpace();
    while (!in_object_.empty()) {
      if (Take(',')) {
        SkipSpace();
        is_open_ = true;
        return in_object_.back() ? ReadName() : absl::OkStatus();
      }
      if (!Take(in_object_.back() ? '}' : ']')) {
        return Wrong(in_object_.back() ? "expected ',' or '}'" : "expected ',' or ']'");
      }
      in_object_.pop_back();
      SkipSpace();
    }
    return absl::OkStatus();
  }

  absl::Status ReadWord(absl::string_view word) {
    if (text_.substr(at_, word.size()) != word) return Wrong("expected a value");
    at_ += word.size();
    return absl::OkStatus();
  }

  absl::Status ReadString() {
    ++at_;
    for (;;) {
      while (!IsAtEnd() && text_[at_] != '"' && text_[at_] != '\\' &&
             static_cast<unsigned char>(text_[at_]) >= 0x20) {
        ++at_;
      }
      if (IsAtEnd()) return Wrong("a string does not end");
      if (Take('"')) return absl::OkStatus();
      if (!Take('\\')) return Wrong("a control character in a string");
      HOLDFAST_RETURN_IF_ERROR(ReadEscape());
    }
  }

  absl::Status ReadEscape() {
    constexpr absl::string_view kSimple = "\"\\/bfnrt";
    constexpr size_t kDigits = 4;
    if (!Take('u')) {
      if (IsAtEnd() || kSimple.find(text_[at_]) == absl::string_view::npos) {
        return Wrong("an unknown escape in a string");
      }
      ++at_;
      return absl::OkStatus();
    }
    const absl::string_view digits = text_.substr(at_, kDigits);
    if (digits.size() < kDigits || !std::all_of(digits.begin(), digits.end(), [](char c) {
          return absl::ascii_isxdigit(static_cast<unsigned char>(c));
        })) {
      return Wrong("expected four hexadecimal digits");
    }
    at_ += kDigits;
    return absl::OkStatus();
  }

  absl::Status ReadNumber() {
    const bool is_negative = Take('-');
    if (!absl::ascii_isdigit(static_cast<unsigned char>(Peek()))) {
      return Wrong(is_negative ? "expected a digit" : "expected a value");
    }
    if (!Take('0')) TakeDigits();
    if (Take('.') && !TakeDigits()) return Wrong("expected a digit");
    if (Take('e') || Take('E')) {
      if (!Take('+')) Take('-');
      if (!TakeDigits()) return Wrong("expected a digit");
    }
    return absl::OkStatus();
  }

  // Whether there were any.
  bool TakeDigits() {
    const size_t begin = at_;
    while (!IsAtEnd() && absl::ascii_isdigit(static_cast<unsigned char>(text_[at_]))) ++at_;
    return at_ > begin;
  }

  const absl::string_view text_;
  const size_t depth_max_;
  size_t at_ = 0;
  std::vector<bool> in_object_;  // for each level around the place: object or array
  bool is_open_ = false;         // a value must follow
};

}  // namespace

absl::Status CheckJson(absl::string_view text, size_t depth_max) {
  return JsonChecker(text, depth_max).Check();
}

}  // namespace holdfast
