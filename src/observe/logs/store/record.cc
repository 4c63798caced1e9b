// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/store/record.h"

namespace caisson::logs {

void write_push(metrics::Writer& out, const RecordParts& push) {
  out.number(push.streams.size());
  for (const NewStream& stream : push.streams) {
    out.labels(stream.labels);
    out.number(stream.entries.size());
    std::int64_t last = 0;
    for (const NewEntry& entry : stream.entries) {
      out.signed_number(entry.t - last);
      last = entry.t;
      out.labels(entry.metadata);
      out.text(entry.line);
    }
  }
  out.number(push.moved->size());
  for (const auto& [source, position] : *push.moved) {
    out.text(source);
    out.text(position.file);
    out.number(position.offset);
    out.labels(position.labels);
  }
  out.number(push.dropped.size());
  for (const std::string& source : push.dropped) out.text(source);
}

Result<ReadPush> read_push(metrics::Reader& in) {
  ReadPush push;
  for (std::uint64_t streams = TRY(in.number()); streams > 0; --streams) {
    NewStream stream;
    stream.labels = TRY(in.labels());
    std::int64_t t = 0;
    for (std::uint64_t entries = TRY(in.number()); entries > 0; --entries) {
      NewEntry entry;
      entry.t = t += TRY(in.signed_number());
      entry.metadata = TRY(in.labels());
      entry.line = TRY(in.text());
      stream.entries.push_back(std::move(entry));
    }
    push.streams.push_back(std::move(stream));
  }
  for (std::uint64_t moved = TRY(in.number()); moved > 0; --moved) {
    const std::string source(TRY(in.text()));
    Position& position = push.moved[source];
    position.file = TRY(in.text());
    position.offset = TRY(in.number());
    position.labels = TRY(in.labels());
  }
  for (std::uint64_t dropped = TRY(in.number()); dropped > 0; --dropped) push.dropped.emplace_back(TRY(in.text()));
  return push;
}

}  // namespace caisson::logs
