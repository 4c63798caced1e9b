// SPDX-License-Identifier: Apache-2.0
// EventSeries: what events.k8s.io makes of a thing that is said again. Source: client-go's tools/events
// (event_broadcaster.go, 1.33): the first saying is an Event, the second gives it a series of two, later ones are only
// counted here and told every half hour; a series that was silent for six minutes is told once more and ends. Two
// sayings are one when type, action, reason, reporter and object are the same; the text may differ.
//
// One thread at a time.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster/kube/object.h"
#include "core/base/clock.h"

namespace caisson::kube {

class EventSeries {
 public:
  struct Outcome {
    Object event;        // with name and times
    bool is_new = true;  // create it; else patch the series of the one that has its name
  };
  // `event` is complete but for name and times. Nothing: it is only counted.
  std::optional<Outcome> observe(Object event, Time now);
  // Series to be told again by now, and those that end.
  std::vector<Outcome> due(Time now);

 private:
  struct Kept {
    Object event;
    Time observed{};
    std::int64_t count = 1;
    Outcome told(bool is_new) const;
  };
  std::map<std::string, Kept> kept_;
  Time last_named_{};  // names come from the time, which may stand still between two events
  std::optional<Time> ended_, refreshed_;
};

}  // namespace caisson::kube
