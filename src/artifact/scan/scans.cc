// SPDX-License-Identifier: Apache-2.0
#include "artifact/scan/scans.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "artifact/scan/bundle.h"
#include "artifact/scan/image_scans.h"
#include "artifact/scan/match.h"
#include "artifact/scan/referrers.h"
#include "artifact/scan/report_objects.h"
#include "core/base/log.h"
#include "core/base/worker_pool.h"

namespace caisson::scan {
namespace {

constexpr std::string_view kDigestIndex = "scan-image-digest";
constexpr Duration kRetry = std::chrono::minutes(1);

// "shop/web" and "1.0" as a key; the tag holds no colon.
kube::ObjectKey tag_key(std::string_view repository, std::string_view tag) {
  return kube::ObjectKey::parse(std::string(repository) + ":" + std::string(tag));
}

// "docker.io/library/nginx@sha256:…" names a manifest.
std::optional<content::Digest> digest_of_id(std::string_view image_id) {
  const std::size_t at = image_id.rfind('@');
  const Result<content::Digest> digest =
      content::Digest::parse(at == std::string_view::npos ? image_id : image_id.substr(at + 1));
  if (!digest.ok()) return std::nullopt;
  return *digest;
}

struct RunningContainer {
  std::string name, image;
  content::Digest digest;
};

std::vector<RunningContainer> running_containers(const kube::Object& pod) {
  std::vector<RunningContainer> out;
  for (const auto& [list, statuses] :
       {std::pair("initContainers", "initContainerStatuses"), std::pair("containers", "containerStatuses")}) {
    for (const Value& status : pod.status()[statuses].items()) {
      const std::optional<content::Digest> digest = digest_of_id(status["imageID"].as_string());
      if (!digest) continue;
      std::string image = status["image"].str();
      for (const Value& container : pod.spec()[list].items()) {
        if (container["name"].as_string() == status["name"].as_string()) image = container["image"].str();
      }
      out.push_back({status["name"].str(), std::move(image), *digest});
    }
  }
  return out;
}

// What both reconcilers share. Any thread.
class Shared {
 public:
  Shared(kube::Runtime& runtime, ScanOptions given)
      : options(std::move(given)),
        client(runtime.client()),
        clock(runtime.clock()),
        events(runtime.client(), runtime.clock(), "caisson-scan"),
        reports(runtime.informer(report_resource())),
        pods(runtime.informer(schema::kPods)),
        namespaces(runtime.informer(schema::kNamespaces)),
        images(Scanner(options.blobs, options.layers, options.cache_dir), options.workers) {
    pods.add_index(std::string(kDigestIndex), [](const kube::Object& pod) {
      std::vector<std::string> out;
      for (const RunningContainer& one : running_containers(pod)) out.push_back(one.digest.str());
      return out;
    });
  }

  ScanOptions options;
  kube::Client& client;
  Clock& clock;
  kube::EventRecorder events;
  kube::Informer &reports, &pods, &namespaces;
  ImageScans images;
  kube::Queue tag_queue, pod_queue;

  // So that a later advisory finds the image. Once for each digest and start.
  Result<void> record(const content::Digest& digest, const Inventory& inventory) {
    {
      const std::lock_guard lock(mutex_);
      if (recorded_.contains(digest)) return {};
    }
    TRY(options.advisories.record_image(digest.str(), package_refs(inventory)));
    const std::lock_guard lock(mutex_);
    recorded_.insert(digest);
    return {};
  }

  void remember_tag(const content::Digest& digest, const kube::ObjectKey& key) {
    const std::lock_guard lock(mutex_);
    tags_[digest.str()].insert(key);
  }

  // Everything that has one of these packages is looked at again.
  Result<void> look_again(const std::set<PackageRef>& touched) {
    std::size_t images_found = 0, pods_found = 0;
    for (const std::string& digest : TRY(options.advisories.images_with(touched))) {
      ++images_found;
      for (const kube::Object& pod : pods.by_index(kDigestIndex, digest)) {
        pod_queue.add(pod.key());
        ++pods_found;
      }
      const std::lock_guard lock(mutex_);
      for (const kube::ObjectKey& key : tags_[digest]) tag_queue.add(key);
    }
    log::info("advisories touch what is here",
              {{"packages", touched.size()}, {"images", images_found}, {"pods", pods_found}});
    return {};
  }

  void look_at_all() {
    for (const kube::Object& pod : pods.list()) pod_queue.add(pod.key());
    const std::lock_guard lock(mutex_);
    for (const auto& [digest, keys] : tags_) {
      for (const kube::ObjectKey& key : keys) tag_queue.add(key);
    }
  }

  // Writes what differs. Gives whether it was written.
  Result<bool> write(kube::Object report, const Value& body) {
    const std::optional<kube::Object> there = reports.find(report.key());
    if (there && same_report((*there)["report"], body)) return false;
    report.edit({"report"}) = body;
    TRY(client.apply(report, {.field_manager = "caisson-scan", .force = true}).in("report " + report.key().str()));
    return true;
  }

 private:
  std::mutex mutex_;
  std::set<content::Digest> recorded_;
  std::map<std::string, std::set<kube::ObjectKey>> tags_;  // digest → tags that name it
};

class TagReconciler final : public kube::Reconciler {
 public:
  explicit TagReconciler(std::shared_ptr<Shared> shared) : s_(std::move(shared)) {}
  std::string_view name() const override { return "image-scan"; }

  Result<kube::Requeue> reconcile(const kube::ObjectKey& key) override {
    const std::string text = key.str();
    const std::size_t colon = text.rfind(':');
    const std::string repository = text.substr(0, colon), tag = text.substr(colon + 1);
    const Result<content::Digest> digest = s_->options.tags.find(repository, tag);
    if (repository == kBundleRepository)
      return digest.ok() ? import_advisories(*digest, key) : Result<kube::Requeue>(kube::Requeue::never());
    if (!digest.ok()) {
      if (digest.error().code != ErrorCode::not_found) return digest.error();
      return forget(key.ns, repository, tag);
    }
    const ImageScans::Answer scan = TRY(s_->images.find(*digest, [shared = s_, key] { shared->tag_queue.add(key); }));
    if (!scan) return kube::Requeue::never();  // the worker adds the key again
    if (!scan->ok()) return refused(scan->error(), text);
    return report(key, repository, tag, *digest, **scan);
  }

 private:
  static Result<kube::Requeue> refused(const Error& error, const std::string& image) {
    if (error.code == ErrorCode::invalid) return kube::Requeue::never();  // an artifact: signature, chart, SBOM
    log::warning("image not scanned", {{"image", image}, {"error", error}});
    return error.code == ErrorCode::bad_request || error.code == ErrorCode::too_large ? kube::Requeue::never()
                                                                                      : kube::Requeue::after(kRetry);
  }

  Result<kube::Requeue> report(const kube::ObjectKey& key, const std::string& repository, const std::string& tag,
                               const content::Digest& digest, const ImageScan& scan) {
    TRY(s_->record(digest, scan.inventory));
    s_->remember_tag(digest, key);
    const std::vector<Finding> findings = TRY(find_vulnerabilities(scan.inventory, s_->options.advisories));
    const ScannedArtifact artifact{std::string(content::kRegistryName), repository, tag, digest.str()};
    TRY(attach_referrers({s_->options.blobs, s_->options.tags}, artifact, scan, findings));
    const std::optional<kube::Object> ns = s_->namespaces.find({"", key.ns});
    if (key.ns.empty() || !ns || ns->deleting()) return kube::Requeue::never();  // no namespace is of this repository
    const Value body = make_report(artifact, scan.inventory, findings, s_->clock.now());
    if (TRY(s_->write(tag_report(key.ns, repository, tag), body))) {
      log::info("image scanned", {{"image", repository + ":" + tag},
                                  {"packages", scan.inventory.packages.size()},
                                  {"findings", findings.size()},
                                  {"critical", body["summary"]["criticalCount"].as_int()}});
    }
    return kube::Requeue::never();
  }

  Result<kube::Requeue> forget(const std::string& ns, const std::string& repository, const std::string& tag) {
    if (ns.empty()) return kube::Requeue::never();
    const Result<void> gone = s_->client.remove(report_resource(), tag_report(ns, repository, tag).key());
    if (!gone.ok() && gone.error().code != ErrorCode::not_found) return gone.error();
    return kube::Requeue::never();
  }

  // What was imported last is kept with it: a start does not read the bundle again.
  Result<kube::Requeue> import_advisories(const content::Digest& digest, const kube::ObjectKey& key) {
    const std::string last = TRY(s_->options.advisories.last_bundle());
    if (last == digest.str()) return kube::Requeue::never();
    TRY(s_->options.workers.run([shared = s_, digest, key] { import_now(*shared, digest, key); }));
    return kube::Requeue::never();
  }

  static void import_now(Shared& shared, const content::Digest& digest, const kube::ObjectKey& key) {
    const Result<ImportResult> imported = import_bundle(shared.options.blobs, digest, shared.options.advisories);
    if (!imported.ok()) {
      log::warning("advisories refused", {{"digest", digest.str()}, {"error", imported.error()}});
      if (imported.error().code == ErrorCode::unavailable) shared.tag_queue.add_after(key, kRetry);
      return;
    }
    for (const std::string& one : imported->skipped) log::warning("advisory skipped", {{"why", one}});
    log::info("advisories imported",
              {{"added", imported->added}, {"changed", imported->changed}, {"unchanged", imported->unchanged}});
    if (const Result<void> looked = shared.look_again(imported->touched); !looked.ok()) {
      log::warning("which images are touched is not known: all are looked at", {{"error", looked.error()}});
      shared.look_at_all();
    }
  }

  std::shared_ptr<Shared> s_;
};

class PodReconciler final : public kube::Reconciler {
 public:
  explicit PodReconciler(std::shared_ptr<Shared> shared) : s_(std::move(shared)) {}
  std::string_view name() const override { return "pod-scan"; }

  Result<kube::Requeue> reconcile(const kube::ObjectKey& key) override {
    const std::optional<kube::Object> pod = s_->pods.find(key);
    if (!pod || pod->deleting()) return kube::Requeue::never();  // its reports go with its workload
    for (const RunningContainer& container : running_containers(*pod)) {
      const ImageScans::Answer scan =
          TRY(s_->images.find(container.digest, [shared = s_, key] { shared->pod_queue.add(key); }));
      if (!scan) return kube::Requeue::never();
      if (scan->ok()) {
        TRY(report(*pod, container, **scan));
        continue;
      }
      const Error& error = scan->error();
      if (error.code == ErrorCode::invalid) continue;
      log::warning("image not scanned", {{"image", container.image}, {"pod", key.str()}, {"error", error}});
      if (error.code != ErrorCode::bad_request && error.code != ErrorCode::too_large)
        return kube::Requeue::after(kRetry);
    }
    return kube::Requeue::never();
  }

 private:
  Result<void> report(const kube::Object& pod, const RunningContainer& container, const ImageScan& scan) {
    TRY(s_->record(container.digest, scan.inventory));
    const std::vector<Finding> findings = TRY(find_vulnerabilities(scan.inventory, s_->options.advisories));
    const ScannedArtifact artifact = artifact_of_image(container.image, container.digest.str(), s_->options.names);
    const Value body = make_report(artifact, scan.inventory, findings, s_->clock.now());
    const kube::Object report = workload_report(pod, container.name);
    const std::optional<kube::Object> there = s_->reports.find(report.key());
    const std::int64_t before = there ? there->get({"report", "summary", "criticalCount"}).as_int() : 0;
    const std::int64_t now = body["summary"]["criticalCount"].as_int();
    if (TRY(s_->write(report, body)) && now > before) {
      s_->events.record(pod, kube::EventRecorder::Type::warning, "CriticalVulnerability",
                        "image " + container.image + " of container " + container.name + " has " + std::to_string(now) +
                            " CRITICAL findings, the first is " + findings.front().id + " in " +
                            findings.front().package.name);
    }
    return {};
  }

  std::shared_ptr<Shared> s_;
};

class ScansImpl final : public Scans {
 public:
  explicit ScansImpl(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
  void changed(std::string_view repository, std::string_view tag) override {
    shared_->tag_queue.add(tag_key(repository, tag));
  }

 private:
  std::shared_ptr<Shared> shared_;
};

// Every tag there is, in the order of their names.
Result<void> add_all_tags(const Shared& shared) {
  for (const std::string& repository : TRY(shared.options.tags.repositories())) {
    const Result<std::vector<std::string>> tags = shared.options.tags.tags(repository);
    if (!tags.ok()) continue;  // gone meanwhile
    for (const std::string& tag : *tags) shared.tag_queue.add(tag_key(repository, tag));
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<Scans>> add_scans(kube::Runtime& runtime, ScanOptions options) {
  TRY(ensure_report_kind(runtime.client()));
  auto shared = std::make_shared<Shared>(runtime, std::move(options));
  shared->tag_queue = runtime.add(std::make_unique<TagReconciler>(shared), 2);
  shared->pod_queue = runtime.add(std::make_unique<PodReconciler>(shared), 2);
  runtime.watch(schema::kPods, shared->pod_queue);
  // A namespace that is made after its images were pushed gets its reports then; a deleted report comes again.
  const auto of_namespace = [shared](const kube::Object& ns) {
    std::vector<kube::ObjectKey> out;
    const Result<std::vector<std::string>> repositories = shared->options.tags.repositories();
    if (!repositories.ok()) return out;
    for (const std::string& repository : *repositories) {
      if (!repository.starts_with(ns.name() + "/")) continue;
      const Result<std::vector<std::string>> tags = shared->options.tags.tags(repository);
      if (!tags.ok()) continue;
      for (const std::string& tag : *tags) out.push_back(tag_key(repository, tag));
    }
    return out;
  };
  runtime.watch(schema::kNamespaces, shared->tag_queue, of_namespace);
  runtime.watch(report_resource(), shared->tag_queue, [](const kube::Object& report) {
    const std::string_view image = report.annotation("caisson.dev/image");
    return image.empty() ? std::vector<kube::ObjectKey>() : std::vector{kube::ObjectKey::parse(image)};
  });
  TRY(add_all_tags(*shared));
  return std::shared_ptr<Scans>(std::make_shared<ScansImpl>(shared));
}

}  // namespace caisson::scan
