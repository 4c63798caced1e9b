// SPDX-License-Identifier: Apache-2.0
// `caisson kustomize build`. Source of flags and file names: kustomize v5.8, commands/build.
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/yaml.h"
#include "delivery/render/remote.h"
#include "delivery/render/render.h"
#include "main/cli/kustomize_charts.h"
#include "main/cli/kustomize_commands.h"
#include "main/cli/kustomize_fetch.h"
#include "main/cli/kustomize_functions.h"
#include "main/cli/kustomize_watch.h"

namespace caisson::cli {
namespace {

using enum FlagKind;

constexpr FlagSpec kFlags[] = {{"output", text, 'o'},
                               {"load-restrictor", text},
                               {"enable-helm", boolean},
                               {"helm-command", text},
                               {"helm-api-versions", array},
                               {"helm-kube-version", text},
                               {"helm-debug", boolean},
                               {"enable-managedby-label", boolean},
                               {"reorder", text},
                               {"enable-alpha-plugins", boolean},
                               {"enable-exec", boolean},
                               {"network", boolean},
                               {"network-name", text},
                               {"mount", array},
                               {"env", array, 'e'},
                               {"as-current-user", boolean},
                               {"watch", boolean, 'w'},
                               {"stack-trace", boolean}};

Error wrong(std::string why) {
  return Error{ErrorCode::bad_request, std::move(why)};
}

Result<render::Options> options_of(const Flags& flags) {
  render::Options options;
  const std::string restrictor = flags.text("load-restrictor", "LoadRestrictionsRootOnly");
  if (restrictor != "LoadRestrictionsNone" && restrictor != "LoadRestrictionsRootOnly" && !restrictor.empty()) {
    return wrong("illegal flag value --load-restrictor " + restrictor +
                 "; legal values: [LoadRestrictionsRootOnly LoadRestrictionsNone]");
  }
  options.outside_root_allowed = restrictor == "LoadRestrictionsNone";
  const std::string reorder = flags.text("reorder", "legacy");
  if (reorder != "legacy" && reorder != "none")
    return wrong("illegal flag value --reorder " + reorder + "; legal values: [legacy none]");
  if (flags.has("reorder")) {
    std::fputs("Flag --reorder has been deprecated, use the new 'sortOptions' field in kustomization.yaml instead.\n",
               stderr);
    options.order = reorder == "none" ? "fifo" : "legacy";
  }
  const char* managed = std::getenv("KUSTOMIZE_ENABLE_MANAGEDBY_LABEL");
  options.managed_by_label =
      flags.is_set("enable-managedby-label") || (managed != nullptr && std::string_view(managed) == "on");
  options.charts_enabled = flags.is_set("enable-helm");
  options.chart_kube_version = flags.text("helm-kube-version");
  options.chart_api_versions = flags.all("helm-api-versions");
  options.chart_debug = flags.is_set("helm-debug");
  if (options.charts_enabled && flags.has("helm-command") && flags.text("helm-command").empty())
    return wrong("must specify --helm-command");
  return options;
}

Result<std::string> read_all_of_stdin() {
  constexpr std::size_t kBytesMax = 64u << 20;
  std::string out;
  char buffer[65536];
  for (ssize_t got; (got = ::read(STDIN_FILENO, buffer, sizeof buffer)) > 0;) {
    out.append(buffer, static_cast<std::size_t>(got));
    if (out.size() > kBytesMax) return Error{ErrorCode::too_large, "standard input is larger than 64 MiB"};
  }
  return out;
}

// "-": a kustomization on standard input, with the paths it names relative to the current directory.
class StdinSource final : public render::FileSource {
 public:
  StdinSource(std::string directory, std::string text)
      : files_(render::disk_source("/")), directory_(std::move(directory)), text_(std::move(text)) {}
  Result<std::string> read(const std::string& path) const override {
    return path == path_join(directory_, "kustomization.yaml") ? Result<std::string>(text_) : files_->read(path);
  }
  Result<std::vector<Entry>> list(const std::string& directory) const override {
    std::vector<Entry> entries = TRY(files_->list(directory));
    if (directory != directory_) return entries;
    std::erase_if(entries, [](const Entry& entry) {
      return entry.name == "kustomization.yaml" || entry.name == "kustomization.yml" || entry.name == "Kustomization";
    });
    entries.push_back({"kustomization.yaml", false});
    return entries;
  }

 private:
  std::unique_ptr<render::FileSource> files_;
  std::string directory_, text_;
};

// A file for each resource, as kustomize names them: group, version, kind, name; with the namespace in front when there
// are resources of several.
Result<void> write_files(const std::string& directory, const render::Rendering& rendering) {
  const auto namespace_of = [](const Value& object) {
    const std::string ns = object["metadata"]["namespace"].str();
    return ns.empty() ? std::string("default") : ns;
  };
  std::set<std::string> namespaces;
  for (const Value& object : rendering.objects) {
    if (!render::is_cluster_scoped_object(object)) namespaces.insert(namespace_of(object));
  }
  for (const Value& object : rendering.objects) {
    const std::string api_version = object["apiVersion"].str();
    std::string name = replace_all(api_version, "/", "_") + "_" + object["kind"].str();
    name = to_lower(name) + "_" + to_lower(object["metadata"]["name"].as_string()) + ".yaml";
    if (namespaces.size() > 1 && !render::is_cluster_scoped_object(object))
      name = to_lower(namespace_of(object)) + "_" + name;
    const std::string safe = TRY(safe_path(replace_all(name, "/", "_")));
    TRY(write_file_unsynced(path_join(directory, safe), yaml::write(object, {.sort_keys = true})));
  }
  return {};
}

struct Entry {
  std::unique_ptr<render::FileSource> files;
  std::string path;
};

Result<Entry> entry_of(const std::string& argument) {
  if (render::parse_repository_url(argument).ok()) return Entry{render::disk_source("/"), argument};
  char absolute[PATH_MAX];
  const std::string folder = argument == "-" ? "." : argument;
  if (::realpath(folder.c_str(), absolute) == nullptr)
    return errno_error("must build at directory: not a valid directory: " + argument);
  if (!is_directory(absolute)) return wrong("must build at directory: '" + argument + "' is a file");
  // Absolute, so that messages name files as a shell finds them.
  const std::string path = std::string_view(absolute) == "/" ? "." : absolute;
  if (argument != "-") return Entry{render::disk_source("/"), path};
  std::string text = TRY(read_all_of_stdin());
  return Entry{std::make_unique<StdinSource>(path, std::move(text)), path};
}

}  // namespace

std::span<const FlagSpec> kustomize_build_flags() {
  return kFlags;
}

Result<void> kustomize_build(const Flags& flags) {
  if (flags.arguments().size() > 1) return wrong("specify one path to kustomization.yaml");
  const std::string argument = flags.arguments().empty() ? "." : flags.arguments()[0];
  render::Options options = TRY(options_of(flags));
  NetworkFetcher fetcher;
  options.fetcher = &fetcher;
  ChartHomePuller charts;
  options.charts = &charts;
  const std::unique_ptr<render::FunctionRunner> functions = TRY(make_function_runner(flags));
  options.functions = functions.get();
  options.inputs_wanted = flags.is_set("watch");
  const Entry entry = TRY(entry_of(argument));
  const auto build = [&] { return render::kustomize(*entry.files, entry.path, options); };
  if (flags.is_set("watch")) {
    if (argument == "-" || !flags.text("output").empty()) return wrong("--watch prints; it takes neither '-' nor -o");
    return watch_rendering(build);
  }
  const render::Rendering rendering = TRY(build());
  for (const std::string& warning : rendering.warnings) std::fprintf(stderr, "# Warning: %s\n", warning.c_str());
  const std::string output = flags.text("output");
  if (output.empty()) return write_all(STDOUT_FILENO, rendering.yaml());
  if (is_directory(output)) return write_files(output, rendering);
  return write_file_unsynced(output, rendering.yaml());
}

}  // namespace caisson::cli
