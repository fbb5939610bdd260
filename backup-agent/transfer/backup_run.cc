#include "backup-agent/transfer/backup_run.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backup-agent/transfer/listing.h"
#include "backup-agent/transfer/transfer_limits.h"
#include "common/base/id128.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/base/thread.h"
#include "common/base/version.h"
#include "common/messages/proto_time.h"
#include "common/repository/object_writer.h"

namespace holdfast {
namespace {

using repository::v1::FileEntry;
using repository::v1::ObjectEntry;

// The content is sealed in pieces of this size, so that what comes out is little more than a chunk.
constexpr size_t kSealedPieceSizeBytes = size_t{128} << 10;

// Once a destination's warnings are this long no more are added.
constexpr size_t kWarningSizeMaxBytes = 4096;

bool HasOwnObject(v1::CheckpointFile::Kind kind) {
  return kind == v1::CheckpointFile::KIND_TABLE || kind == v1::CheckpointFile::KIND_BLOB ||
         kind == v1::CheckpointFile::KIND_LOG;
}

uint64_t SizeOf(const std::vector<const v1::CheckpointFile*>& files) {
  uint64_t size_bytes = 0;
  for (const v1::CheckpointFile* file : files) size_bytes += file->size_bytes();
  return size_bytes;
}

// REQUIRES: checked before.
std::string IdBytes(const std::string& text) { return Id128::FromText(text)->ToByteString(); }

std::string HashBytes(const Hash256& hash) { return std::string(hash.begin(), hash.end()); }

}  // namespace

BackupRun::BackupRun(const BackupRunner::Dependencies& dependencies,
                     std::shared_ptr<const MasterKey> master_key, const BackupRunInput& input,
                     RunObserver& observer, const Cancellation& cancellation)
    : dependencies_(dependencies),
      master_key_(std::move(master_key)),
      input_(input),
      observer_(observer),
      caller_(cancellation),
      clock_(*dependencies.clock),
      start_time_(clock_.MonotonicNow()),
      run_(cancellation),
      memory_(input.memory) {}

BackupRun::~BackupRun() = default;

BackupRunOutcome BackupRun::Run() { return End(Steps()); }

absl::Status BackupRun::Steps() {
  const v1::Settings& settings = input_.settings;
  required_ = settings.required_destinations() == 0
                  ? settings.destinations_size()
                  : static_cast<int>(settings.required_destinations());
  for (const v1::Destination& config : settings.destinations()) {
    destinations_.push_back(std::make_unique<Destination>(
        config, static_cast<int>(destinations_.size()), run_.token(), clock_,
        [this](Destination& destination) { OnLeft(destination); }));
    has_committed_.push_back(std::make_shared<std::atomic<bool>>(false));
  }
  held_.resize(destinations_.size());
  {
    MutexLock lock(&mutex_);
    has_written_.resize(destinations_.size(), false);
    at_risk_.resize(destinations_.size());
  }
  observer_.Update([&](v1::Run& run) {
    run.clear_destinations();
    for (const v1::Destination& config : settings.destinations()) {
      v1::DestinationResult& result = *run.add_destinations();
      result.set_destination_name(config.name());
      result.set_state(v1::DestinationResult::STATE_RUNNING);
    }
  });
  if (destinations_.empty()) {
    return absl::FailedPreconditionError("no destination is set: there is nowhere to back up to");
  }
  if (required_ > settings.destinations_size()) {
    return absl::FailedPreconditionError(absl::StrCat(required_,
                                                      " destinations must hold a backup, but only ",
                                                      settings.destinations_size(), " are set"));
  }

  SetPhase(v1::Run::PHASE_CHECKPOINT);
  HOLDFAST_RETURN_IF_ERROR(TakeCheckpoint());
  SetPhase(v1::Run::PHASE_COMPARE);
  HOLDFAST_RETURN_IF_ERROR(OpenDestinations());
  HOLDFAST_RETURN_IF_ERROR(AgreeOnBackupKey());
  PlanItems();
  for (int attempt = 0; attempt < kCompareAttemptsMax; ++attempt) {
    SetPhase(v1::Run::PHASE_COMPARE);
    HOLDFAST_RETURN_IF_ERROR(Compare());
    SetPhase(v1::Run::PHASE_TRANSFER);
    HOLDFAST_RETURN_IF_ERROR(Transfer());
    SetPhase(v1::Run::PHASE_COMMIT);
    HOLDFAST_ASSIGN_OR_RETURN(const bool marks_hold, MarksStillHold());
    if (!marks_hold) continue;
    HOLDFAST_RETURN_IF_ERROR(SecureCopies());
    return Commit();
  }
  return absl::AbortedError(
      "backups are being deleted while their objects are used: a new run begins afresh");
}

// --- Checkpoint ------------------------------------------------------------------------------

absl::Status BackupRun::TakeCheckpoint() {
  CheckpointSource& source = *dependencies_.source;
  const absl::StatusOr<v1::StoreStatus> status = source.GetStatus(run_.token());
  if (status.ok()) {
    store_version_ = status->version();
    if (status->has_last_backup()) last_report_ = status->last_backup();
  } else if (absl::IsUnavailable(status.status()) || absl::IsDeadlineExceeded(status.status()) ||
             run_.token().IsCancelled()) {
    return status.status();
  }

  HOLDFAST_ASSIGN_OR_RETURN(checkpoint_,
                            source.CreateCheckpoint(memory_.checkpoint_holder(), run_.token()));
  absl::Status checked = CheckCheckpoint(checkpoint_, memory_);
  if (!checked.ok()) {
    static_cast<void>(source.Release(checkpoint_.checkpoint_id()));
    return checked;
  }
  lease_ = std::make_unique<LeaseKeeper>(source, clock_, checkpoint_.checkpoint_id(),
                                         FromProto(checkpoint_.lease_duration()),
                                         [this](const absl::Status& lost) { run_.Cancel(lost); });
  observer_.Update([&](v1::Run& run) {
    run.set_revision(checkpoint_.revision());
    *run.mutable_checkpoint_time() = checkpoint_.create_time();
  });

  store_id_ = *StoreId::FromText(checkpoint_.store_id());
  read_context_ = {&source, checkpoint_.checkpoint_id(), &clock_, dependencies_.random,
                   run_.token()};
  HOLDFAST_ASSIGN_OR_RETURN(
      files_, source.ListFiles(checkpoint_.checkpoint_id(), kCheckpointFilesMax, run_.token()));
  HOLDFAST_RETURN_IF_ERROR(CheckFiles(checkpoint_, files_));
  observer_.Update([&](v1::Run& run) {
    run.set_files_total(files_.size());
    run.set_size_bytes(checkpoint_.size_bytes());
  });

  memory_.set_store_id(checkpoint_.store_id());
  memory_.set_incarnation(checkpoint_.incarnation());
  memory_.set_revision(checkpoint_.revision());
  memory_.set_state_digest(checkpoint_.state_digest());
  memory_.set_document_count(checkpoint_.document_count());
  return absl::OkStatus();
}

// --- Destinations ----------------------------------------------------------------------------

absl::Status BackupRun::OpenDestinations() {
  using Opened = absl::StatusOr<std::shared_ptr<OpenDestination>>;
  std::vector<std::pair<Destination*, Pending<Opened>>> pending;
  for (const std::unique_ptr<Destination>& destination : destinations_) {
    if (WorkerPool::HasLeftBehind(destination->url())) {
      destination->Leave(absl::UnavailableError(
          "it is unresponsive: a call into it from an earlier run has still not returned"));
      continue;
    }
    const auto remembered = memory_.destinations().find(destination->name());
    const OpenRequest request = {.open_blob_store = dependencies_.open_blob_store,
                                 .url = destination->url(),
                                 .pinned_repository_id = remembered == memory_.destinations().end()
                                                             ? ""
                                                             : remembered->second.repository_id(),
                                 .store_id = store_id_,
                                 .master_key = master_key_,
                                 .cancellation = destination->cancellation()};
    pending.emplace_back(destination.get(), destination->Start<Opened>(
                                                [request] { return OpenRepositoryAt(request); }));
  }
  absl::flat_hash_map<std::string, std::string> names_by_repository;
  for (auto& [destination, opened] : pending) {
    Opened open = destination->Await(opened, "open the repository", kStallMax);
    if (!open.ok()) continue;
    const std::string repository_id = (*open)->repository->repository_id().ToText();
    const auto [other, is_new] = names_by_repository.emplace(repository_id, destination->name());
    if (!is_new) {
      destination->Leave(absl::FailedPreconditionError(
          absl::StrCat("it is the same repository as destination ", other->second)));
      continue;
    }
    destination->open = *std::move(open);
    const PlaceWarning warning = destination->open->place->Warning();
    if (!warning.text.empty()) Warn(*destination, warning.text);
  }
  HOLDFAST_RETURN_IF_ERROR(run_.token().status());
  return CheckAnyLeft();
}

absl::Status BackupRun::AgreeOnBackupKey() {
  using Opened = absl::StatusOr<bool>;
  // Opens the store for writing at a destination, with that backup key.
  const auto open_for_writing = [this](Destination& destination,
                                       std::shared_ptr<const BackupKey> key) {
    return destination.Start<Opened>([open = destination.open, store_id = store_id_,
                                      master_key = master_key_, key = std::move(key),
                                      now = clock_.Now()]() -> Opened {
      HOLDFAST_ASSIGN_OR_RETURN(
          open->store, open->repository->OpenOrCreateStore(store_id, *master_key, key.get(), now));
      return true;
    });
  };
  constexpr absl::string_view kWhat = "open the backups of the store";

  for (Destination* destination : ActiveDestinations()) {
    if (destination->open->store == nullptr) continue;
    key_owner_ = destination->open;
    break;
  }
  for (Destination* destination : ActiveDestinations()) {
    if (key_owner_ != nullptr) break;
    const Opened opened =
        destination->Await(open_for_writing(*destination, nullptr), kWhat, kStallMax);
    if (opened.ok()) key_owner_ = destination->open;
  }
  HOLDFAST_RETURN_IF_ERROR(run_.token().status());
  HOLDFAST_RETURN_IF_ERROR(CheckAnyLeft());

  // Sealed bytes are the same everywhere, so each destination must have the key that sealed them.
  const auto key = std::make_shared<const BackupKey>(key_owner_->store->CloneCurrentBackupKey());
  std::vector<std::pair<Destination*, Pending<Opened>>> pending;
  for (Destination* destination : ActiveDestinations()) {
    if (destination->open->store != nullptr &&
        destination->open->store->ContentKey(key->key_id).ok()) {
      continue;
    }
    pending.emplace_back(destination, open_for_writing(*destination, key));
  }
  for (auto& [destination, opened] : pending) {
    if (!destination->Await(opened, kWhat, kStallMax).ok()) continue;
    if (destination->open->store->ContentKey(key->key_id).ok()) continue;
    destination->Leave(absl::FailedPreconditionError(
        "it holds backups of this store that another backup key seals, so that it can't hold the "
        "same bytes as the other destinations: use an empty place for it"));
  }
  HOLDFAST_RETURN_IF_ERROR(run_.token().status());
  return CheckAnyLeft();
}

// --- Compare ---------------------------------------------------------------------------------

void BackupRun::PlanItems() {
  auto wanted = std::make_shared<WantedObjects>();
  std::vector<const v1::CheckpointFile*> bundled;
  items_.reserve(files_.size() + 1);
  for (const v1::CheckpointFile& file : files_) {
    if (file.size_bytes() == 0) continue;  // needs no object
    if (!HasOwnObject(file.kind())) {
      bundled.push_back(&file);
      continue;
    }
    Item& item = items_.emplace_back();
    item.files = {&file};
    item.identity = ComputeObjectIdentity(key_owner_->store->id_key(),
                                          static_cast<FileEntry::Kind>(file.kind()), store_id_,
                                          file.file_number(), file.size_bytes(), file.xxh3_128());
    item.wanted.codec = file.kind() == v1::CheckpointFile::KIND_LOG ? ObjectEntry::CODEC_ZSTD
                                                                    : ObjectEntry::CODEC_NONE;
    item.wanted.content_size_bytes = file.size_bytes();
    item.wanted.xxh3_128 = file.xxh3_128();
    wanted->emplace(item.identity, item.wanted);
  }
  Item& bundle = items_.emplace_back();
  bundle.is_bundle = true;
  dependencies_.random->Fill(absl::MakeSpan(bundle.identity));
  bundle.wanted.codec = ObjectEntry::CODEC_ZSTD;
  bundle.wanted.content_size_bytes = SizeOf(bundled);
  bundle.files = std::move(bundled);
  wanted_ = std::move(wanted);
}

absl::Status BackupRun::Compare() {
  using Found = absl::StatusOr<HeldObjects>;
  struct Asked {
    Destination* destination;
    ProgressCounter progress;
    Pending<Found> found;
  };
  std::vector<Asked> asked;
  for (Destination* destination : ActiveDestinations()) {
    const auto remembered = memory_.destinations().find(destination->name());
    FindHeldObjectsRequest request = {
        .wanted = wanted_,
        .key_id = key_owner_->store->current_key_id(),
        // Of a destination that is not remembered nothing is known either.
        .look_for_unnamed =
            remembered == memory_.destinations().end() || remembered->second.has_unnamed_objects(),
        .now = clock_.Now()};
    ProgressCounter progress = MakeProgressCounter();
    Pending<Found> found =
        destination->Start<Found>([open = destination->open, request = std::move(request), progress,
                                   cancellation = destination->cancellation()] {
          return FindHeldObjects(*open, request, progress, cancellation);
        });
    asked.push_back({destination, std::move(progress), std::move(found)});
  }
  for (Asked& one : asked) {
    Found found =
        one.destination->Await(one.found, "look at what is there", kListingMax, one.progress);
    if (!found.ok()) continue;
    for (const std::string& warning : found->warnings) Warn(*one.destination, warning);
    held_[one.destination->index()] = *std::move(found);
  }
  HOLDFAST_RETURN_IF_ERROR(run_.token().status());
  HOLDFAST_RETURN_IF_ERROR(CheckAnyLeft());
  LookForSetBackDestinations();
  CountItems();
  return absl::OkStatus();
}

void BackupRun::LookForSetBackDestinations() {
  // The newest backup that is known of: by this agent, or, if it remembers none, by the store.
  std::string known_id = memory_.last_backup_id();
  std::string known_hash = memory_.last_manifest_hash();
  if (known_id.empty() && last_report_.has_value() &&
      last_report_->store_id() == checkpoint_.store_id()) {
    known_id = last_report_->backup_id();
    known_hash = last_report_->manifest_hash();
  }
  bool is_known_anywhere = known_id.empty();
  for (Destination* destination : ActiveDestinations()) {
    const HeldObjects& held = held_[destination->index()];
    is_known_anywhere |= held.backup_ids.contains(known_id);
    const auto remembered = memory_.destinations().find(destination->name());
    if (remembered != memory_.destinations().end() &&
        !remembered->second.last_backup_id().empty() &&
        !held.backup_ids.contains(remembered->second.last_backup_id())) {
      Warn(
          *destination,
          absl::StrCat("backup ", remembered->second.last_backup_id(),
                       ", the newest that was written there, is gone: the destination was set back "
                       "to an earlier state, or somebody removed files from it"));
    }
    if (!known_id.empty() && held.latest.has_value() && held.latest->backup_id() == known_id &&
        held.latest_hash.has_value() && HashBytes(*held.latest_hash) != known_hash) {
      Warn(*destination, absl::StrCat("the manifest of backup ", known_id,
                                      " is not the one that was written: it was exchanged"));
    }
  }
  if (is_known_anywhere) return;
  for (Destination* destination : ActiveDestinations()) {
    Warn(*destination, absl::StrCat("backup ", known_id,
                                    ", the newest that is known of, is not there, and at no other "
                                    "destination that could be reached"));
  }
}

void BackupRun::CountItems() {
  uint64_t files_to_send = 0;
  uint64_t bytes_to_send = 0;
  for (Item& item : items_) {
    item.object.reset();
    const std::optional<ObjectEntry> best = BestCandidate(item);
    item.is_reused = best.has_value() && Lacking(item, *best).empty();
    if (item.is_reused) continue;
    files_to_send += item.files.size();
    bytes_to_send += item.wanted.content_size_bytes;
  }
  observer_.Update([&](v1::Run& run) {
    run.set_files_reused(files_.size() - files_to_send);
    run.set_reused_bytes(checkpoint_.size_bytes() - bytes_to_send);
    run.set_files_to_send(files_to_send);
    run.set_bytes_to_send(bytes_to_send);
    run.set_files_sent(0);
    run.set_bytes_sent(0);
  });
}

std::optional<ObjectEntry> BackupRun::BestCandidate(const Item& item) const {
  std::optional<ObjectEntry> best;
  size_t best_lacking = 0;
  const auto consider = [&](const ObjectEntry& entry) {
    const size_t lacking = Lacking(item, entry).size();
    if (best.has_value() && lacking >= best_lacking) return;
    best = entry;
    best_lacking = lacking;
  };
  if (item.produced != nullptr) consider(*item.produced);
  for (Destination* destination : ActiveDestinations()) {
    const auto& named = held_[destination->index()].named;
    const auto entry = named.find(item.identity);
    if (entry != named.end()) consider(entry->second);
  }
  // One that only destinations hold which have left is of no use.
  if (best.has_value() && best_lacking == ActiveDestinations().size()) return std::nullopt;
  return best;
}

bool BackupRun::Holds(const Destination& destination, const Item& item,
                      const ObjectEntry& entry) const {
  if (item.produced != nullptr && item.produced->name() == entry.name() &&
      std::find(item.produced_at.begin(), item.produced_at.end(), &destination) !=
          item.produced_at.end()) {
    return true;
  }
  const auto& named = held_[destination.index()].named;
  const auto held = named.find(item.identity);
  return held != named.end() && held->second.name() == entry.name();
}

std::vector<Destination*> BackupRun::Lacking(const Item& item, const ObjectEntry& entry) const {
  std::vector<Destination*> lacking = ActiveDestinations();
  lacking.erase(
      std::remove_if(lacking.begin(), lacking.end(),
                     [&](Destination* destination) { return Holds(*destination, item, entry); }),
      lacking.end());
  return lacking;
}

bool BackupRun::IsNamedAnywhere(const Item& item, const ObjectEntry& entry) const {
  return std::any_of(held_.begin(), held_.end(), [&](const HeldObjects& held) {
    const auto named = held.named.find(item.identity);
    return named != held.named.end() && named->second.name() == entry.name();
  });
}

void BackupRun::Produced(Item& item, const ObjectEntry& entry,
                         const std::vector<Destination*>& at) {
  if (item.produced == nullptr || item.produced->name() != entry.name()) item.produced_at.clear();
  item.produced = std::make_unique<ObjectEntry>(entry);
  item.produced_at.insert(item.produced_at.end(), at.begin(), at.end());
}

// --- Transfer --------------------------------------------------------------------------------

absl::Status BackupRun::Transfer() {
  {
    MutexLock lock(&mutex_);
    items_to_do_.clear();
    for (Item& item : items_) items_to_do_.push_back(&item);
    // The bundle first, then the largest: a small one is soon done at the end.
    std::sort(items_to_do_.begin(), items_to_do_.end(), [](const Item* a, const Item* b) {
      return std::make_tuple(a->is_bundle, a->wanted.content_size_bytes) <
             std::make_tuple(b->is_bundle, b->wanted.content_size_bytes);
    });
  }
  {
    std::vector<Thread> threads;
    const size_t thread_count = std::min<size_t>(kFilesAtOnce, items_.size());
    for (size_t i = 0; i < thread_count; ++i) {
      threads.emplace_back("transfer", [this] { ProcessItems(); });
    }
  }
  {
    MutexLock lock(&mutex_);
    HOLDFAST_RETURN_IF_ERROR(first_error_);
  }
  HOLDFAST_RETURN_IF_ERROR(run_.token().status());
  return CheckAnyLeft();
}

void BackupRun::ProcessItems() {
  while (!run_.token().IsCancelled()) {
    Item* item = nullptr;
    {
      MutexLock lock(&mutex_);
      if (items_to_do_.empty()) return;
      item = items_to_do_.back();
      items_to_do_.pop_back();
    }
    const absl::Status status = ProcessItem(*item);
    if (status.ok()) continue;
    {
      MutexLock lock(&mutex_);
      if (first_error_.ok()) first_error_ = status;
    }
    run_.Cancel(status);
  }
}

absl::Status BackupRun::ProcessItem(Item& item) {
  std::optional<ObjectEntry> best = BestCandidate(item);
  if (!best.has_value()) {
    ProveUnnamed(item);
    best = BestCandidate(item);
  }
  if (best.has_value()) {
    std::vector<Destination*> lacking = Lacking(item, *best);
    const bool is_copied = !lacking.empty();
    for (Destination* from : ActiveDestinations()) {
      if (lacking.empty()) break;
      if (!Holds(*from, item, *best)) continue;
      CopyObject(item, *best, *from, lacking);
      lacking = Lacking(item, *best);
    }
    HOLDFAST_RETURN_IF_ERROR(run_.token().status());
    if (lacking.empty()) {
      item.object = best;
      if (item.is_reused) return absl::OkStatus();
      observer_.Update([&](v1::Run& run) {
        if (is_copied) {
          run.set_files_sent(run.files_sent() + item.files.size());
          run.set_bytes_sent(run.bytes_sent() + item.wanted.content_size_bytes);
        } else {
          run.set_files_to_send(run.files_to_send() - item.files.size());
          run.set_bytes_to_send(run.bytes_to_send() - item.wanted.content_size_bytes);
          run.set_files_reused(run.files_reused() + item.files.size());
          run.set_reused_bytes(run.reused_bytes() + item.wanted.content_size_bytes);
        }
      });
      return absl::OkStatus();
    }
  }
  return Send(item);
}

void BackupRun::ProveUnnamed(Item& item) {
  for (Destination* destination : ActiveDestinations()) {
    const auto& unnamed = held_[destination->index()].unnamed;
    const auto candidates = unnamed.find(item.identity);
    if (candidates == unnamed.end()) continue;
    for (const ObjectEntry& entry : candidates->second) {
      // All destinations are to hold one object of one name.
      if (item.produced != nullptr && item.produced->name() != entry.name()) continue;
      if (!ProveAt(item, entry, *destination)) continue;
      Produced(item, entry, {destination});
      break;
    }
  }
}

bool BackupRun::ProveAt(const Item& item, const ObjectEntry& entry, Destination& destination) {
  const ProgressCounter progress = MakeProgressCounter();
  Pending<absl::Status> proof =
      destination.Start<absl::Status>([open = destination.open, entry, wanted = item.wanted,
                                       progress, cancellation = destination.cancellation()] {
        return ProveObject(*open, entry, wanted, progress, cancellation);
      });
  const absl::Status waited = proof.Await(clock_, destination.cancellation(), kStallMax, progress);
  if (waited.ok()) return proof.Take().ok();
  if (absl::IsDeadlineExceeded(waited) && destination.IsActive()) {
    destination.SetStuck();
    destination.Leave(absl::UnavailableError(absl::StrCat(
        "prove object ", entry.name(), ": it is unresponsive, it ", waited.message())));
  }
  return false;
}

void BackupRun::CopyObject(Item& item, const ObjectEntry& entry, Destination& from,
                           const std::vector<Destination*>& to) {
  const std::optional<ObjectFanOut::Result> put = PumpTo(entry, from, ObjectFanOut::Mode::kPut, to);
  if (!put.has_value()) return;
  Produced(item, entry, put->holders);
  CountWritten(put->holders, entry.sealed_size_bytes());
  NoteCopied(entry, put->holders);
  // A cut run left it, whole or not; or backups name it that are not the newest there.
  std::vector<Destination*> to_replace;
  for (Destination* destination : put->already_there) {
    bool is_old = false;
    if (CanUseUnnamed(item, entry, *destination, is_old)) {
      Produced(item, entry, {destination});
      continue;
    }
    if (!destination->IsActive() ||
        held_[destination->index()].damaged_objects.contains(entry.name())) {
      continue;
    }
    to_replace.push_back(destination);
    if (!is_old) continue;
    MutexLock lock(&mutex_);
    at_risk_[destination->index()].replaced.insert(entry.name());
  }
  if (to_replace.empty()) return;
  // All of it was just read at `from` and authenticated.
  const std::optional<ObjectFanOut::Result> replaced =
      PumpTo(entry, from, ObjectFanOut::Mode::kReplace, to_replace);
  if (!replaced.has_value()) return;
  CountWritten(replaced->holders, entry.sealed_size_bytes());
  NoteCopied(entry, replaced->holders);
  for (Destination* destination : replaced->holders) {
    if (ProveAt(item, entry, *destination)) Produced(item, entry, {destination});
  }
}

std::optional<ObjectFanOut::Result> BackupRun::PumpTo(const ObjectEntry& entry, Destination& from,
                                                      ObjectFanOut::Mode mode,
                                                      const std::vector<Destination*>& to) {
  auto pipe = std::make_shared<Pipe>(kQueuedChunksMax);
  static_cast<void>(from.Start<absl::Status>([open = from.open, entry, pipe] {
    PumpObject(*open, entry, *pipe);
    return absl::OkStatus();
  }));
  const CancellationCallback give_up(
      from.cancellation(),
      [pipe, cancellation = from.cancellation()] { pipe->Close(cancellation.status()); });
  const auto abandon = absl::MakeCleanup([&] { pipe->Abandon(); });
  ObjectFanOut fan_out(clock_, ObjectPath(store_id_, entry.name()), mode, to);
  while (true) {
    absl::StatusOr<Chunk> chunk = pipe->Pop(clock_, clock_.MonotonicNow() + kStallMax);
    if (!chunk.ok()) {
      fan_out.Fail(chunk.status());
      if (absl::IsDeadlineExceeded(chunk.status()) && from.IsActive()) {
        from.SetStuck();
        from.Leave(absl::UnavailableError(absl::StrCat("read object ", entry.name(),
                                                       ": it is unresponsive, no bytes came for ",
                                                       absl::FormatDuration(kStallMax))));
      } else if (from.IsActive()) {
        Warn(from, absl::StrCat("an object can't be read there and is sent again: ",
                                chunk.status().message()));
      }
      return std::nullopt;
    }
    if (*chunk == nullptr) break;
    if (!fan_out.Write(*chunk).ok()) return std::nullopt;
  }
  return fan_out.Finish();
}

absl::StatusOr<absl::Time> BackupRun::AwaitWriteTime(Destination& destination,
                                                     const ObjectEntry& entry,
                                                     absl::string_view what) {
  return destination.Await(
      destination.Start<absl::StatusOr<absl::Time>>(
          [open = destination.open, name = entry.name()] { return WriteTimeOf(*open, name); }),
      what, kOperationMax);
}

bool BackupRun::CanUseUnnamed(const Item& item, const ObjectEntry& entry, Destination& destination,
                              bool& is_old) {
  const absl::StatusOr<absl::Time> write_time =
      AwaitWriteTime(destination, entry, "look at an object");
  if (!write_time.ok()) return false;
  is_old = !IsYoungAtPlace(entry.name(), *write_time, clock_.Now());
  return !is_old && ProveAt(item, entry, destination);
}

void BackupRun::NoteCopied(const ObjectEntry& entry,
                           const std::vector<Destination*>& destinations) {
  if (IsYoungAtPlace(entry.name(), /*write_time=*/absl::InfinitePast(), clock_.Now())) return;
  for (Destination* destination : destinations) {
    const absl::StatusOr<absl::Time> write_time =
        AwaitWriteTime(*destination, entry, "look at an object that was written");
    if (!write_time.ok() || TellsThatItIsNew(*write_time, clock_.Now())) continue;
    MutexLock lock(&mutex_);
    at_risk_[destination->index()].undated.insert(entry.name());
  }
}

absl::Status BackupRun::Send(Item& item) {
  uint64_t bytes_sent = 0;
  absl::Status status = SendContent(item, bytes_sent);
  observer_.Update([&](v1::Run& run) {
    if (status.ok()) {
      run.set_files_sent(run.files_sent() + item.files.size());
    } else {
      run.set_bytes_sent(run.bytes_sent() - bytes_sent);
    }
  });
  return status;
}

absl::Status BackupRun::SendContent(Item& item, uint64_t& bytes_sent) {
  std::unique_ptr<ByteSource> content;
  if (item.is_bundle) {
    content = std::make_unique<BundleReader>(read_context_, item.files);
  } else {
    content = std::make_unique<CheckpointFileReader>(read_context_, *item.files.front());
  }
  const std::string name = MakeObjectName(item.identity, clock_.Now(), *dependencies_.random);
  ObjectSealer sealer(store_id_, name, key_owner_->store->content_key(), item.wanted.codec,
                      item.wanted.content_size_bytes, *dependencies_.random);
  ObjectFanOut fan_out(clock_, ObjectPath(store_id_, name), ObjectFanOut::Mode::kPut,
                       ActiveDestinations());
  std::string sealed;
  const auto write = [&] {
    return fan_out.Write(std::make_shared<const std::string>(std::exchange(sealed, {})));
  };
  while (true) {
    HOLDFAST_ASSIGN_OR_RETURN(absl::Span<const uint8_t> piece, content->Next());
    if (piece.empty()) break;
    bytes_sent += piece.size();
    observer_.Update([&](v1::Run& run) { run.set_bytes_sent(run.bytes_sent() + piece.size()); });
    while (!piece.empty()) {
      if (sealed.empty()) {
        sealed.reserve(std::min<uint64_t>(kChunkSizeBytes + 2 * kSealedPieceSizeBytes,
                                          SealedSizeBytes(item.wanted.content_size_bytes)));
      }
      const absl::Span<const uint8_t> part = piece.subspan(0, kSealedPieceSizeBytes);
      HOLDFAST_RETURN_IF_ERROR(sealer.Update(part, sealed));
      piece.remove_prefix(part.size());
      if (sealed.size() >= kChunkSizeBytes) HOLDFAST_RETURN_IF_ERROR(write());
    }
  }
  HOLDFAST_RETURN_IF_ERROR(sealer.Finish(sealed));
  HOLDFAST_RETURN_IF_ERROR(write());
  const ObjectFanOut::Result result = fan_out.Finish();
  for (Destination* destination : result.already_there) {
    destination->Leave(absl::InternalError(absl::StrCat("a new name is taken there: ", name)));
  }
  Produced(item, sealer.entry(), result.holders);
  CountWritten(result.holders, sealer.entry().sealed_size_bytes());
  HOLDFAST_RETURN_IF_ERROR(run_.token().status());
  if (result.holders.empty()) {
    return absl::UnavailableError(absl::StrCat("no destination took ", name));
  }
  item.object = sealer.entry();
  return absl::OkStatus();
}

// --- Commit ----------------------------------------------------------------------------------

absl::StatusOr<bool> BackupRun::MarksStillHold() {
  using Still = absl::StatusOr<bool>;
  std::vector<std::pair<Destination*, Pending<Still>>> pending;
  for (Destination* destination : ActiveDestinations()) {
    const HeldObjects& held = held_[destination->index()];
    if (held.named.empty()) continue;
    pending.emplace_back(
        destination,
        destination->Start<Still>([open = destination->open, backup_id = held.named_by]() -> Still {
          HOLDFAST_ASSIGN_OR_RETURN(const BackupListing listing, open->store->ListBackups());
          return listing.Find(backup_id) != nullptr;
        }));
  }
  bool all_hold = true;
  for (auto& [destination, still] : pending) {
    const Still holds = destination->Await(still, "read the marks again", kListingMax);
    if (holds.ok() && !*holds) all_hold = false;
  }
  HOLDFAST_RETURN_IF_ERROR(run_.token().status());
  HOLDFAST_RETURN_IF_ERROR(CheckAnyLeft());
  return all_hold;
}

std::vector<std::string> BackupRun::ObjectsAtRisk(const Destination& destination, When when) const {
  std::vector<std::string> names;
  MutexLock lock(&mutex_);
  const AtRisk& at_risk = at_risk_[destination.index()];
  for (const Item& item : items_) {
    const std::string& name = item.object->name();
    if (at_risk.undated.contains(name) ||
        (when == When::kBeforeManifest && at_risk.replaced.contains(name))) {
      names.push_back(name);
    }
  }
  return names;
}

absl::Status BackupRun::LookOnceMore(Destination& destination,
                                     const std::vector<std::string>& at_risk) {
  const ProgressCounter progress = MakeProgressCounter();
  const absl::StatusOr<LookedAgain> looked = destination.Await(
      destination.Start<absl::StatusOr<LookedAgain>>([open = destination.open, at_risk,
                                                      now = clock_.Now(), progress,
                                                      cancellation = destination.cancellation()] {
        return LookAgain(
            *open->store, at_risk, now, [&] { progress->fetch_add(1); }, cancellation);
      }),
      "look for what a prune removed meanwhile", kListingMax, progress);
  HOLDFAST_RETURN_IF_ERROR(looked.status());
  if (!looked->prune_lease.empty()) {
    return PruneIsAtWorkError(destination.name(), looked->prune_lease);
  }
  for (Item& item : items_) {
    if (looked->gone.contains(item.object->name())) {
      HOLDFAST_RETURN_IF_ERROR(CopyAgain(destination, item));
    }
  }
  return absl::OkStatus();
}

absl::Status BackupRun::CopyAgain(Destination& destination, Item& item) {
  const ObjectEntry& entry = *item.object;
  item.produced_at.erase(
      std::remove(item.produced_at.begin(), item.produced_at.end(), &destination),
      item.produced_at.end());
  for (Destination* from : ActiveDestinations()) {
    if (from == &destination || !Holds(*from, item, entry)) continue;
    CopyObject(item, entry, *from, {&destination});
    if (Holds(destination, item, entry)) return absl::OkStatus();
    if (!destination.IsActive()) return destination.WhyGone();
  }
  return absl::UnavailableError(
      absl::StrCat("a prune there removed object ", entry.name(),
                   ", which was copied to there and can't be copied once more"));
}

absl::Status BackupRun::SecureCopies() {
  for (Destination* destination : ActiveDestinations()) {
    const std::vector<std::string> at_risk = ObjectsAtRisk(*destination, When::kBeforeManifest);
    if (at_risk.empty()) continue;
    const absl::Status secured = LookOnceMore(*destination, at_risk);
    if (!secured.ok()) destination->Leave(secured);
  }
  HOLDFAST_RETURN_IF_ERROR(run_.token().status());
  return CheckAnyLeft();
}

absl::Status BackupRun::SecureCommitted(Destination& destination,
                                        const std::vector<std::string>& at_risk) {
  const absl::Status secured = LookOnceMore(destination, at_risk);
  if (secured.ok() || !destination.IsActive()) return secured;
  HOLDFAST_RETURN_IF_ERROR(destination.Await(
      destination.Start<absl::Status>(
          [open = destination.open, backup_id = manifest_->summary.backup_id()] {
            return open->store->TakeBackManifest(backup_id);
          }),
      absl::StrCat("take the manifest back (", secured.message(), ")"), kOperationMax));
  destination.Leave(secured);
  return secured;
}

v1::Settings BackupRun::DescribeSettings() const {
  v1::Settings settings = input_.settings;
  for (const std::unique_ptr<Destination>& destination : destinations_) {
    v1::Destination& described = *settings.mutable_destinations(destination->index());
    const auto remembered = memory_.destinations().find(destination->name());
    if (destination->open != nullptr) {
      described.set_repository_id(destination->open->repository->repository_id().ToText());
    } else if (remembered != memory_.destinations().end()) {
      described.set_repository_id(remembered->second.repository_id());
    }
  }
  return settings;
}

Manifest BackupRun::MakeManifest() const {
  Manifest manifest;
  repository::v1::BackupSummary& summary = manifest.summary;
  const absl::Time now = clock_.Now();
  summary.set_backup_id(MakeBackupId(now, *dependencies_.random));
  summary.set_store_id(store_id_.ToByteString());
  summary.set_incarnation(IdBytes(checkpoint_.incarnation()));
  for (const std::string& earlier : checkpoint_.earlier_incarnations()) {
    summary.add_earlier_incarnations(IdBytes(earlier));
  }

  uint64_t ordinal = memory_.last_ordinal();
  summary.set_previous_backup_id(memory_.last_backup_id());
  summary.set_previous_manifest_hash(memory_.last_manifest_hash());
  for (Destination* destination : ActiveDestinations()) {
    const HeldObjects& held = held_[destination->index()];
    if (!held.latest.has_value() || held.latest->ordinal() <= ordinal) continue;
    ordinal = held.latest->ordinal();
    summary.set_previous_backup_id(held.latest->backup_id());
    summary.set_previous_manifest_hash(HashBytes(held.latest_hash.value_or(Hash256{})));
  }
  summary.set_ordinal(ordinal + 1);

  summary.set_revision(checkpoint_.revision());
  summary.set_commit_time_us(ToUnixMicros(checkpoint_.commit_time()));
  summary.set_checkpoint_time_us(ToUnixMicros(checkpoint_.create_time()));
  summary.set_commit_at_agent_time_us(absl::ToUnixMicros(now));
  summary.set_document_count(checkpoint_.document_count());
  summary.set_state_digest(DigestBytes(checkpoint_));
  summary.set_file_count(files_.size());
  summary.set_size_bytes(checkpoint_.size_bytes());
  summary.set_store_version(store_version_);
  summary.set_agent_version(std::string(Version()));

  manifest.files.set_agent_settings(DescribeSettings().SerializeAsString());

  // Where each file lies: the index of the object, and the offset in it.
  absl::flat_hash_map<const v1::CheckpointFile*, std::pair<int, uint64_t>> places;
  for (const Item& item : items_) {
    const int object_index = manifest.files.objects_size();
    *manifest.files.add_objects() = *item.object;
    if (!IsNamedAnywhere(item, *item.object)) {
      summary.set_added_object_count(summary.added_object_count() + 1);
      summary.set_added_bytes(summary.added_bytes() + item.object->sealed_size_bytes());
    }
    uint64_t offset = 0;
    for (const v1::CheckpointFile* file : item.files) {
      places.emplace(file, std::make_pair(object_index, offset));
      offset += file->size_bytes();
    }
  }
  for (const v1::CheckpointFile& file : files_) {
    FileEntry& entry = *manifest.files.add_files();
    entry.set_name(file.name());
    entry.set_kind(static_cast<FileEntry::Kind>(file.kind()));
    entry.set_size_bytes(file.size_bytes());
    entry.set_xxh3_128(file.xxh3_128());
    entry.set_mode(file.mode());
    const auto place = places.find(&file);
    if (place == places.end()) continue;
    repository::v1::Extent& extent = *entry.add_extents();
    extent.set_object_index(static_cast<uint32_t>(place->second.first));
    extent.set_offset(place->second.second);
    extent.set_length(file.size_bytes());
  }
  return manifest;
}

absl::Status BackupRun::Commit() {
  if (clock_.MonotonicNow() - start_time_ >= kRunDurationMax) {
    return absl::AbortedError(
        "the run took so long that what it compared with may be gone: a new run begins afresh");
  }
  wanted_.reset();  // nothing is compared any more, and with many files it is large
  manifest_ = MakeManifest();
  HOLDFAST_ASSIGN_OR_RETURN(
      std::string sealed,
      SealManifest(*manifest_, store_id_, key_owner_->store->manifest_key(), *dependencies_.random),
      "seal the manifest");
  manifest_hash_ = Blake2b256({AsBytes(sealed)});
  const auto shared = std::make_shared<const std::string>(std::move(sealed));
  struct Written {
    Destination* destination;
    std::vector<std::string> at_risk;  // where there is any it does not count before a second look
    Pending<absl::Status> committed;
  };
  std::vector<Written> written;
  for (Destination* destination : ActiveDestinations()) {
    std::vector<std::string> at_risk = ObjectsAtRisk(*destination, When::kAfterManifest);
    const bool is_at_risk = !at_risk.empty();
    written.push_back(
        {destination, std::move(at_risk),
         destination->Start<absl::Status>(
             [open = destination->open, backup_id = manifest_->summary.backup_id(), shared,
              is_at_risk, has_committed = has_committed_[destination->index()]] {
               absl::Status committed = open->store->CommitManifest(backup_id, *shared);
               if (committed.ok() && !is_at_risk) has_committed->store(true);
               return committed;
             })});
  }
  for (Written& one : written) {
    Destination* const destination = one.destination;
    if (!destination->Await(one.committed, "write the manifest", kOperationMax).ok()) continue;
    if (!one.at_risk.empty()) {
      if (!SecureCommitted(*destination, one.at_risk).ok()) continue;
      has_committed_[destination->index()]->store(true);
    }
    observer_.Update([&, index = destination->index()](v1::Run& run) {
      run.set_backup_id(manifest_->summary.backup_id());
      run.mutable_destinations(index)->set_state(v1::DestinationResult::STATE_SUCCEEDED);
    });
  }
  HOLDFAST_RETURN_IF_ERROR(run_.token().status());
  return CheckAnyLeft();
}

// --- End -------------------------------------------------------------------------------------

v1::Backup BackupRun::DescribeBackup(const std::vector<const Destination*>& holders) const {
  v1::Backup backup;
  backup.set_backup_id(manifest_->summary.backup_id());
  backup.set_store_id(checkpoint_.store_id());
  backup.set_incarnation(checkpoint_.incarnation());
  backup.set_ordinal(manifest_->summary.ordinal());
  *backup.mutable_checkpoint_time() = checkpoint_.create_time();
  backup.set_revision(checkpoint_.revision());
  *backup.mutable_commit_time() = checkpoint_.commit_time();
  backup.set_document_count(checkpoint_.document_count());
  backup.set_state_digest(checkpoint_.state_digest());
  backup.set_file_count(manifest_->summary.file_count());
  backup.set_size_bytes(manifest_->summary.size_bytes());
  backup.set_added_bytes(manifest_->summary.added_bytes());
  backup.set_manifest_hash(HashBytes(manifest_hash_));
  for (const Destination* holder : holders) backup.add_destination_names(holder->name());
  return backup;
}

BackupRunOutcome BackupRun::End(const absl::Status& status) {
  // Whatever is still under way ends now; what has not ended soon is left to itself.
  if (!status.ok()) run_.Cancel(status);
  const MonotonicTime deadline = clock_.MonotonicNow() + kShutdownGrace;
  for (const std::unique_ptr<Destination>& destination : destinations_) {
    destination->Shutdown(deadline);
  }
  BackupRunOutcome outcome;
  // Read once: a commit that was given up may still succeed at any time.
  std::vector<const Destination*> holders;
  for (const std::unique_ptr<Destination>& destination : destinations_) {
    if (has_committed_[destination->index()]->load()) holders.push_back(destination.get());
  }
  const auto holds = [&](const Destination& destination) {
    return std::find(holders.begin(), holders.end(), &destination) != holders.end();
  };
  const int committed_count = static_cast<int>(holders.size());
  if (committed_count > 0) {
    outcome.backup = DescribeBackup(holders);
    memory_.set_last_backup_id(outcome.backup->backup_id());
    memory_.set_last_ordinal(outcome.backup->ordinal());
    memory_.set_last_manifest_hash(outcome.backup->manifest_hash());

    v1::BackupReport report;
    report.set_backup_id(outcome.backup->backup_id());
    report.set_store_id(checkpoint_.store_id());
    report.set_incarnation(checkpoint_.incarnation());
    report.set_revision(checkpoint_.revision());
    report.set_state_digest(checkpoint_.state_digest());
    report.set_manifest_hash(outcome.backup->manifest_hash());
    *report.mutable_checkpoint_time() = checkpoint_.create_time();
    report.set_destination_count(static_cast<uint32_t>(committed_count));
    const absl::Status reported = dependencies_.source->ReportBackup(report, caller_);
    if (!reported.ok()) {
      LogWarning(
          "could not report a backup to its store",
          {{"store", input_.store_name}, {"backup_id", report.backup_id()}, {"error", reported}});
    }
  }
  lease_.reset();

  if (!destinations_.empty() && committed_count >= required_) {
    outcome.status = absl::OkStatus();
  } else if (caller_.IsCancelled()) {
    outcome.status = absl::IsCancelled(caller_.status())
                         ? caller_.status()
                         : WithCode(caller_.status(), absl::StatusCode::kCancelled);
  } else {
    const absl::Status enough = CheckEnoughLeft();
    outcome.status = enough.ok() ? status : enough;
  }

  google::protobuf::Map<std::string, agent::v1::DestinationMemory> destination_memory;
  for (const std::unique_ptr<Destination>& destination : destinations_) {
    const size_t index = destination->index();
    const absl::Status failure = destination->failure();
    if (index < held_.size() && held_[index].has_missing_objects) {
      outcome.destinations_to_check.push_back(destination->name());
    }
    // What a run that could not even look may have left is still to be looked for.
    const auto remembered = memory_.destinations().find(destination->name());
    agent::v1::DestinationMemory& memory = destination_memory[destination->name()];
    if (remembered != memory_.destinations().end()) {
      memory = remembered->second;
    } else {
      memory.set_has_unnamed_objects(true);
    }
    if (destination->open != nullptr) {
      memory.set_repository_id(destination->open->repository->repository_id().ToText());
    }
    MutexLock lock(&mutex_);
    if (holds(*destination)) {
      memory.set_has_unnamed_objects(false);
      memory.set_last_backup_id(outcome.backup->backup_id());
      memory.set_last_success_time_us(manifest_->summary.commit_at_agent_time_us());
      memory.set_consecutive_failures(0);
      memory.clear_last_error();
      continue;
    }
    if (has_written_[index]) memory.set_has_unnamed_objects(true);
    if (!failure.ok()) {
      memory.set_consecutive_failures(memory.consecutive_failures() + 1);
      memory.set_last_error(std::string(failure.message()));
    }
  }
  *memory_.mutable_destinations() = std::move(destination_memory);
  outcome.memory = memory_;

  observer_.Update([&](v1::Run& run) {
    if (outcome.backup.has_value()) run.set_backup_id(outcome.backup->backup_id());
    for (const std::unique_ptr<Destination>& destination : destinations_) {
      v1::DestinationResult& result = *run.mutable_destinations(destination->index());
      if (holds(*destination)) {
        result.set_state(v1::DestinationResult::STATE_SUCCEEDED);
        result.clear_error();
        continue;
      }
      const absl::Status failure = destination->failure();
      result.set_state(v1::DestinationResult::STATE_FAILED);
      result.set_error(failure.ok() ? absl::StrCat("the run ended before: ", status.message())
                                    : std::string(failure.message()));
    }
  });
  return outcome;
}

// --- Small parts -----------------------------------------------------------------------------

std::vector<Destination*> BackupRun::ActiveDestinations() const {
  std::vector<Destination*> active;
  for (const std::unique_ptr<Destination>& destination : destinations_) {
    if (destination->IsActive()) active.push_back(destination.get());
  }
  return active;
}

absl::Status BackupRun::CheckAnyLeft() const {
  const bool is_any_left = std::any_of(
      destinations_.begin(), destinations_.end(),
      [](const std::unique_ptr<Destination>& destination) { return destination->failure().ok(); });
  return is_any_left ? absl::OkStatus() : CheckEnoughLeft();
}

absl::Status BackupRun::CheckEnoughLeft() const {
  std::vector<std::string> failures;
  std::optional<absl::StatusCode> code;
  for (const std::unique_ptr<Destination>& destination : destinations_) {
    const absl::Status failure = destination->failure();
    if (failure.ok()) continue;
    failures.push_back(absl::StrCat(destination->name(), ": ", failure.message()));
    code = !code.has_value() || *code == failure.code() ? failure.code()
                                                        : absl::StatusCode::kUnavailable;
  }
  const int left = static_cast<int>(destinations_.size() - failures.size());
  if (left >= required_ || failures.empty()) return absl::OkStatus();
  return absl::Status(
      code.value_or(absl::StatusCode::kUnavailable),
      absl::StrCat(left, " of ", destinations_.size(), " destinations could take the backup, and ",
                   required_, " must: ", absl::StrJoin(failures, "; ")));
}

void BackupRun::OnLeft(Destination& destination) {
  const absl::Status failure = destination.failure();
  observer_.Update([&](v1::Run& run) {
    v1::DestinationResult& result = *run.mutable_destinations(destination.index());
    result.set_state(v1::DestinationResult::STATE_FAILED);
    result.set_error(std::string(failure.message()));
  });
  const absl::Status left = CheckAnyLeft();
  if (!left.ok()) run_.Cancel(left);
}

void BackupRun::Warn(const Destination& destination, const std::string& warning) {
  bool is_new = false;
  observer_.Update([&](v1::Run& run) {
    v1::DestinationResult& result = *run.mutable_destinations(destination.index());
    if (absl::StrContains(result.warning(), warning) ||
        result.warning().size() > kWarningSizeMaxBytes) {
      return;
    }
    is_new = true;
    result.set_warning(result.warning().empty() ? warning
                                                : absl::StrCat(result.warning(), "; ", warning));
  });
  if (!is_new) return;
  LogWarning(
      "something is wrong at a destination",
      {{"store", input_.store_name}, {"destination", destination.name()}, {"warning", warning}});
}

void BackupRun::CountWritten(const std::vector<Destination*>& destinations, uint64_t size_bytes) {
  if (destinations.empty()) return;
  {
    MutexLock lock(&mutex_);
    for (const Destination* destination : destinations) has_written_[destination->index()] = true;
  }
  observer_.Update([&](v1::Run& run) {
    for (const Destination* destination : destinations) {
      v1::DestinationResult& result = *run.mutable_destinations(destination->index());
      result.set_objects_written(result.objects_written() + 1);
      result.set_bytes_written(result.bytes_written() + size_bytes);
    }
  });
}

void BackupRun::SetPhase(v1::Run::Phase phase) {
  observer_.Update([phase](v1::Run& run) { run.set_phase(phase); });
}

}  // namespace holdfast
