#include "common/storage/local_blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/io/durable_file.h"
#include "common/io/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/unit/common/storage/blob_store_conformance.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class LocalUnderTest : public BlobStoreUnderTest {
 public:
  LocalUnderTest() {
    auto store = LocalBlobStore::Open(directory_.path());
    EXPECT_OK(store);
    store_ = *std::move(store);
  }
  BlobStore& store() override { return *store_; }

 private:
  TempDir directory_;
  std::unique_ptr<LocalBlobStore> store_;
};

INSTANTIATE_TEST_SUITE_P(Local, BlobStoreConformanceTest,
                         testing::Values(BlobStoreMaker{
                             "Local", [] { return std::make_unique<LocalUnderTest>(); }}),
                         BlobStoreConformanceTest::NameOf);

class LocalBlobStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    auto store = LocalBlobStore::Open(directory_.path());
    ASSERT_OK(store);
    store_ = *std::move(store);
  }

  absl::Status Put(absl::string_view name, absl::string_view bytes) {
    MemorySource source(bytes);
    return store_->Put(name, source);
  }

  void WriteFile(absl::string_view name, absl::string_view bytes) {
    ASSERT_OK(WriteFileDurably(directory_.Path(name), bytes, {.mode = 0600}));
  }

  absl::StatusOr<std::vector<std::string>> Names() {
    std::vector<std::string> names;
    absl::Status status = store_->List("", [&](const BlobInfo& info) {
      names.push_back(info.name);
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
    return names;
  }

  TempDir directory_;
  std::unique_ptr<LocalBlobStore> store_;
};

TEST_F(LocalBlobStoreTest, BlobsAreFilesThatOnlyTheUserCanRead) {
  ASSERT_OK(Put("stores/a/blob", "bytes"));
  EXPECT_THAT(ReadFile(directory_.Path("stores/a/blob"), 100), IsOkAndHolds("bytes"));
  ASSERT_OK_AND_ASSIGN(const FileInfo file, GetFileInfo(directory_.Path("stores/a/blob")));
  EXPECT_EQ(file.permissions, 0600u);
  ASSERT_OK_AND_ASSIGN(const FileInfo folder, GetFileInfo(directory_.Path("stores/a")));
  EXPECT_EQ(folder.permissions, 0700u);
}

TEST_F(LocalBlobStoreTest, ADirectoryThatDoesNotExistIsNotMade) {
  const std::string missing = directory_.Path("missing");
  EXPECT_THAT(LocalBlobStore::Open(missing),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("mount the share")));
  EXPECT_THAT(FileExists(missing), IsOkAndHolds(false));
  WriteFile("file", "x");
  EXPECT_THAT(LocalBlobStore::Open(directory_.Path("file")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not a directory")));
  EXPECT_THAT(LocalBlobStore::Open("relative"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(LocalBlobStoreTest, ADirectoryThatVanishesIsToldAsAShareThatIsNotMounted) {
  TempDir parent;
  const std::string root = parent.Path("share");
  ASSERT_OK(MakeDirectories(root));
  ASSERT_OK_AND_ASSIGN(const auto store, LocalBlobStore::Open(root));
  MemorySource source("bytes");
  ASSERT_OK(store->Put("a/b", source));
  ASSERT_OK(RemoveTree(root));

  const auto is_gone = StatusIs(absl::StatusCode::kUnavailable, HasSubstr("not to be mounted"));
  EXPECT_THAT(store->Put("a/c", source), is_gone);
  EXPECT_THAT(store->Get("a/b", 0, 1), is_gone);
  EXPECT_THAT(store->Stat("a/b"), is_gone);
  EXPECT_THAT(store->Delete("a/b"), is_gone);
  EXPECT_THAT(store->ListFolders(""), is_gone);
  EXPECT_THAT(store->List("a", [](const BlobInfo& /*info*/) { return absl::OkStatus(); }), is_gone);
  EXPECT_THAT(FileExists(root), IsOkAndHolds(false));
}

TEST_F(LocalBlobStoreTest, NothingIsWrittenToWhatTakesThePlaceOfTheDirectory) {
  // As when a share goes between two system calls: the path leads elsewhere, and only the path.
  TempDir parent;
  const std::string root = parent.Path("share");
  ASSERT_OK(MakeDirectories(root));
  ASSERT_OK_AND_ASSIGN(const auto store, LocalBlobStore::Open(root));
  ASSERT_EQ(rename(root.c_str(), parent.Path("moved").c_str()), 0);
  ASSERT_OK(MakeDirectories(root));
  MemorySource source("bytes");
  ASSERT_OK(store->Put("a/b", source));
  EXPECT_THAT(ListDirectory(root), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(ReadFile(parent.Path("moved/a/b"), 100), IsOkAndHolds("bytes"));
}

TEST_F(LocalBlobStoreTest, FoldersThatOthersRemoveAreMadeAgain) {
  ASSERT_OK(Put("a/b/one", "1"));
  ASSERT_OK(RemoveTree(directory_.Path("a")));
  ASSERT_OK(Put("a/b/two", "2"));
  EXPECT_THAT(Names(), IsOkAndHolds(ElementsAre("a/b/two")));
}

TEST_F(LocalBlobStoreTest, LeftoversAndForeignNamesAreNotSeen) {
  ASSERT_OK(Put("a/b", "1"));
  WriteFile("a/.tmp-1f9a2b3c", "left behind by a writer that was killed");
  WriteFile("a/with space", "x");
  WriteFile("a/~backup~", "x");
  ASSERT_OK(MakeDirectories(directory_.Path("lost+found")));
  ASSERT_OK(MakeDirectories(directory_.Path("a/.tmp-folder")));
  WriteFile("a/.tmp-folder/file", "x");
  ASSERT_EQ(mkfifo(directory_.Path("a/pipe").c_str(), 0600), 0);
  EXPECT_THAT(Names(), IsOkAndHolds(ElementsAre("a/b", "a/pipe")))
      << "that is no blob, but in one's place";
  EXPECT_THAT(store_->ListFolders(""), IsOkAndHolds(ElementsAre("a")));
  EXPECT_THAT(store_->ListFolders("a"), IsOkAndHolds(IsEmpty()));
}

TEST_F(LocalBlobStoreTest, OldLeftoversAreRemovedAndNothingElse) {
  ASSERT_OK(Put("stores/a/blob", "bytes"));
  const char* const kOld = "stores/a/objects/.tmp-0123456789abcdef";
  const char* const kYoung = "stores/a/.tmp-fedcba9876543210";
  ASSERT_OK(Put("stores/a/objects/blob", "bytes"));
  ASSERT_OK(Put("Photos/picture", "somebody else's"));
  WriteFile(kOld, "cut");
  WriteFile(kYoung, "being written");
  // Names that are not of a writer's form, and places that are not of the store.
  const std::vector<std::string> foreign = {
      ".tmp-0123456789abcdef",          "Photos/.tmp-0123456789abcdef",
      "Photos/.tmp-holiday.jpg",        "stores/a/.tmp-holiday.jpg",
      "stores/a/.tmp-0123456789ABCDEF", "stores/a/.tmp-0123456789abcdef0"};
  for (const std::string& name : foreign) WriteFile(name, "x");
  WriteFile("stores/a/somebody's", "else's");
  const timespec long_ago[] = {{1'000'000, 0}, {1'000'000, 0}};
  std::vector<std::string> old = foreign;
  old.insert(old.end(), {kOld, "stores/a/blob", "stores/a/somebody's"});
  for (const std::string& name : old) {
    ASSERT_EQ(utimensat(AT_FDCWD, directory_.Path(name).c_str(), long_ago, 0), 0);
  }
  EXPECT_THAT(store_->RemoveLeftovers("stores/a", absl::FromUnixSeconds(2'000'000)),
              IsOkAndHolds(1u));
  EXPECT_THAT(store_->RemoveLeftovers("stores/none", absl::InfiniteFuture()), IsOkAndHolds(0u));
  EXPECT_THAT(FileExists(directory_.Path(kOld)), IsOkAndHolds(false));
  std::vector<std::string> left = foreign;
  left.insert(left.end(), {kYoung, "stores/a/blob", "stores/a/somebody's"});
  for (const std::string& name : left) {
    EXPECT_THAT(FileExists(directory_.Path(name)), IsOkAndHolds(true)) << name;
  }
}

TEST_F(LocalBlobStoreTest, WhatIsNoFileIsDamageAndNeverBlocks) {
  ASSERT_EQ(mkfifo(directory_.Path("pipe").c_str(), 0600), 0);
  EXPECT_THAT(store_->Get("pipe", 0, 1), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(store_->Stat("pipe"), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(Put("pipe", "x"), StatusIs(absl::StatusCode::kDataLoss));
  // A repair takes its place.
  MemorySource source("mended");
  ASSERT_OK(store_->Replace("pipe", source));
  EXPECT_THAT(ReadBlob(*store_, "pipe", 100), IsOkAndHolds("mended"));
  ASSERT_EQ(mkfifo(directory_.Path("other").c_str(), 0600), 0);
  EXPECT_OK(store_->Delete("other"));
}

TEST_F(LocalBlobStoreTest, LinksAreNotFollowed) {
  TempDir outside;
  ASSERT_OK(WriteFileDurably(outside.Path("secret"), "secret", {.mode = 0600}));
  ASSERT_EQ(symlink(outside.Path("secret").c_str(), directory_.Path("link").c_str()), 0);
  ASSERT_EQ(symlink(outside.path().c_str(), directory_.Path("folder").c_str()), 0);

  const auto is_damage = StatusIs(absl::StatusCode::kDataLoss);
  const auto is_refused = StatusIs(absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(store_->Get("link", 0, 1), is_damage);
  EXPECT_THAT(store_->Stat("link"), is_damage);
  EXPECT_THAT(Put("link", "x"), is_damage);
  EXPECT_OK(store_->Delete("link")) << "itself, not what it leads to";
  EXPECT_THAT(store_->Get("folder/secret", 0, 1), is_refused);
  EXPECT_THAT(store_->Delete("folder/secret"), is_refused);
  EXPECT_THAT(Put("folder/new", "x"), is_refused);
  EXPECT_THAT(Names(), IsOkAndHolds(ElementsAre("folder")));
  EXPECT_THAT(store_->ListFolders("folder"), is_refused);
  ASSERT_OK_AND_ASSIGN(const auto left, ListDirectory(outside.path()));
  EXPECT_EQ(left.size(), 1u);
  EXPECT_THAT(ReadFile(outside.Path("secret"), 100), IsOkAndHolds("secret"));
}

TEST_F(LocalBlobStoreTest, TheDirectoryItselfMayBeALink) {
  TempDir other;
  ASSERT_EQ(symlink(directory_.path().c_str(), other.Path("link").c_str()), 0);
  ASSERT_OK_AND_ASSIGN(const auto store, LocalBlobStore::Open(other.Path("link")));
  MemorySource source("bytes");
  ASSERT_OK(store->Put("a/b", source));
  EXPECT_THAT(Names(), IsOkAndHolds(ElementsAre("a/b")));
}

TEST_F(LocalBlobStoreTest, AFileThatGetsShorterWhileItIsReadIsAnError) {
  ASSERT_OK(Put("a", std::string(1'000'000, 'x')));
  ASSERT_OK_AND_ASSIGN(const auto source, store_->Get("a", 0, UINT64_MAX));
  ASSERT_OK(source->Next());
  ASSERT_EQ(truncate(directory_.Path("a").c_str(), 300'000), 0);
  EXPECT_THAT(source->Next(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("became shorter")));
}

TEST_F(LocalBlobStoreTest, APutThatFailsLeavesNoFile) {
  class FailingSource : public ByteSource {
   public:
    absl::StatusOr<absl::Span<const uint8_t>> Next() override {
      return absl::InternalError("broken");
    }
  };
  FailingSource source;
  EXPECT_THAT(store_->Put("folder/blob", source), StatusIs(absl::StatusCode::kInternal, "broken"));
  ASSERT_OK_AND_ASSIGN(const auto entries, ListDirectory(directory_.Path("folder")));
  EXPECT_THAT(entries, IsEmpty());
}

TEST_F(LocalBlobStoreTest, ItIsDescribedAsAUrl) {
  EXPECT_EQ(store_->Describe(), "file://" + directory_.path());
}

TEST_F(LocalBlobStoreTest, TellsWhenABlobWasWritten) {
  const absl::Time before = SystemClock().Now() - absl::Seconds(10);
  ASSERT_OK(Put("a/b", "x"));
  ASSERT_OK_AND_ASSIGN(BlobInfo info, store_->Stat("a/b"));
  EXPECT_GT(info.write_time, before);
  EXPECT_LT(info.write_time, SystemClock().Now() + absl::Seconds(10));
  const struct timespec times[2] = {{.tv_sec = 1'000'000, .tv_nsec = 0},
                                    {.tv_sec = 1'000'000, .tv_nsec = 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, directory_.Path("a/b").c_str(), times, 0), 0);
  ASSERT_OK_AND_ASSIGN(info, store_->Stat("a/b"));
  EXPECT_EQ(info.write_time, absl::FromUnixSeconds(1'000'000));
  ASSERT_OK(store_->List("", [&](const BlobInfo& listed) {
    EXPECT_EQ(listed.write_time, info.write_time);
    return absl::OkStatus();
  }));
  MemorySource again("y");
  ASSERT_OK(store_->Replace("a/b", again));
  ASSERT_OK_AND_ASSIGN(info, store_->Stat("a/b"));
  EXPECT_GT(info.write_time, before) << "what takes its place is new";
}

TEST_F(LocalBlobStoreTest, ABlobIsThereAllTheWhileItIsReplaced) {
  ASSERT_OK(Put("a/b", "old"));
  // Looks at the place while it is read.
  class LookingSource : public ByteSource {
   public:
    explicit LookingSource(BlobStore& store) : store_(store) {}
    absl::StatusOr<absl::Span<const uint8_t>> Next() override {
      EXPECT_THAT(ReadBlob(store_, "a/b", 100), IsOkAndHolds("old"));
      return rest_.Next();
    }

   private:
    BlobStore& store_;
    MemorySource rest_{"new"};
  };
  LookingSource source(*store_);
  ASSERT_OK(store_->Replace("a/b", source));
  EXPECT_THAT(ReadBlob(*store_, "a/b", 100), IsOkAndHolds("new"));
  EXPECT_THAT(Names(), IsOkAndHolds(ElementsAre("a/b")));
}

}  // namespace
}  // namespace holdfast
