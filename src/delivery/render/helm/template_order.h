// SPDX-License-Identifier: Apache-2.0
// Paths of templates, and the order in which Helm parses and runs those of a chart and its subcharts.
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "core/base/file.h"

namespace caisson::render::helm {

// That of the file `name` of the chart at `chart_path`, which is clean. Nearly all names are clean, too.
inline std::string template_path(const std::string& chart_path, const std::string& name) {
  std::string path = chart_path + "/" + name;
  const bool is_clean = !name.empty() && name.back() != '/' && path.find("//") == std::string::npos &&
                        path.find("/.") == std::string::npos;
  return is_clean ? path : path_clean(path);
}

// Sorts by `path`: deeper paths first, and of one depth the later name, so that a chart's own definitions come after
// its subcharts' and win. Of several items of one path the last is kept.
template <class Item>
void sort_as_helm(std::vector<Item>& items) {
  struct Place {
    std::ptrdiff_t slashes;
    std::size_t index;
  };
  std::vector<Place> places;
  for (std::size_t i = 0; i < items.size(); ++i)
    places.push_back({std::count(items[i].path.begin(), items[i].path.end(), '/'), i});
  std::sort(places.begin(), places.end(), [&](const Place& a, const Place& b) {
    if (a.slashes != b.slashes) return a.slashes > b.slashes;
    const int order = items[a.index].path.compare(items[b.index].path);
    return order != 0 ? order > 0 : a.index > b.index;
  });
  std::vector<Item> sorted;
  sorted.reserve(items.size());
  for (const Place& place : places) {
    Item& item = items[place.index];
    if (sorted.empty() || sorted.back().path != item.path) sorted.push_back(std::move(item));
  }
  items = std::move(sorted);
}

}  // namespace caisson::render::helm
