// SPDX-License-Identifier: Apache-2.0
// Hosts that accept and never answer, and templates without an end, hold up no other Application.
#include <arpa/inet.h>
#include <sys/socket.h>

#include "core/base/file.h"
#include "delivery/gitops/platform_test.h"

using namespace caisson;
using namespace caisson::gitops::testing;

namespace {

constexpr int kHealthy = 20, kOfHost = 8;

// Its connections are taken by the kernel and read by nobody.
class SilentHost {
 public:
  SilentHost() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(socket_->get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(socket_->get(), 64) == 0);
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(socket_->get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/team/web.git"; }
  void end() { socket_.reset(); }

 private:
  std::optional<UniqueFd> socket_{UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))};
  int port_ = 0;
};

std::string config_map(const std::string& name, const std::string& value) {
  return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata: {key: \"" + value + "\"}\n";
}

void create_set(Platform& it, const std::string& name, const std::string& generator) {
  must(it.client->create(kube::Object(
      must(yaml::read("{apiVersion: argoproj.io/v1alpha1, kind: ApplicationSet, metadata: {name: " + name +
                      ", namespace: argocd}, spec: {generators: [{" + generator +
                      "}], template: {metadata: {name: '{{name}}'}, spec: {project: default, source: {repoURL: '" +
                      std::string(kUrl) + "', path: web0}, destination: {name: in-cluster, namespace: shop}}}}}")))));
}

}  // namespace

TEST_CASE("two hosts that never answer and two charts without an end: twenty other Applications stay quick") {
  SilentHost hosts[2];  // they end before the platform does, which waits for what it has under way
  Platform it;
  std::map<std::string, std::string> files;
  std::vector<std::string> paths;
  for (int i = 0; i < kHealthy; ++i) {
    const std::string name = "web" + std::to_string(i);
    files[name + "/a.yaml"] = config_map(name, "1");
    paths.push_back(name + "/a.yaml");
  }
  for (const char* name : {"endless0", "endless1"}) {
    files[std::string(name) + "/Chart.yaml"] = "apiVersion: v2\nname: endless\nversion: 0.1.0\n";
    files[std::string(name) + "/templates/a.yaml"] =
        "{{ range $i := until 100000 }}{{ range $j := until 100000 }}{{ $x := mul $i $j }}{{ end }}{{ end }}\n";
  }
  it.repository.push(files);
  const std::string automated = "  syncPolicy: {automated: {prune: true}}\n";
  // Several of one host wait for the same fetch, each for 10 s; were they not held apart, it would take more than a
  // minute until others have a turn.
  for (int i = 0; i < kOfHost; ++i) {
    for (int host = 0; host < 2; ++host) {
      const std::string name = "stuck" + std::to_string(host) + "-" + std::to_string(i);
      must(it.client->create(kube::Object(
          must(yaml::read("{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: " + name +
                          ", namespace: argocd}, spec: {project: default, source: {repoURL: '" + hosts[host].url() +
                          "', path: ., targetRevision: main}, destination: {name: in-cluster, namespace: shop}}}")))));
    }
  }
  for (int i = 0; i < 4; ++i)
    create_set(it, "stuck" + std::to_string(i),
               "git: {repoURL: '" + hosts[i % 2].url() + "', revision: main, directories: [{path: '*'}]}");
  create_set(it, "well", "list: {elements: [{name: listed}]}");
  for (const char* name : {"endless0", "endless1"}) it.create_application(name, name, automated);
  for (int i = 0; i < kHealthy; ++i)
    it.create_application("web" + std::to_string(i), "web" + std::to_string(i), automated);
  const auto all_have = [&](const std::string& value) {
    for (int i = 0; i < kHealthy; ++i) {
      if (it.data("web" + std::to_string(i)) != value) return false;
    }
    return true;
  };
  // On a machine that does much else, too, this is far from the minute and more that it would take.
  const auto in_time = [&](const std::string& value) {
    return it.eventually([&] { return all_have(value); }) || it.eventually([&] { return all_have(value); });
  };
  CHECK(in_time("1"));
  CHECK(it.eventually([&] { return !it.application("listed").is_null(); }));
  for (int i = 0; i < kHealthy; ++i) {
    const std::string name = "web" + std::to_string(i);
    files[name + "/a.yaml"] = config_map(name, "2");
  }
  it.announce(it.repository.push(files), paths);
  CHECK(in_time("2"));

  const auto says = [&](const std::string& name, std::string_view text) {
    return it.eventually(
        [&] { return json::write(it.application(name)["status"]["conditions"]).find(text) != std::string::npos; });
  };
  for (const char* name : {"endless0", "endless1"}) CHECK(says(name, "steps"));
  for (int host = 0; host < 2; ++host) {
    hosts[host].end();
    for (int i = 0; i < kOfHost; ++i)
      CHECK(says("stuck" + std::to_string(host) + "-" + std::to_string(i), hosts[host].url()));
  }
}
