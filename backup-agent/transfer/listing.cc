#include "backup-agent/transfer/listing.h"

#include <algorithm>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "backup-agent/transfer/transfer_limits.h"
#include "common/base/hex.h"
#include "common/base/id128.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/crypto/master_key.h"

namespace holdfast {
namespace {

using repository::v1::FileEntry;

constexpr size_t kCheckpointIdSizeMax = 256;
constexpr int kEarlierIncarnationsMax = 1000;
constexpr size_t kDigestDigits = 64;
constexpr size_t kChecksumSizeBytes = 16;
constexpr uint32_t kModeMax = 0777;
constexpr int64_t kSecondsMax = 253'402'300'799;  // the end of the year 9999
constexpr int32_t kNanosMax = 999'999'999;
// RocksDB writes the name of its MANIFEST and a newline.
constexpr uint64_t kCurrentSizeMaxBytes = 64;

// What the operator can do where the store is not what it was.
constexpr absl::string_view kWayOut =
    "If this is not what you want, restore the store from a backup: a restore begins a new "
    "incarnation, and backups go on by themselves. If it is, accept the store as it is now: "
    "`holdfast backup accept`. Backups that were taken stay as they are";

absl::Status Breach(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("the store's answer breaks a rule: ", what));
}

absl::Status CheckTime(const google::protobuf::Timestamp& time, absl::string_view name) {
  if (time.seconds() < 0 || time.seconds() > kSecondsMax || time.nanos() < 0 ||
      time.nanos() > kNanosMax) {
    return Breach(absl::StrCat(name, " is no time between 1970 and 9999"));
  }
  return absl::OkStatus();
}

// Names of files are shown with all odd characters escaped.
std::string Shown(absl::string_view name) {
  return absl::StrCat("file \"", absl::CHexEscape(name.substr(0, 200)), "\"");
}

bool HasOwnObject(FileEntry::Kind kind) {
  return kind == FileEntry::KIND_TABLE || kind == FileEntry::KIND_BLOB ||
         kind == FileEntry::KIND_LOG;
}

absl::Status CheckFile(const v1::CheckpointFile& file) {
  absl::StatusOr<FileEntry::Kind> kind = KindOfFileName(file.name());
  if (!kind.ok()) return Breach(kind.status().message());
  if (static_cast<int>(file.kind()) != static_cast<int>(*kind)) {
    return Breach("its kind is not that of its name");
  }
  if (file.size_bytes() > kCheckpointSizeMaxBytes) return Breach("it is impossibly large");
  if (file.xxh3_128().size() != kChecksumSizeBytes) return Breach("its checksum is not 16 bytes");
  if (file.mode() > (*kind == FileEntry::KIND_INSTANCE ? kModeMax : 0)) {
    return Breach("it has permission bits that its kind can't have");
  }
  if (HasOwnObject(*kind)) {
    uint64_t number = 0;
    if (!absl::SimpleAtoi(absl::string_view(file.name()).substr(0, file.name().find('.')),
                          &number) ||
        number != file.file_number()) {
      return Breach("its file number is not that of its name");
    }
  }
  if (*kind == FileEntry::KIND_CURRENT &&
      (file.size_bytes() == 0 || file.size_bytes() > kCurrentSizeMaxBytes)) {
    return Breach("it can't have that size");
  }
  return absl::OkStatus();
}

// What a store and its state are known by.
absl::Status CheckIdentity(const std::string& store_id, const std::string& incarnation,
                           const std::string& state_digest) {
  if (!Id128::FromText(store_id).ok()) return Breach("the store has no usable id");
  if (!Id128::FromText(incarnation).ok()) return Breach("the store has no usable incarnation");
  if (state_digest.size() != kDigestDigits || !IsLowerHex(state_digest)) {
    return Breach("the state digest is not 64 hexadecimal digits");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckCheckpoint(const v1::Checkpoint& checkpoint,
                             const agent::v1::StoreMemory& memory) {
  if (checkpoint.checkpoint_id().empty() ||
      checkpoint.checkpoint_id().size() > kCheckpointIdSizeMax) {
    return Breach("the checkpoint has no usable id");
  }
  HOLDFAST_RETURN_IF_ERROR(
      CheckIdentity(checkpoint.store_id(), checkpoint.incarnation(), checkpoint.state_digest()));
  if (checkpoint.earlier_incarnations_size() > kEarlierIncarnationsMax) {
    return Breach("there are more than 1,000 earlier incarnations");
  }
  for (const std::string& incarnation : checkpoint.earlier_incarnations()) {
    if (!Id128::FromText(incarnation).ok() || incarnation == checkpoint.incarnation()) {
      return Breach("an earlier incarnation is not usable");
    }
  }
  HOLDFAST_RETURN_IF_ERROR(CheckTime(checkpoint.commit_time(), "commit_time"));
  HOLDFAST_RETURN_IF_ERROR(CheckTime(checkpoint.create_time(), "create_time"));
  if (checkpoint.file_count() > kCheckpointFilesMax) {
    return Breach(absl::StrCat("the checkpoint has ", checkpoint.file_count(), " files; more than ",
                               kCheckpointFilesMax, " can't be backed up"));
  }
  if (checkpoint.lease_duration().seconds() < 0 || checkpoint.lease_duration().nanos() < 0 ||
      (checkpoint.lease_duration().seconds() == 0 && checkpoint.lease_duration().nanos() == 0)) {
    return Breach("the checkpoint has no lease");
  }
  return CheckAgainstMemory(checkpoint, memory);
}

absl::Status CheckAgainstMemory(const v1::Checkpoint& checkpoint,
                                const agent::v1::StoreMemory& memory) {
  if (!memory.store_id().empty() && memory.store_id() != checkpoint.store_id()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "another store answers: ", checkpoint.store_id(), " in place of ", memory.store_id(),
        ". Nothing was backed up. Check the socket in the agent's configuration; give another "
        "store another name there; or, if it is meant to take this one's place, say so with "
        "`holdfast backup accept`"));
  }
  if (memory.incarnation() != checkpoint.incarnation()) return absl::OkStatus();
  if (checkpoint.revision() < memory.revision()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the store went back from revision ", memory.revision(), " to ", checkpoint.revision(),
        " without a restore: its data directory was set back (a snapshot of its machine?). Nothing "
        "was backed up. ",
        kWayOut));
  }
  if (checkpoint.revision() == memory.revision() && !memory.state_digest().empty() &&
      checkpoint.state_digest() != memory.state_digest()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the store holds other documents at revision ", checkpoint.revision(),
        " than it did before: its data directory was set back or copied. Nothing was backed up. ",
        kWayOut));
  }
  if (memory.document_count() >= kDocumentLossMin &&
      checkpoint.document_count() <= memory.document_count() / 2) {
    return absl::FailedPreconditionError(absl::StrCat(
        "at least half of the documents are gone: ", checkpoint.document_count(), " are left of ",
        memory.document_count(), ". Nothing was backed up. ", kWayOut));
  }
  return absl::OkStatus();
}

absl::Status CheckAgainstMemory(const v1::StoreStatus& status,
                                const agent::v1::StoreMemory& memory) {
  v1::Checkpoint now;
  now.set_store_id(status.store_id());
  now.set_incarnation(status.incarnation());
  now.set_revision(status.revision());
  now.set_state_digest(status.state_digest());
  now.set_document_count(status.document_count());
  return CheckAgainstMemory(now, memory);
}

absl::Status AcceptStore(const v1::StoreStatus& status, agent::v1::StoreMemory& memory) {
  HOLDFAST_RETURN_IF_ERROR(
      CheckIdentity(status.store_id(), status.incarnation(), status.state_digest()));
  if (status.store_id() != memory.store_id()) {
    agent::v1::StoreMemory fresh;
    fresh.set_checkpoint_holder(memory.checkpoint_holder());
    for (const auto& [name, destination] : memory.destinations()) {
      agent::v1::DestinationMemory& kept = (*fresh.mutable_destinations())[name];
      kept.set_repository_id(destination.repository_id());
      kept.set_has_unnamed_objects(true);
    }
    memory = std::move(fresh);
  }
  memory.set_store_id(status.store_id());
  memory.set_incarnation(status.incarnation());
  memory.set_revision(status.revision());
  memory.set_state_digest(status.state_digest());
  memory.set_document_count(status.document_count());
  memory.set_accepted_after_ordinal(memory.last_ordinal());
  return absl::OkStatus();
}

absl::Status CheckFiles(const v1::Checkpoint& checkpoint, std::vector<v1::CheckpointFile>& files) {
  if (files.size() != checkpoint.file_count() || files.size() > kCheckpointFilesMax) {
    return Breach(absl::StrCat("it lists ", files.size(), " files of ", checkpoint.file_count()));
  }
  std::sort(
      files.begin(), files.end(),
      [](const v1::CheckpointFile& a, const v1::CheckpointFile& b) { return a.name() < b.name(); });
  uint64_t size_bytes = 0;
  int current_count = 0;
  int manifest_count = 0;
  for (size_t i = 0; i < files.size(); ++i) {
    const v1::CheckpointFile& file = files[i];
    HOLDFAST_RETURN_IF_ERROR(CheckFile(file), Shown(file.name()));
    if (i > 0 && files[i - 1].name() == file.name()) {
      return Annotate(Breach("it is listed twice"), Shown(file.name()));
    }
    current_count += file.kind() == v1::CheckpointFile::KIND_CURRENT;
    manifest_count += file.kind() == v1::CheckpointFile::KIND_MANIFEST;
    size_bytes += file.size_bytes();  // can't overflow: 100,000 times 2^50
    if (size_bytes > kCheckpointSizeMaxBytes) return Breach("the files are impossibly large");
  }
  if (current_count != 1) return Breach("there is not one file CURRENT");
  if (manifest_count != 1) return Breach("there is not one MANIFEST");
  if (size_bytes != checkpoint.size_bytes()) {
    return Breach(absl::StrCat("the files have ", size_bytes, " bytes together, and not the ",
                               checkpoint.size_bytes(), " of the checkpoint"));
  }
  // "instance/a" and "instance/a/b" can't both be: no restore could make them. Whatever sorts
  // between the two begins with the first as well.
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string folder = files[i].name() + "/";
    const auto inside = std::lower_bound(
        files.begin(), files.end(), folder,
        [](const v1::CheckpointFile& file, const std::string& name) { return file.name() < name; });
    if (inside != files.end() && absl::StartsWith(inside->name(), folder)) {
      return Annotate(Breach("it is the folder of another file"), Shown(files[i].name()));
    }
  }
  return absl::OkStatus();
}

bool HoldsMasterKey(absl::string_view content) { return MasterKey::IsIn(content); }

int64_t ToUnixMicros(const google::protobuf::Timestamp& timestamp) {
  return timestamp.seconds() * 1'000'000 + timestamp.nanos() / 1'000;
}

std::string DigestBytes(const v1::Checkpoint& checkpoint) {
  return absl::HexStringToBytes(checkpoint.state_digest());
}

}  // namespace holdfast
