// SPDX-License-Identifier: Apache-2.0
// `caisson app`: create, set, delete, logs.
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cluster/kube/selector.h"
#include "cluster/schema/resource.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/yaml.h"
#include "main/cli/app_commands.h"

namespace caisson::cli {
namespace {

constexpr std::string_view kFinalizer = "resources-finalizer.argocd.argoproj.io";

// What the flags say, over what is there.
void put_flags(Value& spec, const AppArguments& arguments) {
  Value& source = spec.edit("source");
  if (source.is_null()) source = Value::map();
  const auto put = [](Value& map, std::string_view key, const std::string& text) {
    if (!text.empty()) map.set(key, text);
  };
  put(source, "repoURL", arguments.repo);
  put(source, "path", arguments.path);
  put(source, "targetRevision", arguments.revision);
  put(spec, "project", arguments.project);
  put(spec.edit("destination"), "namespace", arguments.dest_namespace);
  put(spec.edit("destination"), "server", arguments.dest_server);
  if (arguments.manual && spec["syncPolicy"].is_map()) spec.edit("syncPolicy").erase("automated");
  if (arguments.automated) {
    Value& automated = spec.edit({"syncPolicy", "automated"});
    if (automated.is_null()) automated = Value::map();
  }
  const bool is_automated = spec["syncPolicy"]["automated"].is_map();
  if (arguments.auto_prune && is_automated) spec.edit({"syncPolicy", "automated"}).set("prune", true);
  if (arguments.self_heal && is_automated) spec.edit({"syncPolicy", "automated"}).set("selfHeal", true);
  if (!arguments.sync_options.empty())
    spec.edit("syncPolicy").set("syncOptions", Value::list_of(arguments.sync_options));
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
  if (arguments.file.empty()) put_flags(spec, arguments);
  object.edit().set("spec", spec);
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
  TRY(app.change(arguments.words[0], [&](kube::Object& one) {
    Value spec = one.spec();
    put_flags(spec, arguments);
    const bool changed = !(spec == one.spec());
    one.edit().set("spec", std::move(spec));
    return changed;
  }));
  return 0;
}

Result<int> app_delete(const AppSession& app, const AppArguments& arguments) {
  const std::string& policy = arguments.propagation;
  if (!policy.empty() && policy != "foreground" && policy != "background")
    return Error{ErrorCode::bad_request, "--propagation-policy is foreground or background"};
  const std::string finalizer = std::string(kFinalizer) + (policy == "background" ? "/background" : "");
  // The finalizer is what makes a deletion cascade.
  TRY(app.change(arguments.words[0], [&](kube::Object& one) {
    const kube::Object before = one;
    one.remove_finalizer(kFinalizer);
    one.remove_finalizer(std::string(kFinalizer) + "/background");
    one.remove_finalizer(std::string(kFinalizer) + "/foreground");
    if (arguments.cascade) one.add_finalizer(finalizer);
    return !(one == before);
  }));
  TRY(app.session.client->remove(schema::kApplications, {app.ns, arguments.words[0]}));
  std::printf("application '%s' deleted\n", arguments.words[0].c_str());
  return 0;
}

Result<int> app_logs(const AppSession& app, const AppArguments& arguments) {
  const kube::Object one = TRY(app.get(arguments.words[0]));
  std::vector<kube::Object> pods;
  for (const Value& entry : one.status()["resources"].items()) {
    const std::string group = entry["group"].str(), ns = entry["namespace"].str();
    const kube::Resource resource = TRY(app.session.client->resource_for(
        (group.empty() ? "" : group + "/") + entry["version"].str(), entry["kind"].str()));
    const auto live = app.session.client->get(resource, {ns, entry["name"].str()});
    if (!live.ok()) continue;  // it is Missing
    if (entry["kind"].as_string() == "Pod") pods.push_back(*live);
    const Value& labels = live->spec()["selector"]["matchLabels"];
    if (!labels.is_map() || labels.empty()) continue;
    kube::ListOptions options;
    options.ns = ns;
    options.label_selector = kube::LabelSelector::of(labels).str();
    auto found = TRY(app.session.client->list(schema::kPods, options));
    pods.insert(pods.end(), found.items.begin(), found.items.end());
  }
  if (pods.empty()) return Error{ErrorCode::not_found, "Application " + one.name() + " has no pods"};
  for (const kube::Object& pod : pods) {
    for (const Value& container : pod.spec()["containers"].items()) {
      const std::string name = container["name"].str();
      const bool follow = arguments.follow && pods.size() == 1;
      auto stream = app.session.open(schema::kPods.path(pod.ns(), pod.name()) + "/log?container=" + name +
                                     "&follow=" + (follow ? "true" : "false"));
      if (!stream.ok()) {
        std::fprintf(stderr, "%s %s: %s\n", pod.name().c_str(), name.c_str(), stream.error().message.c_str());
        continue;
      }
      if (pods.size() > 1) std::printf("%s\n", paint("==> " + pod.name() + " " + name, kBold).c_str());
      std::fflush(stdout);
      for (;;) {
        const std::string piece = TRY((*stream)->read_some());
        if (piece.empty()) break;
        std::fwrite(piece.data(), 1, piece.size(), stdout);
        std::fflush(stdout);
      }
    }
  }
  return 0;
}

}  // namespace caisson::cli
