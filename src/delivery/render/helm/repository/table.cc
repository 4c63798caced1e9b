// SPDX-License-Identifier: Apache-2.0
// Source: gosuri/uitable, as Helm uses it.
#include "delivery/render/helm/repository/table.h"

#include <algorithm>

#include "core/base/text.h"

namespace caisson::render::helm {
namespace {

std::string cut(const std::string& cell, std::size_t width_max) {
  if (width_max == 0 || display_width(cell) <= width_max) return cell;
  std::string out = fit_width(cell, width_max - 2);  // ends with "…", one column wide
  return out.substr(0, out.size() - 3) + "...";
}

}  // namespace

std::string write_table(const std::vector<std::vector<std::string>>& rows, std::size_t width_max) {
  std::vector<std::vector<std::string>> cells = rows;
  std::vector<std::size_t> widths;
  for (auto& row : cells) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      row[i] = cut(row[i], width_max);
      widths[i] = std::max(widths[i], display_width(row[i]));
    }
  }
  std::string out;
  for (const auto& row : cells) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += (i == 0 ? "" : "\t") + row[i];
      out.append(widths[i] - display_width(row[i]), ' ');
    }
    out += '\n';
  }
  return out;
}

}  // namespace caisson::render::helm
