// SPDX-License-Identifier: Apache-2.0
// Label and field selectors, in text and as objects. Properties: what parses is printed and parses again to what
// matches the same; what stands at a selector's paths is found without parsing the object as it is with.
#include "cluster/kube/selector.h"
#include "cluster/store/written_json.h"
#include "core/base/check.h"
#include "core/document/json.h"

namespace {

using namespace caisson;

const char* const kObject =
    R"({"kind":"Pod","metadata":{"name":"a","namespace":"b","labels":{"app":"web","tier":"back","n":"7"}},)"
    R"("spec":{"nodeName":"n1","hostNetwork":true},"status":{"phase":"Running","podIP":null}})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Value object = *json::parse(kObject);
  static const std::string text = json::write(object);
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Value& labels = object["metadata"]["labels"];

  if (const auto selector = kube::LabelSelector::parse(bytes); selector.ok()) {
    const auto again = kube::LabelSelector::parse(selector->str());
    CHECK(again.ok());
    CHECK(again->matches(labels) == selector->matches(labels));
  }
  if (const auto selector = kube::FieldSelector::parse(bytes); selector.ok()) {
    const auto again = kube::FieldSelector::parse(selector->str());
    CHECK(again.ok());
    CHECK(again->matches(object) == selector->matches(object));
    CHECK(selector->matches(store::select(text, selector->paths())) == selector->matches(object));
  }
  if (const auto value = json::parse(bytes); value.ok()) {
    if (const auto selector = kube::LabelSelector::from(*value); selector.ok()) (void)selector->matches(labels);
    (void)kube::LabelSelector::of(*value).matches(labels);
  }
  return 0;
}
