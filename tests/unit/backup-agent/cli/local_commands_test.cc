// The commands that need no service: init, key, check, restore, and what all have in common.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "backup-agent/cli/cli.h"
#include "backup-agent/state/state_store.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/config/config.h"
#include "common/crypto/key_source.h"
#include "common/database/data_directory.h"
#include "common/io/durable_file.h"
#include "common/io/fd.h"
#include "common/io/files.h"
#include "common/storage/host_protocol.h"
#include "common/storage/hosted_blob_store.h"
#include "common/storage/open_blob_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_backup.h"
#include "tests/testing/test_store.h"
#include "tests/unit/backup-agent/cli/cli_runner.h"

namespace holdfast {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

// The master key that a text shows; empty where it shows none.
std::string FindKey(const std::string& text) {
  constexpr size_t kKeyTextSize = 73;
  const size_t begin = text.find("HF1-");
  return begin == std::string::npos ? "" : text.substr(begin, kKeyTextSize);
}

mode_t ModeOf(const std::string& path) {
  const absl::StatusOr<FileInfo> info = GetFileInfo(path);
  EXPECT_OK(info);
  return info.ok() ? info->permissions : 0;
}

// --- What all commands have in common ----------------------------------------------------------

TEST(CliTest, PrintsErrorsInOneFormAndExitsByTheirKind) {
  CliRunner cli;
  const CliResult usage = cli.Run({"frobnicate"});
  EXPECT_EQ(usage.exit_code, kExitUsage);
  EXPECT_THAT(usage.error, AllOf(StartsWith("holdfast: "), EndsWith("try: holdfast --help\n")));
  EXPECT_THAT(usage.output, IsEmpty());

  const CliResult no_config = cli.RunConfigured({"doc", "list"});
  EXPECT_EQ(no_config.exit_code, kExitUsage);
  EXPECT_THAT(no_config.error, AllOf(HasSubstr(cli.config_path()), HasSubstr("holdfast init")));

  cli.WriteConfig();
  const CliResult no_store = cli.RunConfigured({"doc", "list"});
  EXPECT_EQ(no_store.exit_code, kExitUnreachable);
  EXPECT_THAT(no_store.error, HasSubstr("holdfast-store"));
  const CliResult no_agent = cli.RunConfigured({"status"});
  EXPECT_EQ(no_agent.exit_code, kExitUnreachable);
  EXPECT_THAT(no_agent.error, HasSubstr("holdfast-agent"));
  EXPECT_EQ(cli.RunConfigured({"--store", "other", "doc", "list"}).exit_code, kExitNotFound);
}

TEST(CliTest, ExitsAsInterruptedWhenCancelled) {
  CliRunner cli;
  cli.WriteConfig();
  cli.cancellation().Cancel(absl::CancelledError("interrupted"));
  const CliResult result = cli.RunConfigured({"doc", "import"}, "{}\n");
  EXPECT_EQ(result.exit_code, kExitInterrupted);
  EXPECT_THAT(result.error, StartsWith("holdfast: interrupted\n"));
}

TEST(CliTest, SaysWhereItCannotWriteItsResult) {
  // Nobody can write to a file that is open for reading alone.
  TempDir directory;
  ASSERT_OK(WriteFileDurably(directory.Path("file"), "", {}));
  ASSERT_OK_AND_ASSIGN(const UniqueFd file, OpenForReading(directory.Path("file")));
  CliEnvironment environment;
  environment.streams.output_fd = file.get();
  environment.streams.error_fd = file.get();
  EXPECT_EQ(RunCli({"--version"}, environment), kExitFailure);
}

TEST(CliTest, EndsQuietlyWhereTheReaderOfItsOutputHasGone) {
  signal(SIGPIPE, SIG_IGN);  // as HardenProcess does
  TempDir directory;
  ASSERT_OK(WriteFileDurably(directory.Path("error"), "", {}));
  const UniqueFd error_file(open(directory.Path("error").c_str(), O_RDWR | O_CLOEXEC));
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  const UniqueFd output(pipe_fds[1]);
  close(pipe_fds[0]);
  CliEnvironment environment;
  environment.streams.output_fd = output.get();
  environment.streams.error_fd = error_file.get();
  EXPECT_EQ(RunCli({"--help"}, environment), kExitOutputClosed);
  EXPECT_THAT(ReadFile(directory.Path("error"), 1000), IsOkAndHolds(""));
}

// --- init ------------------------------------------------------------------------------------

class InitTest : public testing::Test {
 protected:
  CliResult Init(const std::vector<std::string>& more = {}, absl::string_view input = "") {
    std::vector<std::string> arguments = {"init", "--directory", cli_.Path("home"), "--destination",
                                          cli_.Path("backups")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return cli_.Run(arguments, input);
  }

  CliRunner cli_;
};

TEST_F(InitTest, MakesAnInstallationAndShowsTheKeyOnce) {
  const CliResult result = Init();
  ASSERT_EQ(result.exit_code, kExitOk) << result.error;
  const std::string key_text = FindKey(result.output);
  ASSERT_THAT(key_text, Not(IsEmpty()));
  EXPECT_EQ(result.output.find("HF1-", result.output.find("HF1-") + 1), std::string::npos);
  EXPECT_THAT(result.error, Not(HasSubstr("HF1-")));
  EXPECT_THAT(result.error, HasSubstr("is on the same file system as the data"));

  ASSERT_OK_AND_ASSIGN(const MasterKey key, ReadMasterKey(cli_.Path("home/master.key")));
  EXPECT_EQ(key.ToText().text(), key_text);
  EXPECT_EQ(ModeOf(cli_.Path("home/master.key")), 0600);
  EXPECT_EQ(ModeOf(cli_.Path("home/holdfast.toml")), 0600);
  EXPECT_EQ(ModeOf(cli_.Path("home")), 0700);
  EXPECT_EQ(ModeOf(cli_.Path("home/agent")), 0700);

  ASSERT_OK_AND_ASSIGN(const Config config, LoadConfig(cli_.Path("home/holdfast.toml")));
  EXPECT_EQ(config.master_key, cli_.Path("home/master.key"));
  EXPECT_EQ(config.store->data_directory, cli_.Path("home/store"));
  EXPECT_THAT(config.store->instance_files, testing::ElementsAre(cli_.Path("home/holdfast.toml")));
  EXPECT_OK(DataDirectory::Open(config.store->data_directory, key));
  ASSERT_OK_AND_ASSIGN(const auto blobs,
                       OpenBlobStore(config.agent->stores[0].destinations[0].url));
  EXPECT_OK(Repository::Open(*blobs));
}

TEST_F(InitTest, NeverOverwritesAnythingAndNamesWhatIsThere) {
  ASSERT_EQ(Init().exit_code, kExitOk);
  ASSERT_OK_AND_ASSIGN(const std::string key, ReadFile(cli_.Path("home/master.key"), 100));
  ASSERT_OK_AND_ASSIGN(const std::string config, ReadFile(cli_.Path("home/holdfast.toml"), 10000));

  CliResult again = Init();
  EXPECT_EQ(again.exit_code, kExitRefused);
  EXPECT_THAT(again.error, HasSubstr(cli_.Path("home/holdfast.toml")));

  std::filesystem::remove(cli_.Path("home/holdfast.toml"));
  again = Init();
  EXPECT_EQ(again.exit_code, kExitRefused);
  EXPECT_THAT(again.error, AllOf(HasSubstr(cli_.Path("home/master.key")), HasSubstr("--key-from")));
  EXPECT_THAT(ReadFile(cli_.Path("home/master.key"), 100), IsOkAndHolds(key));

  again = Init({"--key-from", cli_.Path("home/master.key")});
  EXPECT_EQ(again.exit_code, kExitRefused);
  EXPECT_THAT(again.error, HasSubstr(cli_.Path("home/store")));
  EXPECT_FALSE(std::filesystem::exists(cli_.Path("home/holdfast.toml")));
}

TEST_F(InitTest, LeavesNothingInTheWayOfTheNextWhereItFails) {
  // The parent of the second destination does not exist.
  const CliResult failed = Init({"--destination", cli_.Path("missing/deep")});
  EXPECT_EQ(failed.exit_code, kExitNotFound);
  EXPECT_THAT(failed.error, HasSubstr(cli_.Path("missing")));
  EXPECT_FALSE(std::filesystem::exists(cli_.Path("home/master.key")));
  EXPECT_FALSE(std::filesystem::exists(cli_.Path("home/holdfast.toml")));
  const CliResult mended = Init();
  EXPECT_EQ(mended.exit_code, kExitOk) << mended.error;
  EXPECT_THAT(mended.output, HasSubstr("uses the repository that is there"));
}

TEST_F(InitTest, RefusesTwoDestinationsThatLeadToOneRepository) {
  std::filesystem::create_directory(cli_.Path("backups"));
  std::filesystem::create_directory_symlink(cli_.Path("backups"), cli_.Path("link"));
  const CliResult result = Init({"--destination", cli_.Path("link")});
  EXPECT_EQ(result.exit_code, kExitUsage);
  EXPECT_THAT(result.error, HasSubstr("destinations backups and link lead to the same repository"));
  EXPECT_FALSE(std::filesystem::exists(cli_.Path("home/holdfast.toml")));
}

TEST_F(InitTest, LeavesNothingInADataDirectoryThatIsNotItsOwn) {
  std::filesystem::create_directories(cli_.Path("home/store"));
  WriteRaw(cli_.Path("home/store/mine"), "x");
  const CliResult result = Init();
  EXPECT_EQ(result.exit_code, kExitRefused);
  EXPECT_THAT(result.error, HasSubstr("it holds mine"));
  EXPECT_THAT(ListDirectory(cli_.Path("home/store")), IsOkAndHolds(SizeIs(1)));
  EXPECT_THAT(ListDirectory(cli_.Path("home")), IsOkAndHolds(SizeIs(1)));
  EXPECT_FALSE(std::filesystem::exists(cli_.Path("backups")));
}

TEST_F(InitTest, RefusesADestinationThatHoldsOtherFiles) {
  std::filesystem::create_directories(cli_.Path("backups"));
  WriteRaw(cli_.Path("backups/photo.jpg"), "x");
  const CliResult result = Init();
  EXPECT_EQ(result.exit_code, kExitRefused);
  EXPECT_THAT(result.error, HasSubstr("photo.jpg"));
}

TEST_F(InitTest, TakesAKeyFromStandardInputAndDoesNotShowIt) {
  const MasterKey key = MasterKey::Generate();
  const std::string text(key.ToText().text());
  const CliResult result = Init({"--key-from", "-"}, text + "\n");
  ASSERT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_THAT(result.output, Not(HasSubstr("HF1-")));
  ASSERT_OK_AND_ASSIGN(const MasterKey written, ReadMasterKey(cli_.Path("home/master.key")));
  EXPECT_EQ(written.fingerprint(), key.fingerprint());
}

TEST_F(InitTest, LeavesAKeyFileWhereItIs) {
  ASSERT_OK(WriteMasterKeyFile(cli_.Path("elsewhere.key"), MasterKey::Generate()));
  ASSERT_EQ(Init({"--key-from", cli_.Path("elsewhere.key")}).exit_code, kExitOk);
  EXPECT_FALSE(std::filesystem::exists(cli_.Path("home/master.key")));
  ASSERT_OK_AND_ASSIGN(const Config config, LoadConfig(cli_.Path("home/holdfast.toml")));
  EXPECT_EQ(config.master_key, cli_.Path("elsewhere.key"));
}

TEST_F(InitTest, RefusesBeforeItMakesAnythingWhatTheServicesWouldRefuse) {
  EXPECT_EQ(Init({"--store-name", "No Good"}).exit_code, kExitUsage);
  EXPECT_EQ(Init({"--instance-file", cli_.Path("nothing")}).exit_code, kExitNotFound);
  WriteRaw(cli_.Path("instance.conf"), "x");
  ASSERT_OK(WriteMasterKeyFile(cli_.Path("elsewhere.key"), MasterKey::Generate()));
  const CliResult key_in_backup = Init(
      {"--key-from", cli_.Path("elsewhere.key"), "--instance-file", cli_.Path("elsewhere.key")});
  EXPECT_EQ(key_in_backup.exit_code, kExitUsage);
  EXPECT_THAT(key_in_backup.error, HasSubstr("master key"));
  const CliResult long_socket = cli_.Run({"init", "--directory", cli_.Path(std::string(150, 'd')),
                                          "--destination", cli_.Path("backups")});
  EXPECT_EQ(long_socket.exit_code, kExitUsage);
  EXPECT_THAT(long_socket.error, HasSubstr("socket"));
  EXPECT_FALSE(std::filesystem::exists(cli_.Path("home")));
  EXPECT_FALSE(std::filesystem::exists(cli_.Path("backups")));
}

TEST_F(InitTest, PrintsJsonWithoutTheKey) {
  const CliResult result = Init({"--json"});
  ASSERT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_THAT(result.output, AllOf(HasSubstr("\"fingerprint\":\""), Not(HasSubstr("HF1-")),
                                   HasSubstr("\"made_repository\":true")));
}

// --- init --adopt ------------------------------------------------------------------------------

// A machine that is lost: what is left is a repository, and a copy of the key.
class AdoptTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(auto store, TestStore::Open(cli_.Path("lost"), key_));
    ASSERT_OK(store->Put("users", "ada", "{}"));
    ASSERT_OK_AND_ASSIGN(const auto blobs, OpenBlobStore(MakeFolder("share")));
    v1::Settings settings;
    settings.set_store_name("shop");
    settings.mutable_schedule()->set_automatic(true);
    settings.mutable_schedule()->set_time_zone("Europe/Berlin");
    settings.mutable_schedule()->mutable_interval()->set_seconds(2 * 3600);
    v1::Destination& nas = *settings.add_destinations();
    nas.set_name("nas");
    nas.set_url("file:///mnt/nas");
    v1::Destination& other = *settings.add_destinations();
    other.set_name("other");
    other.set_url("sometimes:there");  // a kind that this version does not know
    const auto edit = [&](Manifest& manifest) {
      const absl::StatusOr<Repository> repository = Repository::Open(*blobs);
      ASSERT_OK(repository);
      settings.mutable_destinations(0)->set_repository_id(repository->repository_id().ToText());
      manifest.files.set_agent_settings(settings.SerializeAsString());
    };
    ASSERT_OK_AND_ASSIGN(
        manifest_,
        MakeTestBackup(*blobs, *store, key_,
                       {.instance_files = {{"etc/app.conf", "x"}, {"srv/holdfast.toml", "y"}},
                        .edit_manifest = edit}));
    backup_id_ = manifest_.summary.backup_id();
  }

  std::string MakeFolder(absl::string_view name) {
    std::filesystem::create_directories(cli_.Path(name));
    return cli_.Path(name);
  }

  CliResult AdoptIt(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"init", "--directory", cli_.Path("home"), "--adopt",
                                          cli_.Path("share")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return cli_.Run(arguments, absl::StrCat(key_.ToText().text(), "\n"));
  }

  agent::v1::StoreState ReadState() {
    const absl::StatusOr<std::unique_ptr<StateStore>> states =
        StateStore::Open(cli_.Path("home/agent"));
    EXPECT_OK(states);
    const absl::StatusOr<std::optional<agent::v1::StoreState>> state = (*states)->Load("shop");
    EXPECT_OK(state);
    return state.ok() && state->has_value() ? **state : agent::v1::StoreState();
  }

  CliRunner cli_;
  const MasterKey key_ = MasterKey::Generate();
  Manifest manifest_;
  std::string backup_id_;
};

TEST_F(AdoptTest, BringsDataSettingsAndChainBackWithOneCommand) {
  const CliResult result = AdoptIt();
  ASSERT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_THAT(
      result.output,
      AllOf(HasSubstr("adopted the store shop"), HasSubstr(backup_id_),
            HasSubstr("all 1 document proven"), HasSubstr("it was at file:///mnt/nas"),
            HasSubstr("every 2h from 00:00 Europe/Berlin"),
            HasSubstr("other files    /etc/app.conf: "), HasSubstr("is its backup number 1"),
            HasSubstr("in place of    /srv/holdfast.toml"), HasSubstr("next:"),
            Not(HasSubstr("HF1-")), Not(HasSubstr("key verify"))));

  ASSERT_OK_AND_ASSIGN(const MasterKey key, ReadMasterKey(cli_.Path("home/master.key")));
  ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(cli_.Path("home/store"), key));
  EXPECT_THAT(store->ReadAll(),
              IsOkAndHolds(std::map<std::string, std::string>{{"users/ada", "{}"}}));

  ASSERT_OK_AND_ASSIGN(const Config config, LoadConfig(cli_.Path("home/holdfast.toml")));
  ASSERT_EQ(config.agent->stores.size(), 1u);
  EXPECT_EQ(config.agent->stores[0].name, "shop");
  EXPECT_EQ(config.agent->stores[0].schedule.interval, absl::Hours(2));
  ASSERT_EQ(config.agent->stores[0].destinations.size(), 1u);
  EXPECT_EQ(config.agent->stores[0].destinations[0].url, "file://" + cli_.Path("share"));

  const agent::v1::StoreState state = ReadState();
  EXPECT_EQ(state.memory().last_backup_id(), backup_id_);
  EXPECT_EQ(state.memory().last_ordinal(), 1u);
  ASSERT_EQ(state.settings().destinations_size(), 2);
  EXPECT_EQ(state.settings().destinations(0).url(), "file://" + cli_.Path("share"));
  EXPECT_EQ(state.settings().destinations(1).url(), "sometimes:there");
  EXPECT_EQ(state.settings().key_confirmed_fingerprint(), key_.fingerprint().ToText());
}

TEST_F(AdoptTest, ProvesTheKeyBeforeAnythingIsMade) {
  ASSERT_OK(WriteMasterKeyFile(cli_.Path("wrong.key"), MasterKey::Generate()));
  const CliResult result = AdoptIt({"--key-from", cli_.Path("wrong.key")});
  EXPECT_EQ(result.exit_code, kExitWrongKey);
  EXPECT_FALSE(std::filesystem::exists(cli_.Path("home")));
}

TEST_F(AdoptTest, NeverOverwritesAnything) {
  ASSERT_EQ(AdoptIt().exit_code, kExitOk);
  CliResult again = AdoptIt();
  EXPECT_EQ(again.exit_code, kExitRefused);
  EXPECT_THAT(again.error, HasSubstr("holdfast.toml"));

  // As if it had been cut off before the configuration was written: it is made whole.
  std::filesystem::remove(cli_.Path("home/holdfast.toml"));
  again = AdoptIt();
  EXPECT_EQ(again.exit_code, kExitOk) << again.error;
  EXPECT_THAT(again.output, HasSubstr("was there, and stays as it is"));

  // An agent has used the state.
  std::filesystem::remove(cli_.Path("home/holdfast.toml"));
  {
    agent::v1::StoreState state = ReadState();
    state.mutable_memory()->set_checkpoint_holder("x");
    ASSERT_OK_AND_ASSIGN(const auto states, StateStore::Open(cli_.Path("home/agent")));
    ASSERT_OK(states->Save("shop", state));
  }
  again = AdoptIt();
  EXPECT_EQ(again.exit_code, kExitRefused);
  EXPECT_THAT(again.error, HasSubstr("stores/shop"));
  EXPECT_EQ(ReadState().memory().checkpoint_holder(), "x");

  std::filesystem::remove_all(cli_.Path("home/agent"));
  std::filesystem::remove(cli_.Path("home/master.key"));
  ASSERT_OK(WriteMasterKeyFile(cli_.Path("home/master.key"), MasterKey::Generate()));
  again = AdoptIt();
  EXPECT_EQ(again.exit_code, kExitRefused);
  EXPECT_THAT(again.error, HasSubstr("master.key"));
  EXPECT_FALSE(std::filesystem::exists(cli_.Path("home/holdfast.toml")));
}

TEST_F(AdoptTest, RefusesDataThatIsNotThatOfTheBackupUnlessToldTo) {
  CopyTree(cli_.Path("lost"), MakeFolder("home") + "/store");
  const CliResult refused = AdoptIt();
  EXPECT_EQ(refused.exit_code, kExitRefused);
  EXPECT_THAT(refused.error, AllOf(HasSubstr("made here"), HasSubstr("--no-restore")));
  EXPECT_FALSE(std::filesystem::exists(cli_.Path("home/master.key")));
  const CliResult kept = AdoptIt({"--no-restore"});
  EXPECT_EQ(kept.exit_code, kExitOk) << kept.error;

  std::filesystem::remove_all(cli_.Path("home"));
  ASSERT_OK(DataDirectory::Create(MakeFolder("home") + "/store", key_, kTestTime));
  const CliResult other = AdoptIt({"--no-restore"});
  EXPECT_EQ(other.exit_code, kExitRefused);
  EXPECT_THAT(other.error, HasSubstr("another store"));
}

TEST_F(AdoptTest, LeavesNothingInTheWayOfTheNextWhereTheBackupIsDamaged) {
  ASSERT_OK_AND_ASSIGN(const StoreId store_id, StoreId::FromBytes(manifest_.summary.store_id()));
  const std::string object =
      cli_.Path(absl::StrCat("share/", ObjectPath(store_id, manifest_.files.objects(0).name())));
  const std::string bytes = ReadRaw(object);
  FlipByte(object, static_cast<int64_t>(bytes.size()) - 1);
  const CliResult damaged = AdoptIt();
  EXPECT_EQ(damaged.exit_code, kExitDamaged);
  EXPECT_THAT(damaged.error, AllOf(HasSubstr("objects/"), HasSubstr("--backup")));
  EXPECT_FALSE(std::filesystem::exists(cli_.Path("home/master.key")));
  EXPECT_FALSE(std::filesystem::exists(cli_.Path("home/agent/lock")));
  WriteRaw(object, bytes);
  EXPECT_EQ(AdoptIt().exit_code, kExitOk);
}

TEST_F(AdoptTest, LeavesTheDataForLaterWhereToldTo) {
  const CliResult result = AdoptIt({"--no-restore", "--key-from", "-"});
  ASSERT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("still empty"), HasSubstr(" restore --from nas --to ")));
  EXPECT_EQ(cli_.Run({"--config", cli_.Path("home/holdfast.toml"), "restore", "--from", "nas",
                      "--to", cli_.Path("home/store")})
                .exit_code,
            kExitOk);
}

TEST_F(AdoptTest, AsksWhichStoreWhereThereAreSeveral) {
  ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(cli_.Path("second"), key_));
  ASSERT_OK_AND_ASSIGN(const auto blobs, OpenBlobStore(cli_.Path("share")));
  ASSERT_OK(MakeTestBackup(*blobs, *store, key_));
  ASSERT_OK_AND_ASSIGN(const StoreId first, StoreId::FromBytes(manifest_.summary.store_id()));
  const std::string second = store->metadata().store_id().ToText();
  const CliResult which = AdoptIt();
  EXPECT_EQ(which.exit_code, kExitRefused);
  EXPECT_THAT(which.error, AllOf(HasSubstr(first.ToText()), HasSubstr(second)));

  // That one's backup tells no settings: the defaults, and the destination by its folder's name.
  const CliResult result = AdoptIt({"--store-id", second, "--json"});
  ASSERT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("\"store_id\":\"" + second), HasSubstr("\"has_settings\":false"),
                    HasSubstr("\"store_name\":\"main\""), HasSubstr("\"name\":\"share\"")));
}

// --- key -------------------------------------------------------------------------------------

class KeyTest : public testing::Test {
 protected:
  void SetUp() override {
    cli_.WriteConfig();
    text_ = cli_.RunConfigured({"key", "show"}).output;
  }

  CliRunner cli_;
  std::string text_;
};

TEST_F(KeyTest, ShowPrintsTheKeyAndNothingElse) {
  EXPECT_EQ(text_, FindKey(text_) + "\n");
  EXPECT_THAT(cli_.RunConfigured({"key", "show"}).error, IsEmpty());
}

TEST_F(KeyTest, FingerprintTellsNothingElse) {
  const CliResult result = cli_.RunConfigured({"key", "fingerprint"});
  EXPECT_THAT(result.output, testing::MatchesRegex("[0-9a-f]{16}\n"));
}

TEST_F(KeyTest, VerifyTakesAGoodCopyHoweverItIsTyped) {
  const std::string typed = absl::StrReplaceAll(text_, {{"-", " "}, {"0", "o"}, {"1", "l"}});
  for (const std::string& copy : {text_, typed}) {
    const CliResult result = cli_.RunConfigured({"key", "verify"}, copy);
    EXPECT_EQ(result.exit_code, kExitOk) << result.error;
    EXPECT_THAT(result.output, HasSubstr("is the master key in use"));
  }
}

TEST_F(KeyTest, VerifySaysWhatIsWrongWithACopy) {
  std::string typo = text_;
  typo[10] = typo[10] == 'A' ? 'B' : 'A';
  CliResult result = cli_.RunConfigured({"key", "verify"}, typo);
  EXPECT_EQ(result.exit_code, kExitUsage);
  EXPECT_THAT(result.error, AllOf(HasSubstr("mistyped"), HasSubstr("group 2 after HF1-"),
                                  Not(HasSubstr("HF1-0")), Not(HasSubstr(text_.substr(9, 4)))));
  WriteRaw(cli_.Path("copy.key"), typo);
  ASSERT_EQ(chmod(cli_.Path("copy.key").c_str(), 0600), 0);
  result = cli_.RunConfigured({"key", "verify", cli_.Path("copy.key")});
  EXPECT_EQ(result.exit_code, kExitUsage);
  EXPECT_THAT(result.error, HasSubstr("group 2 after HF1-"));

  const MasterKey other = MasterKey::Generate();
  result = cli_.RunConfigured({"key", "verify"}, other.ToText().text());
  EXPECT_EQ(result.exit_code, kExitWrongKey);
  EXPECT_THAT(result.error, HasSubstr(other.fingerprint().ToText()));
}

TEST_F(KeyTest, VerifySaysThatTheCopyIsRightAlsoWhereNobodyCanBeTold) {
  const CliResult result = cli_.RunConfigured({"key", "verify", "--confirm"}, text_);
  EXPECT_EQ(result.exit_code, kExitUnreachable);
  EXPECT_THAT(result.output, AllOf(StartsWith("the copy is the master key in use"),
                                   Not(HasSubstr("the agent knows"))));
  EXPECT_THAT(result.error, StartsWith("holdfast: the agent could not be told"));
  EXPECT_THAT(cli_.RunConfigured({"key", "verify", "--confirm", "--json"}, text_).output,
              HasSubstr("\"confirmed\":false"));
}

TEST_F(KeyTest, VerifyDoesNotTakeTheKeyFileInUseForACopyThatIsKeptElsewhere) {
  std::filesystem::create_hard_link(cli_.key_path(), cli_.Path("link.key"));
  for (const std::string& source : {cli_.key_path(), cli_.Path("link.key")}) {
    const CliResult result = cli_.RunConfigured({"key", "verify", "--confirm", source});
    EXPECT_EQ(result.exit_code, kExitRefused);
    EXPECT_THAT(result.error, HasSubstr("is the key file in use itself"));
    EXPECT_EQ(cli_.RunConfigured({"key", "verify", source}).exit_code, kExitOk);
  }
}

TEST_F(KeyTest, ShowPrintsJson) {
  EXPECT_EQ(cli_.RunConfigured({"key", "show", "--json"}).output,
            absl::StrCat("{\"master_key\":\"", FindKey(text_), "\"}\n"));
}

TEST_F(KeyTest, AKeyFileThatOthersMayReadIsRefused) {
  ASSERT_EQ(chmod(cli_.key_path().c_str(), 0644), 0);
  const CliResult result = cli_.RunConfigured({"key", "fingerprint"});
  EXPECT_EQ(result.exit_code, kExitRefused);
  EXPECT_THAT(result.error, HasSubstr("chmod 0600"));
}

TEST_F(KeyTest, IsReadFromWhereTheOptionSays) {
  const MasterKey other = MasterKey::Generate();
  EXPECT_EQ(cli_.RunConfigured({"--key", "-", "key", "fingerprint"}, other.ToText().text()).output,
            other.fingerprint().ToText() + "\n");
}

// --- check, restore and backup list, from a repository ------------------------------------------

class RepositoryCommandsTest : public testing::Test {
 protected:
  void SetUp() override {
    cli_.WriteConfig();
    ASSERT_OK_AND_ASSIGN(const MasterKey key, ReadMasterKey(cli_.key_path()));
    ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(cli_.Path("store"), key));
    for (int i = 0; i < 20; ++i) {
      ASSERT_OK(store->Put("users", absl::StrCat("user ", i), "{}"));
    }
    ASSERT_OK(store->Flush());
    ASSERT_OK(store->Put("users", "last", "{}"));
    ASSERT_OK_AND_ASSIGN(const auto blobs, OpenBlobStore(cli_.Path("backups")));
    ASSERT_OK_AND_ASSIGN(
        const Manifest manifest,
        MakeTestBackup(*blobs, *store, key, {.instance_files = {{"a.conf", "x"}}}));
    backup_id_ = manifest.summary.backup_id();
    ASSERT_OK_AND_ASSIGN(const StoreId store_id, StoreId::FromBytes(manifest.summary.store_id()));
    store_id_ = store_id.ToText();
    for (const auto& object : manifest.files.objects()) {
      objects_.push_back(cli_.Path(absl::StrCat("backups/", ObjectPath(store_id, object.name()))));
    }
  }

  // With neither configuration nor service.
  CliResult Restore(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {
        "restore",           "--from",   cli_.Path("backups"),  "--key", cli_.key_path(), "--to",
        cli_.Path("target"), "--config", cli_.Path("no config")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return cli_.Run(arguments);
  }

  // Marks the backup at a destination.
  void AddMark(const std::string& folder, repository::v1::Mark::Kind kind) {
    ASSERT_OK_AND_ASSIGN(const MasterKey key, ReadMasterKey(cli_.key_path()));
    ASSERT_OK_AND_ASSIGN(const auto blobs, OpenBlobStore(cli_.Path(folder)));
    ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(*blobs));
    ASSERT_OK_AND_ASSIGN(const StoreId store_id, StoreId::FromText(store_id_));
    ASSERT_OK_AND_ASSIGN(const auto store, repository.OpenStore(store_id, key));
    repository::v1::Mark mark;
    mark.set_kind(kind);
    mark.set_backup_id(backup_id_);
    ASSERT_OK(store->AddMark(mark, SystemClock().Now()));
  }

  CliRunner cli_;
  std::string backup_id_;
  std::string store_id_;
  std::vector<std::string> objects_;
};

TEST_F(RepositoryCommandsTest, RestoreNeedsDestinationAndKeyAlone) {
  const CliResult result = Restore();
  ASSERT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_THAT(result.output,
              AllOf(HasSubstr(backup_id_), HasSubstr("all 21 documents at revision 21"),
                    HasSubstr("instance: a.conf"), HasSubstr("\nnext:\n"),
                    HasSubstr(cli_.Path("target/instance") + ", such as the configuration, "),
                    HasSubstr("holdfast settings set --from file://" + cli_.Path("backups"))));
  EXPECT_TRUE(std::filesystem::exists(cli_.Path("target/state")));
}

TEST_F(RepositoryCommandsTest, RestorePrintsJson) {
  const CliResult result = Restore(
      {"--json", "--quiet", "--backup", backup_id_, "--as-new-store", "--store-id", store_id_});
  ASSERT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_THAT(result.error, IsEmpty());
  // The store's next write gets it: see the revision that its head is at.
  ASSERT_OK_AND_ASSIGN(const MasterKey key, ReadMasterKey(cli_.key_path()));
  ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(cli_.Path("target"), key));
  EXPECT_EQ(store->revision() + 1, (uint64_t{1} << 40) + 22);
  EXPECT_THAT(result.output,
              AllOf(StartsWith("{\"backup_id\":\"" + backup_id_), HasSubstr("\"revision\":\"21\""),
                    HasSubstr("\"first_new_revision\":\"1099511627798\""),
                    Not(HasSubstr("\"store_id\":\"" + store_id_)), EndsWith("}\n")));
}

TEST_F(RepositoryCommandsTest, RestoreTakesDestinationAndKeyFromTheConfiguration) {
  EXPECT_EQ(
      cli_.RunConfigured({"restore", "--to", cli_.Path("target"), "--backup", "latest"}).exit_code,
      kExitOk);
  EXPECT_EQ(
      cli_.RunConfigured({"restore", "--to", cli_.Path("second"), "--from", "local"}).exit_code,
      kExitOk);
  const CliResult unknown =
      cli_.RunConfigured({"restore", "--to", cli_.Path("third"), "--from", "nas"});
  EXPECT_EQ(unknown.exit_code, kExitNotFound);
  EXPECT_THAT(unknown.error, AllOf(HasSubstr("there is local\n"),
                                   HasSubstr("the agent, whose settings may have")));
}

TEST_F(RepositoryCommandsTest, RestoreTellsItsErrorsApart) {
  EXPECT_EQ(Restore({"--backup", "20200101T000000.000Z-00000000"}).exit_code, kExitNotFound);
  EXPECT_EQ(Restore({"--backup", "nope"}).exit_code, kExitNotFound);
  EXPECT_EQ(Restore({"--store-id", "nonsense"}).exit_code, kExitUsage);
  EXPECT_EQ(
      cli_.Run({"restore", "--to", cli_.Path("target"), "--config", cli_.Path("none")}).exit_code,
      kExitUsage);
  ASSERT_OK(WriteMasterKeyFile(cli_.Path("other.key"), MasterKey::Generate()));
  EXPECT_EQ(
      cli_.RunConfigured({"restore", "--to", cli_.Path("target"), "--key", cli_.Path("other.key")})
          .exit_code,
      kExitWrongKey);
  EXPECT_FALSE(std::filesystem::exists(cli_.Path("target")));

  std::filesystem::resize_file(objects_.front(), 200);
  const CliResult damaged = Restore();
  EXPECT_EQ(damaged.exit_code, kExitDamaged);
  EXPECT_THAT(damaged.error, HasSubstr("objects/"));
  EXPECT_FALSE(std::filesystem::exists(cli_.Path("target")));
}

// A configuration whose first destination, "nas", never answers.
class SilentPlaceTest : public RepositoryCommandsTest {
 protected:
  void SetUp() override {
    RepositoryCommandsTest::SetUp();
    const std::string config = ReadRaw(cli_.config_path());
    const absl::string_view table = "[[agent.stores.destinations]]\n";
    WriteRaw(cli_.config_path(),
             absl::StrReplaceAll(config, {{table, absl::StrCat(table, "name = \"nas\"\nurl = \"",
                                                               kSilentUrl, "\"\n", table)}}));
    cli_.places().open =
        [this](absl::string_view url,
               const Cancellation& cancellation) -> absl::StatusOr<std::unique_ptr<BlobStore>> {
      if (url != kSilentUrl) return OpenBlobStore(url, cancellation);
      HOLDFAST_ASSIGN_OR_RETURN(auto sockets, host::MakeSocketPair());
      silent_end_ = std::move(sockets.second);
      if (on_open_) on_open_();
      HOLDFAST_ASSIGN_OR_RETURN(
          std::unique_ptr<HostedBlobStore> store,
          HostedBlobStore::Connect(
              std::move(sockets.first),
              {.url = std::string(url),
               .patience = {.silence_max = silence_max_, .cancellation = cancellation},
               .on_closed = nullptr}));
      return store;
    };
  }

  // Runs a command that is interrupted once it waits for the place.
  void ExpectInterruptible(const std::vector<std::string>& arguments) {
    silence_max_ = absl::InfiniteDuration();
    on_open_ = [this] { cli_.cancellation().Cancel(absl::CancelledError("interrupted")); };
    const CliResult result = cli_.RunConfigured(arguments);
    EXPECT_EQ(result.exit_code, kExitInterrupted);
    EXPECT_THAT(result.error, EndsWith("holdfast: interrupted\n"));
  }

 private:
  static constexpr absl::string_view kSilentUrl = "file:///mnt/nas";

  absl::Duration silence_max_ = absl::Milliseconds(1);
  std::function<void()> on_open_;
  UniqueFd silent_end_;
};

TEST_F(SilentPlaceTest, KeepsNoOtherFromBeingChecked) {
  const CliResult result = cli_.RunConfigured({"check"});
  EXPECT_EQ(result.exit_code, kExitUnreachable);
  EXPECT_THAT(result.output, HasSubstr("local (file://" + cli_.Path("backups") + "): all is well"));
  EXPECT_THAT(result.error, HasSubstr("holdfast: nas (file:///mnt/nas): file:///mnt/nas: does not "
                                      "answer"));
}

TEST_F(SilentPlaceTest, ARestorePassesItOver) {
  const CliResult result = cli_.RunConfigured({"restore", "--to", cli_.Path("target")});
  EXPECT_EQ(result.exit_code, kExitOk);
  EXPECT_THAT(result.error, HasSubstr("passed over nas: file:///mnt/nas: does not answer"));
}

TEST_F(SilentPlaceTest, ACheckThatWaitsForItCanBeInterrupted) { ExpectInterruptible({"check"}); }

TEST_F(SilentPlaceTest, ACopyThatWaitsForItCanBeInterrupted) {
  ExpectInterruptible({"copy", "--from", "local", "--to", "nas"});
}

TEST_F(SilentPlaceTest, ARestoreThatWaitsForItCanBeInterrupted) {
  ExpectInterruptible({"restore", "--to", cli_.Path("target")});
}

TEST_F(RepositoryCommandsTest, ARestoreThatIsRefusedLeavesNothing) {
  std::filesystem::create_directories(cli_.Path("target"));
  WriteRaw(cli_.Path("target/mine"), "x");
  const CliResult filled = Restore();
  EXPECT_EQ(filled.exit_code, kExitRefused);
  EXPECT_THAT(filled.error, AllOf(HasSubstr("it holds mine"), Not(HasSubstr("restoring"))));
  EXPECT_THAT(ListDirectory(cli_.Path("target")), IsOkAndHolds(SizeIs(1)));

  const CliResult inside = cli_.RunConfigured(
      {"restore", "--from", "local", "--to", cli_.Path("backups/stores/../deep/target")});
  EXPECT_EQ(inside.exit_code, kExitRefused);
  EXPECT_THAT(inside.error, HasSubstr("is inside the repository at " + cli_.Path("backups")));
  EXPECT_FALSE(std::filesystem::exists(cli_.Path("backups/deep")));
}

TEST_F(RepositoryCommandsTest, SalvageOfAWholeBackupIsARestore) {
  const CliResult result = Restore({"--salvage"});
  ASSERT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_THAT(result.output, HasSubstr("all 21 documents at revision 21"));
  EXPECT_THAT(result.error, HasSubstr("nothing had to be salvaged"));
  EXPECT_TRUE(std::filesystem::exists(cli_.Path("target/state")));
  EXPECT_FALSE(std::filesystem::exists(cli_.Path("target/salvage-report.jsonl")));
}

TEST_F(RepositoryCommandsTest, SalvageSaysWhatIsNotProvenAndMustBeAccepted) {
  const CliResult refused = cli_.Run({"restore", "--accept-salvaged", "--to", cli_.Path("target")});
  EXPECT_EQ(refused.exit_code, kExitNotFound);
  // The log has the newest document.
  for (const std::string& object : objects_) {
    const std::string bytes = ReadRaw(object);
    std::filesystem::remove(object);
    if (Restore().exit_code == kExitOk) {
      WriteRaw(object, bytes);
      std::filesystem::remove_all(cli_.Path("target"));
      continue;
    }
    const CliResult plain = Restore();
    EXPECT_EQ(plain.exit_code, kExitDamaged);
    EXPECT_THAT(plain.error, HasSubstr("--salvage"));
    EXPECT_FALSE(std::filesystem::exists(cli_.Path("target/salvage-report.jsonl")))
        << "never by itself";

    const CliResult salvaged = Restore({"--salvage"});
    if (salvaged.exit_code == kExitOk) {
      EXPECT_THAT(salvaged.output, HasSubstr("the state digest proves it"));
    } else {
      EXPECT_EQ(salvaged.exit_code, kExitDamaged);
      EXPECT_THAT(salvaged.output,
                  AllOf(HasSubstr("salvaged backup " + backup_id_), HasSubstr("of 21 documents"),
                        HasSubstr("objects/"), HasSubstr("--accept-salvaged")));
      EXPECT_THAT(salvaged.error, HasSubstr("holdfast: "));
      EXPECT_FALSE(std::filesystem::exists(cli_.Path("target/state")));
      const CliResult accepted =
          cli_.Run({"restore", "--accept-salvaged", "--to", cli_.Path("target"), "--json"});
      EXPECT_EQ(accepted.exit_code, kExitOk) << accepted.error;
      EXPECT_THAT(accepted.output,
                  AllOf(HasSubstr(backup_id_), HasSubstr("\"document_count\":\"21\"")));
    }
    EXPECT_TRUE(std::filesystem::exists(cli_.Path("target/state")));
    EXPECT_EQ(ModeOf(cli_.Path("target/salvage-report.jsonl")), 0600);
    std::filesystem::remove_all(cli_.Path("target"));
    WriteRaw(object, bytes);
  }
}

TEST_F(RepositoryCommandsTest, SalvagePrefersADestinationThatHasTheBackupWhole) {
  CopyTree(cli_.Path("backups"), cli_.Path("copy"));
  ASSERT_OK_AND_ASSIGN(std::string config, ReadFile(cli_.config_path(), 10000));
  absl::StrAppend(&config, "[[agent.stores.destinations]]\nname = \"copy\"\nurl = \"file://",
                  cli_.Path("copy"), "\"\n");
  WriteRaw(cli_.config_path(), config);
  std::filesystem::remove(objects_.front());
  const CliResult result =
      cli_.RunConfigured({"restore", "--salvage", "--to", cli_.Path("target")});
  ASSERT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_THAT(result.error, AllOf(HasSubstr("damaged at"), HasSubstr("it is whole at")));
  EXPECT_THAT(result.output, HasSubstr("all 21 documents"));
}

TEST_F(RepositoryCommandsTest, SalvagePrintsJson) {
  for (const std::string& object : objects_) std::filesystem::remove(object);
  const CliResult result = Restore({"--salvage", "--json", "--quiet"});
  EXPECT_EQ(result.exit_code, kExitDamaged);
  EXPECT_THAT(result.output,
              AllOf(StartsWith("{\"backup_id\":\"" + backup_id_), HasSubstr("\"proven\":\"0\""),
                    HasSubstr("\"lost_at_least\":\"21\""),
                    HasSubstr("\"instance_files_lost\":\"1\""), EndsWith("}\n")));
}

TEST_F(RepositoryCommandsTest, InitSaysThatAStoreThereCanBeTakenOver) {
  const CliResult result =
      cli_.Run({"init", "--directory", cli_.Path("other"), "--destination", cli_.Path("backups")});
  ASSERT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("it has backups of 1 other store, "),
                    HasSubstr("holdfast init --adopt file://" + cli_.Path("backups"))));
}

TEST_F(RepositoryCommandsTest, CheckFindsAllWell) {
  const CliResult result = cli_.RunConfigured({"check", "--read-data"});
  EXPECT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_THAT(result.output, AllOf(StartsWith("local (file://" + cli_.Path("backups") +
                                              "): all is well: 1 backup"),
                                   HasSubstr("proven")));
  EXPECT_THAT(result.error, HasSubstr("the agent can't be asked"));
  const CliResult by_url = cli_.RunConfigured({"check", "--from", cli_.Path("backups")});
  EXPECT_THAT(by_url.output, StartsWith("file://" + cli_.Path("backups") + ": all is well"));
  EXPECT_THAT(by_url.error, IsEmpty());
}

TEST_F(RepositoryCommandsTest, CheckNamesWhatIsDamaged) {
  FlipByte(objects_.front(), 300);
  EXPECT_EQ(cli_.RunConfigured({"check"}).exit_code, kExitOk) << "contents are not read";
  const CliResult found = cli_.RunConfigured({"check", "--read-data"});
  EXPECT_EQ(found.exit_code, kExitDamaged);
  const std::string name = std::filesystem::path(objects_.front()).filename();
  EXPECT_THAT(found.output, AllOf(HasSubstr(name), HasSubstr(backup_id_)));

  std::filesystem::remove(objects_.front());
  const CliResult missing = cli_.RunConfigured({"check", "--json"});
  EXPECT_EQ(missing.exit_code, kExitDamaged);
  EXPECT_THAT(missing.output, AllOf(StartsWith("{\"destinations\":[{"), HasSubstr(name),
                                    HasSubstr("\"fault\":\"missing\""), HasSubstr(backup_id_)));
}

TEST_F(RepositoryCommandsTest, CheckOfNoBackupProvesNothing) {
  const std::filesystem::path backups = cli_.Path("backups");
  std::vector<std::filesystem::path> manifests;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(backups)) {
    const std::filesystem::path folder = entry.path().parent_path();
    if (folder != backups && folder.filename() == "backups" && entry.is_regular_file()) {
      manifests.push_back(entry.path());
    }
  }
  ASSERT_THAT(manifests, Not(IsEmpty()));
  for (const std::filesystem::path& manifest : manifests) std::filesystem::remove(manifest);
  const CliResult result = cli_.RunConfigured({"check"});
  EXPECT_EQ(result.exit_code, kExitNotFound);
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("nothing is proven: 0 backups"), HasSubstr("that no backup names")));
  EXPECT_THAT(result.error, HasSubstr("there is no backup at file://"));
}

TEST_F(RepositoryCommandsTest, CheckGoesOnAfterADestinationThatCannotBeRead) {
  ASSERT_OK_AND_ASSIGN(std::string config, ReadFile(cli_.config_path(), 10000));
  absl::StrAppend(&config, "[[agent.stores.destinations]]\nname = \"gone\"\nurl = \"file://",
                  cli_.Path("gone"), "\"\n");
  WriteRaw(cli_.config_path(), config);
  const CliResult result = cli_.RunConfigured({"check"});
  EXPECT_EQ(result.exit_code, kExitNotFound);
  EXPECT_THAT(result.output, HasSubstr("all is well"));
  EXPECT_THAT(result.error, HasSubstr(cli_.Path("gone")));
}

TEST_F(RepositoryCommandsTest, CheckNamesEachDestinationThatFails) {
  ASSERT_OK_AND_ASSIGN(std::string config, ReadFile(cli_.config_path(), 10000));
  for (const char* name : {"first", "second"}) {
    absl::StrAppend(&config, "[[agent.stores.destinations]]\nname = \"", name,
                    "\"\nurl = \"file://", cli_.Path(name), "\"\n");
  }
  WriteRaw(cli_.config_path(), config);
  std::filesystem::remove(objects_.front());
  const CliResult result = cli_.RunConfigured({"check", "--quiet"});
  // Damage is what is told in the end.
  EXPECT_EQ(result.exit_code, kExitDamaged);
  EXPECT_THAT(result.error, AllOf(StartsWith("holdfast: first (file://"),
                                  HasSubstr("\nholdfast: second (file://"),
                                  HasSubstr("\nholdfast: the repository at ")));
  EXPECT_THAT(std::vector<std::string>(absl::StrSplit(result.error, '\n', absl::SkipEmpty())),
              SizeIs(3));
}

TEST_F(RepositoryCommandsTest, CopyMakesARepositoryOnlyWhereItIsAsked) {
  const std::vector<std::string> copy = {"copy", "--from", "local", "--to", cli_.Path("second")};
  CliResult result = cli_.RunConfigured(copy);
  EXPECT_EQ(result.exit_code, kExitRefused);
  EXPECT_THAT(result.error, AllOf(HasSubstr("not to be mounted"), HasSubstr("--create")));
  EXPECT_FALSE(std::filesystem::exists(cli_.Path("second")));
  std::filesystem::create_directory(cli_.Path("second"));
  result = cli_.RunConfigured(copy);
  EXPECT_EQ(result.exit_code, kExitRefused);
  EXPECT_TRUE(std::filesystem::is_empty(cli_.Path("second")));
  WriteRaw(cli_.Path("second/mine"), "x");
  std::vector<std::string> create = copy;
  create.emplace_back("--create");
  result = cli_.RunConfigured(create);
  EXPECT_EQ(result.exit_code, kExitRefused);
  EXPECT_THAT(result.error, HasSubstr("not empty"));
  std::filesystem::remove_all(cli_.Path("second"));

  create.emplace_back("--json");
  result = cli_.RunConfigured(create);
  ASSERT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_THAT(result.output, AllOf(StartsWith("{\"from\":"), HasSubstr("\"created\":true"),
                                   HasSubstr("\"result\":\"copied\""), HasSubstr(backup_id_)));
  result = cli_.RunConfigured(copy);
  EXPECT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_THAT(result.output, HasSubstr("there already"));
  EXPECT_THAT(result.output, Not(HasSubstr("made a repository")));
  std::filesystem::remove_all(cli_.Path("second"));
  create.pop_back();
  EXPECT_THAT(cli_.RunConfigured(create).output,
              StartsWith("made a repository at file://" + cli_.Path("second") + "\n"));
  EXPECT_EQ(cli_.Run({"restore", "--from", cli_.Path("second"), "--key", cli_.key_path(), "--to",
                      cli_.Path("target")})
                .exit_code,
            kExitOk);
  EXPECT_EQ(cli_.RunConfigured({"copy", "--from", "local", "--to", cli_.Path("backups")}).exit_code,
            kExitUsage)
      << "the same place";
  EXPECT_EQ(cli_.RunConfigured({"copy", "--from", "local", "--to", cli_.Path("second"), "--backup",
                                "20200101T000000.000Z-00000000"})
                .exit_code,
            kExitNotFound);
  EXPECT_EQ(cli_.RunConfigured({"copy", "--from", "local", "--to", cli_.Path("second"), "--backup",
                                "nonsense"})
                .exit_code,
            kExitUsage);
}

TEST_F(RepositoryCommandsTest, CopyNamesWhatIsDamagedAtTheSource) {
  FlipByte(objects_.front(), 300);
  const CliResult result = cli_.RunConfigured(
      {"copy", "--from", "local", "--to", cli_.Path("second"), "--create", "--all"});
  EXPECT_EQ(result.exit_code, kExitDamaged);
  const std::string name = std::filesystem::path(objects_.front()).filename();
  EXPECT_THAT(result.output, AllOf(HasSubstr("not copied"), HasSubstr(name)));
  EXPECT_THAT(result.error, AllOf(HasSubstr(backup_id_), HasSubstr(name)));
}

TEST_F(RepositoryCommandsTest, CheckRepairsFromAnotherDestination) {
  ASSERT_EQ(cli_.RunConfigured({"copy", "--from", "local", "--to", cli_.Path("second"), "--create"})
                .exit_code,
            kExitOk);
  const std::string path = objects_.front();
  ASSERT_OK_AND_ASSIGN(const std::string bytes, ReadFile(path, 10'000'000));
  const std::string name = std::filesystem::path(path).filename();
  FlipByte(path, 300);

  CliResult result = cli_.RunConfigured({"check", "--read-data", "--repair"});
  EXPECT_EQ(result.exit_code, kExitDamaged);
  EXPECT_THAT(result.output, HasSubstr("there is no other destination to mend it from"));
  result = cli_.RunConfigured({"check", "--read-data", "--repair-from", cli_.Path("second")});
  ASSERT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_THAT(result.output, AllOf(HasSubstr("1 file damaged or missing, 1 of them repaired"),
                                   HasSubstr(name), HasSubstr("repaired from file://")));
  EXPECT_THAT(ReadFile(path, 10'000'000), IsOkAndHolds(bytes));
  result = cli_.RunConfigured({"check", "--read-data", "--repair-from", cli_.Path("second")});
  EXPECT_EQ(result.exit_code, kExitOk);
  EXPECT_THAT(result.output, HasSubstr("all is well: 1 backup"));

  // Damaged at both places.
  const std::string copy = cli_.Path("second") + path.substr(cli_.Path("backups").size());
  FlipByte(path, 300);
  FlipByte(copy, 400);
  result =
      cli_.RunConfigured({"check", "--read-data", "--json", "--repair-from", cli_.Path("second")});
  EXPECT_EQ(result.exit_code, kExitDamaged);
  EXPECT_THAT(result.output, AllOf(HasSubstr("\"repairs\":[{\"path\":"), HasSubstr(name),
                                   HasSubstr("\"repaired\":false")));
  EXPECT_THAT(result.error, AllOf(HasSubstr("could not be repaired"), HasSubstr("--salvage")));
}

TEST_F(RepositoryCommandsTest, TheFileOfTheRepositoryIsRepairedFromItsCopy) {
  const std::string path = cli_.Path("backups/holdfast.json");
  ASSERT_OK_AND_ASSIGN(const std::string bytes, ReadFile(path, 10'000));
  FlipByte(path, 100);
  CliResult result = cli_.RunConfigured({"check"});
  EXPECT_EQ(result.exit_code, kExitDamaged);
  EXPECT_THAT(result.output, HasSubstr("  holdfast.json\n"));
  EXPECT_EQ(cli_.RunConfigured({"check", "--repair"}).exit_code, kExitOk);
  EXPECT_THAT(ReadFile(path, 10'000), IsOkAndHolds(bytes));
  EXPECT_EQ(cli_.RunConfigured({"check"}).exit_code, kExitOk);
}

TEST_F(RepositoryCommandsTest, CheckSaysWhatIsMarkedAsDamaged) {
  AddMark("backups", repository::v1::Mark::KIND_DAMAGED);
  CliResult result = cli_.RunConfigured({"check"});
  EXPECT_EQ(result.exit_code, kExitDamaged);
  EXPECT_THAT(result.output, HasSubstr("1 backup marked as damaged"));
  EXPECT_THAT(result.error, HasSubstr("`holdfast check --read-data --repair`"));
  // What was read is known better.
  result = cli_.RunConfigured({"check", "--read-data"});
  EXPECT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_THAT(result.output, HasSubstr("all is well"));
}

TEST_F(RepositoryCommandsTest, DeletedBackupsAreListedOfAllDestinations) {
  ASSERT_EQ(cli_.RunConfigured({"copy", "--from", "local", "--to", cli_.Path("second"), "--create"})
                .exit_code,
            kExitOk);
  AddMark("second", repository::v1::Mark::KIND_DELETED);

  ASSERT_OK_AND_ASSIGN(std::string config, ReadFile(cli_.config_path(), 10000));
  for (const char* name : {"second", "gone"}) {
    absl::StrAppend(&config, "[[agent.stores.destinations]]\nname = \"", name,
                    "\"\nurl = \"file://", cli_.Path(name), "\"\n");
  }
  WriteRaw(cli_.config_path(), config);
  const CliResult list = cli_.RunConfigured({"backup", "list", "--deleted"});
  EXPECT_THAT(list.output, AllOf(HasSubstr(backup_id_), HasSubstr("second")));
  EXPECT_EQ(list.exit_code, kExitNotFound);
  EXPECT_THAT(list.error, HasSubstr("destination gone: "));
}

TEST_F(RepositoryCommandsTest, BackupListReadsARepositoryDirectly) {
  const CliResult list = cli_.RunConfigured({"backup", "list", "--from", cli_.Path("backups")});
  EXPECT_EQ(list.exit_code, kExitOk) << list.error;
  EXPECT_THAT(list.output, HasSubstr(backup_id_));
  const CliResult json =
      cli_.RunConfigured({"backup", "show", backup_id_, "--from", "local", "--json"});
  EXPECT_EQ(json.exit_code, kExitOk) << json.error;
  EXPECT_THAT(json.output, AllOf(HasSubstr("\"document_count\":\"21\""), HasSubstr(store_id_)));
  EXPECT_EQ(cli_.RunConfigured({"backup", "show", "x", "--from", "local"}).exit_code,
            kExitNotFound);
  EXPECT_EQ(cli_.RunConfigured({"backup", "list", "--store-id", store_id_}).exit_code, kExitUsage);

  const CliResult deleted = cli_.RunConfigured({"backup", "list", "--deleted"});
  EXPECT_EQ(deleted.exit_code, kExitOk) << deleted.error;
  EXPECT_THAT(deleted.error, HasSubstr("no deleted backup"));

  FlipByte(cli_.Path(absl::StrCat("backups/stores/", store_id_, "/backups/", backup_id_)), 100);
  const CliResult damaged =
      cli_.RunConfigured({"backup", "list", "--from", cli_.Path("backups"), "--json"});
  EXPECT_EQ(damaged.exit_code, kExitDamaged);
  EXPECT_THAT(damaged.output, AllOf(StartsWith("{\"backups\":[],"),
                                    HasSubstr("\"damaged\":[{\"backup_id\":\"" + backup_id_)));
}

}  // namespace
}  // namespace holdfast
