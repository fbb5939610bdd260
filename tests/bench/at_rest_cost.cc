#include "tests/bench/at_rest_cost.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/crypto/at_rest_cipher.h"
#include "common/crypto/secret.h"
#include "common/database/at_rest_file_system.h"
#include "common/database/database.h"
#include "common/database/document_record.h"
#include "common/database/rocksdb_status.h"
#include "common/io/path.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "rocksdb/write_batch.h"
#include "tests/bench/load.h"

namespace holdfast::bench {

namespace {

constexpr uint64_t kGroupDocuments = 64;
// Of these the block cache holds all.
constexpr uint64_t kCachedDocuments = 1'024;
constexpr uint64_t kReadsInARound = 20'000;

// One of the two databases that are compared.
class Subject {
 public:
  Subject(rocksdb::Env* env, std::string path) : env_(*env), path_(std::move(path)) {}

  absl::Status Open() {
    HOLDFAST_ASSIGN_OR_RETURN(database_, OpenDatabase(&env_, path_, OpenMode::kCreate));
    return absl::OkStatus();
  }

  absl::Status Write(const std::vector<std::pair<std::string, std::string>>& documents) {
    const absl::Time start = absl::Now();
    rocksdb::WriteOptions synced;
    synced.sync = true;
    for (size_t i = 0; i < documents.size();) {
      rocksdb::WriteBatch batch;
      const size_t end = std::min<size_t>(documents.size(), i + kGroupDocuments);
      for (; i < end; ++i) {
        HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(
            batch.Put(database_->documents(), documents[i].first, documents[i].second), "put"));
      }
      HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(database_->db().Write(synced, &batch), "write"));
    }
    writes.push_back(absl::Now() - start);
    HOLDFAST_RETURN_IF_ERROR(database_->Flush());
    AwaitCompactions();
    writes_and_compactions.push_back(absl::Now() - start);
    return absl::OkStatus();
  }

  absl::Status Read(const std::vector<std::string>& keys, std::vector<absl::Duration>* durations) {
    const absl::Time start = absl::Now();
    for (const std::string& key : keys) {
      rocksdb::PinnableSlice value;
      HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(
          database_->db().Get(rocksdb::ReadOptions(), database_->documents(), key, &value), "get"));
    }
    if (durations != nullptr) durations->push_back(absl::Now() - start);
    return absl::OkStatus();
  }

  // How long each round took.
  std::vector<absl::Duration> writes;
  std::vector<absl::Duration> writes_and_compactions;
  std::vector<absl::Duration> cached_reads;
  std::vector<absl::Duration> reads;

 private:
  void AwaitCompactions() {
    for (const char* property : {"rocksdb.compaction-pending", "rocksdb.num-running-compactions"}) {
      uint64_t count = 1;
      while (database_->db().GetIntProperty(database_->documents(), property, &count) &&
             count > 0) {
        absl::SleepFor(absl::Milliseconds(1));
      }
    }
  }

  rocksdb::Env& env_;
  const std::string path_;
  std::unique_ptr<OpenedDatabase> database_;
};

std::string KeyOf(uint64_t number) { return EncodeDocumentKey("bench", MakeDocumentId(number)); }

// Numbers below `max` that look random, others for each round.
std::vector<std::string> RandomKeys(uint64_t round, uint64_t max) {
  std::vector<std::string> keys;
  for (uint64_t i = 0; i < kReadsInARound; ++i) {
    keys.push_back(KeyOf(((round * kReadsInARound + i) * 2'654'435'761) % max));
  }
  return keys;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Of what each round took for so many documents.
Excess ExcessOf(const std::vector<absl::Duration>& encrypted,
                const std::vector<absl::Duration>& plain, uint64_t documents) {
  std::vector<double> document_us;
  std::vector<double> ratios;
  for (size_t i = 0; i < encrypted.size(); ++i) {
    document_us.push_back(absl::ToDoubleMicroseconds(encrypted[i]) /
                          static_cast<double>(documents));
    ratios.push_back(absl::FDivDuration(encrypted[i], plain[i]) - 1);
  }
  return {.document_us = Median(std::move(document_us)), .ratio = Median(std::move(ratios))};
}

}  // namespace

absl::StatusOr<AtRestCost> MeasureAtRestCost(const std::string& directory, uint64_t documents,
                                             size_t size_bytes, int rounds) {
  const KeyId key_id = {1};
  std::map<KeyId, Key> keys;
  keys.emplace(key_id, Key::Generate());
  const std::unique_ptr<rocksdb::Env> at_rest =
      NewAtRestEnv(std::make_shared<AtRestKeyring>(keys, key_id), SystemRandom());
  Subject encrypted(at_rest.get(), JoinPath(directory, "encrypted"));
  Subject plain(rocksdb::Env::Default(), JoinPath(directory, "plain"));
  HOLDFAST_RETURN_IF_ERROR(encrypted.Open());
  HOLDFAST_RETURN_IF_ERROR(plain.Open());
  // Who comes first changes from round to round.
  const auto both = [&](int round, const std::function<absl::Status(Subject&)>& work) {
    Subject* const first = round % 2 == 0 ? &encrypted : &plain;
    Subject* const second = round % 2 == 0 ? &plain : &encrypted;
    const absl::Status status = work(*first);
    return status.ok() ? work(*second) : status;
  };

  const uint64_t round_documents = std::max<uint64_t>(1, documents / static_cast<uint64_t>(rounds));
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::pair<std::string, std::string>> written;
    for (uint64_t i = 0; i < round_documents; ++i) {
      const uint64_t number = static_cast<uint64_t>(round) * round_documents + i;
      const std::string content = MakeDocument(number, size_bytes);
      written.emplace_back(KeyOf(number), EncodeDocumentRecord({.media_type = "application/json",
                                                                .content = content}));
    }
    HOLDFAST_RETURN_IF_ERROR(both(round, [&](Subject& subject) { return subject.Write(written); }));
  }
  const uint64_t all = round_documents * static_cast<uint64_t>(rounds);
  for (int round = 0; round < rounds; ++round) {
    const std::vector<std::string> read = RandomKeys(static_cast<uint64_t>(round), all);
    HOLDFAST_RETURN_IF_ERROR(
        both(round, [&](Subject& subject) { return subject.Read(read, &subject.reads); }));
  }
  for (int round = 0; round < rounds; ++round) {
    const std::vector<std::string> read =
        RandomKeys(static_cast<uint64_t>(round), std::min(all, kCachedDocuments));
    HOLDFAST_RETURN_IF_ERROR(both(round, [&](Subject& subject) -> absl::Status {
      HOLDFAST_RETURN_IF_ERROR(subject.Read(read, nullptr));
      return subject.Read(read, &subject.cached_reads);
    }));
  }
  return AtRestCost{
      .writes = ExcessOf(encrypted.writes, plain.writes, round_documents),
      .writes_and_compactions =
          ExcessOf(encrypted.writes_and_compactions, plain.writes_and_compactions, round_documents),
      .cached_reads = ExcessOf(encrypted.cached_reads, plain.cached_reads, kReadsInARound),
      .reads = ExcessOf(encrypted.reads, plain.reads, kReadsInARound)};
}

}  // namespace holdfast::bench
