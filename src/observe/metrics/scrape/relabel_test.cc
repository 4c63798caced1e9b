// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/scrape/relabel.h"

#include <doctest/doctest.h>

namespace caisson::metrics {
namespace {

// "" when dropped.
std::string relabeled(RelabelRule rule, const Labels& labels) {
  const auto relabeling = Relabeling::compile({std::move(rule)});
  REQUIRE(relabeling.ok());
  const auto out = relabeling->apply(labels);
  return out ? out->str() : "";
}

}  // namespace

TEST_CASE("every relabel action does what its name says") {
  const Labels labels = Labels::from({{"a", "foo"}, {"b", "Bar"}, {"__meta_c", "baz"}});
  using A = RelabelAction;
  CHECK(relabeled({.source_labels = {"a"}, .regex = "f(.*)", .target_label = "d", .replacement = "ch${1}-ch${1}"},
                  labels) == "{__meta_c=\"baz\", a=\"foo\", b=\"Bar\", d=\"choo-choo\"}");
  CHECK(relabeled({.source_labels = {"a"}, .regex = "f", .target_label = "d"}, labels) == labels.str());
  CHECK(relabeled({.source_labels = {"a"}, .regex = "foo", .target_label = "a", .replacement = ""}, labels) ==
        "{__meta_c=\"baz\", b=\"Bar\"}");
  CHECK(relabeled({.action = A::keep, .source_labels = {"a", "b"}, .regex = "foo;Bar"}, labels) == labels.str());
  CHECK(relabeled({.action = A::keep, .source_labels = {"a"}, .regex = "fo"}, labels).empty());
  CHECK(relabeled({.action = A::drop, .source_labels = {"a"}, .regex = "foo"}, labels).empty());
  CHECK(relabeled({.action = A::keep_equal, .source_labels = {"a"}, .target_label = "b"}, labels).empty());
  CHECK(relabeled({.action = A::drop_equal, .source_labels = {"a"}, .target_label = "a"}, labels).empty());
  CHECK(relabeled({.action = A::label_map, .regex = "__meta_(.+)"}, labels) ==
        "{__meta_c=\"baz\", a=\"foo\", b=\"Bar\", c=\"baz\"}");
  CHECK(relabeled({.action = A::label_drop, .regex = "__meta_.+"}, labels) == "{a=\"foo\", b=\"Bar\"}");
  CHECK(relabeled({.action = A::label_keep, .regex = "a|b"}, labels) == "{a=\"foo\", b=\"Bar\"}");
  CHECK(relabeled({.action = A::lowercase, .source_labels = {"b"}, .target_label = "b"}, labels) ==
        "{__meta_c=\"baz\", a=\"foo\", b=\"bar\"}");
  CHECK(relabeled({.action = A::uppercase, .source_labels = {"b"}, .target_label = "b"}, labels) ==
        "{__meta_c=\"baz\", a=\"foo\", b=\"BAR\"}");
  CHECK(relabeled({.action = A::hash_mod, .source_labels = {"a"}, .target_label = "shard", .modulus = 1}, labels) ==
        "{__meta_c=\"baz\", a=\"foo\", b=\"Bar\", shard=\"0\"}");
}

TEST_CASE("a rule that lacks what it needs is refused") {
  CHECK_FALSE(Relabeling::compile({{.action = RelabelAction::replace}}).ok());
  CHECK_FALSE(Relabeling::compile({{.action = RelabelAction::hash_mod, .target_label = "x"}}).ok());
  CHECK_FALSE(Relabeling::compile({{.regex = "(", .target_label = "x"}}).ok());
  CHECK_FALSE(Relabeling::compile({{.action = RelabelAction::label_drop, .source_labels = {"a"}}}).ok());
  CHECK_FALSE(relabel_action("rename").ok());
  CHECK(relabel_action("HashMod").ok());
}

}  // namespace caisson::metrics
