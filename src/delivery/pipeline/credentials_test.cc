// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/credentials.h"

#include <doctest/doctest.h>

#include "core/base/encoding.h"
#include "core/document/json.h"
#include "core/document/yaml.h"

namespace caisson::pipeline {
namespace {

kube::Object secret(const char* name, const char* type, const char* annotations,
                    const std::vector<std::pair<const char*, std::string>>& data) {
  kube::Object out = kube::Object::make(schema::kSecrets, "shop", name);
  out.edit().set("type", type);
  const Value annotation_map = yaml::read(annotations).value();
  for (const auto& entry : annotation_map.entries()) out.set_annotation(entry.key, entry.value.as_string());
  for (const auto& [key, text] : data) out.edit({"data"}).set(key, base64(text));
  return out;
}

TEST_CASE("keys of ssh become files and a configuration for their hosts") {
  const auto out = read_credentials({secret("hub", "kubernetes.io/ssh-auth",
                                            "{tekton.dev/git-0: github.com, tekton.dev/git-1: 'ssh://git@lab:2222/'}",
                                            {{"ssh-privatekey", "KEY"}, {"known_hosts", "github.com ssh-ed25519 A\n"}}),
                                     secret("new", "kubernetes.io/ssh-auth", "{tekton.dev/git-0: 'git@new.example'}",
                                            {{"ssh-privatekey", "KEY2\n"}}),
                                     secret("other", "kubernetes.io/ssh-auth", "{}", {{"ssh-privatekey", "KEY3"}})})
                       .value();
  CHECK(out.https.empty());
  CHECK(out.docker.empty());
  CHECK(out.ssh.size() == 4);
  CHECK(out.ssh.at("id_hub") == "KEY\n");
  CHECK(out.ssh.at("id_new") == "KEY2\n");
  CHECK(out.ssh.at("known_hosts") == "github.com ssh-ed25519 A\n");
  CHECK(out.ssh.at("config") ==
        "Host github.com\n    HostName github.com\n    IdentityFile /tekton/home/.ssh/id_hub\n    IdentitiesOnly yes\n"
        "    UserKnownHostsFile /tekton/home/.ssh/known_hosts\n"
        "Host lab\n    HostName lab\n    Port 2222\n    IdentityFile /tekton/home/.ssh/id_hub\n    IdentitiesOnly yes\n"
        "    UserKnownHostsFile /tekton/home/.ssh/known_hosts\n"
        "Host new.example\n    HostName new.example\n    IdentityFile /tekton/home/.ssh/id_new\n    IdentitiesOnly "
        "yes\n    StrictHostKeyChecking accept-new\n    UserKnownHostsFile /tekton/home/known_hosts\n");
}

TEST_CASE("logins of registries become one config.json") {
  const auto out =
      read_credentials(
          {secret("a", "kubernetes.io/dockerconfigjson", "{}",
                  {{".dockerconfigjson", R"({"auths":{"ghcr.io":{"auth":"YTpi"}}})"}}),
           secret("b", "kubernetes.io/dockercfg", "{}", {{".dockercfg", R"({"quay.io":{"auth":"Yzpk"}})"}}),
           secret("c", "kubernetes.io/basic-auth", "{tekton.dev/docker-0: 'https://index.docker.io/v1/'}",
                  {{"username", "me"}, {"password", "secret"}})})
          .value();
  CHECK(out.https.empty());
  CHECK(out.docker.at("config.json") ==
        R"({"auths":{"ghcr.io":{"auth":"YTpi"},"quay.io":{"auth":"Yzpk"},)"
        R"("https://index.docker.io/v1/":{"username":"me","password":"secret","auth":"bWU6c2VjcmV0"}}})");
}

TEST_CASE("a Secret for git and a registry serves both, and one without annotations nothing") {
  const auto out = read_credentials({secret("both", "kubernetes.io/basic-auth",
                                            "{tekton.dev/git-0: 'https://lab', tekton.dev/docker-0: lab}",
                                            {{"username", "u"}, {"password", "p"}}),
                                     secret("none", "kubernetes.io/basic-auth", "{}", {})})
                       .value();
  CHECK(out.https == std::vector<Credentials::Https>{{"both", {"https://lab"}}});
  CHECK(json::parse(out.docker.at("config.json"))->operator[]("auths").size() == 1);
  CHECK(credential_data(Credentials{}).is_null());
}

TEST_CASE("what can't be used is refused with the Secret's name") {
  const auto words = [](const kube::Object& one) { return read_credentials({one}).error().message; };
  CHECK(words(secret("s", "Opaque", "{tekton.dev/git-0: github.com}", {})) ==
        "secret s: git credentials of type Opaque are not known (kubernetes.io/basic-auth and kubernetes.io/ssh-auth "
        "are)");
  CHECK(words(secret("s", "kubernetes.io/ssh-auth", "{tekton.dev/docker-0: ghcr.io}", {})) ==
        "secret s: registry credentials of type kubernetes.io/ssh-auth are not known (kubernetes.io/basic-auth are)");
  CHECK(words(secret("s", "kubernetes.io/dockerconfigjson", "{}", {{".dockerconfigjson", "{"}}))
            .starts_with("secret s, .dockerconfigjson: "));
}

TEST_CASE("a step has the files with the mode that its user needs") {
  Credentials credentials;
  credentials.ssh = {{"config", "c"}, {"id_a", "k"}};
  credentials.docker = {{"config.json", "{}"}};
  Value volumes = Value::list(), root = Value::list(), other = Value::list();
  add_credential_volumes(credentials, "run-credentials", volumes);
  add_credential_mounts(credentials, true, root);
  add_credential_mounts(credentials, false, other);
  CHECK(
      json::write(root) ==
      R"([{"name":"tekton-ssh","mountPath":"/tekton/home/.ssh"},{"name":"tekton-docker","mountPath":"/tekton/home/.docker"}])");
  CHECK(other[0]["name"].as_string() == "tekton-ssh-of-others");
  REQUIRE(volumes.size() == 3);
  CHECK(volumes[0]["secret"]["defaultMode"].as_int() == 0400);
  CHECK(volumes[1]["secret"]["defaultMode"].as_int() == 0444);
  CHECK(json::write(volumes[0]["secret"]["items"]) ==
        R"([{"key":"ssh.config","path":"config"},{"key":"ssh.id_a","path":"id_a"}])");
}

}  // namespace
}  // namespace caisson::pipeline
