// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/base/text.h"
#include "main/cli/kubectl/describe/describe.h"

namespace caisson::cli::kubectl {
namespace {

std::string number(const Value& value) {
  return std::to_string(value.as_int());
}

void put_created(Page& page, const Value& object) {
  page.field(0, "CreationTimestamp", long_time(object["metadata"]["creationTimestamp"]));
}

// The ReplicaSets of a Deployment: the one whose template is the Deployment's, and the others, oldest first.
struct ReplicaSets {
  std::vector<std::string> old, current;
};
Value without_hash(Value pod_template) {
  if (pod_template["metadata"]["labels"].contains("pod-template-hash"))
    pod_template.edit({"metadata", "labels"}).erase("pod-template-hash");
  return pod_template;
}
ReplicaSets replica_sets(const Value& deployment, const Related& related) {
  std::vector<Value> owned;
  for (Value& set :
       items_at(related, "/apis/apps/v1/namespaces/" + deployment["metadata"]["namespace"].str() + "/replicasets")) {
    for (const Value& owner : set["metadata"]["ownerReferences"].items()) {
      if (owner["controller"].as_bool() && owner["uid"] == deployment["metadata"]["uid"]) {
        owned.push_back(std::move(set));
        break;
      }
    }
  }
  const auto age = [](const Value& set) {
    return set["metadata"]["creationTimestamp"].str() + set["metadata"]["name"].str();
  };
  std::sort(owned.begin(), owned.end(), [&](const Value& a, const Value& b) { return age(a) < age(b); });
  ReplicaSets out;
  const Value wanted = without_hash(deployment["spec"]["template"]);
  for (const Value& set : owned) {
    const std::string text = set["metadata"]["name"].str() + " (" + number(set["status"]["replicas"]) + "/" +
                             number(set["spec"]["replicas"]) + " replicas created)";
    const bool is_new = out.current.empty() && without_hash(set["spec"]["template"]) == wanted;
    (is_new ? out.current : out.old).push_back(text);
  }
  return out;
}

void put_job_template(Page& page, const Value& job_template) {
  const Value& spec = job_template["spec"];
  page.field(0, "Selector", spec["selector"].is_null() ? "<unset>" : selector_text(spec["selector"]));
  page.field(0, "Parallelism", scalar_or(spec["parallelism"], "<unset>"));
  page.field(0, "Completions", scalar_or(spec["completions"], "<unset>"));
  if (!spec["activeDeadlineSeconds"].is_null())
    page.field(0, "Active Deadline Seconds", spec["activeDeadlineSeconds"].scalar_text() + "s");
  put_pod_template(page, spec["template"]);
}

std::string duration_between(const Value& start, const Value& end) {
  const auto from = parse_time(start.as_string()), to = parse_time(end.as_string());
  return from && to ? format_age(*to - *from) : "<unknown>";
}

// "0-3,7", shortened as kubectl does it: at most 50 characters of it.
std::string shortened_indexes(std::string text) {
  constexpr std::size_t kShown = 50;
  if (text.size() <= kShown) return or_none(text);
  const auto comma = text.rfind(',', kShown - 1);
  return text.substr(0, comma == std::string::npos ? kShown : comma + 1) + "...";
}

}  // namespace

void describe_deployment(Page& page, const Value& deployment, const Related& related) {
  const Value &spec = deployment["spec"], &status = deployment["status"];
  put_name(page, deployment, true);
  put_created(page, deployment);
  put_metadata(page, deployment);
  page.field(0, "Selector", selector_text(spec["selector"]));
  page.field(0, "Replicas",
             number(spec["replicas"]) + " desired | " + number(status["updatedReplicas"]) + " updated | " +
                 number(status["replicas"]) + " total | " + number(status["availableReplicas"]) + " available | " +
                 number(status["unavailableReplicas"]) + " unavailable");
  page.field(0, "StrategyType", spec["strategy"]["type"].str());
  page.field(0, "MinReadySeconds", number(spec["minReadySeconds"]));
  if (const Value& rolling = spec["strategy"]["rollingUpdate"]; !rolling.is_null())
    page.field(0, "RollingUpdateStrategy",
               rolling["maxUnavailable"].scalar_text() + " max unavailable, " + rolling["maxSurge"].scalar_text() +
                   " max surge");
  put_pod_template(page, spec["template"]);
  put_conditions(page, status["conditions"]);
  const ReplicaSets sets = replica_sets(deployment, related);
  page.field(0, "OldReplicaSets", or_none(join(sets.old, ", ")));
  page.field(0, "NewReplicaSet", or_none(join(sets.current, ", ")));
  put_events(page, deployment, related);
}

void describe_replica_set(Page& page, const Value& set, const Related& related) {
  put_name(page, set, true);
  page.field(0, "Selector", selector_text(set["spec"]["selector"]));
  put_metadata(page, set);
  put_controller(page, set);
  page.field(0, "Replicas",
             number(set["status"]["replicas"]) + " current / " + number(set["spec"]["replicas"]) + " desired");
  put_pod_counts(page, owned_pods(set, related));
  put_pod_template(page, set["spec"]["template"]);
  put_conditions(page, set["status"]["conditions"]);
  put_events(page, set, related);
}

void describe_replication_controller(Page& page, const Value& controller, const Related& related) {
  put_name(page, controller, true);
  page.field(0, "Selector", labels_text(controller["spec"]["selector"]));
  put_metadata(page, controller);
  page.field(
      0, "Replicas",
      number(controller["status"]["replicas"]) + " current / " + number(controller["spec"]["replicas"]) + " desired");
  put_pod_counts(page, owned_pods(controller, related));
  put_pod_template(page, controller["spec"]["template"]);
  put_conditions(page, controller["status"]["conditions"]);
  put_events(page, controller, related);
}

void describe_stateful_set(Page& page, const Value& set, const Related& related) {
  const Value& spec = set["spec"];
  put_name(page, set, true);
  put_created(page, set);
  page.field(0, "Selector", selector_text(spec["selector"]));
  put_metadata(page, set);
  page.field(0, "Replicas", number(spec["replicas"]) + " desired | " + number(set["status"]["replicas"]) + " total");
  page.field(0, "Update Strategy", spec["updateStrategy"]["type"].str());
  if (const Value& rolling = spec["updateStrategy"]["rollingUpdate"]; !rolling.is_null()) {
    if (!rolling["partition"].is_null()) page.field(1, "Partition", number(rolling["partition"]));
    if (!rolling["maxUnavailable"].is_null()) page.field(1, "MaxUnavailable", rolling["maxUnavailable"].scalar_text());
  }
  put_pod_counts(page, owned_pods(set, related));
  put_pod_template(page, spec["template"]);
  page.put(0, spec["volumeClaimTemplates"].empty() ? "Volume Claims:\t<none>\n" : "Volume Claims:\n");
  for (const Value& claim : spec["volumeClaimTemplates"].items()) {
    page.field(1, "Name", claim["metadata"]["name"].str());
    page.field(1, "StorageClass", claim["spec"]["storageClassName"].str());
    put_labels(page, "  Labels", claim["metadata"]["labels"]);
    put_annotations(page, "  Annotations", claim["metadata"]["annotations"]);
    page.field(1, "Capacity", scalar_or(claim["spec"]["resources"]["requests"]["storage"], "<default>"));
    page.field(1, "Access Modes", go_list(claim["spec"]["accessModes"]));
  }
  put_events(page, set, related);
}

void describe_daemon_set(Page& page, const Value& set, const Related& related) {
  const Value& status = set["status"];
  put_name(page, set, true);
  page.field(0, "Selector", selector_text(set["spec"]["selector"]));
  put_labels(page, "Node-Selector", set["spec"]["template"]["spec"]["nodeSelector"]);
  put_metadata(page, set);
  page.put(0, "Desired Number of Nodes Scheduled: " + number(status["desiredNumberScheduled"]) + "\n");
  page.put(0, "Current Number of Nodes Scheduled: " + number(status["currentNumberScheduled"]) + "\n");
  page.put(0, "Number of Nodes Scheduled with Up-to-date Pods: " + number(status["updatedNumberScheduled"]) + "\n");
  page.put(0, "Number of Nodes Scheduled with Available Pods: " + number(status["numberAvailable"]) + "\n");
  page.put(0, "Number of Nodes Misscheduled: " + number(status["numberMisscheduled"]) + "\n");
  put_pod_counts(page, owned_pods(set, related));
  put_pod_template(page, set["spec"]["template"]);
  put_events(page, set, related);
}

void describe_job(Page& page, const Value& job, const Related& related) {
  const Value &spec = job["spec"], &status = job["status"];
  put_name(page, job, true);
  if (!spec["selector"].is_null()) page.field(0, "Selector", selector_text(spec["selector"]));
  put_metadata(page, job);
  put_controller(page, job);
  if (!spec["parallelism"].is_null()) page.field(0, "Parallelism", number(spec["parallelism"]));
  page.field(0, "Completions", scalar_or(spec["completions"], "<unset>"));
  if (!spec["completionMode"].is_null()) page.field(0, "Completion Mode", spec["completionMode"].str());
  if (!spec["suspend"].is_null()) page.field(0, "Suspend", spec["suspend"].as_bool() ? "true" : "false");
  if (!spec["backoffLimit"].is_null()) page.field(0, "Backoff Limit", number(spec["backoffLimit"]));
  if (!spec["ttlSecondsAfterFinished"].is_null())
    page.field(0, "TTL Seconds After Finished", number(spec["ttlSecondsAfterFinished"]));
  if (!status["startTime"].is_null()) page.field(0, "Start Time", long_time(status["startTime"]));
  if (!status["completionTime"].is_null()) page.field(0, "Completed At", long_time(status["completionTime"]));
  if (!status["startTime"].is_null() && !status["completionTime"].is_null())
    page.field(0, "Duration", duration_between(status["startTime"], status["completionTime"]));
  if (!spec["activeDeadlineSeconds"].is_null())
    page.field(0, "Active Deadline Seconds", number(spec["activeDeadlineSeconds"]) + "s");
  const std::string ready = status["ready"].is_null() ? "" : " (" + number(status["ready"]) + " Ready)";
  page.field(0, "Pods Statuses",
             number(status["active"]) + " Active" + ready + " / " + number(status["succeeded"]) + " Succeeded / " +
                 number(status["failed"]) + " Failed");
  if (spec["completionMode"].as_string() == "Indexed")
    page.field(0, "Completed Indexes", shortened_indexes(status["completedIndexes"].str()));
  put_pod_template(page, spec["template"]);
  put_events(page, job, related);
}

void describe_cron_job(Page& page, const Value& job, const Related& related) {
  const Value& spec = job["spec"];
  put_name(page, job, true);
  put_metadata(page, job);
  page.field(0, "Schedule", spec["schedule"].str());
  page.field(0, "Concurrency Policy", spec["concurrencyPolicy"].str());
  page.field(0, "Suspend", spec["suspend"].is_null() ? "<unset>" : bool_text(spec["suspend"].as_bool()));
  page.field(0, "Successful Job History Limit", scalar_or(spec["successfulJobsHistoryLimit"], "<unset>"));
  page.field(0, "Failed Job History Limit", scalar_or(spec["failedJobsHistoryLimit"], "<unset>"));
  page.field(0, "Starting Deadline Seconds",
             spec["startingDeadlineSeconds"].is_null() ? "<unset>" : number(spec["startingDeadlineSeconds"]) + "s");
  put_job_template(page, spec["jobTemplate"]);
  const Value& last = job["status"]["lastScheduleTime"];
  page.field(0, "Last Schedule Time", last.is_null() ? "<unset>" : long_time(last));
  std::vector<std::string> active;
  for (const Value& reference : job["status"]["active"].items()) active.push_back(reference["name"].str());
  page.field(0, "Active Jobs", or_none(join(active, ", ")));
  put_events(page, job, related);
}

}  // namespace caisson::cli::kubectl
