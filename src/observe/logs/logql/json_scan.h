// SPDX-License-Identifier: Apache-2.0
// Goes through JSON without making a tree of it: numbers stay as they were written, and what nobody asks for costs
// nothing. Depth is bounded. Any thread.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace caisson::logs::logql {

enum class JsonKind : std::uint8_t { null, boolean, number, string, list, map };

class JsonScan {
 public:
  explicit JsonScan(std::string_view text) : text_(text) {}

  // Each scalar under its path of keys; lists are passed over. Errors: bad_request.
  Result<void> leaves(
      const std::function<void(const std::vector<std::string>& path, JsonKind kind, std::string_view value)>& call);
  // The members of the outermost map. `raw`: as written; `value`: of a string its text.
  Result<void> members(const std::function<void(const std::string& key, JsonKind kind, std::string_view raw,
                                                std::string_view value)>& call);

 private:
  using Leaf = std::function<void(const std::vector<std::string>&, JsonKind, std::string_view)>;
  struct Item {
    JsonKind kind = JsonKind::null;
    std::string_view raw;
    std::string value;  // of a string
  };
  void blank();
  Result<Item> item(int depth);
  Result<std::string> string();
  Result<void> each_member(const std::function<Result<void>(std::string key)>& call);
  Result<void> map(int depth, std::vector<std::string>& path, const Leaf& call);
  Result<void> skip_container(int depth, char close);
  Result<void> escape(std::string& out);
  Error broken() const;

  std::string_view text_;
  std::size_t at_ = 0;
};

// Splits a.b[0]["c d"]. Errors: bad_request.
struct JsonStep {
  std::string key;
  std::size_t index = 0;
  bool is_index = false;
};
Result<std::vector<JsonStep>> parse_json_path(std::string_view text);
// The value at a path: a string's text, anything else as written; "" when it is not there, or null, or no JSON.
std::string json_at(std::string_view text, const std::vector<JsonStep>& path);

}  // namespace caisson::logs::logql
