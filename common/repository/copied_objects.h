#ifndef HOLDFAST_COMMON_REPOSITORY_COPIED_OBJECTS_H_
#define HOLDFAST_COMMON_REPOSITORY_COPIED_OBJECTS_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/repository/repository.h"

// What a prune at a place may do to objects that somebody copies to there, whose names are old
// (FORMAT.md, "Copying and repairing"): for all who copy.

namespace holdfast {

// Objects that no listed manifest names are used only if they are younger than this. A number of
// the repository format (FORMAT.md, "Order of writing"); do not change.
inline constexpr absl::Duration kUnnamedObjectAgeMax = absl::Hours(48);
// By how much the clocks of two machines may differ.
inline constexpr absl::Duration kClockDifferenceMax = absl::Hours(24);

// Whether an object that lies at a place, and that no listed manifest there names, is so young, by
// its name or by when it was written there, that no prune has it on its list.
bool IsYoungAtPlace(absl::string_view object_name, absl::Time write_time, absl::Time now);

// Whether a prune sees by what the place tells that an object that was just written there is new.
// Where not, because it tells nothing or its clock is far behind, the name alone protects it.
bool TellsThatItIsNew(absl::Time write_time, absl::Time now);

// What became of objects that a prune may have had on its list.
struct LookedAgain {
  // A prune that may be removing objects; empty where there is none. If there is none, no prune
  // that could have had the objects on its list removes any from now on.
  std::string prune_lease;
  // Those that are not there any more.
  absl::flat_hash_set<std::string> gone;
};
// `on_object`, which may be empty, is called for each object that was looked at.
absl::StatusOr<LookedAgain> LookAgain(StoreRepository& store,
                                      const std::vector<std::string>& object_names, absl::Time now,
                                      const std::function<void()>& on_object,
                                      const Cancellation& cancellation);

// UNAVAILABLE: why a backup that needs such objects can't be relied on at `place`.
absl::Status PruneIsAtWorkError(absl::string_view place, absl::string_view prune_lease);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_REPOSITORY_COPIED_OBJECTS_H_
