// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/controller_run.h"

#include <algorithm>

#include "core/base/log.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "delivery/gitops/application_set.h"
#include "delivery/gitops/notifications.h"

namespace caisson::gitops {
namespace {

constexpr Duration kRetryUnavailable = std::chrono::seconds(10);  // doubled with each failure, up to the next poll
constexpr Duration kRetryMax = std::chrono::minutes(3);
constexpr Duration kRetryRefused = std::chrono::seconds(30);  // rights may be given meanwhile
constexpr Duration kNotYet = std::chrono::milliseconds(50);
constexpr Duration kNotYetElsewhere = std::chrono::seconds(1);  // another cluster's first lists

// A poll of many Applications is spread; no interval: nothing but pushes, webhooks and refreshes.
Duration next_look(const Settings& settings, Duration interval, Duration now) {
  if (interval.count() <= 0) return Duration::max();
  const Duration jitter = settings.poll_jitter.value_or(interval / 3);
  return now + interval +
         Duration(static_cast<std::int64_t>(random_u64() % static_cast<std::uint64_t>(jitter.count() + 1)));
}

Duration retry_after(int failures, Duration interval) {
  const Duration delay = kRetryUnavailable * (1 << std::min(failures - 1, 10));
  return std::min(delay, interval.count() > 0 ? std::max<Duration>(interval, kRetryUnavailable) : kRetryMax);
}

kube::ObjectKey key_of_instance(const std::string& instance, const std::string& home) {
  const std::size_t bar = instance.find('_');
  return bar == std::string::npos ? kube::ObjectKey{home, instance}
                                  : kube::ObjectKey{instance.substr(0, bar), instance.substr(bar + 1)};
}

}  // namespace

Controller::Controller(kube::Runtime& runtime, GitopsOptions options)
    : runtime_(runtime),
      shared_(std::make_shared<Shared>(options, runtime.client())),
      world_(runtime, requeue(shared_)),
      clusters_(runtime, world_, shared_->options.home_namespace, requeue(shared_)) {}

Result<std::string> Controller::Shared::resolve(const Application& application, const Source& source,
                                                const std::string& revision) {
  std::string commits = TRY(renderer.resolve(source, revision));
  TRY(signed_revisions.check(source, commits, application.signature_keys));
  return commits;
}

// What a changed object of an Application does.
Clusters::Changed Controller::requeue(const std::shared_ptr<Shared>& shared) {
  return [shared](const std::string& instance) {
    if (shared->queue) shared->queue->add(key_of_instance(instance, shared->options.home_namespace));
  };
}

std::shared_ptr<AppMemory> Controller::memory_of(const kube::ObjectKey& key) {
  const std::lock_guard lock(shared_->mutex);
  auto& memory = shared_->memory[key];
  if (!memory) memory = std::make_shared<AppMemory>();
  return memory;
}

Result<kube::Requeue> Controller::reconcile(const kube::ObjectKey& key) {
  const auto found = world_.find(schema::kApplications, key);
  if (!found) {
    const std::lock_guard lock(shared_->mutex);
    shared_->memory.erase(key);
    return kube::Requeue::never();
  }
  Run run;
  run.before = *found;
  run.after = found->value();
  run.memory = memory_of(key);
  run.now = runtime_.clock().now();
  if (found->deleting()) return remove_resources(run);
  const SettingsPtr settings = this->settings();
  auto application = parse_application(*found, shared_->options.home_namespace, settings);
  if (application.ok()) {
    run.application = std::move(application).value();
    run.project = runtime_.informer(schema::kAppProjects).find({key.ns, run.application.project});
    run.application.signature_keys = signature_keys(run.project_or_null());
  }
  const std::string forbidden = application.ok() ? find_destination(run) : application.error().message;
  if (!forbidden.empty()) {
    write_unknown(run.status(), found->spec(), run.now);
    run.conditions.push_back({"InvalidSpecError", forbidden});
    refuse_operation(run, "Failed", forbidden);
    return save(run);
  }
  read_annotations(run);
  if (!ensure_rendering(run)) {
    if (!run.unrendered.empty()) TRY(operate_apart(run, run.unrendered));
    return save(run);
  }
  pick_up_trace(run);
  const Time start = runtime_.clock().now();
  run.observation =
      observe(*run.world, shared_->options.schema, run.application, *run.rendered, run.after["status"]["resources"],
              run.project_or_null(), &run.memory->observed, run.before.spec());
  if (!run.observation.complete) return kube::Requeue::after(run.world == &world_ ? kNotYet : kNotYetElsewhere);
  if (commits_of(run.after["status"]["sync"]) != run.rendered->commit) {
    record(run.memory->trace, "diff", key, start, runtime_.clock().now(), "");
  }
  if (run.observation.refused) run.retry_in(kRetryRefused);
  foresee(run);
  TRY(operate(run));
  want_delete_finalizers(run);
  for (const std::string& error : run.observation.errors) run.conditions.push_back({"ComparisonError", error});
  for (const std::string& warning : run.observation.warnings)
    run.conditions.push_back({"SharedResourceWarning", warning});
  for (const std::string& warning : run.observation.repeated)
    run.conditions.push_back({"RepeatedResourceWarning", warning});
  if (run.observation.orphans > 0) {
    run.conditions.push_back({"OrphanedResourceWarning",
                              "Application has " + std::to_string(run.observation.orphans) + " orphaned resources"});
  }
  for (const std::string& error : settings->errors) run.conditions.push_back({"ComparisonError", error});
  note_health(run);
  return save(run);
}

// Why the Application may not go where it wants to; empty: it may.
std::string Controller::find_destination(Run& run) {
  const bool scoped = run.project && run.project->spec()["permitOnlyProjectScopedClusters"].as_bool();
  auto world = clusters_.find(run.application, scoped);
  if (!world.ok()) return world.error().message;
  run.world = *world;
  const Settings& settings = *run.application.settings;
  run.world->set_tracking(settings.tracking, settings.label_key);
  return project_forbids(run.application, run.project_or_null());
}

// argocd-cm, read once for each version of it.
SettingsPtr Controller::settings() {
  const auto map = runtime_.informer(schema::kConfigMaps).find({shared_->options.home_namespace, "argocd-cm"});
  const std::string version = map ? map->resource_version() : "";
  const std::lock_guard lock(shared_->mutex);
  if (version != shared_->settings_version) {
    shared_->settings_version = version;
    shared_->settings = std::make_shared<const Settings>(parse_settings(map ? (*map)["data"] : Value()));
  }
  return shared_->settings;
}

// argocd.argoproj.io/refresh: normal or hard, taken off when it is heard.
void Controller::read_annotations(Run& run) {
  const std::string_view refresh = run.before.annotation(kRefreshAnnotation);
  if (refresh.empty()) return;
  const std::lock_guard lock(shared_->mutex);
  run.memory->refresh = true;
  run.memory->hard = refresh == "hard";
  run.after.edit({"metadata", "annotations"}).erase(kRefreshAnnotation);
}

// False: there is nothing to compare with yet, or the source can't be rendered (a condition says why).
bool Controller::ensure_rendering(Run& run) {
  AppMemory& memory = *run.memory;
  const Duration now = runtime_.clock().monotonic();
  const std::lock_guard lock(shared_->mutex);
  const std::string key = run.application.source.key() + "\nsigned by " + join(run.application.signature_keys, ",");
  const bool due = !memory.look_again || now >= *memory.look_again;
  if (memory.source_key != key) {
    memory.source_key = key;
    memory.refresh = true;
    memory.current.reset();
    memory.error.reset();
    const auto own = git::own_repository(shared_->options.repositories.options(), run.application.source.repo_url);
    memory.repository = own.value_or("");
    memory.revision = run.application.source.target_revision;
    memory.path = run.application.source.path;
    memory.more.clear();
    for (const Source& other : run.application.source.more) {
      if (const auto known = git::own_repository(shared_->options.repositories.options(), other.repo_url))
        memory.more.emplace_back(*known, other.target_revision);
    }
  }
  if ((memory.refresh || due) && !memory.rendering) {
    memory.refresh = false;
    memory.rendering = true;
    look(run.application, run.memory);
  }
  if (memory.fresh) {
    memory.fresh = false;
    run.status().set("reconciledAt", format_time(run.now));
  }
  if (memory.error) {
    run.conditions.push_back({"ComparisonError", "Failed to load target state: " + memory.error->message});
    write_unknown(run.status(), run.before.spec(), run.now);
    if (!memory.rendering) run.unrendered = run.conditions.back().message;
    if (memory.look_again != Duration::max()) run.retry_in(std::max<Duration>(kNotYet, *memory.look_again - now));
    return false;
  }
  if (!memory.current) return false;
  if (memory.look_again != Duration::max()) run.retry_in(std::max<Duration>(kNotYet, *memory.look_again - now));
  run.rendered = memory.current;
  return true;
}

// The trace of the push that brought `commit`, from its PushEvent.
TraceContext Controller::find_trace(const AppMemory& memory, const std::string& commit) {
  std::string repository;
  {
    const std::lock_guard lock(shared_->mutex);
    repository = memory.repository;
  }
  if (repository.empty()) return {};
  for (const kube::Object& event :
       runtime_.informer(schema::kPushEvents).list(repository.substr(0, repository.find('/')))) {
    if (event.spec()["after"].as_string() == commit && !event.trace().empty()) return event.trace();
  }
  return {};
}

// Once for every commit: what is rendered, compared and applied for it belongs to its push. Healing later does not.
void Controller::pick_up_trace(Run& run) {
  AppMemory& memory = *run.memory;
  const std::string& commit = run.rendered->commit;
  if (memory.traced_commit != commit) {
    memory.traced_commit = commit;
    const Value& status = run.before.status();
    const bool news =
        commits_of(status["sync"]) != commit || status["operationState"]["phase"].as_string() == "Running";
    memory.trace = news ? find_trace(memory, commit) : TraceContext();
  }
  Time start, end;
  {
    const std::lock_guard lock(shared_->mutex);
    // A worker may have put the next rendering there meanwhile: its span waits for the run that takes it.
    if (memory.current != run.rendered || !std::exchange(memory.rendered_anew, false)) return;
    start = memory.render_start;
    end = memory.render_end;
  }
  record(memory.trace, "render", run.before.key(), start, end, "");
}

void Controller::record(const TraceContext& parent, std::string_view name, const kube::ObjectKey& key, Time start,
                        Time end, const std::string& error) {
  if (parent.empty()) return;
  Span span;
  span.context = parent.child(std::string(name) + " " + key.str());
  span.parent_span_id = parent.span_id;
  span.name = std::string(name);
  span.component = "gitops";
  span.start = start;
  span.end = end;
  span.error = error;
  span.attributes = {{"application", key.str()}};
  shared_->options.spans.record(std::move(span));
}

// On a worker: which commit, and its objects; then the Application is reconciled again. REQUIRES: the lock is held.
void Controller::look(const Application& application, const std::shared_ptr<AppMemory>& memory) {
  const bool hard = std::exchange(memory->hard, false);
  const Duration interval = application.settings->poll_interval.value_or(shared_->options.poll_interval);
  memory->look_again = next_look(*application.settings, interval, runtime_.clock().monotonic());
  auto started = shared_->lanes.run(application.source.repo_url, [shared = shared_, memory, application, hard, interval,
                                                                  key = memory->source_key, &clock = runtime_.clock()] {
    const Time start = clock.now();
    if (hard) shared->renderer.forget(application.source);
    auto commit = shared->resolve(application, application.source, application.source.target_revision);
    RenderedPtr known;
    {
      const std::lock_guard lock(shared->mutex);
      known = memory->current;
    }
    bool moved = commit.ok() && (!known || known->commit != *commit);
    if (moved && known && !hard) {
      if (RenderedPtr same = shared->renderer.carried_over(application.source, *known, *commit)) {
        known = std::move(same);
        moved = false;
      }
    }
    Result<RenderedPtr> rendered = !commit.ok()      ? Result<RenderedPtr>(commit.error())
                                   : !moved && !hard ? Result<RenderedPtr>(known)
                                                     : shared->renderer.render(application.source, *commit);
    {
      const std::lock_guard lock(shared->mutex);
      memory->rendering = false;
      memory->fresh = true;
      const bool passing = !rendered.ok() && (rendered.error().code == ErrorCode::unavailable ||
                                              rendered.error().code == ErrorCode::timeout);
      memory->failures = passing ? memory->failures + 1 : 0;
      if (passing) memory->look_again = clock.monotonic() + retry_after(memory->failures, interval);
      if (memory->source_key == key) {
        memory->error = rendered.ok() ? std::nullopt : std::optional<Error>(rendered.error());
        if (rendered.ok()) memory->current = *rendered;
        if (rendered.ok() && moved) {
          memory->rendered_anew = true;
          memory->render_start = start;
          memory->render_end = clock.now();
        }
      }
    }
    shared->queue->add(application.key);
  });
  if (started.ok()) return;
  memory->rendering = false;
  memory->refresh = true;
  memory->error = started.error();
}

// The rendering of another revision, for a rollback; nullopt while a worker makes it.
std::optional<Result<RenderedPtr>> Controller::other(const Application& application, const Source& source,
                                                     const std::shared_ptr<AppMemory>& memory,
                                                     const std::string& revision) {
  const std::string key = revision + "\n" + source.key();
  const std::lock_guard lock(shared_->mutex);
  auto& slot = memory->others[key];
  if (slot) return *slot;
  slot = std::make_shared<std::optional<Result<RenderedPtr>>>();
  // A branch that a hundred Applications are asked about touches few of them: the others' objects are known.
  const RenderedPtr current = source.key() == application.source.key() ? memory->current : nullptr;
  auto started = shared_->lanes.run(source.repo_url, [shared = shared_, slot, source, revision, application, current] {
    auto commit = shared->resolve(application, source, revision);
    RenderedPtr same = commit.ok() && current ? shared->renderer.carried_over(source, *current, *commit) : nullptr;
    Result<RenderedPtr> rendered = !commit.ok() ? Result<RenderedPtr>(commit.error())
                                   : same       ? Result<RenderedPtr>(std::move(same))
                                                : shared->renderer.render(source, *commit);
    {
      const std::lock_guard lock(shared->mutex);
      *slot = std::move(rendered);
    }
    shared->queue->add(application.key);
  });
  if (!started.ok()) {
    memory->others.erase(key);
    return Result<RenderedPtr>(started.error());
  }
  return std::nullopt;
}

// The next operation looks anew what a branch or tag names, and at what failed.
void Controller::forget_others(AppMemory& memory) {
  const std::lock_guard lock(shared_->mutex);
  memory.others.clear();
}

std::vector<kube::ObjectKey> Controller::pushed(const kube::Object& event) {
  const Value& spec = event.spec();
  std::vector<std::string> changed;
  for (const Value& path : spec["changedPaths"].items()) changed.push_back(path.str());
  const bool all = changed.empty() || spec["changedPathsTruncated"].as_bool();
  const std::string repository = spec["repository"].str();
  const std::string full = repository.find('/') == std::string::npos ? event.ns() + "/" + repository : repository;
  std::vector<kube::ObjectKey> out;
  const std::lock_guard lock(shared_->mutex);
  for (auto& [key, memory] : shared_->memory) {
    const bool of_other = std::any_of(memory->more.begin(), memory->more.end(), [&](const auto& source) {
      return source.first == full && moves(spec["ref"].as_string(), source.second);
    });
    if (!of_other && (memory->repository != full || !moves(spec["ref"].as_string(), memory->revision))) continue;
    if (memory->current && memory->current->commit == spec["after"].as_string()) continue;  // seen already
    if (!of_other && !all && memory->current && !concerns(memory->path, memory->current->inputs, changed)) continue;
    memory->refresh = true;
    out.push_back(key);
  }
  return out;
}

// --- writing

Result<kube::Requeue> Controller::save(Run& run) {
  Value& status = run.status();
  if (status.is_null()) status = Value::map();
  write_conditions(status, run.conditions, run.now);
  if (!(run.after == run.before.value())) {
    kube::WriteOptions options;
    options.field_manager = "caisson-gitops-controller";
    auto written = world_.client().update(kube::Object(run.after), options);
    if (!written.ok()) {
      if (written.error().code == ErrorCode::not_found) return kube::Requeue::never();
      return std::move(written).error().in("write status of Application " + run.before.key().str());
    }
    world_.wrote(schema::kApplications, run.before.key(), run.before, *written);
  }
  return run.again ? kube::Requeue::after(*run.again) : kube::Requeue::never();
}

// The trace of a push closes when what it changed is healthy.
void Controller::note_health(Run& run) {
  auto& span = run.memory->until_healthy;
  if (!span) return;
  const std::string_view health = run.after["status"]["health"]["status"].as_string();
  if (health != "Healthy" && health != "Degraded") return;
  span->end = runtime_.clock().now();
  if (health == "Degraded") span->error = "degraded";
  shared_->options.spans.record(std::move(*span));
  span.reset();
}

void add_gitops(kube::Runtime& runtime, GitopsOptions options) {
  auto controller = std::make_unique<Controller>(runtime, options);
  Controller* const reconciler = controller.get();  // the runtime owns it, and its watches end before it does
  const kube::Queue queue = runtime.add(std::move(controller), 4);
  reconciler->set_queue(queue);
  runtime.watch(schema::kApplications, queue);
  runtime.watch(schema::kAppProjects, queue, [&runtime](const kube::Object& project) {
    std::vector<kube::ObjectKey> keys;
    for (const kube::Object& application : runtime.informer(schema::kApplications).list(project.ns())) {
      if (application.spec()["project"].as_string() == project.name()) keys.push_back(application.key());
    }
    return keys;
  });
  runtime.watch(schema::kConfigMaps, queue, [&runtime, home = options.home_namespace](const kube::Object& map) {
    std::vector<kube::ObjectKey> keys;
    if (map.name() != "argocd-cm" || map.ns() != home) return keys;
    for (const kube::Object& application : runtime.informer(schema::kApplications).list(""))
      keys.push_back(application.key());
    return keys;
  });
  if (options.push_events) {
    runtime.watch(schema::kPushEvents, queue,
                  [reconciler](const kube::Object& event) { return reconciler->pushed(event); });
  }
  add_application_sets(runtime, options.workers, options.repositories, options.poll_interval, options.push_events);
  add_notifications(runtime, options.workers, options.home_namespace);
}

}  // namespace caisson::gitops
