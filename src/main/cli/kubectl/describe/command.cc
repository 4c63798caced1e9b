// SPDX-License-Identifier: Apache-2.0
// describe: a page for each object that arguments, files or a selector name.
#include <algorithm>
#include <cstdio>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "main/cli/kubectl/describe/describe.h"
#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kDescribeFlags[] = {{"show-events", FlagKind::boolean}, {"chunk-size", FlagKind::text}};

// Objects whose names begin with the word, as kubectl takes it when there is none of that name.
Result<std::vector<Target>> with_prefix(Call& call, const kube::Resource& resource, const std::string& prefix) {
  const std::string ns = resource.namespaced && !call.all_namespaces() ? call.session.ns : "";
  const Value list = TRY(get(call, resource.path(ns)));
  std::vector<Target> out;
  for (const Value& item : list["items"].items()) {
    const Value& metadata = item["metadata"];
    if (metadata["name"].as_string().starts_with(prefix))
      out.push_back({resource, metadata["namespace"].str(), metadata["name"].str(), {}});
  }
  return out;
}

Result<std::vector<Target>> listed(Call& call, const kube::Resource& resource) {
  const std::string ns = resource.namespaced && !call.all_namespaces() ? call.session.ns : "";
  const std::string selector = call.text("selector");
  const Value list =
      TRY(get(call, resource.path(ns) + (selector.empty() ? "" : "?labelSelector=" + percent_encode(selector))));
  std::vector<Target> out;
  for (const Value& item : list["items"].items())
    out.push_back({resource, item["metadata"]["namespace"].str(), item["metadata"]["name"].str(), {}});
  return out;
}

Result<std::vector<Target>> chosen(Call& call) {
  const std::vector<std::string>& words = call.arguments;
  std::vector<Target> out = TRY(read_files(call));
  if (words.empty()) {
    if (out.empty())
      return usage(
          "You must specify the type of resource to describe. Use \"caisson api-resources\" for a complete list of "
          "supported resources.");
    return out;
  }
  const bool slashed = words[0].find('/') != std::string::npos;
  if (!slashed && words.size() == 1) {
    for (const std::string_view kind : split(words[0], ',')) {
      for (Target& target : TRY(listed(call, TRY(resource_of(call, kind))))) out.push_back(std::move(target));
    }
    return out;
  }
  for (std::size_t i = slashed ? 0 : 1; i < words.size(); ++i) {
    const auto slash = words[i].find('/');
    if (slashed && slash == std::string::npos)
      return usage(
          "there is no need to specify a resource type as a separate argument when passing arguments in resource/name "
          "form (e.g. 'caisson get resource/<resource_name>' instead of 'caisson get resource "
          "resource/<resource_name>'");
    const kube::Resource resource =
        TRY(resource_of(call, slashed ? std::string_view(words[i]).substr(0, slash) : words[0]));
    out.push_back(
        {resource, resource.namespaced ? call.session.ns : "", slashed ? words[i].substr(slash + 1) : words[i], {}});
  }
  return out;
}

// Reads the object; when it is not there, those it is the beginning of the name of.
Result<void> read(Call& call, Target target, std::vector<Target>& out) {
  auto object = get(call, target.path());
  if (object.ok()) {
    target.object = std::move(object).value();
    out.push_back(std::move(target));
    return {};
  }
  if (object.error().code != ErrorCode::not_found) return object.error();
  const auto similar = with_prefix(call, target.resource, target.name);
  if (!similar.ok() || similar->empty()) return object.error();
  for (Target found : *similar) {
    found.object = TRY(get(call, found.path()));
    out.push_back(std::move(found));
  }
  return {};
}

Result<int> run_describe(Call& call) {
  const Related related{
      [&call](const std::string& path) { return send(call, "GET", path, {}, "application/json", false); },
      system_clock().now()};
  const Related quiet{[&call](const std::string& path) {
                        return path.find("/events?") == std::string::npos
                                   ? send(call, "GET", path, {}, "application/json", false)
                                   : Result<Value>(Value::map());
                      },
                      related.now};
  const bool shows_events = !call.flags.has("show-events") || call.is_set("show-events");
  const std::vector<Target> targets = TRY(chosen(call));
  if (targets.empty()) {
    std::fprintf(stderr, "No resources found%s\n",
                 call.all_namespaces() ? "" : (" in " + call.session.ns + " namespace.").c_str());
    return 0;
  }
  std::vector<std::string> errors;
  bool first = true;
  for (const Target& target : targets) {
    std::vector<Target> found;
    if (const auto done = read(call, target, found); !done.ok()) {
      errors.push_back(done.error().message);
      continue;
    }
    for (const Target& one : found) {
      Page page;
      const Describer describe = describer_of(one.resource.group, one.resource.kind);
      (describe ? describe : describe_any)(page, one.object, shows_events ? related : quiet);
      std::string text = page.text();
      if (!shows_events && text.ends_with("Events:  <none>\n")) text.resize(text.rfind("Events:"));
      std::printf("%s%s", first ? "" : "\n\n", text.c_str());
      first = false;
    }
  }
  std::fflush(stdout);
  if (!errors.empty()) return Error{ErrorCode::not_found, join(errors, "\n")};
  return 0;
}

constexpr Command kCommands[] = {
    {"describe", "Show details of one or many resources, with their events.",
     "describe (-f FILE | TYPE [NAME_PREFIX | -l LABEL] | TYPE/NAME)", "caisson describe pod/web-1", kDescribeFlags,
     run_describe},
};

}  // namespace

std::span<const Command> describe_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
