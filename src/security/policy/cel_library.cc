// SPDX-License-Identifier: Apache-2.0
// Kyverno's functions in CEL: resource, http, globalContext, generator, json, yaml, image, digests. What reaches beyond
// the expression goes through Lookups.
#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "core/expr/jmespath/image_name.h"
#include "core/expr/jmespath/jmespath.h"
#include "security/policy/cel_environment.h"

namespace caisson::policy {
namespace {

using Arguments = std::span<const cel::Value>;

class Receiver final : public cel::Object {
 public:
  Receiver(std::string name, const CelInput& input) : name_(std::move(name)), input(input) {}
  cel::Type type() const override { return cel::Type::opaque("policy." + name_); }
  bool equals(const cel::Object& other) const override { return this == &other; }

 private:
  std::string name_;

 public:
  const CelInput& input;
};

const CelInput& input_of(const cel::Value& receiver) {
  return static_cast<const Receiver&>(receiver.as_object()).input;
}
std::string text(const cel::Value& value) {
  return std::string(value.as_string());
}
Error not_here(std::string_view what) {
  return {ErrorCode::bad_request, std::string(what) + " can't be asked here"};
}

Result<cel::Value> get_object(const CelInput& input, const std::string& api_version, const std::string& plural,
                              const std::string& ns, const std::string& name) {
  if (input.lookups == nullptr) return not_here("resource.Get");
  const std::string kind = TRY(input.lookups->kind_of(api_version, plural));
  const Value found = TRY(input.lookups->object(api_version, kind, ns, name));
  if (found.is_null()) return Error{ErrorCode::not_found, plural + " \"" + name + "\" not found"};
  return cel::Value::from(found);
}
Result<cel::Value> resource_get(Arguments a) {
  if (a.size() == 4) return get_object(input_of(a[0]), text(a[1]), text(a[2]), "", text(a[3]));
  return get_object(input_of(a[0]), text(a[1]), text(a[2]), text(a[3]), text(a[4]));
}

Result<cel::Value> resource_list(Arguments a) {
  const CelInput& input = input_of(a[0]);
  if (input.lookups == nullptr) return not_here("resource.List");
  const std::string api_version = text(a[1]);
  const std::string kind = TRY(input.lookups->kind_of(api_version, text(a[2])));
  Value labels;
  std::string ns;
  if (a.size() > 3 && a[3].is(cel::Kind::string)) ns = text(a[3]);
  if (a.size() > 3 && a.back().is(cel::Kind::map)) labels = TRY(a.back().to_document());
  auto objects = TRY(input.lookups->objects(api_version, kind, ns));
  Value items = Value::list();
  for (const Value& object : objects)
    if (labels.is_null() || labels_match(Value{{"matchLabels", labels}}, object["metadata"]["labels"]))
      items.push_back(object);
  return cel::Value::from(Value{{"apiVersion", api_version}, {"kind", kind + "List"}, {"items", items}});
}

Result<cel::Value> http_call(Arguments a, const char* method, bool has_body) {
  const CelInput& input = input_of(a[0]);
  if (input.lookups == nullptr) return not_here("http");
  Value call{{"method", method}, {"service", Value{{"url", text(a[1])}}}};
  if (has_body) call.set("data", TRY(a[2].to_document()));
  const auto answer = TRY(input.lookups->api_call(call));
  if (!answer) return not_here("http " + text(a[1]));
  return cel::Value::from(Value{{"statusCode", 200}, {"body", *answer}});
}
Result<cel::Value> http_get(Arguments a) {
  return http_call(a, "GET", false);
}
Result<cel::Value> http_post(Arguments a) {
  return http_call(a, "POST", true);
}

Result<cel::Value> global_get(Arguments a) {
  const CelInput& input = input_of(a[0]);
  if (input.lookups == nullptr) return not_here("globalContext.Get");
  const auto entry = TRY(input.lookups->global_entry(text(a[1])));
  if (!entry) return Error{ErrorCode::not_found, "there is no global context entry " + text(a[1])};
  if (a.size() < 3 || a[2].as_string().empty()) return cel::Value::from(*entry);
  return cel::Value::from((*entry)["projections"][a[2].as_string()].is_null()
                              ? (*entry)[a[2].as_string()]
                              : (*entry)["projections"][a[2].as_string()]);
}

Result<cel::Value> generator_apply(Arguments a) {
  const CelInput& input = input_of(a[0]);
  if (input.generated == nullptr) return not_here("generator.Apply");
  for (std::size_t i = 0; i < a[2].size(); ++i) {
    Value object = TRY(a[2].item(i).to_document());
    // Lists of resource.List() come apart; what belongs to a source alone stays with it.
    std::vector<Value> objects;
    if (object["items"].is_list())
      objects.assign(object["items"].items().begin(), object["items"].items().end());
    else
      objects.push_back(std::move(object));
    for (Value& one : objects) {
      Value& metadata = one.edit("metadata");
      for (const char* own :
           {"uid", "resourceVersion", "creationTimestamp", "managedFields", "ownerReferences", "generation"})
        metadata.erase(own);
      if (!a[1].as_string().empty()) metadata.set("namespace", text(a[1]));
      input.generated->push_back(std::move(one));
    }
  }
  return cel::Value(true);
}

Result<cel::Value> image_metadata(Arguments a) {
  const CelInput& input = input_of(a[0]);
  if (input.lookups == nullptr) return not_here("image.GetMetadata");
  const auto found = TRY(input.lookups->image(text(a[1])));
  if (!found) return not_here("image " + text(a[1]));
  return cel::Value::from(*found);
}

Result<cel::Value> json_unmarshal(Arguments a) {
  const Value value = TRY(json::parse(a[1].as_string()));
  return cel::Value::from(value);
}
Result<cel::Value> yaml_parse(Arguments a) {
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

Result<cel::Value> make_image(Arguments a) {
  auto image = TRY(jmespath::parse_image_name(a[0].as_string(), "index.docker.io"));
  if (image.registry == "index.docker.io" && image.path.find('/') == std::string::npos)
    image.path = "library/" + image.path;
  return cel::Value(std::shared_ptr<const cel::Object>(std::make_shared<const Image>(std::move(image))));
}
Result<cel::Value> is_image(Arguments a) {
  return cel::Value(jmespath::parse_image_name(a[0].as_string()).ok());
}
Result<cel::Value> image_registry(Arguments a) {
  return cel::Value::string(image_of(a[0]).registry);
}
Result<cel::Value> image_repository(Arguments a) {
  return cel::Value::string(image_of(a[0]).path);
}
Result<cel::Value> image_tag(Arguments a) {
  return cel::Value::string(image_of(a[0]).tag);
}
Result<cel::Value> image_digest(Arguments a) {
  return cel::Value::string(image_of(a[0]).digest);
}
Result<cel::Value> image_identifier(Arguments a) {
  const auto& image = image_of(a[0]);
  return cel::Value::string(image.digest.empty() ? image.tag : image.digest);
}
Result<cel::Value> image_has_digest(Arguments a) {
  return cel::Value(!image_of(a[0]).digest.empty());
}

// The functions of the same name in JMESPath, so that both languages give the same.
Result<cel::Value> by_jmespath(const char* expression, const cel::Value& argument) {
  const auto compiled = TRY(jmespath::Expression::compile(expression));
  const Value input = TRY(argument.to_document());
  const Value value = TRY(compiled.search(input, {}));
  return cel::Value::from(value);
}
Result<cel::Value> sha256_of(Arguments a) {
  return cel::Value::string(sha256_hex(a[0].as_string()));
}
Result<cel::Value> sha1_of(Arguments a) {
  return by_jmespath("sha1(@)", a[0]);
}
Result<cel::Value> md5_of(Arguments a) {
  return by_jmespath("md5(@)", a[0]);
}

}  // namespace

cel::Value cel_receiver(std::string_view name, const CelInput& input) {
  return cel::Value(std::shared_ptr<const cel::Object>(std::make_shared<const Receiver>(std::string(name), input)));
}

std::vector<cel::Function> cel_functions() {
  return {{"(policy.resource).Get(string, string, string, string): dyn", resource_get},
          {"(policy.resource).Get(string, string, string): dyn", resource_get},
          {"(policy.resource).List(string, string, string): dyn", resource_list},
          {"(policy.resource).List(string, string): dyn", resource_list},
          {"(policy.resource).List(string, string, string, map(string, string)): dyn", resource_list},
          {"(policy.http).Get(string): dyn", http_get},
          {"(policy.http).Get(string, map(string, string)): dyn", http_get},
          {"(policy.http).Post(string, dyn): dyn", http_post},
          {"(policy.http).Post(string, dyn, map(string, string)): dyn", http_post},
          {"(policy.globalContext).Get(string, string): dyn", global_get},
          {"(policy.generator).Apply(string, list(dyn)): bool", generator_apply},
          {"(policy.image).GetMetadata(string): dyn", image_metadata},
          {"(policy.json).Unmarshal(string): dyn", json_unmarshal},
          {"(policy.yaml).parse(string): dyn", yaml_parse},
          {"image(string): kyverno.image", make_image},
          {"isImage(string): bool", is_image},
          {"(kyverno.image).registry(): string", image_registry},
          {"(kyverno.image).repository(): string", image_repository},
          {"(kyverno.image).tag(): string", image_tag},
          {"(kyverno.image).digest(): string", image_digest},
          {"(kyverno.image).identifier(): string", image_identifier},
          {"(kyverno.image).containsDigest(): bool", image_has_digest},
          {"sha256(string): string", sha256_of},
          {"sha1(string): string", sha1_of},
          {"md5(string): string", md5_of}};
}

}  // namespace caisson::policy
