// SPDX-License-Identifier: Apache-2.0
// explain TYPE[.FIELD…]: what a kind or a field is, from the server's OpenAPI v3, laid out as kubectl 1.33's
// plaintext. The texts are pure functions of the document.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "cluster/schema/resource.h"
#include "core/base/result.h"
#include "core/document/value.h"
#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli::kubectl {

// "GROUP: …", "KIND: …", "VERSION: …" and an empty line.
std::string explained_kind(const kube::Resource& kind);
// The rest: description and fields of the kind, or of the field that `path` leads to; `recursive` lists all fields
// below, without descriptions. `document` is /openapi/v3/apis/GROUP/VERSION. Errors: bad_request, kubectl's text for a
// field or kind that is not there.
Result<std::string> explained(const Value& document, const kube::Resource& kind, const std::vector<std::string>& path,
                              bool recursive);

Result<int> run_explain(Call& call);
inline constexpr FlagSpec kExplainFlags[] = {{"api-version", FlagKind::text}, {"recursive", FlagKind::boolean}};

}  // namespace caisson::cli::kubectl
