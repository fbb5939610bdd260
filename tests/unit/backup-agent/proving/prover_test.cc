#include "backup-agent/proving/prover.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/io/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fault_blob_store.h"
#include "tests/testing/memory_blob_store.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_backup.h"
#include "tests/testing/test_store.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

// A real store, and two backups of it that share their tables.
class ProverTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(store_, TestStore::Open(directory_.Path("store"), master_key_));
    for (int i = 0; i < 100; ++i) {
      ASSERT_OK(store_->Put("users", absl::StrCat("user ", i), std::string(1000, 'x')));
    }
    ASSERT_OK(store_->Flush());
    ASSERT_OK_AND_ASSIGN(first_, MakeTestBackup(blobs_, *store_, master_key_));
    ASSERT_OK_AND_ASSIGN(second_, MakeTestBackup(blobs_, *store_, master_key_,
                                                 {.ordinal = 2,
                                                  .previous_backup_id = first_.summary.backup_id(),
                                                  .edit_manifest = [this](Manifest& manifest) {
                                                    UseTablesOfFirst(manifest);
                                                  }}));
    ASSERT_OK_AND_ASSIGN(store_id_, StoreId::FromBytes(first_.summary.store_id()));
    Open();
  }

  // As a run does: what is there is not sent again.
  void UseTablesOfFirst(Manifest& manifest) const {
    for (const auto& file : manifest.files.files()) {
      if (file.kind() != repository::v1::FileEntry::KIND_TABLE) continue;
      for (const auto& known : first_.files.files()) {
        if (known.name() != file.name()) continue;
        *manifest.files.mutable_objects(static_cast<int>(file.extents(0).object_index())) =
            first_.files.objects(static_cast<int>(known.extents(0).object_index()));
      }
    }
  }

  void Open() {
    ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(faults_));
    ASSERT_OK_AND_ASSIGN(repository_, repository.OpenStore(store_id_, master_key_));
    prover_.emplace(*repository_, master_key_, clock_, SystemRandom());
  }

  absl::StatusOr<ProofFindings> Drill(const std::string& backup_id = "") {
    return prover_->Drill(backup_id, Scratch(), progress_, nullptr, cancellation_.token());
  }
  absl::StatusOr<ProofFindings> Check(uint32_t share, uint32_t shares) {
    return prover_->Check(share, shares, progress_, nullptr, cancellation_.token());
  }

  absl::Status Remember(ProofFindings found) {
    return prover_->Remember(found, nullptr, cancellation_.token());
  }

  // The object of a table, which both backups use.
  std::string SharedObject() const {
    for (const auto& object : second_.files.objects()) {
      for (const auto& known : first_.files.objects()) {
        if (known.name() == object.name()) return object.name();
      }
    }
    ADD_FAILURE() << "the backups share nothing";
    return "";
  }
  std::string ObjectOfSecondAlone() const {
    for (const auto& object : second_.files.objects()) {
      const auto& known = first_.files.objects();
      if (std::none_of(known.begin(), known.end(),
                       [&](const auto& one) { return one.name() == object.name(); })) {
        return object.name();
      }
    }
    ADD_FAILURE() << "the second backup has nothing of its own";
    return "";
  }
  // From now on so many reads of an object fail, as those of a bad sector do.
  void FailReads(const std::string& object_name, int times) {
    faults_.Inject({.operation = FaultBlobStore::Operation::kRead,
                    .name_contains = object_name,
                    .times = times,
                    .status = absl::UnavailableError("Input/output error")});
  }
  // The share of so many that an object belongs to, and one that it does not.
  std::pair<uint32_t, uint32_t> SharesOf(const std::string& object_name, uint32_t shares) {
    std::pair<uint32_t, uint32_t> own_and_other;
    const std::string whole = blobs_.Read(ObjectPath(store_id_, object_name));
    Damage(object_name);
    for (uint32_t share = 0; share < shares; ++share) {
      const absl::StatusOr<ProofFindings> found = Check(share, shares);
      EXPECT_OK(found);
      (found->findings.empty() ? own_and_other.second : own_and_other.first) = share;
    }
    blobs_.Write(ObjectPath(store_id_, object_name), whole);
    return own_and_other;
  }
  void Damage(const std::string& object_name) {
    const std::string path = ObjectPath(store_id_, object_name);
    std::string bytes = blobs_.Read(path);
    bytes[bytes.size() - 20] = static_cast<char>(bytes[bytes.size() - 20] ^ 1);
    blobs_.Write(path, bytes);
  }

  const ListedBackup* Listed(const Manifest& manifest) {
    absl::StatusOr<BackupListing> listing = repository_->ListBackups();
    EXPECT_OK(listing);
    listing_ = *std::move(listing);
    return listing_.Find(manifest.summary.backup_id());
  }
  size_t MarkCount() const {
    size_t count = 0;
    for (const auto& [name, bytes] : blobs_.Contents()) count += absl::StrContains(name, "/marks/");
    return count;
  }
  std::string Scratch() const { return directory_.Path("scratch"); }

  TempDir directory_;
  FakeClock clock_;
  MemoryBlobStore blobs_;
  FaultBlobStore faults_{blobs_};  // what the prover sees
  const MasterKey master_key_ = MasterKey::Generate();
  CancellationSource cancellation_;
  std::unique_ptr<TestStore> store_;
  Manifest first_;
  Manifest second_;
  StoreId store_id_;
  std::unique_ptr<StoreRepository> repository_;
  std::optional<Prover> prover_;
  ProofProgress progress_;
  BackupListing listing_;
};

TEST_F(ProverTest, DrillProvesTheNewestAndRemembersIt) {
  ASSERT_OK_AND_ASSIGN(const ProofFindings found, Drill());
  EXPECT_THAT(found.findings, IsEmpty());
  EXPECT_EQ(found.backup_id, second_.summary.backup_id());
  EXPECT_EQ(progress_.documents_done, 100u);
  EXPECT_GT(progress_.bytes_total, 0u);
  EXPECT_THAT(FileExists(Scratch()), IsOkAndHolds(false)) << "what was restored is removed";
  ASSERT_OK(Remember(found));
  EXPECT_EQ(Listed(second_)->drill_time, clock_.Now());
  EXPECT_EQ(Listed(first_)->drill_time, absl::InfinitePast());
}

TEST_F(ProverTest, DrillOfOneThatIsNamed) {
  ASSERT_OK_AND_ASSIGN(const ProofFindings found, Drill(first_.summary.backup_id()));
  EXPECT_EQ(found.backup_id, first_.summary.backup_id());
  EXPECT_THAT(Drill("20000101T000000.000Z-00000000"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ProverTest, DamagedObjectIsNamedAndMarksAllThatUseIt) {
  const std::string object = SharedObject();
  Damage(object);
  ASSERT_OK_AND_ASSIGN(const ProofFindings found, Drill());
  ASSERT_THAT(found.findings, SizeIs(1));
  EXPECT_EQ(found.findings[0].path, ObjectPath(store_id_, object));
  EXPECT_THAT(found.findings[0].backup_ids,
              UnorderedElementsAre(first_.summary.backup_id(), second_.summary.backup_id()));
  EXPECT_THAT(FileExists(Scratch()), IsOkAndHolds(false));
  ASSERT_OK(Remember(found));
  EXPECT_TRUE(Listed(first_)->is_damaged);
  EXPECT_TRUE(Listed(second_)->is_damaged);
  EXPECT_EQ(Listed(second_)->drill_time, absl::InfinitePast());
  EXPECT_THAT(listing_.damaged_objects, ElementsAre(object));

  // What is known is not said again, however often it is looked.
  const size_t marks = MarkCount();
  ASSERT_OK_AND_ASSIGN(const ProofFindings again, Drill());
  ASSERT_OK(Remember(again));
  EXPECT_EQ(MarkCount(), marks);
}

TEST_F(ProverTest, BackupThatWasMendedIsFoundWholeAgain) {
  const std::string path = ObjectPath(store_id_, SharedObject());
  const std::string whole = blobs_.Read(path);
  Damage(SharedObject());
  ASSERT_OK_AND_ASSIGN(const ProofFindings found, Check(0, 1));
  ASSERT_OK(Remember(found));
  EXPECT_TRUE(Listed(first_)->is_damaged);
  blobs_.Write(path, whole);
  // Structure alone proves nothing.
  ASSERT_OK_AND_ASSIGN(const ProofFindings structure, Check(0, 0));
  ASSERT_OK(Remember(structure));
  EXPECT_TRUE(Listed(first_)->is_damaged);
  ASSERT_OK_AND_ASSIGN(const ProofFindings all, Check(0, 1));
  EXPECT_THAT(all.findings, IsEmpty());
  ASSERT_OK(Remember(all));
  EXPECT_FALSE(Listed(first_)->is_damaged);
  EXPECT_FALSE(Listed(second_)->is_damaged);
  EXPECT_THAT(listing_.damaged_objects, IsEmpty());
}

TEST_F(ProverTest, ErrorOfReadingThatPassesIsNoDamage) {
  FailReads(SharedObject(), 1);
  ASSERT_OK_AND_ASSIGN(const ProofFindings found, Check(0, 1));
  EXPECT_THAT(found.findings, IsEmpty());
  ASSERT_OK(Remember(found));
  EXPECT_FALSE(Listed(second_)->is_damaged);
}

TEST_F(ProverTest, WhatCouldNotBeReadTwiceIsTakenForDamagedUntilItIsReadAgain) {
  constexpr uint32_t kShares = 5;
  const std::string object = SharedObject();
  const uint32_t other = SharesOf(object, kShares).second;
  FailReads(object, 1'000);
  ASSERT_OK_AND_ASSIGN(const ProofFindings found, Check(0, 1));
  ASSERT_THAT(found.findings, SizeIs(1));
  EXPECT_THAT(found.findings[0].status, StatusIs(absl::StatusCode::kUnavailable));
  ASSERT_OK(Remember(found));
  EXPECT_TRUE(Listed(first_)->is_damaged);
  EXPECT_TRUE(Listed(second_)->is_damaged);
  EXPECT_THAT(listing_.damaged_objects, ElementsAre(object)) << "the next run writes it anew";

  faults_.Clear();
  ASSERT_OK_AND_ASSIGN(const ProofFindings again, Check(other, kShares));
  EXPECT_THAT(again.findings, IsEmpty());
  ASSERT_OK(Remember(again));
  EXPECT_FALSE(Listed(first_)->is_damaged);
  EXPECT_FALSE(Listed(second_)->is_damaged);
  EXPECT_THAT(listing_.damaged_objects, IsEmpty());
}

TEST_F(ProverTest, WhatIsMarkedAsDamagedIsReadByEveryCheck) {
  constexpr uint32_t kShares = 5;
  const std::string object = SharedObject();
  const auto [own, other] = SharesOf(object, kShares);
  Damage(object);
  ASSERT_OK_AND_ASSIGN(const ProofFindings unmarked, Check(other, kShares));
  EXPECT_THAT(unmarked.findings, IsEmpty());
  ASSERT_OK_AND_ASSIGN(const ProofFindings found, Check(own, kShares));
  ASSERT_OK(Remember(found));
  ASSERT_OK_AND_ASSIGN(const ProofFindings still, Check(other, kShares));
  EXPECT_THAT(still.findings, SizeIs(1));
  ASSERT_OK(Remember(still));
  EXPECT_TRUE(Listed(second_)->is_damaged);
}

TEST_F(ProverTest, BackupIsTrustedAgainOnlyOnceAllOfItIsWhole) {
  constexpr uint32_t kShares = 50;
  const std::string own_object = ObjectOfSecondAlone();
  const uint32_t other = SharesOf(own_object, kShares).second;
  FailReads(SharedObject(), 1'000);
  ASSERT_OK_AND_ASSIGN(const ProofFindings found, Check(0, 1));
  ASSERT_OK(Remember(found));
  faults_.Clear();
  Damage(own_object);
  ASSERT_OK_AND_ASSIGN(ProofFindings again, Check(other, kShares));
  EXPECT_THAT(again.findings, IsEmpty()) << "the share does not have it";
  ASSERT_OK(prover_->Remember(again, nullptr, cancellation_.token()));
  ASSERT_THAT(again.findings, SizeIs(1)) << "but what is trusted again is read whole";
  EXPECT_EQ(again.findings[0].path, ObjectPath(store_id_, own_object));
  EXPECT_FALSE(Listed(first_)->is_damaged);
  EXPECT_TRUE(Listed(second_)->is_damaged);
  EXPECT_THAT(listing_.damaged_objects, UnorderedElementsAre(own_object, SharedObject()));
}

TEST_F(ProverTest, NewMarkSaysWhatTheOneBeforeSaid) {
  Damage(SharedObject());
  ASSERT_OK_AND_ASSIGN(const ProofFindings found, Check(0, 1));
  ASSERT_OK(Remember(found));
  ASSERT_OK(blobs_.Delete(ObjectPath(store_id_, ObjectOfSecondAlone())));
  // The structure shows what is missing, and nothing of what is inside.
  ASSERT_OK_AND_ASSIGN(const ProofFindings structure, Check(0, 0));
  ASSERT_OK(Remember(structure));
  Listed(second_);
  EXPECT_THAT(listing_.damaged_objects,
              UnorderedElementsAre(SharedObject(), ObjectOfSecondAlone()));
}

TEST_F(ProverTest, SharesTogetherReadEveryObjectOnce) {
  constexpr uint32_t kShares = 5;
  uint64_t bytes = 0;
  int found_by = 0;
  Damage(SharedObject());
  for (uint32_t share = 0; share < kShares; ++share) {
    ASSERT_OK_AND_ASSIGN(const ProofFindings found, Check(share, kShares));
    bytes += progress_.bytes_total;
    found_by += found.findings.empty() ? 0 : 1;
    EXPECT_FALSE(found.has_read_all);
  }
  EXPECT_EQ(found_by, 1) << "the one share that the object belongs to";
  ASSERT_OK(Check(0, 1));
  EXPECT_EQ(bytes, progress_.bytes_total);
}

TEST_F(ProverTest, MissingObjectIsFoundByAnyCheck) {
  ASSERT_OK(blobs_.Delete(ObjectPath(store_id_, SharedObject())));
  ASSERT_OK_AND_ASSIGN(const ProofFindings found, Check(0, 0));
  ASSERT_THAT(found.findings, SizeIs(1));
  EXPECT_THAT(found.findings[0].status, StatusIs(absl::StatusCode::kNotFound));
}

// Every byte is what was written, and yet it is another store's: only a restore can tell.
TEST_F(ProverTest, BackupThatIsWholeButWrongIsFoundByADrillAlone) {
  ASSERT_OK_AND_ASSIGN(const Manifest wrong,
                       MakeTestBackup(blobs_, *store_, master_key_,
                                      {.ordinal = 3,
                                       .previous_backup_id = second_.summary.backup_id(),
                                       .edit_manifest = [](Manifest& manifest) {
                                         manifest.summary.set_document_count(101);
                                       }}));
  ASSERT_OK_AND_ASSIGN(const ProofFindings checked, Check(0, 1));
  for (const CheckFinding& finding : checked.findings) EXPECT_THAT(finding.backup_ids, IsEmpty());
  ASSERT_OK_AND_ASSIGN(const ProofFindings found, Drill());
  EXPECT_EQ(found.backup_id, wrong.summary.backup_id());
  EXPECT_FALSE(found.restore_status.ok());
  ASSERT_OK(Remember(found));
  EXPECT_TRUE(Listed(wrong)->is_damaged);
  EXPECT_FALSE(Listed(second_)->is_damaged);
  // Nor can a check tell that it is good.
  ASSERT_OK_AND_ASSIGN(const ProofFindings again, Check(0, 1));
  ASSERT_OK(Remember(again));
  EXPECT_TRUE(Listed(wrong)->is_damaged);
}

TEST_F(ProverTest, ScratchPlaceOfAKilledDrillIsEmptiedFirst) {
  ASSERT_OK(MakeDirectories(absl::StrCat(Scratch(), "/db")));
  ASSERT_OK_AND_ASSIGN(const ProofFindings found, Drill());
  EXPECT_THAT(found.findings, IsEmpty());
}

TEST_F(ProverTest, CancelledDrillSaysNothingOfTheBackup) {
  cancellation_.Cancel(absl::CancelledError("enough"));
  EXPECT_THAT(Drill(), StatusIs(absl::StatusCode::kCancelled, HasSubstr("enough")));
  EXPECT_THAT(FileExists(Scratch()), IsOkAndHolds(false));
  EXPECT_EQ(MarkCount(), 0u);
}

TEST_F(ProverTest, WhatAFullCheckHasNotReadItDoesNotCallChecked) {
  ASSERT_OK_AND_ASSIGN(ProofFindings found, Check(0, 1));
  ASSERT_TRUE(found.has_read_all);
  // A backup comes after the check, and before it is remembered.
  ASSERT_OK_AND_ASSIGN(
      const Manifest third,
      MakeTestBackup(blobs_, *store_, master_key_,
                     {.ordinal = 3, .previous_backup_id = second_.summary.backup_id()}));
  ASSERT_OK(Remember(found));
  EXPECT_EQ(MarkCount(), 0u);
}

TEST_F(ProverTest, ABackupThatWasDeletedDuringAFullCheckStaysDamaged) {
  Damage(ObjectOfSecondAlone());
  ASSERT_OK_AND_ASSIGN(ProofFindings found, Check(0, 1));
  ASSERT_OK(Remember(found));
  const auto add_mark = [this](repository::v1::Mark::Kind kind) {
    repository::v1::Mark mark;
    mark.set_kind(kind);
    mark.set_backup_id(second_.summary.backup_id());
    clock_.Advance(absl::Seconds(1));
    ASSERT_OK(repository_->AddMark(mark, clock_.Now()));
  };
  add_mark(repository::v1::Mark::KIND_DELETED);
  ASSERT_OK_AND_ASSIGN(found, Check(0, 1));
  EXPECT_THAT(found.findings, IsEmpty());
  add_mark(repository::v1::Mark::KIND_UNDELETED);
  ASSERT_OK(Remember(found));
  ASSERT_NE(Listed(second_), nullptr);
  EXPECT_TRUE(Listed(second_)->is_damaged);
}

}  // namespace
}  // namespace holdfast
