#ifndef HOLDFAST_TESTS_BENCH_MANY_TABLES_H_
#define HOLDFAST_TESTS_BENCH_MANY_TABLES_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace holdfast::bench {

// Rewrites the documents of a store that is not running into tables of about `table_size_bytes`,
// all in the bottommost level: there the store leaves them as they are, whatever size it would
// choose. Returns how many tables there are then. `key_source` is the configuration's master key.
absl::StatusOr<uint64_t> SplitIntoTables(const std::string& data_directory,
                                         const std::string& key_source, uint64_t table_size_bytes);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_MANY_TABLES_H_
