// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/json_schema.h"

#include "core/base/text.h"
#include "core/document/json.h"
#include "delivery/render/helm/json_schema/checker.h"
#include "delivery/render/helm/json_schema/text.h"

namespace caisson::render::helm {
namespace {

using json_schema::Checker;
using json_schema::Path;
using json_schema::Verdict;
using json_schema::Violation;

std::string pointer(const Path& path) {
  std::string out;
  for (const std::string& step : path) out += "/" + replace_all(replace_all(step, "~", "~0"), "/", "~1");
  return out;
}

void print_violation(const Violation& violation, int indent, std::string& out) {
  const bool skipped = violation.kind == Violation::Kind::reference && violation.causes.size() == 1;
  if (!skipped) {
    if (!out.empty()) out += '\n';
    for (int i = 1; i < indent; ++i) out += "  ";
    out += "- at " + json_schema::quoted(pointer(violation.at)) + ": " + violation.text;
    ++indent;
  }
  for (const Violation& cause : violation.causes) print_violation(cause, indent, out);
}

}  // namespace

Result<std::string> schema_violations(std::string_view schema, const Value& value) {
  const Value root = TRY(json::parse(schema));
  Checker checker(root);
  const Verdict verdict = checker.check({&root, &root}, value);
  if (checker.failure()) return Error{ErrorCode::bad_request, *checker.failure()};
  std::string out;
  if (!verdict) return out;
  if (verdict->kind == Violation::Kind::group) {
    for (const Violation& cause : verdict->causes) print_violation(cause, 1, out);
  } else {
    print_violation(*verdict, 1, out);
  }
  return out;
}

}  // namespace caisson::render::helm
