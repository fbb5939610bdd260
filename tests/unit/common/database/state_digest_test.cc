#include "common/database/state_digest.h"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

Key TestKey(uint8_t fill = 7) {
  const std::string bytes(kKeySizeBytes, static_cast<char>(fill));
  return Key::FromBytes(AsBytes(bytes));
}

struct Sample {
  std::string collection = "projects";
  std::string id = "p-1";
  std::string media_type = "application/json";
  std::string content = "{}";
  uint64_t revision = 5;
  int64_t create_time_us = 10;
  int64_t change_time_us = 20;

  Hash256 Hash(const Key& key = TestKey()) const {
    return HashDocument(key, collection, id,
                        {.revision = revision,
                         .create_time_us = create_time_us,
                         .change_time_us = change_time_us,
                         .media_type = media_type,
                         .content = content});
  }
};

TEST(StateDigestTest, HashDependsOnEveryField) {
  const std::vector<std::function<void(Sample&)>> changes = {
      [](Sample& s) { s.collection = "project"; },
      [](Sample& s) { s.id = "p-2"; },
      [](Sample& s) { s.media_type = "text/plain"; },
      [](Sample& s) { s.content = "[]"; },
      [](Sample& s) { s.revision = 6; },
      [](Sample& s) { s.create_time_us = 11; },
      [](Sample& s) { s.change_time_us = 21; },
      // The same bytes, cut in other places.
      [](Sample& s) { s.collection = "projectsp", s.id = "-1"; },
      [](Sample& s) { s.media_type = "application/json{", s.content = "}"; },
      [](Sample& s) { std::swap(s.create_time_us, s.change_time_us); },
  };
  std::vector<Hash256> hashes = {Sample().Hash(), Sample().Hash(TestKey(8))};
  for (const auto& change : changes) {
    Sample sample;
    change(sample);
    hashes.push_back(sample.Hash());
  }
  const size_t count = hashes.size();
  std::sort(hashes.begin(), hashes.end());
  hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
  EXPECT_EQ(hashes.size(), count);
  EXPECT_EQ(Sample().Hash(), Sample().Hash());
}

// Fixed values, computed by another implementation: the construction is on disk, and in every
// manifest.
TEST(StateDigestTest, ConstructionDoesNotChange) {
  StateDigest digest;
  EXPECT_EQ(absl::BytesToHexString(AsText(digest.Digest(TestKey()))),
            "99298138480de91ef9a30c36e063addaa12c208055d77794367c0bf8dd133443");
  EXPECT_EQ(absl::BytesToHexString(AsText(Sample().Hash())),
            "04dcacadf446d1235cd9c0d17a3e0f4d49f0cd92c99e727aaafe9dc47f0f9b30");
  digest.Add("projects", Sample().Hash());
  EXPECT_EQ(absl::BytesToHexString(AsText(digest.Digest(TestKey()))),
            "370e57f898f78ace4a2ff73b08cced5fa1005a320586ece75e96a239cab71cdd");
}

TEST(StateDigestTest, OrderDoesNotMatter) {
  SeededRandom random;
  std::vector<Sample> samples(50);
  for (size_t i = 0; i < samples.size(); ++i) {
    samples[i].id = absl::StrCat(i);
    samples[i].collection = i % 3 == 0 ? "a" : "b";
  }
  const auto digest_of = [&samples] {
    StateDigest digest;
    for (const Sample& sample : samples) digest.Add(sample.collection, sample.Hash());
    return digest.Digest(TestKey());
  };
  const Hash256 in_order = digest_of();
  for (size_t i = samples.size() - 1; i > 0; --i) {
    std::swap(samples[i], samples[random.Uniform(i + 1)]);
  }
  EXPECT_EQ(digest_of(), in_order);
}

TEST(StateDigestTest, SubtractingUndoesAdding) {
  SeededRandom random;
  StateDigest digest;
  digest.Add("a", Sample().Hash());
  const Hash256 before = digest.Digest(TestKey());
  std::vector<Hash256> hashes(100);
  for (Hash256& hash : hashes) {
    random.Fill(absl::MakeSpan(hash));
    digest.Add("a", hash);
    digest.Add("b", hash);
  }
  EXPECT_NE(digest.Digest(TestKey()), before);
  EXPECT_EQ(digest.document_count(), 201u);
  for (const Hash256& hash : hashes) {
    ASSERT_OK(digest.Subtract("a", hash));
    ASSERT_OK(digest.Subtract("b", hash));
  }
  EXPECT_EQ(digest.Digest(TestKey()), before);
  EXPECT_EQ(digest.document_count(), 1u);
  EXPECT_EQ(digest.collections().count("b"), 0u);
}

TEST(StateDigestTest, SumCarriesThroughAllItsBytes) {
  Hash256 most;
  most.fill(0xff);
  Hash256 one{};
  one[0] = 1;
  CollectionDigest digest;
  digest.Add(most);
  digest.Add(one);
  EXPECT_EQ(digest.sum(), Hash256{});
  ASSERT_OK(digest.Subtract(one));
  EXPECT_EQ(digest.sum(), most);
}

TEST(StateDigestTest, SubtractingWhatIsNotThereIsDataLossAndChangesNothing) {
  const Hash256 hash = Sample().Hash();
  StateDigest digest;
  digest.Add("a", hash);
  const Hash256 before = digest.Digest(TestKey());
  EXPECT_THAT(digest.Subtract("b", hash), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_EQ(digest.document_count(), 1u);
  EXPECT_EQ(digest.Digest(TestKey()), before);
  ASSERT_OK(digest.Subtract("a", hash));
  EXPECT_THAT(digest.Subtract("a", hash), StatusIs(absl::StatusCode::kDataLoss));
  CollectionDigest collection;
  EXPECT_THAT(collection.Subtract(hash), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_EQ(collection, CollectionDigest());
}

TEST(StateDigestTest, DigestTellsCollectionsAndKeysApart) {
  const Hash256 hash = Sample().Hash();
  StateDigest a;
  a.Add("a", hash);
  StateDigest b;
  b.Add("b", hash);
  EXPECT_NE(a.Digest(TestKey()), b.Digest(TestKey()));
  EXPECT_NE(a.Digest(TestKey()), a.Digest(TestKey(8)));
  EXPECT_NE(a.Digest(TestKey()), StateDigest().Digest(TestKey()));
}

TEST(StateDigestTest, SetReplacesWhatWasThere) {
  StateDigest digest;
  digest.Add("a", Sample().Hash());
  StateDigest other = digest;
  other.Add("a", Sample().Hash());
  digest.Set("a", other.collections().at("a"));
  EXPECT_EQ(digest.document_count(), 2u);
  EXPECT_EQ(digest.Digest(TestKey()), other.Digest(TestKey()));
}

TEST(CollectionDigestTest, ComesBackFromItsValue) {
  CollectionDigest digest;
  digest.Add(Sample().Hash());
  digest.Add(Sample().Hash());
  const std::string value = digest.Encode();
  EXPECT_EQ(value.size(), 40u);
  EXPECT_EQ(value[0], '\x02');
  ASSERT_OK_AND_ASSIGN(const CollectionDigest decoded, CollectionDigest::Decode(value));
  EXPECT_EQ(decoded, digest);
}

TEST(CollectionDigestTest, WrongLengthOrNoDocumentIsDataLoss) {
  const std::string value = CollectionDigest().Encode();
  EXPECT_THAT(CollectionDigest::Decode(value), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(CollectionDigest::Decode(value + "x"), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(CollectionDigest::Decode(""), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace holdfast
