// SPDX-License-Identifier: Apache-2.0
// The Common Expression Language: cel-spec 0.24, with the libraries and costs of cel-go 0.23 and Kubernetes 1.33.
//
//   const Environment environment({.libraries = kubernetes_libraries(), .variables = {{"self", type}}});
//   const auto program = environment.compile("self.replicas <= self.maxReplicas");     // once
//   Bindings bindings;
//   bindings.set("self", Value::from(document, type));
//   const Outcome outcome = program->evaluate(bindings, {.cost_max = 1'000'000});      // often
//
// Environment and Program never change once made: any thread, at once. A Program keeps alive what it needs.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/expr/cel/type.h"
#include "core/expr/cel/value.h"

namespace caisson::cel {

enum class Library : std::uint32_t {
  // cel-go's ext and cel.OptionalTypes
  optional_types = 1u << 0,
  strings = 1u << 1,
  math = 1u << 2,
  lists = 1u << 3,  // slice, flatten, range, distinct, reverse, sort, sortBy
  sets = 1u << 4,
  encoders = 1u << 5,
  bindings = 1u << 6,                     // cel.bind
  two_variable_comprehensions = 1u << 7,  // transformList, transformMap, all(i, v, …) …
  protos = 1u << 8,                       // proto.getExt, proto.hasExt
  block = 1u << 9,                        // cel.block, as optimizers write it
  strings_reverse = 1u << 10,             // since version 3 of strings; Kubernetes has version 2
  // Kubernetes' own
  kubernetes_lists = 1u << 16,  // isSorted, sum, min, max, indexOf, lastIndexOf
  regex = 1u << 17,
  urls = 1u << 18,
  quantity = 1u << 19,
  ip = 1u << 20,
  cidr = 1u << 21,
  format = 1u << 22,
  semver = 1u << 23,
  authorizer = 1u << 24,
  authorizer_selectors = 1u << 25,
  json_patch = 1u << 26,  // jsonpatch.escapeKey, for mutations
};
using Libraries = std::uint32_t;
constexpr Libraries operator|(Library a, Library b) {
  return static_cast<Libraries>(a) | static_cast<Libraries>(b);
}
constexpr Libraries operator|(Libraries a, Library b) {
  return a | static_cast<Libraries>(b);
}
inline constexpr Libraries kAllLibraries = 0xffffffffu;
// What Kubernetes 1.MINOR gives to admission policies and CRD rules.
Libraries kubernetes_libraries(int minor = 33);

struct Variable {
  std::string name;  // may be qualified: "x.y"
  Type type;
};

// One overload of a function.
// `signature`: "(string).truncate(int): string" is a member function, "math.abs(int): int" a global one; the types are
// dyn, null, bool, int, uint, double, string, bytes, timestamp, duration, list(T), map(K, V), optional(T), type(T), a
// capital letter for a parameter, and any other name for an opaque type.
// `call` gets arguments of exactly the declared kinds (the receiver first); `cost` is 1 where not given.
struct Function {
  using Call = std::function<Result<Value>(std::span<const Value> arguments)>;
  using Cost = std::uint64_t (*)(std::span<const Value> arguments, const Value& result);
  std::string signature;
  Call call;
  Cost cost = nullptr;
};

// Types known by name: messages and enumerations. Threads: any.
class TypeProvider {
 public:
  virtual ~TypeProvider() = default;
  virtual std::optional<Type> find_type(std::string_view name) const = 0;
  virtual std::optional<Type> find_field(std::string_view type, std::string_view field) const = 0;
  virtual std::optional<Value> find_constant(std::string_view name) const = 0;  // an enumeration's
  // The value of `type{field: value, …}`. Errors: bad_request for what does not fit.
  virtual Result<Value> make(std::string_view type, std::span<const std::pair<std::string, Value>> fields) const = 0;
};

struct EnvironmentOptions {
  Libraries libraries = 0;
  std::vector<Variable> variables;
  std::vector<Function> functions;
  std::shared_ptr<const TypeProvider> types;
  std::string container;               // names are looked for in it first: "a.b" before "a" before ""
  bool homogeneous_literals = false;   // [1, "a"] is refused, as Kubernetes does
  bool literals_checked = false;       // durations, timestamps, regular expressions written as literals
  bool presence_test_has_cost = true;  // Kubernetes counts has() as free
  std::size_t expression_bytes_max = 100'000;
  int depth_max = 250;
};
// Kubernetes' settings; variables and types are the caller's.
EnvironmentOptions kubernetes_options(int minor = 33);

struct Limits {
  std::uint64_t cost_max = 0;                        // 0: none. Kubernetes allows 1,000,000 to an expression
  const std::function<bool()>* cancelled = nullptr;  // asked every 1,000 steps
};

class Bindings {
 public:
  void set(std::string_view name, Value value);  // `name` must outlive the Bindings (a literal, mostly)
  const Value* find(std::string_view name) const;

 private:
  std::vector<std::pair<std::string_view, Value>> values_;
};

struct Outcome {
  // Errors: bad_request for what the expression's author did ("no such key: x"); too_large when a limit was met;
  // timeout when cancelled. Value::unknown when the answer depends on a variable bound to Value::unknown.
  Result<Value> value;
  std::uint64_t cost = 0;  // as cel-go counts it
};

class Program {
 public:
  Outcome evaluate(const Bindings& bindings, const Limits& limits = {}) const;
  const Type& result_type() const;  // dyn when compiled without a check
  const std::string& text() const;
  bool uses(std::string_view variable) const;         // oldSelf makes a rule a transition rule
  const std::vector<std::string>& variables() const;  // all that it reads

  struct Impl;
  explicit Program(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  const Impl& impl() const { return *impl_; }  // for the files of this folder

 private:
  std::shared_ptr<const Impl> impl_;
};

class Environment {
 public:
  explicit Environment(EnvironmentOptions options);  // CHECKs the signatures of `functions`

  // Errors: invalid, with every finding as cel-go words and shows them:
  //   ERROR: <input>:1:5: undefined field 'y'
  //    | self.y
  //    | ....^
  Result<Program> compile(std::string_view text) const;
  Result<Program> compile_unchecked(std::string_view text) const;  // parsed only; types are met at run time
  const EnvironmentOptions& options() const;

  struct Impl;

 private:
  std::shared_ptr<const Impl> impl_;
};

}  // namespace caisson::cel
