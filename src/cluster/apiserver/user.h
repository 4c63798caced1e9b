// SPDX-License-Identifier: Apache-2.0
// User: who asks, as authentication found out. Kubernetes' user.Info.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace caisson::apiserver {

struct User {
  std::string name;                 // "alice", "system:serviceaccount:shop:default"
  std::vector<std::string> groups;  // system:authenticated is added by the server
  std::string uid;
  std::vector<std::pair<std::string, std::vector<std::string>>> extra;  // "authentication.kubernetes.io/pod-name" …
  bool in_group(std::string_view group) const {
    for (const std::string& g : groups)
      if (g == group) return true;
    return false;
  }
  bool operator==(const User&) const = default;
};

}  // namespace caisson::apiserver
