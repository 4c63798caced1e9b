// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/policy_types.h"

#include <algorithm>
#include <tuple>

#include "cluster/apiserver/request_expressions.h"
#include "cluster/schema/cel_types.h"
#include "core/base/text.h"

namespace caisson::apiserver {
namespace {

constexpr std::size_t kKindsMax = 10;

// The words of a list in order; none when one is a wildcard and `strict`, else without those that `skipped` has a
// character of.
std::vector<std::string> sorted_words(const Value& list, std::string_view skipped, bool strict) {
  std::vector<std::string> out;
  for (const Value& word : list.items()) {
    const bool named = word.as_string().find_first_of(skipped) == std::string_view::npos;
    if (!named && strict) return {};
    if (named) out.push_back(word.str());
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<schema::KindPtr> kinds_of(const Value& rules, const schema::Schema& schema) {
  std::vector<schema::KindPtr> out;
  const auto add = [&](const schema::KindPtr& kind) {
    if (std::find(out.begin(), out.end(), kind) == out.end()) out.push_back(kind);
  };
  bool full = false;
  for (const Value& rule : rules.items()) {
    std::size_t count = 0;
    for (const std::string& group : sorted_words(rule["apiGroups"], "*", true))
      for (const std::string& version : sorted_words(rule["apiVersions"], "*", true))
        for (const std::string& resource : sorted_words(rule["resources"], "*/", false)) {
          const schema::KindPtr kind = full ? nullptr : schema.find_plural(group, version, resource);
          if (kind == nullptr) continue;
          add(kind);
          full = ++count == kKindsMax;
        }
    if (full) break;
  }
  std::sort(out.begin(), out.end(), [](const schema::KindPtr& a, const schema::KindPtr& b) {
    const schema::Resource &x = a->resource, &y = b->resource;
    return std::tie(x.group, x.version, x.kind) < std::tie(y.group, y.version, y.kind);
  });
  return out;
}

// What the expressions of a policy see when the objects are of one kind.
class TypedPolicy {
 public:
  TypedPolicy(const Value& spec, const schema::Schema& schema, const schema::KindSchema& kind)
      : title_(kind.resource.group + "/" + kind.resource.version + ", Kind=" + kind.resource.kind) {
    options_ = admission_environment();
    const cel::Type object = schema::cel_type_of(kind);
    for (cel::Variable& variable : options_.variables)
      if (variable.name == "object" || variable.name == "oldObject") variable.type = object;
    options_.variables.push_back({"namespaceObject", cel::Type()});
    const Value& param_kind = spec["paramKind"];
    if (const auto params =
            schema.find_api_version(param_kind["apiVersion"].as_string(), param_kind["kind"].as_string()))
      options_.variables.push_back({"params", schema::cel_type_of(*params)});
    options_.variables.push_back({"variables", cel::Type()});
    add_variables(spec["variables"]);
  }

  // Empty: nothing is wrong.
  std::string warning(const Value& expression) const {
    const auto compiled = cel::Environment(options_).compile(expression.as_string());
    return compiled.ok() ? "" : title_ + ": " + compiled.error().message + "\n";
  }

 private:
  // Each sees those before it; what does not compile is told where it is used.
  void add_variables(const Value& variables) {
    cel::TypeNode node{.name = "kubernetes.variables"};
    node.has_fields = true;
    for (const Value& variable : variables.items()) {
      options_.variables.back().type = cel::Type::from(cel::TypeKind::object, node);
      const auto compiled = cel::Environment(options_).compile(variable["expression"].as_string());
      const std::string name = variable["name"].str();
      cel::Field field{name, name, compiled.ok() ? compiled->result_type() : cel::Type()};
      const auto place = std::lower_bound(node.fields.begin(), node.fields.end(), field,
                                          [](const cel::Field& a, const cel::Field& b) { return a.name < b.name; });
      node.fields.insert(place, std::move(field));
    }
    options_.variables.back().type = cel::Type::from(cel::TypeKind::object, std::move(node));
  }

  const std::string title_;
  cel::EnvironmentOptions options_;
};

}  // namespace

Value type_checking(const Value& policy, const schema::Schema& schema) {
  const Value& spec = policy["spec"];
  std::vector<TypedPolicy> typed;
  for (const schema::KindPtr& kind : kinds_of(spec["matchConstraints"]["resourceRules"], schema))
    typed.emplace_back(spec, schema, *kind);
  Value warnings = Value::list();
  const auto check = [&](const Value& expression, const std::string& field) {
    if (expression.as_string().empty()) return;
    std::vector<std::string> found;
    for (const TypedPolicy& one : typed)
      if (std::string warning = one.warning(expression); !warning.empty()) found.push_back(std::move(warning));
    if (!found.empty()) warnings.push_back(Value{{"fieldRef", field}, {"warning", join(found, "\n")}});
  };
  for (std::size_t i = 0; i < spec["validations"].size(); ++i) {
    const std::string at = "spec.validations[" + std::to_string(i) + "]";
    check(spec["validations"][i]["expression"], at + ".expression");
    check(spec["validations"][i]["messageExpression"], at + ".messageExpression");
  }
  Value out = Value::map();
  if (!warnings.empty()) out.set("expressionWarnings", std::move(warnings));
  return out;
}

}  // namespace caisson::apiserver
