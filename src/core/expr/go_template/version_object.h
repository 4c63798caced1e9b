// SPDX-License-Identifier: Apache-2.0
// What `semver` gives templates: a *semver.Version with its methods.
#pragma once
#include "core/expr/go_template/datum.h"
#include "core/expr/go_template/semver.h"

namespace caisson::go_template {

class VersionObject : public Object {
 public:
  explicit VersionObject(Version version) : version_(std::move(version)) {}
  const Type& type() const override;
  Result<Value> to_value() const override;
  const Version& version() const { return version_; }

 private:
  const Version version_;
};

Datum version_datum(Version version);

}  // namespace caisson::go_template
