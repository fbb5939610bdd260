#include "common/config/config.h"

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/io/durable_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr char kFull[] = R"(master_key = "/etc/holdfast/master.key"

[store]
data_directory = "/data/store"
socket = "/run/a/store.sock"
instance_files = ["/etc/app/app.conf", "certs"]

[agent]
state_directory = "/data/agent"
socket = "/run/a/agent.sock"

[[agent.stores]]
name = "main"
socket = "/run/a/store.sock"
required_destinations = 1

[agent.stores.schedule]
automatic = false
interval = "1h30m"
start_time_of_day = "02:30"
time_zone = "Europe/Berlin"

[[agent.stores.destinations]]
name = "local"
url = "file:///srv/backup"

[[agent.stores.destinations]]
name = "share"
url = "/mnt/share"
)";

constexpr char kSmallest[] = R"(master_key = "master.key"
[store]
[[agent.stores]]
name = "main"
[[agent.stores.destinations]]
name = "local"
url = "file:///srv/backup"
)";

absl::StatusOr<Config> Parse(absl::string_view text) {
  return ParseConfig(text, "/etc/holdfast/holdfast.toml");
}

// kFull with one line replaced.
absl::StatusOr<Config> ParseChanged(absl::string_view from, absl::string_view to) {
  const std::string text = absl::StrReplaceAll(kFull, {{from, to}});
  EXPECT_NE(text, kFull) << from;
  return Parse(text);
}

auto IsInvalid(const std::string& message) {
  return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message));
}

TEST(ConfigTest, EveryKeyIsRead) {
  ASSERT_OK_AND_ASSIGN(const Config config, Parse(kFull));
  EXPECT_EQ(config.master_key, "/etc/holdfast/master.key");
  ASSERT_TRUE(config.store.has_value());
  EXPECT_EQ(config.store->master_key, "/etc/holdfast/master.key");
  EXPECT_EQ(config.store->data_directory, "/data/store");
  EXPECT_EQ(config.store->socket, "/run/a/store.sock");
  EXPECT_THAT(config.store->instance_files,
              ElementsAre("/etc/app/app.conf", "/etc/holdfast/certs"));
  ASSERT_TRUE(config.agent.has_value());
  EXPECT_EQ(config.agent->master_key, "/etc/holdfast/master.key");
  EXPECT_EQ(config.agent->state_directory, "/data/agent");
  EXPECT_EQ(config.agent->socket, "/run/a/agent.sock");
  ASSERT_THAT(config.agent->stores, SizeIs(1));
  const AgentStoreConfig& store = config.agent->stores[0];
  EXPECT_EQ(store.name, "main");
  EXPECT_EQ(store.socket, "/run/a/store.sock");
  EXPECT_EQ(store.required_destinations, 1u);
  EXPECT_FALSE(store.schedule.automatic);
  EXPECT_EQ(store.schedule.interval, absl::Minutes(90));
  EXPECT_EQ(store.schedule.start_time_of_day, "02:30");
  EXPECT_EQ(store.schedule.time_zone, "Europe/Berlin");
  ASSERT_THAT(store.destinations, SizeIs(2));
  EXPECT_EQ(store.destinations[0].name, "local");
  EXPECT_EQ(store.destinations[0].url, "file:///srv/backup");
  EXPECT_EQ(store.destinations[1].url, "file:///mnt/share");
}

TEST(ConfigTest, AbsentKeysHaveTheirDefaults) {
  ASSERT_OK_AND_ASSIGN(const Config config, Parse(kSmallest));
  ASSERT_TRUE(config.store.has_value());
  EXPECT_EQ(config.store->data_directory, "/var/lib/holdfast/store");
  EXPECT_EQ(config.store->socket, "/run/holdfast/store/store.sock");
  EXPECT_THAT(config.store->instance_files, IsEmpty());
  ASSERT_TRUE(config.agent.has_value());
  EXPECT_EQ(config.agent->state_directory, "/var/lib/holdfast/agent");
  EXPECT_EQ(config.agent->socket, "/run/holdfast/agent/agent.sock");
  const AgentStoreConfig& store = config.agent->stores[0];
  EXPECT_EQ(store.socket, "/run/holdfast/store/store.sock");
  EXPECT_EQ(store.required_destinations, 0u);
  EXPECT_TRUE(store.schedule.automatic);
  EXPECT_EQ(store.schedule.interval, absl::Hours(4));
  EXPECT_EQ(store.schedule.start_time_of_day, "00:00");
  EXPECT_EQ(store.schedule.time_zone, "UTC");
}

TEST(ConfigTest, ProgramsThatAreNotNamedAreAbsent) {
  ASSERT_OK_AND_ASSIGN(const Config config, Parse("master_key = \"-\""));
  EXPECT_EQ(config.master_key, "-");
  EXPECT_FALSE(config.store.has_value());
  EXPECT_FALSE(config.agent.has_value());
}

TEST(ConfigTest, RelativePathsAreTakenFromTheFolderOfTheFile) {
  ASSERT_OK_AND_ASSIGN(const Config config,
                       ParseConfig("master_key = \"./keys//master.key\"\n[store]\n"
                                   "data_directory = \"../data/\"",
                                   "/srv/app/holdfast.toml"));
  EXPECT_EQ(config.master_key, "/srv/app/keys/master.key");
  EXPECT_EQ(config.store->data_directory, "/srv/app/../data");
  ASSERT_OK_AND_ASSIGN(const Config here,
                       ParseConfig("master_key = \"master.key\"", "holdfast.toml"));
  EXPECT_THAT(here.master_key, AllOf(StartsWith("/"), EndsWith("/master.key")));
}

TEST(ConfigTest, EveryFormOfAKeySourceIsTaken) {
  const auto source = [](absl::string_view text) {
    const absl::StatusOr<Config> config = Parse(absl::StrCat("master_key = \"", text, "\""));
    return config.ok() ? config->master_key : config.status().ToString();
  };
  EXPECT_EQ(source("-"), "-");
  EXPECT_EQ(source("credential:holdfast.key"), "credential:holdfast.key");
  EXPECT_EQ(source("file:/etc/k"), "/etc/k");
  EXPECT_EQ(source("k"), "/etc/holdfast/k");
  EXPECT_THAT(Parse("master_key = \"credential:a/b\""), IsInvalid("credential"));
  EXPECT_THAT(Parse("master_key = \"\""), IsInvalid("empty"));
  EXPECT_THAT(Parse(""), IsInvalid("master_key: is missing"));
}

TEST(ConfigTest, UnknownKeyIsRefusedWithItsPlaceAndWhatWasMeant) {
  EXPECT_THAT(ParseChanged("data_directory", "data_directroy"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "/etc/holdfast/holdfast.toml:4:1: unknown key store.data_directroy; did "
                       "you mean data_directory?"));
  EXPECT_THAT(ParseChanged("[agent.stores.schedule]", "[agent.stores.shedule]"),
              IsInvalid("did you mean schedule?"));
  EXPECT_THAT(ParseChanged("automatic = false", "enabled = false"),
              IsInvalid(":18:1: unknown key agent.stores.schedule.enabled; known here: automatic"));
  EXPECT_THAT(ParseChanged("url = \"file:///srv/backup\"", "URL = \"/x\""),
              IsInvalid("unknown key agent.stores.destinations.URL"));
  EXPECT_THAT(ParseChanged("[store]", "[sotre]"), IsInvalid("did you mean store?"));
  EXPECT_THAT(ParseChanged("[store]", "[store]\nstate_directory = \"x\""),
              IsInvalid("unknown key store.state_directory"));
}

TEST(ConfigTest, BrokenTomlIsRefusedWithItsPlace) {
  EXPECT_THAT(Parse("master_key = \"-\"\n[store\n"),
              IsInvalid("/etc/holdfast/holdfast.toml:2:7: not valid TOML: "));
  EXPECT_THAT(Parse("a = 1\na = 2"), IsInvalid("not valid TOML"));
  EXPECT_THAT(Parse("master_key = \"\xff\""), IsInvalid("not valid TOML"));
  // Quotes and escapes are those of the parser.
  EXPECT_THAT(Parse("a = \n"), IsInvalid("saw '\\n'"));
}

TEST(ConfigTest, ValueOfTheWrongKindIsRefused) {
  EXPECT_THAT(ParseChanged("\"/data/store\"", "5"),
              IsInvalid(":4:18: store.data_directory: must be a string in quotes, not a number"));
  EXPECT_THAT(ParseChanged("automatic = false", "automatic = \"no\""),
              IsInvalid("must be true or false, not a string"));
  EXPECT_THAT(ParseChanged("required_destinations = 1", "required_destinations = 1.5"),
              IsInvalid("must be a whole number"));
  EXPECT_THAT(ParseChanged("[\"/etc/app/app.conf\", \"certs\"]", "\"/etc/app/app.conf\""),
              IsInvalid("must be a list of strings, not a string"));
  EXPECT_THAT(ParseChanged("[\"/etc/app/app.conf\", \"certs\"]", "[\"a\", 7]"),
              IsInvalid("one of its entries is a number"));
  EXPECT_THAT(Parse("master_key = \"-\"\nstore = 3"), IsInvalid("must be a table, [store]"));
  EXPECT_THAT(Parse("master_key = \"-\"\n[agent.stores]\nname = \"main\""),
              IsInvalid("[[agent.stores]]"));
}

TEST(ConfigTest, ValueOutOfBoundsIsRefused) {
  EXPECT_THAT(ParseChanged("required_destinations = 1", "required_destinations = -1"),
              IsInvalid("must be 0 to 16, not -1"));
  EXPECT_THAT(ParseChanged("required_destinations = 1", "required_destinations = 3"),
              IsInvalid("requires 3 destinations, but there are 2"));
  EXPECT_THAT(ParseChanged("1h30m", "25h"), IsInvalid("1 minute to 24 hours"));
  EXPECT_THAT(ParseChanged("1h30m", "soon"), IsInvalid("an interval is written like"));
  EXPECT_THAT(ParseChanged("02:30", "24:00"), IsInvalid("a time of day is"));
  EXPECT_THAT(ParseChanged("Europe/Berlin", "Europe/Bärlin"), IsInvalid("knows no time zone"));
  EXPECT_THAT(ParseChanged("name = \"local\"", "name = \"Local\""), IsInvalid("a-z, 0-9"));
  EXPECT_THAT(ParseChanged("file:///srv/backup", "ftp://x"), IsInvalid("destinations.url: "));
  EXPECT_OK(ParseChanged("file:///srv/backup", "rclone:nas:backups"));
  EXPECT_THAT(ParseChanged("file:///srv/backup", "rclone:nas,pass=x:backups"),
              IsInvalid("destinations.url: "));
  EXPECT_THAT(ParseChanged("/data/store", ""), IsInvalid("the path is empty"));
  EXPECT_THAT(ParseChanged("/data/store", "/data\\n"), IsInvalid("control character"));
  EXPECT_THAT(ParseChanged("/run/a/agent.sock", absl::StrCat("/", std::string(107, 's'))),
              IsInvalid("at most 107 bytes"));
  EXPECT_OK(ParseChanged("/run/a/agent.sock", absl::StrCat("/", std::string(106, 's'))));
}

TEST(ConfigTest, WhatCannotGoTogetherIsRefused) {
  EXPECT_THAT(ParseChanged("/run/a/agent.sock", "/run/a//store.sock"),
              IsInvalid("agent.socket: the store listens on"));
  EXPECT_THAT(ParseChanged("/data/agent", "/data/store/agent"),
              IsInvalid("overlaps the store's data directory"));
  EXPECT_THAT(ParseChanged("name = \"share\"", "name = \"local\""),
              IsInvalid("two destinations \"local\""));
  EXPECT_THAT(ParseChanged("/mnt/share", "/srv/backup"), IsInvalid("two destinations at"));
  EXPECT_THAT(ParseChanged("\"certs\"", "\"/etc/holdfast\""), IsInvalid("holds the master key"));
  EXPECT_THAT(ParseChanged("\"certs\"", "\"/data\""), IsInvalid("overlaps the data directory"));
  EXPECT_THAT(Parse("master_key = \"-\"\n[agent]\n"), IsInvalid("agent.stores: is missing"));
  EXPECT_THAT(Parse("master_key = \"-\"\n[[agent.stores]]\nname = \"main\"\n"),
              IsInvalid("destinations: is missing"));
}

TEST(ConfigTest, FileIsReadAndItsAbsenceIsNotFound) {
  TempDir dir;
  EXPECT_THAT(LoadConfig(dir.Path("holdfast.toml")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("holdfast.toml")));
  ASSERT_OK(WriteFileDurably(dir.Path("holdfast.toml"), kSmallest, {}));
  ASSERT_OK_AND_ASSIGN(const Config config, LoadConfig(dir.Path("holdfast.toml")));
  EXPECT_EQ(config.master_key, dir.Path("master.key"));
}

TEST(ConfigTest, EnvironmentNamesTheFile) {
  ::unsetenv("HOLDFAST_CONFIG");
  EXPECT_EQ(DefaultConfigPath(), "/etc/holdfast/holdfast.toml");
  ::setenv("HOLDFAST_CONFIG", "", 1);
  EXPECT_EQ(DefaultConfigPath(), "/etc/holdfast/holdfast.toml");
  ::setenv("HOLDFAST_CONFIG", "/srv/h.toml", 1);
  EXPECT_EQ(DefaultConfigPath(), "/srv/h.toml");
  ::unsetenv("HOLDFAST_CONFIG");
}

}  // namespace
}  // namespace holdfast
