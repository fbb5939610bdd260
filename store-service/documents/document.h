#ifndef HOLDFAST_STORE_SERVICE_DOCUMENTS_DOCUMENT_H_
#define HOLDFAST_STORE_SERVICE_DOCUMENTS_DOCUMENT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"

namespace holdfast {

// A document as it was at some revision of the store.
struct Document {
  std::string collection;
  std::string id;
  std::string content;
  std::string media_type;
  uint64_t revision = 0;
  absl::Time create_time;
  absl::Time change_time;
};

// What must hold for a write to take place.
struct Precondition {
  enum class Kind { kNone, kMustNotExist, kMustBeAtRevision };

  Kind kind = Kind::kNone;
  uint64_t revision = 0;  // for kMustBeAtRevision
};

// A write of one document. A deletion has no content and no media type.
struct DocumentWrite {
  enum class Kind { kPut, kDelete };

  Kind kind = Kind::kPut;
  std::string collection;
  std::string id;
  std::string content{};
  std::string media_type{};
  Precondition precondition{};
};

// What became of writes that were committed together.
struct CommitResult {
  uint64_t first_revision = 0;  // of the first write; the others follow without a gap
  absl::Time commit_time;
};

}  // namespace holdfast

#endif  // HOLDFAST_STORE_SERVICE_DOCUMENTS_DOCUMENT_H_
