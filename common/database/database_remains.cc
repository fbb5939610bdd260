#include "common/database/database_remains.h"

#include <algorithm>
#include <queue>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/database/database_options.h"
#include "common/database/document_record.h"
#include "common/database/rocksdb_status.h"
#include "common/io/path.h"
#include "rocksdb/db.h"
#include "rocksdb/metadata.h"

namespace holdfast {

namespace {

using State = RemainingFile::State;

constexpr absl::string_view kManifestPrefix = "MANIFEST-";
constexpr absl::string_view kTableSuffixes[] = {".sst", ".ldb"};
constexpr absl::string_view kLogSuffix = ".log";
constexpr absl::string_view kBlobSuffix = ".blob";
constexpr char kCurrentName[] = "CURRENT";
constexpr char kTablesFolder[] = "tables";

// The column families have these ids since they were created.
constexpr uint32_t kMetadataFamilyId = 0;
constexpr uint32_t kDocumentsFamilyId = 1;

bool IsTable(absl::string_view name) {
  return std::any_of(std::begin(kTableSuffixes), std::end(kTableSuffixes),
                     [name](absl::string_view suffix) { return absl::EndsWith(name, suffix); });
}

uint64_t NumberOfLog(absl::string_view name) {
  uint64_t number = 0;
  return absl::SimpleAtoi(absl::StripSuffix(name, kLogSuffix), &number) ? number : 0;
}

// Entries in the order of their keys, of one key the newest first.
class EntrySource {
 public:
  virtual ~EntrySource() = default;
  virtual bool valid() const = 0;
  virtual const DatabaseEntry& entry() const = 0;
  virtual absl::Status Next() = 0;

  // Of a table whose level is known.
  std::optional<int> level;
};

class TableSource : public EntrySource {
 public:
  explicit TableSource(std::unique_ptr<TableReader> table)
      : table_(std::move(table)), cursor_(*table_) {}
  absl::Status Begin() { return cursor_.Begin(); }
  bool valid() const override { return cursor_.valid(); }
  const DatabaseEntry& entry() const override { return cursor_.entry(); }
  absl::Status Next() override { return cursor_.Next(); }

 private:
  const std::unique_ptr<TableReader> table_;
  TableReader::Cursor cursor_;
};

class LogSource : public EntrySource {
 public:
  explicit LogSource(const std::vector<LogContent::Entry>& entries) : entries_(entries) { Show(); }
  bool valid() const override { return next_ < entries_.size(); }
  const DatabaseEntry& entry() const override { return entry_; }
  absl::Status Next() override {
    ++next_;
    Show();
    return absl::OkStatus();
  }

 private:
  void Show() {
    if (!valid()) return;
    const LogContent::Entry& entry = entries_[next_];
    entry_ = {
        .key = entry.key, .sequence = entry.sequence, .kind = entry.kind, .value = entry.value};
  }

  const std::vector<LogContent::Entry>& entries_;
  size_t next_ = 0;
  DatabaseEntry entry_;
};

// Whether `a` comes after `b`: for a queue whose first is the least.
struct ComesAfter {
  bool operator()(const EntrySource* a, const EntrySource* b) const {
    const int order = a->entry().key.compare(b->entry().key);
    return order != 0 ? order > 0 : a->entry().sequence < b->entry().sequence;
  }
};

// Finds a gap in which an entry newer than one that was found may be: a part of a table only where
// there is no other. Keys are asked for in ascending order.
class GapFinder {
 public:
  GapFinder(const std::vector<Gap>& gaps, absl::string_view column_family) {
    for (const Gap& gap : gaps) {
      if (!gap.column_family.has_value() || *gap.column_family == column_family) {
        ahead_.push_back(&gap);
      }
    }
    // Those with the least smallest key last, where they are taken from.
    std::sort(ahead_.begin(), ahead_.end(), [](const Gap* a, const Gap* b) {
      return a->smallest.value_or("") > b->smallest.value_or("");
    });
  }

  const Gap* Find(const DatabaseEntry& entry, const std::optional<int>& level) {
    while (!ahead_.empty() &&
           absl::string_view(ahead_.back()->smallest.value_or("")) <= entry.key) {
      current_.push_back(ahead_.back());
      ahead_.pop_back();
    }
    current_.erase(std::remove_if(current_.begin(), current_.end(),
                                  [&](const Gap* gap) { return !gap->Covers(entry.key); }),
                   current_.end());
    const Gap* part = nullptr;
    for (const Gap* gap : current_) {
      if (gap->sequence_max <= entry.sequence) continue;
      // What lies deeper is older.
      if (gap->level.has_value() && level.has_value() && *gap->level > *level) continue;
      if (!gap->is_part) return gap;
      part = gap;
    }
    return part;
  }

 private:
  std::vector<const Gap*> ahead_;
  std::vector<const Gap*> current_;
};

}  // namespace

bool Gap::Covers(absl::string_view key) const {
  return (!smallest.has_value() || absl::string_view(*smallest) <= key) &&
         (!largest.has_value() || key <= absl::string_view(*largest));
}

DatabaseRemains::~DatabaseRemains() {
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    tables_db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
}

absl::StatusOr<std::unique_ptr<DatabaseRemains>> DatabaseRemains::Open(
    rocksdb::Env* env, const std::string& path, std::vector<RemainingFile> files) {
  auto remains = std::unique_ptr<DatabaseRemains>(new DatabaseRemains(env, path));
  for (const RemainingFile& file : files) {
    if (absl::EndsWith(file.name, kBlobSuffix)) {
      return absl::UnimplementedError(
          absl::StrCat("the backup has the blob file ", file.name, ", which is not known here"));
    }
  }
  HOLDFAST_RETURN_IF_ERROR(remains->ReadManifest(files), "read what the MANIFEST tells");
  HOLDFAST_RETURN_IF_ERROR(remains->AddTables(files), "look at the tables that are left");
  HOLDFAST_RETURN_IF_ERROR(remains->AddLogs(files), "read the logs that are left");
  return remains;
}

// --- What the MANIFEST tells -----------------------------------------------------------------

absl::Status DatabaseRemains::ReadManifest(const std::vector<RemainingFile>& files) {
  column_family_ids_ = {{rocksdb::kDefaultColumnFamilyName, kMetadataFamilyId},
                        {kDocumentsFamily, kDocumentsFamilyId}};
  const auto manifest = std::find_if(files.begin(), files.end(), [](const RemainingFile& file) {
    return absl::StartsWith(file.name, kManifestPrefix);
  });
  if (manifest == files.end() || manifest->state != State::kWhole) return absl::OkStatus();

  const absl::Status opened = OpenTables(manifest->name, files);
  if (!opened.ok()) {
    LogWarning("RocksDB can't read the MANIFEST: it is taken for lost", {{"error", opened}});
    return absl::OkStatus();
  }
  for (const rocksdb::ColumnFamilyHandle* handle : handles_) {
    column_family_ids_[handle->GetName()] = handle->GetID();
  }
  std::vector<rocksdb::LiveFileMetaData> tables;
  tables_db_->GetLiveFilesMetaData(&tables);
  for (const rocksdb::LiveFileMetaData& table : tables) {
    facts_.emplace(std::string(absl::StripPrefix(table.name, "/")),
                   TableFacts{.column_family = table.column_family_name,
                              .level = table.level,
                              .smallest = table.smallestkey,
                              .largest = table.largestkey,
                              .sequence_max = table.largest_seqno});
  }
  has_manifest_ = true;
  return absl::OkStatus();
}

absl::Status DatabaseRemains::OpenTables(const std::string& manifest_name,
                                         const std::vector<RemainingFile>& files) {
  // In a folder where RocksDB finds no log to replay.
  const std::string folder = JoinPath(path_, kTablesFolder);
  HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(env_->CreateDirIfMissing(folder), "make a folder"));
  const auto link = [&](const std::string& name) {
    return StatusFromRocksDb(env_->LinkFile(JoinPath(path_, name), JoinPath(folder, name)),
                             absl::StrCat("link ", name));
  };
  HOLDFAST_RETURN_IF_ERROR(link(manifest_name));
  for (const RemainingFile& file : files) {
    if (IsTable(file.name) && file.state != State::kLost) {
      HOLDFAST_RETURN_IF_ERROR(link(file.name));
    }
  }
  HOLDFAST_RETURN_IF_ERROR(
      StatusFromRocksDb(rocksdb::WriteStringToFile(env_, absl::StrCat(manifest_name, "\n"),
                                                   JoinPath(folder, kCurrentName),
                                                   /*should_sync=*/false),
                        "write CURRENT"));

  rocksdb::DBOptions options = MakeDatabaseOptions(env_, {});
  options.info_log->SetInfoLogLevel(rocksdb::InfoLogLevel::FATAL_LEVEL);
  options.paranoid_checks = false;  // tables may be missing
  options.skip_checking_sst_file_sizes_on_db_open = true;
  options.track_and_verify_wals_in_manifest = false;
  const rocksdb::ColumnFamilyOptions family_options = MakeColumnFamilyOptions({});
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::OpenForReadOnly(
      options, folder,
      {{rocksdb::kDefaultColumnFamilyName, family_options}, {kDocumentsFamily, family_options}},
      &handles_, &db);
  tables_db_.reset(db);
  return StatusFromRocksDb(status, "open it");
}

bool DatabaseRemains::IsNewestInTables(absl::string_view column_family,
                                       const DatabaseEntry& entry) const {
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    if (handle->GetName() != column_family) continue;
    rocksdb::ReadOptions options;
    options.verify_checksums = true;
    options.fill_cache = false;
    rocksdb::PinnableSlice value;
    const rocksdb::Status found = tables_db_->Get(
        options, handle, rocksdb::Slice(entry.key.data(), entry.key.size()), &value);
    return found.ok() && absl::string_view(value.data(), value.size()) == entry.value;
  }
  return false;
}

// --- Tables ----------------------------------------------------------------------------------

absl::Status DatabaseRemains::AddTables(const std::vector<RemainingFile>& files) {
  std::set<std::string> listed;
  for (const RemainingFile& file : files) {
    if (!IsTable(file.name)) continue;
    listed.insert(file.name);
    const auto facts = facts_.find(file.name);
    // The database no longer needed it: what it holds may be what was deleted since.
    if (has_manifest_ && facts == facts_.end()) continue;
    HOLDFAST_RETURN_IF_ERROR(AddTable(file, has_manifest_ ? &facts->second : nullptr), file.name);
  }
  for (const auto& [name, facts] : facts_) {
    if (listed.count(name) == 0) AddTableGap(name, &facts);
  }
  std::sort(tables_.begin(), tables_.end(),
            [](const Table& a, const Table& b) { return a.smallest > b.smallest; });
  return absl::OkStatus();
}

absl::Status DatabaseRemains::AddTable(const RemainingFile& file, const TableFacts* facts) {
  if (file.state == State::kLost) {
    AddTableGap(file.name, facts);
    return absl::OkStatus();
  }
  const absl::StatusOr<std::unique_ptr<TableReader>> table =
      TableReader::Open(env_, JoinPath(path_, file.name), file.lost);
  if (absl::IsDataLoss(table.status())) {
    AddTableGap(file.name, facts);
    return absl::OkStatus();
  }
  HOLDFAST_RETURN_IF_ERROR(table.status());
  const std::string& column_family = (*table)->column_family();
  if (facts != nullptr && facts->column_family != column_family) {
    return absl::DataLossError(absl::StrCat("it is a table of ", column_family,
                                            ", and the MANIFEST says of ", facts->column_family));
  }
  for (const TableReader::LostKeys& keys : (*table)->lost_keys()) {
    Gap& gap = gaps_.emplace_back();
    gap.file_name = file.name;
    gap.column_family = column_family;
    gap.is_part = true;
    if (keys.has_after) {
      // The least key above `after`.
      gap.smallest = keys.includes_after ? keys.after : keys.after + '\0';
    }
    gap.largest = keys.up_to;
    if (facts == nullptr) continue;
    gap.sequence_max = facts->sequence_max;
    gap.level = facts->level;
    if (!keys.has_after) gap.smallest = facts->smallest;
    gap.largest = std::min(*gap.largest, facts->largest);
  }
  Table& added = tables_.emplace_back();
  added.name = file.name;
  added.column_family = column_family;
  added.lost = file.lost;
  if (facts != nullptr) {
    added.smallest = facts->smallest;
    added.level = facts->level;
  }
  return absl::OkStatus();
}

void DatabaseRemains::AddTableGap(const std::string& name, const TableFacts* facts) {
  Gap& gap = gaps_.emplace_back();
  gap.file_name = name;
  if (facts == nullptr) return;
  gap.column_family = facts->column_family;
  gap.smallest = facts->smallest;
  gap.largest = facts->largest;
  gap.sequence_max = facts->sequence_max;
  gap.level = facts->level;
}

// --- Logs ------------------------------------------------------------------------------------

absl::Status DatabaseRemains::AddLogs(const std::vector<RemainingFile>& files) {
  std::map<uint64_t, const RemainingFile*> logs;
  for (const RemainingFile& file : files) {
    if (absl::EndsWith(file.name, kLogSuffix)) logs.emplace(NumberOfLog(file.name), &file);
  }
  // What is missing of a log is older than all that the next one begins with.
  std::vector<size_t> open_gaps;
  for (const auto& [number, file] : logs) {
    LogContent content;
    if (file->state != State::kLost) {
      std::string bytes;
      HOLDFAST_RETURN_IF_ERROR(
          StatusFromRocksDb(rocksdb::ReadFileToString(env_, JoinPath(path_, file->name), &bytes),
                            absl::StrCat("read ", file->name)));
      HOLDFAST_ASSIGN_OR_RETURN(content, ReadLog(bytes), file->name);
    }
    if (!content.entries.empty()) {
      for (const size_t gap : open_gaps) {
        gaps_[gap].sequence_max = content.entries.front().sequence - 1;
      }
      open_gaps.clear();
    }
    if (file->state != State::kWhole || !content.is_complete) {
      open_gaps.push_back(gaps_.size());
      gaps_.emplace_back().file_name = file->name;
    }
    for (LogContent::Entry& entry : content.entries) {
      log_entries_[entry.column_family_id].push_back(std::move(entry));
    }
  }
  for (auto& [id, entries] : log_entries_) {
    std::sort(entries.begin(), entries.end(),
              [](const LogContent::Entry& a, const LogContent::Entry& b) {
                const int order = a.key.compare(b.key);
                return order != 0 ? order < 0 : a.sequence > b.sequence;
              });
  }
  return absl::OkStatus();
}

// --- Reading ---------------------------------------------------------------------------------

absl::Status DatabaseRemains::Visit(absl::string_view column_family,
                                    absl::FunctionRef<absl::Status(const Found&)> visit) const {
  std::vector<const Table*> ahead;  // the one with the least smallest key last
  for (const Table& table : tables_) {
    if (table.column_family == column_family) ahead.push_back(&table);
  }
  std::vector<std::unique_ptr<EntrySource>> sources;
  std::priority_queue<EntrySource*, std::vector<EntrySource*>, ComesAfter> queue;
  const auto family_id = column_family_ids_.find(std::string(column_family));
  if (family_id != column_family_ids_.end()) {
    const auto logged = log_entries_.find(family_id->second);
    if (logged != log_entries_.end()) {
      sources.push_back(std::make_unique<LogSource>(logged->second));
      if (sources.back()->valid()) queue.push(sources.back().get());
    }
  }
  // Tables are opened when the walk comes to them: there may be very many.
  const auto open_tables = [&]() -> absl::Status {
    while (!ahead.empty() &&
           (queue.empty() || ahead.back()->smallest <= queue.top()->entry().key)) {
      const Table& table = *ahead.back();
      ahead.pop_back();
      HOLDFAST_ASSIGN_OR_RETURN(std::unique_ptr<TableReader> reader,
                                TableReader::Open(env_, JoinPath(path_, table.name), table.lost));
      auto source = std::make_unique<TableSource>(std::move(reader));
      source->level = table.level;
      HOLDFAST_RETURN_IF_ERROR(source->Begin());
      if (!source->valid()) continue;
      queue.push(source.get());
      sources.push_back(std::move(source));
    }
    return absl::OkStatus();
  };

  GapFinder gap_finder(gaps_, column_family);
  std::string last_key;
  bool has_last_key = false;
  for (;;) {
    HOLDFAST_RETURN_IF_ERROR(open_tables());
    if (queue.empty()) return absl::OkStatus();
    EntrySource* const source = queue.top();
    queue.pop();
    const DatabaseEntry& entry = source->entry();
    if (!has_last_key || entry.key != last_key) {
      last_key = std::string(entry.key);
      has_last_key = true;
      const Gap* gap = gap_finder.Find(entry, source->level);
      // Of the tables the newest that has the key is found first, as the level tells that this one
      // is of a table; logs have nothing newer, or it would have come first.
      if (gap != nullptr && gap->is_part && source->level.has_value() &&
          entry.kind == DatabaseEntry::Kind::kPut && IsNewestInTables(column_family, entry)) {
        gap = nullptr;
      }
      HOLDFAST_RETURN_IF_ERROR(visit({.entry = entry, .gap = gap}));
    }
    HOLDFAST_RETURN_IF_ERROR(source->Next());
    if (source->valid()) {
      queue.push(source);
    } else {
      sources.erase(std::find_if(sources.begin(), sources.end(),
                                 [source](const auto& held) { return held.get() == source; }));
    }
  }
}

}  // namespace holdfast
