#include "backup-agent/cli/help_formatter.h"

#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace holdfast {

namespace {

// Breaks text into lines of at most `columns`, at its spaces.
std::string Wrap(absl::string_view text, size_t columns) {
  std::string wrapped;
  size_t column = 0;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    if (column > 0 && column + 1 + word.size() > columns) {
      wrapped += '\n';
      column = 0;
    } else if (column > 0) {
      wrapped += ' ';
      ++column;
    }
    absl::StrAppend(&wrapped, word);
    column += word.size();
  }
  return wrapped;
}

}  // namespace

HelpFormatter::HelpFormatter() {
  column_width(kNameColumns);
  label("OPTIONS", "OPTION…");
  label("SUBCOMMAND", "COMMAND");
}

std::string HelpFormatter::make_description(const CLI::App* app) const {
  return absl::StrCat(Wrap(app->get_description(), kPageColumns), "\n\n");
}

std::string HelpFormatter::make_subcommand(const CLI::App* command) const {
  std::stringstream out;
  CLI::detail::format_help(out, command->get_name(),
                           Wrap(command->get_description(), kPageColumns - kNameColumns),
                           kNameColumns);
  return out.str();
}

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  // No validator here has a name of its own, which would stand behind a colon.
  return option->get_type_size() == 0 ? "" : absl::StrCat(" ", option->get_type_name());
}

std::string HelpFormatter::make_option_desc(const CLI::Option* option) const {
  std::string text = option->get_description();
  if (option->get_required()) absl::StrAppend(&text, " (required)");
  if (!option->get_default_str().empty()) {
    absl::StrAppend(&text, " (default: ", option->get_default_str(), ")");
  }
  return Wrap(text, kPageColumns - kNameColumns);
}

}  // namespace holdfast
