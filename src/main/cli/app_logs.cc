// SPDX-License-Identifier: Apache-2.0
// `caisson app logs`: of all pods of an Application, or of those of chosen objects.
#include <algorithm>
#include <cstdio>

#include "cluster/kube/selector.h"
#include "cluster/schema/resource.h"
#include "core/base/text.h"
#include "main/cli/app_commands.h"

namespace caisson::cli {
namespace {

bool fits(const std::string& want, const Value& have) {
  return want.empty() || want == have.as_string();
}

// Of the objects that the flags choose: pods, and the pods that a workload's selector means.
Result<std::vector<kube::Object>> pods_of(const AppSession& app, const kube::Object& application,
                                          const AppArguments& arguments) {
  std::vector<kube::Object> pods;
  for (const Value& entry : application.status()["resources"].items()) {
    if (!fits(arguments.kind, entry["kind"]) || !fits(arguments.resource_name, entry["name"]) ||
        !fits(arguments.group, entry["group"]) || !fits(arguments.resource_ns, entry["namespace"]))
      continue;
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
  return pods;
}

Result<std::string> query_of(const std::string& container, bool follow, const AppArguments& arguments) {
  std::string out = "?container=" + container + "&follow=" + (follow ? "true" : "false");
  if (arguments.previous) out += "&previous=true";
  for (const auto& [flag, parameter, text] :
       {std::tuple{"--tail", "tailLines", &arguments.tail},
        std::tuple{"--since-seconds", "sinceSeconds", &arguments.since_seconds}}) {
    if (text->empty()) continue;
    const auto number = parse_int(*text);
    if (!number || *number < 0)
      return Error{ErrorCode::bad_request, std::string(flag) + " needs a number, not " + *text};
    if (*number > 0) out += "&" + std::string(parameter) + "=" + std::to_string(*number);
  }
  return out;
}

// Whole lines that hold the filter's text.
class Printer {
 public:
  explicit Printer(const AppArguments& arguments)
      : match_case_(arguments.match_case), filter_(match_case_ ? arguments.filter : to_lower(arguments.filter)) {}

  void take(std::string_view piece) {
    if (filter_.empty()) return print(piece);
    rest_ += piece;
    std::size_t from = 0;
    for (std::size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', from)) {
      line(std::string_view(rest_).substr(from, end + 1 - from));
      from = end + 1;
    }
    rest_.erase(0, from);
  }
  void finish() {
    if (!rest_.empty()) line(rest_);
    rest_.clear();
  }

 private:
  void line(std::string_view text) {
    const bool holds =
        match_case_ ? text.find(filter_) != std::string_view::npos : to_lower(text).find(filter_) != std::string::npos;
    if (holds) print(text);
  }
  static void print(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }
  const bool match_case_;
  const std::string filter_;
  std::string rest_;
};

}  // namespace

Result<int> app_logs(const AppSession& app, const AppArguments& arguments) {
  const kube::Object one = TRY(app.get(arguments.words[0]));
  const std::vector<kube::Object> pods = TRY(pods_of(app, one, arguments));
  if (pods.empty()) return Error{ErrorCode::not_found, "Application " + one.name() + " has no such pods"};
  for (const kube::Object& pod : pods) {
    for (const Value& container : pod.spec()["containers"].items()) {
      const std::string name = container["name"].str();
      if (!fits(arguments.container, container["name"])) continue;
      const std::string query = TRY(query_of(name, arguments.follow && pods.size() == 1, arguments));
      auto stream = app.session.open(schema::kPods.path(pod.ns(), pod.name()) + "/log" + query);
      if (!stream.ok()) {
        std::fprintf(stderr, "%s %s: %s\n", pod.name().c_str(), name.c_str(), stream.error().message.c_str());
        continue;
      }
      if (pods.size() > 1) std::printf("%s\n", paint("==> " + pod.name() + " " + name, kBold).c_str());
      std::fflush(stdout);
      Printer printer(arguments);
      for (;;) {
        const std::string piece = TRY((*stream)->read_some());
        if (piece.empty()) break;
        printer.take(piece);
      }
      printer.finish();
    }
  }
  return 0;
}

}  // namespace caisson::cli
