// SPDX-License-Identifier: Apache-2.0
// What the Secrets of a run's ServiceAccount open for its steps: git by https and by ssh, and registries. Pure; any
// thread. Source: tektoncd/pipeline v1, docs/auth.md. Where upstream's entrypoint writes files into each step's home,
// the node mounts them there.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "cluster/kube/object.h"
#include "core/base/result.h"

namespace caisson::pipeline {

inline constexpr std::string_view kHome = "/tekton/home";

struct Credentials {
  // A Secret of type kubernetes.io/basic-auth with annotations tekton.dev/git-N, as "https://github.com".
  struct Https {
    std::string secret;
    std::vector<std::string> urls;
    bool operator==(const Https&) const = default;
  };
  std::vector<Https> https;
  std::map<std::string, std::string> ssh;     // files of ~/.ssh by name: config, known_hosts, id_SECRET
  std::map<std::string, std::string> docker;  // files of ~/.docker: config.json
};

// Of the ServiceAccount's secrets those that are meant for it: basic-auth and ssh-auth with annotations
// tekton.dev/git-N, basic-auth with annotations tekton.dev/docker-N, dockercfg and dockerconfigjson. Errors: invalid,
// with the Secret, for an annotated one of another type, and for what is no docker configuration.
Result<Credentials> read_credentials(const std::vector<kube::Object>& secrets);

// The files of `credentials` as one Secret, keys "ssh.NAME" and "docker.NAME".
Value credential_data(const Credentials& credentials);

// The volumes of that Secret, and where a step has them. ssh takes no key that others may read from the user who owns
// it (root here), and a step that runs as somebody else must be able to read it: two modes.
void add_credential_volumes(const Credentials& credentials, const std::string& secret_name, Value& volumes);
void add_credential_mounts(const Credentials& credentials, bool as_root, Value& mounts);

}  // namespace caisson::pipeline
