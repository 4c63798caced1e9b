// SPDX-License-Identifier: Apache-2.0
// Which files are read, and the formats of distributions. Those of languages are in analyze_language.cc.
#include "artifact/scan/analyze.h"

#include <sqlite3.h>

#include <array>

#include "artifact/scan/secrets.h"
#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::scan {
namespace {

constexpr std::uint64_t kListBytesMax = 64u << 20, kJarBytesMax = 256u << 20, kDatabaseBytesMax = 512u << 20;
constexpr std::uint64_t kTextBytesMax = 1u << 20, kProgramBytesMin = 256u << 10;
constexpr std::uint32_t kExecutable = 0111;

// Distributions' own files: they hold the examples and test keys of their packages, and nobody's secrets.
constexpr std::array<std::string_view, 9> kNoSecretsBelow = {
    "usr/share/", "usr/lib/", "usr/include/", "usr/src/", "lib/", "var/lib/dpkg/", "var/cache/", "proc/", "sys/"};
// Media and archives, which are no text.
constexpr std::array<std::string_view, 18> kNoText = {".png",   ".jpg", ".jpeg", ".gif", ".ico", ".woff",
                                                      ".woff2", ".ttf", ".gz",   ".xz",  ".zip", ".so",
                                                      ".a",     ".o",   ".pyc",  ".mo",  ".deb", ".pdf"};

bool below_any(std::string_view path, auto& list) {
  for (const std::string_view one : list) {
    if (path.starts_with(one)) return true;
  }
  return path.find("/node_modules/") != std::string_view::npos ||
         path.find("/site-packages/") != std::string_view::npos ||
         path.find("/dist-packages/") != std::string_view::npos;
}

bool ends_with_any(std::string_view path, auto& list) {
  for (const std::string_view one : list) {
    if (path.ends_with(one)) return true;
  }
  return false;
}

// "Key: value" of one paragraph; lines that go on (" …") are left out.
std::string_view field(std::string_view paragraph, std::string_view key) {
  for (const std::string_view line : split(paragraph, '\n')) {
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ':')
      return trim(line.substr(key.size() + 1));
  }
  return {};
}

// Calls `each` with every paragraph (parted by blank lines).
template <class Each>
void for_paragraphs(std::string_view text, const Each& each) {
  while (!text.empty()) {
    const std::size_t end = text.find("\n\n");
    each(text.substr(0, end));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 2);
  }
}

std::string unquote(std::string_view text) {
  text = trim(text);
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front())
    text = text.substr(1, text.size() - 2);
  return std::string(text);
}

// --- rpm: a header is an index of entries and the data that they point into (rpm 4.18, docs/manual/hregions.md)
constexpr std::uint32_t kRpmName = 1000, kRpmVersion = 1001, kRpmRelease = 1002, kRpmEpoch = 1003, kRpmLicense = 1014,
                        kRpmArch = 1022, kRpmSource = 1044;

std::uint32_t big_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t out = 0;
  for (std::size_t i = 0; i < 4; ++i) out = out << 8 | static_cast<unsigned char>(bytes[at + i]);
  return out;
}

std::optional<Package> parse_rpm_header(std::string_view blob) {
  if (blob.size() < 8) return std::nullopt;
  const std::size_t entries = big_endian(blob, 0), data_bytes = big_endian(blob, 4);
  if (entries > 65536 || 8 + entries * 16 + data_bytes > blob.size()) return std::nullopt;
  const std::string_view data = blob.substr(8 + entries * 16, data_bytes);
  Package out;
  out.ecosystem = "Red Hat";
  std::string release, epoch, source;
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = 8 + i * 16, offset = big_endian(blob, at + 8);
    if (offset >= data.size()) continue;
    const auto text = [&] { return std::string(data.substr(offset, data.find('\0', offset) - offset)); };
    switch (big_endian(blob, at)) {
      case kRpmName:
        out.name = text();
        break;
      case kRpmVersion:
        out.version = text();
        break;
      case kRpmRelease:
        release = text();
        break;
      case kRpmLicense:
        out.license = text();
        break;
      case kRpmArch:
        out.architecture = text();
        break;
      case kRpmSource:
        source = text();
        break;
      case kRpmEpoch:
        if (offset + 4 <= data.size()) epoch = std::to_string(big_endian(data, offset));
        break;
      default:
        break;
    }
  }
  if (out.name.empty() || out.name == "gpg-pubkey") return std::nullopt;
  out.version = (epoch.empty() || epoch == "0" ? "" : epoch + ":") + out.version + "-" + release;
  // "bash-5.1.8-6.el9.src.rpm": name, version, release.
  if (const std::size_t last = source.rfind('-'); last != std::string::npos && last > 0)
    out.source_name = source.substr(0, source.rfind('-', last - 1));
  if (out.source_name == out.name) out.source_name.clear();
  return out;
}

}  // namespace

FileKind kind_of(std::string_view path, std::uint32_t mode, std::uint64_t size_bytes) {
  const std::string base = path_base(path);
  if (path == "etc/os-release" || path == "usr/lib/os-release") return FileKind::os_release;
  if (path == "var/lib/dpkg/status") return FileKind::dpkg_status;
  if (path.starts_with("var/lib/dpkg/status.d/") && !path.ends_with(".md5sums")) return FileKind::dpkg_status;
  if (path == "lib/apk/db/installed" || path == "usr/lib/apk/db/installed") return FileKind::apk_installed;
  if (path.ends_with("lib/rpm/rpmdb.sqlite") || path.ends_with("lib/sysimage/rpm/rpmdb.sqlite"))
    return FileKind::rpm_database;
  const bool in_modules = path.find("node_modules/") != std::string_view::npos;
  if (base == "package.json" && in_modules) return FileKind::package_json;
  if ((base == "package-lock.json" && !in_modules) || base == "npm-shrinkwrap.json") return FileKind::package_lock;
  if (base == "METADATA" && path.find(".dist-info/") != std::string_view::npos) return FileKind::python_metadata;
  if (base == "PKG-INFO" && path.find(".egg-info/") != std::string_view::npos) return FileKind::python_metadata;
  if (base.ends_with(".egg-info")) return FileKind::python_metadata;
  if (base.ends_with(".jar") || base.ends_with(".war") || base.ends_with(".ear")) return FileKind::jar;
  if ((mode & kExecutable) != 0 && size_bytes >= kProgramBytesMin && !base.ends_with(".so")) return FileKind::program;
  if (size_bytes > 0 && size_bytes <= kTextBytesMax && !below_any(path, kNoSecretsBelow) &&
      !ends_with_any(path, kNoText))
    return FileKind::text;
  return FileKind::none;
}

std::uint64_t size_bytes_max(FileKind kind) {
  switch (kind) {
    case FileKind::jar:
      return kJarBytesMax;
    case FileKind::rpm_database:
      return kDatabaseBytesMax;
    case FileKind::program:
      return 0;
    case FileKind::text:
      return kTextBytesMax;
    default:
      return kListBytesMax;
  }
}

FileFindings analyze_file(FileKind kind, const std::string& path, const std::string& bytes) {
  FileFindings out;
  out.path = path;
  switch (kind) {
    case FileKind::os_release:
      out.os = parse_os_release(bytes);
      break;
    case FileKind::dpkg_status:
      out.packages = parse_dpkg_status(bytes);
      break;
    case FileKind::apk_installed:
      out.packages = parse_apk_installed(bytes);
      break;
    case FileKind::rpm_database:
      out.packages = parse_rpm_database(bytes);
      break;
    case FileKind::package_json:
      out.packages = parse_package_json(bytes);
      break;
    case FileKind::package_lock:
      out.packages = parse_package_lock(bytes);
      break;
    case FileKind::python_metadata:
      out.packages = parse_python_metadata(bytes);
      break;
    case FileKind::jar:
      out.packages = parse_jar(path, bytes);
      break;
    case FileKind::text:
      out.secrets = find_secrets(path, bytes);
      break;
    case FileKind::program:
    case FileKind::none:
      break;
  }
  for (Package& package : out.packages) {
    if (package.path.empty()) package.path = path;
  }
  return out;
}

OsRelease parse_os_release(std::string_view text) {
  OsRelease out;
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view key = trim(line.substr(0, equals));
    if (key == "ID") out.id = unquote(line.substr(equals + 1));
    if (key == "VERSION_ID") out.version_id = unquote(line.substr(equals + 1));
    if (key == "PRETTY_NAME") out.pretty_name = unquote(line.substr(equals + 1));
  }
  return out;
}

std::vector<Package> parse_dpkg_status(std::string_view text) {
  std::vector<Package> out;
  for_paragraphs(text, [&](std::string_view paragraph) {
    const std::string_view status = field(paragraph, "Status");
    if (!status.empty() && !status.ends_with(" installed"))
      return;  // removed, with its configuration left; status.d has none
    Package package;
    package.ecosystem = "Debian";
    package.name = field(paragraph, "Package");
    package.version = field(paragraph, "Version");
    package.architecture = field(paragraph, "Architecture");
    if (package.name.empty() || package.version.empty()) return;
    // "Source: glibc (2.36-9)": the version is there when it is another one than the package's.
    const std::string_view source = field(paragraph, "Source");
    const std::size_t open = source.find(" (");
    package.source_name = source.substr(0, open);
    if (open != std::string_view::npos && source.ends_with(')'))
      package.source_version = source.substr(open + 2, source.size() - open - 3);
    out.push_back(std::move(package));
  });
  return out;
}

std::vector<Package> parse_apk_installed(std::string_view text) {
  std::vector<Package> out;
  for_paragraphs(text, [&](std::string_view paragraph) {
    Package package;
    package.ecosystem = "Alpine";
    package.name = field(paragraph, "P");
    package.version = field(paragraph, "V");
    package.architecture = field(paragraph, "A");
    package.license = field(paragraph, "L");
    if (package.name.empty() || package.version.empty()) return;
    const std::string_view origin = field(paragraph, "o");
    if (origin != package.name) package.source_name = origin;
    out.push_back(std::move(package));
  });
  return out;
}

std::vector<Package> parse_rpm_database(const std::string& bytes) {
  std::vector<Package> out;
  sqlite3* db = nullptr;
  sqlite3_stmt* rows = nullptr;
  if (sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr) == SQLITE_OK) {
    // A file in WAL mode can't be opened from memory: bytes 18 and 19 say that it is a plain one, which read-only it
    // is.
    std::string copy = bytes;
    if (copy.size() > 20) copy[18] = copy[19] = 1;
    const auto size = static_cast<sqlite3_int64>(copy.size());
    if (sqlite3_deserialize(db, "main", reinterpret_cast<unsigned char*>(copy.data()), size, size,
                            SQLITE_DESERIALIZE_READONLY) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "SELECT blob FROM Packages", -1, &rows, nullptr) == SQLITE_OK) {
      while (sqlite3_step(rows) == SQLITE_ROW) {
        const std::string_view blob(static_cast<const char*>(sqlite3_column_blob(rows, 0)),
                                    static_cast<std::size_t>(sqlite3_column_bytes(rows, 0)));
        if (std::optional<Package> package = parse_rpm_header(blob)) out.push_back(*std::move(package));
      }
    }
    sqlite3_finalize(rows);
    sqlite3_close(db);
    return out;
  }
  sqlite3_close(db);
  return out;
}

}  // namespace caisson::scan
