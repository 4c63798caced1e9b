// SPDX-License-Identifier: Apache-2.0
// The log: one line a fact on standard error, logfmt style. The message is constant, facts are keys, and a thing has
// the same key everywhere. Secrets never come here (SecretBytes prints ***). Any thread.
#pragma once
#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace caisson::log {

struct Field {
  std::string_view key;
  std::string value;
  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(v) {}
  Field(std::string_view k, bool v) : key(k), value(v ? "true" : "false") {}
  template <std::integral T>
  Field(std::string_view k, T v) : key(k), value(std::to_string(v)) {}
  Field(std::string_view k, const Error& e) : key(k), value(e.message) {}
};
using Fields = std::initializer_list<Field>;

enum class Level { debug, info, warning, error };
void set_level(Level least);
void set_process(std::string_view name);  // "server" or "agent": begins every line

void debug(std::string_view message, Fields fields = {});
void info(std::string_view message, Fields fields = {});
void warning(std::string_view message, Fields fields = {});
void error(std::string_view message, Fields fields = {});

}  // namespace caisson::log
