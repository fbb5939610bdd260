// The costs of the parts that every byte or every file goes through:
//   build/release/tests/bench/holdfast-micro-bench --benchmark_filter=Seal

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "benchmark/benchmark.h"
#include "common/base/random.h"
#include "common/crypto/at_rest_cipher.h"
#include "common/crypto/hash.h"
#include "common/crypto/sealed_file.h"
#include "common/io/xxh3_stream.h"
#include "common/repository/layout.h"
#include "common/repository/manifest.h"
#include "common/storage/local_blob_store.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {
namespace {

using repository::v1::FileEntry;
using repository::v1::ObjectEntry;

constexpr size_t kPieceSizeBytes = size_t{1} << 20;
const StoreId& TheStoreId() {
  static const StoreId store_id = Id128::Generate();
  return store_id;
}

SealingKey MakeKey() { return SealingKey::ForBackup(KeyId{1}, Key::Generate()); }

std::string Noise(size_t size_bytes) {
  std::string bytes(size_bytes, '\0');
  SystemRandom().Fill(absl::MakeSpan(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()));
  return bytes;
}

void SetBytes(benchmark::State& state, size_t bytes) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes));
}

// --- Bytes -----------------------------------------------------------------------------------

void BM_Seal(benchmark::State& state) {
  const SealingKey key = MakeKey();
  const std::string content = Noise(kPieceSizeBytes);
  Sealer sealer(SealedKind::kObject, key, "stores/x", kUnknownContentSize);
  std::string sealed;
  for (auto _ : state) {
    sealed.clear();
    sealer.Update(AsBytes(content), sealed);
    benchmark::DoNotOptimize(sealed.data());
  }
  SetBytes(state, content.size());
}
BENCHMARK(BM_Seal);

void BM_Open(benchmark::State& state) {
  const SealingKey key = MakeKey();
  const std::string sealed =
      Seal(SealedKind::kObject, key, "stores/x", AsBytes(Noise(kPieceSizeBytes)));
  std::string content;
  for (auto _ : state) {
    content.clear();
    Opener opener({.kind = SealedKind::kObject, .path = "stores/x"}, key);
    if (!opener.Update(AsBytes(sealed), content).ok() || !opener.Finish(content).ok()) {
      state.SkipWithError("it does not open");
    }
  }
  SetBytes(state, kPieceSizeBytes);
}
BENCHMARK(BM_Open);

// A read of the database, of so many bytes.
void BM_AtRest(benchmark::State& state) {
  const AtRestStream stream(std::make_shared<const Key>(Key::Generate()), {});
  std::string bytes = Noise(static_cast<size_t>(state.range(0)));
  uint64_t offset = 12'345;
  for (auto _ : state) {
    stream.Apply(offset, absl::MakeSpan(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()));
    offset += bytes.size();
  }
  SetBytes(state, bytes.size());
}
BENCHMARK(BM_AtRest)->Arg(4096)->Arg(1 << 20);

void BM_FileChecksum(benchmark::State& state) {
  const std::string bytes = Noise(kPieceSizeBytes);
  Xxh3Stream checksum;
  for (auto _ : state) checksum.Update(AsBytes(bytes));
  SetBytes(state, bytes.size());
}
BENCHMARK(BM_FileChecksum);

// --- Files -----------------------------------------------------------------------------------

Manifest MakeManifest(int64_t files) {
  constexpr uint64_t kFileSizeBytes = uint64_t{64} << 20;
  Manifest manifest;
  manifest.summary.set_backup_id(MakeBackupId(absl::UnixEpoch()));
  manifest.summary.set_store_id(TheStoreId().ToByteString());
  manifest.summary.set_incarnation(Id128::Generate().ToByteString());
  manifest.summary.set_ordinal(1);
  manifest.summary.set_file_count(static_cast<uint64_t>(files));
  manifest.summary.set_size_bytes(static_cast<uint64_t>(files) * kFileSizeBytes);
  for (int64_t i = 0; i < files; ++i) {
    auto* const object = manifest.files.add_objects();
    object->set_name(MakeObjectName(Id128::Generate().bytes(), absl::UnixEpoch()));
    object->set_key_id(Id128::Generate().ToByteString());
    object->set_codec(ObjectEntry::CODEC_NONE);
    object->set_content_size_bytes(kFileSizeBytes);
    object->set_sealed_size_bytes(SealedSizeBytes(kFileSizeBytes));
    FileEntry* const file = manifest.files.add_files();
    file->set_name(absl::StrFormat("%06d.sst", i));
    file->set_kind(FileEntry::KIND_TABLE);
    file->set_size_bytes(kFileSizeBytes);
    file->set_xxh3_128(std::string(16, 'x'));
    auto* const extent = file->add_extents();
    extent->set_object_index(static_cast<uint32_t>(i));
    extent->set_length(kFileSizeBytes);
  }
  return manifest;
}

void BM_SealManifest(benchmark::State& state) {
  const Manifest manifest = MakeManifest(state.range(0));
  const SealingKey key = MakeKey();
  for (auto _ : state) {
    const absl::StatusOr<std::string> sealed = SealManifest(manifest, TheStoreId(), key);
    if (!sealed.ok()) state.SkipWithError(std::string(sealed.status().message()).c_str());
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
}
BENCHMARK(BM_SealManifest)->Arg(1000)->Arg(50'000)->Unit(benchmark::kMillisecond);

// The name that a run looks for, for each file of a checkpoint.
void BM_ObjectIdentity(benchmark::State& state) {
  const Key key = Key::Generate();
  const std::string checksum(16, 'x');
  uint64_t number = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(ComputeObjectIdentity(key, FileEntry::KIND_TABLE, TheStoreId(),
                                                   ++number, 64 << 20, checksum));
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}
BENCHMARK(BM_ObjectIdentity);

// A blob of 1 MiB, synced, with its folder.
void BM_PutLocally(benchmark::State& state) {
  const TempDir directory;
  const std::string bytes = Noise(kPieceSizeBytes);
  auto blobs = LocalBlobStore::Open(directory.path());
  if (!blobs.ok()) return state.SkipWithError("no directory");
  uint64_t number = 0;
  for (auto _ : state) {
    MemorySource source(bytes);
    if (!(*blobs)->Put(absl::StrFormat("a/%d", ++number), source).ok()) {
      state.SkipWithError("it was not put");
    }
  }
  SetBytes(state, bytes.size());
}
BENCHMARK(BM_PutLocally)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace holdfast

BENCHMARK_MAIN();
