// SPDX-License-Identifier: Apache-2.0
#include "main/platform/machine_service.h"

#include "cluster/kube/status.h"
#include "core/base/log.h"
#include "core/document/json.h"
#include "core/http/client.h"

namespace caisson::platform {
namespace {

constexpr std::size_t kRequestBytesMax = 8u << 20, kLineBytesMax = 16u << 20;
constexpr Duration kAdmissionMax = std::chrono::seconds(60), kAnswerMargin = std::chrono::seconds(5);

Value error_value(const Error& error) {
  return Value{{"kind", "Status"},
               {"status", "Failure"},
               {"reason", kube::status_reason(error.code)},
               {"message", error.message}};
}

Error error_from(const Value& status) {
  return kube::error_from_response(500, json::write(status));  // the reason says which it is
}

std::string_view policy_name(node::PullPolicy policy) {
  if (policy == node::PullPolicy::always) return "Always";
  return policy == node::PullPolicy::never ? "Never" : "IfNotPresent";
}

std::int64_t milliseconds_of(Duration time) {
  return std::chrono::ceil<std::chrono::milliseconds>(time).count();
}

// --- the first agent's side

class Service {
 public:
  Service(const network::Withdrawal& withdrawal, network::PolicyGate& policies, node::ImageProvider& images,
          content::BlobStore& blobs)
      : withdrawal_(withdrawal), policies_(policies), images_(images), blobs_(blobs) {}

  void handle(http::Exchange& exchange) const {
    const auto body = exchange.read_body(kRequestBytesMax);
    const auto request = body.ok() ? json::parse(*body) : Result<Value>(body.error());
    if (!request.ok()) return respond(exchange, 400, error_value(request.error()));
    if (exchange.path == "/withdrawal") return withdraw(exchange, *request);
    if (exchange.path == "/admission") return admit(exchange, *request);
    if (exchange.path == "/image") return image(exchange, *request);
    respond(exchange, 404, error_value({ErrorCode::not_found, exchange.path + " is not served here"}));
  }

 private:
  static void respond(http::Exchange& exchange, int status, const Value& value) {
    exchange.respond({status, {{"Content-Type", "application/json"}}, json::write(value)});
  }

  void withdraw(http::Exchange& exchange, const Value& request) const {
    const std::string_view address = request["address"].as_string();
    const auto most = std::chrono::milliseconds(request["timeMaxMs"].as_int());
    const bool gone = most.count() > 0 ? withdrawal_.wait_withdrawn(address, most) : withdrawal_.withdrawn(address);
    respond(exchange, 200, Value{{"withdrawn", gone}});
  }

  void admit(http::Exchange& exchange, const Value& request) const {
    const auto admitted = policies_.admit(kube::Object(request["pod"]), request["address"].str());
    respond(exchange, 200, admitted.ok() ? Value::map() : Value{{"error", error_value(admitted.error())}});
  }

  void image(http::Exchange& exchange, const Value& request) const {
    const auto stream = exchange.stream(200, {{"Content-Type", "application/json-lines"}});
    node::ImageRequest wanted;
    wanted.name = request["name"].str();
    wanted.policy = node::pull_policy(wanted.name, request["policy"].as_string());
    for (const Value& one : request["auths"].items()) wanted.docker_configs.push_back(one);
    const auto tell = [&stream](const Value& line) {
      if (!stream->write(json::write(line) + "\n").ok()) log::debug("a node went away before its image was here");
    };
    wanted.on_pull = [&tell] { tell(Value{{"pulling", true}}); };
    const auto found = fetch(wanted);
    tell(found.ok() ? Value{{"image", *found}} : Value{{"error", error_value(found.error())}});
    stream->finish();
  }

  Result<Value> fetch(const node::ImageRequest& wanted) const {
    const node::Image image = TRY(images_.ensure(wanted));
    const std::string bytes = TRY(blobs_.read(image.digest, content::kManifestBytesMax));
    const content::Manifest manifest = TRY(content::parse_manifest(bytes));
    const std::string config = TRY(blobs_.read(manifest.config.digest, content::kConfigBytesMax));
    return Value{{"digest", image.digest.str()},
                 {"config", config},
                 {"trees", Value::list_of(image.trees)},
                 {"standIn", image.stand_in}};
  }

  const network::Withdrawal& withdrawal_;
  network::PolicyGate& policies_;
  node::ImageProvider& images_;
  content::BlobStore& blobs_;
};

// --- the other agents' side

Result<Value> ask(const http::Client& http, const std::string& path, const Value& request, Duration time_max) {
  const http::Response answer = TRY(http.send({.method = "POST",
                                               .url = "http://unix" + path,
                                               .body = json::write(request),
                                               .time_max = time_max + kAnswerMargin}));
  const Value value = TRY(json::parse(answer.body));
  if (answer.status != 200) return error_from(value);
  return value;
}

class RemoteWithdrawal final : public network::Withdrawal {
 public:
  explicit RemoteWithdrawal(const std::string& socket) : http_({.unix_socket = socket}) {}
  bool withdrawn(std::string_view pod_ip) const override { return asked(pod_ip, Duration(0)); }
  bool wait_withdrawn(std::string_view pod_ip, Duration time_max) const override { return asked(pod_ip, time_max); }

 private:
  bool asked(std::string_view pod_ip, Duration time_max) const {
    const auto answer =
        ask(http_, "/withdrawal", Value{{"address", pod_ip}, {"timeMaxMs", milliseconds_of(time_max)}}, time_max);
    if (!answer.ok()) log::warning("the machine's network was not reached", {{"error", answer.error()}});
    return answer.ok() && (*answer)["withdrawn"].as_bool();
  }
  http::Client http_;
};

class RemotePolicies final : public network::PolicyGate {
 public:
  explicit RemotePolicies(const std::string& socket) : http_({.unix_socket = socket}) {}
  Result<void> admit(const kube::Object& pod, const std::string& ip) override {
    const Value answer = TRY(ask(http_, "/admission", Value{{"address", ip}, {"pod", pod.value()}}, kAdmissionMax));
    if (answer.contains("error")) return error_from(answer["error"]);
    return {};
  }

 private:
  http::Client http_;
};

class RemoteImages final : public node::ImageProvider {
 public:
  RemoteImages(const std::string& socket, content::RegistryNames registry)
      : http_({.unix_socket = socket}), registry_(std::move(registry)) {}

  Result<node::Image> ensure(const node::ImageRequest& request) override {
    node::Image image;
    image.reference = TRY(content::parse_reference(request.name, registry_));
    const Value body{
        {"name", request.name}, {"policy", policy_name(request.policy)}, {"auths", Value(request.docker_configs)}};
    const auto stream = TRY(
        http_.open({.method = "POST", .url = "http://unix/image", .body = json::write(body), .time_max = Duration(0)}));
    std::string pending;
    for (;;) {
      const std::string piece = TRY(stream->read_some());
      if (piece.empty())
        return Error{ErrorCode::unavailable, "the machine's images went away while " + request.name + " was fetched"};
      pending += piece;
      if (pending.size() > kLineBytesMax)
        return Error{ErrorCode::too_large, "the answer for " + request.name + " does not end"};
      for (std::size_t end; (end = pending.find('\n')) != std::string::npos; pending.erase(0, end + 1)) {
        const Value line = TRY(json::parse(std::string_view(pending).substr(0, end)));
        if (line.contains("error")) return error_from(line["error"]);
        if (line.contains("image")) return take(std::move(image), line["image"]);
        if (request.on_pull) request.on_pull();
      }
    }
  }

 private:
  static Result<node::Image> take(node::Image image, const Value& told) {
    image.digest = TRY(content::Digest::parse(told["digest"].str()));
    image.config = TRY(content::parse_config(told["config"].as_string()));
    for (const Value& tree : told["trees"].items()) image.trees.push_back(tree.str());
    image.stand_in = told["standIn"].str();
    return image;
  }

  http::Client http_;
  content::RegistryNames registry_;
};

}  // namespace

http::Handler make_machine_service(const network::Withdrawal& withdrawal, network::PolicyGate& policies,
                                   node::ImageProvider& images, content::BlobStore& blobs) {
  return [service = Service(withdrawal, policies, images, blobs)](const http::ExchangePtr& exchange) {
    service.handle(*exchange);
  };
}

std::unique_ptr<network::Withdrawal> make_remote_withdrawal(const std::string& socket) {
  return std::make_unique<RemoteWithdrawal>(socket);
}
std::unique_ptr<network::PolicyGate> make_remote_policies(const std::string& socket) {
  return std::make_unique<RemotePolicies>(socket);
}
std::unique_ptr<node::ImageProvider> make_remote_images(const std::string& socket, content::RegistryNames registry) {
  return std::make_unique<RemoteImages>(socket, std::move(registry));
}

}  // namespace caisson::platform
