#ifndef HOLDFAST_TESTS_BENCH_LOAD_H_
#define HOLDFAST_TESTS_BENCH_LOAD_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace holdfast::bench {

// Which server is asked, and where: "unix:/path" or "host:port", without TLS.
struct Server {
  enum class Kind { kHoldfast, kEtcd };
  Kind kind = Kind::kHoldfast;
  std::string address;
};

// A text of so many bytes that is valid JSON and does not compress below 3/4: base 64 of random
// bytes, the same for the same number.
std::string MakeDocument(uint64_t number, size_t size_bytes);
// The id of a document: they are spread over the whole range of ids.
std::string MakeDocumentId(uint64_t number);

// Writes documents `first` to `first + count - 1` in batches.
absl::Status Fill(const Server& server, uint64_t first, uint64_t count, size_t size_bytes);

struct LoadOptions {
  enum class Operation { kPut, kGet };
  Operation operation = Operation::kPut;
  int clients = 64;
  // The clients share so many connections.
  int connections = 8;
  absl::Duration duration = absl::Seconds(10);
  // Before the measurement begins.
  absl::Duration warm_up = absl::Seconds(2);
  size_t size_bytes = 1024;
  // Documents 0 to this less one are written, or read.
  uint64_t documents = 100'000;
  // Calls a second, of all clients together; as many as there is time for where 0. The latency of a
  // call that has to wait for its turn counts from when its turn was.
  double rate = 0;
};

struct LoadResult {
  uint64_t calls = 0;
  uint64_t failures = 0;
  std::string first_failure;
  double calls_per_second = 0;
  // Of all calls of the measurement.
  absl::Duration p50, p99, p999, max;
};

// Each client makes one call after the other.
absl::StatusOr<LoadResult> RunLoad(const Server& server, const LoadOptions& options);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_LOAD_H_
