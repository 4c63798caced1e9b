// SPDX-License-Identifier: Apache-2.0
// The step program of a pipeline: kaniko's executor by its command line (GoogleContainerTools/kaniko v1.23), but the
// building is done by the agent: this uploads the context, creates a Build, follows it, and tags the result. Runs as a
// process of its own, in a pod.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "artifact/build/cache_image.h"
#include "artifact/content/reference.h"
#include "artifact/registry/registry_client.h"
#include "core/base/clock.h"
#include "core/base/result.h"

namespace caisson::build {

// What RUN --mount=type=secret or ssh may use: a file, or a variable of the environment.
struct SecretOption {
  std::string id, path, variable;
  bool operator==(const SecretOption&) const = default;
};
// "id=npm,src=token.txt", "id=TOKEN,env=TOKEN", "id=TOKEN" (the variable TOKEN, or else a file of that name).
// Errors: bad_request, which names the part.
Result<SecretOption> parse_secret_option(std::string_view text);
// "default=KEYFILE", "github=KEYFILE". Errors: bad_request, also for an id alone, which would mean the caller's agent.
Result<SecretOption> parse_ssh_option(std::string_view text);

// How registries that are not the platform's own are spoken to.
struct RegistryTrust {
  struct ClientCertificate {
    std::string host, certificate_file, key_file;
    bool operator==(const ClientCertificate&) const = default;
  };
  std::vector<std::string> plain_http, unverified;            // hosts; "*": every one
  std::vector<std::pair<std::string, std::string>> ca_files;  // host, PEM
  std::vector<ClientCertificate> client_certificates;
  bool operator==(const RegistryTrust&) const = default;
};

struct ExecutorFlags {
  std::string dockerfile = "Dockerfile", context = "/workspace", sub_path, target;
  std::string digest_file;           // "sha256:…"
  std::string name_digest_file;      // "registry/repository@sha256:…", one line for each destination
  std::string name_tag_digest_file;  // "registry/repository:tag@sha256:…"
  std::string tar_path;              // archive of the image (docker save's form)
  std::string oci_layout_path;       // directory for the image as an OCI image layout
  std::vector<std::string> destinations;
  std::vector<std::pair<std::string, std::string>> build_args, labels;
  std::vector<CacheOption> cache_from;
  std::optional<CacheOption> cache_to;
  std::string cache_repository;  // kaniko's: cache_from and cache_to follow from it
  std::optional<Duration> cache_age_max;
  std::vector<SecretOption> secrets, ssh_keys;
  std::vector<std::string> ignore_paths;  // absolute: no part of any layer
  RegistryTrust trust;
  int push_retries = 0;
  bool cache = true, cache_run_layers = true, no_push = false, no_push_cache = false, reproducible = false;
  bool keep_immutable_tags = false;  // a tag that may not move stays as it is, and that is no failure
  bool operator==(const ExecutorFlags&) const = default;
};

// Every flag of kaniko has its meaning, nothing to do here, or is refused with the reason (executor_flags.cc).
// Errors: bad_request, which names the flag.
Result<ExecutorFlags> parse_executor_flags(const std::vector<std::string>& args);

// The platform that builds, and as whom it is asked.
struct BuildPlatform {
  std::string api_url, registry_url, portal_url;  // "https://kubernetes.default.svc:443"; the portal only gives the log
  std::string ca_pem;                             // of all three; empty: the host's
  std::string token, ns;
  std::string traceparent;
  std::string pod;  // whose step this is: a step that is started again takes the same Build up; empty: no pod's
  content::RegistryNames names;  // which destinations are the platform's own
  // Logins of all other registries; empty: none.
  std::function<std::optional<registry::Login>(std::string_view host)> login;
};

// Uploads the context, has it built and tags the result; the log goes to standard output. Errors name the flag, or are
// the build's own.
Result<void> run_executor(const ExecutorFlags& flags, const BuildPlatform& platform);

// The whole program. `args` without the program's name. Gives the exit status: 0, or 1 with the reason on standard
// error.
int executor_main(const std::vector<std::string>& args);

}  // namespace caisson::build
