// SPDX-License-Identifier: Apache-2.0
// Bodies of pushes are read or refused, whatever they are; a file's lines never go beyond what was read of it.
#include "core/base/check.h"
#include "observe/logs/ingest/push.h"
#include "observe/logs/source/cri.h"
#include "observe/logs/store/lines.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace caisson::logs;
  const std::string text(reinterpret_cast<const char*>(data), size);
  (void)read_push_json(text).ok();
  (void)read_push_protobuf(text).ok();
  (void)read_otlp_json(text, 1).ok();
  (void)read_otlp_protobuf(text, 1).ok();
  if (const auto plain = unsnappy(text, 1u << 20); plain.ok()) (void)read_push_protobuf(*plain).ok();
  (void)unseal(text, text, Columns::all).ok();
  CriReader reader(CriReader::Format::cri, 0, 1000);
  for (std::size_t at = 0; at < text.size(); at += 7) reader.feed(std::string_view(text).substr(at, 7));
  CHECK(reader.taken() <= text.size());
  return 0;
}
