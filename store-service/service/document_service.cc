#include "store-service/service/document_service.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/messages/proto_time.h"
#include "common/rpc/status_mapping.h"
#include "store-service/service/proto_conversion.h"
#include "store-service/service/unary_call.h"

namespace holdfast {
namespace {

// A write of at most so much is checked and hashed in the reaction: some tens of microseconds.
constexpr size_t kSmallWriteMaxBytes = size_t{16} << 10;

}  // namespace

grpc::ServerUnaryReactor* DocumentService::GetDocument(grpc::CallbackServerContext* context,
                                                       const v1::GetDocumentRequest* request,
                                                       v1::GetDocumentResponse* response) {
  // Most of what is asked for is in memory: no thread has to be woken for it.
  if (std::optional<Document> document =
          engine_.GetFromMemory(request->collection(), request->id())) {
    *response->mutable_document() = ToProto(*std::move(document));
    return FinishCall(context, absl::OkStatus());
  }
  return AnswerCall(executor_, context, [this, request, response]() -> absl::Status {
    HOLDFAST_ASSIGN_OR_RETURN(Document document, engine_.Get(request->collection(), request->id()));
    *response->mutable_document() = ToProto(std::move(document));
    return absl::OkStatus();
  });
}

template <typename Request, typename Response>
grpc::ServerUnaryReactor* DocumentService::WriteOne(grpc::CallbackServerContext* context,
                                                    const Request* request, Response* response) {
  const auto write_one = [this, request, response](grpc::ServerUnaryReactor* reactor) {
    absl::StatusOr<DocumentWrite> write = FromProto(*request);
    if (!write.ok()) return reactor->Finish(ToGrpcStatus(write.status()));
    std::vector<DocumentWrite> writes;
    writes.push_back(*std::move(write));
    engine_.Write(std::move(writes), [reactor, response](absl::StatusOr<CommitResult> result) {
      if (result.ok()) {
        response->set_revision(result->first_revision);
        *response->mutable_commit_time() = ToProto(result->commit_time);
      }
      reactor->Finish(ToGrpcStatus(result.status()));
    });
  };
  // To check and hash a small document is less than to wake a thread for it.
  if (request->ByteSizeLong() <= kSmallWriteMaxBytes) {
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    write_one(reactor);
    return reactor;
  }
  return ScheduleCall(executor_, context, write_one);
}

grpc::ServerUnaryReactor* DocumentService::PutDocument(grpc::CallbackServerContext* context,
                                                       const v1::PutDocumentRequest* request,
                                                       v1::PutDocumentResponse* response) {
  return WriteOne(context, request, response);
}

grpc::ServerUnaryReactor* DocumentService::DeleteDocument(grpc::CallbackServerContext* context,
                                                          const v1::DeleteDocumentRequest* request,
                                                          v1::DeleteDocumentResponse* response) {
  return WriteOne(context, request, response);
}

grpc::ServerUnaryReactor* DocumentService::WriteDocuments(grpc::CallbackServerContext* context,
                                                          const v1::WriteDocumentsRequest* request,
                                                          v1::WriteDocumentsResponse* response) {
  return ScheduleCall(
      executor_, context, [this, request, response](grpc::ServerUnaryReactor* reactor) {
        std::vector<DocumentWrite> writes;
        for (const v1::DocumentWrite& message : request->writes()) {
          absl::StatusOr<DocumentWrite> write = FromProto(message);
          if (!write.ok()) {
            return reactor->Finish(
                ToGrpcStatus(Annotate(write.status(), absl::StrCat("write ", writes.size()))));
          }
          writes.push_back(*std::move(write));
        }
        const uint64_t count = writes.size();
        engine_.Write(std::move(writes),
                      [reactor, response, count](absl::StatusOr<CommitResult> result) {
                        if (result.ok()) {
                          for (uint64_t i = 0; i < count; ++i)
                            response->add_revisions(result->first_revision + i);
                          *response->mutable_commit_time() = ToProto(result->commit_time);
                        }
                        reactor->Finish(ToGrpcStatus(result.status()));
                      });
      });
}

grpc::ServerUnaryReactor* DocumentService::ListDocuments(grpc::CallbackServerContext* context,
                                                         const v1::ListDocumentsRequest* request,
                                                         v1::ListDocumentsResponse* response) {
  return AnswerCall(executor_, context, [this, request, response]() -> absl::Status {
    HOLDFAST_ASSIGN_OR_RETURN(DocumentEngine::Page page,
                              engine_.List({.collection = request->collection(),
                                            .id_prefix = request->id_prefix(),
                                            .page_size = request->page_size(),
                                            .page_token = request->page_token(),
                                            .omit_content = request->omit_content()}));
    for (Document& document : page.documents) {
      *response->add_documents() = ToProto(std::move(document));
    }
    response->set_next_page_token(std::move(page.next_page_token));
    response->set_revision(page.revision);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* DocumentService::ListCollections(
    grpc::CallbackServerContext* context, const v1::ListCollectionsRequest* request,
    v1::ListCollectionsResponse* response) {
  return AnswerCall(executor_, context, [this, request, response]() -> absl::Status {
    HOLDFAST_ASSIGN_OR_RETURN(DocumentEngine::CollectionPage page,
                              engine_.ListCollections(request->page_size(), request->page_token()));
    for (auto& [name, document_count] : page.collections) {
      v1::Collection* const collection = response->add_collections();
      collection->set_name(std::move(name));
      collection->set_document_count(document_count);
    }
    response->set_next_page_token(std::move(page.next_page_token));
    return absl::OkStatus();
  });
}

}  // namespace holdfast
