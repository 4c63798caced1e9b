// SPDX-License-Identifier: Apache-2.0
// The places of one kind as a tree of their steps, so that a walk through an object goes each way once, however many
// field specifications lead along it. Places that are not there are not made.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "delivery/render/kustomize/config.h"

namespace caisson::render::kustomize_impl {

class PlaceTree {
 public:
  using Change = std::function<Result<void>(std::size_t place, Value&)>;

  // The specifications of `places` must outlive it and stay as they are.
  explicit PlaceTree(std::vector<Place> places = {});
  const std::vector<Place>& places() const { return places_; }

  // Calls `change` with the index of each place that `object` has; several of one place come in their order. Errors: as
  // visit_place.
  Result<void> visit(Value& object, const Change& change) const;

 private:
  struct Step {
    std::string name;                // of the member, without "[]"
    std::vector<std::size_t> ending;  // places that end here
    std::vector<Step> next;
    std::size_t first = 0;  // the first place that leads through here
  };
  Result<void> visit(Value& node, const Step& step, const Change& change) const;
  Result<void> visit_below(Value& node, const Step& step, const Change& change) const;

  std::vector<Place> places_;
  Step root_;
};

}  // namespace caisson::render::kustomize_impl
