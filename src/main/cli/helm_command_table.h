// SPDX-License-Identifier: Apache-2.0
// The sub-commands of `caisson helm`: their names, arguments, flags and help. Source: `helm COMMAND --help` of Helm 3.22
// for names, letters and kinds of flags; `diff` is ours. What a command does is in helm_release.h.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "main/cli/helm_flags.h"

namespace caisson::cli {

using FlagGroups = std::span<const std::span<const FlagSpec>>;

struct HelmCommand {
  std::string_view name;       // "upgrade", "repo add"
  std::string_view aliases;    // other words for the last one, separated by blanks: "delete un"
  std::string_view arguments;  // "[RELEASE] [CHART]"
  std::string_view what;       // what it does, a sentence
  std::string_view example;    // lines of the shell
  FlagGroups flags;            // without the global ones
  Result<void> (*run)(const Flags& flags);

  std::string_view first_word() const { return name.substr(0, name.find(' ')); }
};

std::span<const HelmCommand> helm_commands();  // by name
std::span<const FlagSpec> helm_global_flags();

// Of the command that a command line names, of all below its first word, or, when it names none, of all.
std::string helm_help(const std::vector<std::string>& words);

// What the command line `words` calls. Errors: as Helm's, "unknown flag: --x", "unknown command "x" for "helm"".
struct HelmCall {
  Result<void> (*run)(const Flags& flags);
  Flags flags;  // those of the command and of no other
};
Result<HelmCall> parse_helm_call(const std::vector<std::string>& words);

}  // namespace caisson::cli
