// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/scrape/scraper.h"

#include <condition_variable>
#include <thread>
#include <unordered_map>

#include "core/base/log.h"
#include "core/base/worker_pool.h"
#include "core/http/client.h"
#include "observe/metrics/exposition/protobuf.h"
#include "observe/metrics/model/format.h"

namespace caisson::metrics {
namespace {

constexpr std::size_t kBodyBytesMax = 64u << 20;
constexpr std::int64_t kAlignWithinMs =
    5;  // a scrape that begins this late counts as on time: its deltas compress away
constexpr std::string_view kAccept =
    "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

std::string accept_of(const ScrapeJob& job) {
  return job.native_histograms ? std::string(kProtobufAccept) + ";q=0.7," + std::string(kAccept) : std::string(kAccept);
}

std::int64_t to_ms(Time time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

// The labels under which a sample is stored. Prometheus' rule for conflicts: the target's label wins, and the sample's
// own becomes exported_NAME; with honor_labels the sample's wins.
Labels merge(const Labels& exposed, const Labels& target, bool honor_labels) {
  LabelsBuilder out(exposed);
  for (const LabelView label : target.items()) {
    const std::string own(out.get(label.name));
    if (honor_labels && !own.empty()) continue;
    if (!own.empty()) {
      std::string name = "exported_" + std::string(label.name);
      while (!out.get(name).empty()) name = "exported_" + name;
      out.set(name, own);
    }
    out.set(label.name, label.value);
  }
  return out.labels();
}

// What of a scrape did not go well, though some of it may have: a target that makes series without end is told so.
std::string fault_of(const Result<Exposition>& exposition, const Result<AppendCounts>& stored, std::size_t series_max) {
  if (!exposition.ok()) return exposition.error().message;
  if (!stored.ok()) return stored.error().message;
  if (stored->over_limit == 0) return "";
  return std::to_string(stored->over_limit) + " samples not stored: the limit of " + std::to_string(series_max) +
         " series is reached";
}

// One target or source with what is known of it. `mutex` guards status; the rest belongs to whoever scrapes.
struct Entry {
  Target target;
  Source source;  // read is empty for a target
  Relabeling metric_relabeling;
  std::optional<http::Client> client;

  struct Known {
    Labels labels;  // empty: relabelling dropped it
    std::uint64_t seen = 0;
  };
  std::unordered_map<Labels, Known, LabelsHash> known;  // by the labels that were exposed
  std::uint64_t scrapes = 0;

  std::int64_t own_interval_ms = 0;  // of a source

  std::int64_t due_ms = 0;  // GUARDED_BY the scraper's mutex, as the two below
  bool running = false, gone = false;
  mutable std::mutex mutex;
  TargetStatus status;

  std::int64_t interval_ms() const { return source.read ? source.interval_ms : target.interval_ms; }
  const Labels& labels() const { return source.read ? source.labels : target.labels; }
};
using EntryPtr = std::shared_ptr<Entry>;

Result<Exposition> fetch(Entry& entry) {
  if (entry.source.read) return entry.source.read();
  const ScrapeJob& job = *entry.target.job;
  if (!entry.client) {
    http::ClientOptions options;
    options.ca_pem = job.ca_pem;
    options.verify = !job.insecure_skip_verify;
    options.use_proxy = false;
    entry.client.emplace(options);
  }
  http::Request request;
  request.url = entry.target.url;
  request.time_max = std::chrono::milliseconds(entry.target.timeout_ms);
  request.response_bytes_max = kBodyBytesMax;
  request.headers.set("Accept", accept_of(job));
  request.headers.set("X-Prometheus-Scrape-Timeout-Seconds",
                      format_general(static_cast<double>(entry.target.timeout_ms) / 1000));
  if (!job.authorization.empty()) request.headers.set("Authorization", job.authorization);
  const http::Response response = TRY(entry.client->send(request));
  if (response.status != 200)
    return Error{ErrorCode::unavailable, "server returned HTTP status " + std::to_string(response.status) + " " +
                                             std::string(http::reason_phrase(response.status))};
  auto parsed =
      TRY(parse_exposition(response.headers.get("Content-Type"), response.body, {}, job.classic_histograms_too));
  if (job.sample_limit > 0 && parsed.samples.size() > job.sample_limit)
    return Error{ErrorCode::too_large, "sample limit exceeded: " + std::to_string(parsed.samples.size()) + " of " +
                                           std::to_string(job.sample_limit)};
  return parsed;
}

}  // namespace

struct Scraper::Impl {
  Tsdb& storage;
  SideData& side;
  Clock& clock;
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::vector<EntryPtr> entries;  // GUARDED_BY(mutex)
  bool stopping = false;          // GUARDED_BY(mutex)
  std::optional<WorkerPool> workers;
  std::thread timer;

  std::int64_t now_ms() const { return to_ms(clock.now()); }

  void run() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      const std::int64_t now = now_ms();
      std::int64_t next = now + 60'000;
      for (const EntryPtr& entry : entries) {
        if (!entry->running && entry->due_ms <= now) dispatch(entry, now);
        next = std::min(next, std::max(entry->due_ms, now + 1));
      }
      changed.wait_for(lock, std::chrono::milliseconds(next - now));
    }
  }

  // REQUIRES: mutex.
  void dispatch(const EntryPtr& entry, std::int64_t now) {
    const std::int64_t due = entry->due_ms, interval = entry->interval_ms();
    const std::int64_t t = due > 0 && now - due <= kAlignWithinMs ? due : now;
    // The rhythm is the hash of the labels, so that targets do not all come at once, and stays across restarts.
    const std::int64_t offset =
        static_cast<std::int64_t>(entry->labels().hash() % static_cast<std::uint64_t>(interval));
    entry->due_ms = ((now - offset) / interval + 1) * interval + offset;
    entry->running = true;
    const auto queued = workers->run([this, entry, t] {
      scrape(*entry, t);
      const std::lock_guard lock(mutex);
      entry->running = false;
      if (entry->gone) end(*entry, now_ms());
    });
    if (!queued.ok()) entry->running = false;
  }

  void scrape(Entry& entry, std::int64_t t) {
    const Duration began = clock.monotonic();
    auto exposition = fetch(entry);
    const double seconds = std::chrono::duration<double>(clock.monotonic() - began).count();
    std::vector<NewSample> samples;
    std::size_t exposed = 0, kept = 0, added = 0;
    ++entry.scrapes;
    if (exposition.ok()) {
      exposed = exposition->samples.size();
      take(entry, *exposition, t, samples, added);
      kept = samples.size();
    }
    mark_stale(entry, t, samples);
    const auto report = [&](const char* name, double v) {
      LabelsBuilder labels(entry.labels());
      labels.set(kMetricName, name);
      samples.push_back({labels.labels(), t, v, nullptr});
    };
    report("up", exposition.ok() ? 1 : 0);
    report("scrape_duration_seconds", seconds);
    report("scrape_samples_scraped", static_cast<double>(exposed));
    report("scrape_samples_post_metric_relabeling", static_cast<double>(kept));
    report("scrape_series_added", static_cast<double>(added));
    const auto stored = storage.append(samples);
    const std::lock_guard lock(entry.mutex);
    entry.status.health = exposition.ok() ? "up" : "down";
    entry.status.error = fault_of(exposition, stored, storage.series_max());
    entry.status.last_scrape_ms = t;
    entry.status.last_duration_s = seconds;
  }

  void take(Entry& entry, const Exposition& exposition, std::int64_t t, std::vector<NewSample>& samples,
            std::size_t& added) {
    const bool honor_labels = entry.source.read || entry.target.job->honor_labels;
    const bool honor_times = entry.source.read || entry.target.job->honor_timestamps;
    samples.reserve(exposition.samples.size() + 5);
    for (const ExposedSample& sample : exposition.samples) {
      auto [at, is_new] = entry.known.try_emplace(sample.labels);
      if (is_new) {
        const auto relabeled = entry.metric_relabeling.apply(merge(sample.labels, entry.labels(), honor_labels));
        if (relabeled && !relabeled->get(kMetricName).empty()) at->second.labels = *relabeled;
        if (!at->second.labels.empty()) ++added;
      }
      const bool own_time = sample.t && honor_times;
      at->second.seen = own_time ? UINT64_MAX : entry.scrapes;  // a sample with its own time never goes stale
      if (at->second.labels.empty()) continue;
      samples.push_back({at->second.labels, own_time ? *sample.t : t, sample.v, sample.h});
      if (sample.exemplar)
        side.add({at->second.labels, sample.exemplar->labels, sample.exemplar->v, sample.exemplar->t.value_or(t)});
    }
    if (entry.scrapes % 20 == 1)
      for (const MetricMetadata& metadata : exposition.metadata) side.note(metadata);
  }

  static void mark_stale(Entry& entry, std::int64_t t, std::vector<NewSample>& samples) {
    for (auto at = entry.known.begin(); at != entry.known.end();) {
      if (at->second.seen >= entry.scrapes) {
        ++at;
        continue;
      }
      if (!at->second.labels.empty()) samples.push_back({at->second.labels, t, stale_nan(), nullptr});
      at = entry.known.erase(at);
    }
  }

  // The target is gone: every series of it ends.
  void end(Entry& entry, std::int64_t t) {
    std::vector<NewSample> samples;
    ++entry.scrapes;
    for (auto& [exposed, known] : entry.known) known.seen = 0;
    mark_stale(entry, t, samples);
    for (const char* name : {"up", "scrape_duration_seconds", "scrape_samples_scraped",
                             "scrape_samples_post_metric_relabeling", "scrape_series_added"}) {
      LabelsBuilder labels(entry.labels());
      labels.set(kMetricName, name);
      samples.push_back({labels.labels(), t, stale_nan(), nullptr});
    }
    if (const auto stored = storage.append(samples); !stored.ok())
      log::warning("stale markers not stored", {{"target", entry.status.url}, {"error", stored.error()}});
  }
};

Scraper::Scraper(Tsdb& storage, SideData& side, Clock& clock) : impl_(new Impl{storage, side, clock}) {}

Scraper::~Scraper() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  if (impl_->timer.joinable()) impl_->timer.join();
  impl_->workers.reset();
}

void Scraper::start() {
  impl_->workers.emplace("scrape", 3);
  impl_->timer = std::thread([this] { impl_->run(); });
}

void Scraper::add(Source source) {
  auto entry = std::make_shared<Entry>();
  entry->status = {source.name, source.url, source.labels, source.labels, source.interval_ms, source.interval_ms};
  entry->own_interval_ms = source.interval_ms;
  entry->source = std::move(source);
  const std::lock_guard lock(impl_->mutex);
  impl_->entries.push_back(std::move(entry));
  impl_->changed.notify_all();
}

void Scraper::set_source_interval(std::int64_t interval_ms) {
  const std::lock_guard lock(impl_->mutex);
  for (const EntryPtr& entry : impl_->entries) {
    const std::int64_t wanted = interval_ms > 0 ? interval_ms : entry->own_interval_ms;
    if (!entry->source.read || entry->source.interval_ms == wanted) continue;
    entry->source.interval_ms = wanted;
    entry->due_ms = 0;
    const std::lock_guard own(entry->mutex);
    entry->status.interval_ms = entry->status.timeout_ms = wanted;
  }
  impl_->changed.notify_all();
}

void Scraper::set_targets(std::vector<Target> targets) {
  const std::lock_guard lock(impl_->mutex);
  std::vector<EntryPtr> kept;
  std::unordered_multimap<Labels, EntryPtr, LabelsHash> before;
  for (EntryPtr& entry : impl_->entries) {
    if (entry->source.read)
      kept.push_back(std::move(entry));
    else
      before.emplace(entry->target.labels, std::move(entry));
  }
  for (Target& target : targets) {
    const auto [first, last] = before.equal_range(target.labels);
    const auto same = std::find_if(first, last, [&](const auto& b) {
      return b.second->target.url == target.url && *b.second->target.job == *target.job;
    });
    if (same != last) {
      kept.push_back(same->second);
      before.erase(same);
      continue;
    }
    auto compiled = Relabeling::compile(target.job->metric_relabeling);
    if (!compiled.ok()) {
      log::warning("metric relabelling can't be compiled", {{"job", target.job->pool}, {"error", compiled.error()}});
      continue;
    }
    auto entry = std::make_shared<Entry>();
    entry->metric_relabeling = std::move(compiled).value();
    entry->status = {target.job->pool, target.url,         target.discovered,
                     target.labels,    target.interval_ms, target.timeout_ms};
    entry->target = std::move(target);
    kept.push_back(std::move(entry));
  }
  impl_->entries = std::move(kept);
  for (auto& [labels, entry] : before) {
    entry->gone = true;
    if (!entry->running && entry->scrapes > 0) impl_->end(*entry, impl_->now_ms());
  }
  impl_->changed.notify_all();
}

std::vector<TargetStatus> Scraper::targets() const {
  std::vector<TargetStatus> all;
  const std::lock_guard lock(impl_->mutex);
  for (const EntryPtr& entry : impl_->entries) {
    const std::lock_guard own(entry->mutex);
    all.push_back(entry->status);
  }
  return all;
}

}  // namespace caisson::metrics
