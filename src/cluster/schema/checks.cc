// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/checks.h"

#include <arpa/inet.h>

#include <algorithm>
#include <map>

#include "core/base/text.h"

namespace caisson::schema {
namespace {

constexpr std::string_view kLabelText =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric "
    "character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
constexpr std::string_view kSubdomainText =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an "
    "alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
constexpr std::string_view k1035Text =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an "
    "alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
constexpr std::string_view kNameText =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or "
    "'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
constexpr std::string_view kLabelValueText =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an "
    "alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

bool lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool digit(char c) {
  return c >= '0' && c <= '9';
}
bool alnum(char c) {
  return lower(c) || digit(c) || (c >= 'A' && c <= 'Z');
}
bool low_alnum(char c) {
  return lower(c) || digit(c);
}

bool is_label(std::string_view text) {
  if (text.empty() || !low_alnum(text.front()) || !low_alnum(text.back())) return false;
  for (char c : text) {
    if (!low_alnum(c) && c != '-') return false;
  }
  return true;
}

bool is_name(std::string_view text) {
  if (text.empty() || !alnum(text.front()) || !alnum(text.back())) return false;
  for (char c : text) {
    if (!alnum(c) && c != '-' && c != '_' && c != '.') return false;
  }
  return true;
}

std::string too_long(int max) {
  return "must be no more than " + std::to_string(max) + " characters";
}

bool is_subdomain(std::string_view text) {
  for (std::string_view part : split(text, '.')) {
    if (!is_label(part)) return false;
  }
  return true;
}

using Check = std::vector<std::string> (*)(std::string_view);

}  // namespace

std::vector<std::string> check_dns_label(std::string_view text) {
  std::vector<std::string> out;
  if (text.size() > 63) out.push_back(too_long(63));
  if (!is_label(text)) out.emplace_back(is_subdomain(text) ? "must not contain dots" : kLabelText);
  return out;
}

std::vector<std::string> check_dns_subdomain(std::string_view text) {
  std::vector<std::string> out;
  if (text.size() > 253) out.push_back(too_long(253));
  if (!is_subdomain(text)) out.emplace_back(kSubdomainText);
  return out;
}

std::vector<std::string> check_dns_1035_label(std::string_view text) {
  std::vector<std::string> out;
  if (text.size() > 63) out.push_back(too_long(63));
  if (!is_label(text) || digit(text.front())) out.emplace_back(k1035Text);
  return out;
}

std::vector<std::string> check_qualified_name(std::string_view text) {
  std::vector<std::string> out;
  const auto slash = split(text, '/');
  std::string_view name = slash.back();
  if (slash.size() > 2) {
    return {"a qualified name " + std::string(kNameText) +
            " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"};
  }
  if (slash.size() == 2) {
    if (slash[0].empty())
      out.push_back("prefix part must be non-empty");
    else
      for (const std::string& why : check_dns_subdomain(slash[0])) out.push_back("prefix part " + why);
  }
  if (name.empty())
    out.push_back("name part must be non-empty");
  else if (name.size() > 63)
    out.push_back("name part " + too_long(63));
  if (!is_name(name)) out.push_back("name part " + std::string(kNameText));
  return out;
}

std::vector<std::string> check_label_value(std::string_view text) {
  std::vector<std::string> out;
  if (text.size() > 63) out.push_back(too_long(63));
  if (!text.empty() && !is_name(text)) out.emplace_back(kLabelValueText);
  return out;
}

std::vector<std::string> check_path_segment(std::string_view text) {
  if (text == ".") return {"may not be '.'"};
  if (text == "..") return {"may not be '..'"};
  std::vector<std::string> out;
  if (text.find('/') != std::string_view::npos) out.emplace_back("may not contain '/'");
  if (text.find('%') != std::string_view::npos) out.emplace_back("may not contain '%'");
  return out;
}

std::vector<std::string> check_config_key(std::string_view text) {
  std::vector<std::string> out;
  if (text.size() > 253) out.push_back(too_long(253));
  bool fine = !text.empty();
  for (char c : text) fine = fine && (alnum(c) || c == '-' || c == '_' || c == '.');
  if (!fine) {
    out.emplace_back(
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME', "
        " or "
        "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')");
  }
  if (text == "." || text == "..")
    out.push_back("must not be '" + std::string(text) + "'");
  else if (text.starts_with(".."))
    out.emplace_back("must not start with '..'");
  return out;
}

std::vector<std::string> check_env_name(std::string_view text) {
  for (char c : text) {
    if (c < 32 || c > 126 || c == '=') {
      return {"a valid environment variable name must consist only of printable ASCII characters other than '='"};
    }
  }
  return {};
}

std::vector<std::string> check_port_name(std::string_view text) {
  std::vector<std::string> out;
  if (text.size() > 15) out.push_back("must be no more than 15 characters");
  bool charset = true, letter = false, doubled = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    charset = charset && (low_alnum(text[i]) || text[i] == '-');
    letter = letter || lower(text[i]);
    doubled = doubled || (text[i] == '-' && i + 1 < text.size() && text[i + 1] == '-');
  }
  if (!charset) out.emplace_back("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  if (!letter) out.emplace_back("must contain at least one letter (a-z)");
  if (doubled) out.emplace_back("must not contain consecutive hyphens");
  if (!text.empty() && (text.front() == '-' || text.back() == '-'))
    out.emplace_back("must not begin or end with a hyphen");
  return out;
}

bool is_ip(std::string_view text) {
  unsigned char bytes[16];
  const std::string copy(text);
  return inet_pton(AF_INET, copy.c_str(), bytes) == 1 || inet_pton(AF_INET6, copy.c_str(), bytes) == 1;
}

bool is_cidr(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos || !is_ip(text.substr(0, slash))) return false;
  const auto bits = parse_int(text.substr(slash + 1));
  const int most = text.find(':') == std::string_view::npos ? 32 : 128;
  return bits && *bits >= 0 && *bits <= most;
}

void run_check(std::string_view check, const std::string& field, const Value& value, std::vector<FieldError>& out) {
  static const std::map<std::string_view, Check> kTexts = {
      {"dns-label", check_dns_label},
      {"dns-subdomain", check_dns_subdomain},
      {"env-name", check_env_name},
      {"port-name", check_port_name},
  };
  if (const auto found = kTexts.find(check); found != kTexts.end()) {
    if (value.as_string().empty()) return;
    for (const std::string& why : found->second(value.as_string())) out.push_back(invalid_value(field, value, why));
  } else if (check == "port" || check == "port-or-0") {
    if (value.is_string()) {
      for (const std::string& why : check_port_name(value.as_string())) out.push_back(invalid_value(field, value, why));
      return;
    }
    const std::int64_t port = value.as_int();
    if (check == "port-or-0" && port == 0) return;
    if (port < 1 || port > 65535) out.push_back(invalid_value(field, value, "must be between 1 and 65535, inclusive"));
  } else if (check == "config-keys") {
    for (const auto& [key, text] : value.entries()) {
      for (const std::string& why : check_config_key(key)) {
        out.push_back(invalid_value(field + "[" + std::string(key) + "]", Value(key), why));
      }
    }
  } else if (check == "relative-path") {
    const std::string_view path = value.as_string();
    if (path.starts_with('/')) out.push_back(invalid_value(field, value, "must be a relative path"));
    for (std::string_view part : split(path, '/')) {
      if (part == "..") {
        out.push_back(invalid_value(field, value, "must not contain '..'"));
        break;
      }
    }
  } else if (check == "git-branch") {
    const std::string_view name = value.as_string();
    bool fine = !name.empty() && name.front() != '-' && name.front() != '/' && name.back() != '/' && name.back() != '.';
    for (std::string_view wrong : {"..", "//", "@{", " ", "~", "^", ":", "?", "*", "[", "\\"}) {
      fine = fine && name.find(wrong) == std::string_view::npos;
    }
    if (!fine) out.push_back(invalid_value(field, value, "must be a valid branch name (git check-ref-format)"));
  }
}

FieldError invalid_value(std::string field, Value bad, std::string detail) {
  return {FieldError::Type::invalid, std::move(field), std::move(bad), std::move(detail)};
}
FieldError bare_invalid(std::string field, std::string detail) {
  return {FieldError::Type::invalid, std::move(field), go_value(""), std::move(detail)};
}
Value go_map(const Value& map) {
  if (!map.is_map()) return go_value("map[string]string(nil)");
  std::vector<std::string> parts;
  for (const auto& [key, child] : map.entries())
    parts.push_back("\"" + std::string(key) + "\":\"" + child.str() + "\"");
  std::sort(parts.begin(), parts.end());
  return go_value("map[string]string{" + join(parts, ", ") + "}");
}
Value go_value(std::string text) {
  return Value(FieldError::kAsItStands + std::move(text));
}
FieldError required_value(std::string field, std::string detail) {
  return {FieldError::Type::required, std::move(field), Value(), std::move(detail)};
}
FieldError unsupported_value(std::string field, Value bad, const std::vector<std::string>& supported) {
  std::string text = "supported values: ";
  for (std::size_t i = 0; i < supported.size(); ++i) text += (i ? ", \"" : "\"") + supported[i] + "\"";
  return {FieldError::Type::not_supported, std::move(field), std::move(bad), std::move(text)};
}
FieldError duplicate_value(std::string field, Value bad) {
  return {FieldError::Type::duplicate, std::move(field), std::move(bad), ""};
}
FieldError forbidden_value(std::string field, std::string detail) {
  return {FieldError::Type::forbidden, std::move(field), Value(), std::move(detail)};
}

}  // namespace caisson::schema
