#include "common/repository/copied_objects.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/repository/layout.h"

namespace holdfast {

bool IsYoungAtPlace(absl::string_view object_name, absl::Time write_time, absl::Time now) {
  const absl::StatusOr<ParsedObjectName> name = ParseObjectName(object_name);
  const absl::Duration age = now - (name.ok() ? std::max(name->time, write_time) : write_time);
  return age < kUnnamedObjectAgeMax && age > -kClockDifferenceMax;
}

bool TellsThatItIsNew(absl::Time write_time, absl::Time now) {
  return now - write_time <= kClockDifferenceMax;
}

absl::StatusOr<LookedAgain> LookAgain(StoreRepository& store,
                                      const std::vector<std::string>& object_names, absl::Time now,
                                      const std::function<void()>& on_object,
                                      const Cancellation& cancellation) {
  LookedAgain looked;
  // The leases first: a prune that gives its lease back after this is seen, and what one removed
  // that gave it back before is missed below.
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<std::string> leases, store.ListPruneLeases(now),
                            "list the leases");
  if (!leases.empty()) looked.prune_lease = leases.front();
  for (const std::string& name : object_names) {
    HOLDFAST_RETURN_IF_ERROR(cancellation.status());
    const absl::Status found = store.blobs().Stat(ObjectPath(store.store_id(), name)).status();
    if (absl::IsNotFound(found)) {
      looked.gone.insert(name);
    } else {
      HOLDFAST_RETURN_IF_ERROR(found, absl::StrCat("look at object ", name));
    }
    if (on_object) on_object();
  }
  return looked;
}

absl::Status PruneIsAtWorkError(absl::string_view place, absl::string_view prune_lease) {
  return absl::UnavailableError(
      absl::StrCat("a prune removes objects at ", place,
                   " now, or was killed at it, and may remove some of this backup (", prune_lease,
                   "): try again later"));
}

}  // namespace holdfast
