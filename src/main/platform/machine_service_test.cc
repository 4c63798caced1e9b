// SPDX-License-Identifier: Apache-2.0
#include "main/platform/machine_service.h"

#include <doctest/doctest.h>

#include "core/base/file.h"
#include "core/http/client.h"

namespace caisson::platform {
namespace {

using namespace std::chrono_literals;

class OneGone final : public network::Withdrawal {
 public:
  bool withdrawn(std::string_view ip) const override { return ip == "10.42.0.9"; }
  bool wait_withdrawn(std::string_view ip, Duration time_max) const override {
    waited = time_max;
    return withdrawn(ip);
  }
  mutable Duration waited{};
};

class OneForbidden final : public network::PolicyGate {
 public:
  Result<void> admit(const kube::Object& pod, const std::string& ip) override {
    asked = pod.ns() + "/" + pod.name() + " " + ip;
    if (pod.name() == "forbidden") return Error{ErrorCode::timeout, "the rules are not in force"};
    return {};
  }
  std::string asked;
};

// An image that must be fetched, one that is nowhere.
class TwoImages final : public node::ImageProvider {
 public:
  explicit TwoImages(content::Digest digest) : digest_(std::move(digest)) {}
  Result<node::Image> ensure(const node::ImageRequest& request) override {
    policy = request.policy;
    configs = request.docker_configs;
    if (request.name.starts_with("absent")) return Error{ErrorCode::not_found, "image absent is nowhere"};
    request.on_pull();
    node::Image image;
    image.digest = digest_;
    image.trees = {"/layers/b/tree", "/layers/a/tree"};
    image.stand_in = "debian packages";
    return image;
  }
  node::PullPolicy policy{};
  std::vector<Value> configs;

 private:
  content::Digest digest_;
};

struct Bench {
  TempDir dir = std::move(TempDir::make()).value();
  content::BlobStore blobs = std::move(content::BlobStore::open(dir.path() + "/content")).value();
  OneGone withdrawal;
  OneForbidden policies;
  std::unique_ptr<TwoImages> images;
  http::Server server = std::move(http::Server::start({})).value();
  const std::string socket = dir.path() + "/machine.sock";

  Bench() {
    const std::string config = R"({"architecture":"amd64","os":"linux","config":{"Cmd":["serve"],"User":"1000"}})";
    const std::string manifest =
        R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":")" +
        keep(config).str() + R"(","size":)" + std::to_string(config.size()) + R"(},"layers":[]})";
    images = std::make_unique<TwoImages>(keep(manifest));
    REQUIRE(server.listen_unix(socket, make_machine_service(withdrawal, policies, *images, blobs)).ok());
  }
  content::Digest keep(const std::string& bytes) { return std::move(blobs.put_bytes(bytes)).value(); }
};

TEST_CASE("a node asks whether an address is withdrawn, and how long it would wait") {
  Bench bench;
  const auto remote = make_remote_withdrawal(bench.socket);
  CHECK(remote->withdrawn("10.42.0.9"));
  CHECK_FALSE(remote->withdrawn("10.42.0.8"));
  CHECK(remote->wait_withdrawn("10.42.0.9", 1500ms));
  CHECK(bench.withdrawal.waited == 1500ms);
  CHECK_FALSE(make_remote_withdrawal(bench.dir.path() + "/nobody")->wait_withdrawn("10.42.0.9", 1s));
}

TEST_CASE("a pod is admitted by the policies of the machine; a refusal keeps its code and words") {
  Bench bench;
  const auto remote = make_remote_policies(bench.socket);
  const auto pod = [](const char* name) { return kube::Object::make(schema::kPods, "team", name); };
  CHECK(remote->admit(pod("web"), "10.42.64.2").ok());
  CHECK(bench.policies.asked == "team/web 10.42.64.2");
  const auto refused = remote->admit(pod("forbidden"), "10.42.64.3");
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == ErrorCode::timeout);
  CHECK(refused.error().message == "the rules are not in force");
  CHECK_FALSE(make_remote_policies(bench.dir.path() + "/nobody")->admit(pod("web"), "10.42.64.2").ok());
}

TEST_CASE(
    "images are fetched by the machine: credentials go there, what is pulled is told, the configuration comes back") {
  Bench bench;
  const auto remote = make_remote_images(bench.socket, {});
  int pulls = 0;
  const auto image = remote->ensure({.name = "example.org/team/web:v1",
                                     .policy = node::PullPolicy::always,
                                     .docker_configs = {Value{{"example.org", Value{{"auth", "eDp5"}}}}},
                                     .on_pull = [&pulls] { ++pulls; }});
  REQUIRE_MESSAGE(image.ok(), (image.ok() ? "" : image.error().message));
  CHECK(pulls == 1);
  CHECK(bench.images->policy == node::PullPolicy::always);
  REQUIRE(bench.images->configs.size() == 1);
  CHECK(bench.images->configs[0]["example.org"]["auth"].as_string() == "eDp5");
  CHECK(image->reference.str() == "example.org/team/web:v1");
  CHECK(image->config.cmd == std::vector<std::string>{"serve"});
  CHECK(image->config.user == "1000");
  CHECK(image->trees == std::vector<std::string>{"/layers/b/tree", "/layers/a/tree"});
  CHECK(image->stand_in == "debian packages");
  const auto absent = remote->ensure({.name = "absent:v1"});
  REQUIRE_FALSE(absent.ok());
  CHECK(absent.error().code == ErrorCode::not_found);
  CHECK(absent.error().message == "image absent is nowhere");
}

}  // namespace
}  // namespace caisson::platform
