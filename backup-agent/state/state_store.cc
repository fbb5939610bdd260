#include "backup-agent/state/state_store.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/crypto/hash.h"
#include "common/io/durable_file.h"
#include "common/io/files.h"
#include "common/io/path.h"

namespace holdfast {

namespace {

// Part of the state folder's format; do not change.
constexpr absl::string_view kMagic = "HFSTATE1";
constexpr size_t kHeaderSizeBytes = 8 + sizeof(Hash256);
constexpr uint32_t kFormatVersion = 1;
constexpr absl::string_view kStateFileName = "state";

std::string HashOf(absl::string_view bytes) {
  return std::string(AsText(Blake2b256({AsBytes(bytes)})));
}

absl::Status Damaged(const std::string& path, absl::string_view why) {
  return absl::DataLossError(absl::StrCat(
      path, " is damaged (", why,
      "): it holds the settings and the history of a store's backups. Bring it back from a copy, "
      "or "
      "move it away to begin afresh with the settings of the configuration file; backups are not "
      "touched by that"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<StateStore>> StateStore::Open(const std::string& folder) {
  const std::string context = absl::StrCat("open the state folder ", folder);
  HOLDFAST_RETURN_IF_ERROR(MakeDirectories(folder), context);
  absl::StatusOr<std::unique_ptr<FileLock>> lock = FileLock::Acquire(JoinPath(folder, "lock"));
  if (absl::IsFailedPrecondition(lock.status())) {
    return Annotate(WithCode(lock.status(), absl::StatusCode::kUnavailable),
                    absl::StrCat(context, ": another agent uses it"));
  }
  if (!lock.ok()) return Annotate(lock.status(), context);
  return std::unique_ptr<StateStore>(new StateStore(folder, *std::move(lock)));
}

std::string StateStore::StoreFolder(absl::string_view store_name) const {
  return JoinPath(JoinPath(folder_, "stores"), store_name);
}

absl::StatusOr<std::optional<agent::v1::StoreState>> StateStore::Load(
    absl::string_view store_name) const {
  const std::string path = JoinPath(StoreFolder(store_name), kStateFileName);
  absl::StatusOr<std::string> bytes = ReadFile(path, kStateSizeMaxBytes);
  if (absl::IsNotFound(bytes.status())) return std::nullopt;
  if (!bytes.ok()) return Annotate(bytes.status(), "read the state of a store");

  const absl::string_view view = *bytes;
  if (view.size() < kHeaderSizeBytes) return Damaged(path, "it was cut");
  if (!absl::StartsWith(view, kMagic)) return Damaged(path, "it does not begin like a state file");
  const absl::string_view hash = view.substr(kMagic.size(), sizeof(Hash256));
  const absl::string_view content = view.substr(kHeaderSizeBytes);
  if (HashOf(content) != hash) return Damaged(path, "its checksum does not match");
  agent::v1::StoreState state;
  if (!state.ParseFromArray(content.data(), static_cast<int>(content.size()))) {
    return Damaged(path, "it can't be parsed");
  }
  if (state.format_version() > kFormatVersion) {
    return absl::UnimplementedError(
        absl::StrCat(path, " has format version ", state.format_version(), ", this program knows ",
                     kFormatVersion, ": a newer version of Holdfast is needed"));
  }
  return std::optional<agent::v1::StoreState>(std::move(state));
}

absl::Status StateStore::Save(absl::string_view store_name, agent::v1::StoreState state) const {
  state.set_format_version(kFormatVersion);
  std::string content;
  if (!state.SerializeToString(&content) ||
      content.size() + kHeaderSizeBytes > kStateSizeMaxBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the state of store ", store_name, " is too large to be saved"));
  }
  const std::string store_folder = StoreFolder(store_name);
  HOLDFAST_RETURN_IF_ERROR(MakeDirectories(store_folder), "save the state of a store");
  return Annotate(WriteFileDurably(JoinPath(store_folder, kStateFileName),
                                   absl::StrCat(kMagic, HashOf(content), content),
                                   {.existing = DurableFile::Existing::kReplace}),
                  "save the state of a store");
}

}  // namespace holdfast
