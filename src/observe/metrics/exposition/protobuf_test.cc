// SPDX-License-Identifier: Apache-2.0
// testdata/exposition.protobuf is what client_golang 1.25 serves; made by
// tests/differential/prometheus_messages/main.go.
#include "observe/metrics/exposition/protobuf.h"

#include <doctest/doctest.h>

#include "core/base/file.h"
#include "core/base/protobuf.h"
#include "core/base/test_dirs.h"
#include "observe/metrics/model/format.h"

namespace caisson::metrics {
namespace {

std::vector<std::string> lines_of(const Exposition& exposition) {
  std::vector<std::string> lines;
  for (const ExposedSample& sample : exposition.samples)
    lines.push_back(
        sample.labels.str() + " " + (sample.h ? histogram_string(*sample.h) : format_general(sample.v)) +
        (sample.exemplar ? " # " + sample.exemplar->labels.str() + " " + format_general(sample.exemplar->v) : ""));
  return lines;
}

std::string family(const std::string& name, const std::string& metric, int type) {
  const std::string message =
      protobuf::Writer().bytes(1, name).integer(3, static_cast<std::uint64_t>(type)).bytes(4, metric).take();
  return protobuf::Writer().bytes(1, message).take().substr(1);  // length, message
}

}  // namespace

TEST_CASE("protobuf exposition: what a Go client serves gives the samples of its text, and the native histogram") {
  const std::string bytes = read_file(test_room_dir() + "/exposition/testdata/exposition.protobuf").value();
  const std::vector<std::string> common{
      "{__name__=\"classic_seconds_bucket\", le=\"1.0\"} 0",
      "{__name__=\"classic_seconds_bucket\", le=\"2.5\"} 1",
      "{__name__=\"classic_seconds_bucket\", le=\"+Inf\"} 1",
      "{__name__=\"classic_seconds_sum\"} 2",
      "{__name__=\"classic_seconds_count\"} 1",
      "{__name__=\"requests_total\", path=\"/안녕\"} 3 # {trace_id=\"t1\"} 3",
      "{__name__=\"sizes\", quantile=\"0.5\"} 4",
      "{__name__=\"sizes_sum\"} 4",
      "{__name__=\"sizes_count\"} 1",
      "{__name__=\"temperature\"} -1.5",
  };
  const std::string native =
      "{__name__=\"both_seconds\"} {count:5, sum:21, [-2.938735877055719e-39,2.938735877055719e-39]:1, (0.5,1]:1, "
      "(1,2]:2, (8,16]:1}";
  const auto parsed = parse_exposition(kProtobufAccept, bytes);
  REQUIRE_MESSAGE(parsed.ok(), (parsed.ok() ? "" : parsed.error().message));
  std::vector<std::string> expected{native};
  expected.insert(expected.end(), common.begin(), common.end());
  CHECK(lines_of(*parsed) == expected);
  REQUIRE(parsed->metadata.size() == 5);
  CHECK(parsed->metadata[0].type == "histogram");
  CHECK(parsed->metadata[2].help == "Requests.");

  const auto both = parse_protobuf(bytes, {}, true);
  REQUIRE(both.ok());
  CHECK(both->samples.size() == expected.size() + 5);
}

TEST_CASE("protobuf exposition: a message that is none is refused with the family's name") {
  const std::string odd_spans =
      protobuf::Writer().integer(1, 3).message(12, protobuf::Writer().zigzag(1, 0).integer(2, 4)).take();
  const std::pair<std::string, const char*> cases[] = {
      {"\x05"
       "abc",
       "proto: unexpected end of the message"},
      {family("", "", 0), "metric family without a name"},
      {family("x", protobuf::Writer().bytes(7, odd_spans).take(), 4),
       "metric family x: native histogram: spans need 4 buckets, have 0 buckets"},
      {family("x", protobuf::Writer().message(1, protobuf::Writer().bytes(1, "\xff")).take(), 0),
       "metric family x: label is not UTF-8"},
  };
  for (const auto& [bytes, message] : cases) {
    const auto parsed = parse_protobuf(bytes);
    REQUIRE(!parsed.ok());
    CHECK(parsed.error().message == message);
  }
}

TEST_CASE("protobuf exposition: limits are named") {
  ExpositionLimits limits;
  limits.samples_max = 1;
  const std::string two = family("a", "", 1) + family("b", "", 1);
  const auto parsed = parse_protobuf(two, limits);
  REQUIRE(!parsed.ok());
  CHECK(parsed.error().message == "metric family b: more than 1 samples");
}

}  // namespace caisson::metrics
