#include "store-service/store_service.h"

#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/base/version.h"
#include "common/database/database_metadata.h"
#include "common/io/files.h"
#include "common/io/path.h"

namespace holdfast {
namespace {

// Documents: reading, and the checks and hashes of writing.
constexpr int kDocumentThreads = 8;
constexpr size_t kDocumentCallsMax = 1'024;
// Checkpoints and status; making a checkpoint may take one for a while.
constexpr int kCheckpointThreads = 3;
constexpr size_t kCheckpointCallsMax = 128;
// Reading of checkpoint files, a chunk at a time.
constexpr int kReadThreads = 4;
constexpr size_t kReadsMax = 256;

constexpr absl::Duration kHousekeepingInterval = absl::Seconds(5);

// The file that `master_key_source` means (see key_source.h); empty where it means none.
std::string MasterKeyPath(absl::string_view master_key_source) {
  if (absl::ConsumePrefix(&master_key_source, "credential:")) {
    const char* const folder = std::getenv("CREDENTIALS_DIRECTORY");
    return folder == nullptr ? std::string() : JoinPath(folder, master_key_source);
  }
  absl::ConsumePrefix(&master_key_source, "file:");
  return master_key_source == "-" ? std::string() : std::string(master_key_source);
}

}  // namespace

StoreService::StoreService(Clock& clock) : clock_(clock), sickness_(&clock) {}

absl::StatusOr<std::unique_ptr<StoreService>> StoreService::Start(const StoreConfig& config,
                                                                  const MasterKey& master_key,
                                                                  Clock& clock) {
  auto store = std::unique_ptr<StoreService>(new StoreService(clock));
  HOLDFAST_RETURN_IF_ERROR(store->Open(config, master_key));
  return store;
}

absl::Status StoreService::Open(const StoreConfig& config, const MasterKey& master_key) {
  absl::StatusOr<std::unique_ptr<DataDirectory>> directory =
      DataDirectory::Open(config.data_directory, master_key);
  if (directory.status().code() == absl::StatusCode::kAborted) {
    // Another process has it: who waits for that to end can try again.
    return WithCode(directory.status(), absl::StatusCode::kUnavailable);
  }
  HOLDFAST_RETURN_IF_ERROR(directory.status());
  directory_ = *std::move(directory);

  HOLDFAST_ASSIGN_OR_RETURN(
      InstanceFiles instance_files,
      InstanceFiles::FromConfiguration({.paths = config.instance_files,
                                        .master_key_path = MasterKeyPath(config.master_key),
                                        .data_directory_path = directory_->path()}));
  instance_files_ = std::make_unique<InstanceFiles>(std::move(instance_files));

  HOLDFAST_ASSIGN_OR_RETURN(
      database_, OpenDatabase(directory_->env(), directory_->database_path(), OpenMode::kServe, {},
                              sickness_.MakeListener()));
  recovery_ = database_->recovery();
  if (recovery_.is_log_damaged) {
    sickness_.Report(Sickness::Kind::kLogDamaged,
                     absl::StrCat("acknowledged writes are missing, those from revision ",
                                  recovery_.lost_from_revision, " on: ", recovery_.message,
                                  "; compare with the newest backup, and have the disk checked"),
                     recovery_.lost_from_revision);
  }
  HOLDFAST_ASSIGN_OR_RETURN(const DatabaseMetadata metadata, ReadMetadata(database_->db()),
                            "open the database");
  if (metadata.store_id() != directory_->store_id()) {
    return absl::DataLossError(
        absl::StrCat("the database in ", directory_->path(), " is that of store ",
                     metadata.store_id().ToText(), ", but the directory is that of store ",
                     directory_->store_id().ToText(), ": files of two stores were mixed"));
  }
  return Serve(config.socket, metadata);
}

absl::Status StoreService::Serve(const std::string& socket, const DatabaseMetadata& metadata) {
  const Committer::FreeSpace free_space = [path = directory_->path()] {
    return FreeSpaceBytes(path);
  };
  committer_ =
      std::make_unique<Committer>(metadata, database_.get(), &sickness_, &clock_, free_space);
  engine_ =
      std::make_unique<DocumentEngine>(database_.get(), committer_.get(), &sickness_, &clock_);
  HOLDFAST_ASSIGN_OR_RETURN(checkpoints_,
                            CheckpointManager::Open({.database = database_.get(),
                                                     .committer = committer_.get(),
                                                     .sickness = &sickness_,
                                                     .clock = &clock_,
                                                     .env = directory_->env(),
                                                     .folder = directory_->checkpoints_path(),
                                                     .instance_files = instance_files_.get(),
                                                     .free_space = free_space}));
  const std::string incarnation = metadata.incarnation().ToText();
  backups_ = std::make_unique<BackupMemory>(directory_.get(), incarnation, &clock_);

  document_executor_ = std::make_unique<BoundedExecutor>(BoundedExecutor::Options{
      .name = "documents", .threads = kDocumentThreads, .queue_max = kDocumentCallsMax});
  checkpoint_executor_ = std::make_unique<BoundedExecutor>(BoundedExecutor::Options{
      .name = "checkpoints", .threads = kCheckpointThreads, .queue_max = kCheckpointCallsMax});
  // A backup must not slow down whom the store is for.
  read_executor_ = std::make_unique<BoundedExecutor>(BoundedExecutor::Options{
      .name = "file-reads", .threads = kReadThreads, .queue_max = kReadsMax, .steps_back = true});

  document_service_ = std::make_unique<DocumentService>(engine_.get(), document_executor_.get());
  std::vector<std::string> earlier_incarnations;
  for (const std::string& bytes : metadata.identity.earlier_incarnations()) {
    HOLDFAST_ASSIGN_OR_RETURN(const Id128 earlier, Id128::FromBytes(bytes));
    earlier_incarnations.push_back(earlier.ToText());
  }
  std::vector<v1::RevisionGap> revision_gaps;
  for (const store::v1::RevisionGap& gap : metadata.identity.revision_gaps()) {
    revision_gaps.emplace_back().set_after(gap.after());
    revision_gaps.back().set_until(gap.until());
  }
  checkpoint_service_ = std::make_unique<CheckpointService>(
      CheckpointService::Options{.checkpoints = checkpoints_.get(),
                                 .backups = backups_.get(),
                                 .committer = committer_.get(),
                                 .sickness = &sickness_,
                                 .clock = &clock_,
                                 .free_space = free_space,
                                 .executor = checkpoint_executor_.get(),
                                 .read_executor = read_executor_.get(),
                                 .store_id = metadata.store_id().ToText(),
                                 .incarnation = incarnation,
                                 .earlier_incarnations = std::move(earlier_incarnations),
                                 .revision_gaps = std::move(revision_gaps),
                                 .open_time = clock_.Now(),
                                 .version = std::string(Version())});
  HOLDFAST_ASSIGN_OR_RETURN(
      server_,
      RpcServer::Start(
          {.socket = socket,
           .services = {{v1::DocumentStore::service_full_name(), document_service_.get()},
                        {v1::Checkpoints::service_full_name(), checkpoint_service_.get()}}}));
  housekeeper_ = Thread("housekeeper", [this] { KeepHouse(); });
  const StoreState state = committer_->state();
  LogInfo("serving", {{"socket", socket},
                      {"store_id", metadata.store_id().ToText()},
                      {"revision", state.revision},
                      {"document_count", state.document_count}});
  return absl::OkStatus();
}

void StoreService::KeepHouse() {
  const Cancellation stop = stop_housekeeping_.token();
  while (SleepFor(clock_, kHousekeepingInterval, stop).ok()) {
    checkpoints_->DropWhatMustGo();
    checkpoint_service_->EndStuckStreams();
    engine_->DropExpiredViews();
  }
}

StoreService::~StoreService() {
  if (is_shut_down_) return;
  const absl::Status status = Shutdown();
  if (!status.ok()) LogWarning("the store did not close in order", {{"error", status}});
}

absl::Status StoreService::Shutdown() {
  is_shut_down_ = true;
  // Calls first: they use all the rest, and end on the executors and in the committer.
  if (server_ != nullptr) server_->Shutdown(kDrainTime);
  stop_housekeeping_.Cancel(absl::CancelledError("the store is closing"));
  housekeeper_.Join();
  for (BoundedExecutor* executor :
       {document_executor_.get(), checkpoint_executor_.get(), read_executor_.get()}) {
    if (executor != nullptr) executor->Shutdown();
  }
  checkpoints_.reset();
  engine_.reset();
  if (committer_ != nullptr) committer_->Shutdown();
  return database_ == nullptr ? absl::OkStatus() : database_->Close();
}

}  // namespace holdfast
