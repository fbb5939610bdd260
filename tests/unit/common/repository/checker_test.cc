#include "common/repository/checker.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/io/xxh3_stream.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fault_blob_store.h"
#include "tests/testing/memory_blob_store.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/common/repository/test_backups.h"

namespace holdfast {
namespace {

using repository::v1::Extent;
using repository::v1::FileEntry;
using repository::v1::Mark;
using repository::v1::ObjectEntry;
using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Matcher;
using testing::SizeIs;
using testing::UnorderedElementsAre;

std::string Flip(std::string bytes, size_t offset) {
  bytes.at(offset) = static_cast<char>(bytes.at(offset) ^ 1);
  return bytes;
}

template <typename Ids>
Matcher<const CheckFinding&> Finding(const std::string& path, absl::StatusCode code,
                                     const std::string& message, const Ids& backup_ids) {
  return AllOf(Field("path", &CheckFinding::path, path),
               Field("status", &CheckFinding::status, StatusIs(code, HasSubstr(message))),
               Field("backup_ids", &CheckFinding::backup_ids, backup_ids));
}

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;

// Two backups: the second has one table of its own, and shares the others.
class CheckerTest : public testing::Test {
 protected:
  CheckerTest() {
    TestBackups::Files files = SmallStoreFiles(backups_.random);
    first_ = backups_.Write(files);
    files.erase("000009.sst");
    files["000021.sst"] = std::string(100'000, 'n');
    second_ = backups_.Write(files);
    first_paths_ = backups_.ObjectPaths(first_);
    second_paths_ = backups_.ObjectPaths(second_);
    shared_ = first_paths_.at("000007.sst");
    EXPECT_EQ(second_paths_.at("000007.sst"), shared_);
  }

  CheckReport Check(bool read_data) {
    const auto store = backups_.Reopen();
    auto report =
        CheckStore(*store, {.read_data = read_data, .on_progress = nullptr}, Cancellation());
    EXPECT_OK(report);
    return report.ok() ? *std::move(report) : CheckReport();
  }

  // What is wrong whether data is read or not.
  void ExpectFindings(const Matcher<const std::vector<CheckFinding>&>& matcher) {
    EXPECT_THAT(Check(false).findings, matcher) << "without data";
    EXPECT_THAT(Check(true).findings, matcher) << "with data";
  }

  TestBackups backups_;
  std::string first_;
  std::string second_;
  std::map<std::string, std::string> first_paths_;
  std::map<std::string, std::string> second_paths_;
  std::string shared_;
};

TEST_F(CheckerTest, DamageOfTheFileOfTheRepositoryOrItsCopyIsTold) {
  const std::string whole = backups_.blobs.Read("holdfast.json");
  for (const std::string path : {"holdfast.json", "holdfast-copy.json"}) {
    backups_.blobs.Write(path, Flip(whole, 20));
    ExpectFindings(ElementsAre(Finding(path, kDataLoss, "checksum", IsEmpty())));
    backups_.blobs.Remove(path);
    ExpectFindings(ElementsAre(Finding(path, absl::StatusCode::kNotFound, "missing", IsEmpty())));
    backups_.blobs.Write(path, whole);
    ExpectFindings(IsEmpty());
  }
}

TEST_F(CheckerTest, AllIsWell) {
  for (const bool read_data : {false, true}) {
    const CheckReport report = Check(read_data);
    EXPECT_THAT(report.findings, IsEmpty());
    EXPECT_THAT(report.foreign_names, IsEmpty());
    EXPECT_EQ(report.backups_checked, 2u);
    EXPECT_EQ(report.objects_checked, 6u);  // four tables and blob files, two bundles
    EXPECT_EQ(report.unnamed_objects, 0u);
  }
}

TEST_F(CheckerTest, AnObjectOfManyBackupsIsReadOnce) {
  uint64_t object_bytes = 0;
  for (const auto& [path, bytes] : backups_.blobs.Contents()) {
    if (absl::StrContains(path, "/objects/")) object_bytes += bytes.size();
  }
  const CheckReport report = Check(true);
  EXPECT_GE(report.bytes_read, object_bytes);
  EXPECT_LT(report.bytes_read, object_bytes + 10'000);
  EXPECT_LT(Check(false).bytes_read, 10'000u);
}

TEST_F(CheckerTest, ProgressReachesItsEnd) {
  const auto store = backups_.Reopen();
  std::vector<CheckProgress> told;
  ASSERT_OK(
      CheckStore(*store,
                 {.read_data = true,
                  .on_progress = [&](const CheckProgress& progress) { told.push_back(progress); }},
                 Cancellation()));
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.front().objects_done, 0u);
  EXPECT_EQ(told.back().objects_done, 6u);
  EXPECT_EQ(told.back().objects_total, 6u);
  EXPECT_EQ(told.back().bytes_done, told.back().bytes_total);
  for (size_t i = 1; i < told.size(); ++i) EXPECT_GE(told[i].bytes_done, told[i - 1].bytes_done);
}

TEST_F(CheckerTest, AMissingObjectIsToldWithTheBackupsThatNeedIt) {
  backups_.blobs.Remove(shared_);
  backups_.blobs.Remove(first_paths_.at("000009.sst"));
  ExpectFindings(UnorderedElementsAre(
      Finding(shared_, absl::StatusCode::kNotFound, "missing", ElementsAre(first_, second_)),
      Finding(first_paths_.at("000009.sst"), absl::StatusCode::kNotFound, "missing",
              ElementsAre(first_))));
}

TEST_F(CheckerTest, ACutObjectTellsHowMuchIsLeft) {
  const std::string sealed = backups_.blobs.Read(shared_);
  backups_.blobs.Write(shared_, sealed.substr(0, 1000));
  ExpectFindings(ElementsAre(Finding(shared_, kDataLoss,
                                     absl::StrCat("cut short: 1000 of ", sealed.size(), " bytes"),
                                     ElementsAre(first_, second_))));
  backups_.blobs.Write(shared_, sealed.substr(0, 10));
  ExpectFindings(ElementsAre(Finding(shared_, kDataLoss, "cut short", testing::SizeIs(2))));
  backups_.blobs.Write(shared_, "");
  ExpectFindings(ElementsAre(Finding(shared_, kDataLoss, "cut short", testing::SizeIs(2))));
  backups_.blobs.Write(shared_, sealed + "more");
  ExpectFindings(ElementsAre(Finding(shared_, kDataLoss, "bytes appended", testing::SizeIs(2))));
}

TEST_F(CheckerTest, AFlippedHeaderIsFoundWithoutReadingData) {
  const std::string sealed = backups_.blobs.Read(shared_);
  for (size_t offset = 8; offset < 128; ++offset) {
    backups_.blobs.Write(shared_, Flip(sealed, offset));
    EXPECT_THAT(Check(false).findings,
                ElementsAre(Finding(shared_, kDataLoss, "header damaged", testing::SizeIs(2))))
        << offset;
  }
}

TEST_F(CheckerTest, AFlippedByteIsFoundWithItsSegment) {
  const std::string sealed = backups_.blobs.Read(shared_);
  const std::pair<size_t, const char*> flips[] = {{128, "segment 0"},
                                                  {65'679, "segment 0"},
                                                  {65'680, "segment 1"},
                                                  {sealed.size() - 1, "segment 3"}};
  for (const auto& [offset, segment] : flips) {
    backups_.blobs.Write(shared_, Flip(sealed, offset));
    EXPECT_THAT(Check(true).findings,
                ElementsAre(Finding(shared_, kDataLoss, segment, ElementsAre(first_, second_))));
    EXPECT_THAT(Check(false).findings, IsEmpty());
  }
  backups_.blobs.Write(shared_, sealed);
  const std::string bundle = second_paths_.at("bundle");
  const std::string sealed_bundle = backups_.blobs.Read(bundle);
  for (size_t offset = 128; offset < sealed_bundle.size(); offset += 100) {
    backups_.blobs.Write(bundle, Flip(sealed_bundle, offset));
    EXPECT_THAT(Check(true).findings,
                ElementsAre(Finding(bundle, kDataLoss, "damaged", ElementsAre(second_))))
        << offset;
  }
}

TEST_F(CheckerTest, SwappedObjectsNameEachOther) {
  const std::string other = first_paths_.at("000009.sst");
  backups_.blobs.Swap(shared_, other);
  ExpectFindings(UnorderedElementsAre(
      Finding(shared_, kDataLoss,
              absl::StrCat("holds the bytes of ", other, ": the two were swapped"),
              ElementsAre(first_, second_)),
      Finding(other, kDataLoss,
              absl::StrCat("holds the bytes of ", shared_, ": the two were swapped"),
              ElementsAre(first_))));
}

TEST_F(CheckerTest, ARenamedObjectIsToldFromASwappedOne) {
  const std::string other = first_paths_.at("000009.sst");
  backups_.blobs.Rename(other, shared_);
  ExpectFindings(UnorderedElementsAre(
      Finding(shared_, kDataLoss, absl::StrCat("it is ", other, ", which was renamed"),
              ElementsAre(first_, second_)),
      Finding(other, absl::StatusCode::kNotFound, "missing", ElementsAre(first_))));
}

TEST_F(CheckerTest, ACopiedObjectIsToldFromASwappedOne) {
  const std::string other = first_paths_.at("000009.sst");
  backups_.blobs.Write(shared_, backups_.blobs.Read(other));
  ExpectFindings(ElementsAre(
      Finding(shared_, kDataLoss, absl::StrCat(other, ", which were copied"), testing::SizeIs(2))));
}

TEST_F(CheckerTest, AnObjectOfAnotherStoreIsToldSo) {
  TestBackups elsewhere;
  const ObjectEntry foreign = elsewhere.WriteObject("foreign", ObjectEntry::CODEC_NONE);
  backups_.blobs.Write(shared_, elsewhere.blobs.Read(elsewhere.PathOf(foreign)));
  ExpectFindings(
      ElementsAre(Finding(shared_, kDataLoss, "comes from another store", testing::SizeIs(2))));
}

TEST_F(CheckerTest, AManifestUnderAnotherNameIsNamed) {
  const std::string first_path = BackupPath(backups_.store_id, first_);
  const std::string second_path = BackupPath(backups_.store_id, second_);
  backups_.blobs.Swap(first_path, second_path);
  ExpectFindings(UnorderedElementsAre(
      Finding(first_path, kDataLoss, "the two were swapped", ElementsAre(first_)),
      Finding(second_path, kDataLoss, "the two were swapped", ElementsAre(second_))));
}

TEST_F(CheckerTest, DamagedManifestsAndMarksAndKeysAreFound) {
  Mark mark;
  mark.set_backup_id(first_);
  mark.set_kind(Mark::KIND_CHECKED);
  ASSERT_OK(backups_.store->AddMark(mark, backups_.now));
  const BackupKey key = {Id128::Generate().bytes(), Key::Generate()};
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(backups_.blobs));
  ASSERT_OK(
      repository.OpenOrCreateStore(backups_.store_id, backups_.master_key, &key, backups_.now));

  std::vector<Matcher<const CheckFinding&>> expected;
  for (const auto& [path, bytes] : backups_.blobs.Contents()) {
    const bool is_damaged = path == BackupPath(backups_.store_id, second_) ||
                            absl::StrContains(path, "/marks/") ||
                            absl::StrContains(path, KeyIdText(key.key_id));
    if (!is_damaged) continue;
    backups_.blobs.Write(path, Flip(bytes, 130));
    const bool is_manifest = absl::StrContains(path, "/backups/");
    expected.push_back(
        Finding(path, kDataLoss, "segment 0",
                is_manifest ? std::vector<std::string>{second_} : std::vector<std::string>{}));
  }
  ASSERT_EQ(expected.size(), 3u);
  ExpectFindings(testing::UnorderedElementsAreArray(expected));
}

TEST_F(CheckerTest, AMarkThatANewerOneHasAnsweredMayBeDamaged) {
  Mark mark;
  mark.set_backup_id(first_);
  mark.set_kind(Mark::KIND_PINNED);
  ASSERT_OK(backups_.store->AddMark(mark, backups_.now));
  for (const auto& [path, bytes] : backups_.blobs.Contents()) {
    if (absl::StrContains(path, "/marks/")) backups_.blobs.Write(path, Flip(bytes, 130));
  }
  ExpectFindings(SizeIs(1));
  mark.set_kind(Mark::KIND_UNPINNED);
  ASSERT_OK(backups_.store->AddMark(mark, backups_.now + absl::Seconds(1)));
  ExpectFindings(IsEmpty());
}

TEST_F(CheckerTest, AKeyFileOfAnotherMasterKeyShowsItsHeader) {
  const std::string path = KeyFilePath(backups_.store_id, backups_.store->current_key_id(),
                                       KeyFingerprint({1, 2, 3, 4, 5, 6, 7, 8}));
  const SealingKey wrap =
      SealingKey::ForMaster(KeyFingerprint({1, 2, 3, 4, 5, 6, 7, 8}), Key::Generate());
  const std::string sealed = Seal(SealedKind::kBackupKey, wrap, path, AsBytes("some key"));
  backups_.blobs.Write(path, sealed);
  ExpectFindings(IsEmpty());
  backups_.blobs.Write(path, sealed.substr(0, sealed.size() - 1));
  ExpectFindings(ElementsAre(Finding(path, kDataLoss, "cut short", IsEmpty())));
}

TEST_F(CheckerTest, AnExchangedManifestBreaksTheChain) {
  // Somebody with the key wrote another first backup under the same name.
  const auto loaded = backups_.store->LoadManifest(first_);
  ASSERT_OK(loaded);
  Manifest changed = loaded->manifest;
  changed.summary.set_revision(changed.summary.revision() + 1);
  backups_.Commit(changed);
  ExpectFindings(
      ElementsAre(Finding(BackupPath(backups_.store_id, first_), kDataLoss,
                          absl::StrCat("not the manifest that backup ", second_), IsEmpty())));
}

TEST_F(CheckerTest, APrunedPredecessorIsNoFault) {
  backups_.blobs.Remove(BackupPath(backups_.store_id, first_));
  const CheckReport report = Check(true);
  EXPECT_THAT(report.findings, IsEmpty());
  EXPECT_EQ(report.backups_checked, 1u);
  EXPECT_EQ(report.unnamed_objects, 2u);  // a table and a bundle
  EXPECT_EQ(report.unnamed_bytes, backups_.blobs.Read(first_paths_.at("000009.sst")).size() +
                                      backups_.blobs.Read(first_paths_.at("bundle")).size());
}

TEST_F(CheckerTest, OfDeletedBackupsTheObjectsAreNamedButNotChecked) {
  Mark mark;
  mark.set_backup_id(first_);
  mark.set_kind(Mark::KIND_DELETED);
  ASSERT_OK(backups_.store->AddMark(mark, backups_.now));
  backups_.blobs.Remove(first_paths_.at("000009.sst"));
  const CheckReport report = Check(true);
  EXPECT_THAT(report.findings, IsEmpty());
  EXPECT_EQ(report.backups_checked, 1u);
  EXPECT_EQ(report.unnamed_objects, 0u);
}

TEST_F(CheckerTest, ForeignNamesAreToldAndReservedOnesNot) {
  const std::string store = StorePath(backups_.store_id);
  for (const char* name : {"/backups/README", "/objects/00/x", "/keys/backups", "/x", "/new/x"}) {
    backups_.blobs.Write(absl::StrCat(store, name), "x");
  }
  backups_.blobs.Write(absl::StrCat(store, "/keys/backups2/", first_), "x");
  backups_.blobs.Write(absl::StrCat(store, "/log/x"), "x");
  backups_.blobs.Write(absl::StrCat(store, "/leases/x"), "x");
  backups_.blobs.Write("photos/x", "x");
  backups_.blobs.Write("stores/none/x", "x");
  const CheckReport report = Check(false);
  EXPECT_THAT(report.findings, IsEmpty());
  EXPECT_THAT(report.foreign_names,
              UnorderedElementsAre(
                  absl::StrCat(store, "/backups/README"), absl::StrCat(store, "/objects/00/x"),
                  absl::StrCat(store, "/keys/backups"), absl::StrCat(store, "/x"),
                  absl::StrCat(store, "/new/x"), absl::StrCat(store, "/keys/backups2/", first_),
                  "photos/", "stores/none/"));
}

TEST_F(CheckerTest, AFileWithoutItsChecksumIsFoundAndTheOthersAreNot) {
  Manifest manifest = backups_.Prepare(SmallStoreFiles(backups_.random));
  std::string bundle;
  for (FileEntry& file : *manifest.files.mutable_files()) {
    if (file.name() == "OPTIONS-000014") file.set_xxh3_128(std::string(16, 'x'));
    if (file.name() == "instance/empty") file.set_xxh3_128(std::string(16, 'x'));
    for (const Extent& extent : file.extents()) {
      const ObjectEntry& object = manifest.files.objects(static_cast<int>(extent.object_index()));
      if (object.codec() == ObjectEntry::CODEC_ZSTD) bundle = backups_.PathOf(object);
    }
  }
  backups_.Commit(manifest);
  const std::string& id = manifest.summary.backup_id();
  EXPECT_THAT(Check(true).findings,
              UnorderedElementsAre(Finding(bundle, kDataLoss, "OPTIONS-000014", ElementsAre(id)),
                                   Finding(BackupPath(backups_.store_id, id), kDataLoss,
                                           "instance/empty", ElementsAre(id))));
}

TEST_F(CheckerTest, AFileInManyPiecesIsChecked) {
  const std::string content(50'000, 'a');
  Manifest manifest = backups_.Prepare({{"000030.sst", content}});
  // Its two halves lie in two objects, the second one first.
  const ObjectEntry object = backups_.WriteObject(
      std::string(30'000, 'a') + std::string(5, 'b') + std::string(20'000, 'a'),
      ObjectEntry::CODEC_ZSTD);
  manifest.files.clear_objects();
  *manifest.files.add_objects() = object;
  FileEntry& file = *manifest.files.mutable_files(0);
  file.mutable_extents(0)->set_offset(30'005);
  file.mutable_extents(0)->set_length(20'000);
  Extent& second = *file.add_extents();
  second.set_length(30'000);
  backups_.Commit(manifest);
  EXPECT_THAT(Check(true).findings, IsEmpty());

  file.mutable_extents(0)->set_offset(30'004);
  backups_.Commit(manifest);
  EXPECT_THAT(Check(true).findings,
              ElementsAre(Finding(backups_.PathOf(object), kDataLoss, "000030.sst",
                                  ElementsAre(manifest.summary.backup_id()))));
}

TEST_F(CheckerTest, TellsThatTheListingGoesOn) {
  const auto store = backups_.Reopen();
  uint64_t told_while_listing = 0;
  ASSERT_OK(CheckStore(*store,
                       {.on_progress =
                            [&](const CheckProgress& progress) {
                              if (progress.objects_total == 0) ++told_while_listing;
                            }},
                       Cancellation()));
  EXPECT_EQ(told_while_listing, backups_.blobs.Contents().size() - 2)
      << "all but the file of the repository and its copy";
}

TEST_F(CheckerTest, ACheckThatIsCancelledEnds) {
  const auto store = backups_.Reopen();
  CancellationSource job;
  const auto cancel = [&](const CheckProgress& progress) {
    if (progress.objects_done == 2) job.Cancel(absl::CancelledError("the user gave up"));
  };
  EXPECT_THAT(CheckStore(*store, {.read_data = true, .on_progress = cancel}, job.token()),
              StatusIs(absl::StatusCode::kCancelled, HasSubstr("the user gave up")));
}

TEST_F(CheckerTest, OneFileThatCannotBeReadIsAFindingAndAllOfThemAnError) {
  FaultBlobStore faults(backups_.blobs);
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(faults));
  ASSERT_OK_AND_ASSIGN(const auto store,
                       repository.OpenStore(backups_.store_id, backups_.master_key));
  const CheckOptions options = {.read_data = true, .on_progress = nullptr};
  faults.Inject({.operation = FaultBlobStore::Operation::kRead,
                 .name_contains = shared_,
                 .times = 100,
                 .status = absl::UnavailableError("I/O error")});
  ASSERT_OK_AND_ASSIGN(const CheckReport report, CheckStore(*store, options, Cancellation()));
  EXPECT_THAT(report.findings, ElementsAre(Finding(shared_, absl::StatusCode::kUnavailable,
                                                   "I/O error", ElementsAre(first_, second_))));
  faults.Clear();
  for (int calls = 0; calls < 30; ++calls) {
    faults.StopAfter(calls);
    EXPECT_THAT(CheckStore(*store, options, Cancellation()),
                StatusIs(absl::StatusCode::kUnavailable))
        << calls;
    faults.Clear();
  }
}

}  // namespace
}  // namespace holdfast
