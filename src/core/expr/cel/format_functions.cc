// SPDX-License-Identifier: Apache-2.0
// Kubernetes' named formats: format.dns1123Label().validate(text) gives what is wrong, or optional.none().
#include <algorithm>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/expr/cel/environment.h"
#include "core/expr/cel/value_data.h"

namespace caisson::cel {
namespace {

using Arguments = std::span<const Value>;
using Problems = std::vector<std::string>;

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_lower_or_digit(char c) {
  return is_lower(c) || is_digit(c);
}

std::string too_long(std::size_t most) {
  return "must be no more than " + std::to_string(most) + " characters";
}

// [a-z0-9]([-a-z0-9]*[a-z0-9])?
bool is_label(std::string_view text) {
  return !text.empty() && is_lower_or_digit(text.front()) && is_lower_or_digit(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_lower_or_digit(c) || c == '-'; });
}
bool is_subdomain(std::string_view text) {
  const auto parts = caisson::split(text, '.');
  return std::all_of(parts.begin(), parts.end(), is_label);
}
// ([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]
bool is_qualified_part(std::string_view text) {
  const auto alphanumeric = [](char c) { return is_lower_or_digit(c) || is_upper(c); };
  return !text.empty() && alphanumeric(text.front()) && alphanumeric(text.back()) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

// generateName may end with a dash; what is appended ends it.
std::string without_dash(std::string_view text, bool prefix) {
  std::string out(text);
  if (prefix && out.size() > 1 && out.back() == '-') out.back() = 'a';
  return out;
}

Problems label(std::string_view text, bool prefix) {
  Problems out;
  if (text.size() > 63) out.push_back(too_long(63));
  if (!is_label(without_dash(text, prefix)))
    out.emplace_back(
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
        "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')");
  return out;
}
Problems subdomain(std::string_view text, bool prefix) {
  Problems out;
  if (text.size() > 253) out.push_back(too_long(253));
  if (!is_subdomain(without_dash(text, prefix)))
    out.emplace_back(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
        "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')");
  return out;
}
Problems label1035(std::string_view text, bool prefix) {
  Problems out;
  if (text.size() > 63) out.push_back(too_long(63));
  const std::string whole = without_dash(text, prefix);
  if (!is_label(whole) || !is_lower(whole.front()))
    out.emplace_back(
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
        "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation "
        "is "
        "'[a-z]([-a-z0-9]*[a-z0-9])?')");
  return out;
}
Problems qualified_name_problems(std::string_view text, bool) {
  constexpr std::string_view kForm =
      "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
      "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
      "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
  const auto parts = caisson::split(text, '/');
  Problems out;
  if (parts.size() > 2)
    return {"a qualified name " + std::string(kForm) +
            " with an optional DNS subdomain prefix and '/' (e.g. "
            "'example.com/MyName')"};
  if (parts.size() == 2) {
    if (parts[0].empty())
      out.emplace_back("prefix part must be non-empty");
    else
      for (const std::string& problem : subdomain(parts[0], false)) out.push_back("prefix part " + problem);
  }
  const std::string_view name = parts.back();
  if (name.empty())
    out.emplace_back("name part must be non-empty");
  else if (name.size() > 63)
    out.push_back("name part " + too_long(63));
  if (!is_qualified_part(name)) out.push_back("name part " + std::string(kForm));
  return out;
}
Problems label_value(std::string_view text, bool) {
  Problems out;
  if (text.size() > 63) out.push_back(too_long(63));
  if (!text.empty() && !is_qualified_part(text))
    out.emplace_back(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
        "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
        "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')");
  return out;
}
Problems uri(std::string_view text, bool) {
  for (const Declaration& declaration : url_functions()) {
    if (!declaration.signature.starts_with("isURL(")) continue;
    const Value argument = Value::string(text);
    const auto good = declaration.call(std::span(&argument, 1));
    if (good.ok() && good->as_bool()) return {};
  }
  if (text.empty()) return {"parse \"\": empty url"};
  return {"parse \"" + std::string(text) + "\": invalid URI for request"};
}
Problems uuid(std::string_view text, bool) {
  std::size_t digits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = static_cast<char>(text[i] | 32);
    if (text[i] == '-' && (digits == 8 || digits == 12 || digits == 16 || digits == 20) && text[i - 1] != '-') continue;
    if (!is_digit(text[i]) && !(c >= 'a' && c <= 'f')) return {"does not match the UUID format"};
    ++digits;
  }
  return digits == 32 ? Problems{} : Problems{"does not match the UUID format"};
}
Problems base64_bytes(std::string_view text, bool) {
  return !text.empty() && text.size() % 4 == 0 && unbase64(text).ok() ? Problems{} : Problems{"invalid base64"};
}
Problems date(std::string_view text, bool) {
  const bool good = text.size() == 10 && parse_timestamp(std::string(text) + "T00:00:00Z");
  return good ? Problems{} : Problems{"invalid date"};
}
Problems date_time(std::string_view text, bool) {
  return parse_timestamp(text) ? Problems{} : Problems{"invalid datetime"};
}

struct Format {
  std::string_view key, name;
  Problems (*check)(std::string_view text, bool prefix);
  bool prefix;
  std::uint64_t regex_size;  // what Kubernetes counts the check's regular expression as
};
constexpr Format kFormats[] = {
    {"dns1123Label", "DNS1123Label", label, false, 30},
    {"dns1123Subdomain", "DNS1123Subdomain", subdomain, false, 60},
    {"dns1035Label", "DNS1035Label", label1035, false, 30},
    {"qualifiedName", "QualifiedName", qualified_name_problems, false, 60},
    {"dns1123LabelPrefix", "DNS1123LabelPrefix", label, true, 30},
    {"dns1123SubdomainPrefix", "DNS1123SubdomainPrefix", subdomain, true, 60},
    {"dns1035LabelPrefix", "DNS1035LabelPrefix", label1035, true, 30},
    {"labelValue", "LabelValue", label_value, false, 40},
    {"uri", "URI", uri, false, 1103},
    {"uuid", "uuid", uuid, false, 72},
    {"byte", "byte", base64_bytes, false, 84},
    {"date", "date", date, false, 72},
    {"datetime", "datetime", date_time, false, 72},
};

class FormatObject : public Object {
 public:
  explicit FormatObject(const Format& format) : format_(format) {}
  Type type() const override { return Type::opaque("kubernetes.NamedFormat"); }
  bool equals(const Object& other) const override {
    const auto* format = dynamic_cast<const FormatObject*>(&other);
    return format != nullptr && format->format_.name == format_.name;
  }
  const Format& format() const { return format_; }

 private:
  const Format& format_;
};

Result<Value> named(Arguments a) {
  for (const Format& format : kFormats) {
    if (format.key == a[0].as_string()) return Value::optional(Value(std::make_shared<const FormatObject>(format)));
  }
  return Value::optional(std::nullopt);
}
template <std::size_t I>
Result<Value> constant(Arguments) {
  return Value(std::make_shared<const FormatObject>(kFormats[I]));
}
Result<Value> validate(Arguments a) {
  const Format& format = static_cast<const FormatObject&>(a[0].as_object()).format();
  std::vector<Value> problems;
  for (const std::string& problem : format.check(a[1].as_string(), format.prefix))
    problems.push_back(Value::string(problem));
  return Value::optional(problems.empty() ? std::nullopt : std::optional<Value>(Value::list(std::move(problems))));
}

std::uint64_t cost_of_validate(Arguments a, const Value&) {
  const Format& format = static_cast<const FormatObject&>(a[0].as_object()).format();
  return string_cost(actual_size(a[1]) + 1) * string_cost(format.regex_size, 0.25);
}

#define F "kubernetes.NamedFormat"
constexpr Declaration kFunctions[] = {
    {"(" F ").validate(string): optional(list(string))", validate, cost_of_validate},
    {"format.named(string): optional(" F ")", named},
    {"format.dns1123Label(): " F, constant<0>},
    {"format.dns1123Subdomain(): " F, constant<1>},
    {"format.dns1035Label(): " F, constant<2>},
    {"format.qualifiedName(): " F, constant<3>},
    {"format.dns1123LabelPrefix(): " F, constant<4>},
    {"format.dns1123SubdomainPrefix(): " F, constant<5>},
    {"format.dns1035LabelPrefix(): " F, constant<6>},
    {"format.labelValue(): " F, constant<7>},
    {"format.uri(): " F, constant<8>},
    {"format.uuid(): " F, constant<9>},
    {"format.byte(): " F, constant<10>},
    {"format.date(): " F, constant<11>},
    {"format.datetime(): " F, constant<12>},
};
#undef F

}  // namespace

std::span<const Declaration> format_functions() {
  return kFunctions;
}

}  // namespace caisson::cel
