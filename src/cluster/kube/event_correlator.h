// SPDX-License-Identifier: Apache-2.0
// EventCorrelator: turns many sayings of one thing into one Event with a count. Source: client-go's
// tools/record/events_cache.go, with its numbers: of events that differ only in their message ten within ten minutes
// are told singly, later ones as "(combined from similar events)"; a source may say 25 things about an object at once
// and then one every five minutes.
//
// One thread at a time.
#pragma once
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "cluster/kube/object.h"
#include "core/base/clock.h"
#include "core/document/value.h"

namespace caisson::kube {

class EventCorrelator {
 public:
  struct Outcome {
    Object event;        // with name, count and times
    bool is_new = true;  // create it; else patch the count of the one that has its name
  };
  // `event` is complete but for name, count and times. Nothing: it is to be dropped.
  std::optional<Outcome> correlate(Object event, Time now);
  // The event that was thought to be there is not: the next one is new.
  void forget(const Object& event);

 private:
  struct Counted {
    std::string name, first;
    std::int64_t count = 0;
  };
  struct Similar {
    Time last{};
    std::set<std::string> messages;
  };
  struct Bucket {
    double tokens = 25;
    Time refilled{};
  };
  template <class T>
  class Recent {  // the 4096 used last
   public:
    T& at(const std::string& key);
    void erase(const std::string& key);

   private:
    using Entry = std::pair<std::string, T>;
    std::list<Entry> order_;
    std::map<std::string, typename std::list<Entry>::iterator> places_;
  };

  bool combine(Object& event, Time now);
  bool may_speak(const Object& event, Time now);

  Time last_named_{};  // names come from the time, which may stand still between two events
  Recent<Counted> counted_;
  Recent<Similar> similar_;
  Recent<Bucket> buckets_;
};

}  // namespace caisson::kube
