// SPDX-License-Identifier: Apache-2.0
// metrics.k8s.io/v1beta1: what nodes and pods use now, as metrics-server 0.7 answers it. Nothing is kept: each request
// asks the agents (the kubelet's /stats/summary through ApiServerOptions::node_proxy), so that nobody asking costs
// nothing. An agent that does not answer leaves its node and pods out of lists. Threads: any; a call waits for the
// agents, at most kAgentTimeMax each.
#pragma once
#include "cluster/apiserver/verbs.h"

namespace caisson::apiserver {

bool is_resource_metrics(const schema::KindSchema& kind);

// Selectors look at the Node or Pod that is measured. Errors: not_found, as metrics-server words it; those of an agent.
Result<Value> get_resource_metrics(Core& core, Request& request);
Result<ItemList> list_resource_metrics(Core& core, Request& request, const ListParameters& parameters);

// The pure part. `labels` are the measured object's. Null when there is no reading of it: a pod counts when every
// container of the summary has one.
Value node_metrics(const Value& node_summary, const Value& labels, Time now);
Value pod_metrics(const Value& pod_summary, const Value& labels, Time now);

}  // namespace caisson::apiserver
