// SPDX-License-Identifier: Apache-2.0
// Findings in an expression's text, shown as cel-go shows them.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace caisson::cel {

class Findings {
 public:
  explicit Findings(std::string_view text) : text_(text) {}
  void add(std::uint32_t offset, std::string message);
  bool empty() const { return findings_.empty(); }
  // In the order of their positions; of each the line and a mark below its column. At most 100.
  std::string str() const;

 private:
  struct Finding {
    std::uint32_t offset;
    std::string message;
  };
  std::string_view text_;
  std::vector<Finding> findings_;
};

}  // namespace caisson::cel
