// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/webhook_client.h"

#include "core/base/encoding.h"
#include "core/document/json.h"

namespace caisson::apiserver {
namespace {

constexpr std::size_t kClientsMax = 64;             // configurations come and go, their connections need not stay
constexpr std::size_t kAnswerBytesMax = 64u << 20;  // a ConversionReview answers a whole list

std::string timeout_text(Duration time_max) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time_max).count()) + "s";
}

}  // namespace

Result<WebhookTarget> WebhookTarget::from(const Value& config) {
  WebhookTarget out;
  out.url = config["url"].str();
  const Value& service = config["service"];
  out.service_ns = service["namespace"].str();
  out.service = service["name"].str();
  out.service_path = service["path"].str();
  out.service_port = static_cast<int>(service["port"].as_int(443));
  if (const std::string_view bundle = config["caBundle"].as_string(); !bundle.empty())
    out.ca_pem = TRY(unbase64(bundle).in("caBundle"));
  return out;
}

std::string WebhookTarget::full_url(Duration time_max) const {
  const std::string timeout = "timeout=" + timeout_text(time_max);
  if (!url.empty()) return url + (url.find('?') == std::string::npos ? "?" : "&") + timeout;
  const bool slash = service_path.starts_with('/');
  return "https://" + service + "." + service_ns + ".svc:" + std::to_string(service_port) + (slash ? "" : "/") +
         service_path + "?" + timeout;
}

ServiceResolver cluster_ip_resolver(const store::Store& store) {
  return [&store](const WebhookTarget& target) -> Result<ServiceAddress> {
    const store::ItemPtr item = store.get("services", target.service_ns, target.service);
    if (!item) return Error{ErrorCode::not_found, "service \"" + target.service + "\" not found"};
    const Value spec = item->value()["spec"];
    if (spec["type"].as_string() == "ExternalName")
      return ServiceAddress{spec["externalName"].str(), target.service_port};
    const std::string address = spec["clusterIP"].str();
    if (address.empty() || address == "None")
      return Error{ErrorCode::unavailable, "service \"" + target.service + "\" has no cluster address"};
    for (const Value& port : spec["ports"].items())
      if (port["port"].as_int() == target.service_port) return ServiceAddress{address, target.service_port};
    return Error{ErrorCode::unavailable, "no service port " + std::to_string(target.service_port) +
                                             " found for service \"" + target.service + "\""};
  };
}

std::shared_ptr<const http::Client> WebhookClient::client_of(const WebhookTarget& target,
                                                             const ServiceAddress& address) const {
  std::string key = address.host;
  key.append(":").append(std::to_string(address.port)).append(" ").append(target.ca_pem);
  const std::lock_guard lock(mutex_);
  auto& client = clients_[key];
  if (client) return client;
  http::ClientOptions options;
  options.ca_pem = target.ca_pem;
  options.connect_host = address.host;
  options.connect_port = address.port;
  options.redirects_max = 0;
  const auto made = client = std::make_shared<const http::Client>(std::move(options));
  if (clients_.size() > kClientsMax) clients_.clear();
  return made;
}

Result<Value> WebhookClient::post(const WebhookTarget& target, const Value& review, Duration time_max) const {
  ServiceAddress address;
  if (target.url.empty()) address = TRY(resolve_(target));
  const auto client = client_of(target, address);
  http::Request request;
  request.method = "POST";
  request.url = target.full_url(time_max);
  request.headers.set("Content-Type", "application/json");
  request.headers.set("Accept", "application/json");
  request.headers.set("User-Agent", "kube-apiserver-admission");
  request.body = json::write(review);
  request.time_max = time_max;
  request.response_bytes_max = kAnswerBytesMax;
  const std::string what = "Post \"" + request.url + "\": ";
  const auto response = client->send(request);
  if (!response.ok()) {
    const bool late = response.error().code == ErrorCode::timeout;
    std::string why = late ? "context deadline exceeded" : response.error().message;
    const std::string said = "POST " + request.url + ": ";  // once is enough
    if (why.starts_with(said)) why.erase(0, said.size());
    return Error{response.error().code, what + why};
  }
  if (response->status != 200)
    return Error{ErrorCode::unavailable, what + "the server answered with status " + std::to_string(response->status)};
  auto answer = json::parse(response->body);
  if (!answer.ok()) return Error{ErrorCode::bad_request, what + "the answer is no JSON: " + answer.error().message};
  return answer;
}

}  // namespace caisson::apiserver
