// SPDX-License-Identifier: Apache-2.0
// Where Helm keeps what it knows of repositories and registries, so that the real helm and ours share it. Source: Helm
// 3.22 pkg/helmpath and pkg/cli. Pure; any thread.
#pragma once
#include <functional>
#include <string>

namespace caisson::render::helm {

struct Home {
  std::string config, cache, data;  // HELM_CONFIG_HOME, HELM_CACHE_HOME, HELM_DATA_HOME
  std::string repositories_file;    // HELM_REPOSITORY_CONFIG
  std::string cache_folder;         // HELM_REPOSITORY_CACHE: indexes and downloaded charts
  std::string registry_file;        // HELM_REGISTRY_CONFIG: logins, in docker's format
  std::string docker_file;          // docker's own logins: looked at where Helm's file has none
  std::string index_file(const std::string& repository) const {
    return cache_folder + "/" + repository + "-index.yaml";
  }
  std::string charts_file(const std::string& repository) const {
    return cache_folder + "/" + repository + "-charts.txt";
  }
};

// By the HELM_* variables, then XDG's, then $HOME. `env` gives a variable's value, empty when it is not set.
Home home_of(const std::function<std::string(const char* name)>& env);

// What a command says while it works: standard output and standard error, without new lines added.
struct Talk {
  std::function<void(const std::string&text)> out, err;
};

}  // namespace caisson::render::helm
