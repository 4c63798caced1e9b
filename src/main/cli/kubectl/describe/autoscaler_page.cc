// SPDX-License-Identifier: Apache-2.0
#include "core/base/text.h"
#include "main/cli/kubectl/describe/describe.h"

namespace caisson::cli::kubectl {
namespace {

// The current reading of the i-th metric; null while there is none.
const Value& reading(const Value& autoscaler, std::size_t i, const char* source) {
  return autoscaler["status"]["currentMetrics"][i][source]["current"];
}

std::string compared(const Value& current, const Value& target) {
  return scalar_or(current, "<unknown>") + " / " + target.scalar_text();
}

void put_resource(Page& page, const std::string& what, const Value& target, const Value& current) {
  page.put(1, what);
  if (!target["averageValue"].is_null())
    return page.put(0, ":\t" + compared(current["averageValue"], target["averageValue"]) + "\n");
  const Value& used = current["averageUtilization"];
  const std::string now =
      used.is_null() ? "<unknown>" : used.scalar_text() + "% (" + current["averageValue"].scalar_text() + ")";
  const Value& wanted = target["averageUtilization"];
  page.put(0, "  (as a percentage of request):\t" + now + " / " +
                  (wanted.is_null() ? "<auto>" : wanted.scalar_text() + "%") + "\n");
}

void put_metric(Page& page, const Value& autoscaler, std::size_t i) {
  const Value& metric = autoscaler["spec"]["metrics"][i];
  const std::string type = metric["type"].str();
  if (type == "External" || type == "Object") {
    const char* key = type == "External" ? "external" : "object";
    const Value &source = metric[key], &target = source["target"], &current = reading(autoscaler, i, key);
    const Value& about = source["describedObject"];
    const std::string on = type == "External" ? " " : " on " + about["kind"].str() + "/" + about["name"].str() + " ";
    const bool average = !target["averageValue"].is_null();
    page.put(1, "\"" + source["metric"]["name"].str() + "\"" + on +
                    (average ? "(target average value):\t" : "(target value):\t") +
                    (average ? compared(current["averageValue"], target["averageValue"])
                             : compared(current["value"], target["value"])) +
                    "\n");
  } else if (type == "Pods") {
    const Value& source = metric["pods"];
    page.put(1, "\"" + source["metric"]["name"].str() + "\" on pods:\t" +
                    compared(reading(autoscaler, i, "pods")["averageValue"], source["target"]["averageValue"]) + "\n");
  } else if (type == "Resource") {
    put_resource(page, "resource " + metric["resource"]["name"].str() + " on pods", metric["resource"]["target"],
                 reading(autoscaler, i, "resource"));
  } else if (type == "ContainerResource") {
    const Value& source = metric["containerResource"];
    put_resource(page,
                 "resource " + source["name"].str() + " of container \"" + source["container"].str() + "\" on pods",
                 source["target"], reading(autoscaler, i, "containerResource"));
  } else {
    page.put(1, "<unknown metric type \"" + type + "\">\n");
  }
}

void put_direction(Page& page, const char* title, const Value& rules) {
  if (rules.is_null()) return;
  page.put(1, std::string(title) + ":\n");
  if (!rules["stabilizationWindowSeconds"].is_null())
    page.put(2, "Stabilization Window: " + rules["stabilizationWindowSeconds"].scalar_text() + " seconds\n");
  if (rules["policies"].empty()) return;
  page.put(2, "Select Policy: " + std::string(rules["selectPolicy"].as_string("Max")) + "\n");
  page.put(2, "Policies:\n");
  for (const Value& policy : rules["policies"].items()) {
    page.put(3, "- Type: " + policy["type"].str() + "\tValue: " + policy["value"].scalar_text() +
                    "\tPeriod: " + policy["periodSeconds"].scalar_text() + " seconds\n");
  }
}

}  // namespace

void describe_autoscaler(Page& page, const Value& autoscaler, const Related& related) {
  const Value &spec = autoscaler["spec"], &status = autoscaler["status"];
  put_name(page, autoscaler, true);
  put_metadata(page, autoscaler);
  page.field(0, "CreationTimestamp", long_time(autoscaler["metadata"]["creationTimestamp"]));
  page.field(0, "Reference", spec["scaleTargetRef"]["kind"].str() + "/" + spec["scaleTargetRef"]["name"].str());
  page.put(0, "Metrics:\t( current / target )\n");
  for (std::size_t i = 0; i < spec["metrics"].size(); ++i) put_metric(page, autoscaler, i);
  page.field(0, "Min replicas", scalar_or(spec["minReplicas"], "<unset>"));
  page.field(0, "Max replicas", spec["maxReplicas"].scalar_text());
  if (!spec["behavior"].is_null()) {
    page.put(0, "Behavior:\n");
    put_direction(page, "Scale Up", spec["behavior"]["scaleUp"]);
    put_direction(page, "Scale Down", spec["behavior"]["scaleDown"]);
  }
  page.field(0, spec["scaleTargetRef"]["kind"].str() + " pods",
             std::to_string(status["currentReplicas"].as_int()) + " current / " +
                 std::to_string(status["desiredReplicas"].as_int()) + " desired");
  if (!status["conditions"].empty()) {
    page.put(0, "Conditions:\n");
    put_table_rule(page, 1, {"Type", "Status", "Reason", "Message"});
    for (const Value& c : status["conditions"].items())
      page.put(
          1, c["type"].str() + "\t" + c["status"].str() + "\t" + c["reason"].str() + "\t" + c["message"].str() + "\n");
  }
  put_events(page, autoscaler, related);
}

}  // namespace caisson::cli::kubectl
