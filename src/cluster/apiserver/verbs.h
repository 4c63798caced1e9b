// SPDX-License-Identifier: Apache-2.0
// The verbs: each reads, checks and stages one change of one object in a transaction. Follows apiserver's registry
// store (staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go and registry/rest, 1.33). The request is
// authorized already.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cluster/apiserver/core.h"
#include "cluster/kube/client.h"
#include "cluster/kube/selector.h"

namespace caisson::apiserver {

// --- decode.cc
// A body as the kind has it: kind and version checked, unknown fields dealt with as fieldValidation says, types
// checked, defaults filled. `patched`: it came out of a patch, whose words for the same failures differ.
Result<Value> decode(Core& core, Request& request, Value body, bool patched = false);

// Defaults, and the nulls that Go writes for fields that are no pointers and have no omitempty (creationTimestamp of a
// template).
Value completed(const schema::KindSchema& kind, Value object);
// The same as it is stored: what admission added completed too, kind, apiVersion and metadata first.
Value settled(const schema::KindSchema& kind, Value object);

// --- create.cc
Result<Planned> create(Core& core, Request& request, Transaction& tx, const Value& body);

// --- update.cc
Result<Planned> update(Core& core, Request& request, Transaction& tx, const Value& body);
// The part that update, patch, apply and scale share: `desired` is decoded.
Result<Planned> write_over(Core& core, Request& request, Transaction& tx, const Found& current, Value desired);

// --- patch.cc
Result<Planned> patch(Core& core, Request& request, Transaction& tx, kube::PatchType type, const Value& patch);
Result<Planned> apply(Core& core, Request& request, Transaction& tx, const Value& config);

// --- remove.cc
struct DeleteParameters {
  std::optional<std::int64_t> grace_period_seconds;
  std::optional<std::string> propagation;  // "Background", "Foreground", "Orphan"
  std::string uid, resource_version;
  bool ignore_read_error = false;
};
// From the query and the body (DeleteOptions, may be null). Sets request.dry_run.
Result<DeleteParameters> delete_parameters(Request& request, const http::Query& query, const Value& body);
Result<Planned> remove(Core& core, Request& request, Transaction& tx, const DeleteParameters& parameters);

// --- read.cc
struct ListParameters {
  kube::LabelSelector labels;
  kube::FieldSelector fields;
  std::function<bool(const Value& object)> visible;  // for who may not see every object; unset: all are
  bool everything() const { return labels.everything() && fields.everything() && !visible; }
  std::size_t limit = 0;
  std::string continue_token, resource_version, resource_version_match;
  std::vector<std::string> paths;  // what the selectors look at
};
struct ItemList {
  std::vector<store::ItemPtr> items;  // those that match, in the stored version
  store::Revision revision = 0;
  std::string continue_token;
  std::optional<std::size_t> remaining;
};
Result<ListParameters> list_parameters(Request& request, const http::Query& query);
Result<Value> get(Core& core, Request& request, std::string_view resource_version = {});
Result<ItemList> list(Core& core, Request& request, const ListParameters& parameters);
bool matches(const ListParameters& parameters, const Value& object);
// The same without parsing what is not parsed yet: of thousands of objects only labels and wanted fields are read.
bool matches(const ListParameters& parameters, const store::Item& item);

// Admission of one change: mutate changes `object`; validate looks at it. Gives the plug-in's error as it is.
Result<void> admit(Core& core, Request& request, Transaction& tx, AdmissionRequest::Operation operation,
                   const Value& before, Value& object);
Result<void> admit_validate(Core& core, Request& request, Transaction& tx, AdmissionRequest::Operation operation,
                            const Value& before, const Value& object);

// Both for the body of a sub-resource that is no object of the kind (Scale, Eviction, Binding, PodExecOptions): only
// plug-ins that take such bodies.
Result<void> admit_body(Core& core, Request& request, Transaction& tx, AdmissionRequest::Operation operation,
                        const Value& before, Value& body);

}  // namespace caisson::apiserver
