// SPDX-License-Identifier: Apache-2.0
// validate: deny, pattern, anyPattern, foreach, podSecurity, cel, assert. Follows Kyverno 1.19,
// pkg/engine/handlers/validation.
#include <algorithm>
#include <span>

#include "core/base/text.h"
#include "security/policy/cel_checks.h"
#include "security/policy/images.h"
#include "security/policy/pattern.h"
#include "security/policy/pod_security.h"
#include "security/policy/stages.h"
#include "security/policy/variables.h"

namespace caisson::policy {
namespace {

constexpr int kNestingMax = 10;

// As Go's %T says it of a value that was read from JSON.
std::string_view go_type(const Value& value) {
  switch (value.kind()) {
    case ValueKind::boolean:
      return "bool";
    case ValueKind::integer:
      return "int64";
    case ValueKind::floating:
      return "float64";
    case ValueKind::list:
      return "[]interface {}";
    default:
      return kind_name(value.kind());
  }
}

std::string with_full_stop(std::string text) {
  return text.ends_with(".") ? text : text + ".";
}

class Validator {
 public:
  explicit Validator(const Stage& stage) : stage_(stage) {}

  // `body`: the rule's validate, or one item of a foreach.
  std::optional<RuleResponse> check(const Value& body, const CompiledBody& read, Context& context,
                                    const Value& resource, int nesting) {
    switch (read.check) {
      case Check::deny:
        return deny(read.deny, context);
      case Check::pattern:
        return pattern(body["pattern"], read, context, resource);
      case Check::any_pattern:
        return any_pattern(body["anyPattern"], read, context, resource);
      case Check::foreach:
        return loops(body["foreach"], read, context, resource, nesting);
      case Check::manifests:
        return stage_.respond(Status::error, "validate.manifests is not evaluated by this engine");
      default:
        return stage_.respond(Status::error, "invalid validation rule: podSecurity, cel, patterns, or deny expected");
    }
  }

 private:
  const std::string& name() const { return stage_.rule.name; }
  RuleResponse passed() const { return stage_.pass("validation rule '", "' passed."); }

  // The rule's message with its variables; empty when it has none.
  Result<std::string> message(Context& context) const {
    const std::string_view text = stage_.rule.body["message"].as_string();
    if (text.empty()) return std::string();
    return substitute_text(text, context);
  }
  // What a pattern found, after the rule's message: `why`, or in short `what`. Variables that fail are told instead.
  std::string finding(const Result<std::string>& text, const std::string& what, const std::string& why) const {
    if (!text.ok())
      return "validation error: variables substitution error in rule " + name() + " execution error: " + why;
    return "validation error: " + (text->empty() ? "" : with_full_stop(*text) + " ") + what;
  }

  RuleResponse deny(const Conditions& conditions, Context& context) const {
    const auto outcome = conditions.evaluate(context);
    if (!outcome.ok()) return stage_.fail_with("failed to check deny conditions", outcome.error());
    if (!outcome->holds) return passed();
    auto said = message(context);
    std::string text =
        said.ok() ? std::move(said).value()
                  : "variables substitution error in rule " + name() + " execution error: " + said.error().message;
    if (!outcome->message.empty()) {
      const auto more = substitute_text(outcome->message, context);
      text += (text.empty() ? "" : "; ") + (more.ok() ? *more : outcome->message);
    }
    if (text.empty()) text = "validation error: rule " + name() + " failed";
    return stage_.respond(Status::fail, std::move(text));
  }

  // Those which were read with the policy, or `given` with its variables substituted, which `own` then holds.
  static Result<std::span<const Pattern>> patterns_of(const Value& given, const CompiledBody& read, Context& context,
                                                      std::vector<Pattern>& own) {
    if (!read.patterns.empty()) return std::span(read.patterns);
    const Value substituted = TRY(substitute(given, context));
    if (read.check == Check::pattern)
      own.emplace_back(substituted);
    else
      for (const Value& pattern : substituted.items()) own.emplace_back(pattern);
    return std::span<const Pattern>(own);
  }

  std::optional<RuleResponse> pattern(const Value& given, const CompiledBody& read, Context& context,
                                      const Value& resource) const {
    std::vector<Pattern> own;
    const auto wanted = patterns_of(given, read, context, own);
    if (!wanted.ok()) return stage_.fail_with("variable substitution failed", wanted.error());
    if (resource.is_null()) return {};  // nothing is left to look at
    const PatternOutcome outcome = wanted->front().match(resource);
    switch (outcome.kind) {
      case PatternOutcome::Kind::pass:
        return passed();
      case PatternOutcome::Kind::skip:
        return stage_.respond(Status::skip, outcome.message);
      default:
        break;
    }
    const bool failed = outcome.kind == PatternOutcome::Kind::fail;
    const std::string what =
        "rule " + name() + " " + (failed ? "failed at path " + outcome.path : "execution error: " + outcome.message);
    return stage_.respond(failed ? Status::fail : Status::error, finding(message(context), what, outcome.message));
  }

  std::optional<RuleResponse> any_pattern(const Value& given, const CompiledBody& read, Context& context,
                                          const Value& resource) const {
    std::vector<Pattern> own;
    const auto wanted = patterns_of(given, read, context, own);
    if (!wanted.ok()) return stage_.fail_with("variable substitution failed", wanted.error());
    if (resource.is_null()) return {};
    std::string failed, skipped;
    for (std::size_t i = 0; i < wanted->size(); ++i) {
      const PatternOutcome outcome = (*wanted)[i].match(resource);
      const std::string which = name() + "[" + std::to_string(i) + "]";
      if (outcome.passed()) return stage_.pass("validation rule '", "' anyPattern[" + std::to_string(i) + "] passed.");
      if (outcome.kind == PatternOutcome::Kind::skip)
        skipped += (skipped.empty() ? "" : " ") + std::string("rule ") + which + " skipped: " + outcome.message;
      else if (outcome.path.empty())
        failed += (failed.empty() ? "" : " ") + std::string("rule ") + which + " failed: " + outcome.message;
      else
        failed += (failed.empty() ? "" : " ") + std::string("rule ") + which + " failed at path " + outcome.path;
    }
    if (failed.empty()) return stage_.respond(skipped.empty() ? Status::pass : Status::skip, skipped);
    return stage_.respond(Status::fail, finding(message(context), failed, failed));
  }

  std::optional<RuleResponse> loops(const Value& loops, const CompiledBody& read, Context& context,
                                    const Value& resource, int nesting) {
    if (nesting > kNestingMax) return stage_.respond(Status::error, "foreach is nested too deeply");
    std::size_t applied = 0;
    std::optional<Error> list_error;
    for (std::size_t i = 0; i < loops.size(); ++i) {
      auto items = loop_items(loops[i], context);
      if (!items.ok()) {
        // A field that is not there has no items.
        if (items.error().code != ErrorCode::not_found) list_error = items.error();
        continue;
      }
      const Loop loop{loops[i], read.loops[i]};
      if (auto response = elements(loop, *items, context, resource, nesting, applied)) return response;
    }
    if (applied > 0) return stage_.respond(Status::pass, "rule passed");
    if (list_error) return stage_.fail_with("failed to evaluate list", *list_error);
    return {};
  }

  struct Loop {
    const Value& body;
    const CompiledBody& read;
  };
  // Nothing: every element passed or said nothing.
  std::optional<RuleResponse> elements(const Loop& loop, const std::vector<Value>& items, Context& context,
                                       const Value& resource, int nesting, std::size_t& applied) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (items[i].is_null()) continue;
      const bool is_map = items[i].is_map();
      const bool scoped = loop.body["elementScope"].as_bool(is_map);
      if (scoped && !is_map)
        return stage_.respond(Status::error,
                              "failed to process foreach: cannot use elementScope=true foreach rules for elements that "
                              "are not maps, expected type=map got type=" +
                                  std::string(go_type(items[i])));
      Context own = context;
      set_element(own, items[i], i, nesting);
      own.defer(loop.body["context"]);
      const auto conditions = loop.read.preconditions.evaluate(own);
      if (conditions.ok() && !conditions->holds) continue;
      auto response = conditions.ok() ? check(loop.body, loop.read, own, scoped ? items[i] : resource, nesting + 1)
                                      : stage_.fail_with("failed to evaluate preconditions", conditions.error());
      if (!response || response->status == Status::skip) continue;
      // What can't be evaluated of an element leaves the word to those after it; of the last it is the answer.
      if (response->status == Status::error && i + 1 < items.size()) continue;
      if (response->status != Status::pass) {
        response->message = "validation failure: " + response->message;
        return response;
      }
      ++applied;
    }
    return {};
  }

  const Stage& stage_;
};

Value exclusions(const Stage& stage) {
  Value list = stage.rule.body["podSecurity"]["exclude"];
  if (list.is_null()) list = Value::list();
  for (const Exception* exception : stage.exceptions)
    for (const Value& item : exception->pod_security.items()) list.push_back(item);
  return list;
}

// On UPDATE, what the old object violated already does not stop the new one (allowExistingViolations, on unless said
// otherwise).
bool violated_before(const Stage& stage) {
  if (stage.request.target.operation != "UPDATE" || stage.request.old_object.is_null()) return false;
  if (!stage.rule.body["allowExistingViolations"].as_bool(true)) return false;
  if (action_of(stage.policy, stage.rule, stage.request.target.ns(), stage.request.target.namespace_labels) !=
      FailureAction::enforce)
    return false;
  Request before = stage.request;
  before.target.operation = "CREATE";
  before.target.object = stage.request.old_object;
  before.old_object = Value();
  before.target.user = {};
  Engine::forget(before);
  if (!matches(stage.rule.match, before.target) || excludes(stage.rule.exclude, before.target)) return false;
  Context context = stage.context;
  context.set_path("request.object", before.target.object);
  context.set_path("request.operation", "CREATE");
  const Stage old{stage.policy, stage.rule, before, context, stage.exceptions, before.target.object, stage.verified};
  const auto conditions = stage.rule.conditions.evaluate(context);
  if (!conditions.ok() || !conditions->holds) return false;
  const auto response = validate_rule(old);
  return response && response->status == Status::fail;
}

// The objects that paramRef names. Errors: not_found where they must be there.
Result<std::vector<Value>> params_of(const Stage& stage, const Value& cel) {
  const Value &kind = cel["paramKind"], &reference = cel["paramRef"];
  std::string ns = reference["namespace"].str();
  if (ns.empty()) ns = stage.request.target.ns();
  auto all = TRY(stage.context.lookups().objects(kind["apiVersion"].str(), kind["kind"].str(), ""));
  std::vector<Value> out;
  for (const Value& object : all) {
    const Value& metadata = object["metadata"];
    if (!metadata["namespace"].as_string().empty() && metadata["namespace"].as_string() != ns) continue;
    if (reference["selector"].is_map() ? labels_match(reference["selector"], metadata["labels"])
                                       : metadata["name"].as_string() == reference["name"].as_string())
      out.push_back(object);
  }
  if (out.empty() && reference["parameterNotFoundAction"].as_string() == "Deny")
    return Error{ErrorCode::not_found, "no params found"};
  return out;
}

std::optional<RuleResponse> check_cel(const Stage& stage) {
  CelInput input = cel_input(stage.request, *stage.rule.cel, stage.context.lookups());
  const auto failure = [&]() -> std::optional<RuleResponse> {
    const CelOutcome outcome = evaluate_checks(*stage.rule.cel, input);
    if (outcome.verdict == CelVerdict::pass) return {};
    if (outcome.verdict == CelVerdict::not_matched) return stage.respond(Status::skip, "cel preconditions not met");
    // What can't be evaluated refuses, as failurePolicy Fail has it.
    const std::string what =
        outcome.expression.empty() ? "" : "expression '" + outcome.expression + "' resulted in error: ";
    return stage.respond(Status::fail, what + outcome.message);
  };
  const Value& cel = stage.rule.body["cel"];
  if (!cel["paramKind"].is_map()) {
    auto failed = failure();
    return failed ? std::move(failed) : stage.pass("Validation rule '", "' passed.");
  }
  const auto params = params_of(stage, cel);
  if (!params.ok()) return stage.fail_with("error in parameterized resource", params.error());
  for (const Value& param : *params) {
    input.params = param;
    if (auto failed = failure()) return failed;
  }
  return stage.pass("Validation rule '", "' passed.");
}

// What an assertion sees, as Kyverno's handler has it (pkg/engine/handlers/validation/validate_assert.go).
Value assertion_payload(const Stage& stage) {
  const Target& target = stage.request.target;
  const bool removes = target.operation == "DELETE";
  const Value request = stage.request.seen()["request"];
  return Value{{"object", removes ? Value() : target.object},
               {"oldObject", removes && stage.request.old_object.is_null() ? target.object : stage.request.old_object},
               {"admissionInfo", Value{{"userInfo", request["userInfo"]},
                                       {"roles", request["roles"]},
                                       {"clusterRoles", request["clusterRoles"]}}},
               {"operation", target.operation},
               {"namespaceLabels", target.namespace_labels},
               {"admissionOperation", !stage.request.uid.empty()},
               {"requestResource", stage.request.review()["resource"]},
               {"resourceKind", Value{{"group", target.group},
                                      {"version", target.version},
                                      {"kind", target.kind},
                                      {"subResource", target.subresource}}}};
}

// The entries of the rule's context are $name; those that nothing reads are not loaded.
std::optional<RuleResponse> check_assertion(const Stage& stage) {
  const Assertion& assertion = *stage.rule.check.assertion;
  Value bindings = Value::map();
  for (const Value& entry : stage.rule.context.items()) {
    const std::string name = entry["name"].str();
    const auto& read = assertion.free_names();
    if (std::find(read.begin(), read.end(), name) == read.end()) continue;
    auto value = stage.context.query(name);
    if (!value.ok()) return stage.fail_with("failed to load context", value.error());
    bindings.set(name, std::move(value).value());
  }
  const auto failures = assertion.check(assertion_payload(stage), bindings, stage.context.environment());
  if (!failures.ok()) return stage.fail_with("failed to apply assertion", failures.error());
  if (!failures->empty()) return stage.respond(Status::fail, join(*failures, "; "));
  return stage.pass("Validation rule '", "' passed.");
}

// What the level finds, without exclusions: for a request that is put to many rules once for all of them.
const PodFindings& findings_of(const Stage& stage, const PodParts& pod, const PodSecurityOptions& options,
                               std::optional<PodFindings>& own) {
  RequestViews* views = stage.request.views();
  if (views == nullptr || !options.exclude.empty()) return own.emplace(check_pod(pod.metadata, pod.spec, options));
  for (const RequestViews::OfPod& known : views->pod_security)
    if (known.level == options.level && known.version == options.version) return known.findings;
  views->pod_security.push_back({options.level, options.version, check_pod(pod.metadata, pod.spec, options)});
  return views->pod_security.back().findings;
}

}  // namespace

CelInput cel_input(const Request& request, const CelChecks& checks, const Lookups& lookups) {
  const Target& target = request.target;
  const bool removes = target.operation == "DELETE";
  CelInput input;
  if (!removes) input.object = target.object;
  input.old_object = removes ? target.object : request.old_object;
  if (checks.reads_request) input.request = request.review();
  input.lookups = &lookups;
  const std::string ns = checks.reads_namespace ? target.ns() : "";
  if (!ns.empty() && target.kind != "Namespace")
    input.namespace_object = Value{{"metadata", Value{{"name", ns}, {"labels", target.namespace_labels}}}};
  return input;
}

std::optional<RuleResponse> check_pod_security(const Stage& stage) {
  if (stage.resource.is_null()) return {};
  const Value& rule = stage.rule.body["podSecurity"];
  const PodParts pod = pod_parts(stage.resource);
  if (pod.spec.is_null()) return stage.respond(Status::error, "Error while getting new resource: it makes no Pods");
  const std::string level = rule["level"].str(), version = rule["version"].str();
  std::optional<PodFindings> made;
  const PodFindings& own = findings_of(stage, pod, {level, version, rule["exclude"]}, made);
  if (!own.ok()) return stage.fail_with("failed to parse pod security api version", own.error());
  if (own->empty()) return stage.pass("Validation rule '", "' passed.");
  if (!stage.exceptions.empty()) {
    const auto excused = check_pod(pod.metadata, pod.spec, {level, version, exclusions(stage)});
    if (excused.ok() && excused->empty())
      return stage.respond(Status::skip, "rule is skipped due to policy exceptions " + stage.exceptions[0]->key);
  }
  return stage.respond(Status::fail, "Validation rule '" + stage.rule.name + "' failed. It violates PodSecurity \"" +
                                         level + ":" + version + "\": " + describe(*own));
}

std::optional<RuleResponse> validate_rule(const Stage& stage) {
  const Rule& rule = stage.rule;
  if (rule.check.check == Check::cel) return check_cel(stage);
  if (rule.check.check == Check::assertion) return check_assertion(stage);
  auto response = rule.check.check == Check::pod_security
                      ? check_pod_security(stage)
                      : Validator(stage).check(rule.body, rule.check, stage.context, stage.resource, 0);
  if (response && response->status == Status::fail && violated_before(stage))
    return stage.respond(Status::skip, "skipping the rule evaluation as pre-existing violations are allowed");
  return response;
}

}  // namespace caisson::policy
