#include "store-service/documents/document_engine.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/database/database_metadata.h"
#include "common/database/document_record.h"
#include "common/database/rocksdb_status.h"
#include "holdfast/store/v1/data_directory.pb.h"
#include "rocksdb/db.h"
#include "store-service/documents/limits.h"

namespace holdfast {
namespace {

constexpr size_t kIdSizeBytes = sizeof(Id128::Bytes);
constexpr size_t kPageTokenSizeMaxBytes = 2 * (kIdSizeBytes + kDocumentIdSizeMaxBytes);

// A page without content still reads it; it ends after this much.
constexpr size_t kPageReadMaxBytes = 32 * 1024 * 1024;
// What a document costs in a message beyond its content, id and media type: the collection's name,
// numbers, times and tags.
constexpr size_t kDocumentOverheadBytes = kCollectionNameSizeMaxBytes + 96;

constexpr size_t kPageCollectionsMax = 1'000;

absl::string_view ViewOf(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

Document MakeDocument(absl::string_view collection, absl::string_view id,
                      const DocumentRecord& record, bool omit_content) {
  return {.collection = std::string(collection),
          .id = std::string(id),
          .content = omit_content ? std::string() : std::string(record.content),
          .media_type = std::string(record.media_type),
          .revision = record.revision,
          .create_time = absl::FromUnixMicros(record.create_time_us),
          .change_time = absl::FromUnixMicros(record.change_time_us)};
}

absl::StatusOr<size_t> CheckPageSize(int32_t page_size, size_t standard, size_t max) {
  if (page_size < 0) return absl::InvalidArgumentError("page_size is negative");
  if (page_size == 0) return standard;
  return std::min(static_cast<size_t>(page_size), max);
}

absl::Status CheckWrite(const DocumentWrite& write) {
  HOLDFAST_RETURN_IF_ERROR(CheckCollectionName(write.collection));
  HOLDFAST_RETURN_IF_ERROR(CheckDocumentId(write.id));
  if (write.precondition.kind == Precondition::Kind::kMustBeAtRevision &&
      write.precondition.revision == 0) {
    return absl::InvalidArgumentError("must_be_at_revision is zero, which no document is at");
  }
  if (write.kind == DocumentWrite::Kind::kDelete) {
    if (write.precondition.kind == Precondition::Kind::kMustNotExist) {
      return absl::InvalidArgumentError("a deletion of what must not exist makes no sense");
    }
    return absl::OkStatus();
  }
  HOLDFAST_RETURN_IF_ERROR(CheckMediaType(write.media_type));
  return CheckContent(write.media_type, write.content);
}

absl::Status CheckWrites(const std::vector<DocumentWrite>& writes) {
  if (writes.empty() || writes.size() > kWritesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("there are 1 to ", kWritesMax, " writes in one call, not ", writes.size()));
  }
  size_t size_bytes = 0;
  for (size_t i = 0; i < writes.size(); ++i) {
    const DocumentWrite& write = writes[i];
    const absl::Status status = CheckWrite(write);
    if (!status.ok()) {
      return writes.size() == 1 ? status : Annotate(status, absl::StrCat("write ", i));
    }
    size_bytes +=
        write.collection.size() + write.id.size() + write.media_type.size() + write.content.size();
  }
  if (size_bytes > kWritesSizeMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the writes of one call have at most ", kWritesSizeMaxBytes,
                     " bytes of content, names and media types, not ", size_bytes));
  }
  return absl::OkStatus();
}

}  // namespace

DocumentEngine::DocumentEngine(OpenedDatabase* database, Committer* committer,
                               SicknessRecord* sickness, Clock* clock)
    : database_(*database), committer_(*committer), sickness_(*sickness), clock_(*clock) {}

absl::StatusOr<Document> DocumentEngine::Get(absl::string_view collection, absl::string_view id) {
  HOLDFAST_RETURN_IF_ERROR(CheckCollectionName(collection));
  HOLDFAST_RETURN_IF_ERROR(CheckDocumentId(id));
  rocksdb::PinnableSlice value;
  const rocksdb::Status status = database_.db().Get(rocksdb::ReadOptions(), database_.documents(),
                                                    EncodeDocumentKey(collection, id), &value);
  if (status.IsNotFound()) return absl::NotFoundError("there is no such document");
  const absl::Status read = StatusFromRocksDb(status, "read the document");
  sickness_.ReportReadError(read);
  HOLDFAST_RETURN_IF_ERROR(read);
  const absl::StatusOr<DocumentRecord> record = DecodeDocumentRecord(ViewOf(value));
  sickness_.ReportReadError(record.status());
  HOLDFAST_RETURN_IF_ERROR(record.status(), "read the document");
  return MakeDocument(collection, id, *record, /*omit_content=*/false);
}

std::optional<Document> DocumentEngine::GetFromMemory(absl::string_view collection,
                                                      absl::string_view id) {
  if (!CheckCollectionName(collection).ok() || !CheckDocumentId(id).ok()) return std::nullopt;
  rocksdb::ReadOptions options;
  options.read_tier = rocksdb::kBlockCacheTier;
  rocksdb::PinnableSlice value;
  const rocksdb::Status status =
      database_.db().Get(options, database_.documents(), EncodeDocumentKey(collection, id), &value);
  // RocksDB says Incomplete where it would have to read a block, but OK and an empty value where it
  // would have to open a table; no record is empty. What else is wrong Get finds out, and reports.
  if (!status.ok() || value.empty()) return std::nullopt;
  const absl::StatusOr<DocumentRecord> record = DecodeDocumentRecord(ViewOf(value));
  if (!record.ok()) return std::nullopt;
  return MakeDocument(collection, id, *record, /*omit_content=*/false);
}

void DocumentEngine::Write(std::vector<DocumentWrite> writes, Committer::Callback callback) {
  for (DocumentWrite& write : writes) {
    if (write.kind == DocumentWrite::Kind::kPut && write.media_type.empty()) {
      write.media_type = std::string(kJsonMediaType);
    }
  }
  if (absl::Status status = CheckWrites(writes); !status.ok()) {
    callback(std::move(status));
    return;
  }
  committer_.Submit(std::move(writes), std::move(callback));
}

absl::StatusOr<DocumentEngine::Page> DocumentEngine::List(const ListRequest& request) {
  HOLDFAST_RETURN_IF_ERROR(CheckCollectionName(request.collection));
  HOLDFAST_RETURN_IF_ERROR(CheckIdPrefix(request.id_prefix));
  Position position;
  View view;
  if (request.page_token.empty()) {
    position.view_id = Id128::Generate();
    HOLDFAST_ASSIGN_OR_RETURN(view, OpenView(request));
  } else {
    std::string token;
    if (request.page_token.size() > kPageTokenSizeMaxBytes ||
        !absl::WebSafeBase64Unescape(request.page_token, &token) || token.size() <= kIdSizeBytes) {
      return absl::InvalidArgumentError("page_token is not one that this store gave");
    }
    HOLDFAST_ASSIGN_OR_RETURN(position.view_id,
                              Id128::FromBytes(absl::string_view(token).substr(0, kIdSizeBytes)));
    position.last_id = token.substr(kIdSizeBytes);
    HOLDFAST_ASSIGN_OR_RETURN(view, FindView(request, position));
  }

  Page page;
  page.revision = view.revision;
  HOLDFAST_ASSIGN_OR_RETURN(const bool has_more, ReadPage(request, view, position.last_id, page));
  if (!has_more) {
    DropView(position.view_id);
    return page;
  }
  page.next_page_token = absl::WebSafeBase64Escape(
      absl::StrCat(position.view_id.ToByteString(), page.documents.back().id));
  KeepView(position.view_id, std::move(view));
  return page;
}

absl::StatusOr<bool> DocumentEngine::ReadPage(const ListRequest& request, const View& view,
                                              absl::string_view last_id, Page& page) {
  HOLDFAST_ASSIGN_OR_RETURN(
      const size_t documents_max,
      CheckPageSize(request.page_size, kPageDocumentsDefault, kPageDocumentsMax));
  const std::string first = EncodeDocumentKey(request.collection, request.id_prefix);
  const std::string end = DocumentKeyEnd(request.collection);
  const rocksdb::Slice end_slice(end);
  rocksdb::ReadOptions options;
  options.snapshot = view.snapshot.get();
  options.iterate_upper_bound = &end_slice;
  const std::unique_ptr<rocksdb::Iterator> entries(
      database_.db().NewIterator(options, database_.documents()));

  if (last_id.empty()) {
    entries->Seek(first);
  } else {
    // The id that follows at once: none lies between an id and that id with a zero byte.
    std::string after = EncodeDocumentKey(request.collection, last_id);
    after.push_back('\0');
    entries->Seek(std::max(first, after));
  }
  size_t size_bytes = 0;
  size_t read_bytes = 0;
  for (; entries->Valid() && entries->key().starts_with(first); entries->Next()) {
    if (page.documents.size() == documents_max || read_bytes > kPageReadMaxBytes) return true;
    HOLDFAST_ASSIGN_OR_RETURN(const DocumentKey key, DecodeDocumentKey(ViewOf(entries->key())));
    const absl::StatusOr<DocumentRecord> record = DecodeDocumentRecord(ViewOf(entries->value()));
    sickness_.ReportReadError(record.status());
    HOLDFAST_RETURN_IF_ERROR(record.status(), "list documents");
    const size_t content_size = request.omit_content ? 0 : record->content.size();
    size_bytes += content_size + key.id.size() + record->media_type.size() + kDocumentOverheadBytes;
    if (size_bytes > kPageSizeMaxBytes && !page.documents.empty()) return true;
    read_bytes += entries->value().size();
    page.documents.push_back(MakeDocument(key.collection, key.id, *record, request.omit_content));
  }
  const absl::Status status = StatusFromRocksDb(entries->status(), "list documents");
  sickness_.ReportReadError(status);
  HOLDFAST_RETURN_IF_ERROR(status);
  return false;
}

absl::StatusOr<DocumentEngine::View> DocumentEngine::OpenView(const ListRequest& request) {
  View view{.collection = request.collection, .id_prefix = request.id_prefix};
  rocksdb::DB& db = database_.db();
  view.snapshot = std::shared_ptr<const rocksdb::Snapshot>(
      db.GetSnapshot(), [&db](const rocksdb::Snapshot* snapshot) { db.ReleaseSnapshot(snapshot); });
  rocksdb::ReadOptions options;
  options.snapshot = view.snapshot.get();
  rocksdb::PinnableSlice value;
  HOLDFAST_RETURN_IF_ERROR(
      StatusFromRocksDb(db.Get(options, database_.metadata(),
                               rocksdb::Slice(kHeadKey.data(), kHeadKey.size()), &value),
                        "read the revision"));
  store::v1::DatabaseHead head;
  if (!head.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return absl::DataLossError("the store's revision cannot be read");
  }
  view.revision = head.revision();
  return view;
}

absl::StatusOr<DocumentEngine::View> DocumentEngine::FindView(const ListRequest& request,
                                                              const Position& position) {
  DropExpiredViews();
  MutexLock lock(&mutex_);
  const auto found = views_.find(position.view_id);
  if (found == views_.end()) {
    return absl::AbortedError(
        "the view that page_token belongs to is gone: begin the listing again without a token");
  }
  if (found->second.collection != request.collection ||
      found->second.id_prefix != request.id_prefix) {
    return absl::InvalidArgumentError("page_token belongs to another listing");
  }
  found->second.last_use = clock_.MonotonicNow();
  return found->second;
}

void DocumentEngine::KeepView(const Id128& view_id, View view) {
  view.last_use = clock_.MonotonicNow();
  View dropped;  // destroyed without the lock
  MutexLock lock(&mutex_);
  views_[view_id] = std::move(view);
  if (views_.size() <= kViewsMax) return;
  const auto oldest = std::min_element(
      views_.begin(), views_.end(),
      [](const auto& a, const auto& b) { return a.second.last_use < b.second.last_use; });
  dropped = std::move(oldest->second);
  views_.erase(oldest);
}

void DocumentEngine::DropView(const Id128& view_id) {
  View dropped;  // destroyed without the lock
  MutexLock lock(&mutex_);
  const auto found = views_.find(view_id);
  if (found == views_.end()) return;
  dropped = std::move(found->second);
  views_.erase(found);
}

void DocumentEngine::DropExpiredViews() {
  const MonotonicTime now = clock_.MonotonicNow();
  std::vector<View> dropped;  // destroyed without the lock
  MutexLock lock(&mutex_);
  for (auto entry = views_.begin(); entry != views_.end();) {
    if (now - entry->second.last_use >= kViewLifetime) {
      dropped.push_back(std::move(entry->second));
      entry = views_.erase(entry);
    } else {
      ++entry;
    }
  }
}

absl::StatusOr<DocumentEngine::CollectionPage> DocumentEngine::ListCollections(
    int32_t page_size, absl::string_view page_token) {
  HOLDFAST_ASSIGN_OR_RETURN(const size_t max,
                            CheckPageSize(page_size, kPageCollectionsMax, kPageCollectionsMax));
  // The token is the name before.
  if (!page_token.empty() && !CheckCollectionName(page_token).ok()) {
    return absl::InvalidArgumentError("page_token is not one that this store gave");
  }
  CollectionPage page;
  page.collections = committer_.CollectionsAfter(page_token, max + 1);
  if (page.collections.size() > max) {
    page.collections.pop_back();
    page.next_page_token = page.collections.back().first;
  }
  return page;
}

}  // namespace holdfast
