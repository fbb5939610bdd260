#include "tests/unit/common/storage/blob_store_conformance.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/base/thread.h"
#include "gmock/gmock.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

// Yields pieces of its own, each gone with the next call, and can fail at its end.
class PieceSource : public ByteSource {
 public:
  explicit PieceSource(std::vector<std::string> pieces, absl::Status end = absl::OkStatus())
      : pieces_(std::move(pieces)), end_(std::move(end)) {}

  absl::StatusOr<absl::Span<const uint8_t>> Next() override {
    if (next_ == pieces_.size()) {
      if (!end_.ok()) return end_;
      return absl::Span<const uint8_t>();
    }
    const std::string& piece = pieces_[next_++];
    current_.assign(piece.begin(), piece.end());
    return absl::MakeConstSpan(current_);
  }

 private:
  const std::vector<std::string> pieces_;
  const absl::Status end_;
  size_t next_ = 0;
  std::vector<uint8_t> current_;
};

absl::Status Put(BlobStore& store, absl::string_view name, absl::string_view bytes) {
  MemorySource source(bytes);
  return store.Put(name, source);
}

absl::StatusOr<std::string> ReadAll(ByteSource& source) {
  std::string bytes;
  for (;;) {
    HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, source.Next());
    if (piece.empty()) return bytes;
    bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  }
}

absl::StatusOr<std::string> ReadRange(BlobStore& store, absl::string_view name, uint64_t offset,
                                      uint64_t length_max) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source,
                            store.Get(name, offset, length_max));
  return ReadAll(*source);
}

absl::StatusOr<std::map<std::string, uint64_t>> ListAll(BlobStore& store,
                                                        absl::string_view prefix) {
  std::map<std::string, uint64_t> blobs;
  HOLDFAST_RETURN_IF_ERROR(store.List(prefix, [&](const BlobInfo& info) {
    EXPECT_TRUE(blobs.emplace(info.name, info.size_bytes).second) << info.name << " came twice";
    return absl::OkStatus();
  }));
  return blobs;
}

std::string RandomBytes(SeededRandom& random, size_t size) {
  std::string bytes(size, '\0');
  random.Fill(absl::MakeSpan(reinterpret_cast<uint8_t*>(bytes.data()), size));
  return bytes;
}

TEST_P(BlobStoreConformanceTest, WhatIsPutIsRead) {
  SeededRandom random(1);
  for (const size_t size : {0, 1, 65'535, 65'536, 262'143, 262'144, 262'145, 3'000'000}) {
    const std::string name = absl::StrCat("folder/size-", size);
    const std::string bytes = RandomBytes(random, size);
    ASSERT_OK(Put(store(), name, bytes));
    ASSERT_OK_AND_ASSIGN(const std::string read, ReadBlob(store(), name, size));
    EXPECT_TRUE(read == bytes) << size;
    ASSERT_OK_AND_ASSIGN(const BlobInfo info, store().Stat(name));
    EXPECT_EQ(info.name, name);
    EXPECT_EQ(info.size_bytes, size);
  }
}

TEST_P(BlobStoreConformanceTest, PiecesOfASourceAreJoined) {
  PieceSource source({"one, ", "two", ", three"});
  ASSERT_OK(store().Put("a", source));
  EXPECT_THAT(ReadBlob(store(), "a", 100), IsOkAndHolds("one, two, three"));
}

TEST_P(BlobStoreConformanceTest, RangesAreRead) {
  ASSERT_OK(Put(store(), "a/b", "0123456789"));
  EXPECT_THAT(ReadRange(store(), "a/b", 0, 4), IsOkAndHolds("0123"));
  EXPECT_THAT(ReadRange(store(), "a/b", 3, 4), IsOkAndHolds("3456"));
  EXPECT_THAT(ReadRange(store(), "a/b", 8, 4), IsOkAndHolds("89"));
  EXPECT_THAT(ReadRange(store(), "a/b", 8, UINT64_MAX), IsOkAndHolds("89"));
  EXPECT_THAT(ReadRange(store(), "a/b", 3, 0), IsOkAndHolds(""));
  EXPECT_THAT(ReadRange(store(), "a/b", 10, 1), IsOkAndHolds(""));
  EXPECT_THAT(ReadRange(store(), "a/b", 11, 1), StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(ReadRange(store(), "a/b", UINT64_MAX, UINT64_MAX),
              StatusIs(absl::StatusCode::kOutOfRange));
}

TEST_P(BlobStoreConformanceTest, ASourceStaysAtItsEndAndCanBeRewound) {
  ASSERT_OK(Put(store(), "a", "0123456789"));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ByteSource> source, store().Get("a", 2, 5));
  EXPECT_THAT(ReadAll(*source), IsOkAndHolds("23456"));
  EXPECT_THAT(ReadAll(*source), IsOkAndHolds(""));
  ASSERT_OK(source->Rewind());
  EXPECT_THAT(ReadAll(*source), IsOkAndHolds("23456"));
}

TEST_P(BlobStoreConformanceTest, ABlobIsNeverReplaced) {
  ASSERT_OK(Put(store(), "a/b", "first"));
  EXPECT_THAT(Put(store(), "a/b", "second"), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(ReadBlob(store(), "a/b", 100), IsOkAndHolds("first"));
}

TEST_P(BlobStoreConformanceTest, WhoRepairsReplacesABlob) {
  ASSERT_OK(Put(store(), "a/b", "damaged and longer"));
  PieceSource good({"go", "od"});
  ASSERT_OK(store().Replace("a/b", good));
  EXPECT_THAT(ReadBlob(store(), "a/b", 100), IsOkAndHolds("good"));
  PieceSource missing({"back"});
  ASSERT_OK(store().Replace("c/d", missing)) << "also where there is none";
  EXPECT_THAT(ReadBlob(store(), "c/d", 100), IsOkAndHolds("back"));
  PieceSource broken({"hal"}, absl::DataLossError("the source broke"));
  EXPECT_THAT(store().Replace("a/b", broken),
              StatusIs(absl::StatusCode::kDataLoss, "the source broke"));
  // Where the place can't replace at once it is gone; it is never anything else.
  const absl::StatusOr<std::string> left = ReadBlob(store(), "a/b", 100);
  if (left.ok()) {
    EXPECT_EQ(*left, "good");
  } else {
    EXPECT_THAT(left, StatusIs(absl::StatusCode::kNotFound));
  }
}

TEST_P(BlobStoreConformanceTest, AnErrorOfTheSourceLeavesNothing) {
  PieceSource source({"some", "thing"}, absl::DataLossError("the source broke"));
  EXPECT_THAT(store().Put("a/b", source),
              StatusIs(absl::StatusCode::kDataLoss, "the source broke"));
  EXPECT_THAT(store().Stat("a/b"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(ListAll(store(), ""), IsOkAndHolds(IsEmpty()));
  EXPECT_OK(Put(store(), "a/b", "now it is there"));
}

TEST_P(BlobStoreConformanceTest, AnUnavailableSourceIsReturnedAsItIs) {
  PieceSource source({"some"}, absl::UnavailableError("the source broke"));
  EXPECT_THAT(store().Put("a", source),
              StatusIs(absl::StatusCode::kUnavailable, "the source broke"));
  EXPECT_THAT(store().Stat("a"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(BlobStoreConformanceTest, WhatIsNotThereIsNotFound) {
  ASSERT_OK(Put(store(), "folder/blob", "x"));
  for (const char* name : {"none", "folder", "folder/none", "folder/blob/below", "none/none"}) {
    EXPECT_THAT(store().Get(name), StatusIs(absl::StatusCode::kNotFound)) << name;
    EXPECT_THAT(store().Stat(name), StatusIs(absl::StatusCode::kNotFound)) << name;
    EXPECT_THAT(store().Delete(name), StatusIs(absl::StatusCode::kNotFound)) << name;
  }
  EXPECT_THAT(ReadBlob(store(), "folder/blob", 100), IsOkAndHolds("x"));
}

TEST_P(BlobStoreConformanceTest, ANameIsNotBothABlobAndAFolder) {
  ASSERT_OK(Put(store(), "a/b", "x"));
  if (!GetParam().has_folders) {
    EXPECT_OK(Put(store(), "a", "x"));
    EXPECT_THAT(ListAll(store(), "a"), IsOkAndHolds(ElementsAre(Pair("a/b", 1))));
    return;
  }
  EXPECT_THAT(Put(store(), "a/b/c", "x"), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(Put(store(), "a", "x"), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(ListAll(store(), ""), IsOkAndHolds(ElementsAre(Pair("a/b", 1))));
}

TEST_P(BlobStoreConformanceTest, NamesThatAreNoneAreRefused) {
  const std::string too_long_part(256, 'a');
  std::string too_long = "a";
  while (too_long.size() <= 1024) too_long += "/a";
  const std::vector<std::string> names = {
      "",       "/",       "/a",       "a/",  "a//b", ".",           "..",
      "a/../b", "a/./b",   "../a",     "a b", "a\\b", "a\nb",        std::string("a\0b", 3),
      ".tmp-1", "a/.tmp-", "\xC3\xA4", "a:b", "a/~",  too_long_part, too_long};
  for (const std::string& name : names) {
    EXPECT_THAT(Put(store(), name, "x"), StatusIs(absl::StatusCode::kInvalidArgument)) << name;
    EXPECT_THAT(store().Get(name), StatusIs(absl::StatusCode::kInvalidArgument)) << name;
    EXPECT_THAT(store().Stat(name), StatusIs(absl::StatusCode::kInvalidArgument)) << name;
    EXPECT_THAT(store().Delete(name), StatusIs(absl::StatusCode::kInvalidArgument)) << name;
    if (name.empty()) continue;  // all, in a listing
    EXPECT_THAT(ListAll(store(), name), StatusIs(absl::StatusCode::kInvalidArgument)) << name;
    EXPECT_THAT(store().ListFolders(name), StatusIs(absl::StatusCode::kInvalidArgument)) << name;
  }
  EXPECT_THAT(ListAll(store(), ""), IsOkAndHolds(IsEmpty()));
}

TEST_P(BlobStoreConformanceTest, UnusualNamesAreTaken) {
  const std::string long_part(255, 'x');
  for (const std::string& name : {std::string("..."), std::string("-"), std::string("A_z.0-9"),
                                  long_part, absl::StrCat("a/", long_part), std::string(".hidden"),
                                  std::string(".tmp"), std::string("d/e/e/p/e/r/than/most")}) {
    EXPECT_OK(Put(store(), name, "x")) << name;
    EXPECT_THAT(ReadBlob(store(), name, 1), IsOkAndHolds("x")) << name;
  }
}

TEST_P(BlobStoreConformanceTest, ListingIsOfAFolderAtAnyDepth) {
  ASSERT_OK(Put(store(), "top", "1"));
  ASSERT_OK(Put(store(), "a/one", "12"));
  ASSERT_OK(Put(store(), "a/b/two", "123"));
  ASSERT_OK(Put(store(), "ab/three", "1234"));
  EXPECT_THAT(ListAll(store(), ""),
              IsOkAndHolds(UnorderedElementsAre(Pair("top", 1), Pair("a/one", 2),
                                                Pair("a/b/two", 3), Pair("ab/three", 4))));
  EXPECT_THAT(ListAll(store(), "a"),
              IsOkAndHolds(UnorderedElementsAre(Pair("a/one", 2), Pair("a/b/two", 3))));
  EXPECT_THAT(ListAll(store(), "a/b"), IsOkAndHolds(ElementsAre(Pair("a/b/two", 3))));
  EXPECT_THAT(ListAll(store(), "none"), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(ListAll(store(), "none/none"), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(ListAll(store(), "top"), IsOkAndHolds(IsEmpty()));
}

TEST_P(BlobStoreConformanceTest, AListingEndsWithTheErrorOfItsVisitor) {
  ASSERT_OK(Put(store(), "a", "1"));
  ASSERT_OK(Put(store(), "b", "1"));
  int visits = 0;
  EXPECT_THAT(store().List("",
                           [&](const BlobInfo& /*info*/) {
                             ++visits;
                             return absl::AbortedError("enough");
                           }),
              StatusIs(absl::StatusCode::kAborted, "enough"));
  EXPECT_EQ(visits, 1);
}

TEST_P(BlobStoreConformanceTest, FoldersAreListedSortedAndNotBelow) {
  ASSERT_OK(Put(store(), "b/x/y", "1"));
  ASSERT_OK(Put(store(), "a/x", "1"));
  ASSERT_OK(Put(store(), "a/z", "1"));
  ASSERT_OK(Put(store(), "c", "1"));
  EXPECT_THAT(store().ListFolders(""), IsOkAndHolds(ElementsAre("a", "b")));
  EXPECT_THAT(store().ListFolders("b"), IsOkAndHolds(ElementsAre("x")));
  EXPECT_THAT(store().ListFolders("a"), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(store().ListFolders("none"), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(store().ListFolders("c"), IsOkAndHolds(IsEmpty()));
}

TEST_P(BlobStoreConformanceTest, WhatIsDeletedIsGoneAndItsNameFree) {
  ASSERT_OK(Put(store(), "a/b", "first"));
  ASSERT_OK(Put(store(), "a/c", "stays"));
  ASSERT_OK(store().Delete("a/b"));
  EXPECT_THAT(store().Stat("a/b"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(store().Delete("a/b"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(ListAll(store(), ""), IsOkAndHolds(ElementsAre(Pair("a/c", 5))));
  ASSERT_OK(Put(store(), "a/b", "second"));
  EXPECT_THAT(ReadBlob(store(), "a/b", 100), IsOkAndHolds("second"));
}

TEST_P(BlobStoreConformanceTest, ReadBlobRefusesWhatIsLarger) {
  ASSERT_OK(Put(store(), "a", "12345"));
  EXPECT_THAT(ReadBlob(store(), "a", 5), IsOkAndHolds("12345"));
  EXPECT_THAT(ReadBlob(store(), "a", 4), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("a ")));
}

TEST_P(BlobStoreConformanceTest, OfManyThatPutTheSameNameOneWins) {
  constexpr int kThreads = 8;
  std::vector<absl::Status> results(kThreads);
  {
    std::vector<Thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back("put", [&, i] {
        const std::string bytes(100'000, static_cast<char>('a' + i));
        results[static_cast<size_t>(i)] = Put(store(), "new/folder/blob", bytes);
      });
    }
  }
  ASSERT_OK_AND_ASSIGN(const std::string bytes, ReadBlob(store(), "new/folder/blob", 100'000));
  int wins = 0;
  for (size_t i = 0; i < kThreads; ++i) {
    if (results[i].ok()) {
      ++wins;
      EXPECT_EQ(bytes, std::string(100'000, static_cast<char>('a' + i)));
    } else {
      // UNAVAILABLE from one that tried again and cannot tell whose the blob is.
      EXPECT_THAT(results[i], StatusIs(testing::AnyOf(absl::StatusCode::kAlreadyExists,
                                                      absl::StatusCode::kUnavailable)));
    }
  }
  EXPECT_EQ(wins, 1);
  EXPECT_THAT(ListAll(store(), ""), IsOkAndHolds(ElementsAre(Pair("new/folder/blob", 100'000))));
}

TEST_P(BlobStoreConformanceTest, ManyThreadsPutListAndDelete) {
  constexpr int kThreads = 4;
  constexpr int kBlobs = 20;
  std::vector<Thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back("work", [&, i] {
      for (int j = 0; j < kBlobs; ++j) {
        const std::string name = absl::StrCat("f", j % 3, "/", i, "-", j);
        EXPECT_OK(Put(store(), name, name));
        EXPECT_OK(ListAll(store(), ""));
        EXPECT_THAT(ReadBlob(store(), name, 100), IsOkAndHolds(name));
        if (j % 2 == 0) {
          EXPECT_OK(store().Delete(name));
        }
      }
    });
  }
  threads.clear();
  ASSERT_OK_AND_ASSIGN(const auto blobs, ListAll(store(), ""));
  EXPECT_EQ(blobs.size(), kThreads * kBlobs / 2);
}

TEST_P(BlobStoreConformanceTest, ItTellsWhereItIs) { EXPECT_NE(store().Describe(), ""); }

}  // namespace

// Each test program of the suite has at least one.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BlobStoreConformanceTest);

}  // namespace holdfast
