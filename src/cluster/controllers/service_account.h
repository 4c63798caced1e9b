// SPDX-License-Identifier: Apache-2.0
// ServiceAccount: every namespace has the account "default" and the ConfigMap kube-root-ca.crt, and gets them again
// when they go. Source: pkg/controller/serviceaccount/serviceaccounts_controller.go, certificates/rootcacertpublisher
// (v1.33).
#pragma once
#include <string>

#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

// `ca_pem` empty: no ConfigMap is made.
void add_service_account(kube::Runtime& runtime, std::string ca_pem);

}  // namespace caisson::controllers
