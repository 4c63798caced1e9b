// SPDX-License-Identifier: Apache-2.0
// {"doc": …, "patch": …}: every kind of patch ends; a merge patch between two documents leads from one to the other.
#include "core/document/patch.h"
#include "core/document/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace caisson;
  const auto input = json::parse({reinterpret_cast<const char*>(data), size});
  if (!input.ok()) return 0;
  const Value& document = (*input)["doc"];
  const Value& patch = (*input)["patch"];
  static_cast<void>(document::json_patch(document, patch));
  static_cast<void>(document::merge_patch(document, patch));
  static_cast<void>(document::strategic_merge(document, patch, nullptr));
  static_cast<void>(
      document::unified_diff(json::write(document, {.indent = 1}), json::write(patch, {.indent = 1}), "a", "b"));
  return 0;
}
