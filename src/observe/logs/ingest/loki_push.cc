// SPDX-License-Identifier: Apache-2.0
#include "core/base/protobuf.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "observe/logs/ingest/push.h"
#include "observe/logs/logql/parser.h"

namespace caisson::logs {
namespace {

Error bad(std::string message) {
  return {ErrorCode::bad_request, std::move(message)};
}

Result<Labels> labels_of(const Value& map) {
  std::vector<Label> labels;
  for (const auto& entry : map.entries()) {
    if (!entry.value.is_string()) return bad("label " + std::string(entry.key) + " is no text");
    labels.push_back({std::string(entry.key), entry.value.str()});
  }
  return Labels::from(std::move(labels));
}

Result<std::int64_t> time_of(const Value& value) {
  if (value.is_int()) return value.as_int();
  if (const auto number = parse_int(value.as_string())) return *number;
  if (const auto time = parse_time(value.as_string()))
    return static_cast<std::int64_t>(time->time_since_epoch().count());
  return bad("not a time in nanoseconds: " + value.scalar_text());
}

// ["<nanoseconds>", "<line>", {metadata}], or the older {"ts": …, "line": …}.
Result<NewEntry> entry_of(const Value& value) {
  NewEntry entry;
  if (value.is_map()) {
    entry.t = TRY(time_of(value["ts"]));
    if (!value["line"].is_string()) return bad("an entry has no line");
    entry.line = value["line"].as_string();
    return entry;
  }
  if (!value.is_list() || value.size() < 2 || value.size() > 3 || !value[1].is_string())
    return bad("a value is [\"<nanoseconds>\", \"<line>\"] with perhaps a map of metadata");
  entry.t = TRY(time_of(value[0]));
  entry.line = value[1].as_string();
  if (value.size() == 3) entry.metadata = TRY(labels_of(value[2]));
  return entry;
}

Result<std::int64_t> read_timestamp(std::string_view bytes) {
  std::int64_t seconds = 0, nanos = 0;
  protobuf::Reader field(bytes);
  while (TRY(field.next())) {
    if (field.number() == 1) seconds = static_cast<std::int64_t>(field.integer());
    if (field.number() == 2) nanos = static_cast<std::int32_t>(field.integer());
  }
  constexpr std::int64_t kSecondsMax = 9'000'000'000;
  if (seconds > kSecondsMax || seconds < -kSecondsMax) return bad("an entry's time is out of range");
  return seconds * 1'000'000'000 + nanos;
}

Result<NewEntry> read_entry(std::string_view bytes) {
  NewEntry entry;
  std::vector<Label> metadata;
  protobuf::Reader field(bytes);
  while (TRY(field.next())) {
    if (field.type() != protobuf::WireType::bytes) continue;
    if (field.number() == 1) entry.t = TRY(read_timestamp(field.bytes()));
    if (field.number() == 2) entry.line = field.bytes();
    if (field.number() != 3) continue;
    Label label;
    protobuf::Reader part(field.bytes());
    while (TRY(part.next())) {
      if (part.number() == 1) label.name = part.bytes();
      if (part.number() == 2) label.value = part.bytes();
    }
    metadata.push_back(std::move(label));
  }
  if (!metadata.empty()) entry.metadata = Labels::from(std::move(metadata));
  return entry;
}

}  // namespace

Result<Batch> read_push_json(std::string body) {
  Batch batch;
  batch.document = std::make_unique<Value>(TRY(json::parse(body, {.depth_max = 16})));
  const Value& document = *batch.document;
  if (!document["streams"].is_list()) return bad("a push is {\"streams\": […]}");
  for (const Value& stream : document["streams"].items()) {
    NewStream out;
    out.labels = TRY(stream.contains("labels") ? logql::parse_stream_labels(stream["labels"].as_string())
                                               : labels_of(stream["stream"]));
    const Value& values = stream.contains("entries") ? stream["entries"] : stream["values"];
    out.entries.reserve(values.size());
    for (const Value& value : values.items()) out.entries.push_back(TRY(entry_of(value)));
    batch.streams.push_back(std::move(out));
  }
  return batch;
}

Result<Batch> read_push_protobuf(std::string body) {
  Batch batch;
  batch.body = std::make_unique<std::string>(std::move(body));
  protobuf::Reader field(*batch.body);
  while (TRY(field.next())) {
    if (field.number() != 1 || field.type() != protobuf::WireType::bytes) continue;
    NewStream stream;
    protobuf::Reader part(field.bytes());
    while (TRY(part.next())) {
      if (part.type() != protobuf::WireType::bytes) continue;
      if (part.number() == 1) stream.labels = TRY(logql::parse_stream_labels(part.bytes()));
      if (part.number() == 2) stream.entries.push_back(TRY(read_entry(part.bytes())));
    }
    batch.streams.push_back(std::move(stream));
  }
  return batch;
}

}  // namespace caisson::logs
