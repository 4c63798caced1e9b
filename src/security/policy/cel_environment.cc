// SPDX-License-Identifier: Apache-2.0
#include "security/policy/cel_environment.h"

#include <map>

#include "cluster/schema/schema.h"
#include "core/base/text.h"
#include "core/expr/cel/authorizer.h"
#include "core/expr/cel/mutation_types.h"
#include "security/policy/cel_images.h"
#include "security/policy/stages.h"

namespace caisson::policy {
namespace {

constexpr std::string_view kDynamicNames[] = {"object",     "oldObject", "request",     "namespaceObject",
                                              "params",     "variables", "images",      "target",
                                              "exceptions", "attestors", "attestations"};
constexpr std::string_view kAuthorizer = "authorizer", kResourceCheck = "authorizer.requestResource";
constexpr std::uint64_t kCostMax = 10'000'000;  // Kubernetes' budget for all expressions of a policy

// `variables`: evaluated when asked for, and then kept.
class LazyVariables final : public cel::Object {
 public:
  LazyVariables(const CelVariables& programs, const CelScope& scope) : programs_(programs), scope_(scope) {}
  cel::Type type() const override { return cel::Type::opaque("policy.variables"); }
  bool equals(const cel::Object& other) const override { return this == &other; }
  Result<bool> has_field(std::string_view name) const override { return find(name) != nullptr; }
  Result<cel::Value> field(std::string_view name) const override {
    const auto known = values_.find(std::string(name));
    if (known != values_.end()) return known->second;
    const cel::Program* program = find(name);
    if (program == nullptr) return Error{ErrorCode::bad_request, "no such key: " + std::string(name)};
    if (++depth_ > 100) return Error{ErrorCode::bad_request, "variables refer to one another endlessly"};
    auto value = scope_.evaluate(*program);
    --depth_;
    if (!value.ok()) return std::move(value).error().in("variable " + std::string(name));
    values_.emplace(std::string(name), *value);
    return value;
  }

 private:
  const cel::Program* find(std::string_view name) const {
    for (const auto& [known, program] : programs_)
      if (known == name) return &program;
    return nullptr;
  }
  const CelVariables& programs_;
  const CelScope& scope_;
  mutable std::map<std::string, cel::Value> values_;  // one thread: a scope belongs to one evaluation
  mutable int depth_ = 0;
};

class NoAuthorizer final : public cel::Authorizer {
  cel::AuthorizerDecision check(const cel::AuthorizerRequest&) const override {
    return {false, "nobody is asked here", ""};
  }
};

cel::Value no_exceptions() {
  return cel::Value::from(Value{{"allowedImages", Value::list()}, {"allowedValues", Value::list()}});
}

std::string plural_of(const Target& target) {
  const schema::KindPtr kind = built_in_schema().find(target.group, target.version, target.kind);
  if (kind != nullptr) return kind->resource.plural;
  const std::string lower = to_lower(target.kind);
  if (lower.ends_with("y") && !lower.ends_with("ey")) return lower.substr(0, lower.size() - 1) + "ies";
  return lower + (lower.ends_with("s") || lower.ends_with("x") ? "es" : "s");
}

}  // namespace

const cel::Environment& cel_environment() {
  static const cel::Environment environment = [] {
    cel::EnvironmentOptions options = cel::kubernetes_options(33);
    options.libraries = options.libraries | cel::Library::json_patch | cel::Library::optional_types |
                        cel::Library::math | cel::Library::bindings | cel::Library::lists | cel::Library::encoders;
    for (const std::string_view name : kDynamicNames) options.variables.push_back({std::string(name), cel::Type()});
    for (const std::string_view name : kCelReceivers)
      options.variables.push_back({std::string(name), cel::Type::opaque("policy." + std::string(name))});
    options.variables.push_back({std::string(kAuthorizer), cel::authorizer_type()});
    options.variables.push_back({std::string(kResourceCheck), cel::resource_check_type()});
    options.functions = cel_functions();
    for (cel::Function& function : cel_image_functions()) options.functions.push_back(std::move(function));
    options.types = cel::mutation_types();
    options.homogeneous_literals = false;  // Kyverno's own libraries take mixed maps
    return cel::Environment(std::move(options));
  }();
  return environment;
}

Value admission_request_value(const Target& target, bool dry_run) {
  Value user{{"username", target.user.name}, {"uid", target.user.uid}, {"groups", Value::list_of(target.user.groups)}};
  const Value kind{{"group", target.group}, {"version", target.version}, {"kind", target.kind}};
  const Value resource{{"group", target.group}, {"version", target.version}, {"resource", plural_of(target)}};
  return Value{{"kind", kind},
               {"resource", resource},
               {"requestKind", kind},
               {"requestResource", resource},
               {"subResource", target.subresource},
               {"name", target.name()},
               {"namespace", target.kind == "Namespace" ? target.name() : target.ns()},
               {"operation", target.operation},
               {"userInfo", std::move(user)},
               {"dryRun", dry_run}};
}

std::optional<cel::Value> CelScope::value_of(std::string_view name) const {
  if (name == "object") return cel::Value::from(input_.object);
  if (name == "oldObject") return cel::Value::from(input_.old_object);
  if (name == "request") return cel::Value::from(input_.request);
  if (name == "namespaceObject") return cel::Value::from(input_.namespace_object);
  if (name == "params") return cel::Value::from(input_.params);
  if (name == "images") return cel::Value::from(input_.images);
  if (name == "target") return cel::Value::from(input_.target);
  if (name == "variables") {
    if (kept_ == nullptr) kept_ = std::make_shared<LazyVariables>(variables_, *this);
    return cel::Value(kept_);
  }
  if (name == "exceptions") return no_exceptions();
  if (name == kAuthorizer) return cel::authorizer_value(std::make_shared<const NoAuthorizer>());
  if (name == kResourceCheck) return cel::resource_check_value(std::make_shared<const NoAuthorizer>(), {});
  if (name == "attestors" || name == "attestations") {
    if (input_.images_asked == nullptr) return {};
    return name == "attestors" ? cel_attestors(*input_.images_asked) : cel_attestations(*input_.images_asked);
  }
  return cel_receiver(name, input_);
}

// Most expressions read one or two names of the many that there are: only those are made.
Result<cel::Value> CelScope::evaluate(const cel::Program& program) const {
  cel::Bindings bindings;
  for (const std::string& name : program.variables())
    if (auto value = value_of(name)) bindings.set(name, *std::move(value));
  return program.evaluate(bindings, {.cost_max = kCostMax}).value;
}

Result<bool> CelScope::holds(const cel::Program& program) const {
  const cel::Value value = TRY(evaluate(program));
  if (!value.is(cel::Kind::boolean))
    return Error{ErrorCode::bad_request, "the expression gives no bool: " + program.text()};
  return value.as_bool();
}

}  // namespace caisson::policy
