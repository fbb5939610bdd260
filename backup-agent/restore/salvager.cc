#include "backup-agent/restore/salvager.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "backup-agent/restore/file_salvage.h"
#include "backup-agent/restore/restore_plan.h"
#include "backup-agent/restore/salvage_report.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/database/data_directory.h"
#include "common/database/database.h"
#include "common/database/database_metadata.h"
#include "common/database/database_remains.h"
#include "common/database/document_record.h"
#include "common/database/rocksdb_status.h"
#include "common/database/state_digest.h"
#include "common/database/table_reader.h"
#include "common/io/files.h"
#include "common/io/path.h"
#include "common/repository/layout.h"
#include "common/repository/object_remains.h"
#include "rocksdb/write_batch.h"

namespace holdfast {

namespace {

using agent::v1::UnprovenDocument;
using repository::v1::BackupSummary;
using repository::v1::FileEntry;

// How many documents there are between two signs of progress.
constexpr uint64_t kProgressStep = 1000;
constexpr size_t kBatchSizeBytes = size_t{1} << 20;

// Tables in which the database says something about itself are small.
constexpr uint64_t kMetadataTableSizeMaxBytes = uint64_t{8} << 20;
// How many of them are looked at in other backups at most.
constexpr int kOtherTablesMax = 10'000;

// What was found of a collection, and what it comes to.
struct Tally {
  // Of the documents whose hash is good: all, and those of which nothing newer can be lost.
  CollectionDigest found;
  CollectionDigest certain;
  // Documents whose hash is not that of their content.
  uint64_t damaged_count = 0;

  // What the store counted, where that is proven.
  std::optional<CollectionDigest> counted;

  // kRest: the certain ones are proven, the others that were found are not.
  enum class Verdict { kAllProven, kRest, kOnlyCertain, kContradicted };
  Verdict verdict = Verdict::kRest;

  uint64_t proven() const {
    switch (verdict) {
      case Verdict::kAllProven:
        return found.document_count();
      case Verdict::kContradicted:
        return 0;
      default:
        return certain.document_count();
    }
  }
  uint64_t unproven() const {
    switch (verdict) {
      case Verdict::kRest:
        return found.document_count() - certain.document_count() + damaged_count;
      case Verdict::kContradicted:
        return found.document_count() + damaged_count;
      default:
        return 0;
    }
  }
  // The collection is certainly what the store had, document for document.
  bool is_whole() const {
    return verdict == Verdict::kAllProven || verdict == Verdict::kOnlyCertain;
  }
};

// A document as it was found.
struct FoundDocument {
  DocumentKey name;
  DocumentRecord record;
  bool is_hash_good = false;
  const Gap* gap = nullptr;
};

agent::v1::KeyGap DescribeGap(const Gap& gap) {
  agent::v1::KeyGap described;
  described.set_name(gap.file_name);
  described.set_column_family(gap.column_family.value_or(""));
  described.set_smallest(absl::CEscape(gap.smallest.value_or("")));
  described.set_largest(absl::CEscape(gap.largest.value_or("")));
  return described;
}

class Salvager {
 public:
  Salvager(StoreRepository& store, const Manifest& manifest, const MasterKey& master_key,
           const std::string& path, const RestoreOptions& options, Clock& clock,
           RandomSource& random, const Cancellation& cancellation)
      : store_(store),
        manifest_(manifest),
        summary_(manifest.summary),
        master_key_(master_key),
        path_(path),
        options_(options),
        clock_(clock),
        random_(random),
        cancellation_(cancellation) {}

  absl::StatusOr<SalvageResult> Run() {
    const MonotonicTime start = clock_.MonotonicNow();
    HOLDFAST_ASSIGN_OR_RETURN(
        target_, DataDirectoryRestore::Begin(path_, master_key_, store_.store_id(), clock_.Now()));
    HOLDFAST_RETURN_IF_ERROR(CheckSpace());
    HOLDFAST_RETURN_IF_ERROR(BringFiles());
    HOLDFAST_ASSIGN_OR_RETURN(remains_, DatabaseRemains::Open(target_->env(), target_->files_path(),
                                                              files_.database_files));
    HOLDFAST_RETURN_IF_ERROR(ReadMetadata());
    HOLDFAST_RETURN_IF_ERROR(CountDocuments());
    Judge();
    HOLDFAST_RETURN_IF_ERROR(Write());
    result_.duration = clock_.MonotonicNow() - start;
    return std::move(result_);
  }

 private:
  // --- Files

  absl::Status CheckSpace() const {
    HOLDFAST_ASSIGN_OR_RETURN(const int64_t free_bytes, FreeSpaceBytes(path_));
    // What is left is brought first, and then written anew.
    const uint64_t needed_bytes = 2 * RestoreSpaceNeededBytes(manifest_.files);
    if (static_cast<uint64_t>(std::max<int64_t>(free_bytes, 0)) >= needed_bytes) {
      return absl::OkStatus();
    }
    return absl::ResourceExhaustedError(
        absl::StrCat(path_, " has too little space: a salvage needs ", needed_bytes, " bytes, and ",
                     free_bytes, " are free"));
  }

  absl::Status BringFiles() {
    progress_.phase = RestoreProgress::Phase::kFiles;
    progress_.files_total = static_cast<uint64_t>(manifest_.files.files_size());
    for (const FileEntry& file : manifest_.files.files()) {
      progress_.bytes_total += file.size_bytes();
    }
    HOLDFAST_ASSIGN_OR_RETURN(files_, SalvageFiles(
                                          store_, manifest_.files, *target_,
                                          [this](uint64_t bytes) {
                                            progress_.bytes_done += bytes;
                                            ShowProgress();
                                          },
                                          cancellation_));
    progress_.phase = RestoreProgress::Phase::kDocuments;
    // They are walked over twice: counted, then written.
    progress_.documents_total = 2 * summary_.document_count();
    return absl::OkStatus();
  }

  void ShowProgress() const {
    if (options_.on_progress) options_.on_progress(progress_);
  }

  // --- What the database says about itself

  absl::Status ReadMetadata() {
    StateDigest& digest = found_digest_;
    std::string identity;
    HOLDFAST_RETURN_IF_ERROR(remains_->Visit(
        rocksdb::kDefaultColumnFamilyName, [&](const DatabaseRemains::Found& found) {
          const DatabaseEntry& entry = found.entry;
          const bool is_put = entry.kind == DatabaseEntry::Kind::kPut;
          absl::string_view collection = entry.key;
          if (entry.key == kIdentityKey && is_put) {
            identity = std::string(entry.value);
          } else if (entry.key == kHeadKey && is_put) {
            store::v1::DatabaseHead head;
            if (head.ParseFromArray(entry.value.data(), static_cast<int>(entry.value.size()))) {
              found_revision_ = head.revision();
            }
          } else if (absl::ConsumePrefix(&collection, kCollectionKeyPrefix)) {
            const absl::StatusOr<CollectionDigest> counted =
                is_put ? CollectionDigest::Decode(entry.value)
                       : absl::StatusOr<CollectionDigest>(CollectionDigest());
            if (!counted.ok()) return absl::OkStatus();
            if (is_put) digest.Set(collection, *counted);
            if (found.gap == nullptr) counted_.emplace(std::string(collection), *counted);
          }
          return absl::OkStatus();
        }));
    if (!ParseIdentity(identity)) HOLDFAST_RETURN_IF_ERROR(FindIdentityElsewhere());
    if (!has_digest_key_) {
      LogWarning("the key of the documents' hashes is lost: nothing can be proven",
                 {{"backup_id", summary_.backup_id()}});
      std::array<uint8_t, kKeySizeBytes> fresh;
      random_.Fill(absl::MakeSpan(fresh));
      identity_.set_digest_key(fresh.data(), fresh.size());
      identity_.set_create_time_us(summary_.commit_time_us());
      return absl::OkStatus();
    }
    // The state digest covers all counts: where it comes out, each is what the store had.
    are_counts_proven_ = digest.document_count() == summary_.document_count() &&
                         AsText(digest.Digest(DigestKey())) == summary_.state_digest();
    if (are_counts_proven_) {
      counted_.clear();
      for (const auto& [collection, counted] : digest.collections()) {
        counted_.emplace(collection, counted);
      }
    }
    return absl::OkStatus();
  }

  Key DigestKey() const { return Key::FromBytes(AsBytes(identity_.digest_key())); }

  // The digest key never changes in the life of a store: that of any identity of it will do.
  bool ParseIdentity(const std::string& bytes) {
    store::v1::DatabaseIdentity identity;
    if (bytes.empty() || !identity.ParseFromString(bytes) ||
        identity.store_id() != summary_.store_id() ||
        identity.digest_key().size() != kKeySizeBytes) {
      return false;
    }
    identity_ = std::move(identity);
    has_digest_key_ = true;
    return true;
  }

  // Looks for it in the tables of the other backups.
  absl::Status FindIdentityElsewhere() {
    HOLDFAST_ASSIGN_OR_RETURN(const BackupListing listing, store_.ListBackups(),
                              "list the backups");
    std::set<std::string> seen;
    for (const auto& object : manifest_.files.objects()) seen.insert(object.name());
    int tables_left = kOtherTablesMax;
    for (auto backup = listing.backups.rbegin(); backup != listing.backups.rend(); ++backup) {
      if (backup->summary.backup_id() == summary_.backup_id()) continue;
      const auto loaded = store_.LoadManifest(backup->summary.backup_id());
      if (!loaded.ok()) continue;
      for (const FileEntry& file : loaded->manifest.files.files()) {
        HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
        if (file.kind() != FileEntry::KIND_TABLE || file.extents_size() != 1 ||
            file.size_bytes() > kMetadataTableSizeMaxBytes) {
          continue;
        }
        const repository::v1::ObjectEntry& object =
            loaded->manifest.files.objects(static_cast<int>(file.extents(0).object_index()));
        if (object.codec() != repository::v1::ObjectEntry::CODEC_NONE ||
            object.content_size_bytes() != file.size_bytes() ||
            !seen.insert(object.name()).second) {
          continue;
        }
        if (--tables_left < 0) return absl::OkStatus();
        HOLDFAST_ASSIGN_OR_RETURN(const std::string identity, ReadIdentity(object, file.name()));
        if (ParseIdentity(identity)) {
          LogInfo("the key of the documents' hashes is lost, but another backup has it",
                  {{"backup_id", backup->summary.backup_id()}});
          return absl::OkStatus();
        }
      }
    }
    return absl::OkStatus();
  }

  // The identity in a table; empty where there is none.
  absl::StatusOr<std::string> ReadIdentity(const repository::v1::ObjectEntry& object,
                                           const std::string& name) const {
    std::string bytes;
    HOLDFAST_ASSIGN_OR_RETURN(
        const ObjectRemains remains,
        ReadObjectRemains(store_, object, [&](uint64_t, absl::Span<const uint8_t> piece) {
          absl::StrAppend(&bytes, AsText(piece));
          return absl::OkStatus();
        }));
    if (!remains.lost.empty()) return std::string();
    const auto table = TableReader::OpenBytes(std::move(bytes), name);
    if (!table.ok() || (*table)->column_family() != rocksdb::kDefaultColumnFamilyName) {
      return std::string();
    }
    TableReader::Cursor cursor(**table);
    for (absl::Status moved = cursor.Begin(); moved.ok() && cursor.valid(); moved = cursor.Next()) {
      if (cursor.entry().key == kIdentityKey && cursor.entry().kind == DatabaseEntry::Kind::kPut) {
        return std::string(cursor.entry().value);
      }
    }
    return std::string();
  }

  // --- Documents

  // Calls `visit` for each document that was found.
  absl::Status VisitDocuments(absl::FunctionRef<absl::Status(const FoundDocument&)> visit) {
    const Key digest_key = DigestKey();
    uint64_t count = 0;
    return remains_->Visit(
        kDocumentsFamily, [&](const DatabaseRemains::Found& found) -> absl::Status {
          if (++count % kProgressStep == 0) {
            HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
            progress_.documents_done += kProgressStep;
            ShowProgress();
          }
          if (found.entry.kind != DatabaseEntry::Kind::kPut) return absl::OkStatus();
          FoundDocument document;
          const absl::StatusOr<DocumentKey> name = DecodeDocumentKey(found.entry.key);
          if (!name.ok()) return absl::OkStatus();  // of no collection, so nobody misses it
          document.name = *name;
          document.gap = found.gap;
          absl::StatusOr<DocumentRecord> record = DecodeDocumentRecord(found.entry.value);
          if (absl::IsUnimplemented(record.status())) return record.status();
          if (record.ok()) {
            document.record = *record;
            // Without the key nobody can tell.
            document.is_hash_good =
                record->revision <= summary_.revision() &&
                (!has_digest_key_ || HashDocument(digest_key, document.name.collection,
                                                  document.name.id, *record) == record->hash);
          }
          return visit(document);
        });
  }

  absl::Status CountDocuments() {
    for (const auto& [collection, counted] : counted_) tallies_[collection].counted = counted;
    return VisitDocuments([this](const FoundDocument& document) {
      auto tally = tallies_.find(document.name.collection);
      if (tally == tallies_.end()) {
        tally = tallies_.emplace(std::string(document.name.collection), Tally()).first;
        // Where all counts are known, one that is not among them is zero.
        if (are_counts_proven_) tally->second.counted.emplace();
      }
      if (!document.is_hash_good) {
        ++tally->second.damaged_count;
        return absl::OkStatus();
      }
      tally->second.found.Add(document.record.hash);
      if (document.gap == nullptr && has_digest_key_) {
        tally->second.certain.Add(document.record.hash);
      }
      return absl::OkStatus();
    });
  }

  bool IsTouchedByGap(absl::string_view collection) const {
    const std::string begin = DocumentKeyPrefix(collection);
    const std::string end = DocumentKeyEnd(collection);
    return std::any_of(remains_->gaps().begin(), remains_->gaps().end(), [&](const Gap& gap) {
      return (!gap.column_family.has_value() || *gap.column_family == kDocumentsFamily) &&
             (!gap.largest.has_value() || *gap.largest >= begin) &&
             (!gap.smallest.has_value() || *gap.smallest < end);
    });
  }

  Tally::Verdict JudgeCollection(absl::string_view collection, const Tally& tally) const {
    using Verdict = Tally::Verdict;
    if (!tally.counted.has_value() || !has_digest_key_) return Verdict::kRest;
    if (tally.damaged_count == 0 && tally.found == *tally.counted) return Verdict::kAllProven;
    // All else that was found was deleted or written again.
    if (tally.certain == *tally.counted) return Verdict::kOnlyCertain;
    const bool must_fit = !IsTouchedByGap(collection) && tally.damaged_count == 0;
    if (must_fit || tally.certain.document_count() >= tally.counted->document_count()) {
      return Verdict::kContradicted;
    }
    return Verdict::kRest;
  }

  void Judge() {
    // The state digest needs no counts of the store's: those of what was found will do.
    using Verdict = Tally::Verdict;
    if (ProveAll(&Tally::found, Verdict::kAllProven)) return;
    if (ProveAll(&Tally::certain, Verdict::kOnlyCertain)) return;
    for (auto& [collection, tally] : tallies_) tally.verdict = JudgeCollection(collection, tally);
    if (CountProven() <= summary_.document_count()) return;
    // More than there were: what rests on the absence of gaps alone does not hold.
    for (auto& [collection, tally] : tallies_) {
      if (!tally.is_whole()) tally.verdict = Tally::Verdict::kContradicted;
    }
  }

  // Whether these documents of all collections are what the store had, by the state digest; then
  // that is the verdict on each.
  bool ProveAll(CollectionDigest Tally::*documents, Tally::Verdict verdict) {
    if (!has_digest_key_) return false;
    StateDigest digest;
    for (const auto& [collection, tally] : tallies_) {
      if ((tally.*documents).document_count() > 0) digest.Set(collection, tally.*documents);
    }
    if (digest.document_count() != summary_.document_count() ||
        AsText(digest.Digest(DigestKey())) != summary_.state_digest()) {
      return false;
    }
    for (auto& [collection, tally] : tallies_) {
      tally.counted = tally.*documents;
      tally.verdict = verdict;
    }
    are_counts_proven_ = true;
    return true;
  }

  // Whether all that was found is what the store had when it wrote the head that was found: a log
  // that is lost takes the newest writes of everything along, and leaves an older state.
  bool IsOlderState() const {
    if (!has_digest_key_ || found_revision_ == 0 || found_revision_ >= summary_.revision()) {
      return false;
    }
    uint64_t count = 0;
    for (const auto& [collection, tally] : tallies_) {
      if (tally.found.document_count() == 0 && tally.damaged_count == 0) continue;
      const auto counted = found_digest_.collections().find(collection);
      if (tally.damaged_count > 0 || counted == found_digest_.collections().end() ||
          tally.found != counted->second) {
        return false;
      }
      count += tally.found.document_count();
    }
    return count == found_digest_.document_count();
  }

  uint64_t CountProven() const {
    uint64_t proven = 0;
    for (const auto& [collection, tally] : tallies_) proven += tally.proven();
    return proven;
  }

  // --- The new database, and the report

  absl::Status Write() {
    HOLDFAST_ASSIGN_OR_RETURN(SalvageReport report,
                              SalvageReport::Create(JoinPath(path_, kSalvageReportName)));
    HOLDFAST_RETURN_IF_ERROR(ReportFiles(report));
    HOLDFAST_ASSIGN_OR_RETURN(database_, target_->CreateDatabase());
    DatabaseMetadata metadata = MakeMetadata();
    // Collections come in the order of their names, each after its documents.
    auto next = tallies_.begin();
    HOLDFAST_RETURN_IF_ERROR(VisitDocuments([&](const FoundDocument& document) -> absl::Status {
      while (next->first != document.name.collection) {
        HOLDFAST_RETURN_IF_ERROR(ReportCollection(next->first, next->second, report));
        ++next;
      }
      return WriteDocument(document, next->second, metadata, report);
    }));
    for (; next != tallies_.end(); ++next) {
      HOLDFAST_RETURN_IF_ERROR(ReportCollection(next->first, next->second, report));
    }
    for (const auto& [collection, digest] : metadata.digest.collections()) {
      HOLDFAST_RETURN_IF_ERROR(PutCollection(collection, &digest, batch_));
      HOLDFAST_RETURN_IF_ERROR(WriteBatch(/*min_size_bytes=*/kBatchSizeBytes));
    }
    HOLDFAST_RETURN_IF_ERROR(WriteBatch(/*min_size_bytes=*/0));
    HOLDFAST_RETURN_IF_ERROR(ReportSummary(report));
    return Finish(metadata);
  }

  // As it was in the backup, but of no documents yet.
  DatabaseMetadata MakeMetadata() const {
    DatabaseMetadata metadata;
    metadata.identity = identity_;
    metadata.identity.set_schema_version(kSchemaVersion);
    metadata.identity.set_store_id(summary_.store_id());
    metadata.identity.set_incarnation(summary_.incarnation());
    *metadata.identity.mutable_earlier_incarnations() = summary_.earlier_incarnations();
    metadata.head.set_revision(summary_.revision());
    metadata.head.set_commit_time_us(summary_.commit_time_us());
    return metadata;
  }

  absl::Status ReportFiles(SalvageReport& report) {
    agent::v1::Line line;
    agent::v1::SalvagedBackup& backup = *line.mutable_backup();
    backup.set_backup_id(summary_.backup_id());
    backup.set_store_id(store_.store_id().ToText());
    backup.set_revision(summary_.revision());
    backup.set_document_count(summary_.document_count());
    HOLDFAST_RETURN_IF_ERROR(report.Add(line));
    for (const DamagedFile& damaged : files_.damaged) {
      agent::v1::DamagedFile& file = *line.mutable_file();
      file.Clear();
      file.set_name(damaged.name);
      for (const std::string& object : damaged.objects) file.add_objects(object);
      file.set_fault(ReportText(damaged.fault));
      file.set_size_bytes(damaged.size_bytes);
      file.set_usable_bytes(damaged.usable_bytes);
      HOLDFAST_RETURN_IF_ERROR(report.Add(line));
      result_.damaged_files.push_back(absl::StrCat(damaged.name, ": ", damaged.fault));
    }
    for (const Gap& gap : remains_->gaps()) {
      *line.mutable_gap() = DescribeGap(gap);
      HOLDFAST_RETURN_IF_ERROR(report.Add(line));
    }
    return absl::OkStatus();
  }

  absl::Status WriteDocument(const FoundDocument& document, const Tally& tally,
                             DatabaseMetadata& metadata, SalvageReport& report) {
    using Verdict = Tally::Verdict;
    const bool is_certain = document.gap == nullptr && has_digest_key_ && document.is_hash_good;
    const bool is_proven = (tally.verdict == Verdict::kAllProven && document.is_hash_good) ||
                           (tally.verdict != Verdict::kContradicted && is_certain);
    // What is left over where the collection is whole without it is an older state.
    if (!is_proven && tally.is_whole()) return absl::OkStatus();
    if (!is_proven) {
      HOLDFAST_RETURN_IF_ERROR(ReportDocument(document, tally, report));
      // What is not what was written is not brought back.
      if (!document.is_hash_good) return absl::OkStatus();
    }
    DocumentRecord record = document.record;
    if (!has_digest_key_) {
      record.hash = HashDocument(DigestKey(), document.name.collection, document.name.id, record);
    }
    metadata.digest.Add(document.name.collection, record.hash);
    HOLDFAST_RETURN_IF_ERROR(
        StatusFromRocksDb(batch_.Put(database_->documents(),
                                     EncodeDocumentKey(document.name.collection, document.name.id),
                                     EncodeDocumentRecord(record)),
                          "write a document"));
    return WriteBatch(/*min_size_bytes=*/kBatchSizeBytes);
  }

  // Writes what there is to be written, if it is that much.
  absl::Status WriteBatch(size_t min_size_bytes) {
    if (batch_.Count() == 0 || batch_.GetDataSize() < min_size_bytes) return absl::OkStatus();
    rocksdb::WriteOptions options;
    options.disableWAL = true;  // it is flushed in the end, and of no use before
    HOLDFAST_RETURN_IF_ERROR(
        StatusFromRocksDb(database_->db().Write(options, &batch_), "write documents"));
    batch_.Clear();
    return absl::OkStatus();
  }

  absl::Status ReportDocument(const FoundDocument& document, const Tally& tally,
                              SalvageReport& report) const {
    agent::v1::Line line;
    UnprovenDocument& described = *line.mutable_document();
    described.set_collection(ReportText(document.name.collection));
    described.set_id(ReportText(document.name.id));
    described.set_revision(document.record.revision);
    described.set_brought_back(document.is_hash_good);
    if (!document.is_hash_good) {
      described.set_reason(UnprovenDocument::REASON_HASH_DIFFERS);
    } else if (!has_digest_key_) {
      described.set_reason(UnprovenDocument::REASON_HASH_KEY_LOST);
    } else if (tally.verdict == Tally::Verdict::kContradicted) {
      described.set_reason(UnprovenDocument::REASON_CONTRADICTED);
    } else {
      described.set_reason(UnprovenDocument::REASON_MAY_BE_SUPERSEDED);
      if (document.gap != nullptr) described.set_name(document.gap->file_name);
    }
    return report.Add(line);
  }

  absl::Status ReportCollection(const std::string& collection, const Tally& tally,
                                SalvageReport& report) {
    agent::v1::Line line;
    agent::v1::SalvagedCollection& described = *line.mutable_collection();
    described.set_collection(ReportText(collection));
    described.set_proven(tally.proven());
    described.set_unproven(tally.unproven());
    described.set_count_known(tally.counted.has_value());
    if (tally.counted.has_value()) {
      const uint64_t counted = tally.counted->document_count();
      described.set_document_count(counted);
      described.set_lost_at_most(counted - std::min(counted, tally.proven()));
      described.set_lost_at_least(counted - std::min(counted, tally.proven() + tally.unproven()));
    }
    if (tally.unproven() > 0 || described.lost_at_most() > 0 || !described.count_known()) {
      result_.collections.push_back(described);
    }
    return report.Add(line);
  }

  absl::Status ReportSummary(SalvageReport& report) {
    agent::v1::Line line;
    agent::v1::SalvageSummary& summary = *line.mutable_summary();
    const uint64_t counted = summary_.document_count();
    uint64_t unproven = 0;
    bool is_whole = are_counts_proven_ && files_.instance_files_lost == 0;
    for (const auto& [collection, tally] : tallies_) {
      unproven += tally.unproven();
      is_whole = is_whole && tally.is_whole();
    }
    summary.set_document_count(counted);
    summary.set_proven(CountProven());
    summary.set_unproven(unproven);
    summary.set_lost_at_most(counted - std::min(counted, summary.proven()));
    summary.set_lost_at_least(counted - std::min(counted, summary.proven() + unproven));
    summary.set_instance_files_lost(files_.instance_files_lost);
    summary.set_whole(is_whole);
    if (!is_whole && IsOlderState()) summary.set_as_of_revision(found_revision_);
    result_.summary = summary;
    HOLDFAST_RETURN_IF_ERROR(report.Add(line));
    return report.Commit();
  }

  absl::Status Finish(const DatabaseMetadata& metadata) {
    remains_.reset();  // what it reads is removed
    store::v1::Salvage mark;
    mark.set_document_count(result_.summary.document_count());
    mark.set_proven_count(result_.summary.proven());
    mark.set_unproven_count(result_.summary.unproven());
    result_.store_id = options_.as_new_store ? StoreId::Generate(random_) : store_.store_id();
    progress_.documents_total = metadata.digest.document_count();
    HOLDFAST_ASSIGN_OR_RETURN(const uint64_t known_revision, HighestListedRevision(store_));
    HOLDFAST_ASSIGN_OR_RETURN(
        const DataDirectoryRestore::Proof proof,
        target_->FinishSalvage(metadata, known_revision, summary_.backup_id(),
                               result_.summary.whole() ? nullptr : &mark,
                               options_.as_new_store ? &result_.store_id : nullptr,
                               [this](uint64_t documents_done) {
                                 progress_.documents_done = documents_done;
                                 ShowProgress();
                                 return cancellation_.status();
                               }));
    result_.new_incarnation = proof.new_incarnation;
    result_.revision = proof.revision;
    result_.documents_brought_back = proof.document_count;
    result_.instance_files = files_.instance_files;
    std::sort(result_.instance_files.begin(), result_.instance_files.end());
    return absl::OkStatus();
  }

  StoreRepository& store_;
  const Manifest& manifest_;
  const BackupSummary& summary_;
  const MasterKey& master_key_;
  const std::string path_;
  const RestoreOptions& options_;
  Clock& clock_;
  RandomSource& random_;
  const Cancellation& cancellation_;

  std::unique_ptr<DataDirectoryRestore> target_;
  RestoreProgress progress_;
  SalvagedFiles files_;
  std::unique_ptr<DatabaseRemains> remains_;

  store::v1::DatabaseIdentity identity_;
  bool has_digest_key_ = false;
  // What the newest entries that were found say, proven or not.
  StateDigest found_digest_;
  uint64_t found_revision_ = 0;
  // Counts that are proven, by collection; zero where the collection has none.
  std::map<std::string, CollectionDigest, std::less<>> counted_;
  bool are_counts_proven_ = false;  // all of them, and there are no others

  std::map<std::string, Tally, std::less<>> tallies_;
  OpenedDatabase* database_ = nullptr;  // of target_
  rocksdb::WriteBatch batch_;
  SalvageResult result_;
};

}  // namespace

absl::StatusOr<SalvageResult> Salvage(StoreRepository& store, const Manifest& manifest,
                                      const MasterKey& master_key, const std::string& path,
                                      const RestoreOptions& options, Clock& clock,
                                      RandomSource& random, const Cancellation& cancellation) {
  return Salvager(store, manifest, master_key, path, options, clock, random, cancellation).Run();
}

}  // namespace holdfast
