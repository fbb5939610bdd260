#include "backup-agent/transfer/backup_runner.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "backup-agent/transfer/awaited_blob_store.h"
#include "backup-agent/transfer/backup_run.h"
#include "backup-agent/transfer/destination.h"
#include "backup-agent/transfer/transfer_limits.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/messages/backup_message.h"
#include "common/messages/proto_time.h"
#include "common/repository/store_repairer.h"
#include "common/storage/open_blob_store.h"

namespace holdfast {
namespace {

using repository::v1::BackupSummary;
using repository::v1::Mark;

// The damages, and the backups of each, that a proof shows.
constexpr int kDamagesShownMax = 100;

// Whether the store has ever had backups there.
absl::StatusOr<bool> HasBackups(const OpenDestination& open) {
  if (open.store != nullptr) return true;
  if (absl::IsNotFound(open.store_status)) return false;
  return open.store_status;
}

// What one destination tells of its backups.
struct ListedAt {
  std::vector<ListedBackup> backups;  // oldest first by lineage
  // The hash of the newest one's manifest; that of the others is in the one that follows.
  std::string latest_hash;
  PlaceWarning warning;
};

absl::StatusOr<ListedAt> ListAt(const OpenDestination& open) {
  ListedAt listed;
  listed.warning = open.place->Warning();
  HOLDFAST_ASSIGN_OR_RETURN(const bool has_backups, HasBackups(open));
  if (!has_backups) return listed;
  HOLDFAST_ASSIGN_OR_RETURN(BackupListing listing, open.store->ListBackups());
  listed.backups = std::move(listing.backups);
  if (!listed.backups.empty()) {
    // A manifest that can't be read whole is still listed, without its hash.
    const absl::StatusOr<StoreRepository::LoadedManifest> loaded =
        open.store->LoadManifest(listed.backups.back().summary.backup_id());
    if (loaded.ok()) {
      listed.latest_hash = std::string(AsText(loaded->sealed_hash));
    }
  }
  return listed;
}

// What a destination tells of which backups must stay at all of them.
struct KeptAt {
  std::string newest_proven;  // empty where a drill restored none
  PinDecisions pins;
};

absl::StatusOr<KeptAt> KeptByWhatIsAt(const OpenDestination& open) {
  KeptAt kept;
  HOLDFAST_ASSIGN_OR_RETURN(const bool has_backups, HasBackups(open));
  if (!has_backups) return kept;
  HOLDFAST_ASSIGN_OR_RETURN(const BackupListing listing, open.store->ListBackups());
  AddPinDecisions(listing, kept.pins);
  for (auto backup = listing.backups.rbegin(); backup != listing.backups.rend(); ++backup) {
    if (backup->drill_time == absl::InfinitePast() || backup->is_damaged) continue;
    kept.newest_proven = backup->summary.backup_id();
    break;
  }
  return kept;
}

// Marks a backup there. False where it is not there.
absl::StatusOr<bool> MarkAt(const OpenDestination& open, const std::string& backup_id,
                            Mark::Kind kind, absl::Time now) {
  HOLDFAST_ASSIGN_OR_RETURN(const bool has_backups, HasBackups(open));
  if (!has_backups) return false;
  absl::Status marked;
  if (kind == Mark::KIND_DELETED) {
    marked = DeleteBackup(*open.store, backup_id, now);
  } else if (kind == Mark::KIND_UNDELETED) {
    marked = UndeleteBackup(*open.store, backup_id, now);
  } else {
    marked = PinBackup(*open.store, backup_id, kind == Mark::KIND_PINNED, now);
  }
  if (absl::IsNotFound(marked)) return false;
  HOLDFAST_RETURN_IF_ERROR(marked);
  return true;
}

// What is wrong with a file; errors of files that were read begin with their paths.
std::string WithoutPath(const CheckFinding& finding) {
  return std::string(MessageWithout(finding.status, finding.path));
}

// Adds what a check or drill found to the proof.
void Describe(const ProofFindings& found, v1::Proof& proof) {
  if (!found.backup_id.empty()) proof.set_backup_id(found.backup_id);
  if (found.restore_duration > absl::ZeroDuration()) {
    *proof.mutable_restore_duration() = ToProto(found.restore_duration);
  }
  proof.set_damage_count(found.findings.size() + found.mended.size());
  proof.set_repaired_count(found.mended.size());
  const auto add = [&proof](const CheckFinding& finding, const std::string& repaired_from) {
    if (proof.damages_size() >= kDamagesShownMax) return;
    v1::Proof::Damage& damage = *proof.add_damages();
    damage.set_repaired_from(repaired_from);
    damage.set_path(finding.path);
    damage.set_error(WithoutPath(finding));
    for (const std::string& backup_id : finding.backup_ids) {
      if (damage.backup_ids_size() >= kDamagesShownMax) break;
      damage.add_backup_ids(backup_id);
    }
  };
  for (const CheckFinding& finding : found.findings) add(finding, "");
  for (const MendedFile& file : found.mended) add(file.finding, file.source_name);
  if (found.findings.empty() && found.mended.empty()) {
    proof.set_state(v1::Proof::STATE_SUCCEEDED);
    return;
  }
  proof.set_state(v1::Proof::STATE_DAMAGED);
  if (found.findings.empty()) {
    std::set<std::string> sources;
    for (const MendedFile& file : found.mended) sources.insert(file.source_name);
    proof.set_error(absl::StrCat(found.mended.size(),
                                 found.mended.size() == 1 ? " file was" : " files were",
                                 " damaged, and mended from ", absl::StrJoin(sources, ", ")));
    return;
  }
  const CheckFinding& first = found.findings.front();
  proof.set_error(absl::StrCat(
      first.path, ": ", WithoutPath(first),
      found.findings.size() == 1 ? std::string()
                                 : absl::StrCat("; and ", found.findings.size() - 1, " more"),
      found.not_mended.empty() ? std::string() : absl::StrCat("; not mended: ", found.not_mended)));
}

// Another destination that what is damaged may be mended from. Its calls run on its own threads.
struct Source {
  std::shared_ptr<Destination> destination;
  std::shared_ptr<OpenDestination> open;
};

// Mends what was found at `open` with what `sources` hold whole, and returns what is left.
absl::StatusOr<ProofFindings> Mend(const ProofFindings& found, const OpenDestination& open,
                                   const StoreId& store_id, const std::vector<Source>& sources,
                                   const MasterKey& master_key, Clock& clock,
                                   const Prover::OnStep& on_step, const Cancellation& gone) {
  ProofFindings left = found;
  if (!open.repository.has_value()) return left;
  std::vector<StoreRepository*> others;
  std::map<std::string, std::string> names;  // by place
  for (const Source& source : sources) {
    others.push_back(source.open->store.get());
    names[source.open->store->blobs().Describe()] = source.destination->name();
  }
  StoreRepairer repairer(*open.repository, store_id, master_key, others, clock);
  HOLDFAST_RETURN_IF_ERROR(repairer.Open());
  HOLDFAST_RETURN_IF_ERROR(repairer.Repair(
      found.report, [&on_step](uint64_t, uint64_t) { on_step(); }, gone));
  for (const RepairedFile& file : repairer.files()) {
    if (!file.status.ok()) {
      if (left.not_mended.empty()) left.not_mended = std::string(file.status.message());
      continue;
    }
    const auto finding =
        std::find_if(left.findings.begin(), left.findings.end(),
                     [&file](const CheckFinding& one) { return one.path == file.path; });
    if (finding == left.findings.end()) continue;
    const auto name = names.find(file.repaired_from);
    left.mended.push_back({*finding, name == names.end() ? file.repaired_from : name->second});
    left.findings.erase(finding);
  }
  return left;
}

// The command that makes the directory or folder of a destination.
std::string HowToMake(const std::string& url) {
  const absl::StatusOr<std::string> directory = DirectoryOfBlobStoreUrl(url);
  return directory.ok() ? absl::StrCat("`mkdir -m 700 '", *directory, "'`")
                        : absl::StrCat("`rclone mkdir '", absl::StripPrefix(url, "rclone:"), "'`");
}

// Makes the repository, unless there is one, and returns its id.
absl::StatusOr<std::string> PrepareAt(const BlobStoreOpener& open_blob_store,
                                      const std::string& url, absl::Time now) {
  absl::StatusOr<std::unique_ptr<BlobStore>> blobs = open_blob_store(url);
  if (absl::IsNotFound(blobs.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat(url,
                     " does not exist: mount the share that belongs there; or, where it is not a "
                     "share, make it (",
                     HowToMake(url), "), and say this again"));
  }
  HOLDFAST_RETURN_IF_ERROR(blobs.status());
  absl::StatusOr<Repository> opened = Repository::Open(**blobs);
  if (absl::IsNotFound(opened.status())) {
    opened = Repository::Create(**blobs, now);
    // Another agent may have made it at the same moment.
    if (absl::IsAlreadyExists(opened.status())) opened = Repository::Open(**blobs);
  }
  HOLDFAST_RETURN_IF_ERROR(opened.status());
  return opened->repository_id().ToText();
}

// When a destination has stalled.
struct StallLimit {
  absl::Duration stall_max = kListingMax;
  // What shows that the work goes on; a counter of its own for each destination unless set.
  ProgressCounter steps = nullptr;
};

class BackupRunnerImpl : public BackupRunner {
 public:
  explicit BackupRunnerImpl(const Dependencies& dependencies)
      : dependencies_(dependencies),
        master_key_(std::make_shared<const MasterKey>(dependencies.master_key->Clone())) {
    if (!dependencies_.open_blob_store) {
      dependencies_.open_blob_store = [](absl::string_view url) { return OpenBlobStore(url); };
    }
  }

  BackupRunOutcome Run(const BackupRunInput& input, RunObserver& observer,
                       const Cancellation& cancellation) override {
    return BackupRun(dependencies_, master_key_, input, observer, cancellation).Run();
  }

  absl::StatusOr<Listing> ListBackups(const v1::Settings& settings,
                                      const agent::v1::StoreMemory& memory,
                                      const Cancellation& cancellation) override {
    Listing listing;
    if (memory.store_id().empty()) return listing;  // never reached, so never backed up
    HOLDFAST_ASSIGN_OR_RETURN(const StoreId store_id, StoreId::FromText(memory.store_id()));

    std::map<std::string, v1::Backup> backups;  // by id
    std::map<std::string, std::string> hashes;  // of manifests, by backup id
    const std::vector<Answer<ListedAt>> answers = AtEachDestination<ListedAt>(
        settings, memory, store_id, "list the backups",
        [](const std::shared_ptr<OpenDestination>& open, const Cancellation&,
           const ProgressCounter&) { return ListAt(*open); },
        cancellation);
    for (const auto& [name, listed] : answers) {
      if (!listed.ok()) {
        listing.errors[name] = listed.status();
        continue;
      }
      if (!listed->warning.text.empty()) listing.warnings[name] = listed->warning;
      for (const ListedBackup& at_destination : listed->backups) {
        const BackupSummary& summary = at_destination.summary;
        v1::Backup& backup =
            backups.try_emplace(summary.backup_id(), DescribeBackup(summary)).first->second;
        backup.add_destination_names(name);
        if (at_destination.is_damaged) backup.add_damaged_destination_names(name);
        if (at_destination.pinned) backup.set_pinned(true);
        Drilled& drilled =
            listing.drilled.try_emplace(name, Drilled{"", absl::InfinitePast()}).first->second;
        if (at_destination.drill_time > drilled.time) {
          drilled = {summary.backup_id(), at_destination.drill_time};
        }
        if (at_destination.drill_time > FromProto(backup.drill_time())) {
          *backup.mutable_drill_time() = ToProto(at_destination.drill_time);
        }
        if (!summary.previous_backup_id().empty()) {
          hashes.try_emplace(summary.previous_backup_id(), summary.previous_manifest_hash());
        }
      }
      if (!listed->latest_hash.empty()) {
        hashes[listed->backups.back().summary.backup_id()] = listed->latest_hash;
      }
    }
    std::erase_if(listing.drilled,
                  [](const auto& entry) { return entry.second.backup_id.empty(); });
    for (auto& [backup_id, backup] : backups) {
      const auto hash = hashes.find(backup_id);
      if (hash != hashes.end()) backup.set_manifest_hash(hash->second);
      listing.backups.push_back(std::move(backup));
    }
    std::sort(listing.backups.begin(), listing.backups.end(),
              [](const v1::Backup& a, const v1::Backup& b) {
                return std::make_tuple(a.ordinal(), a.revision(), a.backup_id()) >
                       std::make_tuple(b.ordinal(), b.revision(), b.backup_id());
              });
    return listing;
  }

  std::vector<PruneResult> Prune(const v1::Settings& settings, const agent::v1::StoreMemory& memory,
                                 const PruneRequest& request,
                                 const Cancellation& cancellation) override {
    std::vector<PruneResult> results;
    const absl::StatusOr<StoreId> store_id = StoreId::FromText(memory.store_id());
    if (!store_id.ok()) {  // never reached, so never backed up
      for (const v1::Destination& config : settings.destinations()) {
        results.push_back({config.name(), PruneReport()});
      }
      return results;
    }
    // The newest backup that was proven anywhere stays everywhere, and what was said last of a pin
    // holds everywhere, also where it could not be said. A destination knows that of its own.
    std::vector<std::string> proven = request.proven_backup_ids;
    PinDecisions pins;
    if (settings.destinations_size() > 1) {
      AddWhatIsKept(settings, memory, *store_id, cancellation, proven, pins);
    }
    std::vector<Answer<PruneReport>> answers = AtEachDestination<PruneReport>(
        settings, memory, *store_id, "prune",
        [request, proven, pins, clock = dependencies_.clock](
            const std::shared_ptr<OpenDestination>& open, const Cancellation& gone,
            const ProgressCounter& progress) -> absl::StatusOr<PruneReport> {
          HOLDFAST_ASSIGN_OR_RETURN(const bool has_backups, HasBackups(*open));
          if (!has_backups) return PruneReport();
          return Pruner(*open->store, *clock)
              .Prune(request.policy,
                     {.is_dry_run = request.is_dry_run,
                      .kept_backup_ids = proven,
                      .pins = pins,
                      .removal_refusal = request.removal_refusal,
                      .deleted_kept_for = request.deleted_kept_for,
                      .is_clock_trusted = request.removal_refusal.empty(),
                      .on_progress = [progress] { ++*progress; }},
                     gone);
        },
        cancellation);
    for (Answer<PruneReport>& answer : answers) {
      results.push_back({std::move(answer.destination_name), std::move(answer.result)});
    }
    return results;
  }

  std::vector<MarkResult> Mark(const v1::Settings& settings, const agent::v1::StoreMemory& memory,
                               const std::string& backup_id, repository::v1::Mark::Kind kind,
                               const Cancellation& cancellation) override {
    std::vector<MarkResult> results;
    const absl::StatusOr<StoreId> store_id = StoreId::FromText(memory.store_id());
    if (!store_id.ok()) {  // never reached, so never backed up
      for (const v1::Destination& config : settings.destinations()) {
        results.push_back({config.name(), false});
      }
      return results;
    }
    for (Answer<bool>&answer : AtEachDestination<bool>(
             settings, memory, *store_id, "mark the backup",
             [backup_id, kind, now = dependencies_.clock->Now()](
                 const std::shared_ptr<OpenDestination>&open, const Cancellation&,
                 const ProgressCounter&) { return MarkAt(*open, backup_id, kind, now); },
             cancellation)) {
      results.push_back({std::move(answer.destination_name), std::move(answer.result)});
    }
    return results;
  }

  v1::Proof Prove(const v1::Settings& settings, const agent::v1::StoreMemory& memory,
                  const v1::Proof& proof, const std::shared_ptr<ProofProgress>& progress,
                  const Cancellation& cancellation) override {
    v1::Proof ended = proof;
    const absl::StatusOr<ProofFindings> found =
        ProveAtDestination(settings, memory, proof, progress, cancellation);
    if (found.ok()) {
      Describe(*found, ended);
    } else {
      ended.set_state(v1::Proof::STATE_FAILED);
      ended.set_error(std::string(found.status().message()));
      ended.set_no_such_backup(absl::IsNotFound(found.status()) && !proof.backup_id().empty());
    }
    return ended;
  }

  absl::StatusOr<std::string> PrepareDestination(const v1::Destination& config) override {
    if (WorkerPool::HasLeftBehind(config.url())) {
      return absl::FailedPreconditionError(
          absl::StrCat("destination ", config.name(),
                       " is unresponsive: an earlier call into it has still not returned"));
    }
    using Prepared = absl::StatusOr<std::string>;
    Destination destination(config, 0, Cancellation(), *dependencies_.clock, nullptr);
    Prepared prepared = destination.Await(
        destination.Start<Prepared>(
            [open_blob_store = dependencies_.open_blob_store, url = config.url(),
             now = dependencies_.clock->Now()] { return PrepareAt(open_blob_store, url, now); }),
        absl::StrCat("destination ", config.name()), kStallMax);
    destination.Shutdown(dependencies_.clock->MonotonicNow() + kShutdownGrace);
    if (prepared.ok()) return prepared;
    return WithCode(prepared.status(), absl::StatusCode::kFailedPrecondition);
  }

 private:
  // Adds what each destination tells of which backups must stay at all of them.
  void AddWhatIsKept(const v1::Settings& settings, const agent::v1::StoreMemory& memory,
                     const StoreId& store_id, const Cancellation& cancellation,
                     std::vector<std::string>& proven, PinDecisions& pins) {
    for (const Answer<KeptAt>&answer : AtEachDestination<KeptAt>(
             settings, memory, store_id, "list the backups",
             [](const std::shared_ptr<OpenDestination>&open, const Cancellation&,
                const ProgressCounter&) { return KeptByWhatIsAt(*open); },
             cancellation)) {
      if (!answer.result.ok()) continue;
      if (!answer.result->newest_proven.empty()) proven.push_back(answer.result->newest_proven);
      for (const auto& [backup_id, mark_name] : answer.result->pins) {
        pins[backup_id] = std::max(pins[backup_id], mark_name);
      }
    }
  }

  absl::StatusOr<ProofFindings> ProveAtDestination(const v1::Settings& settings,
                                                   const agent::v1::StoreMemory& memory,
                                                   const v1::Proof& proof,
                                                   const std::shared_ptr<ProofProgress>& progress,
                                                   const Cancellation& cancellation) {
    HOLDFAST_ASSIGN_OR_RETURN(const StoreId store_id, StoreId::FromText(memory.store_id()),
                              "there is no backup yet");
    v1::Settings one_destination;
    for (const v1::Destination& config : settings.destinations()) {
      if (config.name() == proof.destination_name()) *one_destination.add_destinations() = config;
    }
    if (one_destination.destinations().empty()) {
      return absl::NotFoundError("the destination is no longer in the settings");
    }
    const auto scratch_directory = dependencies_.scratch_directory;
    std::vector<Answer<ProofFindings>> answers = AtEachDestination<ProofFindings>(
        one_destination, memory, store_id,
        proof.kind() == v1::Proof::KIND_DRILL ? "drill" : "check",
        [proof, progress, master_key = master_key_, clock = dependencies_.clock,
         random = dependencies_.random,
         scratch_directory](const std::shared_ptr<OpenDestination>& open, const Cancellation& gone,
                            const ProgressCounter& steps) -> absl::StatusOr<ProofFindings> {
          HOLDFAST_ASSIGN_OR_RETURN(const bool has_backups, HasBackups(*open));
          if (!has_backups) return absl::NotFoundError("there is no backup yet");
          Prover prover(*open->store, *master_key, *clock, *random);
          const Prover::OnStep on_step = [steps] { ++*steps; };
          HOLDFAST_ASSIGN_OR_RETURN(
              ProofFindings found,
              proof.kind() == v1::Proof::KIND_DRILL
                  ? prover.Drill(proof.backup_id(), scratch_directory, *progress, on_step, gone)
                  : prover.Check(proof.shares() == 0 ? 0 : proof.share() - 1, proof.shares(),
                                 *progress, on_step, gone));
          // What is not whole may be mended first.
          if (found.findings.empty()) {
            HOLDFAST_RETURN_IF_ERROR(prover.Remember(found, on_step, gone),
                                     "remember what was found");
          }
          return found;
        },
        cancellation);
    HOLDFAST_ASSIGN_OR_RETURN(ProofFindings found, std::move(answers.front().result));
    if (found.findings.empty()) return found;

    v1::Settings others;
    for (const v1::Destination& config : settings.destinations()) {
      if (config.name() != proof.destination_name()) *others.add_destinations() = config;
    }
    const ProgressCounter calls = MakeProgressCounter();
    std::vector<Source> sources = OpenSources(others, memory, store_id, calls, cancellation, found);
    answers = AtEachDestination<ProofFindings>(
        one_destination, memory, store_id, "mend what is damaged",
        [found = std::move(found), sources, store_id, master_key = master_key_,
         clock = dependencies_.clock, random = dependencies_.random](
            const std::shared_ptr<OpenDestination>& open, const Cancellation& gone,
            const ProgressCounter& steps) -> absl::StatusOr<ProofFindings> {
          const Prover::OnStep on_step = [steps] { ++*steps; };
          HOLDFAST_ASSIGN_OR_RETURN(ProofFindings left, Mend(found, *open, store_id, sources,
                                                             *master_key, *clock, on_step, gone));
          HOLDFAST_ASSIGN_OR_RETURN(const bool has_backups, HasBackups(*open));
          if (!has_backups) return left;
          HOLDFAST_RETURN_IF_ERROR(
              Prover(*open->store, *master_key, *clock, *random).Remember(left, on_step, gone),
              "remember what was found");
          return left;
        },
        cancellation, {.stall_max = kMendMax, .steps = calls});
    for (Source& source : sources) Close(source);
    return std::move(answers.front().result);
  }

  // Opens the other destinations that hold backups of the store; where one can't be read, says so
  // in `found`. `calls` goes up with each call into one of them.
  std::vector<Source> OpenSources(const v1::Settings& settings,
                                  const agent::v1::StoreMemory& memory, const StoreId& store_id,
                                  const ProgressCounter& calls, const Cancellation& cancellation,
                                  ProofFindings& found) {
    std::vector<Source> sources;
    for (const v1::Destination& config : settings.destinations()) {
      Source source = {.destination = std::make_shared<Destination>(config, 0, cancellation,
                                                                    *dependencies_.clock, nullptr),
                       .open = nullptr};
      const absl::Status opened = OpenSource(memory, store_id, calls, source);
      if (opened.ok() && source.open->store != nullptr) {
        sources.push_back(std::move(source));
        continue;
      }
      if (!opened.ok() && found.not_mended.empty()) {
        found.not_mended = absl::StrCat("destination ", config.name(), ": ", opened.message());
      }
      Close(source);
    }
    return sources;
  }

  absl::Status OpenSource(const agent::v1::StoreMemory& memory, const StoreId& store_id,
                          const ProgressCounter& calls, Source& source) {
    if (WorkerPool::HasLeftBehind(source.destination->url())) return LeftBehindError();
    OpenRequest request = MakeOpenRequest(*source.destination, memory, store_id);
    request.open_blob_store = [destination = source.destination, calls,
                               open_blob_store = dependencies_.open_blob_store](absl::string_view) {
      return AwaitedBlobStore::Open(destination, open_blob_store, calls);
    };
    HOLDFAST_ASSIGN_OR_RETURN(source.open, OpenRepositoryAt(request));
    return absl::OkStatus();
  }

  // Lets go of the place first, which needs the threads.
  void Close(Source& source) const {
    source.open.reset();
    source.destination->Shutdown(dependencies_.clock->MonotonicNow() + kShutdownGrace);
  }

  static absl::Status LeftBehindError() {
    return absl::UnavailableError(
        "it is unresponsive: an earlier call into it has still not returned");
  }

  OpenRequest MakeOpenRequest(const Destination& destination, const agent::v1::StoreMemory& memory,
                              const StoreId& store_id) const {
    const auto remembered = memory.destinations().find(destination.name());
    return {.open_blob_store = dependencies_.open_blob_store,
            .url = destination.url(),
            .pinned_repository_id =
                remembered == memory.destinations().end() ? "" : remembered->second.repository_id(),
            .store_id = store_id,
            .master_key = master_key_,
            .cancellation = destination.cancellation()};
  }

  template <typename T>
  struct Answer {
    std::string destination_name;
    absl::StatusOr<T> result;
  };

  // Opens each destination and does `work` there, on threads of the destination's own, at all of
  // them at once. `work` may outlive this call: it must own all that it uses.
  template <typename T>
  std::vector<Answer<T>> AtEachDestination(
      const v1::Settings& settings, const agent::v1::StoreMemory& memory, const StoreId& store_id,
      absl::string_view what,
      const std::function<absl::StatusOr<T>(const std::shared_ptr<OpenDestination>&,
                                            const Cancellation&, const ProgressCounter&)>& work,
      const Cancellation& cancellation, const StallLimit& limit = {}) {
    struct Asked {
      std::unique_ptr<Destination> destination;
      Pending<absl::StatusOr<T>> result;
      StallWatch watch;
      absl::StatusOr<T>* answer;  // nullptr once it was given
    };
    std::vector<Answer<T>> answers;
    for (const v1::Destination& config : settings.destinations()) {
      answers.push_back({config.name(), LeftBehindError()});
    }
    std::vector<Asked> asked;
    for (int i = 0; i < settings.destinations_size(); ++i) {
      const v1::Destination& config = settings.destinations(i);
      if (WorkerPool::HasLeftBehind(config.url())) continue;
      auto destination =
          std::make_unique<Destination>(config, 0, cancellation, *dependencies_.clock, nullptr);
      const ProgressCounter progress = limit.steps == nullptr ? MakeProgressCounter() : limit.steps;
      Pending<absl::StatusOr<T>> result = destination->template Start<absl::StatusOr<T>>(
          [request = MakeOpenRequest(*destination, memory, store_id), work,
           progress]() -> absl::StatusOr<T> {
            HOLDFAST_ASSIGN_OR_RETURN(const std::shared_ptr<OpenDestination> open,
                                      OpenRepositoryAt(request));
            return work(open, request.cancellation, progress);
          });
      asked.push_back({.destination = std::move(destination),
                       .result = std::move(result),
                       .watch = StallWatch(*dependencies_.clock, limit.stall_max, progress),
                       .answer = &answers[i].result});
    }
    // All are watched at once, so that many that are stuck take no longer than one.
    while (true) {
      const auto next =
          std::min_element(asked.begin(), asked.end(), [](const Asked& a, const Asked& b) {
            return std::make_tuple(a.answer == nullptr, a.watch.deadline()) <
                   std::make_tuple(b.answer == nullptr, b.watch.deadline());
          });
      if (next == asked.end() || next->answer == nullptr) break;
      Destination& destination = *next->destination;
      const absl::Status waited = next->result.AwaitUntil(
          *dependencies_.clock, destination.cancellation(), next->watch.deadline());
      if (absl::IsDeadlineExceeded(waited) && !next->watch.HasStalled()) continue;
      *next->answer = destination.Await(next->result, what, next->watch);
      next->answer = nullptr;
      destination.Shutdown(dependencies_.clock->MonotonicNow() + kShutdownGrace);
    }
    return answers;
  }

  Dependencies dependencies_;
  const std::shared_ptr<const MasterKey> master_key_;
};

}  // namespace

std::unique_ptr<BackupRunner> BackupRunner::Create(const Dependencies& dependencies) {
  HOLDFAST_CHECK(dependencies.source != nullptr && dependencies.master_key != nullptr &&
                 dependencies.clock != nullptr && dependencies.random != nullptr);
  return std::make_unique<BackupRunnerImpl>(dependencies);
}

}  // namespace holdfast
