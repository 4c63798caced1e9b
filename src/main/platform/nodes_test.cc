// SPDX-License-Identifier: Apache-2.0
#include "main/platform/nodes.h"

#include <doctest/doctest.h>

#include "core/base/file.h"

namespace caisson::platform {
namespace {

Instance instance_of(int nodes, const std::string& pod_cidr = "10.42.0.0/16") {
  Instance instance;
  instance.id = "a1b2c3";
  instance.settings.data_dir = "/data";
  instance.settings.node_name = "lap";
  instance.settings.pod_cidr = pod_cidr;
  instance.settings.service_cidr = "10.43.0.0/16";
  instance.settings.nodes = nodes;
  return instance;
}

TEST_CASE("one node has all of the range, and everything where it ever was") {
  const auto nodes = nodes_of(instance_of(0));
  REQUIRE(nodes.ok());
  REQUIRE(nodes->size() == 1);
  const NodePlace& node = nodes->front();
  CHECK(node.name == "lap");
  CHECK(node.directory == "/data");
  CHECK(node.pod_cidr == "10.42.0.0/16");
  CHECK(node.address == "10.42.0.1");
  CHECK(node.cgroup == "/caisson-a1b2c3");
  CHECK(node.socket == "/data/run/agent.sock");
  CHECK(node.api_socket == "/data/run/api.sock");
  CHECK(node.first);
}

TEST_CASE("several nodes have a name, a part of the range, a directory, a cgroup and a socket each") {
  const auto nodes = nodes_of(instance_of(3));
  REQUIRE(nodes.ok());
  REQUIRE(nodes->size() == 3);
  CHECK((*nodes)[0].pod_cidr == "10.42.0.0/18");
  CHECK((*nodes)[0].directory == "/data");
  const NodePlace& third = (*nodes)[2];
  CHECK(third.name == "lap-3");
  CHECK(third.directory == "/data/nodes/3");
  CHECK(third.pod_cidr == "10.42.128.0/18");
  CHECK(third.address == "10.42.128.1");
  CHECK(third.cgroup == "/caisson-a1b2c3/node3");
  CHECK(third.socket == "/data/run/agent-3.sock");
  CHECK(third.api_socket == "/data/run/api-3.sock");
  CHECK_FALSE(third.first);
  CHECK(nodes_of(instance_of(16))->back().pod_cidr == "10.42.240.0/20");
}

TEST_CASE("a range without room for so many nodes is refused") {
  const auto refused = nodes_of(instance_of(16, "10.42.0.0/24"));
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().message.find("--pod-cidr") != std::string::npos);
  CHECK(nodes_of(instance_of(8, "10.42.0.0/24")).ok());
}

TEST_CASE("a node is found by its name; one that is not there is refused with those that are") {
  const Instance instance = instance_of(3);
  CHECK(find_node(instance, "lap-2")->number == 2);
  const auto refused = find_node(instance, "lap-4");
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == ErrorCode::not_found);
  CHECK(refused.error().message.find("lap, lap-2, lap-3") != std::string::npos);
  CHECK(node_number(instance, "lap-4") == 4);
  CHECK(node_number(instance, "lap") == 0);
  CHECK(node_number(instance, "lap-1") == 0);
  CHECK(node_number(instance, "lap-17") == 0);
  CHECK(node_number(instance, "lap-x") == 0);
}

TEST_CASE("the first node is not stopped by itself, nor any while the platform does not run") {
  const auto dir = TempDir::make();
  REQUIRE(dir.ok());
  Instance instance = instance_of(2);
  instance.settings.data_dir = dir->path();
  CHECK(stop_node(instance, "lap").error().code == ErrorCode::bad_request);
  CHECK(start_node(instance, "lap-2").error().code == ErrorCode::unavailable);
}

TEST_CASE("the number of nodes stays as it was while pods run") {
  const auto dir = TempDir::make();
  REQUIRE(dir.ok());
  Settings settings;
  settings.data_dir = dir->path() + "/data";
  settings.node_name = "lap";
  settings.pod_cidr = "198.18.0.0/20", settings.service_cidr = "198.19.0.0/20";
  settings.nodes = 3;
  REQUIRE(prepare_instance(settings).ok());
  settings.nodes = 0;
  CHECK(prepare_instance(settings)->settings.nodes == 3);
  REQUIRE(make_dirs(settings.data_dir + "/network").ok());
  REQUIRE(write_file(settings.data_dir + "/network/pods", "next 2\n").ok());
  settings.nodes = 2;
  const auto refused = prepare_instance(settings);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == ErrorCode::conflict);
  CHECK(refused.error().message.find("'caisson down' first") != std::string::npos);
  REQUIRE(remove_file(settings.data_dir + "/network/pods").ok());
  CHECK(prepare_instance(settings)->settings.nodes == 2);
}

}  // namespace
}  // namespace caisson::platform
