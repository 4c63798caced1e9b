// SPDX-License-Identifier: Apache-2.0
#include "main/cli/scan_commands.h"

#include <algorithm>
#include <cstdio>

#include "artifact/content/archive.h"
#include "artifact/content/blob_store.h"
#include "artifact/scan/bundle.h"
#include "artifact/scan/layer_findings.h"
#include "artifact/scan/report.h"
#include "artifact/scan/report_objects.h"
#include "artifact/scan/sbom.h"
#include "artifact/scan/scanner.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "main/cli/registry_access.h"

namespace caisson::cli {
namespace {

struct Scanned {
  scan::ScannedArtifact artifact;
  scan::Inventory inventory;
  Time created{};  // of the image; a folder's is now
};

std::string database_path(const std::string& given) {
  return given.empty() ? user_cache_dir() + "/advisories.db" : given;
}

Result<scan::ImageScan> scan_stored(const content::BlobStore& blobs, content::LayerSource* layers,
                                    const content::Digest& digest) {
  return scan::Scanner(blobs, layers, user_cache_dir() + "/scan").scan(digest);
}

// Manifest and configuration come; layers only when their findings are not known yet.
Result<Scanned> scan_remote(const Global& global, const std::string& name) {
  const content::Reference reference = TRY(parse_image(name));
  registry::RegistryClient client = make_registry_client(global);
  const TempDir dir = TRY(TempDir::make("caisson-scan"));
  content::BlobStore blobs = TRY(content::BlobStore::open(dir.path()));
  registry::FetchedManifest manifest = TRY(client.manifest(reference));
  TRY(blobs.put(manifest.digest, content::from_string(manifest.bytes)));
  if (content::is_index_type(manifest.media_type)) {
    const content::Index index = TRY(content::parse_index(manifest.bytes));
    const content::Descriptor chosen = TRY(content::choose_platform(index));
    content::Reference child = reference;
    child.digest = chosen.digest;
    manifest = TRY(client.manifest(child));
    TRY(blobs.put(manifest.digest, content::from_string(manifest.bytes)));
  }
  const content::Manifest parsed = TRY(content::parse_manifest(manifest.bytes));
  TRY(client.fetch_blob(reference, parsed.config, blobs));
  const auto layers = make_remote_layers(client, reference);
  const scan::ImageScan scan = TRY(scan_stored(blobs, layers.get(), manifest.digest));
  content::RegistryNames none;
  none.port = 0;
  return Scanned{scan::artifact_of_image(name, scan.digest.str(), none), scan.inventory,
                 parse_time(scan.created).value_or(Time{})};
}

Result<Scanned> scan_archive(const std::string& path) {
  const TempDir dir = TRY(TempDir::make("caisson-scan"));
  content::BlobStore blobs = TRY(content::BlobStore::open(dir.path()));
  const std::vector<content::ArchivedImage> images = TRY(content::load_archive(path, blobs));
  if (images.size() != 1)
    return Error{ErrorCode::bad_request, path + " holds " + std::to_string(images.size()) + " images: one is wanted"};
  const scan::ImageScan scan = TRY(scan_stored(blobs, nullptr, images.front().digest));
  scan::ScannedArtifact artifact{"", images.front().name.empty() ? path : images.front().name, "", scan.digest.str()};
  return Scanned{std::move(artifact), scan.inventory, parse_time(scan.created).value_or(Time{})};
}

Result<Scanned> look(const Global& global, const ScanFlags& flags) {
  if (flags.what == "image") return flags.input.empty() ? scan_remote(global, flags.target) : scan_archive(flags.input);
  if (flags.what == "sbom") {
    const std::string text = TRY(read_file(flags.target, 256u << 20));
    const Value document = TRY(json::parse(text).in(flags.target));
    scan::Inventory inventory = TRY(scan::read_sbom(document).in(flags.target));
    return Scanned{{"", flags.target, "", ""}, std::move(inventory), system_clock().now()};
  }
  const scan::LayerFindings findings = TRY(scan::scan_directory(flags.target));
  return Scanned{{"", flags.target, "", ""}, scan::merge_layers({{content::Digest(), findings}}), system_clock().now()};
}

Result<std::vector<scan::Severity>> parse_severities(const std::string& text) {
  std::vector<scan::Severity> out;
  for (const std::string_view word : split(text, ',')) {
    if (trim(word).empty()) continue;
    const std::optional<scan::Severity> severity = scan::parse_severity(trim(word));
    if (!severity)
      return Error{ErrorCode::bad_request,
                   "--severity: no \"" + std::string(word) + "\": UNKNOWN, LOW, MEDIUM, HIGH or CRITICAL"};
    out.push_back(*severity);
  }
  return out;
}

Result<void> ignore_accepted(const ScanFlags& flags, Scanned& scanned, std::vector<scan::Finding>& findings) {
  std::string path = flags.ignore_file;
  for (const char* known : {".caissonignore", ".trivyignore"}) {
    if (path.empty() && exists(known)) path = known;
  }
  if (path.empty()) return {};
  const std::string text = TRY(read_file(path));
  const std::vector<scan::IgnoreRule> rules = TRY(scan::parse_ignore_file(text).in(path));
  const int count = scan::apply_ignores(scanned.inventory, findings, rules, system_clock().now());
  if (count > 0) std::fprintf(stderr, "%d findings are accepted by %s\n", count, path.c_str());
  return {};
}

void keep_only(const std::vector<scan::Severity>& severities, Scanned& scanned, std::vector<scan::Finding>& findings) {
  if (severities.empty()) return;
  const auto other = [&](scan::Severity severity) {
    return std::find(severities.begin(), severities.end(), severity) == severities.end();
  };
  std::erase_if(findings, [&](const scan::Finding& finding) { return other(finding.severity); });
  std::erase_if(scanned.inventory.secrets, [&](const scan::Secret& secret) { return other(secret.severity); });
}

Result<void> put_out(const ScanFlags& flags, const std::string& text) {
  if (!flags.output.empty()) return write_file(flags.output, text);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return {};
}

std::string pretty(const Value& value) {
  return json::write(value, {.indent = 2}) + "\n";
}

}  // namespace

Result<int> command_scan(const Global& global, const ScanFlags& flags) {
  const std::vector<scan::Severity> severities = TRY(parse_severities(flags.severity));
  const bool is_report = flags.format == "table" || flags.format == "json" || flags.format == "sarif";
  if (!is_report) TRY(scan::parse_sbom_format(flags.format).in("--format: table, json, sarif, or a bill of materials"));
  Scanned scanned = TRY(look(global, flags));
  if (flags.no_secrets) scanned.inventory.secrets.clear();
  if (!is_report) {
    const scan::SbomFormat format = TRY(scan::parse_sbom_format(flags.format));
    TRY(put_out(flags, pretty(scan::write_sbom(format, scanned.inventory,
                                               {scanned.artifact.name(), scanned.artifact.digest, scanned.created}))));
    return 0;
  }
  const scan::AdvisoryStore advisories = TRY(scan::AdvisoryStore::open(database_path(flags.database)));
  if (TRY(advisories.count()) == 0)
    std::fprintf(stderr, "there are no advisories yet: 'caisson scan db import FILE' reads OSV's or Debian's\n");
  std::vector<scan::Finding> findings = TRY(scan::find_vulnerabilities(scanned.inventory, advisories));
  TRY(ignore_accepted(flags, scanned, findings));
  if (flags.ignore_unfixed)
    std::erase_if(findings, [](const scan::Finding& finding) { return finding.fixed_version.empty(); });
  keep_only(severities, scanned, findings);
  if (flags.format == "json")
    TRY(put_out(flags, pretty(scan::write_json(scanned.artifact, scanned.inventory, findings, system_clock().now()))));
  else if (flags.format == "sarif")
    TRY(put_out(flags, pretty(scan::write_sarif(scanned.artifact, scanned.inventory, findings))));
  else
    TRY(put_out(flags, scan::write_table(scanned.artifact, scanned.inventory, findings)));
  const bool found = !findings.empty() || !scanned.inventory.secrets.empty();
  return found && !severities.empty() ? flags.exit_code : 0;
}

Result<void> command_scan_import(const std::string& path, const std::string& database) {
  scan::AdvisoryStore advisories = TRY(scan::AdvisoryStore::open(database_path(database)));
  const scan::ImportResult result = TRY(advisories.import_path(path));
  for (const std::string& one : result.skipped) std::fprintf(stderr, "skipped: %s\n", one.c_str());
  std::printf("%d advisories added, %d changed, %d as before\n", result.added, result.changed, result.unchanged);
  return {};
}

Result<void> command_scan_push(const Global& global, const std::string& path, const std::string& to) {
  const content::Reference reference = TRY(parse_image(to));
  const TempDir dir = TRY(TempDir::make("caisson-advisories"));
  content::BlobStore blobs = TRY(content::BlobStore::open(dir.path()));
  const content::Digest digest = TRY(scan::make_bundle(path, blobs));
  registry::RegistryClient client = make_registry_client(global);
  TRY(client.push(reference, digest, blobs, nullptr));
  std::printf("%s@%s\n", to.c_str(), digest.str().c_str());
  return {};
}

Result<void> command_scan_status(const std::string& database) {
  const scan::AdvisoryStore advisories = TRY(scan::AdvisoryStore::open(database_path(database)));
  const std::int64_t count = TRY(advisories.count());
  const std::string when = TRY(advisories.last_import());
  std::printf("%s\n%lld advisories, last import %s\n", database_path(database).c_str(), static_cast<long long>(count),
              when.empty() ? "never" : when.c_str());
  return {};
}

}  // namespace caisson::cli
