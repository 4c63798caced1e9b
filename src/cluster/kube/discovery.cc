// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/discovery.h"

#include <algorithm>

namespace caisson::kube {

Result<std::vector<schema::Resource>> Discovery::read(const std::string& api_version) const {
  const auto slash = api_version.find('/');
  const bool core = slash == std::string::npos;
  const Value list = TRY(get_((core ? "/api/" : "/apis/") + api_version));
  std::vector<schema::Resource> out;
  for (const Value& item : list["resources"].items()) {
    if (item["name"].as_string().find('/') != std::string_view::npos) continue;  // a sub-resource
    out.push_back({core ? "" : api_version.substr(0, slash), core ? api_version : api_version.substr(slash + 1),
                   item["kind"].str(), item["name"].str(), item["namespaced"].as_bool()});
  }
  return out;
}

Result<schema::Resource> Discovery::find(std::string_view api_version, std::string_view kind) {
  const auto pick = [kind](const std::vector<schema::Resource>& from) {
    return std::find_if(from.begin(), from.end(), [kind](const schema::Resource& r) { return r.kind == kind; });
  };
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = by_version_.find(api_version); known != by_version_.end()) {
      if (const auto found = pick(known->second); found != known->second.end()) return *found;
    }
  }
  const Error no_match{ErrorCode::not_found, "no matches for kind \"" + std::string(kind) + "\" in version \"" +
                                                 std::string(api_version) + "\""};
  auto fresh = read(std::string(api_version));
  if (!fresh.ok()) {
    if (fresh.error().code == ErrorCode::not_found) return no_match;
    return std::move(fresh).error().in("discovery of " + std::string(api_version));
  }
  const std::lock_guard lock(mutex_);
  const auto& kept = by_version_[std::string(api_version)] = std::move(fresh).value();
  const auto found = pick(kept);
  if (found == kept.end()) return no_match;
  return *found;
}

Result<std::vector<schema::Resource>> Discovery::all() {
  std::vector<std::string> preferred, others;
  const Value core = TRY(get_("/api"));
  for (const Value& version : core["versions"].items()) preferred.push_back(version.str());
  const Value groups = TRY(get_("/apis"));
  for (const Value& group : groups["groups"].items()) {
    const std::string first = group["preferredVersion"]["groupVersion"].str();
    for (const Value& version : group["versions"].items()) {
      const std::string name = version["groupVersion"].str();
      (name == first ? preferred : others).push_back(name);
    }
  }
  preferred.insert(preferred.end(), others.begin(), others.end());
  std::vector<schema::Resource> out;
  for (const std::string& version : preferred) {
    const auto resources = TRY(read(version).in("discovery of " + version));
    out.insert(out.end(), resources.begin(), resources.end());
    const std::lock_guard lock(mutex_);
    by_version_[version] = resources;
  }
  return out;
}

}  // namespace caisson::kube
