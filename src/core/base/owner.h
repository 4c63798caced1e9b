// SPDX-License-Identifier: Apache-2.0
// Owned<T, free>: the unique_ptr of a C library's object, which is given back by the library's own function.
#pragma once
#include <memory>

namespace caisson {

template <auto Free>
struct FreedBy {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};

template <class T, auto Free>
using Owned = std::unique_ptr<T, FreedBy<Free>>;

}  // namespace caisson
