// SPDX-License-Identifier: Apache-2.0
// `caisson up --kubeconfig`: GitOps alone, against a Kubernetes (1.30 and later) that is there already. No store, no
// API server, no containers, no root: Applications live in that cluster and go to it and to those that cluster Secrets
// name. Several such processes may run; a Lease says which one reconciles.
//
// Left out, as it belongs to the machine: git and registry hosting, pipelines, builds, metrics, policies.
#pragma once
#include <functional>
#include <string>

#include "core/base/result.h"

namespace caisson::platform {

struct AttachOptions {
  std::string kubeconfig, context;
  std::string data_dir;                   // mirrors of repositories: can be lost
  std::string home_namespace = "argocd";  // where Applications, settings and Secrets are
  std::string listen = "127.0.0.1";       // webhooks and health
  int port = 8080;
  bool take_over = false;  // stop an Argo CD that works there
  std::function<void(const std::string& line)> progress;
};

// Blocks until SIGTERM or SIGINT. Errors: conflict when an Argo CD works there and it was not told to take over; what
// the kubeconfig and the API give at the start. Later trouble is waited out.
Result<void> attach(const AttachOptions& options);

}  // namespace caisson::platform
