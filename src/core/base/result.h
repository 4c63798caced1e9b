// SPDX-License-Identifier: Apache-2.0
// Result<T>: a value, or the Error that says why there is none.
//
// Errors travel as values; no exception crosses the door of a room. ErrorCode
// follows Kubernetes' metav1.StatusReason, so the API server answers with the
// Status that kubectl expects and no second table is needed.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace caisson {

enum class ErrorCode : std::uint8_t {
  bad_request,
  unauthorized,
  forbidden,
  not_found,
  method_not_allowed,
  not_acceptable,
  already_exists,
  conflict,
  gone,
  expired,
  invalid,
  too_large,
  unsupported_media_type,
  too_many_requests,
  timeout,
  unavailable,
  internal,
};

struct [[nodiscard]] Error {
  ErrorCode code;
  std::string message;

  // Prepends what was being done, outermost first: "pull web:v2: GET manifest: 404".
  Error in(std::string_view doing) && {
    message.insert(0, std::string(doing) + ": ");
    return std::move(*this);
  }
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }

  // REQUIRES: ok()
  const T& operator*() const { return *std::get_if<0>(&state_); }
  const T* operator->() const { return std::get_if<0>(&state_); }
  T value() && { return std::move(*std::get_if<0>(&state_)); }

  // REQUIRES: !ok()
  const Error& error() const& { return *std::get_if<1>(&state_); }
  Error error() && { return std::move(*std::get_if<1>(&state_)); }

  Result in(std::string_view doing) && {
    if (ok()) return std::move(*this);
    return std::move(*this).error().in(doing);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_; }
  void value() && {}
  const Error& error() const& { return *error_; }
  Error error() && { return *std::move(error_); }

  Result in(std::string_view doing) && {
    if (ok()) return {};
    return std::move(*this).error().in(doing);
  }

 private:
  std::optional<Error> error_;
};

}  // namespace caisson

// Yields the value of `expr`, or returns its error from the enclosing function.
// A GNU statement expression (GCC and Clang). One TRY to a statement: leaving
// early from inside a braced initialiser leaks the members already built.
#define TRY(expr)                            \
  __extension__({                            \
    auto try_result_ = (expr);               \
    if (!try_result_.ok()) [[unlikely]]      \
      return std::move(try_result_).error(); \
    std::move(try_result_).value();          \
  })
