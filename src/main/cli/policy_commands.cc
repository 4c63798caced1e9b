// SPDX-License-Identifier: Apache-2.0
// `caisson policy`: test (kyverno-test.yaml), apply (policies to files or to a cluster), explain (why a rule said what
// it said), serve (a cluster's policies as its webhooks), jp (JMESPath with Kyverno's functions).
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iterator>

#include "core/base/file.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "core/expr/jmespath/jmespath.h"
#include "main/cli/commands.h"
#include "main/cli/policy_cluster.h"
#include "main/cli/policy_flags.h"
#include "main/cli/registry_access.h"
#include "security/policy/evaluate.h"
#include "security/policy/policy_output.h"
#include "security/policy/registry_images.h"
#include "security/policy/test_command.h"

namespace caisson::cli {
namespace {

// --registry: images are read from their registries, with the credentials of `docker login`.
std::unique_ptr<policy::ImageSource> registry_of(const PolicyArguments& arguments) {
  if (!arguments.registry) return nullptr;
  policy::RegistryImagesOptions options;
  options.names.port = 0;  // a command asks the registry that the name says, its own, too
  options.login = registry_logins(arguments.global);
  return policy::make_registry_images(std::move(options));
}

std::string outcome(const policy::TestRow& row) {
  if (!row.ok) return paint("Fail", kRed);
  return paint(row.skipped ? "Skip" : "Pass", kGreen);
}

// --- caisson policy test DIR…
Result<int> run_tests(const PolicyArguments& arguments) {
  if (arguments.words.empty()) return Error{ErrorCode::bad_request, "policy test needs a folder or a test file"};
  const auto tests = TRY(policy::find_tests(arguments.words, arguments.file_name));
  if (tests.empty()) return Error{ErrorCode::not_found, "no " + arguments.file_name + " there"};
  const auto registry = registry_of(arguments);
  std::size_t passed = 0, skipped = 0, failed = 0, broken = 0;
  for (const std::string& path : tests) {
    const auto report = policy::run_test(path, registry.get());
    if (!report.ok()) {
      std::fprintf(stderr, "%s %s\n", paint("error:", kRed).c_str(), report.error().message.c_str());
      ++broken;
      continue;
    }
    std::vector<std::vector<std::string>> rows;
    for (const policy::TestRow& row : report->rows) {
      ++(row.ok ? row.skipped ? skipped : passed : failed);
      if (arguments.fail_only && row.ok) continue;
      rows.push_back({std::to_string(rows.size() + 1), row.policy, row.rule, row.resource, outcome(row), row.reason});
      if (arguments.detailed || !row.ok)
        rows.back().push_back(arguments.detailed ? row.message : row.message.substr(0, row.message.find('\n')));
    }
    if (rows.empty()) continue;
    std::printf("%s (%s)\n", report->name.c_str(), path.c_str());
    print_table({"ID", "POLICY", "RULE", "RESOURCE", "RESULT", "REASON", "MESSAGE"}, rows);
    std::printf("\n");
  }
  std::printf("%zu tests: %zu rows passed, %zu skipped, %zu failed, %zu files could not be read\n", tests.size(),
              passed, skipped, failed, broken);
  return failed + broken == 0 ? 0 : 1;
}

// --- caisson policy apply POLICY… --resource FILE
Result<policy::TestInputs> read_inputs(const PolicyArguments& arguments) {
  policy::TestInputs inputs;
  if (!arguments.values.empty()) {
    const auto documents = TRY(policy::read_documents(arguments.values));
    if (!documents.empty()) inputs.values = documents[0];
  }
  if (!arguments.user_info.empty()) {
    const auto documents = TRY(policy::read_documents(arguments.user_info));
    if (!documents.empty()) inputs.user = documents[0];
  }
  for (const Value& entry : inputs.values["namespaceSelector"].items())
    inputs.namespaces[entry["name"].str()] =
        Value{{"metadata", Value{{"name", entry["name"]}, {"labels", entry["labels"]}}}};
  return inputs;
}

Result<std::vector<Value>> read_resources(const std::vector<std::string>& paths) {
  std::vector<Value> out;
  for (const std::string& path : paths) {
    const std::string real = path == "-" ? "/dev/stdin" : path;
    for (Value& object : TRY(policy::read_objects(real))) out.push_back(std::move(object));
  }
  return out;
}

// What policies are asked about, and what they may look up: files, or a cluster.
struct World {
  policy::PolicySet policies;
  policy::TestInputs inputs;
  std::vector<Value> resources;
  std::unique_ptr<policy::ImageSource> registry;
  std::optional<Session> session;
  std::unique_ptr<policy::Lookups> lookups;
};

// Fills `out`, which stays where it is: lookups refer to it.
Result<void> make_world(const PolicyArguments& arguments, std::string_view verb, World& out) {
  if (arguments.words.empty() || (arguments.resources.empty() && !arguments.cluster))
    return Error{ErrorCode::bad_request,
                 "policy " + std::string(verb) + " needs policies, and --resource FILE or --cluster"};
  out.inputs = TRY(read_inputs(arguments));
  for (const std::string& path : arguments.words)
    for (const Value& document : TRY(policy::read_documents(path))) out.policies.add(document);
  for (const std::string& path : arguments.exceptions)
    for (const Value& document : TRY(policy::read_documents(path))) TRY(out.policies.add_exception(document));
  for (const auto& [name, why] : out.policies.invalid_policies())
    std::fprintf(stderr, "%s policy %s: %s\n", paint("error:", kRed).c_str(), name.c_str(), why.c_str());
  if (out.policies.size() == 0) return Error{ErrorCode::not_found, "no policies to apply"};
  out.registry = registry_of(arguments);
  out.inputs.registry = out.registry.get();
  out.resources = TRY(read_resources(arguments.resources));
  if (!arguments.cluster) {
    out.inputs.world = out.resources;
    out.lookups = policy::make_test_lookups(out.inputs);
    return {};
  }
  out.session = TRY(connect(arguments.global));
  TRY(read_namespaces(*out.session->client, out.inputs));
  // With files beside it, the cluster only answers what they look up.
  if (arguments.resources.empty())
    out.resources = TRY(read_cluster(*out.session->client, out.policies, arguments.global.ns));
  out.lookups = policy::make_client_lookups(*out.session->client, out.registry.get());
  return {};
}

Result<int> run_apply(const PolicyArguments& arguments) {
  World world;
  TRY(make_world(arguments, "apply", world));
  std::vector<policy::Finding> findings;
  for (const Value& resource : world.resources)
    for (const policy::Evaluation& one : world.policies.evaluate(resource, "", world.inputs, {}, *world.lookups))
      policy::add_findings(one, arguments.audit_warn, findings);
  const policy::Counts counts = policy::count(findings);
  const std::string text = TRY(policy::print_findings(findings, arguments.output));
  if (!text.empty()) TRY(write_all(STDOUT_FILENO, text));
  if (arguments.output.empty())
    std::printf("\npass: %zu, fail: %zu, warn: %zu, error: %zu, skip: %zu\n", counts.pass, counts.fail, counts.warn,
                counts.error, counts.skip);
  return counts.fail + counts.error + world.policies.invalid_policies().size() == 0 ? 0 : 1;
}

// --- caisson policy explain POLICY… --resource FILE [--rule NAME]
Result<int> run_explain(const PolicyArguments& arguments) {
  World world;
  TRY(make_world(arguments, "explain", world));
  for (const Value& resource : world.resources) {
    const Value& metadata = resource["metadata"];
    const std::string ns = metadata["namespace"].str();
    std::printf(
        "%s\n",
        paint(resource["kind"].str() + " " + (ns.empty() ? "" : ns + "/") + metadata["name"].str(), kBold).c_str());
    for (const policy::Explanation& one :
         world.policies.explain(resource, arguments.rule, world.inputs, *world.lookups)) {
      for (const policy::ExplainedLine& line : one) {
        using Mark = policy::ExplainedLine::Mark;
        const std::string mark = line.mark == Mark::good  ? paint("✓ ", kGreen)
                                 : line.mark == Mark::bad ? paint("✗ ", kRed)
                                                          : "";
        std::printf("%s%s%s\n", std::string(static_cast<std::size_t>(line.depth + 1) * 2, ' ').c_str(), mark.c_str(),
                    line.text.c_str());
      }
    }
    std::printf("\n");
  }
  return world.policies.invalid_policies().empty() ? 0 : 1;
}

// --- caisson policy jp query EXPRESSION -i FILE; jp function [NAME…]
Result<int> run_query(const PolicyArguments& arguments) {
  const std::string path = arguments.input.empty() || arguments.input == "-" ? "/dev/stdin" : arguments.input;
  std::vector<std::string> expressions(arguments.words.begin(), arguments.words.end());
  if (!arguments.query.empty()) expressions.push_back(TRY(read_file(arguments.query)));
  if (expressions.empty()) return Error{ErrorCode::bad_request, "policy jp query needs an expression"};
  const std::string text = TRY(read_file(path));
  const Value input = TRY(yaml::read(text, {.name = path}));
  const jmespath::Environment environment{.clock = &system_clock(), .random = [] { return random_u64(); }};
  for (const std::string& text_of : expressions) {
    const auto expression = TRY(jmespath::Expression::compile(trim(text_of)));
    const Value result = TRY(expression.search(input, environment));
    std::printf("%s\n", json::write(result, {.indent = arguments.compact ? 0 : 2}).c_str());
  }
  return 0;
}

Result<int> list_functions(const PolicyArguments& arguments) {
  bool any = false;
  for (const jmespath::FunctionInfo& function : jmespath::functions(jmespath::Dialect::kyverno)) {
    const auto& wanted = arguments.words;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), function.name) == wanted.end()) continue;
    std::printf("%-70s %s\n", function.signature.c_str(), std::string(function.note).c_str());
    any = true;
  }
  if (!any) return Error{ErrorCode::not_found, "there is no such function"};
  return 0;
}

}  // namespace

Result<int> command_policy(const std::vector<std::string>& words) {
  const bool is_jp = words.size() > 1 && words[0] == "jp";
  const std::string name = words.empty() ? "" : is_jp ? "jp " + words[1] : words[0];
  const auto verb = policy_verb(name);
  if (!verb && (name.empty() || name == "--help" || name == "-h" || name == "jp" || name == "jp --help")) {
    std::printf("%s", policy_help().c_str());
    return name.empty() || name == "jp" ? 2 : 0;
  }
  if (!verb)
    return Error{ErrorCode::bad_request,
                 "policy " + name + " is no command: test, apply, explain, serve, jp query, jp function"};
  const auto arguments = TRY(read_policy_arguments(*verb, {words.begin() + (is_jp ? 2 : 1), words.end()}));
  if (arguments.help) {
    std::printf("%s", policy_help(*verb).c_str());
    return 0;
  }
  switch (*verb) {
    case PolicyVerb::test:
      return run_tests(arguments);
    case PolicyVerb::apply:
      return run_apply(arguments);
    case PolicyVerb::explain:
      return run_explain(arguments);
    case PolicyVerb::serve: {
      PolicyServeOptions options = arguments.serve;
      options.global = arguments.global;
      return serve_policies(options);
    }
    case PolicyVerb::query:
      return run_query(arguments);
    case PolicyVerb::function:
      return list_functions(arguments);
  }
  return Error{ErrorCode::internal, "policy: no such command"};
}

}  // namespace caisson::cli
