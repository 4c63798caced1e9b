// SPDX-License-Identifier: Apache-2.0
// Two documents, one as resource and one as pattern, patch and variables: matching and substituting end, an empty
// pattern fits every map, and a patch without anchors that is laid over twice changes nothing the second time.
#include "core/base/check.h"
#include "core/document/yaml.h"
#include "security/policy/context.h"
#include "security/policy/pattern.h"
#include "security/policy/strategic.h"
#include "security/policy/variables.h"

using namespace caisson;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto documents = yaml::read_all({reinterpret_cast<const char*>(data), size},
                                        {.size_bytes_max = 1u << 16, .expanded_nodes_max = 20'000});
  if (!documents.ok() || documents->size() < 2) return 0;
  const Value &resource = (*documents)[0], &pattern = (*documents)[1];
  (void)policy::match_pattern(resource, pattern);
  if (resource.is_map()) CHECK(policy::match_pattern(resource, Value::map()).passed());
  const auto patch = policy::resolve_anchors(pattern, resource);
  if (patch.ok() && resource.is_map() && patch->is_map()) {
    const Value once = policy::merge_patch(resource, *patch, nullptr);
    CHECK(policy::merge_patch(once, *patch, nullptr) == once);
  }
  const policy::Expressions expressions;
  const jmespath::Environment environment{.steps_max = 20'000};
  policy::Context context(expressions, environment, policy::no_lookups());
  context.set("request", Value{{"object", resource}});
  (void)policy::substitute(pattern, context).ok();
  return 0;
}
