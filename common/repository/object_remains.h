#ifndef HOLDFAST_COMMON_REPOSITORY_OBJECT_REMAINS_H_
#define HOLDFAST_COMMON_REPOSITORY_OBJECT_REMAINS_H_

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/byte_range.h"
#include "common/repository/repository.h"
#include "holdfast/repository/v1/repository.pb.h"

namespace holdfast {

// What is left of an object.
struct ObjectRemains {
  // What could not be read or does not authenticate, of the object's content as it is stored
  // (before its codec decodes it): in order, apart from each other.
  std::vector<ByteRange> lost;
  // What was found wrong first; OK where nothing was. Names the object.
  absl::Status fault;
};

// Reads an object that may be damaged: calls `visit` with every piece of its content, as it is
// stored, that authenticates, in order. So each byte that is visited is the one that was backed up;
// what lies between is lost. Returns the first error of `visit`, and an error where the whole
// destination can't be read: no file of it is taken for lost then.
absl::StatusOr<ObjectRemains> ReadObjectRemains(
    const StoreRepository& store, const repository::v1::ObjectEntry& entry,
    absl::FunctionRef<absl::Status(uint64_t offset, absl::Span<const uint8_t> piece)> visit);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_REPOSITORY_OBJECT_REMAINS_H_
