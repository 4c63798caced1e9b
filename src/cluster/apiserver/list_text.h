// SPDX-License-Identifier: Apache-2.0
// ListText: the JSON of a list, made of its items' own bytes piece by piece: a list of 10,000 Pods is 29 MB that nobody
// needs to have in memory at once. One thread at a time.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cluster/store/item.h"

namespace caisson::apiserver {

inline constexpr std::size_t kPieceBytes = 256u << 10;

class ListText {
 public:
  // `head` ends where the items begin. Items that start with `prefix` (their kind and version, as in a list of a
  // built-in kind) are shown without it.
  ListText(std::string head, std::vector<store::ItemPtr> items, std::string prefix);
  // What is shown in the place of items[index]'s own bytes. Before the first piece.
  void replace(std::size_t index, std::string text);

  std::uint64_t length() const { return length_; }
  bool next(std::string& out);  // http::Pieces
  std::string whole() &&;

 private:
  void append(std::string& out, std::size_t index) const;
  std::uint64_t shown_bytes(std::size_t index) const;

  std::string head_;
  std::vector<store::ItemPtr> items_;
  std::string prefix_;
  std::map<std::size_t, std::string> replaced_;
  std::uint64_t length_ = 0;
  std::size_t at_ = 0;  // the next item
};

}  // namespace caisson::apiserver
