// SPDX-License-Identifier: Apache-2.0
// certificate approve and deny, version, options, completion.
#include <errno.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "main/cli/kubectl/kubectl.h"
#include "main/platform/version.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kCertificateFlags[] = {{"force", FlagKind::boolean}};
constexpr FlagSpec kVersionFlags[] = {{"client", FlagKind::boolean}};
constexpr std::string_view kKustomizeVersion = "v5.8.2";  // whose behaviour `kustomize` has
constexpr auto kVersionWait = std::chrono::seconds(2);

// --- certificate

Result<int> decide(Call& call, bool approve) {
  if (call.arguments.empty() && !call.flags.has("filename"))
    return usage("one or more CSRs must be specified as <name> or -f <filename>");
  std::vector<std::string> words = call.arguments;
  if (!words.empty()) words.insert(words.begin(), std::string("certificatesigningrequests.certificates.k8s.io"));
  const char *type = approve ? "Approved" : "Denied", *opposite = approve ? "Denied" : "Approved";
  for (const Target& target : TRY(read_targets(call, words))) {
    Value request = target.object;
    bool already = false;
    for (const Value& condition : request["status"]["conditions"].items()) {
      already = already || condition["type"].as_string() == type;
      if (condition["type"].as_string() == opposite)
        return usage("certificate signing request \"" + target.name + "\" is already " + opposite);
    }
    if (!already || call.is_set("force")) {
      const std::string now = format_time(system_clock().now());
      request.edit({"status", "conditions"})
          .push_back(Value{{"type", type},
                           {"status", "True"},
                           {"reason", approve ? "KubectlApprove" : "KubectlDeny"},
                           {"message", std::string("This CSR was ") + (approve ? "approved" : "denied") +
                                           " by kubectl certificate " + (approve ? "approve." : "deny.")},
                           {"lastUpdateTime", now}});
      request = TRY(send(call, "PUT", target.path() + "/approval", request));
    }
    TRY(print_result(call, target, request, approve ? "approved" : "denied"));
  }
  return 0;
}
Result<int> run_approve(Call& call) {
  return decide(call, true);
}
Result<int> run_deny(Call& call) {
  return decide(call, false);
}

// --- version

// The server's /version; null where no platform is known or answers.
Value server_version(const Call& call) {
  const auto session =
      connect({call.text("kubeconfig"), call.text("context"), "", call.text("data-dir", default_data_dir()), ""});
  if (!session.ok()) return {};
  http::Request request = session->request("GET", "/version");
  request.time_max = kVersionWait;
  const auto answer = http::Client(session->connection.http).send(request);
  if (!answer.ok() || answer->status != 200) return {};
  auto version = json::parse(answer->body);
  return version.ok() ? std::move(version).value() : Value();
}

Result<int> run_version(Call& call) {
  const std::string format = call.text("output");
  if (!format.empty() && format != "json" && format != "yaml") return usage("--output must be 'yaml' or 'json'");
  // Scripts and people who ask this program get a line, at once; who asks kubectl gets what kubectl says.
  if (format.empty() && std::string_view(::program_invocation_short_name) != "kubectl") {
    std::printf("caisson %s\n", std::string(platform::kVersion).c_str());
    return 0;
  }
  const std::string kubernetes = "v" + std::string(platform::kKubernetesVersion) + ".0";
  const auto parts = split(platform::kKubernetesVersion, '.');
  const Value server = call.is_set("client") ? Value() : server_version(call);
  if (format.empty()) {
    std::printf("Client Version: %s\nKustomize Version: %s\n", kubernetes.c_str(),
                std::string(kKustomizeVersion).c_str());
    if (!server.is_null()) std::printf("Server Version: %s\n", server["gitVersion"].str().c_str());
    return 0;
  }
  Value out{{"version", platform::kVersion},
            {"kubernetes", platform::kKubernetesVersion},
            {"clientVersion", Value{{"major", parts[0]}, {"minor", parts[1]}, {"gitVersion", kubernetes}}},
            {"kustomizeVersion", kKustomizeVersion}};
  if (!server.is_null()) out.set("serverVersion", server);
  print_value(out, format);
  return 0;
}

// --- options

Result<int> run_options(Call&) {
  std::printf("The following options can be passed to any command:\n\n");
  static constexpr std::pair<std::string_view, std::string_view> kOptions[] = {
      {"--context=''", "The name of the kubeconfig context to use"},
      {"--data-dir='/var/lib/caisson'",
       "The platform's directory, whose administrator file is used when it can be read"},
      {"--kubeconfig=''", "Path to the kubeconfig file to use"},
      {"-n, --namespace=''", "The namespace"},
      {"--request-timeout='0'", "How long to wait before giving up on a watch"},
  };
  for (const auto& [flag, help] : kOptions)
    std::printf("    %s:\n\t%s\n\n", std::string(flag).c_str(), std::string(help).c_str());
  return 0;
}

// --- completion

constexpr std::string_view kBash = R"sh(
# caisson completion for bash: source <(caisson completion bash)
_caisson() {
  local IFS=$'\n'
  COMPREPLY=($(caisson __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _caisson caisson
)sh";
constexpr std::string_view kZsh = R"sh(#compdef caisson
# caisson completion for zsh: source <(caisson completion zsh)
_caisson() {
  local -a found
  found=("${(@f)$(caisson __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -a found
}
compdef _caisson caisson
)sh";
constexpr std::string_view kFish = R"sh(# caisson completion for fish: caisson completion fish | source
function __caisson_complete
  set -l words (commandline -opc) (commandline -ct)
  caisson __complete -- $words[2..-1] 2>/dev/null
end
complete -c caisson -f -a '(__caisson_complete)'
)sh";

Result<int> run_completion(Call& call) {
  if (call.arguments.size() != 1) return usage("a shell is required: bash, zsh or fish");
  const std::string& shell = call.arguments[0];
  const std::string_view script = shell == "bash"   ? kBash
                                  : shell == "zsh"  ? kZsh
                                  : shell == "fish" ? kFish
                                                    : std::string_view();
  if (script.empty()) return usage("unsupported shell type \"" + shell + "\": bash, zsh and fish are there");
  std::fwrite(script.data(), 1, script.size(), stdout);
  return 0;
}

// Commands whose names begin with the words so far: the next word of each.
std::set<std::string> next_words(const std::vector<std::string>& words) {
  std::set<std::string> out;
  for (const auto family : all_commands()) {
    for (const Command& command : family) {
      const auto parts = split(command.name, ' ');
      if (parts.size() < words.size() || parts[0].starts_with("__") ||
          !std::equal(words.begin(), words.end() - 1, parts.begin()))
        continue;
      if (parts[words.size() - 1].starts_with(words.back())) out.emplace(parts[words.size() - 1]);
    }
  }
  if (words.size() != 1) return out;
  for (const std::string_view own : {"up", "down", "preflight", "status", "login", "timeline", "scan", "image", "build",
                                     "promql", "metrics", "alert", "kustomize", "helm", "app", "policy"}) {
    if (own.starts_with(words[0])) out.emplace(own);
  }
  return out;
}

// The kinds, and after a kind its objects; after "KIND/" too. Silent where no platform answers.
std::vector<std::string> next_objects(const Call& call, const std::vector<std::string>& arguments) {
  const auto session =
      connect({call.text("kubeconfig"), call.text("context"), call.text("namespace"), default_data_dir(), ""});
  if (!session.ok()) return {};
  const std::string& last = arguments.back();
  const auto slash = last.find('/');
  std::vector<std::string> out;
  if (arguments.size() == 1 && slash == std::string::npos) {
    for (const char* path : {"/api/v1", "/apis/apps/v1", "/apis/batch/v1", "/apis/networking.k8s.io/v1"}) {
      const auto answer = session->send("GET", path);
      const auto list = answer.ok() ? json::parse(answer->body) : Result<Value>(Value());
      if (!list.ok()) continue;
      for (const Value& item : (*list)["resources"].items()) {
        const std::string name = item["name"].str();
        if (name.find('/') == std::string::npos && name.starts_with(last)) out.push_back(name);
      }
    }
    return out;
  }
  const auto resource = find_resource(*session, slash == std::string::npos ? arguments[0] : last.substr(0, slash));
  if (!resource.ok()) return {};
  const auto list = session->client->list(*resource, {.ns = resource->namespaced ? session->ns : ""});
  if (!list.ok()) return {};
  const std::string head = slash == std::string::npos ? "" : last.substr(0, slash + 1);
  for (const Object& object : list->items) {
    if ((head + object.name()).starts_with(last)) out.push_back(head + object.name());
  }
  return out;
}

// What could stand where the last of the words is, a line each. Called by the scripts above.
Result<int> run_complete(Call& call) {
  std::vector<std::string> words;
  for (const std::string& word : call.arguments) {
    if (!word.starts_with('-')) words.push_back(word);
  }
  if (words.empty()) words.emplace_back();
  const Command* command = words.size() > 1 ? find_command({words.begin(), words.end() - 1}) : nullptr;
  const std::size_t depth = command == nullptr ? 0 : split(command->name, ' ').size();
  std::set<std::string> found = next_words(words);
  if (command != nullptr && words.size() > depth) {
    for (std::string& name : next_objects(call, {words.begin() + static_cast<std::ptrdiff_t>(depth), words.end()}))
      found.insert(std::move(name));
  }
  for (const std::string& one : found) std::printf("%s\n", one.c_str());
  return 0;
}

constexpr Command kCommands[] = {
    {"certificate approve", "Approve certificate signing requests.", "certificate approve (-f FILE | NAME ...)",
     "caisson certificate approve ada", kCertificateFlags, run_approve},
    {"certificate deny", "Deny certificate signing requests.", "certificate deny (-f FILE | NAME ...)",
     "caisson certificate deny ada", kCertificateFlags, run_deny},
    {"version", "Print the versions of this program and of the server.", "version [--client] [-o json|yaml]",
     "caisson version -o json", kVersionFlags, run_version, false},
    {"options", "List the flags of all commands.", "options", "caisson options", {}, run_options, false},
    {"completion",
     "Print a script that lets a shell complete commands.",
     "completion bash|zsh|fish",
     "caisson completion bash",
     {},
     run_completion,
     false},
    {"__complete",
     "Print what could come next on a command line; for the scripts of completion.",
     "__complete WORD ...",
     "caisson __complete get po",
     {},
     run_complete,
     false},
};

}  // namespace

std::span<const Command> other_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
