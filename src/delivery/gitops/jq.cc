// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/jq.h"

#include <dlfcn.h>
#include <jq.h>

#include <memory>

#include "core/document/json.h"

namespace caisson::gitops {
namespace {

constexpr std::size_t kExpressionBytesMax = 4096;
constexpr std::size_t kCompiledMax = 64;
constexpr std::size_t kPathsMax = 10'000;

struct Library {
  decltype(&::jq_init) init = nullptr;
  decltype(&::jq_teardown) teardown = nullptr;
  decltype(&::jq_compile) compile = nullptr;
  decltype(&::jq_start) start = nullptr;
  decltype(&::jq_next) next = nullptr;
  decltype(&::jq_set_error_cb) set_error_cb = nullptr;
  decltype(&::jv_parse_sized) parse = nullptr;
  decltype(&::jv_dump_string) dump = nullptr;
  decltype(&::jv_string_value) string_value = nullptr;
  decltype(&::jv_get_kind) get_kind = nullptr;
  decltype(&::jv_invalid_has_msg) has_message = nullptr;
  decltype(&::jv_invalid_get_msg) message = nullptr;
  decltype(&::jv_copy) copy = nullptr;
  decltype(&::jv_free) free = nullptr;
  bool complete = false;

  Library() {
    void* const handle = ::dlopen("libjq.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!handle) return;
    complete = load(handle, "jq_init", init) && load(handle, "jq_teardown", teardown) &&
               load(handle, "jq_compile", compile) && load(handle, "jq_start", start) &&
               load(handle, "jq_next", next) && load(handle, "jq_set_error_cb", set_error_cb) &&
               load(handle, "jv_parse_sized", parse) && load(handle, "jv_dump_string", dump) &&
               load(handle, "jv_string_value", string_value) && load(handle, "jv_get_kind", get_kind) &&
               load(handle, "jv_invalid_has_msg", has_message) && load(handle, "jv_invalid_get_msg", message) &&
               load(handle, "jv_copy", copy) && load(handle, "jv_free", free);
  }

  template <typename Function>
  static bool load(void* handle, const char* name, Function& into) {
    into = reinterpret_cast<Function>(::dlsym(handle, name));
    return into != nullptr;
  }
};

const Library& library() {
  static const Library kLibrary;
  return kLibrary;
}

std::string text_of(jv value) {  // consumes it
  const jv text = library().dump(value, 0);
  std::string out = library().string_value(text);
  library().free(text);
  return out;
}

bool word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// The first word, outside of strings and not a field's name, with which an expression could run for ever or look
// outside of the document.
std::string_view forbidden_word(std::string_view expression) {
  static constexpr std::string_view kForbidden[] = {"def",
                                                    "recurse",
                                                    "recurse_down",
                                                    "repeat",
                                                    "while",
                                                    "until",
                                                    "range",
                                                    "limit",
                                                    "foreach",
                                                    "reduce",
                                                    "label",
                                                    "input",
                                                    "inputs",
                                                    "env",
                                                    "ENV",
                                                    "import",
                                                    "include",
                                                    "debug",
                                                    "halt",
                                                    "halt_error",
                                                    "input_line_number",
                                                    "get_search_list",
                                                    "combinations",
                                                    "infinite"};
  char before = ' ';
  for (std::size_t i = 0; i < expression.size();) {
    if (expression[i] == '"') {
      for (++i; i < expression.size() && expression[i] != '"'; ++i) {
        if (expression[i] == '\\') {
          if (i + 1 < expression.size() && expression[i + 1] == '(') return "\\(";
          ++i;
        }
      }
      before = '"';
      ++i;
      continue;
    }
    if (!word_character(expression[i])) {
      before = expression[i++];
      continue;
    }
    const std::size_t from = i;
    while (i < expression.size() && word_character(expression[i])) ++i;
    const std::string_view word = expression.substr(from, i - from);
    for (std::string_view one : kForbidden) {
      if (before != '.' && word == one) return one;
    }
    before = 'a';
  }
  return {};
}

struct Compiled {
  jq_state* state = nullptr;
  std::string error;

  explicit Compiled(const std::string& expression) {
    state = library().init();
    library().set_error_cb(
        state,
        [](void* self, jv message) {
          std::string& error = static_cast<Compiled*>(self)->error;
          if (error.empty())
            error = text_of(message);
          else
            library().free(message);
        },
        this);
    const std::string program = "path(" + expression + ")";
    if (!library().compile(state, program.c_str()) && error.empty()) error = "it does not compile";
  }
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
  ~Compiled() { library().teardown(&state); }
};

Compiled& compiled(const std::string& expression) {
  static thread_local std::map<std::string, std::unique_ptr<Compiled>> cache;
  if (cache.size() > kCompiledMax) cache.clear();
  auto& one = cache[expression];
  if (!one) one = std::make_unique<Compiled>(expression);
  return *one;
}

}  // namespace

Result<std::vector<std::vector<Value>>> jq_paths(const std::string& expression, const Value& document) {
  const auto invalid = [&](const std::string& why) {
    return Error{ErrorCode::invalid, "jq path expression \"" + expression + "\": " + why};
  };
  if (expression.size() > kExpressionBytesMax) return invalid("longer than 4096 bytes");
  if (const auto word = forbidden_word(expression); !word.empty())
    return invalid("\"" + std::string(word) + "\" is not allowed: the expression must surely end");
  if (!library().complete) return Error{ErrorCode::unavailable, "libjq.so.1 is not installed (package libjq1)"};
  Compiled& program = compiled(expression);
  if (!program.error.empty()) return invalid(program.error);
  const std::string text = json::write(document);
  const jv input = library().parse(text.data(), static_cast<int>(text.size()));
  library().start(program.state, input, 0);
  std::vector<std::vector<Value>> out;
  for (;;) {
    const jv path = library().next(program.state);
    if (library().get_kind(path) == JV_KIND_INVALID) {
      const bool failed = library().has_message(library().copy(path)) != 0;
      if (!failed) {
        library().free(path);
        return out;
      }
      return invalid(text_of(library().message(path)));
    }
    auto parsed = json::parse(text_of(path));
    if (!parsed.ok()) return invalid(parsed.error().message);
    out.emplace_back(parsed->items().begin(), parsed->items().end());
    if (out.size() > kPathsMax) return invalid("it names more than 10000 places");
  }
}

}  // namespace caisson::gitops
