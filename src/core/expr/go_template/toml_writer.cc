// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "core/expr/go_template/numbers.h"
#include "core/expr/go_template/toml.h"

namespace caisson::go_template {
namespace {

constexpr std::size_t kDepthMax = 200;

Error invalid(std::string message) {
  return Error{ErrorCode::invalid, std::move(message)};
}

std::string quoted(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        if (byte >= 0x20 && byte != 0x7F) {
          out += c;
        } else {
          out += "\\u00";
          out += kHex[byte >> 4];
          out += kHex[byte & 0xF];
        }
    }
  }
  return out + '"';
}

std::string key_text(std::string_view key) {
  const bool is_bare = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  return is_bare ? std::string(key) : quoted(key);
}

bool is_null(const Datum& datum) {
  return datum.is_nil() && datum.kind() != Kind::slice;
}

class Writer {
 public:
  Result<std::string> run(const Datum& datum) {
    TRY(encode(datum));
    return std::move(out_);
  }

 private:
  std::string path_text() const {
    std::string out;
    for (const std::string& key : path_) out += (out.empty() ? "" : ".") + key_text(key);
    return out;
  }
  std::string indentation() const { return std::string(path_.empty() ? 0 : (path_.size() - 1) * 2, ' '); }
  void newline() {
    if (!out_.empty()) out_ += '\n';
  }

  static Result<bool> is_table_array(const Datum& datum) {
    if (datum.kind() != Kind::slice || datum.size() == 0) return false;
    bool all_tables = true;
    for (std::size_t i = 0; i < datum.size(); ++i) {
      const Datum item = datum.at(i);
      if (is_null(item)) return invalid("toml: cannot encode array with nil element");
      if (item.kind() != Kind::map) all_tables = false;
    }
    return all_tables;
  }

  Result<void> encode(const Datum& datum) {
    if (path_.size() > kDepthMax) return invalid("toml: data is nested too deeply");
    if (is_null(datum)) return {};
    if (datum.kind() == Kind::map) return table(datum);
    if (TRY(is_table_array(datum))) return table_array(datum);
    if (path_.empty()) return element(datum);
    out_ += indentation() + key_text(path_.back()) + " = ";
    TRY(element(datum));
    out_ += '\n';
    return {};
  }

  Result<void> table(const Datum& datum) {
    if (path_.size() == 1) newline();
    if (!path_.empty()) out_ += indentation() + "[" + path_text() + "]\n";
    return members(datum);
  }

  Result<void> table_array(const Datum& datum) {
    if (path_.empty()) return invalid("toml: top-level values must be Go maps or structs");
    for (std::size_t i = 0; i < datum.size(); ++i) {
      newline();
      out_ += indentation() + "[[" + path_text() + "]]\n";
      TRY(members(datum.at(i)));
    }
    return {};
  }

  static Result<bool> is_sub(const Datum& datum) { return datum.kind() == Kind::map ? true : is_table_array(datum); }

  Result<void> members(const Datum& datum) {
    for (const bool subs : {false, true}) {
      for (const auto& [key, item] : datum.as_map()->entries()) {
        if (TRY(is_sub(item)) != subs) continue;
        path_.push_back(key);
        TRY(encode(item));
        path_.pop_back();
      }
    }
    return {};
  }

  Result<void> element(const Datum& datum) {
    if (datum.is_string()) {
      out_ += quoted(datum.as_string());
    } else if (datum.kind() == Kind::boolean) {
      out_ += datum.as_bool() ? "true" : "false";
    } else if (datum.is_float()) {
      out_ += float_text(datum.as_double());
    } else if (datum.is_unsigned()) {
      out_ += std::to_string(datum.as_uint());
    } else if (datum.is_signed()) {
      out_ += std::to_string(datum.as_int());
    } else if (datum.kind() == Kind::slice) {
      return inline_array(datum);
    } else if (datum.kind() == Kind::map) {
      return inline_table(datum);
    } else if (datum.as_object()) {
      return element(Datum::from(TRY(datum.as_object()->to_value())));
    } else {
      return invalid("unexpected type: " + std::string(datum.type_name()));
    }
    return {};
  }

  static std::string float_text(double number) {
    if (std::isnan(number)) return "nan";
    if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
    std::string text = format_float(number);
    const std::size_t exponent = text.find('e');
    if (text.find('.') == std::string::npos) text.insert(exponent == std::string::npos ? text.size() : exponent, ".0");
    return text;
  }

  Result<void> inline_array(const Datum& datum) {
    if (++depth_ > kDepthMax) return invalid("toml: data is nested too deeply");
    out_ += '[';
    for (std::size_t i = 0; i < datum.size(); ++i) {
      if (i > 0) out_ += ", ";
      TRY(element(datum.at(i)));
    }
    out_ += ']';
    --depth_;
    return {};
  }

  Result<void> inline_table(const Datum& datum) {
    if (++depth_ > kDepthMax) return invalid("toml: data is nested too deeply");
    out_ += '{';
    using Member = std::pair<std::string_view, const Datum*>;
    std::vector<Member> direct, subs;
    for (const auto& [key, item] : datum.as_map()->entries())
      (TRY(is_sub(item)) ? subs : direct).push_back({key, &item});
    // A nil is left out, but not the comma before it: BurntSushi's writer goes by the place among the keys.
    const auto write = [&](const std::vector<Member>& members, bool more) -> Result<void> {
      for (std::size_t i = 0; i < members.size(); ++i) {
        const auto& [key, item] = members[i];
        if (is_null(*item)) continue;
        out_ += key_text(key) + " = ";
        TRY(element(*item));
        if (more || i + 1 < members.size()) out_ += ", ";
      }
      return {};
    };
    TRY(write(direct, !subs.empty()));
    TRY(write(subs, false));
    out_ += '}';
    --depth_;
    return {};
  }

  std::string out_;
  std::vector<std::string> path_;
  std::size_t depth_ = 0;
};

}  // namespace

Result<std::string> toml_text(const Datum& datum) {
  return Writer().run(datum);
}

}  // namespace caisson::go_template
