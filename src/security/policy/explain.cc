// SPDX-License-Identifier: Apache-2.0
#include "security/policy/explain.h"

#include "core/base/text.h"
#include "core/document/json.h"
#include "security/policy/conditions.h"
#include "security/policy/operators.h"
#include "security/policy/pattern.h"
#include "security/policy/stages.h"
#include "security/policy/variables.h"

namespace caisson::policy {
namespace {

constexpr std::size_t kValueCharactersMax = 160;
constexpr std::size_t kElementsMax = 50;
constexpr int kNestingMax = 10;

using Mark = ExplainedLine::Mark;

std::string shown(const Value& value) {
  std::string text = json::write(value);
  if (text.size() <= kValueCharactersMax) return text;
  std::size_t end = kValueCharactersMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not inside a character
  return text.substr(0, end) + "… (" + std::to_string(text.size()) + " bytes)";
}

// "{{ a }} = 1" for what was substituted, "1" for what stood there.
std::string side(const Value& written, const Value& seen) {
  return has_variables(written) ? written.scalar_text() + " = " + shown(seen) : shown(seen);
}

// What stands at "/spec/containers/0/image/".
const Value& at_path(const Value& object, std::string_view path) {
  const Value* at = &object;
  for (const std::string_view part : split(path, '/')) {
    if (part.empty()) continue;
    const auto index = at->is_list() ? parse_int(part) : std::nullopt;
    at = index ? &(*at)[static_cast<std::size_t>(*index)] : &(*at)[part];
  }
  return *at;
}

class RuleExplainer {
 public:
  RuleExplainer(const Engine& engine, const Policy& policy, const Rule& rule, const Request& request,
                const Lookups& lookups, const Engine::Exceptions& exceptions, Explanation& out)
      : engine_(engine),
        policy_(policy),
        rule_(rule),
        request_(request),
        lookups_(lookups),
        exceptions_(exceptions),
        context_(engine.context_for(rule, request, lookups)),
        out_(out) {}

  void run() {
    const FailureAction action = action_of(policy_, rule_, request_.target.ns(), request_.target.namespace_labels);
    say(1, Mark::none,
        "rule " + rule_.name + " (" + std::string(rule_kind_name(rule_.kind)) + ", " +
            (action == FailureAction::enforce ? "Enforce" : "Audit") + ")");
    if (!speaks()) {
      say(2, Mark::none, "the rule does not speak of this object");
      return;
    }
    context();
    conditions("precondition", rule_.preconditions, context_, 2);
    body(rule_.body, context_, request_.target.object, 2, 0);
    result();
  }

 private:
  void say(int depth, Mark mark, std::string text) { out_.push_back({depth, mark, std::move(text)}); }

  bool speaks() {
    const bool matched = matches(rule_.match, request_.target);
    filters("match", rule_.match, true);
    filters("exclude", rule_.exclude, false);
    return matched && !excludes(rule_.exclude, request_.target);
  }

  void filters(const std::string& what, const MatchBlock& block, bool wanted) {
    for (std::size_t i = 0; i < block.filters.size(); ++i) {
      const std::string why = match_failure(block.filters[i], request_.target);
      say(2, why.empty() == wanted ? Mark::good : Mark::bad,
          what + "." + (block.all ? "all" : "any") + "[" + std::to_string(i) +
              "]: " + (why.empty() ? "matches" : "does not match: " + why));
    }
  }

  void context() {
    for (const Value& entry : rule_.context.items()) {
      const std::string name = entry["name"].str();
      const auto value = context_.query(name);
      say(2, value.ok() ? Mark::none : Mark::bad,
          "context " + name + " = " + (value.ok() ? shown(*value) : value.error().message));
    }
  }

  // {any, all}, a list of those, or a plain list.
  void conditions(const std::string& what, const Value& given, Context& context, int depth) {
    const auto each = [&](const Value& list, const std::string& where) {
      for (std::size_t i = 0; i < list.size(); ++i)
        condition(what + where + "[" + std::to_string(i) + "]", list[i], context, depth);
    };
    const auto block = [&](const Value& item, const std::string& where) {
      each(item["any"], where + ".any");
      each(item["all"], where + ".all");
    };
    if (given.is_map()) return block(given, "");
    for (std::size_t i = 0; i < given.size(); ++i) {
      const std::string where = "[" + std::to_string(i) + "]";
      if (given[i].contains("any") || given[i].contains("all"))
        block(given[i], where);
      else
        condition(what + where, given[i], context, depth);
    }
  }

  void condition(const std::string& what, const Value& given, Context& context, int depth) {
    const auto key = substitute(given["key"], context);
    const auto value = substitute(given["value"], context);
    const auto op = parse_operator(given["operator"].as_string());
    if (!key.ok() || !value.ok() || !op) {
      say(depth, Mark::bad,
          what + ": " +
              (!key.ok()     ? key.error().message
               : !value.ok() ? value.error().message
                             : "unknown operator"));
      return;
    }
    const bool held = holds(*op, *key, *value);
    say(depth, held ? Mark::good : Mark::bad,
        what + ": " + side(given["key"], *key) + " " + given["operator"].str() + " " + side(given["value"], *value) +
            " → " + (held ? "true" : "false"));
  }

  void body(const Value& given, Context& context, const Value& resource, int depth, int nesting) {
    if (given["deny"].is_map()) conditions("deny", given["deny"]["conditions"], context, depth);
    if (!given["pattern"].is_null()) pattern("pattern", given["pattern"], context, resource, depth);
    for (std::size_t i = 0; i < given["anyPattern"].size(); ++i)
      pattern("anyPattern[" + std::to_string(i) + "]", given["anyPattern"][i], context, resource, depth);
    for (std::size_t i = 0; i < given["foreach"].size(); ++i)
      loop(given["foreach"][i], i, context, resource, depth, nesting);
  }

  void pattern(const std::string& what, const Value& given, Context& context, const Value& resource, int depth) {
    const auto wanted = substitute(given, context);
    if (!wanted.ok()) return say(depth, Mark::bad, what + ": " + wanted.error().message);
    const PatternOutcome outcome = match_pattern(resource, *wanted);
    switch (outcome.kind) {
      case PatternOutcome::Kind::pass:
        return say(depth, Mark::good, what + ": fits");
      case PatternOutcome::Kind::skip:
        return say(depth, Mark::none, what + ": says nothing of it: " + outcome.message);
      case PatternOutcome::Kind::fail:
        return say(depth, Mark::bad,
                   what + ": fails at " + outcome.path + ", where the object has " +
                       shown(at_path(resource, outcome.path)) +
                       (outcome.message.empty() ? "" : ": " + outcome.message));
      case PatternOutcome::Kind::error:
        return say(depth, Mark::bad, what + ": " + outcome.message);
    }
  }

  void loop(const Value& loop, std::size_t number, Context& context, const Value& resource, int depth, int nesting) {
    if (nesting > kNestingMax) return say(depth, Mark::bad, "foreach is nested too deeply");
    const std::string what = "foreach[" + std::to_string(number) + "] over " + loop["list"].str();
    const auto items = loop_items(loop, context);
    if (!items.ok()) return say(depth, Mark::none, what + ": " + items.error().message);
    say(depth, Mark::none, what + ": " + std::to_string(items->size()) + " elements");
    for (std::size_t i = 0; i < items->size() && i < kElementsMax; ++i) {
      const Value& item = (*items)[i];
      if (item.is_null()) continue;
      say(depth + 1, Mark::none, "element " + std::to_string(i) + " = " + shown(item));
      Context own = context;
      set_element(own, item, i, nesting);
      own.defer(loop["context"]);
      conditions("precondition", loop["preconditions"], own, depth + 2);
      const bool scoped = loop["elementScope"].as_bool(item.is_map());
      body(loop, own, scoped ? item : resource, depth + 2, nesting + 1);
    }
  }

  void result() {
    Policy one = policy_;
    one.rules = {rule_};
    PolicyResponse response;
    switch (rule_.kind) {
      case RuleKind::validate:
        response = engine_.validate(one, request_, lookups_, exceptions_);
        break;
      case RuleKind::mutate:
        response = engine_.mutate(one, request_, lookups_, exceptions_);
        break;
      case RuleKind::generate:
        response = engine_.generate(one, request_, lookups_, exceptions_);
        break;
      case RuleKind::verify_images:
        response = engine_.verify_images(one, request_, lookups_, exceptions_);
        break;
    }
    if (response.rules.empty()) return say(2, Mark::none, "result: the rule says nothing");
    for (const RuleResponse& rule : response.rules) {
      const bool bad = rule.status == Status::fail || rule.status == Status::error;
      say(2,
          bad                           ? Mark::bad
          : rule.status == Status::pass ? Mark::good
                                        : Mark::none,
          "result: " + std::string(status_name(rule.status)) + (rule.message.empty() ? "" : ": " + rule.message));
      for (const Value& object : rule.generated)
        say(3, Mark::none,
            "makes " + object["kind"].str() + " " + object["metadata"]["namespace"].str() + "/" +
                object["metadata"]["name"].str());
    }
    if (rule_.kind == RuleKind::mutate && response.patched != response.resource)
      say(3, Mark::none, "the object becomes " + shown(response.patched));
  }

  const Engine& engine_;
  const Policy& policy_;
  const Rule& rule_;
  const Request& request_;
  const Lookups& lookups_;
  const Engine::Exceptions& exceptions_;
  Context context_;
  Explanation& out_;
};

}  // namespace

Explanation explain(const Engine& engine, const Policy& policy, const Request& request, const Lookups& lookups,
                    const Engine::Exceptions& exceptions, const std::string& only_rule) {
  Explanation out;
  out.push_back({0, Mark::none, policy.kind + " " + policy.key()});
  if (!policy.ns.empty() && policy.ns != request.target.ns()) {
    out.push_back({1, Mark::none, "a Policy speaks only of its own namespace, " + policy.ns});
    return out;
  }
  for (const Rule& rule : policy.rules)
    if (only_rule.empty() || rule.name == only_rule)
      RuleExplainer(engine, policy, rule, request, lookups, exceptions, out).run();
  return out;
}

Explanation explain(const CelPolicy& policy, const Request& request, const Value& namespace_object,
                    const Lookups& lookups) {
  Explanation out;
  out.push_back({0, Mark::none, policy.object()["kind"].str() + " " + policy.name()});
  for (const CelStep& step : policy.trace(request, namespace_object, lookups)) {
    const bool is_bool = step.value == "true" || step.value == "false";
    const Mark mark = !step.error.empty() || step.value == "false" ? Mark::bad : is_bool ? Mark::good : Mark::none;
    out.push_back({1, mark,
                   step.what + (step.expression.empty() ? "" : ": " + step.expression) + " → " +
                       (step.error.empty() ? step.value : step.error)});
  }
  Value patched = request.target.object;
  const auto response = policy.evaluate(request, namespace_object, Value(), lookups, patched);
  if (!response) {
    out.push_back({1, Mark::none, "the policy does not speak of this object: matchConstraints do not match"});
    return out;
  }
  const bool bad = response->status == Status::fail || response->status == Status::error;
  out.push_back({1, bad ? Mark::bad : Mark::good,
                 "result: " + std::string(status_name(response->status)) +
                     (response->message.empty() ? "" : ": " + response->message)});
  return out;
}

}  // namespace caisson::policy
