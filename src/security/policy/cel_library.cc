// SPDX-License-Identifier: Apache-2.0
// Kyverno's functions in CEL that reach beyond the expression, through Lookups: resource, http, globalContext,
// generator, image metadata. Those of values alone: cel_values.cc.
#include "core/base/text.h"
#include "security/policy/cel_environment.h"

namespace caisson::policy {
namespace {

using Arguments = std::span<const cel::Value>;

class Receiver final : public cel::Object {
 public:
  Receiver(std::string name, const CelInput& input, std::string ca_pem = "")
      : name_(std::move(name)), input(input), ca_pem(std::move(ca_pem)) {}
  cel::Type type() const override { return cel::Type::opaque("policy." + name_); }
  bool equals(const cel::Object& other) const override { return this == &other; }

 private:
  std::string name_;

 public:
  const CelInput& input;
  const std::string ca_pem;  // of http.Client(): who signs for the services that it asks
};

const Receiver& receiver_of(const cel::Value& value) {
  return static_cast<const Receiver&>(value.as_object());
}
const CelInput& input_of(const cel::Value& receiver) {
  return receiver_of(receiver).input;
}
std::string text(const cel::Value& value) {
  return std::string(value.as_string());
}
Error not_here(std::string_view what) {
  return {ErrorCode::bad_request, std::string(what) + " can't be asked here"};
}

// resource.ToGVR("apps/v1", "Deployment")
class Gvr final : public cel::Object {
 public:
  Gvr(std::string api_version, std::string kind) : api_version(std::move(api_version)), kind(std::move(kind)) {}
  cel::Type type() const override { return cel::Type::opaque("kyverno.gvr"); }
  bool equals(const cel::Object& other) const override {
    const auto* gvr = dynamic_cast<const Gvr*>(&other);
    return gvr != nullptr && gvr->api_version == api_version && gvr->kind == kind;
  }
  const std::string api_version, kind;
};

// Which kind a call is about: a Gvr, or apiVersion and plural. `rest`: the arguments after it.
struct OfKind {
  std::string api_version, kind;
  Arguments rest;
};
Result<OfKind> kind_asked(Arguments a, const Lookups& lookups) {
  if (a[1].is(cel::Kind::object)) {
    const Gvr& gvr = static_cast<const Gvr&>(a[1].as_object());
    return OfKind{gvr.api_version, gvr.kind, a.subspan(2)};
  }
  std::string kind = TRY(lookups.kind_of(text(a[1]), text(a[2])));
  return OfKind{text(a[1]), std::move(kind), a.subspan(3)};
}

Result<cel::Value> resource_to_gvr(Arguments a) {
  return cel::Value(std::shared_ptr<const cel::Object>(std::make_shared<const Gvr>(text(a[1]), text(a[2]))));
}

// …, [namespace,] name
Result<cel::Value> resource_get(Arguments a) {
  const CelInput& input = input_of(a[0]);
  if (input.lookups == nullptr) return not_here("resource.Get");
  const OfKind of = TRY(kind_asked(a, *input.lookups));
  const std::string name = text(of.rest.back()), ns = of.rest.size() > 1 ? text(of.rest[0]) : "";
  const Value found = TRY(input.lookups->object(of.api_version, of.kind, ns, name));
  if (found.is_null()) return Error{ErrorCode::not_found, of.kind + " \"" + name + "\" not found"};
  return cel::Value::from(found);
}

// …, [namespace,] [labels]
Result<cel::Value> resource_list(Arguments a) {
  const CelInput& input = input_of(a[0]);
  if (input.lookups == nullptr) return not_here("resource.List");
  const OfKind of = TRY(kind_asked(a, *input.lookups));
  std::string ns;
  Value labels;
  if (!of.rest.empty() && of.rest[0].is(cel::Kind::string)) ns = text(of.rest[0]);
  if (!of.rest.empty() && of.rest.back().is(cel::Kind::map)) labels = TRY(of.rest.back().to_document());
  auto objects = TRY(input.lookups->objects(of.api_version, of.kind, ns));
  Value items = Value::list();
  for (const Value& object : objects)
    if (labels.is_null() || labels_match(Value{{"matchLabels", labels}}, object["metadata"]["labels"]))
      items.push_back(object);
  return cel::Value::from(Value{{"apiVersion", of.api_version}, {"kind", of.kind + "List"}, {"items", items}});
}

// apiVersion, plural, [namespace,] object
Result<cel::Value> resource_post(Arguments a) {
  const CelInput& input = input_of(a[0]);
  if (input.lookups == nullptr) return not_here("resource.Post");
  const std::string api_version = text(a[1]), ns = a.size() > 4 ? "namespaces/" + text(a[3]) + "/" : "";
  const std::string path =
      (api_version.find('/') == std::string::npos ? "/api/" : "/apis/") + api_version + "/" + ns + text(a[2]);
  Value body = TRY(a.back().to_document());
  const auto answer =
      TRY(input.lookups->api_call(Value{{"method", "POST"}, {"urlPath", path}, {"body", std::move(body)}}));
  if (!answer) return not_here("resource.Post " + path);
  return cel::Value::from(*answer);
}

// A body that is a map stands beside its statusCode, as Kyverno has it; under `body`, as its test files have it, too.
cel::Value http_answer(const Value& answer) {
  const Value& body = answer["body"];
  Value out = body.is_map() ? body : Value::map();
  if (!out.contains("body")) out.set("body", body);
  out.set("statusCode", answer["statusCode"]);
  return cel::Value::from(out);
}

Result<cel::Value> http_call(Arguments a, const char* method, const cel::Value* body, const cel::Value* headers) {
  const Receiver& receiver = receiver_of(a[0]);
  const Lookups* lookups = receiver.input.lookups;
  if (lookups == nullptr) return not_here("http");
  Value service{{"url", text(a[1])}};
  if (!receiver.ca_pem.empty()) service.set("caBundle", receiver.ca_pem);
  if (headers != nullptr) {
    const Value given = TRY(headers->to_document());
    Value list = Value::list();
    for (const auto& entry : given.entries()) list.push_back(Value{{"key", entry.key}, {"value", entry.value}});
    service.set("headers", std::move(list));
  }
  Value call{{"method", method}, {"service", std::move(service)}, {"anyStatus", true}};
  if (body != nullptr) {
    Value document = TRY(body->to_document());
    call.set("body", std::move(document));
  }
  const auto answer = TRY(lookups->api_call(call));
  if (!answer) return not_here("http " + text(a[1]));
  return http_answer(*answer);
}
Result<cel::Value> http_get(Arguments a) {
  return http_call(a, "GET", nullptr, a.size() > 2 ? &a[2] : nullptr);
}
Result<cel::Value> http_post(Arguments a) {
  return http_call(a, "POST", &a[2], a.size() > 3 ? &a[3] : nullptr);
}
Result<cel::Value> http_client(Arguments a) {
  return cel::Value(
      std::shared_ptr<const cel::Object>(std::make_shared<const Receiver>("http", input_of(a[0]), text(a[1]))));
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

struct Method {
  std::string_view receiver, name, parameters, result;
  Result<cel::Value> (*call)(Arguments);
};
constexpr Method kMethods[] = {
    {"resource", "Get", "string, string, string, string", "dyn", resource_get},
    {"resource", "Get", "string, string, string", "dyn", resource_get},
    {"resource", "Get", "kyverno.gvr, string, string", "dyn", resource_get},
    {"resource", "Get", "kyverno.gvr, string", "dyn", resource_get},
    {"resource", "List", "string, string, string", "dyn", resource_list},
    {"resource", "List", "string, string", "dyn", resource_list},
    {"resource", "List", "string, string, string, map(string, string)", "dyn", resource_list},
    {"resource", "List", "string, string, map(string, string)", "dyn", resource_list},
    {"resource", "List", "kyverno.gvr", "dyn", resource_list},
    {"resource", "List", "kyverno.gvr, string", "dyn", resource_list},
    {"resource", "List", "kyverno.gvr, map(string, string)", "dyn", resource_list},
    {"resource", "List", "kyverno.gvr, string, map(string, string)", "dyn", resource_list},
    {"resource", "Post", "string, string, string, map(string, dyn)", "dyn", resource_post},
    {"resource", "Post", "string, string, map(string, dyn)", "dyn", resource_post},
    {"resource", "ToGVR", "string, string", "kyverno.gvr", resource_to_gvr},
    {"http", "Get", "string", "dyn", http_get},
    {"http", "Get", "string, map(string, string)", "dyn", http_get},
    {"http", "Post", "string, dyn", "dyn", http_post},
    {"http", "Post", "string, dyn, map(string, string)", "dyn", http_post},
    {"http", "Client", "string", "policy.http", http_client},
    {"globalContext", "Get", "string", "dyn", global_get},
    {"globalContext", "Get", "string, string", "dyn", global_get},
    {"generator", "Apply", "string, list(dyn)", "bool", generator_apply},
    {"image", "GetMetadata", "string", "dyn", image_metadata},
};

std::string signature_of(const Method& method, std::string_view name) {
  return "(policy." + std::string(method.receiver) + ")." + std::string(name) + "(" + std::string(method.parameters) +
         "): " + std::string(method.result);
}

}  // namespace

cel::Value cel_receiver(std::string_view name, const CelInput& input) {
  return cel::Value(std::shared_ptr<const cel::Object>(std::make_shared<const Receiver>(std::string(name), input)));
}

// Each method has two names since Kyverno 1.18: Get and get.
std::vector<cel::Function> cel_functions() {
  std::vector<cel::Function> out;
  for (const Method& method : kMethods) {
    std::string name(method.name);
    out.push_back({signature_of(method, name), method.call});
    name[0] = to_lower(name.substr(0, 1))[0];
    out.push_back({signature_of(method, name), method.call});
  }
  for (cel::Function& function : cel_value_functions()) out.push_back(std::move(function));
  return out;
}

}  // namespace caisson::policy
