// SPDX-License-Identifier: Apache-2.0
// JMESPath: an expression is compiled once and evaluated over a Value any number of times. Follows the JMESPath
// specification (jmespath.org, the grammar of 2015 and its compliance suite) and, in the Kyverno dialect,
// Kyverno 1.19's functions.
//
// Errors: the message begins with the specification's kind and a colon: "syntax", "invalid-arity", "invalid-type",
// "invalid-value", "unknown-function" or "runtime" (a limit, a function that failed). error_kind() gives it.
// Threads: an Expression never changes; any thread. What an expression may see beyond its input (time, randomness,
// names) is in Environment and is the caller's.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::jmespath {

// `community` is the community edition's grammar with Kyverno's functions, as assertion trees use it: $name and $ (the
// input), `let $a = x, $b = y in z`, and + - * / // % over numbers.
enum class Dialect { standard, kyverno, community };

struct Environment {
  const Clock* clock = nullptr;                // unset: time_now and its like are refused
  std::function<std::uint64_t()> random;       // unset: random() is refused
  std::string default_registry = "docker.io";  // of image_normalize
  // The addresses of a host, as text; unset: is_external_url knows addresses only.
  std::function<Result<std::vector<std::string>>(std::string_view host)> resolve;
  std::size_t steps_max = 2'000'000;  // nodes visited by one search
  std::size_t text_bytes_max = 8u << 20;
};

// What a search found. `missing_key` is set when the path ended at a map that has no such key: the value is null then,
// as the specification wants, and a caller for whom this is an error (Kyverno's variables) can tell.
struct Found {
  Value value;
  std::optional<std::string> missing_key;
};

class Expression {
 public:
  // Errors: syntax; unknown-function and invalid-arity, which are found here, before any data is seen.
  static Result<Expression> compile(std::string_view text, Dialect dialect = Dialect::kyverno);

  // `bindings`: the values of $name, by name. One that is not there is an error: runtime.
  Result<Found> find(const Value& input, const Environment& environment, const Value& bindings = document::kNull) const;
  // The same; a missing key is null.
  Result<Value> search(const Value& input, const Environment& environment) const;

  const std::string& text() const;
  // First names of the paths that begin at the input: "request" and "images" for "request.object.x || images".
  const std::vector<std::string>& roots() const;
  // The names of $name, without those that a `let` makes.
  const std::vector<std::string>& variables() const;
  // It has no functions: of the same input it finds the same, whatever the time.
  bool calls_nothing() const;

 private:
  struct Program;
  explicit Expression(std::shared_ptr<const Program> program) : program_(std::move(program)) {}
  std::shared_ptr<const Program> program_;
};

std::string_view error_kind(const Error& error);

struct FunctionInfo {
  std::string_view name;
  std::string signature;  // "split(string, string) -> array"
  std::string_view note;
};
std::vector<FunctionInfo> functions(Dialect dialect);  // sorted by name

}  // namespace caisson::jmespath
