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
#include "delivery/render/helm/capabilities.h"

namespace caisson::gitops {

struct Rendered {
  std::string commit;               // whole id
  std::string type;                 // "Kustomize", "Helm", "Directory"
  std::vector<Value> objects;       // as written in the repository, in order
  std::vector<std::string> inputs;  // files that were read
};
using RenderedPtr = std::shared_ptr<const Rendered>;

class Renderer {
 public:
  // What charts are told of the cluster.
  using Capabilities = std::function<render::helm::Capabilities()>;

  Renderer(const git::Repositories& repositories, Duration time_max,
           Capabilities capabilities = render::helm::default_capabilities)
      : repositories_(repositories), time_max_(time_max), capabilities_(std::move(capabilities)) {}

  // The commit that `revision` of the source's repository names now; a mirror is fetched first.
  Result<std::string> resolve(const Source& source, const std::string& revision) const;
  // Errors: what git and render give, naming file and field; timeout.
  Result<RenderedPtr> render(const Source& source, const std::string& commit);
  void forget(const Source& source);  // hard refresh

 private:
  Result<Rendered> make(const Source& source, const git::Repository& repository, const std::string& commit) const;
  RenderedPtr find(const std::string& key);
  void keep(const std::string& key, RenderedPtr rendered);

  const git::Repositories& repositories_;
  const Duration time_max_;
  const Capabilities capabilities_;
  std::mutex mutex_;
  std::list<std::pair<std::string, RenderedPtr>> cache_;  // newest first; GUARDED_BY(mutex_)
};

// Could a change of `changed` files alter what was rendered from `path` by reading `inputs`? Pure.
bool concerns(const std::string& path, const std::vector<std::string>& inputs, const std::vector<std::string>& changed);

// Does a pushed ref ("refs/heads/main") move what `revision` ("main", "HEAD", "v1.2") names? HEAD: any branch may be
// it.
bool moves(std::string_view ref, std::string_view revision);

// spec.source.kustomize as a kustomization over `path`. Errors: invalid, naming the field.
Result<Value> kustomization_over(const std::string& path, const Value& options);

}  // namespace caisson::gitops
