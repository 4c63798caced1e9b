// SPDX-License-Identifier: Apache-2.0
#include "main/cli/policy_flags.h"

#include <algorithm>

#include "core/base/text.h"
#include "main/cli/boolean_flag.h"

namespace caisson::cli {
namespace {

constexpr std::size_t kNamesWidth = 34;  // of the column of flags

struct VerbInfo {
  PolicyVerb verb;
  std::string_view name, arguments, help, example;
};
constexpr VerbInfo kVerbs[] = {
    {PolicyVerb::test, "test", "DIR|FILE…",
     "Runs the kyverno-test.yaml files of folders. Exit status 1 when a row fails.",
     "caisson policy test examples/policies"},
    {PolicyVerb::apply, "apply", "POLICY…",
     "Applies policies to resource files, or to what is live. Exit status 1 on a violation or an error.",
     "caisson policy apply policy.yaml --resource manifests/ -o sarif"},
    {PolicyVerb::explain, "explain", "POLICY…",
     "Says why rules match an object or not: each condition with the values that it sees.",
     "caisson policy explain policy.yaml --resource pod.yaml"},
    {PolicyVerb::serve, "serve", "",
     "Answers as the admission webhooks of a Kubernetes, with the policies that are in it.",
     "caisson policy serve --kubeconfig k --tls-cert c.pem --tls-key k.pem --url https://host:9443"},
    {PolicyVerb::query, "jp query", "EXPRESSION…",
     "Evaluates JMESPath with Kyverno's functions over a YAML or JSON document.",
     "caisson policy jp query 'sum([].spec.replicas)' -i list.yaml"},
    {PolicyVerb::function, "jp function", "[NAME…]", "Lists the functions: what each takes and gives.",
     "caisson policy jp function time_add"},
};

const VerbInfo& info_of(PolicyVerb verb) {
  return *std::find_if(std::begin(kVerbs), std::end(kVerbs), [&](const VerbInfo& one) { return one.verb == verb; });
}

constexpr unsigned of(PolicyVerb verb) {
  return 1u << static_cast<unsigned>(verb);
}
constexpr unsigned kTest = of(PolicyVerb::test), kApply = of(PolicyVerb::apply), kExplain = of(PolicyVerb::explain),
                   kServe = of(PolicyVerb::serve), kQuery = of(PolicyVerb::query);
constexpr unsigned kWorld = kApply | kExplain;  // those that take policies, and objects to ask them about

// "ADDRESS:PORT"; an IPv6 address in brackets.
Result<void> read_listen(const std::string& text, PolicyServeOptions& out) {
  const std::size_t colon = text.rfind(':');
  const auto port = parse_int(colon == std::string::npos ? "" : text.substr(colon + 1));
  if (!port || *port < 0 || *port > 65535)
    return Error{ErrorCode::bad_request, "--listen: \"" + text + "\" is no ADDRESS:PORT"};
  out.listen = text.substr(0, colon);
  if (out.listen.starts_with("[") && out.listen.ends_with("]"))
    out.listen = out.listen.substr(1, out.listen.size() - 2);
  out.port = static_cast<int>(*port);
  return {};
}

struct Flag {
  std::string_view names;  // "-r, --resource", the first for short; all of them are taken
  std::string_view value;  // what its value is called; empty: it has none
  unsigned verbs;
  std::string_view help;  // empty: taken for Kyverno's sake and not shown
  Result<void> (*set)(PolicyArguments& out, const std::string& value);
};

template <auto kMember>
Result<void> set_text(PolicyArguments& out, const std::string& value) {
  out.*kMember = value;
  return {};
}
template <auto kMember>
Result<void> set_global(PolicyArguments& out, const std::string& value) {
  out.global.*kMember = value;
  return {};
}
template <auto kMember>
Result<void> set_serve(PolicyArguments& out, const std::string& value) {
  out.serve.*kMember = value;
  return {};
}
template <auto kMember>
Result<void> turn_on(PolicyArguments& out, const std::string&) {
  out.*kMember = true;
  return {};
}
Result<void> add_resources(PolicyArguments& out, const std::string& value) {
  for (const std::string_view path : split(value, ',')) out.resources.emplace_back(path);
  return {};
}
Result<void> add_exception(PolicyArguments& out, const std::string& value) {
  out.exceptions.push_back(value);
  return {};
}
Result<void> set_listen(PolicyArguments& out, const std::string& value) {
  return read_listen(value, out.serve);
}
Result<void> ignore_failures(PolicyArguments& out, const std::string&) {
  out.serve.ignore_failures = true;
  return {};
}
Result<void> nothing(PolicyArguments&, const std::string&) {
  return {};
}

using A = PolicyArguments;
using S = PolicyServeOptions;
constexpr Flag kFlags[] = {
    {"-f, --file-name", "NAME", kTest, "the name of test files (kyverno-test.yaml)", set_text<&A::file_name>},
    {"--fail-only", "", kTest, "shows only rows that fail", turn_on<&A::fail_only>},
    {"--detailed-results", "", kTest, "shows each row's whole message", turn_on<&A::detailed>},
    {"-r, --resource, --resources", "FILE|DIR|-", kWorld,
     "objects to ask about; may be repeated, or a list with commas", add_resources},
    {"-c, --cluster", "", kWorld, "asks about what is live, and looks up there what rules look up",
     turn_on<&A::cluster>},
    {"-e, --exception, --exceptions", "FILE", kWorld, "PolicyExceptions; may be repeated", add_exception},
    {"-f, --values-file", "FILE", kWorld, "values of variables, as a test's", set_text<&A::values>},
    {"-u, --userinfo", "FILE", kWorld, "who asks: userInfo, roles, clusterRoles", set_text<&A::user_info>},
    {"-o, --output, --output-format", "FORMAT", kApply, "json, yaml, sarif or junit instead of a table",
     set_text<&A::output>},
    {"--audit-warn", "", kApply, "what only audits is a warning, no failure", turn_on<&A::audit_warn>},
    {"--rule", "NAME", kExplain, "explains this rule alone", set_text<&A::rule>},
    {"--registry", "", kTest | kWorld, "reads images from their registries, with the logins of docker",
     turn_on<&A::registry>},
    {"--listen", "ADDRESS:PORT", kServe, "where to answer (127.0.0.1:9443)", set_listen},
    {"--tls-cert", "FILE", kServe, "the certificate to answer with", set_serve<&S::certificate>},
    {"--tls-key", "FILE", kServe, "its key", set_serve<&S::key>},
    {"--tls-ca", "FILE", kServe, "who signed the certificate, when it is not its own", set_serve<&S::ca>},
    {"--url", "URL", kServe,
     "where the cluster reaches this: its webhook configurations are written, and go at the end", set_serve<&S::url>},
    {"--ignore-failures", "", kServe, "of those: writes go on while nobody answers", ignore_failures},
    {"-i, --input", "FILE|-", kQuery, "the document (standard input)", set_text<&A::input>},
    {"-q, --query", "FILE", kQuery, "reads an expression from a file", set_text<&A::query>},
    {"-c, --compact", "", kQuery, "the result on one line", turn_on<&A::compact>},
    {"-n, --namespace", "NAME", kWorld, "of what is live, this namespace", set_global<&Global::ns>},
    {"--kubeconfig", "FILE", kWorld | kServe, "the cluster (the platform's own)", set_global<&Global::kubeconfig>},
    {"--context", "NAME", kWorld | kServe, "of the kubeconfig", set_global<&Global::context>},
    {"--data-dir", "DIR", ~0u, "the platform's directory", set_global<&Global::data_dir>},
    {"-h, --help", "", ~0u, "this", turn_on<&A::help>},
    {"--remove-color", "", ~0u, "", nothing},
    {"-t, --table", "", ~0u, "", nothing},
};

const Flag* find_flag(PolicyVerb verb, std::string_view name) {
  for (const Flag& flag : kFlags) {
    if ((flag.verbs & of(verb)) == 0) continue;
    const auto names = split(flag.names, ',');
    if (std::any_of(names.begin(), names.end(), [&](std::string_view one) { return trim(one) == name; })) return &flag;
  }
  return nullptr;
}

}  // namespace

std::optional<PolicyVerb> policy_verb(std::string_view name) {
  for (const VerbInfo& info : kVerbs)
    if (info.name == name) return info.verb;
  return {};
}

Result<PolicyArguments> read_policy_arguments(PolicyVerb verb, const std::vector<std::string>& words) {
  PolicyArguments out;
  out.global.data_dir = default_data_dir();
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (!word.starts_with("-") || word == "-") {
      out.words.push_back(word);
      continue;
    }
    const auto equals = word.starts_with("--") ? word.find('=') : std::string::npos;
    const std::string name = word.substr(0, equals);
    const Flag* flag = find_flag(verb, name);
    const std::string command = "policy " + std::string(info_of(verb).name);
    if (flag == nullptr)
      return Error{ErrorCode::bad_request,
                   command + ": flag " + name + " is not known; see caisson " + command + " --help"};
    std::string value;
    if (equals != std::string::npos)
      value = word.substr(equals + 1);
    else if (!flag->value.empty() && i + 1 < words.size())
      value = words[++i];
    else if (!flag->value.empty())
      return Error{ErrorCode::bad_request, command + ": " + name + " needs a value"};
    if (flag->value.empty() && equals != std::string::npos && !TRY(read_bool(name, value))) continue;
    TRY(flag->set(out, value));
  }
  return out;
}

std::string policy_help(PolicyVerb verb) {
  const VerbInfo& info = info_of(verb);
  std::string out(info.help);
  out += "\n\nUsage: caisson policy " + std::string(info.name) + (info.arguments.empty() ? "" : " ");
  out += std::string(info.arguments) + " [flags]\nExample: " + std::string(info.example) + "\n\nFlags:\n";
  for (const Flag& flag : kFlags) {
    if ((flag.verbs & of(verb)) == 0 || flag.help.empty()) continue;
    std::string names = std::string(flag.names) + (flag.value.empty() ? "" : " ") + std::string(flag.value);
    if (!names.starts_with("-") || names.starts_with("--")) names.insert(0, 4, ' ');
    names.resize(std::max(names.size() + 2, kNamesWidth), ' ');
    out += "  " + names + std::string(flag.help) + "\n";
  }
  return out;
}

std::string policy_help() {
  std::string out = "Checks objects against policies.\n\nCommands (each has --help):\n";
  for (const VerbInfo& info : kVerbs) {
    std::string name(info.name);
    name.resize(14, ' ');
    out += "  " + name + std::string(info.help) + "\n";
  }
  return out;
}

}  // namespace caisson::cli
