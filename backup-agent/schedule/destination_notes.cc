#include "backup-agent/schedule/destination_notes.h"

#include "backup-agent/schedule/agent_errors.h"

namespace holdfast {

void DestinationNotes::OnSuccess(const std::string& destination_name, MonotonicTime now) {
  success_times_[destination_name] = now;
}

void DestinationNotes::OnListed(const v1::Settings& settings,
                                const absl::StatusOr<BackupRunner::Listing>& listing) {
  listing_errors_.clear();
  if (!listing.ok()) {
    for (const v1::Destination& destination : settings.destinations()) {
      listing_errors_[destination.name()] = CutError(listing.status().message());
    }
    return;
  }
  for (const auto& [name, error] : listing->errors) {
    listing_errors_[name] = CutError(error.message());
  }
  for (const v1::Destination& destination : settings.destinations()) {
    const std::string& name = destination.name();
    if (listing->errors.count(name) == 0) place_warnings_.erase(name);
  }
  place_warnings_.insert(listing->warnings.begin(), listing->warnings.end());
}

void DestinationNotes::Forget(const std::string& destination_name) {
  success_times_.erase(destination_name);
  listing_errors_.erase(destination_name);
  place_warnings_.erase(destination_name);
}

std::optional<MonotonicTime> DestinationNotes::SuccessTime(
    const std::string& destination_name) const {
  const auto time = success_times_.find(destination_name);
  if (time == success_times_.end()) return std::nullopt;
  return time->second;
}

std::string DestinationNotes::ListingError(const std::string& destination_name) const {
  const auto error = listing_errors_.find(destination_name);
  return error == listing_errors_.end() ? "" : error->second;
}

const PlaceWarning* DestinationNotes::WarningOf(const std::string& destination_name) const {
  const auto warning = place_warnings_.find(destination_name);
  return warning == place_warnings_.end() ? nullptr : &warning->second;
}

}  // namespace holdfast
