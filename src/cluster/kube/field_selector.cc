// SPDX-License-Identifier: Apache-2.0
// The grammar and the messages are those of apimachinery's pkg/fields/selector.go.
#include <algorithm>

#include "cluster/kube/selector.h"
#include "core/base/text.h"

namespace caisson::kube {
namespace {

// Splits at commas that no backslash guards.
std::vector<std::string_view> split_terms(std::string_view text) {
  std::vector<std::string_view> out;
  std::size_t start = 0;
  bool escaped = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (escaped) {
      escaped = false;
    } else if (text[i] == '\\') {
      escaped = true;
    } else if (text[i] == ',') {
      out.push_back(text.substr(start, i - start));
      start = i + 1;
    }
  }
  out.push_back(text.substr(start));
  return out;
}

Result<std::string> unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      if (text[i] == ',' || text[i] == '=') {
        return Error{ErrorCode::bad_request,
                     "invalid field selector: unescaped character in value: " + std::string(1, text[i])};
      }
      out += text[i];
      continue;
    }
    if (++i == text.size() || (text[i] != '\\' && text[i] != ',' && text[i] != '=')) {
      return Error{ErrorCode::bad_request,
                   "invalid field selector: invalid escape sequence: " + std::string(text.substr(i - 1, 2))};
    }
    out += text[i];
  }
  return out;
}

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == ',' || c == '=') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

Result<FieldSelector> FieldSelector::parse(std::string_view text) {
  FieldSelector out;
  for (const std::string_view term : split_terms(text)) {
    if (term.empty()) continue;
    std::size_t at = 0;
    while (at < term.size() && term[at] != '=' && term.substr(at, 2) != "!=") ++at;  // only values have escapes
    if (at >= term.size()) {
      return Error{ErrorCode::bad_request,
                   "invalid selector: '" + std::string(text) + "'; can't understand '" + std::string(term) + "'"};
    }
    Term parsed;
    parsed.path = std::string(term.substr(0, at));
    parsed.equal = term[at] == '=';
    const std::size_t length = !parsed.equal || term.substr(at, 2) == "==" ? 2 : 1;
    parsed.value = TRY(unescape(term.substr(at + length)));
    out.terms_.push_back(std::move(parsed));
  }
  std::stable_sort(out.terms_.begin(), out.terms_.end(), [](const Term& a, const Term& b) { return a.path < b.path; });
  return out;
}

bool FieldSelector::matches(const Value& object) const {
  for (const Term& term : terms_) {
    const Value* at = &object;
    for (const std::string_view segment : split(term.path, '.')) at = &(*at)[segment];
    if ((at->scalar_text() == term.value) != term.equal) return false;
  }
  return true;
}

std::string FieldSelector::str() const {
  std::vector<std::string> parts;
  for (const Term& term : terms_) parts.push_back(term.path + (term.equal ? "=" : "!=") + escape(term.value));
  return join(parts, ",");
}

std::string_view FieldSelector::required_value(std::string_view path) const {
  for (const Term& term : terms_) {
    if (term.equal && term.path == path) return term.value;
  }
  return {};
}

std::vector<std::string> FieldSelector::paths() const {
  std::vector<std::string> out;
  for (const Term& term : terms_) out.push_back(term.path);
  return out;
}

}  // namespace caisson::kube
