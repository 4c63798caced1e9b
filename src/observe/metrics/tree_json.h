// SPDX-License-Identifier: Apache-2.0
// A parsed query as parse_query answers it (Prometheus 3.16, web/api/v1/translate_ast.go): an object for each node, its
// "type" says which. Pure function.
#pragma once
#include "core/document/value.h"
#include "core/http/message.h"
#include "observe/metrics/promql/ast.h"

namespace caisson::metrics {

Value tree_value(const promql::Expr& expr);
// GET /api/v1/parse_query: it asks no storage.
http::Response answer_parse_query(const http::Query& parameters);

}  // namespace caisson::metrics
