// SPDX-License-Identifier: Apache-2.0
#include "artifact/scan/layer_findings.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "artifact/content/compress.h"
#include "artifact/content/extract.h"
#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::scan {
namespace {

constexpr std::int64_t kFormat = 1;
constexpr int kDirectoryDepthMax = 128;
constexpr std::size_t kPieceBytes = 256u << 10;

bool is_below(std::string_view path, std::string_view directory) {
  return directory.empty() ||
         (path.size() > directory.size() && path.starts_with(directory) && path[directory.size()] == '/');
}

// Whether a file of that kind is kept although it says nothing: it may lie over one that did.
bool may_hide(FileKind kind) {
  return kind != FileKind::none && kind != FileKind::text;
}

Result<void> add_file(LayerFindings& out, FileKind kind, const std::string& path, std::uint64_t size_bytes,
                      const content::ByteSource& contents) {
  if (kind == FileKind::none) return {};
  FileFindings found;
  found.path = path;
  if (kind == FileKind::program) {
    found = TRY(analyze_program(path, contents));
  } else if (size_bytes <= size_bytes_max(kind)) {
    const std::string bytes = TRY(content::read_all(contents, size_bytes_max(kind)));
    found = analyze_file(kind, path, bytes);
  }
  if (may_hide(kind) || !found.secrets.empty()) out.files.push_back(std::move(found));
  return {};
}

Result<void> scan_below(LayerFindings& out, const std::string& root, const std::string& below, dev_t device,
                        int depth) {
  if (depth > kDirectoryDepthMax)
    return Error{ErrorCode::too_large, below + ": folders deeper than " + std::to_string(kDirectoryDepthMax)};
  for (const std::string& name : TRY(list_dir(below.empty() ? root : root + "/" + below))) {
    const std::string path = below.empty() ? name : below + "/" + name, host = root + "/" + path;
    struct stat st {};
    if (::lstat(host.c_str(), &st) != 0) continue;  // gone meanwhile
    if (S_ISDIR(st.st_mode)) {
      if (st.st_dev == device && name != ".git") TRY(scan_below(out, root, path, device, depth + 1));
      continue;
    }
    if (!S_ISREG(st.st_mode)) continue;
    const FileKind kind = kind_of(path, st.st_mode & 07777, static_cast<std::uint64_t>(st.st_size));
    if (kind == FileKind::none) continue;
    UniqueFd file(::open(host.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file) continue;  // not ours to read, or gone
    const content::ByteSource contents = [&file, &host]() -> Result<std::string> {
      std::string piece(kPieceBytes, '\0');
      const ssize_t count = ::read(file.get(), piece.data(), piece.size());
      if (count < 0) return errno_error("read " + host);
      piece.resize(static_cast<std::size_t>(count));
      return piece;
    };
    TRY(add_file(out, kind, path, static_cast<std::uint64_t>(st.st_size), contents).in(path));
  }
  return {};
}

// The ecosystem of an OS package by the system that it is in.
std::string os_ecosystem(const std::string& found, const OsRelease& os) {
  if (found == "Debian") return os.id == "ubuntu" ? "Ubuntu" : found;
  if (found == "Alpine") return os.id == "wolfi" ? "Wolfi" : os.id == "chainguard" ? "Chainguard" : found;
  if (found == "Red Hat") return os.id == "almalinux" ? "AlmaLinux" : os.id == "rocky" ? "Rocky Linux" : found;
  return found;
}

using PackageKey = std::tuple<std::string, std::string, std::string, std::string>;
PackageKey key_of(const Package& package) {
  return {package.ecosystem, package.name, package.version, package.architecture};
}

Value package_to_value(const Package& package) {
  Value out = Value::map();
  const auto set = [&](std::string_view key, const std::string& value) {
    if (!value.empty()) out.set(key, value);
  };
  set("e", package.ecosystem);
  set("n", package.name);
  set("v", package.version);
  set("sn", package.source_name);
  set("sv", package.source_version);
  set("a", package.architecture);
  set("l", package.license);
  set("p", package.path);
  return out;
}

Value secret_to_value(const Secret& secret) {
  return Value{{"rule", secret.rule},
               {"title", secret.title},
               {"severity", severity_name(secret.severity)},
               {"line", secret.line},
               {"match", secret.match}};
}

}  // namespace

Result<LayerFindings> scan_layer(content::ByteSource tar, const content::ArchiveLimits& limits) {
  LayerFindings out;
  content::TarReader reader(TRY(content::decompress(std::move(tar))), limits);
  const content::ByteSource contents = [&reader] { return reader.read_some(); };
  for (;;) {
    const std::optional<content::TarEntry> entry = TRY(reader.next());
    if (!entry) break;
    const std::string path = TRY(content::entry_path(entry->name));
    const std::string base = path_base(path), parent = path.find('/') == std::string::npos ? "" : path_dir(path);
    if (base == ".wh..wh..opq") {
      out.opaque.push_back(parent);
    } else if (base.starts_with(".wh.")) {
      out.removed.push_back(parent.empty() ? base.substr(4) : parent + "/" + base.substr(4));
    } else if (entry->type == content::EntryType::file) {
      TRY(add_file(out, kind_of(path, entry->mode, entry->size_bytes), path, entry->size_bytes, contents).in(path));
    }
  }
  TRY(reader.drain());  // to the end, where a source that checks its digest says so
  return out;
}

Result<LayerFindings> scan_directory(const std::string& directory) {
  struct stat st {};
  if (::stat(directory.c_str(), &st) != 0) return errno_error("open " + directory);
  if (!S_ISDIR(st.st_mode)) return Error{ErrorCode::bad_request, directory + " is no folder"};
  LayerFindings out;
  TRY(scan_below(out, directory, "", st.st_dev, 0));
  return out;
}

Inventory merge_layers(const std::vector<std::pair<content::Digest, LayerFindings>>& layers) {
  Inventory out;
  std::map<std::string, std::vector<Package>> files;  // by path, what is seen at the top
  std::map<std::string, OsRelease> systems;
  for (const auto& [digest, layer] : layers) {
    const auto hidden = [&layer](const std::string& path) {
      const auto below = [&](const std::string& gone) { return path == gone || is_below(path, gone); };
      return std::any_of(layer.removed.begin(), layer.removed.end(), below) ||
             std::any_of(layer.opaque.begin(), layer.opaque.end(),
                         [&](const std::string& gone) { return is_below(path, gone); });
    };
    if (!layer.removed.empty() || !layer.opaque.empty()) {
      std::erase_if(files, [&](const auto& entry) { return hidden(entry.first); });
      std::erase_if(systems, [&](const auto& entry) { return hidden(entry.first); });
    }
    for (const FileFindings& file : layer.files) {
      std::map<PackageKey, content::Digest> before;
      for (const Package& package : files[file.path]) before.emplace(key_of(package), package.layer);
      std::vector<Package> now = file.packages;
      for (Package& package : now) {
        const auto it = before.find(key_of(package));
        package.layer = it != before.end() ? it->second : digest;
      }
      files[file.path] = std::move(now);
      if (file.os) systems[file.path] = *file.os;
      for (Secret secret : file.secrets) {
        secret.layer = digest;
        out.secrets.push_back(std::move(secret));
      }
    }
  }
  for (const auto& [path, os] : systems) {
    if (out.os.empty()) out.os = os;  // etc/os-release before usr/lib/os-release
  }
  for (auto& [path, packages] : files) {
    for (Package& package : packages) {
      package.ecosystem = os_ecosystem(package.ecosystem, out.os);
      out.packages.push_back(std::move(package));
    }
  }
  std::sort(out.packages.begin(), out.packages.end(), [](const Package& a, const Package& b) {
    return std::tie(a.ecosystem, a.name, a.version, a.path) < std::tie(b.ecosystem, b.name, b.version, b.path);
  });
  return out;
}

Value layer_findings_to_value(const LayerFindings& findings) {
  std::vector<Value> files;
  for (const FileFindings& file : findings.files) {
    Value one{{"path", file.path}};
    for (const Package& package : file.packages) one.edit("packages").push_back(package_to_value(package));
    for (const Secret& secret : file.secrets) one.edit("secrets").push_back(secret_to_value(secret));
    if (file.os)
      one.set("os", Value{{"id", file.os->id}, {"version", file.os->version_id}, {"name", file.os->pretty_name}});
    files.push_back(std::move(one));
  }
  return Value{{"format", kFormat},
               {"files", Value(std::move(files))},
               {"removed", Value::list_of(findings.removed)},
               {"opaque", Value::list_of(findings.opaque)}};
}

Result<LayerFindings> layer_findings_of_value(const Value& value) {
  if (value["format"].as_int() != kFormat) return Error{ErrorCode::invalid, "findings of another format"};
  LayerFindings out;
  for (const Value& one : value["files"].items()) {
    FileFindings file;
    file.path = one["path"].str();
    for (const Value& p : one["packages"].items()) {
      file.packages.push_back({p["e"].str(),
                               p["n"].str(),
                               p["v"].str(),
                               p["sn"].str(),
                               p["sv"].str(),
                               p["a"].str(),
                               p["l"].str(),
                               p["p"].str(),
                               {}});
    }
    for (const Value& s : one["secrets"].items()) {
      file.secrets.push_back({s["rule"].str(),
                              s["title"].str(),
                              parse_severity(s["severity"].as_string()).value_or(Severity::unknown),
                              file.path,
                              static_cast<int>(s["line"].as_int()),
                              s["match"].str(),
                              {}});
    }
    if (one.contains("os"))
      file.os = OsRelease{one["os"]["id"].str(), one["os"]["version"].str(), one["os"]["name"].str()};
    out.files.push_back(std::move(file));
  }
  for (const Value& path : value["removed"].items()) out.removed.push_back(path.str());
  for (const Value& path : value["opaque"].items()) out.opaque.push_back(path.str());
  return out;
}

}  // namespace caisson::scan
