#include "store-service/checkpoints/checkpoint_manager.h"

#include <sys/stat.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/base/thread.h"
#include "common/io/durable_file.h"
#include "common/io/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/store-service/store_parts.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class CheckpointManagerTest : public testing::Test {
 protected:
  CheckpointManagerTest() { OpenManager({}); }

  void OpenManager(const std::vector<std::string>& instance_paths) {
    manager_.reset();
    absl::StatusOr<InstanceFiles> files = InstanceFiles::FromConfiguration(
        {.paths = instance_paths, .data_directory_path = parts_.path()});
    ASSERT_OK(files);
    instance_files_ = std::make_unique<InstanceFiles>(*std::move(files));
    absl::StatusOr<std::unique_ptr<CheckpointManager>> manager =
        CheckpointManager::Open({.database = parts_.database.get(),
                                 .committer = parts_.committer.get(),
                                 .sickness = parts_.sickness.get(),
                                 .clock = &parts_.clock(),
                                 .env = parts_.directory->env(),
                                 .folder = parts_.directory->checkpoints_path(),
                                 .instance_files = instance_files_.get(),
                                 .free_space = parts_.FreeSpace()});
    ASSERT_OK(manager);
    manager_ = *std::move(manager);
  }

  absl::StatusOr<std::vector<CheckpointFile>> Files(const std::string& id) {
    std::vector<CheckpointFile> files;
    std::string token;
    do {
      HOLDFAST_ASSIGN_OR_RETURN(const CheckpointManager::FilePage page,
                                manager_->ListFiles(id, 3, token));
      files.insert(files.end(), page.files.begin(), page.files.end());
      token = page.next_page_token;
    } while (!token.empty());
    return files;
  }

  absl::StatusOr<std::string> ReadAll(const std::string& id, const std::string& name,
                                      uint64_t offset = 0, size_t step = 100'000) {
    HOLDFAST_ASSIGN_OR_RETURN(const auto reader, manager_->OpenFile(id, name, offset));
    std::string all;
    for (std::vector<uint8_t> buffer(step);;) {
      HOLDFAST_ASSIGN_OR_RETURN(const size_t got, reader->Read(absl::MakeSpan(buffer)));
      if (got == 0) return all;
      all.append(buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(got));
    }
  }

  // Restores the checkpoint into a directory of its own and proves that it is what it says.
  void ExpectRestores(const CheckpointInfo& info) {
    TempDir target;
    ASSERT_OK_AND_ASSIGN(
        const auto restore,
        DataDirectoryRestore::Begin(target.Path("restored"), parts_.master_key(),
                                    parts_.directory->store_id(), parts_.clock().Now()));
    ASSERT_OK_AND_ASSIGN(const std::vector<CheckpointFile> files, Files(info.checkpoint_id));
    EXPECT_EQ(files.size(), info.file_count);
    uint64_t size_bytes = 0;
    for (const CheckpointFile& file : files) {
      ASSERT_OK_AND_ASSIGN(const std::string bytes, ReadAll(info.checkpoint_id, file.name));
      EXPECT_EQ(bytes.size(), file.size_bytes) << file.name;
      EXPECT_EQ(Xxh3Of(bytes), file.xxh3_128) << file.name;
      size_bytes += bytes.size();
      ASSERT_OK_AND_ASSIGN(const auto writer, restore->CreateFile(file.name, file.mode));
      ASSERT_OK(writer->Append(AsBytes(bytes)));
      ASSERT_OK(writer->Close());
    }
    EXPECT_EQ(size_bytes, info.size_bytes);
    ASSERT_OK_AND_ASSIGN(const DatabaseMetadata metadata, ReadMetadata(parts_.database->db()));
    const DataDirectoryRestore::Expectation expectation = {
        .backup_id = "test",
        .incarnation = metadata.incarnation(),
        .revision = info.state.revision,
        .document_count = info.state.document_count,
        .state_digest = info.state.state_digest};
    ASSERT_OK_AND_ASSIGN(
        const DataDirectoryRestore::Proof proof,
        restore->Finish(expectation, nullptr, [](uint64_t) { return absl::OkStatus(); }));
    EXPECT_EQ(proof.revision, info.state.revision);
    EXPECT_EQ(proof.state_digest, info.state.state_digest);
  }

  size_t FoldersOnDisk() {
    const auto entries = ListDirectory(parts_.directory->checkpoints_path());
    EXPECT_OK(entries);
    return entries.ok() ? entries->size() : 0;
  }

  StoreParts parts_;
  TempDir instance_dir_;
  std::unique_ptr<InstanceFiles> instance_files_;
  std::unique_ptr<CheckpointManager> manager_;
};

TEST_F(CheckpointManagerTest, AnEmptyStoreHasACheckpointThatRestores) {
  ASSERT_OK_AND_ASSIGN(const CheckpointInfo info, manager_->Create());
  EXPECT_EQ(info.state.revision, 0U);
  ExpectRestores(info);
}

TEST_F(CheckpointManagerTest, HoldsWhatWasWrittenBeforeAndNothingThatCameAfter) {
  ASSERT_OK(parts_.Write({PutOf("c", "a", "1"), PutOf("c", "b", "2")}));
  ASSERT_OK_AND_ASSIGN(const CheckpointInfo info, manager_->Create());
  EXPECT_EQ(info.state.revision, 2U);
  EXPECT_EQ(info.state.document_count, 2U);
  for (int i = 0; i < 10; ++i) ASSERT_OK(parts_.Write({PutOf("c", absl::StrCat(i), "later")}));
  ASSERT_TRUE(parts_.database->db()
                  .Flush(rocksdb::FlushOptions(),
                         {parts_.database->metadata(), parts_.database->documents()})
                  .ok());
  ExpectRestores(info);
}

// Money moves between accounts while checkpoints are made, files flushed and compacted; each
// checkpoint restores to exactly its revision, count and digest.
TEST_F(CheckpointManagerTest, IsExactlyOneRevisionUnderLoad) {
  SeededRandom random;
  constexpr int kWriters = 4;
  std::atomic<bool> is_stopping = false;
  std::vector<Thread> writers;
  for (int t = 0; t < kWriters; ++t) {
    writers.emplace_back("writer", [&, t] {
      for (int i = 0; !is_stopping; ++i) {
        const std::string content(random.Uniform(20'000), static_cast<char>('a' + i % 26));
        const std::string id = absl::StrCat(t, "/", random.Uniform(50));
        ASSERT_OK(parts_.Write({PutOf("from", id, content), PutOf("to", id, content)}));
        if (i % 10 == 9) {
          ASSERT_OK(parts_.Write({DeletionOf("to", id)}));
        }
      }
    });
  }
  for (int i = 0; i < 6; ++i) {
    ASSERT_OK_AND_ASSIGN(const CheckpointInfo info, manager_->Create());
    if (i % 2 == 1) {
      ASSERT_TRUE(parts_.database->db()
                      .CompactRange({}, parts_.database->documents(), nullptr, nullptr)
                      .ok());
    }
    ExpectRestores(info);
    ASSERT_OK(manager_->Release(info.checkpoint_id));
  }
  is_stopping = true;
}

TEST_F(CheckpointManagerTest, FilesAreListedByNameWithTheirKinds) {
  ASSERT_OK(parts_.Write({PutOf("c", "a", "1")}));
  ASSERT_TRUE(parts_.database->db()
                  .Flush(rocksdb::FlushOptions(),
                         {parts_.database->metadata(), parts_.database->documents()})
                  .ok());
  ASSERT_OK(parts_.Write({PutOf("c", "b", "1")}));
  ASSERT_OK_AND_ASSIGN(const CheckpointInfo info, manager_->Create());
  ASSERT_OK_AND_ASSIGN(const std::vector<CheckpointFile> files, Files(info.checkpoint_id));
  std::map<CheckpointFile::Kind, int> kinds;
  for (size_t i = 0; i < files.size(); ++i) {
    if (i > 0) {
      EXPECT_LT(files[i - 1].name, files[i].name);
    }
    EXPECT_THAT(files[i].xxh3_128, SizeIs(16));
    ++kinds[files[i].kind];
  }
  EXPECT_GE(kinds[CheckpointFile::Kind::kTable], 2);
  EXPECT_EQ(kinds[CheckpointFile::Kind::kManifest], 1);
  EXPECT_EQ(kinds[CheckpointFile::Kind::kCurrent], 1);
  EXPECT_EQ(kinds[CheckpointFile::Kind::kOptions], 1);
  EXPECT_GE(kinds[CheckpointFile::Kind::kLog], 1);
}

TEST_F(CheckpointManagerTest, ATableKeepsItsChecksumFromBirth) {
  ASSERT_OK(parts_.Write({PutOf("c", "a", std::string(100'000, 'x'))}));
  ASSERT_TRUE(parts_.database->db()
                  .Flush(rocksdb::FlushOptions(),
                         {parts_.database->metadata(), parts_.database->documents()})
                  .ok());
  ASSERT_OK_AND_ASSIGN(const CheckpointInfo first, manager_->Create());
  ASSERT_OK_AND_ASSIGN(const std::vector<CheckpointFile> files, Files(first.checkpoint_id));
  for (const CheckpointFile& file : files) {
    if (file.kind != CheckpointFile::Kind::kTable) continue;
    // One byte of it is flipped on the disk, behind everybody's back.
    const std::string path = parts_.directory->database_path() + "/" + file.name;
    ASSERT_OK_AND_ASSIGN(std::string sealed, ReadFile(path, 10'000'000));
    FILE* const raw = std::fopen(path.c_str(), "r+b");
    ASSERT_NE(raw, nullptr);
    ASSERT_EQ(std::fseek(raw, 4096 + 10, SEEK_SET), 0);
    ASSERT_EQ(std::fputc(sealed[4096 + 10] ^ 1, raw) & 0xFF, (sealed[4096 + 10] ^ 1) & 0xFF);
    ASSERT_EQ(std::fclose(raw), 0);

    EXPECT_THAT(ReadAll(first.checkpoint_id, file.name),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr(file.name)));
    ASSERT_TRUE(parts_.sickness->Get().has_value());
    EXPECT_EQ(parts_.sickness->Get()->kind, Sickness::Kind::kTableDamaged);
    // A store that is known to be damaged makes no checkpoint that somebody would trust.
    EXPECT_THAT(manager_->Create(), StatusIs(absl::StatusCode::kDataLoss));
    return;
  }
  FAIL() << "no table";
}

TEST_F(CheckpointManagerTest, ReadsFromAnyOffset) {
  ASSERT_OK(parts_.Write({PutOf("c", "a", std::string(300'000, 'x'))}));
  ASSERT_OK_AND_ASSIGN(const CheckpointInfo info, manager_->Create());
  ASSERT_OK_AND_ASSIGN(const std::vector<CheckpointFile> files, Files(info.checkpoint_id));
  for (const CheckpointFile& file : files) {
    ASSERT_OK_AND_ASSIGN(const std::string whole, ReadAll(info.checkpoint_id, file.name));
    for (const uint64_t offset :
         {uint64_t{0}, uint64_t{1}, file.size_bytes / 2, file.size_bytes - 1, file.size_bytes}) {
      EXPECT_THAT(ReadAll(info.checkpoint_id, file.name, offset, 7'777),
                  IsOkAndHolds(whole.substr(offset)))
          << file.name << " from " << offset;
    }
    EXPECT_THAT(manager_->OpenFile(info.checkpoint_id, file.name, file.size_bytes + 1),
                StatusIs(absl::StatusCode::kOutOfRange));
    EXPECT_THAT(manager_->OpenFile(info.checkpoint_id, file.name, UINT64_MAX),
                StatusIs(absl::StatusCode::kOutOfRange));
  }
}

TEST_F(CheckpointManagerTest, HostileNamesAndTokensAreRefused) {
  ASSERT_OK_AND_ASSIGN(const CheckpointInfo info, manager_->Create());
  for (const char* name : {"", ".", "..", "/etc/passwd", "../state", "../../lock", "instance/../x",
                           "CURRENT/", "current"}) {
    EXPECT_THAT(manager_->OpenFile(info.checkpoint_id, name, 0),
                StatusIs(absl::StatusCode::kNotFound, HasSubstr("no such file")))
        << name;
  }
  for (const char* id : {"", ".", "../../keys", "0123"}) {
    EXPECT_THAT(manager_->OpenFile(id, "CURRENT", 0), StatusIs(absl::StatusCode::kNotFound));
    EXPECT_THAT(manager_->ListFiles(id, 0, ""), StatusIs(absl::StatusCode::kNotFound));
    EXPECT_THAT(manager_->Renew(id), StatusIs(absl::StatusCode::kNotFound));
    EXPECT_THAT(manager_->Release(id), StatusIs(absl::StatusCode::kNotFound));
  }
  for (const char* token : {"x", "-1", "99999", "18446744073709551616", " "}) {
    EXPECT_THAT(manager_->ListFiles(info.checkpoint_id, 0, token),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << token;
  }
  EXPECT_THAT(manager_->ListFiles(info.checkpoint_id, -1, ""),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(CheckpointManagerTest, ThereAreTwoAtMost) {
  ASSERT_OK_AND_ASSIGN(const CheckpointInfo first, manager_->Create());
  ASSERT_OK(manager_->Create());
  EXPECT_THAT(manager_->Create(),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("holds 2 checkpoints")));
  EXPECT_THAT(manager_->List(), SizeIs(2));
  ASSERT_OK(manager_->Release(first.checkpoint_id));
  EXPECT_OK(manager_->Create());
}

TEST_F(CheckpointManagerTest, AHolderIsNotInItsOwnWay) {
  const CheckpointInfo other = *manager_->Create("other");
  const CheckpointInfo first = *manager_->Create("agent");
  ASSERT_OK_AND_ASSIGN(const CheckpointInfo second, manager_->Create("agent"));
  EXPECT_THAT(manager_->Renew(first.checkpoint_id), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_OK(manager_->Renew(second.checkpoint_id));
  EXPECT_OK(manager_->Renew(other.checkpoint_id));
  EXPECT_THAT(manager_->Create(std::string(129, 'a')),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(CheckpointManagerTest, AReleasedOneIsGoneAlsoForThoseWhoReadIt) {
  ASSERT_OK(parts_.Write({PutOf("c", "a", std::string(100'000, 'x'))}));
  ASSERT_OK_AND_ASSIGN(const CheckpointInfo info, manager_->Create());
  ASSERT_OK_AND_ASSIGN(const std::vector<CheckpointFile> files, Files(info.checkpoint_id));
  ASSERT_OK_AND_ASSIGN(const auto reader,
                       manager_->OpenFile(info.checkpoint_id, files.front().name, 0));
  uint8_t byte = 0;
  EXPECT_THAT(reader->Read({&byte, 1}), IsOkAndHolds(1));
  EXPECT_EQ(FoldersOnDisk(), 1U);
  ASSERT_OK(manager_->Release(info.checkpoint_id));
  EXPECT_EQ(FoldersOnDisk(), 0U);
  EXPECT_THAT(reader->Read({&byte, 1}), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(manager_->Release(info.checkpoint_id), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(CheckpointManagerTest, ALeaseThatIsNotRenewedEnds) {
  ASSERT_OK_AND_ASSIGN(const CheckpointInfo info, manager_->Create());
  EXPECT_EQ(info.lease_duration, CheckpointManager::kLeaseDuration);
  parts_.clock().Advance(CheckpointManager::kLeaseDuration - absl::Seconds(1));
  EXPECT_THAT(manager_->Renew(info.checkpoint_id), IsOkAndHolds(CheckpointManager::kLeaseDuration));
  parts_.clock().Advance(CheckpointManager::kLeaseDuration - absl::Seconds(1));
  manager_->DropWhatMustGo();
  EXPECT_OK(manager_->OpenFile(info.checkpoint_id, "CURRENT", 0));
  parts_.clock().Advance(absl::Seconds(1));
  EXPECT_THAT(manager_->Renew(info.checkpoint_id), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(manager_->OpenFile(info.checkpoint_id, "CURRENT", 0),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("create a new one")));
  manager_->DropWhatMustGo();
  EXPECT_EQ(FoldersOnDisk(), 0U);
}

TEST_F(CheckpointManagerTest, AChangeOfTheWallClockDoesNotEndALease) {
  ASSERT_OK_AND_ASSIGN(const CheckpointInfo info, manager_->Create());
  parts_.clock().SetWallTime(parts_.clock().Now() + absl::Hours(1000));
  manager_->DropWhatMustGo();
  EXPECT_OK(manager_->Renew(info.checkpoint_id));
}

TEST_F(CheckpointManagerTest, NoneLivesLongerThanADay) {
  ASSERT_OK_AND_ASSIGN(const CheckpointInfo info, manager_->Create());
  absl::Duration age;
  while (age < CheckpointManager::kLifetimeMax - absl::Minutes(9)) {
    parts_.clock().Advance(absl::Minutes(9));
    age += absl::Minutes(9);
    const absl::StatusOr<absl::Duration> lease = manager_->Renew(info.checkpoint_id);
    ASSERT_OK(lease);
    EXPECT_EQ(*lease,
              std::min(CheckpointManager::kLeaseDuration, CheckpointManager::kLifetimeMax - age));
  }
  parts_.clock().Advance(absl::Minutes(9));
  EXPECT_THAT(manager_->Renew(info.checkpoint_id), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(CheckpointManagerTest, TheyAreDroppedWhenTheDiskRunsLow) {
  ASSERT_OK(manager_->Create());
  parts_.free_space_bytes = CheckpointManager::kFreeSpaceToCreateBytes - 1;
  EXPECT_THAT(manager_->Create(),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("make room")));
  EXPECT_THAT(manager_->List(), SizeIs(1));
  parts_.free_space_bytes = CheckpointManager::kFreeSpaceToKeepBytes - 1;
  manager_->DropWhatMustGo();
  EXPECT_THAT(manager_->List(), IsEmpty());
  EXPECT_EQ(FoldersOnDisk(), 0U);
}

TEST_F(CheckpointManagerTest, WhatAnEarlierProcessLeftIsRemovedAtStart) {
  ASSERT_OK(MakeDirectories(parts_.directory->checkpoints_path() + "/0123/sub"));
  ASSERT_OK(WriteFileDurably(parts_.directory->checkpoints_path() + "/0123/000001.sst", "x", {}));
  OpenManager({});
  EXPECT_EQ(FoldersOnDisk(), 0U);
}

TEST_F(CheckpointManagerTest, AFolderThatCannotBeListedIsNamedWithTheReason) {
  const std::string folder = parts_.directory->database_path();
  ASSERT_OK(RenameDurably(folder, folder + ".away"));
  EXPECT_THAT(manager_->Create(), StatusIs(absl::StatusCode::kUnavailable,
                                           AllOf(HasSubstr("list the logs"), HasSubstr(folder),
                                                 HasSubstr("No such file"))));
  ASSERT_OK(RenameDurably(folder + ".away", folder));
  EXPECT_OK(manager_->Create());
}

TEST_F(CheckpointManagerTest, ALongLogIsFlushedFirstAndAShortOneIsNot) {
  const std::string content(1'000'000, 'x');
  for (int i = 0; i < 3; ++i) ASSERT_OK(parts_.Write({PutOf("c", absl::StrCat(i), content)}));
  const auto log_size = [&](const std::string& id) {
    uint64_t size_bytes = 0;
    const auto files = Files(id);
    EXPECT_OK(files);
    for (const CheckpointFile& file : *files) {
      if (file.kind == CheckpointFile::Kind::kLog) size_bytes += file.size_bytes;
    }
    return size_bytes;
  };
  ASSERT_OK_AND_ASSIGN(const CheckpointInfo short_log, manager_->Create());
  EXPECT_GT(log_size(short_log.checkpoint_id), 3'000'000U);
  for (int i = 0; i < 15; ++i) ASSERT_OK(parts_.Write({PutOf("d", absl::StrCat(i), content)}));
  ASSERT_OK_AND_ASSIGN(const CheckpointInfo long_log, manager_->Create());
  EXPECT_LT(log_size(long_log.checkpoint_id), 1'000'000U);
  ExpectRestores(long_log);
}

TEST_F(CheckpointManagerTest, InstanceFilesAreThoseOfTheMomentAndEncryptedOnDisk) {
  ASSERT_OK(
      WriteFileDurably(instance_dir_.Path("app.conf"), "a very secret setting", {.mode = 0640}));
  ASSERT_OK(WriteFileDurably(instance_dir_.Path("empty"), "", {}));
  OpenManager({instance_dir_.path()});
  ASSERT_OK_AND_ASSIGN(const CheckpointInfo info, manager_->Create());
  ASSERT_OK(WriteFileDurably(instance_dir_.Path("app.conf"), "changed",
                             {.existing = DurableFile::Existing::kReplace}));
  const std::string name = absl::StrCat("instance", instance_dir_.path(), "/app.conf");
  EXPECT_THAT(ReadAll(info.checkpoint_id, name), IsOkAndHolds("a very secret setting"));
  EXPECT_THAT(ReadAll(info.checkpoint_id, absl::StrCat("instance", instance_dir_.path(), "/empty")),
              IsOkAndHolds(""));
  ASSERT_OK_AND_ASSIGN(const std::vector<CheckpointFile> files, Files(info.checkpoint_id));
  for (const CheckpointFile& file : files) {
    if (file.name == name) {
      EXPECT_EQ(file.mode, 0640U);
      EXPECT_EQ(file.kind, CheckpointFile::Kind::kInstance);
    }
  }
  const std::string folder = parts_.directory->checkpoints_path() + "/" + info.checkpoint_id;
  ASSERT_OK_AND_ASSIGN(const auto entries, ListDirectory(folder));
  for (const DirectoryEntry& entry : entries) {
    ASSERT_OK_AND_ASSIGN(const std::string bytes, ReadFile(folder + "/" + entry.name, 10'000'000));
    EXPECT_FALSE(absl::StrContains(bytes, "very secret")) << entry.name;
  }
  ExpectRestores(info);
}

TEST_F(CheckpointManagerTest, AMissingInstanceFileFailsTheCheckpointAndLeavesNothing) {
  OpenManager({instance_dir_.Path("missing.conf")});
  EXPECT_THAT(manager_->Create(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("missing.conf")));
  EXPECT_EQ(FoldersOnDisk(), 0U);
  EXPECT_EQ(parts_.sickness->Get(), std::nullopt);
}

}  // namespace
}  // namespace holdfast
