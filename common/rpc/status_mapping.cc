#include "common/rpc/status_mapping.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace holdfast {
namespace {

constexpr absl::string_view kCutMark = " ...";

bool IsInsideCharacter(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Cuts between two characters of UTF-8.
std::string CutMessage(absl::string_view message) {
  if (message.size() <= kRpcMessageSizeMaxBytes) return std::string(message);
  size_t size = kRpcMessageSizeMaxBytes - kCutMark.size();
  while (size > 0 && IsInsideCharacter(message[size])) --size;
  return absl::StrCat(message.substr(0, size), kCutMark);
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), CutMessage(status.message()));
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

}  // namespace holdfast
