#include "common/repository/blob_calls.h"

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/crypto/sealed_file.h"
#include "common/repository/layout.h"

namespace holdfast {

absl::Status PutAndCompare(BlobStore& blobs, const std::string& name, absl::string_view bytes) {
  MemorySource source(bytes);
  const absl::Status put = blobs.Put(name, source);
  if (absl::IsAlreadyExists(put)) {
    const absl::StatusOr<std::string> existing = ReadBlob(blobs, name, bytes.size());
    return existing.ok() && *existing == bytes ? absl::OkStatus() : put;
  }
  HOLDFAST_RETURN_IF_ERROR(put);
  HOLDFAST_ASSIGN_OR_RETURN(const std::string read, ReadBlob(blobs, name, bytes.size()),
                            absl::StrCat("read back ", name));
  if (read == bytes) return absl::OkStatus();
  // What never counted can go; where it can't, whoever reads it finds it damaged.
  blobs.Delete(name).IgnoreError();
  return absl::DataLossError(
      absl::StrCat(name, " at ", blobs.Describe(),
                   " does not read back as it was written: do not trust this "
                   "destination before it was examined"));
}

absl::Status ReplaceAndCompare(BlobStore& blobs, const std::string& name, absl::string_view bytes) {
  MemorySource source(bytes);
  HOLDFAST_RETURN_IF_ERROR(blobs.Replace(name, source), absl::StrCat("replace ", name));
  HOLDFAST_ASSIGN_OR_RETURN(const std::string read, ReadBlob(blobs, name, bytes.size()),
                            absl::StrCat("read back ", name));
  if (read == bytes) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(name, " at ", blobs.Describe(),
                   " does not read back as it was written: do not trust this destination before it "
                   "was examined"));
}

absl::Status IgnoreNotFound(const absl::Status& removed) {
  return absl::IsNotFound(removed) ? absl::OkStatus() : removed;
}

absl::Status ListBelow(BlobStore& blobs, const std::string& folder,
                       const std::function<absl::Status(absl::string_view, uint64_t)>& visit) {
  const std::string prefix = absl::StrCat(folder, "/");
  return blobs.List(folder, [&](const BlobInfo& info) -> absl::Status {
    absl::string_view name = info.name;
    if (!absl::ConsumePrefix(&name, prefix)) {
      return absl::InternalError(absl::StrCat(info.name, " was listed below ", folder));
    }
    return visit(name, info.size_bytes);
  });
}

absl::Status StopListing() { return absl::AbortedError("stop"); }

absl::Status CheckThatOnlyTheFileFailed(BlobStore& blobs, const absl::Status& failure) {
  if (absl::IsCancelled(failure) || absl::IsDeadlineExceeded(failure)) return failure;
  if (IsProofOfDamage(failure) && !absl::IsNotFound(failure)) return absl::OkStatus();
  const absl::Status there = blobs.Stat(kRepositoryFileName).status();
  return absl::IsNotFound(there) ? blobs.Stat(kRepositoryFileCopyName).status() : there;
}

bool IsProofOfDamage(const absl::Status& failure) {
  return absl::IsNotFound(failure) || absl::IsDataLoss(failure) ||
         GetSealedFault(failure).has_value();
}

}  // namespace holdfast
