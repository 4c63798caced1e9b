// SPDX-License-Identifier: Apache-2.0
// Kyverno's functions in CEL over values: json, yaml, image(), digests, random, time, math, user, x509, gzip,
// transform. Follows kyverno/sdk of 2026-08, extensions/cel/libs. What JMESPath has, too, is the same function.
#include <chrono>
#include <cmath>

#include "artifact/content/compress.h"
#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "core/expr/jmespath/image_name.h"
#include "core/expr/jmespath/jmespath.h"
#include "core/expr/jmespath/random_text.h"
#include "core/expr/jmespath/x509.h"
#include "security/policy/cel_environment.h"

namespace caisson::policy {
namespace {

using Values = std::span<const cel::Value>;

constexpr std::size_t kUnpackedBytesMax = 10u << 20;

Error not_so(std::string why) {
  return {ErrorCode::bad_request, std::move(why)};
}

Result<cel::Value> json_unmarshal(Values a) {
  const Value value = TRY(json::parse(a[1].as_string()));
  return cel::Value::from(value);
}
// As Go's encoding/json writes it.
Result<cel::Value> json_marshal(Values a) {
  const Value value = TRY(a[1].to_document());
  return cel::Value::string(json::write(value, {.escape_html = true, .sort_keys = true}));
}
Result<cel::Value> yaml_parse(Values a) {
  const Value value = TRY(yaml::read(a[1].as_string()));
  return cel::Value::from(value);
}

// --- image("…") and its parts
class Image final : public cel::Object {
 public:
  explicit Image(jmespath::ImageName image) : name(std::move(image)) {}
  cel::Type type() const override { return cel::Type::opaque("kyverno.image"); }
  bool equals(const cel::Object& other) const override {
    const auto* image = dynamic_cast<const Image*>(&other);
    return image != nullptr && image->name.str() == name.str();
  }
  jmespath::ImageName name;
};
const jmespath::ImageName& image_of(const cel::Value& value) {
  return static_cast<const Image&>(value.as_object()).name;
}

Result<cel::Value> make_image(Values a) {
  auto image = TRY(jmespath::parse_image_name(a[0].as_string(), "index.docker.io"));
  if (image.registry == "index.docker.io" && image.path.find('/') == std::string::npos)
    image.path = "library/" + image.path;
  return cel::Value(std::shared_ptr<const cel::Object>(std::make_shared<const Image>(std::move(image))));
}
Result<cel::Value> is_image(Values a) {
  return cel::Value(jmespath::parse_image_name(a[0].as_string()).ok());
}
Result<cel::Value> image_registry(Values a) {
  return cel::Value::string(image_of(a[0]).registry);
}
Result<cel::Value> image_repository(Values a) {
  return cel::Value::string(image_of(a[0]).path);
}
Result<cel::Value> image_tag(Values a) {
  return cel::Value::string(image_of(a[0]).tag);
}
Result<cel::Value> image_digest(Values a) {
  return cel::Value::string(image_of(a[0]).digest);
}
Result<cel::Value> image_identifier(Values a) {
  const auto& image = image_of(a[0]);
  return cel::Value::string(image.digest.empty() ? image.tag : image.digest);
}
// As it follows the repository: ":1.27", "@sha256:…".
Result<cel::Value> image_suffix(Values a) {
  const auto& image = image_of(a[0]);
  return cel::Value::string(image.digest.empty() ? ":" + image.tag : "@" + image.digest);
}
Result<cel::Value> image_has_digest(Values a) {
  return cel::Value(!image_of(a[0]).digest.empty());
}

Result<cel::Value> by_jmespath(const char* expression, const Value& input) {
  const auto compiled = TRY(jmespath::Expression::compile(expression));
  const Value value = TRY(compiled.search(input, {}));
  return cel::Value::from(value);
}
Result<cel::Value> sha256_of(Values a) {
  return cel::Value::string(sha256_hex(a[0].as_string()));
}
Result<cel::Value> sha1_of(Values a) {
  return by_jmespath("sha1(@)", Value(a[0].as_string()));
}
Result<cel::Value> md5_of(Values a) {
  return by_jmespath("md5(@)", Value(a[0].as_string()));
}

Result<cel::Value> random_of(Values a) {
  const std::string_view pattern = a.empty() ? "[0-9a-z]{8}" : a[0].as_string();
  const std::string text = TRY(jmespath::random_text(pattern, random_u64));
  return cel::Value::string(text);
}

Result<cel::Value> time_now(Values) {
  const auto since = system_clock().now().time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  const auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(since - seconds);
  return cel::Value(cel::Timestamp{seconds.count(), static_cast<std::int32_t>(nanos.count())});
}
Result<cel::Value> time_to_cron(Values a) {
  const Value time = TRY(a[0].to_document());
  return by_jmespath("time_to_cron(@)", time);
}
// Down to a multiple of the duration, counted from the year 1, as Go counts.
Result<cel::Value> time_truncate(Values a) {
  constexpr std::int64_t kYearOne = -62'135'596'800;
  const cel::Timestamp time = a[0].as_timestamp();
  const __int128 unit = a[1].as_duration().count();
  if (unit <= 0) return a[0];
  const __int128 since = (__int128{time.seconds} - kYearOne) * 1'000'000'000 + time.nanos;
  const __int128 down = since - since % unit;
  return cel::Value(cel::Timestamp{static_cast<std::int64_t>(down / 1'000'000'000) + kYearOne,
                                   static_cast<std::int32_t>(down % 1'000'000'000)});
}

Result<cel::Value> round_to(Values a) {
  const double shift = std::pow(10.0, static_cast<double>(a[1].as_int()));
  return cel::Value(std::round(a[0].as_double() * shift) / shift);
}

// Nobody's name gives empty members.
Result<cel::Value> service_account(Values a) {
  constexpr std::string_view kPrefix = "system:serviceaccount:";
  std::string_view name = a[0].as_string(), ns;
  const std::size_t colon = name.find(':', std::min(kPrefix.size(), name.size()));
  const bool is_one = name.starts_with(kPrefix) && colon != std::string_view::npos;
  if (is_one) ns = name.substr(kPrefix.size(), colon - kPrefix.size());
  return cel::Value::from(Value{{"Name", is_one ? name.substr(colon + 1) : std::string_view()}, {"Namespace", ns}});
}

Result<cel::Value> x509_decode(Values a) {
  const Value certificate = TRY(jmespath::decode_x509(a[0].as_string()));
  return cel::Value::from(certificate);
}

Result<cel::Value> gzip_compress(Values a) {
  if (!a[0].is(cel::Kind::string) && !a[0].is(cel::Kind::bytes)) return not_so("gzip.compress takes a string");
  const std::string_view given = a[0].is(cel::Kind::string) ? a[0].as_string() : a[0].as_bytes();
  const auto packed = TRY(content::compress_gzip(content::from_string(std::string(given))));
  std::string bytes = TRY(content::read_all(packed, kUnpackedBytesMax));
  return cel::Value::bytes(std::move(bytes));
}
Result<cel::Value> gzip_decompress(Values a) {
  const std::string given(a[0].as_bytes());
  if (!given.starts_with("\x1f\x8b")) return not_so("gzip: invalid header");
  const auto plain = TRY(content::decompress(content::from_string(given)));
  const std::string text = TRY(content::read_all(plain, kUnpackedBytesMax));
  return cel::Value::string(text);
}

// {keys[i][key]: values[i][value]} of two lists of maps.
Result<cel::Value> list_to_map(Values a) {
  const Value keys = TRY(a[0].to_document());
  const Value values = TRY(a[1].to_document());
  if (keys.size() != values.size())
    return not_so("listObjToMap must take lists of equal length. list1: " + std::to_string(keys.size()) +
                  ", list2: " + std::to_string(values.size()));
  Value out = Value::map();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Value& key = keys[i][a[2].as_string()];
    if (!key.is_string()) return not_so("the passed key name cannot be handled as a string in the key object list");
    if (!values[i].is_map()) return not_so("object cannot be handled as a map string to any in the value object list");
    out.set(key.as_string(), values[i][a[3].as_string()]);
  }
  return cel::Value::from(out);
}

}  // namespace

std::vector<cel::Function> cel_value_functions() {
  return {{"(policy.json).Unmarshal(string): dyn", json_unmarshal},
          {"(policy.json).unmarshal(string): dyn", json_unmarshal},
          {"(policy.json).marshal(dyn): string", json_marshal},
          {"(policy.yaml).parse(string): dyn", yaml_parse},
          {"image(string): kyverno.image", make_image},
          {"parseImageReference(string): kyverno.image", make_image},
          {"isImage(string): bool", is_image},
          {"(kyverno.image).registry(): string", image_registry},
          {"(kyverno.image).repository(): string", image_repository},
          {"(kyverno.image).tag(): string", image_tag},
          {"(kyverno.image).digest(): string", image_digest},
          {"(kyverno.image).identifier(): string", image_identifier},
          {"(kyverno.image).identifierWithSeparator(): string", image_suffix},
          {"(kyverno.image).containsDigest(): bool", image_has_digest},
          {"sha256(string): string", sha256_of},
          {"hash.sha256(string): string", sha256_of},
          {"sha1(string): string", sha1_of},
          {"hash.sha1(string): string", sha1_of},
          {"md5(string): string", md5_of},
          {"hash.md5(string): string", md5_of},
          {"random(): string", random_of},
          {"random(string): string", random_of},
          {"random.random(): string", random_of},
          {"random.random(string): string", random_of},
          {"time.now(): timestamp", time_now},
          {"time.toCron(timestamp): string", time_to_cron},
          {"time.truncate(timestamp, duration): timestamp", time_truncate},
          {"math.round(double, int): double", round_to},
          {"parseServiceAccount(string): dyn", service_account},
          {"user.parseServiceAccount(string): dyn", service_account},
          {"x509.decode(string): dyn", x509_decode},
          {"gzip.compress(dyn): bytes", gzip_compress},
          {"gzip.decompress(bytes): string", gzip_decompress},
          {"listObjToMap(list(dyn), list(dyn), string, string): map(string, dyn)", list_to_map},
          {"transform.listObjToMap(list(dyn), list(dyn), string, string): map(string, dyn)", list_to_map}};
}

}  // namespace caisson::policy
