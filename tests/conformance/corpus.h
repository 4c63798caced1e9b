// SPDX-License-Identifier: Apache-2.0
// What every conformance runner shares: where the cases are, and the list of those expected to fail. A run is good when
// exactly the listed cases fail: an unlisted failure and a listed pass are both errors, so the list can only be true.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "core/base/file.h"
#include "core/base/test_dirs.h"
#include "core/base/text.h"

namespace caisson::conformance {

// The upstream corpus; empty when it is not there.
inline std::string corpus_dir(const std::string& name) {
  const char* given = std::getenv("CAISSON_CORPUS");
  const std::string root = given != nullptr ? given : test_repository_dir() + "/../shared/conformance";
  const std::string path = root + "/" + name;
  if (exists(path)) return path;
  MESSAGE("skipped: no corpus at " << path << " (CAISSON_CORPUS names another place)");
  return {};
}

inline std::string own_dir(const std::string& name) {
  return test_repository_dir() + "/tests/conformance/" + name;
}

inline std::string text_of(const std::string& path) {
  auto text = read_file(path);
  if (!text.ok()) return {};
  return std::move(text).value();
}

// Directories below `root` that hold a file `marker`, relative to `root`, sorted.
inline std::vector<std::string> cases_with(const std::string& root, const std::string& marker) {
  std::vector<std::string> found, waiting{""};
  while (!waiting.empty()) {
    const std::string at = waiting.back();
    waiting.pop_back();
    const std::string dir = at.empty() ? root : root + "/" + at;
    if (exists(dir + "/" + marker)) {
      found.push_back(at);
      continue;
    }
    const auto names = list_dir(dir);
    if (!names.ok()) continue;
    for (const std::string& name : *names) {
      if (is_directory(dir + "/" + name)) waiting.push_back(at.empty() ? name : at + "/" + name);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Collects outcomes, then compares them with tests/conformance/NAME.expected-failures (one case a line; # begins a
// comment).
class Outcomes {
 public:
  explicit Outcomes(std::string name) : name_(std::move(name)) {}
  void passed(const std::string&) { ++passed_; }
  void failed(const std::string& id, const std::string& why) { failed_.emplace_back(id, why); }

  void check(bool whole_corpus) const {
    std::set<std::string> expected;
    const std::string listed = text_of(own_dir(name_) + ".expected-failures");
    for (const std::string_view line : split(listed, '\n')) {
      const std::string_view id = trim(line.substr(0, line.find('#')));
      if (!id.empty()) expected.insert(std::string(id));
    }
    std::set<std::string> seen;
    std::size_t unlisted = 0;
    for (const auto& [id, why] : failed_) {
      seen.insert(id);
      if (expected.contains(id)) continue;
      if (++unlisted <= 400) MESSAGE(id << ": " << why);
    }
    MESSAGE(name_ << ": " << passed_ << " passed, " << failed_.size() << " failed, of them "
                  << failed_.size() - unlisted << " expected");
    CHECK_MESSAGE(unlisted == 0, "cases failed that are not in " << name_ << ".expected-failures");
    if (!whole_corpus) return;
    for (const std::string& id : expected)
      CHECK_MESSAGE(seen.contains(id), id << " is listed as an expected failure but passes");
  }

 private:
  std::string name_;
  std::size_t passed_ = 0;
  std::vector<std::pair<std::string, std::string>> failed_;
};

}  // namespace caisson::conformance
