// SPDX-License-Identifier: Apache-2.0
#include "artifact/scan/report_objects.h"

#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/document/yaml.h"

namespace caisson::scan {
namespace {

constexpr std::size_t kNameMax = 253, kHashLength = 10, kLabelMax = 63;

// The members that the Trivy operator's v0.22 has, with its columns.
constexpr std::string_view kDefinition = R"(
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: vulnerabilityreports.aquasecurity.github.io
  labels: {app.kubernetes.io/managed-by: caisson}
spec:
  group: aquasecurity.github.io
  scope: Namespaced
  names: {kind: VulnerabilityReport, listKind: VulnerabilityReportList, plural: vulnerabilityreports, singular: vulnerabilityreport, shortNames: [vuln, vulns]}
  versions:
    - name: v1alpha1
      served: true
      storage: true
      additionalPrinterColumns:
        - {name: Repository, type: string, jsonPath: .report.artifact.repository, description: The name of image repository}
        - {name: Tag, type: string, jsonPath: .report.artifact.tag, description: The name of image tag}
        - {name: Scanner, type: string, jsonPath: .report.scanner.name, description: The name of the vulnerability scanner}
        - {name: Age, type: date, jsonPath: .metadata.creationTimestamp, description: The age of the report}
        - {name: Critical, type: integer, jsonPath: .report.summary.criticalCount, priority: 1, description: The number of critical vulnerabilities}
        - {name: High, type: integer, jsonPath: .report.summary.highCount, priority: 1, description: The number of high vulnerabilities}
        - {name: Medium, type: integer, jsonPath: .report.summary.mediumCount, priority: 1, description: The number of medium vulnerabilities}
        - {name: Low, type: integer, jsonPath: .report.summary.lowCount, priority: 1, description: The number of low vulnerabilities}
        - {name: Unknown, type: integer, jsonPath: .report.summary.unknownCount, priority: 1, description: The number of unknown vulnerabilities}
      schema:
        openAPIV3Schema:
          type: object
          required: [report]
          properties:
            apiVersion: {type: string}
            kind: {type: string}
            metadata: {type: object}
            report:
              type: object
              required: [artifact, scanner, summary, updateTimestamp, vulnerabilities]
              properties:
                updateTimestamp: {type: string, format: date-time}
                scanner:
                  type: object
                  required: [name, vendor, version]
                  properties: {name: {type: string}, vendor: {type: string}, version: {type: string}}
                registry: {type: object, properties: {server: {type: string}}}
                os: {type: object, properties: {family: {type: string}, name: {type: string}, eosl: {type: boolean}}}
                artifact:
                  type: object
                  properties: {repository: {type: string}, tag: {type: string}, digest: {type: string}, mimeType: {type: string}}
                summary:
                  type: object
                  required: [criticalCount, highCount, lowCount, mediumCount, unknownCount]
                  properties:
                    criticalCount: {type: integer, minimum: 0}
                    highCount: {type: integer, minimum: 0}
                    mediumCount: {type: integer, minimum: 0}
                    lowCount: {type: integer, minimum: 0}
                    unknownCount: {type: integer, minimum: 0}
                    noneCount: {type: integer, minimum: 0}
                vulnerabilities:
                  type: array
                  items:
                    type: object
                    required: [fixedVersion, installedVersion, resource, severity, title, vulnerabilityID]
                    x-kubernetes-preserve-unknown-fields: true
                    properties:
                      vulnerabilityID: {type: string}
                      resource: {type: string}
                      installedVersion: {type: string}
                      fixedVersion: {type: string}
                      severity: {type: string, enum: [CRITICAL, HIGH, MEDIUM, LOW, NONE, UNKNOWN]}
                      score: {type: number}
                      title: {type: string}
                      description: {type: string}
                      primaryLink: {type: string}
                      links: {type: array, items: {type: string}}
                      target: {type: string}
                      class: {type: string}
                      packageType: {type: string}
                      packagePURL: {type: string}
                      pkgPath: {type: string}
                      layerDigest: {type: string}
                      publishedDate: {type: string}
                      lastModifiedDate: {type: string}
                      cvssSource: {type: string}
                      cvss: {type: object, x-kubernetes-preserve-unknown-fields: true}
)";

std::string short_hash(std::string_view text) {
  return sha256_hex(text).substr(0, kHashLength);
}

// A name that objects may have; what is too long or has other letters keeps a hash.
std::string object_name(const std::string& wanted, std::string_view unique) {
  std::string out;
  for (const char c : to_lower(wanted)) out += (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ? c : '-';
  const bool changed = out != wanted || out.size() > kNameMax;
  if (!changed && unique.empty()) return out;
  out.resize(std::min(out.size(), kNameMax - kHashLength - 1));
  while (!out.empty() && (out.back() == '-' || out.back() == '.')) out.pop_back();
  return out + "-" + short_hash(unique.empty() ? std::string_view(wanted) : unique);
}

void set_label(kube::Object& object, std::string_view key, const std::string& value) {
  object.set_label(key, value.size() <= kLabelMax ? value : short_hash(value));
}

}  // namespace

const schema::Resource& report_resource() {
  static const schema::Resource resource{"aquasecurity.github.io", "v1alpha1", "VulnerabilityReport",
                                         "vulnerabilityreports", true};
  return resource;
}

Result<void> ensure_report_kind(kube::Client& client) {
  const Value definition = TRY(yaml::read(kDefinition, {.name = "VulnerabilityReport"}));
  TRY(client.apply(kube::Object(definition), {.field_manager = "caisson", .force = true})
          .in("kind VulnerabilityReport"));
  return {};
}

kube::Object workload_report(const kube::Object& pod, std::string_view container) {
  const std::optional<kube::OwnerReference> owner = pod.controller();
  const std::string kind = owner ? owner->kind : "Pod", name = owner ? owner->name : pod.name();
  kube::Object out = kube::Object::make(report_resource(), pod.ns(),
                                        object_name(to_lower(kind) + "-" + name + "-" + std::string(container), ""));
  Value reference{
      {"apiVersion", owner ? owner->api_version : "v1"}, {"kind", kind},       {"name", name},
      {"uid", owner ? owner->uid : pod.uid()},           {"controller", true}, {"blockOwnerDeletion", false}};
  out.edit({"metadata", "ownerReferences"}) = Value(std::vector<Value>{std::move(reference)});
  set_label(out, "trivy-operator.resource.kind", kind);
  set_label(out, "trivy-operator.resource.name", name);
  set_label(out, "trivy-operator.resource.namespace", pod.ns());
  set_label(out, "trivy-operator.container.name", std::string(container));
  return out;
}

kube::Object tag_report(std::string_view ns, const std::string& repository, const std::string& tag) {
  const std::string full = repository + ":" + tag;
  const std::string inner =
      repository.starts_with(std::string(ns) + "/") ? repository.substr(ns.size() + 1) : repository;
  kube::Object out = kube::Object::make(report_resource(), ns, object_name("repository-" + inner + "-" + tag, full));
  set_label(out, "trivy-operator.resource.kind", "Repository");
  set_label(out, "caisson.dev/tag", tag);
  out.set_annotation("caisson.dev/image", full);
  return out;
}

bool same_report(const Value& a, const Value& b) {
  Value left = a, right = b;
  for (Value* one : {&left, &right}) one->erase("updateTimestamp");
  return left == right;
}

ScannedArtifact artifact_of_image(std::string_view image, std::string_view digest,
                                  const content::RegistryNames& names) {
  ScannedArtifact out;
  out.digest = digest;
  const Result<content::Reference> reference = content::parse_reference(image, names);
  if (!reference.ok()) {
    out.repository = image;
    return out;
  }
  out.tag = reference->tag;
  out.repository = reference->repository;
  out.registry = reference->is_ours() ? std::string(content::kRegistryName) : reference->registry;
  return out;
}

}  // namespace caisson::scan
