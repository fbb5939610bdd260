#include "backup-agent/restore/restorer.h"

#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/database/data_directory.h"
#include "common/database/database.h"
#include "common/io/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fault_blob_store.h"
#include "tests/testing/memory_blob_store.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_backup.h"
#include "tests/testing/test_store.h"

namespace holdfast {
namespace {

using repository::v1::FileEntry;
using testing::AllOf;
using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;

using Documents = std::map<std::string, std::string>;

// A store of a few documents, in tables and a log, and a backup of it.
class RestorerTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(store_, MakeStore("store"));
    ASSERT_OK_AND_ASSIGN(documents_, store_->ReadAll());
    ASSERT_OK_AND_ASSIGN(
        manifest_,
        MakeTestBackup(blobs_, *store_, master_key_,
                       {.instance_files = {{"tls/server.crt", "a certificate"}, {"empty", ""}}}));
    ASSERT_OK_AND_ASSIGN(store_id_, StoreId::FromBytes(manifest_.summary.store_id()));
  }

  std::string Path(absl::string_view name) const { return directory_.Path(name); }

  absl::StatusOr<std::unique_ptr<TestStore>> MakeStore(absl::string_view name) {
    HOLDFAST_ASSIGN_OR_RETURN(auto store, TestStore::Open(Path(name), master_key_));
    for (int i = 0; i < 200; ++i) {
      HOLDFAST_RETURN_IF_ERROR(
          store->Put("users", absl::StrCat("user ", i), std::string(1000, 'x')));
      if (i == 100) HOLDFAST_RETURN_IF_ERROR(store->Flush());
    }
    HOLDFAST_RETURN_IF_ERROR(
        store->Put("projects", "one", absl::StrCat("{\"of\":\"", name, "\"}")));
    HOLDFAST_RETURN_IF_ERROR(store->Delete("users", "user 7"));
    return store;
  }

  absl::StatusOr<RestoreResult> Restore(const Restorer::Selection& selection = {},
                                        const RestoreOptions& options = {}) {
    HOLDFAST_ASSIGN_OR_RETURN(const auto restorer, Restorer::Open(faults_, master_key_, selection));
    return restorer->RestoreTo(Path("target"), options, cancellation_.token());
  }

  absl::StatusOr<Documents> ReadRestored() {
    HOLDFAST_ASSIGN_OR_RETURN(const auto store, TestStore::Open(Path("target"), master_key_));
    HOLDFAST_RETURN_IF_ERROR(store->Verify());
    return store->ReadAll();
  }

  // That a store would not open the target, and that the next restore into it works.
  void ExpectNothingOpenable() {
    EXPECT_THAT(
        DataDirectory::Open(Path("target"), master_key_),
        StatusIs(AnyOf(absl::StatusCode::kNotFound, absl::StatusCode::kFailedPrecondition)));
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(Path("target"), error)) {
      EXPECT_THAT(entry.path().filename().string(), AnyOf("lock", "lost+found"));
    }
  }

  std::string NewestBackupId() {
    const absl::StatusOr<std::unique_ptr<Restorer>> restorer =
        Restorer::Open(blobs_, master_key_, {});
    EXPECT_OK(restorer);
    return restorer.ok() ? (*restorer)->summary().backup_id() : "";
  }

  std::string ManifestPath() const { return BackupPath(store_id_, manifest_.summary.backup_id()); }
  // All objects of the backup.
  std::vector<std::string> ObjectPaths() const {
    std::vector<std::string> paths;
    for (const auto& object : manifest_.files.objects()) {
      paths.push_back(ObjectPath(store_id_, object.name()));
    }
    return paths;
  }

  TempDir directory_;
  MemoryBlobStore blobs_;
  FaultBlobStore faults_{blobs_};
  const MasterKey master_key_ = MasterKey::Generate();
  CancellationSource cancellation_;
  std::unique_ptr<TestStore> store_;
  Documents documents_;
  Manifest manifest_;
  StoreId store_id_;
};

TEST_F(RestorerTest, BringsBackWhatWasBackedUp) {
  ASSERT_OK_AND_ASSIGN(const RestoreResult result, Restore());
  EXPECT_THAT(ReadRestored(), IsOkAndHolds(documents_));
  EXPECT_EQ(result.store_id, store_id_);
  EXPECT_EQ(result.document_count, documents_.size());
  EXPECT_EQ(result.revision, manifest_.summary.revision());
  EXPECT_EQ(AsText(result.state_digest), manifest_.summary.state_digest());
  EXPECT_EQ(result.file_count, manifest_.summary.file_count());
  EXPECT_EQ(result.size_bytes, manifest_.summary.size_bytes());
  EXPECT_NE(result.new_incarnation.ToByteString(), manifest_.summary.incarnation());

  ASSERT_OK_AND_ASSIGN(const auto restored, DataDirectory::Open(Path("target"), master_key_));
  EXPECT_EQ(restored->store_id(), store_id_);
  EXPECT_EQ(restored->state().restored_from_backup_id(), manifest_.summary.backup_id());
}

TEST_F(RestorerTest, PutsInstanceFilesWithMaskedModes) {
  ASSERT_OK_AND_ASSIGN(const RestoreResult result, Restore());
  EXPECT_THAT(result.instance_files, ElementsAre("empty", "tls/server.crt"));
  EXPECT_THAT(ReadFile(Path("target/instance/tls/server.crt"), 100), IsOkAndHolds("a certificate"));
  EXPECT_THAT(ReadFile(Path("target/instance/empty"), 100), IsOkAndHolds(""));
  ASSERT_OK_AND_ASSIGN(const FileInfo info, GetFileInfo(Path("target/instance/tls/server.crt")));
  EXPECT_EQ(info.permissions, 0600);
}

TEST_F(RestorerTest, TakesTheLatestByLineageAndTheOneThatIsNamed) {
  ASSERT_OK(store_->Put("projects", "two", "{}"));
  ASSERT_OK_AND_ASSIGN(
      const Manifest second,
      MakeTestBackup(blobs_, *store_, master_key_,
                     {.ordinal = 2, .previous_backup_id = manifest_.summary.backup_id()}));
  ASSERT_OK_AND_ASSIGN(const auto latest, Restorer::Open(blobs_, master_key_, {}));
  EXPECT_EQ(latest->summary().backup_id(), second.summary.backup_id());

  ASSERT_OK(Restore({.backup_id = manifest_.summary.backup_id()}));
  EXPECT_THAT(ReadRestored(), IsOkAndHolds(documents_));
}

TEST_F(RestorerTest, ReadsFilesThatLieInSeveralExtents) {
  ASSERT_OK(MakeTestBackup(
      blobs_, *store_, master_key_,
      {.ordinal = 2, .previous_backup_id = manifest_.summary.backup_id(), .splits_a_file = true}));
  ASSERT_OK(Restore());
  EXPECT_THAT(ReadRestored(), IsOkAndHolds(documents_));
}

TEST_F(RestorerTest, MakesACopyWithAStoreIdOfItsOwn) {
  ASSERT_OK_AND_ASSIGN(const RestoreResult result, Restore({}, {.as_new_store = true}));
  EXPECT_NE(result.store_id, store_id_);
  ASSERT_OK_AND_ASSIGN(const auto restored, DataDirectory::Open(Path("target"), master_key_));
  EXPECT_EQ(restored->store_id(), result.store_id);
  EXPECT_OK(OpenDatabase(restored->env(), restored->database_path(), OpenMode::kServe));
}

TEST_F(RestorerTest, RestoresIntoAMountPoint) {
  std::filesystem::create_directories(Path("target/lost+found"));
  ASSERT_OK(Restore());
  EXPECT_THAT(ReadRestored(), IsOkAndHolds(documents_));
}

TEST_F(RestorerTest, RefusesATargetThatHoldsAnything) {
  std::filesystem::create_directories(Path("target"));
  WriteRaw(Path("target/mine"), "something");
  EXPECT_THAT(Restore(), StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("mine")));
  EXPECT_EQ(ReadRaw(Path("target/mine")), "something");

  std::filesystem::remove(Path("target/mine"));
  ASSERT_OK(Restore());
  EXPECT_THAT(Restore(), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(ReadRestored(), IsOkAndHolds(documents_));
}

TEST_F(RestorerTest, RefusesAWrongKeyBeforeAnythingIsTouched) {
  const MasterKey other = MasterKey::Generate();
  EXPECT_THAT(Restorer::Open(blobs_, other, {}),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       AllOf(HasSubstr(other.fingerprint().ToText()),
                             HasSubstr(master_key_.fingerprint().ToText()))));
  EXPECT_FALSE(std::filesystem::exists(Path("target")));
}

TEST_F(RestorerTest, NeedsAStoreIdWhereThereAreSeveralStores) {
  ASSERT_OK_AND_ASSIGN(const auto other_store, MakeStore("other store"));
  ASSERT_OK_AND_ASSIGN(const Documents others, other_store->ReadAll());
  ASSERT_OK_AND_ASSIGN(const Manifest other, MakeTestBackup(blobs_, *other_store, master_key_));
  ASSERT_OK_AND_ASSIGN(const StoreId other_id, StoreId::FromBytes(other.summary.store_id()));
  EXPECT_THAT(Restore(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(store_id_.ToText()), HasSubstr(other_id.ToText()))));
  ASSERT_OK(Restore({.store_id = other_id}));
  EXPECT_THAT(ReadRestored(), IsOkAndHolds(others));
}

TEST_F(RestorerTest, SaysWhatThereIsWhereANameIsWrong) {
  EXPECT_THAT(Restore({.store_id = StoreId::Generate()}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(store_id_.ToText())));
  EXPECT_THAT(Restore({.backup_id = "20200101T000000.000Z-00000000"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(manifest_.summary.backup_id())));
  EXPECT_THAT(Restore({.backup_id = "yesterday"}), StatusIs(absl::StatusCode::kNotFound));
  MemoryBlobStore empty;
  EXPECT_THAT(Restorer::Open(empty, master_key_, {}), StatusIs(absl::StatusCode::kNotFound));
}

// --- Damage ----------------------------------------------------------------------------------

TEST_F(RestorerTest, FindsAFlippedBitInEveryFileThatItNeeds) {
  for (const auto& [path, bytes] : blobs_.Contents()) {
    SCOPED_TRACE(path);
    // There is the other of the two.
    const bool is_needed = path != kRepositoryFileName && path != kRepositoryFileCopyName;
    for (const size_t offset : {size_t{0}, bytes.size() / 2, bytes.size() - 1}) {
      SCOPED_TRACE(offset);
      std::string flipped = bytes;
      flipped[offset] = static_cast<char>(flipped[offset] ^ 0x04);
      blobs_.Write(path, flipped);
      const absl::StatusOr<RestoreResult> result = Restore();
      if (is_needed) {
        EXPECT_THAT(result, StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)));
        ExpectNothingOpenable();
      } else {
        EXPECT_OK(result);
        EXPECT_THAT(ReadRestored(), IsOkAndHolds(documents_));
        std::filesystem::remove_all(Path("target"));
      }
      blobs_.Write(path, bytes);
    }
  }
  ASSERT_OK(Restore());
}

TEST_F(RestorerTest, TellsACutObjectAndNamesIt) {
  for (const std::string& path : ObjectPaths()) {
    SCOPED_TRACE(path);
    const std::string bytes = blobs_.Read(path);
    for (const size_t size : {bytes.size() - 1, bytes.size() / 2, size_t{1}, size_t{0}}) {
      blobs_.Write(path, bytes.substr(0, size));
      EXPECT_THAT(Restore(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)));
      ExpectNothingOpenable();
    }
    blobs_.Write(path, bytes);
  }
}

TEST_F(RestorerTest, TellsAMissingObjectAndNamesIt) {
  for (const std::string& path : ObjectPaths()) {
    const std::string bytes = blobs_.Read(path);
    blobs_.Remove(path);
    EXPECT_THAT(Restore(), StatusIs(absl::StatusCode::kDataLoss,
                                    AllOf(HasSubstr(path), HasSubstr("missing"))));
    ExpectNothingOpenable();
    blobs_.Write(path, bytes);
  }
}

TEST_F(RestorerTest, TellsARenamedObjectAndItsNewName) {
  const std::string path = ObjectPaths().front();
  const std::string other = ObjectPath(
      store_id_, MakeObjectName(Id128::Generate().bytes(), absl::FromUnixSeconds(1'700'000'000)));
  blobs_.Rename(path, other);
  EXPECT_THAT(Restore(), StatusIs(absl::StatusCode::kDataLoss,
                                  AllOf(HasSubstr(absl::StrCat(path, ": missing")),
                                        HasSubstr(absl::StrCat("renamed to ", other)))));
  ExpectNothingOpenable();
}

TEST_F(RestorerTest, TellsSwappedObjectsAndNamesBoth) {
  const std::vector<std::string> paths = ObjectPaths();
  ASSERT_GE(paths.size(), 2);
  blobs_.Swap(paths[0], paths[1]);
  EXPECT_THAT(Restore(),
              StatusIs(absl::StatusCode::kDataLoss,
                       AllOf(HasSubstr(paths[0]), HasSubstr(paths[1]), HasSubstr("swapped"))));
  ExpectNothingOpenable();
}

TEST_F(RestorerTest, TellsAnObjectThatWasCopiedOverAnother) {
  const std::vector<std::string> paths = ObjectPaths();
  blobs_.Write(paths[0], blobs_.Read(paths[1]));
  EXPECT_THAT(Restore(), StatusIs(absl::StatusCode::kDataLoss,
                                  AllOf(HasSubstr(paths[0]),
                                        HasSubstr(absl::StrCat("holds the bytes of ", paths[1])))));
}

TEST_F(RestorerTest, NeverTakesAnOlderBackupForOneThatItCannotRead) {
  const std::string older = manifest_.summary.backup_id();
  ASSERT_OK_AND_ASSIGN(manifest_, MakeTestBackup(blobs_, *store_, master_key_,
                                                 {.ordinal = 2, .previous_backup_id = older}));
  const std::string bytes = blobs_.Read(ManifestPath());
  blobs_.Write(ManifestPath(), bytes.substr(0, 200));
  EXPECT_THAT(Restore(), StatusIs(absl::StatusCode::kDataLoss,
                                  AllOf(HasSubstr(ManifestPath()), HasSubstr(older))));
  EXPECT_OK(Restore({.backup_id = older}));
}

TEST_F(RestorerTest, IsNotKeptFromTheLatestByAnOlderManifestThatIsDamaged) {
  const std::string older_path = ManifestPath();
  ASSERT_OK(MakeTestBackup(blobs_, *store_, master_key_,
                           {.ordinal = 2, .previous_backup_id = manifest_.summary.backup_id()}));
  blobs_.Write(older_path, "garbage");
  EXPECT_OK(Restore());
}

// The repository is whole, but what it holds is not what it says.
TEST_F(RestorerTest, FindsABackupThatWasMadeOfOtherBytes) {
  const auto second_with = [this](std::function<void(Manifest&)> edit) {
    return MakeTestBackup(blobs_, *store_, master_key_,
                          {.ordinal = 2,
                           .previous_backup_id = manifest_.summary.backup_id(),
                           .instance_files = {{"app.conf", "x"}},
                           .edit_manifest = std::move(edit)});
  };
  for (const FileEntry::Kind kind :
       {FileEntry::KIND_TABLE, FileEntry::KIND_CURRENT, FileEntry::KIND_INSTANCE}) {
    std::string name;
    ASSERT_OK(second_with([&](Manifest& manifest) {
      for (FileEntry& file : *manifest.files.mutable_files()) {
        if (file.kind() != kind) continue;
        name = file.name();
        file.mutable_xxh3_128()->front() ^= 1;
        break;
      }
    }));
    ASSERT_NE(name, "") << FileEntry::Kind_Name(kind);
    EXPECT_THAT(Restore(), StatusIs(absl::StatusCode::kDataLoss,
                                    AllOf(HasSubstr(name), HasSubstr("checksum"))));
    ExpectNothingOpenable();
    blobs_.Remove(BackupPath(store_id_, NewestBackupId()));
  }
}

TEST_F(RestorerTest, FindsADatabaseThatIsNotTheOneThatTheBackupTellsOf) {
  const std::vector<std::function<void(repository::v1::BackupSummary&)>> lies = {
      [](auto& summary) { summary.set_document_count(summary.document_count() + 1); },
      [](auto& summary) { summary.set_revision(summary.revision() - 1); },
      [](auto& summary) { summary.mutable_state_digest()->front() ^= 1; },
      [](auto& summary) { summary.mutable_incarnation()->front() ^= 1; }};
  for (const auto& lie : lies) {
    ASSERT_OK(
        MakeTestBackup(blobs_, *store_, master_key_,
                       {.ordinal = 2,
                        .previous_backup_id = manifest_.summary.backup_id(),
                        .edit_manifest = [&lie](Manifest& manifest) { lie(manifest.summary); }}));
    EXPECT_THAT(Restore(),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("not what was backed up")));
    ExpectNothingOpenable();
    blobs_.Remove(BackupPath(store_id_, NewestBackupId()));
  }
}

TEST_F(RestorerTest, DoesNotCallADestinationThatIsGoneDamaged) {
  faults_.Inject({.operation = FaultBlobStore::Operation::kRead,
                  .name_contains = "objects/",
                  .after_calls = 1,
                  .times = 1000,
                  .status = absl::UnavailableError("share gone")});
  faults_.Inject({.operation = FaultBlobStore::Operation::kStat,
                  .times = 1000,
                  .status = absl::UnavailableError("share gone")});
  EXPECT_THAT(Restore(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("share gone")));
  ExpectNothingOpenable();
}

// --- Interruptions ---------------------------------------------------------------------------

TEST_F(RestorerTest, LeavesNothingWhenCancelledWhileItWritesFiles) {
  RestoreOptions options;
  options.on_progress = [this](const RestoreProgress& progress) {
    if (progress.bytes_done > progress.bytes_total / 2) {
      cancellation_.Cancel(absl::CancelledError("interrupted"));
    }
  };
  EXPECT_THAT(Restore({}, options), StatusIs(absl::StatusCode::kCancelled, "interrupted"));
  ExpectNothingOpenable();
}

TEST_F(RestorerTest, LeavesNothingWhenCancelledWhileItProvesDocuments) {
  RestoreOptions options;
  options.on_progress = [this](const RestoreProgress& progress) {
    if (progress.phase == RestoreProgress::Phase::kDocuments) {
      cancellation_.Cancel(absl::CancelledError("interrupted"));
    }
  };
  EXPECT_THAT(Restore({}, options), StatusIs(absl::StatusCode::kCancelled));
  ExpectNothingOpenable();
}

TEST_F(RestorerTest, BeginsAfreshWhereARestoreWasKilled) {
  // What a process that was killed left: its folders, and the file that says so.
  {
    ASSERT_OK_AND_ASSIGN(const auto killed, DataDirectoryRestore::Begin(Path("killed"), master_key_,
                                                                        store_id_, kTestTime));
    ASSERT_OK_AND_ASSIGN(const auto file, killed->CreateFile("000099.sst", 0));
    ASSERT_OK(file->Append(AsBytes("half")));
    CopyTree(Path("killed"), Path("target"));
  }
  EXPECT_THAT(DataDirectory::Open(Path("target"), master_key_),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK(Restore());
  EXPECT_THAT(ReadRestored(), IsOkAndHolds(documents_));
}

TEST_F(RestorerTest, ReportsProgressThatEndsAtItsTotals) {
  RestoreProgress last;
  uint64_t calls = 0;
  RestoreOptions options;
  options.on_progress = [&](const RestoreProgress& progress) {
    EXPECT_GE(progress.bytes_done, last.bytes_done);
    EXPECT_GE(progress.files_done, last.files_done);
    last = progress;
    ++calls;
  };
  ASSERT_OK(Restore({}, options));
  EXPECT_GT(calls, 0);
  EXPECT_EQ(last.files_done, last.files_total);
  EXPECT_EQ(last.bytes_done, manifest_.summary.size_bytes());
  EXPECT_EQ(last.bytes_total, manifest_.summary.size_bytes());
  EXPECT_EQ(last.documents_done, documents_.size());
  EXPECT_EQ(last.documents_total, documents_.size());
}

}  // namespace
}  // namespace holdfast
