#include "tests/unit/backup-agent/cli/cli_runner.h"

#include <fcntl.h>

#include "absl/strings/str_cat.h"
#include "backup-agent/cli/cli.h"
#include "common/base/check.h"
#include "common/crypto/key_source.h"
#include "common/io/durable_file.h"
#include "common/io/fd.h"
#include "common/io/files.h"

namespace holdfast {

namespace {

constexpr size_t kOutputSizeMaxBytes = size_t{64} << 20;

UniqueFd OpenNew(const std::string& path, absl::string_view content) {
  UniqueFd file(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  HOLDFAST_CHECK(file.is_valid(), path);
  HOLDFAST_CHECK(WriteFull(file.get(), content).ok());
  HOLDFAST_CHECK(lseek(file.get(), 0, SEEK_SET) == 0);
  return file;
}

std::string ReadAll(const std::string& path) {
  const absl::StatusOr<std::string> content = ReadFile(path, kOutputSizeMaxBytes);
  HOLDFAST_CHECK(content.ok(), path);
  return *content;
}

}  // namespace

CliResult CliRunner::Run(const std::vector<std::string>& arguments, absl::string_view input) {
  const UniqueFd input_file = OpenNew(Path(".input"), input);
  const UniqueFd output_file = OpenNew(Path(".output"), "");
  const UniqueFd error_file = OpenNew(Path(".error"), "");
  CliEnvironment environment;
  environment.streams = {
      .input_fd = input_file.get(), .output_fd = output_file.get(), .error_fd = error_file.get()};
  environment.cancellation = cancellation_.token();
  environment.places = places_;
  CliResult result;
  result.exit_code = RunCli(arguments, environment);
  result.output = ReadAll(Path(".output"));
  result.error = ReadAll(Path(".error"));
  return result;
}

CliResult CliRunner::RunConfigured(std::vector<std::string> arguments, absl::string_view input) {
  arguments.insert(arguments.begin(), {"--config", config_path()});
  return Run(arguments, input);
}

void CliRunner::WriteConfig() {
  HOLDFAST_CHECK(WriteMasterKeyFile(key_path(), MasterKey::Generate()).ok());
  HOLDFAST_CHECK(MakeDirectories(Path("backups")).ok());
  const std::string text = absl::StrCat(
      "master_key = \"master.key\"\n"
      "[store]\ndata_directory = \"store\"\nsocket = \"run/store.sock\"\n"
      "[agent]\nstate_directory = \"agent\"\nsocket = \"run/agent.sock\"\n"
      "[[agent.stores]]\nname = \"main\"\nsocket = \"run/store.sock\"\n"
      "[[agent.stores.destinations]]\nname = \"local\"\nurl = \"file://",
      Path("backups"), "\"\n");
  HOLDFAST_CHECK(WriteFileDurably(config_path(), text, {.mode = 0600}).ok());
}

}  // namespace holdfast
