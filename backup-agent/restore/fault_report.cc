#include "backup-agent/restore/fault_report.h"

#include <optional>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/crypto/sealed_file.h"
#include "common/repository/layout.h"
#include "common/storage/blob_store.h"

namespace holdfast {

namespace {

// How many headers are read at most in search of a file that was renamed.
constexpr int kHeadersReadMax = 10'000;

// Ends a listing early; never leaves this file.
absl::Status StopListing() { return absl::CancelledError("found"); }

std::optional<Hash256> ReadPathHash(BlobStore& blobs, absl::string_view path) {
  absl::StatusOr<std::unique_ptr<ByteSource>> source = blobs.Get(path, 0, kSealedHeaderSizeBytes);
  if (!source.ok()) return std::nullopt;
  std::string header;
  while (header.size() < kSealedHeaderSizeBytes) {
    const absl::StatusOr<absl::Span<const uint8_t>> piece = (*source)->Next();
    if (!piece.ok() || piece->empty()) return std::nullopt;
    header.append(reinterpret_cast<const char*>(piece->data()), piece->size());
  }
  const absl::StatusOr<SealedHeader> parsed = ParseSealedHeader(AsBytes(header));
  if (!parsed.ok()) return std::nullopt;
  return parsed->path_hash;
}

// The name whose hash is in a header, if a file here has it.
std::optional<std::string> FindName(const StoreRepository& store, const Hash256& path_hash) {
  std::optional<std::string> name;
  (void)store.blobs().List(StorePath(store.store_id()), [&](const BlobInfo& blob) {
    if (SealedPathHash(blob.name) != path_hash) return absl::OkStatus();
    name = blob.name;
    return StopListing();
  });
  return name;
}

// `status` with more at the end of its message.
absl::Status AddToMessage(const absl::Status& status, absl::string_view more) {
  absl::Status longer(status.code(), absl::StrCat(status.message(), "; ", more));
  status.ForEachPayload([&longer](absl::string_view type, const absl::Cord& payload) {
    longer.SetPayload(type, payload);
  });
  return longer;
}

// The file that was sealed as `path` and now has another name.
std::optional<std::string> FindRenamed(const StoreRepository& store, absl::string_view path) {
  const Hash256 wanted = SealedPathHash(path);
  std::optional<std::string> name;
  int headers_read = 0;
  (void)store.blobs().List(StorePath(store.store_id()), [&](const BlobInfo& blob) {
    if (++headers_read > kHeadersReadMax) return StopListing();
    if (ReadPathHash(store.blobs(), blob.name) != wanted) return absl::OkStatus();
    name = blob.name;
    return StopListing();
  });
  return name;
}

}  // namespace

absl::Status ExplainFault(const StoreRepository& store, absl::string_view path,
                          const absl::Status& status) {
  if (status.ok()) return status;
  // A destination that is gone is no damage.
  HOLDFAST_RETURN_IF_ERROR(store.CheckThatOnlyTheFileFailed(status));
  if (absl::IsNotFound(status)) {
    const std::optional<std::string> renamed = FindRenamed(store, path);
    return absl::DataLossError(renamed.has_value()
                                   ? absl::StrCat(path, ": missing; it was renamed to ", *renamed)
                                   : absl::StrCat(path, ": missing"));
  }
  if (GetSealedFault(status) != SealedFault::kOtherName) return status;
  const std::optional<Hash256> hash = ReadPathHash(store.blobs(), path);
  if (!hash.has_value()) return status;
  const std::optional<std::string> name = FindName(store, *hash);
  std::string explanation;
  if (!name.has_value()) {
    explanation = "no file here has the name that it was sealed under";
  } else if (ReadPathHash(store.blobs(), *name) == SealedPathHash(path)) {
    explanation = absl::StrCat("it was swapped with ", *name);
  } else {
    explanation = absl::StrCat("it holds the bytes of ", *name);
  }
  return AddToMessage(status, explanation);
}

}  // namespace holdfast
