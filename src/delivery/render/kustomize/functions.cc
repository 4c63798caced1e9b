// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/functions.h"

#include <algorithm>
#include <optional>

#include "core/document/yaml.h"
#include "delivery/render/function_pod.h"
#include "delivery/render/kustomize/stages.h"

namespace caisson::render::kustomize_impl {
namespace {

constexpr std::size_t kOutputObjectsMax = 100'000;

// The annotations by which tools along the way keep book; a function may give them back or not.
bool is_book_keeping(std::string_view annotation) {
  static constexpr std::string_view kNames[] = {"config.kubernetes.io/index", "config.kubernetes.io/path",
                                                "config.k8s.io/id", "kustomize.config.k8s.io/id"};
  return annotation.starts_with("internal.config.kubernetes.io/") ||
         std::find(std::begin(kNames), std::end(kNames), annotation) != std::end(kNames);
}

void drop_annotations(Value& object, const std::function<bool(std::string_view)>& unwanted) {
  if (object["metadata"]["annotations"].is_null()) return;
  Value kept = Value::map();
  for (const auto& [key, value] : object["metadata"]["annotations"].entries()) {
    if (!unwanted(key)) kept.set(key, value);
  }
  if (kept.empty())
    object.edit("metadata").erase("annotations");
  else
    object.edit({"metadata", "annotations"}) = std::move(kept);
}

Value with_book_keeping(Value object, std::size_t index) {
  Value& annotations = object.edit({"metadata", "annotations"});
  annotations.set("config.kubernetes.io/index", Value(std::to_string(index)));
  annotations.set("internal.config.kubernetes.io/index", Value(std::to_string(index)));
  annotations.set("config.k8s.io/id", Value(std::to_string(index + 1)));
  return object;
}

Value configuration_of(const Resource& plugin) {
  Value configuration = plugin.object;
  configuration.edit({"metadata", "annotations"}).set("config.kubernetes.io/local-config", "true");
  return configuration;
}

std::vector<std::string> texts(const Value& list) {
  std::vector<std::string> out;
  for (const Value& item : list.items()) out.push_back(item.scalar_text());
  return out;
}

Result<std::vector<FunctionMount>> mounts_of(const Value& list) {
  std::vector<FunctionMount> out;
  for (const Value& item : list.items()) {
    std::string text = "type=" + item["type"].str() + ",dst=" + item["dst"].str();
    if (item.contains("src")) text += ",src=" + item["src"].str();
    if (item["rw"].as_bool()) text += ",rw=true";
    out.push_back(TRY(parse_function_mount(text).in("container.mounts")));
  }
  return out;
}

// What the function gives back: a ResourceList, or plain documents.
Result<std::vector<Resource>> call(const Target& target, const Resource& plugin, const Value& spec,
                                   const std::vector<Value>& items) {
  FunctionCall call;
  call.name = plugin.id().str();
  call.program = spec["exec"]["path"].str();
  call.args = texts(spec["exec"]["args"]);
  call.env = texts(call.program.empty() ? spec["container"]["envs"] : spec["exec"]["env"]);
  call.image = spec["container"]["image"].str();
  call.wants_network = spec["container"]["network"].as_bool();
  call.mounts = TRY(mounts_of(spec["container"]["mounts"]));
  call.directory = target.kustomization.directory;
  if (call.program.empty() == call.image.empty())
    return Error{ErrorCode::invalid, "config.kubernetes.io/function: one of exec.path and container.image must be set"};
  if (!target.build.source.mount_of(call.directory).empty())
    return Error{ErrorCode::forbidden, "functions of fetched repositories are not run"};
  std::vector<Value> numbered;
  for (const Value& item : items) numbered.push_back(with_book_keeping(item, numbered.size()));
  call.input = yaml::write(Value{{"apiVersion", "config.kubernetes.io/v1"},
                                 {"kind", "ResourceList"},
                                 {"items", Value(std::move(numbered))},
                                 {"functionConfig", configuration_of(plugin)}});
  const std::string output = TRY(target.build.options.functions->run(call));
  const std::vector<Value> documents = TRY(yaml::read_all(output, {.name = "output of " + call.name}));
  std::vector<Resource> out;
  for (const Value& document : documents) {
    const bool list = document["kind"].as_string() == "ResourceList" || document["items"].is_list();
    const std::vector<Value> objects =
        list ? std::vector<Value>(document["items"].items().begin(), document["items"].items().end())
             : std::vector<Value>{document};
    for (const Value& object : objects) {
      std::vector<Resource> parsed = TRY(resources_of(object, "output of " + call.name));
      for (Resource& resource : parsed) {
        drop_annotations(resource.object, is_book_keeping);
        out.push_back(std::move(resource));
      }
      if (out.size() > kOutputObjectsMax) return Error{ErrorCode::too_large, call.name + ": gave too many objects"};
    }
  }
  return out;
}

}  // namespace

std::optional<Value> function_of(const Value& object) {
  const Value& annotations = object["metadata"]["annotations"];
  for (const char* name : {"config.kubernetes.io/function", "config.k8s.io/function"}) {
    if (annotations[name].as_string().empty()) continue;
    auto spec = yaml::read(annotations[name].as_string());
    return spec.ok() ? std::move(spec).value() : Value();
  }
  const std::string image = annotations["config.kubernetes.io/container"].str();
  if (image.empty()) return std::nullopt;
  return Value{{"container", Value{{"image", Value(image)}}}};
}

Result<std::vector<Resource>> run_function_generator(const Target& target, const Resource& plugin, const Value& spec) {
  const std::vector<Resource> given = TRY(call(target, plugin, spec, {configuration_of(plugin)}));
  std::vector<Resource> out;
  for (const Resource& one : given) {
    const Value& annotations = one.object["metadata"]["annotations"];
    if (annotations["config.kubernetes.io/local-config"].as_string() == "true") continue;
    Resource made = one;
    made.needs_hash = annotations["kustomize.config.k8s.io/needs-hash"].as_string() == "true";
    made.behavior = annotations["kustomize.config.k8s.io/behavior"].str();
    drop_annotations(made.object, [](std::string_view name) {
      return name == "kustomize.config.k8s.io/needs-hash" || name == "kustomize.config.k8s.io/behavior";
    });
    out.push_back(std::move(made));
  }
  return out;
}

Result<void> run_function_transformer(const Target& target, const Resource& plugin, const Value& spec,
                                      ResourceMap& resources) {
  std::vector<Value> items;
  for (const Resource& resource : resources.all()) items.push_back(resource.object);
  std::vector<Resource> given = TRY(call(target, plugin, spec, items));
  ResourceMap after;
  for (const Resource& one : given) {
    Resource only_object;
    only_object.object = one.object;
    TRY(after.append(std::move(only_object)).in("the function's output"));
  }
  // What is there by its id of now is changed, what is not given back goes, what is new comes last.
  for (Resource& one : given) {
    const Id id = one.id();
    if (Resource* known = resources.find_current(id))
      known->object = std::move(one.object);
    else
      TRY(resources.append(std::move(one)));
  }
  resources.remove_if([&](const Resource& resource) { return after.find_current(resource.id()) == nullptr; });
  return {};
}

}  // namespace caisson::render::kustomize_impl
