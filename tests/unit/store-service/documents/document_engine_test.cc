#include "store-service/documents/document_engine.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rocksdb/db.h"
#include "store-service/documents/limits.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/store-service/store_parts.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

std::vector<std::string> IdsOf(const DocumentEngine::Page& page) {
  std::vector<std::string> ids;
  for (const Document& document : page.documents) ids.push_back(document.id);
  return ids;
}

class DocumentEngineTest : public testing::Test {
 protected:
  void PutMany(const std::vector<std::string>& ids) {
    std::vector<DocumentWrite> writes;
    for (const std::string& id : ids) writes.push_back(PutOf("c", id, "content of " + id));
    ASSERT_OK(parts_.Write(std::move(writes)));
  }

  absl::StatusOr<DocumentEngine::Page> List(const std::string& token, int32_t page_size,
                                            const std::string& prefix = "") {
    return parts_.engine->List(
        {.collection = "c", .id_prefix = prefix, .page_size = page_size, .page_token = token});
  }

  StoreParts parts_;
};

TEST_F(DocumentEngineTest, GivesBackWhatWasPutByteForByte) {
  SeededRandom random;
  std::string content(kContentSizeMaxBytes, '\0');
  random.Fill(absl::MakeSpan(reinterpret_cast<uint8_t*>(content.data()), content.size()));
  const std::string id(kDocumentIdSizeMaxBytes, 'i');
  const std::string collection(kCollectionNameSizeMaxBytes, 'c');
  ASSERT_OK(parts_.Write({PutOf(collection, id, content)}));
  ASSERT_OK_AND_ASSIGN(const Document document, parts_.engine->Get(collection, id));
  EXPECT_EQ(document.content, content);
  EXPECT_EQ(document.id, id);
  EXPECT_EQ(document.collection, collection);
  EXPECT_EQ(document.media_type, "text/plain");
}

TEST_F(DocumentEngineTest, MemoryGivesWhatWasJustWrittenOrRead) {
  PutMany({"a"});
  ASSERT_TRUE(parts_.engine->GetFromMemory("c", "a").has_value());
  ASSERT_OK(parts_.database->Flush());
  parts_.Close();
  parts_.Open();
  // On disk alone: that is for Get to find out.
  EXPECT_FALSE(parts_.engine->GetFromMemory("c", "a").has_value());
  ASSERT_OK(parts_.engine->Get("c", "a"));
  const std::optional<Document> document = parts_.engine->GetFromMemory("c", "a");
  ASSERT_TRUE(document.has_value());
  EXPECT_EQ(document->content, "content of a");
  EXPECT_EQ(document->revision, 1U);
  EXPECT_EQ(document->collection, "c");
  EXPECT_EQ(document->id, "a");
}

TEST_F(DocumentEngineTest, MemoryDoesNotSayThatThereIsNone) {
  EXPECT_FALSE(parts_.engine->GetFromMemory("c", "a").has_value());
  EXPECT_FALSE(parts_.engine->GetFromMemory("C", "a").has_value());
  EXPECT_FALSE(parts_.engine->GetFromMemory("c", "").has_value());
  PutMany({"a"});
  ASSERT_OK(parts_.Write({DeletionOf("c", "a")}));
  EXPECT_FALSE(parts_.engine->GetFromMemory("c", "a").has_value());
}

TEST_F(DocumentEngineTest, MemoryGivesNothingFromATableThatIsNotOpen) {
  // RocksDB keeps ten fewer open, and says OK of a document in a table that it would have to open.
  parts_.Close();
  parts_.Open({.open_files_max = 20});
  ASSERT_TRUE(parts_.database->db()
                  .SetOptions(parts_.database->documents(), {{"disable_auto_compactions", "true"}})
                  .ok());
  std::vector<std::string> ids;
  for (int i = 0; i < 30; ++i) {
    ids.push_back(absl::StrCat(i));
    PutMany({ids.back()});
    ASSERT_OK(parts_.database->Flush());
  }
  int missing = 0;
  for (const std::string& id : ids) {
    if (const std::optional<Document> found = parts_.engine->GetFromMemory("c", id)) {
      EXPECT_EQ(found->content, "content of " + id);
    } else {
      ++missing;
    }
    ASSERT_OK_AND_ASSIGN(const Document document, parts_.engine->Get("c", id));
    EXPECT_EQ(document.content, "content of " + id);
  }
  EXPECT_GT(missing, 0);
  EXPECT_FALSE(parts_.sickness->Get().has_value());
}

TEST_F(DocumentEngineTest, JsonIsTheMediaTypeWhereNoneIsGiven) {
  DocumentWrite write = PutOf("c", "a", "{\"a\": 1}");
  write.media_type.clear();
  ASSERT_OK(parts_.Write({write}));
  ASSERT_OK_AND_ASSIGN(const Document document, parts_.engine->Get("c", "a"));
  EXPECT_EQ(document.media_type, "application/json");
  write.content = "{";
  EXPECT_THAT(parts_.Write({write}), StatusIs(kInvalid, HasSubstr("not valid JSON")));
}

TEST_F(DocumentEngineTest, RefusesWhatBreaksARule) {
  EXPECT_THAT(parts_.engine->Get("C", "a"), StatusIs(kInvalid, HasSubstr("collection")));
  EXPECT_THAT(parts_.engine->Get("c", ""), StatusIs(kInvalid, HasSubstr("id")));
  EXPECT_THAT(parts_.Write({PutOf("C", "a", "x")}), StatusIs(kInvalid));
  EXPECT_THAT(parts_.Write({PutOf("c", "a\n", "x")}), StatusIs(kInvalid));
  EXPECT_THAT(parts_.Write({PutOf("c", "a", std::string(kContentSizeMaxBytes + 1, 'x'))}),
              StatusIs(kInvalid));
  EXPECT_THAT(parts_.Write({PutOf("c", "a", "x", MustBeAt(0))}),
              StatusIs(kInvalid, HasSubstr("zero")));
  EXPECT_THAT(parts_.Write({DeletionOf("c", "a", MustNotExist())}),
              StatusIs(kInvalid, HasSubstr("makes no sense")));
  EXPECT_THAT(parts_.Write({}), StatusIs(kInvalid, HasSubstr("1 to 1000 writes")));
  EXPECT_THAT(parts_.Write(std::vector<DocumentWrite>(kWritesMax + 1, PutOf("c", "a", "x"))),
              StatusIs(kInvalid, HasSubstr("not 1001")));
  EXPECT_THAT(parts_.Write({PutOf("c", "a", "x"), PutOf("c", "", "x")}),
              StatusIs(kInvalid, HasSubstr("write 1: ")));
  EXPECT_THAT(List("", -1), StatusIs(kInvalid, HasSubstr("page_size")));
  EXPECT_EQ(parts_.committer->state().revision, 0U);
}

TEST_F(DocumentEngineTest, OneCallWritesUpToThreeMebibytes) {
  std::vector<DocumentWrite> writes;
  for (int i = 0; i < 3; ++i) {
    // With the collection (1), the id (1) and "text/plain" (10) exactly 1 MiB.
    writes.push_back(PutOf("c", absl::StrCat(i), std::string(kContentSizeMaxBytes - 12, 'x')));
  }
  EXPECT_OK(parts_.Write(writes));
  writes[0].content.push_back('x');
  EXPECT_THAT(parts_.Write(writes), StatusIs(kInvalid, HasSubstr("at most 3145728 bytes")));
}

TEST_F(DocumentEngineTest, ListsInTheOrderOfIdsByBytes) {
  PutMany({"b", "a", "B", "\xc3\xa4", "a/2", "a/10", "z"});
  ASSERT_OK(
      parts_.Write({PutOf("b", "other", ""), PutOf("d", "other", ""), PutOf("c.d", "o", "")}));
  ASSERT_OK_AND_ASSIGN(const DocumentEngine::Page page, List("", 0));
  EXPECT_THAT(IdsOf(page), ElementsAre("B", "a", "a/10", "a/2", "b", "z", "\xc3\xa4"));
  EXPECT_EQ(page.next_page_token, "");
  EXPECT_EQ(page.revision, 10U);
  EXPECT_EQ(page.documents[0].content, "content of B");
}

TEST_F(DocumentEngineTest, ListsByPrefix) {
  PutMany({"a", "a/1", "a/2", "a0", "b"});
  ASSERT_OK_AND_ASSIGN(const DocumentEngine::Page page, List("", 0, "a/"));
  EXPECT_THAT(IdsOf(page), ElementsAre("a/1", "a/2"));
  ASSERT_OK_AND_ASSIGN(const DocumentEngine::Page none, List("", 0, "x"));
  EXPECT_THAT(none.documents, IsEmpty());
  EXPECT_THAT(none.next_page_token, IsEmpty());
}

TEST_F(DocumentEngineTest, AnEmptyCollectionHasAnEmptyPage) {
  ASSERT_OK_AND_ASSIGN(const DocumentEngine::Page page, List("", 0));
  EXPECT_THAT(page.documents, IsEmpty());
  EXPECT_EQ(page.next_page_token, "");
}

TEST_F(DocumentEngineTest, AllPagesShowTheMomentOfTheFirst) {
  PutMany({"a", "b", "c", "d", "e"});
  ASSERT_OK_AND_ASSIGN(const DocumentEngine::Page first, List("", 2));
  EXPECT_THAT(IdsOf(first), ElementsAre("a", "b"));
  ASSERT_OK(parts_.Write({DeletionOf("c", "d"), PutOf("c", "c", "changed"), PutOf("c", "bb", "new"),
                          PutOf("c", "f", "new")}));
  ASSERT_OK_AND_ASSIGN(const DocumentEngine::Page second, List(first.next_page_token, 2));
  EXPECT_THAT(IdsOf(second), ElementsAre("c", "d"));
  EXPECT_EQ(second.documents[0].content, "content of c");
  // A page that got lost on its way can be asked for again.
  ASSERT_OK_AND_ASSIGN(const DocumentEngine::Page again, List(first.next_page_token, 2));
  EXPECT_THAT(IdsOf(again), ElementsAre("c", "d"));
  ASSERT_OK_AND_ASSIGN(const DocumentEngine::Page third, List(second.next_page_token, 2));
  EXPECT_THAT(IdsOf(third), ElementsAre("e"));
  EXPECT_EQ(third.next_page_token, "");
  EXPECT_EQ(third.revision, first.revision);
}

TEST_F(DocumentEngineTest, APageEndsBeforeThreeMebibytes) {
  for (const char* id : {"a", "b", "c", "d"}) {
    ASSERT_OK(parts_.Write({PutOf("c", id, std::string(kContentSizeMaxBytes, 'x'))}));
  }
  ASSERT_OK_AND_ASSIGN(const DocumentEngine::Page first, List("", 0));
  EXPECT_THAT(IdsOf(first), ElementsAre("a", "b"));
  ASSERT_OK_AND_ASSIGN(const DocumentEngine::Page second, List(first.next_page_token, 0));
  EXPECT_THAT(IdsOf(second), ElementsAre("c", "d"));
  EXPECT_EQ(second.next_page_token, "");
}

TEST_F(DocumentEngineTest, ContentCanBeLeftOut) {
  PutMany({"a"});
  ASSERT_OK_AND_ASSIGN(const DocumentEngine::Page page,
                       parts_.engine->List({.collection = "c", .omit_content = true}));
  ASSERT_THAT(page.documents, SizeIs(1));
  EXPECT_EQ(page.documents[0].content, "");
  EXPECT_EQ(page.documents[0].media_type, "text/plain");
  EXPECT_EQ(page.documents[0].revision, 1U);
}

TEST_F(DocumentEngineTest, PagesHaveAHundredDocumentsAndAThousandAtMost) {
  for (int i = 0; i < 2; ++i) {
    std::vector<DocumentWrite> writes;
    for (int j = 0; j < 600; ++j)
      writes.push_back(PutOf("c", absl::StrFormat("%d-%03d", i, j), ""));
    ASSERT_OK(parts_.Write(std::move(writes)));
  }
  ASSERT_OK_AND_ASSIGN(const DocumentEngine::Page standard, List("", 0));
  EXPECT_THAT(standard.documents, SizeIs(100));
  ASSERT_OK_AND_ASSIGN(const DocumentEngine::Page most, List("", 100'000));
  EXPECT_THAT(most.documents, SizeIs(1000));
  ASSERT_OK_AND_ASSIGN(const DocumentEngine::Page rest, List(most.next_page_token, 1));
  EXPECT_THAT(IdsOf(rest), ElementsAre("1-400"));
}

TEST_F(DocumentEngineTest, AViewGoesTenMinutesAfterItsLastUse) {
  PutMany({"a", "b", "c", "d"});
  ASSERT_OK_AND_ASSIGN(const DocumentEngine::Page first, List("", 1));
  parts_.clock().Advance(DocumentEngine::kViewLifetime - absl::Seconds(1));
  ASSERT_OK_AND_ASSIGN(const DocumentEngine::Page second, List(first.next_page_token, 1));
  parts_.clock().Advance(DocumentEngine::kViewLifetime - absl::Seconds(1));
  ASSERT_OK_AND_ASSIGN(const DocumentEngine::Page third, List(second.next_page_token, 1));
  parts_.clock().Advance(DocumentEngine::kViewLifetime);
  EXPECT_THAT(List(third.next_page_token, 1),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("begin the listing again")));
}

TEST_F(DocumentEngineTest, TheLeastRecentlyUsedViewGoesWhenThereAreTooMany) {
  PutMany({"a", "b", "c"});
  std::vector<std::string> tokens;
  for (size_t i = 0; i < DocumentEngine::kViewsMax; ++i) {
    ASSERT_OK_AND_ASSIGN(const DocumentEngine::Page page, List("", 1));
    tokens.push_back(page.next_page_token);
    parts_.clock().Advance(absl::Milliseconds(1));
  }
  ASSERT_OK(List(tokens[0], 1));  // used again
  parts_.clock().Advance(absl::Milliseconds(1));
  ASSERT_OK(List("", 1));
  EXPECT_OK(List(tokens[0], 1));
  EXPECT_THAT(List(tokens[1], 1), StatusIs(absl::StatusCode::kAborted));
  EXPECT_OK(List(tokens[2], 1));
}

TEST_F(DocumentEngineTest, HostileTokensAreRefused) {
  PutMany({"a", "b", "c"});
  ASSERT_OK_AND_ASSIGN(const DocumentEngine::Page page, List("", 1));
  const std::string& token = page.next_page_token;
  EXPECT_THAT(List(token, 1, "b"), StatusIs(kInvalid, HasSubstr("another listing")));
  EXPECT_THAT(parts_.engine->List({.collection = "d", .page_token = token}),
              StatusIs(kInvalid, HasSubstr("another listing")));
  for (const std::string& hostile :
       {std::string("x"), std::string("!!!!"), std::string(16, 'A'), std::string(100'000, 'A'),
        absl::WebSafeBase64Escape(std::string(16, '\0')), std::string("\0\0", 2)}) {
    EXPECT_THAT(List(hostile, 1), StatusIs(kInvalid, HasSubstr("page_token is not one")));
  }
  // The right form, but a view that nobody has.
  EXPECT_THAT(List(absl::WebSafeBase64Escape(std::string(16, 'v') + "a"), 1),
              StatusIs(absl::StatusCode::kAborted));
  // A position of the caller's own stays within the listing.
  std::string raw;
  ASSERT_TRUE(absl::WebSafeBase64Unescape(token, &raw));
  for (const std::string& position :
       {std::string("\0", 1), std::string("\xff\xff"), std::string(600, 'z')}) {
    const auto moved = List(absl::WebSafeBase64Escape(raw.substr(0, 16) + position), 10);
    if (moved.ok()) {
      for (const Document& document : moved->documents) EXPECT_EQ(document.collection, "c");
    }
  }
}

TEST_F(DocumentEngineTest, ListsCollectionsInPages) {
  ASSERT_OK(parts_.Write({PutOf("b", "1", ""), PutOf("a", "1", ""), PutOf("c", "1", "")}));
  ASSERT_OK_AND_ASSIGN(const auto first, parts_.engine->ListCollections(2, ""));
  EXPECT_THAT(first.collections, ElementsAre(testing::Pair("a", 1), testing::Pair("b", 1)));
  ASSERT_OK_AND_ASSIGN(const auto second, parts_.engine->ListCollections(2, first.next_page_token));
  EXPECT_THAT(second.collections, ElementsAre(testing::Pair("c", 1)));
  EXPECT_EQ(second.next_page_token, "");
  EXPECT_THAT(parts_.engine->ListCollections(2, "NOT A NAME"), StatusIs(kInvalid));
  EXPECT_THAT(parts_.engine->ListCollections(-1, ""), StatusIs(kInvalid));
}

}  // namespace
}  // namespace holdfast
