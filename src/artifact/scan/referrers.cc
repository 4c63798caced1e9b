// SPDX-License-Identifier: Apache-2.0
#include "artifact/scan/referrers.h"

#include <algorithm>

#include "artifact/scan/sbom.h"
#include "core/document/json.h"

namespace caisson::scan {
namespace {

constexpr std::string_view kSarifType = "application/sarif+json", kMadeBy = "dev.caisson.scan";

struct Attachment {
  std::string type, file, bytes;
};

// Puts one artifact whose subject is the image; what this program attached of the same type before goes.
Result<void> attach(const ReferrerStores& stores, const std::string& repository, const content::Descriptor& subject,
                    const Attachment& what) {
  content::Manifest manifest;
  manifest.artifact_type = what.type;
  manifest.subject = subject;
  const content::Digest empty = TRY(stores.blobs.put_bytes("{}")), blob = TRY(stores.blobs.put_bytes(what.bytes));
  manifest.config = {std::string(content::kOciEmpty), empty, 2, {}, "", {}};
  manifest.layers = {{what.type, blob, what.bytes.size(), {}, "", {{"org.opencontainers.image.title", what.file}}}};
  manifest.annotations = {{std::string(kMadeBy), "true"}};
  const std::string bytes = content::write_manifest(manifest);
  const content::Digest digest = content::Digest::of(bytes);
  std::vector<content::Digest> old;
  for (const content::Descriptor& one : TRY(stores.tags.referrers(repository, subject.digest))) {
    if (one.digest == digest) return {};
    const bool ours = std::find(one.annotations.begin(), one.annotations.end(), manifest.annotations.front()) !=
                      one.annotations.end();
    if (one.artifact_type == what.type && ours) old.push_back(one.digest);
  }
  // In this order, each durable: blobs, links, manifest, referrer.
  TRY(stores.blobs.put_bytes(bytes));
  for (const content::Digest& part : {empty, blob}) TRY(stores.tags.add_blob(repository, part));
  TRY(stores.tags.add_manifest(repository, digest, content::kOciManifest));
  content::Descriptor entry{
      std::string(content::kOciManifest), digest, bytes.size(), {}, what.type, manifest.annotations};
  TRY(stores.tags.add_referrer(repository, subject.digest, entry));
  for (const content::Digest& one : old) {
    TRY(stores.tags.remove_referrer(repository, subject.digest, one));
    TRY(stores.tags.remove_manifest(repository, one));
  }
  return {};
}

}  // namespace

Result<void> attach_referrers(const ReferrerStores& stores, const ScannedArtifact& artifact, const ImageScan& scan,
                              const std::vector<Finding>& findings) {
  const content::Digest digest = TRY(content::Digest::parse(artifact.digest));
  const std::string type = TRY(stores.tags.manifest_type(artifact.repository, digest));
  const std::uint64_t size = TRY(stores.blobs.size_bytes(digest));
  const content::Descriptor subject{type, digest, size, {}, "", {}};
  // Of the image's own time and without a tag, so that the same image has the same bill.
  const SbomSubject about{artifact.repository, artifact.digest, parse_time(scan.created).value_or(Time{})};
  const Value bill = write_sbom(SbomFormat::cyclonedx_1_6, scan.inventory, about);
  TRY(attach(stores, artifact.repository, subject,
             {std::string(sbom_media_type(SbomFormat::cyclonedx_1_6)), "sbom.cdx.json", json::write(bill)}));
  ScannedArtifact untagged = artifact;
  untagged.tag.clear();
  const Value sarif = write_sarif(untagged, scan.inventory, findings);
  return attach(stores, artifact.repository, subject,
                {std::string(kSarifType), "vulnerabilities.sarif.json", json::write(sarif)});
}

}  // namespace caisson::scan
