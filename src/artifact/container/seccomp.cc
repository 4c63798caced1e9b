// SPDX-License-Identifier: Apache-2.0
#include "artifact/container/seccomp.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "core/base/check.h"
#include "core/base/text.h"

namespace caisson::container {
namespace {

constexpr std::string_view kDefaultProfile =
#include "artifact/container/seccomp_default.inc"
    ;
constexpr int kEperm = 1;

Value architectures() {
#if defined(__x86_64__)
  return Value::list_of({"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"});
#elif defined(__aarch64__)
  return Value::list_of({"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"});
#else
  return Value::list();
#endif
}

bool holds(const std::vector<std::string>& capabilities, std::string_view name) {
  return std::find(capabilities.begin(), capabilities.end(), name) != capabilities.end();
}

Value rule(Value names, std::string_view action) {
  return Value{{"names", std::move(names)}, {"action", action}};
}

// "0!=40", "0==8", "0&2114060288==0" as an argument condition.
Value parse_condition(std::string_view text) {
  const auto number = [](std::string_view digits) {
    const auto value = parse_int(digits);
    CHECK(value.has_value());
    return *value;
  };
  const std::size_t op = text.find_first_of("!=&");
  CHECK(op != text.npos);
  const std::int64_t index = number(text.substr(0, op));
  if (text[op] == '&') {
    const std::size_t equals = text.find("==");
    return Value{{"index", index},
                 {"value", number(text.substr(op + 1, equals - op - 1))},
                 {"valueTwo", number(text.substr(equals + 2))},
                 {"op", "SCMP_CMP_MASKED_EQ"}};
  }
  return Value{{"index", index},
               {"value", number(text.substr(op + 2))},
               {"op", text[op] == '!' ? "SCMP_CMP_NE" : "SCMP_CMP_EQ"}};
}

// Plain names of all lines that apply go into one rule; those with conditions or an errno get their own.
void add_line(std::string_view line, const std::vector<std::string>& capabilities, std::vector<std::string>& plain,
              Value& rules) {
  const auto words = split(line, ' ');
  const std::string_view who = words[0].substr(1);
  if (!who.empty() && holds(capabilities, who) != (words[0][0] == '+')) return;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word.empty()) continue;
    const std::size_t open = word.find('('), equals = word.find('=');
    if (open != word.npos) {
      Value one = rule(Value::list_of({std::string(word.substr(0, open))}), "SCMP_ACT_ALLOW");
      one.set("args", Value(std::vector<Value>{parse_condition(word.substr(open + 1, word.size() - open - 2))}));
      rules.push_back(std::move(one));
    } else if (equals != word.npos) {
      Value one = rule(Value::list_of({std::string(word.substr(0, equals))}), "SCMP_ACT_ERRNO");
      one.set("errnoRet", parse_int(word.substr(equals + 1)).value_or(kEperm));
      rules.push_back(std::move(one));
    } else if (std::find(plain.begin(), plain.end(), word) == plain.end()) {
      plain.emplace_back(word);
    }
  }
}

bool applies(const Value& syscalls, const std::vector<std::string>& capabilities) {
#if defined(__x86_64__)
  static constexpr std::string_view kArch = "amd64";
#else
  static constexpr std::string_view kArch = "arm64";
#endif
  const auto any_arch = [](const Value& arches) {
    return std::any_of(arches.items().begin(), arches.items().end(),
                       [](const Value& v) { return v.as_string() == kArch; });
  };
  const Value& includes = syscalls["includes"];
  const Value& excludes = syscalls["excludes"];
  if (!includes["arches"].empty() && !any_arch(includes["arches"])) return false;
  if (any_arch(excludes["arches"])) return false;
  for (const auto& name : includes["caps"].items()) {
    if (!holds(capabilities, name.as_string())) return false;
  }
  for (const auto& name : excludes["caps"].items()) {
    if (holds(capabilities, name.as_string())) return false;
  }
  return true;
}

}  // namespace

Value default_seccomp(const std::vector<std::string>& capabilities) {
  Value rules = Value::list();
  std::vector<std::string> plain;
  for (const auto raw : split(kDefaultProfile, '\n')) {
    const std::string_view line = trim(raw);
    if (line.empty() || line[0] == '#') continue;
    add_line(line, capabilities, plain, rules);
  }
  rules.insert(0, rule(Value::list_of(plain), "SCMP_ACT_ALLOW"));
  return Value{{"defaultAction", "SCMP_ACT_ERRNO"},
               {"defaultErrnoRet", kEperm},
               {"architectures", architectures()},
               {"syscalls", rules}};
}

Result<Value> seccomp_from_profile(const Value& profile, const std::vector<std::string>& capabilities) {
  if (!profile["defaultAction"].is_string()) {
    return Error{ErrorCode::invalid,
                 "defaultAction: a seccomp profile must say what happens to calls it does not name"};
  }
  Value out{{"defaultAction", profile["defaultAction"]}, {"architectures", architectures()}};
  if (profile["defaultErrnoRet"].is_int()) out.set("defaultErrnoRet", profile["defaultErrnoRet"]);
  Value rules = Value::list();
  std::size_t index = 0;
  for (const auto& entry : profile["syscalls"].items()) {
    const std::string where = "syscalls[" + std::to_string(index++) + "]";
    Value names = entry["names"];
    if (names.is_null() && entry["name"].is_string())
      names = Value(std::vector<Value>{entry["name"]});  // Docker's old form
    if (names.empty()) return Error{ErrorCode::invalid, where + ".names: at least one system call"};
    if (!entry["action"].is_string()) return Error{ErrorCode::invalid, where + ".action: required"};
    if (!applies(entry, capabilities)) continue;
    Value one = rule(names, entry["action"].as_string());
    if (entry["errnoRet"].is_int()) one.set("errnoRet", entry["errnoRet"]);
    if (!entry["args"].empty()) one.set("args", entry["args"]);
    rules.push_back(std::move(one));
  }
  out.set("syscalls", std::move(rules));
  return out;
}

}  // namespace caisson::container
