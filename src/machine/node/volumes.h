// SPDX-License-Identifier: Apache-2.0
// A pod's volumes below its directory: pods/<uid>/volumes/<name>. Files of ConfigMaps, Secrets, tokens and the downward
// API are swapped as a whole, as the kubelet's AtomicWriter does: the names are links into `..data`, which is a link to
// a dated directory. Secrets and tokens lie on a tmpfs. Any thread; one pod by one thread at a time.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "artifact/container/user_namespace.h"
#include "core/base/result.h"
#include "machine/node/env.h"

namespace caisson::node {

struct VolumeFile {
  std::string data;
  unsigned mode = 0644;
  bool operator==(const VolumeFile&) const = default;
};
using Payload = std::map<std::string, VolumeFile>;  // by path in the volume

struct VolumeSources {
  const Surroundings* around = nullptr;
  // A token of the pod's ServiceAccount, bound to the pod.
  std::function<Result<std::string>(const std::string& audience, std::int64_t expiration_s)> token;
  std::function<std::optional<kube::Object>(const std::string& name)>
      claim;  // PersistentVolumeClaim of the pod's namespace
  std::function<std::optional<kube::Object>(const std::string& name)> volume;      // PersistentVolume
  std::function<std::vector<std::string>(const std::string& volume)> image_trees;  // of an image volume, topmost first
  container::IdRange ids;     // of the pod's user namespace: image volumes are mounted with them
  bool first = true;          // the pod's volumes are made for the first time: ownership is given then
  std::string local_volumes;  // "<data>/volumes": a PersistentVolume's directory below it is made when absent
};

// The files of a configMap, secret, downwardAPI or projected volume; nothing for other kinds. Errors: not_found for an
// object or key that is not optional, invalid for a bad item.
Result<std::optional<Payload>> volume_payload(const kube::Object& pod, const Value& volume,
                                              const VolumeSources& sources);

// Writes `payload` into `directory` so that a reader sees all of the old or all of the new. Gives whether anything
// changed. `group`: fsGroup.
Result<bool> write_payload(const std::string& directory, const Payload& payload, std::optional<std::uint32_t> group);

// Makes every volume of the pod; gives the host path of each by name. Called again it brings files up to date.
// Errors: as volume_payload; not_found for an unbound claim; invalid "volume x: kind y is not supported".
Result<std::map<std::string, std::string>> make_volumes(const kube::Object& pod, const std::string& directory,
                                                        const VolumeSources& sources);

// Where a volumeMount's source is: the volume, or subPath in it (made as a directory when absent), links resolved
// inside the volume.
Result<std::string> mount_source(const std::string& volume_path, std::string_view sub_path);

}  // namespace caisson::node
