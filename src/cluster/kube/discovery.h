// SPDX-License-Identifier: Apache-2.0
// What kinds a server has, by its discovery documents, kept per group version. Source: Kubernetes API concepts,
// "Discovery API" (the unaggregated form, which every version serves). Any thread.
#pragma once
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/schema/resource.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::kube {

class Discovery {
 public:
  using Get = std::function<Result<Value>(const std::string& path)>;
  explicit Discovery(Get get) : get_(std::move(get)) {}

  // Asks the server once more before it says not_found: a CRD may be new.
  Result<schema::Resource> find(std::string_view api_version, std::string_view kind);
  // Every kind of every version, without sub-resources; the versions a group prefers come first.
  Result<std::vector<schema::Resource>> all();

 private:
  Result<std::vector<schema::Resource>> read(const std::string& api_version) const;

  Get get_;
  std::mutex mutex_;
  std::map<std::string, std::vector<schema::Resource>, std::less<>> by_version_;  // GUARDED_BY(mutex_)
};

}  // namespace caisson::kube
