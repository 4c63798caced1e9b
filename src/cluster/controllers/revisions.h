// SPDX-License-Identifier: Apache-2.0
// ControllerRevisions: the templates that a StatefulSet or DaemonSet had, by which `kubectl rollout undo` goes back.
// Source: pkg/controller/history/controller_history.go (v1.33). Any thread.
#pragma once
#include <string>
#include <vector>

#include "cluster/controllers/pods.h"
#include "cluster/kube/client.h"

namespace caisson::controllers {

inline const schema::Resource kControllerRevisions{"apps", "v1", "ControllerRevision", "controllerrevisions"};

// The revision of the owner's present template among `owned`: found, renumbered when it was an old one, or made.
Result<kube::Object> ensure_revision(kube::Client& client, const kube::Object& owner,
                                     const std::vector<kube::Object>& owned);
// The pod template that a revision keeps.
Value revision_template(const kube::Object& revision);
std::string revision_hash(const kube::Object& revision);
// Revisions beyond spec.revisionHistoryLimit, oldest first, without those `in_use` (names).
std::vector<kube::Object> plan_revision_cleanup(const kube::Object& owner, std::vector<kube::Object> owned,
                                                const std::vector<std::string>& in_use);

}  // namespace caisson::controllers
