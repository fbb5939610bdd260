#include "common/storage/rclone_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/storage/http_exchange.h"
#include "common/storage/rclone_status.h"

namespace holdfast {

namespace {

constexpr size_t kDownloadAheadMaxBytes = size_t{1} << 20;
// How long rclone may take to clean up after a source that failed.
constexpr absl::Duration kCleanUpMax = absl::Seconds(5);

std::string EscapeForUrl(absl::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || c == '-' || c == '.' || c == '_' || c == '~' || c == '/') {
      escaped.push_back(c);
    } else {
      absl::StrAppendFormat(&escaped, "%%%02X", byte);
    }
  }
  return escaped;
}

absl::Span<const uint8_t> BytesOf(absl::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// A form of one file, as multipart/form-data. Where the source fails it ends without its last
// boundary: rclone then knows that it was cut, tidies up, and answers so.
class UploadForm {
 public:
  UploadForm(absl::string_view file_name, ByteSource& source)
      : boundary_(absl::StrCat("holdfast-", SystemRandom().Hex(16))),
        beginning_(absl::StrCat("--", boundary_,
                                "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"",
                                file_name, "\"\r\nContent-Type: application/octet-stream\r\n\r\n")),
        end_(absl::StrCat("\r\n--", boundary_, "--\r\n")),
        source_(source) {}

  std::string content_type() const {
    return absl::StrCat("multipart/form-data; boundary=", boundary_);
  }

  absl::Span<const uint8_t> Next() {
    if (!std::exchange(is_begun_, true)) return BytesOf(beginning_);
    if (is_source_ended_ || !source_status_.ok()) return {};
    const absl::StatusOr<absl::Span<const uint8_t>> piece = source_.Next();
    if (!piece.ok()) {
      source_status_ = piece.status();
      failure_time_ = SystemClock().MonotonicNow();
      return {};
    }
    source_bytes_ += piece->size();
    is_source_ended_ = piece->empty();
    return is_source_ended_ ? BytesOf(end_) : *piece;
  }

  const absl::Status& source_status() const { return source_status_; }
  MonotonicTime failure_time() const { return failure_time_; }
  uint64_t source_bytes() const { return source_bytes_; }

 private:
  const std::string boundary_;
  const std::string beginning_;
  const std::string end_;
  ByteSource& source_;
  bool is_begun_ = false;
  bool is_source_ended_ = false;
  absl::Status source_status_;
  MonotonicTime failure_time_ = MonotonicTime::InfiniteFuture();
  uint64_t source_bytes_ = 0;
};

absl::Status StatusOf(const HttpExchange& exchange) {
  if (exchange.http_status() / 100 == 2) return absl::OkStatus();
  return StatusFromRclone(exchange.http_status(), exchange.received());
}

// Names rclone where it did not answer, and why, if it has ended.
absl::Status ExplainFailure(const absl::Status& failure, const RcloneDaemon& daemon) {
  if (failure.ok() || !absl::IsUnavailable(failure)) return failure;
  const std::string end = daemon.DescribeEnd();
  return absl::UnavailableError(
      absl::StrCat("no answer from rclone, or from the server that it asks: ", failure.message(),
                   end.empty() ? "" : ": ", end));
}

}  // namespace

// --- RcloneDownload --------------------------------------------------------------------------

RcloneDownload::RcloneDownload(std::unique_ptr<HttpExchange> exchange, uint64_t file_size_bytes)
    : exchange_(std::move(exchange)), file_size_bytes_(file_size_bytes) {}

RcloneDownload::~RcloneDownload() = default;

absl::StatusOr<absl::Span<const uint8_t>> RcloneDownload::Next() {
  HOLDFAST_RETURN_IF_ERROR(
      exchange_->Drive([this] { return !exchange_->received().empty(); }, RcloneClient::kStallMax),
      "the transfer broke off");
  piece_ = exchange_->TakeReceived();
  return BytesOf(piece_);
}

// --- RcloneClient ----------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<HttpExchange>> RcloneClient::NewExchange(
    absl::string_view path) const {
  HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
  HOLDFAST_ASSIGN_OR_RETURN(const RcloneDaemon::Endpoint endpoint, daemon_->Start());
  return std::make_unique<HttpExchange>(absl::StrCat(endpoint.url, path), endpoint.credentials,
                                        cancellation_);
}

absl::StatusOr<std::string> RcloneClient::Call(absl::string_view command,
                                               const std::string& parameters,
                                               absl::Duration deadline) const {
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<HttpExchange> exchange,
                            NewExchange(absl::StrCat("/", command)));
  exchange->SetBody("application/json", parameters);
  HOLDFAST_RETURN_IF_ERROR(ExplainFailure(exchange->Finish(deadline), *daemon_));
  HOLDFAST_RETURN_IF_ERROR(StatusOf(*exchange));
  return exchange->TakeReceived();
}

RcloneClient::Uploaded RcloneClient::Upload(absl::string_view fs, absl::string_view folder,
                                            absl::string_view file_name, ByteSource& source,
                                            absl::Duration answer_max) const {
  Uploaded uploaded;
  const absl::StatusOr<std::unique_ptr<HttpExchange>> exchange = NewExchange(absl::StrCat(
      "/operations/uploadfile?fs=", EscapeForUrl(fs), "&remote=", EscapeForUrl(folder)));
  if (!exchange.ok()) {
    uploaded.status = exchange.status();
    return uploaded;
  }
  UploadForm form(file_name, source);
  (*exchange)->SetBody(
      form.content_type(), [&form] { return form.Next(); }, answer_max);
  Clock& clock = SystemClock();
  const absl::Status sent = (*exchange)->Drive(
      [&] {
        return !form.source_status().ok() &&
               clock.MonotonicNow() - form.failure_time() >= kCleanUpMax;
      },
      kStallMax);
  uploaded.size_bytes = form.source_bytes();
  uploaded.is_answered = (*exchange)->has_ended() && sent.ok();
  if (!form.source_status().ok()) {
    uploaded.source_failed = true;
    uploaded.status = form.source_status();
  } else if (!sent.ok()) {
    uploaded.status = ExplainFailure(sent, *daemon_);
  } else {
    uploaded.status = StatusOf(**exchange);
    if (uploaded.status.ok() && !(*exchange)->is_all_sent()) {
      uploaded.status = absl::UnavailableError("rclone answered before it had all");
    }
  }
  return uploaded;
}

absl::StatusOr<std::unique_ptr<RcloneDownload>> RcloneClient::Download(absl::string_view fs,
                                                                       absl::string_view path,
                                                                       uint64_t offset,
                                                                       uint64_t length_max) const {
  HOLDFAST_ASSIGN_OR_RETURN(
      std::unique_ptr<HttpExchange> exchange,
      NewExchange(absl::StrCat("/", EscapeForUrl(absl::StrCat("[", fs, "]")), "/", path)));
  const bool is_range = offset > 0 || length_max != UINT64_MAX;
  if (is_range) {
    const std::string end =
        length_max < UINT64_MAX - offset ? absl::StrCat(offset + length_max - 1) : "";
    exchange->AddHeader(absl::StrCat("Range: bytes=", offset, "-", end));
  }
  exchange->PauseAt(kDownloadAheadMaxBytes);
  HOLDFAST_RETURN_IF_ERROR(ExplainFailure(
      exchange->Drive([&] { return exchange->http_status() != 0; }, kStallMax), *daemon_));
  if (exchange->http_status() / 100 != 2) {
    HOLDFAST_RETURN_IF_ERROR(ExplainFailure(exchange->Finish(kStallMax), *daemon_));
    return StatusOf(*exchange);
  }
  // "bytes 0-1/5"
  const absl::string_view content_range = exchange->content_range();
  const size_t slash = content_range.rfind('/');
  uint64_t file_size_bytes = 0;
  if (is_range) {
    if (slash == absl::string_view::npos ||
        !absl::SimpleAtoi(content_range.substr(slash + 1), &file_size_bytes)) {
      return absl::UnavailableError("rclone does not tell how long the file is");
    }
  } else if (exchange->content_length().has_value()) {
    file_size_bytes = *exchange->content_length();
  } else {
    return absl::UnavailableError("rclone does not tell how long the file is");
  }
  return std::unique_ptr<RcloneDownload>(new RcloneDownload(std::move(exchange), file_size_bytes));
}

}  // namespace holdfast
