// SPDX-License-Identifier: Apache-2.0
#include "artifact/build/dockerfile.h"

#include <algorithm>
#include <optional>

#include "artifact/build/words.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::build {

Error parse_error(int line, std::string_view what) {
  return Error{ErrorCode::invalid, "dockerfile parse error on line " + std::to_string(line) + ": " + std::string(what)};
}

namespace {

constexpr std::size_t kDockerfileBytesMax = 4u << 20;
constexpr std::string_view kBlanks = " \t\v\f\r";

std::string_view skip_blanks(std::string_view text) {
  const std::size_t at = text.find_first_not_of(kBlanks);
  return at == std::string_view::npos ? std::string_view() : text.substr(at);
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

// Lines with their ends; `at` is the number of the next line, from 1.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {}
  bool done() const { return text_.empty(); }
  int number() const { return number_; }
  std::string_view next_raw() {  // with its line end
    const std::size_t end = text_.find('\n');
    const std::string_view line = text_.substr(0, end == std::string_view::npos ? text_.size() : end + 1);
    text_.remove_prefix(line.size());
    ++number_;
    return line;
  }
  std::string_view next() { return without_end(next_raw()); }
  static std::string_view without_end(std::string_view line) {
    while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }

 private:
  std::string_view text_;
  int number_ = 0;
};

struct Directives {
  char escape = '\\';
  std::string syntax;
};

// "# escape=`" in the first lines; the first line that is none ends them.
Result<Directives> read_directives(std::string_view text) {
  Directives out;
  bool seen_escape = false, seen_syntax = false, seen_check = false;
  Lines lines(text);
  while (!lines.done()) {
    const std::string_view line = skip_blanks(lines.next());
    if (!line.starts_with('#')) break;
    const std::string_view body = skip_blanks(line.substr(1));
    const std::size_t equals = body.find('=');
    if (equals == std::string_view::npos) break;
    const std::string name = to_lower(trim(body.substr(0, equals)));
    const std::string value(trim(body.substr(equals + 1)));
    bool* seen = name == "escape"   ? &seen_escape
                 : name == "syntax" ? &seen_syntax
                 : name == "check"  ? &seen_check
                                    : nullptr;
    if (seen == nullptr || value.empty()) break;
    if (*seen) return parse_error(lines.number(), "only one " + name + " parser directive can be used");
    *seen = true;
    if (name == "syntax") out.syntax = value;
    if (name != "escape") continue;
    if (value != "\\" && value != "`") {
      return parse_error(lines.number(), "invalid escape token '" + value + "' does not match ` or \\");
    }
    out.escape = value[0];
  }
  return out;
}

// Takes the continuation mark off. A doubled mark is none.
bool continues(std::string& line, char escape) {
  const std::size_t last = line.find_last_not_of(" \t");
  if (last == std::string::npos || line[last] != escape) return false;
  if (last > 0 && line[last - 1] == escape) return false;
  line.resize(last);
  return true;
}

// "<<EOF", "3<<-'EOF'" as one word of a line.
std::optional<Heredoc> heredoc_of(std::string_view word, bool& strips_tabs) {
  Heredoc out;
  std::size_t at = 0;
  while (at < word.size() && word[at] >= '0' && word[at] <= '9') ++at;
  out.descriptor = word.substr(0, at);
  if (word.substr(at, 2) != "<<") return std::nullopt;
  at += 2;
  strips_tabs = at < word.size() && word[at] == '-';
  if (strips_tabs) ++at;
  const std::string_view rest = word.substr(at);
  if (rest.empty() || rest.find('<') != std::string_view::npos) return std::nullopt;
  const Result<std::vector<std::string>> plain = expand_words(rest, {}, {.keep_unset = true});
  if (!plain.ok() || plain->size() != 1) return std::nullopt;
  out.name = (*plain)[0];
  out.expands = out.name == rest;
  return out;
}

std::string without_leading_tabs(std::string_view text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && c == '\t') continue;
    line_begins = c == '\n';
    out += c;
  }
  return out;
}

Result<void> read_heredocs(Instruction& instruction, std::string_view line, Lines& lines) {
  const Result<std::vector<std::string>> words = expand_words(line, {}, {.keep_unset = true, .keep_quotes = true});
  if (!words.ok()) return {};  // an open quote: whatever this is, it has no heredoc
  for (const std::string& word : *words) {
    bool strips_tabs = false;
    std::optional<Heredoc> heredoc = heredoc_of(word, strips_tabs);
    if (!heredoc) continue;
    for (;;) {
      if (lines.done()) return parse_error(instruction.line, "unterminated heredoc " + heredoc->name);
      const std::string_view raw = lines.next_raw();
      std::string_view end = Lines::without_end(raw);
      while (strips_tabs && end.starts_with('\t')) end.remove_prefix(1);
      if (end == heredoc->name) break;
      heredoc->raw += raw;
    }
    heredoc->contents = strips_tabs ? without_leading_tabs(heredoc->raw) : heredoc->raw;
    instruction.heredocs.push_back(std::move(*heredoc));
  }
  return {};
}

// Leading "--name[=value]" words. Quotes are taken off.
Result<std::string_view> read_flags(std::string_view text, char escape, Instruction& out) {
  for (;;) {
    text = skip_blanks(text);
    if (!text.starts_with("--")) return text;
    std::string word;
    char quote = 0;
    std::size_t at = 0;
    for (; at < text.size(); ++at) {
      const char c = text[at];
      if (c == escape && at + 1 < text.size() && quote != '\'') {
        word += text[++at];
      } else if (quote != 0) {
        if (c == quote)
          quote = 0;
        else
          word += c;
      } else if (c == '"' || c == '\'') {
        quote = c;
      } else if (kBlanks.find(c) != std::string_view::npos) {
        break;
      } else {
        word += c;
      }
    }
    text = text.substr(at);
    if (word == "--") return skip_blanks(text);
    const std::size_t equals = word.find('=');
    out.flags.emplace_back(word.substr(2, equals == std::string::npos ? std::string::npos : equals - 2),
                           equals == std::string::npos ? "" : word.substr(equals + 1));
    out.flag_has_value.push_back(equals != std::string::npos);
  }
}

// BuildKit's parseJSON: only a list of strings counts; a list with something else in it is an error, anything else no
// JSON.
Result<bool> read_json(std::string_view text, Instruction& out) {
  text = skip_blanks(text);
  if (!text.starts_with('[')) return false;
  const Result<Value> parsed = json::parse(text);
  if (!parsed.ok() || !parsed->is_list()) return false;
  for (const Value& item : parsed->items()) {
    if (!item.is_string()) {
      return parse_error(out.line, "when using JSON array syntax, arrays must be comprised of strings only");
    }
    out.words.push_back(item.str());
  }
  out.is_json = true;
  return true;
}

std::vector<std::string> by_blanks(std::string_view text) {
  std::vector<std::string> out;
  for (text = skip_blanks(text); !text.empty(); text = skip_blanks(text)) {
    const std::size_t end = std::min(text.find_first_of(kBlanks), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return out;
}

// Words at blanks outside quotes; quotes and escapes stay (BuildKit's parseWords).
std::vector<std::string> quoted_words(std::string_view text, char escape) {
  std::vector<std::string> out;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == 0 && (kBlanks.find(c) != std::string_view::npos || c == '\n')) {
      if (in_word) out.push_back(std::exchange(word, {}));
      in_word = false;
      continue;
    }
    in_word = true;
    word += c;
    if (quote != 0) {
      if (c == quote)
        quote = 0;
      else if (c == escape && quote == '"' && i + 1 < text.size())
        word += text[++i];
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == escape && i + 1 < text.size()) {
      word += text[++i];
    }
  }
  if (in_word) out.push_back(std::move(word));
  return out;
}

// ENV and LABEL: "a=b c=d", or the old form "a the rest".
Result<void> read_pairs(std::string_view text, char escape, Instruction& out) {
  const std::vector<std::string> words = quoted_words(text, escape);
  if (words.empty()) return {};
  if (words[0].find('=') == std::string::npos) {
    const std::size_t end = text.find_first_of(kBlanks);
    if (words.size() < 2) return parse_error(out.line, out.keyword + " must have two arguments");
    out.words = {std::string(text.substr(0, end)) + "=" + std::string(skip_blanks(text.substr(end)))};
    return {};
  }
  for (const std::string& word : words) {
    if (word.find('=') == std::string::npos) {
      return parse_error(out.line, "Syntax error - can't find = in \"" + word + "\". Must be of the form: name=value");
    }
  }
  out.words = words;
  return {};
}

const std::vector<std::string_view> kKeywords = {"ADD",    "ARG",   "CMD",         "COPY",  "ENTRYPOINT", "ENV",
                                                 "EXPOSE", "FROM",  "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD",
                                                 "RUN",    "SHELL", "STOPSIGNAL",  "USER",  "VOLUME",     "WORKDIR"};

Result<Instruction> read_instruction(std::string_view text, int line, char escape) {
  Instruction out;
  out.line = line;
  out.original = trim(text);
  const std::string_view body = skip_blanks(text);
  const std::size_t end = std::min(body.find_first_of(kBlanks), body.size());
  out.keyword = upper(body.substr(0, end));
  if (std::find(kKeywords.begin(), kKeywords.end(), out.keyword) == kKeywords.end()) {
    return parse_error(line, "unknown instruction: " + std::string(body.substr(0, std::min<std::size_t>(end, 100))));
  }
  const std::string_view rest = trim(TRY(read_flags(body.substr(end), escape, out)));
  out.rest = rest;
  const std::string& k = out.keyword;
  if (k == "ENV" || k == "LABEL") {
    TRY(read_pairs(rest, escape, out));
  } else if (k == "ARG") {
    out.words = quoted_words(rest, escape);
  } else if (k == "CMD" || k == "ENTRYPOINT" || k == "RUN" || k == "SHELL") {
    TRY(read_json(rest, out));
  } else if (k == "ADD" || k == "COPY" || k == "VOLUME") {
    if (!TRY(read_json(rest, out))) out.words = by_blanks(rest);
  } else if (k == "EXPOSE" || k == "FROM") {
    out.words = by_blanks(rest);
  } else if (k == "HEALTHCHECK") {
    const std::size_t type_end = std::min(rest.find_first_of(kBlanks), rest.size());
    out.rest = skip_blanks(rest.substr(type_end));
    TRY(read_json(out.rest, out));
    out.words.insert(out.words.begin(), upper(rest.substr(0, type_end)));
  }
  return out;
}

bool takes_heredocs(const Instruction& instruction) {
  const std::string& k = instruction.keyword;
  if (k == "ADD" || k == "COPY" || k == "RUN") return true;
  if (k != "ONBUILD") return false;
  const std::string inner = upper(instruction.rest.substr(0, instruction.rest.find_first_of(kBlanks)));
  return inner == "ADD" || inner == "COPY" || inner == "RUN";
}

}  // namespace

Result<Instruction> parse_instruction(std::string_view text, int line, char escape) {
  const std::size_t end = text.find('\n');  // heredocs follow the line, as ONBUILD keeps them
  Instruction out = TRY(read_instruction(text.substr(0, end), line, escape));
  if (end != std::string_view::npos && takes_heredocs(out)) {
    Lines lines(text.substr(end + 1));
    TRY(read_heredocs(out, text.substr(0, end), lines));
  }
  return out;
}

Result<Dockerfile> parse_dockerfile(std::string_view text) {
  if (text.size() > kDockerfileBytesMax) return Error{ErrorCode::too_large, "the Dockerfile is larger than 4 MiB"};
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  if (text.empty()) return Error{ErrorCode::invalid, "the Dockerfile cannot be empty"};
  Dockerfile out;
  const Directives directives = TRY(read_directives(text));
  out.escape = directives.escape;
  out.syntax = directives.syntax;
  Lines lines(text);
  while (!lines.done()) {
    std::string line(skip_blanks(lines.next()));
    const int number = lines.number();
    if (line.empty() || line[0] == '#') continue;
    while (continues(line, out.escape) && !lines.done()) {
      for (;;) {  // comments and empty lines inside do not count
        std::string more(lines.next());
        const std::string_view bare = skip_blanks(more);
        if (!bare.empty() && bare[0] != '#') {
          const bool goes_on = continues(more, out.escape);
          line += more;
          if (goes_on) line += out.escape;
          break;
        }
        if (lines.done()) break;
      }
    }
    Instruction instruction = TRY(read_instruction(line, number, out.escape));
    if (takes_heredocs(instruction)) TRY(read_heredocs(instruction, line, lines));
    out.instructions.push_back(std::move(instruction));
  }
  if (out.instructions.empty()) return Error{ErrorCode::invalid, "file with no instructions"};
  return out;
}

}  // namespace caisson::build
