// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/editors.h"

#include <algorithm>

#include "core/document/json.h"
#include "delivery/gitops/gitops.h"

namespace caisson::gitops {
namespace {

constexpr std::size_t kDepthMax = 60;

// "[2]" where `desired` has the item, as Drift::paths name it; otherwise its key.
std::string item_name(const Value& desired, const Value& by, std::string_view key) {
  for (std::size_t i = 0; i < desired.size(); ++i) {
    const bool same = std::all_of(by.entries().begin(), by.entries().end(), [&](const auto& entry) {
      return desired[i][entry.key] == entry.value || (desired[i][entry.key].is_null() && entry.key == "protocol");
    });
    if (same) return "[" + std::to_string(i) + "]";
  }
  return "[" + std::string(key) + "]";
}

// Every field that a manager holds, as a path.
void collect(const Value& fields, const Value& desired, const std::string& path, std::size_t depth,
             std::vector<std::string>& out) {
  bool leaf = true;
  for (const auto& [key, deeper] : fields.entries()) {
    if (key == "." || depth > kDepthMax) continue;
    if (key.starts_with("f:")) {
      leaf = false;
      const std::string_view name = key.substr(2);
      collect(deeper, desired[name], path.empty() ? std::string(name) : path + "." + std::string(name), depth + 1, out);
    } else if (key.starts_with("k:")) {
      const auto by = json::parse(key.substr(2));
      if (!by.ok() || !by->is_map()) continue;
      leaf = false;
      const std::string name = item_name(desired, *by, key.substr(2));
      const bool indexed = name.find('{') == std::string::npos;
      const Value& below = indexed ? desired[static_cast<std::size_t>(std::stoul(name.substr(1)))] : document::kNull;
      collect(deeper, below, path + name, depth + 1, out);
    }
  }
  if (leaf && !path.empty()) out.push_back(path);
}

bool touches(const std::string& held, const std::string& path) {
  const auto below = [](const std::string& inner, const std::string& outer) {
    return inner.starts_with(outer) &&
           (inner.size() == outer.size() || inner[outer.size()] == '.' || inner[outer.size()] == '[');
  };
  return below(held, path) || below(path, held);
}

}  // namespace

std::vector<Edit> editors_of(const Value& desired, const Value& live, const std::vector<std::string>& paths) {
  std::vector<Edit> out;
  for (const std::string& path : paths) out.push_back({path, "", ""});
  for (const Value& entry : live["metadata"]["managedFields"].items()) {
    if (entry["manager"].as_string() == kFieldManager || entry["subresource"].as_string() == "status") continue;
    std::vector<std::string> held;
    collect(entry["fieldsV1"], desired, "", 0, held);
    for (Edit& edit : out) {
      const bool theirs =
          std::any_of(held.begin(), held.end(), [&](const std::string& one) { return touches(one, edit.path); });
      if (!theirs || entry["time"].as_string() < edit.time) continue;
      edit.manager = entry["manager"].str();
      edit.time = entry["time"].str();
    }
  }
  return out;
}

std::string describe(const std::vector<Edit>& edits) {
  std::string out;
  for (const Edit& edit : edits) {
    out += (out.empty() ? "" : ", ") + edit.path;
    if (!edit.manager.empty()) out += " (" + edit.manager + (edit.time.empty() ? "" : ", " + edit.time) + ")";
  }
  return out;
}

}  // namespace caisson::gitops
