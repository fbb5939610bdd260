#ifndef HOLDFAST_BACKUP_AGENT_TRANSFER_TRANSFER_LIMITS_H_
#define HOLDFAST_BACKUP_AGENT_TRANSFER_TRANSFER_LIMITS_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace holdfast {

// How many files a run works on at once. With the two below it bounds the memory of a run:
//   files x (queued chunks + one that is written + one that is made) x size of a chunk = 12 MiB.
inline constexpr int kFilesAtOnce = 3;
inline constexpr size_t kChunkSizeBytes = size_t{1} << 20;
inline constexpr size_t kQueuedChunksMax = 2;

// The most files that one checkpoint may have, and the most bytes that one of them, or all, may.
inline constexpr uint64_t kCheckpointFilesMax = 100'000;
inline constexpr uint64_t kCheckpointSizeMaxBytes = uint64_t{1} << 50;

// A run that takes longer begins afresh. A number of the repository format (FORMAT.md, "Order of
// writing"); do not change.
inline constexpr absl::Duration kRunDurationMax = absl::Hours(48);

// How often a run compares afresh because a backup whose objects it uses was deleted meanwhile.
inline constexpr int kCompareAttemptsMax = 3;

// How often a broken stream of one file is taken up again without a byte in between, and in all.
inline constexpr int kResumeAttemptsMax = 5;
inline constexpr int kResumeTotalMax = 100;

// A destination that stays longer than this without taking a byte leaves the run.
inline constexpr absl::Duration kStallMax = absl::Seconds(30);
// The same for what reports no progress on the way: the sync at the end of a file, a listing.
inline constexpr absl::Duration kOperationMax = absl::Seconds(60);
inline constexpr absl::Duration kListingMax = absl::Minutes(2);
// The same for what is mended there: longer than any call into the place that it is mended from.
inline constexpr absl::Duration kMendMax = absl::Minutes(5);

// How long the end of a run waits for threads that are still in a call of a destination. Those that
// are stuck even then are left behind.
inline constexpr absl::Duration kShutdownGrace = absl::Seconds(5);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_TRANSFER_TRANSFER_LIMITS_H_
