// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/kustomize/config.h"

#include <span>

namespace caisson::render::kustomize_impl {
namespace {

// Where a kind keeps its pod.
struct PodPlace {
  const char* kind;
  const char* version;
  const char* path;
};
constexpr PodPlace kPods[] = {
    {"Pod", "v1", "spec"},
    {"PodTemplate", "", "template/spec"},
    {"Deployment", "", "spec/template/spec"},
    {"ReplicaSet", "", "spec/template/spec"},
    {"DaemonSet", "", "spec/template/spec"},
    {"StatefulSet", "", "spec/template/spec"},
    {"Job", "", "spec/template/spec"},
    {"CronJob", "", "spec/jobTemplate/spec/template/spec"},
};

FieldSpecs in_pods(std::initializer_list<const char*> paths) {
  FieldSpecs specs;
  for (const PodPlace& pod : kPods) {
    for (const char* path : paths) specs.push_back({{"", pod.version, pod.kind}, std::string(pod.path) + "/" + path});
  }
  return specs;
}

// Names of fields that a pod has one of, in the kinds that kustomize lists for them.
FieldSpecs in_workloads(const char* path) {
  FieldSpecs specs{{{"", "", "Pod"}, std::string("spec/") + path}};
  for (const char* kind : {"StatefulSet", "Deployment", "ReplicationController", "Job", "DaemonSet"}) {
    specs.push_back({{"", "", kind}, std::string("spec/template/spec/") + path});
  }
  specs.push_back({{"", "", "CronJob"}, std::string("spec/jobTemplate/spec/template/spec/") + path});
  return specs;
}

FieldSpecs operator+(FieldSpecs a, const FieldSpecs& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

FieldSpecs template_metadata(const char* field) {
  const std::string metadata = std::string("metadata/") + field, of_template = "spec/template/" + metadata;
  return {
      {{}, metadata, true},
      {{"", "v1", "ReplicationController"}, of_template, true},
      {{"", "", "Deployment"}, of_template, true},
      {{"", "", "ReplicaSet"}, of_template, true},
      {{"", "", "DaemonSet"}, of_template, true},
      {{"", "", "StatefulSet"}, of_template, true},
      {{"batch", "", "Job"}, of_template, true},
      {{"batch", "", "CronJob"}, "spec/jobTemplate/" + metadata, true},
      {{"batch", "", "CronJob"}, "spec/jobTemplate/spec/template/" + metadata, true},
  };
}

FieldSpecs labels_of_templates() {
  FieldSpecs specs = template_metadata("labels");
  for (FieldSpec& spec : specs) {
    if (spec.gvk.kind == "StatefulSet") spec.gvk.group = "apps";
  }
  specs.push_back({{"apps", "", "StatefulSet"}, "spec/volumeClaimTemplates[]/metadata/labels", true});
  return specs;
}

FieldSpecs selectors() {
  FieldSpecs specs{
      {{"", "v1", "Service"}, "spec/selector", true},
      {{"", "v1", "ReplicationController"}, "spec/selector", true},
      {{"", "", "Deployment"}, "spec/selector/matchLabels", true},
      {{"", "", "ReplicaSet"}, "spec/selector/matchLabels", true},
      {{"", "", "DaemonSet"}, "spec/selector/matchLabels", true},
      {{"apps", "", "StatefulSet"}, "spec/selector/matchLabels", true},
      {{"batch", "", "Job"}, "spec/selector/matchLabels"},
      {{"batch", "", "CronJob"}, "spec/jobTemplate/spec/selector/matchLabels"},
      {{"policy", "", "PodDisruptionBudget"}, "spec/selector/matchLabels"},
      {{"networking.k8s.io", "", "NetworkPolicy"}, "spec/podSelector/matchLabels"},
      {{"networking.k8s.io", "", "NetworkPolicy"}, "spec/ingress/from/podSelector/matchLabels"},
      {{"networking.k8s.io", "", "NetworkPolicy"}, "spec/egress/to/podSelector/matchLabels"},
  };
  for (const char* kind : {"Deployment", "StatefulSet"}) {
    for (const char* affinity : {"podAffinity", "podAntiAffinity"}) {
      const std::string base = std::string("spec/template/spec/affinity/") + affinity;
      specs.push_back(
          {{"apps", "", kind},
           base + "/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels"});
      specs.push_back(
          {{"apps", "", kind}, base + "/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels"});
    }
    specs.push_back({{"apps", "", kind}, "spec/template/spec/topologySpreadConstraints/labelSelector/matchLabels"});
  }
  return specs;
}

FieldSpecs variable_places() {
  FieldSpecs specs;
  for (const PodPlace& pod : kPods) {
    if (std::string_view(pod.kind) == "PodTemplate") continue;
    for (const char* containers : {"containers", "initContainers"}) {
      for (const char* field : {"args", "command", "env/value", "volumeMounts/mountPath"}) {
        specs.push_back({{"", "", pod.kind}, std::string(pod.path) + "/" + containers + "/" + field});
      }
    }
    specs.push_back({{"", "", pod.kind}, std::string(pod.path) + "/volumes/nfs/server"});
  }
  return specs + FieldSpecs{{{"", "", "Deployment"}, "spec/template/metadata/annotations"},
                            {{"", "", "Ingress"}, "spec/rules/host"},
                            {{"", "", "Ingress"}, "spec/tls/hosts"},
                            {{"", "", "Ingress"}, "spec/tls/secretName"},
                            {{"", "", "Service"}, "spec/ports/port"},
                            {{"", "", "Service"}, "spec/ports/targetPort"},
                            {{"", "", "StatefulSet"}, "spec/volumeClaimTemplates/spec/nfs/server"},
                            {{"", "", "PersistentVolume"}, "spec/nfs/server"},
                            {{}, "metadata/labels"},
                            {{}, "metadata/annotations"}};
}

std::vector<NameReference> references() {
  const std::string rbac = "rbac.authorization.k8s.io", admission = "admissionregistration.k8s.io";
  const FieldSpecs scaled{{{"", "", "HorizontalPodAutoscaler"}, "spec/scaleTargetRef/name"}};
  const FieldSpecs named_in_rules{{{"", "", "Role"}, "rules/resourceNames"},
                                  {{"", "", "ClusterRole"}, "rules/resourceNames"}};
  const FieldSpecs config_maps =
      in_pods({"volumes/configMap/name", "containers/env/valueFrom/configMapKeyRef/name",
               "initContainers/env/valueFrom/configMapKeyRef/name", "containers/envFrom/configMapRef/name",
               "initContainers/envFrom/configMapRef/name", "volumes/projected/sources/configMap/name"}) +
      FieldSpecs{{{"", "", "Node"}, "spec/configSource/configMap"},
                 {{"", "", "Ingress"}, "metadata/annotations/nginx.ingress.kubernetes.io\\/fastcgi-params-configmap"}} +
      named_in_rules;
  const FieldSpecs secrets =
      in_pods({"volumes/secret/secretName", "containers/env/valueFrom/secretKeyRef/name",
               "initContainers/env/valueFrom/secretKeyRef/name", "containers/envFrom/secretRef/name",
               "initContainers/envFrom/secretRef/name", "imagePullSecrets/name",
               "volumes/projected/sources/secret/name"}) +
      FieldSpecs{
          {{"", "", "Ingress"}, "spec/tls/secretName"},
          {{"", "", "Ingress"}, "metadata/annotations/ingress.kubernetes.io\\/auth-secret"},
          {{"", "", "Ingress"}, "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-secret"},
          {{"", "", "Ingress"}, "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-tls-secret"},
          {{"", "", "ServiceAccount"}, "imagePullSecrets/name"},
          {{"", "", "StorageClass"}, "parameters/secretName"},
          {{"", "", "StorageClass"}, "parameters/adminSecretName"},
          {{"", "", "StorageClass"}, "parameters/userSecretName"},
          {{"", "", "StorageClass"}, "parameters/secretRef"},
          {{"serving.knative.dev", "v1", "Service"}, "spec/template/spec/containers/env/valueFrom/secretKeyRef/name"},
          {{"", "", "PersistentVolume"}, "spec/azureFile/secretName"}} +
      named_in_rules;
  const FieldSpecs services{{{"apps", "", "StatefulSet"}, "spec/serviceName"},
                            {{"", "", "Ingress"}, "spec/rules/http/paths/backend/serviceName"},
                            {{"", "", "Ingress"}, "spec/backend/serviceName"},
                            {{"", "", "Ingress"}, "spec/rules/http/paths/backend/service/name"},
                            {{"", "", "Ingress"}, "spec/defaultBackend/service/name"},
                            {{"apiregistration.k8s.io", "", "APIService"}, "spec/service/name"},
                            {{admission, "", "ValidatingWebhookConfiguration"}, "webhooks/clientConfig/service"},
                            {{admission, "", "MutatingWebhookConfiguration"}, "webhooks/clientConfig/service"}};
  const FieldSpecs subjects{{{rbac, "", "RoleBinding"}, "subjects"}, {{rbac, "", "ClusterRoleBinding"}, "subjects"}};
  return {
      {{"", "", "Deployment"}, scaled},
      {{"", "", "ReplicationController"}, scaled},
      {{"", "", "ReplicaSet"}, scaled},
      {{"", "", "StatefulSet"}, scaled},
      {{"", "v1", "ConfigMap"}, config_maps},
      {{"", "v1", "Secret"}, secrets},
      {{"", "v1", "Service"}, services},
      {{rbac, "", "Role"}, {{{rbac, "", "RoleBinding"}, "roleRef/name"}}},
      {{rbac, "", "ClusterRole"},
       {{{rbac, "", "RoleBinding"}, "roleRef/name"}, {{rbac, "", "ClusterRoleBinding"}, "roleRef/name"}}},
      {{"", "v1", "ServiceAccount"}, subjects + in_workloads("serviceAccountName")},
      {{"", "v1", "PersistentVolumeClaim"}, in_workloads("volumes/persistentVolumeClaim/claimName")},
      {{"", "v1", "PersistentVolume"},
       {{{"", "", "PersistentVolumeClaim"}, "spec/volumeName"}, {{"", "", "ClusterRole"}, "rules/resourceNames"}}},
      {{"storage.k8s.io", "v1", "StorageClass"},
       {{{"", "", "PersistentVolume"}, "spec/storageClassName"},
        {{"", "", "PersistentVolumeClaim"}, "spec/storageClassName"},
        {{"", "", "StatefulSet"}, "spec/volumeClaimTemplates/spec/storageClassName"}}},
      {{"scheduling.k8s.io", "v1", "PriorityClass"}, in_workloads("priorityClassName")},
      // Upstream's group is written with a version and so matches nothing: names of IngressClasses are not followed.
      {{"networking.k8s.io/v1", "v1", "IngressClass"}, {{{"", "", "Ingress"}, "spec/ingressClassName"}}},
      {{admission, "", "ValidatingAdmissionPolicy"},
       {{{admission, "", "ValidatingAdmissionPolicyBinding"}, "spec/policyName"}}},
  };
}

TransformerConfig make_built_in() {
  TransformerConfig config;
  config.name_prefix = config.name_suffix = {{{}, "metadata/name"}};
  config.ns = {{{"", "", "Namespace"}, "metadata/name", true},
               {{"apiregistration.k8s.io", "", "APIService"}, "spec/service/namespace", true},
               {{"apiextensions.k8s.io", "", "CustomResourceDefinition"},
                "spec/conversion/webhook/clientConfig/service/namespace"}};
  config.template_labels = labels_of_templates();
  config.common_labels = selectors() + labels_of_templates();
  config.common_annotations = template_metadata("annotations");
  config.variables = variable_places();
  for (const char* path : {"spec/containers[]/image", "spec/initContainers[]/image",
                           "spec/template/spec/containers[]/image", "spec/template/spec/initContainers[]/image"}) {
    config.images.push_back({{}, path, true});
  }
  for (const char* kind : {"Deployment", "ReplicationController", "ReplicaSet", "StatefulSet"}) {
    config.replicas.push_back({{"", "", kind}, "spec/replicas", true});
  }
  config.references = references();
  return config;
}

Result<FieldSpecs> parse_specs(const Value& list, std::string_view field) {
  FieldSpecs specs;
  for (const Value& item : list.items()) specs.push_back(TRY(FieldSpec::parse(item).in(field)));
  return specs;
}

// --- walking

Result<void> walk(Value& node, std::span<const std::string> path, const FieldSpec& spec, Create create,
                  const std::function<Result<void>(Value&)>& change) {
  if (path.empty()) return change(node);
  if (node.is_null()) return {};
  if (node.is_list()) {
    for (std::size_t i = 0; i < node.size(); ++i) TRY(walk(node.edit(i), path, spec, create, change));
    return {};
  }
  if (!node.is_map())
    return Error{ErrorCode::invalid, spec.path + ": leads through a " + std::string(document::kind_name(node.kind()))};
  std::string_view name = path[0];
  const bool list_expected = name.ends_with("[]");
  if (list_expected) name.remove_suffix(2);
  const bool makes = spec.create && create != Create::nothing && !list_expected;
  if (!makes && !node.contains(name)) return {};
  Value& next = node.edit(name);
  if (next.is_null() && makes && (path.size() > 1 || create == Create::map)) next = Value::map();
  return walk(next, path.subspan(1), spec, create, change);
}

}  // namespace

std::vector<std::string> split_path(std::string_view path, char separator) {
  std::vector<std::string> parts(1);
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '\\' && i + 1 < path.size() && path[i + 1] == separator)
      parts.back() += path[++i];
    else if (path[i] == separator)
      parts.emplace_back();
    else
      parts.back() += path[i];
  }
  if (parts.size() > 1 && parts.front().empty()) parts.erase(parts.begin());
  return parts;
}

Result<FieldSpec> FieldSpec::parse(const Value& spec) {
  if (!spec["path"].is_string()) return Error{ErrorCode::invalid, "path: must be a string"};
  return FieldSpec{
      {spec["group"].str(), spec["version"].str(), spec["kind"].str()}, spec["path"].str(), spec["create"].as_bool()};
}

Result<void> merge_specs(FieldSpecs& into, const FieldSpecs& more) {
  for (const FieldSpec& spec : more) {
    bool known = false;
    for (const FieldSpec& have : into) {
      if (have.path != spec.path || !have.gvk.selected_by(spec.gvk)) continue;
      if (have.create != spec.create) {
        return Error{ErrorCode::conflict,
                     spec.path + ": one field specification creates the field and another does not"};
      }
      known = true;
    }
    if (!known) into.push_back(spec);
  }
  return {};
}

const std::shared_ptr<const TransformerConfig>& TransformerConfig::built_in() {
  static const auto config = std::make_shared<const TransformerConfig>(make_built_in());
  return config;
}

Result<TransformerConfig> TransformerConfig::parse(const Value& file) {
  TransformerConfig config;
  const std::pair<const char*, FieldSpecs TransformerConfig::*> fields[] = {
      {"namePrefix", &TransformerConfig::name_prefix},
      {"nameSuffix", &TransformerConfig::name_suffix},
      {"namespace", &TransformerConfig::ns},
      {"commonLabels", &TransformerConfig::common_labels},
      {"templateLabels", &TransformerConfig::template_labels},
      {"labels", &TransformerConfig::labels},
      {"commonAnnotations", &TransformerConfig::common_annotations},
      {"varReference", &TransformerConfig::variables},
      {"images", &TransformerConfig::images},
      {"replicas", &TransformerConfig::replicas}};
  for (const auto& [name, member] : fields) config.*member = TRY(parse_specs(file[name], name));
  for (const Value& reference : file["nameReference"].items()) {
    NameReference made{{reference["group"].str(), reference["version"].str(), reference["kind"].str()}, {}};
    made.referrers = TRY(parse_specs(reference["fieldSpecs"], "nameReference.fieldSpecs"));
    config.references.push_back(std::move(made));
  }
  return config;
}

namespace {

Result<void> read_definition(TransformerConfig& config, const Value& definitions, const Gvk& kind,
                             const Value& definition, const std::string& path, int depth) {
  if (depth > 30) return Error{ErrorCode::invalid, path + ": definitions are nested too deeply"};
  for (const auto& [name, property] : definition["properties"].entries()) {
    const std::string at = path.empty() ? std::string(name) : path + "/" + std::string(name);
    if (property.contains("x-kubernetes-annotation")) TRY(merge_specs(config.common_annotations, {{kind, at}}));
    if (property.contains("x-kubernetes-label-selector")) TRY(merge_specs(config.common_labels, {{kind, at}}));
    if (property.contains("x-kubernetes-identity")) TRY(merge_specs(config.name_prefix, {{kind, at}}));
    if (property.contains("x-kubernetes-object-ref-api-version") && property.contains("x-kubernetes-object-ref-kind")) {
      const Gvk target{"", property["x-kubernetes-object-ref-api-version"].str(),
                       property["x-kubernetes-object-ref-kind"].str()};
      const std::string_view key = property["x-kubernetes-object-ref-name-key"].as_string("name");
      TransformerConfig one;
      one.references.push_back({target, {{kind, at + "/" + std::string(key)}}});
      TRY(config.merge(one));
    }
    if (property["$ref"].is_string()) {
      const Value& inner = definitions[property["$ref"].as_string()];
      TRY(read_definition(config, definitions, kind, inner.contains("Schema") ? inner["Schema"] : inner, at,
                          depth + 1));
    }
  }
  return {};
}

}  // namespace

Result<TransformerConfig> TransformerConfig::from_definitions(const Value& definitions) {
  TransformerConfig config;
  for (const auto& [name, entry] : definitions.entries()) {
    const Value& definition = entry.contains("Schema") ? entry["Schema"] : entry;
    const Value& properties = definition["properties"];
    if (!properties.contains("kind") || !properties.contains("apiVersion") || !properties.contains("metadata"))
      continue;
    const std::size_t dot = name.rfind('.');
    const std::string kind(dot == std::string_view::npos ? name : name.substr(dot + 1));
    TRY(read_definition(config, definitions, {"", "", kind}, definition, "", 0));
  }
  return config;
}

Result<void> TransformerConfig::merge(const TransformerConfig& more) {
  for (const auto member : {&TransformerConfig::name_prefix, &TransformerConfig::name_suffix, &TransformerConfig::ns,
                            &TransformerConfig::common_labels, &TransformerConfig::template_labels,
                            &TransformerConfig::labels, &TransformerConfig::common_annotations,
                            &TransformerConfig::variables, &TransformerConfig::images, &TransformerConfig::replicas}) {
    TRY(merge_specs(this->*member, more.*member));
  }
  for (const NameReference& reference : more.references) {
    const auto known = std::find_if(references.begin(), references.end(),
                                    [&](const auto& have) { return have.target == reference.target; });
    if (known == references.end())
      references.push_back(reference);
    else
      TRY(merge_specs(known->referrers, reference.referrers));
  }
  return {};
}

Result<void> visit_field(Value& object, const FieldSpec& spec, Create create,
                         const std::function<Result<void>(Value&)>& change) {
  if (!spec.gvk.selects(object)) return {};
  // Most paths end at their first part: seen before anything is made of them.
  const bool makes = spec.create && create != Create::nothing;
  const std::size_t slash = spec.path.find('/');
  if (!makes && slash != 0 && slash != std::string::npos && spec.path[slash - 1] != '\\') {
    std::string_view first(spec.path.data(), slash);
    if (first.ends_with("[]")) first.remove_suffix(2);
    if (!object.contains(first)) return {};
  }
  return visit_place(object, {&spec, split_path(spec.path, '/')}, create, change);
}

Result<void> visit_place(Value& object, const Place& place, Create create,
                         const std::function<Result<void>(Value&)>& change) {
  auto done = walk(object, place.path, *place.spec, create, change);
  return done.ok() ? Result<void>() : std::move(done).error().in("considering field '" + place.spec->path + "'");
}

const std::vector<Place>& PlacesByKind::of(const Value& object) {
  return known_.of(object, [&](const Gvk& gvk) {
    std::vector<Place> places;
    for (const FieldSpec& spec : specs_) {
      if (gvk.selected_by(spec.gvk)) places.push_back({&spec, split_path(spec.path, '/')});
    }
    return places;
  });
}

}  // namespace caisson::render::kustomize_impl
