// SPDX-License-Identifier: Apache-2.0
// Datum: a value as a Go template sees it, that is, a Go value with its type. Semantics: Go 1.26, package reflect.
//
// A Datum is a type, and a scalar or a reference to a node. Copying is cheap: strings are shared, and maps, lists and
// objects have reference semantics as in Go. When a template edits a dict (`set`, `merge`, …), everybody who holds that
// dict sees it.
//
// There are two kinds of nothing, as in Go: an *invalid* datum (no type: the untyped nil, printed "<no value>") and a
// *nil interface* (a missing or null member of a map[string]interface {}): asking it for a field is the error "nil
// pointer evaluating interface {}.x".
//
// Documents: `Datum::from` takes a document::Value without copying it. Containers are opened one level at a time, when
// a template iterates over, edits or descends into them. Integers of the Value are int64, floats are float64. What Go's
// encoding/json or sigs.k8s.io/yaml reads has only float64: pass such documents through `with_json_numbers` first
// (values.yaml of a chart; not what `--set` makes, which is int64).
//
// Threads: a node belongs to one thread at a time (its count is not atomic), that is, to one Execution. Values under it
// may be shared with other threads.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::go_template {

class Datum;
struct Call;

// As reflect.Kind.
enum class Kind : std::uint8_t {
  invalid,
  boolean,
  integer,
  int8,
  int16,
  int32,
  int64,
  uint,
  uint8,
  uint16,
  uint32,
  uint64,
  float32,
  float64,
  complex128,
  string,
  slice,
  array,
  map,
  structure,
  pointer,
  interface,
  function,
};
std::string_view kind_name(Kind kind);  // as Go: "int", "slice", "struct", "ptr", "func", …

// A method that templates may call on values of a type; `parameters` as in Function (function.h). `call` finds the
// value it is called on in Call::receiver.
struct Method {
  std::string_view name;
  std::string_view parameters;
  Result<Datum> (*call)(Call&);
};

// A Go type. Types are static constants, and one type is one address.
struct Type {
  Kind kind;
  std::string_view name;          // as printf "%T" writes it: "map[string]interface {}", "chartutil.Values"
  const Type* element = nullptr;  // of a list, a map, a pointer
  std::span<const Method> methods = {};
  std::string (*text)(const Datum&) = nullptr;  // String() or Error(), where the type has one; print and %v, %s use it
  // The unnamed type that this one is made from, where a parameter of that type takes it
  // (chartutil.Values is passed as map[string]interface {}).
  const Type* underlying = nullptr;
};

extern const Type kAny;  // interface {}
extern const Type kBool, kInt, kInt8, kInt16, kInt32, kInt64, kUint, kUint8, kUint16, kUint32, kUint64;
extern const Type kFloat32, kFloat64, kComplex128, kString;
extern const Type kList;        // []interface {}
extern const Type kStringList;  // []string
extern const Type kIntList;     // []int
extern const Type kBytes;       // []uint8; held as a string
extern const Type kMap;         // map[string]interface {}
extern const Type kStringMap;   // map[string]string
extern const Type kFunction;

// --- references to nodes

class Node {
 public:
  Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  virtual ~Node() = default;

  // Made by a function that a template called, and no part of the data that templates run over: what is opened within
  // it is not, either. False is always safe to say.
  bool is_made() const { return is_made_; }
  void set_made() { is_made_ = true; }

 private:
  template <class T>
  friend class Ref;
  mutable std::uint32_t refs_ = 0;
  bool is_made_ = false;
};

// A counted reference; null when default-made.
template <class T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* node) : node_(node) { retain(); }
  Ref(const Ref& other) : node_(other.node_) { retain(); }
  Ref(Ref&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  template <class U>
  Ref(const Ref<U>& other) : node_(other.get()) {
    retain();
  }
  Ref& operator=(Ref other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~Ref() {
    if (node_ && --node_->refs_ == 0) delete node_;
  }
  T* get() const { return node_; }
  T* operator->() const { return node_; }
  T& operator*() const { return *node_; }
  explicit operator bool() const { return node_ != nullptr; }

 private:
  void retain() const {
    if (node_) ++node_->refs_;
  }
  T* node_ = nullptr;
};

template <class T, class... Args>
Ref<T> make(Args&&... args) {
  return Ref<T>(new T(std::forward<Args>(args)...));
}

class Map;
class List;
class Object;

class Datum {
 public:
  Datum() = default;  // invalid: the untyped nil
  Datum(std::nullptr_t) {}
  Datum(bool value) : type_(&kBool), scalar_(value) {}
  Datum(int value) : type_(&kInt), scalar_(value) {}             // Go's int
  Datum(std::int64_t value) : type_(&kInt64), scalar_(value) {}  // Go's int64
  Datum(double value) : type_(&kFloat64), scalar_(value) {}
  Datum(std::string_view value) : type_(&kString), scalar_(value) {}
  Datum(const char* value) : Datum(std::string_view(value)) {}
  Datum(const std::string& value) : Datum(std::string_view(value)) {}
  Datum(Ref<Map> map, const Type& type = kMap);
  Datum(Ref<List> list, const Type& type = kList);
  Datum(Ref<Object> object);  // of the object's own type

  static Datum integer(std::int64_t value) { return scalar(kInt, Value(static_cast<long long>(value))); }  // Go's int
  static Datum nil_interface();                        // a member that is null or missing
  static Datum scalar(const Type& type, Value value);  // a number, string or bool of a given (perhaps named) type
  static Datum bytes(std::string_view bytes);          // []uint8
  static Datum nil_of(const Type& type);               // a nil map, list or pointer of that type
  static Datum of(Ref<Node> node, const Type& type);   // REQUIRES: the class of the node fits the type
  static Datum from(const Value& value);               // see above; a null is a nil interface
  static Datum strings(const std::vector<std::string>& items);  // []string

  const Type* type() const { return type_; }  // nullptr when invalid
  Kind kind() const { return type_ ? type_->kind : Kind::invalid; }
  std::string_view type_name() const { return type_ ? type_->name : "<nil>"; }
  bool is_valid() const { return type_ != nullptr; }
  bool is_nil() const;  // invalid, a nil interface, or a nil map, list, pointer
  bool is_string() const { return kind() == Kind::string; }
  bool is_signed() const { return kind() >= Kind::integer && kind() <= Kind::int64; }
  bool is_unsigned() const { return kind() >= Kind::uint && kind() <= Kind::uint64; }
  bool is_float() const { return kind() == Kind::float32 || kind() == Kind::float64; }

  // --- scalars; what is of another kind reads as "", 0 or false
  bool as_bool() const { return scalar_.as_bool(); }
  std::int64_t as_int() const { return scalar_.as_int(); }  // also the bits of an unsigned number
  std::uint64_t as_uint() const { return static_cast<std::uint64_t>(scalar_.as_int()); }
  double as_double() const { return scalar_.as_double(); }
  std::string_view as_string() const { return scalar_.as_string(); }  // also of kBytes; valid while this Datum lives
  std::string str() const { return scalar_.str(); }
  const Value& scalar_value() const { return scalar_; }

  // --- containers
  Map* as_map() const;        // nullptr unless kind() is map (a nil map has none either)
  List* as_list() const;      // nullptr unless a list with a node
  Object* as_object() const;  // nullptr unless a struct or pointer
  Node* node() const { return node_.get(); }
  std::size_t size() const;                 // entries, items, bytes of a string; else 0
  Datum at(std::size_t index) const;        // of a list or kBytes; REQUIRES: index < size()
  Datum with_type(const Type& type) const;  // the same datum under another type of the same kind
  Datum made() &&;                          // the same datum, its node being made: see Node

  // As encoding/json would marshal and read it back, but with integers kept: lists and maps deep, objects by
  // Object::to_value, kBytes as base64. Errors: invalid for what JSON can't hold (functions, NaN, a cycle, deeper than
  // 1,000 levels).
  Result<Value> to_value() const;

 private:
  const Type* type_ = nullptr;
  Value scalar_;
  Ref<Node> node_;
};

// Every number a float64, and none with its source text: what Go's encoding/json reads into interface {}. Shares what
// has no number in it.
Value with_json_numbers(const Value& value);

// --- nodes

// A Go map with string keys. Iterated in bytewise order of its keys, as templates do.
class Map : public Node {
 public:
  using Entries = std::map<std::string, Datum, std::less<>>;

  Map() = default;
  explicit Map(Value source) : source_(std::move(source)), opened_(false) {}  // REQUIRES: source.is_map()
  explicit Map(Entries entries) : entries_(std::move(entries)) {}

  std::size_t size() const { return opened_ ? entries_.size() : source_.size(); }
  std::optional<Datum> find(std::string_view key) const;  // absent: nullopt; null: a nil interface
  bool contains(std::string_view key) const;
  const Entries& entries() const;  // valid until the next edit
  void set(std::string_view key, Datum value);
  bool erase(std::string_view key);
  void clear();
  // The document that this is; nullptr once a part of it was edited, or handed out and may have been.
  const Value* document() const { return opened_ || !handed_out_.empty() ? nullptr : &source_; }
  // As Datum::to_value; shares with what it was made from. `depth`: of this map within what is being written.
  Result<Value> to_value(std::size_t depth) const;

 private:
  void open() const;

  mutable Value source_;
  // Containers within source_ that templates asked for, by their place in it: everybody shall see one dict there.
  mutable std::vector<std::pair<const Value*, Datum>> handed_out_;
  mutable Entries entries_;  // once opened_: when a template edits it, or walks over all of it
  mutable bool opened_ = true;
};

// A Go slice. Not changed once made (templates have no way to), but what its items refer to may be.
class List : public Node {
 public:
  List() = default;
  explicit List(Value source) : source_(std::move(source)), opened_(false) {}  // REQUIRES: source.is_list()
  explicit List(std::vector<Datum> items) : items_(std::move(items)) {}

  std::size_t size() const { return opened_ ? items_.size() : source_.size(); }
  const std::vector<Datum>& items() const;
  const Value* document() const { return opened_ ? nullptr : &source_; }  // nullptr once items were handed out
  Result<Value> to_value(std::size_t depth) const;                        // as Map's

 private:
  mutable Value source_;  // what it was made from; null when that was no document
  mutable std::vector<Datum> items_;
  mutable bool opened_ = true;
};

// A Go struct or a pointer to one: `.Chart`, `.Files`, a time, a semantic version. Methods come from its Type.
class Object : public Node {
 public:
  virtual const Type& type() const = 0;  // kind structure or pointer; one static constant per class
  // nullopt: the struct has no such field. A field that holds nil is Datum::nil_of or Datum::nil_interface.
  virtual std::optional<Datum> field(std::string_view name) const;
  // Names of the fields, in their order, for %v and %+v ("{x y}", "{A:x B:y}").
  virtual std::vector<std::string_view> field_names() const;
  // What json.Marshal makes of it, for toJson and toYaml. Default: a map of the fields under their names.
  virtual Result<Value> to_value() const;
  // reflect.DeepEqual and ==. Default: the same object.
  virtual bool equals(const Object& other) const;
};

}  // namespace caisson::go_template
