// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/logql/json_scan.h"

#include <algorithm>
#include <charconv>

#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::logs::logql {
namespace {

constexpr int kDepthMax = 128;

void append_utf8(std::string& out, unsigned code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

}  // namespace

// Upstream's reader has four words for what is broken, by where it stands.
Error JsonScan::broken() const {
  return {ErrorCode::bad_request, "Malformed JSON error"};
}

namespace {

Error no_object() {
  return {ErrorCode::bad_request, "Value looks like object, but can't find closing '}' symbol"};
}
Error cut_off() {
  return {ErrorCode::bad_request, "Value is array, but can't find closing ']' symbol"};
}

}  // namespace

void JsonScan::blank() {
  while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
    ++at_;
}

Result<void> JsonScan::escape(std::string& out) {
  const auto unit = [&]() -> Result<unsigned> {
    unsigned code = 0;
    const char* begin = text_.data() + at_;
    if (at_ + 4 > text_.size() || std::from_chars(begin, begin + 4, code, 16).ptr != begin + 4) return broken();
    at_ += 4;
    return code;
  };
  constexpr std::string_view kNames = "\"\\/bfnrt", kValues = "\"\\/\b\f\n\r\t";
  if (at_ >= text_.size()) return broken();
  const char c = text_[at_++];
  if (const std::size_t named = kNames.find(c); named != std::string_view::npos) {
    out += kValues[named];
    return {};
  }
  if (c != 'u') return broken();
  unsigned code = TRY(unit());
  if (code >= 0xD800 && code < 0xDC00 && text_.substr(at_).starts_with("\\u")) {
    at_ += 2;
    const unsigned low = TRY(unit());
    code = low >= 0xDC00 && low < 0xE000 ? 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00) : 0xFFFD;
  }
  append_utf8(out, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code);
  return {};
}

Result<std::string> JsonScan::string() {
  std::string out;
  if (at_ >= text_.size() || text_[at_] != '"') return broken();
  ++at_;
  for (;;) {
    const std::size_t stop = text_.find_first_of("\"\\", at_);
    if (stop == std::string_view::npos) {
      at_ = text_.size();
      return broken();
    }
    out += text_.substr(at_, stop - at_);
    at_ = stop + 1;
    if (text_[stop] == '"') return out;
    TRY(escape(out));
  }
}

Result<void> JsonScan::skip_container(int depth, char close) {
  ++at_;
  blank();
  if (at_ < text_.size() && text_[at_] == close) {
    ++at_;
    return {};
  }
  for (;;) {
    blank();
    if (close == '}') {
      TRY(string());
      blank();
      if (at_ >= text_.size() || text_[at_++] != ':') return broken();
    }
    TRY(item(depth + 1));
    blank();
    if (at_ >= text_.size()) return broken();
    const char c = text_[at_++];
    if (c == close) return {};
    if (c != ',') return broken();
  }
}

Result<JsonScan::Item> JsonScan::item(int depth) {
  if (depth > kDepthMax) return Error{ErrorCode::bad_request, "JSON is nested too deeply"};
  blank();
  if (at_ >= text_.size()) return broken();
  Item out;
  const std::size_t begin = at_;
  const char c = text_[at_];
  if (c == '"') {
    out.kind = JsonKind::string;
    out.value = TRY(string());
  } else if (c == '{' || c == '[') {
    out.kind = c == '{' ? JsonKind::map : JsonKind::list;
    TRY(skip_container(depth, c == '{' ? '}' : ']'));
  } else {
    while (at_ < text_.size() && std::string_view(",]} \t\r\n:\"").find(text_[at_]) == std::string_view::npos) ++at_;
    const std::string_view word = text_.substr(begin, at_ - begin);
    if (word == "true" || word == "false")
      out.kind = JsonKind::boolean;
    else if (word == "null")
      out.kind = JsonKind::null;
    else if (!word.empty() && (word[0] == '-' || (word[0] >= '0' && word[0] <= '9')))
      out.kind = JsonKind::number;
    else
      return Error{ErrorCode::bad_request, "Unknown value type"};
  }
  out.raw = text_.substr(begin, at_ - begin);
  return out;
}

// The members of a map whose brace comes next. `call` reads the value.
Result<void> JsonScan::each_member(const std::function<Result<void>(std::string key)>& call) {
  blank();
  if (at_ >= text_.size() || text_[at_] != '{') return no_object();
  ++at_;
  for (;;) {
    blank();
    if (at_ < text_.size() && text_[at_] == '}') {  // also behind a comma
      ++at_;
      return {};
    }
    if (at_ >= text_.size() || text_[at_] != '"') return no_object();
    std::string key = TRY(string());
    blank();
    if (at_ >= text_.size() || text_[at_++] != ':') return broken();
    blank();
    TRY(call(std::move(key)));
    blank();
    if (at_ >= text_.size()) return cut_off();
    if (text_[at_] == ',')
      ++at_;
    else if (text_[at_] != '}')
      return no_object();
  }
}

Result<void> JsonScan::map(int depth, std::vector<std::string>& path, const Leaf& call) {
  if (depth > kDepthMax) return Error{ErrorCode::bad_request, "JSON is nested too deeply"};
  return each_member([&](std::string key) -> Result<void> {
    path.push_back(std::move(key));
    if (at_ < text_.size() && text_[at_] == '{') {
      TRY(map(depth + 1, path, call));
    } else {
      const Item one = TRY(item(depth + 1));
      call(path, one.kind, one.kind == JsonKind::string ? std::string_view(one.value) : one.raw);
    }
    path.pop_back();
    return {};
  });
}

Result<void> JsonScan::leaves(const Leaf& call) {
  std::vector<std::string> path;
  return map(0, path, call);
}

Result<void> JsonScan::members(
    const std::function<void(const std::string&, JsonKind, std::string_view, std::string_view)>& call) {
  return each_member([&](std::string key) -> Result<void> {
    const Item one = TRY(item(1));
    call(key, one.kind, one.raw, one.kind == JsonKind::string ? std::string_view(one.value) : one.raw);
    return {};
  });
}

namespace {

// The words of upstream's small grammar for paths: FIELD, "STRING", INDEX, and the signs between them.
class PathReader {
 public:
  explicit PathReader(std::string_view text) : text_(text) { next(); }

  Result<std::vector<JsonStep>> read() {
    std::vector<JsonStep> out;
    if (is("FIELD"))
      out.push_back(field());
    else if (is("LSB"))
      out.push_back(TRY(access()));
    else
      return unexpected("LSB or FIELD");
    while (!is("$end")) {
      if (is("LSB")) {
        out.push_back(TRY(access()));
        continue;
      }
      if (!is("DOT")) return unexpected("");
      next();
      if (!is("FIELD")) return unexpected("FIELD");
      out.push_back(field());
    }
    return out;
  }

 private:
  bool is(std::string_view token) const { return token_ == token; }

  Error unexpected(std::string_view expecting) const {
    std::string message = "cannot parse expression [" + std::string(text_) + "]: ";
    message += bad_ ? "unexpected char " + std::string(1, bad_) : "syntax error: unexpected " + std::string(token_);
    if (!bad_ && !expecting.empty()) message += ", expecting " + std::string(expecting);
    return {ErrorCode::bad_request, std::move(message)};
  }

  JsonStep field() {
    JsonStep step{std::string(word_), 0, false};
    next();
    return step;
  }

  Result<JsonStep> access() {
    next();
    JsonStep step;
    if (is("STRING")) {
      step.key = word_;
    } else if (is("INDEX")) {
      const auto index = parse_int(word_);
      if (!index) return Error{ErrorCode::bad_request, "index " + std::string(word_) + " is too large"};
      step.index = static_cast<std::size_t>(*index);
      step.is_index = true;
    } else {
      return unexpected("STRING or INDEX");
    }
    next();
    if (!is("RSB")) return unexpected("RSB");
    next();
    return step;
  }

  void next() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) ++at_;
    token_ = "$end";
    if (at_ >= text_.size()) return;
    const char c = text_[at_];
    if (c >= '0' && c <= '9') return take("INDEX", [](char d) { return d >= '0' && d <= '9'; });
    if (is_in_name(c)) return take("FIELD", is_in_name);
    if (c == '"') {
      const std::size_t close = std::min(text_.find('"', at_ + 1), text_.size());
      token_ = "STRING";
      word_ = text_.substr(at_ + 1, close - at_ - 1);
      at_ = std::min(close + 1, text_.size());
      return;
    }
    ++at_;
    if (c == '.' || c == '[' || c == ']')
      token_ = c == '.' ? "DOT" : c == '[' ? "LSB" : "RSB";
    else
      token_ = "", bad_ = c;
  }

  static bool is_in_name(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || static_cast<unsigned char>(c) >= 0x80;
  }
  void take(std::string_view token, bool (*belongs)(char)) {
    const std::size_t begin = at_;
    while (at_ < text_.size() && belongs(text_[at_])) ++at_;
    token_ = token;
    word_ = text_.substr(begin, at_ - begin);
  }

  const std::string_view text_;
  std::size_t at_ = 0;
  std::string_view token_, word_;
  char bad_ = '\0';
};

}  // namespace

Result<std::vector<JsonStep>> parse_json_path(std::string_view text) {
  return PathReader(text).read();
}

std::string json_at(std::string_view text, const std::vector<JsonStep>& path) {
  std::string current(text);
  JsonKind kind = JsonKind::map;
  for (const JsonStep& step : path) {
    // One level: its members, or its items as members by their number.
    std::string found;
    JsonKind found_kind = JsonKind::null;
    if (step.is_index) {
      const auto list = json::parse(current, {.depth_max = kDepthMax});
      if (!list.ok() || !list->is_list() || step.index >= list->size()) return std::string();
      const Value& one = (*list)[step.index];
      found_kind = one.is_string() ? JsonKind::string
                   : one.is_map()  ? JsonKind::map
                   : one.is_list() ? JsonKind::list
                   : one.is_null() ? JsonKind::null
                                   : JsonKind::number;
      found = one.is_string() ? one.str() : json::write(one);
    } else {
      bool any = false;
      (void)JsonScan(current)
          .members([&](const std::string& key, JsonKind member_kind, std::string_view raw, std::string_view value) {
            if (any || key != step.key) return;
            any = true;
            found_kind = member_kind;
            found = member_kind == JsonKind::string ? value : raw;
          })
          .ok();
      if (!any) return std::string();  // what is broken behind it does not matter
    }
    kind = found_kind;
    current = std::move(found);
    const bool last = &step == &path.back();
    if (!last && kind != JsonKind::map && kind != JsonKind::list) return std::string();
  }
  return kind == JsonKind::null ? std::string() : current;
}

}  // namespace caisson::logs::logql
