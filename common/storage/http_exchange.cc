#include "common/storage/http_exchange.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace holdfast {

namespace {

constexpr int64_t kBufferSizeBytes = int64_t{256} << 10;
// Of an answer that is not paused: a listing of some million files.
constexpr size_t kAnswerSizeMaxBytes = size_t{512} << 20;
// How long one wait may be: the time that is up is noticed with this delay at most.
constexpr absl::Duration kPollMax = absl::Seconds(1);

void InitializeCurl() {
  static const bool is_initialized = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  HOLDFAST_CHECK(is_initialized);
}

CURLM* NewMulti() {
  InitializeCurl();
  CURLM* const multi = curl_multi_init();
  HOLDFAST_CHECK(multi != nullptr);
  return multi;
}

CURL* NewEasy() {
  CURL* const easy = curl_easy_init();
  HOLDFAST_CHECK(easy != nullptr);
  return easy;
}

// Setting an option fails only where the option is wrong.
template <typename Value>
void Set(CURL* easy, CURLoption option, Value value) {
  HOLDFAST_CHECK(curl_easy_setopt(easy, option, value) == CURLE_OK);
}

}  // namespace

HttpExchange::HttpExchange(const std::string& url, const std::string& credentials,
                           Cancellation cancellation)
    : cancellation_(std::move(cancellation)),
      multi_(NewMulti()),
      easy_(NewEasy()),
      received_max_bytes_(kAnswerSizeMaxBytes) {
  Set(easy_, CURLOPT_URL, url.c_str());
  Set(easy_, CURLOPT_PROTOCOLS_STR, "http");
  Set(easy_, CURLOPT_NOPROXY, "*");  // whatever the environment says
  Set(easy_, CURLOPT_USERPWD, credentials.c_str());
  Set(easy_, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
  Set(easy_, CURLOPT_NOSIGNAL, 1L);
  Set(easy_, CURLOPT_BUFFERSIZE, static_cast<long>(kBufferSizeBytes));
  Set(easy_, CURLOPT_UPLOAD_BUFFERSIZE, static_cast<long>(kBufferSizeBytes));
  Set(easy_, CURLOPT_WRITEFUNCTION, &HttpExchange::OnReceive);
  Set(easy_, CURLOPT_WRITEDATA, this);
  Set(easy_, CURLOPT_HEADERFUNCTION, &HttpExchange::OnHeader);
  Set(easy_, CURLOPT_HEADERDATA, this);
}

HttpExchange::~HttpExchange() {
  if (is_begun_) curl_multi_remove_handle(multi_, easy_);
  curl_easy_cleanup(easy_);
  curl_multi_cleanup(multi_);
  curl_slist_free_all(headers_);
}

void HttpExchange::AddHeader(const std::string& header) {
  curl_slist* const headers = curl_slist_append(headers_, header.c_str());
  HOLDFAST_CHECK(headers != nullptr);
  headers_ = headers;
}

void HttpExchange::SetBody(absl::string_view content_type, std::string body) {
  body_ = std::move(body);
  Set(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body_.size()));
  Set(easy_, CURLOPT_POSTFIELDS, body_.c_str());
  AddHeader(absl::StrCat("Content-Type: ", content_type));
  AddHeader("Expect:");  // no asking whether it is welcome
}

void HttpExchange::SetBody(absl::string_view content_type,
                           absl::AnyInvocable<absl::Span<const uint8_t>()> next,
                           absl::Duration answer_max) {
  next_ = std::move(next);
  answer_max_ = answer_max;
  Set(easy_, CURLOPT_POST, 1L);
  Set(easy_, CURLOPT_READFUNCTION, &HttpExchange::OnSend);
  Set(easy_, CURLOPT_READDATA, this);
  AddHeader(absl::StrCat("Content-Type: ", content_type));
  AddHeader("Transfer-Encoding: chunked");
  AddHeader("Expect:");
}

void HttpExchange::PauseAt(size_t received_max_bytes) {
  received_max_bytes_ = received_max_bytes;
  does_pause_ = true;
}

absl::Status HttpExchange::Drive(absl::FunctionRef<bool()> is_enough, absl::Duration stall_max) {
  if (!is_begun_) {
    Set(easy_, CURLOPT_HTTPHEADER, headers_);
    HOLDFAST_CHECK(curl_multi_add_handle(multi_, easy_) == CURLM_OK);
    is_begun_ = true;
  }
  MakeProgress();  // nothing was waited for between two calls
  const CancellationCallback wake(cancellation_, [this] { curl_multi_wakeup(multi_); });
  for (;;) {
    HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
    if (has_ended_) return end_;
    if (is_enough()) return absl::OkStatus();
    int running = 0;
    HOLDFAST_CHECK(curl_multi_perform(multi_, &running) == CURLM_OK);
    int waiting = 0;
    while (const CURLMsg* const message = curl_multi_info_read(multi_, &waiting)) {
      if (message->msg != CURLMSG_DONE) continue;
      has_ended_ = true;
      if (message->data.result != CURLE_OK) {
        end_ = absl::UnavailableError(curl_easy_strerror(message->data.result));
      }
    }
    if (has_ended_ || is_enough()) continue;
    const absl::Duration allowed = is_all_sent_ ? std::max(stall_max, answer_max_) : stall_max;
    const absl::Duration remaining = last_progress_ + allowed - clock_.MonotonicNow();
    if (remaining <= absl::ZeroDuration()) {
      return absl::UnavailableError(
          absl::StrCat("nothing moved for ", absl::FormatDuration(allowed)));
    }
    const int64_t milliseconds =
        absl::ToInt64Milliseconds(std::min(remaining, kPollMax) + absl::Milliseconds(1));
    curl_multi_poll(multi_, nullptr, 0, static_cast<int>(milliseconds), nullptr);
  }
}

absl::Status HttpExchange::Finish(absl::Duration stall_max) {
  return Drive([] { return false; }, stall_max);
}

std::string HttpExchange::TakeReceived() {
  std::string taken = std::move(received_);
  received_.clear();
  if (std::exchange(is_paused_, false)) curl_easy_pause(easy_, CURLPAUSE_CONT);
  return taken;
}

size_t HttpExchange::OnReceive(char* data, size_t size, size_t count, void* self_pointer) {
  HttpExchange& self = *static_cast<HttpExchange*>(self_pointer);
  const size_t bytes = size * count;
  self.MakeProgress();
  if (self.does_pause_ && self.received_.size() >= self.received_max_bytes_) {
    self.is_paused_ = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  if (!self.does_pause_ && bytes > self.received_max_bytes_ - self.received_.size()) return 0;
  self.received_.append(data, bytes);
  return bytes;
}

size_t HttpExchange::OnHeader(char* data, size_t size, size_t count, void* self_pointer) {
  HttpExchange& self = *static_cast<HttpExchange*>(self_pointer);
  const size_t bytes = size * count;
  const absl::string_view line = absl::StripAsciiWhitespace(absl::string_view(data, bytes));
  self.MakeProgress();
  if (line.empty()) {
    long code = 0;
    curl_easy_getinfo(self.easy_, CURLINFO_RESPONSE_CODE, &code);
    self.http_status_ = static_cast<int>(code);
    self.are_headers_complete_ = code >= 200;  // else it only announces the answer
    return bytes;
  }
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(line, absl::MaxSplits(':', 1));
  const absl::string_view value = absl::StripAsciiWhitespace(parts.second);
  if (absl::EqualsIgnoreCase(parts.first, "content-range"))
    self.content_range_ = std::string(value);
  if (absl::EqualsIgnoreCase(parts.first, "content-length")) {
    uint64_t length = 0;
    if (absl::SimpleAtoi(value, &length)) self.content_length_ = length;
  }
  return bytes;
}

size_t HttpExchange::OnSend(char* buffer, size_t size, size_t count, void* self_pointer) {
  HttpExchange& self = *static_cast<HttpExchange*>(self_pointer);
  const size_t room = size * count;
  if (self.to_send_.empty() && !self.is_all_sent_) {
    self.to_send_ = self.next_();
    self.is_all_sent_ = self.to_send_.empty();
  }
  const size_t bytes = std::min(room, self.to_send_.size());
  if (bytes > 0) std::memcpy(buffer, self.to_send_.data(), bytes);
  self.to_send_.remove_prefix(bytes);
  self.MakeProgress();  // after the wait for the source
  return bytes;
}

}  // namespace holdfast
