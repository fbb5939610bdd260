#include "backup-agent/cli/grammar.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "backup-agent/cli/help_formatter.h"
#include "common/base/version.h"
#include "common/config/setting_rules.h"

namespace holdfast {

namespace {

constexpr absl::string_view kExitCodes =
    "Exit codes:\n"
    "  0 done   1 failed   2 wrong command line or configuration   3 not found\n"
    "  4 refused: something is in the way, or a precondition does not hold\n"
    "  5 damaged data   6 wrong master key   7 unreachable or busy   130 interrupted";

constexpr absl::string_view kGlobalOptionsHint =
    "Options of all commands (holdfast --help): --config, --key, --store, --json, --quiet";

std::string CommandFooter() { return absl::StrCat(kGlobalOptionsHint, "\n\n", kExitCodes); }

// "90s", "10m", "1h30m", "2d"; "0" is no time.
std::optional<absl::Duration> ParseDurationArgument(absl::string_view text) {
  int64_t days = 0;
  absl::Duration duration;
  constexpr int64_t kDaysMax = 36'500;
  if (absl::EndsWith(text, "d") && absl::SimpleAtoi(text.substr(0, text.size() - 1), &days) &&
      days >= 0 && days <= kDaysMax) {
    return absl::Hours(24 * days);
  }
  if (!absl::ParseDuration(text, &duration) || duration < absl::ZeroDuration() ||
      duration > absl::Hours(24 * kDaysMax)) {
    return std::nullopt;
  }
  return duration;
}

// What sets a number of holdfast.v1.Retention: the option, the field, what it means.
constexpr std::tuple<const char*, const char*, const char*> kKeepOptions[] = {
    {"--keep-last", "keep_last", "Keep the newest so many backups"},
    {"--keep-hourly", "keep_hourly", "Keep the last backup of so many hours"},
    {"--keep-daily", "keep_daily", "Keep the last backup of so many days"},
    {"--keep-weekly", "keep_weekly", "Keep the last backup of so many weeks"},
    {"--keep-monthly", "keep_monthly", "Keep the last backup of so many months"},
    {"--keep-yearly", "keep_yearly", "Keep the last backup of so many years"},
};

// Builds the grammar. Lives no longer than that takes: what is called back by the parse holds on to
// the result, not to this.
class GrammarBuilder {
 public:
  GrammarBuilder(CLI::App& app, ParsedArguments& result) : app_(app), result_(result) {}

  void Build() {
    app_.name("holdfast");
    app_.description("Holdfast: an encrypted document store that can always be brought back.");
    app_.footer(std::string(kExitCodes));
    app_.set_version_flag("--version", absl::StrCat("holdfast ", Version()), "Print the version");
    app_.set_help_flag("-h,--help", "Print this help");
    app_.set_help_all_flag("--help-all", "Print the help of all commands");
    app_.fallthrough();
    app_.require_subcommand(1);
    app_.formatter(std::make_shared<HelpFormatter>());
    AddGlobalOptions();
    AddInit();
    AddKey();
    AddDoc();
    AddBackup();
    AddPrune();
    AddDrill();
    AddStatus();
    AddCheck();
    AddRestore();
    AddSettings();
    AddCopy();
  }

 private:
  void AddGlobalOptions() {
    GlobalArguments& global = result_.global;
    app_.add_option("--config", global.config_path,
                    absl::StrCat("The configuration file; otherwise $HOLDFAST_CONFIG, otherwise "
                                 "/etc/holdfast/holdfast.toml"))
        ->type_name("FILE");
    app_.add_option(
            "--key", global.key_source,
            "Where to read the master key, in place of what the configuration says: a file, "
            "- for standard input, or credential:NAME. Never the key itself")
        ->type_name("SOURCE");
    app_.add_option("--store", global.store_name,
                    "The store to work on, where the configuration has several")
        ->type_name("NAME");
    app_.add_flag("--json", global.json, "Print JSON, for scripts");
    app_.add_flag("--quiet,-q", global.quiet, "Print results and errors only");
  }

  // A subcommand that ends the parse: its arguments are in the result afterwards.
  template <typename Arguments>
  CLI::App* AddCommand(CLI::App& parent, const std::string& name, const std::string& description,
                       std::shared_ptr<Arguments> arguments) {
    CLI::App* const command = parent.add_subcommand(name, description);
    command->group("Commands");
    command->footer(CommandFooter());
    command->final_callback(
        [&result = result_, arguments = std::move(arguments)] { result.command = *arguments; });
    return command;
  }

  CLI::App& AddGroup(const std::string& name, const std::string& description) {
    CLI::App* const group = app_.add_subcommand(name, description);
    group->require_subcommand(1);
    group->group("Commands");
    group->footer(CommandFooter());
    return *group;
  }

  static void AddDuration(CLI::App* command, const std::string& name,
                          std::optional<absl::Duration>* duration, const std::string& description) {
    command
        ->add_option_function<std::string>(
            name,
            [duration, name](const std::string& text) {
              *duration = ParseDurationArgument(text);
              if (!duration->has_value()) {
                throw CLI::ValidationError(
                    name,
                    absl::StrCat("'", text, "' is no time; write it like 90s, 10m, 4h or 2d"));
              }
            },
            description)
        ->type_name("TIME");
  }

  // A number of at least `min` and at most `max`; what is none is refused in words.
  template <typename Number>
  static CLI::Option* AddNumber(CLI::App* command, const std::string& name,
                                std::function<void(Number)> set, const std::string& description,
                                Number min, Number max = std::numeric_limits<Number>::max()) {
    return command
        ->add_option_function<std::string>(
            name,
            [name, set = std::move(set), min, max](const std::string& text) {
              const bool is_digits =
                  !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
              Number number = 0;
              const bool fits = is_digits && absl::SimpleAtoi(text, &number) && number <= max;
              if (!fits || number < min) {
                // What needs no upper bound to be understood is not bothered with one.
                const bool shows_max =
                    max < std::numeric_limits<uint32_t>::max() || (is_digits && !fits);
                throw CLI::ValidationError(
                    name, absl::StrCat("'", text, "' is no number that it takes; it takes ", min,
                                       shows_max ? absl::StrCat(" to ", max) : " and more"));
              }
              set(number);
            },
            description)
        ->type_name("N");
  }

  template <typename Number>
  static CLI::Option* AddNumber(CLI::App* command, const std::string& name, Number* number,
                                const std::string& description, Number min,
                                Number max = std::numeric_limits<Number>::max()) {
    return AddNumber<Number>(
        command, name, [number](Number value) { *number = value; }, description, min, max);
  }

  static void AddLimit(CLI::App* command, uint64_t* limit, const std::string& description) {
    AddNumber<uint64_t>(command, "--limit", limit, description, 1);
  }

  void AddInit() {
    auto arguments = std::make_shared<InitArguments>();
    CLI::App* const command = AddCommand(app_, "init",
                                         "Make the master key, the configuration and the folders "
                                         "of a store and its agent, and show the key once; or, "
                                         "with --adopt, bring a lost machine's store back here. "
                                         "Never overwrites anything",
                                         arguments);
    command->final_callback([&result = result_, arguments] {
      if (arguments->destinations.empty() && arguments->adopt.empty()) {
        throw CLI::RequiredError("--destination or --adopt");
      }
      if (arguments->adopt.empty() && arguments->store_name.empty()) arguments->store_name = "main";
      result.command = *arguments;
    });
    command
        ->add_option("--destination", arguments->destinations,
                     "Where backups go: a directory or a mounted share (file:///path or /path), "
                     "or a remote of rclone (rclone:REMOTE:PATH). Repeat it for several; it is "
                     "made if its parent directory exists")
        ->type_name("URL")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command
        ->add_option("--directory", arguments->directory,
                     "Put everything into this directory, in place of /etc/holdfast, "
                     "/var/lib/holdfast and /run/holdfast")
        ->type_name("DIR");
    command
        ->add_option("--store-name", arguments->store_name,
                     "What to call the store: main, or with --adopt as it was called, unless given")
        ->type_name("NAME");
    command
        ->add_option("--instance-file", arguments->instance_files,
                     "A file or directory that travels with every backup (configuration, "
                     "certificates). Repeat it for several")
        ->type_name("PATH")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command
        ->add_option("--key-from", arguments->key_from,
                     "Use this master key in place of a new one: a file, - for standard input, or "
                     "credential:NAME. With --adopt it is asked for unless given")
        ->type_name("SOURCE");
    CLI::Option* const adopt =
        command
            ->add_option("--adopt", arguments->adopt,
                         "Take a store over from this destination and the master key, on a machine "
                         "that takes a lost one's place: data, settings, schedule, history")
            ->type_name("URL")
            ->excludes("--destination");
    command
        ->add_option("--store-id", arguments->store_id,
                     "With --adopt: the store that is meant, where the repository has several")
        ->type_name("ID")
        ->needs(adopt);
    command
        ->add_option("--backup", arguments->backup_id, "With --adopt: this backup, not the latest")
        ->type_name("ID")
        ->needs(adopt);
    command
        ->add_flag("--no-restore", arguments->no_restore,
                   "With --adopt: leave the data directory as it is; restore into it later")
        ->needs(adopt);
  }

  void AddKey() {
    CLI::App& group = AddGroup("key", "Show or verify the master key");
    AddCommand(group, "show", "Print the master key, to write it down",
               std::make_shared<KeyShowArguments>());
    AddCommand(group, "fingerprint", "Print the key's fingerprint, which may be shown to anybody",
               std::make_shared<KeyFingerprintArguments>());
    auto verify = std::make_shared<KeyVerifyArguments>();
    CLI::App* const command =
        AddCommand(group, "verify",
                   "Compare another copy of the master key with the one in use, and say what is "
                   "wrong with it",
                   verify);
    verify->source = "-";
    command
        ->add_option("source", verify->source,
                     "The other copy: a file, or - to type it or read it from standard input")
        ->type_name("SOURCE")
        ->capture_default_str();
    command->add_flag("--confirm", verify->confirm,
                      "Tell the agent afterwards that the key is kept elsewhere");
  }

  static void AddCollectionAndId(CLI::App* command, std::string* collection, std::string* id) {
    command->add_option("collection", *collection, "The document's collection")->required();
    command->add_option("id", *id, "The document's id")->required();
  }

  static void AddIfRevision(CLI::App* command, uint64_t* revision) {
    AddNumber<uint64_t>(command, "--if-revision", revision,
                        "Only if the document is at this revision; refused otherwise", 1)
        ->type_name("R");
  }

  void AddDoc() {
    CLI::App& group = AddGroup("doc", "Read and write documents");

    auto put = std::make_shared<DocPutArguments>();
    CLI::App* command = AddCommand(group, "put", "Write one document", put);
    AddCollectionAndId(command, &put->collection, &put->id);
    put->file = "-";
    command->add_option("file", put->file, "What to write; - for standard input")
        ->type_name("FILE")
        ->capture_default_str();
    command
        ->add_option("--media-type", put->media_type,
                     "What the content is; application/json, which is checked, unless given")
        ->type_name("TYPE");
    CLI::Option* const if_absent = command->add_flag(
        "--if-absent", put->if_absent, "Only if there is no such document; refused otherwise");
    AddIfRevision(command, &put->if_revision);
    if_absent->excludes(command->get_option("--if-revision"));

    auto get = std::make_shared<DocGetArguments>();
    command = AddCommand(
        group, "get", "Print the content of a document as it is; with --json, the document", get);
    AddCollectionAndId(command, &get->collection, &get->id);

    auto list = std::make_shared<DocListArguments>();
    command =
        AddCommand(group, "list", "List the documents of a collection, or the collections", list);
    command->add_option("collection", list->collection,
                        "The collection; all collections if left out");
    command->add_option("--prefix", list->prefix, "Only documents whose id begins with this")
        ->type_name("TEXT");
    AddLimit(command, &list->limit, "At most so many");

    auto erase = std::make_shared<DocDeleteArguments>();
    command = AddCommand(group, "delete", "Delete one document", erase);
    AddCollectionAndId(command, &erase->collection, &erase->id);
    AddIfRevision(command, &erase->if_revision);

    auto import_arguments = std::make_shared<DocImportArguments>();
    command = AddCommand(group, "import", "Write documents from JSON lines, as export prints them",
                         import_arguments);
    import_arguments->file = "-";
    command->add_option("file", import_arguments->file, "The lines; - for standard input")
        ->type_name("FILE")
        ->capture_default_str();

    auto export_arguments = std::make_shared<DocExportArguments>();
    command = AddCommand(group, "export", "Print documents as JSON lines", export_arguments);
    command->add_option("collection", export_arguments->collection,
                        "The collection; all collections if left out");
  }

  static void AddRepository(CLI::App* command, std::string* source, std::string* store_id,
                            const std::string& description) {
    command->add_option("--from,--destination", *source, description)->type_name("URL|NAME");
    command
        ->add_option("--store-id", *store_id,
                     "The store whose backups are meant, where the repository has several")
        ->type_name("ID");
  }

  void AddBackup() {
    CLI::App& group = AddGroup("backup", "Take and list backups");

    auto now = std::make_shared<BackupNowArguments>();
    CLI::App* command = AddCommand(
        group, "now", "Take a backup and wait until it is durable at its destinations", now);
    AddDuration(command, "--max-age", &now->max_age,
                "A backup that is at most this old is good enough; 0 unless given");
    AddNumber<uint64_t>(command, "--min-revision", &now->min_revision,
                        "A backup that holds this write is good enough, however old", 1)
        ->type_name("R")
        ->excludes(command->get_option("--max-age"));
    AddNumber<uint32_t>(command, "--destinations", &now->required_destinations,
                        "How many destinations must hold it; as many as the settings require "
                        "unless given",
                        1, uint32_t{kDestinationsMax});
    command
        ->add_option("--request-id", now->request_id,
                     "The same id within 24 hours is the same request: safe to repeat")
        ->type_name("ID");
    AddDuration(command, "--timeout", &now->timeout,
                "Wait for at most so long; the backup goes on without");

    auto list = std::make_shared<BackupListArguments>();
    command = AddCommand(group, "list", "List the backups, newest first", list);
    AddRepository(command, &list->source, &list->store_id,
                  "Read this destination directly, without the agent");
    AddLimit(command, &list->limit, "At most so many");
    command->add_flag("--deleted", list->deleted,
                      "Those that were deleted and are not removed yet; reads the destinations "
                      "directly");

    auto show = std::make_shared<BackupShowArguments>();
    command = AddCommand(group, "show", "Show one backup", show);
    command->add_option("id", show->backup_id, "The backup; the latest if left out");
    AddRepository(command, &show->source, &show->store_id,
                  "Read this destination directly, without the agent");

    auto runs = std::make_shared<BackupRunsArguments>();
    command = AddCommand(
        group, "runs", "List the attempts at taking a backup, newest first: how they went, and why",
        runs);
    AddLimit(command, &runs->limit, "At most so many; 20 unless given");

    auto cancel = std::make_shared<BackupCancelArguments>();
    command = AddCommand(group, "cancel", "Stop the run in progress", cancel);
    command->add_option("run", cancel->run_id, "The run; the one in progress if left out");

    AddCommand(group, "accept",
               "Take the store as it is now for the right one, after runs were refused because it "
               "is not what it was",
               std::make_shared<BackupAcceptArguments>());

    AddMark(group, "pin", "pinned", "Keep a backup whatever retention says");
    AddMark(group, "unpin", "unpinned", "Leave a backup to retention again");
    AddMark(group, "delete", "deleted",
            "Delete a backup. It can be taken back for 6 days, and is removed after 7");
    AddMark(group, "undelete", "undeleted", "Take a backup back that was deleted");
  }

  void AddMark(CLI::App& group, const std::string& name, const std::string& mark,
               const std::string& description) {
    auto arguments = std::make_shared<BackupMarkArguments>();
    arguments->mark = mark;
    CLI::App* const command = AddCommand(group, name, description, arguments);
    command->add_option("id", arguments->backup_id, "The backup")->required();
  }

  void AddDrill() {
    auto arguments = std::make_shared<DrillArguments>();
    CLI::App* command =
        AddCommand(app_, "drill",
                   "Prove a backup restorable: restore it for real into a scratch folder of the "
                   "agent, open it, "
                   "and compare every document. The agent does so by itself every week",
                   arguments);
    command->add_option("id", arguments->backup_id, "The backup; the newest there if left out");
    command
        ->add_option("--destination", arguments->destination_name,
                     "The destination, by its name in the settings; the first if left out")
        ->type_name("NAME");

    auto proofs = std::make_shared<ProofsArguments>();
    command = AddCommand(app_, "proofs",
                         "List the checks and drills that the agent made, newest first, and what "
                         "came of them",
                         proofs);
    AddLimit(command, &proofs->limit, "At most so many; 20 unless given");
  }

  void AddPrune() {
    auto arguments = std::make_shared<PruneArguments>();
    CLI::App* const command = AddCommand(
        app_, "prune",
        "Delete the backups that the settings' retention does not keep, and say why each is kept. "
        "What was deleted is removed for good after a week in which the agent saw the clock go on "
        "without a jump. The agent does so by itself after every run",
        arguments);
    command->add_flag("--dry-run", arguments->dry_run, "Only say what would be kept and deleted");
  }

  void AddStatus() {
    auto arguments = std::make_shared<StatusArguments>();
    CLI::App* const command = AddCommand(
        app_, "status", "How safe the stores are: the verdict first, then why", arguments);
    command->add_flag("--check", arguments->check,
                      "For monitoring: exit code 4 unless every store is HEALTHY");
  }

  void AddCheck() {
    auto arguments = std::make_shared<CheckArguments>();
    CLI::App* const command = AddCommand(
        app_, "check", "Prove that the backups at the destinations are whole; needs no service",
        arguments);
    AddRepository(command, &arguments->source, &arguments->store_id,
                  "Only this destination; all of the store's unless given");
    command->add_flag(
        "--read-data", arguments->read_data,
        "Read and prove every byte; otherwise manifests, and that every object is there "
        "with the right length and header");
    command->add_flag("--repair", arguments->repair,
                      "Mend what is damaged or missing with what another destination of the store "
                      "holds whole");
    command
        ->add_option_function<std::vector<std::string>>(
            "--repair-from",
            [arguments](const std::vector<std::string>& sources) {
              arguments->repair = true;
              arguments->repair_sources = sources;
            },
            "Mend it with what is here, in place of the store's other destinations. Repeat it for "
            "several")
        ->type_name("URL|NAME")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }

  void AddCopy() {
    auto arguments = std::make_shared<CopyArguments>();
    CLI::App* const command = AddCommand(
        app_, "copy",
        "Copy backups from one destination to another, byte for byte; needs no service", arguments);
    command->add_option("--from", arguments->source, "The destination to copy from")
        ->type_name("URL|NAME")
        ->required();
    command->add_option("--to", arguments->target, "The destination to copy to")
        ->type_name("URL|NAME")
        ->required();
    CLI::Option* const backup =
        command
            ->add_option("--backup", arguments->backup_ids,
                         "A backup to copy; the latest unless given. Repeat it for several")
            ->type_name("ID")
            ->expected(1)
            ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command->add_flag("--all", arguments->all, "Copy all backups, the oldest first")
        ->excludes(backup);
    command->add_flag("--create", arguments->create,
                      "Make the repository where there is none yet, in an empty directory");
    command
        ->add_option("--store-id", arguments->store_id,
                     "The store whose backups are meant, where the repository has several")
        ->type_name("ID");
  }

  void AddRestore() {
    auto arguments = std::make_shared<RestoreArguments>();
    CLI::App* const command = AddCommand(
        app_, "restore",
        "Bring a store back from a destination and the master key; needs no service", arguments);
    command
        ->add_option("--to", arguments->target,
                     "The data directory to make; empty, or not there yet")
        ->type_name("DIR")
        ->required();
    command
        ->add_option("--from", arguments->source,
                     "The destination to restore from; otherwise those of the store, the "
                     "first that can be read")
        ->type_name("URL|NAME");
    command->add_option("--backup", arguments->backup_id, "The backup; the latest unless given")
        ->type_name("ID");
    command
        ->add_option("--store-id", arguments->store_id,
                     "The store whose backup is meant, where the repository has several")
        ->type_name("ID");
    command->add_flag("--as-new-store", arguments->as_new_store,
                      "Make a copy with a store id of its own, to live beside the original");
    CLI::Option* const salvage = command->add_flag(
        "--salvage", arguments->salvage,
        "Where the backup is damaged: bring what is whole, and list what of it is "
        "not proven. No store opens that before it was accepted");
    CLI::Option* const accept =
        command->add_flag("--accept-salvaged", arguments->accept_salvaged,
                          "Let a store open what a salvage made in DIR, as it is");
    accept->excludes(salvage)->excludes("--from")->excludes("--backup")->excludes("--store-id");
  }

  static void AddSettingsSource(CLI::App* command, SettingsSourceArguments& from,
                                const std::string& description) {
    CLI::Option* const source =
        command->add_option("--from", from.source, description)->type_name("URL|NAME");
    command->add_option("--backup", from.backup_id, "That backup in place of the latest")
        ->type_name("ID")
        ->needs(source);
    command
        ->add_option("--store-id", from.store_id,
                     "The store whose backup is meant, where the repository has several")
        ->type_name("ID")
        ->needs(source);
  }

  void AddSettings() {
    CLI::App& group = AddGroup("settings", "Show or change how a store is backed up");
    auto show = std::make_shared<SettingsShowArguments>();
    CLI::App* command = AddCommand(group, "show", "Print the settings", show);
    AddSettingsSource(command, show->from,
                      "Those that the latest backup there was taken with; needs no service");

    auto set = std::make_shared<SettingsSetArguments>();
    command = AddCommand(group, "set", "Change what is given, and leave the rest", set);
    AddSettingsSource(command, set->from,
                      "Begin with those that the latest backup there was taken with, as on a new "
                      "machine; the other options change them");
    command
        ->add_option_function<std::string>(
            "--automatic", [set](const std::string& text) { set->automatic = text == "on"; },
            "Whether backups are taken by themselves")
        ->type_name("on|off")
        ->check(CLI::IsMember({"on", "off"}).description(""));
    AddDuration(command, "--interval", &set->interval,
                "How often: 1m to 24h, or whole days to 31d");
    command->add_option("--start", set->start_time_of_day, "The time of day that it counts from")
        ->type_name("HH:MM");
    command->add_option("--zone", set->time_zone, "The zone of that time: Europe/Berlin")
        ->type_name("ZONE");
    AddDuration(command, "--keep-within", &set->keep_within,
                "Keep all backups that are at most so much older than the newest");
    for (const auto& [option, field, what] : kKeepOptions) {
      AddNumber<uint32_t>(
          command, option,
          [set, field = field](uint32_t count) { set->keep_counts[field] = count; }, what, 0);
    }
    command
        ->add_option("--keep-zone", set->retention_zone,
                     "The zone whose hours and days these are: Europe/Berlin")
        ->type_name("ZONE");
    AddDuration(command, "--drill-every", &set->drill_interval,
                "How often each destination's newest backup is drilled; 0 for never");
    AddDuration(command, "--drill-age", &set->drill_age_max,
                "Say so once no drill has succeeded for so long; 0 for never");
    AddNumber<uint32_t>(
        command, "--read-data-days", [set](uint32_t days) { set->read_data_days = days; },
        "Read every byte at each destination within so many days; 0 for never", 0);
    command
        ->add_option_function<std::vector<std::string>>(
            "--add-destination",
            [set](const std::vector<std::string>& texts) {
              for (const std::string& text : texts) {
                const size_t equals = text.find('=');
                if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
                  throw CLI::ValidationError(
                      "--add-destination", absl::StrCat("'", text,
                                                        "' is not of the form name=file:///path or "
                                                        "name=rclone:REMOTE:PATH"));
                }
                set->add_destinations.push_back({text.substr(0, equals), text.substr(equals + 1)});
              }
            },
            "Send backups there too. Repeat it for several")
        ->type_name("NAME=URL")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command
        ->add_option("--remove-destination", set->remove_destinations,
                     "Send backups there no longer; what is there stays. Repeat it for several")
        ->type_name("NAME")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    AddNumber<uint32_t>(
        command, "--required", [set](uint32_t count) { set->required_destinations = count; },
        "How many destinations must hold a backup; 0 for all", 0, uint32_t{kDestinationsMax});
    command
        ->add_option(
            "--confirm-key", set->key_confirmed_fingerprint,
            "Confirm that the master key of this fingerprint is kept elsewhere; \"\" takes "
            "it back")
        ->type_name("FINGERPRINT");
  }

  CLI::App& app_;
  ParsedArguments& result_;
};

}  // namespace

void BuildGrammar(CLI::App& app, ParsedArguments& result) { GrammarBuilder(app, result).Build(); }

}  // namespace holdfast
