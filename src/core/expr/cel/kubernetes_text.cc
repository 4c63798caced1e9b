// SPDX-License-Identifier: Apache-2.0
// Kubernetes' regex, url, semver and jsonpatch libraries (k8s.io/apiserver/pkg/cel/library, 1.33).
#include <algorithm>
#include <array>
#include <charconv>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/expr/cel/environment.h"
#include "core/expr/cel/regex.h"

namespace caisson::cel {
namespace {

using Arguments = std::span<const Value>;

// --- regex

Result<Value> find(Arguments a) {
  const Regex regex = TRY(Regex::compile(a[1].as_string()));
  const auto found = regex.find_all(a[0].as_string(), 1);
  return Value::string(found.empty() ? std::string_view() : found[0]);
}
Result<Value> find_all(Arguments a) {
  const Regex regex = TRY(Regex::compile(a[1].as_string()));
  const std::int64_t most = a.size() > 2 ? a[2].as_int() : -1;
  std::vector<Value> out;
  if (most == 0) return Value::list(std::move(out));
  for (const std::string_view found :
       regex.find_all(a[0].as_string(), most < 0 ? std::string_view::npos : static_cast<std::size_t>(most)))
    out.push_back(Value::string(found));
  return Value::list(std::move(out));
}

constexpr Declaration kRegex[] = {
    {"(string).find(string): string", find, cost_of_regex},
    {"(string).findAll(string): list(string)", find_all, cost_of_regex},
    {"(string).findAll(string, int): list(string)", find_all, cost_of_regex},
};

// --- url, as Go's url.ParseRequestURI

struct Url {
  std::string text, scheme, host, path, query;  // host with its port

  std::string hostname() const {
    if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
    return host.substr(0, host.find(':'));
  }
  std::string port() const {
    const std::size_t from = host.starts_with('[') ? host.find(']') : 0;
    const std::size_t colon = host.find(':', from);
    return colon == std::string::npos ? "" : host.substr(colon + 1);
  }
};

bool is_scheme(std::string_view text) {
  if (text.empty() || !((text[0] | 32) >= 'a' && (text[0] | 32) <= 'z')) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  });
}
bool has_good_escapes(std::string_view text) {
  return percent_decode(text).ok();
}
bool is_good_host(std::string_view host) {
  if (host.find_first_of(" <>\"%\\^`{}|/") != std::string_view::npos) return false;
  std::string_view after = host;
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos) return false;
    after = host.substr(end + 1);
    if (!after.empty() && after[0] != ':') return false;
  }
  const std::size_t colon = after.rfind(':');
  if (colon == std::string_view::npos) return true;
  const std::string_view port = after.substr(colon + 1);
  return std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<Url> parse_url(std::string_view text) {
  Url out{std::string(text), "", "", "", ""};
  if (text.empty()) return std::nullopt;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
  }
  std::string_view rest = text;
  const std::size_t colon = rest.find_first_of(":/?#");
  if (colon != std::string_view::npos && rest[colon] == ':') {
    if (!is_scheme(rest.substr(0, colon))) return std::nullopt;
    out.scheme = to_lower(rest.substr(0, colon));
    rest.remove_prefix(colon + 1);
  }
  if (const std::size_t question = rest.find('?'); question != std::string_view::npos) {
    out.query = rest.substr(question + 1, rest.find('#', question) - question - 1);
    rest = rest.substr(0, question);
  }
  if (!rest.starts_with('/')) return out.scheme.empty() ? std::nullopt : std::optional(std::move(out));
  if (rest.starts_with("//") && (!out.scheme.empty() || !rest.starts_with("///"))) {
    const std::size_t end = std::min(rest.find('/', 2), rest.size());
    std::string_view authority = rest.substr(2, end - 2);
    if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) authority.remove_prefix(at + 1);
    if (!is_good_host(authority)) return std::nullopt;
    out.host = authority;
    rest.remove_prefix(end);
  }
  if (!has_good_escapes(rest)) return std::nullopt;
  out.path = rest;
  return out;
}

// What Go's EscapedPath leaves as it is.
std::string escaped_path(std::string_view path) {
  constexpr std::string_view kKept = "-_.~$&+,/:;=@%!'()*[]";
  std::string out;
  for (const char c : path) {
    const bool plain = ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9');
    if (plain || kKept.find(c) != std::string_view::npos)
      out += c;
    else
      out += percent_encode(std::string_view(&c, 1));
  }
  return out;
}

class UrlObject : public Object {
 public:
  explicit UrlObject(Url url) : url_(std::move(url)) {}
  Type type() const override { return Type::opaque("kubernetes.URL"); }
  bool equals(const Object& other) const override {
    const auto* url = dynamic_cast<const UrlObject*>(&other);
    return url != nullptr && url->url_.text == url_.text;
  }
  const Url& url() const { return url_; }

 private:
  Url url_;
};

const Url& url_of(const Value& v) {
  return static_cast<const UrlObject&>(v.as_object()).url();
}

Result<Value> make_url(Arguments a) {
  auto url = parse_url(a[0].as_string());
  if (!url)
    return bad("URL parse error during conversion from string: parse \"" + std::string(a[0].as_string()) +
               "\": invalid URI for request");
  return Value(std::make_shared<const UrlObject>(*std::move(url)));
}
Result<Value> is_url(Arguments a) {
  return Value(parse_url(a[0].as_string()).has_value());
}
Result<Value> url_scheme(Arguments a) {
  return Value::string(url_of(a[0]).scheme);
}
Result<Value> url_host(Arguments a) {
  return Value::string(url_of(a[0]).host);
}
Result<Value> url_hostname(Arguments a) {
  return Value::string(url_of(a[0]).hostname());
}
Result<Value> url_port(Arguments a) {
  return Value::string(url_of(a[0]).port());
}
Result<Value> url_path(Arguments a) {
  return Value::string(escaped_path(url_of(a[0]).path));
}
Result<Value> url_query(Arguments a) {
  std::vector<std::pair<std::string, std::vector<Value>>> grouped;
  for (const std::string_view pair : caisson::split(url_of(a[0]).query, '&')) {
    if (pair.empty() || pair.find(';') != std::string_view::npos) continue;
    const std::size_t equal = std::min(pair.find('='), pair.size());
    const auto decode = [](std::string_view text) { return percent_decode(replace_all(std::string(text), "+", " ")); };
    const auto key = decode(pair.substr(0, equal)), value = decode(pair.substr(std::min(equal + 1, pair.size())));
    if (!key.ok() || !value.ok()) continue;
    auto found = std::find_if(grouped.begin(), grouped.end(), [&](const auto& entry) { return entry.first == *key; });
    if (found == grouped.end()) found = grouped.insert(grouped.end(), {*key, {}});
    found->second.push_back(Value::string(*value));
  }
  std::vector<std::pair<Value, Value>> entries;
  for (auto& [key, values] : grouped) entries.emplace_back(Value::string(key), Value::list(std::move(values)));
  return Value::map(std::move(entries));
}

constexpr Declaration kUrls[] = {
    {"url(string): kubernetes.URL", make_url, cost_of_first},
    {"isURL(string): bool", is_url},
    {"(kubernetes.URL).getScheme(): string", url_scheme},
    {"(kubernetes.URL).getHost(): string", url_host},
    {"(kubernetes.URL).getHostname(): string", url_hostname},
    {"(kubernetes.URL).getPort(): string", url_port},
    {"(kubernetes.URL).getEscapedPath(): string", url_path},
    {"(kubernetes.URL).getQuery(): map(string, list(string))", url_query},
};

// --- semver 2.0.0

struct Semver {
  std::array<std::uint64_t, 3> numbers{};
  std::vector<std::string> prerelease;
};

bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}
bool is_identifier(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::optional<Semver> parse_semver(std::string_view text) {
  Semver out;
  if (const std::size_t plus = text.find('+'); plus != std::string_view::npos) {
    for (const std::string_view part : caisson::split(text.substr(plus + 1), '.')) {
      if (!is_identifier(part)) return std::nullopt;
    }
    text = text.substr(0, plus);
  }
  if (const std::size_t dash = text.find('-'); dash != std::string_view::npos) {
    for (const std::string_view part : caisson::split(text.substr(dash + 1), '.')) {
      if (!is_identifier(part) || (is_digits(part) && part.size() > 1 && part[0] == '0')) return std::nullopt;
      out.prerelease.emplace_back(part);
    }
    text = text.substr(0, dash);
  }
  const auto parts = caisson::split(text, '.');
  if (parts.size() != 3) return std::nullopt;
  for (std::size_t i = 0; i < 3; ++i) {
    if (!is_digits(parts[i]) || (parts[i].size() > 1 && parts[i][0] == '0')) return std::nullopt;
    const auto [end, error] = std::from_chars(parts[i].data(), parts[i].data() + parts[i].size(), out.numbers[i]);
    if (error != std::errc()) return std::nullopt;
  }
  return out;
}

// "v1.02" becomes "1.2.0".
std::string normalized(std::string_view text) {
  if (text.starts_with('v')) text.remove_prefix(1);
  const std::size_t end = std::min(text.find_first_of("-+"), text.size());
  std::vector<std::string> parts;
  for (std::string_view part : caisson::split(text.substr(0, end), '.')) {
    while (part.size() > 1 && part[0] == '0') part.remove_prefix(1);
    parts.emplace_back(part);
  }
  while (parts.size() < 3) parts.emplace_back("0");
  return caisson::join(parts, ".") + std::string(text.substr(end));
}

int compare_identifiers(const std::string& a, const std::string& b) {
  const bool a_digits = is_digits(a), b_digits = is_digits(b);
  if (a_digits != b_digits) return a_digits ? -1 : 1;
  if (a_digits && a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  const int order = a.compare(b);
  return order < 0 ? -1 : order > 0;
}

int compare_semver(const Semver& a, const Semver& b) {
  if (a.numbers != b.numbers) return a.numbers < b.numbers ? -1 : 1;
  if (a.prerelease.empty() != b.prerelease.empty()) return a.prerelease.empty() ? 1 : -1;
  for (std::size_t i = 0; i < std::min(a.prerelease.size(), b.prerelease.size()); ++i) {
    if (const int order = compare_identifiers(a.prerelease[i], b.prerelease[i]); order != 0) return order;
  }
  if (a.prerelease.size() == b.prerelease.size()) return 0;
  return a.prerelease.size() < b.prerelease.size() ? -1 : 1;
}

class SemverObject : public Object {
 public:
  explicit SemverObject(Semver version) : version_(std::move(version)) {}
  Type type() const override { return Type::opaque("kubernetes.Semver"); }
  bool equals(const Object& other) const override {
    const auto* semver = dynamic_cast<const SemverObject*>(&other);
    return semver != nullptr && compare_semver(version_, semver->version_) == 0;
  }
  const Semver& version() const { return version_; }

 private:
  Semver version_;
};

const Semver& semver_of(const Value& v) {
  return static_cast<const SemverObject&>(v.as_object()).version();
}

std::optional<Semver> semver_from(Arguments a) {
  const std::string text(a[0].as_string());
  return parse_semver(a.size() > 1 && a[1].as_bool() ? normalized(text) : text);
}
Result<Value> make_semver(Arguments a) {
  auto version = semver_from(a);
  if (!version) return bad("No Major.Minor.Patch elements found");
  return Value(std::make_shared<const SemverObject>(*std::move(version)));
}
Result<Value> is_semver(Arguments a) {
  return Value(semver_from(a).has_value());
}
std::int64_t order_of(Arguments a) {
  return compare_semver(semver_of(a[0]), semver_of(a[1]));
}
Result<Value> semver_greater(Arguments a) {
  return Value(order_of(a) > 0);
}
Result<Value> semver_less(Arguments a) {
  return Value(order_of(a) < 0);
}
Result<Value> semver_compare(Arguments a) {
  return Value(order_of(a));
}
template <std::size_t I>
Result<Value> semver_number(Arguments a) {
  return Value(static_cast<std::int64_t>(semver_of(a[0]).numbers[I]));
}

constexpr Declaration kSemver[] = {
    {"semver(string): kubernetes.Semver", make_semver, cost_of_first},
    {"semver(string, bool): kubernetes.Semver", make_semver, cost_of_first},
    {"isSemver(string): bool", is_semver, cost_of_first},
    {"isSemver(string, bool): bool", is_semver, cost_of_first},
    {"(kubernetes.Semver).isGreaterThan(kubernetes.Semver): bool", semver_greater},
    {"(kubernetes.Semver).isLessThan(kubernetes.Semver): bool", semver_less},
    {"(kubernetes.Semver).compareTo(kubernetes.Semver): int", semver_compare},
    {"(kubernetes.Semver).major(): int", semver_number<0>},
    {"(kubernetes.Semver).minor(): int", semver_number<1>},
    {"(kubernetes.Semver).patch(): int", semver_number<2>},
};

Result<Value> escape_key(Arguments a) {
  return Value::string(replace_all(replace_all(std::string(a[0].as_string()), "~", "~0"), "/", "~1"));
}
constexpr Declaration kJsonPatch[] = {{"jsonpatch.escapeKey(string): string", escape_key, cost_of_first}};

}  // namespace

std::span<const Declaration> regex_functions() {
  return kRegex;
}
std::span<const Declaration> url_functions() {
  return kUrls;
}
std::span<const Declaration> semver_functions() {
  return kSemver;
}
std::span<const Declaration> json_patch_functions() {
  return kJsonPatch;
}

}  // namespace caisson::cel
