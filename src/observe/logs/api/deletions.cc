// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/api/deletions.h"

#include <algorithm>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "observe/logs/api/parameters.h"
#include "observe/logs/api/query_api.h"
#include "observe/logs/logql/parser.h"
#include "observe/logs/logql/pipeline.h"
#include "observe/metrics/model/format.h"

namespace caisson::logs {
namespace {

constexpr std::size_t kWaitingMax = 1000, kProcessedMax = 1000;  // requests that are kept
constexpr std::int64_t kMillisecond = 1'000'000;
constexpr std::size_t kIdLength = 8;

Error refused(std::string message) {
  return {ErrorCode::bad_request, std::move(message)};
}

// Seconds of ten digits or RFC 3339, as upstream; nothing given is `otherwise`.
Result<std::int64_t> time_ms(std::string_view text, std::int64_t otherwise, const char* name) {
  const Error bad = refused(std::string("invalid ") + name + " time: require unix seconds or RFC3339 format");
  constexpr std::size_t kSecondsDigits = 10;
  if (text.empty()) return otherwise;
  const bool is_number = parse_int(text).has_value();
  if (is_number && text.size() != kSecondsDigits) return bad;
  const auto time = parse_log_time(text);
  if (!time.ok() || (!is_number && text.find(':') == std::string_view::npos)) return bad;
  return *time / kMillisecond;
}

void append_seconds_of(std::string& out, std::int64_t ms) {
  out += metrics::format_fixed(static_cast<double>(ms) / 1000);
}

bool is_filtered(const logql::Selector& selector) {
  return !selector.stages.empty();
}

}  // namespace

Result<DeletionOptions> read_deletion_options(const Value& loki_yaml) {
  DeletionOptions options;
  const Value& period = loki_yaml["compactor"]["delete_request_cancel_period"];
  if (!period.is_null())
    options.cancel_period = std::chrono::milliseconds(
        TRY(metrics::parse_duration(period.as_string()).in("compactor.delete_request_cancel_period")));
  const Value& mode = loki_yaml["limits_config"]["deletion_mode"];
  if (mode.is_null() || mode.as_string() == "filter-and-delete") return options;
  options.erases = false;
  options.enabled = mode.as_string() == "filter-only";
  if (!options.enabled && mode.as_string() != "disabled")
    return Error{ErrorCode::bad_request, "limits_config.deletion_mode: " + metrics::quote(mode.as_string()) +
                                             " is none of disabled, filter-only, filter-and-delete"};
  return options;
}

// --- requests as they are kept

Result<std::unique_ptr<Deletions>> Deletions::open(std::string file, Store& store, Clock& clock) {
  auto out = std::unique_ptr<Deletions>(new Deletions(std::move(file), store, clock));
  TRY(out->read().in("deletion requests of " + out->file_));
  return out;
}

void Deletions::configure(DeletionOptions options) {
  const std::lock_guard lock(mutex_);
  options_ = options;
}

Result<void> Deletions::read() {
  if (!exists(file_)) return {};
  const Value document = TRY(json::parse(TRY(read_file(file_))));
  std::vector<Request> requests;
  for (const Value& one : document.items())
    requests.push_back({one["id"].str(), one["query"].str(), one["start"].as_int(), one["end"].as_int(),
                        one["created"].as_int(), one["processed"].as_bool()});
  const std::lock_guard lock(mutex_);
  return write(std::move(requests));
}

Result<void> Deletions::write(std::vector<Request> requests) {
  std::vector<Deletion> hidden;
  std::vector<Value> document;
  for (const Request& one : requests) {
    if (!one.processed) hidden.push_back(TRY(deletion_of(one)));
    document.push_back(Value{{"id", one.id},
                             {"query", one.query},
                             {"start", one.start_ms},
                             {"end", one.end_ms},
                             {"created", one.created_ms},
                             {"processed", one.processed}});
  }
  TRY(write_file(file_, json::write(Value(std::move(document))), 0640));
  requests_ = std::move(requests);
  store_.hide(std::move(hidden));
  return {};
}

Result<Deletion> Deletions::deletion_of(const Request& request) {
  auto selector = std::make_shared<logql::Selector>(TRY(logql::parse_log_selector(request.query)));
  Deletion out{
      selector->matchers, request.start_ms * kMillisecond, request.end_ms * kMillisecond + kMillisecond - 1, {}};
  if (!is_filtered(*selector)) return out;
  TRY(logql::Pipeline::compile(selector->stages));
  out.make_test = [selector]() -> LineTest {
    struct Run {
      logql::Pipeline pipeline;
      logql::LineState state;
    };
    auto run = std::make_shared<Run>();
    auto compiled = logql::Pipeline::compile(selector->stages);
    if (!compiled.ok()) return [](const Labels&, std::int64_t, std::string_view, const Labels&) { return false; };
    run->pipeline = std::move(compiled).value();
    return [run](const Labels& stream, std::int64_t t, std::string_view line, const Labels& metadata) {
      run->state.reset(t, line, stream, metadata);
      return run->pipeline.apply(run->state);
    };
  };
  return out;
}

std::int64_t Deletions::now_ms() const {
  return clock_.now().time_since_epoch().count() / kMillisecond;
}

Result<void> Deletions::process() {
  std::vector<Deletion> due;
  std::vector<std::string> ids;
  {
    const std::lock_guard lock(mutex_);
    if (!options_.erases) return {};
    const std::int64_t before =
        now_ms() - std::chrono::duration_cast<std::chrono::milliseconds>(options_.cancel_period).count();
    for (const Request& one : requests_) {
      if (one.processed || one.created_ms > before) continue;
      due.push_back(TRY(deletion_of(one)));
      ids.push_back(one.id);
    }
  }
  if (due.empty()) return {};
  TRY(store_.erase(due));
  const std::lock_guard lock(mutex_);
  std::vector<Request> requests = requests_;
  for (Request& one : requests) one.processed |= std::find(ids.begin(), ids.end(), one.id) != ids.end();
  auto done = static_cast<std::size_t>(
      std::count_if(requests.begin(), requests.end(), [](const Request& one) { return one.processed; }));
  std::erase_if(requests, [&](const Request& one) { return one.processed && done > kProcessedMax && done-- > 0; });
  return write(std::move(requests));
}

// --- the API

Result<http::Response> Deletions::add(const http::Query& parameters) {
  const Parameters given(parameters, now_ms() * kMillisecond);
  Request request;
  request.query = given.text("query");
  request.created_ms = now_ms();
  if (request.query.empty()) return refused("query not set");
  const logql::Selector selector = TRY(logql::parse_log_selector(request.query));
  if (given.text("start").empty()) return refused("start time not set");
  request.start_ms = TRY(time_ms(given.text("start"), 0, "start"));
  request.end_ms = TRY(time_ms(given.text("end"), request.created_ms, "end"));
  if (request.end_ms > request.created_ms) return refused("deletes in the future are not allowed");
  if (request.start_ms >= request.end_ms) return refused("start time can't be greater than or equal to end time");
  // Upstream's requests are worked on in pieces of that length; here each is one piece.
  if (const std::string_view interval = given.text("max_interval"); is_filtered(selector) && !interval.empty()) {
    const auto length = parse_duration(interval);
    if (!length.ok() || *length < std::chrono::seconds(1))
      return refused("invalid max_interval: valid time units are 's', 'm', 'h'");
    const Duration whole = std::chrono::milliseconds(request.end_ms - request.start_ms);
    if (*length > whole)
      return refused("max_interval can't be greater than the interval to be deleted (" + format_duration(whole) + ")");
  }
  const std::lock_guard lock(mutex_);
  const auto waiting = std::count_if(requests_.begin(), requests_.end(), [](const Request& r) { return !r.processed; });
  if (static_cast<std::size_t>(waiting) >= kWaitingMax)
    return Error{ErrorCode::too_many_requests,
                 "too many deletion requests are waiting: limit " + std::to_string(kWaitingMax)};
  std::string seed = request.query + '\n' + std::to_string(request.start_ms) + '\n' + std::to_string(request.end_ms);
  const auto known = [&](const std::string& id) {
    return std::any_of(requests_.begin(), requests_.end(), [&](const Request& one) { return one.id == id; });
  };
  do request.id = sha256_hex(seed += '\n' + std::to_string(request.created_ms)).substr(0, kIdLength);
  while (known(request.id));
  std::vector<Request> requests = requests_;
  requests.push_back(request);
  TRY(write(std::move(requests)));
  return http::Response{204, {{"X-Delete-Request-ID", request.id}}, ""};
}

Result<http::Response> Deletions::cancel(const http::Query& parameters) {
  const std::string_view id = http::query_get(parameters, "request_id");
  const std::lock_guard lock(mutex_);
  std::vector<Request> requests = requests_;
  const auto found = std::find_if(requests.begin(), requests.end(), [&](const Request& one) { return one.id == id; });
  if (found == requests.end()) return Error{ErrorCode::not_found, "could not find delete request with given id"};
  if (found->processed) return refused("deletion of request which is in process or already processed is not allowed");
  const Duration age = std::chrono::milliseconds(now_ms() - found->created_ms);
  if (age > options_.cancel_period && http::query_get(parameters, "force") != "true")
    return refused("Cancellation of partially completed delete request or delete request past the deadline of " +
                   format_duration(options_.cancel_period) +
                   " since its creation is not allowed. To force, use the ?force query parameter");
  requests.erase(found);
  TRY(write(std::move(requests)));
  return http::Response{204, {}, ""};
}

http::Response Deletions::list() const {
  std::string out = "[";
  const std::lock_guard lock(mutex_);
  for (const Request& one : requests_) {
    if (out.size() > 1) out += ',';
    out += "{\"request_id\":\"" + one.id + "\",\"start_time\":";
    append_seconds_of(out, one.start_ms);
    out += ",\"end_time\":";
    append_seconds_of(out, one.end_ms);
    out += ",\"query\":";
    json::append_string(out, one.query);
    out += std::string(",\"status\":\"") + (one.processed ? "processed" : "received") + "\",\"created_at\":";
    append_seconds_of(out, one.created_ms);
    out += '}';
  }
  return {200, {{"Content-Type", "application/json"}}, out + "]\n"};
}

http::Response Deletions::answer(std::string_view method, const http::Query& parameters) {
  bool enabled;
  {
    const std::lock_guard lock(mutex_);
    enabled = options_.enabled;
  }
  if (!enabled)
    return {403, {{"Content-Type", "text/plain; charset=utf-8"}}, "deletion is not available for this tenant\n"};
  if (method == "GET") return list();
  auto done = method == "POST" || method == "PUT" ? add(parameters)
              : method == "DELETE"
                  ? cancel(parameters)
                  : Result<http::Response>(Error{ErrorCode::method_not_allowed, "use POST, PUT, GET or DELETE"});
  return done.ok() ? std::move(done).value() : error_response(done.error());
}

}  // namespace caisson::logs
