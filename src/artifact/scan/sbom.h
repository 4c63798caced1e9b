// SPDX-License-Identifier: Apache-2.0
// Bills of materials: CycloneDX 1.5 and 1.6 (JSON, ecma-424), SPDX 2.3 (JSON). Written with a package URL for every
// package, so what is read again has the same findings. The same inventory gives the same bytes but for the time. Pure;
// any thread.
#pragma once
#include <string>
#include <string_view>

#include "artifact/scan/package.h"
#include "core/base/clock.h"
#include "core/document/value.h"

namespace caisson::scan {

enum class SbomFormat : std::uint8_t { cyclonedx_1_5, cyclonedx_1_6, spdx_2_3 };
Result<SbomFormat> parse_sbom_format(std::string_view name);  // "cyclonedx", "cyclonedx-1.5", "spdx", "spdx-json"
std::string_view sbom_media_type(SbomFormat format);          // of the registry's artifact

struct SbomSubject {
  std::string name;    // "shop/web:1.0", a folder
  std::string digest;  // of the manifest; empty for a folder
  Time created;
};

Value write_sbom(SbomFormat format, const Inventory& inventory, const SbomSubject& subject);
// Either kind, told by its own fields. Components without a package URL are left out. Errors: invalid.
Result<Inventory> read_sbom(const Value& document);

}  // namespace caisson::scan
