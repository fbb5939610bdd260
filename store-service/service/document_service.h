#ifndef HOLDFAST_STORE_SERVICE_SERVICE_DOCUMENT_SERVICE_H_
#define HOLDFAST_STORE_SERVICE_SERVICE_DOCUMENT_SERVICE_H_

#include "common/base/executor.h"
#include "holdfast/v1/document_store.grpc.pb.h"
#include "store-service/documents/document_engine.h"

namespace holdfast {

// holdfast.v1.DocumentStore over a DocumentEngine. It only translates: what needs the disk, or much
// of the processor, runs on the executor; a write is answered by the committer's callback.
//
// Thread-safe. Does not take ownership; *engine and *executor must outlive all calls, and both must
// still work while calls end.
class DocumentService : public v1::DocumentStore::CallbackService {
 public:
  DocumentService(DocumentEngine* engine, Executor* executor)
      : engine_(*engine), executor_(*executor) {}

  grpc::ServerUnaryReactor* GetDocument(grpc::CallbackServerContext* context,
                                        const v1::GetDocumentRequest* request,
                                        v1::GetDocumentResponse* response) override;
  grpc::ServerUnaryReactor* PutDocument(grpc::CallbackServerContext* context,
                                        const v1::PutDocumentRequest* request,
                                        v1::PutDocumentResponse* response) override;
  grpc::ServerUnaryReactor* DeleteDocument(grpc::CallbackServerContext* context,
                                           const v1::DeleteDocumentRequest* request,
                                           v1::DeleteDocumentResponse* response) override;
  grpc::ServerUnaryReactor* WriteDocuments(grpc::CallbackServerContext* context,
                                           const v1::WriteDocumentsRequest* request,
                                           v1::WriteDocumentsResponse* response) override;
  grpc::ServerUnaryReactor* ListDocuments(grpc::CallbackServerContext* context,
                                          const v1::ListDocumentsRequest* request,
                                          v1::ListDocumentsResponse* response) override;
  grpc::ServerUnaryReactor* ListCollections(grpc::CallbackServerContext* context,
                                            const v1::ListCollectionsRequest* request,
                                            v1::ListCollectionsResponse* response) override;

 private:
  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* WriteOne(grpc::CallbackServerContext* context, const Request* request,
                                     Response* response);

  DocumentEngine& engine_;
  Executor& executor_;
};

}  // namespace holdfast

#endif  // HOLDFAST_STORE_SERVICE_SERVICE_DOCUMENT_SERVICE_H_
