// SPDX-License-Identifier: Apache-2.0
// Client over HTTP: to the server from the agent (unix socket), from the command line, and to any Kubernetes when
// attached.
#pragma once
#include <memory>
#include <string>

#include "cluster/kube/client.h"
#include "core/http/client.h"

namespace caisson::kube {

struct Connection {
  std::string server;  // "https://127.0.0.1:6443"
  http::ClientOptions http;
  std::string token;           // bearer; empty: none
  std::string ns = "default";  // of the kubeconfig's context
};
// Reads a kubeconfig's current (or named) context. Errors: bad_request with file and field; exec plug-ins are refused
// by name.
Result<Connection> load_kubeconfig(const std::string& path, const std::string& context = "");

std::unique_ptr<Client> make_http_client(Connection connection);

}  // namespace caisson::kube
