// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/actions.h"

#include <doctest/doctest.h>

#include "core/document/yaml.h"

namespace caisson::gitops {
namespace {

Value doc(std::string_view text) {
  return yaml::read(text).value();
}

TEST_CASE("restart, scale and pause change what kubectl would change") {
  const Value web =
      doc("{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 1, template: {}}}");
  const Time now = *parse_time("2026-03-04T05:06:07Z");
  const auto restarted = run_action(web, {}, "restart", Value(), now);
  REQUIRE(restarted.ok());
  CHECK(restarted->at(0)
            .object.get({"spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt"})
            .as_string() == "2026-03-04T05:06:07Z");
  CHECK(run_action(web, {}, "scale", Value{{"replicas", "3"}}, now)->at(0).object["spec"]["replicas"].as_int() == 3);
  CHECK(run_action(web, {}, "pause", Value(), now)->at(0).object["spec"]["paused"].as_bool());
  CHECK(run_action(web, {}, "scale", Value{{"replicas", "many"}}, now).error().code == ErrorCode::invalid);
  CHECK(run_action(web, {}, "promote-full", Value(), now).error().code == ErrorCode::not_found);
  CHECK(run_action(doc("{apiVersion: v1, kind: ConfigMap}"), {}, "restart", Value(), now).error().code ==
        ErrorCode::not_found);
}

TEST_CASE("a CronJob's create-job makes a Job of its template") {
  const Value cron =
      doc("{apiVersion: batch/v1, kind: CronJob, metadata: {name: c, namespace: n}, spec: {jobTemplate: {spec: "
          "{completions: 2}}}}");
  const auto made = run_action(cron, {}, "create-job", Value(), Time(std::chrono::seconds(7)));
  REQUIRE(made.ok());
  CHECK(made->at(0).verb == ActionResult::Verb::create);
  CHECK(made->at(0).object["metadata"]["name"].as_string() == "c-7");
  CHECK(made->at(0).object["spec"]["completions"].as_int() == 2);
}

TEST_CASE("argocd-cm's own actions replace the built-in ones, and are found by their script") {
  const Settings settings = parse_settings(doc(R"(
resource.customizations.actions.example.com_Widget: |
  discovery.lua: |
    actions = {}
    actions["paint"] = {["disabled"] = obj.spec.painted}
    return actions
  definitions:
  - name: paint
    action.lua: |
      obj.spec.painted = true
      return obj
)"));
  const Value widget = doc("{apiVersion: example.com/v1, kind: Widget, spec: {painted: false, parts: []}}");
  const auto list = actions_of(widget, settings);
  REQUIRE(list.size() == 1);
  CHECK(list[0].name == "paint");
  CHECK_FALSE(list[0].disabled);
  const auto done = run_action(widget, settings, "paint", Value(), Time{});
  REQUIRE(done.ok());
  CHECK(done->at(0).object["spec"]["painted"].as_bool());
  CHECK(done->at(0).object["spec"]["parts"].is_list());
}

}  // namespace
}  // namespace caisson::gitops
