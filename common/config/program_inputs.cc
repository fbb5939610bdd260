#include "common/config/program_inputs.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace holdfast {

absl::Status NoConfigError(absl::string_view path) {
  return absl::InvalidArgumentError(
      absl::StrCat("there is no configuration ", path,
                   ": make one with `holdfast init`, or name another with --config"));
}

absl::StatusOr<Config> LoadProgramConfig(const std::string& path) {
  absl::StatusOr<Config> config = LoadConfig(path);
  if (absl::IsNotFound(config.status())) return NoConfigError(path);
  return config;
}

absl::StatusOr<MasterKey> ForProgram(absl::StatusOr<MasterKey> key) {
  if (!absl::IsPermissionDenied(key.status())) return key;
  return WithCode(key.status(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace holdfast
