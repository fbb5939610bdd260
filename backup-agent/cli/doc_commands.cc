#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "backup-agent/cli/backup_text.h"
#include "backup-agent/cli/command.h"
#include "backup-agent/cli/document_lines.h"
#include "backup-agent/cli/input_file.h"
#include "backup-agent/cli/json_text.h"
#include "backup-agent/cli/store_client.h"
#include "backup-agent/cli/terminal.h"
#include "common/base/status_macros.h"
#include "common/base/time_format.h"
#include "common/messages/proto_time.h"

namespace holdfast {

namespace {

constexpr int kPageSize = 1000;

// As document_store.proto says.
constexpr size_t kContentSizeMaxBytes = size_t{1} << 20;

absl::Status ForEachCollection(StoreClient& store,
                               absl::FunctionRef<absl::Status(const v1::Collection&)> visit) {
  v1::ListCollectionsRequest request;
  do {
    HOLDFAST_ASSIGN_OR_RETURN(const v1::ListCollectionsResponse page,
                              store.ListCollections(request));
    for (const v1::Collection& collection : page.collections()) {
      HOLDFAST_RETURN_IF_ERROR(visit(collection));
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return absl::OkStatus();
}

// Visits at most `limit` documents; all where it is zero.
absl::Status ForEachDocument(StoreClient& store, v1::ListDocumentsRequest request, uint64_t limit,
                             absl::FunctionRef<absl::Status(const v1::Document&)> visit) {
  uint64_t left = limit == 0 ? UINT64_MAX : limit;
  do {
    request.set_page_size(static_cast<int>(std::min<uint64_t>(left, kPageSize)));
    HOLDFAST_ASSIGN_OR_RETURN(const v1::ListDocumentsResponse page, store.List(request));
    for (const v1::Document& document : page.documents()) {
      HOLDFAST_RETURN_IF_ERROR(visit(document));
      if (--left == 0) return absl::OkStatus();
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return absl::OkStatus();
}

absl::Status NoCollectionError(const std::string& collection) {
  return absl::NotFoundError(absl::StrCat("there is no collection ", collection));
}

absl::StatusOr<StoreClient*> Keep(std::unique_ptr<StoreClient>& holder,
                                  const CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string socket, FindStoreSocket(context));
  holder = std::make_unique<StoreClient>(std::move(socket), context.cancellation);
  return holder.get();
}

}  // namespace

absl::Status RunCommand(const DocPutArguments& arguments, CommandContext& context) {
  std::unique_ptr<StoreClient> holder;
  HOLDFAST_ASSIGN_OR_RETURN(StoreClient* const store, Keep(holder, context));
  HOLDFAST_ASSIGN_OR_RETURN(const auto input, InputFile::Open(arguments.file, context.console));
  v1::PutDocumentRequest request;
  request.set_collection(arguments.collection);
  request.set_id(arguments.id);
  request.set_media_type(arguments.media_type);
  HOLDFAST_ASSIGN_OR_RETURN(*request.mutable_content(),
                            input->ReadAll(kContentSizeMaxBytes, context.cancellation));
  if (arguments.if_absent) request.mutable_precondition()->set_must_not_exist(true);
  if (arguments.if_revision != 0) {
    request.mutable_precondition()->set_must_be_at_revision(arguments.if_revision);
  }
  HOLDFAST_ASSIGN_OR_RETURN(const v1::PutDocumentResponse response, store->Put(request));
  if (context.global.json) return context.console.WriteLine(MessageToJson(response));
  return context.console.WriteLine(absl::StrCat("wrote ", arguments.collection, "/", arguments.id,
                                                " at revision ", response.revision()));
}

absl::Status RunCommand(const DocGetArguments& arguments, CommandContext& context) {
  std::unique_ptr<StoreClient> holder;
  HOLDFAST_ASSIGN_OR_RETURN(StoreClient* const store, Keep(holder, context));
  v1::GetDocumentRequest request;
  request.set_collection(arguments.collection);
  request.set_id(arguments.id);
  HOLDFAST_ASSIGN_OR_RETURN(const v1::GetDocumentResponse response, store->Get(request));
  if (context.global.json) {
    return context.console.WriteLine(FormatDocumentLine(response.document()));
  }
  const std::string& content = response.document().content();
  HOLDFAST_RETURN_IF_ERROR(context.console.Write(content));
  // For people only: elsewhere the content is what was stored, to the byte.
  const bool wants_newline = context.console.output_is_terminal() && !absl::EndsWith(content, "\n");
  return wants_newline ? context.console.Write("\n") : absl::OkStatus();
}

absl::Status RunCommand(const DocListArguments& arguments, CommandContext& context) {
  if (arguments.collection.empty() && !arguments.prefix.empty()) {
    return absl::InvalidArgumentError("--prefix needs a collection");
  }
  std::unique_ptr<StoreClient> holder;
  HOLDFAST_ASSIGN_OR_RETURN(StoreClient* const store, Keep(holder, context));
  Console& console = context.console;
  if (arguments.collection.empty()) {
    Table table({"COLLECTION", "DOCUMENTS"});
    table.AlignRight(1);
    uint64_t left = arguments.limit == 0 ? UINT64_MAX : arguments.limit;
    HOLDFAST_RETURN_IF_ERROR(ForEachCollection(*store, [&](const v1::Collection& collection) {
      if (left == 0) return absl::OkStatus();
      --left;
      if (context.global.json) return console.WriteLine(MessageToJson(collection));
      table.AddRow({collection.name(), FormatCount(collection.document_count())});
      return absl::OkStatus();
    }));
    return context.global.json ? absl::OkStatus() : console.Write(table.ToText());
  }

  v1::ListDocumentsRequest request;
  request.set_collection(arguments.collection);
  request.set_id_prefix(arguments.prefix);
  request.set_omit_content(true);
  bool is_first = true;
  bool is_empty = true;
  const auto print = [&](const v1::Document& document) {
    is_empty = false;
    const absl::Time change_time = FromProto(document.change_time());
    if (context.global.json) {
      JsonObject line;
      line.AddString("collection", document.collection());
      line.AddString("id", document.id());
      line.AddString("media_type", document.media_type());
      line.AddCount("revision", document.revision());
      line.AddString("create_time", FormatRfc3339Micros(FromProto(document.create_time())));
      line.AddString("change_time", FormatRfc3339Micros(change_time));
      return console.WriteLine(line.ToText());
    }
    // Not a Table: there may be millions.
    if (std::exchange(is_first, false)) {
      HOLDFAST_RETURN_IF_ERROR(console.Write("      REVISION  CHANGED                  ID\n"));
    }
    return console.Write(absl::StrFormat("%14d  %-23s  %s\n", document.revision(),
                                         DescribeTime(change_time), document.id()));
  };
  HOLDFAST_RETURN_IF_ERROR(ForEachDocument(*store, request, arguments.limit, print));
  if (!is_empty) return absl::OkStatus();
  // Nothing with that prefix is an answer; no such collection is not.
  bool exists = false;
  HOLDFAST_RETURN_IF_ERROR(ForEachCollection(*store, [&](const v1::Collection& collection) {
    exists = exists || collection.name() == arguments.collection;
    return absl::OkStatus();
  }));
  return exists ? absl::OkStatus() : NoCollectionError(arguments.collection);
}

absl::Status RunCommand(const DocDeleteArguments& arguments, CommandContext& context) {
  std::unique_ptr<StoreClient> holder;
  HOLDFAST_ASSIGN_OR_RETURN(StoreClient* const store, Keep(holder, context));
  v1::DeleteDocumentRequest request;
  request.set_collection(arguments.collection);
  request.set_id(arguments.id);
  if (arguments.if_revision != 0) {
    request.mutable_precondition()->set_must_be_at_revision(arguments.if_revision);
  }
  HOLDFAST_ASSIGN_OR_RETURN(const v1::DeleteDocumentResponse response, store->Delete(request));
  if (context.global.json) return context.console.WriteLine(MessageToJson(response));
  return context.console.WriteLine(absl::StrCat("deleted ", arguments.collection, "/", arguments.id,
                                                " at revision ", response.revision()));
}

absl::Status RunCommand(const DocExportArguments& arguments, CommandContext& context) {
  std::unique_ptr<StoreClient> holder;
  HOLDFAST_ASSIGN_OR_RETURN(StoreClient* const store, Keep(holder, context));
  std::vector<v1::Collection> collections;
  uint64_t total = 0;
  HOLDFAST_RETURN_IF_ERROR(ForEachCollection(*store, [&](const v1::Collection& collection) {
    if (!arguments.collection.empty() && collection.name() != arguments.collection) {
      return absl::OkStatus();
    }
    collections.push_back(collection);
    total += collection.document_count();
    return absl::OkStatus();
  }));
  if (!arguments.collection.empty() && collections.empty()) {
    return NoCollectionError(arguments.collection);
  }
  // Where lines go to a terminal they are the progress.
  const bool shows_progress = !context.console.output_is_terminal();
  ProgressDisplay display(context.console, context.clock);
  Progress progress{.what = "export", .items = "document", .items_total = total};
  for (const v1::Collection& collection : collections) {
    v1::ListDocumentsRequest request;
    request.set_collection(collection.name());
    const absl::Status status =
        ForEachDocument(*store, request, 0, [&](const v1::Document& document) {
          ++progress.items_done;
          progress.items_total = std::max(progress.items_total, progress.items_done);
          if (shows_progress) display.Update(progress);
          return context.console.WriteLine(FormatDocumentLine(document));
        });
    HOLDFAST_RETURN_IF_ERROR(status, absl::StrCat("export ", collection.name()));
  }
  return absl::OkStatus();
}

}  // namespace holdfast
