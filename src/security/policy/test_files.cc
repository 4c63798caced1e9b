// SPDX-License-Identifier: Apache-2.0
#include "security/policy/test_files.h"

#include <algorithm>

#include "cluster/schema/schema.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/yaml.h"
#include "core/expr/jmespath/jmespath.h"
#include "security/policy/registry_images.h"
#include "security/policy/stages.h"

namespace caisson::policy {
namespace {

bool is_yaml(std::string_view name) {
  return name.ends_with(".yaml") || name.ends_with(".yml");
}

void take_apart(const Value& document, std::vector<Value>& out) {
  if (document.is_null()) return;
  if (document["kind"].as_string().ends_with("List") && document["items"].is_list()) {
    for (const Value& item : document["items"].items()) out.push_back(item);
    return;
  }
  out.push_back(document);
}

// "annotations:" with nothing behind it, as charts write it.
Value with_maps(const Value& value) {
  if (value.is_list()) {
    std::vector<Value> items;
    for (const Value& item : value.items()) items.push_back(with_maps(item));
    return Value(std::move(items));
  }
  if (!value.is_map()) return value;
  Value out = Value::map();
  for (const auto& entry : value.entries()) {
    bool is_map = false;
    for (const char* name : {"annotations", "labels", "matchLabels", "nodeSelector", "data", "stringData"})
      is_map = is_map || entry.key == name;
    out.set(entry.key, entry.value.is_null() && is_map ? Value::map() : with_maps(entry.value));
  }
  return out;
}

Value in_namespace(Value object) {
  if (!object["metadata"]["namespace"].as_string().empty()) return object;
  const schema::KindPtr kind = built_in_schema().find_object(object);
  if (kind != nullptr && !kind->resource.namespaced) return object;
  object.edit({"metadata", "namespace"}) = Value("default");
  return object;
}

bool has_identity(const Value& object, const std::string& api_version, const std::string& kind) {
  return object["kind"].as_string() == kind && (api_version.empty() || object["apiVersion"].as_string() == api_version);
}

class TestLookups final : public Lookups {
 public:
  explicit TestLookups(const TestInputs& inputs) : inputs_(inputs) {}

  Result<std::optional<Value>> config_map(const std::string& ns, const std::string& name) const override {
    const Value found = TRY(object("v1", "ConfigMap", ns, name));
    return found.is_null() ? std::optional<Value>() : std::optional<Value>(found);
  }

  Result<std::optional<Value>> api_call(const Value& call) const override {
    const std::string url = call["service"].is_map() ? call["service"]["url"].str() : call["urlPath"].str();
    const std::string method = call["method"].as_string().empty() ? "GET" : call["method"].str();
    for (const Value& response : inputs_.api_responses.items()) {
      const std::string known = response.contains("urlPath") ? response["urlPath"].str() : response["url"].str();
      const std::string known_method = response["method"].as_string().empty() ? method : response["method"].str();
      if (known != url || !equals_ignoring_case(known_method, method)) continue;
      const std::int64_t status = response["response"]["statusCode"].as_int(200);
      if (call["anyStatus"].as_bool())
        return std::optional<Value>(Value{{"statusCode", status}, {"body", response["response"]["body"]}});
      if (status < 200 || status > 299)
        return Error{ErrorCode::unavailable, "HTTP " + std::to_string(status) + " from " + url};
      return std::optional<Value>(response["response"]["body"]);
    }
    if (!inputs_.api_calls || call["service"].is_map()) return std::optional<Value>();
    return from_world(url);
  }

  Result<std::optional<Value>> global_entry(const std::string& name) const override {
    for (const Value& entry : inputs_.global_entries.items()) {
      if (entry["name"].as_string() != name) continue;
      if (entry["resources"].is_list()) return std::optional<Value>(entry["resources"]);
      return projected(entry);
    }
    return std::optional<Value>();
  }

  Result<std::optional<Value>> image(const std::string& reference) const override {
    for (const Value& image : inputs_.images.items())
      if (image["image"].as_string() == reference) return std::optional<Value>(image);
    if (inputs_.registry == nullptr) return std::optional<Value>();
    Value found = TRY(image_data(*inputs_.registry, reference).in("image " + reference));
    return std::optional<Value>(std::move(found));
  }
  const ImageSource* images() const override { return inputs_.registry; }

  Result<std::string> kind_of(const std::string& api_version, const std::string& plural) const override {
    const std::size_t slash = api_version.find('/');
    const std::string_view all = api_version;
    const std::string_view group = slash == std::string::npos ? "" : all.substr(0, slash);
    const std::string_view version = slash == std::string::npos ? all : all.substr(slash + 1);
    if (const schema::KindPtr kind = built_in_schema().find_plural(group, version, plural)) return kind->resource.kind;
    for (const Value& crd : inputs_.world) {
      const Value& spec = crd["spec"];
      if (crd["kind"].as_string() == "CustomResourceDefinition" && spec["group"].as_string() == group &&
          spec["names"]["plural"].as_string() == plural)
        return spec["names"]["kind"].str();
    }
    return Error{ErrorCode::not_found, "the server could not find " + plural + " of " + api_version};
  }

  Result<Value> object(const std::string& api_version, const std::string& kind, const std::string& ns,
                       const std::string& name) const override {
    for (const Value& candidate : inputs_.world) {
      const Value& metadata = candidate["metadata"];
      if (has_identity(candidate, api_version, kind) && metadata["name"].as_string() == name &&
          (ns.empty() || metadata["namespace"].as_string() == ns))
        return candidate;
    }
    return Value();
  }

  Result<std::vector<Value>> objects(const std::string& api_version, const std::string& kind,
                                     const std::string& ns) const override {
    std::vector<Value> out;
    for (const Value& candidate : inputs_.world)
      if (has_identity(candidate, api_version, kind) &&
          (ns.empty() || candidate["metadata"]["namespace"].as_string() == ns))
        out.push_back(candidate);
    return out;
  }

 private:
  // The data with the members that the entry's projections (JMESPath) add.
  static Result<std::optional<Value>> projected(const Value& entry) {
    Value out = entry["data"];
    for (const Value& projection : entry["projections"].items()) {
      const auto path = TRY(jmespath::Expression::compile(projection["path"].as_string()));
      Value value = TRY(path.search(entry["data"], {}));
      out.set(projection["name"].as_string(), std::move(value));
    }
    return std::optional<Value>(std::move(out));
  }

  // "/api/v1/namespaces/NS/PLURAL/NAME" and "/apis/GROUP/VERSION/…", as far as the built-in kinds know the plural.
  Result<std::optional<Value>> from_world(const std::string& url) const {
    std::vector<std::string_view> parts;
    for (const std::string_view part : split(std::string_view(url).substr(0, url.find('?')), '/'))
      if (!part.empty()) parts.push_back(part);
    const bool core = !parts.empty() && parts[0] == "api";
    if (parts.size() < (core ? 3u : 4u)) return std::optional<Value>();
    const std::string_view group = core ? "" : parts[1], version = core ? parts[1] : parts[2];
    parts.erase(parts.begin(), parts.begin() + (core ? 2 : 3));
    std::string ns;
    if (parts.size() > 2 && parts[0] == "namespaces") {
      ns = parts[1];
      parts.erase(parts.begin(), parts.begin() + 2);
    }
    const std::string api_version = (core ? "" : std::string(group) + "/") + std::string(version);
    const std::string kind = TRY(kind_of(api_version, std::string(parts[0])));
    if (parts.size() > 1) {
      const Value found = TRY(object(api_version, kind, ns, std::string(parts[1])));
      if (found.is_null())
        return Error{ErrorCode::not_found, std::string(parts[0]) + " \"" + std::string(parts[1]) + "\" not found"};
      return std::optional<Value>(found);
    }
    auto found = TRY(objects(api_version, kind, ns));
    return std::optional<Value>(
        Value{{"apiVersion", api_version}, {"kind", kind + "List"}, {"items", Value(std::move(found))}});
  }

  const TestInputs& inputs_;
};

}  // namespace

Result<std::vector<Value>> read_documents(const std::string& path) {
  std::vector<Value> out;
  if (is_directory(path)) {
    const auto names = TRY(list_dir(path));
    for (const std::string& name : names) {
      if (!is_yaml(name)) continue;
      for (Value& document : TRY(read_documents(path_join(path, name)))) out.push_back(std::move(document));
    }
    return out;
  }
  const std::string text = TRY(read_file(path, kTestFileBytesMax));
  const auto documents =
      TRY(yaml::read_all(text, {.name = path, .old_booleans = true, .duplicate_keys_refused = false}));
  for (const Value& document : documents) take_apart(document, out);
  return out;
}

Result<std::vector<Value>> read_objects(const std::string& path) {
  auto documents = TRY(read_documents(path));
  for (Value& document : documents) document = in_namespace(with_maps(document));
  return documents;
}

std::unique_ptr<Lookups> make_test_lookups(const TestInputs& inputs) {
  return std::make_unique<TestLookups>(inputs);
}

}  // namespace caisson::policy
