#ifndef HOLDFAST_BACKUP_AGENT_CLI_GRAMMAR_H_
#define HOLDFAST_BACKUP_AGENT_CLI_GRAMMAR_H_

#include <CLI/CLI.hpp>

#include "backup-agent/cli/arguments.h"

namespace holdfast {

// Makes `app` the grammar of the command line: its commands and options, with their help. The
// command that is parsed puts its arguments into `result`, which must outlive `app`.
void BuildGrammar(CLI::App& app, ParsedArguments& result);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_CLI_GRAMMAR_H_
