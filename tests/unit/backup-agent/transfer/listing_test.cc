#include "backup-agent/transfer/listing.h"

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/random.h"
#include "common/crypto/master_key.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_checkpoint_source.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

constexpr absl::StatusCode kBreach = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kRefused = absl::StatusCode::kFailedPrecondition;

class ListingTest : public testing::Test {
 protected:
  ListingTest() {
    source_.SetFile("000010.sst", "table");
    checkpoint_ = *source_.CreateCheckpoint("", {});
    files_ = *source_.ListFiles(checkpoint_.checkpoint_id(), 1000, {});
  }

  v1::CheckpointFile& File(absl::string_view name) {
    for (v1::CheckpointFile& file : files_) {
      if (file.name() == name) return file;
    }
    return files_.front();
  }
  // Adds a file like another one, and counts it.
  void AddLike(absl::string_view like, const std::string& name) {
    files_.push_back(File(like));
    files_.back().set_name(name);
    checkpoint_.set_file_count(files_.size());
    checkpoint_.set_size_bytes(checkpoint_.size_bytes() + files_.back().size_bytes());
  }
  void Remember() {
    memory_.set_store_id(checkpoint_.store_id());
    memory_.set_incarnation(checkpoint_.incarnation());
    memory_.set_revision(checkpoint_.revision());
    memory_.set_state_digest(checkpoint_.state_digest());
    memory_.set_document_count(checkpoint_.document_count());
  }

  FakeCheckpointSource source_;
  v1::Checkpoint checkpoint_;
  std::vector<v1::CheckpointFile> files_;
  agent::v1::StoreMemory memory_;
};

TEST_F(ListingTest, AcceptedStoreIsRememberedAsItIs) {
  Remember();
  memory_.set_revision(memory_.revision() + 1);
  memory_.set_last_backup_id("b7");
  memory_.set_last_ordinal(7);
  ASSERT_THAT(CheckCheckpoint(checkpoint_, memory_), StatusIs(kRefused));
  ASSERT_OK(AcceptStore(*source_.GetStatus({}), memory_));
  EXPECT_OK(CheckCheckpoint(checkpoint_, memory_));
  EXPECT_EQ(memory_.last_backup_id(), "b7") << "the chain of backups goes on";
  EXPECT_EQ(memory_.accepted_after_ordinal(), 7u);
}

TEST_F(ListingTest, AcceptedOtherStoreIsRememberedAfresh) {
  memory_.set_store_id(std::string(32, '7'));
  memory_.set_last_backup_id("b7");
  memory_.set_last_ordinal(7);
  memory_.set_checkpoint_holder("holder");
  (*memory_.mutable_destinations())["a"].set_repository_id("r");
  (*memory_.mutable_destinations())["a"].set_last_backup_id("b7");
  ASSERT_THAT(CheckCheckpoint(checkpoint_, memory_), StatusIs(kRefused));
  ASSERT_OK(AcceptStore(*source_.GetStatus({}), memory_));
  EXPECT_OK(CheckCheckpoint(checkpoint_, memory_));
  EXPECT_EQ(memory_.last_backup_id(), "") << "that was another store's";
  EXPECT_EQ(memory_.checkpoint_holder(), "holder");
  EXPECT_EQ(memory_.destinations().at("a").repository_id(), "r");
  EXPECT_EQ(memory_.destinations().at("a").last_backup_id(), "");
}

TEST_F(ListingTest, NonsenseIsNotAccepted) {
  v1::StoreStatus status = *source_.GetStatus({});
  status.set_state_digest("no digest");
  EXPECT_THAT(AcceptStore(status, memory_), StatusIs(kBreach));
  EXPECT_EQ(memory_.store_id(), "");
}

TEST_F(ListingTest, HonestCheckpointPasses) {
  EXPECT_OK(CheckCheckpoint(checkpoint_, memory_));
  EXPECT_OK(CheckFiles(checkpoint_, files_));
  Remember();
  EXPECT_OK(CheckCheckpoint(checkpoint_, memory_));
}

TEST_F(ListingTest, FilesComeOutInTheOrderOfTheirNames) {
  std::reverse(files_.begin(), files_.end());
  ASSERT_OK(CheckFiles(checkpoint_, files_));
  EXPECT_TRUE(std::is_sorted(files_.begin(), files_.end(),
                             [](const auto& a, const auto& b) { return a.name() < b.name(); }));
}

TEST_F(ListingTest, CheckpointThatBreaksARuleIsRefused) {
  const std::vector<std::function<void(v1::Checkpoint&)>> breaches = {
      [](v1::Checkpoint& c) { c.clear_checkpoint_id(); },
      [](v1::Checkpoint& c) { c.set_checkpoint_id(std::string(257, 'x')); },
      [](v1::Checkpoint& c) { c.set_store_id("../../../../../../etc/holdfast/x"); },
      [](v1::Checkpoint& c) { c.clear_incarnation(); },
      [](v1::Checkpoint& c) { c.add_earlier_incarnations("x"); },
      [](v1::Checkpoint& c) { c.add_earlier_incarnations(c.incarnation()); },
      [](v1::Checkpoint& c) {
        for (int i = 0; i < 1001; ++i) c.add_earlier_incarnations(c.store_id());
      },
      [](v1::Checkpoint& c) { c.set_state_digest("00"); },
      [](v1::Checkpoint& c) { c.set_state_digest(std::string(64, 'G')); },
      [](v1::Checkpoint& c) { c.mutable_commit_time()->set_seconds(-1); },
      [](v1::Checkpoint& c) { c.mutable_create_time()->set_seconds(1LL << 60); },
      [](v1::Checkpoint& c) { c.mutable_create_time()->set_nanos(-1); },
      [](v1::Checkpoint& c) { c.set_file_count(1 << 20); },
      [](v1::Checkpoint& c) { c.clear_lease_duration(); },
      [](v1::Checkpoint& c) { c.mutable_lease_duration()->set_seconds(-5); },
  };
  for (size_t i = 0; i < breaches.size(); ++i) {
    v1::Checkpoint checkpoint = checkpoint_;
    breaches[i](checkpoint);
    EXPECT_THAT(CheckCheckpoint(checkpoint, memory_), StatusIs(kBreach)) << i;
  }
}

TEST_F(ListingTest, FileThatBreaksARuleIsRefused) {
  const std::vector<std::pair<std::string, std::function<void(v1::CheckpointFile&)>>> breaches = {
      {"000010.sst", [](v1::CheckpointFile& f) { f.set_name("../000010.sst"); }},
      {"000010.sst", [](v1::CheckpointFile& f) { f.set_name("LOCK"); }},
      {"000010.sst", [](v1::CheckpointFile& f) { f.set_name(""); }},
      {"000010.sst", [](v1::CheckpointFile& f) { f.set_kind(v1::CheckpointFile::KIND_BLOB); }},
      {"000010.sst",
       [](v1::CheckpointFile& f) { f.set_kind(v1::CheckpointFile::KIND_UNSPECIFIED); }},
      {"000010.sst", [](v1::CheckpointFile& f) { f.set_file_number(11); }},
      {"000010.sst", [](v1::CheckpointFile& f) { f.set_xxh3_128("short"); }},
      {"000010.sst", [](v1::CheckpointFile& f) { f.set_size_bytes(UINT64_MAX); }},
      {"000010.sst", [](v1::CheckpointFile& f) { f.set_size_bytes(f.size_bytes() + 1); }},
      {"000010.sst", [](v1::CheckpointFile& f) { f.set_mode(0600); }},
      {"instance/server.toml", [](v1::CheckpointFile& f) { f.set_mode(04755); }},
      {"instance/server.toml", [](v1::CheckpointFile& f) { f.set_name("instance/../x"); }},
      {"instance/server.toml", [](v1::CheckpointFile& f) { f.set_name("instance//x"); }},
      {"instance/server.toml", [](v1::CheckpointFile& f) { f.set_name("/etc/passwd"); }},
      {"instance/server.toml", [](v1::CheckpointFile& f) { f.set_name("instance/a\nb"); }},
      {"CURRENT", [](v1::CheckpointFile& f) { f.set_size_bytes(0); }},
  };
  for (size_t i = 0; i < breaches.size(); ++i) {
    const std::vector<v1::CheckpointFile> honest = files_;
    breaches[i].second(File(breaches[i].first));
    EXPECT_THAT(CheckFiles(checkpoint_, files_), StatusIs(kBreach)) << i;
    files_ = honest;
  }
}

TEST_F(ListingTest, FileThatIsListedTwiceIsRefused) {
  AddLike("000010.sst", "000010.sst");
  EXPECT_THAT(CheckFiles(checkpoint_, files_), StatusIs(kBreach, HasSubstr("twice")));
}

TEST_F(ListingTest, FilesThatAreNoDatabaseAreRefused) {
  AddLike("MANIFEST-000005", "MANIFEST-000006");
  EXPECT_THAT(CheckFiles(checkpoint_, files_), StatusIs(kBreach, HasSubstr("MANIFEST")));
}

TEST_F(ListingTest, DatabaseWithoutCurrentIsRefused) {
  checkpoint_.set_size_bytes(checkpoint_.size_bytes() - File("CURRENT").size_bytes());
  files_.erase(std::find_if(files_.begin(), files_.end(),
                            [](const auto& file) { return file.name() == "CURRENT"; }));
  checkpoint_.set_file_count(files_.size());
  EXPECT_THAT(CheckFiles(checkpoint_, files_), StatusIs(kBreach, HasSubstr("CURRENT")));
}

TEST_F(ListingTest, FileThatIsTheFolderOfAnotherIsRefused) {
  AddLike("instance/server.toml", "instance/a");
  AddLike("instance/server.toml", "instance/a-b");
  EXPECT_OK(CheckFiles(checkpoint_, files_));
  AddLike("instance/server.toml", "instance/a/b");
  EXPECT_THAT(CheckFiles(checkpoint_, files_), StatusIs(kBreach, HasSubstr("folder")));
}

TEST_F(ListingTest, FewerFilesThanToldAreRefused) {
  files_.pop_back();
  EXPECT_THAT(CheckFiles(checkpoint_, files_), StatusIs(kBreach));
}

// --- What is remembered ----------------------------------------------------------------------

TEST_F(ListingTest, AnotherStoreIsRefused) {
  Remember();
  checkpoint_.set_store_id("ffffffffffffffffffffffffffffffff");
  EXPECT_THAT(CheckCheckpoint(checkpoint_, memory_),
              StatusIs(kRefused, HasSubstr("another store answers")));
}

TEST_F(ListingTest, StoreThatWentBackIsRefused) {
  Remember();
  checkpoint_.set_revision(checkpoint_.revision() - 1);
  EXPECT_THAT(CheckCheckpoint(checkpoint_, memory_), StatusIs(kRefused, HasSubstr("went back")));
}

TEST_F(ListingTest, OtherDigestAtTheSameRevisionIsRefused) {
  Remember();
  checkpoint_.set_state_digest(std::string(64, 'a'));
  EXPECT_THAT(CheckCheckpoint(checkpoint_, memory_),
              StatusIs(kRefused, HasSubstr("other documents")));
}

TEST_F(ListingTest, LossOfHalfTheDocumentsIsRefusedWithAWayOut) {
  Remember();
  checkpoint_.set_revision(checkpoint_.revision() + 1);
  checkpoint_.set_document_count(memory_.document_count() / 2 + 1);
  EXPECT_OK(CheckCheckpoint(checkpoint_, memory_));
  checkpoint_.set_document_count(memory_.document_count() / 2);
  EXPECT_THAT(CheckCheckpoint(checkpoint_, memory_),
              StatusIs(kRefused, HasSubstr("500 are left of 1000")));
  EXPECT_THAT(CheckCheckpoint(checkpoint_, memory_),
              StatusIs(kRefused, HasSubstr("holdfast backup accept")));
}

TEST_F(ListingTest, LossOfAFewDocumentsIsNothingToStopFor) {
  checkpoint_.set_document_count(99);
  Remember();
  checkpoint_.set_revision(checkpoint_.revision() + 1);
  checkpoint_.set_document_count(0);
  EXPECT_OK(CheckCheckpoint(checkpoint_, memory_));
}

TEST_F(ListingTest, RestoreIsTheOperatorsWord) {
  Remember();
  checkpoint_.add_earlier_incarnations(checkpoint_.incarnation());
  checkpoint_.set_incarnation("c0c1c2c3c4c5c6c7c8c9cacbcccdcecf");
  checkpoint_.set_revision(1);
  checkpoint_.set_document_count(1);
  EXPECT_OK(CheckCheckpoint(checkpoint_, memory_));
}

// --- Keys among the files --------------------------------------------------------------------

TEST_F(ListingTest, MasterKeyIsFoundHoweverItIsWritten) {
  const std::string text(MasterKey::Generate().ToText().text());
  EXPECT_TRUE(HoldsMasterKey(text));
  EXPECT_TRUE(HoldsMasterKey(text + "\n"));
  EXPECT_TRUE(HoldsMasterKey("# our key\nkey = \"" + text + "\"\n"));
  EXPECT_TRUE(HoldsMasterKey(absl::AsciiStrToLower(text)));
  EXPECT_TRUE(HoldsMasterKey("HF1-" + text));
  EXPECT_TRUE(HoldsMasterKey(absl::StrReplaceAll(text, {{"-", " "}})));
  EXPECT_TRUE(HoldsMasterKey(absl::StrReplaceAll(text, {{"-", "\n"}})));
}

TEST_F(ListingTest, WhatIsNoMasterKeyIsNotTakenForOne) {
  std::string text(MasterKey::Generate().ToText().text());
  text[20] = text[20] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(HoldsMasterKey(text));
  EXPECT_FALSE(HoldsMasterKey(""));
  EXPECT_FALSE(HoldsMasterKey("HF1-"));
  EXPECT_FALSE(HoldsMasterKey("name = \"server\"\n"));
}

}  // namespace
}  // namespace holdfast
