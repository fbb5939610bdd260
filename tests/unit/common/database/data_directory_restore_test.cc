#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/executor.h"
#include "common/crypto/hash.h"
#include "common/database/data_directory.h"
#include "common/database/document_record.h"
#include "common/io/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_store.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
constexpr auto kAlreadyExists = absl::StatusCode::kAlreadyExists;
constexpr auto kInvalidArgument = absl::StatusCode::kInvalidArgument;
constexpr auto kFailedPrecondition = absl::StatusCode::kFailedPrecondition;

using Files = std::map<std::string, std::string>;

absl::Status NoProgress(uint64_t) { return absl::OkStatus(); }

class DataDirectoryRestoreTest : public testing::Test {
 protected:
  // A store with tables and a log, and what a backup of it would hold.
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(dir_.Path("source"), source_key_));
    for (int i = 0; i < 200; ++i) {
      ASSERT_OK(store->Put(i % 2 == 0 ? "projects" : "environments", absl::StrCat("id", i),
                           std::string(300, 'x')));
      if (i == 80 || i == 150) {
        ASSERT_OK(store->Flush());
      }
    }
    ASSERT_OK(store->Delete("projects", "id0"));
    ReadSource(*store);
  }

  // Takes expectation and files from `store`.
  void ReadSource(const TestStore& store) {
    store_id_ = store.directory().store_id();
    expectation_ = {.backup_id = "20261122T183500.123Z-1f9a2b3c",
                    .incarnation = store.metadata().incarnation(),
                    .revision = store.revision(),
                    .document_count = store.metadata().digest.document_count(),
                    .state_digest = store.Digest()};
    ASSERT_OK_AND_ASSIGN(documents_, store.ReadAll());
    ASSERT_OK_AND_ASSIGN(files_, store.ReadLiveFiles());
  }

  absl::StatusOr<std::unique_ptr<DataDirectoryRestore>> Begin() {
    return DataDirectoryRestore::Begin(target_, key_, store_id_, kTestTime + absl::Hours(1));
  }

  static absl::Status WriteFile(DataDirectoryRestore& restore, const std::string& name,
                                absl::string_view content, uint32_t mode = 0) {
    auto file = restore.CreateFile(name, mode);
    if (!file.ok()) return file.status();
    for (absl::string_view rest = content; !rest.empty();) {
      const absl::string_view piece = rest.substr(0, 5000);
      if (absl::Status status = (*file)->Append(AsBytes(piece)); !status.ok()) return status;
      rest.remove_prefix(piece.size());
    }
    return (*file)->Close();
  }

  absl::StatusOr<DataDirectoryRestore::Proof> Restore(const Files& files,
                                                      const Id128* new_store_id = nullptr) {
    auto restore = Begin();
    if (!restore.ok()) return restore.status();
    for (const auto& [name, content] : files) {
      if (absl::Status status = WriteFile(**restore, name, content); !status.ok()) return status;
    }
    return (*restore)->Finish(expectation_, new_store_id, NoProgress);
  }

  // Nothing is left that a store would open, or that is in the way of another try.
  void ExpectNothingLeft() {
    EXPECT_THAT(DataDirectory::Open(target_, key_), StatusIs(absl::StatusCode::kNotFound));
    EXPECT_THAT(FileExists(target_), IsOkAndHolds(false));
  }

  std::string Target(absl::string_view name) const { return absl::StrCat(target_, "/", name); }

  const TempDir dir_;
  const MasterKey source_key_ = MasterKey::Generate();
  const MasterKey key_ = MasterKey::Generate();
  const std::string target_ = dir_.Path("target");
  Id128 store_id_;
  DataDirectoryRestore::Expectation expectation_;
  Files documents_;
  Files files_;
};

TEST_F(DataDirectoryRestoreTest, BringsEveryDocumentBack) {
  ASSERT_OK_AND_ASSIGN(const DataDirectoryRestore::Proof proof, Restore(files_));
  EXPECT_EQ(proof.document_count, expectation_.document_count);
  EXPECT_EQ(proof.revision, expectation_.revision);
  EXPECT_EQ(proof.state_digest, expectation_.state_digest);
  EXPECT_NE(proof.new_incarnation, expectation_.incarnation);

  ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(target_, key_));
  EXPECT_THAT(store->ReadAll(), IsOkAndHolds(documents_));
  EXPECT_OK(store->Verify());
  EXPECT_EQ(store->Digest(), expectation_.state_digest);
  EXPECT_EQ(store->directory().store_id(), store_id_);
  EXPECT_EQ(store->directory().state().restored_from_backup_id(), expectation_.backup_id);
  EXPECT_EQ(store->directory().state().create_time_us(),
            absl::ToUnixMicros(kTestTime + absl::Hours(1)));
  EXPECT_EQ(store->metadata().store_id(), store_id_);
  EXPECT_EQ(store->metadata().incarnation(), proof.new_incarnation);
  EXPECT_THAT(store->metadata().identity.earlier_incarnations(),
              ElementsAre(expectation_.incarnation.ToByteString()));
  EXPECT_EQ(store->revision(), expectation_.revision + kRevisionStep);
  EXPECT_FALSE(store->database().recovery().is_log_damaged);
  EXPECT_THAT(store->directory().ReadLastBackup(), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK(store->Put("projects", "new", "content"));
  EXPECT_GT(store->revision(), expectation_.revision + kRevisionStep);
  EXPECT_OK(store->Verify());
}

TEST_F(DataDirectoryRestoreTest, LeavesNoJunkAndNoPlaintext) {
  ASSERT_OK(Restore(files_));
  ASSERT_OK_AND_ASSIGN(const auto entries, ListDirectory(target_));
  std::vector<std::string> names;
  for (const DirectoryEntry& entry : entries) names.push_back(entry.name);
  EXPECT_THAT(names, ElementsAre("checkpoints", "db", "instance", "keys", "lock", "state"));
  for (const std::string& file : ListFiles(target_)) {
    EXPECT_THAT(file, Not(HasSubstr("/archive/")));
    EXPECT_THAT(ReadRaw(file), AllOf(Not(HasSubstr("projects")), Not(HasSubstr("xxxxxxxx"))))
        << file;
  }
}

TEST_F(DataDirectoryRestoreTest, RestoredStoreCanBeRestoredAgain) {
  ASSERT_OK(Restore(files_));
  {
    ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(target_, key_));
    ASSERT_OK(store->Put("projects", "new", "content"));
    ReadSource(*store);
  }
  ASSERT_OK(RemoveTree(target_));
  ASSERT_OK(Restore(files_));
  ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(target_, key_));
  EXPECT_THAT(store->ReadAll(), IsOkAndHolds(documents_));
  EXPECT_EQ(store->metadata().identity.earlier_incarnations_size(), 2);
}

TEST_F(DataDirectoryRestoreTest, FilesMayBeWrittenByManyThreads) {
  ASSERT_OK_AND_ASSIGN(const auto restore, Begin());
  {
    BoundedExecutor executor({.name = "restore", .threads = 4, .queue_max = 1});
    for (const auto& [name, content] : files_) {
      ASSERT_TRUE(executor.Schedule([&restore, &name = name, &content = content] {
        EXPECT_OK(WriteFile(*restore, name, content));
      }));
    }
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(executor.Schedule([&restore, i] {
        EXPECT_OK(WriteFile(*restore, absl::StrCat("instance/a/b/", i), "x", 0600));
      }));
    }
  }
  EXPECT_OK(restore->Finish(expectation_, nullptr, NoProgress));
  EXPECT_OK(TestStore::Open(target_, key_));
}

TEST_F(DataDirectoryRestoreTest, CopyGetsAStoreIdOfItsOwn) {
  const Id128 new_id = Id128::Generate();
  ASSERT_OK(Restore(files_, &new_id));
  ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(target_, key_));
  EXPECT_EQ(store->directory().store_id(), new_id);
  EXPECT_EQ(store->metadata().store_id(), new_id);
  EXPECT_THAT(store->ReadAll(), IsOkAndHolds(documents_));
  EXPECT_EQ(store->Digest(), expectation_.state_digest);
}

TEST_F(DataDirectoryRestoreTest, InstanceFilesComeBackWithMaskedModes) {
  ASSERT_OK_AND_ASSIGN(const auto restore, Begin());
  for (const auto& [name, content] : files_) ASSERT_OK(WriteFile(*restore, name, content));
  ASSERT_OK(WriteFile(*restore, "instance/config.toml", "[a]", 0644));
  ASSERT_OK(WriteFile(*restore, "instance/tls/key.pem", "key", 0600));
  ASSERT_OK(WriteFile(*restore, "instance/bin/run", "#!", 04755));
  ASSERT_OK(WriteFile(*restore, "instance/empty", "", 0400));
  ASSERT_OK(restore->Finish(expectation_, nullptr, NoProgress));
  const auto mode = [this](absl::string_view name) {
    return GetFileInfo(Target(name))->permissions;
  };
  EXPECT_EQ(ReadRaw(Target("instance/config.toml")), "[a]");
  EXPECT_EQ(mode("instance/config.toml"), mode_t{0600});
  EXPECT_EQ(mode("instance/tls/key.pem"), mode_t{0600});
  EXPECT_EQ(mode("instance/bin/run"), mode_t{0700});
  EXPECT_EQ(mode("instance/empty"), mode_t{0400});
  EXPECT_EQ(mode("instance/tls"), mode_t{0700});
}

TEST_F(DataDirectoryRestoreTest, OtherNamesAreRefused) {
  ASSERT_OK_AND_ASSIGN(const auto restore, Begin());
  for (const std::string& name :
       std::vector<std::string>{"",
                                "state",
                                "LOG",
                                "LOCK",
                                "IDENTITY",
                                "../000001.sst",
                                "/000001.sst",
                                "a/000001.sst",
                                "000001.sst/",
                                "1.sst",
                                "000001.SST",
                                "000001",
                                "00000x.log",
                                "MANIFEST-1",
                                "MANIFEST-",
                                "CURRENT.dbtmp",
                                "instance",
                                "instance/",
                                "instance//a",
                                "instance/../a",
                                "instance/a/..",
                                "instance/./a",
                                "instance/a\nb",
                                "instance/a\\b",
                                std::string("instance/a\0b", 12),
                                absl::StrCat("instance/", std::string(1025, 'a')),
                                absl::StrCat("instance/", std::string(300, 'a')),
                                "keys/x",
                                absl::StrCat(std::string(21, '0'), ".sst")}) {
    EXPECT_THAT(restore->CreateFile(name, 0600), StatusIs(kInvalidArgument)) << name;
  }
  ASSERT_OK(WriteFile(*restore, "000001.sst", "x"));
  EXPECT_THAT(restore->CreateFile("000001.sst", 0), StatusIs(kAlreadyExists));
}

TEST_F(DataDirectoryRestoreTest, FileThatWasNotClosedIsNoticed) {
  ASSERT_OK_AND_ASSIGN(const auto restore, Begin());
  for (const auto& [name, content] : files_) ASSERT_OK(WriteFile(*restore, name, content));
  ASSERT_OK(restore->CreateFile("instance/cut", 0600));
  EXPECT_THAT(restore->Finish(expectation_, nullptr, NoProgress),
              StatusIs(kFailedPrecondition, HasSubstr("instance/cut")));
}

TEST_F(DataDirectoryRestoreTest, EachDifferenceFromTheExpectationIsNamed) {
  const DataDirectoryRestore::Expectation good = expectation_;
  const std::vector<std::pair<std::function<void()>, std::string>> cases = {
      {[this] { expectation_.incarnation = Id128::Generate(); }, "incarnation"},
      {[this] { ++expectation_.revision; }, "revision"},
      {[this] { ++expectation_.document_count; }, "count of documents"},
      {[this] { expectation_.state_digest[31] ^= 1; }, "state digest"},
  };
  for (const auto& [change, words] : cases) {
    expectation_ = good;
    change();
    EXPECT_THAT(Restore(files_), StatusIs(kDataLoss, HasSubstr(words)));
    ExpectNothingLeft();
  }
  expectation_ = good;
  store_id_ = Id128::Generate();
  EXPECT_THAT(Restore(files_), StatusIs(kDataLoss, HasSubstr("store id")));
  ExpectNothingLeft();
}

TEST_F(DataDirectoryRestoreTest, TamperedDocumentIsFound) {
  // A database that RocksDB finds whole, with one document that is not what was written.
  {
    ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(dir_.Path("source"), source_key_));
    rocksdb::DB& db = store->database().db();
    const std::string key = EncodeDocumentKey("projects", "id100");
    std::string value;
    ASSERT_TRUE(db.Get({}, store->database().documents(), key, &value).ok());
    value.back() = 'y';
    ASSERT_TRUE(db.Put({}, store->database().documents(), key, value).ok());
    ASSERT_OK(store->Flush());
    ReadSource(*store);
  }
  EXPECT_THAT(Restore(files_), StatusIs(kDataLoss, HasSubstr("projects/id100")));
  ExpectNothingLeft();
}

TEST_F(DataDirectoryRestoreTest, EveryMissingFileIsFound) {
  for (const auto& [name, content] : files_) {
    if (name.find("OPTIONS-") == 0) continue;  // RocksDB writes it anew
    Files files = files_;
    files.erase(name);
    EXPECT_THAT(Restore(files), StatusIs(kDataLoss)) << name;
    ExpectNothingLeft();
  }
}

TEST_F(DataDirectoryRestoreTest, EveryCutFileIsFound) {
  for (const auto& [name, content] : files_) {
    if (name.find("OPTIONS-") == 0) continue;
    Files files = files_;
    files[name].resize(content.size() - 5);
    EXPECT_THAT(Restore(files), StatusIs(kDataLoss)) << name;
    ExpectNothingLeft();
  }
}

TEST_F(DataDirectoryRestoreTest, ProgressIsToldAndMayEndIt) {
  {
    ASSERT_OK_AND_ASSIGN(const auto restore, Begin());
    for (const auto& [name, content] : files_) ASSERT_OK(WriteFile(*restore, name, content));
    EXPECT_THAT(restore->Finish(expectation_, nullptr,
                                [](uint64_t) { return absl::CancelledError("interrupted"); }),
                StatusIs(absl::StatusCode::kCancelled, "interrupted"));
    EXPECT_THAT(restore->Finish(expectation_, nullptr, NoProgress), StatusIs(kFailedPrecondition));
    EXPECT_THAT(restore->CreateFile("000001.sst", 0), StatusIs(kFailedPrecondition));
  }
  ExpectNothingLeft();
  uint64_t documents_done = 0;
  ASSERT_OK_AND_ASSIGN(const auto restore, Begin());
  for (const auto& [name, content] : files_) ASSERT_OK(WriteFile(*restore, name, content));
  ASSERT_OK(restore->Finish(expectation_, nullptr, [&documents_done](uint64_t done) {
    documents_done = done;
    return absl::OkStatus();
  }));
  EXPECT_EQ(documents_done, expectation_.document_count);
}

TEST_F(DataDirectoryRestoreTest, AbandonedRestoreLeavesNothing) {
  {
    ASSERT_OK_AND_ASSIGN(const auto restore, Begin());
    ASSERT_OK(WriteFile(*restore, "000001.sst", "content"));
    ASSERT_OK(WriteFile(*restore, "instance/a", "content"));
    EXPECT_THAT(DataDirectory::Open(target_, key_), StatusIs(kFailedPrecondition));
    EXPECT_THAT(Begin(), StatusIs(absl::StatusCode::kAborted));
  }
  ExpectNothingLeft();
  EXPECT_OK(Restore(files_));
}

TEST_F(DataDirectoryRestoreTest, InterruptedRestoreIsRemovedByTheNext) {
  // What a process that was killed leaves: in the middle, and between the renames and the end.
  for (const bool is_renamed : {false, true}) {
    SCOPED_TRACE(is_renamed);
    ASSERT_OK(RemoveTree(target_));
    const std::string killed = dir_.Path(absl::StrCat("killed-", is_renamed));
    {
      ASSERT_OK_AND_ASSIGN(const auto restore, Begin());
      for (const auto& [name, content] : files_) ASSERT_OK(WriteFile(*restore, name, content));
      ASSERT_OK(WriteFile(*restore, "instance/old", "content"));
      if (is_renamed) {
        ASSERT_OK(restore->Finish(expectation_, nullptr, NoProgress));
      }
      CopyTree(target_, killed);
    }
    ASSERT_OK(RemoveTree(target_));
    CopyTree(killed, target_);
    if (is_renamed) {
      ASSERT_OK(RemoveFile(Target("state")));
      WriteRaw(Target("unfinished"), "restore\n");
    }
    EXPECT_THAT(DataDirectory::Open(target_, key_),
                StatusIs(kFailedPrecondition, HasSubstr("interrupted")));
    ASSERT_OK(Restore(files_));
    ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(target_, key_));
    EXPECT_THAT(store->ReadAll(), IsOkAndHolds(documents_));
    EXPECT_THAT(ListDirectory(Target("instance")), IsOkAndHolds(IsEmpty()));
    ASSERT_OK_AND_ASSIGN(const auto entries, ListDirectory(target_));
    EXPECT_THAT(entries, Not(Contains(Field(&DirectoryEntry::name, HasSubstr("restoring")))));
    EXPECT_EQ(ListFiles(Target("keys")).size(), 2u);
  }
}

TEST_F(DataDirectoryRestoreTest, MountPointIsFilledAndLeftAsItIs) {
  ASSERT_OK(MakeDirectories(Target("lost+found")));
  struct stat before;
  ASSERT_EQ(stat(target_.c_str(), &before), 0);
  ASSERT_OK(Restore(files_));
  struct stat after;
  ASSERT_EQ(stat(target_.c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_THAT(FileExists(Target("lost+found")), IsOkAndHolds(true));
  EXPECT_OK(TestStore::Open(target_, key_));
}

TEST_F(DataDirectoryRestoreTest, WhatIsThereIsNeverTouched) {
  ASSERT_OK(MakeDirectories(Target("db")));
  WriteRaw(Target("db/precious"), "data");
  EXPECT_THAT(Restore(files_), StatusIs(kAlreadyExists, HasSubstr("db")));
  ASSERT_OK(RemoveTree(Target("db")));
  // A folder with a telling name, but without the note that a restore was interrupted.
  ASSERT_OK(MakeDirectories(Target("db.restoring-0000")));
  EXPECT_THAT(Restore(files_), StatusIs(kAlreadyExists, HasSubstr("db.restoring-0000")));
  EXPECT_THAT(FileExists(Target("db.restoring-0000")), IsOkAndHolds(true));
  // With the note, but beside a file of somebody else.
  WriteRaw(Target("unfinished"), "restore\n");
  WriteRaw(Target("thesis.txt"), "years of work");
  EXPECT_THAT(Restore(files_), StatusIs(kAlreadyExists, HasSubstr("thesis.txt")));
  EXPECT_THAT(FileExists(Target("db.restoring-0000")), IsOkAndHolds(true));
  EXPECT_EQ(ReadRaw(Target("thesis.txt")), "years of work");
}

TEST_F(DataDirectoryRestoreTest, RefusalsAndFailuresLeaveNoTrace) {
  ASSERT_OK(MakeDirectories(target_));
  WriteRaw(Target("thesis.txt"), "years of work");
  EXPECT_THAT(DataDirectoryRestore::CheckTarget(target_), StatusIs(kAlreadyExists));
  EXPECT_THAT(Begin(), StatusIs(kAlreadyExists));
  EXPECT_THAT(ListDirectory(target_), IsOkAndHolds(SizeIs(1)));
  ASSERT_OK(RemoveFile(Target("thesis.txt")));

  // What was made goes with the restore, what was there before stays.
  EXPECT_OK(DataDirectoryRestore::CheckTarget(target_));
  EXPECT_OK(Begin());
  EXPECT_THAT(ListDirectory(target_), IsOkAndHolds(IsEmpty()));
  EXPECT_OK(DataDirectoryRestore::Begin(Target("made/deep"), key_, store_id_, kTestTime));
  EXPECT_THAT(ListDirectory(target_), IsOkAndHolds(IsEmpty()));
}

TEST_F(DataDirectoryRestoreTest, StoreThatIsThereIsRefused) {
  ASSERT_OK(Restore(files_));
  EXPECT_THAT(Restore(files_), StatusIs(kAlreadyExists, HasSubstr("data of a store already")));
  EXPECT_OK(TestStore::Open(target_, key_));
}

}  // namespace
}  // namespace holdfast
