// SPDX-License-Identifier: Apache-2.0
// The YAML test suite: a folder holds in.yaml, and in.json (values, one after another), test.event, or a file `error`.
#include <doctest/doctest.h>

#include "conformance/corpus.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "core/document/yaml/events.h"

namespace caisson::conformance {
namespace {

// The event lines that `describe` gives: without the stream's, and without trailing spaces.
std::string document_events(const std::string& text) {
  std::string out;
  for (const std::string_view line : split(text, '\n')) {
    if (line.empty() || line == "+STR" || line == "-STR") continue;
    out.append(line).append("\n");
  }
  return out;
}

// Several JSON documents one after another, cut where the brackets close.
std::vector<std::string> json_documents(const std::string& text) {
  std::vector<std::string> out;
  std::size_t start = 0;
  while (start < text.size()) {
    std::size_t end = start;
    while (true) {
      end = std::min(text.find('\n', end), text.size());
      const std::string part(trim(std::string_view(text).substr(start, end - start)));
      if (part.empty() && end >= text.size()) return out;
      if (!part.empty() && (json::parse(part).ok() || end >= text.size())) {
        out.push_back(part);
        break;
      }
      ++end;
    }
    start = end;
  }
  return out;
}

std::string check_case(const std::string& dir) {
  const std::string in = text_of(dir + "/in.yaml");
  const yaml::ReadOptions options{.mode = yaml::Mode::specification, .duplicate_keys_refused = false};
  yaml::Events events;
  const auto parsed = yaml::parse_events(in, options, events);
  if (exists(dir + "/error")) return parsed.ok() ? "was not refused" : "";
  if (!parsed.ok()) return "refused: " + parsed.error().message;
  if (exists(dir + "/test.event")) {
    const std::string want = document_events(text_of(dir + "/test.event")), have = yaml::describe(events);
    if (want != have) return "events differ, wanted:\n" + want + "have:\n" + have;
  }
  if (!exists(dir + "/in.json")) return "";
  const auto values = yaml::read_all(in, options);
  if (!values.ok()) return "value refused: " + values.error().message;
  const auto want = json_documents(text_of(dir + "/in.json"));
  if (want.size() != values->size())
    return "documents: " + std::to_string(values->size()) + " instead of " + std::to_string(want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    const auto expected = json::parse(want[i]);
    if (!expected.ok()) return "the case's JSON is malformed";
    if (!(*expected == (*values)[i]))
      return "value " + json::write((*values)[i]) + " instead of " + json::write(*expected);
  }
  return "";
}

void run(const std::string& root, Outcomes& outcomes) {
  for (const std::string& id : cases_with(root, "in.yaml")) {
    const std::string why = check_case(root + "/" + id);
    if (why.empty())
      outcomes.passed(id);
    else
      outcomes.failed(id, why);
  }
}

}  // namespace

TEST_CASE("YAML streams give the events and values that the specification wants") {
  Outcomes outcomes("yaml");
  run(own_dir("yaml"), outcomes);
  const std::string upstream = corpus_dir("yaml");
  if (!upstream.empty()) run(upstream, outcomes);
  outcomes.check(!upstream.empty());
}

}  // namespace caisson::conformance
