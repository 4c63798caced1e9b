// SPDX-License-Identifier: Apache-2.0
#include "artifact/scan/package.h"

#include <array>
#include <optional>

#include "core/base/encoding.h"
#include "core/base/text.h"

namespace caisson::scan {
namespace {

struct PurlType {
  std::string_view ecosystem, type, vendor;  // vendor: the namespace of an OS package
};
constexpr std::array<PurlType, 12> kPurlTypes = {{{"Debian", "deb", "debian"},
                                                  {"Ubuntu", "deb", "ubuntu"},
                                                  {"Alpine", "apk", "alpine"},
                                                  {"Wolfi", "apk", "wolfi"},
                                                  {"Chainguard", "apk", "chainguard"},
                                                  {"Red Hat", "rpm", "redhat"},
                                                  {"AlmaLinux", "rpm", "almalinux"},
                                                  {"Rocky Linux", "rpm", "rocky"},
                                                  {"npm", "npm", ""},
                                                  {"PyPI", "pypi", ""},
                                                  {"Go", "golang", ""},
                                                  {"Maven", "maven", ""}}};

const PurlType* type_of(std::string_view ecosystem) {
  for (const PurlType& one : kPurlTypes) {
    if (one.ecosystem == ecosystem) return &one;
  }
  return nullptr;
}

// Each segment by itself: the slashes between them stay.
std::string encode_path(std::string_view path) {
  std::string out;
  for (const std::string_view part : split(path, '/')) {
    if (!out.empty()) out += '/';
    out += percent_encode(part);
  }
  return out;
}

// "3.18.4" is "3.18", "edge" stays.
std::string two_parts(std::string_view version) {
  const std::size_t first = version.find('.');
  if (first == std::string_view::npos) return std::string(version);
  return std::string(version.substr(0, version.find('.', first + 1)));
}

}  // namespace

bool Package::is_os() const {
  const PurlType* type = type_of(ecosystem);
  return type != nullptr && !type->vendor.empty();
}

std::string advisory_ecosystem(const Package& package, const OsRelease& os) {
  if (!package.is_os() || os.version_id.empty()) return package.ecosystem;
  if (package.ecosystem == "Debian") return "Debian:" + os.version_id.substr(0, os.version_id.find('.'));
  if (package.ecosystem == "Alpine") return "Alpine:v" + two_parts(os.version_id);
  if (package.ecosystem == "Ubuntu") return "Ubuntu:" + os.version_id;
  if (package.ecosystem == "AlmaLinux" || package.ecosystem == "Rocky Linux")
    return package.ecosystem + ":" + os.version_id.substr(0, os.version_id.find('.'));
  return package.ecosystem;
}

std::string package_url(const Package& package, const OsRelease& os) {
  const PurlType* type = type_of(package.ecosystem);
  if (type == nullptr) return {};
  std::string name = package.name;
  if (package.ecosystem == "Maven") name = replace_all(name, ":", "/");
  std::string out = "pkg:" + std::string(type->type) + "/";
  if (!type->vendor.empty()) out += std::string(type->vendor) + "/";
  out += encode_path(name) + "@" + percent_encode(package.version);
  std::string query;
  const auto add = [&](std::string_view key, const std::string& value) {
    if (!value.empty()) query += (query.empty() ? "?" : "&") + std::string(key) + "=" + percent_encode(value);
  };
  if (package.is_os()) {
    add("arch", package.architecture);
    if (!os.empty()) add("distro", os.id + (os.version_id.empty() ? "" : "-" + os.version_id));
    if (!package.source_name.empty())
      add("upstream", package.source_name + (package.source_version.empty() ? "" : "@" + package.source_version));
  }
  return out + query;
}

std::optional<Package> parse_package_url(std::string_view url, OsRelease* os) {
  if (!url.starts_with("pkg:")) return std::nullopt;
  url.remove_prefix(4);
  url = url.substr(0, url.find('#'));
  std::string_view query;
  if (const std::size_t mark = url.find('?'); mark != std::string_view::npos) {
    query = url.substr(mark + 1);
    url = url.substr(0, mark);
  }
  const std::size_t slash = url.find('/'), at = url.rfind('@');
  if (slash == std::string_view::npos || at == std::string_view::npos || at < slash) return std::nullopt;
  const std::string_view type = url.substr(0, slash);
  const Result<std::string> version = percent_decode(url.substr(at + 1));
  const Result<std::string> name = percent_decode(url.substr(slash + 1, at - slash - 1));
  if (!version.ok() || !name.ok()) return std::nullopt;
  Package out;
  out.version = *version;
  out.name = *name;
  for (const PurlType& one : kPurlTypes) {
    if (one.type != type) continue;
    if (!one.vendor.empty() && !out.name.starts_with(std::string(one.vendor) + "/")) continue;
    out.ecosystem = one.ecosystem;
    if (!one.vendor.empty()) out.name.erase(0, one.vendor.size() + 1);
    break;
  }
  if (out.ecosystem.empty()) return std::nullopt;
  if (out.ecosystem == "Maven") {
    if (const std::size_t last = out.name.rfind('/'); last != std::string::npos) out.name[last] = ':';
  }
  for (const std::string_view pair : split(query, '&')) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    const Result<std::string> value = percent_decode(pair.substr(equals + 1));
    if (!value.ok()) return std::nullopt;
    const std::string_view key = pair.substr(0, equals);
    if (key == "arch") out.architecture = *value;
    if (key == "upstream") {
      const std::size_t split_at = value->find('@');
      out.source_name = value->substr(0, split_at);
      if (split_at != std::string::npos) out.source_version = value->substr(split_at + 1);
    }
    if (key == "distro" && os != nullptr && os->empty()) {
      const std::size_t dash = value->find('-');
      os->id = value->substr(0, dash);
      if (dash != std::string::npos) os->version_id = value->substr(dash + 1);
    }
  }
  return out;
}

}  // namespace caisson::scan
