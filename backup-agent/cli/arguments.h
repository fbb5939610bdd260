#ifndef HOLDFAST_BACKUP_AGENT_CLI_ARGUMENTS_H_
#define HOLDFAST_BACKUP_AGENT_CLI_ARGUMENTS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

// The command line as values: what each command takes. README.md in this folder is its reference.
//
// Text that was not given is empty.

namespace holdfast {

// Before or after the command.
struct GlobalArguments {
  std::string config_path;
  std::string key_source;
  std::string store_name;
  bool json = false;
  bool quiet = false;
};

struct InitArguments {
  std::string directory;
  std::vector<std::string> destinations;
  std::string store_name;
  std::vector<std::string> instance_files;
  std::string key_from;
  // In place of destinations: the repository of the store to take over, which store and which of
  // its backups. The store name may be empty then.
  std::string adopt;
  std::string store_id;
  std::string backup_id;
  bool no_restore = false;
};

struct KeyShowArguments {};
struct KeyFingerprintArguments {};
struct KeyVerifyArguments {
  std::string source;
  bool confirm = false;
};

struct DocPutArguments {
  std::string collection;
  std::string id;
  std::string file;
  std::string media_type;
  bool if_absent = false;
  uint64_t if_revision = 0;  // zero: at any
};
struct DocGetArguments {
  std::string collection;
  std::string id;
};
struct DocListArguments {
  std::string collection;
  std::string prefix;
  uint64_t limit = 0;  // zero: all
};
struct DocDeleteArguments {
  std::string collection;
  std::string id;
  uint64_t if_revision = 0;  // zero: at any
};
struct DocImportArguments {
  std::string file;
};
struct DocExportArguments {
  std::string collection;
};

struct BackupNowArguments {
  std::optional<absl::Duration> max_age;
  uint64_t min_revision = 0;           // zero: not given
  uint32_t required_destinations = 0;  // zero: as the settings say
  std::string request_id;
  std::optional<absl::Duration> timeout;
};
// Which repository to read without the agent: a destination's URL, or its name.
struct BackupListArguments {
  std::string source;
  std::string store_id;
  uint64_t limit = 0;    // zero: all
  bool deleted = false;  // those that can be taken back, in place of those that are listed
};
struct BackupShowArguments {
  std::string backup_id;
  std::string source;
  std::string store_id;
};
struct BackupRunsArguments {
  uint64_t limit = 20;
};
struct BackupCancelArguments {
  std::string run_id;
};
struct BackupAcceptArguments {};

// `mark`: what is done to the backup, as in the names of marks: "pinned", "undeleted".
struct BackupMarkArguments {
  std::string mark;
  std::string backup_id;
};

struct DrillArguments {
  std::string backup_id;         // empty: the newest
  std::string destination_name;  // empty: the first of the settings
};
struct ProofsArguments {
  uint64_t limit = 20;
};

struct PruneArguments {
  bool dry_run = false;
};

struct StatusArguments {
  bool check = false;
};

struct CheckArguments {
  std::string source;
  std::string store_id;
  bool read_data = false;
  bool repair = false;
  // Where good copies come from; empty: the other destinations of the store. Each implies `repair`.
  std::vector<std::string> repair_sources;
};

// The latest backup unless `all` or ids are given.
struct CopyArguments {
  std::string source;
  std::string target;
  std::vector<std::string> backup_ids;
  bool all = false;
  bool create = false;
  std::string store_id;
};

struct RestoreArguments {
  std::string target;
  std::string source;
  std::string backup_id;
  std::string store_id;
  bool as_new_store = false;
  bool salvage = false;
  bool accept_salvaged = false;
};

// The backup whose settings are meant; nothing: those that the agent has.
struct SettingsSourceArguments {
  std::string source;
  std::string backup_id;
  std::string store_id;
};
struct SettingsShowArguments {
  SettingsSourceArguments from;
};
struct SettingsSetArguments {
  SettingsSourceArguments from;
  std::optional<bool> automatic;
  std::optional<absl::Duration> interval;
  std::string start_time_of_day;
  std::string time_zone;
  struct NamedUrl {
    std::string name;
    std::string url;
  };
  std::vector<NamedUrl> add_destinations;
  std::vector<std::string> remove_destinations;
  std::optional<uint32_t> required_destinations;
  std::optional<std::string> key_confirmed_fingerprint;  // empty takes it back
  std::optional<absl::Duration> keep_within;
  // By the name of the field of holdfast.v1.Retention.
  std::map<std::string, uint32_t> keep_counts;
  std::string retention_zone;
  std::optional<absl::Duration> drill_interval;
  std::optional<absl::Duration> drill_age_max;
  std::optional<uint32_t> read_data_days;
};

using CommandArguments =
    std::variant<InitArguments, KeyShowArguments, KeyFingerprintArguments, KeyVerifyArguments,
                 DocPutArguments, DocGetArguments, DocListArguments, DocDeleteArguments,
                 DocImportArguments, DocExportArguments, BackupNowArguments, BackupListArguments,
                 BackupShowArguments, BackupRunsArguments, BackupCancelArguments,
                 BackupAcceptArguments, BackupMarkArguments, PruneArguments, DrillArguments,
                 ProofsArguments, StatusArguments, CheckArguments, RestoreArguments,
                 SettingsShowArguments, SettingsSetArguments, CopyArguments>;

// What a command line comes to.
struct ParsedArguments {
  GlobalArguments global;
  // Absent where only `text` is to be printed: --help and --version.
  std::optional<CommandArguments> command;
  std::string text;
};

// Parses what stands after the program's name. INVALID_ARGUMENT says what is wrong, and what help
// there is. An argument that is a master key is refused and not repeated.
absl::StatusOr<ParsedArguments> ParseArguments(const std::vector<std::string>& arguments);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_CLI_ARGUMENTS_H_
