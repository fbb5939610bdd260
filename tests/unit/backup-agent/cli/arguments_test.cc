#include "backup-agent/cli/arguments.h"

#include <string>
#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// The arguments of a command line that is one.
template <typename Arguments>
Arguments Parse(const std::vector<std::string>& arguments) {
  const absl::StatusOr<ParsedArguments> parsed = ParseArguments(arguments);
  EXPECT_OK(parsed);
  if (!parsed.ok() || !parsed->command.has_value()) return {};
  EXPECT_TRUE(std::holds_alternative<Arguments>(*parsed->command));
  const Arguments* const found = std::get_if<Arguments>(&*parsed->command);
  return found == nullptr ? Arguments() : *found;
}

testing::Matcher<absl::StatusOr<ParsedArguments>> IsUsageError(const std::string& words) {
  return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(words));
}

TEST(ParseArgumentsTest, TakesGlobalOptionsBeforeAndAfterTheCommand) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--config", "/c", "--store", "s", "--key", "-", "--json", "-q",
                                 "doc", "list"},
        {"doc", "--store", "s", "list", "--json", "--key=-", "--quiet", "--config=/c"}}) {
    ASSERT_OK_AND_ASSIGN(const ParsedArguments parsed, ParseArguments(arguments));
    EXPECT_EQ(parsed.global.config_path, "/c");
    EXPECT_EQ(parsed.global.store_name, "s");
    EXPECT_EQ(parsed.global.key_source, "-");
    EXPECT_TRUE(parsed.global.json);
    EXPECT_TRUE(parsed.global.quiet);
  }
}

TEST(ParseArgumentsTest, RefusesAMasterKeyAndDoesNotRepeatIt) {
  constexpr char kKey[] =
      "HF1-0000-0000-0000-0000-0000-0000-0000-0000-0000-0000-0000-0000-0000-SECR";
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--key", kKey, "key", "show"},
        {"key", "show", std::string("--key=") + kKey},
        {"key", "verify", kKey},
        {"key", "verify", "hf1-secr-0000"},
        {"frobnicate", kKey}}) {
    const absl::StatusOr<ParsedArguments> parsed = ParseArguments(arguments);
    EXPECT_THAT(parsed, IsUsageError("must never be an argument"));
    EXPECT_THAT(std::string(parsed.status().message()),
                AllOf(Not(HasSubstr("SECR")), Not(HasSubstr("secr"))));
  }
}

TEST(ParseArgumentsTest, PrintsHelpAndVersionAndRunsNothing) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--help"}, {"doc", "put", "--help"}, {"restore", "-h"}}) {
    ASSERT_OK_AND_ASSIGN(const ParsedArguments parsed, ParseArguments(arguments));
    EXPECT_FALSE(parsed.command.has_value());
    EXPECT_THAT(parsed.text, HasSubstr("Exit codes:"));
  }
  ASSERT_OK_AND_ASSIGN(const ParsedArguments parsed, ParseArguments({"--version"}));
  EXPECT_THAT(parsed.text, testing::MatchesRegex("holdfast [0-9.]+\n"));
}

TEST(ParseArgumentsTest, SaysWhatIsWrongAndWhereHelpIs) {
  EXPECT_THAT(ParseArguments({}), IsUsageError("try: holdfast --help"));
  EXPECT_THAT(ParseArguments({"doc"}), IsUsageError("try: holdfast doc --help"));
  EXPECT_THAT(ParseArguments({"frobnicate"}), IsUsageError("frobnicate"));
  EXPECT_THAT(ParseArguments({"doc", "put", "users"}), IsUsageError("id is required"));
  EXPECT_THAT(ParseArguments({"status", "--loud"}), IsUsageError("--loud"));
  EXPECT_THAT(ParseArguments({"restore"}), IsUsageError("--to is required"));
  EXPECT_THAT(ParseArguments({"init"}), IsUsageError("--destination or --adopt is required"));
}

TEST(ParseArgumentsTest, NamesAnUnknownOptionAndTheOneThatWasMeant) {
  EXPECT_THAT(ParseArguments({"restore", "--frm", "nas", "--to", "/t"}),
              IsUsageError("unknown option --frm; did you mean --from?\ntry: holdfast restore "));
  EXPECT_THAT(ParseArguments({"restore", "--frm=nas", "--to", "/t"}),
              IsUsageError("unknown option --frm; did you mean --from?"));
  EXPECT_THAT(ParseArguments({"doc", "put", "users", "-x"}),
              IsUsageError("unknown option -x\nwhat begins with - and is no option follows --\n"));
  EXPECT_THAT(ParseArguments({"--bogus"}), IsUsageError("unknown option --bogus\ntry: holdfast "));
  EXPECT_THAT(ParseArguments({"-v"}), IsUsageError("unknown option -v\n"));
  EXPECT_THAT(ParseArguments({"status", "--jsn"}), IsUsageError("did you mean --json?"));
  EXPECT_THAT(ParseArguments({"status", "main"}), IsUsageError("not expected: 'main'"));
  EXPECT_THAT(ParseArguments({"doc", "frobnicate"}),
              IsUsageError("there is no command 'frobnicate'\ntry: holdfast doc --help"));
}

TEST(ParseArgumentsTest, TakesNoOtherArgumentForAValueThatIsMissing) {
  EXPECT_THAT(ParseArguments({"--config=", "status"}), IsUsageError("--config= has no value"));
  EXPECT_EQ(Parse<DocGetArguments>({"doc", "get", "c", "--", "--x="}).id, "--x=");
  EXPECT_EQ(Parse<SettingsSetArguments>({"settings", "set", "--add-destination", "a=/b="})
                .add_destinations[0]
                .url,
            "/b=");
}

TEST(ParseArgumentsTest, RefusesWhatIsNoNumberInWords) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"doc", "list", "c", "--limit", "0"},
        {"doc", "put", "c", "i", "--if-revision", "-1"},
        {"doc", "put", "c", "i", "--if-revision", "abc"},
        {"backup", "now", "--min-revision", "0"},
        {"backup", "list", "--limit", "1.5"},
        {"backup", "runs", "--limit", ""},
        {"proofs", "--limit", "0x10"}}) {
    EXPECT_THAT(ParseArguments(arguments),
                IsUsageError("' is no number that it takes; it takes 1 and more"));
  }
  EXPECT_THAT(ParseArguments({"backup", "now", "--destinations", "0"}),
              IsUsageError("--destinations: '0' is no number that it takes; it takes 1 to 16\n"));
  EXPECT_THAT(ParseArguments({"doc", "put", "c", "i", "--if-revision", "99999999999999999999999"}),
              IsUsageError("it takes 1 to 18446744073709551615\n"));
  EXPECT_THAT(ParseArguments({"settings", "set", "--required", "17"}),
              IsUsageError("it takes 0 to 16"));
  EXPECT_THAT(ParseArguments({"settings", "set", "--keep-daily", "-1"}),
              IsUsageError("it takes 0 and more"));
  EXPECT_EQ(
      Parse<DocPutArguments>({"doc", "put", "c", "i", "--if-revision", "18446744073709551615"})
          .if_revision,
      UINT64_MAX);
}

TEST(ParseArgumentsTest, HelpSaysAllThatThereIsToSay) {
  ASSERT_OK_AND_ASSIGN(const ParsedArguments set, ParseArguments({"settings", "set", "--help"}));
  EXPECT_THAT(set.text, AllOf(HasSubstr("--start HH:MM"), HasSubstr("--automatic on|off"),
                              HasSubstr("Options of all commands (holdfast --help): --config")));
  EXPECT_EQ(set.text.find("--start"), set.text.rfind("--start"));
  EXPECT_LT(set.text.find("--zone"), set.text.find("--keep-within"));

  ASSERT_OK_AND_ASSIGN(const ParsedArguments all, ParseArguments({"--help-all"}));
  EXPECT_THAT(all.text, AllOf(HasSubstr("\nholdfast backup now\n"), HasSubstr("--min-revision R"),
                              HasSubstr("\nholdfast settings set\n"), HasSubstr("--keep-daily N"),
                              HasSubstr("--as-new-store")));
  EXPECT_EQ(all.text.find("Exit codes:"), all.text.rfind("Exit codes:"));
  ASSERT_OK_AND_ASSIGN(const ParsedArguments doc, ParseArguments({"doc", "--help-all"}));
  EXPECT_THAT(doc.text, AllOf(HasSubstr("--if-absent"), Not(HasSubstr("--as-new-store"))));
}

TEST(ParseArgumentsTest, ReadsInit) {
  const auto init = Parse<InitArguments>({"init", "--destination", "/a", "--destination", "b=/b",
                                          "--directory", "/d", "--instance-file", "/i",
                                          "--instance-file", "/j", "--key-from", "-"});
  EXPECT_THAT(init.destinations, ElementsAre("/a", "b=/b"));
  EXPECT_THAT(init.instance_files, ElementsAre("/i", "/j"));
  EXPECT_EQ(init.directory, "/d");
  EXPECT_EQ(init.store_name, "main");
  EXPECT_EQ(init.key_from, "-");
}

TEST(ParseArgumentsTest, ReadsSalvage) {
  EXPECT_TRUE(Parse<RestoreArguments>({"restore", "--to", "/a", "--salvage"}).salvage);
  EXPECT_TRUE(
      Parse<RestoreArguments>({"restore", "--to", "/a", "--accept-salvaged"}).accept_salvaged);
  EXPECT_THAT(ParseArguments({"restore", "--to", "/a", "--accept-salvaged", "--salvage"}),
              IsUsageError("excludes"));
  EXPECT_THAT(ParseArguments({"restore", "--to", "/a", "--accept-salvaged", "--from", "/b"}),
              IsUsageError("excludes"));
}

TEST(ParseArgumentsTest, ReadsInitThatAdopts) {
  const auto adopt = Parse<InitArguments>(
      {"init", "--adopt", "/mnt/nas", "--store-id", "0a", "--backup", "b", "--no-restore"});
  EXPECT_EQ(adopt.adopt, "/mnt/nas");
  EXPECT_EQ(adopt.store_id, "0a");
  EXPECT_EQ(adopt.backup_id, "b");
  EXPECT_TRUE(adopt.no_restore);
  EXPECT_EQ(adopt.store_name, "") << "as it was called";
  EXPECT_THAT(ParseArguments({"init", "--adopt", "/a", "--destination", "/b"}),
              IsUsageError("excludes"));
  EXPECT_THAT(ParseArguments({"init", "--destination", "/b", "--no-restore"}),
              IsUsageError("--adopt"));
}

TEST(ParseArgumentsTest, ReadsDocumentsCommands) {
  const auto put = Parse<DocPutArguments>({"doc", "put", "users", "ada", "--if-revision", "7"});
  EXPECT_EQ(put.collection, "users");
  EXPECT_EQ(put.id, "ada");
  EXPECT_EQ(put.file, "-");
  EXPECT_EQ(put.if_revision, 7);
  EXPECT_FALSE(put.if_absent);
  EXPECT_EQ(Parse<DocPutArguments>({"doc", "put", "users", "--", "-ada", "file"}).id, "-ada");
  EXPECT_EQ(Parse<DocGetArguments>({"doc", "get", "users", "with space"}).id, "with space");
  EXPECT_EQ(Parse<DocListArguments>({"doc", "list"}).collection, "");
  EXPECT_EQ(Parse<DocListArguments>({"doc", "list", "c", "--prefix", "p", "--limit", "3"}).limit,
            3);
  EXPECT_EQ(Parse<DocImportArguments>({"doc", "import"}).file, "-");
  EXPECT_EQ(Parse<DocExportArguments>({"doc", "export", "c"}).collection, "c");

  EXPECT_THAT(ParseArguments({"doc", "put", "c", "i", "--if-absent", "--if-revision", "1"}),
              IsUsageError("--if-revision"));
  EXPECT_THAT(ParseArguments({"doc", "put", "c", "i", "--if-revision", "0"}),
              IsUsageError("--if-revision"));
  EXPECT_THAT(ParseArguments({"doc", "delete", "c", "i", "--if-revision", "-1"}),
              IsUsageError("--if-revision"));
}

TEST(ParseArgumentsTest, ReadsBackupCommands) {
  const auto now =
      Parse<BackupNowArguments>({"backup", "now", "--max-age", "1h30m", "--destinations", "2",
                                 "--request-id", "deploy-7", "--timeout", "90s"});
  EXPECT_EQ(now.max_age, absl::Minutes(90));
  EXPECT_EQ(now.required_destinations, 2);
  EXPECT_EQ(now.request_id, "deploy-7");
  EXPECT_EQ(now.timeout, absl::Seconds(90));
  EXPECT_EQ(Parse<BackupNowArguments>({"backup", "now"}).max_age, std::nullopt);
  EXPECT_EQ(Parse<BackupNowArguments>({"backup", "now", "--max-age", "0"}).max_age,
            absl::ZeroDuration());
  EXPECT_EQ(Parse<BackupNowArguments>({"backup", "now", "--max-age", "2d"}).max_age,
            absl::Hours(48));
  EXPECT_EQ(Parse<BackupListArguments>({"backup", "list", "--from", "/b"}).source, "/b");
  EXPECT_EQ(Parse<BackupShowArguments>({"backup", "show"}).backup_id, "");
  EXPECT_EQ(Parse<BackupCancelArguments>({"backup", "cancel", "r"}).run_id, "r");

  for (const char* bad : {"-1s", "soon", "1", "d", "99999999999d"}) {
    EXPECT_THAT(ParseArguments({"backup", "now", "--max-age", bad}), IsUsageError("is no time"))
        << bad;
  }
  EXPECT_THAT(ParseArguments({"backup", "now", "--max-age", "1h", "--min-revision", "3"}),
              IsUsageError("--m"));
}

TEST(ParseArgumentsTest, ReadsCheckRestoreAndStatus) {
  EXPECT_TRUE(Parse<StatusArguments>({"status", "--check"}).check);
  EXPECT_TRUE(Parse<CheckArguments>({"check", "--read-data"}).read_data);
  const auto restore = Parse<RestoreArguments>({"restore", "--to", "/t", "--from", "/f", "--backup",
                                                "b", "--store-id", "s", "--as-new-store"});
  EXPECT_EQ(restore.target, "/t");
  EXPECT_EQ(restore.source, "/f");
  EXPECT_EQ(restore.backup_id, "b");
  EXPECT_EQ(restore.store_id, "s");
  EXPECT_TRUE(restore.as_new_store);
}

TEST(ParseArgumentsTest, ReadsCopyAndRepair) {
  const auto copy = Parse<CopyArguments>({"copy", "--from", "/a", "--to", "nas", "--backup", "b",
                                          "--backup", "c", "--create", "--store-id", "s"});
  EXPECT_EQ(copy.source, "/a");
  EXPECT_EQ(copy.target, "nas");
  EXPECT_THAT(copy.backup_ids, ElementsAre("b", "c"));
  EXPECT_FALSE(copy.all);
  EXPECT_TRUE(copy.create);
  EXPECT_EQ(copy.store_id, "s");
  EXPECT_TRUE(Parse<CopyArguments>({"copy", "--from", "/a", "--to", "/b", "--all"}).all);
  EXPECT_THAT(ParseArguments({"copy", "--from", "/a", "--to", "/b", "--all", "--backup", "b"}),
              IsUsageError("--backup"));
  EXPECT_THAT(ParseArguments({"copy", "--from", "/a"}), IsUsageError("--to"));

  EXPECT_FALSE(Parse<CheckArguments>({"check"}).repair);
  EXPECT_TRUE(Parse<CheckArguments>({"check", "--repair"}).repair);
  const auto repair =
      Parse<CheckArguments>({"check", "--repair-from", "/b", "--repair-from", "nas"});
  EXPECT_TRUE(repair.repair);
  EXPECT_THAT(repair.repair_sources, ElementsAre("/b", "nas"));
}

TEST(ParseArgumentsTest, ReadsSettings) {
  const auto set = Parse<SettingsSetArguments>(
      {"settings", "set", "--automatic", "off", "--interval", "6h", "--start", "02:00", "--zone",
       "Europe/Berlin", "--add-destination", "share=file:///mnt/a=b", "--remove-destination",
       "local", "--required", "0", "--confirm-key", ""});
  EXPECT_EQ(set.automatic, false);
  EXPECT_EQ(set.interval, absl::Hours(6));
  EXPECT_EQ(set.start_time_of_day, "02:00");
  EXPECT_EQ(set.time_zone, "Europe/Berlin");
  ASSERT_EQ(set.add_destinations.size(), 1);
  EXPECT_EQ(set.add_destinations[0].name, "share");
  EXPECT_EQ(set.add_destinations[0].url, "file:///mnt/a=b");
  EXPECT_THAT(set.remove_destinations, ElementsAre("local"));
  EXPECT_EQ(set.required_destinations, 0);
  EXPECT_EQ(set.key_confirmed_fingerprint, "");

  EXPECT_THAT(ParseArguments({"settings", "set", "--automatic", "maybe"}),
              IsUsageError("--automatic"));
  EXPECT_THAT(ParseArguments({"settings", "set", "--add-destination", "/mnt"}),
              IsUsageError("name=file:///path"));
}

}  // namespace
}  // namespace holdfast
