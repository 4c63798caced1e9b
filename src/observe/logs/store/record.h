// SPDX-License-Identifier: Apache-2.0
// Records of the store's log: a number that grows, then pushes. Pure functions.
#pragma once
#include "observe/logs/store/store.h"
#include "observe/metrics/storage/codec.h"

namespace caisson::logs {

struct RecordParts {
  std::span<const NewStream> streams;
  const Positions* moved = nullptr;
  std::span<const std::string> dropped;
};
void write_push(metrics::Writer& out, const RecordParts& push);

struct ReadPush {
  std::vector<NewStream> streams;  // lines point into the record
  Positions moved;
  std::vector<std::string> dropped;
};
Result<ReadPush> read_push(metrics::Reader& in);

}  // namespace caisson::logs
