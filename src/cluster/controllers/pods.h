// SPDX-License-Identifier: Apache-2.0
// Questions about pods that workload controllers ask, and pods made from a template. Source: pkg/api/v1/pod/util.go and
// pkg/controller/controller_utils.go (v1.33). Pure functions; any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "cluster/kube/object.h"
#include "core/base/result.h"

namespace caisson::controllers {

using kube::Object;
using kube::ObjectKey;

bool is_ready(const Object& pod);
// Ready for at least `min_ready_seconds`.
bool is_available(const Object& pod, std::int64_t min_ready_seconds, Time now);
bool is_finished(const Object& pod);  // Succeeded or Failed
bool is_active(const Object& pod);    // neither finished nor being deleted
std::vector<Object> active(std::vector<Object> pods);

// A pod of `owner` as its template says, controlled by it. Its name is generated from `prefix`, or is `name` when that
// is not empty. The trace of the owner (metadata annotation) goes along; it is not part of the template.
Object pod_from_template(const Object& owner, const Value& pod_template, std::string_view prefix,
                         std::string_view name = "");

// Kubernetes' hash of a template: stable for equal templates, different for another collision count.
std::string template_hash(const Value& pod_template, std::int64_t collision_count);
// Equal but for the label pod-template-hash.
bool same_template(const Value& a, const Value& b);

// The order in which pods are given up when there are too many: the first is deleted first (ActivePodsWithRanks).
// `related` counts, for each pod of `pods`, the pods of its siblings on the same node.
std::vector<Object> in_deletion_order(std::vector<Object> pods, const std::vector<std::size_t>& related, Time now);

// Whether a create was refused because its namespace is being deleted.
bool namespace_is_terminating(const Error& error);

// An int-or-percent field of `total`, percentages rounded up or down.
std::int64_t scaled(const Value& int_or_percent, std::int64_t total, bool round_up);

}  // namespace caisson::controllers
