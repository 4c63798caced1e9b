// SPDX-License-Identifier: Apache-2.0
#include "main/cli/registry_access.h"

#include <cstdlib>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "main/platform/instance.h"

namespace caisson::cli {
namespace {

std::string home() {
  const char* at = std::getenv("HOME");
  return at != nullptr ? at : "/root";
}

Value read_docker_config() {
  const char* given = std::getenv("DOCKER_CONFIG");
  const Result<std::string> text =
      read_file((given != nullptr ? std::string(given) : home() + "/.docker") + "/config.json");
  if (!text.ok()) return {};
  Result<Value> config = json::parse(*text);
  if (config.ok()) return std::move(config).value();
  log::warning("docker's config.json not read", {{"error", config.error()}});
  return {};
}

// docker-credential-NAME get: the host on standard input, {"Username", "Secret"} on standard output.
std::optional<registry::Login> ask_helper(const std::string& helper, const std::string& host) {
  Command command;
  command.args = {"docker-credential-" + helper, "get"};
  command.input = host;
  command.time_max = std::chrono::seconds(10);
  const Result<std::string> out = run_checked(command);
  if (!out.ok()) return std::nullopt;
  const Result<Value> answer = json::parse(*out);
  if (!answer.ok()) return std::nullopt;
  return registry::Login{(*answer)["Username"].str(), SecretBytes((*answer)["Secret"].str())};
}

std::optional<registry::Login> find_login(const Value& config, const std::string& host) {
  const std::string key = host == "docker.io" ? "https://index.docker.io/v1/" : host;
  std::string helper = config["credHelpers"][key].str();
  if (helper.empty()) helper = config["credsStore"].str();
  if (!helper.empty()) {
    if (std::optional<registry::Login> login = ask_helper(helper, key)) return login;
  }
  for (const std::string& name : {key, "https://" + key}) {
    const Result<std::string> plain = unbase64(config["auths"][name]["auth"].as_string());
    const std::size_t colon = plain.ok() ? plain->find(':') : std::string::npos;
    if (colon != std::string::npos)
      return registry::Login{plain->substr(0, colon), SecretBytes(plain->substr(colon + 1))};
  }
  return std::nullopt;
}

// The platform's, by any of the names that this machine has for it.
bool is_own_registry(const Global& global, std::string_view host) {
  const Result<platform::Instance> instance = platform::load_instance(global.data_dir);
  if (!instance.ok()) return false;
  const std::string port = ":" + std::to_string(instance->settings.ports.registry);
  return host == "localhost" + port || host == "127.0.0.1" + port || host == instance->settings.listen + port;
}

class RemoteLayers final : public content::LayerSource {
 public:
  RemoteLayers(registry::RegistryClient& client, const content::Reference& reference)
      : client_(client), reference_(reference) {}
  bool has(const content::Digest& digest) override {
    const Result<bool> there = client_.has_blob(reference_, digest);
    return there.ok() && *there;
  }
  Result<std::uint64_t> size_bytes(const content::Digest& digest) override {
    return Error{ErrorCode::not_found, "the size of " + digest.str() + " is in its manifest"};
  }
  Result<content::ByteSource> open(const content::Digest& digest) override {
    content::ByteSource source = TRY(client_.open_blob(reference_, digest));
    auto hasher = std::make_shared<content::Hasher>(digest.algorithm);
    return content::ByteSource(
        [source = std::move(source), hasher, digest, ended = false]() mutable -> Result<std::string> {
          if (ended) return std::string();
          std::string piece = TRY(source());
          hasher->update(piece);
          ended = piece.empty();
          if (ended && hasher->finish() != digest)
            return Error{ErrorCode::bad_request, "what came for " + digest.str() + " is something else"};
          return piece;
        });
  }

 private:
  registry::RegistryClient& client_;
  const content::Reference& reference_;
};

}  // namespace

Result<content::Reference> parse_image(const std::string& text) {
  content::RegistryNames none;
  none.port = 0;
  return content::parse_reference(text, none);
}

std::function<std::optional<registry::Login>(std::string_view host)> registry_logins(const Global& global) {
  return [global, config = read_docker_config()](std::string_view host) -> std::optional<registry::Login> {
    if (std::optional<registry::Login> login = find_login(config, std::string(host))) return login;
    if (!is_own_registry(global, host)) return std::nullopt;
    const Result<Session> session = connect(global);
    if (!session.ok() || session->connection.token.empty()) return std::nullopt;
    return registry::Login{"admin", SecretBytes(session->connection.token)};
  };
}

registry::RegistryClient make_registry_client(const Global& global) {
  registry::ClientOptions options;
  options.login = registry_logins(global);
  return registry::RegistryClient(std::move(options));
}

Result<int> at_registry(Result<int> result) {
  if (result.ok() || result.error().code != ErrorCode::unauthorized) return result;
  return Error{ErrorCode::unauthorized, result.error().message + " ('caisson login' or 'docker login' brings one)"};
}

Result<std::string> own_registry(const Global& global) {
  const platform::Instance instance = TRY(platform::load_instance(global.data_dir));
  return "localhost:" + std::to_string(instance.settings.ports.registry);
}

std::unique_ptr<content::LayerSource> make_remote_layers(registry::RegistryClient& client,
                                                         const content::Reference& reference) {
  return std::make_unique<RemoteLayers>(client, reference);
}

std::string user_cache_dir() {
  const char* given = std::getenv("XDG_CACHE_HOME");
  return (given != nullptr && *given != '\0' ? std::string(given) : home() + "/.cache") + "/caisson";
}

}  // namespace caisson::cli
