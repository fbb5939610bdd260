#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backup-agent/cli/agent_client.h"
#include "backup-agent/cli/command.h"
#include "backup-agent/cli/json_text.h"
#include "common/base/status_macros.h"

namespace holdfast {

namespace {

// Tells the agent that the key is kept elsewhere.
absl::Status ConfirmKey(const KeyFingerprint& fingerprint, const CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string socket, FindAgentSocket(context));
  AgentClient agent(std::move(socket), context.cancellation);
  v1::GetSettingsRequest get;
  get.set_store_name(context.global.store_name);
  v1::UpdateSettingsRequest update;
  HOLDFAST_ASSIGN_OR_RETURN(*update.mutable_settings(), agent.GetSettings(get));
  update.mutable_settings()->set_key_confirmed_fingerprint(fingerprint.ToText());
  return agent.UpdateSettings(update).status();
}

}  // namespace

absl::Status RunCommand(const KeyShowArguments& /*arguments*/, CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(const MasterKey key, ReadCommandKey(context));
  if (context.console.output_is_terminal()) {
    context.console.Note(
        "Whoever has this key can read every backup and document. Keep a copy elsewhere than on "
        "this "
        "machine.");
  }
  const SecretBytes text = key.ToText();
  HOLDFAST_RETURN_IF_ERROR(context.console.WriteSecret(text.text()));
  return context.console.Write("\n");
}

absl::Status RunCommand(const KeyFingerprintArguments& /*arguments*/, CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(const MasterKey key, ReadCommandKey(context));
  if (!context.global.json) return context.console.WriteLine(key.fingerprint().ToText());
  JsonObject object;
  object.AddString("fingerprint", key.fingerprint().ToText());
  return context.console.WriteLine(object.ToText());
}

absl::Status RunCommand(const KeyVerifyArguments& arguments, CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(const MasterKey key, ReadCommandKey(context), "the master key in use");
  HOLDFAST_ASSIGN_OR_RETURN(const MasterKey copy, ReadKeyFrom(arguments.source, context),
                            "the copy");
  if (copy.fingerprint() != key.fingerprint()) {
    return absl::PermissionDeniedError(absl::StrCat(
        "the copy is another master key: its fingerprint is ", copy.fingerprint().ToText(),
        ", and that of the key in use is ", key.fingerprint().ToText()));
  }
  if (arguments.confirm) {
    HOLDFAST_RETURN_IF_ERROR(ConfirmKey(key.fingerprint(), context), "tell the agent");
  }
  if (context.global.json) {
    JsonObject object;
    object.AddString("fingerprint", key.fingerprint().ToText());
    object.AddBool("confirmed", arguments.confirm);
    return context.console.WriteLine(object.ToText());
  }
  return context.console.WriteLine(
      absl::StrCat("the copy is the master key in use (fingerprint ", key.fingerprint().ToText(),
                   ")", arguments.confirm ? "; the agent knows that it is kept elsewhere" : ""));
}

}  // namespace holdfast
