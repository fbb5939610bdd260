#include "common/database/database.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/exit_code.h"
#include "common/crypto/key_source.h"
#include "common/database/database_verifier.h"
#include "common/database/document_record.h"
#include "common/database/rocksdb_status.h"
#include "common/io/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rocksdb/file_system.h"
#include "tests/testing/log_capture.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_store.h"

extern char** environ;

namespace holdfast {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr size_t kLogBlockSizeBytes = 32768;

std::string ContentOf(int i) { return absl::StrCat("content-", i, std::string(200, 'x')); }

// A data directory with `document_count` documents, all of them in one log, and with the database
// closed as if the process had been killed: what is in the log is nowhere else.
class LogRecoveryTest : public testing::Test {
 protected:
  // Where each commit ends in the log file, the prefix counted.
  void Write(int document_count, size_t content_padding = 0) {
    ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(original_, key_));
    log_name_ = FindFile(original_ + "/db", ".log").substr((original_ + "/db/").size());
    for (int i = 0; i < document_count; ++i) {
      ASSERT_OK(store->Put("projects", absl::StrCat("id", i),
                           ContentOf(i) + std::string(content_padding, 'y')));
      commit_ends_.push_back(ReadRaw(original_ + "/db/" + log_name_).size());
    }
    CopyTree(original_, copy_);
    ASSERT_EQ(ReadRaw(LogPath()).size(), commit_ends_.back());
  }

  std::string LogPath() const { return absl::StrCat(copy_, "/db/", log_name_); }

  // Makes the directory anew, with other bytes in the log.
  void ResetWithLog(absl::string_view bytes) {
    ASSERT_OK(RemoveTree(copy_));
    CopyTree(original_, copy_);
    WriteRaw(LogPath(), bytes);
  }

  absl::StatusOr<std::unique_ptr<TestStore>> Open() { return TestStore::Open(copy_, key_); }

  // Exactly the first `count` documents are there, and head and digest agree with them.
  void ExpectFirst(const TestStore& store, size_t count) {
    ASSERT_OK_AND_ASSIGN(const auto documents, store.ReadAll());
    EXPECT_EQ(documents.size(), count);
    for (size_t i = 0; i < count; ++i) {
      EXPECT_EQ(documents.count(absl::StrCat("projects/id", i)), 1u) << i;
    }
    EXPECT_OK(store.Verify());
  }

  const TempDir dir_;
  const MasterKey key_ = MasterKey::Generate();
  const std::string original_ = dir_.Path("original");
  const std::string copy_ = dir_.Path("copy");
  std::string log_name_;
  std::vector<size_t> commit_ends_;
};

TEST_F(LogRecoveryTest, WholeLogIsReplayed) {
  Write(20);
  const LogCapture log;
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  ExpectFirst(*store, 20);
  EXPECT_FALSE(store->database().recovery().is_log_damaged);
  EXPECT_THAT(store->database().recovery().message, IsEmpty());
  EXPECT_EQ(store->revision(), 20u);
  EXPECT_THAT(log.lines(), Not(Contains(HasSubstr("ERROR"))));
  EXPECT_THAT(log.lines(), Not(Contains(HasSubstr("WARN"))));
}

TEST_F(LogRecoveryTest, TornLogOpensWithAllThatWasWhole) {
  Write(3);
  const std::string whole = ReadRaw(LogPath());
  std::vector<size_t> sizes = {0, 1, 2048, 4095, 4096, 4097, 4100, 4103, 4104};
  for (const size_t end : commit_ends_) {
    for (const size_t before : {0, 1, 5, 7, 8, 100}) sizes.push_back(end - before);
  }
  sizes.push_back(commit_ends_[1] + 1);
  sizes.push_back(commit_ends_[1] + 6);
  sizes.push_back(commit_ends_[1] + 7);
  for (const size_t size : sizes) {
    SCOPED_TRACE(size);
    ResetWithLog(whole.substr(0, size));
    const LogCapture log;
    ASSERT_OK_AND_ASSIGN(const auto store, Open());
    size_t count = 0;
    while (count < commit_ends_.size() && commit_ends_[count] <= size) ++count;
    if (size < commit_ends_[0] && size < kAtRestPrefixSizeBytes + 300) count = 0;
    ExpectFirst(*store, count);
    EXPECT_FALSE(store->database().recovery().is_log_damaged);
    EXPECT_THAT(log.lines(), Not(Contains(HasSubstr("ERROR"))));
    // And it can be written to, and opened again.
    ASSERT_OK(store->Put("later", "id", "content"));
  }
}

TEST_F(LogRecoveryTest, TailOfNoiseIsNoDamage) {
  Write(3);
  const std::string whole = ReadRaw(LogPath());
  // What a file system leaves where the length reached the disk and the data did not.
  for (const size_t size : {size_t{1}, size_t{7}, size_t{512}, size_t{4096}, kLogBlockSizeBytes,
                            3 * kLogBlockSizeBytes}) {
    for (const size_t cut : {size_t{0}, size_t{50}}) {
      SCOPED_TRACE(absl::StrCat(size, " ", cut));
      ResetWithLog(whole.substr(0, whole.size() - cut) + std::string(size, '\0'));
      const LogCapture log;
      ASSERT_OK_AND_ASSIGN(const auto store, Open());
      ExpectFirst(*store, cut == 0 ? 3 : 2);
      EXPECT_FALSE(store->database().recovery().is_log_damaged);
      EXPECT_THAT(store->database().recovery().message, HasSubstr("never acknowledged"));
      EXPECT_THAT(log.lines(), Contains(HasSubstr("ended in bytes that cannot be read")));
      EXPECT_THAT(log.lines(), Not(Contains(HasSubstr("ERROR"))));
    }
  }
}

TEST_F(LogRecoveryTest, BatchTornInItsMiddleIsNoDamage) {
  Write(3, 3 * kLogBlockSizeBytes);
  std::string bytes = ReadRaw(LogPath());
  // The pages of the last batch reached the disk out of order: its second block did not.
  const size_t begin = commit_ends_[1] + kLogBlockSizeBytes;
  bytes.replace(begin, kLogBlockSizeBytes, kLogBlockSizeBytes, '\0');
  ResetWithLog(bytes);
  const LogCapture log;
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  ExpectFirst(*store, 2);
  EXPECT_FALSE(store->database().recovery().is_log_damaged);
}

TEST_F(LogRecoveryTest, FlippedByteInTheMiddleIsReportedWithWhatIsGone) {
  Write(10);
  std::string bytes = ReadRaw(LogPath());
  bytes[commit_ends_[3] + 30] ^= 0x10;
  ResetWithLog(bytes);
  Id128 incarnation;
  {
    const LogCapture log;
    ASSERT_OK_AND_ASSIGN(const auto store, Open());
    ExpectFirst(*store, 4);
    const RecoveryReport& report = store->database().recovery();
    EXPECT_TRUE(report.is_log_damaged);
    EXPECT_EQ(report.lost_from_revision, 5u);
    EXPECT_THAT(report.message, HasSubstr(log_name_));
    EXPECT_THAT(log.lines(), Contains(testing::AllOf(HasSubstr("ERROR"), HasSubstr("lost"),
                                                     HasSubstr("lost_from_revision=5"))));
    // The revisions 5 to 10 were given, and are never given again.
    EXPECT_EQ(store->revision(), 4 + kRevisionStep);
    EXPECT_EQ(store->metadata().identity.earlier_incarnations_size(), 1);
    incarnation = store->metadata().incarnation();
    ASSERT_OK(store->Put("later", "id", "content"));
  }
  // It is told once, and the database is whole afterwards.
  const LogCapture log;
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  EXPECT_FALSE(store->database().recovery().is_log_damaged);
  EXPECT_EQ(store->revision(), 5 + kRevisionStep);
  EXPECT_EQ(store->metadata().incarnation(), incarnation);
  EXPECT_OK(store->Verify());
  EXPECT_THAT(log.lines(), IsEmpty());
}

// RocksDB alone takes some of these for a torn tail, and drops acknowledged writes without a word.
TEST_F(LogRecoveryTest, NoFlippedByteLosesAWriteSilently) {
  Write(4);
  const std::string whole = ReadRaw(LogPath());
  SeededRandom random;
  std::vector<size_t> offsets;
  size_t begin = kAtRestPrefixSizeBytes;
  for (const size_t end : commit_ends_) {
    for (size_t i = 0; i < 8; ++i) offsets.push_back(begin + i);  // the header
    for (size_t i = 0; i < 4; ++i) offsets.push_back(begin + random.Uniform(end - begin));
    begin = end;
  }
  for (const size_t offset : offsets) {
    SCOPED_TRACE(offset);
    std::string bytes = whole;
    bytes[offset] = static_cast<char>(bytes[offset] ^ (1 << random.Uniform(8)));
    ResetWithLog(bytes);
    const LogCapture log;
    ASSERT_OK_AND_ASSIGN(const auto store, Open());
    size_t count = 0;
    while (commit_ends_[count] <= offset) ++count;
    ExpectFirst(*store, count);
    // The last batch is the only one for which damage and a crash look the same.
    EXPECT_EQ(store->database().recovery().is_log_damaged, count < 3);
    EXPECT_THAT(store->database().recovery().message, Not(IsEmpty()));
    EXPECT_EQ(store->database().recovery().lost_from_revision, count < 3 ? count + 1 : 0);
  }
}

TEST_F(LogRecoveryTest, DamageThatSpansBlocksIsReported) {
  Write(40, 5000);
  std::string bytes = ReadRaw(LogPath());
  bytes.replace(commit_ends_[5] + 10, 2 * kLogBlockSizeBytes, 2 * kLogBlockSizeBytes, '\x5a');
  ResetWithLog(bytes);
  const LogCapture log;
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  ExpectFirst(*store, 6);
  EXPECT_TRUE(store->database().recovery().is_log_damaged);
  EXPECT_EQ(store->database().recovery().lost_from_revision, 7u);
}

TEST_F(LogRecoveryTest, DamageIsNotForgottenWhenRecoveryIsCutOff) {
  Write(3);
  // As after a crash between RocksDB's recovery and the new incarnation.
  WriteRaw(copy_ + "/db" + kLogDamagedSuffix, "damaged\n");
  {
    const LogCapture log;
    ASSERT_OK_AND_ASSIGN(const auto store, Open());
    ExpectFirst(*store, 3);
    EXPECT_TRUE(store->database().recovery().is_log_damaged);
    EXPECT_EQ(store->database().recovery().lost_from_revision, 4u);
    EXPECT_EQ(store->revision(), 3 + kRevisionStep);
  }
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  EXPECT_FALSE(store->database().recovery().is_log_damaged);
}

TEST_F(LogRecoveryTest, DamageOfALogThatIsNoLongerNeededLosesNothing) {
  Write(10);
  std::string bytes = ReadRaw(LogPath());
  bytes[commit_ends_[3] + 30] ^= 0x10;
  {
    ASSERT_OK_AND_ASSIGN(const auto store, Open());
    ASSERT_OK(store->Flush());
  }
  // As if it had been waiting for its removal: with damaged content, then with a damaged prefix,
  // then without one.
  std::string lost = bytes;
  lost.replace(0, kAtRestPrefixSizeBytes, kAtRestPrefixSizeBytes, '\0');
  for (const size_t offset : {commit_ends_[3] + 31, size_t{40}, size_t{0}}) {
    bytes[offset] ^= 0x10;
    if (offset == 0) bytes = lost;
    WriteRaw(LogPath(), bytes);
    const LogCapture log;
    ASSERT_OK_AND_ASSIGN(const auto store, Open());
    EXPECT_OK(store->ReadLiveFiles());
    ExpectFirst(*store, 10);
    EXPECT_FALSE(store->database().recovery().is_log_damaged);
    EXPECT_EQ(store->revision(), 10u);
    EXPECT_THAT(FileExists(copy_ + "/db" + kLogDamagedSuffix), IsOkAndHolds(false));
    EXPECT_THAT(log.lines(), Not(Contains(HasSubstr("ERROR"))));
  }
}

TEST_F(LogRecoveryTest, LostPrefixOfALogIsReportedWithWhatIsGone) {
  Write(3);
  std::string bytes = ReadRaw(LogPath());
  bytes.replace(0, kAtRestPrefixSizeBytes, kAtRestPrefixSizeBytes, '\0');
  ResetWithLog(bytes);
  {
    const LogCapture log;
    ASSERT_OK_AND_ASSIGN(const auto store, Open());
    ExpectFirst(*store, 0);
    const RecoveryReport& report = store->database().recovery();
    EXPECT_TRUE(report.is_log_damaged);
    EXPECT_EQ(report.lost_from_revision, 1u);
    EXPECT_THAT(report.message, HasSubstr(log_name_));
    EXPECT_THAT(log.lines(), Contains(testing::AllOf(HasSubstr("ERROR"), HasSubstr("lost"))));
    EXPECT_EQ(store->revision(), kRevisionStep);
    EXPECT_EQ(store->metadata().identity.earlier_incarnations_size(), 1);
    ASSERT_OK(store->Put("later", "id", "content"));
    EXPECT_OK(store->ReadLiveFiles());
  }
  const LogCapture log;
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  EXPECT_FALSE(store->database().recovery().is_log_damaged);
  EXPECT_EQ(store->revision(), 1 + kRevisionStep);
  EXPECT_OK(store->Verify());
  EXPECT_THAT(log.lines(), IsEmpty());
}

TEST_F(LogRecoveryTest, NothingBehindALostLogIsReplayed) {
  Write(3);
  // A second log, which goes on where the first one ends, as while a flush is under way.
  std::string second_name;
  {
    ASSERT_OK_AND_ASSIGN(const auto store, Open());
    second_name = FindFile(copy_ + "/db", ".log").substr((copy_ + "/db/").size());
    ASSERT_OK(store->Put("later", "id", "content"));
  }
  const std::string second = ReadRaw(absl::StrCat(copy_, "/db/", second_name));
  std::string bytes = ReadRaw(absl::StrCat(original_, "/db/", log_name_));
  bytes.replace(0, kAtRestPrefixSizeBytes, kAtRestPrefixSizeBytes, '\0');
  ResetWithLog(bytes);
  ASSERT_NE(second_name, log_name_);
  WriteRaw(absl::StrCat(copy_, "/db/", second_name), second);
  const LogCapture log;
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  ExpectFirst(*store, 0);
  EXPECT_TRUE(store->database().recovery().is_log_damaged);
  EXPECT_EQ(store->database().recovery().lost_from_revision, 1u);
  EXPECT_OK(store->ReadLiveFiles());
}

TEST_F(LogRecoveryTest, DamageIsToldOnceWhereverItIs) {
  Write(3);
  // With the first batch all that was in memory is lost, and RocksDB has nothing to flush.
  std::string bytes = ReadRaw(LogPath());
  bytes[kAtRestPrefixSizeBytes + 30] ^= 0x10;
  ResetWithLog(bytes);
  {
    const LogCapture log;
    ASSERT_OK_AND_ASSIGN(const auto store, Open());
    ExpectFirst(*store, 0);
    EXPECT_TRUE(store->database().recovery().is_log_damaged);
  }
  const LogCapture log;
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  EXPECT_FALSE(store->database().recovery().is_log_damaged);
  EXPECT_EQ(store->metadata().identity.earlier_incarnations_size(), 1);
  EXPECT_THAT(log.lines(), IsEmpty());
}

TEST_F(LogRecoveryTest, LogThatIsGoneIsReported) {
  Write(3);
  for (const std::string& file : ListFiles(copy_ + "/db")) {
    if (absl::EndsWith(file, ".log") && !absl::StrContains(file, "archive")) {
      ASSERT_OK(RemoveFile(file));
    }
  }
  {
    const LogCapture log;
    ASSERT_OK_AND_ASSIGN(const auto store, Open());
    ExpectFirst(*store, 0);
    EXPECT_TRUE(store->database().recovery().is_log_damaged);
    EXPECT_THAT(store->database().recovery().message, HasSubstr("no *.log"));
    EXPECT_EQ(store->revision(), kRevisionStep);
    EXPECT_THAT(log.lines(), Contains(testing::AllOf(HasSubstr("ERROR"), HasSubstr("lost"))));
  }
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  EXPECT_FALSE(store->database().recovery().is_log_damaged);
}

TEST_F(LogRecoveryTest, HarmlessDamageStaysHarmlessWhenRecoveryIsCutOff) {
  Write(3);
  // As after a crash before the note of a damaged log that was not needed was removed: the log
  // itself is gone, and only the note tells what lay behind the damage.
  const std::string note = copy_ + "/db" + kLogDamagedSuffix;
  WriteRaw(note, "the write-ahead log 000004.log is damaged from byte 5 on\nsequence behind: 2\n");
  {
    const LogCapture log;
    ASSERT_OK_AND_ASSIGN(const auto store, Open());
    ExpectFirst(*store, 3);
    EXPECT_FALSE(store->database().recovery().is_log_damaged);
    EXPECT_EQ(store->revision(), 3u);
    EXPECT_EQ(store->metadata().identity.earlier_incarnations_size(), 0);
    EXPECT_THAT(log.lines(), Not(Contains(HasSubstr("ERROR"))));
    EXPECT_THAT(FileExists(note), IsOkAndHolds(false));
  }
  WriteRaw(note,
           "the write-ahead log 000004.log is damaged from byte 5 on\n"
           "sequence behind: 1000000\n");
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  EXPECT_TRUE(store->database().recovery().is_log_damaged);
  EXPECT_EQ(store->database().recovery().lost_from_revision, 4u);
  EXPECT_THAT(FileExists(note), IsOkAndHolds(false));
}

TEST_F(LogRecoveryTest, NoteOfADamagedLogKeepsWhatLiesBehindTheDamage) {
  Write(10);
  std::string bytes = ReadRaw(LogPath());
  bytes[commit_ends_[3] + 30] ^= 0x10;
  ResetWithLog(bytes);
  // Opening is cut off as soon as the note is there.
  ASSERT_OK(RemoveFile(FindFile(copy_ + "/db", "CURRENT")));
  EXPECT_THAT(Open(), Not(IsOk()));
  EXPECT_THAT(ReadRaw(copy_ + "/db" + kLogDamagedSuffix),
              testing::ContainsRegex("damaged from byte [0-9]+ on\nsequence behind: [1-9]"));
}

TEST_F(LogRecoveryTest, DamagedPrefixOfALogIsDataLossAndChangesNothing) {
  Write(3);
  FlipByte(LogPath(), 40);
  const std::string before = ReadRaw(LogPath());
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(log_name_)));
  EXPECT_EQ(ReadRaw(LogPath()), before);
  EXPECT_THAT(FileExists(copy_ + "/db" + kLogDamagedSuffix), IsOkAndHolds(false));
}

TEST_F(LogRecoveryTest, RestoreAcceptsNoFaultOfALog) {
  Write(3);
  const std::string whole = ReadRaw(LogPath());
  for (const size_t cut : {size_t{1}, commit_ends_[2] - commit_ends_[1] - 3}) {
    ResetWithLog(whole.substr(0, whole.size() - cut));
    ASSERT_OK_AND_ASSIGN(const auto directory, DataDirectory::Open(copy_, key_));
    EXPECT_THAT(OpenDatabase(directory->env(), directory->database_path(), OpenMode::kRestore),
                StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(DatabaseTest, FlippedByteInATableIsFound) {
  const TempDir dir;
  const MasterKey key = MasterKey::Generate();
  {
    ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(dir.Path("data"), key));
    SeededRandom random;
    for (int i = 0; i < 50; ++i) {
      ASSERT_OK(store->Put("projects", absl::StrCat(i), random.Hex(500)));
    }
    ASSERT_OK(store->Flush());
  }
  // The table of the documents is the larger one.
  std::string largest;
  size_t largest_size = 0;
  for (const std::string& path : ListFiles(dir.Path("data/db"))) {
    if (path.find(".sst") != std::string::npos && ReadRaw(path).size() > largest_size) {
      largest = path;
      largest_size = ReadRaw(path).size();
    }
  }
  FlipByte(largest, kAtRestPrefixSizeBytes + 5000);
  ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(dir.Path("data"), key));
  EXPECT_THAT(store->Verify(), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(StatusFromRocksDb(store->database().db().VerifyFileChecksums({}), "verify"),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST(DatabaseTest, MissingTableIsNotOpened) {
  const TempDir dir;
  const MasterKey key = MasterKey::Generate();
  {
    ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(dir.Path("data"), key));
    ASSERT_OK(store->Put("projects", "a", "b"));
    ASSERT_OK(store->Flush());
  }
  ASSERT_OK(RemoveFile(FindFile(dir.Path("data/db"), ".sst")));
  const LogCapture log;
  EXPECT_THAT(TestStore::Open(dir.Path("data"), key), Not(IsOk()));
}

// Each file but the tables and logs, damaged and cut in every way: served, or an error that says
// what to do. Never the end of the process, which RocksDB's asserts would make of some.
TEST(DatabaseTest, DamagedSmallFileIsDataLossOrOfNoImportance) {
  const TempDir dir;
  const MasterKey key = MasterKey::Generate();
  {
    ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(dir.Path("original"), key));
    ASSERT_OK(store->Put("projects", "a", "b"));
  }
  for (const absl::string_view part : {"IDENTITY", "CURRENT", "OPTIONS-", "MANIFEST-"}) {
    std::string file;
    for (const std::string& path : ListFiles(dir.Path("original/db"))) {
      if (absl::StrContains(path, part)) file = path.substr(dir.Path("original").size());
    }
    ASSERT_FALSE(file.empty()) << part;
    const std::string whole = ReadRaw(dir.Path("original") + file);
    std::vector<std::string> damaged = {"x", whole.substr(0, kAtRestPrefixSizeBytes - 1),
                                        whole.substr(0, kAtRestPrefixSizeBytes), ""};
    for (const size_t offset : {size_t{0}, size_t{40}, kAtRestPrefixSizeBytes}) {
      damaged.push_back(whole);
      damaged.back()[offset] ^= 1;
    }
    const bool is_needed = part == "CURRENT" || part == "MANIFEST-";
    for (const std::string& bytes : damaged) {
      SCOPED_TRACE(absl::StrCat(file, " of ", bytes.size()));
      ASSERT_OK(RemoveTree(dir.Path("copy")));
      CopyTree(dir.Path("original"), dir.Path("copy"));
      WriteRaw(dir.Path("copy") + file, bytes);
      const LogCapture log;
      if (is_needed) {
        EXPECT_THAT(TestStore::Open(dir.Path("copy"), key),
                    StatusIs(absl::StatusCode::kDataLoss, HasSubstr("holdfast restore")));
      } else {
        ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(dir.Path("copy"), key));
        EXPECT_OK(store->Verify());
        EXPECT_EQ(store->metadata().digest.document_count(), 1u);
      }
    }
    ASSERT_OK(RemoveTree(dir.Path("copy")));
    CopyTree(dir.Path("original"), dir.Path("copy"));
    ASSERT_OK(RemoveFile(dir.Path("copy") + file));
    const LogCapture log;
    if (is_needed) {
      EXPECT_THAT(TestStore::Open(dir.Path("copy"), key),
                  StatusIs(absl::StatusCode::kDataLoss, HasSubstr("holdfast restore")));
    } else {
      EXPECT_OK(TestStore::Open(dir.Path("copy"), key));
    }
  }
}

// A file system that lets nobody read one file.
class DenyingFileSystem : public rocksdb::FileSystemWrapper {
 public:
  explicit DenyingFileSystem(std::string denied)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), denied_(std::move(denied)) {}

  const char* Name() const override { return "Denying"; }

  rocksdb::IOStatus NewSequentialFile(const std::string& path, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* result,
                                      rocksdb::IODebugContext* context) override {
    if (path == denied_) return rocksdb::IOStatus::IOError(path, "Permission denied");
    return target()->NewSequentialFile(path, options, result, context);
  }

 private:
  const std::string denied_;
};

TEST(DatabaseTest, FileThatMayNotBeReadIsDeniedByTheSystem) {
  const TempDir dir;
  const std::string path = dir.Path("db");
  { ASSERT_OK(OpenDatabase(rocksdb::Env::Default(), path, OpenMode::kCreate)); }
  for (const absl::string_view part : {"IDENTITY", "CURRENT", "MANIFEST-", ".log"}) {
    SCOPED_TRACE(std::string(part));
    std::string file;
    for (const std::string& name : ListFiles(path)) {
      if (absl::StrContains(name, part)) file = name;
    }
    const auto env = rocksdb::NewCompositeEnv(std::make_shared<DenyingFileSystem>(file));
    const LogCapture log;
    const auto opened = OpenDatabase(env.get(), path, OpenMode::kServe);
    EXPECT_THAT(opened, StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr(file)));
    EXPECT_EQ(ExitCodeFor(opened.status()), kExitFailure);
  }
}

TEST(DatabaseTest, LeftoversOfACrashDoNoHarm) {
  const TempDir dir;
  const MasterKey key = MasterKey::Generate();
  {
    ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(dir.Path("data"), key));
    ASSERT_OK(store->Put("projects", "a", "b"));
  }
  // Cut in their prefix: a table, a temporary file, a log; and a foreign file.
  WriteRaw(dir.Path("data/db/000900.sst"), "cut");
  WriteRaw(dir.Path("data/db/000901.dbtmp"), "cut");
  WriteRaw(dir.Path("data/db/000902.log"), "cut");
  WriteRaw(dir.Path("data/db/notes.txt"), "foreign");
  const LogCapture log;
  ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(dir.Path("data"), key));
  EXPECT_OK(store->Verify());
  EXPECT_EQ(store->metadata().digest.document_count(), 1u);
}

TEST(DatabaseTest, RocksDbKeepsNoLogOfItsOwn) {
  const TempDir dir;
  const MasterKey key = MasterKey::Generate();
  { ASSERT_OK(TestStore::Open(dir.Path("data"), key)); }
  for (const std::string& path : ListFiles(dir.Path("data"))) {
    EXPECT_THAT(path, Not(HasSubstr("/LOG"))) << path;
  }
}

TEST(DatabaseTest, CreatingOverADatabaseIsRefused) {
  const TempDir dir;
  const MasterKey key = MasterKey::Generate();
  ASSERT_OK(DataDirectory::Create(dir.Path("data"), key, kTestTime));
  ASSERT_OK_AND_ASSIGN(const auto directory, DataDirectory::Open(dir.Path("data"), key));
  EXPECT_THAT(OpenDatabase(directory->env(), directory->database_path(), OpenMode::kCreate),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(DatabaseVerifierTest, FindsADocumentThatWasChangedMissingOrAdded) {
  const TempDir dir;
  ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(dir.Path("data"), MasterKey::Generate()));
  ASSERT_OK(store->Put("projects", "a", "1"));
  ASSERT_OK(store->Put("projects", "b", "2"));
  ASSERT_OK(store->Verify());
  rocksdb::DB& db = store->database().db();
  rocksdb::ColumnFamilyHandle* const documents = store->database().documents();
  const std::string a = EncodeDocumentKey("projects", "a");
  std::string value;
  ASSERT_TRUE(db.Get({}, documents, a, &value).ok());

  std::string changed = value;
  changed.back() = '9';
  ASSERT_TRUE(db.Put({}, documents, a, changed).ok());
  EXPECT_THAT(store->Verify(), StatusIs(absl::StatusCode::kDataLoss,
                                        HasSubstr("document projects/a: it is not what")));

  ASSERT_TRUE(db.Delete({}, documents, a).ok());
  EXPECT_THAT(store->Verify(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("has 1 documents")));

  // Another document in its place, with a hash that fits it.
  ASSERT_OK_AND_ASSIGN(DocumentRecord record, DecodeDocumentRecord(value));
  record.hash = HashDocument(store->metadata().DigestKey(), "projects", "c", record);
  ASSERT_TRUE(
      db.Put({}, documents, EncodeDocumentKey("projects", "c"), EncodeDocumentRecord(record)).ok());
  EXPECT_THAT(store->Verify(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("other documents")));

  ASSERT_TRUE(db.Put({}, documents, "foreign", "x").ok());
  EXPECT_THAT(store->Verify(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("no document")));
}

// More tables than there are ranges, that overlap, of more than one collection.
TEST(DatabaseVerifierTest, DocumentsInManyTablesAreEachCountedOnce) {
  constexpr int kTables = 100;
  constexpr int kDocumentsPerTable = 20;
  const TempDir dir;
  ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(dir.Path("data"), MasterKey::Generate()));
  ASSERT_TRUE(store->database()
                  .db()
                  .SetOptions(store->database().documents(), {{"disable_auto_compactions", "true"}})
                  .ok());
  for (int table = 0; table < kTables; ++table) {
    for (int i = 0; i < kDocumentsPerTable; ++i) {
      ASSERT_OK(store->Put(i % 2 == 0 ? "projects" : "users",
                           absl::StrCat((table * 37 + i * 11) % 1000, "-", table), "1"));
    }
    ASSERT_TRUE(store->database().db().Flush({}, store->database().documents()).ok());
  }
  ASSERT_OK(store->Verify());
  uint64_t documents_done = 0;
  ASSERT_OK(VerifyDocuments(store->database(), store->metadata(), [&](uint64_t done) {
    EXPECT_GE(done, documents_done);
    documents_done = done;
    return absl::OkStatus();
  }));
  EXPECT_EQ(documents_done, kTables * kDocumentsPerTable);

  // One that is missing is found wherever it was.
  rocksdb::DB& db = store->database().db();
  ASSERT_TRUE(
      db.Delete({}, store->database().documents(), EncodeDocumentKey("users", "11-0")).ok());
  EXPECT_THAT(store->Verify(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("users has 999")));
}

TEST(DatabaseVerifierTest, ErrorOfTheProgressCallbackEndsIt) {
  const TempDir dir;
  ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(dir.Path("data"), MasterKey::Generate()));
  ASSERT_OK(store->Put("projects", "a", "1"));
  EXPECT_THAT(VerifyDocuments(store->database(), store->metadata(),
                              [](uint64_t) { return absl::CancelledError("enough"); }),
              StatusIs(absl::StatusCode::kCancelled, "enough"));
}

// --- A writer that is killed -------------------------------------------------------------------

constexpr int kAcknowledgementFd = 3;

TEST(DatabaseTest, KilledWriterLosesNothingThatWasAcknowledged) {
  const TempDir dir;
  const MasterKey key = MasterKey::Generate();
  const std::string path = dir.Path("data");
  const std::string key_file = dir.Path("master.key");
  ASSERT_OK(WriteMasterKeyFile(key_file, key));
  ASSERT_OK(DataDirectory::Create(path, key, kTestTime));
  uint64_t revision = 0;
  for (const int acknowledged_min : {1, 20, 150}) {
    int fds[2];
    ASSERT_EQ(pipe(fds), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], kAcknowledgementFd);
    std::string writer = HOLDFAST_TEST_WRITER;
    std::string path_argument = path;
    std::string key_argument = key_file;
    char* const argv[] = {writer.data(), path_argument.data(), key_argument.data(), nullptr};
    pid_t child = 0;
    ASSERT_EQ(posix_spawn(&child, argv[0], &actions, nullptr, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    uint64_t acknowledged = 0;
    std::array<char, 64> buffer;
    while (acknowledged < static_cast<uint64_t>(acknowledged_min)) {
      const ssize_t size = read(fds[0], buffer.data(), buffer.size());
      ASSERT_GT(size, 0);
      acknowledged += static_cast<uint64_t>(size);
    }
    ASSERT_EQ(kill(child, SIGKILL), 0);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    for (ssize_t size = 1; size > 0;) {
      size = read(fds[0], buffer.data(), buffer.size());
      if (size > 0) acknowledged += static_cast<uint64_t>(size);
    }
    close(fds[0]);

    ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(path, key));
    EXPECT_GE(store->revision(), revision + acknowledged);
    EXPECT_LE(store->revision(), revision + acknowledged + 1);
    EXPECT_FALSE(store->database().recovery().is_log_damaged);
    EXPECT_OK(store->Verify());
    revision = store->revision();
  }
}

}  // namespace
}  // namespace holdfast
