#ifndef HOLDFAST_COMMON_CONFIG_PROGRAM_INPUTS_H_
#define HOLDFAST_COMMON_CONFIG_PROGRAM_INPUTS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/config/config.h"
#include "common/crypto/master_key.h"

// What every program begins by reading, with the errors that make all of them end with the same
// exit code for the same fault.

namespace holdfast {

// LoadConfig; where there is no file INVALID_ARGUMENT, with what to do.
absl::StatusOr<Config> LoadProgramConfig(const std::string& path);

// What there is to say where there is none.
absl::Status NoConfigError(absl::string_view path);

// `key` as ReadMasterKey returned it; that its file may be read by others, or not by this user, is
// FAILED_PRECONDITION: it is not that the key is the wrong one.
absl::StatusOr<MasterKey> ForProgram(absl::StatusOr<MasterKey> key);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_CONFIG_PROGRAM_INPUTS_H_
