#include "common/crypto/key_source.h"

#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "common/base/exit_code.h"
#include "common/base/status_macros.h"
#include "common/crypto/key_copy.h"
#include "common/io/durable_file.h"
#include "common/io/fd.h"

namespace holdfast {

namespace {

constexpr absl::string_view kStandardInput = "-";
constexpr absl::string_view kFilePrefix = "file:";
constexpr absl::string_view kCredentialPrefix = "credential:";

// A text form has 73 bytes; this leaves room for blanks and notes nobody should need.
constexpr size_t kSourceSizeMaxBytes = 4096;

constexpr mode_t kOthersBits = 077;
// systemd lets a service's user read its credentials, which are root's, by an ACL. The mode then
// shows the ACL's mask in place of the group's bits: 0440. The folder is the service's own.
constexpr mode_t kCredentialGroupBits = 040;

absl::Status TooLongError() {
  return absl::InvalidArgumentError(
      absl::StrCat("not a master key: more than ", kSourceSizeMaxBytes, " bytes"));
}

// Makes a key of what was read.
using Parser = absl::FunctionRef<absl::StatusOr<MasterKey>(absl::string_view text)>;

// Reads to the end, into locked memory only.
absl::StatusOr<MasterKey> ReadKeyFrom(int fd, Parser parse) {
  SecretBytes buffer(kSourceSizeMaxBytes + 1);
  HOLDFAST_ASSIGN_OR_RETURN(const size_t size, ReadFull(fd, buffer.mutable_bytes()));
  if (size > kSourceSizeMaxBytes) return TooLongError();
  return parse(buffer.text().substr(0, size));
}

// While it lives, a terminal shows nothing of what is typed, gives every character at once, and
// makes no signals, so that nothing ends the process with the terminal left silent.
class SilentTerminal {
 public:
  static absl::StatusOr<std::unique_ptr<SilentTerminal>> Enter(int fd) {
    termios before;
    if (tcgetattr(fd, &before) != 0) return StatusFromErrno(errno, "ask the terminal for its mode");
    termios silent = before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL | ICANON | ISIG);
    silent.c_cc[VMIN] = 1;
    silent.c_cc[VTIME] = 0;
    // What was typed before was shown already; it is thrown away.
    if (tcsetattr(fd, TCSAFLUSH, &silent) != 0) {
      return StatusFromErrno(errno, "keep the terminal from showing the key");
    }
    return std::unique_ptr<SilentTerminal>(new SilentTerminal(fd, before));
  }
  ~SilentTerminal() { tcsetattr(fd_, TCSAFLUSH, &before_); }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;

 private:
  SilentTerminal(int fd, const termios& before) : fd_(fd), before_(before) {}

  const int fd_;
  const termios before_;
};

// Reads the line that is typed.
absl::StatusOr<MasterKey> ReadKeyFromTerminal(int fd, Parser parse) {
  constexpr uint8_t kInterrupt = 'C' & 0x1F;
  constexpr uint8_t kEndOfInput = 'D' & 0x1F;
  constexpr uint8_t kEraseLine = 'U' & 0x1F;
  constexpr uint8_t kBackspace = '\b';
  constexpr uint8_t kDelete = 0x7F;

  HOLDFAST_ASSIGN_OR_RETURN(const auto silent, SilentTerminal::Enter(fd));
  SecretBytes line(kSourceSizeMaxBytes);
  size_t size = 0;
  for (;;) {
    uint8_t& typed = line.mutable_bytes()[size];
    HOLDFAST_ASSIGN_OR_RETURN(const size_t count, ReadFull(fd, absl::MakeSpan(&typed, 1)));
    if (count == 0) break;  // the terminal is gone
    switch (typed) {
      case '\n':
      case '\r':
      case kEndOfInput:
        return parse(line.text().substr(0, size));
      case kInterrupt:
        return absl::CancelledError("interrupted while the master key was typed");
      case kEraseLine:
        size = 0;
        break;
      case kBackspace:
      case kDelete:
        if (size > 0) --size;
        break;
      default:
        if (++size == line.size()) return TooLongError();
    }
  }
  return parse(line.text().substr(0, size));
}

// As a word of a shell command.
std::string ShellQuoted(absl::string_view word) {
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

// Asks the open file, not the name: what was checked is what is read.
absl::Status CheckNobodyElseReads(int fd, const std::string& path, mode_t allowed_bits) {
  struct stat info;
  if (fstat(fd, &info) != 0) return StatusFromErrno(errno, "look at the file");
  const mode_t mode = info.st_mode & 07777;
  if ((mode & kOthersBits & ~allowed_bits) != 0) {
    return MarkDeniedBySystem(absl::PermissionDeniedError(absl::StrFormat(
        "others than its owner may use it (mode %04o): chmod 0600 %s", mode, ShellQuoted(path))));
  }
  if (info.st_uid != geteuid() && info.st_uid != 0) {
    return MarkDeniedBySystem(absl::PermissionDeniedError(absl::StrFormat(
        "it belongs to user %d, not to this user or root: chown %d %s, then chmod 0600 %s",
        info.st_uid, geteuid(), ShellQuoted(path), ShellQuoted(path))));
  }
  return absl::OkStatus();
}

// A symbolic link is followed (secrets are mounted into containers as links): who may read it is
// asked of the file it leads to.
absl::StatusOr<MasterKey> ReadKeyFile(const std::string& path, mode_t allowed_bits, Parser parse) {
  HOLDFAST_ASSIGN_OR_RETURN(const UniqueFd file, OpenForReading(path, Links::kFollow));
  HOLDFAST_RETURN_IF_ERROR(CheckNobodyElseReads(file.get(), path, allowed_bits));
  return ReadKeyFrom(file.get(), parse);
}

absl::StatusOr<MasterKey> ReadCredential(absl::string_view name, Parser parse) {
  if (name.empty() || name == "." || name == ".." || absl::StrContains(name, '/')) {
    return absl::InvalidArgumentError("that is no name of a credential");
  }
  const char* const directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (directory == nullptr || directory[0] != '/') {
    return absl::NotFoundError(
        "systemd passed no credentials to this process: its unit needs LoadCredential= or "
        "LoadCredentialEncrypted=");
  }
  return ReadKeyFile(absl::StrCat(directory, "/", name), kCredentialGroupBits, parse);
}

// Whether somebody wrote the key itself where its source belongs.
bool LooksLikeMasterKey(absl::string_view source) {
  constexpr size_t kTypedSizeMin = 32;
  source = absl::StripAsciiWhitespace(source);
  return source.size() >= kTypedSizeMin && absl::StartsWithIgnoreCase(source, "HF") &&
         std::all_of(source.begin(), source.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || absl::ascii_isspace(c) || c == '-';
         });
}

absl::StatusOr<MasterKey> ReadFromSource(absl::string_view source, Parser parse) {
  if (source == kStandardInput) {
    absl::StatusOr<MasterKey> key = isatty(STDIN_FILENO) == 1
                                        ? ReadKeyFromTerminal(STDIN_FILENO, parse)
                                        : ReadKeyFrom(STDIN_FILENO, parse);
    if (!key.ok()) return Annotate(key.status(), "read the master key from standard input");
    return key;
  }
  if (absl::string_view name = source; absl::ConsumePrefix(&name, kCredentialPrefix)) {
    absl::StatusOr<MasterKey> key = ReadCredential(name, parse);
    if (!key.ok()) {
      return Annotate(key.status(), absl::StrCat("read the master key from credential ", name));
    }
    return key;
  }
  // A configuration may have made a path of it.
  if (LooksLikeMasterKey(source) || LooksLikeMasterKey(source.substr(source.rfind('/') + 1))) {
    return absl::InvalidArgumentError(
        "a master key was given where its source belongs (/path/to/file, - or credential:NAME): "
        "others may have seen it now; if this was a command, remove it from the shell's history");
  }
  const std::string path(absl::StripPrefix(source, kFilePrefix));
  if (path.empty()) {
    return absl::InvalidArgumentError(
        "no source of the master key: it is /path/to/file, - or credential:NAME");
  }
  absl::StatusOr<MasterKey> key = ReadKeyFile(path, /*allowed_bits=*/0, parse);
  if (!key.ok()) {
    return Annotate(key.status(), absl::StrCat("read the master key from ", path));
  }
  return key;
}

}  // namespace

absl::StatusOr<MasterKey> ReadMasterKey(absl::string_view source) {
  return ReadFromSource(source, MasterKey::FromText);
}

absl::StatusOr<MasterKey> ReadMasterKeyCopy(absl::string_view source, const MasterKey& original) {
  return ReadFromSource(
      source, [&original](absl::string_view text) { return ReadKeyCopy(text, original); });
}

absl::Status WriteMasterKeyFile(const std::string& path, const MasterKey& key) {
  const std::string context = absl::StrCat("write the master key to ", path);
  const SecretBytes text = key.ToText();
  HOLDFAST_ASSIGN_OR_RETURN(
      const auto file,
      DurableFile::Create(path, {.mode = 0600, .existing = DurableFile::Existing::kKeep}), context);
  HOLDFAST_RETURN_IF_ERROR(file->Append(text.bytes()), context);
  HOLDFAST_RETURN_IF_ERROR(file->Append("\n"), context);
  HOLDFAST_RETURN_IF_ERROR(file->Commit(), context);
  return absl::OkStatus();
}

}  // namespace holdfast
