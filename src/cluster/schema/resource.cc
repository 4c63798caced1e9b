// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/resource.h"

namespace caisson::schema {

// The address space of the Kubernetes API: the core group under /api, every other under /apis.
std::string Resource::path(std::string_view ns, std::string_view name) const {
  std::string out = group.empty() ? "/api/" + version : "/apis/" + group + "/" + version;
  if (namespaced && !ns.empty()) out.append("/namespaces/").append(ns);
  out.append("/").append(plural);
  if (!name.empty()) out.append("/").append(name);
  return out;
}

}  // namespace caisson::schema
