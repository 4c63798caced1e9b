// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/cel.h"

#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "core/expr/cel/cel.h"
#include "core/expr/cel/regex.h"

namespace caisson::pipeline {
namespace {

using Arguments = std::span<const cel::Value>;
constexpr std::size_t kExpressionBytesMax = 16u << 10;
constexpr std::size_t kTextBytesMax = 4u << 20;
constexpr std::uint64_t kCostMax = 10'000'000;

Error wrong(std::string message) {
  return {ErrorCode::bad_request, std::move(message)};
}

// The headers as a map of lists, as Go has them, whose names compare without case.
class HeaderObject : public cel::Object {
 public:
  explicit HeaderObject(const http::Headers& headers) : headers_(headers) {}
  cel::Type type() const override { return cel::Type::opaque("triggers.Headers"); }
  bool equals(const Object& other) const override { return &other == this; }
  Result<cel::Value> field(std::string_view name) const override {
    std::vector<cel::Value> values;
    for (const auto& [key, value] : headers_.fields()) {
      if (equals_ignoring_case(key, name)) values.push_back(cel::Value::string(value));
    }
    if (values.empty()) return wrong("no such key: " + std::string(name));
    return cel::Value::list(std::move(values));
  }
  Result<bool> has_field(std::string_view name) const override { return headers_.contains(name); }
  const http::Headers& headers() const { return headers_; }

 private:
  const http::Headers headers_;
};

const http::Headers& headers_of(const cel::Value& value) {
  return static_cast<const HeaderObject&>(value.as_object()).headers();
}

Result<cel::Value> header_match(Arguments a) {
  return cel::Value(headers_of(a[0]).get(a[1].as_string()) == a[2].as_string());
}
Result<cel::Value> header_canonical(Arguments a) {
  return cel::Value::string(headers_of(a[0]).get(a[1].as_string()));
}
Result<cel::Value> truncate(Arguments a) {
  const std::int64_t most = std::max<std::int64_t>(0, a[1].as_int());
  return cel::Value::string(a[0].as_string().substr(0, static_cast<std::size_t>(most)));
}
Result<cel::Value> parse_json(Arguments a) {
  if (a[0].as_string().size() > kTextBytesMax) return wrong("parseJSON: the text is too large");
  return cel::Value::from(TRY(json::parse(a[0].as_string()).in("parseJSON")));
}
Result<cel::Value> parse_yaml(Arguments a) {
  yaml::ReadOptions options;
  options.size_bytes_max = kTextBytesMax;
  return cel::Value::from(TRY(yaml::read(a[0].as_string(), options).in("parseYAML")));
}
Result<cel::Value> parse_url(Arguments a) {
  const http::Url url = TRY(http::Url::parse(a[0].as_string()).in("parseURL"));
  Value query = Value::map();
  for (const auto& [name, value] : http::parse_query(url.query)) {
    Value values = query[name].is_null() ? Value::list() : query[name];
    values.push_back(value);
    query.set(name, std::move(values));
  }
  std::string host = url.host;
  if (url.port != 0) host += ":" + std::to_string(url.port);
  return cel::Value::from(Value{{"scheme", url.scheme},
                                {"host", host},
                                {"path", url.path},
                                {"rawQuery", url.query},
                                {"queryStrings", query},
                                {"auth", Value{{"username", url.user}, {"password", url.password}}}});
}
Result<cel::Value> marshal_json(Arguments a) {
  const Value document = TRY(a[0].to_document().in("marshalJSON"));
  return cel::Value::string(json::write(document, {.escape_html = true, .sort_keys = true}));
}
Result<cel::Value> decode_base64(Arguments a) {
  const std::string bytes = TRY(unbase64(a[0].as_string()).in("decodeB64"));
  return cel::Value::bytes(bytes);
}
Result<cel::Value> translate(Arguments a) {
  const cel::Regex regex = TRY(cel::Regex::compile(a[1].as_string()).in("translate"));
  return cel::Value::string(regex.replace_all(a[0].as_string(), a[2].as_string()));
}
Result<cel::Value> first(Arguments a) {
  if (a[0].size() == 0) return wrong("first() of an empty list");
  return a[0].item(0);
}
Result<cel::Value> last(Arguments a) {
  if (a[0].size() == 0) return wrong("last() of an empty list");
  return a[0].item(a[0].size() - 1);
}

// "text.compareSecret(key, secret, ns)" of the caller's input.
cel::Function compare_secret(const CelInput& input, std::string signature) {
  return {std::move(signature),
          [&input](Arguments a) -> Result<cel::Value> {
            if (!input.secret) return wrong("compareSecret: no secrets can be read here");
            const std::string key(a[1].as_string()), secret(a[2].as_string());
            const std::string ns(a.size() > 3 ? a[3].as_string() : std::string_view());
            const std::string value = TRY(input.secret(ns, secret, key));
            return cel::Value(equals_in_constant_time(value, a[0].as_string()));
          },
          nullptr};
}

cel::EnvironmentOptions trigger_options(const CelInput& input) {
  cel::EnvironmentOptions options;
  options.libraries = cel::Library::strings | cel::Library::encoders;
  options.expression_bytes_max = kExpressionBytesMax;
  options.depth_max = 100;
  options.variables = {{"body", cel::Type()},
                       {"extensions", cel::Type()},
                       {"header", cel::Type()},
                       {"requestURL", cel::TypeKind::string}};
  options.functions = {{"(triggers.Headers).match(string, string): bool", header_match},
                       {"(triggers.Headers).canonical(string): string", header_canonical},
                       {"(string).truncate(int): string", truncate},
                       {"(string).parseJSON(): dyn", parse_json},
                       {"(string).parseYAML(): dyn", parse_yaml},
                       {"(string).parseURL(): map(string, dyn)", parse_url},
                       {"(map(string, dyn)).marshalJSON(): string", marshal_json},
                       {"(list(dyn)).marshalJSON(): string", marshal_json},
                       {"(string).decodeB64(): bytes", decode_base64},
                       {"(string).translate(string, string): string", translate},
                       {"(list(A)).first(): A", first},
                       {"(list(A)).last(): A", last},
                       compare_secret(input, "(string).compareSecret(string, string): bool"),
                       compare_secret(input, "(string).compareSecret(string, string, string): bool")};
  return options;
}

Result<cel::Value> evaluate(const cel::Environment& environment, std::string_view expression,
                            const cel::Bindings& bindings) {
  const auto program = environment.compile(expression);
  if (!program.ok()) return wrong("CEL: " + program.error().message);
  auto outcome = program->evaluate(bindings, {.cost_max = kCostMax});
  if (!outcome.value.ok()) return wrong("CEL: " + outcome.value.error().message);
  return std::move(outcome.value).value();
}

}  // namespace

Result<Value> evaluate_cel(std::string_view expression, const CelInput& input) {
  cel::Bindings bindings;
  bindings.set("body", cel::Value::from(input.body));
  bindings.set("extensions", cel::Value::from(input.extensions));
  bindings.set("header", cel::Value(std::make_shared<const HeaderObject>(input.headers)));
  bindings.set("requestURL", cel::Value::string(input.request_url));
  const cel::Environment environment(trigger_options(input));
  const cel::Value value = TRY(evaluate(environment, expression, bindings));
  return value.to_document();
}

Result<bool> cel_holds(std::string_view expression, const CelInput& input) {
  const Value value = TRY(evaluate_cel(expression, input));
  if (!value.is_bool()) return wrong("CEL: the filter '" + std::string(expression) + "' is not a boolean");
  return value.as_bool();
}

Result<bool> when_cel_holds(std::string_view expression) {
  static const cel::Environment environment([] {
    cel::EnvironmentOptions options;
    options.expression_bytes_max = kExpressionBytesMax;
    return options;
  }());
  const cel::Value value = TRY(evaluate(environment, expression, {}));
  if (!value.is(cel::Kind::boolean))
    return wrong("CEL: the when expression '" + std::string(expression) + "' is not a boolean");
  return value.as_bool();
}

}  // namespace caisson::pipeline
