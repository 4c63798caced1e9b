// SPDX-License-Identifier: Apache-2.0
// `caisson app`: create, set, delete.
#include <algorithm>
#include <cstdio>

#include "cluster/schema/resource.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/yaml.h"
#include "main/cli/app_commands.h"

namespace caisson::cli {
namespace {

constexpr std::string_view kFinalizer = "resources-finalizer.argocd.argoproj.io";

// "--label a=b" and "--annotations a=b", comma-separated as well.
Result<void> put_metadata(kube::Object& object, std::string_view field, const std::vector<std::string>& given) {
  for (const std::string& text : given) {
    for (const std::string_view one : split(text, ',')) {
      const std::size_t equals = one.find('=');
      if (equals == 0 || equals == std::string_view::npos)
        return Error{ErrorCode::bad_request, std::string(field) + " are NAME=VALUE, not " + std::string(one)};
      Value& map = object.edit({"metadata", field});
      if (!map.is_map()) map = Value::map();
      map.set(one.substr(0, equals), std::string(one.substr(equals + 1)));
    }
  }
  return {};
}

}  // namespace

Result<int> app_create(const AppSession& app, const AppArguments& arguments) {
  kube::Object object;
  if (!arguments.file.empty()) {
    const std::string text = TRY(read_file(arguments.file));
    object = kube::Object(TRY(yaml::read(text, {.name = arguments.file})));
  } else {
    if (arguments.words.empty() || arguments.repo.empty())
      return Error{ErrorCode::bad_request, "app create needs a name and --repo, or -f FILE"};
    object = kube::Object::make(schema::kApplications, app.ns, arguments.words[0]);
    object.edit().set(
        "spec", Value{{"project", "default"}, {"destination", Value{{"server", "https://kubernetes.default.svc"}}}});
  }
  Value spec = object.spec();
  if (arguments.file.empty()) TRY(put_flags(spec, arguments));
  object.edit().set("spec", spec);
  std::vector<std::string> labels = arguments.labels;
  if (!arguments.selector.empty()) labels.push_back(arguments.selector);  // -l, as argocd has it here
  TRY(put_metadata(object, "labels", labels));
  TRY(put_metadata(object, "annotations", arguments.annotations));
  if (arguments.set_finalizer) object.add_finalizer(kFinalizer);
  if (object.ns().empty()) object.edit({"metadata"}).set("namespace", app.ns);
  auto made = app.session.client->create(object);
  if (!made.ok() && made.error().code == ErrorCode::already_exists && arguments.upsert) {
    made = app.change(object.name(), [&](kube::Object& one) {
      one.edit().set("spec", spec);
      return true;
    });
  }
  if (!made.ok()) return std::move(made).error();
  std::printf("application '%s' created\n", made->name().c_str());
  return 0;
}

Result<int> app_set(const AppSession& app, const AppArguments& arguments) {
  Result<void> refused;
  TRY(app.change(arguments.words[0], [&](kube::Object& one) {
    Value spec = one.spec();
    refused = put_flags(spec, arguments);
    const bool changed = refused.ok() && !(spec == one.spec());
    if (changed) one.edit().set("spec", std::move(spec));
    return changed;
  }));
  TRY(std::move(refused));
  return 0;
}

namespace {

Result<void> delete_one(const AppSession& app, const std::string& name, const AppArguments& arguments) {
  const std::string finalizer = std::string(kFinalizer) + (arguments.propagation == "background" ? "/background" : "");
  // The finalizer is what makes a deletion cascade.
  TRY(app.change(name, [&](kube::Object& one) {
    const kube::Object before = one;
    one.remove_finalizer(kFinalizer);
    one.remove_finalizer(std::string(kFinalizer) + "/background");
    one.remove_finalizer(std::string(kFinalizer) + "/foreground");
    if (arguments.cascade) one.add_finalizer(finalizer);
    return !(one == before);
  }));
  TRY(app.session.client->remove(schema::kApplications, {app.ns, name}));
  std::printf("application '%s' deleted\n", name.c_str());
  return {};
}

}  // namespace

Result<int> app_delete(const AppSession& app, const AppArguments& arguments) {
  const std::string& policy = arguments.propagation;
  if (!policy.empty() && policy != "foreground" && policy != "background")
    return Error{ErrorCode::bad_request, "--propagation-policy is foreground or background"};
  const auto all = TRY(app.chosen(arguments));
  if (all.empty()) return Error{ErrorCode::bad_request, "app delete needs a name, -l SELECTOR or --project PROJECT"};
  for (const kube::Object& one : all) TRY(delete_one(app, one.name(), arguments));
  if (!arguments.wait) return 0;
  for (const kube::Object& one : all) TRY(app.wait_until_gone(one.name(), arguments.timeout_seconds));
  return 0;
}

}  // namespace caisson::cli
