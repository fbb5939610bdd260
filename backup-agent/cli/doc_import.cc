#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "backup-agent/cli/command.h"
#include "backup-agent/cli/document_lines.h"
#include "backup-agent/cli/input_file.h"
#include "backup-agent/cli/json_text.h"
#include "backup-agent/cli/store_client.h"
#include "backup-agent/cli/terminal.h"
#include "common/base/bounded_queue.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/base/thread.h"

namespace holdfast {

namespace {

// As document_store.proto says, of WriteDocuments.
constexpr int kWritesMax = 1000;
constexpr size_t kWritesSizeMaxBytes = size_t{3} << 20;

// Batches that wait while one is being written.
constexpr size_t kBatchesWaitingMax = 2;

// Some documents, and the lines that they stand in.
struct Batch {
  v1::WriteDocumentsRequest request;
  std::vector<uint64_t> line_numbers;
  size_t size_bytes = 0;
};

size_t SizeBytes(const v1::PutDocumentRequest& put) {
  return put.collection().size() + put.id().size() + put.content().size() + put.media_type().size();
}

// Names the line in place of the index in the batch: "write 3: …" is about a line of the input.
absl::Status NameLine(const absl::Status& status, const Batch& batch) {
  absl::string_view message = status.message();
  size_t index = 0;
  if (batch.line_numbers.size() > 1) {
    const bool names_write = absl::ConsumePrefix(&message, "write ") &&
                             absl::StrContains(message, ": ") &&
                             absl::SimpleAtoi(message.substr(0, message.find(": ")), &index) &&
                             index < batch.line_numbers.size();
    if (!names_write) {
      return Annotate(status, absl::StrCat("lines ", batch.line_numbers.front(), " to ",
                                           batch.line_numbers.back()));
    }
    message.remove_prefix(message.find(": ") + 2);
  }
  return absl::Status(status.code(),
                      absl::StrCat("line ", batch.line_numbers[index], ": ", message));
}

// Writes batches in their order, on a thread of its own, while the next ones are being read.
//
// Thread-safe.
class BatchWriter {
 public:
  explicit BatchWriter(StoreClient& store)
      : store_(store), queue_(kBatchesWaitingMax), thread_("import", [this] { Work(); }) {}
  ~BatchWriter() { queue_.Abandon(); }

  // Waits for room. False once a write has failed: Finish tells why.
  bool Add(Batch batch) { return queue_.Push(std::move(batch)); }

  // Waits until all is written, and returns the first error.
  absl::Status Finish() ABSL_LOCKS_EXCLUDED(mutex_) {
    queue_.Close();
    thread_.Join();
    MutexLock lock(&mutex_);
    return status_;
  }

  uint64_t documents_written() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return documents_written_;
  }
  uint64_t revision() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return revision_;
  }

 private:
  void Work() {
    while (std::optional<Batch> batch = queue_.Pop()) {
      const absl::StatusOr<v1::WriteDocumentsResponse> response = store_.Write(batch->request);
      MutexLock lock(&mutex_);
      if (!response.ok()) {
        status_ = NameLine(response.status(), *batch);
        break;
      }
      documents_written_ += static_cast<uint64_t>(response->revisions_size());
      if (!response->revisions().empty()) revision_ = *response->revisions().rbegin();
    }
    queue_.Abandon();
  }

  StoreClient& store_;
  BoundedQueue<Batch> queue_;

  mutable Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  uint64_t documents_written_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t revision_ ABSL_GUARDED_BY(mutex_) = 0;

  Thread thread_;  // last: it uses all of the above
};

// Reads lines and hands them to the writer, until the end, an error of a line, or one of the
// writer.
absl::Status ReadBatches(LineReader& lines, BatchWriter& writer,
                         const std::function<void()>& on_line) {
  DocumentLineParser parser;
  Batch batch;
  for (;;) {
    HOLDFAST_ASSIGN_OR_RETURN(const std::optional<absl::string_view> line, lines.Next());
    if (!line.has_value()) break;
    on_line();
    if (absl::StripAsciiWhitespace(*line).empty()) continue;
    absl::StatusOr<v1::PutDocumentRequest> put = parser.Parse(*line);
    if (!put.ok()) return Annotate(put.status(), absl::StrCat("line ", lines.line_number()));
    const size_t size_bytes = SizeBytes(*put);
    if (size_bytes > kWritesSizeMaxBytes) {
      return absl::InvalidArgumentError(absl::StrCat("line ", lines.line_number(),
                                                     ": the document has ", size_bytes,
                                                     " bytes, which is too many"));
    }
    if (batch.request.writes_size() == kWritesMax ||
        batch.size_bytes + size_bytes > kWritesSizeMaxBytes) {
      if (!writer.Add(std::exchange(batch, {}))) return absl::OkStatus();
    }
    *batch.request.add_writes()->mutable_put() = *std::move(put);
    batch.line_numbers.push_back(lines.line_number());
    batch.size_bytes += size_bytes;
  }
  if (!batch.line_numbers.empty()) (void)writer.Add(std::move(batch));
  return absl::OkStatus();
}

}  // namespace

absl::Status RunCommand(const DocImportArguments& arguments, CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string socket, FindStoreSocket(context));
  StoreClient store(std::move(socket), context.cancellation);
  HOLDFAST_ASSIGN_OR_RETURN(const auto input, InputFile::Open(arguments.file, context.console));
  const MonotonicTime start = context.clock.MonotonicNow();

  LineReader lines(*input, kDocumentLineSizeMaxBytes, context.cancellation);
  BatchWriter writer(store);
  absl::Status status;
  {
    ProgressDisplay display(context.console, context.clock);
    Progress progress{.what = "import", .items = "document", .bytes_total = input->size_bytes()};
    const absl::Status read_status = ReadBatches(lines, writer, [&] {
      progress.items_done = writer.documents_written();
      progress.bytes_done = lines.bytes_read();
      display.Update(progress);
    });
    // What stands in earlier lines comes first, also where it is wrong.
    status = writer.Finish();
    if (status.ok()) status = read_status;
  }
  const uint64_t written = writer.documents_written();
  if (!status.ok()) {
    return absl::Status(
        status.code(),
        absl::StrCat(status.message(), "\n", FormatCount(written, "document"),
                     written == 1 ? " was" : " were",
                     " written; it is safe to import everything again once that is mended"));
  }
  if (context.global.json) {
    JsonObject object;
    object.AddCount("document_count", written);
    object.AddCount("revision", writer.revision());
    return context.console.WriteLine(object.ToText());
  }
  return context.console.WriteLine(absl::StrCat(
      "imported ", FormatCount(written, "document"), " in ",
      DescribeDuration(context.clock.MonotonicNow() - start),
      written == 0 ? std::string() : absl::StrCat(", up to revision ", writer.revision())));
}

}  // namespace holdfast
