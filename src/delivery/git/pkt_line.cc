// SPDX-License-Identifier: Apache-2.0
#include "delivery/git/pkt_line.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "core/base/text.h"

namespace caisson::git {
namespace {

enum class Line { data, flush, end, broken };

// Takes one pkt-line off `bytes`. Delimiters (0001) and response ends (0002) count as flush.
Line take(std::string_view& bytes, std::string_view& data) {
  if (bytes.empty()) return Line::end;
  if (bytes.size() < 4) return Line::broken;
  unsigned size = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = bytes[static_cast<std::size_t>(i)];
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return Line::broken;
    size = size * 16 + static_cast<unsigned>(digit);
  }
  if (size < 4) {
    bytes.remove_prefix(4);
    return Line::flush;
  }
  if (size > bytes.size()) return Line::broken;
  data = bytes.substr(4, size - 4);
  bytes.remove_prefix(size);
  return Line::data;
}

bool is_id(std::string_view text) {
  return text.size() == 40 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string_view without_newline(std::string_view line) {
  if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  return line;
}

void read_report(std::string_view bytes, PushReport& report) {
  std::string_view line;
  while (take(bytes, line) == Line::data) {
    line = without_newline(line);
    if (line.starts_with("unpack "))
      report.reported = true;
    else if (line.starts_with("ok "))
      report.refs[std::string(line.substr(3))] = true;
    else if (line.starts_with("ng "))
      report.refs[std::string(line.substr(3, line.find(' ', 3) - 3))] = false;
  }
}

}  // namespace

std::string pkt_line(std::string_view text) {
  char size[8];
  std::snprintf(size, sizeof size, "%04zx", text.size() + 4);
  return std::string(size, 4) + std::string(text);
}

Result<std::vector<RefUpdate>> parse_push_commands(std::string_view bytes) {
  std::vector<RefUpdate> out;
  const bool whole = bytes.size() < kCommandBytesMax;
  for (;;) {
    std::string_view line;
    const Line kind = take(bytes, line);
    if (kind == Line::flush) return out;
    if (kind != Line::data) {
      if (!whole) return Error{ErrorCode::too_large, "a push of too many refs at once"};
      return Error{ErrorCode::bad_request, "the push does not begin with a list of refs"};
    }
    line = without_newline(line.substr(0, line.find('\0')));
    if (line.starts_with("shallow ")) continue;
    if (line.starts_with("push-cert"))
      return Error{ErrorCode::bad_request, "signed pushes (git push --signed) are not supported"};
    if (line.size() < 83 || line[40] != ' ' || line[81] != ' ' || !is_id(line.substr(0, 40)) ||
        !is_id(line.substr(41, 40)))
      return Error{ErrorCode::bad_request, "malformed line in the list of refs"};
    out.push_back({std::string(line.substr(82)), std::string(line.substr(0, 40)), std::string(line.substr(41, 40))});
  }
}

std::string refusing_report(std::string_view commands, const std::vector<RefUpdate>& updates, const std::string& why) {
  std::string_view line;
  if (take(commands, line) != Line::data || line.find('\0') == std::string_view::npos) return {};
  const auto capabilities = split(without_newline(line.substr(line.find('\0') + 1)), ' ');
  const auto asks_for = [&](std::string_view name) {
    return std::find(capabilities.begin(), capabilities.end(), name) != capabilities.end();
  };
  if (!asks_for("report-status") && !asks_for("report-status-v2")) return {};
  std::string report = pkt_line("unpack " + why + "\n");
  for (const RefUpdate& update : updates) report += pkt_line("ng " + update.ref + " unpacker error\n");
  report += "0000";
  if (!asks_for("side-band-64k") && !asks_for("side-band")) return report;
  const std::size_t band_bytes_max = asks_for("side-band-64k") ? 65515 : 995;
  std::string out;
  for (std::size_t at = 0; at < report.size(); at += band_bytes_max)
    out += pkt_line("\1" + report.substr(at, band_bytes_max));
  return out + "0000";
}

PushReport parse_push_report(std::string_view bytes) {
  PushReport report;
  std::string band;
  std::string_view rest = bytes, line;
  for (Line kind = take(rest, line); kind == Line::data; kind = take(rest, line)) {
    if (!line.empty() && line.front() == '\1') band.append(line.substr(1));
  }
  read_report(band.empty() ? bytes : std::string_view(band), report);
  return report;
}

}  // namespace caisson::git
