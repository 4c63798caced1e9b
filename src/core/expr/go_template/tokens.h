// SPDX-License-Identifier: Apache-2.0
// The lexer's tokens as the parser takes them: read some at a time, and the last ones stay, for a parser that goes back.
#pragma once
#include <algorithm>
#include <array>
#include <span>

#include "core/expr/go_template/lexer.h"

namespace caisson::go_template {

class Tokens {
 public:
  explicit Tokens(std::string_view text) : lexer_(text) {}

  const Token& next() {  // valid until the next call, as is what peek() gives
    peek();
    return tokens_[at_++];
  }
  const Token& peek() {
    if (at_ == end_) [[unlikely]]
      refill();
    seen_ = std::max(seen_, at_);
    return tokens_[at_];
  }
  void back(std::size_t count = 1) { at_ -= count; }                       // REQUIRES: count <= kKept
  int line() const { return lexer_.line_of(tokens_[seen_]); }              // of the furthest one that was looked at
  int line_of(const Token& token) const { return lexer_.line_of(token); }  // of one of these

 private:
  static constexpr std::size_t kKept = 4, kRoom = 64;

  void refill() {
    const std::size_t kept = std::min(kKept, end_);
    std::copy(tokens_.begin() + static_cast<std::ptrdiff_t>(end_ - kept),
              tokens_.begin() + static_cast<std::ptrdiff_t>(end_), tokens_.begin());
    at_ = seen_ = kept;
    end_ = kept + lexer_.read(std::span(tokens_).subspan(kept));
  }

  Lexer lexer_;
  std::array<Token, kRoom> tokens_;
  std::size_t at_ = 0, end_ = 0, seen_ = 0;
};

}  // namespace caisson::go_template
