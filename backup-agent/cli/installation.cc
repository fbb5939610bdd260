#include "backup-agent/cli/installation.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/config/config.h"
#include "common/io/durable_file.h"
#include "common/io/files.h"
#include "common/io/path.h"

namespace holdfast {

namespace {

absl::StatusOr<std::string> AbsolutePath(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (path.empty() || error) {
    return absl::InvalidArgumentError(absl::StrCat("'", path, "' is no path"));
  }
  std::string normal = absolute.lexically_normal().string();
  if (normal.size() > 1) normal = std::string(absl::StripSuffix(normal, "/"));
  return normal;
}

}  // namespace

absl::StatusOr<Installation> PlanInstallation(const InitArguments& arguments,
                                              const CommandContext& context) {
  if (!context.global.key_source.empty()) {
    return absl::InvalidArgumentError("init takes an existing key by --key-from, not by --key");
  }
  Installation installation;
  NewConfig& config = installation.config;
  if (arguments.directory.empty()) {
    HOLDFAST_ASSIGN_OR_RETURN(installation.config_path, AbsolutePath(ConfigPath(context)));
    config.data_directory = "/var/lib/holdfast/store";
    config.state_directory = "/var/lib/holdfast/agent";
    config.store_socket = "/run/holdfast/store/store.sock";
    config.agent_socket = "/run/holdfast/agent/agent.sock";
  } else {
    if (!context.global.config_path.empty()) {
      return absl::InvalidArgumentError(
          "--directory says where the configuration goes: leave out --config");
    }
    HOLDFAST_ASSIGN_OR_RETURN(const std::string directory, AbsolutePath(arguments.directory));
    installation.config_path = JoinPath(directory, "holdfast.toml");
    config.data_directory = JoinPath(directory, "store");
    config.state_directory = JoinPath(directory, "agent");
    config.store_socket = JoinPath(directory, "run/store/store.sock");
    config.agent_socket = JoinPath(directory, "run/agent/agent.sock");
  }
  config.master_key = installation.key_path =
      JoinPath(FolderOf(installation.config_path), "master.key");
  if (!arguments.key_from.empty() && arguments.key_from != "-") {
    installation.key_path.clear();
    if (absl::StartsWith(arguments.key_from, "credential:")) {
      config.master_key = arguments.key_from;
    } else {
      HOLDFAST_ASSIGN_OR_RETURN(
          config.master_key,
          AbsolutePath(std::string(absl::StripPrefix(arguments.key_from, "file:"))));
    }
  }
  // A new machine is set up again by what stands in it.
  config.instance_files.push_back(installation.config_path);
  for (const std::string& path : arguments.instance_files) {
    HOLDFAST_ASSIGN_OR_RETURN(std::string absolute, AbsolutePath(path));
    HOLDFAST_RETURN_IF_ERROR(GetFileInfo(absolute).status(), "--instance-file");
    config.instance_files.push_back(std::move(absolute));
  }
  return installation;
}

absl::Status CheckInstallation(const Installation& installation) {
  return ParseConfig(FormatConfig(installation.config), installation.config_path).status();
}

absl::Status RefuseExisting(const std::string& path, absl::string_view what,
                            absl::string_view advice) {
  HOLDFAST_ASSIGN_OR_RETURN(const bool exists, FileExists(path));
  if (!exists) return absl::OkStatus();
  return absl::AlreadyExistsError(
      absl::StrCat("there is ", what, " ", path, " already, and nothing is overwritten: ", advice));
}

absl::Status RefuseExistingConfig(const Installation& installation) {
  return RefuseExisting(installation.config_path, "a configuration",
                        "use what is there, or choose another --directory");
}

absl::Status WriteConfig(const Installation& installation) {
  return WriteFileDurably(
      installation.config_path, FormatConfig(installation.config),
      {.mode = kInstallationFileMode, .existing = DurableFile::Existing::kKeep});
}

UndoList::~UndoList() {
  for (auto path = paths_.rbegin(); path != paths_.rend(); ++path) (void)RemoveTree(*path);
}

}  // namespace holdfast
