// SPDX-License-Identifier: Apache-2.0
#include "security/policy/downstream.h"

#include <algorithm>

#include "core/base/log.h"

namespace caisson::policy {
namespace {

constexpr std::string_view kPolicyName = "generate.kyverno.io/policy-name";
constexpr std::string_view kPolicyNamespace = "generate.kyverno.io/policy-namespace";
constexpr std::string_view kRuleName = "generate.kyverno.io/rule-name";
constexpr std::string_view kTrigger = "generate.kyverno.io/trigger-uid";

void add_kind(const std::vector<schema::Resource>& resources, const std::string& group, const std::string& version,
              const std::string& kind, std::vector<schema::Resource>& out) {
  for (const schema::Resource& one : resources)
    if (one.kind == kind && one.group == group && one.version == version) out.push_back(one);
}

// The kinds that a body of generate, or one of its loops, makes. A kind that is a variable is not known.
void add_kinds(const std::vector<schema::Resource>& resources, const Value& body, std::vector<schema::Resource>& out) {
  for (const Value& kind : body["cloneList"]["kinds"].items()) {
    const KindSelector named = KindSelector::parse(kind.as_string());
    add_kind(resources, named.group == "*" ? "" : named.group, named.version == "*" ? "v1" : named.version, named.kind,
             out);
  }
  const std::string version = body["apiVersion"].str();
  const std::size_t slash = version.find('/');
  const std::string group = slash == std::string::npos ? "" : version.substr(0, slash);
  if (!version.empty())
    add_kind(resources, group, slash == std::string::npos ? version : version.substr(slash + 1), body["kind"].str(),
             out);
}

bool is_in(const PolicySnapshot& snapshot, const std::string& name, const std::string& ns) {
  return std::any_of(snapshot.policies.begin(), snapshot.policies.end(),
                     [&](const auto& policy) { return policy->name == name && policy->ns == ns; });
}

}  // namespace

void Downstream::scan_begins() {
  uids_.clear();
  complete_ = true;
}

std::vector<Downstream::Source> Downstream::sources_of(const PolicySnapshot& snapshot,
                                                       const std::vector<schema::Resource>& resources) {
  std::vector<Source> out;
  for (const auto& policy : snapshot.policies) {
    for (const Rule& rule : policy->rules) {
      if (rule.kind != RuleKind::generate || !rule.body["synchronize"].as_bool()) continue;
      Source source{policy->name, policy->ns, rule.name, false, {}};
      bool copies = rule.body.contains("clone") || rule.body.contains("cloneList");
      add_kinds(resources, rule.body, source.kinds);
      for (const Value& loop : rule.body["foreach"].items()) {
        copies = copies || loop.contains("clone") || loop.contains("cloneList");
        add_kinds(resources, loop, source.kinds);
      }
      source.goes_with_policy = !copies && !rule.body["orphanDownstreamOnPolicyDelete"].as_bool();
      out.push_back(std::move(source));
    }
  }
  return out;
}

void Downstream::remove(const Source& source, bool all) const {
  const std::string selector =
      std::string(kPolicyName) + "=" + source.policy + "," + std::string(kRuleName) + "=" + source.rule;
  for (const schema::Resource& kind : source.kinds) {
    const auto made = client_.list(kind, {.label_selector = selector});
    if (!made.ok()) {
      log::warning("generated objects can't be read", {{"policy", source.policy}, {"error", made.error()}});
      continue;
    }
    for (const kube::Object& object : made->items) {
      if (object.label(kPolicyNamespace) != source.ns || (!all && uids_.contains(std::string(object.label(kTrigger)))))
        continue;
      const auto gone = client_.remove(kind, object.key());
      if (!gone.ok() && gone.error().code != ErrorCode::not_found)
        log::warning(
            "generated object not removed",
            {{"policy", source.policy}, {"kind", kind.kind}, {"name", object.name()}, {"error", gone.error()}});
    }
  }
}

void Downstream::scan_ended(const PolicySnapshot& snapshot, const std::vector<schema::Resource>& resources) {
  for (const Source& source : known_)
    if (source.goes_with_policy && !is_in(snapshot, source.policy, source.ns)) remove(source, true);
  known_ = sources_of(snapshot, resources);
  if (!complete_) return;
  for (const Source& source : known_) remove(source, false);
}

}  // namespace caisson::policy
