// SPDX-License-Identifier: Apache-2.0
// An ApplicationSet's template filled with one set of parameters: {{name}} (fasttemplate) or Go templates with Sprig
// (goTemplate: true), string by string through the whole tree. Follows Argo CD 3.0
// docs/operator-manual/applicationset/Template.md and GoTemplate.md. Pure; any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::gitops {

struct TemplateStyle {
  bool go = false;
  bool missing_key_fails = false;  // goTemplateOptions: ["missingkey=error"]
};
// spec.goTemplate and spec.goTemplateOptions. Errors: invalid, for an option that Go does not know.
Result<TemplateStyle> parse_style(const Value& spec);

// Every string of `tree`, keys of maps too. Without Go templates, parameters are flat ("metadata.labels.env") and
// what is not among them stays as it is written. Errors: invalid, in Go's words.
Result<Value> fill(const Value& tree, const Value& parameters, const TemplateStyle& style);
Result<std::string> fill_text(std::string_view text, const Value& parameters, const TemplateStyle& style);

// spec.template, with the generator's own template over it, filled; then spec.templatePatch, filled, merged in.
Result<Value> application_from(const Value& spec, const Value& generator_template, const Value& parameters,
                               const TemplateStyle& style);

// Nested maps as flat keys: {"a": {"b": 1}} is {"a.b": "1"}; lists by position.
Value flattened(const Value& value);
// A DNS label: lower case, other characters than letters, digits and '-' as '-', at most 253 (`normalize`).
std::string normalized(std::string_view text);

}  // namespace caisson::gitops
