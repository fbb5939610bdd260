#include "backup-agent/cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "backup-agent/cli/grammar.h"
#include "common/base/nearest_name.h"

namespace holdfast {

namespace {

// Whether a master key, or a piece of one, was typed. An option may stand before it: --key=HF1-….
bool LooksLikeMasterKey(absl::string_view argument) {
  const size_t equals = argument.find('=');
  if (equals != absl::string_view::npos && LooksLikeMasterKey(argument.substr(equals + 1))) {
    return true;
  }
  return absl::StartsWithIgnoreCase(absl::StripLeadingAsciiWhitespace(argument), "HF1-");
}

// The command, or group of commands, that the parse got to.
CLI::App& Deepest(CLI::App& app) {
  CLI::App* deepest = &app;
  while (!deepest->get_subcommands().empty()) deepest = deepest->get_subcommands().front();
  return *deepest;
}

std::string FullName(const CLI::App& app) {
  return app.get_parent() == nullptr
             ? app.get_name()
             : absl::StrCat(FullName(*app.get_parent()), " ", app.get_name());
}

// The help of a command or group, and of all commands below it.
void AppendHelp(CLI::App& app, std::string* text) {
  if (!text->empty()) {
    absl::StrAppend(text, "\n", FullName(app), "\n", std::string(FullName(app).size(), '-'), "\n");
    app.footer("");  // was said above
  }
  absl::StrAppend(text,
                  app.get_formatter()->make_help(&app, FullName(app), CLI::AppFormatMode::Normal));
  for (CLI::App* command : app.get_subcommands(/*filter=*/{})) AppendHelp(*command, text);
}

// The long names of the options that `app` takes, those of its parents among them.
std::vector<std::string> OptionNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* with = &app; with != nullptr; with = with->get_parent()) {
    for (const CLI::Option* option : with->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

// What begins with a hyphen before "--", and nobody knows; empty where all is known. `remaining`:
// what CLI11 could not place, in an order of its own.
std::string FindUnknownOption(const std::vector<std::string>& arguments,
                              const std::vector<std::string>& remaining) {
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    if (argument.size() < 2 || argument.front() != '-') continue;
    if (std::find(remaining.begin(), remaining.end(), argument) != remaining.end()) {
      return argument;
    }
  }
  return "";
}

// What is wrong where CLI11 does not say it well.
std::string Explain(const CLI::ParseError& error, CLI::App& app,
                    const std::vector<std::string>& arguments) {
  const std::vector<std::string> remaining = app.remaining(/*recurse=*/true);
  const CLI::App& command = Deepest(app);
  // CLI11 finds out that something is missing before it looks at what there is in its place.
  const bool is_missing = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr;
  const bool is_unplaced = is_missing || dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
  if (!is_unplaced || remaining.empty()) return error.what();
  if (const std::string unknown = FindUnknownOption(arguments, remaining); !unknown.empty()) {
    const std::string name = unknown.substr(0, unknown.find('='));
    const std::vector<std::string> known = OptionNames(command);
    const absl::string_view nearest =
        absl::StartsWith(name, "--")
            ? NearestName(name, std::vector<absl::string_view>(known.begin(), known.end()))
            : absl::string_view();
    const std::vector<const CLI::Option*> options = command.get_options();
    const bool takes_words =
        std::any_of(options.begin(), options.end(),
                    [](const CLI::Option* option) { return option->get_positional(); });
    return absl::StrCat("unknown option ", name,
                        nearest.empty() ? "" : absl::StrCat("; did you mean ", nearest, "?"),
                        takes_words ? "\nwhat begins with - and is no option follows --" : "");
  }
  for (const std::string& argument : arguments) {
    if (std::find(remaining.begin(), remaining.end(), argument) == remaining.end()) continue;
    const bool wants_command = !command.get_subcommands(/*filter=*/{}).empty();
    return absl::StrCat(wants_command ? "there is no command '" : "not expected: '", argument, "'");
  }
  return error.what();
}

}  // namespace

absl::StatusOr<ParsedArguments> ParseArguments(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (LooksLikeMasterKey(argument)) {
      return absl::InvalidArgumentError(
          "a master key must never be an argument: others can see it while the command runs, and "
          "the "
          "shell may have remembered it (remove it from its history); give --key a file, - for "
          "standard input, or credential:NAME");
    }
  }
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    // CLI11 would take the next argument for the value.
    if (absl::StartsWith(argument, "--") && absl::EndsWith(argument, "=") &&
        argument.find('=') + 1 == argument.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat(argument, " has no value behind it; an empty one is given as ",
                       argument.substr(0, argument.size() - 1), " \"\""));
    }
  }
  ParsedArguments result;
  CLI::App app;
  BuildGrammar(app, result);
  try {
    // CLI11 takes them from the end.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForVersion& version) {
    result.text = absl::StrCat(version.what(), "\n");
    return result;
  } catch (const CLI::CallForAllHelp&) {
    AppendHelp(Deepest(app), &result.text);
    return result;
  } catch (const CLI::CallForHelp&) {
    result.text = app.help();
    return result;
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(Explain(error, app, arguments), "\ntry: ", FullName(Deepest(app)), " --help"));
  }
  return result;
}

}  // namespace holdfast
