#include "common/storage/rclone_status.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/exit_code.h"
#include "simdjson.h"

namespace holdfast {

namespace {

constexpr absl::string_view kConflictPayload = "holdfast/file-or-folder-conflict";
constexpr size_t kMessageSizeMaxBytes = 500;

enum class Kind { kNoSpace, kSetUp, kConflict, kDenied, kName };

// Words, in lower case, and what they mean; the first that are in a message count.
struct Words {
  absl::string_view words;
  Kind kind;
};
constexpr Words kWords[] = {
    {"no space left on device", Kind::kNoSpace},
    {"disk quota exceeded", Kind::kNoSpace},
    {"disk was full", Kind::kNoSpace},         // SMB: STATUS_DISK_FULL
    {"quota exceeded", Kind::kNoSpace},        // SMB: STATUS_QUOTA_EXCEEDED, and others
    {"quotaexceeded", Kind::kNoSpace},         // S3, Google
    {"storagefull", Kind::kNoSpace},           // MinIO
    {"insufficient storage", Kind::kNoSpace},  // WebDAV: 507

    {"didn't find section in config file", Kind::kSetUp},
    {"didn't find backend called", Kind::kSetUp},
    {"couldn't find method", Kind::kSetUp},  // an rclone that is too old
    {"decrypt configuration", Kind::kSetUp},
    {"config_pass", Kind::kSetUp},
    {"unable to authenticate", Kind::kSetUp},  // SSH
    {"knownhosts: ", Kind::kSetUp},
    {"private key file", Kind::kSetUp},
    {"decrypt password", Kind::kSetUp},            // in its configuration
    {"logon is invalid", Kind::kSetUp},            // SMB: STATUS_LOGON_FAILURE
    {"share name cannot be found", Kind::kSetUp},  // SMB: STATUS_BAD_NETWORK_NAME
    {"bad network name", Kind::kSetUp},
    {"401 unauthorized", Kind::kSetUp},
    {"invalidaccesskeyid", Kind::kSetUp},
    {"signaturedoesnotmatch", Kind::kSetUp},
    {"nosuchbucket", Kind::kSetUp},
    {"x509: ", Kind::kSetUp},

    {"is a directory not a file", Kind::kConflict},
    {"is a file not a directory", Kind::kConflict},
    {"not a directory", Kind::kConflict},
    {"is a directory", Kind::kConflict},

    {"permission denied", Kind::kDenied},
    {"access denied", Kind::kDenied},
    {"accessdenied", Kind::kDenied},
    {"operation not permitted", Kind::kDenied},
    {"read-only file system", Kind::kDenied},
    {"write-protected", Kind::kDenied},  // SMB: STATUS_MEDIA_WRITE_PROTECTED
    {"403 forbidden", Kind::kDenied},

    {"file name too long", Kind::kName},
};

// The member "error" of the JSON that rclone answers with; what else there is where there is none.
std::string ErrorText(absl::string_view body) {
  simdjson::dom::parser parser;
  const simdjson::padded_string padded(body.data(), body.size());
  simdjson::dom::object object;
  std::string_view error;
  if (parser.parse(padded).get(object) == simdjson::SUCCESS &&
      object["error"].get(error) == simdjson::SUCCESS) {
    return std::string(error);
  }
  return std::string(body);
}

std::string OnOneLine(absl::string_view text) {
  std::string line;
  for (const char c : text.substr(0, kMessageSizeMaxBytes)) {
    if (!absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      line.push_back(c);
    } else if (!line.empty() && line.back() != ' ') {
      line.push_back(' ');
    }
  }
  absl::StripTrailingAsciiWhitespace(&line);
  return line;
}

// What it comes to and what to do about it, and then what rclone said.
std::string InPlainWords(absl::string_view plain, absl::string_view message) {
  return absl::StrCat(plain, ". rclone says: ", message);
}

absl::Status StatusOfKind(Kind kind, absl::string_view message) {
  switch (kind) {
    case Kind::kNoSpace:
      return absl::ResourceExhaustedError(
          InPlainWords("no space or quota is left there: make room", message));
    case Kind::kSetUp:
      return absl::FailedPreconditionError(
          InPlainWords("rclone does not get in with its configuration: try `rclone lsd REMOTE:`, "
                       "as the user that Holdfast runs as",
                       message));
    case Kind::kConflict: {
      absl::Status status = absl::FailedPreconditionError(
          InPlainWords("a file is where a folder is wanted, or the other way round", message));
      status.SetPayload(kConflictPayload, absl::Cord("1"));
      return status;
    }
    case Kind::kDenied:
      return MarkDeniedBySystem(absl::PermissionDeniedError(InPlainWords(
          "the server does not allow it: let the remote's user read and write there", message)));
    case Kind::kName:
      return absl::InvalidArgumentError(
          InPlainWords("the server does not take a name that Holdfast uses", message));
  }
  return absl::UnavailableError(message);
}

}  // namespace

absl::Status StatusFromRclone(int http_status, absl::string_view body) {
  const bool is_json = absl::StartsWith(absl::StripLeadingAsciiWhitespace(body), "{");
  if (http_status == 404 && !is_json) {
    return absl::UnavailableError("rclone found it, but could not open it to read");
  }
  std::string message = OnOneLine(ErrorText(body));
  if (message.empty()) message = absl::StrCat("rclone answered with status ", http_status);
  if (http_status == 404) return absl::NotFoundError(message);
  const std::string lower = absl::AsciiStrToLower(message);
  for (const Words& words : kWords) {
    if (absl::StrContains(lower, words.words)) return StatusOfKind(words.kind, message);
  }
  return absl::UnavailableError(InPlainWords(
      "the server can't be reached, or does not do it now: try `rclone lsd REMOTE:`", message));
}

bool IsFileOrFolderConflict(const absl::Status& status) {
  return status.GetPayload(kConflictPayload).has_value();
}

}  // namespace holdfast
