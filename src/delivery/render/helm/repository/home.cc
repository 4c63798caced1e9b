// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/repository/home.h"

namespace caisson::render::helm {

Home home_of(const std::function<std::string(const char* name)>& env) {
  const auto first = [&](const char* name, std::string otherwise) {
    std::string value = env(name);
    return value.empty() ? std::move(otherwise) : value;
  };
  const auto folder = [&](const char* own, const char* xdg, const char* below_home) {
    return first(own, first(xdg, env("HOME") + below_home) + "/helm");
  };
  Home home;
  home.config = folder("HELM_CONFIG_HOME", "XDG_CONFIG_HOME", "/.config");
  home.cache = folder("HELM_CACHE_HOME", "XDG_CACHE_HOME", "/.cache");
  home.data = folder("HELM_DATA_HOME", "XDG_DATA_HOME", "/.local/share");
  home.repositories_file = first("HELM_REPOSITORY_CONFIG", home.config + "/repositories.yaml");
  home.cache_folder = first("HELM_REPOSITORY_CACHE", home.cache + "/repository");
  home.registry_file = first("HELM_REGISTRY_CONFIG", home.config + "/registry/config.json");
  home.docker_file = first("DOCKER_CONFIG", env("HOME") + "/.docker") + "/config.json";
  return home;
}

}  // namespace caisson::render::helm
