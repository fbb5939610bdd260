#ifndef HOLDFAST_COMMON_STORAGE_HTTP_EXCHANGE_H_
#define HOLDFAST_COMMON_STORAGE_HTTP_EXCHANGE_H_

#include <curl/curl.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"

namespace holdfast {

// An HttpExchange is one request over plain HTTP to a server on this machine, and its answer. It
// makes progress only in Drive, on the thread that calls it.
//
//   HttpExchange exchange("http://127.0.0.1:1234/path", "name:password", cancellation);
//   exchange.SetBody("application/json", json);
//   HOLDFAST_RETURN_IF_ERROR(exchange.Finish(absl::Seconds(30)));
//   if (exchange.http_status() == 200) Use(exchange.TakeReceived());
//
// Not thread-safe.
//
// Errors: the status of `cancellation` once it is cancelled; UNAVAILABLE where the exchange breaks
// or stands still.
class HttpExchange {
 public:
  HttpExchange(const std::string& url, const std::string& credentials, Cancellation cancellation);
  ~HttpExchange();
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  // Makes it a POST of these bytes.
  void SetBody(absl::string_view content_type, std::string body);

  // Makes it a POST of what `next` yields, piece by piece, until it is empty; the bytes stay valid
  // until the next call. Once it was, the rest of the exchange may stand still for `answer_max`.
  void SetBody(absl::string_view content_type, absl::AnyInvocable<absl::Span<const uint8_t>()> next,
               absl::Duration answer_max);

  void AddHeader(const std::string& header);

  // Stops receiving while as much as this waits to be taken. Without it, more is an error.
  void PauseAt(size_t received_max_bytes);

  // Goes on until `is_enough`, the end of the exchange, or an error. At most `stall_max` may pass
  // without a byte sent or received.
  absl::Status Drive(absl::FunctionRef<bool()> is_enough, absl::Duration stall_max);
  absl::Status Finish(absl::Duration stall_max);

  bool has_ended() const { return has_ended_; }
  // Whether the source of the body was taken to its end.
  bool is_all_sent() const { return is_all_sent_; }

  // Of the answer; 0 as long as its headers are not complete.
  int http_status() const { return are_headers_complete_ ? http_status_ : 0; }
  // The value of a header of the answer; the name in lower case. Empty where there is none.
  absl::string_view content_range() const { return content_range_; }
  std::optional<uint64_t> content_length() const { return content_length_; }

  const std::string& received() const { return received_; }
  // The received bytes that were not taken yet; receiving goes on if it had stopped.
  std::string TakeReceived();

 private:
  static size_t OnReceive(char* data, size_t size, size_t count, void* self);
  static size_t OnHeader(char* data, size_t size, size_t count, void* self);
  static size_t OnSend(char* buffer, size_t size, size_t count, void* self);

  void MakeProgress() { last_progress_ = clock_.MonotonicNow(); }

  Clock& clock_ = SystemClock();
  const Cancellation cancellation_;
  CURLM* const multi_;
  CURL* const easy_;
  curl_slist* headers_ = nullptr;

  std::string body_;
  absl::AnyInvocable<absl::Span<const uint8_t>()> next_;
  absl::Span<const uint8_t> to_send_;
  bool is_all_sent_ = false;
  absl::Duration answer_max_;

  bool is_begun_ = false;
  bool has_ended_ = false;
  absl::Status end_;
  MonotonicTime last_progress_;

  bool are_headers_complete_ = false;
  int http_status_ = 0;
  std::string content_range_;
  std::optional<uint64_t> content_length_;
  std::string received_;
  size_t received_max_bytes_;
  bool does_pause_ = false;
  bool is_paused_ = false;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_STORAGE_HTTP_EXCHANGE_H_
