// SPDX-License-Identifier: Apache-2.0
// --set and its kin: "image.tag=v2,ports[0]=80,args={a,b}" into a map of values. Source: Helm 3.22 pkg/strvals. Pure;
// any thread.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::render::helm {

// How the right side is read. `value`: true, false, null and integers have their types (an integer is an int64, unlike
// those of a values file); `string`: always text; `json`: a JSON value; `file`: text of the file of that name;
// `literal`: everything after the first "=", with nothing escaped.
enum class SetKind { value, string, json, file, literal };

using ReadFile = std::function<Result<std::string>(const std::string& path)>;

// Edits `values`, a map. `read_file` is needed for SetKind::file only. Errors: bad_request in Helm's words; what
// read_file gives. Limits: 30 levels of names, indices up to 65,536.
Result<void> set_values(Value& values, std::string_view text, SetKind kind, const ReadFile& read_file = {});

}  // namespace caisson::render::helm
