// SPDX-License-Identifier: Apache-2.0
// What parses is printed in a form that parses and prints to itself; its stages end within their limits on any line.
#include "core/base/check.h"
#include "observe/logs/logql/parser.h"
#include "observe/logs/logql/pipeline.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace caisson::logs::logql;
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::size_t end = all.find('\n');
  const std::string_view text = all.substr(0, end), line = end == std::string_view::npos ? all : all.substr(end + 1);
  const auto expr = parse(text);
  if (!expr.ok()) return 0;
  const std::string printed = print(**expr);
  const auto again = parse(printed);
  CHECK(again.ok());
  CHECK(print(**again) == printed);
  const auto* selector = std::get_if<Selector>(&(*expr)->node);
  if (!selector) return 0;
  const auto pipeline = Pipeline::compile(selector->stages);
  CHECK(pipeline.ok());
  const Labels labels = Labels::from({{"app", "web"}, {"level", "info"}}), metadata = Labels::from({{"trace_id", "x"}});
  LineState state;
  for (const std::string_view one : {line, std::string_view("level=info took=3ms {\"a\":1}"),
                                     std::string_view("{\"a\":{\"b\":[1,2]},\"c\":\"d\"}")}) {
    state.reset(1, one, labels, metadata);
    if (pipeline->apply(state)) (void)state.labels();
  }
  return 0;
}
