#ifndef HOLDFAST_BACKUP_AGENT_CLI_COMMAND_H_
#define HOLDFAST_BACKUP_AGENT_CLI_COMMAND_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backup-agent/cli/arguments.h"
#include "backup-agent/cli/console.h"
#include "backup-agent/cli/places.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/config/config.h"
#include "common/crypto/master_key.h"
#include "common/repository/layout.h"

namespace holdfast {

// What every command is given.
struct CommandContext {
  GlobalArguments global;
  Console& console;
  Clock& clock;
  RandomSource& random;
  Cancellation cancellation;  // Ctrl-C
  Places places;
};

// The commands, each in the file of its group. They print their result, and return what went wrong;
// its code becomes the exit code.

// init_command.cc
absl::Status RunCommand(const InitArguments& arguments, CommandContext& context);
// adopt_command.cc: init, where `adopt` is given.
absl::Status AdoptStore(const InitArguments& arguments, CommandContext& context);
// key_commands.cc
absl::Status RunCommand(const KeyShowArguments& arguments, CommandContext& context);
absl::Status RunCommand(const KeyFingerprintArguments& arguments, CommandContext& context);
absl::Status RunCommand(const KeyVerifyArguments& arguments, CommandContext& context);
// doc_commands.cc
absl::Status RunCommand(const DocPutArguments& arguments, CommandContext& context);
absl::Status RunCommand(const DocGetArguments& arguments, CommandContext& context);
absl::Status RunCommand(const DocListArguments& arguments, CommandContext& context);
absl::Status RunCommand(const DocDeleteArguments& arguments, CommandContext& context);
absl::Status RunCommand(const DocExportArguments& arguments, CommandContext& context);
// doc_import.cc
absl::Status RunCommand(const DocImportArguments& arguments, CommandContext& context);
// backup_commands.cc
absl::Status RunCommand(const BackupNowArguments& arguments, CommandContext& context);
absl::Status RunCommand(const BackupListArguments& arguments, CommandContext& context);
absl::Status RunCommand(const BackupShowArguments& arguments, CommandContext& context);
absl::Status RunCommand(const BackupRunsArguments& arguments, CommandContext& context);
absl::Status RunCommand(const BackupCancelArguments& arguments, CommandContext& context);
absl::Status RunCommand(const BackupAcceptArguments& arguments, CommandContext& context);
absl::Status RunCommand(const BackupMarkArguments& arguments, CommandContext& context);
// proof_commands.cc
absl::Status RunCommand(const DrillArguments& arguments, CommandContext& context);
absl::Status RunCommand(const ProofsArguments& arguments, CommandContext& context);
// prune_command.cc
absl::Status RunCommand(const PruneArguments& arguments, CommandContext& context);
// status_command.cc
absl::Status RunCommand(const StatusArguments& arguments, CommandContext& context);
// check_command.cc
absl::Status RunCommand(const CheckArguments& arguments, CommandContext& context);
// restore_command.cc
absl::Status RunCommand(const RestoreArguments& arguments, CommandContext& context);
// copy_command.cc
absl::Status RunCommand(const CopyArguments& arguments, CommandContext& context);
// settings_commands.cc
absl::Status RunCommand(const SettingsShowArguments& arguments, CommandContext& context);
absl::Status RunCommand(const SettingsSetArguments& arguments, CommandContext& context);

// What commands share.

// The configuration file that --config names, or the default.
std::string ConfigPath(const CommandContext& context);

// The configuration. INVALID_ARGUMENT, with what to do, where there is none.
absl::StatusOr<Config> LoadCommandConfig(const CommandContext& context);

// Whether there is a configuration file at all: commands that can do without look for it only then.
absl::StatusOr<std::optional<Config>> LoadCommandConfigIfAny(const CommandContext& context);

// Reads the key of --key, or else of the configuration. FAILED_PRECONDITION where its file may be
// read by others. Asks for it on a terminal.
absl::StatusOr<MasterKey> ReadCommandKey(const CommandContext& context);
absl::StatusOr<MasterKey> ReadKeyFrom(absl::string_view source, const CommandContext& context);
// Reads a copy of `original`; where it is mistyped the error says in which groups.
absl::StatusOr<MasterKey> ReadKeyCopyFrom(absl::string_view source, const MasterKey& original,
                                          const CommandContext& context);
// What ReadCommandKey reads from.
absl::StatusOr<std::string> FindKeySource(const CommandContext& context);

// The socket of the store that --store names, or the only one. INVALID_ARGUMENT where there are
// several and none is named.
absl::StatusOr<std::string> FindStoreSocket(const CommandContext& context);

// The socket of the agent. INVALID_ARGUMENT where it has several stores and --store names none.
absl::StatusOr<std::string> FindAgentSocket(const CommandContext& context);
// The same for a command that may be about all of its stores.
absl::StatusOr<std::string> FindAgentSocketForAllStores(const CommandContext& context);

// The stores of the agent, or the one that --store names, each with its socket.
struct NamedSocket {
  std::string name;
  std::string socket;
};
absl::StatusOr<std::vector<NamedSocket>> FindStoreSockets(const CommandContext& context);

// The destinations to work on: the one named by its URL or by its name, else all of the store's.
// They are those of the agent's settings, or of the configuration where the agent can't be asked,
// of which a note is made. INVALID_ARGUMENT where there is no configuration; NOT_FOUND for a name
// that nobody knows.
absl::StatusOr<std::vector<DestinationConfig>> FindDestinations(absl::string_view url_or_name,
                                                                const CommandContext& context);

// INVALID_ARGUMENT unless empty or a store id.
absl::StatusOr<std::optional<StoreId>> ParseStoreId(absl::string_view text);

// Warns of a destination that is no better than the data itself: what it was meant to be may not be
// mounted. REQUIRES: the place has just answered, for this looks at it in this process.
void WarnWhereOnOneDisk(const std::string& name, const std::string& url,
                        const std::string& data_directory, Console& console);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_CLI_COMMAND_H_
