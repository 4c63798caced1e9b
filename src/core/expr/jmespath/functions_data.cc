// SPDX-License-Identifier: Apache-2.0
// Kyverno's functions over objects, documents, images and addresses.
#include <arpa/inet.h>

#include <algorithm>
#include <cmath>

#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/number.h"
#include "core/document/yaml.h"
#include "core/expr/jmespath/functions.h"
#include "core/expr/jmespath/image_name.h"

namespace caisson::jmespath {
namespace {

Result<Value> run_parse_json(const Call& call) {
  auto value = json::parse(call.text(0));
  if (!value.ok()) return call.fail(value.error().message);
  return value;
}
Result<Value> run_parse_yaml(const Call& call) {
  auto value = yaml::read(call.text(0), {.old_booleans = true});
  if (!value.ok()) return call.fail(value.error().message);
  return value;
}

Result<Value> run_lookup(const Call& call) {
  const Value &in = call.value(0), &key = call.value(1);
  if (in.is_map()) {
    if (!key.is_string()) return call.invalid_type("argument #2 is not of type String");
    return in[key.as_string()];
  }
  if (!key.is_number()) return call.invalid_type("argument #2 is not of type Number");
  const double at = key.as_double();
  if (std::trunc(at) != at) return call.fail("argument #2: expected an integer number");
  return at < 0 || at >= static_cast<double>(in.size()) ? Value() : in[static_cast<std::size_t>(at)];
}

Result<Value> run_items(const Call& call) {
  const Value& in = call.value(0);
  std::vector<Value> out;
  const auto add = [&](Value key, const Value& value) {
    out.push_back(Value{{call.text(1), std::move(key)}, {call.text(2), value}});
  };
  if (in.is_list()) {
    for (std::size_t i = 0; i < in.size(); ++i) add(Value(static_cast<std::int64_t>(i)), in[i]);
    return Value(std::move(out));
  }
  Value sorted = in;
  sorted.sort_keys(false);
  for (const auto& entry : sorted.entries()) add(Value(entry.key), entry.value);
  return Value(std::move(out));
}

Result<Value> run_object_from_lists(const Call& call) {
  const Value &keys = call.value(0), &values = call.value(1);
  Value out = Value::map();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!keys[i].is_string() && !keys[i].is_number() && !keys[i].is_bool())
      return call.invalid_type("argument #1 is not of type StringArray");
    out.set(keys[i].scalar_text(), values[i]);
  }
  return out;
}

Result<Value> run_zip(const Call& call) {
  std::size_t length = call.value(0).size();
  for (const Argument& argument : call.arguments) length = std::min(length, argument.value.size());
  std::vector<Value> rows;
  for (std::size_t i = 0; i < length; ++i) {
    std::vector<Value> row;
    for (const Argument& argument : call.arguments) row.push_back(argument.value[i]);
    rows.emplace_back(std::move(row));
  }
  return Value(std::move(rows));
}

Result<Value> run_label_match(const Call& call) {
  const Value& labels = call.value(1);
  for (const auto& wanted : call.value(0).entries()) {
    const Value* found = labels.find(wanted.key);
    if (found == nullptr || !(*found == wanted.value)) return Value(false);
  }
  return Value(true);
}

Result<Value> run_image_normalize(const Call& call) {
  const auto image = parse_image_name(call.text(0), call.environment.default_registry);
  if (!image.ok()) return call.fail(image.error().message);
  return Value(image->str());
}

// The host of scheme://user@host:port/…; brackets of an IPv6 address are taken off.
std::string_view host_of(std::string_view url) {
  if (const std::size_t at = url.find("://"); at != std::string_view::npos)
    url.remove_prefix(at + 3);
  else
    return {};
  url = url.substr(0, url.find_first_of("/?#"));
  if (const std::size_t at = url.rfind('@'); at != std::string_view::npos) url.remove_prefix(at + 1);
  if (url.starts_with("[")) return url.substr(1, url.find(']') - 1);
  return url.substr(0, url.find(':'));
}

enum class Reach { no_address, local, external };
Reach reach_of(const std::string& text) {
  in_addr four{};
  if (inet_pton(AF_INET, text.c_str(), &four) == 1) {
    const std::uint32_t ip = ntohl(four.s_addr);
    const bool local = ip >> 24 == 127 || ip >> 24 == 10 || ip >> 20 == 0xac1 || ip >> 16 == 0xc0a8;
    return local ? Reach::local : Reach::external;
  }
  in6_addr six{};
  if (inet_pton(AF_INET6, text.c_str(), &six) != 1) return Reach::no_address;
  const bool local = IN6_IS_ADDR_LOOPBACK(&six) || (six.s6_addr[0] & 0xfe) == 0xfc;
  return local ? Reach::local : Reach::external;
}

Result<Value> run_is_external_url(const Call& call) {
  const std::string host(host_of(call.text(0)));
  const Reach reach = reach_of(host);
  if (reach != Reach::no_address) return Value(reach == Reach::external);
  if (!call.environment.resolve) return call.fail("host names are not resolved here: " + host);
  const auto addresses = call.environment.resolve(host);
  if (!addresses.ok()) return call.fail(addresses.error().message);
  for (const std::string& address : *addresses)
    if (reach_of(address) == Reach::local) return Value(false);
  return Value(true);
}

constexpr Function kTable[] = {
    {"image_normalize", 1, false, {kString}, "string", run_image_normalize, "an image's whole name"},
    {"is_external_url", 1, false, {kString}, "boolean", run_is_external_url, "whether a URL leads to a public address"},
    {"items",
     3,
     false,
     {kObject | kArray, kString, kString},
     "array",
     run_items,
     "members as objects of key and value"},
    {"label_match", 2, false, {kObject, kObject}, "boolean", run_label_match, "whether all labels are among others"},
    {"lookup", 2, false, {kObject | kArray, kString | kNumber}, "any", run_lookup, "a member by its computed key"},
    {"object_from_lists", 2, false, {kArray, kArray}, "object", run_object_from_lists, "an object of keys and values"},
    {"parse_json", 1, false, {kString}, "any", run_parse_json, "the value of a JSON text"},
    {"parse_yaml", 1, false, {kString}, "any", run_parse_yaml, "the value of a YAML text"},
    {"zip", 1, true, {kArray}, "array", run_zip, "rows of the items at one place in several arrays"},
};

}  // namespace

std::span<const Function> data_functions() {
  return kTable;
}

}  // namespace caisson::jmespath
