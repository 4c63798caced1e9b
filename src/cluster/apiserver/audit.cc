// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/audit.h"

#include "core/base/random.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::apiserver {
namespace {

constexpr std::size_t kObjectBytesMax = 3u << 20;  // an answer above it is on record without its object

// What the client says it is called wins, as upstream takes it, when it is short enough to be an id.
std::string audit_id(const http::Exchange& exchange) {
  const std::string_view given = exchange.headers.get("Audit-ID");
  return given.empty() || given.size() > 64 ? random_uuid() : std::string(given);
}

Value source_addresses(const http::Exchange& exchange) {
  Value out = Value::list();
  if (exchange.peer.address != "unix" && !exchange.peer.address.empty()) out.push_back(exchange.peer.address);
  return out;
}

Value object_reference(const Request& request) {
  Value out = Value::map();
  const auto set = [&](std::string_view key, const std::string& text) {
    if (!text.empty()) out.set(key, text);
  };
  set("resource", request.plural);
  set("namespace", request.ns);
  set("name", request.name);
  set("apiGroup", request.group);
  set("apiVersion", request.version);
  set("subresource", request.subresource);
  return out;
}

Value without_managed_fields(Value object) {
  if (object["metadata"].contains("managedFields")) object.edit("metadata").erase("managedFields");
  if (!object["items"].is_list()) return object;
  Value items = Value::list();
  for (const Value& item : object["items"].items()) items.push_back(without_managed_fields(item));
  object.set("items", std::move(items));
  return object;
}

class AuditedStream : public http::Stream {
 public:
  AuditedStream(std::shared_ptr<http::Stream> stream, std::function<void()> ended)
      : stream_(std::move(stream)), ended_(std::move(ended)) {}
  ~AuditedStream() override { ended_(); }
  Result<void> write(std::string_view bytes) override { return stream_->write(bytes); }
  Result<void> write_blocking(std::string_view bytes) override { return stream_->write_blocking(bytes); }
  bool closed() const override { return stream_->closed(); }
  void on_close(std::function<void()> call) override { stream_->on_close(std::move(call)); }
  void finish() override { stream_->finish(); }
  void abort() override { stream_->abort(); }

 private:
  std::shared_ptr<http::Stream> stream_;
  std::function<void()> ended_;
};

class AuditedWebSocket : public http::WebSocket {
 public:
  AuditedWebSocket(std::shared_ptr<http::WebSocket> socket, std::function<void()> ended)
      : socket_(std::move(socket)), ended_(std::move(ended)) {}
  ~AuditedWebSocket() override { ended_(); }
  Result<void> send(std::string_view data, bool binary) override { return socket_->send(data, binary); }
  void on_message(std::function<void(Message)> call) override { socket_->on_message(std::move(call)); }
  void on_close(std::function<void()> call) override { socket_->on_close(std::move(call)); }
  void close(int code, std::string_view reason) override { socket_->close(code, reason); }

 private:
  std::shared_ptr<http::WebSocket> socket_;
  std::function<void()> ended_;
};

class AuditedExchange : public http::Exchange {
 public:
  AuditedExchange(http::ExchangePtr exchange, std::shared_ptr<AuditRecord> record,
                  std::shared_ptr<const Auditor> auditor)
      : exchange_(std::move(exchange)), record_(std::move(record)), auditor_(std::move(auditor)) {
    method = exchange_->method;
    target = exchange_->target;
    path = exchange_->path;
    query = exchange_->query;
    headers = exchange_->headers;
    peer = exchange_->peer;
  }

  Result<std::string> read_body(std::size_t size_bytes_max) override { return exchange_->read_body(size_bytes_max); }
  Result<std::string> read_some() override { return exchange_->read_some(); }

  void respond(http::Response response) override {
    Value object;
    const bool wanted = record_->decision.level == AuditLevel::request_response || response.status >= 400;
    if (wanted && response.body.size() <= kObjectBytesMax)
      if (auto parsed = json::parse(response.body); parsed.ok()) object = std::move(parsed).value();
    auditor_->note(*record_, AuditStage::response_complete, response.status, object);
    response.headers.set("Audit-Id", record_->event["auditID"].str());
    exchange_->respond(std::move(response));
  }

  void respond_in_pieces(http::Response head, std::uint64_t length, http::Pieces next) override {
    if (length <= kObjectBytesMax) return Exchange::respond_in_pieces(std::move(head), length, std::move(next));
    auditor_->note(*record_, AuditStage::response_complete, head.status, {});
    head.headers.set("Audit-Id", record_->event["auditID"].str());
    exchange_->respond_in_pieces(std::move(head), length, std::move(next));
  }

  std::shared_ptr<http::Stream> stream(int status, http::Headers headers_out,
                                       std::optional<std::uint64_t> length) override {
    auditor_->note(*record_, AuditStage::response_started, status, {});
    headers_out.set("Audit-Id", record_->event["auditID"].str());
    return std::make_shared<AuditedStream>(exchange_->stream(status, std::move(headers_out), length), end(status));
  }

  Result<std::shared_ptr<http::WebSocket>> websocket(std::string_view subprotocol) override {
    constexpr int kSwitching = 101;
    std::shared_ptr<http::WebSocket> socket = TRY(exchange_->websocket(subprotocol));
    auditor_->note(*record_, AuditStage::response_started, kSwitching, {});
    return std::shared_ptr<http::WebSocket>(std::make_shared<AuditedWebSocket>(std::move(socket), end(kSwitching)));
  }

 private:
  std::function<void()> end(int status) const {
    return [record = record_, auditor = auditor_, status] {
      auditor->note(*record, AuditStage::response_complete, status, {});
    };
  }

  http::ExchangePtr exchange_;
  std::shared_ptr<AuditRecord> record_;
  std::shared_ptr<const Auditor> auditor_;
};

}  // namespace

Value audit_user(const User& user) {
  Value out{{"username", user.name}};
  if (!user.uid.empty()) out.set("uid", user.uid);
  if (!user.groups.empty()) out.set("groups", Value::list_of(user.groups));
  for (const auto& [key, values] : user.extra) out.edit("extra").set(key, Value::list_of(values));
  return out;
}

void AuditRecord::saw_request(const Value& body) {
  const std::string name = body["metadata"]["name"].str();
  if (event["objectRef"].is_map() && event["objectRef"]["name"].is_null() && !name.empty())
    event.edit("objectRef").set("name", name);
  if (decision.level >= AuditLevel::request) request_object = body;
}

Auditor::Auditor(AuditPolicy policy, std::unique_ptr<AuditLog> log, Clock& clock)
    : policy_(std::move(policy)), log_(std::move(log)), clock_(clock) {}

std::shared_ptr<AuditRecord> Auditor::begin(const Request& request, const User& user,
                                            const http::Exchange& exchange) const {
  const AuditPolicy::Decision decision = policy_.decide(request, user);
  if (decision.level == AuditLevel::none) return nullptr;
  auto record = std::make_shared<AuditRecord>();
  record->decision = decision;
  record->event = Value{{"kind", "Event"},
                        {"apiVersion", "audit.k8s.io/v1"},
                        {"level", audit_level_name(decision.level)},
                        {"auditID", audit_id(exchange)},
                        {"stage", ""},
                        {"requestURI", exchange.target},
                        {"verb", request.is_resource ? request.verb : to_lower(exchange.method)},
                        {"user", audit_user(user)}};
  if (user != request.user) record->event.set("impersonatedUser", audit_user(request.user));
  if (Value addresses = source_addresses(exchange); !addresses.empty())
    record->event.set("sourceIPs", std::move(addresses));
  if (!request.user_agent.empty()) record->event.set("userAgent", request.user_agent);
  if (request.is_resource) record->event.set("objectRef", object_reference(request));
  record->event.set("requestReceivedTimestamp", format_time_micros(clock_.now()));
  note(*record, AuditStage::request_received, 0, {});
  return record;
}

http::ExchangePtr Auditor::watch(const http::ExchangePtr& exchange, const std::shared_ptr<AuditRecord>& record) const {
  return std::make_shared<AuditedExchange>(exchange, record, shared_from_this());
}

void Auditor::note(const AuditRecord& record, AuditStage stage, int status, const Value& response) const {
  if (record.decision.omits(stage)) return;
  Value event = record.event;
  event.set("stage", audit_stage_name(stage));
  const auto shown = [&](const Value& object) {
    return record.decision.omit_managed_fields ? without_managed_fields(object) : object;
  };
  if (stage != AuditStage::request_received) {
    Value said{{"metadata", Value::map()}};
    for (const char* member : {"status", "message", "reason", "details"})
      if (response["kind"].as_string() == "Status" && !response[member].is_null()) said.set(member, response[member]);
    said.set("code", status);
    event.set("responseStatus", std::move(said));
    if (!record.request_object.is_null()) event.set("requestObject", shown(record.request_object));
    if (record.decision.level == AuditLevel::request_response && !response.is_null())
      event.set("responseObject", shown(response));
  }
  event.set("stageTimestamp", format_time_micros(clock_.now()));
  if (stage == AuditStage::response_complete && !record.annotations.empty()) {
    Value annotations = Value::map();
    for (const auto& [key, value] : record.annotations) annotations.set(key, value);
    event.set("annotations", std::move(annotations));
  }
  log_->write(event);
}

}  // namespace caisson::apiserver
