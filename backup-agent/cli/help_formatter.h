#ifndef HOLDFAST_BACKUP_AGENT_CLI_HELP_FORMATTER_H_
#define HOLDFAST_BACKUP_AGENT_CLI_HELP_FORMATTER_H_

#include <CLI/CLI.hpp>
#include <cstddef>
#include <string>

namespace holdfast {

// Lays help out for a page of kPageColumns, and says of an option what its user has to know.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter();

  std::string make_description(const CLI::App* app) const override;
  std::string make_subcommand(const CLI::App* command) const override;
  std::string make_option_opts(const CLI::Option* option) const override;
  std::string make_option_desc(const CLI::Option* option) const override;

 private:
  static constexpr size_t kPageColumns = 100;
  static constexpr size_t kNameColumns = 32;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_CLI_HELP_FORMATTER_H_
