// SPDX-License-Identifier: Apache-2.0
// Policy tests: the rows of a kyverno-test.yaml against what the engine says. Follows Kyverno 1.19's `kyverno test`: a
// row of a policy that does not speak of a resource is met. One thread.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::policy {

class ImageSource;

struct TestRow {
  std::string policy, rule, resource, expected, reason, message;
  bool ok = false, skipped = false;
};
struct TestReport {
  std::string name, path;
  std::vector<TestRow> rows;
  std::size_t failed() const;
};

// Files named `file_name` at and below each path, sorted.
Result<std::vector<std::string>> find_tests(const std::vector<std::string>& paths, const std::string& file_name);
// Errors: bad_request or not_found for files that can't be read or are no test.
// `registry`: where images are read; null: nowhere, as `kyverno test` without --registry.
Result<TestReport> run_test(const std::string& path, const ImageSource* registry = nullptr);

}  // namespace caisson::policy
