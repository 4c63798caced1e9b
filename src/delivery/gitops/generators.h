// SPDX-License-Identifier: Apache-2.0
// Generators of an ApplicationSet: list, clusters, git (directories, files), scmProvider, pullRequest, plugin,
// clusterDecisionResource, matrix, merge, each with an optional selector. Each gives sets of parameters; what they read
// comes in through GeneratorWorld. Follows Argo CD 3.0 docs/operator-manual/applicationset/Generators*.md. Threads:
// any.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "delivery/gitops/set_template.h"

namespace caisson::gitops {

struct GeneratedFile {
  std::string path, text;
};
struct GeneratorWorld {
  // Secrets with the label argocd.argoproj.io/secret-type: cluster.
  std::function<Result<std::vector<Value>>()> clusters;
  // All directories of a repository at a revision, without the root and without those below ".git".
  std::function<Result<std::vector<std::string>>(const std::string& url, const std::string& revision)> directories;
  // Files whose path fits one of the globs.
  std::function<Result<std::vector<GeneratedFile>>(const std::string& url, const std::string& revision,
                                                   const std::vector<std::string>& globs)>
      files;
  // Parameter sets of a scmProvider generator, without its `values`.
  std::function<Result<std::vector<Value>>(const Value& provider)> scm;
  // The same of a pullRequest generator; `labels` is a list.
  std::function<Result<std::vector<Value>>(const Value& provider)> pull_requests;
  // What a plug-in answers: sets as it has them.
  std::function<Result<std::vector<Value>>(const Value& config)> plugin;
  // Of a clusterDecisionResource: {cluster: its name, decision: the entry that named it}.
  std::function<Result<std::vector<Value>>(const Value& config)> decisions;
};

struct Generated {
  Value parameters;    // nested with Go templates, flat without
  Value own_template;  // the generator's `template`; null: none
};

inline constexpr std::size_t kGeneratedMax = 5'000;

// All generators of spec.generators, one after another. Errors: invalid, naming the generator and what is wrong with
// it; unavailable; too_large above kGeneratedMax.
Result<std::vector<Generated>> generate(const Value& spec, const TemplateStyle& style, const GeneratorWorld& world);

}  // namespace caisson::gitops
