// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/listener_service.h"

#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "delivery/pipeline/run_triggers.h"

namespace caisson::pipeline {
namespace {

constexpr std::size_t kEventBytesMax = 10u << 20;
constexpr Duration kCertificateLook = std::chrono::minutes(1);  // for a renewed one
constexpr Duration kReplacedPortKept = std::chrono::seconds(30);

void answer(http::Exchange& exchange, int status, const Value& body) {
  exchange.respond({status, {{"Content-Type", "application/json"}}, json::write(body) + "\n"});
}

// A form's fields as lists, which is what the slack interceptor reads.
Value form_as_lists(std::string_view body) {
  Value out = Value::map();
  for (const auto& [name, value] : http::parse_query(body)) out.edit(name).push_back(value);
  return out;
}

// The body as interceptors and bindings see it. With tekton.dev/payload-validation: "false" it may be anything.
Result<Value> payload(const kube::Object& listener, const http::Headers& headers, const std::string& body) {
  if (headers.get("Content-Type").starts_with("application/x-www-form-urlencoded")) return form_as_lists(body);
  auto parsed = json::parse(body.empty() ? "{}" : body);
  if (!parsed.ok() && listener.annotation("tekton.dev/payload-validation") == "false") return Value();
  return parsed;
}

const Value& kubernetes_resource(const kube::Object& listener) {
  return listener.spec()["resources"]["kubernetesResource"];
}

// The Secret's key that an environment variable of the listener's pod comes from; null when it has none.
const Value& secret_reference(const kube::Object& listener, std::string_view variable) {
  const Value& containers = kubernetes_resource(listener)["spec"]["template"]["spec"]["containers"];
  for (const Value& container : containers.items()) {
    for (const Value& one : container["env"].items())
      if (one["name"].as_string() == variable) return one["valueFrom"]["secretKeyRef"];
  }
  return document::kNull;
}

Result<std::string> secret_text(kube::Client& client, const std::string& ns, const Value& reference) {
  const std::string name = reference["name"].str(), key = reference["key"].str();
  const kube::Object secret = TRY(client.get(schema::kSecrets, {ns, name}).in("secret " + name));
  if (secret["data"][key].is_null()) return Error{ErrorCode::not_found, "secret " + name + " has no key " + key};
  return unbase64(secret["data"][key].as_string());
}

// The certificate of a listener that has one.
Result<std::optional<http::TlsOptions>> tls_of(kube::Client& client, const kube::Object& listener) {
  const Value& certificate = secret_reference(listener, "TLS_CERT");
  const Value& key = secret_reference(listener, "TLS_KEY");
  std::optional<http::TlsOptions> tls;
  if (certificate.is_null() || key.is_null()) return tls;
  tls.emplace();
  tls->certificate_pem = TRY(secret_text(client, listener.ns(), certificate));
  tls->key_pem = TRY(secret_text(client, listener.ns(), key));
  return tls;
}

std::string service_name(const kube::Object& listener) {
  return "el-" + listener.name();
}

kube::WriteOptions as_listener() {
  return {.field_manager = "caisson-event-listener", .force = true};
}

}  // namespace

void receive_event(kube::Client& client, const kube::ObjectKey& key, const http::ExchangePtr& exchange) {
  if (exchange->method != "POST") return answer(*exchange, 405, Value{{"errorMessage", "an event is a POST"}});
  const auto listener = client.get(schema::kEventListeners, key);
  if (!listener.ok())
    return answer(*exchange, listener.error().code == ErrorCode::not_found ? 404 : 503,
                  Value{{"errorMessage", listener.error().message}});
  const auto body = exchange->read_body(kEventBytesMax);
  if (!body.ok())
    return answer(*exchange, body.error().code == ErrorCode::too_large ? 413 : 400,
                  Value{{"errorMessage", body.error().message}});
  const auto parsed = payload(*listener, exchange->headers, *body);
  if (!parsed.ok())
    return answer(*exchange, 400, Value{{"errorMessage", "the body is not JSON: " + parsed.error().message}});
  TriggerEvent event;
  event.input = CelInput{*parsed, Value::map(), exchange->headers};
  event.input.request_url = exchange->target;
  event.raw_body = *body;
  event.id = random_uuid();
  TraceContext trace = TraceContext::parse(exchange->headers.get("traceparent"));
  if (trace.empty()) trace = TraceContext::start();
  const auto outcome = run_triggers(client, *listener, event, trace);
  if (!outcome.ok()) return answer(*exchange, 503, Value{{"errorMessage", outcome.error().message}});
  for (const std::string& error : outcome->errors)
    log::warning("trigger failed", {{"event_listener", key.str()}, {"error", error}});
  Value out{
      {"eventListener", key.name}, {"namespace", key.ns}, {"eventListenerUID", listener->uid()}, {"eventID", event.id}};
  if (!outcome->errors.empty()) out.set("errorMessage", join(outcome->errors, "; "));
  answer(*exchange, outcome->forbidden ? 403 : 202, out);
}

kube::Object listener_service(const kube::Object& listener, bool tls, int target_port) {
  kube::Object service = kube::Object::make(schema::kServices, listener.ns(), service_name(listener));
  service.set_controller(listener);
  service.set_label("app.kubernetes.io/managed-by", "EventListener");
  service.set_label("app.kubernetes.io/part-of", "Triggers");
  service.set_label("eventlistener", listener.name());
  const Value& wanted = kubernetes_resource(listener);
  Value& spec = service.edit({"spec"});
  if (!wanted["serviceType"].is_null()) spec.set("type", wanted["serviceType"]);
  if (!wanted["serviceLoadBalancerClass"].is_null()) spec.set("loadBalancerClass", wanted["serviceLoadBalancerClass"]);
  const std::int64_t port = wanted["servicePort"].as_int(tls ? 8443 : 8080);
  spec.set("ports", Value(std::vector<Value>{Value{{"name", tls ? "https-listener" : "http-listener"},
                                                   {"port", port},
                                                   {"protocol", "TCP"},
                                                   {"targetPort", target_port}}}));
  return service;
}

kube::Object listener_slice(const kube::Object& listener, const kube::Object& service, const std::string& address) {
  kube::Object slice = kube::Object::make(schema::kEndpointSlices, listener.ns(), service.name() + "-caisson");
  slice.set_controller(listener);
  slice.set_label("kubernetes.io/service-name", service.name());
  slice.set_label("endpointslice.kubernetes.io/managed-by", "caisson");
  slice.edit({"addressType"}) = Value("IPv4");
  const Value ready{{"ready", true}, {"serving", true}, {"terminating", false}};
  slice.edit({"endpoints"}) =
      Value(std::vector<Value>{Value{{"addresses", Value::list_of({address})}, {"conditions", ready}}});
  const Value& port = service.spec()["ports"][0];
  slice.edit({"ports"}) = Value(
      std::vector<Value>{Value{{"name", port["name"]}, {"port", port["targetPort"]}, {"protocol", port["protocol"]}}});
  return slice;
}

ListenerReconciler::ListenerReconciler(kube::Runtime& runtime, const PipelineOptions& options)
    : client_(runtime.client()), clock_(runtime.clock()), options_(options) {}

Result<int> ListenerReconciler::port_of(const kube::ObjectKey& key, const http::TlsOptions* tls) {
  const std::string certificate = tls ? sha256_hex(tls->certificate_pem + tls->key_pem) : "";
  const std::lock_guard lock(mutex_);
  if (const auto found = ports_.find(key); found != ports_.end() && found->second.certificate == certificate)
    return found->second.now;
  const int port = TRY(options_.listen(
      [&client = client_, key](const http::ExchangePtr& exchange) { receive_event(client, key, exchange); }, tls));
  Ports& ports = ports_[key];
  if (ports.now != 0) ports.replaced.emplace_back(ports.now, clock_.now());
  ports.certificate = certificate;
  ports.now = port;
  return port;
}

std::optional<Duration> ListenerReconciler::close_replaced(const kube::ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  auto& replaced = ports_[key].replaced;
  const Time now = clock_.now();
  std::erase_if(replaced, [&](const auto& port) {
    if (now - port.second < kReplacedPortKept) return false;
    if (options_.stop_listening) options_.stop_listening(port.first);
    return true;
  });
  if (replaced.empty()) return std::nullopt;
  return kReplacedPortKept - (now - replaced.front().second);
}

void ListenerReconciler::close_all(const kube::ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  const auto found = ports_.find(key);
  if (found == ports_.end()) return;
  if (options_.stop_listening) {
    options_.stop_listening(found->second.now);
    for (const auto& [port, since] : found->second.replaced) options_.stop_listening(port);
  }
  ports_.erase(found);
}

Result<void> ListenerReconciler::write_status(const kube::Object& listener, const std::string& url) {
  kube::WriteOptions options;
  options.subresource = "status";
  TRY(kube::modify(
      client_, schema::kEventListeners, listener.key(),
      [&](kube::Object& object) {
        const Value before = object.status();
        object.edit({"status", "address"}).set("url", url);
        object.edit({"status", "configuration"}).set("generatedName", service_name(listener));
        for (const char* type : {"Available", "Service", "Ready"})
          kube::set_condition(object, type, true, "Listening", "the platform listens behind " + service_name(listener),
                              clock_.now());
        return !(object.status() == before);
      },
      options));
  return {};
}

Result<kube::Requeue> ListenerReconciler::reconcile(const kube::ObjectKey& key) {
  if (!options_.listen) return kube::Requeue::never();
  const auto listener = client_.get(schema::kEventListeners, key);
  if (!listener.ok() && listener.error().code == ErrorCode::not_found) {
    close_all(key);
    return kube::Requeue::never();
  }
  if (!listener.ok()) return listener.error();
  if (listener->deleting()) return kube::Requeue::never();
  const auto tls = TRY(tls_of(client_, *listener));
  const int target = TRY(port_of(key, tls ? &*tls : nullptr));
  const kube::Object service = listener_service(*listener, tls.has_value(), target);
  TRY(client_.apply(service, as_listener()).in("service " + service.key().str()));
  TRY(client_.apply(listener_slice(*listener, service, options_.node_address), as_listener()).in("endpoints"));
  const std::string port = std::to_string(service.spec()["ports"][0]["port"].as_int());
  TRY(write_status(*listener,
                   (tls ? "https://" : "http://") + service.name() + "." + key.ns + ".svc.cluster.local:" + port));
  const std::optional<Duration> due = close_replaced(key);
  if (due) return kube::Requeue::after(std::min(*due, kCertificateLook));
  return tls ? kube::Requeue::after(kCertificateLook) : kube::Requeue::never();
}

}  // namespace caisson::pipeline
