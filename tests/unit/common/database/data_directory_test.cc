#include "common/database/data_directory.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/crypto/hash.h"
#include "common/io/file_lock.h"
#include "common/io/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/log_capture.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_store.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
constexpr auto kAlreadyExists = absl::StatusCode::kAlreadyExists;
constexpr auto kFailedPrecondition = absl::StatusCode::kFailedPrecondition;

class DataDirectoryTest : public testing::Test {
 protected:
  void Create() { ASSERT_OK(DataDirectory::Create(path_, key_, kTestTime)); }
  absl::Status TryOpen() { return DataDirectory::Open(path_, key_).status(); }
  std::string Path(absl::string_view name) const { return absl::StrCat(path_, "/", name); }
  std::string KeyFile(int copy) const { return FindFile(Path("keys"), absl::StrCat(".", copy)); }

  const TempDir dir_;
  const std::string path_ = dir_.Path("data");
  const MasterKey key_ = MasterKey::Generate();
};

TEST_F(DataDirectoryTest, NewOneOpens) {
  Create();
  ASSERT_OK_AND_ASSIGN(const auto directory, DataDirectory::Open(path_, key_));
  EXPECT_NE(directory->store_id(), Id128());
  EXPECT_EQ(directory->path(), path_);
  EXPECT_EQ(directory->database_path(), Path("db"));
  EXPECT_EQ(directory->state().create_time_us(), absl::ToUnixMicros(kTestTime));
  EXPECT_THAT(directory->state().restored_from_backup_id(), IsEmpty());
  ASSERT_OK_AND_ASSIGN(
      const auto database,
      OpenDatabase(directory->env(), directory->database_path(), OpenMode::kServe));
  ASSERT_OK_AND_ASSIGN(const DatabaseMetadata metadata, ReadMetadata(database->db()));
  EXPECT_EQ(metadata.store_id(), directory->store_id());
  EXPECT_EQ(metadata.head.revision(), 0u);
  EXPECT_EQ(metadata.head.commit_time_us(), absl::ToUnixMicros(kTestTime));
  EXPECT_EQ(metadata.digest.document_count(), 0u);
}

TEST_F(DataDirectoryTest, OnlyTheOwnerMayLookIntoIt) {
  Create();
  for (const absl::string_view name : {"", "keys", "db", "checkpoints", "instance"}) {
    ASSERT_OK_AND_ASSIGN(const FileInfo info, GetFileInfo(Path(name)));
    EXPECT_EQ(info.permissions, mode_t{0700}) << name;
  }
  for (const std::string& file : {Path("state"), KeyFile(1), KeyFile(2)}) {
    ASSERT_OK_AND_ASSIGN(const FileInfo info, GetFileInfo(file));
    EXPECT_EQ(info.permissions, mode_t{0600}) << file;
  }
}

TEST_F(DataDirectoryTest, NothingThereIsNotFound) {
  EXPECT_THAT(TryOpen(), StatusIs(absl::StatusCode::kNotFound, HasSubstr("holdfast init")));
  ASSERT_OK(MakeDirectories(path_));
  EXPECT_THAT(TryOpen(), StatusIs(absl::StatusCode::kNotFound, HasSubstr("holdfast init")));
  ASSERT_OK(MakeDirectories(Path("lost+found")));
  EXPECT_THAT(TryOpen(), StatusIs(absl::StatusCode::kNotFound, HasSubstr("holdfast init")));
}

TEST_F(DataDirectoryTest, UnfinishedIsRefused) {
  Create();
  ASSERT_OK(RemoveFile(Path("state")));
  EXPECT_THAT(TryOpen(), StatusIs(kFailedPrecondition, HasSubstr("state file is missing")));
  WriteRaw(Path("unfinished"), "restore\n");
  EXPECT_THAT(TryOpen(), StatusIs(kFailedPrecondition, HasSubstr("interrupted")));
}

TEST_F(DataDirectoryTest, WrongKeyNamesBothFingerprints) {
  Create();
  const MasterKey other = MasterKey::Generate();
  EXPECT_THAT(DataDirectory::Open(path_, other),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       AllOf(HasSubstr(key_.fingerprint().ToText()),
                             HasSubstr(other.fingerprint().ToText()))));
  EXPECT_OK(TryOpen());
}

TEST_F(DataDirectoryTest, DamagedKeyCopyIsReplacedByTheOther) {
  Create();
  const std::string good = ReadRaw(KeyFile(1));
  for (const int copy : {1, 2}) {
    for (const std::string& bytes :
         {std::string(), good.substr(0, 100), good.substr(0, good.size() - 1), good + "x",
          std::string("foreign")}) {
      const std::string file = KeyFile(copy);
      WriteRaw(file, bytes);
      const LogCapture log;
      EXPECT_OK(TryOpen());
      EXPECT_EQ(ReadRaw(file), good);
      EXPECT_THAT(log.lines(), Contains(AllOf(HasSubstr("WARN"), HasSubstr("data key"))));
    }
    for (size_t offset = 0; offset < good.size(); offset += 13) {
      FlipByte(KeyFile(copy), static_cast<int64_t>(offset));
      const LogCapture log;
      EXPECT_OK(TryOpen()) << offset;
      EXPECT_EQ(ReadRaw(KeyFile(copy)), good) << offset;
    }
    const std::string file = KeyFile(copy);
    ASSERT_OK(RemoveFile(file));
    const LogCapture log;
    EXPECT_OK(TryOpen());
    EXPECT_EQ(ReadRaw(file), good);
  }
}

TEST_F(DataDirectoryTest, DamagedKeyCopyThatCannotBeReplacedIsNoReasonNotToOpen) {
  Create();
  const std::string file = KeyFile(1);
  ASSERT_OK(RemoveFile(file));
  // What cannot be replaced, also by root: a folder.
  ASSERT_OK(MakeDirectories(file + "/x"));
  const LogCapture log;
  EXPECT_OK(TryOpen());
  EXPECT_THAT(log.lines(), Contains(AllOf(HasSubstr("WARN"), HasSubstr("cannot be replaced now"),
                                          HasSubstr(file))));
}

TEST_F(DataDirectoryTest, BothKeyCopiesDamagedIsDataLoss) {
  Create();
  const std::string good = ReadRaw(KeyFile(1));
  FlipByte(KeyFile(1), 200);
  FlipByte(KeyFile(2), 20);
  EXPECT_THAT(TryOpen(),
              StatusIs(kDataLoss, AllOf(HasSubstr("both copies"), HasSubstr("restore"))));
  EXPECT_NE(ReadRaw(KeyFile(1)), good);
}

TEST_F(DataDirectoryTest, BothKeyCopiesMissingIsDataLoss) {
  Create();
  ASSERT_OK(RemoveFile(KeyFile(1)));
  ASSERT_OK(RemoveFile(KeyFile(2)));
  EXPECT_THAT(TryOpen(), StatusIs(kDataLoss, HasSubstr("missing")));
  ASSERT_OK(RemoveTree(Path("keys")));
  EXPECT_THAT(TryOpen(), StatusIs(kDataLoss, HasSubstr("keys")));
}

TEST_F(DataDirectoryTest, KeyFileOfAnotherStoreIsRefused) {
  Create();
  const std::string other = dir_.Path("other");
  ASSERT_OK(DataDirectory::Create(other, key_, kTestTime));
  const std::string theirs = ReadRaw(FindFile(other + "/keys", ".1"));
  WriteRaw(KeyFile(1), theirs);
  WriteRaw(KeyFile(2), theirs);
  EXPECT_THAT(TryOpen(), StatusIs(kDataLoss, HasSubstr("both copies")));
}

TEST_F(DataDirectoryTest, DamagedStateIsDataLoss) {
  Create();
  const std::string good = ReadRaw(Path("state"));
  for (size_t offset = 0; offset < good.size(); ++offset) {
    WriteRaw(Path("state"), good);
    FlipByte(Path("state"), static_cast<int64_t>(offset));
    EXPECT_THAT(TryOpen(), StatusIs(kDataLoss, HasSubstr("state"))) << offset;
  }
  for (size_t size = 0; size < good.size(); ++size) {
    WriteRaw(Path("state"), good.substr(0, size));
    EXPECT_THAT(TryOpen(), StatusIs(kDataLoss, HasSubstr("state"))) << size;
  }
}

TEST_F(DataDirectoryTest, NewerVersionIsToldApart) {
  Create();
  store::v1::DataDirectoryState state;
  {
    ASSERT_OK_AND_ASSIGN(const auto directory, DataDirectory::Open(path_, key_));
    state = directory->state();
  }
  state.set_format_version(2);
  const std::string framed = absl::StrCat("HFSTATE\n", state.SerializeAsString());
  WriteRaw(Path("state"), absl::StrCat(framed, AsText(Blake2b128({AsBytes(framed)}))));
  EXPECT_THAT(TryOpen(), StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("newer Holdfast")));
}

TEST_F(DataDirectoryTest, OpenInThisProcessKeepsTheSecondOut) {
  Create();
  ASSERT_OK_AND_ASSIGN(auto directory, DataDirectory::Open(path_, key_));
  EXPECT_THAT(TryOpen(), StatusIs(absl::StatusCode::kAborted, HasSubstr(absl::StrCat(getpid()))));
  EXPECT_THAT(DataDirectory::Create(path_, key_, kTestTime), StatusIs(kAlreadyExists));
  directory.reset();
  EXPECT_OK(TryOpen());
}

TEST_F(DataDirectoryTest, LockedByAnotherProcessNamesIt) {
  Create();
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto lock = FileLock::Acquire(Path("lock"));
    HOLDFAST_CHECK(lock.ok() && write(ready[1], "x", 1) == 1);
    for (;;) pause();
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_THAT(TryOpen(), StatusIs(absl::StatusCode::kAborted, HasSubstr(absl::StrCat(child))));
  ASSERT_EQ(kill(child, SIGKILL), 0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_OK(TryOpen());
  close(ready[0]);
  close(ready[1]);
}

TEST_F(DataDirectoryTest, CreateNeverOverwrites) {
  Create();
  const std::string state = ReadRaw(Path("state"));
  EXPECT_THAT(DataDirectory::Create(path_, key_, kTestTime),
              StatusIs(kAlreadyExists, HasSubstr("data of a store already")));
  EXPECT_EQ(ReadRaw(Path("state")), state);
  // Also where only the state file is gone.
  ASSERT_OK(RemoveFile(Path("state")));
  EXPECT_THAT(DataDirectory::Create(path_, key_, kTestTime),
              StatusIs(kAlreadyExists, HasSubstr("not empty")));
  EXPECT_THAT(FileExists(Path("db/CURRENT")), IsOkAndHolds(true));
}

TEST_F(DataDirectoryTest, CreateRefusesForeignFiles) {
  ASSERT_OK(MakeDirectories(path_));
  WriteRaw(Path("thesis.txt"), "years of work");
  EXPECT_THAT(DataDirectory::Create(path_, key_, kTestTime),
              StatusIs(kAlreadyExists, HasSubstr("thesis.txt")));
  EXPECT_THAT(DataDirectory::CheckTarget(path_), StatusIs(kAlreadyExists));
  EXPECT_THAT(FileExists(Path("lock")), IsOkAndHolds(false));
  // Nor beside an unfinished creation.
  WriteRaw(Path("unfinished"), "creation\n");
  EXPECT_THAT(DataDirectory::Create(path_, key_, kTestTime),
              StatusIs(kAlreadyExists, HasSubstr("thesis.txt")));
  EXPECT_EQ(ReadRaw(Path("thesis.txt")), "years of work");
}

TEST_F(DataDirectoryTest, CreateInAMountPoint) {
  ASSERT_OK(MakeDirectories(Path("lost+found")));
  Create();
  EXPECT_OK(TryOpen());
  EXPECT_THAT(FileExists(Path("lost+found")), IsOkAndHolds(true));
}

TEST_F(DataDirectoryTest, CreationThatWasCutIsBegunAfresh) {
  // What each step leaves.
  for (const int step : {0, 1, 2, 3}) {
    SCOPED_TRACE(step);
    ASSERT_OK(RemoveTree(path_));
    Create();
    ASSERT_OK(RemoveFile(Path("state")));
    WriteRaw(Path("unfinished"), "creation\n");
    WriteRaw(Path(".tmp-0123"), "cut");
    if (step <= 2) {
      ASSERT_OK(RemoveTree(Path("db/CURRENT")));
    }
    if (step <= 1) {
      ASSERT_OK(RemoveTree(Path("db")));
    }
    if (step <= 0) {
      ASSERT_OK(RemoveTree(Path("keys")));
    }
    EXPECT_THAT(TryOpen(), StatusIs(kFailedPrecondition));
    Create();
    EXPECT_OK(TryOpen());
    EXPECT_THAT(FileExists(Path("unfinished")), IsOkAndHolds(false));
  }
}

TEST_F(DataDirectoryTest, CreationCutAfterItsLastStepIsFinished) {
  Create();
  WriteRaw(Path("unfinished"), "creation\n");
  EXPECT_THAT(DataDirectory::Create(path_, key_, kTestTime), StatusIs(kAlreadyExists));
  EXPECT_OK(TryOpen());
  EXPECT_THAT(FileExists(Path("unfinished")), IsOkAndHolds(false));
}

TEST_F(DataDirectoryTest, CreateLeavesAnInterruptedRestoreAlone) {
  ASSERT_OK(MakeDirectories(Path("db.restoring-0000")));
  WriteRaw(Path("unfinished"), "restore\n");
  EXPECT_THAT(DataDirectory::Create(path_, key_, kTestTime),
              StatusIs(kAlreadyExists, HasSubstr("interrupted restore")));
  EXPECT_THAT(FileExists(Path("db.restoring-0000")), IsOkAndHolds(true));
}

TEST_F(DataDirectoryTest, CheckpointsDoNotOutliveTheProcess) {
  Create();
  ASSERT_OK(MakeDirectories(Path("checkpoints/one")));
  WriteRaw(Path("checkpoints/one/000001.sst"), "linked");
  EXPECT_OK(TryOpen());
  EXPECT_THAT(ListDirectory(Path("checkpoints")), IsOkAndHolds(IsEmpty()));
}

TEST_F(DataDirectoryTest, LastBackupComesBack) {
  Create();
  ASSERT_OK_AND_ASSIGN(const auto directory, DataDirectory::Open(path_, key_));
  EXPECT_THAT(directory->ReadLastBackup(), StatusIs(absl::StatusCode::kNotFound));
  store::v1::LastBackup last_backup;
  for (const char* const report : {"first", "second"}) {
    last_backup.set_backup_report(report);
    ASSERT_OK(directory->WriteLastBackup(last_backup));
    ASSERT_OK_AND_ASSIGN(const auto read, directory->ReadLastBackup());
    EXPECT_EQ(read.backup_report(), report);
  }
  FlipByte(Path("last-backup"), 12);
  EXPECT_THAT(directory->ReadLastBackup(), StatusIs(kDataLoss, HasSubstr("last-backup")));
}

TEST_F(DataDirectoryTest, MissingDatabaseIsDataLoss) {
  Create();
  ASSERT_OK(RemoveTree(Path("db")));
  EXPECT_THAT(TryOpen(), StatusIs(kDataLoss, HasSubstr("db is missing")));
}

TEST_F(DataDirectoryTest, NoKeyIsInTheClear) {
  Create();
  const std::string key_text(key_.ToText().text());
  const std::string key_bytes(AsText(key_.DeriveDataKeyWrap().bytes()));
  for (const std::string& file : ListFiles(path_)) {
    EXPECT_THAT(ReadRaw(file), Not(HasSubstr(key_text))) << file;
    EXPECT_THAT(ReadRaw(file), Not(HasSubstr(key_bytes))) << file;
  }
}

}  // namespace
}  // namespace holdfast
