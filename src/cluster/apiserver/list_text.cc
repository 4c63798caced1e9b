// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/list_text.h"

#include <utility>

namespace caisson::apiserver {
namespace {

constexpr std::string_view kEnd = "]}\n";

}  // namespace

ListText::ListText(std::string head, std::vector<store::ItemPtr> items, std::string prefix)
    : head_(std::move(head)), items_(std::move(items)), prefix_(std::move(prefix)) {
  length_ = head_.size() + kEnd.size() + (items_.empty() ? 0 : items_.size() - 1);
  for (std::size_t i = 0; i < items_.size(); ++i) length_ += shown_bytes(i);
}

void ListText::replace(std::size_t index, std::string text) {
  length_ -= shown_bytes(index);
  length_ += text.size();
  replaced_[index] = std::move(text);
}

std::uint64_t ListText::shown_bytes(std::size_t index) const {
  const std::string& bytes = items_[index]->bytes();
  return !prefix_.empty() && bytes.starts_with(prefix_) ? bytes.size() - prefix_.size() + 1 : bytes.size();
}

void ListText::append(std::string& out, std::size_t index) const {
  const std::string& bytes = items_[index]->bytes();
  if (const auto it = replaced_.find(index); it != replaced_.end())
    out += it->second;
  else if (!prefix_.empty() && bytes.starts_with(prefix_))
    out.append("{").append(bytes, prefix_.size());
  else
    out += bytes;
}

bool ListText::next(std::string& out) {
  if (at_ == 0) out += head_;
  const std::size_t size = out.size();
  for (; at_ < items_.size() && out.size() - size < kPieceBytes; ++at_) {
    if (at_ > 0) out += ',';
    append(out, at_);
  }
  if (at_ < items_.size()) return true;
  out += kEnd;
  return false;
}

std::string ListText::whole() && {
  std::string out;
  out.reserve(length_ + 512);  // with room for the answer's head, which goes before it
  while (next(out)) {
  }
  return out;
}

}  // namespace caisson::apiserver
