// SPDX-License-Identifier: Apache-2.0
// Volumes: a claim of the storage class `local` is bound, when a pod uses it, to a folder of this machine. Source:
// pkg/controller/volume/ persistentvolume (v1.33), as far as one machine needs it; the agent makes the folder when it
// mounts it.
#pragma once
#include <optional>
#include <string>

#include "cluster/kube/informer.h"
#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

inline constexpr std::string_view kLocalClass = "local";

// What keeps a pod from being scheduled on account of its claims.
struct ClaimState {
  bool waits_for_binder = false;  // ours will bind it presently
  std::string problem;            // in the scheduler's words
};
ClaimState claim_state(const kube::Object& pod, const kube::Informer& claims);

// The volume for a claim: a folder <root>/<ns>_<name>.
kube::Object make_volume(const kube::Object& claim, const std::string& root);

// Also makes the StorageClass `local` (the default one). `root` empty: claims stay Pending.
void add_volume_binder(kube::Runtime& runtime, std::string root);

}  // namespace caisson::controllers
