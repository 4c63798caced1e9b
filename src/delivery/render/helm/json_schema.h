// SPDX-License-Identifier: Apache-2.0
// JSON Schema, drafts 4, 6, 7, 2019-09 and 2020-12, for values.schema.json, with the messages that Helm prints (those
// of santhosh-tekuri/jsonschema 6). References are resolved within the document; a schema elsewhere is not fetched.
// Pure; any thread.
#pragma once
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::render::helm {

// What of `value` is against the schema, a line each ("- at '/image': missing property 'repo'"); empty when nothing is.
// Errors: bad_request for a schema that is no JSON, has a bad pattern or names a schema elsewhere.
Result<std::string> schema_violations(std::string_view schema, const Value& value);

// Why `text` is not of `format` ("email", "ipv4", …); empty when it is, or when the format is not known.
std::string format_violation(std::string_view format, std::string_view text);

}  // namespace caisson::render::helm
