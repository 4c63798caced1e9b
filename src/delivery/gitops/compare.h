// SPDX-License-Identifier: Apache-2.0
// Desired against live. What the server fills, what other managers own and what carries a trace is no difference; what
// this room applied once and the repository no longer says is one (three-way, by managedFields). Pure; any thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/kube/object.h"
#include "cluster/schema/schema.h"
#include "core/document/value.h"
#include "delivery/gitops/application.h"

namespace caisson::gitops {

// Which object: as status.resources and tracking ids name it.
struct ResourceId {
  std::string group, kind, ns, name;
  auto operator<=>(const ResourceId&) const = default;
  std::string str() const;  // "apps/Deployment/shop/web"
};
ResourceId id_of(const Value& object);
// "web:apps/Deployment:shop/web" (argocd.argoproj.io/tracking-id).
std::string tracking_id(std::string_view instance, const ResourceId& id);
// The Application's instance name in a tracking id; empty when it has none or names another object (a copy). With
// `settings` that track by label: what the label says.
std::string tracked_by(const Value& object, const Settings* settings = nullptr);
// An instance name as a label's value has room for it.
std::string label_value(std::string_view instance);

// The rendered object as it is to be applied: namespace filled or dropped by the kind's scope, and the tracking
// annotation set. Errors: invalid for what is no object ("deploy.yaml" documents without kind or name).
Result<Value> prepare(const Application& application, Value object, std::optional<bool> namespaced);

struct Drift {
  std::vector<std::string> paths;  // "spec.replicas": what differs, at most 20
  std::string error;               // of an ignore rule that could not be followed
  bool any() const { return !paths.empty(); }
};
// `kind` null: unknown kind, compared without defaults. `more`: rules of the settings.
Drift compare(const Value& desired, const Value& live, const schema::KindSchema* kind,
              const std::vector<IgnoreRule>& ignore, const std::vector<IgnoreRule>& more = {});

// That the object has fields which its kind does not, so that a server would drop them: in the words of kubectl's
// validation. Empty: it has none, or `schema` does not know the kind.
std::string unknown_fields(const schema::Schema& schema, const Value& object);

}  // namespace caisson::gitops
