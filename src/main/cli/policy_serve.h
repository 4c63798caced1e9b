// SPDX-License-Identifier: Apache-2.0
// `caisson policy serve`: the policies of a Kubernetes that is there already as its admission webhooks.
#pragma once
#include <string>

#include "main/cli/session.h"

namespace caisson::cli {

struct PolicyServeOptions {
  Global global;
  std::string listen = "127.0.0.1", certificate, key, ca;  // files; `ca` signed the certificate, or it is itself
  int port = 9443;
  std::string url;               // where the cluster reaches us: then its webhook configurations are written, and go at the end
  bool ignore_failures = false;  // of those: writes go on while nobody answers
};

// Blocks until SIGTERM or SIGINT. Errors: not_found when the cluster knows none of the policies' kinds; those of the
// kubeconfig, the files and the listener.
Result<int> serve_policies(const PolicyServeOptions& options);

}  // namespace caisson::cli
