#include "backup-agent/schedule/request_memory.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"

namespace holdfast {

void RequestMemory::Load(
    const google::protobuf::RepeatedPtrField<agent::v1::RememberedRequest>& requests) {
  requests_.clear();
  for (const agent::v1::RememberedRequest& request : requests) {
    if (!request.backup_id().empty()) requests_.push_back(request);
  }
  DropOld();
}

void RequestMemory::DropOld() {
  const int64_t oldest_us = absl::ToUnixMicros(clock_.Now() - kRememberFor);
  requests_.erase(std::remove_if(requests_.begin(), requests_.end(),
                                 [oldest_us](const agent::v1::RememberedRequest& request) {
                                   return request.receive_time_us() < oldest_us;
                                 }),
                  requests_.end());
  if (requests_.size() > kRequestsMax) requests_.resize(kRequestsMax);
}

agent::v1::RememberedRequest* RequestMemory::FindMutable(absl::string_view request_id) {
  for (agent::v1::RememberedRequest& request : requests_) {
    if (request.request_id() == request_id) return &request;
  }
  return nullptr;
}

const agent::v1::RememberedRequest* RequestMemory::Find(absl::string_view request_id) {
  DropOld();
  return FindMutable(request_id);
}

void RequestMemory::Add(absl::string_view request_id) {
  Forget(request_id);
  agent::v1::RememberedRequest request;
  request.set_request_id(std::string(request_id));
  request.set_receive_time_us(absl::ToUnixMicros(clock_.Now()));
  requests_.push_front(std::move(request));
  DropOld();
}

void RequestMemory::SetRun(absl::string_view request_id, absl::string_view run_id) {
  agent::v1::RememberedRequest* const request = FindMutable(request_id);
  if (request != nullptr) request->set_run_id(std::string(run_id));
}

void RequestMemory::SetBackup(absl::string_view request_id, absl::string_view backup_id) {
  agent::v1::RememberedRequest* const request = FindMutable(request_id);
  if (request != nullptr) request->set_backup_id(std::string(backup_id));
}

void RequestMemory::Forget(absl::string_view request_id) {
  requests_.erase(std::remove_if(requests_.begin(), requests_.end(),
                                 [request_id](const agent::v1::RememberedRequest& request) {
                                   return request.request_id() == request_id;
                                 }),
                  requests_.end());
}

const std::deque<agent::v1::RememberedRequest>& RequestMemory::requests() {
  DropOld();
  return requests_;
}

}  // namespace holdfast
