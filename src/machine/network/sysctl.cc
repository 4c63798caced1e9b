// SPDX-License-Identifier: Apache-2.0
// See sysctl.h.
#include "machine/network/sysctl.h"

#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::network {
namespace {
// A link's name may hold no dot here (ours never do), so dots are always separators.
std::string path_of(const std::string& name) {
  return "/proc/sys/" + replace_all(name, ".", "/");
}
}  // namespace

HostRecord parse_host_record(std::string_view text) {
  HostRecord out;
  for (std::string_view word : split(text, ' ')) {
    word = trim(word);
    const auto equals = word.find('=');
    if (equals != std::string_view::npos)
      out[std::string(word.substr(0, equals))] = std::string(word.substr(equals + 1));
  }
  return out;
}

std::string format_host_record(const HostRecord& record) {
  std::string out;
  for (const auto& [key, value] : record) out += (out.empty() ? "" : " ") + key + "=" + value;
  return out;
}

Result<std::string> read_sysctl(const std::string& name) {
  const std::string text = TRY(read_file(path_of(name)));
  return std::string(trim(text));
}

Result<void> write_sysctl(const std::string& name, std::string_view value) {
  return append_file(path_of(name), value).in("set " + name);
}

}  // namespace caisson::network
