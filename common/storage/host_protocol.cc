#include "common/storage/host_protocol.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

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

// The descriptors of a HostEnd.
using HostEndFds = std::array<int, 2>;

// How long a wait goes on before it is looked whether it is to end. The parts are counted, so that
// a machine that was suspended gives nobody up for that.
constexpr absl::Duration kWaitPart = absl::Milliseconds(100);

constexpr absl::string_view kOtherEndIsGonePayload = "holdfast/other-end-is-gone";

absl::Status OtherEndIsGone() {
  absl::Status status = absl::UnavailableError("the process at the other end has ended");
  status.SetPayload(kOtherEndIsGonePayload, absl::Cord());
  return status;
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

absl::StatusOr<SharedMemory> SharedMemory::Create(UniqueFd& fd) {
  fd = UniqueFd(memfd_create("holdfast-piece", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  // Sealed, so that nobody can make it shorter: who reads beyond the end is killed.
  if (!fd.is_valid() || ftruncate(fd.get(), kPieceSizeMaxBytes) != 0 ||
      fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return StatusFromErrno(errno, "make memory to share with a process");
  }
  return Map(fd);
}

absl::StatusOr<SharedMemory> SharedMemory::Map(const UniqueFd& fd) {
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return StatusFromErrno(errno, "look at shared memory");
  if (info.st_size != kPieceSizeMaxBytes) {
    return absl::InternalError(absl::StrCat("shared memory of ", info.st_size, " bytes"));
  }
  void* const bytes =
      mmap(nullptr, kPieceSizeMaxBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (bytes == MAP_FAILED) return StatusFromErrno(errno, "map shared memory");
  return SharedMemory(absl::MakeSpan(static_cast<uint8_t*>(bytes), kPieceSizeMaxBytes));
}

SharedMemory::~SharedMemory() {
  if (!bytes_.empty()) munmap(bytes_.data(), bytes_.size());
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})) {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

Channel::Channel(UniqueFd socket, Patience patience, SharedMemory memory)
    : socket_(std::move(socket)), memory_(std::move(memory)), patience_(std::move(patience)) {
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

absl::Status Channel::SendPiece(absl::Span<const uint8_t> piece) {
  HOLDFAST_CHECK(piece.size() <= memory_.bytes().size());
  std::memcpy(memory_.bytes().data(), piece.data(), piece.size());
  return Send(Kind::kPiece, Writer().Number(piece.size()).fields());
}

absl::StatusOr<absl::Span<const uint8_t>> Channel::Piece(const Message& message) const {
  if (message.kind != Kind::kPiece) return UnexpectedMessage(message.kind);
  Reader reader(message.fields);
  const uint64_t size_bytes = reader.Number();
  HOLDFAST_RETURN_IF_ERROR(reader.status());
  if (size_bytes > memory_.bytes().size()) {
    return absl::InternalError(absl::StrCat("a piece of ", size_bytes, " bytes"));
  }
  return memory_.bytes().first(static_cast<size_t>(size_bytes));
}

absl::Status Channel::SendChannel(const HostEnd& end) {
  char byte = 0;
  iovec part = {.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(HostEndFds))> control = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(HostEndFds));
  const HostEndFds fds = {end.socket.get(), end.memory.get()};
  std::memcpy(CMSG_DATA(rights), fds.data(), sizeof(fds));
  absl::Duration waited;
  while (sendmsg(socket_.get(), &message, MSG_NOSIGNAL) < 0) {
    HOLDFAST_RETURN_IF_ERROR(GoOn(errno, "send a channel", waited));
  }
  return absl::OkStatus();
}

absl::StatusOr<Channel> Channel::ReceiveChannel() {
  char byte = 0;
  iovec part = {.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(HostEndFds))> control = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  do {
    got = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && errno != ECONNRESET) return StatusFromErrno(errno, "receive a channel");
  if (got <= 0) return Channel();
  const cmsghdr* const rights = CMSG_FIRSTHDR(&message);
  if (rights == nullptr || rights->cmsg_type != SCM_RIGHTS ||
      rights->cmsg_len != CMSG_LEN(sizeof(HostEndFds))) {
    return absl::InternalError("a message that holds no channel");
  }
  HostEndFds fds = {};
  std::memcpy(fds.data(), CMSG_DATA(rights), sizeof(fds));
  UniqueFd socket(fds[0]);
  const UniqueFd memory_fd(fds[1]);
  HOLDFAST_ASSIGN_OR_RETURN(SharedMemory memory, SharedMemory::Map(memory_fd));
  return Channel(std::move(socket), std::move(memory));
}

absl::StatusOr<std::pair<Channel, HostEnd>> MakeChannel(const Patience& patience) {
  HOLDFAST_ASSIGN_OR_RETURN(auto sockets, MakeSocketPair());
  HostEnd end;
  end.socket = std::move(sockets.second);
  HOLDFAST_ASSIGN_OR_RETURN(SharedMemory memory, SharedMemory::Create(end.memory));
  return std::make_pair(Channel(std::move(sockets.first), patience, std::move(memory)),
                        std::move(end));
}

absl::StatusOr<std::pair<UniqueFd, UniqueFd>> MakeSocketPair() {
  int fds[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
    return StatusFromErrno(errno, "make a socket");
  }
  return std::make_pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

bool IsOtherEndGone(const absl::Status& status) {
  return status.GetPayload(kOtherEndIsGonePayload).has_value();
}

absl::Status UnexpectedMessage(Kind kind) {
  return absl::InternalError(
      absl::StrCat("a message of kind ", static_cast<int>(kind), " was not expected"));
}

}  // namespace holdfast::host
