#ifndef HOLDFAST_COMMON_REPOSITORY_MANIFEST_H_
#define HOLDFAST_COMMON_REPOSITORY_MANIFEST_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/crypto/sealed_file.h"
#include "common/repository/layout.h"
#include "holdfast/repository/v1/repository.pb.h"

namespace holdfast {

// Bounds of the format (FORMAT.md, "Manifests").
inline constexpr uint64_t kSealedManifestSizeMaxBytes = uint64_t{64} << 20;
inline constexpr uint64_t kFileListSizeMaxBytes = uint64_t{256} << 20;
inline constexpr uint64_t kAgentSettingsSizeMaxBytes = uint64_t{1} << 20;

// The description of one backup.
struct Manifest {
  repository::v1::BackupSummary summary;
  repository::v1::FileList files;
};

// Encodes and seals. FAILED_PRECONDITION where it would exceed the bounds.
absl::StatusOr<std::string> SealManifest(const Manifest& manifest, const StoreId& store_id,
                                         const SealingKey& manifest_key,
                                         RandomSource& random = SystemRandom());

// Opens and checks all that FORMAT.md says a reader checks. DATA_LOSS where it breaks a rule,
// UNIMPLEMENTED where it needs a newer version, and the errors of sealed files.
absl::StatusOr<Manifest> OpenManifest(absl::Span<const uint8_t> sealed, const StoreId& store_id,
                                      absl::string_view backup_id, const SealingKey& manifest_key);

// Opens the summary alone. `beginning` as of UnsealFirstSegment.
absl::StatusOr<repository::v1::BackupSummary> OpenManifestSummary(
    absl::Span<const uint8_t> beginning, uint64_t sealed_size_bytes, const StoreId& store_id,
    absl::string_view backup_id, const SealingKey& manifest_key);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_REPOSITORY_MANIFEST_H_
