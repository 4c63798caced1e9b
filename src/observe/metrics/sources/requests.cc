// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/sources/requests.h"

#include "core/base/text.h"
#include "observe/metrics/model/format.h"

namespace caisson::metrics {
namespace {

using Clock = std::chrono::steady_clock;

std::string verb_of(std::string_view method, bool collection, const http::Query& query, std::string_view content_type) {
  if (method == "GET" || method == "HEAD") {
    const std::string_view watch = http::query_get(query, "watch");
    if (watch == "true" || watch == "1") return "WATCH";
    return collection ? "LIST" : "GET";
  }
  if (method == "PATCH") return content_type.starts_with("application/apply-patch") ? "APPLY" : "PATCH";
  if (method == "DELETE") return collection ? "DELETECOLLECTION" : "DELETE";
  return std::string(method);
}

// Passes everything on and notes how the request ended.
class Metered : public http::Exchange {
 public:
  Metered(http::ExchangePtr inner, RequestMetrics& metrics)
      : inner_(std::move(inner)), metrics_(metrics), began_(Clock::now()) {
    method = inner_->method;
    target = inner_->target;
    path = inner_->path;
    query = inner_->query;
    headers = inner_->headers;
    peer = inner_->peer;
    info_ = request_info(method, path, query, headers.get("Content-Type"));
    under_way().fetch_add(1);
  }
  ~Metered() override {
    under_way().fetch_sub(1);
    if (code_ == 0) note(500, false);
  }

  Result<std::string> read_body(std::size_t size_bytes_max) override { return inner_->read_body(size_bytes_max); }
  Result<std::string> read_some() override { return inner_->read_some(); }
  void respond(http::Response response) override {
    note(response.status, false);
    inner_->respond(std::move(response));
  }
  void respond_in_pieces(http::Response head, std::uint64_t length, http::Pieces next) override {
    note(head.status, false);
    inner_->respond_in_pieces(std::move(head), length, std::move(next));
  }
  std::shared_ptr<http::Stream> stream(int status, http::Headers stream_headers,
                                       std::optional<std::uint64_t> length) override {
    note(status, !length);
    return inner_->stream(status, std::move(stream_headers), length);
  }
  Result<std::shared_ptr<http::WebSocket>> websocket(std::string_view subprotocol) override {
    info_.verb = "CONNECT";
    note(101, true);
    return inner_->websocket(subprotocol);
  }

 private:
  std::atomic<int>& under_way() { return method == "GET" || method == "HEAD" ? metrics_.reading : metrics_.writing; }
  void note(int code, bool long_running) {
    code_ = code;
    metrics_.count(info_, code, Clock::now() - began_, long_running);
  }

  const http::ExchangePtr inner_;
  RequestMetrics& metrics_;
  const Clock::time_point began_;
  RequestInfo info_;
  int code_ = 0;
};

std::vector<Label> labels_of(const RequestInfo& r) {
  return {{"verb", r.verb},
          {"group", r.group},
          {"version", r.version},
          {"resource", r.resource},
          {"subresource", r.subresource},
          {"scope", r.scope},
          {"component", "apiserver"}};
}

}  // namespace

RequestInfo request_info(std::string_view method, std::string_view path, const http::Query& query,
                         std::string_view content_type) {
  RequestInfo info;
  std::vector<std::string_view> parts;
  for (const std::string_view part : split(path, '/'))
    if (!part.empty()) parts.push_back(part);
  std::size_t at = 0;
  const bool core = parts.size() >= 3 && parts[0] == "api", grouped = parts.size() >= 4 && parts[0] == "apis";
  if (!core && !grouped) {
    info.verb = std::string(method);
    return info;
  }
  if (grouped) info.group = parts[1];
  info.version = parts[grouped ? 2 : 1];
  at = grouped ? 3 : 2;
  bool in_namespace = false;
  if (parts[at] == "namespaces" && parts.size() > at + 2 && parts[at + 2] != "status" && parts[at + 2] != "finalize") {
    in_namespace = true;
    at += 2;
  }
  info.resource = parts[at];
  const bool named = parts.size() > at + 1;
  if (parts.size() > at + 2) info.subresource = parts[at + 2];
  info.scope = named || method == "POST" ? "resource" : in_namespace ? "namespace" : "cluster";
  info.verb = verb_of(method, !named, query, content_type);
  return info;
}

http::Handler RequestMetrics::meter(http::Handler next) {
  return [this, next = std::move(next)](const http::ExchangePtr& exchange) {
    next(std::make_shared<Metered>(exchange, *this));
  };
}

void RequestMetrics::count(const RequestInfo& request, int code, std::chrono::duration<double> took,
                           bool long_running) {
  const std::lock_guard lock(mutex_);
  RequestInfo key = request;
  // Paths come from outside: what nobody serves must not make series without end.
  if (code == 404 || (totals_.size() >= kSeriesMax && !totals_.contains({key, code})))
    key = {request.verb, "", "", "other", "", ""};
  ++totals_[{key, code}];
  if (long_running) return;
  Histogram& h = durations_[key];
  std::size_t bucket = 0;
  while (bucket < std::size(kBounds) && took.count() > kBounds[bucket]) ++bucket;
  ++h.counts[bucket];
  h.sum += took.count();
}

Exposition RequestMetrics::read() const {
  Families out;
  const std::lock_guard lock(mutex_);
  out.family("apiserver_request_total", "counter",
             "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, "
             "component, and HTTP response code.");
  for (const auto& [key, count] : totals_) {
    std::vector<Label> labels = labels_of(key.first);
    labels.push_back({"code", std::to_string(key.second)});
    out.add(std::move(labels), static_cast<double>(count));
  }
  out.family("apiserver_request_duration_seconds", "histogram", "Response latency distribution in seconds.");
  for (const auto& [key, h] : durations_) {
    std::uint64_t below = 0;
    for (std::size_t i = 0; i <= std::size(kBounds); ++i) {
      below += h.counts[i];
      std::vector<Label> labels = labels_of(key);
      labels.push_back({"le", i < std::size(kBounds) ? format_open_metrics(kBounds[i]) : "+Inf"});
      out.add_part("_bucket", std::move(labels), static_cast<double>(below));
    }
    out.add_part("_sum", labels_of(key), h.sum);
    out.add_part("_count", labels_of(key), static_cast<double>(below));
  }
  out.family("apiserver_current_inflight_requests", "gauge",
             "Maximal number of currently used inflight request limit of this apiserver per request kind.");
  out.add({{"request_kind", "readOnly"}}, reading.load());
  out.add({{"request_kind", "mutating"}}, writing.load());
  return out.take();
}

}  // namespace caisson::metrics
