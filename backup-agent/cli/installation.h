#ifndef HOLDFAST_BACKUP_AGENT_CLI_INSTALLATION_H_
#define HOLDFAST_BACKUP_AGENT_CLI_INSTALLATION_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backup-agent/cli/command.h"
#include "backup-agent/cli/config_text.h"

// What both ways of `holdfast init` have in common: where the parts of an installation go, that
// nothing is ever overwritten, and that one that fails leaves nothing in the way of the next.

namespace holdfast {

// What is to be made, and where.
struct Installation {
  std::string config_path;
  std::string key_path;  // empty where the key stays where it is
  // Store name and destinations are for the caller to add.
  NewConfig config;
};

inline constexpr mode_t kInstallationFolderMode = 0700;
inline constexpr mode_t kInstallationFileMode = 0600;

// Where the arguments put everything.
absl::StatusOr<Installation> PlanInstallation(const InitArguments& arguments,
                                              const CommandContext& context);

// INVALID_ARGUMENT where the services would refuse the configuration.
absl::Status CheckInstallation(const Installation& installation);

// ALREADY_EXISTS where something has that name; `advice` says what to do about it.
absl::Status RefuseExisting(const std::string& path, absl::string_view what,
                            absl::string_view advice);

// The configuration must not be there.
absl::Status RefuseExistingConfig(const Installation& installation);

// Writes the configuration, durably: the last step, without which nothing was made.
absl::Status WriteConfig(const Installation& installation);

// UndoList removes what was made, in the order from the newest, unless it is kept.
class UndoList {
 public:
  UndoList() = default;
  ~UndoList();
  UndoList(const UndoList&) = delete;
  UndoList& operator=(const UndoList&) = delete;

  void Add(std::string path) { paths_.push_back(std::move(path)); }
  void Keep() { paths_.clear(); }

 private:
  std::vector<std::string> paths_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_CLI_INSTALLATION_H_
