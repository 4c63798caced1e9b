// SPDX-License-Identifier: Apache-2.0
// The parts of pages; whole pages are compared with kubectl's by tests/conformance (kubectl lists).
#include <doctest/doctest.h>

#include "core/document/yaml.h"
#include "main/cli/kubectl/describe/describe.h"

namespace caisson::cli::kubectl {
namespace {

Value read(std::string_view text) {
  return yaml::read(text).value();
}

// Nothing else is there.
Related alone() {
  return {[](const std::string&) { return Result<Value>(Value::map()); }, Time(std::chrono::seconds(1'700'000'000))};
}

std::string described(const char* group, const char* kind, std::string_view text) {
  Page page;
  const Describer describe = describer_of(group, kind);
  (describe ? describe : describe_any)(page, read(text), alone());
  return page.text();
}

}  // namespace

TEST_CASE("cells line up with their neighbours above and below, and not across a line without them") {
  CHECK(align_cells("a\tb\nlong\tc\n") == "a     b\nlong  c\n");
  CHECK(align_cells("a\tb\nheading\nlonger\tc\n") == "a  b\nheading\nlonger  c\n");
  CHECK(align_cells("a\tb\tc\nx\ty\n") == "a  b  c\nx  y\n");
  CHECK(align_cells("\tb\nab\tc\n") == "    b\nab  c\n");
}

TEST_CASE("selectors print as labels.Selector does, in the order of their keys") {
  CHECK(selector_text(read("{matchLabels: {b: x, a: y}, matchExpressions: [{key: ab, operator: NotIn, values: [q, p]}, "
                           "{key: z, operator: DoesNotExist}]}")) == "a=y,ab notin (p,q),b=x,!z");
  CHECK(selector_text({}) == "<none>");
}

TEST_CASE("an annotation of many lines is indented below its key, and what apply remembers is not shown") {
  Page page;
  put_annotations(page, "Annotations",
                  read("{kubectl.kubernetes.io/last-applied-configuration: x, note: \"one\\ntwo\\n\"}"));
  CHECK(page.text() == "Annotations:  note:\n                one\n                two\n");
}

TEST_CASE("tolerations say operator, effect and time") {
  Page page;
  put_tolerations(page, "Tolerations",
                  read("[{operator: Exists}, {key: b, value: v, effect: NoSchedule}, {key: a, operator: Exists, "
                       "effect: NoExecute, tolerationSeconds: 300}]"));
  CHECK(page.text() ==
        "Tolerations:  op=Exists\n              a:NoExecute op=Exists for 300s\n              b=v:NoSchedule\n");
}

TEST_CASE("a Secret's values are counted, not shown; a token is") {
  const std::string page =
      described("", "Secret", "{kind: Secret, metadata: {name: s, namespace: n}, type: Opaque, data: {key: c2VjcmV0}}");
  CHECK(page.find("key:  6 bytes\n") != std::string::npos);
  CHECK(page.find("secret\n") == std::string::npos);
}

TEST_CASE("rules of a role that differ in their verbs only are one line") {
  const std::string page = described("rbac.authorization.k8s.io", "Role",
                                     "{kind: Role, metadata: {name: r}, rules: [{apiGroups: [''], resources: [pods], "
                                     "verbs: [get]}, {apiGroups: [''], resources: [pods], verbs: [list]}, "
                                     "{apiGroups: [apps], resources: [deployments/scale], verbs: ['*']}]}");
  CHECK(page.find("  pods                    []                 []              [get list]\n") != std::string::npos);
  CHECK(page.find("  deployments.apps/scale  []                 []              [*]\n") != std::string::npos);
}

TEST_CASE("a kind without a page of its own shows its fields, named by words") {
  CHECK(described("example.com", "Widget",
                  "{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, uid: u}, spec: {podCIDRRange: x, "
                  "apiURL: y, list: [1, {a: b}], enabled: true}}") ==
        "Name:         w\nNamespace:    \nLabels:       <none>\nAnnotations:  <none>\nAPI Version:  "
        "example.com/v1\nKind:         Widget\nMetadata:\n  UID:  u\nSpec:\n"
        "  API URL:  y\n  Enabled:  true\n  List:\n    1\n    A:             b\n  Pod CIDR Range:  x\nEvents:          "
        "  <none>\n");
}

}  // namespace caisson::cli::kubectl
