// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/manifest.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <mutex>
#include <span>

#include "core/base/file.h"
#include "core/base/text.h"
#include "delivery/render/helm/chart.h"
#include "delivery/render/helm/document_cache.h"
#include "delivery/render/helm/go_text.h"
#include "delivery/render/helm/manifest_head.h"
#include "delivery/render/helm/two_threads.h"
#include "delivery/render/kind_order.h"

namespace caisson::render::helm {
namespace {

constexpr std::string_view kUninstallOrder[] = {"APIService",
                                                "Ingress",
                                                "IngressClass",
                                                "Service",
                                                "CronJob",
                                                "Job",
                                                "StatefulSet",
                                                "HorizontalPodAutoscaler",
                                                "Deployment",
                                                "ReplicaSet",
                                                "ReplicationController",
                                                "Pod",
                                                "DaemonSet",
                                                "RoleBindingList",
                                                "RoleBinding",
                                                "RoleList",
                                                "Role",
                                                "ClusterRoleBindingList",
                                                "ClusterRoleBinding",
                                                "ClusterRoleList",
                                                "ClusterRole",
                                                "CustomResourceDefinition",
                                                "PersistentVolumeClaim",
                                                "PersistentVolume",
                                                "StorageClass",
                                                "ConfigMap",
                                                "SecretList",
                                                "Secret",
                                                "ServiceAccount",
                                                "PodDisruptionBudget",
                                                "PodSecurityPolicy",
                                                "LimitRange",
                                                "ResourceQuota",
                                                "NetworkPolicy",
                                                "Namespace",
                                                "PriorityClass"};

constexpr std::string_view kEvents[] = {"pre-install",  "post-install", "pre-delete",    "post-delete", "pre-upgrade",
                                        "post-upgrade", "pre-rollback", "post-rollback", "test"};

using Order = std::span<const std::string_view>;

bool kind_before(const std::string& a, const std::string& b, Order order) {
  const auto first = std::find(order.begin(), order.end(), a), second = std::find(order.begin(), order.end(), b);
  if (first == order.end() && second == order.end()) return a < b;
  return first < second;
}

void sort_by(std::vector<Manifest>& manifests, Order order) {
  std::stable_sort(manifests.begin(), manifests.end(),
                   [&](const Manifest& a, const Manifest& b) { return kind_before(a.kind(), b.kind(), order); });
}

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

// The pieces of "a, B ,c", in lower case.
std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  for (const std::string_view piece : split(text, ',')) out.push_back(to_lower(trim(piece)));
  return out;
}

Hook make_hook(Manifest manifest, const Value& annotations) {
  Hook hook;
  hook.name = manifest.object["metadata"]["name"].scalar_text();
  hook.weight = parse_int(annotations["helm.sh/hook-weight"].scalar_text()).value_or(0);
  if (const Value* policies = annotations.find("helm.sh/hook-delete-policy"))
    hook.delete_policies = words(policies->scalar_text());
  if (const Value* policies = annotations.find("helm.sh/hook-output-log-policy"))
    hook.output_log_policies = words(policies->scalar_text());
  hook.manifest = std::move(manifest);
  return hook;
}

// Nothing when one of the events is unknown.
bool take_events(Hook& hook, const std::string& text) {
  for (std::string& event : words(text)) {
    if (event == "test-success") event = "test";  // Helm 2's name
    if (std::find(std::begin(kEvents), std::end(kEvents), event) == std::end(kEvents)) return false;
    hook.events.push_back(std::move(event));
  }
  return true;
}

Error wrong_type(const Value& value, std::string_view where, std::string_view wanted) {
  return {ErrorCode::invalid, "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal " +
                                  go_json_kind(value) + " into Go " + std::string(where) + " of type " +
                                  std::string(wanted)};
}

// The types that Helm needs of a manifest's head.
Result<void> check_head(const Value& object) {
  if (object.is_null()) return {};
  if (!object.is_map()) return wrong_type(object, "value", "releaseutil.SimpleHead");
  for (const char* field : {"apiVersion", "kind"}) {
    if (object[field].is_map() || object[field].is_list())
      return wrong_type(object[field], std::string("struct field SimpleHead.") + field, "string");
  }
  const Value& metadata = object["metadata"];
  if (metadata.is_null()) return {};
  if (!metadata.is_map())
    return wrong_type(metadata, "struct field SimpleHead.metadata",
                      "struct { Name string \"json:\\\"name\\\"\"; Annotations map[string]string "
                      "\"json:\\\"annotations\\\"\" }");
  if (metadata["name"].is_map() || metadata["name"].is_list())
    return wrong_type(metadata["name"], "struct field .metadata.name", "string");
  const Value& annotations = metadata["annotations"];
  if (!annotations.is_null() && !annotations.is_map())
    return wrong_type(annotations, "struct field .metadata.annotations", "map[string]string");
  for (const auto& [key, value] : annotations.entries()) {
    if (value.is_map() || value.is_list()) return wrong_type(value, "struct field .metadata.annotations", "string");
  }
  return {};
}

// The separator is Helm's: at the start, or after a line break that no other separator has taken, three dashes and all
// blanks around them, whatever follows.
std::vector<std::string_view> document_views(std::string_view text) {
  text = trim(text);
  std::vector<std::string_view> out;
  const auto take = [&](std::string_view document) {
    if (!document.empty()) out.push_back(trim(document));
  };
  std::size_t begin = 0;
  for (std::size_t at = 0; (at = text.find("---", at)) != std::string_view::npos;) {
    std::size_t from = at;
    while (from > begin && is_blank(text[from - 1])) --from;
    const bool own_line = at == 0 || (at > begin && text[at - 1] == '\n');
    if (!own_line) {
      ++at;
      continue;
    }
    take(text.substr(begin, from - begin));
    begin = at + 3;
    while (begin < text.size() && is_blank(text[begin])) ++begin;
    at = begin;
  }
  take(text.substr(begin));
  return out;
}

Result<void> take_document(const std::string& path, std::string content, Manifests& out,
                           std::vector<std::string>& warnings, Read read, DocumentCache* documents) {
  if (const auto head = read == Read::heads ? scan_head(content) : std::nullopt) {
    const Value object{
        {"apiVersion", head->api_version}, {"kind", head->kind}, {"metadata", Value{{"name", head->name}}}};
    out.resources.push_back({path, std::move(content), object});
    return {};
  }
  Value object = TRY(documents ? documents->find_or_read(content) : read_yaml(content, false));
  TRY(check_head(object));
  const Value annotations = object["metadata"]["annotations"];
  Manifest manifest{path, std::move(content), std::move(object)};
  const Value* events = annotations.find("helm.sh/hook");
  if (events == nullptr) {
    out.resources.push_back(std::move(manifest));
    return {};
  }
  const std::string text = events->scalar_text();
  Hook hook = make_hook(std::move(manifest), annotations);
  if (take_events(hook, text))
    out.hooks.push_back(std::move(hook));
  else
    warnings.push_back("info: skipping unknown hook: " + go_quote(text));
  return {};
}

// What is read from what a template gave.
struct ReadFile {
  Manifests manifests;
  std::vector<std::string> warnings;
  Result<void> result;
};

// Up to the first document that cannot be read.
ReadFile read_documents(const std::string& path, std::string_view text, Read read, DocumentCache* documents) {
  ReadFile file;
  for (const std::string_view content : document_views(text)) {
    file.result = take_document(path, std::string(content), file.manifests, file.warnings, read, documents)
                      .in("YAML parse error on " + path);
    if (!file.result.ok()) break;
  }
  return file;
}

}  // namespace

bool Hook::has_event(std::string_view event) const {
  return std::find(events.begin(), events.end(), event) != events.end();
}

std::vector<std::string> split_manifests(std::string_view text) {
  std::vector<std::string> out;
  for (const std::string_view document : document_views(text)) out.emplace_back(document);
  return out;
}

struct ManifestReader::Impl {
  Impl(Read how_much, DocumentCache* cache) : read(how_much), documents(cache) {}
  const Read read;
  DocumentCache* const documents;
  std::mutex mutex;
  std::map<std::string, ReadFile> files;  // by path; GUARDED_BY(mutex)
};

ManifestReader::ManifestReader(Read read, DocumentCache* documents) : impl_(std::make_unique<Impl>(read, documents)) {}
ManifestReader::~ManifestReader() = default;

void ManifestReader::take(std::string path, std::string text) {
  if (path_base(path).starts_with('_')) return;
  ReadFile file = read_documents(path, text, impl_->read, impl_->documents);
  const std::lock_guard lock(impl_->mutex);
  impl_->files.insert_or_assign(std::move(path), std::move(file));
}

Result<Manifests> ManifestReader::sorted(std::vector<std::string>& warnings) {
  const std::lock_guard lock(impl_->mutex);
  Manifests out;
  for (auto& [path, file] : impl_->files) {
    warnings.insert(warnings.end(), file.warnings.begin(), file.warnings.end());
    TRY(std::move(file.result));
    std::move(file.manifests.resources.begin(), file.manifests.resources.end(), std::back_inserter(out.resources));
    std::move(file.manifests.hooks.begin(), file.manifests.hooks.end(), std::back_inserter(out.hooks));
  }
  sort_by_install_order(out.resources);
  std::stable_sort(out.hooks.begin(), out.hooks.end(), [](const Hook& a, const Hook& b) {
    return kind_before(a.manifest.kind(), b.manifest.kind(), kInstallOrder);
  });
  return out;
}

Result<Manifests> sort_manifests(ManifestReader& reader, std::map<std::string, std::string> files,
                                 std::vector<std::string>& warnings) {
  std::vector<std::pair<const std::string, std::string>*> all;
  std::size_t bytes = 0;
  for (auto& file : files) {
    bytes += file.second.size();
    all.push_back(&file);
  }
  constexpr std::size_t kBytesOfThread = 64u << 10;  // less is read while a thread starts
  on_two_threads(all.size(), bytes >= kBytesOfThread,
                 [&](std::size_t i) { reader.take(all[i]->first, std::move(all[i]->second)); });
  return reader.sorted(warnings);
}

Result<Manifests> sort_manifests(std::map<std::string, std::string> files, std::vector<std::string>& warnings,
                                 Read read, DocumentCache* documents) {
  ManifestReader reader(read, documents);
  return sort_manifests(reader, std::move(files), warnings);
}

void sort_by_install_order(std::vector<Manifest>& manifests) {
  sort_by(manifests, kInstallOrder);
}

void sort_by_uninstall_order(std::vector<Manifest>& manifests) {
  sort_by(manifests, kUninstallOrder);
}

}  // namespace caisson::render::helm
