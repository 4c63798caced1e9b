// SPDX-License-Identifier: Apache-2.0
// What a stage is handed and what it gives. Internal to this room.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "security/policy/cel_checks.h"
#include "security/policy/conditions.h"
#include "security/policy/engine.h"
#include "security/policy/pod_security.h"

namespace caisson::schema {
class Schema;
}

namespace caisson::policy {

class VerifiedImages;

const schema::Schema& built_in_schema();

using PodFindings = Result<std::vector<PodSecurityFinding>>;

// What was made of a request, for all rules that ask for it.
struct RequestViews {
  struct OfPod {
    std::string level, version;
    PodFindings findings;  // without exclusions
  };
  std::optional<Value> seen, review;
  std::optional<Context> plain;  // for rules without entries of their own, which change nothing in it
  std::vector<OfPod> pod_security;
};

struct Stage {
  const Policy& policy;
  const Rule& rule;
  const Request& request;
  Context& context;
  std::vector<const Exception*> exceptions;  // those that speak of this rule and request
  const Value& resource;                     // the object to look at; null when a DELETE has only an old one
  VerifiedImages& verified;

  RuleResponse respond(Status status, std::string message) const;
  // Status::pass, in the words `before` + the rule's name + `after`, made where somebody wants them.
  RuleResponse pass(std::string_view before, std::string_view after) const;
  RuleResponse fail_with(std::string_view what, const Error& error) const;  // Status::error
};

// What the expressions of `checks` see of a request.
CelInput cel_input(const Request& request, const CelChecks& checks, const Lookups& lookups);

// Nothing: the rule says nothing of the request after all.
std::optional<RuleResponse> validate_rule(const Stage& stage);
std::optional<RuleResponse> check_pod_security(const Stage& stage);
// What validate_rule would say, found without words. `context`: what the rule's variables see, where it has conditions.
enum class QuickLook { passes, skips, unsure };
bool has_conditions(const Rule& rule);
QuickLook look_quickly(const Rule& rule, const Request& request, const Lookups& lookups, Context* context);
// `patched` becomes the object that the rule makes.
RuleResponse mutate_rule(const Stage& stage, Value& patched);
std::vector<RuleResponse> mutate_existing_rule(const Stage& stage);
RuleResponse generate_rule(const Stage& stage);
RuleResponse verify_images_rule(const Stage& stage, Value& patched);

// The list of a loop. A value that is no list is a list of it.
Result<std::vector<Value>> loop_items(const Value& loop, Context& context);
void set_element(Context& context, const Value& element, std::size_t index, int nesting);

}  // namespace caisson::policy
