// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/list_text.h"

#include <utility>

namespace caisson::apiserver {
namespace {

constexpr std::string_view kEnd = "]}\n";

// Of thousands of items each lies elsewhere, and its bytes elsewhere again: they are asked for before their turn.
void fetch_ahead(const std::vector<store::ItemPtr>& items, std::size_t at) {
  constexpr std::size_t kItemsAhead = 8, kBytesAhead = 4;
  if (at + kItemsAhead >= items.size()) return;
  __builtin_prefetch(&items[at + kItemsAhead]->bytes());
  __builtin_prefetch(items[at + kBytesAhead]->bytes().data());
}

}  // namespace

ListText::ListText(std::string head, std::vector<store::ItemPtr> items, std::string prefix, bool leaves_out_prefix)
    : head_(std::move(head)), items_(std::move(items)), left_out_(leaves_out_prefix ? prefix.size() : 0) {
  length_ = head_.size() + kEnd.size() + (items_.empty() ? 0 : items_.size() - 1);
  for (std::size_t i = 0; i < items_.size(); ++i) {
    fetch_ahead(items_, i);
    const std::string& bytes = items_[i]->bytes();
    length_ += bytes.size();
    if (!bytes.starts_with(prefix))
      others_.push_back(i);
    else if (left_out_ > 0)
      length_ -= left_out_ - 1;
  }
}

void ListText::replace(std::size_t other, std::string text) {
  length_ -= items_[others_[other]]->bytes().size();
  length_ += text.size();
  replaced_[other] = std::move(text);
}

void ListText::append(std::string& out) {
  const std::string& bytes = items_[at_]->bytes();
  if (other_at_ < others_.size() && others_[other_at_] == at_) {
    const auto it = replaced_.find(other_at_++);
    out += it == replaced_.end() ? bytes : it->second;
  } else if (left_out_ > 0) {
    out.append("{").append(bytes, left_out_);
  } else {
    out += bytes;
  }
}

bool ListText::next(std::string& out) {
  if (at_ == 0) out += head_;
  const std::size_t size = out.size();
  for (; at_ < items_.size() && out.size() - size < kPieceBytes; ++at_) {
    fetch_ahead(items_, at_);
    if (at_ > 0) out += ',';
    append(out);
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
