// SPDX-License-Identifier: Apache-2.0
// Manifests, indexes, configurations and references: what parses is written and parses again to the same value.
#include "artifact/content/image.h"
#include "artifact/content/reference.h"
#include "core/base/check.h"

using namespace caisson;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto manifest = content::parse_manifest(text); manifest.ok()) {
    const auto again = content::parse_manifest(content::write_manifest(*manifest));
    CHECK(again.ok() && *again == *manifest);
  }
  if (const auto index = content::parse_index(text); index.ok()) {
    const auto again = content::parse_index(content::write_index(*index));
    CHECK(again.ok() && *again == *index);
  }
  if (const auto config = content::parse_config(text); config.ok()) {
    const auto again = content::parse_config(content::write_config(*config));
    CHECK(again.ok());
  }
  const auto reference = content::parse_reference(text.substr(0, 600), {});
  if (reference.ok() && !reference->is_ours()) {
    const auto again = content::parse_reference(reference->str(), {});
    CHECK(again.ok() && *again == *reference);
  }
  return 0;
}
