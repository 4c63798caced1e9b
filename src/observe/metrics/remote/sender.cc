// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/remote/sender.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <thread>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/http/client.h"

namespace caisson::metrics {
namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::int64_t kWindowMs = 10 * 60'000;  // of what is read back at once
constexpr std::int64_t kNever = INT64_MAX;
constexpr auto kStateEvery = std::chrono::seconds(10);

enum class Delivery { done, refused, stopped };

// What one remote has done, for prometheus_remote_storage_….
struct Counts {
  std::uint64_t sent = 0, failed = 0, retried = 0, bytes = 0;
  std::int64_t newest_sent_ms = 0;
};

// One remote with its thread.
class Worker {
 public:
  Worker(RemoteWrite remote, const Tsdb& storage, std::string state_file, std::int64_t now_ms)
      : remote_(std::move(remote)), storage_(storage), state_file_(std::move(state_file)), client_(client_options()) {
    if (auto rules = Relabeling::compile(remote_.relabeling); rules.ok()) rules_ = std::move(rules).value();
    delivered_until_ = now_ms;
    if (const auto text = read_file(state_file_); text.ok())
      if (const auto state = json::parse(*text); state.ok())
        behind_since_ = delivered_until_ = (*state)["deliveredUntil"].as_int(now_ms);
    write_state();
    thread_ = std::thread([this] { run(); });
  }

  ~Worker() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
    write_state();
  }

  const RemoteWrite& remote() const { return remote_; }

  void offer(std::span<const NewSample> samples) {
    const std::lock_guard lock(mutex_);
    const bool was_empty = queue_.empty();
    for (const NewSample& sample : samples) {
      newest_offered_ = std::max(newest_offered_, sample.t);
      if (queue_.size() < remote_.capacity)
        queue_.push_back(sample);
      else
        behind_since_ = std::min(behind_since_, sample.t);
    }
    if (was_empty) oldest_since_ = Steady::now();
    if (was_empty || queue_.size() >= remote_.samples_per_send_max) changed_.notify_all();
  }

  void expose(std::vector<std::pair<Counts, std::size_t>>& out) const {
    const std::lock_guard lock(mutex_);
    out.emplace_back(counts_, queue_.size());
  }

 private:
  http::ClientOptions client_options() const {
    http::ClientOptions options;
    options.ca_pem = remote_.ca_pem;
    options.verify = !remote_.insecure_skip_verify;
    return options;
  }

  void run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      const auto due = oldest_since_ + milliseconds(remote_.batch_deadline_ms);
      if (queue_.empty() && behind_since_ == kNever) {
        changed_.wait(lock);
      } else if (!queue_.empty() && queue_.size() < remote_.samples_per_send_max && behind_since_ == kNever &&
                 Steady::now() < due) {
        changed_.wait_until(lock, due);
      } else if (queue_.empty()) {
        catch_up(lock);
      } else {
        send_queued(lock);
      }
    }
  }

  // REQUIRES: lock is held; it is while this returns.
  void send_queued(std::unique_lock<std::mutex>& lock) {
    const std::size_t count = std::min(queue_.size(), remote_.samples_per_send_max);
    std::vector<NewSample> batch(std::make_move_iterator(queue_.begin()),
                                 std::make_move_iterator(queue_.begin() + static_cast<std::ptrdiff_t>(count)));
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(count));
    oldest_since_ = Steady::now();
    in_flight_since_ = oldest_of(batch);
    lock.unlock();
    const Delivery delivery = deliver(batch);
    lock.lock();
    if (delivery == Delivery::stopped) behind_since_ = std::min(behind_since_, in_flight_since_);
    in_flight_since_ = kNever;
    if (Steady::now() - state_written_ >= kStateEvery) write_state_locked();
  }

  // Sends again what the queue could not hold, from the storage.
  void catch_up(std::unique_lock<std::mutex>& lock) {
    std::int64_t from = behind_since_;
    behind_since_ = kNever;
    in_flight_since_ = from;
    lock.unlock();
    const TsdbStats there = storage_.stats();
    const std::int64_t until = there.newest;
    from = std::max(from, there.oldest);
    bool stopped = false;
    for (; from <= until && !stopped; from += kWindowMs)
      stopped = send_window(from, std::min(from + kWindowMs - 1, until)) == Delivery::stopped;
    lock.lock();
    if (stopped) behind_since_ = std::min(behind_since_, from - kWindowMs);
    in_flight_since_ = kNever;
    write_state_locked();
  }

  Delivery send_window(std::int64_t mint, std::int64_t maxt) {
    const auto series = storage_.select({}, mint, maxt);
    if (!series.ok()) {
      log::error("remote write can't read the storage", {{"remote", remote_.name}, {"error", series.error()}});
      return Delivery::refused;
    }
    std::vector<NewSample> batch;
    for (const auto& one : *series) {
      Samples samples;
      if (const auto read = one->read(mint, maxt, samples); !read.ok()) continue;  // deleted meanwhile
      for (const FloatPoint& point : samples.floats) batch.push_back({one->labels(), point.t, point.v, nullptr});
      for (const HistogramPoint& point : samples.histograms) batch.push_back({one->labels(), point.t, 0, point.h});
      if (batch.size() < remote_.samples_per_send_max) continue;
      if (deliver(batch) == Delivery::stopped) return Delivery::stopped;
      batch.clear();
    }
    return deliver(batch);
  }

  std::vector<NewSample> relabeled(const std::vector<NewSample>& batch) const {
    std::vector<NewSample> out;
    out.reserve(batch.size());
    for (const NewSample& sample : batch) {
      if (sample.h && !remote_.histograms) continue;
      const auto labels = remote_.relabeling.empty() ? std::optional(sample.labels) : rules_.apply(sample.labels);
      if (labels && !labels->empty()) out.push_back({*labels, sample.t, sample.v, sample.h});
    }
    return out;
  }

  http::Request request_of(std::string body) const {
    http::Request request;
    request.method = "POST";
    request.url = remote_.url;
    request.time_max = milliseconds(remote_.timeout_ms);
    request.response_bytes_max = 64u << 10;
    for (const auto& [name, value] : remote_.headers) request.headers.set(name, value);
    if (!remote_.authorization.empty()) request.headers.set("Authorization", remote_.authorization);
    request.headers.set("Content-Type", content_type_of(remote_.protocol));
    request.headers.set("Content-Encoding", "snappy");
    request.headers.set("X-Prometheus-Remote-Write-Version", remote_.protocol == WriteProtocol::v1 ? "0.1.0" : "2.0.0");
    request.body = std::move(body);
    return request;
  }

  // Until it is delivered, refused for good, or this ends.
  Delivery deliver(const std::vector<NewSample>& batch) {
    const std::vector<NewSample> samples = relabeled(batch);
    if (samples.empty()) return Delivery::done;
    const http::Request request = request_of(make_write_request(remote_.protocol, samples));
    std::int64_t backoff_ms = remote_.backoff_min_ms;
    while (true) {
      const auto response = client_.send(request);
      const int status = response.ok() ? response->status : 0;
      if (status >= 200 && status < 300) return note_sent(samples, request.body.size());
      const bool again = status == 0 || status >= 500 || (status == 429 && remote_.retry_on_429);
      const std::string why = response.ok() ? "HTTP " + std::to_string(status) + ": " +
                                                  std::string(caisson::trim(response->body)).substr(0, 500)
                                            : response.error().message;
      if (!again) return note_refused(samples, why);
      if (!wait(backoff_ms, samples.size(), why)) return Delivery::stopped;
      backoff_ms = std::min(backoff_ms * 2, remote_.backoff_max_ms);
    }
  }

  Delivery note_sent(const std::vector<NewSample>& samples, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    if (away_) log::info("remote write goes on", {{"remote", remote_.name}});
    away_ = false;
    counts_.sent += samples.size();
    counts_.bytes += bytes;
    for (const NewSample& sample : samples) counts_.newest_sent_ms = std::max(counts_.newest_sent_ms, sample.t);
    return Delivery::done;
  }

  Delivery note_refused(const std::vector<NewSample>& samples, const std::string& why) {
    const std::lock_guard lock(mutex_);
    counts_.failed += samples.size();
    if (why != last_refusal_)
      log::error("remote write: samples refused for good",
                 {{"remote", remote_.name}, {"samples", samples.size()}, {"answer", why}});
    last_refusal_ = why;
    return Delivery::refused;
  }

  // False when this ends.
  bool wait(std::int64_t ms, std::size_t samples, const std::string& why) {
    std::unique_lock lock(mutex_);
    counts_.retried += samples;
    if (!away_) log::warning("remote write waits for its remote", {{"remote", remote_.name}, {"answer", why}});
    away_ = true;
    changed_.wait_for(lock, milliseconds(ms), [this] { return stopping_; });
    return !stopping_;
  }

  static std::int64_t oldest_of(const std::vector<NewSample>& samples) {
    std::int64_t t = kNever;
    for (const NewSample& sample : samples) t = std::min(t, sample.t);
    return t;
  }

  void write_state() {
    const std::lock_guard lock(mutex_);
    write_state_locked();
  }
  // REQUIRES: mutex_.
  void write_state_locked() {
    std::int64_t undelivered = std::min(behind_since_, in_flight_since_);
    for (const NewSample& sample : queue_) undelivered = std::min(undelivered, sample.t);
    if (undelivered != kNever)
      delivered_until_ = undelivered;
    else
      delivered_until_ = std::max(delivered_until_, newest_offered_ + 1);
    state_written_ = Steady::now();
    const auto written =
        write_file(state_file_, json::write(Value{{"deliveredUntil", delivered_until_}, {"url", remote_.url}}));
    if (!written.ok())
      log::error("state of remote write not written", {{"remote", remote_.name}, {"error", written.error()}});
  }

  const RemoteWrite remote_;
  const Tsdb& storage_;
  const std::string state_file_;
  const http::Client client_;
  Relabeling rules_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<NewSample> queue_;
  Steady::time_point oldest_since_{}, state_written_{};
  std::int64_t behind_since_ = kNever;     // from here on it is read back from the storage
  std::int64_t in_flight_since_ = kNever;  // the oldest sample of what is being sent
  std::int64_t newest_offered_ = 0, delivered_until_ = 0;
  Counts counts_;
  std::string last_refusal_;
  bool away_ = false, stopping_ = false;
  std::thread thread_;
};

}  // namespace

struct RemoteSender::Impl {
  const Tsdb& storage;
  std::string directory;
  Clock& clock;
  mutable std::mutex mutex;
  std::vector<std::unique_ptr<Worker>> workers;  // GUARDED_BY(mutex)
  std::atomic<bool> any = false;                 // so that nobody waits when there is none
};

RemoteSender::RemoteSender(const Tsdb& storage, std::string directory, Clock& clock)
    : impl_(new Impl{storage, std::move(directory), clock}) {}
RemoteSender::~RemoteSender() = default;

void RemoteSender::set_remotes(std::vector<RemoteWrite> remotes) {
  const std::lock_guard lock(impl_->mutex);
  auto before = std::move(impl_->workers);
  impl_->workers.clear();
  if (!remotes.empty())
    if (const auto made = make_dirs(impl_->directory); !made.ok())
      log::error("remote write keeps no state", {{"error", made.error()}});
  const auto now_ms = std::chrono::duration_cast<milliseconds>(impl_->clock.now().time_since_epoch()).count();
  for (RemoteWrite& remote : remotes) {
    const auto same = std::find_if(before.begin(), before.end(),
                                   [&](const auto& worker) { return worker && worker->remote() == remote; });
    if (same != before.end()) {
      impl_->workers.push_back(std::move(*same));
      continue;
    }
    for (auto& worker : before)
      if (worker && worker->remote().name == remote.name) worker.reset();  // writes its state, which the new one reads
    const std::string state = impl_->directory + "/" + remote.name + ".json";
    impl_->workers.push_back(std::make_unique<Worker>(std::move(remote), impl_->storage, state, now_ms));
  }
  impl_->any = !impl_->workers.empty();
}

void RemoteSender::offer(std::span<const NewSample> samples) {
  if (!impl_->any) return;
  const std::lock_guard lock(impl_->mutex);
  for (const auto& worker : impl_->workers) worker->offer(samples);
}

Exposition RemoteSender::read() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<std::pair<Counts, std::size_t>> counts;
  for (const auto& worker : impl_->workers) worker->expose(counts);
  Families out;
  const auto family = [&](const char* name, const char* type, const char* help, auto value) {
    if (counts.empty()) return;
    out.family(name, type, help);
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const RemoteWrite& remote = impl_->workers[i]->remote();
      const auto url = http::Url::parse(remote.url);
      out.add({{"remote_name", remote.name}, {"url", url.ok() ? url->str_without_userinfo() : ""}},
              static_cast<double>(value(counts[i].first, counts[i].second)));
    }
  };
  family("prometheus_remote_storage_samples_total", "counter", "Samples delivered.",
         [](const Counts& c, std::size_t) { return c.sent; });
  family("prometheus_remote_storage_samples_failed_total", "counter", "Samples that the remote refused for good.",
         [](const Counts& c, std::size_t) { return c.failed; });
  family("prometheus_remote_storage_samples_retried_total", "counter",
         "Samples sent again after an error that may pass.", [](const Counts& c, std::size_t) { return c.retried; });
  family("prometheus_remote_storage_bytes_total", "counter", "Bytes of delivered requests, compressed.",
         [](const Counts& c, std::size_t) { return c.bytes; });
  family("prometheus_remote_storage_samples_pending", "gauge", "Samples that wait in memory.",
         [](const Counts&, std::size_t pending) { return pending; });
  family("prometheus_remote_storage_queue_highest_sent_timestamp_seconds", "gauge",
         "Time of the newest sample that was delivered.",
         [](const Counts& c, std::size_t) { return c.newest_sent_ms / 1000; });
  return out.take();
}

}  // namespace caisson::metrics
