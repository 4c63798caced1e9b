// SPDX-License-Identifier: Apache-2.0
// What the generators of `create` share. Internal to this folder.
#pragma once
#include <string>

#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli::kubectl {

// An object of that name with kubectl's empty creationTimestamp.
Value made(std::string_view api_version, std::string_view kind, const std::string& name);
Result<std::string> one_name(const Call& call);  // the only argument
Result<std::int64_t> integer(const Call& call, std::string_view flag);
Result<Value> pairs(std::string_view text);  // "a=b,c=d" as a map
// Sends it, unless it is a dry run of the client, and prints what -o asks for.
Result<int> finish_create(Call& call, const kube::Resource& resource, Value object, std::string_view verb = "created");

}  // namespace caisson::cli::kubectl
