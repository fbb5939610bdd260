#include "backup-agent/cli/console.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/io/fd.h"

namespace holdfast {

namespace {

constexpr size_t kOutputBufferSizeBytes = size_t{64} << 10;
constexpr absl::string_view kClearLine = "\r\x1b[K";
constexpr size_t kTerminalColumnsDefault = 80;

size_t TerminalColumns(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kTerminalColumnsDefault;
  return size.ws_col;
}

}  // namespace

Console::Console(const Streams& streams, bool is_quiet)
    : streams_(streams),
      is_quiet_(is_quiet),
      input_is_terminal_(isatty(streams.input_fd) == 1),
      output_is_terminal_(isatty(streams.output_fd) == 1),
      error_is_terminal_(isatty(streams.error_fd) == 1) {}

absl::Status Console::Write(absl::string_view text) {
  MutexLock lock(&mutex_);
  if (!output_status_.ok()) return output_status_;
  buffer_.append(text.data(), text.size());
  return buffer_.size() < kOutputBufferSizeBytes ? absl::OkStatus() : FlushLocked();
}

absl::Status Console::WriteLine(absl::string_view line) { return Write(absl::StrCat(line, "\n")); }

absl::Status Console::Flush() {
  MutexLock lock(&mutex_);
  return FlushLocked();
}

absl::Status Console::FlushLocked() {
  if (!output_status_.ok() || buffer_.empty()) return output_status_;
  output_status_ =
      Annotate(WriteFull(streams_.output_fd, absl::string_view(buffer_)), "standard output");
  buffer_.clear();
  return output_status_;
}

bool Console::output_was_closed() const {
  MutexLock lock(&mutex_);
  if (output_status_.ok()) return false;
  // A pipe or socket whose other end is closed says so.
  pollfd output = {streams_.output_fd, POLLOUT, 0};
  return poll(&output, 1, 0) == 1 && (output.revents & (POLLERR | POLLHUP)) != 0;
}

absl::Status Console::WriteSecret(absl::string_view text) {
  MutexLock lock(&mutex_);
  HOLDFAST_RETURN_IF_ERROR(FlushLocked());
  output_status_ = Annotate(WriteFull(streams_.output_fd, text), "standard output");
  return output_status_;
}

void Console::Note(absl::string_view line) {
  if (!is_quiet_) Complain(line);
}

void Console::Complain(absl::string_view line) {
  MutexLock lock(&mutex_);
  (void)FlushLocked();  // so that the streams keep their order on a terminal
  if (has_status_line_) WriteErrorLocked(kClearLine);
  has_status_line_ = false;
  WriteErrorLocked(absl::StrCat(line, "\n"));
}

void Console::ShowStatusLine(absl::string_view line) {
  if (is_quiet_) return;
  MutexLock lock(&mutex_);
  if (line.empty() && !has_status_line_) return;
  // A line that wraps could not be removed again.
  line = line.substr(0, TerminalColumns(streams_.error_fd) - 1);
  WriteErrorLocked(absl::StrCat(kClearLine, line));
  has_status_line_ = !line.empty();
}

void Console::WriteErrorLocked(absl::string_view text) {
  // Nobody is left to tell where this fails.
  (void)WriteFull(streams_.error_fd, text);
}

absl::StatusOr<std::string> Console::ReadSome(size_t size_max, const Cancellation& cancellation) {
  return ReadSomeFrom(streams_.input_fd, size_max, cancellation);
}

absl::StatusOr<std::string> ReadSomeFrom(int fd, size_t size_max,
                                         const Cancellation& cancellation) {
  const UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.is_valid()) return StatusFromErrno(errno, "eventfd");
  const CancellationCallback on_cancel(cancellation,
                                       [&wake] { (void)!eventfd_write(wake.get(), 1); });
  for (;;) {
    pollfd events[] = {{fd, POLLIN, 0}, {wake.get(), POLLIN, 0}};
    if (poll(events, std::size(events), -1) < 0 && errno != EINTR) {
      return StatusFromErrno(errno, "wait for input");
    }
    HOLDFAST_RETURN_IF_ERROR(cancellation.status());
    if (events[0].revents == 0) continue;
    std::string piece(size_max, '\0');
    const ssize_t size = read(fd, piece.data(), piece.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size < 0) return StatusFromErrno(errno, "read input");
    piece.resize(static_cast<size_t>(size));
    return piece;
  }
}

}  // namespace holdfast
