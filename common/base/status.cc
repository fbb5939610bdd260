#include "common/base/status.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/check.h"

namespace holdfast {
namespace {

absl::Status WithPayloadsOf(const absl::Status& from, absl::Status status) {
  from.ForEachPayload([&status](absl::string_view type_url, const absl::Cord& payload) {
    status.SetPayload(type_url, payload);
  });
  return status;
}

}  // namespace

absl::Status Annotate(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  return WithPayloadsOf(status,
                        absl::Status(status.code(), absl::StrCat(context, ": ", status.message())));
}

absl::string_view MessageWithout(const absl::Status& status, absl::string_view context) {
  const absl::string_view message = status.message();
  absl::string_view rest = message;
  return absl::ConsumePrefix(&rest, context) && absl::ConsumePrefix(&rest, ": ") ? rest : message;
}

absl::Status WithCode(const absl::Status& status, absl::StatusCode code) {
  HOLDFAST_CHECK(!status.ok() && code != absl::StatusCode::kOk);
  return WithPayloadsOf(status, absl::Status(code, status.message()));
}

}  // namespace holdfast
