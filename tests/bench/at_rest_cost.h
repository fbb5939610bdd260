#ifndef HOLDFAST_TESTS_BENCH_AT_REST_COST_H_
#define HOLDFAST_TESTS_BENCH_AT_REST_COST_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace holdfast::bench {

// How long work takes over the file system that encrypts at rest, and how much longer that is than
// over the plain one: 0.1 is a tenth. Medians.
struct Excess {
  double document_us = 0;
  double ratio = 0;
};

struct AtRestCost {
  // Groups of 64 documents, each group one synced batch: until the last is answered, and until all
  // flushes and compactions that they caused have ended as well.
  Excess writes;
  Excess writes_and_compactions;
  // Gets of documents whose blocks the block cache holds, decrypted.
  Excess cached_reads;
  // Gets from a store that is larger than its block cache: most read a block, from the kernel's
  // page cache, and decrypt it.
  Excess reads;
};

// Does the same on two databases with the store's options below `directory`, which must be empty:
// one over the file system that encrypts at rest, one over the plain one, in turn, `rounds` times.
// The processor's work and the disk's are both in it; RPCs, which would hide the difference, are
// not.
absl::StatusOr<AtRestCost> MeasureAtRestCost(const std::string& directory, uint64_t documents,
                                             size_t size_bytes, int rounds);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_AT_REST_COST_H_
