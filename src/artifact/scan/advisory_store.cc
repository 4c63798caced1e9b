// SPDX-License-Identifier: Apache-2.0
#include "artifact/scan/advisory_store.h"

#include <algorithm>
#include <mutex>

#include "artifact/scan/database.h"
#include "artifact/scan/zip.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::scan {
namespace {

constexpr int kFormat = 1;
constexpr const char* kSchema =
    "CREATE TABLE sources(name TEXT PRIMARY KEY, hash TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE advisories(source TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY(source, id)) "
    "WITHOUT ROWID;"
    "CREATE TABLE affected(ecosystem TEXT NOT NULL, package TEXT NOT NULL, source TEXT NOT NULL, id TEXT NOT NULL, "
    "part INTEGER NOT NULL,"
    " body TEXT NOT NULL, PRIMARY KEY(ecosystem, package, source, id, part)) WITHOUT ROWID;"
    "CREATE INDEX affected_by_id ON affected(source, id);"
    "CREATE INDEX affected_by_package ON affected(package, source);"
    "CREATE TABLE ratings(cve TEXT PRIMARY KEY, severity INTEGER NOT NULL, score REAL, cvss TEXT NOT NULL, title TEXT "
    "NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE components(ecosystem TEXT NOT NULL, package TEXT NOT NULL, image TEXT NOT NULL,"
    " PRIMARY KEY(ecosystem, package, image)) WITHOUT ROWID;"
    "CREATE INDEX components_by_image ON components(image);";

constexpr std::size_t kFileBytesMax = 1u << 30, kRecordBytesMax = 64u << 20;

Value to_value(const Advisory& advisory) {
  Value out{{"url", advisory.url},
            {"title", advisory.title},
            {"published", advisory.published},
            {"modified", advisory.modified}};
  out.set("aliases", Value::list_of(advisory.aliases));
  out.set("severity", static_cast<int>(advisory.severity));
  out.set("cvss", advisory.cvss);
  if (advisory.score) out.set("score", *advisory.score);
  return out;
}

Value to_value(const Affected& affected) {
  std::vector<Value> ranges;
  for (const VersionRange& range : affected.ranges)
    ranges.push_back(Value::list_of({range.introduced, range.fixed, range.last_affected}));
  Value out{{"ranges", Value(std::move(ranges))}, {"versions", Value::list_of(affected.versions)}};
  if (affected.severity) out.set("severity", static_cast<int>(*affected.severity));
  return out;
}

Severity severity_of(const Value& number) {
  const std::int64_t value = number.as_int();
  return value < 0 || value > static_cast<int>(Severity::critical) ? Severity::unknown : static_cast<Severity>(value);
}

Result<Advisory> advisory_of(std::string source, std::string id, std::string_view body) {
  const Value value = TRY(json::parse(body));
  Advisory out;
  out.source = std::move(source);
  out.id = std::move(id);
  out.url = value["url"].str();
  out.title = value["title"].str();
  out.published = value["published"].str();
  out.modified = value["modified"].str();
  for (const Value& alias : value["aliases"].items()) out.aliases.push_back(alias.str());
  out.severity = severity_of(value["severity"]);
  out.cvss = value["cvss"].str();
  if (value.contains("score")) out.score = value["score"].as_double();
  return out;
}

Result<Affected> affected_of(std::string_view ecosystem, std::string_view package, std::string_view body) {
  const Value value = TRY(json::parse(body));
  Affected out;
  out.ecosystem = ecosystem;
  out.package = package;
  for (const Value& range : value["ranges"].items())
    out.ranges.push_back({range[0].str(), range[1].str(), range[2].str()});
  for (const Value& version : value["versions"].items()) out.versions.push_back(version.str());
  if (value.contains("severity")) out.severity = severity_of(value["severity"]);
  return out;
}

// The name by which a package is kept and looked for: PyPI's are told apart by case nowhere.
std::string key_name(std::string_view ecosystem, std::string_view package) {
  return ecosystem.starts_with("PyPI") ? to_lower(package) : std::string(package);
}

}  // namespace

struct AdvisoryStore::Impl {
  explicit Impl(Database database) : db(std::move(database)) {}

  mutable std::mutex mutex;
  Database db;
  Statement find, rating, source_hash, put_source, put_advisory, drop_advisory, affected_names, drop_affected,
      put_affected, put_rating, package_releases, drop_package;
  Statement put_meta, put_component, drop_components, component_images;

  Result<void> prepare();
  Result<void> import_one(const std::string& name, const Value& document, ImportResult& result);
  Result<void> import_unit(const std::string& name, const std::string& hash, const std::vector<Advisory>& advisories,
                           ImportResult& result);
  Result<void> write(const Advisory& advisory, ImportResult& result);
  Result<void> rate(const Advisory& advisory);
  Result<std::string> read_meta(std::string_view key);
  Result<ImportResult> import_all(const std::function<Result<void>(ImportResult&)>& work);
  Result<void> import_bytes(const std::string& name, const std::string& bytes, ImportResult& result);
  Result<void> import_text(const std::string& name, const std::string& text, ImportResult& result);
};

Result<void> AdvisoryStore::Impl::prepare() {
  find = TRY(db.prepare(
      "SELECT f.source, f.id, a.body, f.body FROM affected f JOIN advisories a ON a.source=f.source AND a.id=f.id"
      " WHERE f.ecosystem=? AND f.package=? ORDER BY f.source, f.id"));
  rating = TRY(db.prepare("SELECT severity, score, cvss, title FROM ratings WHERE cve=?"));
  source_hash = TRY(db.prepare("SELECT hash FROM sources WHERE name=?"));
  put_source = TRY(db.prepare("INSERT OR REPLACE INTO sources VALUES(?,?)"));
  put_advisory = TRY(db.prepare("INSERT OR REPLACE INTO advisories VALUES(?,?,?)"));
  drop_advisory = TRY(db.prepare("DELETE FROM advisories WHERE source=? AND id=?"));
  affected_names = TRY(db.prepare("SELECT ecosystem, package FROM affected WHERE source=? AND id=?"));
  drop_affected = TRY(db.prepare("DELETE FROM affected WHERE source=? AND id=?"));
  package_releases = TRY(db.prepare("SELECT DISTINCT ecosystem FROM affected WHERE package=? AND source='debian'"));
  drop_package = TRY(db.prepare("DELETE FROM affected WHERE package=? AND source='debian'"));
  put_affected = TRY(db.prepare("INSERT OR REPLACE INTO affected VALUES(?,?,?,?,?,?)"));
  put_rating = TRY(db.prepare("INSERT OR REPLACE INTO ratings VALUES(?,?,?,?,?)"));
  put_meta = TRY(db.prepare("INSERT OR REPLACE INTO meta VALUES(?,?)"));
  put_component = TRY(db.prepare("INSERT OR IGNORE INTO components VALUES(?,?,?)"));
  drop_components = TRY(db.prepare("DELETE FROM components WHERE image=?"));
  component_images = TRY(db.prepare("SELECT image FROM components WHERE ecosystem=? AND package=?"));
  return {};
}

// What records of a CVE say of its severity is kept by the CVE: Debian's tracker has none of its own.
Result<void> AdvisoryStore::Impl::rate(const Advisory& advisory) {
  const std::string name = advisory.name();
  if (advisory.severity == Severity::unknown || !name.starts_with("CVE-")) return {};
  put_rating.bind(name).bind(static_cast<std::int64_t>(advisory.severity));
  if (advisory.score)
    put_rating.bind(*advisory.score);
  else
    put_rating.bind_null();
  put_rating.bind(advisory.cvss).bind(advisory.title);
  return put_rating.finish();
}

Result<void> AdvisoryStore::Impl::write(const Advisory& advisory, ImportResult& result) {
  if (advisory.source != "debian") {
    affected_names.bind(advisory.source).bind(advisory.id);
    while (TRY(affected_names.step())) result.touched.emplace(affected_names.text(0), affected_names.text(1));
    affected_names.reset();
    TRY(drop_affected.bind(advisory.source).bind(advisory.id).finish());
  }
  if (advisory.withdrawn) return drop_advisory.bind(advisory.source).bind(advisory.id).finish();
  TRY(put_advisory.bind(advisory.source).bind(advisory.id).bind(json::write(to_value(advisory))).finish());
  std::int64_t part = 0;
  for (const Affected& affected : advisory.affected) {
    const std::string package = key_name(affected.ecosystem, affected.package);
    result.touched.emplace(affected.ecosystem, package);
    TRY(put_affected.bind(affected.ecosystem)
            .bind(package)
            .bind(advisory.source)
            .bind(advisory.id)
            .bind(part++)
            .bind(json::write(to_value(affected)))
            .finish());
  }
  return rate(advisory);
}

Result<void> AdvisoryStore::Impl::import_unit(const std::string& name, const std::string& hash,
                                              const std::vector<Advisory>& advisories, ImportResult& result) {
  source_hash.bind(name);
  const bool there = TRY(source_hash.step());
  const bool same = there && source_hash.text(0) == hash;
  source_hash.reset();
  if (same) {
    result.unchanged += static_cast<int>(advisories.size());
    return {};
  }
  (there ? result.changed : result.added) += static_cast<int>(advisories.size());
  // Debian's file has a CVE once for each package: the package's part is replaced as a whole, so what is gone goes.
  if (name.starts_with("debian/")) {
    const std::string package = name.substr(name.find('/') + 1);
    package_releases.bind(package);
    while (TRY(package_releases.step())) result.touched.emplace(package_releases.text(0), package);
    package_releases.reset();
    TRY(drop_package.bind(package).finish());
  }
  for (const Advisory& advisory : advisories) TRY(write(advisory, result));
  return put_source.bind(name).bind(hash).finish();
}

Result<void> AdvisoryStore::Impl::import_one(const std::string& name, const Value& document, ImportResult& result) {
  if (document.is_list()) {
    std::size_t number = 0;
    for (const Value& one : document.items()) TRY(import_one(name + "[" + std::to_string(number++) + "]", one, result));
    return {};
  }
  if (is_osv(document)) {
    const Result<Advisory> advisory = parse_osv(document);
    if (!advisory.ok()) {
      result.skipped.push_back(name + ": " + advisory.error().message);
      return {};
    }
    return import_unit("osv/" + advisory->id, sha256_hex(json::write(document)), {*advisory}, result);
  }
  if (is_debian_tracker(document)) {
    for (const auto& [package, entries] : document.entries()) {
      TRY(import_unit("debian/" + std::string(package), sha256_hex(json::write(entries)),
                      parse_debian_package(package, entries), result));
    }
    return {};
  }
  result.skipped.push_back(name + ": neither an OSV record nor Debian's tracker file");
  return {};
}

Result<AdvisoryStore> AdvisoryStore::open(const std::string& path) {
  TRY(make_dirs(path_dir(path)));
  Database database = TRY(Database::open(path, kFormat, kSchema));
  auto impl = std::make_unique<Impl>(std::move(database));
  TRY(impl->prepare());
  return AdvisoryStore(std::move(impl));
}

AdvisoryStore::AdvisoryStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AdvisoryStore::AdvisoryStore(AdvisoryStore&&) noexcept = default;
AdvisoryStore::~AdvisoryStore() = default;

Result<ImportResult> AdvisoryStore::Impl::import_all(const std::function<Result<void>(ImportResult&)>& work) {
  const std::lock_guard lock(mutex);
  ImportResult result;
  TRY(db.run("BEGIN IMMEDIATE"));
  Result<void> done = work(result);
  if (done.ok()) done = put_meta.bind("imported").bind(format_time(system_clock().now())).finish();
  if (!done.ok()) {
    TRY(db.run("ROLLBACK"));
    return done.error();
  }
  TRY(db.run("COMMIT"));
  return result;
}

Result<void> AdvisoryStore::Impl::import_text(const std::string& name, const std::string& text, ImportResult& result) {
  const Result<Value> document = json::parse(text, {.depth_max = 64, .size_bytes_max = kFileBytesMax});
  if (document.ok()) return import_one(name, *document, result);
  result.skipped.push_back(name + ": " + document.error().message);
  return {};
}

Result<void> AdvisoryStore::Impl::import_bytes(const std::string& name, const std::string& bytes,
                                               ImportResult& result) {
  if (!bytes.starts_with("PK")) return import_text(name, bytes, result);
  const Result<std::vector<ZipMember>> members = zip_members(bytes);
  if (!members.ok()) {
    result.skipped.push_back(name + ": " + members.error().message);
    return {};
  }
  for (const ZipMember& member : *members) {
    if (!member.name.ends_with(".json")) continue;
    const Result<std::string> text = zip_read(bytes, member, kRecordBytesMax);
    if (text.ok())
      TRY(import_text(name + "/" + member.name, *text, result));
    else
      result.skipped.push_back(name + "/" + member.name + ": " + text.error().message);
  }
  return {};
}

Result<ImportResult> AdvisoryStore::import_documents(const std::vector<std::pair<std::string, Value>>& documents) {
  return impl_->import_all([&](ImportResult& result) -> Result<void> {
    for (const auto& [name, document] : documents) TRY(impl_->import_one(name, document, result));
    return {};
  });
}

Result<ImportResult> AdvisoryStore::import_files(const std::function<Result<void>(const FileSink&)>& feed,
                                                 std::string_view bundle) {
  return impl_->import_all([&](ImportResult& result) -> Result<void> {
    TRY(feed(
        [&](const std::string& name, const std::string& bytes) { return impl_->import_bytes(name, bytes, result); }));
    return bundle.empty() ? Result<void>() : impl_->put_meta.bind("bundle").bind(bundle).finish();
  });
}

namespace {

Result<void> feed_path(const std::string& path, const AdvisoryStore::FileSink& sink) {
  if (!is_directory(path)) {
    const std::string bytes = TRY(read_file(path, kFileBytesMax));
    return sink(path, bytes);
  }
  for (const std::string& name : TRY(list_dir(path))) {
    const std::string inner = path + "/" + name;
    if (is_directory(inner) || name.ends_with(".json") || name.ends_with(".zip")) TRY(feed_path(inner, sink));
  }
  return {};
}

}  // namespace

Result<ImportResult> AdvisoryStore::import_path(const std::string& path) {
  return import_files([&path](const FileSink& sink) { return feed_path(path, sink); });
}

Result<std::vector<AdvisoryMatch>> AdvisoryStore::find(std::string_view ecosystem, std::string_view package) const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<AdvisoryMatch> out;
  Statement& rows = impl_->find;
  const std::string name = key_name(ecosystem, package);
  rows.bind(ecosystem).bind(name);
  while (TRY(rows.step())) {
    Result<Advisory> advisory = advisory_of(rows.text(0), rows.text(1), rows.text(2));
    Result<Affected> affected = affected_of(ecosystem, name, rows.text(3));
    if (!advisory.ok() || !affected.ok()) {
      rows.reset();
      return advisory.ok() ? affected.error() : advisory.error();
    }
    AdvisoryMatch match{std::move(advisory).value()};
    match.advisory.affected.push_back(std::move(affected).value());
    out.push_back(std::move(match));
  }
  rows.reset();
  return out;
}

Result<std::optional<Rating>> AdvisoryStore::rating(std::string_view cve) const {
  const std::lock_guard lock(impl_->mutex);
  Statement& row = impl_->rating;
  std::optional<Rating> out;
  if (TRY(row.bind(cve).step())) {
    out = Rating{severity_of(Value(row.number(0))), std::nullopt, row.text(2), row.text(3)};
    if (!row.is_null(1)) out->score = row.real(1);
  }
  row.reset();
  return out;
}

Result<std::int64_t> AdvisoryStore::count() const {
  const std::lock_guard lock(impl_->mutex);
  Statement row = TRY(impl_->db.prepare("SELECT count(*) FROM advisories"));
  TRY(row.step());
  return row.number(0);
}

Result<std::string> AdvisoryStore::Impl::read_meta(std::string_view key) {
  const std::lock_guard lock(mutex);
  Statement row = TRY(db.prepare("SELECT value FROM meta WHERE key=?"));
  return TRY(row.bind(key).step()) ? row.text(0) : std::string();
}

Result<std::string> AdvisoryStore::last_bundle() const {
  return impl_->read_meta("bundle");
}
Result<std::string> AdvisoryStore::last_import() const {
  return impl_->read_meta("imported");
}

Result<void> AdvisoryStore::record_image(const std::string& digest, const std::set<PackageRef>& packages) {
  const std::lock_guard lock(impl_->mutex);
  TRY(impl_->db.run("BEGIN IMMEDIATE"));
  Result<void> done = impl_->drop_components.bind(digest).finish();
  for (const auto& [ecosystem, package] : packages) {
    if (done.ok()) done = impl_->put_component.bind(ecosystem).bind(key_name(ecosystem, package)).bind(digest).finish();
  }
  TRY(impl_->db.run(done.ok() ? "COMMIT" : "ROLLBACK"));
  return done;
}

Result<void> AdvisoryStore::forget_image(const std::string& digest) {
  const std::lock_guard lock(impl_->mutex);
  return impl_->drop_components.bind(digest).finish();
}

Result<std::vector<std::string>> AdvisoryStore::images_with(const std::set<PackageRef>& packages) const {
  const std::lock_guard lock(impl_->mutex);
  std::set<std::string> out;
  for (const auto& [ecosystem, package] : packages) {
    Statement& rows = impl_->component_images;
    rows.bind(ecosystem).bind(package);
    while (TRY(rows.step())) out.insert(rows.text(0));
    rows.reset();
  }
  return std::vector<std::string>(out.begin(), out.end());
}

}  // namespace caisson::scan
