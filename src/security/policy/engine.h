// SPDX-License-Identifier: Apache-2.0
// The engine: one policy, one request, what each rule says of it. Stages stand in validate.cc, mutate.cc, generate.cc,
// verify_images.cc; this is what they share and the order in which a rule is asked. Follows Kyverno 1.19, pkg/engine.
//
// Threads: any; an Engine does not change. A call is bounded by the limits of patterns, variables and expressions, and
// by those of its Lookups.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "security/policy/context.h"
#include "security/policy/match.h"
#include "security/policy/policy.h"

namespace caisson::policy {

enum class Status { pass, fail, warn, error, skip };
std::string_view status_name(Status status);

struct RuleResponse {
  std::string rule;
  RuleKind kind = RuleKind::validate;
  Status status = Status::pass;
  std::string message;
  FailureAction action = FailureAction::audit;
  Value patched_target;          // of a rule that mutates existing objects
  std::vector<Value> generated;  // objects as they should be
};

struct PolicyResponse {
  const Policy* policy = nullptr;
  Value resource, patched;          // before and after; the same unless a rule mutated
  std::vector<RuleResponse> rules;  // of the rules that speak of the request
};

struct RequestViews;  // stages.h

struct Request {
  Target target;     // `object`: the new one; of a DELETE the one that goes
  Value old_object;  // of UPDATE and DELETE
  bool dry_run = false;
  bool only_failures = false;  // of validate: rules that pass or are skipped are not told
  std::string uid;
  std::vector<std::pair<std::string, Value>> variables;  // set before the context is loaded, by dotted name

  // What the variables of rules see of it, and the request as CEL has it. After Engine::prepare each is made once for
  // many policies, when it is first asked for: most rules ask for neither.
  Value seen() const;
  Value review() const;
  RequestViews* views() const { return views_.get(); }  // null: nothing is kept

 private:
  friend class Engine;
  std::shared_ptr<RequestViews> views_;  // of `target` as it was when they were made; a Request belongs to one thread
};

// A PolicyException (kyverno.io/v2): which rules of which policies do not count for whom.
struct Exception {
  std::string key;  // "ns/name"
  struct Exempted {
    std::string policy;
    std::vector<std::string> rules;  // may hold wildcards
  };
  std::vector<Exempted> exempted;
  MatchBlock match;
  Value conditions, pod_security;
};
Result<Exception> parse_exception(const Value& object);

class VerifiedImages;

struct EngineOptions {
  const Clock* clock = &system_clock();
  std::function<std::uint64_t()> random;  // unset: the kernel's
};

class Engine {
 public:
  explicit Engine(EngineOptions options = {});
  ~Engine();

  // Before a request is put to many policies, and whenever its target has changed since.
  static void prepare(Request& request);
  // For a request whose target changes for one rule only.
  static void forget(Request& request) { request.views_ = nullptr; }

  using Exceptions = std::vector<Exception>;
  // Rules of one kind, asked in order. `mutate` hands each rule what the one before made.
  PolicyResponse mutate(const Policy& policy, const Request& request, const Lookups& lookups,
                        const Exceptions& exceptions = {}) const;
  PolicyResponse validate(const Policy& policy, const Request& request, const Lookups& lookups,
                          const Exceptions& exceptions = {}) const;
  // Whether `validate` without exceptions would find neither a failure nor an error: a quick look for a prepared
  // request, which makes no words. False says only that it is to be asked.
  bool allows(const Policy& policy, const Request& request, const Lookups& lookups) const;
  PolicyResponse verify_images(const Policy& policy, const Request& request, const Lookups& lookups,
                               const Exceptions& exceptions = {}) const;
  PolicyResponse generate(const Policy& policy, const Request& request, const Lookups& lookups,
                          const Exceptions& exceptions = {}) const;
  // The objects that a rule with mutate.targets would change.
  PolicyResponse mutate_existing(const Policy& policy, const Request& request, const Lookups& lookups,
                                 const Exceptions& exceptions = {}) const;

  // What the variables of a rule see of a request; the Engine must outlive it.
  Context context_for(const Rule& rule, const Request& request, const Lookups& lookups) const;

 private:
  static bool shares_context(const Rule& rule, const Request& request);
  // The same for a rule that changes nothing: `own`, or one that rules share.
  Context& context_for_check(const Rule& rule, const Request& request, const Lookups& lookups,
                             std::optional<Context>& own) const;
  PolicyResponse run(RuleKind kind, bool existing, const Policy& policy, const Request& request, const Lookups& lookups,
                     const Exceptions& exceptions) const;
  Expressions expressions_;
  jmespath::Environment environment_;
  std::unique_ptr<VerifiedImages> verified_;
};

}  // namespace caisson::policy
