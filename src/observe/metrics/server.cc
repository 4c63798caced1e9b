// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/server.h"

#include <algorithm>
#include <condition_variable>
#include <thread>

#include "core/base/log.h"
#include "core/document/yaml.h"
#include "observe/metrics/api/federate.h"
#include "observe/metrics/api/parameters.h"
#include "observe/metrics/api/query_api.h"
#include "observe/metrics/api/response.h"
#include "observe/metrics/api/state_api.h"
#include "observe/metrics/model/format.h"
#include "observe/metrics/promql/parser.h"
#include "observe/metrics/remote/receiver.h"
#include "observe/metrics/remote/sender.h"
#include "observe/metrics/sources/kube_state.h"
#include "observe/metrics/sources/own.h"
#include "observe/metrics/tree_json.h"

namespace caisson::metrics {
namespace {

constexpr std::int64_t kMaintainEveryMs = 60'000;

std::int64_t to_ms(Time time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

const kube::Resource& prometheus_rules() {
  static const kube::Resource kind{"monitoring.coreos.com", "v1", "PrometheusRule", "prometheusrules"};
  return kind;
}

// prometheus.yml as far as it is read.
struct Config {
  ScrapeDefaults scrape;
  std::int64_t evaluation_ms = 30'000;
  std::int64_t source_ms = 0;  // 0: what is built in has a rhythm of its own
  bool default_rules = true;
  std::vector<DiscoveredJob> jobs;
  std::vector<RemoteWrite> remotes;
  std::string text;
};

Result<Config> parse_config(const std::string& text) {
  Config config;
  config.text = text;
  const Value document = TRY(yaml::read(text, {.name = "prometheus.yml"}));
  const Value& global = document["global"];
  for (const auto& [key, into] : {std::pair("scrape_interval", &config.scrape.interval_ms),
                                  std::pair("scrape_timeout", &config.scrape.timeout_ms),
                                  std::pair("evaluation_interval", &config.evaluation_ms)})
    if (global.contains(key)) *into = TRY(parse_duration(global[key].as_string()).in(key));
  if (global.contains("scrape_interval")) config.source_ms = config.scrape.interval_ms;
  config.default_rules = document["default_rules"].as_bool(true);
  config.scrape.native_histograms = global["scrape_native_histograms"].as_bool();
  config.jobs = TRY(static_jobs(document["scrape_configs"], config.scrape));
  config.remotes = TRY(parse_remote_writes(document["remote_write"]));
  return config;
}

}  // namespace

struct Server::Impl {
  ServerOptions options;
  ObjectLister list;
  Clock& clock;
  std::unique_ptr<Tsdb> storage;
  SideData side;
  std::unique_ptr<RemoteSender> remotes;  // after what it reads, before what is stored
  std::unique_ptr<Scraper> scraper;
  std::unique_ptr<RuleManager> rules;
  ApiOptions api;
  std::int64_t started_ms = 0;

  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;  // GUARDED_BY(mutex), as the three below
  std::vector<std::string> problems;
  std::int64_t problems_ms = 0;  // since when
  std::string config_text;
  std::thread thread;

  Config read_config(const std::vector<kube::Object>& maps, std::vector<std::string>& found) {
    for (const kube::Object& map : maps) {
      if (map.ns() != "caisson-system" || map.name() != "prometheus") continue;
      auto config = parse_config(map["data"]["prometheus.yml"].str());
      if (config.ok()) return std::move(config).value();
      found.push_back("ConfigMap caisson-system/prometheus: " + config.error().message);
    }
    return {};
  }

  std::vector<RuleGroup> read_rules(const Config& config, const std::vector<kube::Object>& maps,
                                    std::vector<std::string>& found) {
    std::vector<RuleGroup> groups;
    if (config.default_rules) groups = options.default_rules;
    const auto take = [&](const Value& document, const std::string& file, const RuleLanguage& language) {
      auto parsed = parse_rule_groups(document, file, config.evaluation_ms, language.check);
      if (!parsed.ok()) return found.push_back(file + ": " + parsed.error().message);
      for (RuleGroup group : *parsed) {
        group.language = language.name;
        groups.push_back(std::move(group));
      }
    };
    const RuleLanguage promql{"", "", check_promql, {}};
    for (const kube::Object& object : list(prometheus_rules()))
      take(object.spec(), "PrometheusRule " + object.key().str(), promql);
    for (const kube::Object& map : maps) {
      const RuleLanguage* language = map.label("caisson.dev/rules") == "true" ? &promql : nullptr;
      for (const RuleLanguage& other : options.languages)
        if (map.metadata()["labels"].contains(other.map_label)) language = &other;
      if (!language) continue;
      for (const auto& entry : map["data"].entries()) {
        const std::string file = "ConfigMap " + map.key().str() + " " + std::string(entry.key);
        const auto document = yaml::read(entry.value.as_string(), {.name = std::string(entry.key)});
        if (document.ok())
          take(*document, file, *language);
        else
          found.push_back(file + ": " + document.error().message);
      }
    }
    return groups;
  }

  std::vector<Target> read_targets(const Config& config, std::vector<std::string>& found) {
    Discovered discovered = discover(list, config.scrape);
    found.insert(found.end(), discovered.problems.begin(), discovered.problems.end());
    for (const DiscoveredJob& job : config.jobs) discovered.jobs.push_back(job);
    std::vector<Target> targets;
    for (const DiscoveredJob& job : discovered.jobs)
      for (const Labels& labels : job.targets) {
        auto target = make_target(job.job, labels);
        if (!target.ok())
          found.push_back(job.job->pool + ": " + target.error().message);
        else if (*target)
          targets.push_back(**target);
      }
    return targets;
  }

  void refresh() {
    std::vector<std::string> found;
    const auto maps = list(schema::kConfigMaps);
    const Config config = read_config(maps, found);
    if (found.empty() || !config.text.empty())
      remotes->set_remotes(config.remotes);  // a text with a mistake changes none
    scraper->set_source_interval(config.source_ms);
    scraper->set_targets(read_targets(config, found));
    rules->set_groups(read_rules(config, maps, found));
    const std::lock_guard lock(mutex);
    if (found != problems) {
      problems_ms = to_ms(clock.now());
      for (const std::string& problem : found) log::warning("metrics configuration not read", {{"problem", problem}});
    }
    problems = std::move(found);
    config_text = config.text;
  }

  void run() {
    std::int64_t maintained = to_ms(clock.now());
    std::unique_lock lock(mutex);
    while (!stopping) {
      lock.unlock();
      refresh();
      const std::int64_t now = to_ms(clock.now());
      if (now - maintained >= kMaintainEveryMs) {
        maintained = now;
        if (const auto done = storage->maintain(now); !done.ok())
          log::error("metrics storage not maintained", {{"error", done.error()}});
      }
      lock.lock();
      changed.wait_for(lock, std::chrono::milliseconds(options.refresh_ms), [this] { return stopping; });
    }
  }

  Exposition own_state() {
    Families out;
    const std::lock_guard lock(mutex);
    out.family("caisson_metrics_config_problems", "gauge", "Monitors, probes, rules and settings that can't be read.");
    out.add({}, static_cast<double>(problems.size()));
    return joined(out.take(), remotes->read());
  }

  Result<void> remove(const Parameters& parameters) {
    if (parameters.get("match[]").empty()) return Error{ErrorCode::bad_request, "no match[] parameter provided"};
    const std::int64_t start = TRY(parameters.time("start", INT64_MIN)), end = TRY(parameters.time("end", INT64_MAX));
    for (const auto& [name, value] : parameters.all()) {
      if (name != "match[]") continue;
      const auto matchers = promql::parse_selector(value);
      if (!matchers.ok()) return bad_parameter("match[]", matchers.error().message);
      TRY(storage->remove(*matchers, start, end));
    }
    return {};
  }

  http::Response remove_series(const http::Query& parameters) {
    const auto removed = remove(Parameters(parameters));
    return removed.ok() ? http::Response{204, {}, ""} : error_response(removed.error());
  }

  // What is wrong with the configuration now, as the notifications that upstream's pages show.
  Value notifications() {
    Value out = Value::list();
    const std::lock_guard lock(mutex);
    for (const std::string& problem : problems)
      out.push_back(Value{{"text", problem},
                          {"date", format_time_nanos(Time(std::chrono::milliseconds(problems_ms)))},
                          {"active", true}});
    return out;
  }

  ServerState state() {
    ServerState state{scraper->targets(), rules->groups(), &side, started_ms, to_ms(clock.now())};
    const std::lock_guard lock(mutex);
    state.config = config_text;
    state.retention_ms = options.storage.retention_ms;
    return state;
  }
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
}

Result<std::unique_ptr<Server>> Server::open(ServerOptions options, ObjectLister list, AlertSink alerts, Clock& clock) {
  auto impl = std::unique_ptr<Impl>(new Impl{std::move(options), std::move(list), clock});
  impl->storage = TRY(Tsdb::open(impl->options.directory, impl->options.storage));
  impl->started_ms = to_ms(clock.now());
  impl->remotes = std::make_unique<RemoteSender>(*impl->storage, impl->options.directory + "/remote", clock);
  impl->storage->on_append(
      [sender = impl->remotes.get()](std::span<const NewSample> samples) { sender->offer(samples); });
  impl->scraper = std::make_unique<Scraper>(*impl->storage, impl->side, clock);
  RuleManager::Options rules;
  rules.state_file = impl->options.directory + "/alerts.json";
  rules.external_url = impl->options.external_url;
  for (const RuleLanguage& language : impl->options.languages) rules.languages[language.name] = language.query;
  impl->rules = std::make_unique<RuleManager>(*impl->storage, clock, std::move(rules), std::move(alerts));
  Impl* own = impl.get();
  impl->scraper->add({"kube-state-metrics", "internal:kube-state-metrics",
                      Labels::from({{"job", "kube-state-metrics"}, {"instance", "caisson"}}), 15'000,
                      [own]() -> Result<Exposition> { return kube_state(own->list); }});
  impl->scraper->add({"caisson-metrics", "internal:metrics",
                      Labels::from({{"job", "caisson-metrics"}, {"instance", "caisson"}}), 15'000,
                      [own]() -> Result<Exposition> { return own->own_state(); }});
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

void Server::add(Source source) {
  impl_->scraper->add(std::move(source));
}

void Server::start() {
  impl_->scraper->start();
  impl_->rules->start();
  impl_->thread = std::thread([this] { impl_->run(); });
}

Tsdb& Server::storage() {
  return *impl_->storage;
}

std::vector<GroupView> Server::rule_groups(std::string_view language) const {
  std::vector<GroupView> groups = impl_->rules->groups();
  std::erase_if(groups, [&](const GroupView& view) { return view.group.language != language; });
  return groups;
}

namespace {

// Whether upstream has this method of this path: POST where parameters may be long, and at the administration.
bool has_method(std::string_view method, std::string_view path) {
  if (path.starts_with("/api/v1/admin/")) return method == "POST" || method == "PUT";
  if (method == "GET" || method == "HEAD") return true;
  constexpr std::string_view kLong[] = {"query",       "query_range", "query_exemplars", "format_query",
                                        "parse_query", "labels",      "series"};
  constexpr std::string_view kPrefix = "/api/v1/";
  return method == "POST" && path.starts_with(kPrefix) &&
         std::find(std::begin(kLong), std::end(kLong), path.substr(kPrefix.size())) != std::end(kLong);
}

}  // namespace

http::Response Server::answer(std::string_view method, std::string_view path, const http::Query& parameters) {
  if (!has_method(method, path)) return {405, {{"Content-Type", "text/plain; charset=utf-8"}}, "Method Not Allowed\n"};
  if (path == "/-/healthy" || path == "/-/ready")
    return {200, {{"Content-Type", "text/plain"}}, "Prometheus Server is Ready.\n"};
  if (path == "/metrics") {
    Families process;
    process_state(process);
    return {200,
            {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}},
            write_text(joined(process.take(), impl_->own_state()))};
  }
  if (path == "/federate") return federate(*impl_->storage, to_ms(impl_->clock.now()), parameters);
  if (path == "/api/v1/admin/tsdb/delete_series") return impl_->remove_series(parameters);
  if (path == "/api/v1/admin/tsdb/clean_tombstones") return {204, {}, ""};  // deletions take effect at once
  if (path == "/api/v1/parse_query") return answer_parse_query(parameters);
  if (path == "/api/v1/notifications") return data_response(impl_->notifications());
  if (path == "/api/v1/status/walreplay")  // the log was read before anybody was answered
    return data_response(Value{{"min", 0}, {"max", 0}, {"current", 0}});
  if (const auto answer = answer_state_api(impl_->state(), path, parameters)) return *answer;
  return answer_query_api(*impl_->storage, impl_->api, to_ms(impl_->clock.now()), path, parameters);
}

http::Response Server::write(const http::Headers& headers, std::string_view body) {
  return receive_write(*impl_->storage, impl_->side, headers, body, to_ms(impl_->clock.now()));
}

std::vector<kube::Resource> Server::kinds() {
  std::vector<kube::Resource> kinds = kube_state_kinds();
  for (const kube::Resource* more :
       {&schema::kEndpointSlices, &service_monitors(), &pod_monitors(), &probes(), &prometheus_rules()})
    kinds.push_back(*more);
  return kinds;
}

}  // namespace caisson::metrics
