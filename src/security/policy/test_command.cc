// SPDX-License-Identifier: Apache-2.0
#include "security/policy/test_command.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/patch.h"
#include "security/policy/evaluate.h"
#include "security/policy/test_files.h"

namespace caisson::policy {
namespace {

using Responses = std::vector<Evaluation>;

// apiVersion,kind,namespace,name
std::string key_of(const Value& object) {
  const Value& metadata = object["metadata"];
  return object["apiVersion"].str() + "," + object["kind"].str() + "," + metadata["namespace"].str() + "," +
         metadata["name"].str();
}

// Without what is empty, and without the labels that tell where a generated object came from.
Value tidied(const Value& value) {
  if (value.is_list()) {
    Value out;
    for (const Value& item : value.items()) {
      Value kept = tidied(item);
      if (!kept.is_null()) out.push_back(std::move(kept));
    }
    return out;
  }
  if (!value.is_map()) return value;
  Value out;
  for (const auto& entry : value.entries()) {
    Value kept = tidied(entry.value);
    if (!kept.is_null()) out.set(entry.key, std::move(kept));
  }
  return out;
}
Value comparable(Value object) {
  Value labels{{"app.kubernetes.io/managed-by", "kyverno"}};
  for (const auto& entry : object["metadata"]["labels"].entries())
    if (!entry.key.starts_with("generate.kyverno.io/")) labels.set(entry.key, entry.value);
  object.edit({"metadata", "labels"}) = labels;
  return tidied(object);
}

struct Comparison {
  bool same = false, listed = true;
  std::string why;
};
Comparison compare_with_file(const Value& actual, const std::string& path) {
  const auto objects = read_objects(path);
  if (!objects.ok()) return {false, true, objects.error().message};
  for (const Value& expected : *objects) {
    if (key_of(expected) != key_of(actual)) continue;
    const Value a = comparable(actual), b = comparable(expected);
    if (a == b) return {true, true, ""};
    std::string why = "differs from " + path;
    for (const auto& difference : document::differences(b, a))
      why += "\n  " + difference.path + ": " + json::write(difference.after) + " instead of " +
             json::write(difference.before);
    return {false, true, why};
  }
  return {false, false, "resource with name " + actual["metadata"]["name"].str() + " not found in manifest"};
}

class TestRun {
 public:
  TestRun(const Value& test, std::string directory, const ImageSource* registry)
      : test_(test), directory_(std::move(directory)) {
    inputs_.registry = registry;
  }

  Result<std::vector<TestRow>> run() {
    TRY(load());
    evaluate_all();
    for (const Value& row : test_["results"].items()) check(row);
    return std::move(rows_);
  }

 private:
  std::string path_of(std::string_view name) const {
    return name.starts_with("/") ? std::string(name) : path_join(directory_, name);
  }

  Result<std::vector<Value>> objects_in(const char* member) const {
    std::vector<Value> out;
    for (const Value& name : test_[member].items())
      for (Value& object : TRY(read_objects(path_of(name.as_string())))) out.push_back(std::move(object));
    return out;
  }

  Result<void> load() {
    for (const Value& name : test_["policies"].items()) {
      // A policy file that is not there leaves its rows without an answer: they fail.
      const auto documents = read_documents(path_of(name.as_string()));
      if (!documents.ok()) {
        if (documents.error().code == ErrorCode::not_found) continue;
        return documents.error();
      }
      for (const Value& document : *documents) policies_.add(document);
    }
    TRY(load_values());
    for (Value& object : TRY(objects_in("resources"))) {
      const bool known = std::any_of(resources_.begin(), resources_.end(),
                                     [&](const Value& other) { return key_of(other) == key_of(object); });
      if (!known) resources_.push_back(std::move(object));
    }
    targets_ = TRY(objects_in("targetResources"));
    for (const Value& object : TRY(objects_in("paramResources"))) inputs_.world.push_back(object);
    for (const Value& name : test_["clusterResources"].items()) TRY(load_cluster(path_of(name.as_string())));
    for (const Value& row : test_["results"].items())
      if (!row["cloneSourceResource"].as_string().empty())
        for (const Value& object : TRY(read_objects(path_of(row["cloneSourceResource"].as_string()))))
          inputs_.world.push_back(object);
    if (!test_["context"].as_string().empty())
      for (const Value& context : TRY(read_documents(path_of(test_["context"].as_string())))) {
        for (const Value& object : context["spec"]["resources"].items()) inputs_.world.push_back(object);
        inputs_.images = context["spec"]["images"];
        for (const Value& entry : context["spec"]["globalContext"].items()) inputs_.global_entries.push_back(entry);
      }
    inputs_.world.insert(inputs_.world.end(), resources_.begin(), resources_.end());
    inputs_.world.insert(inputs_.world.end(), targets_.begin(), targets_.end());
    for (const Value& name : test_["exceptions"].items())
      for (const Value& document : TRY(read_documents(path_of(name.as_string()))))
        TRY(policies_.add_exception(document));
    return {};
  }

  Result<void> load_values() {
    inputs_.values = test_["values"];
    if (!test_["variables"].as_string().empty()) {
      const auto documents = TRY(read_documents(path_of(test_["variables"].as_string())));
      if (!documents.empty()) inputs_.values = documents[0];
    }
    if (!test_["userinfo"].as_string().empty()) {
      const auto documents = TRY(read_documents(path_of(test_["userinfo"].as_string())));
      if (!documents.empty()) inputs_.user = documents[0];
    }
    for (const Value& entry : inputs_.values["namespaceSelector"].items())
      inputs_.namespaces[entry["name"].str()] =
          Value{{"metadata", Value{{"name", entry["name"]}, {"labels", entry["labels"]}}}};
    for (const Value& entry : inputs_.values["namespaces"].items())
      inputs_.namespaces[entry["metadata"]["name"].str()] = entry;
    inputs_.api_responses = test_["apiCallResponses"];
    inputs_.global_entries = test_["globalContextEntries"];
    for (std::size_t i = 0; i < inputs_.global_entries.size(); ++i) {
      for (const Value& name : inputs_.global_entries[i]["resourceFiles"].items())
        for (Value& object : TRY(read_objects(path_of(name.as_string()))))
          inputs_.global_entries.edit(i).edit("resources").push_back(std::move(object));
    }
    return {};
  }

  Result<void> load_cluster(const std::string& path) {
    inputs_.api_calls = true;
    for (const Value& document : TRY(read_documents(path))) {
      for (const Value& object : document["spec"]["resources"].items()) inputs_.world.push_back(object);
      for (const Value& name : document["spec"]["crds"].items())
        for (Value& crd : TRY(read_objects(path_of(name.as_string())))) inputs_.world.push_back(std::move(crd));
    }
    return {};
  }

  void evaluate_all() {
    const auto lookups = make_test_lookups(inputs_);
    std::set<std::string> operations{""};
    for (const Value& row : test_["results"].items()) operations.insert(row["operation"].str());
    for (const Value& resource : resources_)
      for (const std::string& operation : operations) {
        Responses& out = triggers_[operation][key_of(resource)];
        out = policies_.evaluate(resource, operation, inputs_, targets_, *lookups);
      }
    for (const Value& target : targets_)
      for (const auto& [key, responses] : triggers_[""])
        for (const Evaluation& response : responses)
          for (const RuleResponse& rule : response.rules)
            if (!rule.patched_target.is_null() && key_of(rule.patched_target) == key_of(target))
              patched_targets_[key_of(target)].push_back({response.policy, &rule});
  }

  // The resources that a row names; all of them when it names none that is there.
  std::vector<std::string> resources_of(const Value& row) {
    std::vector<std::string> out;
    const auto& trigger = triggers_[row["operation"].str()];
    Value names = row["resources"];
    if (!row["resource"].as_string().empty()) names.push_back(row["resource"]);
    const auto take = [&](const std::string& key) {
      const auto parts = split(key, ',');
      for (const Value& name : names.items()) {
        const auto wanted = split(name.as_string(), '/');
        const bool fits = wanted.size() == 1   ? wanted[0] == parts.back()
                          : wanted.size() == 2 ? wanted[0] == parts[parts.size() - 2] && wanted[1] == parts.back()
                                               : false;
        if (fits) out.push_back(key);
      }
      for (const Value& spec : row["resourceSpecs"].items()) {
        const std::string group = spec["group"].as_string().empty() ? "" : spec["group"].str() + "/";
        if (group + spec["version"].str() == parts[0] && spec["namespace"].as_string() == parts[parts.size() - 2] &&
            spec["name"].as_string() == parts.back())
          out.push_back(key);
      }
    };
    for (const auto& entry : patched_targets_) take(entry.first);
    for (const auto& entry : trigger) take(entry.first);
    if (!out.empty()) return out;
    for (const auto& entry : patched_targets_) out.push_back(entry.first);
    for (const auto& entry : trigger) out.push_back(entry.first);
    return out;
  }

  void check(const Value& row) {
    std::string policy = row["policy"].str();
    if (const std::size_t slash = policy.rfind('/'); slash != std::string::npos) policy = policy.substr(slash + 1);
    const auto& trigger = triggers_[row["operation"].str()];
    for (const std::string& key : resources_of(row)) {
      const std::size_t before = rows_.size();
      bool unlisted = false;
      if (const auto found = trigger.find(key); found != trigger.end())
        for (const Evaluation& response : found->second)
          if (response.policy == policy) check_response(row, key, response, before, unlisted);
      if (const auto found = patched_targets_.find(key); found != patched_targets_.end())
        for (const auto& [name, rule] : found->second)
          if (name == policy) check_rule(row, key, *rule, rule->patched_target, unlisted);
      if (rows_.size() > before || unlisted) continue;
      const std::string invalid = policies_.invalid(policy);
      if (invalid.empty())
        add(row, key, row["rule"].str(), false, "Not found", "");
      else
        add(row, key, row["rule"].str(), true, "Invalid policy", invalid);
    }
  }

  void check_response(const Value& row, const std::string& key, const Evaluation& response, std::size_t before,
                      bool& unlisted) {
    const std::string name = row["rule"].str();
    for (const RuleResponse& rule : response.rules) {
      const bool asked = name.empty() || response.ruleless || rule.rule == name || rule.rule == "autogen-" + name ||
                         rule.rule == "autogen-cronjob-" + name;
      if (!asked) continue;
      if (rule.kind != RuleKind::generate || rule.generated.empty()) {
        check_rule(row, key, rule, rule.kind == RuleKind::mutate ? response.patched : response.resource, unlisted);
        continue;
      }
      for (const Value& object : rule.generated) check_rule(row, key, rule, object, unlisted);
    }
    if (rows_.size() == before && !unlisted) add(row, key, name, true, "Excluded", "");
  }

  void check_rule(const Value& row, const std::string& key, const RuleResponse& rule, const Value& actual,
                  bool& unlisted) {
    const bool nothing_generated = rule.kind == RuleKind::generate && rule.generated.empty();
    Value files = row["generatedResources"];
    if (files.empty() && !row["generatedResource"].as_string().empty()) files.push_back(row["generatedResource"]);
    if (!row["patchedResources"].as_string().empty()) files = Value(std::vector<Value>{row["patchedResources"]});
    Comparison last{true, true, ""};
    for (const Value& file : files.items()) {
      if (nothing_generated) break;
      last = compare_with_file(actual, path_of(file.as_string()));
      if (last.same) break;
    }
    if (!last.listed && !row["failOnMissingResources"].as_bool() && rule.kind != RuleKind::generate) {
      unlisted = true;
      return;
    }
    if (!last.same) return add(row, key, rule.rule, false, "Resource diff", last.why);
    const std::string_view status = status_name(rule.status), wanted = row["result"].as_string();
    const bool ok = status == wanted;
    add(row, key, rule.rule, ok, ok ? "Ok" : "Want " + std::string(wanted) + ", got " + std::string(status),
        rule.message);
  }

  void add(const Value& row, const std::string& key, const std::string& rule, bool ok, std::string reason,
           std::string message) {
    const bool skipped = reason == "Excluded" || row["result"].as_string() == "skip";
    rows_.push_back({row["policy"].str(), rule, replace_all(key, ",", "/"), row["result"].str(), std::move(reason),
                     std::move(message), ok, ok && skipped});
  }

  const Value& test_;
  std::string directory_;
  PolicySet policies_;
  TestInputs inputs_;
  std::vector<Value> resources_, targets_;
  std::map<std::string, std::map<std::string, Responses>> triggers_;  // operation, resource
  std::map<std::string, std::vector<std::pair<std::string, const RuleResponse*>>> patched_targets_;
  std::vector<TestRow> rows_;
};

}  // namespace

std::size_t TestReport::failed() const {
  return static_cast<std::size_t>(std::count_if(rows.begin(), rows.end(), [](const TestRow& row) { return !row.ok; }));
}

Result<std::vector<std::string>> find_tests(const std::vector<std::string>& paths, const std::string& file_name) {
  std::vector<std::string> found, waiting(paths.rbegin(), paths.rend());
  while (!waiting.empty()) {
    const std::string at = waiting.back();
    waiting.pop_back();
    if (!is_directory(at)) {
      if (!exists(at)) return Error{ErrorCode::not_found, at + ": no such file or directory"};
      if (path_base(at) == file_name || std::find(paths.begin(), paths.end(), at) != paths.end()) found.push_back(at);
      continue;
    }
    const auto names = TRY(list_dir(at));
    for (const std::string& name : names) {
      const std::string path = path_join(at, name);
      if (is_directory(path) || name == file_name) waiting.push_back(path);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

Result<TestReport> run_test(const std::string& path, const ImageSource* registry) {
  const auto documents = TRY(read_documents(path));
  if (documents.empty() || !documents[0]["results"].is_list())
    return Error{ErrorCode::bad_request, path + ": it is no policy test: there are no results"};
  TestReport report{documents[0]["metadata"]["name"].str(), path, {}};
  if (report.name.empty()) report.name = documents[0]["name"].str();
  report.rows = TRY(TestRun(documents[0], path_dir(path), registry).run().in(path));
  return report;
}

}  // namespace caisson::policy
