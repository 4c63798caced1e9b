// SPDX-License-Identifier: Apache-2.0
// What an attached Caisson needs in somebody else's Kubernetes: Argo CD's definitions, the namespace with its default
// project, rights; and whether an Argo CD works there already. Nothing that is there is changed. Threads: any.
#pragma once
#include <optional>
#include <string>

#include "cluster/kube/client.h"

namespace caisson::platform {

// CustomResourceDefinitions of Application, ApplicationSet and AppProject: open schemas, as what they hold is checked
// by who reconciles it. Waits until they are served. Errors: forbidden, with what to do; timeout.
Result<void> ensure_definitions(kube::Client& client);
// The namespace and the AppProject "default".
Result<void> ensure_home(kube::Client& client, const std::string& home_namespace);

// The controllers of an Argo CD that are told to run: "StatefulSet argocd/argocd-application-controller".
Result<std::vector<kube::Object>> running_argocd(kube::Client& client);
std::string describe_controllers(const std::vector<kube::Object>& controllers);
// Scales them to 0. Its Applications, and what they made, are not touched.
Result<void> stop_argocd(kube::Client& client, const std::vector<kube::Object>& controllers);

// A manifest of ServiceAccount, roles and bindings, as YAML: what the reconcilers read and write themselves, and the
// kinds that Applications have. `client` may be null: then the usual kinds stand for them.
Result<std::string> rbac_manifest(kube::Client* client, const std::string& home_namespace);

}  // namespace caisson::platform
