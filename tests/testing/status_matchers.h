#ifndef HOLDFAST_TESTS_TESTING_STATUS_MATCHERS_H_
#define HOLDFAST_TESTS_TESTING_STATUS_MATCHERS_H_

#include <ostream>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

// Matchers for absl::Status and absl::StatusOr<T>.
//
//   EXPECT_OK(store.Put(document));
//   ASSERT_OK_AND_ASSIGN(const std::string text, ReadFile(path, 100));
//   EXPECT_THAT(store.Get("x"), StatusIs(absl::StatusCode::kNotFound));
//   EXPECT_THAT(store.Get("x"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("no document")));
//   EXPECT_THAT(ReadFile(path, 100), IsOkAndHolds("text"));

namespace holdfast {

namespace internal {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

class IsOkMatcher {
 public:
  using is_gtest_matcher = void;

  template <typename T>
  bool MatchAndExplain(const T& actual, std::ostream* os) const {
    const absl::Status& status = StatusOf(actual);
    if (os != nullptr && !status.ok()) *os << "which is " << status;
    return status.ok();
  }
  void DescribeTo(std::ostream* os) const { *os << "is OK"; }
  void DescribeNegationTo(std::ostream* os) const { *os << "is not OK"; }
};

class StatusIsMatcher {
 public:
  using is_gtest_matcher = void;

  StatusIsMatcher(testing::Matcher<absl::StatusCode> code, testing::Matcher<std::string> message)
      : code_(std::move(code)), message_(std::move(message)) {}

  template <typename T>
  bool MatchAndExplain(const T& actual, std::ostream* os) const {
    testing::StringMatchResultListener ignored;
    const absl::Status& status = StatusOf(actual);
    const bool matches = code_.MatchAndExplain(status.code(), &ignored) &&
                         message_.MatchAndExplain(std::string(status.message()), &ignored);
    if (os != nullptr && !matches) *os << "which is " << status;
    return matches;
  }
  void DescribeTo(std::ostream* os) const {
    *os << "has a code that ";
    code_.DescribeTo(os);
    *os << " and a message that ";
    message_.DescribeTo(os);
  }
  void DescribeNegationTo(std::ostream* os) const {
    *os << "not (";
    DescribeTo(os);
    *os << ")";
  }

 private:
  testing::Matcher<absl::StatusCode> code_;
  testing::Matcher<std::string> message_;
};

template <typename StatusOrT>
class IsOkAndHoldsMatcherImpl : public testing::MatcherInterface<StatusOrT> {
 public:
  using Value = typename std::remove_cv_t<std::remove_reference_t<StatusOrT>>::value_type;

  template <typename InnerMatcher>
  explicit IsOkAndHoldsMatcherImpl(const InnerMatcher& inner)
      : inner_(testing::SafeMatcherCast<const Value&>(inner)) {}

  bool MatchAndExplain(StatusOrT actual, testing::MatchResultListener* listener) const override {
    if (!actual.ok()) {
      *listener << "which is " << actual.status();
      return false;
    }
    return inner_.MatchAndExplain(*actual, listener);
  }
  void DescribeTo(std::ostream* os) const override {
    *os << "is OK and holds a value that ";
    inner_.DescribeTo(os);
  }
  void DescribeNegationTo(std::ostream* os) const override {
    *os << "is not OK or holds a value that ";
    inner_.DescribeNegationTo(os);
  }

 private:
  testing::Matcher<const Value&> inner_;
};

template <typename InnerMatcher>
class IsOkAndHoldsMatcher {
 public:
  explicit IsOkAndHoldsMatcher(InnerMatcher inner) : inner_(std::move(inner)) {}

  template <typename StatusOrT>
  operator testing::Matcher<StatusOrT>() const {  // NOLINT(google-explicit-constructor)
    return testing::Matcher<StatusOrT>(new IsOkAndHoldsMatcherImpl<const StatusOrT&>(inner_));
  }

 private:
  InnerMatcher inner_;
};

}  // namespace internal

// Matches a Status or StatusOr that is OK.
inline internal::IsOkMatcher IsOk() { return {}; }

// Matches a Status or StatusOr with such a code and, if given, such a message.
template <typename CodeMatcher>
internal::StatusIsMatcher StatusIs(CodeMatcher code) {
  return internal::StatusIsMatcher(testing::MatcherCast<absl::StatusCode>(std::move(code)),
                                   testing::_);
}
template <typename CodeMatcher, typename MessageMatcher>
internal::StatusIsMatcher StatusIs(CodeMatcher code, MessageMatcher message) {
  return internal::StatusIsMatcher(testing::MatcherCast<absl::StatusCode>(std::move(code)),
                                   testing::MatcherCast<std::string>(std::move(message)));
}

// Matches a StatusOr that is OK and holds a value that matches.
template <typename InnerMatcher>
internal::IsOkAndHoldsMatcher<std::decay_t<InnerMatcher>> IsOkAndHolds(InnerMatcher&& inner) {
  return internal::IsOkAndHoldsMatcher<std::decay_t<InnerMatcher>>(
      std::forward<InnerMatcher>(inner));
}

}  // namespace holdfast

#define EXPECT_OK(expression) EXPECT_THAT(expression, ::holdfast::IsOk())
#define ASSERT_OK(expression) ASSERT_THAT(expression, ::holdfast::IsOk())

// ASSERT_OK_AND_ASSIGN(declaration, expression): the declaration contains no comma.
#define ASSERT_OK_AND_ASSIGN(declaration, expression) \
  HOLDFAST_INTERNAL_ASSERT_OK_AND_ASSIGN(             \
      HOLDFAST_INTERNAL_TEST_CONCAT(holdfast_status_or_, __LINE__), declaration, expression)

#define HOLDFAST_INTERNAL_ASSERT_OK_AND_ASSIGN(name, declaration, expression) \
  auto name = (expression);                                                   \
  ASSERT_OK(name);                                                            \
  declaration = *std::move(name)

#define HOLDFAST_INTERNAL_TEST_CONCAT(a, b) HOLDFAST_INTERNAL_TEST_CONCAT_AGAIN(a, b)
#define HOLDFAST_INTERNAL_TEST_CONCAT_AGAIN(a, b) a##b

#endif  // HOLDFAST_TESTS_TESTING_STATUS_MATCHERS_H_
