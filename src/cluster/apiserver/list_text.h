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
  // `head` ends where the items begin. Items start with `prefix` (their kind and version), which lists of built-in
  // kinds leave out.
  ListText(std::string head, std::vector<store::ItemPtr> items, std::string prefix, bool leaves_out_prefix);
  // Which items start otherwise: what replaces them is to be said before the first piece, or they are shown whole.
  const std::vector<std::size_t>& others() const { return others_; }
  const store::ItemPtr& item(std::size_t index) const { return items_[index]; }
  void replace(std::size_t other, std::string text);  // others()[other]

  std::uint64_t length() const { return length_; }
  bool next(std::string& out);  // http::Pieces
  std::string whole() &&;

 private:
  void append(std::string& out);  // the next item

  std::string head_;
  std::vector<store::ItemPtr> items_;
  std::size_t left_out_;                         // bytes at the beginning of each item; "{" stands for them
  std::vector<std::size_t> others_;              // rising
  std::map<std::size_t, std::string> replaced_;  // by place in others_
  std::uint64_t length_ = 0;
  std::size_t at_ = 0, other_at_ = 0;  // the next item, the next one of others_
};

}  // namespace caisson::apiserver
