// SPDX-License-Identifier: Apache-2.0
// A Pod made from the template of an object that makes Pods, and the object with what became of that Pod: by them a
// MutatingPolicy that speaks of Pods changes their controllers. Internal to this room; pure, any thread.
#pragma once
#include <string_view>

#include "core/document/value.h"

namespace caisson::policy {

inline constexpr std::string_view kTemplate = "spec.template", kCronTemplate = "spec.jobTemplate.spec.template";

// `at`: where the template is. The Pod has the object's name and namespace where the template gives none. Null: the
// object has no such template.
Value pod_of_template(const Value& object, std::string_view at);
// `object` with labels, annotations and spec of `after`, which pod_of_template(object, at) became. What that had put
// into the Pod does not come back.
Value with_template(const Value& object, std::string_view at, const Value& after);

}  // namespace caisson::policy
