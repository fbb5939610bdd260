#ifndef HOLDFAST_COMMON_DATABASE_DATABASE_VERIFIER_H_
#define HOLDFAST_COMMON_DATABASE_DATABASE_VERIFIER_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "common/database/database.h"
#include "common/database/database_metadata.h"

namespace holdfast {

// Reads every document of `database` as of now, block checksums verified, hashes it anew, and
// compares with the hash in its record and with count and sum of its collection in `metadata`. So
// an OK proves that the documents are exactly those that metadata.digest speaks of.
//
// REQUIRES: nobody writes meanwhile.
//
// Errors: DATA_LOSS names a document or collection that is not as it should be. An error of
// `on_progress`, which is called about every thousand documents and at the end, is returned as it
// is.
//
// How: some threads read a range of the documents each; `on_progress` is called by one of them, or
// the caller, at a time.
absl::Status VerifyDocuments(
    const OpenedDatabase& database, const DatabaseMetadata& metadata,
    const std::function<absl::Status(uint64_t documents_done)>& on_progress);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_DATABASE_DATABASE_VERIFIER_H_
