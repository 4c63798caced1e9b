// SPDX-License-Identifier: Apache-2.0
// The nginx of an instance: its configuration, its life, its control socket. nginx outlives the agent: the next one
// takes it over by pid file, start time and control socket, so that kill -9 of the agent drops no connection. It is
// reloaded only when the text of its configuration changes (new ports or a new version of this program), never for
// routes, endpoints or certificates. nginx 1.22 with lua-nginx-module 0.10.23. One thread at a time.
#pragma once
#include <map>
#include <set>
#include <string>

#include "core/base/result.h"

namespace caisson::network {

struct NginxOptions {
  std::string instance, directory;
  std::string address;
  int http_port = 80, https_port = 443;
  std::string default_certificate_pem, default_key_pem;
  std::set<std::string> firewalls = {};  // modes (firewall.h) that some Ingress asks for
};

// Starts, takes over or reloads, so that nginx runs with exactly these options. Errors: already_exists "127.0.0.1:80 is
// in use", not_found (nginx or one of its modules is not installed), internal with nginx's own words.
Result<void> ensure_nginx(const NginxOptions& options);
// Those that the configuration in `directory` has, as far as their packages are still installed: an agent that takes
// nginx over keeps them until it knows which are asked for.
Result<std::set<std::string>> firewalls_of(const std::string& directory);
bool nginx_runs(const std::string& directory);
// Ends it (its workers finish what they serve for at most two seconds). Fine when it doesn't run.
Result<void> stop_nginx(const std::string& directory);

// The files of basic authentication, readable to nginx's workers only: the new ones are written before the routes that
// name them, the others removed after.
Result<void> write_user_files(const std::string& directory, const std::map<std::string, std::string>& files);
Result<void> remove_other_user_files(const std::string& directory, const std::map<std::string, std::string>& files);

// One request to the control socket: a path such as "/table" and a body. The answer's body. Errors: unavailable,
// invalid (refused).
Result<std::string> nginx_control(const std::string& directory, const std::string& path, const std::string& body);

}  // namespace caisson::network
