// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "observe/logs/logql/ast.h"

namespace caisson::logs::logql {

std::string print_stage(const Stage& stage);  // | line_format "{{.x}}"

}  // namespace caisson::logs::logql
