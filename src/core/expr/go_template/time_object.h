// SPDX-License-Identifier: Apache-2.0
// time.Time as templates see it. Any thread.
#pragma once
#include "core/calendar/go_time.h"
#include "core/expr/go_template/datum.h"

namespace caisson::go_template {

Datum time_datum(calendar::GoTime time);
const calendar::GoTime* time_of(const Datum& datum);  // nullptr when it is none

}  // namespace caisson::go_template
