// SPDX-License-Identifier: Apache-2.0
// OpenTelemetry's logs. Protobuf is read into the same document that OTLP's JSON is, and that into streams: resource
// attributes of a known list are the stream's labels, all others, the scope and what a record has are structured
// metadata (Loki 3.7, "Ingesting logs to Loki using OpenTelemetry Collector").
#include <algorithm>
#include <unordered_map>

#include "core/base/encoding.h"
#include "core/base/protobuf.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "observe/logs/ingest/push.h"

namespace caisson::logs {
namespace {

constexpr int kDepthMax = 32;
constexpr std::string_view kIndexed[] = {"cloud.availability_zone",
                                         "cloud.region",
                                         "container.name",
                                         "deployment.environment",
                                         "deployment.environment.name",
                                         "k8s.cluster.name",
                                         "k8s.container.name",
                                         "k8s.cronjob.name",
                                         "k8s.daemonset.name",
                                         "k8s.deployment.name",
                                         "k8s.job.name",
                                         "k8s.namespace.name",
                                         "k8s.pod.name",
                                         "k8s.replicaset.name",
                                         "k8s.statefulset.name",
                                         "service.instance.id",
                                         "service.name",
                                         "service.namespace"};

Error bad(std::string message) {
  return {ErrorCode::bad_request, std::move(message)};
}

// --- protobuf to OTLP's JSON

Result<Value> any_value(std::string_view bytes, int depth);

Result<Value> key_values(std::string_view bytes, int depth) {  // one KeyValue
  Value out = Value::map();
  protobuf::Reader field(bytes);
  while (TRY(field.next())) {
    if (field.number() == 1) out.set("key", Value(field.bytes()));
    if (field.number() == 2) out.set("value", TRY(any_value(field.bytes(), depth + 1)));
  }
  return out;
}

Result<Value> any_value(std::string_view bytes, int depth) {
  if (depth > kDepthMax) return bad("attributes are nested too deeply");
  Value out = Value::map();
  protobuf::Reader field(bytes);
  while (TRY(field.next())) {
    if (field.number() == 1) out.set("stringValue", Value(field.bytes()));
    if (field.number() == 2) out.set("boolValue", Value(field.integer() != 0));
    if (field.number() == 3) out.set("intValue", Value(static_cast<long long>(field.integer())));
    if (field.number() == 4) out.set("doubleValue", Value(field.real()));
    if (field.number() == 7) out.set("bytesValue", Value(base64(field.bytes())));
    if (field.number() != 5 && field.number() != 6) continue;
    Value values = Value::list();
    protobuf::Reader one(field.bytes());
    while (TRY(one.next())) {
      if (one.number() == 1)
        values.push_back(
            TRY(field.number() == 5 ? any_value(one.bytes(), depth + 1) : key_values(one.bytes(), depth + 1)));
    }
    out.set(field.number() == 5 ? "arrayValue" : "kvlistValue", Value{{"values", values}});
  }
  return out;
}

Result<Value> record(std::string_view bytes) {
  Value out = Value::map();
  Value attributes = Value::list();
  protobuf::Reader field(bytes);
  while (TRY(field.next())) {
    const auto number = static_cast<long long>(field.integer());
    if (field.number() == 1) out.set("timeUnixNano", Value(number));
    if (field.number() == 11) out.set("observedTimeUnixNano", Value(number));
    if (field.number() == 2) out.set("severityNumber", Value(number));
    if (field.number() == 3) out.set("severityText", Value(field.bytes()));
    if (field.number() == 5) out.set("body", TRY(any_value(field.bytes(), 0)));
    if (field.number() == 6) attributes.push_back(TRY(key_values(field.bytes(), 0)));
    if (field.number() == 8) out.set("flags", Value(number));
    if (field.number() == 9) out.set("traceId", Value(hex(field.bytes())));
    if (field.number() == 10) out.set("spanId", Value(hex(field.bytes())));
  }
  out.set("attributes", attributes);
  return out;
}

// Resource and scope are alike but for the fields' numbers.
Result<Value> described(std::string_view bytes, std::uint32_t attributes_field) {
  Value out = Value::map(), attributes = Value::list();
  protobuf::Reader field(bytes);
  while (TRY(field.next())) {
    if (field.number() == attributes_field && field.type() == protobuf::WireType::bytes)
      attributes.push_back(TRY(key_values(field.bytes(), 0)));
    else if (field.number() == 1)
      out.set("name", Value(field.bytes()));
    else if (field.number() == 2 && field.type() == protobuf::WireType::bytes)
      out.set("version", Value(field.bytes()));
  }
  out.set("attributes", attributes);
  return out;
}

Result<Value> scope_logs(std::string_view bytes) {
  Value out = Value::map(), records = Value::list();
  protobuf::Reader field(bytes);
  while (TRY(field.next())) {
    if (field.number() == 1) out.set("scope", TRY(described(field.bytes(), 3)));
    if (field.number() == 2) records.push_back(TRY(record(field.bytes())));
  }
  out.set("logRecords", records);
  return out;
}

Result<Value> resource_logs(std::string_view bytes) {
  Value out = Value::map(), scopes = Value::list();
  protobuf::Reader field(bytes);
  while (TRY(field.next())) {
    if (field.number() == 1) out.set("resource", TRY(described(field.bytes(), 1)));
    if (field.number() == 2) scopes.push_back(TRY(scope_logs(field.bytes())));
  }
  out.set("scopeLogs", scopes);
  return out;
}

// --- the document to streams

// What an attribute says, as plain JSON.
Value plain(const Value& any) {
  for (const char* key : {"stringValue", "boolValue", "doubleValue", "bytesValue"})
    if (any.contains(key)) return any[key];
  if (any.contains("intValue")) {
    const Value& number = any["intValue"];  // JSON has 64-bit numbers as texts
    if (number.is_string()) return Value(static_cast<long long>(parse_int(number.as_string()).value_or(0)));
    return number;
  }
  if (any.contains("arrayValue")) {
    Value out = Value::list();
    for (const Value& one : any["arrayValue"]["values"].items()) out.push_back(plain(one));
    return out;
  }
  if (!any.contains("kvlistValue")) return Value("");
  Value out = Value::map();
  for (const Value& one : any["kvlistValue"]["values"].items()) out.set(one["key"].as_string(), plain(one["value"]));
  return out;
}

std::string text_of(const Value& value) {
  return value.is_list() || value.is_map() ? json::write(value) : value.scalar_text();
}

std::string label_name(std::string_view key) {
  std::string out;
  for (const char c : key) out += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  if (!out.empty() && std::isdigit(static_cast<unsigned char>(out[0]))) out.insert(0, "key_");
  return out;
}

// Maps within maps become a_b.
void flatten(const std::string& name, const Value& value, std::vector<Label>& into) {
  if (value.is_map())
    for (const auto& entry : value.entries()) flatten(name + "_" + label_name(entry.key), entry.value, into);
  else if (!name.empty())
    into.push_back({name, text_of(value)});
}

void add_attributes(const Value& list, std::vector<Label>& into) {
  for (const Value& one : list.items()) flatten(label_name(one["key"].as_string()), plain(one["value"]), into);
}

std::int64_t number_of(const Value& value) {
  return value.is_string() ? parse_int(value.as_string()).value_or(0) : value.as_int();
}

Result<NewEntry> entry_of(const Value& record, const std::vector<Label>& shared, std::deque<std::string>& texts,
                          std::int64_t now) {
  NewEntry entry;
  const std::int64_t observed = number_of(record["observedTimeUnixNano"]);
  entry.t = number_of(record["timeUnixNano"]);
  if (entry.t == 0) entry.t = observed != 0 ? observed : now;
  texts.push_back(text_of(plain(record["body"])));
  entry.line = texts.back();
  std::vector<Label> metadata = shared;
  add_attributes(record["attributes"], metadata);
  if (observed != 0) metadata.push_back({"observed_timestamp", std::to_string(observed)});
  if (const std::int64_t severity = record["severityNumber"].as_int())
    metadata.push_back({"severity_number", std::to_string(severity)});
  if (!record["severityText"].as_string().empty()) metadata.push_back({"severity_text", record["severityText"].str()});
  if (const std::int64_t flags = record["flags"].as_int()) metadata.push_back({"flags", std::to_string(flags)});
  if (!record["traceId"].as_string().empty()) metadata.push_back({"trace_id", record["traceId"].str()});
  if (!record["spanId"].as_string().empty()) metadata.push_back({"span_id", record["spanId"].str()});
  entry.metadata = Labels::from(std::move(metadata));
  return entry;
}

Result<Batch> streams_of(const Value& document, std::int64_t now) {
  if (!document["resourceLogs"].is_list()) return bad("an export of logs is {\"resourceLogs\": […]}");
  Batch batch;
  batch.texts = std::make_unique<std::deque<std::string>>();
  std::unordered_map<Labels, std::size_t, LabelsHash> index;
  for (const Value& resource : document["resourceLogs"].items()) {
    std::vector<Label> labels, shared;
    for (const Value& one : resource["resource"]["attributes"].items()) {
      const std::string_view key = one["key"].as_string();
      const bool indexed = std::find(std::begin(kIndexed), std::end(kIndexed), key) != std::end(kIndexed);
      flatten(label_name(key), plain(one["value"]), indexed ? labels : shared);
    }
    if (std::none_of(labels.begin(), labels.end(), [](const Label& l) { return l.name == "service_name"; }))
      labels.push_back({"service_name", "unknown_service"});
    const Labels stream_labels = Labels::from(std::move(labels));
    const auto [at, fresh] = index.try_emplace(stream_labels, batch.streams.size());
    if (fresh) batch.streams.push_back({stream_labels, {}});
    for (const Value& scope : resource["scopeLogs"].items()) {
      std::vector<Label> metadata = shared;
      if (!scope["scope"]["name"].as_string().empty()) metadata.push_back({"scope_name", scope["scope"]["name"].str()});
      if (!scope["scope"]["version"].as_string().empty())
        metadata.push_back({"scope_version", scope["scope"]["version"].str()});
      add_attributes(scope["scope"]["attributes"], metadata);
      for (const Value& record : scope["logRecords"].items())
        batch.streams[at->second].entries.push_back(TRY(entry_of(record, metadata, *batch.texts, now)));
    }
  }
  return batch;
}

}  // namespace

Result<Batch> read_otlp_json(std::string body, std::int64_t now) {
  const Value document = TRY(json::parse(body, {.depth_max = 4 * kDepthMax}));
  return streams_of(document, now);
}

Result<Batch> read_otlp_protobuf(std::string body, std::int64_t now) {
  Value resources = Value::list();
  protobuf::Reader field(body);
  while (TRY(field.next())) {
    if (field.number() == 1 && field.type() == protobuf::WireType::bytes)
      resources.push_back(TRY(resource_logs(field.bytes())));
  }
  return streams_of(Value{{"resourceLogs", resources}}, now);
}

}  // namespace caisson::logs
