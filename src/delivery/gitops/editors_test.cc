// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/editors.h"

#include <doctest/doctest.h>

#include "core/document/yaml.h"

namespace caisson::gitops {
namespace {

const Value& live() {
  static const Value object = yaml::read(R"(
metadata:
  managedFields:
    - {manager: caisson-gitops, time: "2026-03-01T00:00:00Z", fieldsV1: {"f:spec": {"f:replicas": {}}}}
    - {manager: kubectl-edit, time: "2026-02-01T00:00:00Z", fieldsV1: {"f:spec": {"f:replicas": {}}}}
    - {manager: hpa, time: "2026-01-01T00:00:00Z", subresource: scale, fieldsV1: {"f:spec": {"f:replicas": {}}}}
    - {manager: kubelet, time: "2026-04-01T00:00:00Z", subresource: status, fieldsV1: {"f:spec": {"f:replicas": {}}}}
    - manager: kubectl-set
      fieldsV1: {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {".": {}, "f:image": {}}}}}}}
    - {manager: curl, time: "2026-01-05T00:00:00Z", fieldsV1: {"f:metadata": {"f:annotations": {"f:a.b/c": {}}}}}
)")
                                  .value();
  return object;
}

TEST_CASE("an edit is told with its newest foreign manager and when") {
  const Value desired = yaml::read("spec: {template: {spec: {containers: [{name: log}, {name: web}]}}}").value();
  const auto edits = editors_of(
      desired, live(),
      {"spec.replicas", "spec.template.spec.containers[1].image", "metadata.annotations.a.b/c", "spec.paused"});
  CHECK(describe(edits) ==
        "spec.replicas (kubectl-edit, 2026-02-01T00:00:00Z), spec.template.spec.containers[1].image (kubectl-set), "
        "metadata.annotations.a.b/c (curl, 2026-01-05T00:00:00Z), spec.paused");
  CHECK(editors_of(desired, live(), {"spec.template.spec.containers[0].image"})[0].manager.empty());
}

}  // namespace
}  // namespace caisson::gitops
