// SPDX-License-Identifier: Apache-2.0
// Objects for this room's tests, from a few words.
#pragma once
#include <doctest/doctest.h>

#include "cluster/controllers/pods.h"
#include "core/document/yaml.h"

namespace caisson::controllers::testing {

inline Value read(std::string_view text) {
  auto value = yaml::read(text);
  REQUIRE_MESSAGE(value.ok(), std::string(value.ok() ? "" : value.error().message));
  return std::move(value).value();
}
inline Object object(std::string_view text) {
  return Object(read(text));
}

// 2023-11-14T22:13:20Z, where a FakeClock stands; `age_s` seconds before.
inline std::string ago(std::int64_t age_s) {
  return format_time(Time(std::chrono::seconds(1'700'000'000 - age_s)));
}
inline const Time kNow{std::chrono::seconds(1'700'000'000)};

struct PodText {
  std::string name = "p", node = "n1", phase = "Running", cost;
  bool ready = true;
  std::int64_t age_s = 100, ready_s = 100, restarts = 0;
};
inline Object pod(const PodText& text) {
  Object out = Object::make(schema::kPods, "shop", text.name);
  Value& metadata = out.edit({"metadata"});
  metadata.set("uid", "uid-" + text.name);
  metadata.set("creationTimestamp", ago(text.age_s));
  if (!text.cost.empty()) out.set_annotation("controller.kubernetes.io/pod-deletion-cost", text.cost);
  if (!text.node.empty()) out.edit({"spec"}).set("nodeName", text.node);
  out.edit({"status"}).set("phase", text.phase);
  kube::set_condition(out, "Ready", text.ready, "", "", Time(std::chrono::seconds(1'700'000'000 - text.ready_s)));
  out.edit({"status", "containerStatuses"}).push_back(Value{{"restartCount", text.restarts}});
  return out;
}

}  // namespace caisson::controllers::testing
