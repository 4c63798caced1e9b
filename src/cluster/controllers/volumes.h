// SPDX-License-Identifier: Apache-2.0
// Volumes: binding of PersistentVolumeClaims to PersistentVolumes, their phases, what becomes of a volume whose claim
// is gone, and the storage class `local`, whose volumes are folders of this machine. Source:
// pkg/controller/volume/persistentvolume (v1.33). The agent makes a local volume's folder when it mounts it.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "cluster/kube/informer.h"
#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

inline constexpr std::string_view kLocalClass = "local";

// The volume for a claim: a folder <root>/pvc-<uid>_<ns>_<name>, so that no claim finds what one before it left. The
// agent removes the folder of a volume that is gone.
kube::Object make_volume(const kube::Object& claim, const std::string& root);

// The smallest of `volumes` that an unbound claim can have: promised to it, or of nobody and of its class, modes,
// labels and at least its size. nullptr: there is none.
const kube::Object* find_volume(const kube::Object& claim, const std::vector<kube::Object>& volumes);

// With a `root` it also makes the StorageClass `local` (the default one); without, only volumes that people make are
// bound.
void add_volume_binder(kube::Runtime& runtime, std::string root);

const schema::Resource& persistent_volumes();
const schema::Resource& storage_classes();

}  // namespace caisson::controllers
