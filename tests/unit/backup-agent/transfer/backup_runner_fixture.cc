#include "tests/unit/backup-agent/transfer/backup_runner_fixture.h"

#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "backup-agent/transfer/worker_pool.h"
#include "common/base/status_macros.h"
#include "common/io/durable_file.h"
#include "common/io/files.h"
#include "common/io/xxh3_stream.h"
#include "common/storage/local_blob_store.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

constexpr uint64_t kAnySize = uint64_t{1} << 30;

}  // namespace

// --- Gate ------------------------------------------------------------------------------------

void Gate::Open() {
  MutexLock lock(&mutex_);
  is_open_ = true;
  changed_.SignalAll();
}

void Gate::Pass() {
  MutexLock lock(&mutex_);
  ++arrivals_;
  changed_.SignalAll();
  while (!is_open_) changed_.Wait(&mutex_);
}

void Gate::AwaitArrival(int count) {
  MutexLock lock(&mutex_);
  while (arrivals_ < count) changed_.Wait(&mutex_);
}

// --- RecordingObserver -----------------------------------------------------------------------

void RecordingObserver::Update(const std::function<void(v1::Run&)>& change) {
  MutexLock lock(&mutex_);
  change(run_);
  changed_.SignalAll();
}

v1::Run RecordingObserver::run() const {
  MutexLock lock(&mutex_);
  return run_;
}

void RecordingObserver::Await(const std::function<bool(const v1::Run&)>& wanted) {
  MutexLock lock(&mutex_);
  while (!wanted(run_)) changed_.Wait(&mutex_);
}

// --- BackupRunnerTest ------------------------------------------------------------------------

BackupRunnerTest::BackupRunnerTest() : master_key_(MasterKey::Generate()), clock_(&SystemClock()) {
  observer_ = std::make_unique<RecordingObserver>();
}

BackupRunnerTest::~BackupRunnerTest() {
  // Whatever was blocked has been freed by now.
  WorkerPool::AwaitLeftBehind();
}

void BackupRunnerTest::UseClock(Clock& clock) {
  clock_ = &clock;
  runner_.reset();
}

void BackupRunnerTest::Hook(const std::string& destination, BlobHook hook) {
  hooks_[absl::StrCat("file://", PathOf(destination))] = std::move(hook);
}

void BackupRunnerTest::AddDestination(const std::string& name) {
  std::filesystem::create_directory(PathOf(name));
  v1::Destination& destination = *settings_.add_destinations();
  destination.set_name(name);
  destination.set_url(absl::StrCat("file://", PathOf(name)));
  ASSERT_OK(runner().PrepareDestination(destination));
}

BackupRunner& BackupRunnerTest::runner() {
  if (runner_ == nullptr) {
    runner_ = BackupRunner::Create(
        {.source = &source_,
         .master_key = &master_key_,
         .clock = clock_,
         .random = &SystemRandom(),
         .scratch_directory = dir_.Path("scratch"),
         .open_blob_store =
             [this](absl::string_view url) -> absl::StatusOr<std::unique_ptr<BlobStore>> {
           HOLDFAST_ASSIGN_OR_RETURN(
               std::unique_ptr<BlobStore> store,
               LocalBlobStore::Open(std::string(absl::StripPrefix(url, "file://"))));
           const auto hook = hooks_.find(std::string(url));
           if (hook == hooks_.end()) return store;
           return std::make_unique<HookedBlobStore>(std::move(store), hook->second);
         }});
  }
  return *runner_;
}

BackupRunOutcome BackupRunnerTest::Run(const Cancellation& cancellation) {
  BackupRunInput input;
  input.store_name = "main";
  input.settings = settings_;
  input.memory = memory_;
  BackupRunOutcome outcome = runner().Run(input, *observer_, cancellation);
  memory_ = outcome.memory;
  return outcome;
}

v1::Backup BackupRunnerTest::Backup() {
  observer_ = std::make_unique<RecordingObserver>();
  const BackupRunOutcome outcome = Run();
  EXPECT_OK(outcome.status);
  EXPECT_TRUE(outcome.backup.has_value());
  return outcome.backup.value_or(v1::Backup());
}

std::string BackupRunnerTest::PathOf(const std::string& destination) const {
  return dir_.Path(destination);
}

BackupRunnerTest::Opened BackupRunnerTest::Open(const std::string& destination) {
  Opened opened;
  absl::StatusOr<std::unique_ptr<LocalBlobStore>> blobs = LocalBlobStore::Open(PathOf(destination));
  EXPECT_OK(blobs);
  opened.blobs = *std::move(blobs);
  const absl::StatusOr<Repository> repository = Repository::Open(*opened.blobs);
  EXPECT_OK(repository);
  absl::StatusOr<std::unique_ptr<StoreRepository>> store =
      repository->OpenStore(*StoreId::FromText(source_.state().store_id()), master_key_);
  EXPECT_OK(store);
  if (store.ok()) opened.store = *std::move(store);
  return opened;
}

std::map<std::string, std::string> BackupRunnerTest::Blobs(const std::string& destination) {
  std::map<std::string, std::string> blobs;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(PathOf(destination))) {
    if (!entry.is_regular_file()) continue;
    const std::string path = entry.path().lexically_relative(PathOf(destination)).string();
    if (!absl::StartsWith(path, "stores/") || absl::StrContains(path, "/keys/")) continue;
    blobs[path] = *ReadFile(entry.path().string(), kAnySize, Links::kRefuse);
  }
  return blobs;
}

std::vector<std::string> BackupRunnerTest::Names(const std::string& destination,
                                                 absl::string_view folder) {
  std::vector<std::string> names;
  for (const auto& [path, content] : Blobs(destination)) {
    if (absl::StrContains(path, absl::StrCat("/", folder, "/"))) names.push_back(path);
  }
  return names;
}

int BackupRunnerTest::TemporaryFiles(const std::string& destination) {
  int count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(PathOf(destination))) {
    count += absl::StartsWith(entry.path().filename().string(), kTemporaryPrefix);
  }
  return count;
}

std::map<std::string, std::string> BackupRunnerTest::Restore(const std::string& destination,
                                                             const std::string& backup_id) {
  std::map<std::string, std::string> files;
  const Opened opened = Open(destination);
  const absl::StatusOr<StoreRepository::LoadedManifest> loaded =
      opened.store->LoadManifest(backup_id);
  EXPECT_OK(loaded);
  if (!loaded.ok()) return files;
  std::vector<std::string> contents;
  for (const repository::v1::ObjectEntry& object : loaded->manifest.files.objects()) {
    std::string& content = contents.emplace_back();
    absl::StatusOr<std::unique_ptr<ByteSource>> source = opened.store->ReadObject(object);
    EXPECT_OK(source);
    if (!source.ok()) continue;
    while (true) {
      const absl::StatusOr<absl::Span<const uint8_t>> piece = (*source)->Next();
      EXPECT_OK(piece);
      if (!piece.ok() || piece->empty()) break;
      absl::StrAppend(&content, AsText(*piece));
    }
  }
  for (const repository::v1::FileEntry& file : loaded->manifest.files.files()) {
    std::string& content = files[file.name()];
    for (const repository::v1::Extent& extent : file.extents()) {
      content += contents.at(extent.object_index()).substr(extent.offset(), extent.length());
    }
    EXPECT_EQ(content.size(), file.size_bytes()) << file.name();
    EXPECT_EQ(Xxh3Of(content), file.xxh3_128()) << file.name();
  }
  return files;
}

void BackupRunnerTest::Damage(const std::string& destination, const std::string& path) {
  const std::string full_path = absl::StrCat(PathOf(destination), "/", path);
  const auto middle = static_cast<std::streamoff>(std::filesystem::file_size(full_path) / 2);
  std::fstream file(full_path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(middle);
  const int byte = file.get();
  file.seekp(middle);
  file.put(static_cast<char>(byte ^ 1));
  ASSERT_TRUE(file.good());
}

}  // namespace holdfast
