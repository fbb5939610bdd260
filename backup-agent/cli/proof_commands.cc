#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backup-agent/cli/agent_client.h"
#include "backup-agent/cli/backup_text.h"
#include "backup-agent/cli/command.h"
#include "backup-agent/cli/json_text.h"
#include "backup-agent/cli/terminal.h"
#include "common/base/status_macros.h"

namespace holdfast {
namespace {

constexpr int kPageSize = 1000;

// How often it is looked how a drill goes.
constexpr absl::Duration kLookInterval = absl::Milliseconds(200);

// Shows how it goes until it has ended. Ctrl-C ends the waiting, not the drill.
absl::StatusOr<v1::Proof> AwaitEnd(AgentClient& agent, v1::Proof proof, CommandContext& context) {
  ProgressDisplay display(context.console, context.clock);
  v1::GetProofRequest request;
  request.set_store_name(context.global.store_name);
  request.set_proof_id(proof.proof_id());
  while (proof.state() == v1::Proof::STATE_RUNNING) {
    display.Update(ProofProgressText(proof));
    HOLDFAST_RETURN_IF_ERROR(SleepFor(context.clock, kLookInterval, context.cancellation));
    HOLDFAST_ASSIGN_OR_RETURN(proof, agent.GetProof(request));
  }
  return proof;
}

// What the exit code is reached by.
absl::Status ToStatus(const v1::Proof& proof) {
  switch (proof.state()) {
    case v1::Proof::STATE_SUCCEEDED:
      return absl::OkStatus();
    case v1::Proof::STATE_DAMAGED:
      return absl::DataLossError(proof.error());
    case v1::Proof::STATE_CANCELLED:
      return absl::AbortedError(absl::StrCat("cancelled: ", proof.error()));
    default:
      if (proof.no_such_backup()) return absl::NotFoundError(proof.error());
      return absl::FailedPreconditionError(absl::StrCat("could not be made: ", proof.error()));
  }
}

}  // namespace

absl::Status RunCommand(const DrillArguments& arguments, CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string socket, FindAgentSocket(context));
  AgentClient agent(std::move(socket), context.cancellation);
  v1::StartProofRequest request;
  request.set_store_name(context.global.store_name);
  request.set_kind(v1::Proof::KIND_DRILL);
  request.set_backup_id(arguments.backup_id);
  request.set_destination_name(arguments.destination_name);
  HOLDFAST_ASSIGN_OR_RETURN(v1::Proof begun, agent.StartProof(request));
  const absl::StatusOr<v1::Proof> ended = AwaitEnd(agent, std::move(begun), context);
  if (absl::IsCancelled(ended.status())) {
    context.console.Note("the drill goes on; follow it with `holdfast status`");
  }
  HOLDFAST_RETURN_IF_ERROR(ended.status());
  HOLDFAST_RETURN_IF_ERROR(context.global.json ? context.console.WriteLine(MessageToJson(*ended))
                                               : context.console.Write(FormatProof(*ended)));
  return ToStatus(*ended);
}

absl::Status RunCommand(const ProofsArguments& arguments, CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string socket, FindAgentSocket(context));
  AgentClient agent(std::move(socket), context.cancellation);
  v1::ListProofsRequest request;
  request.set_store_name(context.global.store_name);
  request.set_page_size(static_cast<int>(std::min<uint64_t>(arguments.limit, kPageSize)));
  HOLDFAST_ASSIGN_OR_RETURN(v1::ListProofsResponse proofs, agent.ListProofs(request));
  proofs.clear_next_page_token();
  if (context.global.json) return context.console.WriteLine(MessageToJson(proofs));
  if (proofs.proofs().empty()) {
    context.console.Note("there was no check or drill yet");
    return absl::OkStatus();
  }
  return context.console.Write(FormatProofTable(proofs));
}

}  // namespace holdfast
