// SPDX-License-Identifier: Apache-2.0
#include "main/cli/series_output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "observe/metrics/api/parameters.h"
#include "observe/metrics/model/format.h"

namespace caisson::cli {
namespace {

constexpr int kGraphRows = 12;
constexpr const char* kColors[] = {"32", "33", "34", "35", "36", "31"};

std::size_t columns() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 40 ? size.ws_col : 100;
}

struct Line {
  std::string name;
  std::vector<double> values;  // by column; NaN: none
};

// Dots of a braille cell: two columns, four rows.
void draw(const std::vector<Line>& lines, double lowest, double highest) {
  constexpr int kDots[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
  const std::size_t width = lines[0].values.size() / 2;
  const double span = highest > lowest ? highest - lowest : 1;
  std::vector<std::vector<int>> cells(kGraphRows, std::vector<int>(width, 0)), owner = cells;
  for (std::size_t n = 0; n < lines.size(); ++n)
    for (std::size_t x = 0; x < width * 2; ++x) {
      const double v = lines[n].values[x];
      if (!std::isfinite(v)) continue;
      const int level =
          std::clamp(static_cast<int>(std::lround((highest - v) / span * (kGraphRows * 4 - 1))), 0, kGraphRows * 4 - 1);
      cells[static_cast<std::size_t>(level / 4)][x / 2] |= kDots[level % 4][x % 2];
      owner[static_cast<std::size_t>(level / 4)][x / 2] = static_cast<int>(n);
    }
  for (std::size_t row = 0; row < kGraphRows; ++row) {
    const double at = highest - span * static_cast<double>(row) / (kGraphRows - 1);
    std::printf("%12s │", metrics::format_general(at, 4).c_str());
    for (std::size_t x = 0; x < width; ++x) {
      const int dots = cells[row][x];
      const std::string glyph{static_cast<char>(0xE2), static_cast<char>(0xA0 + (dots >> 6)),
                              static_cast<char>(0x80 + (dots & 0x3F))};
      std::printf("%s",
                  dots == 0
                      ? " "
                      : paint(glyph, kColors[static_cast<std::size_t>(owner[row][x]) % std::size(kColors)]).c_str());
    }
    std::printf("\n");
  }
}

}  // namespace

std::string series_text(const Value& metric) {
  std::vector<metrics::Label> labels;
  for (const auto& entry : metric.entries()) labels.push_back({std::string(entry.key), entry.value.str()});
  std::string name(metric["__name__"].as_string()), out;
  for (const metrics::Label& label : labels)
    if (label.name != "__name__") out += (out.empty() ? "" : ", ") + label.name + "=" + metrics::quote(label.value);
  return out.empty() && !name.empty() ? name : name + "{" + out + "}";
}

void print_instant(const Value& data) {
  const std::string_view type = data["resultType"].as_string();
  if (type == "scalar" || type == "string") {
    std::printf("%s\n", data["result"][1].str().c_str());
    return;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Value& one : data["result"].items()) {
    std::string value = one["value"][1].str();
    if (one.contains("histogram"))
      value = "count " + one["histogram"][1]["count"].str() + ", sum " + one["histogram"][1]["sum"].str();
    rows.push_back({series_text(one["metric"]), value});
  }
  if (rows.empty())
    std::printf("no data\n");
  else
    print_table({"SERIES", "VALUE"}, rows);
}

std::size_t graph_points() {
  return (std::min<std::size_t>(columns(), 200) - 16) * 2;
}

void print_graph(const Value& data, std::int64_t start, std::int64_t step, std::size_t points) {
  std::vector<Line> lines;
  double lowest = INFINITY, highest = -INFINITY;
  for (const Value& one : data["result"].items()) {
    Line line{series_text(one["metric"]), std::vector<double>(points, NAN)};
    for (const Value& point : one["values"].items()) {
      const auto at = static_cast<std::size_t>(
          std::llround((point[0].as_double() * 1000 - static_cast<double>(start)) / static_cast<double>(step)));
      const double v = metrics::parse_float(point[1].as_string()).value_or(NAN);
      if (at >= points || !std::isfinite(v)) continue;
      line.values[at] = v;
      lowest = std::min(lowest, v);
      highest = std::max(highest, v);
    }
    if (lines.size() < 20) lines.push_back(std::move(line));
  }
  if (lines.empty() || !std::isfinite(lowest)) {
    std::printf("no data\n");
    return;
  }
  draw(lines, lowest, highest);
  const std::int64_t end = start + step * static_cast<std::int64_t>(points - 1);
  std::printf("%13s└%s … %s\n", "", metrics::format_rfc3339(start).c_str(), metrics::format_rfc3339(end).c_str());
  for (std::size_t i = 0; i < lines.size(); ++i)
    std::printf("  %s %s\n", paint("■", kColors[i % std::size(kColors)]).c_str(), lines[i].name.c_str());
  if (data["result"].size() > lines.size()) std::printf("  … and %zu more\n", data["result"].size() - lines.size());
}

Result<std::int64_t> time_of(const std::string& text, std::int64_t now) {
  if (text.empty() || text == "now") return now;
  if (const auto ago = metrics::parse_duration(text); ago.ok()) return now - *ago;
  return metrics::parse_api_time(text);
}

}  // namespace caisson::cli
