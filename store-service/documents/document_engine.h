#ifndef HOLDFAST_STORE_SERVICE_DOCUMENTS_DOCUMENT_ENGINE_H_
#define HOLDFAST_STORE_SERVICE_DOCUMENTS_DOCUMENT_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/id128.h"
#include "common/base/mutex.h"
#include "common/database/database.h"
#include "store-service/documents/committer.h"
#include "store-service/documents/document.h"
#include "store-service/documents/sickness.h"

namespace holdfast {

// A DocumentEngine reads, writes and lists the documents of a store, and holds all of their rules
// (limits.h). What it answers is what document_store.proto promises.
//
// A listing of several pages shows one moment: a view, which is a snapshot of the database under an
// unguessable name that is in the page token. Views that were not used for kViewLifetime go, and
// the one that was used least recently goes when there are more than kViewsMax.
//
// Thread-safe. Reading blocks on the disk, but where it says otherwise. Does not take ownership;
// *database, *committer, *sickness and *clock must outlive this.
class DocumentEngine {
 public:
  static constexpr absl::Duration kViewLifetime = absl::Minutes(10);
  static constexpr size_t kViewsMax = 64;

  DocumentEngine(OpenedDatabase* database, Committer* committer, SicknessRecord* sickness,
                 Clock* clock);
  DocumentEngine(const DocumentEngine&) = delete;
  DocumentEngine& operator=(const DocumentEngine&) = delete;

  // INVALID_ARGUMENT, or NOT_FOUND where there is none.
  absl::StatusOr<Document> Get(absl::string_view collection, absl::string_view id);

  // The document, if memory holds it: never blocks on the disk. Empty says nothing, not even that
  // there is none: ask Get.
  std::optional<Document> GetFromMemory(absl::string_view collection, absl::string_view id);

  // Checks the writes and submits them: see Committer::Submit. INVALID_ARGUMENT goes to the
  // callback too, before Write returns.
  void Write(std::vector<DocumentWrite> writes, Committer::Callback callback);

  struct ListRequest {
    std::string collection{};
    std::string id_prefix{};
    int32_t page_size = 0;  // 0: kPageDocumentsDefault
    std::string page_token{};
    bool omit_content = false;
  };
  struct Page {
    std::vector<Document> documents;
    std::string next_page_token;  // empty on the last page
    uint64_t revision = 0;
  };
  // INVALID_ARGUMENT where the token is none, or belongs to another listing; ABORTED where its view
  // is gone.
  absl::StatusOr<Page> List(const ListRequest& request);

  struct CollectionPage {
    std::vector<std::pair<std::string, uint64_t>> collections;  // name, count of documents
    std::string next_page_token;
  };
  absl::StatusOr<CollectionPage> ListCollections(int32_t page_size, absl::string_view page_token);

  // Drops the views that were not used for long. To be called now and then.
  void DropExpiredViews();

 private:
  // A listing that has pages to come.
  struct View {
    std::shared_ptr<const rocksdb::Snapshot> snapshot{};
    std::string collection;
    std::string id_prefix;
    uint64_t revision = 0;
    MonotonicTime last_use{};
  };
  struct Position {
    Id128 view_id;
    std::string last_id;  // of the page before
  };

  absl::StatusOr<View> OpenView(const ListRequest& request);
  absl::StatusOr<View> FindView(const ListRequest& request, const Position& position);
  void KeepView(const Id128& view_id, View view);
  void DropView(const Id128& view_id);
  absl::StatusOr<bool> ReadPage(const ListRequest& request, const View& view,
                                absl::string_view last_id, Page& page);

  OpenedDatabase& database_;
  Committer& committer_;
  SicknessRecord& sickness_;
  Clock& clock_;

  Mutex mutex_;
  std::map<Id128, View> views_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast

#endif  // HOLDFAST_STORE_SERVICE_DOCUMENTS_DOCUMENT_ENGINE_H_
