// SPDX-License-Identifier: Apache-2.0
// What Kubernetes checks in code and no table can say, by kind (pkg/apis/*/validation of 1.33). Internal to the room.
// Pure.
#pragma once
#include <string>
#include <vector>

#include "cluster/schema/validate.h"

namespace caisson::schema {

void check_metadata(const KindSchema& kind, const Value& object, std::vector<FieldError>& out);
void check_metadata_update(const Value& before, const Value& after, std::vector<FieldError>& out);
void check_kind(const KindSchema& kind, const Value& object, std::vector<FieldError>& out);
void check_kind_update(const KindSchema& kind, const Value& before, const Value& after, std::vector<FieldError>& out);

// Parts, by room file.
void check_pod_spec(const Value& spec, const std::string& path, std::vector<FieldError>& out);  // rules_pod.cc
void check_pod_update(const Value& before, const Value& after, std::vector<FieldError>& out);
void check_placement(const Value& spec, const std::string& path, std::vector<FieldError>& out);  // rules_scheduling.cc
void check_container_context(const Value& container, const std::string& path, std::vector<FieldError>& out);
// rules_resources.cc
void check_container_resources(const Value& resources, const std::string& path, std::vector<FieldError>& out);
void check_limit_range(const Value& object, std::vector<FieldError>& out);
void check_resource_quota(const Value& object, std::vector<FieldError>& out);
void check_claim_spec(const Value& spec, const std::string& path, std::vector<FieldError>& out);
void check_storage_class(const Value& object, std::vector<FieldError>& out);
void check_job(const Value& object, std::vector<FieldError>& out);  // rules_batch.cc
void check_cron_job(const Value& object, std::vector<FieldError>& out);
void check_autoscaler(const Value& object, std::vector<FieldError>& out);      // rules_autoscaling.cc
void check_network_policy(const Value& object, std::vector<FieldError>& out);  // rules_policy.cc
void check_disruption_budget(const Value& object, std::vector<FieldError>& out);
void check_count_or_percent(const Value& value, const std::string& path, std::vector<FieldError>& out);
bool check_others(const KindSchema& kind, const Value& object, std::vector<FieldError>& out);  // rules_others.cc
void check_webhook_client(const Value& config, const std::string& path, std::vector<FieldError>& out);
// rules_admission.cc: policies of admission and their bindings, but for what their expressions say.
void check_validating_policy(const Value& object, std::vector<FieldError>& out);
void check_validating_binding(const Value& object, std::vector<FieldError>& out);
void check_mutating_policy(const Value& object, std::vector<FieldError>& out);
void check_mutating_binding(const Value& object, std::vector<FieldError>& out);
void check_admission_rule(const Value& rule, const std::string& path, std::vector<FieldError>& out);
void check_definition(const Value& object, std::vector<FieldError>& out);  // rules_definition.cc
void check_status_counts(const KindSchema& kind, const Value& object, std::vector<FieldError>& out);
void check_workload(const KindSchema& kind, const Value& object, std::vector<FieldError>& out);  // rules_workload.cc
void check_label_selector(const Value& selector, const std::string& path, std::vector<FieldError>& out);
bool selector_matches(const Value& selector, const Value& labels);
void check_labels(const Value& labels, const std::string& path, std::vector<FieldError>& out);  // rules.cc
void check_annotation_keys(const Value& annotations, const std::string& path, std::vector<FieldError>& out);
void check_service(const Value& object, std::vector<FieldError>& out);  // rules_network.cc
void check_ingress(const Value& object, std::vector<FieldError>& out);

}  // namespace caisson::schema
