// SPDX-License-Identifier: Apache-2.0
// Assignability and unification of types with parameters, as cel-go's checker does it.
#pragma once
#include <map>
#include <string>

#include "core/expr/cel/type.h"

namespace caisson::cel {

class Substitution {
 public:
  // Whether a value of type `from` may stand where `to` is wanted; learns what parameters stand for, when it may.
  bool assign(const Type& from, const Type& to);
  bool assign(const std::vector<Type>& from, const std::vector<Type>& to);
  // Parameters replaced by what they stand for; unbound ones by dyn when wanted.
  Type apply(const Type& type, bool unbound_to_dyn) const;
  void bind(std::string parameter, Type type) { bound_.insert_or_assign(std::move(parameter), std::move(type)); }
  Type fresh() { return Type::parameter("_var" + std::to_string(next_++)); }

 private:
  bool unify(const Type& from, const Type& to);
  bool unify_all(const std::vector<Type>& from, const std::vector<Type>& to);
  struct Valid {
    bool fits, was_bound;
  };
  Valid substitute(const Type& type, const Type& parameter);
  bool occurs(const Type& parameter, const Type& within) const;
  const Type* find(const Type& parameter) const;

  std::map<std::string, Type, std::less<>> bound_;
  int next_ = 0;
};

// The more general of two types that unify.
Type most_general(const Type& a, const Type& b);

}  // namespace caisson::cel
