// SPDX-License-Identifier: Apache-2.0
#include "core/expr/cel/unify.h"

#include <algorithm>

namespace caisson::cel {
namespace {

bool is_nullable(const Type& type) {
  switch (type.kind()) {
    case TypeKind::null:
    case TypeKind::wrapper:
    case TypeKind::object:
    case TypeKind::opaque:
    case TypeKind::timestamp:
    case TypeKind::duration:
      return true;
    default:
      return false;
  }
}

bool less_specific_or_equal(const Type& a, const Type& b) {
  if (a.is_dyn() || a.is(TypeKind::parameter)) return true;
  if (b.is_dyn() || b.is(TypeKind::parameter)) return false;
  if (b.is(TypeKind::null) && is_nullable(a)) return true;
  if (a.is(TypeKind::wrapper) && !b.is(TypeKind::wrapper)) return a.parameter_at(0) == b;
  if (a.kind() != b.kind()) return false;
  if (a.is(TypeKind::type)) return true;
  if (!a.is(TypeKind::opaque) && !a.is(TypeKind::list) && !a.is(TypeKind::map)) return a == b;
  return a.name() == b.name() && std::equal(a.parameters().begin(), a.parameters().end(), b.parameters().begin(),
                                            b.parameters().end(), less_specific_or_equal);
}

Type scalar_of(const Type& type) {
  return type.is(TypeKind::wrapper) ? type.parameter_at(0) : type;
}

}  // namespace

Type most_general(const Type& a, const Type& b) {
  return less_specific_or_equal(a, b) ? a : b;
}

const Type* Substitution::find(const Type& parameter) const {
  if (!parameter.is(TypeKind::parameter)) return nullptr;
  const auto found = bound_.find(parameter.name());
  return found == bound_.end() ? nullptr : &found->second;
}

bool Substitution::assign(const Type& from, const Type& to) {
  auto before = bound_;
  if (unify(from, to)) return true;
  bound_ = std::move(before);
  return false;
}

bool Substitution::assign(const std::vector<Type>& from, const std::vector<Type>& to) {
  auto before = bound_;
  if (unify_all(from, to)) return true;
  bound_ = std::move(before);
  return false;
}

bool Substitution::unify_all(const std::vector<Type>& from, const std::vector<Type>& to) {
  if (from.size() != to.size()) return false;
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (!unify(from[i], to[i])) return false;
  }
  return true;
}

bool Substitution::unify(const Type& from, const Type& to) {
  if (to.is(TypeKind::parameter)) {
    const Valid valid = substitute(from, to);
    if (valid.fits) return true;
    if (valid.was_bound) return false;
  }
  if (from.is(TypeKind::parameter)) return substitute(to, from).fits;
  if (from.is_dyn() || to.is_dyn() || from.is(TypeKind::error) || to.is(TypeKind::error)) return true;
  if (from.is(TypeKind::null)) return is_nullable(to);
  if (to.is(TypeKind::null)) return is_nullable(from);
  switch (from.kind()) {
    case TypeKind::type:
      return to.is(TypeKind::type);
    case TypeKind::opaque:
    case TypeKind::list:
    case TypeKind::map:
      return from.kind() == to.kind() && from.name() == to.name() && unify_all(from.parameters(), to.parameters());
    default:
      return scalar_of(from) == scalar_of(to);
  }
}

// Whether `type` may be what `parameter` stands for.
Substitution::Valid Substitution::substitute(const Type& type, const Type& parameter) {
  if (type == parameter) return {true, true};
  if (const Type* found = find(parameter)) {
    const Type bound = *found;
    if (type == bound) return {true, true};
    if (!unify(type, bound)) return {false, true};
    Type general = most_general(type, bound);
    if (!occurs(parameter, general)) bind(std::string(parameter.name()), std::move(general));
    return {true, true};
  }
  if (occurs(parameter, type)) return {false, false};
  bind(std::string(parameter.name()), type);
  return {true, false};
}

bool Substitution::occurs(const Type& parameter, const Type& within) const {
  if (parameter == within) return true;
  if (const Type* bound = find(within)) return occurs(parameter, *bound);
  return std::any_of(within.parameters().begin(), within.parameters().end(),
                     [&](const Type& part) { return occurs(parameter, part); });
}

Type Substitution::apply(const Type& type, bool unbound_to_dyn) const {
  if (const Type* bound = find(type)) return apply(*bound, unbound_to_dyn);
  if (type.is(TypeKind::parameter)) return unbound_to_dyn ? Type() : type;
  const bool has_parts =
      type.is(TypeKind::opaque) || type.is(TypeKind::list) || type.is(TypeKind::map) || type.is(TypeKind::type);
  if (!has_parts || type.parameters().empty()) return type;
  std::vector<Type> parts;
  for (const Type& part : type.parameters()) parts.push_back(apply(part, unbound_to_dyn));
  if (parts == type.parameters()) return type;
  TypeNode node = *type.node();
  node.parameters = std::move(parts);
  return Type::from(type.kind(), std::move(node));
}

}  // namespace caisson::cel
