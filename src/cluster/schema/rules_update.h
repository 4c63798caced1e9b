// SPDX-License-Identifier: Apache-2.0
// What validate_update adds to the rules by kind (rules.h). Internal to the room. Pure.
#pragma once
#include <vector>

#include "cluster/schema/update_checks.h"

namespace caisson::schema {

// The errors of an update's object, in its metadata and in the rest, as often as upstream's checks find each.
std::vector<FieldError> as_often_as_upstream(const KindSchema& kind, const std::vector<FieldError>& metadata,
                                             const std::vector<FieldError>& body);
// A label selector as Go prints it, for a bad value.
Value shown_selector(const Value& selector);

}  // namespace caisson::schema
