// SPDX-License-Identifier: Apache-2.0
// The pages of `describe`, one function for each kind. Each writes all of its page, events too; what belongs to the
// object (its pods, its ReplicaSets) is asked of `related`, and shows as nothing when the reader may not see it.
#pragma once
#include "main/cli/kubectl/describe/page.h"

namespace caisson::cli::kubectl {

using Describer = void (*)(Page& page, const Value& object, const Related& related);
// nullptr: the kind has no page of its own, `describe_any` shows it.
Describer describer_of(std::string_view group, std::string_view kind);
void describe_any(Page& page, const Value& object, const Related& related);

// --- parts (pod_parts.cc)
// `pod`: whose fields valueFrom reads; null in a template. `indent`: what stands before the heading.
void put_containers(Page& page, std::string_view title, const Value& containers, const Value& statuses,
                    const Value& pod, std::string_view indent);
void put_volumes(Page& page, const Value& volumes, std::string_view indent);
void put_volume_source(Page& page, const Value& volume, int level);
void put_spread(Page& page, const Value& constraints, std::string_view indent);
void put_pod_template(Page& page, const Value& pod_template);
std::string mounted_claim_users(const std::vector<Value>& pods, std::string_view claim);

// --- pages
void describe_pod(Page& page, const Value& pod, const Related& related);
// workload_pages.cc
void describe_deployment(Page& page, const Value& deployment, const Related& related);
void describe_replica_set(Page& page, const Value& set, const Related& related);
void describe_replication_controller(Page& page, const Value& controller, const Related& related);
void describe_stateful_set(Page& page, const Value& set, const Related& related);
void describe_daemon_set(Page& page, const Value& set, const Related& related);
void describe_job(Page& page, const Value& job, const Related& related);
void describe_cron_job(Page& page, const Value& job, const Related& related);
// autoscaler_page.cc
void describe_autoscaler(Page& page, const Value& autoscaler, const Related& related);
// network_pages.cc
void describe_service(Page& page, const Value& service, const Related& related);
void describe_ingress(Page& page, const Value& ingress, const Related& related);
void describe_ingress_class(Page& page, const Value& ingress_class, const Related& related);
void describe_endpoints(Page& page, const Value& endpoints, const Related& related);
void describe_endpoint_slice(Page& page, const Value& slice, const Related& related);
void describe_service_cidr(Page& page, const Value& cidr, const Related& related);
void describe_ip_address(Page& page, const Value& address, const Related& related);
void describe_network_policy(Page& page, const Value& policy, const Related& related);
// storage_pages.cc
void describe_claim(Page& page, const Value& claim, const Related& related);
void describe_volume(Page& page, const Value& volume, const Related& related);
void describe_storage_class(Page& page, const Value& storage_class, const Related& related);
void describe_csi_node(Page& page, const Value& node, const Related& related);
void put_claim_template(Page& page, const Value& claim_template);
// certificate_subject.cc: whom a certificate signing request (PEM) is for, and under which other names.
void put_subject(Page& page, const std::string& pem);
// access_pages.cc
void describe_role(Page& page, const Value& role, const Related& related);
void describe_role_binding(Page& page, const Value& binding, const Related& related);
void describe_service_account(Page& page, const Value& account, const Related& related);
void describe_secret(Page& page, const Value& secret, const Related& related);
void describe_config_map(Page& page, const Value& config_map, const Related& related);
void describe_signing_request(Page& page, const Value& request, const Related& related);
// cluster_pages.cc
void describe_node(Page& page, const Value& node, const Related& related);
void describe_namespace(Page& page, const Value& ns, const Related& related);
void describe_quota(Page& page, const Value& quota, const Related& related);
void describe_limit_range(Page& page, const Value& range, const Related& related);
void describe_priority_class(Page& page, const Value& priority_class, const Related& related);
void describe_disruption_budget(Page& page, const Value& budget, const Related& related);

}  // namespace caisson::cli::kubectl
