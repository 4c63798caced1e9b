// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/taint_eviction.h"

#include "cluster/controllers/endpoints_mirroring.h"
#include "cluster/controllers/testing_objects.h"
#include "cluster/controllers/volumes.h"

namespace caisson::controllers {
using namespace testing;

TEST_CASE("a pod leaves at once, after its shortest toleration, or never") {
  struct Row {
    std::string_view taints, tolerations;
    std::optional<Duration> want;
  };
  const std::vector<Row> rows = {
      {"[]", "[]", std::nullopt},
      {"[{key: a, effect: NoSchedule}]", "[]", std::nullopt},
      {"[{key: a, effect: NoExecute}]", "[]", Duration(0)},
      {"[{key: a, effect: NoExecute}]", "[{key: a, operator: Exists}]", std::nullopt},
      {"[{key: a, effect: NoExecute}]", "[{key: a, operator: Exists, tolerationSeconds: 30}]",
       std::chrono::seconds(30)},
      {"[{key: a, effect: NoExecute}]", "[{key: a, operator: Exists, tolerationSeconds: -1}]", Duration(0)},
      {"[{key: a, effect: NoExecute}, {key: b, effect: NoExecute}]", "[{key: a, operator: Exists}]", Duration(0)},
      {"[{key: a, effect: NoExecute}, {key: b, effect: NoExecute}]",
       "[{key: a, operator: Exists, tolerationSeconds: 60}, {key: b, operator: Exists, tolerationSeconds: 20}]",
       std::chrono::seconds(20)},
      {"[{key: a, effect: NoExecute}]", "[{operator: Exists, effect: NoSchedule}]", Duration(0)},
  };
  for (const Row& row : rows) {
    CAPTURE(row.taints);
    CAPTURE(row.tolerations);
    CHECK(stays_for(read(row.taints), read(row.tolerations)) == row.want);
  }
}

TEST_CASE("the oldest NoExecute taint begins the count") {
  CHECK(tainted_since(read("[{key: a, effect: NoExecute, timeAdded: '" + ago(5) +
                           "'}, {key: b, effect: NoExecute, timeAdded: '" + ago(50) +
                           "'}, {key: c, effect: NoSchedule, timeAdded: '" + ago(500) + "'}]")) == parse_time(ago(50)));
  CHECK_FALSE(tainted_since(read("[{key: a, effect: NoExecute}]")));
}

TEST_CASE("endpoints of a service without selector are mirrored by family, ready ones first") {
  const Object endpoints =
      object(R"({metadata: {name: db, namespace: shop}, subsets: [{addresses: [{ip: 192.0.2.1}, {ip: "2001:db8::1"}],
    notReadyAddresses: [{ip: 192.0.2.2, hostname: b}], ports: [{name: sql, port: 5432}]}]})");
  const auto slices = plan_mirrored(endpoints);
  REQUIRE(slices.size() == 2);
  CHECK(slices[0].address_type == "IPv4");
  CHECK(slices[0].endpoints == read("[{addresses: [192.0.2.1], conditions: {ready: true}}, "
                                    "{addresses: [192.0.2.2], conditions: {ready: false}, hostname: b}]"));
  CHECK(slices[1].address_type == "IPv6");
  CHECK(slices[1].ports == read("[{name: sql, port: 5432, protocol: TCP}]"));
  CHECK(is_mirrored(endpoints, object("{spec: {}}")));
  CHECK_FALSE(is_mirrored(endpoints, object("{spec: {selector: {app: db}}}")));
  Object skipped = endpoints;
  skipped.set_label("endpointslice.kubernetes.io/skip-mirror", "true");
  CHECK_FALSE(is_mirrored(skipped, object("{spec: {}}")));
}

TEST_CASE("a claim takes the smallest volume that has its class, modes, labels and size") {
  const Object claim = object(R"({metadata: {name: data, namespace: shop, uid: u1}, spec: {storageClassName: slow,
    accessModes: [ReadWriteOnce], resources: {requests: {storage: 2Gi}}, selector: {matchLabels: {disk: ssd}}}})");
  const auto volume = [](const std::string& name, const std::string& size, const std::string& more = "") {
    return object("{metadata: {name: " + name +
                  ", labels: {disk: ssd}}, spec: {storageClassName: slow, accessModes: "
                  "[ReadWriteOnce, ReadOnlyMany], capacity: {storage: " +
                  size + "}" + more + "}}");
  };
  std::vector<Object> volumes = {volume("big", "10Gi"), volume("small", "1Gi"), volume("fits", "3Gi"),
                                 volume("taken", "2Gi", ", claimRef: {namespace: shop, name: other, uid: u2}"),
                                 volume("block", "2Gi", ", volumeMode: Block")};
  REQUIRE(find_volume(claim, volumes));
  CHECK(find_volume(claim, volumes)->name() == "fits");
  volumes.push_back(volume("promised", "1Gi", ", claimRef: {namespace: shop, name: data}"));
  CHECK(find_volume(claim, volumes)->name() == "promised");
  Object many = claim;
  many.edit({"spec"}).set("accessModes", read("[ReadWriteMany]"));
  CHECK(find_volume(many, {volume("big", "10Gi")}) == nullptr);
}

}  // namespace caisson::controllers
