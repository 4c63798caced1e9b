// SPDX-License-Identifier: Apache-2.0
// Types of the Common Expression Language (cel-spec 0.24, "Gradual Type Checking").
//
// A Type is a small immutable value; copying is a count. An object type either carries its fields (made from a schema)
// or names a type whose fields a TypeProvider knows (messages, which may be recursive). Any thread.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace caisson::cel {

enum class TypeKind : std::uint8_t {
  dyn,  // also google.protobuf.Any
  error,
  null,
  boolean,
  integer,
  unsigned_integer,
  floating,
  string,
  bytes,
  timestamp,
  duration,
  list,
  map,
  type,       // the type of a type
  parameter,  // of an overload: A, B
  wrapper,    // a scalar or null: google.protobuf.Int64Value
  object,     // has fields
  opaque      // has none: optional_type(A), net.IP
};

struct TypeNode;

class Type {
 public:
  Type(TypeKind kind = TypeKind::dyn) : kind_(kind) {}  // a kind without parameters
  static Type list(Type element);
  static Type map(Type key, Type value);
  static Type optional(Type value);
  static Type type_of(Type type);
  static Type wrapper(TypeKind scalar);
  static Type parameter(std::string name);
  static Type opaque(std::string name, std::vector<Type> parameters = {});
  static Type object(std::string name);  // its fields are known to the TypeProvider
  static Type from(TypeKind kind, TypeNode node);

  TypeKind kind() const { return kind_; }
  bool is(TypeKind kind) const { return kind_ == kind; }
  bool is_dyn() const { return kind_ == TypeKind::dyn; }
  bool is_optional() const;
  std::string_view name() const;                  // of an object, opaque type or parameter; else the kind's name in CEL
  const std::vector<Type>& parameters() const;    // list: element; map: key, value; wrapper, type: what it is of
  const Type& parameter_at(std::size_t i) const;  // dyn when there is none
  const TypeNode* node() const { return node_.get(); }
  std::string str() const;  // as compile errors show it: "map(string, list(int))"

  bool operator==(const Type& other) const;  // by name and parameters

 private:
  TypeKind kind_;
  std::shared_ptr<const TypeNode> node_;
};

// How a document's list compares and adds (x-kubernetes-list-type).
enum class ListSemantics : std::uint8_t { atomic, set, map };

struct Field {
  std::string name;  // as expressions write it: "__namespace__"
  std::string key;   // as the document has it: "namespace"
  Type type;
  bool operator==(const Field&) const = default;
};

struct TypeNode {
  std::string name;
  std::vector<Type> parameters;
  std::vector<Field> fields;  // of an object that carries its fields, sorted by name
  bool has_fields = false;
  ListSemantics list_semantics = ListSemantics::atomic;
  std::vector<std::string> list_keys;  // of ListSemantics::map
  std::uint64_t size_max = 0;          // of strings (characters), lists, maps: what the schema allows; 0: not said

  const Field* find(std::string_view field) const;
  const Field* find_key(std::string_view key) const;
};

}  // namespace caisson::cel
