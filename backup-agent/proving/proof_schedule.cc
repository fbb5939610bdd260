#include "backup-agent/proving/proof_schedule.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/messages/proto_time.h"

namespace holdfast {
namespace {

constexpr uint32_t kReadDataDaysDefault = 30;
constexpr absl::Duration kDrillIntervalDefault = absl::Hours(7 * 24);
constexpr absl::Duration kDrillAgeMaxDefault = absl::Hours(14 * 24);

// Bounds: see holdfast.v1.Proving.
constexpr uint32_t kReadDataDaysMax = 365;
constexpr absl::Duration kDrillIntervalMin = absl::Hours(1);
constexpr absl::Duration kDrillIntervalMax = absl::Hours(366 * 24);
constexpr absl::Duration kDrillAgeMaxMax = absl::Hours(10 * 366 * 24);

constexpr absl::Duration kCheckInterval = absl::Hours(24);
// A drill that did not succeed is made again after this, if not before: what it found may be mended
// or written anew by then.
constexpr absl::Duration kDrillRetry = absl::Hours(24);

// A new store is left alone for a while: whoever sets it up is watching.
constexpr absl::Duration kFirstProofDelay = absl::Hours(1);

constexpr absl::Duration kClockDifferenceMax = absl::Hours(24);

// How long something has been due; negative where it is not.
absl::Duration Overdue(int64_t last_time_us, int64_t first_backup_time_us, absl::Duration interval,
                       absl::Time now) {
  const absl::Time last = absl::FromUnixMicros(last_time_us);
  if (last_time_us != 0 && last - now <= kClockDifferenceMax) return now - last - interval;
  const absl::Time first = absl::FromUnixMicros(first_backup_time_us);
  if (first - now > kClockDifferenceMax) return absl::ZeroDuration();
  return now - first - kFirstProofDelay;
}

absl::Status WrongField(absl::string_view field, absl::string_view rule) {
  return absl::InvalidArgumentError(absl::StrCat("proving.", field, ": ", rule));
}

}  // namespace

std::optional<absl::Time> NextProofTime(const v1::Proving& proving,
                                        const ProvableDestination& destination,
                                        v1::Proof::Kind kind, absl::Time now) {
  if (!destination.has_backups) return std::nullopt;
  const bool is_drill = kind == v1::Proof::KIND_DRILL;
  absl::Duration interval =
      is_drill ? FromProto(proving.drill_interval())
               : (proving.read_data_days() > 0 ? kCheckInterval : absl::ZeroDuration());
  if (interval <= absl::ZeroDuration()) return std::nullopt;
  const agent::v1::ProofMemory& memory = destination.memory;
  if (is_drill && memory.last_drill_time_us() > memory.drilled_time_us()) {
    interval = std::min(interval, kDrillRetry);
  }
  return now - Overdue(is_drill ? memory.last_drill_time_us() : memory.last_check_time_us(),
                       memory.first_backup_time_us(), interval, now);
}

std::vector<DueProof> FindDueProofs(const v1::Proving& proving,
                                    const std::vector<ProvableDestination>& destinations,
                                    absl::Time now) {
  std::vector<std::pair<absl::Duration, DueProof>> due;
  for (const ProvableDestination& destination : destinations) {
    for (const v1::Proof::Kind kind : {v1::Proof::KIND_CHECK, v1::Proof::KIND_DRILL}) {
      const std::optional<absl::Time> time = NextProofTime(proving, destination, kind, now);
      if (time.has_value() && *time <= now) due.push_back({now - *time, {destination.name, kind}});
    }
  }
  std::stable_sort(due.begin(), due.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<DueProof> proofs;
  for (auto& [overdue, proof] : due) proofs.push_back(std::move(proof));
  return proofs;
}

std::string WhyNotProven(const v1::Proving& proving, const ProvableDestination& destination,
                         absl::Time now) {
  const absl::Duration age_max = FromProto(proving.drill_age_max());
  if (age_max <= absl::ZeroDuration() || !destination.has_backups) return "";
  const agent::v1::ProofMemory& memory = destination.memory;
  const bool was_proven = memory.drilled_time_us() != 0;
  const absl::Time since =
      absl::FromUnixMicros(was_proven ? memory.drilled_time_us() : memory.first_backup_time_us());
  if (now - since <= age_max) return "";
  const int64_t days = (now - since) / absl::Hours(24);
  return was_proven ? absl::StrCat("no drill has succeeded for ", days, " days")
                    : absl::StrCat("no drill has succeeded in the ", days,
                                   " days that there have been backups");
}

v1::Proving DefaultProving() {
  v1::Proving proving;
  proving.set_read_data_days(kReadDataDaysDefault);
  *proving.mutable_drill_interval() = ToProto(kDrillIntervalDefault);
  *proving.mutable_drill_age_max() = ToProto(kDrillAgeMaxDefault);
  return proving;
}

absl::Status CheckProving(const v1::Proving& proving) {
  if (proving.read_data_days() > kReadDataDaysMax) {
    return WrongField("read_data_days", "at most 365 days, or 0 for never");
  }
  const absl::Duration interval = FromProto(proving.drill_interval());
  if (!IsWellFormed(proving.drill_interval()) ||
      (interval != absl::ZeroDuration() &&
       (interval < kDrillIntervalMin || interval > kDrillIntervalMax))) {
    return WrongField("drill_interval", "from 1 hour to 366 days, or 0 for never");
  }
  const absl::Duration age_max = FromProto(proving.drill_age_max());
  if (!IsWellFormed(proving.drill_age_max()) || age_max < absl::ZeroDuration() ||
      age_max > kDrillAgeMaxMax) {
    return WrongField("drill_age_max", "at most 10 years, or 0 for never");
  }
  return absl::OkStatus();
}

}  // namespace holdfast
