#include "common/storage/host_protocol.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace holdfast::host {

namespace {

constexpr size_t kHeaderSizeBytes = 5;
constexpr int64_t kNoTime = INT64_MIN;

// How long a wait goes on before it is looked whether it is to end. The parts are counted, so that
// a machine that was suspended gives nobody up for that.
constexpr absl::Duration kWaitPart = absl::Milliseconds(100);

absl::Status OtherEndIsGone() {
  return absl::UnavailableError("the process at the other end has ended");
}

}  // namespace

Writer& Writer::Number(uint64_t number) {
  char bytes[sizeof(number)];
  std::memcpy(bytes, &number, sizeof(number));
  fields_.append(bytes, sizeof(number));
  return *this;
}

Writer& Writer::Time(absl::Time time) {
  return Number(
      static_cast<uint64_t>(time == absl::InfinitePast() ? kNoTime : absl::ToUnixMicros(time)));
}

Writer& Writer::Text(absl::string_view text) {
  Number(text.size());
  fields_.append(text.data(), text.size());
  return *this;
}

Writer& Writer::Status(const absl::Status& status) {
  Number(static_cast<uint64_t>(status.code()));
  Text(status.message());
  status.ForEachPayload([this](absl::string_view type_url, const absl::Cord& payload) {
    Text(type_url);
    Text(std::string(payload));
  });
  return *this;
}

uint64_t Reader::Number() {
  uint64_t number = 0;
  if (rest_.size() < sizeof(number)) {
    is_broken_ = true;
    return 0;
  }
  std::memcpy(&number, rest_.data(), sizeof(number));
  rest_.remove_prefix(sizeof(number));
  return number;
}

absl::Time Reader::Time() {
  const auto micros = static_cast<int64_t>(Number());
  return micros == kNoTime ? absl::InfinitePast() : absl::FromUnixMicros(micros);
}

std::string Reader::Text() {
  const uint64_t size = Number();
  if (rest_.size() < size) {
    is_broken_ = true;
    return "";
  }
  std::string text(rest_.substr(0, size));
  rest_.remove_prefix(size);
  return text;
}

absl::Status Reader::Status() {
  const auto code = static_cast<absl::StatusCode>(Number());
  absl::Status status(code, Text());
  while (!is_broken_ && !AtEnd()) {
    const std::string type_url = Text();
    status.SetPayload(type_url, absl::Cord(Text()));
  }
  return is_broken_ ? this->status() : status;
}

absl::Status Reader::status() const {
  return is_broken_ ? absl::InternalError("a message of the other end is too short")
                    : absl::OkStatus();
}

Channel::Channel(UniqueFd socket, Patience patience)
    : socket_(std::move(socket)), patience_(std::move(patience)) {
  const timeval part = absl::ToTimeval(kWaitPart);
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    HOLDFAST_CHECK(setsockopt(socket_.get(), SOL_SOCKET, option, &part, sizeof(part)) == 0);
  }
}

absl::Status Channel::GoOn(int error, absl::string_view what, absl::Duration& waited) const {
  if (error == EINTR) return absl::OkStatus();
  if (error == EPIPE || error == ECONNRESET) return OtherEndIsGone();
  if (error != EAGAIN) return StatusFromErrno(error, what);
  HOLDFAST_RETURN_IF_ERROR(patience_.cancellation.status());
  waited += kWaitPart;
  if (waited < patience_.silence_max) return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrCat("does not answer: nothing came for ",
                                                  absl::FormatDuration(patience_.silence_max)));
}

absl::Status Channel::Send(Kind kind, absl::string_view fields) {
  std::array<char, kHeaderSizeBytes> header;
  const auto size = static_cast<uint32_t>(fields.size());
  std::memcpy(header.data(), &size, sizeof(size));
  header[sizeof(size)] = static_cast<char>(kind);
  std::array<iovec, 2> parts = {
      iovec{.iov_base = header.data(), .iov_len = header.size()},
      iovec{.iov_base = const_cast<char*>(fields.data()), .iov_len = fields.size()}};
  msghdr message = {};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  absl::Duration waited;
  while (message.msg_iovlen > 0) {
    const ssize_t sent = sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (sent < 0) {
      HOLDFAST_RETURN_IF_ERROR(GoOn(errno, "send a message", waited));
      continue;
    }
    waited = absl::ZeroDuration();
    auto rest = static_cast<size_t>(sent);
    while (message.msg_iovlen > 0 && rest >= message.msg_iov->iov_len) {
      rest -= message.msg_iov->iov_len;
      ++message.msg_iov;
      --message.msg_iovlen;
    }
    if (message.msg_iovlen > 0) {
      message.msg_iov->iov_base = static_cast<char*>(message.msg_iov->iov_base) + rest;
      message.msg_iov->iov_len -= rest;
    }
  }
  return absl::OkStatus();
}

absl::Status Channel::SendStatus(const absl::Status& status) {
  return Send(Kind::kStatus, Writer().Status(status));
}

absl::Status Channel::ReceiveBytes(absl::Span<char> buffer) {
  absl::Duration waited;
  while (!buffer.empty()) {
    const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0) {
      HOLDFAST_RETURN_IF_ERROR(GoOn(errno, "receive a message", waited));
      continue;
    }
    if (got == 0) return OtherEndIsGone();
    waited = absl::ZeroDuration();
    buffer.remove_prefix(static_cast<size_t>(got));
  }
  return absl::OkStatus();
}

absl::Status Channel::Receive(Message& message) {
  std::array<char, kHeaderSizeBytes> header;
  HOLDFAST_RETURN_IF_ERROR(ReceiveBytes(absl::MakeSpan(header)));
  uint32_t size = 0;
  std::memcpy(&size, header.data(), sizeof(size));
  if (size > kMessageSizeMaxBytes) {
    return absl::InternalError(absl::StrCat("a message of ", size, " bytes"));
  }
  message.kind = static_cast<Kind>(header[sizeof(size)]);
  message.fields.resize(size);
  return ReceiveBytes(absl::MakeSpan(message.fields.data(), size));
}

absl::StatusOr<Message> Channel::Receive() {
  Message message;
  HOLDFAST_RETURN_IF_ERROR(Receive(message));
  return message;
}

absl::Status Channel::SendSocket(const UniqueFd& socket) {
  char byte = 0;
  iovec part = {.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = socket.get();
  std::memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
  absl::Duration waited;
  while (sendmsg(socket_.get(), &message, MSG_NOSIGNAL) < 0) {
    HOLDFAST_RETURN_IF_ERROR(GoOn(errno, "send a socket", waited));
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> Channel::ReceiveSocket() {
  char byte = 0;
  iovec part = {.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  do {
    got = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && errno != ECONNRESET) return StatusFromErrno(errno, "receive a socket");
  if (got <= 0) return UniqueFd();
  const cmsghdr* const rights = CMSG_FIRSTHDR(&message);
  if (rights == nullptr || rights->cmsg_type != SCM_RIGHTS ||
      rights->cmsg_len != CMSG_LEN(sizeof(int))) {
    return absl::InternalError("a message that holds no socket");
  }
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
  return UniqueFd(fd);
}

absl::StatusOr<std::pair<UniqueFd, UniqueFd>> MakeSocketPair() {
  int fds[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
    return StatusFromErrno(errno, "make a socket");
  }
  return std::make_pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

absl::Status UnexpectedMessage(Kind kind) {
  return absl::InternalError(
      absl::StrCat("a message of kind ", static_cast<int>(kind), " was not expected"));
}

}  // namespace holdfast::host
