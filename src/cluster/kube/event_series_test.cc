// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/event_series.h"

#include <doctest/doctest.h>

#include "cluster/kube/event_correlator.h"
#include "cluster/kube/reconciler.h"
#include "cluster/kube/testing_client.h"

namespace caisson::kube {
namespace {

using namespace std::chrono_literals;

Object said(const std::string& pod, const std::string& note, const std::string& version = "1") {
  Object event = Object::make(schema::kEvents, "shop", "");
  event.edit().set("type", "Warning").set("reason", "FailedScheduling").set("action", "Scheduling");
  event.edit().set("message", note).set("reportingComponent", "default-scheduler").set("source", Value::map());
  event.edit().set("involvedObject", Value{{"kind", "Pod"}, {"name", pod}, {"resourceVersion", version}});
  return event;
}

}  // namespace

TEST_CASE("the second saying makes a series of two, later ones are counted and told when the series ends") {
  EventSeries series;
  Time now{std::chrono::hours(1)};
  const auto first = series.observe(said("web", "no node"), now);
  REQUIRE(first);
  CHECK(first->is_new);
  CHECK(first->event["eventTime"].str() == format_time_micros(now));
  CHECK(first->event["series"].is_null());
  const auto second = series.observe(said("web", "no node still"), now + 1s);
  REQUIRE(second);
  CHECK_FALSE(second->is_new);
  CHECK(second->event.name() == first->event.name());
  CHECK(second->event["series"]["count"].as_int() == 2);
  CHECK(second->event["series"]["lastObservedTime"].str() == format_time_micros(now + 1s));
  CHECK_FALSE(series.observe(said("web", "no node"), now + 2s));
  CHECK(series.observe(said("api", "no node"), now + 2s)->is_new);
  CHECK(series.due(now + 2s).empty());
  CHECK(series.due(now + 6min).empty());  // not silent for so long yet
  const auto ended = series.due(now + 13min);
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].event["series"]["count"].as_int() == 3);
  CHECK(series.observe(said("web", "no node"), now + 13min)->is_new);
}

TEST_CASE("a series that goes on is told every half hour") {
  EventSeries series;
  const Time begin{std::chrono::hours(1)};
  series.observe(said("web", "no node"), begin);
  int told = 0;
  for (auto at = 0min; at <= 65min; at += 1min) {
    series.observe(said("web", "no node"), begin + at);
    for (const auto& outcome : series.due(begin + at)) {
      ++told;
      CHECK_FALSE(outcome.is_new);
    }
  }
  CHECK(told == 2);
}

TEST_CASE("an event with an action is told as events.k8s.io has it, and its repetition patches the series") {
  TestingClient client;
  FakeClock clock;
  Object pod = Object::make(schema::kPods, "shop", "web");
  {
    EventRecorder recorder(client, clock, "default-scheduler");
    for (int i = 0; i < 3; ++i)
      recorder.record(pod, EventRecorder::Type::warning, "FailedScheduling", "no node", "Scheduling");
  }
  CHECK(client.creates == 1);
  CHECK(client.patches == 1);
  REQUIRE(client.objects.size() == 1);
  const Object& event = client.objects.begin()->second;
  CHECK(event["series"]["count"].as_int() == 2);
  CHECK(event["count"].is_null());
  CHECK(event["firstTimestamp"].is_null());
  CHECK(event["source"].empty());
  CHECK(event["reportingInstance"].str().starts_with("default-scheduler-"));
}

TEST_CASE("what is said of a later version of an object is the same event") {
  EventCorrelator correlator;
  const auto first = correlator.correlate(said("web", "failed", "1"), Time(1s));
  const auto second = correlator.correlate(said("web", "failed", "2"), Time(2s));
  REQUIRE((first && second));
  CHECK_FALSE(second->is_new);
  CHECK(second->event.name() == first->event.name());
  CHECK(second->event["count"].as_int() == 2);
}

}  // namespace caisson::kube
