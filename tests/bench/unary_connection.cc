#include "tests/bench/unary_connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"

namespace holdfast::bench {

namespace {

// Large enough that nobody ever waits for it.
constexpr int32_t kWindowSizeBytes = int32_t{64} << 20;
constexpr size_t kReadSizeBytes = size_t{64} << 10;
constexpr size_t kFrameHeadSizeBytes = 5;  // of a gRPC message: not compressed, and its length

template <typename Address>
absl::StatusOr<UniqueFd> ConnectTo(int family, const Address& address) {
  UniqueFd descriptor(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!descriptor.is_valid()) return StatusFromErrno(errno, "socket");
  if (connect(descriptor.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) !=
      0) {
    return StatusFromErrno(errno, "connect");
  }
  const int yes = 1;
  if (family == AF_INET) setsockopt(descriptor.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  fcntl(descriptor.get(), F_SETFL, O_NONBLOCK);
  return descriptor;
}

absl::StatusOr<UniqueFd> Connect(const std::string& address) {
  absl::string_view rest = address;
  if (absl::ConsumePrefix(&rest, "unix:")) {
    sockaddr_un unix_address = {};
    unix_address.sun_family = AF_UNIX;
    if (rest.size() >= sizeof(unix_address.sun_path)) {
      return absl::InvalidArgumentError(absl::StrCat(address, " is too long"));
    }
    std::copy(rest.begin(), rest.end(), unix_address.sun_path);
    return ConnectTo(AF_UNIX, unix_address);
  }
  sockaddr_in inet_address = {};
  inet_address.sin_family = AF_INET;
  const size_t colon = rest.find(':');
  int port = 0;
  if (colon == absl::string_view::npos || !absl::SimpleAtoi(rest.substr(colon + 1), &port) ||
      inet_pton(AF_INET, std::string(rest.substr(0, colon)).c_str(), &inet_address.sin_addr) != 1) {
    return absl::InvalidArgumentError(absl::StrCat(address, " is no unix:PATH and no IPV4:PORT"));
  }
  inet_address.sin_port = htons(static_cast<uint16_t>(port));
  return ConnectTo(AF_INET, inet_address);
}

nghttp2_nv Header(absl::string_view name, absl::string_view value) {
  const auto bytes = [](absl::string_view text) {
    return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));  // only read
  };
  return {bytes(name), bytes(value), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

}  // namespace

struct UnaryConnection::Stream {
  std::string request;  // framed
  size_t sent_bytes = 0;
  std::string response;  // framed
  int code = -1;         // grpc-status, once it has come
  std::string message;
  Done done;
};

// What nghttp2 calls.
struct UnaryConnection::Callbacks {
  static ssize_t ReadRequest(nghttp2_session*, int32_t, uint8_t* buffer, size_t size,
                             uint32_t* flags, nghttp2_data_source* source, void*) {
    Stream& stream = *static_cast<Stream*>(source->ptr);
    const size_t taken = std::min(size, stream.request.size() - stream.sent_bytes);
    std::copy_n(stream.request.data() + stream.sent_bytes, taken, buffer);
    stream.sent_bytes += taken;
    if (stream.sent_bytes == stream.request.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(taken);
  }

  static int OnHeader(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_size, const uint8_t* value, size_t value_size, uint8_t, void*) {
    auto* const stream =
        static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, frame->hd.stream_id));
    if (stream == nullptr) return 0;
    const absl::string_view header(reinterpret_cast<const char*>(name), name_size);
    const absl::string_view text(reinterpret_cast<const char*>(value), value_size);
    if (header == "grpc-status" && !absl::SimpleAtoi(text, &stream->code)) stream->code = -1;
    if (header == "grpc-message") stream->message = std::string(text);
    return 0;
  }

  static int OnData(nghttp2_session* session, uint8_t, int32_t stream_id, const uint8_t* data,
                    size_t size, void*) {
    auto* const stream =
        static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, stream_id));
    if (stream != nullptr) stream->response.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }

  static int OnClose(nghttp2_session* session, int32_t stream_id, uint32_t error, void*) {
    const std::unique_ptr<Stream> stream(
        static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, stream_id)));
    if (stream == nullptr) return 0;
    absl::Status status;
    if (stream->code < 0) {
      status = absl::UnavailableError(absl::StrCat("the stream broke: ", error));
    } else if (stream->code > 0) {
      status = absl::Status(static_cast<absl::StatusCode>(stream->code), stream->message);
    } else if (stream->response.size() < kFrameHeadSizeBytes || stream->response[0] != 0) {
      status = absl::DataLossError("not one message without compression");
    }
    stream->done(status, status.ok()
                             ? absl::string_view(stream->response).substr(kFrameHeadSizeBytes)
                             : absl::string_view());
    return 0;
  }
};

absl::StatusOr<std::unique_ptr<UnaryConnection>> UnaryConnection::Open(const std::string& address) {
  HOLDFAST_ASSIGN_OR_RETURN(UniqueFd descriptor, Connect(address));
  return std::unique_ptr<UnaryConnection>(new UnaryConnection(std::move(descriptor)));
}

UnaryConnection::UnaryConnection(UniqueFd descriptor) : descriptor_(std::move(descriptor)) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::OnHeader);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::OnData);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::OnClose);
  nghttp2_session_client_new(&session_, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kWindowSizeBytes};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &window, 1);
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kWindowSizeBytes);
}

UnaryConnection::~UnaryConnection() { nghttp2_session_del(session_); }

void UnaryConnection::Call(const std::string& path, absl::string_view request, Done done) {
  auto stream = std::make_unique<Stream>();
  stream->request.reserve(kFrameHeadSizeBytes + request.size());
  stream->request.push_back('\0');
  for (int shift = 24; shift >= 0; shift -= 8) {
    stream->request.push_back(static_cast<char>(request.size() >> shift));
  }
  stream->request.append(request.data(), request.size());
  stream->done = std::move(done);
  const std::array<nghttp2_nv, 7> headers = {
      Header(":method", "POST"),      Header(":scheme", "http"),
      Header(":path", path),          Header(":authority", "localhost"),
      Header("te", "trailers"),       Header("content-type", "application/grpc"),
      Header("user-agent", "bench/1")};
  nghttp2_data_provider body = {};
  body.source.ptr = stream.get();
  body.read_callback = Callbacks::ReadRequest;
  const int32_t stream_id = nghttp2_submit_request(session_, nullptr, headers.data(),
                                                   headers.size(), &body, stream.get());
  if (stream_id < 0) {
    stream->done(absl::UnavailableError(nghttp2_strerror(stream_id)), {});
    return;
  }
  stream.release();  // OnClose takes it
}

absl::Status UnaryConnection::Read() {
  std::array<uint8_t, kReadSizeBytes> buffer;
  const ssize_t size = recv(descriptor_.get(), buffer.data(), buffer.size(), 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return absl::OkStatus();
  if (size < 0) return StatusFromErrno(errno, "recv");
  if (size == 0) return absl::UnavailableError("the server closed the connection");
  const ssize_t taken =
      nghttp2_session_mem_recv(session_, buffer.data(), static_cast<size_t>(size));
  if (taken < 0) return absl::UnavailableError(nghttp2_strerror(static_cast<int>(taken)));
  return absl::OkStatus();
}

absl::Status UnaryConnection::Write() {
  while (true) {
    const uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &data);
    if (size < 0) return absl::UnavailableError(nghttp2_strerror(static_cast<int>(size)));
    if (size == 0) break;
    unsent_.append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
  }
  if (unsent_.empty()) return absl::OkStatus();
  const ssize_t sent = send(descriptor_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return absl::OkStatus();
  if (sent < 0) return StatusFromErrno(errno, "send");
  unsent_.erase(0, static_cast<size_t>(sent));
  return absl::OkStatus();
}

}  // namespace holdfast::bench
