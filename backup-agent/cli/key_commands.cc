#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
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

// The file that a source of a key names; empty for standard input and credentials.
std::string FileOfKeySource(absl::string_view source) {
  if (source == "-" || absl::StartsWith(source, "credential:")) return "";
  return std::string(absl::StripPrefix(source, "file:"));
}

// The key file in use is no copy that is kept elsewhere, by whatever name it goes.
absl::Status RefuseKeyFileInUse(absl::string_view copy_source, const CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::string key_source, FindKeySource(context));
  const std::string key_file = FileOfKeySource(key_source);
  const std::string copy_file = FileOfKeySource(copy_source);
  if (key_file.empty() || copy_file.empty()) return absl::OkStatus();
  std::error_code error;
  // What cannot be looked at is refused when it is read.
  if (!std::filesystem::equivalent(key_file, copy_file, error) || error) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(copy_file,
                   " is the key file in use itself, which is lost when this machine is: verify "
                   "the copy that is kept elsewhere (without a file it is typed)"));
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
  const bool is_json = context.global.json;
  const SecretBytes text = key.ToText();
  if (is_json) HOLDFAST_RETURN_IF_ERROR(context.console.Write("{\"master_key\":\""));
  HOLDFAST_RETURN_IF_ERROR(context.console.WriteSecret(text.text()));
  return context.console.Write(is_json ? "\"}\n" : "\n");
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
  if (arguments.confirm) {
    HOLDFAST_RETURN_IF_ERROR(RefuseKeyFileInUse(arguments.source, context));
  }
  HOLDFAST_ASSIGN_OR_RETURN(const MasterKey copy, ReadKeyCopyFrom(arguments.source, key, context),
                            "the copy");
  if (copy.fingerprint() != key.fingerprint()) {
    return absl::PermissionDeniedError(absl::StrCat(
        "the copy is another master key: its fingerprint is ", copy.fingerprint().ToText(),
        ", and that of the key in use is ", key.fingerprint().ToText()));
  }
  // That the copy is right is said whatever becomes of the rest.
  absl::Status told;
  if (arguments.confirm) {
    told = Annotate(ConfirmKey(key.fingerprint(), context),
                    "the agent could not be told that the key is kept elsewhere");
  }
  const bool is_confirmed = arguments.confirm && told.ok();
  if (context.global.json) {
    JsonObject object;
    object.AddString("fingerprint", key.fingerprint().ToText());
    object.AddBool("confirmed", is_confirmed);
    HOLDFAST_RETURN_IF_ERROR(context.console.WriteLine(object.ToText()));
    return told;
  }
  HOLDFAST_RETURN_IF_ERROR(context.console.WriteLine(
      absl::StrCat("the copy is the master key in use (fingerprint ", key.fingerprint().ToText(),
                   ")", is_confirmed ? "; the agent knows that it is kept elsewhere" : "")));
  return told;
}

}  // namespace holdfast
