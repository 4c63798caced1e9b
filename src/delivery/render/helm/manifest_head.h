// SPDX-License-Identifier: Apache-2.0
// What Helm reads of a manifest: apiVersion, kind, metadata.name. To print a chart it needs no more, and to find them
// in a document of the plain kind that templates print is several times faster than to read the whole of it.
//
// The scan is one-sided: it gives a head only where it is sure that the YAML reader takes the document and finds the
// same head. What it does not know (anchors, tags, flow collections, escapes, scalars of many lines, unusual
// indentation …) and what Helm has more questions about (hooks) is nullopt: ask the reader. Pure; any thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace caisson::render::helm {

struct ManifestHead {
  std::string api_version, kind, name;
  bool operator==(const ManifestHead&) const = default;
};

// `document`: without a separator, as split_manifests gives it.
std::optional<ManifestHead> scan_head(std::string_view document);

}  // namespace caisson::render::helm
