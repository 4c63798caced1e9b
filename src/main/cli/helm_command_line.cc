// SPDX-License-Identifier: Apache-2.0
// Which command a command line of `caisson helm` names, and the help of each.
#include <algorithm>

#include "core/base/text.h"
#include "delivery/render/helm/go_text.h"
#include "main/cli/helm_command_table.h"

namespace caisson::cli {
namespace {

using render::helm::go_quote;

bool is_flag(std::string_view word) {
  return word.size() > 1 && word[0] == '-';
}

// Where the command's name stands: flags may be before it, and all but the global ones without a value take the next
// word, as cobra reads them.
std::size_t command_place(const std::vector<std::string>& words) {
  const auto is_switch = [](std::string_view word) {
    const auto flags = helm_global_flags();
    return std::any_of(flags.begin(), flags.end(), [&](const FlagSpec& flag) {
      const bool named = word.starts_with("--") ? word.substr(2) == flag.name : word[1] == flag.letter;
      return flag.kind == FlagKind::boolean && named;
    });
  };
  std::size_t at = 0;
  while (at < words.size() && is_flag(words[at])) {
    const std::string_view word = words[at];
    const bool alone = word.find('=') != std::string_view::npos || (word[1] != '-' && word.size() > 2);
    at += alone || is_switch(word) ? 1 : 2;
  }
  return std::min(at, words.size());
}

bool has_word(std::string_view text, std::string_view word) {
  const auto all = split(text, ' ');
  return !word.empty() && std::find(all.begin(), all.end(), word) != all.end();
}

using Commands = std::vector<const HelmCommand*>;

// Those that begin with `word`.
Commands commands_of(std::string_view word) {
  if (word == "dep" || word == "dependencies") word = "dependency";
  if (word == "inspect") word = "show";
  Commands out;
  for (const HelmCommand& command : helm_commands()) {
    const bool single = command.name == command.first_word();
    if (command.first_word() == word || (single && has_word(command.aliases, word))) out.push_back(&command);
  }
  return out;
}

bool are_single(const Commands& commands) {
  return commands.size() == 1 && commands[0]->name == commands[0]->first_word();
}

// The one of `commands` whose second word this is.
const HelmCommand* find_second(const Commands& commands, std::string_view word) {
  const auto found = std::find_if(commands.begin(), commands.end(), [&](const HelmCommand* command) {
    return command->name.substr(std::min(command->name.size(), command->first_word().size() + 1)) == word ||
           has_word(command->aliases, word);
  });
  return found == commands.end() ? nullptr : *found;
}

Result<Flags> parse_flags(const Commands& commands, const std::vector<std::string>& words) {
  std::vector<std::span<const FlagSpec>> known{helm_global_flags()};
  for (const HelmCommand* command : commands) known.insert(known.end(), command->flags.begin(), command->flags.end());
  return Flags::parse(words, known);
}

std::string flag_column(const FlagSpec& flag) {
  std::string out = flag.letter != 0 ? std::string("  -") + flag.letter + ", --" : std::string("      --");
  out += flag.name;
  if (flag.kind == FlagKind::optional) return out + "[=VALUE]";
  return flag.kind == FlagKind::boolean ? out : out + " VALUE";
}

void append_flags(std::string& out, std::vector<const FlagSpec*> flags) {
  std::sort(flags.begin(), flags.end(), [](const FlagSpec* a, const FlagSpec* b) { return a->name < b->name; });
  std::size_t width = 0;
  for (const FlagSpec* flag : flags) width = std::max(width, flag_column(*flag).size());
  for (const FlagSpec* flag : flags) {
    std::string column = flag_column(*flag);
    column.resize(width + 2, ' ');
    out += column + std::string(flag->what) + "\n";
  }
}

std::string help_of(const HelmCommand& command) {
  std::string out = std::string(command.what) + "\n\nUsage:\n  caisson helm " + std::string(command.name);
  if (!command.arguments.empty()) out += " " + std::string(command.arguments);
  out += " [flags]\n";
  if (!command.aliases.empty()) out += "\nAliases: " + std::string(command.aliases) + "\n";
  out += "\nExample:\n  " + std::string(command.example) + "\n";
  std::vector<const FlagSpec*> own, global;
  for (const auto& group : command.flags) {
    for (const FlagSpec& flag : group) own.push_back(&flag);
  }
  for (const FlagSpec& flag : helm_global_flags()) global.push_back(&flag);
  if (!own.empty()) append_flags(out += "\nFlags:\n", own);
  append_flags(out += "\nGlobal flags:\n", global);
  return out;
}

template <class Listed>
std::string help_of_all(std::string_view title, const Listed& commands) {
  std::string out = std::string(title) + "\n\nUsage:\n  caisson helm COMMAND [flags]\n\nCommands:\n";
  std::size_t width = 0;
  for (const HelmCommand* command : commands) width = std::max(width, command->name.size());
  for (const HelmCommand* command : commands) {
    std::string column = "  " + std::string(command->name);
    column.resize(width + 4, ' ');
    out += column + std::string(command->what) + "\n";
  }
  return out + "\nExample:\n  " + std::string(commands.back()->example) +
         "\n\ncaisson helm COMMAND --help tells of one.\n";
}

}  // namespace

std::string helm_help(const std::vector<std::string>& words) {
  const std::size_t at = command_place(words);
  const Commands commands = at < words.size() ? commands_of(words[at]) : Commands();
  if (are_single(commands)) return help_of(*commands[0]);
  for (std::size_t i = at + 1; i < words.size() && !commands.empty(); ++i) {
    if (is_flag(words[i])) continue;
    if (const HelmCommand* command = find_second(commands, words[i])) return help_of(*command);
  }
  if (!commands.empty()) return help_of_all("One of these.", commands);
  Commands all;
  for (const HelmCommand& command : helm_commands()) all.push_back(&command);
  return help_of_all("Charts and releases, with Helm's own commands, arguments and flags.", all);
}

Result<HelmCall> parse_helm_call(const std::vector<std::string>& words) {
  const std::size_t at = command_place(words);
  const Commands commands = at < words.size() ? commands_of(words[at]) : Commands();
  if (commands.empty()) {
    return Error{ErrorCode::bad_request,
                 "unknown command " + go_quote(at < words.size() ? words[at] : words[0]) + " for \"helm\""};
  }
  std::vector<std::string> rest = words;
  rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(at));
  Flags flags = TRY(parse_flags(commands, rest));  // of all that begin so: the second word is known then
  const HelmCommand* command = commands[0];
  if (!are_single(commands) && !flags.arguments().empty()) {
    if (const HelmCommand* second = find_second(commands, flags.arguments()[0])) {
      command = second;
      flags = TRY(parse_flags({second}, rest));
    }
  }
  return HelmCall{command->run, std::move(flags)};
}

}  // namespace caisson::cli
