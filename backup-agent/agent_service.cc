#include "backup-agent/agent_service.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backup-agent/source/grpc_checkpoint_source.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/base/version.h"
#include "common/io/files.h"
#include "common/io/path.h"

namespace holdfast {

absl::StatusOr<std::unique_ptr<AgentService>> AgentService::Start(
    const AgentConfig& config, const MasterKey& master_key, Clock& clock, RandomSource& random,
    const BlobStoreOpener& open_blob_store) {
  std::unique_ptr<AgentService> agent(new AgentService(master_key, clock));
  HOLDFAST_ASSIGN_OR_RETURN(agent->states_, StateStore::Open(config.state_directory));
  const std::string scratch_directory = JoinPath(config.state_directory, "scratch");
  // What a drill left whose agent was killed.
  HOLDFAST_RETURN_IF_ERROR(RemoveTree(scratch_directory), "empty the scratch folder of drills");

  std::vector<StoreSupervisor*> supervisors;
  for (const AgentStoreConfig& store_config : config.stores) {
    Store& store = agent->stores_.emplace_back();
    store.source = MakeGrpcCheckpointSource(store_config.socket, clock);
    BackupRunner::Dependencies runner;
    runner.source = store.source.get();
    runner.master_key = &agent->master_key_;
    runner.clock = &clock;
    runner.random = &random;
    runner.scratch_directory = JoinPath(scratch_directory, store_config.name);
    runner.open_blob_store = open_blob_store;
    store.runner = BackupRunner::Create(runner);
    HOLDFAST_ASSIGN_OR_RETURN(
        store.supervisor,
        StoreSupervisor::Start(store_config, {.states = agent->states_.get(),
                                              .runner = store.runner.get(),
                                              .source = store.source.get(),
                                              .key_fingerprint = master_key.fingerprint().ToText(),
                                              .clock = &clock,
                                              .random = &random}));
    supervisors.push_back(store.supervisor.get());
  }

  agent->service_ = std::make_unique<BackupAgentService>(supervisors, std::string(Version()));
  HOLDFAST_ASSIGN_OR_RETURN(agent->server_,
                            RpcServer::Start({.socket = config.socket,
                                              .services = {{v1::BackupAgent::service_full_name(),
                                                            agent->service_.get()}}}));
  LogInfo("the agent is at work", {{"socket", config.socket},
                                   {"state_directory", config.state_directory},
                                   {"stores", config.stores.size()},
                                   {"key_fingerprint", master_key.fingerprint().ToText()},
                                   {"version", Version()}});
  return agent;
}

AgentService::~AgentService() {
  if (!is_shut_down_) static_cast<void>(Shutdown());
}

bool AgentService::Shutdown() {
  is_shut_down_ = true;
  // Where Start failed half way there may be a store without its supervisor.
  for (const Store& store : stores_) {
    if (store.supervisor != nullptr) store.supervisor->BeginShutdown();
  }
  const MonotonicTime deadline = clock_.MonotonicNow() + kStopTime;
  bool has_stopped = true;
  for (const Store& store : stores_) {
    if (store.supervisor != nullptr && !store.supervisor->AwaitStopped(deadline)) {
      has_stopped = false;
    }
  }
  if (server_ != nullptr) server_->Shutdown(kDrainTime);
  return has_stopped;
}

}  // namespace holdfast
