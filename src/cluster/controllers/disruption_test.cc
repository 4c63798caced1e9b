// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/disruption.h"

#include <doctest/doctest.h>

#include "core/document/yaml.h"

using namespace caisson;
using namespace caisson::controllers;

namespace {

std::vector<kube::Object> pods(int ready, int not_ready) {
  std::vector<kube::Object> out;
  for (int i = 0; i < ready + not_ready; ++i)
    out.emplace_back(yaml::read("{apiVersion: v1, kind: Pod, metadata: {name: p" + std::to_string(i) +
                                ", namespace: a}, status: {conditions: [{type: Ready, status: '" +
                                (i < ready ? "True" : "False") + "'}]}}")
                         .value());
  return out;
}

std::int64_t allowed(const std::string& spec, std::int64_t scale, int ready, int not_ready = 0,
                     const std::string& disrupted = "{}") {
  return count_disruptions(yaml::read(spec).value(), scale, pods(ready, not_ready), yaml::read(disrupted).value())
      .allowed();
}

}  // namespace

TEST_CASE("a budget allows what is healthy beyond what it wants") {
  CHECK(allowed("{minAvailable: 2}", 3, 3) == 1);
  CHECK(allowed("{minAvailable: 2}", 3, 2, 1) == 0);
  CHECK(allowed("{maxUnavailable: 1}", 3, 3) == 1);
  CHECK(allowed("{maxUnavailable: 1}", 3, 2, 1) == 0);
  CHECK(allowed("{maxUnavailable: 0}", 3, 3) == 0);
}

TEST_CASE("percentages are of what the controllers want, rounded up") {
  CHECK(allowed("{minAvailable: 50%}", 3, 3) == 1);
  CHECK(allowed("{maxUnavailable: 30%}", 3, 3) == 1);
  CHECK(allowed("{minAvailable: 100%}", 3, 3) == 0);
}

TEST_CASE("a disruption that was taken counts before the Pod is seen to go") {
  CHECK(allowed("{minAvailable: 1}", 2, 2, 0, "{p0: '2026-01-01T00:00:00Z'}") == 0);
}

TEST_CASE("Pods without a controller can't be counted by share") {
  CHECK(allowed("{maxUnavailable: 1}", 0, 2) == 0);
  CHECK(allowed("{minAvailable: 1}", 0, 2) == 1);
}
