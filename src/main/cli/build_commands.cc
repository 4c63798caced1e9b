// SPDX-License-Identifier: Apache-2.0
// `caisson build`: what a pipeline's build step does, from a shell.
#include "artifact/build/executor.h"
#include "core/base/text.h"
#include "main/cli/commands.h"
#include "main/cli/registry_access.h"

namespace caisson::cli {
namespace {

Result<std::vector<std::pair<std::string, std::string>>> pairs_of(const char* flag,
                                                                  const std::vector<std::string>& words) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos)
      return Error{ErrorCode::bad_request, std::string(flag) + " " + word + ": want NAME=value"};
    out.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  return out;
}

bool is_loopback(std::string_view host) {
  return host.starts_with("localhost") || host.starts_with("127.") || host.starts_with("[::1]");
}

}  // namespace

Result<void> command_build(const Global& global, const BuildFlags& flags) {
  build::ExecutorFlags executor;
  executor.context = flags.context;
  executor.dockerfile = flags.dockerfile;
  executor.target = flags.target;
  executor.destinations = flags.tags;
  executor.cache = !flags.no_cache;
  executor.no_push = flags.tags.empty();
  executor.tar_path = flags.tar_path;
  executor.digest_file = flags.digest_file;
  executor.build_args = TRY(pairs_of("--build-arg", flags.build_args));
  executor.labels = TRY(pairs_of("--label", flags.labels));

  for (const std::string& text : flags.cache_from) {
    build::CacheOption cache = TRY(build::parse_cache_option("cache-from", text));
    executor.cache_from.push_back(std::move(cache));
  }
  for (const std::string& text : flags.secrets) executor.secrets.push_back(TRY(build::parse_secret_option(text)));
  for (const std::string& text : flags.ssh_keys) executor.ssh_keys.push_back(TRY(build::parse_ssh_option(text)));
  if (!flags.cache_to.empty()) executor.cache_to = TRY(build::parse_cache_option("cache-to", flags.cache_to));

  const Session session = TRY(connect(global));
  const Result<platform::Instance> instance =
      platform::load_instance(global.data_dir);  // on the platform's own machine
  const platform::Ports ports = instance.ok() ? instance->settings.ports : platform::Ports{};
  build::BuildPlatform where;
  where.login = registry_logins(global);
  where.api_url = session.connection.server;
  where.ca_pem = session.connection.http.ca_pem;
  where.token = session.connection.token;
  where.ns = session.ns;
  where.portal_url = flags.portal.empty() ? "http://localhost:" + std::to_string(ports.portal) : flags.portal;
  std::string host = "localhost:" + std::to_string(ports.registry);
  if (!flags.tags.empty()) {
    // The first tag says which registry is the platform's, and whose image it is.
    const content::Reference first = TRY(parse_image(flags.tags.front()));
    host = first.registry;
    if (global.ns.empty() && first.repository.find('/') != std::string::npos)
      where.ns = first.repository.substr(0, first.repository.find('/'));
  }
  where.names.port = ports.registry;
  where.names.addresses = {host};
  where.registry_url = (is_loopback(host) ? "http://" : "https://") + host;
  return build::run_executor(executor, where);
}

}  // namespace caisson::cli
