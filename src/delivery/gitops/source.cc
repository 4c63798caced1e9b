// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/source.h"

#include "delivery/gitops/helm_source.h"
#include "delivery/gitops/kustomize_source.h"

#include <algorithm>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "delivery/render/helm/chart.h"
#include "delivery/render/render.h"

namespace caisson::gitops {
namespace {

constexpr std::size_t kCacheMax = 64;
constexpr std::size_t kFileBytesMax = 16u << 20;

// The tree of one commit, with another kustomization file when the source has options of its own; slow trees end at a
// deadline.
class CommitSource final : public render::FileSource {
 public:
  CommitSource(git::Repository repository, std::string commit, Duration deadline)
      : repository_(std::move(repository)), commit_(std::move(commit)), deadline_(deadline) {}

  void set_edited(EditedKustomization edited) { edited_ = std::move(edited); }

  Result<std::string> read(const std::string& path) const override {
    TRY(in_time());
    if (!edited_.file.empty() && path == edited_.file) return edited_.text;
    return repository_.read(commit_, path, kFileBytesMax);
  }

  Result<std::vector<Entry>> list(const std::string& directory) const override {
    TRY(in_time());
    auto entries = TRY(repository_.list(commit_, directory == "." ? "" : directory, false));
    std::vector<Entry> out;
    for (const git::TreeEntry& entry : entries) {
      if (entry.type == git::TreeEntry::Type::submodule) continue;
      out.push_back({entry.path, entry.type == git::TreeEntry::Type::directory});
    }
    std::sort(out.begin(), out.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
    return out;
  }

 private:
  Result<void> in_time() const {
    if (system_clock().monotonic() > deadline_) return Error{ErrorCode::timeout, "rendering took too long"};
    return {};
  }

  git::Repository repository_;
  std::string commit_;
  EditedKustomization edited_;
  Duration deadline_;
};

// What is rendered tells of its commit, whatever the tree says.
bool names_revision(const Source& source) {
  return source.options_key().find("ARGOCD_APP_REVISION") != std::string::npos;
}

std::string cache_key(const Source& source, const std::string& tree) {
  return source.repo_url + "\n" + tree + "\n" + source.path + "\n" + source.options_key();
}

SourceEnvironment environment_of(const Source& source, const std::string& commit) {
  return {{"ARGOCD_APP_NAME", source.application},
          {"ARGOCD_APP_NAMESPACE", source.destination_namespace},
          {"ARGOCD_APP_REVISION", commit},
          {"ARGOCD_APP_REVISION_SHORT", commit.substr(0, 7)},
          {"ARGOCD_APP_REVISION_SHORT_8", commit.substr(0, 8)},
          {"ARGOCD_APP_SOURCE_REPO_URL", source.repo_url},
          {"ARGOCD_APP_SOURCE_PATH", source.path},
          {"ARGOCD_APP_SOURCE_TARGET_REVISION", source.target_revision}};
}

HelmSource helm_source(const Source& source, const std::string& commit, render::helm::Capabilities capabilities) {
  HelmSource out{source.path, source.helm, source.application, source.destination_namespace, {}, {}, nullptr, {}};
  out.environment = environment_of(source, commit);
  out.environment.emplace_back("KUBE_VERSION", capabilities.kube_version.version);
  out.environment.emplace_back("KUBE_API_VERSIONS", join(capabilities.api_versions, ","));
  out.capabilities = std::move(capabilities);
  return out;
}

using OpenRefs = std::map<std::string, std::unique_ptr<render::FileSource>>;

// The trees of the sources that "$name" means.
Result<OpenRefs> open_refs(const git::Repositories& repositories,
                           const std::map<std::string, std::pair<const Source*, std::string>>& refs,
                           Duration deadline) {
  OpenRefs out;
  for (const auto& [name, other] : refs) {
    const git::Repository repository = TRY(repositories.find(other.first->repo_url));
    out[name] = std::make_unique<CommitSource>(repository, other.second, deadline);
  }
  return out;
}

Rendered rendered_of(const std::string& commit, std::string type, render::Rendering rendering) {
  Rendered out;
  out.commit = commit;
  out.type = std::move(type);
  for (render::Input& input : rendering.inputs) out.inputs.push_back(std::move(input.path));
  for (Value& object : rendering.objects) {  // a List is its items
    if (object["kind"].as_string().ends_with("List") && object["items"].is_list()) {
      for (const Value& item : object["items"].items()) out.objects.push_back(item);
    } else if (!object.is_null()) {
      out.objects.push_back(std::move(object));
    }
  }
  return out;
}

}  // namespace

Result<std::string> Renderer::resolve_one(const Source& source, const std::string& revision) const {
  if (!source.chart.empty()) return charts_.resolve({source.repo_url, source.chart}, revision);
  const git::Repository repository = TRY(repositories_.fetch(source.repo_url));
  return repository.resolve(revision == "HEAD" ? "" : revision).in("revision " + revision + " of " + source.repo_url);
}

Result<std::string> Renderer::resolve(const Source& source, const std::string& revision) const {
  if (source.more.empty()) return resolve_one(source, revision);
  const auto given = split(revision, ',');
  const bool all_given = given.size() == 1 + source.more.size();
  std::string out = TRY(resolve_one(source, std::string(given[0])));
  for (std::size_t i = 0; i < source.more.size(); ++i) {
    const Source& other = source.more[i];
    out += "," + TRY(resolve_one(other, all_given ? std::string(given[i + 1]) : other.target_revision));
  }
  return out;
}

Result<RenderedPtr> Renderer::render(const Source& source, const std::string& commit) {
  if (source.more.empty()) return render_one(source, commit, {});
  std::vector<const Source*> all{&source};
  for (const Source& other : source.more) all.push_back(&other);
  const auto commits = split(commit, ',');
  if (commits.size() != all.size())
    return Error{ErrorCode::invalid, "revision " + commit + ": there must be one for each source"};
  Refs refs;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!all[i]->ref.empty()) refs[all[i]->ref] = {all[i], std::string(commits[i])};
  }
  Rendered out;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!all[i]->ref.empty() && all[i]->path.empty()) continue;  // there for its values alone
    const RenderedPtr one = TRY(render_one(*all[i], std::string(commits[i]), refs));
    if (out.type.empty()) out.type = one->type;
    out.types.push_back(one->type);
    out.objects.insert(out.objects.end(), one->objects.begin(), one->objects.end());
    out.inputs.insert(out.inputs.end(), one->inputs.begin(), one->inputs.end());
  }
  out.commit = commit;
  return std::make_shared<const Rendered>(std::move(out));
}

// What stands for the content of a source: its commit's tree, or the chart's version.
Result<std::string> Renderer::tree_of(const Source& source, const std::string& commit) const {
  if (!source.chart.empty() || names_revision(source)) return commit;
  return TRY(repositories_.find(source.repo_url)).tree_hash(commit, "");
}

Result<RenderedPtr> Renderer::render_one(const Source& source, const std::string& commit, const Refs& refs) {
  std::string key = cache_key(source, TRY(tree_of(source, commit)));
  for (const auto& [name, other] : refs) key += "\n$" + name + " " + other.first->repo_url + " " + other.second;
  if (RenderedPtr known = find(key)) {
    if (known->commit == commit) return known;
    auto copy = std::make_shared<Rendered>(*known);
    copy->commit = commit;
    return RenderedPtr(std::move(copy));
  }
  auto made = std::make_shared<Rendered>(TRY(make(source, commit, refs)));
  keep(key, made);
  return RenderedPtr(std::move(made));
}

Result<render::Rendering> Renderer::make_chart(const Source& source, const std::string& version,
                                               const Refs& refs) const {
  const bool pass = source.helm["passCredentials"].as_bool();
  const std::string archive = TRY(charts_.fetch({source.repo_url, source.chart, pass}, version));
  std::map<std::string, std::string> by_name;
  for (render::helm::File& file : TRY(render::helm::read_archive(archive))) by_name[file.name] = std::move(file.data);
  const render::MemorySource files(std::move(by_name));
  HelmSource chart = helm_source(source, version, capabilities_());
  const auto others = TRY(open_refs(repositories_, refs, system_clock().monotonic() + time_max_));
  for (const auto& [name, other] : others) chart.refs[name] = other.get();
  chart.templates = &templates_;
  chart.charts = &charts_;
  return render_helm(files, chart);
}

Result<render::Rendering> Renderer::make_kustomization(const Source& source, const render::FileSource& files) const {
  render::Options options = TRY(parse_build_options(source.build_options));
  if (options.charts_enabled) tell_charts(options, source.kustomize, capabilities_());
  ChartSource charts(charts_);
  options.charts = &charts;
  return render::kustomize(files, source.path, options);
}

Result<Rendered> Renderer::make(const Source& source, const std::string& commit, const Refs& refs) const {
  if (!source.chart.empty()) return rendered_of(commit, "Helm", TRY(make_chart(source, commit, refs)));
  const git::Repository repository = TRY(repositories_.find(source.repo_url));
  CommitSource files(repository, commit, system_clock().monotonic() + time_max_);
  const std::string where = source.path.empty() ? "the repository's root" : source.path;
  render::Kind kind = TRY(render::detect(files, source.path).in("app path " + where));
  // Options of one tool say that this tool is meant, whatever else lies there.
  if (!source.kustomize.empty()) kind = render::Kind::kustomize;
  if (!source.helm.empty()) kind = render::Kind::helm;
  if (!source.directory.empty()) kind = render::Kind::directory;
  std::string type;
  render::Rendering rendering;
  if (kind == render::Kind::kustomize) {
    type = "Kustomize";
    if (!source.kustomize.empty()) {
      files.set_edited(TRY(edit_kustomization(files, source.path, source.kustomize, environment_of(source, commit))));
    }
    rendering = TRY(make_kustomization(source, files));
  } else if (kind == render::Kind::helm) {
    type = "Helm";
    HelmSource chart = helm_source(source, commit, capabilities_());
    const auto others = TRY(open_refs(repositories_, refs, system_clock().monotonic() + time_max_));
    for (const auto& [name, other] : others) chart.refs[name] = other.get();
    chart.templates = &templates_;
    chart.charts = &charts_;
    rendering = TRY(render_helm(files, chart));
  } else {
    type = "Directory";
    render::DirectoryOptions options;
    options.recurse = source.directory["recurse"].as_bool();
    options.include = source.directory["include"].str();
    options.exclude = source.directory["exclude"].str();
    rendering = TRY(render::directory(files, source.path, options));
  }
  return rendered_of(commit, std::move(type), std::move(rendering));
}

RenderedPtr Renderer::carried_over(const Source& source, const Rendered& known, const std::string& commit) {
  if (!source.chart.empty() || !source.more.empty() || known.inputs.empty() || names_revision(source)) return nullptr;
  const std::string key = source.repo_url + " " + known.commit + " " + commit;
  std::shared_ptr<const git::Repository::Changes> changes;
  {
    const std::lock_guard lock(mutex_);
    if (change_key_ == key) changes = changes_;
  }
  if (!changes) {
    const auto repository = repositories_.find(source.repo_url);
    if (!repository.ok()) return nullptr;
    auto found = repository->changes(known.commit, commit);
    if (!found.ok()) return nullptr;  // history that was rewritten: rendering says what there is to say
    changes = std::make_shared<const git::Repository::Changes>(std::move(found).value());
    const std::lock_guard lock(mutex_);
    change_key_ = key;
    changes_ = changes;
  }
  if (changes->truncated || concerns(source.path, known.inputs, changes->all())) return nullptr;
  auto out = std::make_shared<Rendered>(known);
  out->commit = commit;
  return out;
}

void Renderer::forget(const Source& source) {
  const std::lock_guard lock(mutex_);
  cache_.remove_if([&](const auto& entry) { return entry.first.starts_with(source.repo_url + "\n"); });
  charts_.forget();
}

RenderedPtr Renderer::find(const std::string& key) {
  const std::lock_guard lock(mutex_);
  for (auto at = cache_.begin(); at != cache_.end(); ++at) {
    if (at->first != key) continue;
    cache_.splice(cache_.begin(), cache_, at);
    return cache_.front().second;
  }
  return nullptr;
}

void Renderer::keep(const std::string& key, RenderedPtr rendered) {
  const std::lock_guard lock(mutex_);
  cache_.emplace_front(key, std::move(rendered));
  if (cache_.size() > kCacheMax) cache_.pop_back();
}

bool concerns(const std::string& path, const std::vector<std::string>& inputs,
              const std::vector<std::string>& changed) {
  const auto below = [](const std::string& file, const std::string& directory) {
    return directory.empty() || directory == "." || file.starts_with(directory + "/");
  };
  for (const std::string& file : changed) {
    if (below(file, path)) return true;
    for (const std::string& input : inputs) {  // a new file beside an input may be one, too
      const std::size_t slash = input.rfind('/');
      if (file == input || (slash != std::string::npos && below(file, input.substr(0, slash)))) return true;
    }
  }
  return false;
}

bool moves(std::string_view ref, std::string_view revision) {
  if (revision.empty() || revision == "HEAD") return ref.starts_with("refs/heads/");
  return ref == revision || ref == "refs/heads/" + std::string(revision) || ref == "refs/tags/" + std::string(revision);
}

}  // namespace caisson::gitops
