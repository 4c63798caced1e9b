// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/rules_cel.h"

#include <algorithm>
#include <optional>

#include "cluster/schema/compile.h"
#include "cluster/schema/rules_cel_cost.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/expr/cel/cel.h"
#include "core/expr/cel/schema.h"

namespace caisson::schema {
namespace {

constexpr std::uint64_t kCostMaxPerRule = 1'000'000;
constexpr std::uint64_t kCostMaxPerObject = 10'000'000;
constexpr std::size_t kMessageBytesMax = 5u << 10;
constexpr int kDepthMax = 64;

struct Rule {
  cel::Program program;
  std::optional<cel::Program> message_expression;
  std::string text, message, field_path;  // ".spec.replicas", below the rule's place
  FieldError::Type reason = FieldError::Type::invalid;
  bool uses_old = false, optional_old = false;
};

}  // namespace

// A place of the schema at which, or below which, rules stand.
struct CelRules::Node {
  cel::Type type;
  std::string type_name;  // "object", as messages show the value
  std::vector<Rule> rules;
  std::vector<std::pair<std::string, std::unique_ptr<const Node>>> properties;
  std::unique_ptr<const Node> items, values;  // of a list; of a map
  std::vector<std::string> list_keys;         // of a list that is a map by keys: its items have old selves
};

namespace {

using Node = CelRules::Node;

Error refused(const std::string& at, const Value& value, const std::string& why) {
  return {ErrorCode::invalid, at + ": Invalid value: " + json::write(value) + ": " + why};
}

// A refusal as a finding about the rule that is refused.
FieldError finding_of(const Error& error, const Value& written) {
  constexpr std::string_view kInvalid = ": Invalid value: ";
  const std::size_t end = error.message.find(kInvalid);
  if (end == std::string::npos) return {FieldError::Type::invalid, "", written, error.message};
  const std::string field = error.message.substr(0, end);
  std::string why = error.message.substr(end + kInvalid.size());
  const std::string shown = json::write(written[field.substr(field.rfind('.') + 1)]) + ": ";
  if (why.starts_with(shown)) why.erase(0, shown.size());
  return {FieldError::Type::invalid, field, written, std::move(why)};
}

class Compiler {
 public:
  // With `findings`, a rule that is refused is told there and left out, and what the others may cost is looked at.
  explicit Compiler(std::vector<FieldError>* findings = nullptr) : findings_(findings) {}

  Result<std::unique_ptr<const Node>> run(const Value& schema, const std::string& at) {
    auto root = node(schema, at, "object", 0, 1);
    if (findings_ != nullptr) costs_.finish(at, *findings_);
    return root;
  }

 private:
  Result<std::unique_ptr<const Node>> node(const Value& schema, const std::string& at, const std::string& name,
                                           int depth, const Cardinality& times) {
    auto out = std::make_unique<Node>();
    if (depth > kDepthMax) return std::unique_ptr<const Node>();
    out->type = cel::type_from_schema(schema, name);
    out->type_name = schema["type"].str();
    own_rules(schema, at, times, *out);
    if (refused_) return *std::move(refused_);
    const Cardinality below = cardinality_below(schema, times);
    for (const auto& [key, property] : schema["properties"].entries()) {
      const std::string property_name(key);
      auto child =
          TRY(node(property, at + ".properties[" + property_name + "]", name + "." + property_name, depth + 1, below));
      if (child != nullptr) out->properties.emplace_back(property_name, std::move(child));
    }
    if (schema["items"].is_map())
      out->items = TRY(node(schema["items"], at + ".items", name + ".@items", depth + 1, below));
    if (const Value& values = schema["additionalProperties"]; values.is_map())
      out->values = TRY(node(values, at + ".additionalProperties", name + ".@values", depth + 1, below));
    if (schema["x-kubernetes-list-type"].as_string() == "map") {
      for (const Value& key : schema["x-kubernetes-list-map-keys"].items()) out->list_keys.push_back(key.str());
    }
    const bool empty = out->rules.empty() && out->properties.empty() && !out->items && !out->values;
    return empty ? std::unique_ptr<const Node>() : std::unique_ptr<const Node>(std::move(out));
  }

  void own_rules(const Value& schema, const std::string& at, const Cardinality& times, Node& out) {
    std::size_t index = 0;
    for (const Value& written : schema["x-kubernetes-validations"].items()) {
      const std::string where = at + ".x-kubernetes-validations[" + std::to_string(index++) + "]";
      auto made = rule(written, out.type, where);
      if (!made.ok()) {
        if (findings_ != nullptr)
          findings_->push_back(finding_of(made.error(), written));
        else if (!refused_)
          refused_ = std::move(made).error();
        continue;
      }
      if (findings_ != nullptr) {
        costs_.add_rule(where + ".rule", made->program, schema, times, *findings_);
        if (made->message_expression)
          costs_.add_message(where + ".messageExpression", *made->message_expression, schema, *findings_);
      }
      out.rules.push_back(std::move(made).value());
    }
  }

  static Result<Rule> rule(const Value& written, const cel::Type& type, const std::string& at) {
    const std::string text(trim(written["rule"].as_string()));
    if (text.empty()) return Error{ErrorCode::invalid, at + ".rule: Required value: rule is not specified"};
    const bool optional_old = written["optionalOldSelf"].as_bool();
    cel::EnvironmentOptions options = cel::kubernetes_options();
    options.variables = {{"self", type}, {"oldSelf", optional_old ? cel::Type::optional(type) : type}};
    const cel::Environment environment(std::move(options));
    auto program = environment.compile(text);
    if (!program.ok()) return refused(at + ".rule", written["rule"], "compilation failed: " + program.error().message);
    if (!program->result_type().is(cel::TypeKind::boolean))
      return refused(at + ".rule", written["rule"], "cel expression must evaluate to a bool");
    Rule out{*program, std::nullopt, text, std::string(trim(written["message"].as_string())),
             written["fieldPath"].str()};
    out.uses_old = program->uses("oldSelf");
    out.optional_old = optional_old;
    if (optional_old && !out.uses_old)
      return refused(at + ".optionalOldSelf", Value(true), "may not be set if oldSelf is not used in rule");
    out.reason = TRY(reason(written["reason"], at));
    if (const Value& expression = written["messageExpression"]; !expression.is_null()) {
      auto message = environment.compile(expression.as_string());
      if (!message.ok())
        return refused(at + ".messageExpression", expression,
                       "messageExpression compilation failed: " + message.error().message);
      if (!message->result_type().is(cel::TypeKind::string))
        return refused(at + ".messageExpression", expression, "messageExpression must evaluate to a string");
      out.message_expression = std::move(message).value();
    }
    return out;
  }

  static Result<FieldError::Type> reason(const Value& written, const std::string& at) {
    const std::string_view text = written.as_string();
    if (written.is_null() || text == "FieldValueInvalid") return FieldError::Type::invalid;
    if (text == "FieldValueForbidden") return FieldError::Type::forbidden;
    if (text == "FieldValueRequired") return FieldError::Type::required;
    if (text == "FieldValueDuplicate") return FieldError::Type::duplicate;
    return Error{ErrorCode::invalid, at + ".reason: Unsupported value: " + json::write(written)};
  }

  std::vector<FieldError>* const findings_;
  std::optional<Error> refused_;  // without findings: the first
  RuleCosts costs_;
};

class Validation {
 public:
  explicit Validation(std::vector<FieldError>& out) : out_(out) {}

  void visit(const Node& node, const Value& value, const Value* before, const std::string& path) {
    if (value.is_null() || exhausted_) return;
    for (const Rule& rule : node.rules) {
      check(rule, node, value, before, path);
      if (exhausted_) return;
    }
    for (const auto& [name, child] : node.properties) {
      const Value* member = value.find(name);
      if (member == nullptr) continue;
      visit(*child, *member, before == nullptr ? nullptr : before->find(name), path.empty() ? name : path + "." + name);
    }
    if (node.values != nullptr) {
      for (const auto& [key, member] : value.entries())
        visit(*node.values, member, before == nullptr ? nullptr : before->find(key),
              path + "[" + std::string(key) + "]");
    }
    if (node.items == nullptr) return;
    for (std::size_t i = 0; i < value.size(); ++i)
      visit(*node.items, value[i], old_item(node, value[i], before), path + "[" + std::to_string(i) + "]");
  }

 private:
  static const Value* old_item(const Node& node, const Value& item, const Value* before) {
    if (before == nullptr || node.list_keys.empty()) return nullptr;
    for (const Value& old : before->items()) {
      bool same = true;
      for (const std::string& key : node.list_keys) same = same && old[key] == item[key];
      if (same) return &old;
    }
    return nullptr;
  }

  void check(const Rule& rule, const Node& node, const Value& value, const Value* before, const std::string& path) {
    if (rule.uses_old && !rule.optional_old && before == nullptr) return;
    cel::Bindings bindings;
    bindings.set("self", cel::Value::from(value, node.type));
    if (rule.optional_old)
      bindings.set(
          "oldSelf",
          cel::Value::optional(before == nullptr ? std::nullopt : std::optional(cel::Value::from(*before, node.type))));
    else if (before != nullptr)
      bindings.set("oldSelf", cel::Value::from(*before, node.type));
    const cel::Outcome outcome = evaluate(rule.program, bindings);
    const std::string shown = rule.message.empty() ? rule.text : rule.message;
    if (!outcome.value.ok()) {
      failed(node, path, shown, outcome.value.error());
    } else if (outcome.value->is(cel::Kind::boolean) && !outcome.value->as_bool()) {
      add(rule.reason, node, path + rule.field_path, message_of(rule, bindings));
    }
    if (spent_ > kCostMaxPerObject) {
      exhausted_ = true;
      add(FieldError::Type::invalid, node, path,
          "validation failed due to running out of cost budget, no further validation rules will be run");
    }
  }

  cel::Outcome evaluate(const cel::Program& program, const cel::Bindings& bindings) {
    cel::Outcome outcome = program.evaluate(bindings, {.cost_max = kCostMaxPerRule});
    spent_ += outcome.cost;
    return outcome;
  }

  void failed(const Node& node, const std::string& path, const std::string& shown, const Error& error) {
    if (error.code == ErrorCode::too_large) {
      exhausted_ = true;
      add(FieldError::Type::invalid, node, path,
          "call cost exceeds limit for rule: " + shown + ", no further validation rules will be run");
    } else if (error.message.starts_with("no such overload")) {
      add(FieldError::Type::invalid, node, path,
          "'" + error.message +
              "': call arguments did not match a supported operator, function or macro signature for rule: " + shown);
    } else {
      add(FieldError::Type::invalid, node, path, error.message + " evaluating rule: " + shown);
    }
  }

  // What messageExpression says, unless it fails, is empty, too long or has line breaks.
  std::string message_of(const Rule& rule, const cel::Bindings& bindings) {
    if (rule.message_expression) {
      const cel::Outcome outcome = evaluate(*rule.message_expression, bindings);
      if (outcome.value.ok() && outcome.value->is(cel::Kind::string)) {
        const std::string_view text = trim(outcome.value->as_string());
        if (!text.empty() && text.size() <= kMessageBytesMax && text.find('\n') == std::string_view::npos)
          return std::string(text);
      }
    }
    return rule.message.empty() ? "failed rule: " + rule.text : rule.message;
  }

  void add(FieldError::Type type, const Node& node, const std::string& path, std::string detail) {
    // ".spec['a']" below "spec" is written as "spec.a".
    std::string field = replace_all(replace_all(path, "['", "."), "']", "");
    if (field.starts_with('.')) field.erase(0, 1);
    out_.push_back({type, std::move(field), Value(node.type_name), std::move(detail)});
  }

  std::vector<FieldError>& out_;
  std::uint64_t spent_ = 0;
  bool exhausted_ = false;
};

// The root as rules see it: of its metadata only the names.
Value with_object_fields(const Value& schema) {
  Value out = schema;
  const Value text{{"type", "string"}};
  Value properties = schema["properties"].is_map() ? schema["properties"] : Value::map();
  properties.set("apiVersion", text);
  properties.set("kind", text);
  Value metadata{{"type", "object"}, {"properties", Value{{"name", text}, {"generateName", text}}}};
  if (const Value& rules = schema.get({"properties", "metadata", "x-kubernetes-validations"}); !rules.is_null())
    metadata.set("x-kubernetes-validations", rules);
  properties.set("metadata", std::move(metadata));
  out.set("properties", std::move(properties));
  return out;
}

bool leaves_form_in_doubt(const FieldError& error) {
  using Type = FieldError::Type;
  return error.type == Type::not_supported || error.type == Type::required || error.type == Type::too_long ||
         error.type == Type::too_many || error.type == Type::type_invalid;
}

}  // namespace

CelRules::CelRules(std::unique_ptr<const Node> root) : root_(std::move(root)) {}
CelRules::~CelRules() = default;

Result<std::shared_ptr<const CelRules>> CelRules::compile(const Value& schema, const std::string& at) {
  auto root = TRY(Compiler().run(with_object_fields(schema), at));
  if (root == nullptr) return std::shared_ptr<const CelRules>();
  return std::shared_ptr<const CelRules>(new CelRules(std::move(root)));
}

void CelRules::check(const Value& schema, const std::string& at, std::vector<FieldError>& out) {
  (void)Compiler(&out).run(with_object_fields(schema), at).ok();  // everything wrong is in `out`
}

void CelRules::validate(const Value& object, const Value* before, std::vector<FieldError>& out) const {
  Validation(out).visit(*root_, object, before, "");
}

void check_cel_rules(const KindSchema& kind, const Value* before, const Value& object, std::vector<FieldError>& out) {
  if (!kind.custom) return;
  // The memory of a kind is always the FieldMemory that its compilation made.
  const CelRules* rules = static_cast<const FieldMemory*>(kind.memory.get())->rules.get();
  if (rules == nullptr) return;
  if (std::any_of(out.begin(), out.end(), leaves_form_in_doubt)) {
    out.push_back({FieldError::Type::invalid, "<nil>", Value(""),
                   "some validation rules were not checked because the object was invalid; correct the existing errors "
                   "to complete validation"});
    return;
  }
  rules->validate(object, before, out);
}

}  // namespace caisson::schema
