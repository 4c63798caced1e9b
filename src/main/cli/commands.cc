// SPDX-License-Identifier: Apache-2.0
// Which command a command line means.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <set>

#include "artifact/build/executor.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "main/cli/boolean_flag.h"
#include "main/cli/kubectl/kubectl.h"
#include "main/cli/logs_query.h"
#include "main/cli/proj_commands.h"
#include "main/cli/tree.h"
#include "main/cli/unknown_command.h"

namespace caisson::cli {
namespace {

// A command line needs only the group of its command: making the whole tree takes as long as loading the program.
struct Group {
  const char* title;  // in the list of commands; of no title: not listed
  std::string_view commands;
  void (*add)(Tree&);
};
constexpr Group kGroups[] = {
    {"Platform", " up attach down node preflight status login git-credential timeline ", add_platform_commands},
    {"Delivery", " kustomize helm app proj policy ", add_delivery_commands},
    {"Images", " scan ", add_scan_commands},
    {"Images", " image build ", add_image_commands},
    {"Metrics and alerts", " promql metrics alert ", add_observe_commands},
    {"", " server agent ", add_process_commands},
};
constexpr const char* kKubectlTitle = "Objects, workloads and nodes, as kubectl";

void add_group(const Group& group, Tree& tree) {
  const std::size_t before = tree.app.get_subcommands(nullptr).size();
  group.add(tree);
  const auto all = tree.app.get_subcommands(nullptr);
  for (std::size_t i = before; i < all.size(); ++i) all[i]->group(group.title);
}

bool has_command(const Group& group, const std::string& word) {
  return group.commands.find(" " + word + " ") != std::string_view::npos;
}

bool is_command(const std::string& word) {
  return std::any_of(std::begin(kGroups), std::end(kGroups),
                     [&](const Group& group) { return has_command(group, word); });
}

// Only for the list of commands: kubectl/kubectl.h reads their arguments itself.
void list_kubectl_commands(Tree& tree) {
  std::set<std::string_view> listed;
  for (const auto family : kubectl::all_commands()) {
    for (const kubectl::Command& command : family) {
      const std::string_view word = command.name.substr(0, command.name.find(' '));
      if (word.starts_with("__") || is_command(std::string(word)) || !listed.insert(word).second) continue;
      std::string help(command.help.substr(0, command.help.find('.')));  // in the style of this list
      help[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(help[0])));
      tree.app.add_subcommand(std::string(word), std::move(help))->group(kKubectlTitle);
    }
  }
}

std::string own_path() {
  char path[4096];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
  return length > 0 ? std::string(path, static_cast<std::size_t>(length)) : "caisson";
}

int finish(const Result<int>& result) {
  if (result.ok()) return *result;
  std::fprintf(stderr, "%s %s\n", paint("error:", kRed).c_str(), result.error().message.c_str());
  return 1;
}

// How many words before the command are flags of all commands, as in "--data-dir /x get pods", and their values.
std::size_t leading_flags(const std::vector<std::string>& words) {
  constexpr std::string_view kFlags[] = {"--data-dir", "--kubeconfig", "--context", "--namespace", "-n"};
  std::size_t at = 0;
  while (at < words.size()) {
    const std::string_view word = words[at], name = word.substr(0, word.find('='));
    if (std::find(std::begin(kFlags), std::end(kFlags), name) == std::end(kFlags)) break;
    at += word.size() > name.size() ? 1 : 2;
  }
  return std::min(at, words.size());
}

// Helm's and kustomize's commands have their own readers: what stands in front of them, as in "--data-dir /x helm
// list", goes behind in Helm's words. The data directory goes by the environment: default_data_dir().
std::vector<std::string> helm_words(const std::vector<std::string>& front, const std::vector<std::string>& rest) {
  std::vector<std::string> out(rest.begin() + 1, rest.end());
  for (std::size_t i = 0; i < front.size(); ++i) {
    const std::size_t equals = front[i].find('=');
    const std::string name = front[i].substr(0, equals);
    if (equals == std::string::npos && i + 1 == front.size()) break;  // without its value: the command says so
    const std::string value = equals == std::string::npos ? front[++i] : front[i].substr(equals + 1);
    if (name == "--data-dir")
      ::setenv("CAISSON_DATA_DIR", value.c_str(), 1);
    else
      out.push_back((name == "--context" ? "--kube-context" : name == "-n" ? "--namespace" : name) + "=" + value);
  }
  return out;
}

// What to say of words that are no command: kubectl's text and status for whoever called this as kubectl.
int refuse_words(std::string_view program, const std::vector<std::string>& words) {
  std::vector<SubCommand> family;  // of the first word
  std::vector<std::string_view> known;
  for (const auto commands : kubectl::all_commands()) {
    for (const kubectl::Command& command : commands) {
      const std::string_view first = command.name.substr(0, command.name.find(' '));
      known.push_back(first);
      if (first == words[0]) family.push_back({command.name, command.help});
    }
  }
  if (!family.empty()) {
    std::fprintf(stderr, "%s %s", paint("error:", kRed).c_str(), which_command(words, family).c_str());
    return program == "kubectl" ? 1 : 2;
  }
  if (program == "kubectl") {
    std::fprintf(stderr, "error: unknown command \"%s\" for \"kubectl\"\n", words[0].c_str());
    return 1;
  }
  for (const Group& group : kGroups) {
    for (const std::string_view name : split(group.commands, ' ')) known.push_back(name);
  }
  const std::string near(nearest_command(words[0], known));
  std::fprintf(stderr, "%s there is no command '%s'%s 'caisson --help' lists them\n", paint("error:", kRed).c_str(),
               words[0].c_str(), near.empty() ? ":" : ("; did you mean '" + near + "'?").c_str());
  return 2;
}

// "alert lss": what a command of which another must follow is followed by instead; "" when that is not what is wrong.
std::string unknown_subcommand(const CLI::App& app) {
  const CLI::App* last = &app;
  std::vector<std::string> words;
  for (auto parsed = app.get_subcommands(); !parsed.empty(); parsed = last->get_subcommands()) {
    last = parsed.front();
    words.push_back(last->get_name());
  }
  const auto all = last->get_subcommands([](const CLI::App*) { return true; });
  const std::vector<std::string> rest = app.remaining(true);
  if (words.empty() || all.empty() || rest.empty() || rest[0].starts_with('-')) return "";
  std::vector<std::string> names, helps;
  for (const CLI::App* one : all) {
    names.push_back(one->get_name());
    helps.push_back(one->get_description());
  }
  std::vector<SubCommand> family;
  for (std::size_t i = 0; i < names.size(); ++i) family.push_back({names[i], helps[i]});
  return which_command({join(words, " "), rest[0]}, family);
}

// Of a word that only begins commands ("top" of "top pods"), those commands, once for all their spellings.
std::string subcommands_text(const std::string& word) {
  std::string out;
  std::set<std::string_view> told;
  for (const auto family : kubectl::all_commands())
    for (const kubectl::Command& command : family)
      if (command.name.starts_with(word + " ") && told.insert(command.help).second)
        out += "  caisson " + std::string(command.usage) + "\n      " +
               std::string(command.help.substr(0, command.help.find('\n'))) + "\n";
  return out;
}

// As kubectl, which shows the help of such a word; a second word that is none of its commands is an error.
int answer_group(const std::vector<std::string>& words, const std::string& text) {
  const bool bare = std::all_of(words.begin() + 1, words.end(), [](const auto& word) { return word.starts_with('-'); });
  if (!bare)
    std::fprintf(stderr, "%s there is no command '%s'\n", paint("error:", kRed).c_str(), join(words, " ").c_str());
  std::fprintf(bare ? stdout : stderr, "Usage:\n%s", text.c_str());
  return bare ? 0 : 2;
}

// `attach POD` is kubectl's; without a pod, `attach` reconciles another Kubernetes.
bool attaches_to_cluster(std::string_view program, const std::vector<std::string>& words) {
  constexpr std::string_view kValues[] = {"--kubeconfig", "--context",     "--home-namespace",
                                          "--listen",     "--portal-port", "--data-dir"};
  if (program == "kubectl" || words.empty() || words[0] != "attach") return false;
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (std::find(std::begin(kValues), std::end(kValues), words[i]) != std::end(kValues))
      ++i;
    else if (!words[i].starts_with('-'))
      return false;
  }
  return true;
}

// `kubectl kustomize DIR` is `kustomize build DIR`.
int kustomize_words(std::string_view program, std::vector<std::string> words) {
  words.erase(words.begin());
  if (program == "kubectl" && (words.empty() || words[0] != "build")) words.insert(words.begin(), "build");
  return command_kustomize(words);
}

// "Could not convert: --detach = maybe": of a toggle in the words of the other commands.
std::string conversion_error(const CLI::App& app, const std::string& text) {
  constexpr std::string_view kBegin = "Could not convert: ", kIs = " = ";
  const std::size_t is = text.find(kIs);
  if (!text.starts_with(kBegin) || is == std::string::npos) return text;
  const std::string name = text.substr(kBegin.size(), is - kBegin.size());
  for (const CLI::App* one = &app; one != nullptr;) {
    const CLI::Option* option = one->get_option_no_throw(name);
    if (option != nullptr && option->get_items_expected_max() == 0) {
      const auto value = read_bool(name, text.substr(is + kIs.size()));
      return value.ok() ? text : value.error().message;
    }
    const auto below = one->get_subcommands();
    one = below.empty() ? nullptr : below.front();
  }
  return text;
}

}  // namespace

Result<int> done(const Result<void>& result) {
  if (!result.ok()) return result.error();
  return 0;
}

CLI::App* add(Tree& tree, CLI::App& parent, const std::string& name, const std::string& help,
              const std::string& example, std::function<Result<int>()> action) {
  CLI::App* command = parent.add_subcommand(name, help);
  if (!example.empty()) command->footer("Example:\n  " + example);
  if (action) command->callback([&tree, action] { tree.action = action; });
  return command;
}

void take_output(Tree& tree, CLI::App* command) {
  command->add_option("-o,--output", tree.global.output, "json, yaml, wide or name");
}

void take_connection(Tree& tree, CLI::App* command) {
  command->add_option("-n,--namespace", tree.global.ns, "namespace");
  command->add_option("--kubeconfig", tree.global.kubeconfig,
                      "file that says which platform; else $KUBECONFIG, ~/.kube/config");
  command->add_option("--context", tree.global.context, "context of the kubeconfig");
  take_output(tree, command);
}

int run_command_line(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  // Inside a build step's container this program is the executor.
  if (path_base(argv[0]) == "executor") return build::executor_main({argv + 1, argv + argc});
  const std::vector<std::string> words(argv + 1, argv + argc);
  // Run in loops by people and tools, with kustomize's own rules for flags: the tree need not be built for it.
  const std::string program(path_base(argv[0]));
  const std::size_t flags = leading_flags(words);
  const std::vector<std::string> front(words.begin(), words.begin() + flags), rest(words.begin() + flags, words.end());
  if (!rest.empty() && rest[0] == "kustomize") return kustomize_words(program, rest);
  if (!rest.empty() && rest[0] == "helm") {
    const Result<void> result = command_helm(helm_words(front, rest));
    if (!result.ok()) std::fprintf(stderr, "Error: %s\n", result.error().message.c_str());
    return result.ok() ? 0 : 1;
  }
  if (is_logs_query(rest)) return finish(command_logs_query(rest, front));
  const kubectl::Command* command = attaches_to_cluster(program, rest) ? nullptr : kubectl::find_command(rest);
  if (command) return kubectl::run_command(*command, rest, front);
  if (!rest.empty() && program != "kubectl" && !is_command(rest[0]))
    if (const std::string text = subcommands_text(rest[0]); !text.empty()) return answer_group(rest, text);
  if (!rest.empty() && (rest[0] == "app" || rest[0] == "proj")) {
    std::vector<std::string> arguments(rest.begin() + 1, rest.end());
    arguments.insert(arguments.end(), front.begin(), front.end());
    Global global;
    global.data_dir = default_data_dir();
    return finish((rest[0] == "app" ? command_app : command_proj)(global, arguments));
  }
  if (!rest.empty() && rest[0] == "policy") {
    std::vector<std::string> arguments(rest.begin() + 1, rest.end());
    arguments.insert(arguments.end(), front.begin(), front.end());
    return finish(command_policy(arguments));
  }
  CLI::App app{
      "Caisson: git push to running containers, on one machine.\n\nFirst steps: caisson preflight, sudo caisson up "
      "--detach, caisson login",
      "caisson"};
  Tree tree{app};
  tree.app.require_subcommand(1);
  tree.app.fallthrough();
  tree.app.add_option("--data-dir", tree.global.data_dir, "the platform's directory")
      ->envname("CAISSON_DATA_DIR")
      ->capture_default_str();
  tree.up.program = own_path();
  const bool named = !rest.empty() && is_command(rest[0]);
  if (!named && !rest.empty() && !rest[0].starts_with('-')) return refuse_words(program, rest);
  for (const Group& group : kGroups) {
    if (!named || has_command(group, rest[0])) add_group(group, tree);  // help, or a flag first: all of them
  }
  if (!named) list_kubectl_commands(tree);
  try {
    tree.app.parse(argc, argv);
  } catch (const CLI::ConversionError& error) {
    std::fprintf(stderr, "%s %s\n", paint("error:", kRed).c_str(), conversion_error(tree.app, error.what()).c_str());
    return 2;
  } catch (const CLI::ParseError& error) {
    if (const std::string text = unknown_subcommand(tree.app); !text.empty()) {
      std::fprintf(stderr, "%s %s", paint("error:", kRed).c_str(), text.c_str());
      return 2;
    }
    const int code = tree.app.exit(error);
    return code == 0 ? 0 : 2;
  }
  return finish(tree.action ? tree.action() : Result<int>(Error{ErrorCode::bad_request, "no command"}));
}

}  // namespace caisson::cli
