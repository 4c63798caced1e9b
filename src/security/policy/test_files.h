// SPDX-License-Identifier: Apache-2.0
// The files of a policy test: kyverno-test.yaml and what it names. Follows Kyverno 1.19, cmd/cli. Any thread.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"
#include "security/policy/context.h"

namespace caisson::policy {

inline constexpr std::size_t kTestFileBytesMax = 16u << 20;

// The documents of a YAML file; Lists are taken apart. Directories: every *.yaml and *.yml in them.
Result<std::vector<Value>> read_documents(const std::string& path);
// The same as objects: what is namespaced and names no namespace is in "default"; maps written empty are empty maps.
Result<std::vector<Value>> read_objects(const std::string& path);

// What a test gives beside its policies: values of variables, labels of namespaces, who asks, and a world to look up.
struct TestInputs {
  Value values;                             // of a Values file: globalValues, policies, namespaceSelector, subresources
  Value user;                               // of a UserInfo file
  std::map<std::string, Value> namespaces;  // Namespace objects by name
  std::vector<Value> world;                 // live objects for lookups
  bool api_calls = false;                   // whether apiCall reads the world
  Value api_responses, global_entries, images;
  const ImageSource* registry = nullptr;  // where images are read that `images` does not give; null: nowhere
};

// Lookups over TestInputs, which must outlive it.
std::unique_ptr<Lookups> make_test_lookups(const TestInputs& inputs);

}  // namespace caisson::policy
