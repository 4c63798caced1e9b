// SPDX-License-Identifier: Apache-2.0
#include "security/policy/engine.h"

#include <algorithm>

#include "core/base/random.h"
#include "core/base/text.h"
#include "core/expr/jmespath/wildcard.h"
#include "security/policy/cel_environment.h"
#include "security/policy/images.h"
#include "security/policy/stages.h"
#include "security/policy/variables.h"
#include "security/policy/verified_images.h"

namespace caisson::policy {
namespace {

Value strings(const std::vector<std::string>& list) {
  return Value::list_of(list);
}

// As the admission request has it: what is not known is not there.
Value user_value(const UserInfo& user) {
  Value out = Value::map();
  if (!user.name.empty()) out.set("username", user.name);
  if (!user.uid.empty()) out.set("uid", user.uid);
  if (!user.groups.empty()) out.set("groups", strings(user.groups));
  return out;
}
Value names_value(const std::vector<std::string>& names) {
  return names.empty() ? Value() : strings(names);
}

Value request_value(const Request& request) {
  const Target& target = request.target;
  const bool removes = target.operation == "DELETE";
  Value out{{"operation", target.operation},
            {"kind", Value{{"group", target.group}, {"version", target.version}, {"kind", target.kind}}},
            {"name", target.name()},
            {"dryRun", request.dry_run},
            {"subResource", target.subresource},
            {"userInfo", user_value(target.user)},
            {"roles", names_value(target.user.roles)},
            {"clusterRoles", names_value(target.user.cluster_roles)}};
  if (!target.ns().empty()) out.set("namespace", target.ns());
  if (!request.uid.empty()) out.set("uid", request.uid);
  if (!removes) out.set("object", target.object);
  if (!request.old_object.is_null()) out.set("oldObject", request.old_object);
  if (removes && request.old_object.is_null()) out.set("oldObject", target.object);
  return out;
}

void set_service_account(Value& root, const std::string& user) {
  constexpr std::string_view kPrefix = "system:serviceaccount:";
  std::string ns, name;
  if (user.starts_with(kPrefix)) {
    const auto parts = split(std::string_view(user).substr(kPrefix.size()), ':');
    if (parts.size() == 2) {
      ns = parts[0];
      name = parts[1];
    }
  }
  root.set("serviceAccountName", name).set("serviceAccountNamespace", ns);
}

// The variables that a request gives, whatever the rule.
Value seen_of(const Request& request) {
  Value root{{"request", request_value(request)}};
  set_service_account(root, request.target.user.name);
  return root;
}

bool names_rule(const Exception& exception, const Policy& policy, const Rule& rule) {
  return std::any_of(exception.exempted.begin(), exception.exempted.end(), [&](const Exception::Exempted& one) {
    if (one.policy != policy.key()) return false;
    return std::any_of(one.rules.begin(), one.rules.end(),
                       [&](const std::string& name) { return jmespath::wildcard_match(name, rule.name); });
  });
}

std::vector<const Exception*> matching(const Engine::Exceptions& exceptions, const Policy& policy, const Rule& rule,
                                       const Target& target, const Context& context) {
  std::vector<const Exception*> out;
  for (const Exception& exception : exceptions) {
    if (!names_rule(exception, policy, rule) || !matches(exception.match, target)) continue;
    Context own = context;
    const auto conditions = evaluate_conditions(exception.conditions, own);
    // A condition that can't be evaluated exempts nobody.
    if (conditions.ok() && conditions->holds) out.push_back(&exception);
  }
  return out;
}

// An exception that names Pod Security controls only narrows a podSecurity rule.
const Exception* exempting(const Stage& stage) {
  const bool pod_security = stage.rule.kind == RuleKind::validate && stage.rule.check.check == Check::pod_security;
  for (const Exception* exception : stage.exceptions)
    if (!pod_security || exception->pod_security.empty()) return exception;
  return nullptr;
}

// What a rule said. The answer: whether it applied, which is all that is kept of what nobody wants told.
bool keep(RuleResponse&& said, const Stage& stage, PolicyResponse& out) {
  const bool applied = said.status != Status::skip;
  const bool is_failure = said.status == Status::fail || said.status == Status::error;
  if (is_failure || !stage.request.only_failures) out.rules.push_back(std::move(said));
  return applied;
}

// Whether the rule applied.
bool run_stage(const Stage& stage, bool existing, PolicyResponse& out) {
  if (const Exception* exception = exempting(stage))
    return keep(stage.respond(Status::skip, "rule is skipped due to policy exception " + exception->key), stage, out);
  // A loop's own conditions are asked by the loop.
  const auto conditions = stage.rule.conditions.evaluate(stage.context);
  if (!conditions.ok())
    return keep(stage.fail_with("failed to evaluate preconditions", conditions.error()), stage, out);
  if (!conditions->holds) {
    std::string why = "preconditions not met";
    if (!conditions->message.empty()) why += "; " + conditions->message;
    return keep(stage.respond(Status::skip, std::move(why)), stage, out);
  }
  bool applied = false;
  switch (stage.rule.kind) {
    case RuleKind::validate:
      if (auto response = validate_rule(stage)) applied = keep(std::move(*response), stage, out);
      return applied;
    case RuleKind::mutate:
      if (!existing) return keep(mutate_rule(stage, out.patched), stage, out);
      for (RuleResponse& response : mutate_existing_rule(stage)) applied = keep(std::move(response), stage, out);
      return applied;
    case RuleKind::generate:
      return keep(generate_rule(stage), stage, out);
    case RuleKind::verify_images:
      return keep(verify_images_rule(stage, out.patched), stage, out);
  }
  return applied;
}

// Whether the policy's matchConditions let the request come to its rules. Where they can't be evaluated no rule is
// asked; at admission that is an error, which failurePolicy answers.
bool is_asked(const Policy& policy, const Request& request, const Lookups& lookups, PolicyResponse& out) {
  if (policy.match_conditions == nullptr) return true;
  const CelInput input = cel_input(request, *policy.match_conditions, lookups);
  CelOutcome outcome = evaluate_checks(*policy.match_conditions, input);
  if (outcome.verdict == CelVerdict::error && !request.uid.empty()) {
    RuleResponse response;
    response.rule = "webhookConfiguration.matchConditions";
    response.status = Status::error;
    response.message = std::move(outcome.message);
    response.action = FailureAction::enforce;
    out.rules.push_back(std::move(response));
  }
  return outcome.verdict == CelVerdict::pass;
}

}  // namespace

std::string_view status_name(Status status) {
  switch (status) {
    case Status::pass:
      return "pass";
    case Status::fail:
      return "fail";
    case Status::warn:
      return "warn";
    case Status::error:
      return "error";
    case Status::skip:
      return "skip";
  }
  return "";
}

RuleResponse Stage::respond(Status status, std::string message) const {
  RuleResponse response;
  response.rule = rule.name;
  response.kind = rule.kind;
  response.status = status;
  response.message = std::move(message);
  response.action = action_of(policy, rule, request.target.ns(), request.target.namespace_labels);
  return response;
}

RuleResponse Stage::pass(std::string_view before, std::string_view after) const {
  if (!request.only_failures) return respond(Status::pass, std::string(before) + rule.name + std::string(after));
  RuleResponse response;
  response.status = Status::pass;
  return response;
}

RuleResponse Stage::fail_with(std::string_view what, const Error& error) const {
  return respond(Status::error, std::string(what) + ": " + error.message);
}

Result<std::vector<Value>> loop_items(const Value& loop, Context& context) {
  const std::string list = TRY(substitute_text(loop["list"].as_string(), context));
  const Value found = TRY(context.query(list));
  if (found.is_list()) return std::vector<Value>(found.items().begin(), found.items().end());
  return std::vector<Value>{found};
}

void set_element(Context& context, const Value& element, std::size_t index, int nesting) {
  const Value number(static_cast<std::int64_t>(index));
  const std::string level = std::to_string(nesting);
  context.set("element", element);
  context.set("element" + level, element);
  context.set("elementIndex", number);
  context.set("elementIndex" + level, number);
}

Result<Exception> parse_exception(const Value& object) {
  Exception exception;
  const std::string ns = object["metadata"]["namespace"].str();
  exception.key = (ns.empty() ? "" : ns + "/") + object["metadata"]["name"].str();
  for (const Value& item : object["spec"]["exceptions"].items()) {
    Exception::Exempted one{item["policyName"].str(), {}};
    for (const Value& rule : item["ruleNames"].items()) one.rules.push_back(rule.str());
    exception.exempted.push_back(std::move(one));
  }
  exception.match = TRY(parse_match(object["spec"]["match"]).in("PolicyException " + exception.key + ": spec.match"));
  exception.conditions = object["spec"]["conditions"];
  exception.pod_security = object["spec"]["podSecurity"];
  return exception;
}

Engine::Engine(EngineOptions options) : verified_(std::make_unique<VerifiedImages>()) {
  environment_.clock = options.clock;
  environment_.random = options.random ? std::move(options.random) : [] { return random_u64(); };
}
Engine::~Engine() = default;

void Engine::prepare(Request& request) {
  request.views_ = std::make_shared<RequestViews>();
}

Value Request::seen() const {
  if (!views_) return seen_of(*this);
  if (!views_->seen) views_->seen = seen_of(*this);
  return *views_->seen;
}

Value Request::review() const {
  if (!views_) return admission_request_value(target, dry_run);
  if (!views_->review) views_->review = admission_request_value(target, dry_run);
  return *views_->review;
}

Context Engine::context_for(const Rule& rule, const Request& request, const Lookups& lookups) const {
  Context context(expressions_, environment_, lookups, request.seen());
  context.defer_images(request.target.object, rule.image_extractors);
  if (!request.variables.empty()) context.load_images();  // they may stand for some of them
  for (const auto& [name, value] : request.variables) context.set_path(name, value);
  context.defer(rule.context);
  return context;
}

bool Engine::shares_context(const Rule& rule, const Request& request) {
  return request.views() != nullptr && rule.context.empty() && rule.image_extractors.is_null() &&
         request.variables.empty();
}

Context& Engine::context_for_check(const Rule& rule, const Request& request, const Lookups& lookups,
                                   std::optional<Context>& own) const {
  if (!shares_context(rule, request)) return own.emplace(context_for(rule, request, lookups));
  RequestViews* views = request.views();
  if (!views->plain || &views->plain->lookups() != &lookups) views->plain.emplace(context_for(rule, request, lookups));
  return *views->plain;
}

PolicyResponse Engine::run(RuleKind kind, bool existing, const Policy& policy, const Request& request,
                           const Lookups& lookups, const Exceptions& exceptions) const {
  PolicyResponse out{&policy, request.target.object, request.target.object, {}};
  const bool only_asks = kind == RuleKind::validate;
  if (!policy.ns.empty() && policy.ns != request.target.ns()) return out;
  std::optional<Request> own;  // once a rule has changed the object
  std::optional<bool> asked;   // once a rule speaks of it
  const std::uint64_t target_kind = kind_bit(request.target.kind);
  for (std::size_t i = 0; i < policy.rules.size(); ++i) {
    if (policy.rule_keys[i].kind != kind || (policy.rule_keys[i].kinds & target_kind) == 0) continue;
    const Rule& rule = policy.rules[i];
    if (kind == RuleKind::mutate && rule.body.contains("targets") != existing) continue;
    if (!(own ? *own : request).target.object.shares_with(out.patched)) {
      if (!own) own = request;
      own->target.object = out.patched;
      forget(*own);
    }
    const Request& current = own ? *own : request;
    if (!matches(rule.match, current.target) || excludes(rule.exclude, current.target)) continue;
    if (!asked) asked = is_asked(policy, request, lookups, out);
    if (!*asked) return out;
    std::optional<Context> own_context;
    Context& context = !only_asks ? own_context.emplace(context_for(rule, current, lookups))
                                  : context_for_check(rule, current, lookups, own_context);
    const Value& resource = current.target.operation == "DELETE" ? document::kNull : current.target.object;
    const Stage stage{
        policy,   rule,      current, context, matching(exceptions, policy, rule, current.target, context),
        resource, *verified_};
    if (run_stage(stage, existing, out) && policy.apply_one_rule) break;
  }
  return out;
}

bool Engine::allows(const Policy& policy, const Request& request, const Lookups& lookups) const {
  if (!policy.ns.empty() && policy.ns != request.target.ns()) return true;
  if (policy.match_conditions != nullptr) return false;
  const std::uint64_t target_kind = kind_bit(request.target.kind);
  for (std::size_t i = 0; i < policy.rules.size(); ++i) {
    if (policy.rule_keys[i].kind != RuleKind::validate || (policy.rule_keys[i].kinds & target_kind) == 0) continue;
    const Rule& rule = policy.rules[i];
    if (!matches(rule.match, request.target) || excludes(rule.exclude, request.target)) continue;
    if (!shares_context(rule, request)) return false;  // what it asks of the world is asked once
    std::optional<Context> own;
    Context* context = has_conditions(rule) ? &context_for_check(rule, request, lookups, own) : nullptr;
    const QuickLook said = look_quickly(rule, request, lookups, context);
    if (said == QuickLook::unsure) return false;
    if (said == QuickLook::passes && policy.apply_one_rule) return true;
  }
  return true;
}

PolicyResponse Engine::mutate(const Policy& policy, const Request& request, const Lookups& lookups,
                              const Exceptions& exceptions) const {
  return run(RuleKind::mutate, false, policy, request, lookups, exceptions);
}
PolicyResponse Engine::validate(const Policy& policy, const Request& request, const Lookups& lookups,
                                const Exceptions& exceptions) const {
  return run(RuleKind::validate, false, policy, request, lookups, exceptions);
}
PolicyResponse Engine::verify_images(const Policy& policy, const Request& request, const Lookups& lookups,
                                     const Exceptions& exceptions) const {
  return run(RuleKind::verify_images, false, policy, request, lookups, exceptions);
}
PolicyResponse Engine::generate(const Policy& policy, const Request& request, const Lookups& lookups,
                                const Exceptions& exceptions) const {
  return run(RuleKind::generate, false, policy, request, lookups, exceptions);
}
PolicyResponse Engine::mutate_existing(const Policy& policy, const Request& request, const Lookups& lookups,
                                       const Exceptions& exceptions) const {
  return run(RuleKind::mutate, true, policy, request, lookups, exceptions);
}

}  // namespace caisson::policy
