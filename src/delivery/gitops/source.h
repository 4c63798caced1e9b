// SPDX-License-Identifier: Apache-2.0
// From an Application's source to objects: which commit, which files, rendered once. Renderings are kept by the
// commit's tree and the source's options, so that a push that touches nothing of a source costs no rendering. Threads:
// any; render blocks (git, files, patches) and belongs on a worker.
#pragma once
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "delivery/git/repositories.h"
#include "delivery/gitops/application.h"
#include "delivery/gitops/chart_source.h"
#include "delivery/render/helm/capabilities.h"
#include "delivery/render/helm/template_cache.h"
#include "delivery/render/render.h"

namespace caisson::gitops {

struct Rendered {
  std::string commit;               // whole id, or a chart's version; of several sources with commas between
  std::string type;                 // "Kustomize", "Helm", "Directory"; of several sources the first one's
  std::vector<std::string> types;   // of several sources, of each that is rendered; empty: of one
  std::vector<Value> objects;       // as written in the repository, in order
  std::vector<std::string> inputs;  // files that were read
};
using RenderedPtr = std::shared_ptr<const Rendered>;

class Renderer {
 public:
  // What charts are told of the cluster.
  using Capabilities = std::function<render::helm::Capabilities()>;

  Renderer(const git::Repositories& repositories, Duration time_max,
           Capabilities capabilities = render::helm::default_capabilities, ChartFetcher charts = ChartFetcher())
      : repositories_(repositories),
        time_max_(time_max),
        capabilities_(std::move(capabilities)),
        charts_(std::move(charts)) {}

  // The commit that `revision` of the source's repository names now (a mirror is fetched first), or a chart's version.
  // Of several sources: theirs, with commas between; `revision` may be such a list, too.
  Result<std::string> resolve(const Source& source, const std::string& revision) const;
  // Errors: what git and render give, naming file and field; timeout.
  Result<RenderedPtr> render(const Source& source, const std::string& commit);
  // The rendering of `known` as one of `commit`, when nothing that it read has changed in between; nullptr: render. Of
  // one git source.
  RenderedPtr carried_over(const Source& source, const Rendered& known, const std::string& commit);
  void forget(const Source& source);  // hard refresh

 private:
  // Sources that others' valueFiles name: by name, at which commit.
  using Refs = std::map<std::string, std::pair<const Source*, std::string>>;
  Result<std::string> resolve_one(const Source& source, const std::string& revision) const;
  Result<RenderedPtr> render_one(const Source& source, const std::string& commit, const Refs& refs);
  Result<std::string> tree_of(const Source& source, const std::string& commit) const;
  Result<Rendered> make(const Source& source, const std::string& commit, const Refs& refs) const;
  Result<render::Rendering> make_kustomization(const Source& source, const render::FileSource& files) const;
  Result<render::Rendering> make_chart(const Source& source, const std::string& version, const Refs& refs) const;
  RenderedPtr find(const std::string& key);
  void keep(const std::string& key, RenderedPtr rendered);

  const git::Repositories& repositories_;
  const Duration time_max_;
  const Capabilities capabilities_;
  const ChartFetcher charts_;
  mutable render::helm::TemplateCache templates_;
  std::mutex mutex_;
  std::list<std::pair<std::string, RenderedPtr>> cache_;  // newest first; GUARDED_BY(mutex_)
  // What changed last between two commits of a repository: a thousand Applications ask the same. GUARDED_BY(mutex_)
  std::string change_key_;
  std::shared_ptr<const git::Repository::Changes> changes_;
};

// Could a change of `changed` files alter what was rendered from `path` by reading `inputs`? Pure.
bool concerns(const std::string& path, const std::vector<std::string>& inputs, const std::vector<std::string>& changed);

// Does a pushed ref ("refs/heads/main") move what `revision` ("main", "HEAD", "v1.2") names? HEAD: any branch may be
// it.
bool moves(std::string_view ref, std::string_view revision);

}  // namespace caisson::gitops
