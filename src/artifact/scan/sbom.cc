// SPDX-License-Identifier: Apache-2.0
#include "artifact/scan/sbom.h"

#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::scan {
namespace {

constexpr std::string_view kTool = "caisson";
constexpr std::string_view kPathProperty = "caisson:path", kLayerProperty = "caisson:layerDigest";

// A UUID of contents (RFC 4122 form, version 8): the same inventory has the same serial number.
std::string uuid_of(std::string_view text) {
  std::string hex = sha256_hex(text).substr(0, 32);
  hex[12] = '8';
  hex[16] = 'a';
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" + hex.substr(16, 4) + "-" +
         hex.substr(20);
}

std::string fingerprint(const Inventory& inventory, const SbomSubject& subject) {
  std::string text = subject.name + "\n" + subject.digest + "\n";
  for (const Package& package : inventory.packages)
    text += package_url(package, inventory.os) + " " + package.path + "\n";
  return text;
}

// Two jars may hold the same package: the reference within the document needs to tell them apart.
std::string reference_of(const Package& package, const OsRelease& os) {
  return package_url(package, os) + (package.is_os() ? "" : "#" + package.path);
}

Value property(std::string_view name, const std::string& value) {
  return Value{{"name", name}, {"value", value}};
}

Value cyclonedx_component(const Package& package, const OsRelease& os) {
  Value out{{"bom-ref", reference_of(package, os)}, {"type", "library"}};
  const std::size_t colon = package.name.find(':');
  if (package.ecosystem == "Maven" && colon != std::string::npos) {
    out.set("group", package.name.substr(0, colon)).set("name", package.name.substr(colon + 1));
  } else if (package.name.starts_with('@') && package.name.find('/') != std::string::npos) {
    out.set("group", package.name.substr(0, package.name.find('/')))
        .set("name", package.name.substr(package.name.find('/') + 1));
  } else {
    out.set("name", package.name);
  }
  out.set("version", package.version);
  if (!package.license.empty())
    out.set("licenses", Value(std::vector<Value>{Value{{"license", Value{{"name", package.license}}}}}));
  out.set("purl", package_url(package, os));
  std::vector<Value> properties;
  if (!package.path.empty()) properties.push_back(property(kPathProperty, package.path));
  if (!package.layer.empty()) properties.push_back(property(kLayerProperty, package.layer.str()));
  if (!properties.empty()) out.set("properties", Value(std::move(properties)));
  return out;
}

Value write_cyclonedx(std::string_view version, const Inventory& inventory, const SbomSubject& subject) {
  const bool image = !subject.digest.empty();
  Value about{{"bom-ref", "subject"}, {"type", image ? "container" : "application"}, {"name", subject.name}};
  if (image) {
    about.set("version", subject.digest);
    about.set("hashes", Value(std::vector<Value>{Value{
                            {"alg", "SHA-256"}, {"content", subject.digest.substr(subject.digest.find(':') + 1)}}}));
  }
  const Value tool{{"components", Value(std::vector<Value>{Value{{"type", "application"}, {"name", kTool}}})}};
  std::vector<Value> components, needed;
  if (!inventory.os.empty()) {
    components.push_back(Value{{"bom-ref", "os"},
                               {"type", "operating-system"},
                               {"name", inventory.os.id},
                               {"version", inventory.os.version_id}});
    needed.push_back(Value("os"));
  }
  for (const Package& package : inventory.packages) {
    components.push_back(cyclonedx_component(package, inventory.os));
    needed.push_back(Value(reference_of(package, inventory.os)));
  }
  Value out{{"$schema", "http://cyclonedx.org/schema/bom-" + std::string(version) + ".schema.json"},
            {"bomFormat", "CycloneDX"},
            {"specVersion", version},
            {"serialNumber", "urn:uuid:" + uuid_of(fingerprint(inventory, subject))},
            {"version", 1}};
  out.set("metadata", Value{{"timestamp", format_time(subject.created)}, {"tools", tool}, {"component", about}});
  out.set("components", Value(std::move(components)));
  out.set("dependencies",
          Value(std::vector<Value>{Value{{"ref", "subject"}, {"dependsOn", Value(std::move(needed))}}}));
  return out;
}

// SPDX ids hold letters, digits, dots and dashes only.
std::string spdx_id(std::string_view kind, std::string_view text) {
  return "SPDXRef-" + std::string(kind) + "-" + sha256_hex(text).substr(0, 16);
}

Value relation(const std::string& from, std::string_view type, const std::string& to) {
  return Value{{"spdxElementId", from}, {"relationshipType", type}, {"relatedSpdxElement", to}};
}

Value write_spdx(const Inventory& inventory, const SbomSubject& subject) {
  const std::string subject_id = spdx_id("Subject", subject.name + subject.digest);
  Value about{
      {"SPDXID", subject_id}, {"name", subject.name}, {"downloadLocation", "NOASSERTION"}, {"filesAnalyzed", false}};
  about.set("primaryPackagePurpose", subject.digest.empty() ? "SOURCE" : "CONTAINER");
  if (!subject.digest.empty()) {
    about.set("versionInfo", subject.digest);
    about.set("checksums",
              Value(std::vector<Value>{Value{{"algorithm", "SHA256"},
                                             {"checksumValue", subject.digest.substr(subject.digest.find(':') + 1)}}}));
  }
  std::vector<Value> packages{about}, relations{relation("SPDXRef-DOCUMENT", "DESCRIBES", subject_id)};
  if (!inventory.os.empty()) {
    const std::string id = spdx_id("OperatingSystem", inventory.os.id);
    packages.push_back(Value{{"SPDXID", id},
                             {"name", inventory.os.id},
                             {"versionInfo", inventory.os.version_id},
                             {"downloadLocation", "NOASSERTION"},
                             {"filesAnalyzed", false},
                             {"primaryPackagePurpose", "OPERATING-SYSTEM"}});
    relations.push_back(relation(subject_id, "CONTAINS", id));
  }
  for (const Package& package : inventory.packages) {
    const std::string purl = package_url(package, inventory.os),
                      id = spdx_id("Package", reference_of(package, inventory.os));
    Value one{{"SPDXID", id},
              {"name", package.name},
              {"versionInfo", package.version},
              {"downloadLocation", "NOASSERTION"},
              {"filesAnalyzed", false}};
    one.set("licenseConcluded", "NOASSERTION")
        .set("licenseDeclared", "NOASSERTION")
        .set("copyrightText", "NOASSERTION");
    if (!package.license.empty()) one.set("licenseComments", package.license);
    if (!package.path.empty())
      one.set("sourceInfo",
              "found in " + package.path + (package.layer.empty() ? "" : " of layer " + package.layer.str()));
    one.set("externalRefs",
            Value(std::vector<Value>{Value{
                {"referenceCategory", "PACKAGE-MANAGER"}, {"referenceType", "purl"}, {"referenceLocator", purl}}}));
    packages.push_back(std::move(one));
    relations.push_back(relation(subject_id, "CONTAINS", id));
  }
  Value out{
      {"spdxVersion", "SPDX-2.3"}, {"dataLicense", "CC0-1.0"}, {"SPDXID", "SPDXRef-DOCUMENT"}, {"name", subject.name}};
  out.set("documentNamespace", "https://caisson.dev/spdx/" + uuid_of(fingerprint(inventory, subject)));
  out.set("creationInfo", Value{{"created", format_time(subject.created)},
                                {"creators", Value::list_of({"Tool: " + std::string(kTool)})}});
  out.set("packages", Value(std::move(packages))).set("relationships", Value(std::move(relations)));
  return out;
}

void add_url(Inventory& out, std::string_view url, std::string path, const std::string& layer) {
  std::optional<Package> package = parse_package_url(url, &out.os);
  if (!package) return;
  package->path = std::move(path);
  if (const Result<content::Digest> digest = content::Digest::parse(layer); digest.ok()) package->layer = *digest;
  out.packages.push_back(*std::move(package));
}

void read_cyclonedx(Inventory& out, const Value& components, int depth) {
  if (depth > 16) return;
  for (const Value& one : components.items()) {
    if (one["type"].as_string() == "operating-system") out.os = {one["name"].str(), one["version"].str(), ""};
    std::string path, layer;
    for (const Value& property : one["properties"].items()) {
      if (property["name"].as_string() == kPathProperty) path = property["value"].str();
      if (property["name"].as_string() == kLayerProperty) layer = property["value"].str();
    }
    add_url(out, one["purl"].as_string(), path, layer);
    read_cyclonedx(out, one["components"], depth + 1);
  }
}

}  // namespace

Result<SbomFormat> parse_sbom_format(std::string_view name) {
  if (name == "cyclonedx" || name == "cyclonedx-1.6") return SbomFormat::cyclonedx_1_6;
  if (name == "cyclonedx-1.5") return SbomFormat::cyclonedx_1_5;
  if (name == "spdx" || name == "spdx-json" || name == "spdx-2.3") return SbomFormat::spdx_2_3;
  return Error{ErrorCode::bad_request,
               "no SBOM format \"" + std::string(name) + "\": cyclonedx, cyclonedx-1.5 or spdx-json"};
}

std::string_view sbom_media_type(SbomFormat format) {
  return format == SbomFormat::spdx_2_3 ? "application/spdx+json" : "application/vnd.cyclonedx+json";
}

Value write_sbom(SbomFormat format, const Inventory& inventory, const SbomSubject& subject) {
  if (format == SbomFormat::spdx_2_3) return write_spdx(inventory, subject);
  return write_cyclonedx(format == SbomFormat::cyclonedx_1_5 ? "1.5" : "1.6", inventory, subject);
}

Result<Inventory> read_sbom(const Value& document) {
  Inventory out;
  if (document["bomFormat"].as_string() == "CycloneDX") {
    read_cyclonedx(out, document["components"], 0);
    return out;
  }
  if (!document["spdxVersion"].as_string().starts_with("SPDX-2.")) {
    return Error{ErrorCode::invalid, "neither a CycloneDX nor an SPDX 2 document"};
  }
  for (const Value& one : document["packages"].items()) {
    if (one["primaryPackagePurpose"].as_string() == "OPERATING-SYSTEM")
      out.os = {one["name"].str(), one["versionInfo"].str(), ""};
    for (const Value& reference : one["externalRefs"].items()) {
      if (reference["referenceType"].as_string() == "purl")
        add_url(out, reference["referenceLocator"].as_string(), "", "");
    }
  }
  return out;
}

}  // namespace caisson::scan
