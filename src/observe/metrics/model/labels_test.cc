// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/model/labels.h"

#include <doctest/doctest.h>

namespace caisson::metrics {

TEST_CASE("a label set is ordered, without empty values, and the last of two with one name counts") {
  const Labels labels = Labels::from({{"b", "2"}, {"a", "1"}, {"c", ""}, {"b", "3"}});
  CHECK(labels.str() == R"({a="1", b="3"})");
  CHECK(labels.items().size() == 2);
  CHECK(labels.get("b") == "3");
  CHECK(labels.get("c") == "");
  CHECK(labels == Labels::from({{"a", "1"}, {"b", "3"}}));
  CHECK(labels.hash() == Labels::from({{"a", "1"}, {"b", "3"}}).hash());
  CHECK(labels < Labels::from({{"a", "1"}, {"b", "4"}}));
  CHECK(labels < Labels::from({{"a", "1"}, {"b", "3"}, {"d", "0"}}));
  CHECK(Labels::from({{"a", ""}}) == Labels());
  CHECK(Labels().items().empty());
}

TEST_CASE("a label set takes names and values of any length up to its limit, and cuts what is longer") {
  for (const std::size_t size : {1u, 254u, 255u, 256u, 70'000u}) {
    const std::string text(size, 'x');
    const Labels labels = Labels::from({{text, text}, {"z", "after"}});
    CHECK(labels.get(text) == text);
    CHECK(labels.get("z") == "after");
    CHECK(Labels::from_bytes(labels.bytes()).value() == labels);
  }
  const Labels cut = Labels::from({{"a", std::string(Labels::kTextBytesMax + 5, 'x')}, {"b", "after"}});
  CHECK(cut.get("a").size() == Labels::kTextBytesMax);
  CHECK(cut.get("b") == "after");
}

TEST_CASE("bytes that are no label set are refused") {
  const Labels labels = Labels::from({{"name", "value"}, {"other", std::string(300, 'y')}});
  const std::string bytes(labels.bytes());
  for (std::size_t size = 1; size < bytes.size(); ++size) {
    const auto cut = Labels::from_bytes(std::string_view(bytes).substr(0, size));
    CHECK(cut.ok() == (size == 11));  // after the first label
  }
  CHECK(Labels::from_bytes("").value() == Labels());
  CHECK_FALSE(Labels::from_bytes("\xFF\x01").ok());
}

TEST_CASE("sets that keep or drop labels have the hash of sets that were made so") {
  const Labels labels = Labels::from({{"__name__", "up"}, {"a", "1"}, {"b", "2"}});
  const std::vector<std::string> names{"a", "x"};
  CHECK(labels.keep(names) == Labels::from({{"a", "1"}}));
  CHECK(labels.drop(names) == Labels::from({{"__name__", "up"}, {"b", "2"}}));
  CHECK(labels.drop_metadata() == Labels::from({{"a", "1"}, {"b", "2"}}));
  CHECK(labels.keep({}) == Labels());
  CHECK(labels.key_of(names) == Labels::from({{"a", "1"}}).key_of(names));
}

}  // namespace caisson::metrics
