// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "observe/logs/logql/ast.h"

namespace caisson::logs::logql {

std::string print_stage(const Stage& stage);  // | line_format "{{.x}}"
std::string duration_text(std::int64_t ns);   // 1h30m
std::string_view operator_text(Tok op);       // >=

}  // namespace caisson::logs::logql
