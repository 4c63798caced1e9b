// SPDX-License-Identifier: Apache-2.0
// Reading JSON without making a Value of it: what the store does with thousands of objects at once (is a row of the
// file whole? has an object this label?). Pure functions. Threads: any.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "core/document/value.h"

namespace caisson::store {

// Whether json::parse would accept `text`. Yes is certain; no may also be said of rare numbers, and json::parse decides.
bool is_json(std::string_view text);

// The members of all its maps, those of one name each counted; 0 where is_json would say no.
std::size_t count_members(std::string_view text);

// What stands at `paths` ("metadata.labels", "spec.nodeName") in a document that json::write made, and nothing else:
// `select(bytes, paths)[…]` is `json::parse(bytes)[…]` along each path. Of text that is no JSON: what came before.
Value select(std::string_view written, std::span<const std::string> paths);

}  // namespace caisson::store
