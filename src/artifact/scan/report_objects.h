// SPDX-License-Identifier: Apache-2.0
// VulnerabilityReport objects: the kind, one for each container of a workload, one for each tag of our registry. Names
// and labels are the Trivy operator's (v0.22), so what reads its reports reads these. Pure but for ensure_report_kind;
// any thread.
#pragma once
#include <string>
#include <string_view>

#include "artifact/content/reference.h"
#include "artifact/scan/report.h"
#include "cluster/kube/client.h"

namespace caisson::scan {

const schema::Resource& report_resource();  // vulnerabilityreports.aquasecurity.github.io
// The CustomResourceDefinition; of an existing one the schema is renewed.
Result<void> ensure_report_kind(kube::Client& client);

// Of a container of `workload` (the controller of its pods, or the pod): "replicaset-web-5d9f-nginx". Owned by it.
kube::Object workload_report(const kube::Object& pod, std::string_view container);
// Of a tag in our registry: "repository-web-1.0-<hash>", in the namespace that the repository is of.
kube::Object tag_report(std::string_view ns, const std::string& repository, const std::string& tag);

// Whether two reports say the same: their times do not count.
bool same_report(const Value& a, const Value& b);

// Registry, repository and tag of an image's name: "nginx" is of docker.io and library/nginx, every name of our own
// registry is registry.caisson.internal:5000, so that a report has one name whatever a pod writes.
ScannedArtifact artifact_of_image(std::string_view image, std::string_view digest, const content::RegistryNames& names);

}  // namespace caisson::scan
