// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/application_set.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "core/base/text.h"
#include "core/document/json.h"
#include "delivery/gitops/application.h"
#include "delivery/gitops/gitops.h"
#include "delivery/gitops/logins.h"
#include "delivery/gitops/scm_provider.h"
#include "delivery/gitops/source.h"
#include "delivery/render/render.h"

namespace caisson::gitops {
namespace {

constexpr std::size_t kFileBytesMax = 1u << 20;
constexpr std::size_t kFilesMax = 5'000;
constexpr std::size_t kScmKnownMax = 1'000;

const kube::Resource& application_sets() {
  static const kube::Resource kSets{"argoproj.io", "v1alpha1", "ApplicationSet", "applicationsets"};
  return kSets;
}

struct Checkout {
  git::Repository repository;
  std::string commit;
};

Result<Checkout> check_out(const git::Repositories& repositories, const std::string& url, const std::string& revision) {
  git::Repository repository = TRY(repositories.fetch(url));
  std::string commit = TRY(repository.resolve(revision == "HEAD" ? "" : revision).in("revision " + revision));
  return Checkout{std::move(repository), std::move(commit)};
}

Result<std::vector<std::string>> directories_of(const git::Repositories& repositories, const std::string& url,
                                                const std::string& revision) {
  const Checkout at = TRY(check_out(repositories, url, revision));
  std::vector<std::string> out;
  for (const git::TreeEntry& entry : TRY(at.repository.list(at.commit, "", true))) {
    // The listing has files; every directory above one counts, once.
    for (std::size_t slash = entry.path.find('/'); slash != std::string::npos; slash = entry.path.find('/', slash + 1))
      out.push_back(entry.path.substr(0, slash));
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  std::erase_if(out,
                [](const std::string& path) { return path.starts_with('.') || path.find("/.") != std::string::npos; });
  return out;
}

Result<std::vector<GeneratedFile>> files_of(const git::Repositories& repositories, const std::string& url,
                                            const std::string& revision, const std::vector<std::string>& globs) {
  const Checkout at = TRY(check_out(repositories, url, revision));
  std::vector<GeneratedFile> out;
  for (const git::TreeEntry& entry : TRY(at.repository.list(at.commit, "", true))) {
    const bool fits = std::any_of(globs.begin(), globs.end(),
                                  [&](const std::string& glob) { return render::glob_matches(glob, entry.path); });
    const bool is_file = entry.type == git::TreeEntry::Type::file || entry.type == git::TreeEntry::Type::executable;
    if (!fits || !is_file) continue;
    if (out.size() >= kFilesMax) return Error{ErrorCode::too_large, "more than 5000 files fit git.files"};
    std::string text = TRY(at.repository.read(at.commit, entry.path, kFileBytesMax));
    out.push_back({entry.path, std::move(text)});
  }
  return out;
}

Value set_condition(std::string_view type, bool holds, std::string_view reason, const std::string& message,
                    const Value& before, Time now) {
  const std::string_view status = holds ? "True" : "False";
  Value since(format_time(now));
  for (const Value& one : before.items()) {
    if (one["type"].as_string() == type && one["status"].as_string() == status && one["message"].as_string() == message)
      since = one["lastTransitionTime"];
  }
  return Value{
      {"type", type}, {"status", status}, {"reason", reason}, {"message", message}, {"lastTransitionTime", since}};
}

class SetReconciler final : public kube::Reconciler {
 public:
  SetReconciler(kube::Runtime& runtime, const git::Repositories& repositories, Duration poll_interval)
      : runtime_(runtime), repositories_(repositories), poll_interval_(poll_interval) {}

  std::string_view name() const override { return "applicationset"; }

  Result<kube::Requeue> reconcile(const kube::ObjectKey& key) override {
    const auto set = runtime_.informer(application_sets()).find(key);
    if (!set || set->deleting()) return kube::Requeue::never();
    auto desired = make(*set);
    if (!desired.ok()) {
      TRY(report(*set, desired.error().message, "ApplicationGenerationFromParamsError", {}));
      return kube::Requeue::after(std::min<Duration>(poll_interval_, std::chrono::seconds(30)));
    }
    const auto applications = runtime_.informer(schema::kApplications).list(key.ns);
    SetPlan plan = plan_set(*set, *desired, applications);
    std::string failure = plan.held;
    for (const std::string& error : plan.errors) failure += (failure.empty() ? "" : "; ") + error;
    for (const SetAction& action : plan.actions) {
      const auto done = act(action);
      if (!done.ok()) failure += (failure.empty() ? "" : "; ") + done.error().message;
    }
    TRY(roll(*set, failure));
    return kube::Requeue::after(interval_of(*set));
  }

 private:
  Result<std::vector<Value>> make(const kube::Object& set) const {
    const TemplateStyle style = TRY(parse_style(set.spec()));
    GeneratorWorld world;
    world.clusters = [&]() -> Result<std::vector<Value>> {
      kube::ListOptions options;
      options.ns = set.ns();
      options.label_selector = "argocd.argoproj.io/secret-type=cluster";
      const kube::ObjectList secrets = TRY(runtime_.client().list(schema::kSecrets, options));
      std::vector<Value> out;
      for (const kube::Object& one : secrets.items) out.push_back(one.value());
      return out;
    };
    world.directories = [this](const std::string& url, const std::string& revision) {
      return directories_of(repositories_, url, revision);
    };
    world.files = [this](const std::string& url, const std::string& revision, const std::vector<std::string>& globs) {
      return files_of(repositories_, url, revision, globs);
    };
    world.scm = [&](const Value& provider) { return scm_sets(set, provider); };
    std::vector<Value> out;
    for (const Generated& one : TRY(generate(set.spec(), style, world)))
      out.push_back(TRY(application_from(set.spec(), one.own_template, one.parameters, style)));
    return out;
  }

  // Asked of other hosts at most every requeueAfterSeconds (30 minutes), as they count requests.
  Result<std::vector<Value>> scm_sets(const kube::Object& set, const Value& provider) const {
    const auto token = [&](const Value& reference) -> Result<std::string> {
      const kube::ObjectKey key{set.ns(), reference["secretName"].str()};
      const kube::Object secret = TRY(runtime_.client().get(schema::kSecrets, key).in("scmProvider tokenRef"));
      return std::string(trim(secret_field(secret, reference["key"].as_string())));
    };
    const auto host = TRY(open_scm_host(provider, repositories_, token));
    const std::string key = set.key().str() + "\n" + json::write(provider);
    const Duration now = runtime_.clock().monotonic();
    const Duration age = std::chrono::seconds(provider["requeueAfterSeconds"].as_int(1'800));
    {
      const std::lock_guard lock(mutex_);
      const auto known = scm_known_.find(key);
      if (!host->own() && known != scm_known_.end() && now - known->second.first < age) return known->second.second;
    }
    std::vector<Value> out;
    for (const ScmFound& one : TRY(find_repositories(*host, provider))) out.push_back(scm_parameters(one, provider));
    const std::lock_guard lock(mutex_);
    if (scm_known_.size() >= kScmKnownMax) scm_known_.clear();
    scm_known_.insert_or_assign(key, std::pair(now, out));
    return out;
  }

  Result<void> act(const SetAction& action) {
    kube::WriteOptions options;
    options.field_manager = "caisson-applicationset";
    kube::Client& client = runtime_.client();
    if (action.verb == SetAction::Verb::remove) {
      auto done = client.remove(schema::kApplications, action.object.key());
      if (!done.ok() && done.error().code != ErrorCode::not_found) return done;
      return {};
    }
    auto written = action.verb == SetAction::Verb::create ? client.create(action.object, options)
                                                          : client.update(action.object, options);
    if (!written.ok()) return std::move(written).error().in("Application " + action.object.name());
    return {};
  }

  // RollingSync begins what may begin now; then the status.
  Result<void> roll(const kube::Object& set, const std::string& failure) {
    RollingPlan rolling;
    const bool steps = set.spec()["strategy"]["type"].as_string() == "RollingSync";
    if (steps) {
      std::vector<kube::Object> own;
      for (kube::Object& one : runtime_.informer(schema::kApplications).list(set.ns())) {
        if (one.is_controlled_by(set.uid())) own.push_back(std::move(one));
      }
      rolling = plan_rolling(set, own, runtime_.clock().now());
      for (const kube::ObjectKey& key : rolling.to_sync) TRY(begin_sync(key));
    }
    return report(set, failure, "CreateApplicationError", rolling, steps);
  }

  Result<void> begin_sync(const kube::ObjectKey& key) {
    const auto written = kube::modify(runtime_.client(), schema::kApplications, key, [](kube::Object& application) {
      if (!application["operation"].is_null()) return false;
      Value by{{"username", "applicationset-controller"}, {"automated", true}};
      application.edit().set(
          "operation",
          Value{{"initiatedBy", std::move(by)}, {"retry", Value{{"limit", 5}}}, {"sync", Value{{"prune", true}}}});
      return true;
    });
    if (written.ok() || written.error().code == ErrorCode::not_found) return {};
    return Error(written.error()).in("begin sync of Application " + key.str());
  }

  Result<void> report(const kube::Object& set, const std::string& failure, std::string_view reason,
                      const RollingPlan& rolling, bool steps = false) {
    const Time now = runtime_.clock().now();
    const Value& before = set.status()["conditions"];
    const bool good = failure.empty();
    const std::string generated = "Successfully generated parameters for all Applications";
    Value conditions = Value::list();
    conditions.push_back(set_condition("ErrorOccurred", !good, good ? "ApplicationSetUpToDate" : reason,
                                       good ? generated : failure, before, now));
    conditions.push_back(set_condition("ParametersGenerated", good || reason == "CreateApplicationError",
                                       good ? "ParametersGenerated" : "ErrorOccurred", good ? generated : failure,
                                       before, now));
    conditions.push_back(set_condition("ResourcesUpToDate", good, good ? "ApplicationSetUpToDate" : reason,
                                       good ? "ApplicationSet up to date" : failure, before, now));
    if (steps) {
      const bool moving = rolling.step > 0;
      conditions.push_back(set_condition(
          "RolloutProgressing", moving, moving ? "ApplicationSetModified" : "ApplicationSetRolloutComplete",
          moving ? "ApplicationSet is performing rollout of step " + std::to_string(rolling.step)
                 : "ApplicationSet Rollout has completed",
          before, now));
    }
    kube::Object next = set;
    Value& status = next.edit({"status"});
    if (status.is_null()) status = Value::map();
    status.set("conditions", std::move(conditions));
    if (steps) status.set("applicationStatus", Value(rolling.statuses));
    if (next == set) return {};
    auto written = runtime_.client().update_status(next);
    if (!written.ok() && written.error().code != ErrorCode::not_found)
      return std::move(written).error().in("write status of ApplicationSet " + set.key().str());
    return {};
  }

  Duration interval_of(const kube::Object& set) const {
    Duration out = poll_interval_;
    for (const Value& one : set.spec()["generators"].items()) {
      const auto seconds = one["git"]["requeueAfterSeconds"].as_int();
      if (seconds > 0) out = std::min<Duration>(out, std::chrono::seconds(seconds));
    }
    return out;
  }

  kube::Runtime& runtime_;
  const git::Repositories& repositories_;
  const Duration poll_interval_;
  mutable std::mutex mutex_;
  // By set and generator: when it was asked, and what it gave. GUARDED_BY(mutex_)
  mutable std::map<std::string, std::pair<Duration, std::vector<Value>>> scm_known_;
};

}  // namespace

void add_application_sets(kube::Runtime& runtime, const git::Repositories& repositories, Duration poll_interval,
                          bool push_events) {
  const kube::Queue queue = runtime.add(std::make_unique<SetReconciler>(runtime, repositories, poll_interval), 2);
  runtime.watch(application_sets(), queue);
  runtime.watch(schema::kApplications, queue, [](const kube::Object& application) {
    std::vector<kube::ObjectKey> keys;
    const auto owner = application.controller();
    if (owner && owner->kind == "ApplicationSet") keys.push_back({application.ns(), owner->name});
    return keys;
  });
  if (!push_events) return;
  // Any push may move what a git generator reads.
  runtime.watch(schema::kPushEvents, queue, [&runtime](const kube::Object&) {
    std::vector<kube::ObjectKey> keys;
    for (const kube::Object& set : runtime.informer(application_sets()).list("")) keys.push_back(set.key());
    return keys;
  });
}

}  // namespace caisson::gitops
