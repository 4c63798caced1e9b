// SPDX-License-Identifier: Apache-2.0
#include "artifact/build/words.h"

#include "artifact/build/glob.h"

namespace caisson::build {
namespace {

constexpr int kEnd = -1;
constexpr int kDepthMax = 50;  // of ${a:-${b:-…}}

bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_name_char(int c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(int c) {
  return c >= '0' && c <= '9';
}
bool is_special(int c) {
  return c != kEnd && std::string_view("@*#?-$!").find(static_cast<char>(c)) != std::string_view::npos;
}

class Words {
 public:
  void add(char c) {  // splits at blanks
    if (is_blank(c)) {
      end();
    } else {
      add_raw(c);
    }
  }
  void add_raw(char c) { word_ += c; }
  void add(std::string_view text) {
    for (const char c : text) add(c);
  }
  void add_raw(std::string_view text) { word_ += text; }
  std::vector<std::string> take() {
    end();
    return std::move(words_);
  }

 private:
  void end() {
    if (!word_.empty()) words_.push_back(std::exchange(word_, {}));
  }
  std::string word_;
  std::vector<std::string> words_;
};

struct Expanded {
  std::string text;
  std::vector<std::string> words;
};

class Reader {
 public:
  Reader(std::string_view text, const Variables& variables, const WordOptions& options)
      : text_(text), variables_(variables), options_(options) {}

  Result<Expanded> read(int stop, bool keep_escapes) {
    if (++depth_ > kDepthMax) return Error{ErrorCode::bad_request, "substitutions are nested too deeply"};
    Expanded out;
    Words words;
    while (peek() != kEnd) {
      if (stop != kEnd && peek() == stop) {
        next();
        --depth_;
        out.words = words.take();
        return out;
      }
      if (peek() == '$') {
        const std::string value = TRY(dollar());
        out.text += value;
        words.add(value);
      } else if (!options_.plain_quotes && (peek() == '\'' || peek() == '"')) {
        const std::string value = peek() == '"' ? TRY(double_quoted()) : TRY(single_quoted());
        out.text += value;
        words.add_raw(value);
      } else {
        char c = static_cast<char>(next());
        if (c != options_.escape) {
          words.add(c);
          out.text += c;
          continue;
        }
        if (keep_escapes || options_.keep_quotes) {
          words.add_raw(c);
          out.text += c;
        }
        if (peek() == kEnd) break;
        c = static_cast<char>(next());
        words.add_raw(c);
        out.text += c;
      }
    }
    if (stop != kEnd) {
      return Error{ErrorCode::bad_request,
                   std::string("unexpected end of statement while looking for matching ") + static_cast<char>(stop)};
    }
    --depth_;
    out.words = words.take();
    return out;
  }

 private:
  int peek() const { return at_ < text_.size() ? static_cast<unsigned char>(text_[at_]) : kEnd; }
  int next() { return at_ < text_.size() ? static_cast<unsigned char>(text_[at_++]) : kEnd; }

  Result<std::string> single_quoted() {
    std::string out;
    const int quote = next();
    if (options_.keep_quotes) out += static_cast<char>(quote);
    for (;;) {
      const int c = next();
      if (c == kEnd)
        return Error{ErrorCode::bad_request, "unexpected end of statement while looking for matching single-quote"};
      if (c == '\'') {
        if (options_.keep_quotes) out += '\'';
        return out;
      }
      out += static_cast<char>(c);
    }
  }

  Result<std::string> double_quoted() {
    std::string out;
    next();
    if (options_.keep_quotes) out += '"';
    for (;;) {
      const int c = peek();
      if (c == kEnd)
        return Error{ErrorCode::bad_request, "unexpected end of statement while looking for matching double-quote"};
      if (c == '"') {
        next();
        if (options_.keep_quotes) out += '"';
        return out;
      }
      if (c == '$') {
        out += TRY(dollar());
        continue;
      }
      char one = static_cast<char>(next());
      if (one == options_.escape) {
        if (options_.keep_quotes) out += one;
        const int after = peek();
        if (after == kEnd) continue;
        // Only these can be escaped; before all others the escape stays.
        if (after == '"' || after == '$' || after == options_.escape) one = static_cast<char>(next());
      }
      out += one;
    }
  }

  std::string name() {
    std::string out;
    for (;;) {
      const int c = peek();
      if (out.empty() && is_digit(c)) {
        while (is_digit(peek())) out += static_cast<char>(next());
        return out;
      }
      if (out.empty() && is_special(c)) return std::string(1, static_cast<char>(next()));
      if (!is_name_char(c)) return out;
      out += static_cast<char>(next());
    }
  }

  Result<std::string> dollar() {
    next();
    if (peek() == '{') {
      next();
      return braced();
    }
    const std::string variable = name();
    if (variable.empty()) return std::string("$");
    const std::string* value = find_variable(variables_, variable);
    if (value == nullptr) return options_.keep_unset ? "$" + variable : std::string();
    return *value;
  }

  Result<std::string> braced() {
    if (peek() == '}') return Error{ErrorCode::bad_request, "bad substitution"};
    const std::string variable = name();
    const std::string* value = find_variable(variables_, variable);
    int c = next();
    if (c == kEnd) return Error{ErrorCode::bad_request, "syntax error: missing '}'"};
    if (c == '}') {
      if (variable.empty()) return Error{ErrorCode::bad_request, "bad substitution"};
      if (value == nullptr) return options_.keep_unset ? "${" + variable + "}" : std::string();
      return *value;
    }
    bool empty_is_unset = false;
    if (c == ':') {
      empty_is_unset = true;
      c = next();
    }
    const bool is_unset = value == nullptr || (empty_is_unset && value->empty());
    const std::string set_value = value == nullptr ? std::string() : *value;
    const auto unsupported = [&] {
      const std::string modifier =
          std::string(empty_is_unset ? ":" : "") + (c == kEnd ? "" : std::string(1, static_cast<char>(c)));
      return Error{ErrorCode::bad_request, "unsupported modifier (" + modifier + ") in substitution"};
    };
    switch (c) {
      case '-':
      case '+':
      case '?': {
        const std::string word = TRY(operand('}', false));
        if (c == '-') return is_unset ? word : set_value;
        if (c == '+') return is_unset ? std::string() : word;
        if (!is_unset) return set_value;
        const std::string default_message = empty_is_unset ? "not allowed to be empty" : "not allowed to be unset";
        return Error{ErrorCode::bad_request, variable + ": " + (word.empty() ? default_message : word)};
      }
      case '#':
      case '%': {
        if (empty_is_unset) return unsupported();
        bool greedy = false;
        if (peek() == c) {
          greedy = true;
          next();
        }
        const std::string pattern = TRY(operand('}', true));
        return c == '#' ? trim_prefix(set_value, pattern, greedy) : trim_suffix(set_value, pattern, greedy);
      }
      case '/': {
        if (empty_is_unset) return unsupported();
        const bool all = peek() == '/';
        if (all) next();
        const std::string pattern = TRY(operand('/', true));
        const std::string replacement = TRY(operand('}', false));
        return replace_pattern(set_value, pattern, replacement, all);
      }
      default:
        return unsupported();
    }
  }

  Result<std::string> operand(char stop, bool keep_escapes) {
    Result<Expanded> word = read(stop, keep_escapes);
    if (!word.ok()) {
      if (at_ >= text_.size()) return Error{ErrorCode::bad_request, "syntax error: missing '}'"};
      return std::move(word).error();
    }
    return std::move(word).value().text;
  }

  static std::string trim_prefix(const std::string& value, const std::string& pattern, bool greedy) {
    for (std::size_t i = 0; i <= value.size(); ++i) {
      const std::size_t length = greedy ? value.size() - i : i;
      if (matches_shell(pattern, std::string_view(value).substr(0, length))) return value.substr(length);
    }
    return value;
  }
  static std::string trim_suffix(const std::string& value, const std::string& pattern, bool greedy) {
    for (std::size_t i = 0; i <= value.size(); ++i) {
      const std::size_t from = greedy ? i : value.size() - i;
      if (matches_shell(pattern, std::string_view(value).substr(from))) return value.substr(0, from);
    }
    return value;
  }
  static std::string replace_pattern(const std::string& value, const std::string& pattern, const std::string& to,
                                     bool all) {
    std::string out;
    std::size_t at = 0;
    while (at <= value.size()) {
      std::size_t length = value.size() - at;
      while (length > 0 && !matches_shell(pattern, std::string_view(value).substr(at, length))) --length;
      if (length == 0) {
        if (at < value.size()) out += value[at];
        ++at;
        continue;
      }
      out += to;
      at += length;
      if (!all) return out + value.substr(at);
    }
    return out;
  }

  std::string_view text_;
  const Variables& variables_;
  const WordOptions& options_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

Result<Expanded> process(std::string_view text, const Variables& variables, const WordOptions& options) {
  Reader reader(text, variables, options);
  Result<Expanded> out = reader.read(kEnd, false);
  if (!out.ok()) return std::move(out).in("failed to process \"" + std::string(text.substr(0, 300)) + "\"");
  return out;
}

}  // namespace

const std::string* find_variable(const Variables& variables, std::string_view name) {
  for (const auto& [key, value] : variables) {
    if (key == name) return &value;
  }
  return nullptr;
}

void set_variable(Variables& variables, std::string_view name, std::string_view value) {
  for (auto& [key, old] : variables) {
    if (key == name) {
      old = value;
      return;
    }
  }
  variables.emplace_back(name, value);
}

Result<std::string> expand(std::string_view text, const Variables& variables, const WordOptions& options) {
  Expanded out = TRY(process(text, variables, options));
  return std::move(out.text);
}

Result<std::vector<std::string>> expand_words(std::string_view text, const Variables& variables,
                                              const WordOptions& options) {
  Expanded out = TRY(process(text, variables, options));
  return std::move(out.words);
}

}  // namespace caisson::build
