#include "backup-agent/state/state_store.h"

#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/crypto/hash.h"
#include "common/io/durable_file.h"
#include "common/io/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class StateStoreTest : public ::testing::Test {
 protected:
  std::string StatePath() const { return dir_.Path("agent/stores/main/state"); }

  // A state store with something saved for "main".
  std::unique_ptr<StateStore> OpenWithState() {
    auto states = StateStore::Open(dir_.Path("agent"));
    EXPECT_OK(states);
    agent::v1::StoreState state;
    state.set_consecutive_failures(7);
    state.mutable_settings()->set_settings_revision(3);
    EXPECT_OK((*states)->Save("main", state));
    return *std::move(states);
  }

  std::string ReadState() const {
    const auto bytes = ReadFile(StatePath(), 1 << 20);
    EXPECT_OK(bytes);
    return bytes.value_or("");
  }

  void WriteState(absl::string_view bytes) const {
    ASSERT_OK(WriteFileDurably(StatePath(), bytes, {.existing = DurableFile::Existing::kReplace}));
  }

  TempDir dir_;
};

TEST_F(StateStoreTest, StateThatWasSavedIsLoadedAgain) {
  OpenWithState();
  ASSERT_OK_AND_ASSIGN(const auto states, StateStore::Open(dir_.Path("agent")));
  ASSERT_OK_AND_ASSIGN(const std::optional<agent::v1::StoreState> state, states->Load("main"));
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(state->consecutive_failures(), 7u);
  EXPECT_EQ(state->settings().settings_revision(), 3u);
  EXPECT_EQ(state->format_version(), 1u);
}

TEST_F(StateStoreTest, StoreThatWasNeverSavedHasNoState) {
  const auto states = OpenWithState();
  ASSERT_OK_AND_ASSIGN(const std::optional<agent::v1::StoreState> state, states->Load("other"));
  EXPECT_FALSE(state.has_value());
}

TEST_F(StateStoreTest, StateFileIsNobodyElsesToRead) {
  OpenWithState();
  ASSERT_OK_AND_ASSIGN(const FileInfo info, GetFileInfo(StatePath()));
  EXPECT_EQ(info.permissions, 0600u);
  ASSERT_OK_AND_ASSIGN(const FileInfo folder, GetFileInfo(dir_.Path("agent")));
  EXPECT_EQ(folder.permissions, 0700u);
}

TEST_F(StateStoreTest, FolderIsUsedByOneAgentAtATime) {
  auto states = OpenWithState();
  EXPECT_THAT(StateStore::Open(dir_.Path("agent")),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("another agent uses it")));
  states.reset();
  EXPECT_OK(StateStore::Open(dir_.Path("agent")));
}

TEST_F(StateStoreTest, EveryFlippedBitIsFound) {
  const auto states = OpenWithState();
  const std::string good = ReadState();
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    WriteState(bad);
    EXPECT_THAT(states->Load("main"),
                StatusIs(absl::StatusCode::kDataLoss,
                         AllOf(HasSubstr(StatePath()), HasSubstr("is damaged"))))
        << "byte " << i;
  }
}

TEST_F(StateStoreTest, EveryCutIsFound) {
  const auto states = OpenWithState();
  const std::string good = ReadState();
  for (size_t size = 0; size < good.size(); ++size) {
    WriteState(good.substr(0, size));
    EXPECT_THAT(states->Load("main"), StatusIs(absl::StatusCode::kDataLoss)) << size << " bytes";
  }
}

TEST_F(StateStoreTest, NewerFormatIsRefusedAndNotTouched) {
  const auto states = OpenWithState();
  const std::string content("\x08\x02", 2);  // format_version: 2
  const std::string bytes =
      absl::StrCat("HFSTATE1", AsText(Blake2b256({AsBytes(content)})), content);
  WriteState(bytes);
  EXPECT_THAT(states->Load("main"), StatusIs(absl::StatusCode::kUnimplemented,
                                             HasSubstr("a newer version of Holdfast is needed")));
  EXPECT_EQ(ReadState(), bytes);
}

}  // namespace
}  // namespace holdfast
