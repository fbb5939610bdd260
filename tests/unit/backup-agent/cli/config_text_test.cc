#include "backup-agent/cli/config_text.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(FormatConfigTest, IsReadAsItWasMeant) {
  const NewConfig written = {
      .master_key = "/etc/holdfast/master \"key\"",
      .data_directory = "/var/lib/höldfast\\store",
      .store_socket = "/run/store.sock",
      .state_directory = "/var/lib/agent",
      .agent_socket = "/run/agent.sock",
      .store_name = "main",
      .destinations = {{.name = "a", .url = "file:///mnt/a"}, {.name = "b", .url = "file:///b"}},
      .instance_files = {"/etc/app.conf", "/etc/tls"}};
  ASSERT_OK_AND_ASSIGN(const Config read, ParseConfig(FormatConfig(written), "/holdfast.toml"));
  EXPECT_EQ(read.master_key, written.master_key);
  ASSERT_TRUE(read.store.has_value());
  EXPECT_EQ(read.store->data_directory, written.data_directory);
  EXPECT_EQ(read.store->socket, written.store_socket);
  EXPECT_EQ(read.store->instance_files, written.instance_files);
  ASSERT_TRUE(read.agent.has_value());
  EXPECT_EQ(read.agent->state_directory, written.state_directory);
  EXPECT_EQ(read.agent->socket, written.agent_socket);
  ASSERT_EQ(read.agent->stores.size(), 1);
  const AgentStoreConfig& store = read.agent->stores[0];
  EXPECT_EQ(store.name, "main");
  EXPECT_EQ(store.socket, written.store_socket);
  EXPECT_TRUE(store.schedule.automatic);
  EXPECT_EQ(store.schedule.interval, absl::Hours(4));
  ASSERT_EQ(store.destinations.size(), 2);
  EXPECT_EQ(store.destinations[1].name, "b");
  EXPECT_EQ(store.destinations[1].url, "file:///b");
}

TEST(FormatConfigTest, SeedsTheSettingsThatAreGiven) {
  const NewConfig written = {
      .master_key = "/k",
      .data_directory = "/d",
      .store_socket = "/run/store.sock",
      .state_directory = "/a",
      .agent_socket = "/run/agent.sock",
      .store_name = "shop",
      .destinations = {{.name = "a", .url = "file:///a"}, {.name = "b", .url = "file:///b"}},
      .instance_files = {"/etc/app.conf"},
      .instance_files_to_come = {"/etc/\"tls\"\n/server.crt"},
      .required_destinations = 1,
      .schedule = {.automatic = false,
                   .interval = absl::Minutes(90),
                   .start_time_of_day = "02:30",
                   .time_zone = "Europe/Berlin"}};
  const std::string text = FormatConfig(written);
  EXPECT_THAT(text, HasSubstr("  # \"/etc/\\\"tls\\\"\\u000A/server.crt\",\n"));
  ASSERT_OK_AND_ASSIGN(const Config read, ParseConfig(text, "/holdfast.toml"));
  EXPECT_THAT(read.store->instance_files, ElementsAre("/etc/app.conf"));
  const AgentStoreConfig& store = read.agent->stores[0];
  EXPECT_EQ(store.required_destinations, 1u);
  EXPECT_FALSE(store.schedule.automatic);
  EXPECT_EQ(store.schedule.interval, absl::Minutes(90));
  EXPECT_EQ(store.schedule.start_time_of_day, "02:30");
  EXPECT_EQ(store.schedule.time_zone, "Europe/Berlin");
}

std::vector<std::string> Names(const std::vector<std::string>& texts) {
  const absl::StatusOr<std::vector<DestinationConfig>> destinations = NameDestinations(texts);
  EXPECT_OK(destinations);
  std::vector<std::string> names;
  if (destinations.ok()) {
    for (const DestinationConfig& destination : *destinations) names.push_back(destination.name);
  }
  return names;
}

TEST(NameDestinationsTest, TakesTheLastPartOfThePath) {
  EXPECT_THAT(Names({"/mnt/Share 1", "file:///srv/backup/"}), ElementsAre("share-1", "backup"));
  EXPECT_THAT(Names({"/a/x", "/b/x", "/c/x"}), ElementsAre("x", "x-2", "x-3"));
  EXPECT_THAT(Names({"rclone:nas:backups/Holdfast", "rclone:nas:", "rclone:nas:a=b"}),
              ElementsAre("holdfast", "nas", "a-b"));
}

TEST(NameDestinationsTest, TakesNamesThatAreGiven) {
  ASSERT_OK_AND_ASSIGN(const auto destinations,
                       NameDestinations({"nas=/mnt/nas", "/mnt/with=equals", "far=rclone:nas:x"}));
  EXPECT_EQ(destinations[0].name, "nas");
  EXPECT_EQ(destinations[0].url, "file:///mnt/nas");
  EXPECT_EQ(destinations[1].name, "with-equals");
  EXPECT_EQ(destinations[2].name, "far");
  EXPECT_EQ(destinations[2].url, "rclone:nas:x");
}

TEST(NameDestinationsTest, SaysWhatIsWrong) {
  EXPECT_THAT(NameDestinations({"relative"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--destination")));
  EXPECT_THAT(NameDestinations({"Bad Name=/mnt"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("name")));
  EXPECT_THAT(NameDestinations({"ftp://host/x"}), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace holdfast
