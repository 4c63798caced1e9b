// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/version.h"

#include "core/expr/go_template/semver.h"

namespace caisson::render::helm {

bool is_version(std::string_view text) {
  return go_template::Version::parse(text).ok();
}

bool version_satisfies(std::string_view constraint, std::string_view version) {
  const auto parsed = go_template::Version::parse(version);
  const auto range = go_template::Constraint::parse(constraint);
  return parsed.ok() && range.ok() && range->check(*parsed);
}

}  // namespace caisson::render::helm
