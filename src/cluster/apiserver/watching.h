// SPDX-License-Identifier: Apache-2.0
// What a watch with selectors sees of the store's events: an object that stops matching is deleted for it, one that
// begins is added.
#pragma once
#include <optional>

#include "cluster/apiserver/verbs.h"

namespace caisson::apiserver {

struct Seen {
  store::Event::Type type;  // added, modified or deleted
  store::ItemPtr item;
};
std::optional<Seen> seen_by(const ListParameters& parameters, const store::Event& event);

}  // namespace caisson::apiserver
