// SPDX-License-Identifier: Apache-2.0
// kustomize, helm, app, policy: they read their arguments themselves, these are for the list of commands and its help.
#include <CLI/CLI.hpp>

#include "main/cli/proj_commands.h"
#include "main/cli/tree.h"

namespace caisson::cli {
void add_delivery_commands(Tree& t) {
  // Only for the help: kustomize_commands.cc reads the arguments itself (see run_command_line).
  add(t, t.app, "kustomize", "render and edit Kustomize trees, with kustomize's sub-commands and flags",
      "caisson kustomize build overlays/dev", [] { return Result<int>(command_kustomize({})); });
  add(t, t.app, "helm", "render charts, with Helm's sub-commands and flags",
      "caisson helm template web ./chart -f values.yaml", [&t] { return done(command_helm({})); });
  add(t, t.app, "app", "Applications: list, get, diff, sync, wait, history, rollback, …",
      "caisson app sync web --prune", [&t] { return command_app(t.global, {"--help"}); });
  add(t, t.app, "proj", "AppProjects: create, roles and their tokens, sync windows, …",
      "caisson proj role create-token shop ci --expires-in 30d", [&t] { return command_proj(t.global, {"--help"}); });
  auto* policy = add(t, t.app, "policy", "check objects against policies", "caisson policy test policies/", nullptr);
  policy->require_subcommand(1);
  // Only for the help: policy_commands.cc reads the arguments itself (see run_command_line).
  add(t, *policy, "test", "run the kyverno-test.yaml files of folders", "caisson policy test policies/",
      [] { return command_policy({"test"}); });
  add(t, *policy, "apply", "apply policies to resource files", "caisson policy apply policy.yaml --resource pod.yaml",
      [] { return command_policy({"apply"}); });
  add(t, *policy, "explain", "why rules match an object or not, with the values that they see",
      "caisson policy explain policy.yaml --resource pod.yaml", [] { return command_policy({"explain"}); });
  add(t, *policy, "jp", "JMESPath: query EXPRESSION -i FILE, function [NAME]",
      "caisson policy jp query 'length(@)' -i list.yaml", [] { return command_policy({"jp"}); });
}

}  // namespace caisson::cli
