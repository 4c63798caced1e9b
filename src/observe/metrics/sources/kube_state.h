// SPDX-License-Identifier: Apache-2.0
// The state of objects as series, under the names and labels of kube-state-metrics 2.17. A pure function of what the
// informers hold; any thread.
#pragma once
#include "observe/metrics/exposition/families.h"
#include "observe/metrics/scrape/discovery.h"

namespace caisson::metrics {

Exposition kube_state(const ObjectLister& list);

// The kinds it reads.
const std::vector<kube::Resource>& kube_state_kinds();

// Internal: kube_pod_… and what is told of namespaced kinds have files of their own.
void pod_state(Families& out, const std::vector<kube::Object>& pods);
// What objects of a kind ("kube_service") tell beside the numbers that every kind has.
void namespaced_state(Families& out, std::string_view prefix, const std::vector<kube::Object>& objects);
// How many results of each status the policy reports of a namespace have, under policy-reporter's name.
void policy_state(Families& out, const std::vector<kube::Object>& reports);
// A series for each state: 1 for the one that is.
void add_states(Families& out, const std::vector<Label>& labels, const char* label,
                std::initializer_list<const char*> states, std::string_view is);
// A quantity as kube-state-metrics counts it: cores, bytes, or a number. Nothing when it can't be read.
std::optional<double> quantity_value(const Value& quantity);
// What a resource is counted in: "core", "byte", "integer".
std::string_view unit_of(std::string_view resource);
// cpu, memory, nvidia_com_gpu.
std::string resource_label(std::string_view resource);

}  // namespace caisson::metrics
