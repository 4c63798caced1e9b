// SPDX-License-Identifier: Apache-2.0
// Who may do what with Applications, ApplicationSets and AppProjects besides what RBAC gives: roles of AppProjects with
// their tokens and groups, and argocd-rbac-cm (policy.csv and policy.*.csv, policy.default, scopes, policy.matchMode).
// Where Argo CD asks these of its own server, they are asked of the API here, by what a request changes:
//
//   get, list, watch                        applications, get (a list or watch shows what may be read)
//   create, delete                          create, delete
//   `operation`, ending one, approving      sync; with manifests or a source that is neither the Application's nor of
//   a plan                                  its history: override
//   the refresh annotation                  get
//   anything else of spec and metadata      update; into another project: create and update there
//   status                                  nobody: it is the controller's
//
// Follows Argo CD 3.0 server/rbacpolicy and server/application. Kinds outside argoproj.io are RBAC's alone. Objects are
// named "PROJECT/NAME", or "PROJECT/NAMESPACE/NAME" outside the home namespace. Threads: any.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "cluster/apiserver/access_rules.h"
#include "cluster/kube/client.h"
#include "core/base/clock.h"

namespace caisson::gitops {

struct ProjectRightsOptions {
  // A client that may read all of `home_namespace`; null while there is none: nobody may do anything then.
  std::function<kube::Client*()> client;
  std::string home_namespace = "argocd";
  Clock* clock = &system_clock();
};
std::shared_ptr<const apiserver::AccessRules> make_project_rights(ProjectRightsOptions options);

}  // namespace caisson::gitops
