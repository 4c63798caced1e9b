// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "cluster/kube/object.h"

namespace caisson::kube {

TEST_CASE("an object key is its text and back") {
  for (const ObjectKey& key : {ObjectKey{"shop", "web"}, ObjectKey{"", "node-1"}})
    CHECK(ObjectKey::parse(key.str()) == key);
}

TEST_CASE("the controller is the one owner that says so") {
  Object owner = Object::make(schema::kReplicaSets, "shop", "web-1");
  owner.edit({"metadata"}).set("uid", "u1");
  Object pod = Object::make(schema::kPods, "shop", "web-1-x");
  CHECK_FALSE(pod.controller());
  pod.set_controller(owner);
  pod.set_controller(owner);
  CHECK_EQ(pod.owners().size(), 1);
  REQUIRE(pod.controller());
  CHECK_EQ(pod.controller()->kind, "ReplicaSet");
  CHECK(pod.controller()->block_owner_deletion);
  CHECK(pod.is_controlled_by("u1"));
  CHECK_FALSE(pod.is_controlled_by("u2"));
}

TEST_CASE("a finalizer is added once and leaves no empty list") {
  Object object = Object::make(schema::kPods, "shop", "a");
  object.add_finalizer("x/y");
  object.add_finalizer("x/y");
  CHECK_EQ(object.metadata()["finalizers"].size(), 1);
  object.remove_finalizer("x/y");
  CHECK_FALSE(object.metadata().contains("finalizers"));
}

TEST_CASE("a condition's transition time moves only with its status") {
  Object object = Object::make(schema::kDeployments, "shop", "web");
  const Time t0{std::chrono::seconds(1000)}, t1{std::chrono::seconds(2000)};
  CHECK(set_condition(object, "Available", true, "Ready", "all there", t0));
  CHECK_FALSE(set_condition(object, "Available", true, "Ready", "all there", t1));
  CHECK(set_condition(object, "Available", true, "Ready", "another text", t1));
  CHECK_EQ(condition(object, "Available")["lastTransitionTime"].str(), format_time(t0));
  CHECK(set_condition(object, "Available", false, "Gone", "", t1));
  CHECK_EQ(condition(object, "Available")["lastTransitionTime"].str(), format_time(t1));
  CHECK_FALSE(condition_is_true(object, "Available"));
  CHECK(condition(object, "Progressing").is_null());
  CHECK(set_condition(object, "Progressing", "Unknown", "", "", t0));  // a literal is no bool
  CHECK_EQ(condition(object, "Progressing")["status"].str(), "Unknown");
}

}  // namespace caisson::kube
