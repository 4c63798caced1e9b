// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/policy_bindings.h"

#include <algorithm>
#include <map>

#include "core/base/log.h"

namespace caisson::apiserver {

bool BoundPolicy::has_action(std::string_view action) const {
  return std::any_of(actions.items().begin(), actions.items().end(),
                     [&](const Value& one) { return one.as_string() == action; });
}

Result<std::shared_ptr<const PolicyBindings::List>> PolicyBindings::current() const {
  const store::Revision revision = std::max(store_.revision_of(policies_), store_.revision_of(bindings_));
  const std::lock_guard lock(mutex_);
  if (known_ != nullptr && revision_ == revision) return known_;
  known_ = TRY(compile());
  revision_ = revision;
  return known_;
}

Result<std::shared_ptr<const PolicyBindings::List>> PolicyBindings::compile() const {
  auto out = std::make_shared<List>();
  const auto policies = TRY(store_.list(policies_));
  const auto bindings = TRY(store_.list(bindings_));
  std::map<std::string, std::shared_ptr<const PolicyProgram>, std::less<>> by_name;
  for (const store::ItemPtr& item : policies.items) {
    auto compiled = PolicyProgram::compile(item->value());
    if (compiled.ok())
      by_name.emplace(item->name(), std::make_shared<const PolicyProgram>(std::move(compiled).value()));
    else
      log::warning("admission policy not applied", {{"policy", item->name()}, {"error", compiled.error()}});
  }
  for (const store::ItemPtr& item : bindings.items) {
    const Value binding = item->value();
    const auto policy = by_name.find(binding["spec"]["policyName"].as_string());
    if (policy == by_name.end()) continue;
    BoundPolicy made{std::string(item->name()), policy->second, {}, binding["spec"]["paramRef"], {}};
    made.match = TRY(ResourceMatch::from(binding["spec"]["matchResources"]).in("binding " + made.name));
    made.actions = binding["spec"]["validationActions"];
    out->push_back(std::move(made));
  }
  std::stable_sort(out->begin(), out->end(),
                   [](const BoundPolicy& a, const BoundPolicy& b) { return a.policy->name < b.policy->name; });
  return std::shared_ptr<const List>(std::move(out));
}

Result<std::vector<Value>> params_of(const BoundPolicy& bound, const AdmissionRequest& request,
                                     const schema::Schema& schema) {
  const Value &kind_name = bound.policy->param_kind, &reference = bound.param_ref;
  if (kind_name.is_null() || reference.is_null()) return std::vector<Value>{Value()};
  const schema::KindPtr kind =
      schema.find_api_version(kind_name["apiVersion"].as_string(), kind_name["kind"].as_string());
  if (kind == nullptr)
    return Error{ErrorCode::not_found, "failed to find resource referenced by paramKind: '" +
                                           kind_name["apiVersion"].str() + ", Kind=" + kind_name["kind"].str() + "'"};
  std::string ns = reference["namespace"].str();
  if (kind->resource.namespaced && ns.empty()) ns = request.ns;
  std::vector<Value> out;
  if (const std::string name = reference["name"].str(); !name.empty()) {
    Value found = request.find(kind->resource, ns, name);
    if (!found.is_null()) out.push_back(std::move(found));
  } else {
    const auto selector = TRY(kube::LabelSelector::from(reference["selector"]));
    for (Value& one : request.list(kind->resource, ns))
      if (selector.matches(one["metadata"]["labels"])) out.push_back(std::move(one));
  }
  if (out.empty() && reference["parameterNotFoundAction"].as_string() != "Allow")
    return Error{ErrorCode::not_found, "no params found for policy binding with `Deny` parameterNotFoundAction"};
  return out;
}

bool is_exempt_from_policies(const AdmissionRequest& request) {
  return request.kind.resource.group == "admissionregistration.k8s.io" || request.kind.is_review();
}

}  // namespace caisson::apiserver
