// SPDX-License-Identifier: Apache-2.0
// validate without words: nearly every rule has nothing against nearly every object, and at admission nobody reads why.
// What is not sure here is asked again by validate.cc, which has the last word.
#include <algorithm>

#include "security/policy/stages.h"

namespace caisson::policy {
namespace {

bool denies_nothing(const Conditions& conditions, Context& context) {
  const auto outcome = conditions.evaluate(context);
  return outcome.ok() && !outcome->holds;
}

QuickLook look_at_cel(const Rule& rule, const Request& request, const Lookups& lookups) {
  if (rule.cel->asks_world || rule.body["cel"].contains("paramKind")) return QuickLook::unsure;
  switch (evaluate_checks(*rule.cel, cel_input(request, *rule.cel, lookups)).verdict) {
    case CelVerdict::pass:
      return QuickLook::passes;
    case CelVerdict::not_matched:
      return QuickLook::skips;
    default:
      return QuickLook::unsure;
  }
}

// What another rule of the same level found already.
bool has_no_findings(const Value& asked, const RequestViews& views) {
  const std::string_view level = asked["level"].as_string(), version = asked["version"].as_string();
  if (!asked["exclude"].empty()) return false;
  return std::any_of(views.pod_security.begin(), views.pod_security.end(), [&](const RequestViews::OfPod& known) {
    return known.level == level && known.version == version && known.findings.ok() && known.findings->empty();
  });
}

bool fits_any(const std::vector<Pattern>& patterns, const Value& object) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const Pattern& pattern) { return pattern.fits(object); });
}

}  // namespace

bool has_conditions(const Rule& rule) {
  return !rule.conditions.empty() || rule.check.check == Check::deny;
}

QuickLook look_quickly(const Rule& rule, const Request& request, const Lookups& lookups, Context* context) {
  if (!rule.conditions.empty()) {
    const auto outcome = rule.conditions.evaluate(*context);
    if (!outcome.ok()) return QuickLook::unsure;
    if (!outcome->holds) return QuickLook::skips;
  }
  const CompiledBody& asked = rule.check;
  if (asked.check == Check::cel) return look_at_cel(rule, request, lookups);
  const Target& target = request.target;
  if (target.operation == "DELETE") return QuickLook::unsure;  // another object is looked at
  const bool passes = asked.check == Check::deny           ? denies_nothing(asked.deny, *context)
                      : asked.check == Check::pod_security ? has_no_findings(rule.body["podSecurity"], *request.views())
                                                           : fits_any(asked.patterns, target.object);
  return passes ? QuickLook::passes : QuickLook::unsure;
}

}  // namespace caisson::policy
