// SPDX-License-Identifier: Apache-2.0
// What the evaluator holds while it walks; for the files of this folder. One evaluation, one thread.
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include "core/expr/cel/value.h"

namespace caisson::cel {

// What a chain of selections leads to. Within a document that no schema speaks of it is a place in that document, and
// no value is made on the way.
struct Link {
  const document::Value* place = nullptr;
  const Value* held = nullptr;  // somebody else's value, where there is no place
  Value own;                    // else this one; beside a place what keeps its document

  bool is(Kind kind) const { return place == nullptr && (held != nullptr ? *held : own).is(kind); }
  const document::Value* document() const {
    return place != nullptr ? place : (held != nullptr ? *held : own).plain_document();
  }
  Value value() && {
    if (place != nullptr) return Value::from(*place);
    return held != nullptr ? *held : std::move(own);
  }
};

// A few values without an allocation, or many.
template <class T, std::size_t kFew>
class Slots {
 public:
  explicit Slots(std::size_t size) : many_(size > kFew ? std::make_unique<T[]>(size) : nullptr), size_(size) {}
  T& operator[](std::size_t i) { return data()[i]; }
  std::span<const T> first(std::size_t count) const { return {many_ != nullptr ? many_.get() : few_, count}; }
  std::size_t size() const { return size_; }

 private:
  T* data() { return many_ != nullptr ? many_.get() : few_; }
  T few_[kFew] = {};
  std::unique_ptr<T[]> many_;
  std::size_t size_;
};

}  // namespace caisson::cel
