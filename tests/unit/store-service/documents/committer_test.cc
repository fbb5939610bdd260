#include "store-service/documents/committer.h"

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/thread.h"
#include "common/database/at_rest_file_system.h"
#include "common/database/database_verifier.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rocksdb/file_system.h"
#include "store-service/documents/limits.h"
#include "tests/testing/log_capture.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/store-service/store_parts.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Pair;

class CommitterTest : public testing::Test {
 protected:
  uint64_t Revision() { return parts_.committer->state().revision; }

  // The digest that the database's documents have, read and hashed anew.
  void ExpectDigestMatchesDocuments() {
    ASSERT_OK_AND_ASSIGN(const DatabaseMetadata metadata, ReadMetadata(parts_.database->db()));
    EXPECT_OK(
        VerifyDocuments(*parts_.database, metadata, [](uint64_t) { return absl::OkStatus(); }));
    const StoreState state = parts_.committer->state();
    EXPECT_EQ(state.state_digest, metadata.digest.Digest(metadata.DigestKey()));
    EXPECT_EQ(state.document_count, metadata.digest.document_count());
    EXPECT_EQ(state.revision, metadata.head.revision());
    EXPECT_EQ(absl::ToUnixMicros(state.commit_time), metadata.head.commit_time_us());
  }

  StoreParts parts_;
};

TEST_F(CommitterTest, EveryWriteGetsTheNextRevision) {
  ASSERT_OK_AND_ASSIGN(const CommitResult first, parts_.Write({PutOf("c", "a", "1")}));
  EXPECT_EQ(first.first_revision, 1U);
  EXPECT_EQ(first.commit_time, parts_.clock().Now());
  ASSERT_OK_AND_ASSIGN(const CommitResult second,
                       parts_.Write({PutOf("c", "b", "2"), DeletionOf("c", "a")}));
  EXPECT_EQ(second.first_revision, 2U);
  EXPECT_EQ(Revision(), 3U);
  EXPECT_THAT(parts_.engine->Get("c", "a"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(
      parts_.engine->Get("c", "b"),
      IsOkAndHolds(testing::AllOf(Field(&Document::content, "2"), Field(&Document::revision, 2U))));
}

TEST_F(CommitterTest, AnOverwriteKeepsTheTimeOfCreation) {
  const absl::Time created = parts_.clock().Now();
  ASSERT_OK(parts_.Write({PutOf("c", "a", "1")}));
  parts_.clock().Advance(absl::Seconds(5));
  ASSERT_OK(parts_.Write({PutOf("c", "a", "2")}));
  ASSERT_OK_AND_ASSIGN(const Document document, parts_.engine->Get("c", "a"));
  EXPECT_EQ(document.create_time, created);
  EXPECT_EQ(document.change_time, created + absl::Seconds(5));

  // A document that was deleted is a new one.
  parts_.clock().Advance(absl::Seconds(5));
  ASSERT_OK(parts_.Write({DeletionOf("c", "a"), PutOf("c", "a", "3")}));
  ASSERT_OK_AND_ASSIGN(const Document again, parts_.engine->Get("c", "a"));
  EXPECT_EQ(again.create_time, created + absl::Seconds(10));
}

TEST_F(CommitterTest, TheTimeOfCommitsNeverGoesBack) {
  const absl::Time now = parts_.clock().Now();
  ASSERT_OK(parts_.Write({PutOf("c", "a", "1")}));
  parts_.clock().SetWallTime(now - absl::Hours(1));
  ASSERT_OK_AND_ASSIGN(const CommitResult result, parts_.Write({PutOf("c", "b", "2")}));
  EXPECT_EQ(result.commit_time, now);
}

TEST_F(CommitterTest, MustNotExist) {
  ASSERT_OK(parts_.Write({PutOf("c", "a", "1", MustNotExist())}));
  EXPECT_THAT(parts_.Write({PutOf("c", "a", "2", MustNotExist())}),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("exists, at revision 1")));
  EXPECT_EQ(Revision(), 1U);
}

TEST_F(CommitterTest, MustBeAtRevision) {
  ASSERT_OK(parts_.Write({PutOf("c", "a", "1")}));
  EXPECT_THAT(parts_.Write({PutOf("c", "a", "2", MustBeAt(7))}),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("at revision 1, not 7")));
  EXPECT_THAT(parts_.Write({PutOf("c", "b", "2", MustBeAt(1))}),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("does not exist")));
  EXPECT_THAT(parts_.Write({DeletionOf("c", "a", MustBeAt(2))}),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("at revision 1, not 2")));
  EXPECT_THAT(parts_.Write({DeletionOf("c", "b", MustBeAt(1))}),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("does not exist")));
  EXPECT_OK(parts_.Write({PutOf("c", "a", "2", MustBeAt(1))}));
  EXPECT_OK(parts_.Write({DeletionOf("c", "a", MustBeAt(2))}));
}

TEST_F(CommitterTest, ADeletionOfNothingIsNotFound) {
  EXPECT_THAT(parts_.Write({DeletionOf("c", "a")}), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(Revision(), 0U);
}

TEST_F(CommitterTest, ManyWritesAreAllOrNothing) {
  ASSERT_OK(parts_.Write({PutOf("c", "a", "1")}));
  const StoreState before = parts_.committer->state();
  EXPECT_THAT(parts_.Write({PutOf("c", "b", "1"), DeletionOf("c", "a"), PutOf("d", "x", "1"),
                            PutOf("c", "b", "2", MustNotExist())}),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("write 3: the document exists")));
  EXPECT_THAT(parts_.engine->Get("c", "b"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_OK(parts_.engine->Get("c", "a"));
  EXPECT_EQ(parts_.committer->state().state_digest, before.state_digest);
  EXPECT_EQ(Revision(), before.revision);
}

TEST_F(CommitterTest, LaterWritesOfOneCallSeeTheEarlierOnes) {
  ASSERT_OK(
      parts_.Write({PutOf("c", "a", "1"), PutOf("c", "a", "2", MustBeAt(1)),
                    DeletionOf("c", "a", MustBeAt(2)), PutOf("c", "a", "3", MustNotExist())}));
  ASSERT_OK_AND_ASSIGN(const Document document, parts_.engine->Get("c", "a"));
  EXPECT_EQ(document.content, "3");
  EXPECT_EQ(document.revision, 4U);
  ExpectDigestMatchesDocuments();
}

TEST_F(CommitterTest, ACollectionExistsWhileItHasADocument) {
  ASSERT_OK(parts_.Write({PutOf("b", "x", "1"), PutOf("a", "x", "1"), PutOf("a", "y", "1")}));
  EXPECT_THAT(parts_.committer->CollectionsAfter("", 10), ElementsAre(Pair("a", 2), Pair("b", 1)));
  EXPECT_THAT(parts_.committer->CollectionsAfter("a", 10), ElementsAre(Pair("b", 1)));
  EXPECT_THAT(parts_.committer->CollectionsAfter("", 1), ElementsAre(Pair("a", 2)));
  ASSERT_OK(parts_.Write({DeletionOf("b", "x")}));
  EXPECT_THAT(parts_.committer->CollectionsAfter("", 10), ElementsAre(Pair("a", 2)));
  EXPECT_EQ(parts_.committer->state().collection_count, 1U);
  ExpectDigestMatchesDocuments();
}

TEST_F(CommitterTest, ThereAreAtMostTenThousandCollections) {
  for (size_t i = 0; i < kCollectionsMax; i += kWritesMax) {
    std::vector<DocumentWrite> writes;
    for (size_t j = i; j < i + kWritesMax; ++j)
      writes.push_back(PutOf(absl::StrCat("c", j), "x", ""));
    ASSERT_OK(parts_.Write(std::move(writes)));
  }
  EXPECT_THAT(
      parts_.Write({PutOf("another", "x", "")}),
      StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("at most 10000 collections")));
  EXPECT_OK(parts_.Write({PutOf("c1", "y", "")}));
  EXPECT_OK(parts_.Write({DeletionOf("c7", "x"), PutOf("another", "x", "")}));
  EXPECT_EQ(parts_.committer->state().collection_count, kCollectionsMax);
}

TEST_F(CommitterTest, ConcurrentWritersGetRevisionsWithoutGapsAndTheDigestIsRight) {
  constexpr int kThreads = 8;
  constexpr int kWritesPerThread = 100;
  Mutex mutex;
  std::set<uint64_t> revisions;
  {
    std::vector<Thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back("writer", [&, t] {
        for (int i = 0; i < kWritesPerThread; ++i) {
          const std::string id = absl::StrCat((t * 7 + i) % 40);
          const absl::StatusOr<CommitResult> result =
              i % 5 == 4 ? parts_.Write({PutOf("c", id, "x"), DeletionOf("c", id)})
                         : parts_.Write({PutOf(absl::StrCat("c", t % 3), id,
                                               absl::StrCat("content ", t, " ", i))});
          ASSERT_OK(result);
          MutexLock lock(&mutex);
          EXPECT_TRUE(revisions.insert(result->first_revision).second);
          if (i % 5 == 4) {
            EXPECT_TRUE(revisions.insert(result->first_revision + 1).second);
          }
        }
      });
    }
  }
  EXPECT_EQ(*revisions.begin(), 1U);
  EXPECT_EQ(*revisions.rbegin(), revisions.size());
  EXPECT_EQ(Revision(), revisions.size());
  ExpectDigestMatchesDocuments();
}

// Each thread adds one to a counter document as often as it succeeds; none of the additions is
// lost.
TEST_F(CommitterTest, PreconditionsMakeConcurrentChangesSafe) {
  ASSERT_OK(parts_.Write({PutOf("c", "counter", "0")}));
  constexpr int kThreads = 4;
  constexpr int kAdditions = 25;
  {
    std::vector<Thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back("adder", [&] {
        for (int done = 0; done < kAdditions;) {
          const absl::StatusOr<Document> before = parts_.engine->Get("c", "counter");
          ASSERT_OK(before);
          const absl::StatusOr<CommitResult> result =
              parts_.Write({PutOf("c", "counter", absl::StrCat(std::stoi(before->content) + 1),
                                  MustBeAt(before->revision))});
          if (result.ok()) ++done;
          ASSERT_THAT(result.status().code(),
                      testing::AnyOf(absl::StatusCode::kOk, absl::StatusCode::kAborted));
        }
      });
    }
  }
  EXPECT_THAT(parts_.engine->Get("c", "counter"),
              IsOkAndHolds(Field(&Document::content, absl::StrCat(kThreads * kAdditions))));
}

TEST_F(CommitterTest, BetweenGroupsNothingIsWrittenAndAllThatWasAnsweredIsThere) {
  std::atomic<bool> is_stopping = false;
  std::atomic<uint64_t> answered = 0;
  Thread writer("writer", [&] {
    for (int i = 0; !is_stopping; ++i) {
      const absl::StatusOr<CommitResult> result = parts_.Write({PutOf("c", absl::StrCat(i), "x")});
      ASSERT_OK(result);
      answered = result->first_revision;
    }
  });
  for (int i = 0; i < 20; ++i) {
    const uint64_t answered_before = answered;
    ASSERT_OK(parts_.committer->RunBetweenGroups([&](const StoreState& state) {
      EXPECT_GE(state.revision, answered_before);
      const absl::StatusOr<DatabaseMetadata> metadata = ReadMetadata(parts_.database->db());
      ASSERT_OK(metadata);
      EXPECT_EQ(metadata->head.revision(), state.revision);
      EXPECT_EQ(metadata->digest.Digest(metadata->DigestKey()), state.state_digest);
    }));
  }
  is_stopping = true;
}

TEST_F(CommitterTest, ReopeningKeepsAll) {
  ASSERT_OK(parts_.Write({PutOf("c", "a", "1"), PutOf("c", "b", "2"), DeletionOf("c", "a")}));
  const StoreState before = parts_.committer->state();
  parts_.Close();
  parts_.Open();
  const StoreState after = parts_.committer->state();
  EXPECT_EQ(after.revision, before.revision);
  EXPECT_EQ(after.commit_time, before.commit_time);
  EXPECT_EQ(after.document_count, before.document_count);
  EXPECT_EQ(after.state_digest, before.state_digest);
  ASSERT_OK_AND_ASSIGN(const CommitResult result, parts_.Write({PutOf("c", "c", "3")}));
  EXPECT_EQ(result.first_revision, before.revision + 1);
}

TEST_F(CommitterTest, AFullDiskRefusesWritesUntilThereIsRoom) {
  ASSERT_OK(parts_.Write({PutOf("c", "a", "1")}));
  parts_.free_space_bytes = Committer::kFreeSpaceMinBytes - 1;
  EXPECT_THAT(parts_.Write({PutOf("c", "b", "2")}),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("disk is full")));
  EXPECT_OK(parts_.engine->Get("c", "a"));
  parts_.free_space_bytes = int64_t{1} << 40;
  EXPECT_OK(parts_.Write({PutOf("c", "b", "2")}));
}

TEST_F(CommitterTest, WhatOnlyDeletesGoesOnWhileTheDiskIsLow) {
  ASSERT_OK(parts_.Write({PutOf("c", "a", "1"), PutOf("c", "b", "2"), PutOf("c", "d", "3")}));
  parts_.free_space_bytes = Committer::kFreeSpaceMinBytes - 1;
  EXPECT_OK(parts_.Write({DeletionOf("c", "a")}));
  EXPECT_THAT(parts_.Write({DeletionOf("c", "b"), PutOf("c", "e", "4")}),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("can still be deleted")));
  parts_.free_space_bytes = Committer::kFreeSpaceToDeleteMinBytes - 1;
  EXPECT_THAT(parts_.Write({DeletionOf("c", "b")}),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("disk is full")));
  EXPECT_EQ(parts_.committer->state().document_count, 2u);
}

TEST_F(CommitterTest, ADigestThatContradictsTheDocumentsIsDataLossAndNotTheEnd) {
  ASSERT_OK(parts_.Write({PutOf("c", "a", "1")}));
  // As a disk could have it: the document, and no count of its collection.
  rocksdb::WriteBatch batch;
  ASSERT_OK(PutCollection("c", nullptr, batch));
  ASSERT_TRUE(parts_.database->db().Write({}, &batch).ok());
  parts_.Close();
  parts_.Open();
  EXPECT_THAT(parts_.Write({DeletionOf("c", "a")}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("collection c")));
  EXPECT_THAT(parts_.Write({PutOf("c", "a", "2")}), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_TRUE(parts_.sickness->Get().has_value());
}

TEST_F(CommitterTest, ShutdownAnswersWhatWaitsAndRefusesWhatComes) {
  std::atomic<int> answers = 0;
  for (int i = 0; i < 100; ++i) {
    parts_.committer->Submit({PutOf("c", absl::StrCat(i), "x")},
                             [&](const absl::StatusOr<CommitResult>& result) {
                               EXPECT_OK(result);
                               ++answers;
                             });
  }
  parts_.committer->Shutdown();
  EXPECT_EQ(answers, 100);
  EXPECT_THAT(parts_.Write({PutOf("c", "late", "x")}), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(parts_.committer->RunBetweenGroups([](const StoreState&) {}),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(parts_.committer->state().revision, 100U);
}

TEST_F(CommitterTest, TooMuchThatWaitsIsRefused) {
  // The committer stands still in here, so that all of this waits.
  std::vector<DocumentWrite> large;
  for (int i = 0; i < 3; ++i) {
    large.push_back(PutOf("c", absl::StrCat(i), std::string(kContentSizeMaxBytes - 1024, 'x')));
  }
  std::atomic<int> refused = 0;
  std::atomic<int> written = 0;
  constexpr int kSubmissions = 30;  // of 3 MiB; 64 MiB may wait
  ASSERT_OK(parts_.committer->RunBetweenGroups([&](const StoreState&) {
    for (int i = 0; i < kSubmissions; ++i) {
      parts_.committer->Submit(large, [&](const absl::StatusOr<CommitResult>& result) {
        if (result.ok()) ++written;
        if (result.status().code() == absl::StatusCode::kResourceExhausted) ++refused;
      });
    }
  }));
  parts_.committer->Shutdown();
  EXPECT_EQ(written, 21);
  EXPECT_EQ(refused, kSubmissions - 21);
}

// A file system whose logs cannot be synced while it is told so.
class FailingSyncs : public rocksdb::FileSystemWrapper {
 public:
  explicit FailingSyncs(const std::shared_ptr<rocksdb::FileSystem>& base)
      : FileSystemWrapper(base) {}

  const char* Name() const override { return "FailingSyncs"; }

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = FileSystemWrapper::NewWritableFile(name, options, result, debug);
    if (status.ok()) *result = std::make_unique<File>(std::move(*result), &is_failing);
    return status;
  }

  std::atomic<bool> is_failing = false;

 private:
  class File : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(std::unique_ptr<rocksdb::FSWritableFile> file, std::atomic<bool>* is_failing)
        : FSWritableFileOwnerWrapper(std::move(file)), is_failing_(*is_failing) {}

    rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
      if (is_failing_) return rocksdb::IOStatus::IOError("the disk is on fire");
      return FSWritableFileOwnerWrapper::Sync(options, debug);
    }

   private:
    std::atomic<bool>& is_failing_;
  };
};

TEST(CommitterFaultTest, AFailedSyncStopsAllWritesUntilReopened) {
  TempDir dir;
  FakeClock clock;
  LogCapture log;
  const auto faults = std::make_shared<FailingSyncs>(rocksdb::FileSystem::Default());
  const auto env = rocksdb::NewCompositeEnv(faults);
  SicknessRecord sickness(&clock);
  DatabaseMetadata metadata = MakeMetadata(Id128::Generate(), clock.Now());
  const auto free_space = []() -> absl::StatusOr<int64_t> { return int64_t{1} << 40; };
  const auto write = [](Committer& committer, const std::string& id) {
    absl::StatusOr<CommitResult> result;
    Mutex mutex;
    CondVar answered;
    bool is_answered = false;
    committer.Submit({PutOf("c", id, "x")}, [&](absl::StatusOr<CommitResult> answer) {
      MutexLock lock(&mutex);
      result = std::move(answer);
      is_answered = true;
      answered.Signal();
    });
    MutexLock lock(&mutex);
    while (!is_answered) answered.Wait(&mutex);
    return result;
  };
  {
    ASSERT_OK_AND_ASSIGN(
        const auto database,
        OpenDatabase(env.get(), dir.Path("db"), OpenMode::kCreate, {}, sickness.MakeListener()));
    rocksdb::WriteBatch batch;
    ASSERT_OK(PutIdentity(metadata.identity, batch));
    ASSERT_OK(PutHead(metadata.head, batch));
    ASSERT_TRUE(database->db().Write({}, &batch).ok());
    Committer committer(metadata, database.get(), &sickness, &clock, free_space);
    ASSERT_OK(write(committer, "before"));

    faults->is_failing = true;
    EXPECT_THAT(write(committer, "during"),
                StatusIs(absl::StatusCode::kUnavailable, HasSubstr("unknown whether")));
    // A later sync that "works" proves nothing: the kernel has forgotten what it could not write.
    faults->is_failing = false;
    EXPECT_THAT(write(committer, "after"),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("restart it")));
    ASSERT_TRUE(sickness.Get().has_value());
    EXPECT_EQ(sickness.Get()->kind, Sickness::Kind::kWritesStopped);
    EXPECT_THAT(sickness.Get()->message, HasSubstr("the disk is on fire"));
    EXPECT_THAT(sickness.CheckFitForCheckpoint(), StatusIs(absl::StatusCode::kDataLoss));
    EXPECT_EQ(committer.state().revision, 1U);
  }
  ASSERT_OK_AND_ASSIGN(const auto database,
                       OpenDatabase(env.get(), dir.Path("db"), OpenMode::kServe));
  ASSERT_OK_AND_ASSIGN(metadata, ReadMetadata(database->db()));
  Committer committer(metadata, database.get(), &sickness, &clock, free_space);
  EXPECT_OK(write(committer, "reopened"));
}

}  // namespace
}  // namespace holdfast
