// SPDX-License-Identifier: Apache-2.0
// npm, Python, Java, Go.
#include <array>
#include <set>

#include "artifact/scan/analyze.h"
#include "artifact/scan/zip.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::scan {
namespace {

constexpr json::ParseLimits kJson{.depth_max = 64, .size_bytes_max = 64u << 20};
constexpr std::size_t kJarTextMax = 1u << 20, kJarInnerMax = 256u << 20;
constexpr int kJarDepthMax = 3;
constexpr std::size_t kJarMembersMax = 100'000;

Package package_of(std::string_view ecosystem, std::string_view name, std::string_view version) {
  Package out;
  out.ecosystem = ecosystem;
  out.name = name;
  out.version = version;
  return out;
}

std::string license_of(const Value& manifest) {
  const Value& license = manifest["license"];
  if (license.is_string()) return license.str();
  return license["type"].str();
}

// A v1 lock: dependencies below dependencies.
void add_locked(std::vector<Package>& out, const Value& dependencies, int depth) {
  if (depth > 64) return;
  for (const auto& [name, entry] : dependencies.entries()) {
    if (entry["dev"].as_bool()) continue;
    if (entry["version"].is_string()) out.push_back(package_of("npm", name, entry["version"].as_string()));
    add_locked(out, entry["dependencies"], depth + 1);
  }
}

// "Key: value" lines of a manifest, with those that go on (" …") joined.
std::string manifest_field(std::string_view text, std::string_view key) {
  std::string out;
  bool inside = false;
  for (std::string_view line : split(text, '\n')) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (inside && line.starts_with(' ')) {
      out += line.substr(1);
      continue;
    }
    if (inside) break;
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ':') {
      inside = true;
      out = trim(line.substr(key.size() + 1));
    }
  }
  return out;
}

std::string property(std::string_view text, std::string_view key) {
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t equals = line.find('=');
    if (equals != std::string_view::npos && trim(line.substr(0, equals)) == key)
      return std::string(trim(line.substr(equals + 1)));
  }
  return {};
}

// "commons-text-1.9.jar": the version begins behind the last dash before a digit.
Package package_of_jar_name(std::string_view base) {
  base = base.substr(0, base.rfind('.'));
  for (std::size_t dash = base.find('-'); dash != std::string_view::npos; dash = base.find('-', dash + 1)) {
    if (dash + 1 < base.size() && base[dash + 1] >= '0' && base[dash + 1] <= '9')
      return package_of("Maven", base.substr(0, dash), base.substr(dash + 1));
  }
  return {};
}

struct JarReader {
  std::vector<Package> found;
  std::size_t members_left = kJarMembersMax, bytes_left = kJarInnerMax;

  void read(const std::string& path, const std::string& bytes, int depth) {
    const Result<std::vector<ZipMember>> members = zip_members(bytes);
    if (!members.ok() || members->size() > members_left) return;
    members_left -= members->size();
    bool named = false;
    std::string manifest;
    for (const ZipMember& member : *members) {
      if (member.name.ends_with("/pom.properties") && member.name.starts_with("META-INF/maven/")) {
        named = add_pom(path, bytes, member) || named;
      } else if (member.name == "META-INF/MANIFEST.MF") {
        const Result<std::string> text = zip_read(bytes, member, kJarTextMax);
        if (text.ok()) manifest = *text;
      } else if (depth < kJarDepthMax && member.name.ends_with(".jar") && member.size_bytes <= bytes_left) {
        const Result<std::string> inner = zip_read(bytes, member, bytes_left);
        if (!inner.ok()) continue;
        bytes_left -= inner->size();
        read(path + "/" + member.name, *inner, depth + 1);
      }
    }
    if (!named) add_unnamed(path, manifest);
  }

  bool add_pom(const std::string& path, const std::string& bytes, const ZipMember& member) {
    const Result<std::string> text = zip_read(bytes, member, kJarTextMax);
    if (!text.ok()) return false;
    const std::string group = property(*text, "groupId"), artifact = property(*text, "artifactId"),
                      version = property(*text, "version");
    if (group.empty() || artifact.empty() || version.empty()) return false;
    found.push_back(package_of("Maven", group + ":" + artifact, version));
    found.back().path = path;
    return true;
  }

  // A jar without Maven's own files: the manifest's words, then the file's name.
  void add_unnamed(const std::string& path, const std::string& manifest) {
    Package package = package_of_jar_name(path_base(path));
    const std::string version = manifest_field(manifest, "Implementation-Version");
    const std::string vendor = manifest_field(manifest, "Implementation-Vendor-Id");
    const std::string title = manifest_field(manifest, "Implementation-Title");
    if (package.name.empty() && !title.empty() && title.find(' ') == std::string::npos)
      package = package_of("Maven", title, version);
    if (package.version.empty()) package.version = version;
    if (package.name.empty() || package.version.empty()) return;
    if (!vendor.empty()) package.name = vendor + ":" + package.name;
    package.path = path;
    found.push_back(std::move(package));
  }
};

// --- Go
constexpr std::string_view kBuildInfo("\xff Go buildinf:", 14);
constexpr std::size_t kBuildInfoHeader = 32, kBuildInfoMax = 4u << 20, kAlign = 16, kSentinel = 16;

// A string with its length before it. Nothing when it is not all there.
std::optional<std::string_view> take_string(std::string_view& bytes) {
  std::uint64_t length = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    if (bytes.empty()) return std::nullopt;
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    length |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) != 0) continue;
    if (length > bytes.size()) return std::nullopt;
    const std::string_view out = bytes.substr(0, length);
    bytes.remove_prefix(length);
    return out;
  }
  return std::nullopt;
}

// Build information at the start of `bytes`.
std::vector<Package> read_build_info(std::string_view bytes) {
  constexpr char kInline = 2;
  if (bytes.size() <= kBuildInfoHeader || (bytes[15] & kInline) == 0)
    return {};  // before Go 1.18: pointers into the data
  bytes.remove_prefix(kBuildInfoHeader);
  const std::optional<std::string_view> version = take_string(bytes);
  if (!version || !version->starts_with("go")) return {};
  std::string_view modules = take_string(bytes).value_or(std::string_view());
  if (modules.size() < 2 * kSentinel) return parse_go_modules(*version, {});
  return parse_go_modules(*version, modules.substr(kSentinel, modules.size() - 2 * kSentinel));
}

}  // namespace

std::vector<Package> parse_package_json(std::string_view text) {
  const Result<Value> manifest = json::parse(text, kJson);
  if (!manifest.ok() || !(*manifest)["name"].is_string() || !(*manifest)["version"].is_string()) return {};
  Package package = package_of("npm", (*manifest)["name"].as_string(), (*manifest)["version"].as_string());
  package.license = license_of(*manifest);
  return {package};
}

std::vector<Package> parse_package_lock(std::string_view text) {
  const Result<Value> lock = json::parse(text, kJson);
  if (!lock.ok()) return {};
  std::vector<Package> out;
  for (const auto& [path, entry] : (*lock)["packages"].entries()) {
    constexpr std::string_view kModules = "node_modules/";
    const std::size_t at = path.rfind(kModules);
    if (at == std::string_view::npos || entry["dev"].as_bool() || entry["link"].as_bool()) continue;
    const std::string_view name =
        entry["name"].is_string() ? entry["name"].as_string() : path.substr(at + kModules.size());
    if (!entry["version"].is_string()) continue;
    out.push_back(package_of("npm", name, entry["version"].as_string()));
    out.back().license = license_of(entry);
  }
  if (out.empty()) add_locked(out, (*lock)["dependencies"], 0);
  return out;
}

std::vector<Package> parse_python_metadata(std::string_view text) {
  text = text.substr(0, text.find("\n\n"));  // the description follows
  const std::string name = manifest_field(text, "Name"), version = manifest_field(text, "Version");
  if (name.empty() || version.empty()) return {};
  // PEP 503: advisories are kept by the normalised name.
  std::string normal;
  for (const char c : to_lower(name)) {
    const bool separator = c == '-' || c == '_' || c == '.';
    if (!separator || !normal.ends_with('-')) normal += separator ? '-' : c;
  }
  Package package = package_of("PyPI", normal, version);
  const std::string license = manifest_field(text, "License-Expression"), old = manifest_field(text, "License");
  package.license = !license.empty() ? license : old.size() < 80 ? old : "";
  return {package};
}

std::vector<Package> parse_jar(std::string_view path, const std::string& bytes) {
  JarReader reader;
  reader.read(std::string(path), bytes, 0);
  return std::move(reader.found);
}

std::vector<Package> parse_go_modules(std::string_view version, std::string_view modules) {
  // "go1.22.1 X:boringcrypto"
  std::string_view plain = version.substr(0, version.find(' '));
  if (plain.starts_with("go")) plain.remove_prefix(2);
  std::vector<Package> out = {package_of("Go", "stdlib", plain)};
  for (const std::string_view line : split(modules, '\n')) {
    const std::vector<std::string_view> words = split(line, '\t');
    if (words.size() < 3) continue;
    const bool replaced = words[0] == "=>";
    if (words[0] != "mod" && words[0] != "dep" && !replaced) continue;
    if (replaced && out.size() > 1) out.pop_back();
    out.push_back(package_of("Go", words[1], words[2]));
  }
  std::erase_if(out, [](const Package& package) { return package.version.empty() || package.version == "(devel)"; });
  return out;
}

Result<FileFindings> analyze_program(const std::string& path, const content::ByteSource& source) {
  FileFindings out;
  out.path = path;
  std::string window;      // what has come and may still matter
  std::uint64_t base = 0;  // where the window begins in the file
  bool first = true, found = false;
  for (;;) {
    const std::string piece = TRY(source());
    if (piece.empty()) break;
    window += piece;
    if (first && window.size() < 4) continue;
    if (first && !window.starts_with("\x7f"
                                     "ELF"))
      return out;
    first = false;
    while (!found) {
      const std::size_t at = window.find(kBuildInfo);
      if (at == std::string::npos) {
        const std::size_t keep = std::min(window.size(), kBuildInfo.size());
        base += window.size() - keep;
        window.erase(0, window.size() - keep);
        break;
      }
      found = (base + at) % kAlign == 0;
      const std::size_t drop = found ? at : at + 1;
      base += drop;
      window.erase(0, drop);
    }
    if (found && window.size() >= kBuildInfoMax) break;
  }
  if (found) out.packages = read_build_info(window);
  for (Package& package : out.packages) package.path = path;
  return out;
}

}  // namespace caisson::scan
