// SPDX-License-Identifier: Apache-2.0
// `caisson policy`: test (kyverno-test.yaml), apply (policies to files or to a cluster), explain (why a rule said what
// it said), serve (a cluster's policies as its webhooks), jp (JMESPath with Kyverno's functions). The flags are those
// of Kyverno's command line.
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
#include "main/cli/policy_serve.h"
#include "main/cli/registry_access.h"
#include "security/policy/evaluate.h"
#include "security/policy/policy_output.h"
#include "security/policy/registry_images.h"
#include "security/policy/test_command.h"

namespace caisson::cli {
namespace {

struct PolicyArguments {
  std::vector<std::string> words;                  // what is no flag
  std::vector<std::string> resources, exceptions;  // may be repeated
  std::string output, values, user_info, file_name = "kyverno-test.yaml", input, query, rule;
  Global global;
  PolicyServeOptions serve;
  bool fail_only = false, audit_warn = false, detailed = false, compact = false, cluster = false, registry = false;
};

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

// "--flag value", "--flag=value", "-f value".
Result<PolicyArguments> read_arguments(const std::vector<std::string>& arguments) {
  PolicyArguments out;
  out.global.data_dir = default_data_dir();
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (!word.starts_with("-") || word == "-") {
      out.words.push_back(word);
      continue;
    }
    const auto equals = word.starts_with("--") ? word.find('=') : std::string::npos;
    const std::string flag = word.substr(0, equals);
    const auto value = [&]() -> Result<std::string> {
      if (equals != std::string::npos) return word.substr(equals + 1);
      if (i + 1 < arguments.size()) return arguments[++i];
      return Error{ErrorCode::bad_request, flag + " needs a value"};
    };
    if (flag == "-r" || flag == "--resource" || flag == "--resources") {
      const std::string given = TRY(value());
      for (const std::string_view path : split(given, ',')) out.resources.emplace_back(path);
    } else if (flag == "-e" || flag == "--exception" || flag == "--exceptions") {
      out.exceptions.push_back(TRY(value()));
    } else if (flag == "-o" || flag == "--output" || flag == "--output-format") {
      out.output = TRY(value());
    } else if (flag == "-f" || flag == "--values-file") {
      out.values = TRY(value());
    } else if (flag == "--file-name") {
      out.file_name = TRY(value());
    } else if (flag == "-u" || flag == "--userinfo") {
      out.user_info = TRY(value());
    } else if (flag == "-i" || flag == "--input") {
      out.input = TRY(value());
    } else if (flag == "-q" || flag == "--query") {
      out.query = TRY(value());
    } else if (flag == "--compact") {
      out.compact = true;
    } else if (flag == "-c" || flag == "--cluster") {
      out.cluster = true;  // of jp query -c is --compact
    } else if (flag == "--registry") {
      out.registry = true;
    } else if (flag == "--rule") {
      out.rule = TRY(value());
    } else if (flag == "-n" || flag == "--namespace") {
      out.global.ns = TRY(value());
    } else if (flag == "--kubeconfig") {
      out.global.kubeconfig = TRY(value());
    } else if (flag == "--context") {
      out.global.context = TRY(value());
    } else if (flag == "--data-dir") {
      out.global.data_dir = TRY(value());
    } else if (flag == "--listen") {
      const std::string given = TRY(value());
      TRY(read_listen(given, out.serve));
    } else if (flag == "--tls-cert") {
      out.serve.certificate = TRY(value());
    } else if (flag == "--tls-key") {
      out.serve.key = TRY(value());
    } else if (flag == "--tls-ca") {
      out.serve.ca = TRY(value());
    } else if (flag == "--url") {
      out.serve.url = TRY(value());
    } else if (flag == "--ignore-failures") {
      out.serve.ignore_failures = true;
    } else if (flag == "--fail-only") {
      out.fail_only = true;
    } else if (flag == "--detailed-results") {
      out.detailed = true;
    } else if (flag == "--audit-warn") {
      out.audit_warn = true;
    } else if (flag == "--remove-color" || flag == "--table" || flag == "-t") {
      continue;  // nothing to turn off; a table is what there is
    } else {
      return Error{ErrorCode::bad_request, "policy: flag " + flag + " is not known"};
    }
  }
  return out;
}

// --registry: images are read from their registries, with the credentials of `docker login`.
std::unique_ptr<policy::ImageSource> registry_of(const PolicyArguments& arguments) {
  if (!arguments.registry) return nullptr;
  policy::RegistryImagesOptions options;
  options.names.port = 0;  // a command asks the registry that the name says, its own, too
  options.login = docker_logins();
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
    std::printf("%s\n", json::write(result, {.indent = arguments.compact || arguments.cluster ? 0 : 2}).c_str());
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
  if (words.empty()) return Error{ErrorCode::bad_request, "policy needs one of test, apply, explain, serve, jp"};
  const bool is_jp = words[0] == "jp" && words.size() > 1;
  const std::string verb = is_jp ? "jp " + words[1] : words[0];
  const auto arguments = TRY(read_arguments({words.begin() + (is_jp ? 2 : 1), words.end()}));
  if (verb == "test") return run_tests(arguments);
  if (verb == "apply") return run_apply(arguments);
  if (verb == "explain") return run_explain(arguments);
  if (verb == "serve") {
    PolicyServeOptions options = arguments.serve;
    options.global = arguments.global;
    return serve_policies(options);
  }
  if (verb == "jp query") return run_query(arguments);
  if (verb == "jp function") return list_functions(arguments);
  return Error{ErrorCode::bad_request,
               "policy " + verb + " is no command: test, apply, explain, serve, jp query, jp function"};
}

}  // namespace caisson::cli
