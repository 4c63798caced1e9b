// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/scrape/discovery.h"

#include "cluster/kube/selector.h"
#include "core/base/encoding.h"
#include "core/base/text.h"
#include "observe/metrics/model/format.h"
#include "observe/metrics/scrape/kube_labels.h"

namespace caisson::metrics {

const kube::Resource& service_monitors() {
  static const kube::Resource kind{"monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors"};
  return kind;
}

const kube::Resource& pod_monitors() {
  static const kube::Resource kind{"monitoring.coreos.com", "v1", "PodMonitor", "podmonitors"};
  return kind;
}

const kube::Resource& probes() {
  static const kube::Resource kind{"monitoring.coreos.com", "v1", "Probe", "probes"};
  return kind;
}

namespace {

std::int64_t duration_or(const Value& text, std::int64_t otherwise) {
  const auto ms = parse_duration(text.as_string());
  return ms.ok() && *ms > 0 ? *ms : otherwise;
}

// Protobuf comes first when the list of protocols begins with it, or without a list when native histograms are wanted.
bool wants_protobuf(const Value& protocols, bool native_histograms) {
  return protocols.empty() ? native_histograms : protocols.items()[0].as_string() == "PrometheusProto";
}

// A value in Secret or ConfigMap `selector` {name, key}; empty when absent.
class Secrets {
 public:
  explicit Secrets(const ObjectLister& list) : list_(list) {}
  std::string secret(const std::string& ns, const Value& selector) {
    if (!selector.is_map()) return "";
    if (!loaded_) secrets_ = list_(schema::kSecrets);
    loaded_ = true;
    for (const kube::Object& object : secrets_)
      if (object.ns() == ns && object.name() == selector["name"].as_string())
        return unbase64(object["data"][selector["key"].as_string()].as_string()).ok()
                   ? unbase64(object["data"][selector["key"].as_string()].as_string()).value()
                   : "";
    return "";
  }

 private:
  const ObjectLister& list_;
  std::vector<kube::Object> secrets_;
  bool loaded_ = false;
};

// The operator's kinds as jobs.
class MonitorJobs {
 public:
  MonitorJobs(const ObjectLister& list, const ScrapeDefaults& defaults)
      : list_(list), defaults_(defaults), objects_(list), secrets_(list) {}

  Discovered all() {
    each(
        service_monitors(), "serviceMonitor", "endpoints",
        [this](const kube::Object& m, const Value& e, ScrapeJob job) { return service_monitor(m, e, std::move(job)); });
    each(pod_monitors(), "podMonitor", "podMetricsEndpoints",
         [this](const kube::Object& m, const Value& e, ScrapeJob job) { return pod_monitor(m, e, std::move(job)); });
    for (const kube::Object& probe : list_(probes())) {
      auto job = make_probe(probe);
      if (job.ok())
        out_.jobs.push_back(std::move(job).value());
      else
        out_.problems.push_back("Probe " + probe.key().str() + ": " + job.error().message);
    }
    annotated();
    return std::move(out_);
  }

 private:
  template <class Make>
  void each(const kube::Resource& kind, const char* pool, const char* endpoints, Make make) {
    for (const kube::Object& monitor : list_(kind)) {
      int index = 0;
      for (const Value& endpoint : monitor.spec()[endpoints].items()) {
        auto job = base_job(monitor, endpoint);
        if (job.ok()) {
          ScrapeJob base = std::move(job).value();
          base.pool = std::string(pool) + "/" + monitor.key().str() + "/" + std::to_string(index++);
          job = Result<ScrapeJob>(std::move(base));
        }
        Result<DiscoveredJob> made =
            job.ok() ? make(monitor, endpoint, std::move(job).value()) : Result<DiscoveredJob>(job.error());
        if (made.ok())
          out_.jobs.push_back(std::move(made).value());
        else
          out_.problems.push_back(kind.kind + " " + monitor.key().str() + ": " + made.error().message);
      }
    }
  }

  Result<ScrapeJob> base_job(const kube::Object& monitor, const Value& from) {
    ScrapeJob job;
    job.interval_ms = duration_or(from["interval"], defaults_.interval_ms);
    job.timeout_ms = duration_or(from["scrapeTimeout"], std::min(defaults_.timeout_ms, job.interval_ms));
    job.path = from["path"].as_string("/metrics");
    job.scheme = to_lower(from["scheme"].as_string("http"));
    for (const auto& entry : from["params"].entries())
      for (const Value& value : entry.value.items()) job.params.emplace_back(entry.key, value.str());
    job.honor_labels = from["honorLabels"].as_bool();
    job.honor_timestamps = from["honorTimestamps"].as_bool(true);
    job.sample_limit = static_cast<std::size_t>(monitor.spec()["sampleLimit"].as_int());
    job.native_histograms =
        wants_protobuf(monitor.spec()["scrapeProtocols"],
                       monitor.spec()["scrapeNativeHistograms"].as_bool(defaults_.native_histograms));
    job.classic_histograms_too = monitor.spec()["scrapeClassicHistograms"].as_bool();
    job.relabeling = TRY(parse_relabel_rules(from["relabelings"]));
    job.metric_relabeling = TRY(parse_relabel_rules(from["metricRelabelings"]));
    const Value& authorization = from["authorization"];
    if (authorization.is_map())
      job.authorization = std::string(authorization["type"].as_string("Bearer")) + " " +
                          secrets_.secret(monitor.ns(), authorization["credentials"]);
    if (from["bearerTokenSecret"].is_map())
      job.authorization = "Bearer " + secrets_.secret(monitor.ns(), from["bearerTokenSecret"]);
    if (const Value& basic = from["basicAuth"]; basic.is_map())
      job.authorization = "Basic " + base64(secrets_.secret(monitor.ns(), basic["username"]) + ":" +
                                            secrets_.secret(monitor.ns(), basic["password"]));
    const Value& tls = from["tlsConfig"];
    job.insecure_skip_verify = tls["insecureSkipVerify"].as_bool();
    job.ca_pem = secrets_.secret(monitor.ns(), tls["ca"]["secret"]);
    return job;
  }

  static bool in_namespaces(const kube::Object& monitor, const std::string& ns) {
    const Value& selector = monitor.spec()["namespaceSelector"];
    if (selector["any"].as_bool()) return true;
    for (const Value& name : selector["matchNames"].items())
      if (name.as_string() == ns) return true;
    return selector["matchNames"].empty() && monitor.ns() == ns;
  }

  static bool is_over(const kube::Object* pod) {
    if (!pod) return false;
    const std::string_view phase = pod->status()["phase"].as_string();
    return phase == "Failed" || phase == "Succeeded";
  }

  // What the generated configuration's own rules set before the user's.
  static void copy_labels(LabelList& out, const Value& names, const kube::Object& from) {
    for (const Value& name : names.items())
      if (const auto value = from.label(name.as_string()); !value.empty())
        out.push_back({meta_name("", name.as_string()), std::string(value)});
  }

  static bool wants_port(const Value& endpoint, const EndpointTarget& target) {
    if (const auto name = endpoint["port"].as_string(); !name.empty()) return target.port_name == name;
    const Value& number = endpoint["targetPort"];
    if (number.is_null()) return true;
    if (number.is_int()) return target.port == number.as_int();
    for (const Label& label : target.labels)
      if (label.name == "__meta_kubernetes_pod_container_port_name") return label.value == number.as_string();
    return false;
  }

  Result<DiscoveredJob> service_monitor(const kube::Object& monitor, const Value& endpoint, ScrapeJob job) {
    const auto selector = TRY(kube::LabelSelector::from(monitor.spec()["selector"]));
    DiscoveredJob out{std::make_shared<const ScrapeJob>(std::move(job)), {}};
    for (const kube::Object& service : objects_.services) {
      if (!in_namespaces(monitor, service.ns()) || !selector.matches(service.metadata()["labels"])) continue;
      for (EndpointTarget& target : endpoints_of(objects_, service)) {
        if (is_over(target.pod) || !wants_port(endpoint, target)) continue;
        LabelList labels = std::move(target.labels);
        labels.push_back({"namespace", service.ns()});
        labels.push_back({"service", service.name()});
        if (target.pod) labels.push_back({"pod", target.pod->name()});
        if (target.container) labels.push_back({"container", (*target.container)["name"].str()});
        copy_labels(labels, monitor.spec()["targetLabels"], service);
        if (target.pod) copy_labels(labels, monitor.spec()["podTargetLabels"], *target.pod);
        const auto job_label = service.label(monitor.spec()["jobLabel"].as_string());
        labels.push_back({"job", job_label.empty() ? service.name() : std::string(job_label)});
        const Value& port = endpoint.contains("port") ? endpoint["port"] : endpoint["targetPort"];
        labels.push_back({"endpoint", port.scalar_text()});
        out.targets.push_back(Labels::from(std::move(labels)));
      }
    }
    return out;
  }

  static bool wants_port(const Value& endpoint, const PodTarget& target) {
    if (const auto name = endpoint["port"].as_string(); !name.empty()) return target.port_name == name;
    const Value& number = endpoint.contains("portNumber") ? endpoint["portNumber"] : endpoint["targetPort"];
    if (number.is_null()) return true;
    return number.is_int() ? target.port == number.as_int() : target.port_name == number.as_string();
  }

  Result<DiscoveredJob> pod_monitor(const kube::Object& monitor, const Value& endpoint, ScrapeJob job) {
    const auto selector = TRY(kube::LabelSelector::from(monitor.spec()["selector"]));
    DiscoveredJob out{std::make_shared<const ScrapeJob>(std::move(job)), {}};
    for (const kube::Object& pod : objects_.pods) {
      if (is_over(&pod) || !in_namespaces(monitor, pod.ns()) || !selector.matches(pod.metadata()["labels"])) continue;
      for (PodTarget& target : ports_of(pod)) {
        if (!wants_port(endpoint, target)) continue;
        LabelList labels = std::move(target.labels);
        labels.push_back({"namespace", pod.ns()});
        labels.push_back({"pod", pod.name()});
        labels.push_back({"container", (*target.container)["name"].str()});
        copy_labels(labels, monitor.spec()["podTargetLabels"], pod);
        const auto job_label = pod.label(monitor.spec()["jobLabel"].as_string());
        labels.push_back({"job", job_label.empty() ? monitor.key().str() : std::string(job_label)});
        labels.push_back({"endpoint", endpoint["port"].scalar_text()});
        out.targets.push_back(Labels::from(std::move(labels)));
      }
    }
    return out;
  }

  Result<DiscoveredJob> make_probe(const kube::Object& probe) {
    const Value& spec = probe.spec();
    const Value& prober = spec["prober"];
    const std::string prober_url = prober["url"].str();
    if (prober_url.empty()) return Error{ErrorCode::bad_request, "spec.prober.url: write the prober's address"};
    ScrapeJob job = TRY(base_job(probe, spec));
    job.pool = "probe/" + probe.key().str();
    job.path = prober["path"].as_string("/probe");
    job.scheme = to_lower(prober["scheme"].as_string("http"));
    if (const auto module = spec["module"].as_string(); !module.empty()) job.params.emplace_back("module", module);
    const Value& given = spec["targets"]["staticConfig"];
    job.relabeling = TRY(parse_relabel_rules(given["relabelingConfigs"]));
    const std::string name =
        spec["jobName"].empty() && spec["jobName"].as_string().empty() ? job.pool : spec["jobName"].str();
    DiscoveredJob out{std::make_shared<const ScrapeJob>(std::move(job)), {}};
    const auto add = [&](const std::string& url, const std::string& ns) {
      LabelList labels{
          {"__address__", prober_url}, {"__param_target", url}, {"instance", url}, {"namespace", ns}, {"job", name}};
      for (const auto& entry : given["labels"].entries())
        labels.push_back({std::string(entry.key), entry.value.scalar_text()});
      out.targets.push_back(Labels::from(std::move(labels)));
    };
    for (const Value& url : given["static"].items()) add(url.str(), probe.ns());
    if (const Value& wanted = spec["targets"]["ingress"]; wanted.is_map()) {
      const auto selector =
          TRY(kube::LabelSelector::from(wanted["selector"].is_null() ? Value::map() : wanted["selector"]));
      for (const kube::Object& ingress : list_(schema::kIngresses)) {
        if (ingress.ns() != probe.ns() || !selector.matches(ingress.metadata()["labels"])) continue;
        for (const Value& rule : ingress.spec()["rules"].items())
          for (const Value& path : rule["http"]["paths"].items())
            add((ingress.spec()["tls"].empty() ? "http://" : "https://") + rule["host"].str() + path["path"].str(),
                ingress.ns());
      }
    }
    return out;
  }

  // prometheus.io/scrape, /path, /port, /scheme on pods and on services.
  static std::optional<Labels> by_annotations(LabelList labels, const kube::Object& from, const std::string& ip) {
    if (from.annotation("prometheus.io/scrape") != "true") return {};
    if (const auto path = from.annotation("prometheus.io/path"); !path.empty())
      labels.push_back({"__metrics_path__", std::string(path)});
    if (const auto scheme = from.annotation("prometheus.io/scheme"); !scheme.empty())
      labels.push_back({"__scheme__", std::string(scheme)});
    if (const auto port = from.annotation("prometheus.io/port"); !port.empty() && !ip.empty())
      labels.push_back({"__address__", ip + ":" + std::string(port)});
    return Labels::from(std::move(labels));
  }

  ScrapeJob plain_job(const char* name) const {
    ScrapeJob job;
    job.pool = job.job = name;
    job.interval_ms = defaults_.interval_ms;
    job.timeout_ms = defaults_.timeout_ms;
    return job;
  }

  // Several ports of one pod with one annotated port are one target.
  static void add_once(std::vector<Labels>& to, Labels labels) {
    for (const Labels& there : to)
      if (there.get("__address__") == labels.get("__address__") &&
          there.get("__metrics_path__") == labels.get("__metrics_path__"))
        return;
    to.push_back(std::move(labels));
  }

  void annotated() {
    DiscoveredJob pods{std::make_shared<const ScrapeJob>(plain_job("kubernetes-pods")), {}};
    for (const kube::Object& pod : objects_.pods) {
      if (is_over(&pod)) continue;
      for (PodTarget& target : ports_of(pod)) {
        LabelList labels = std::move(target.labels);
        labels.push_back({"namespace", pod.ns()});
        labels.push_back({"pod", pod.name()});
        if (target.port == 0 && pod.annotation("prometheus.io/port").empty()) continue;
        auto found = by_annotations(std::move(labels), pod, pod.status()["podIP"].str());
        if (found) add_once(pods.targets, std::move(*found));
      }
    }
    DiscoveredJob endpoints{std::make_shared<const ScrapeJob>(plain_job("kubernetes-service-endpoints")), {}};
    for (const kube::Object& service : objects_.services) {
      if (service.annotation("prometheus.io/scrape") != "true") continue;
      for (EndpointTarget& target : endpoints_of(objects_, service)) {
        const std::string ip = target.pod ? target.pod->status()["podIP"].str() : "";
        LabelList labels = std::move(target.labels);
        labels.push_back({"namespace", service.ns()});
        labels.push_back({"service", service.name()});
        if (target.pod) labels.push_back({"pod", target.pod->name()});
        auto found = by_annotations(std::move(labels), service, ip);
        if (found) add_once(endpoints.targets, std::move(*found));
      }
    }
    if (!pods.targets.empty()) out_.jobs.push_back(std::move(pods));
    if (!endpoints.targets.empty()) out_.jobs.push_back(std::move(endpoints));
  }

  const ObjectLister& list_;
  const ScrapeDefaults& defaults_;
  KubeObjects objects_;
  Secrets secrets_;
  Discovered out_;
};

Result<DiscoveredJob> static_job(const Value& from, const ScrapeDefaults& defaults) {
  ScrapeJob job;
  job.pool = job.job = from["job_name"].str();
  if (job.job.empty()) return Error{ErrorCode::bad_request, "job_name is missing"};
  job.interval_ms = duration_or(from["scrape_interval"], defaults.interval_ms);
  job.timeout_ms = duration_or(from["scrape_timeout"], std::min(defaults.timeout_ms, job.interval_ms));
  job.path = from["metrics_path"].as_string("/metrics");
  job.scheme = from["scheme"].as_string("http");
  job.honor_labels = from["honor_labels"].as_bool();
  job.honor_timestamps = from["honor_timestamps"].as_bool(true);
  job.sample_limit = static_cast<std::size_t>(from["sample_limit"].as_int());
  job.native_histograms =
      wants_protobuf(from["scrape_protocols"], from["scrape_native_histograms"].as_bool(defaults.native_histograms));
  job.classic_histograms_too = from["always_scrape_classic_histograms"].as_bool();
  job.insecure_skip_verify = from["tls_config"]["insecure_skip_verify"].as_bool();
  job.ca_pem = from["tls_config"]["ca"].str();
  for (const auto& entry : from["params"].entries())
    for (const Value& value : entry.value.items()) job.params.emplace_back(entry.key, value.scalar_text());
  if (const Value& basic = from["basic_auth"]; basic.is_map())
    job.authorization = "Basic " + base64(basic["username"].str() + ":" + basic["password"].str());
  if (const Value& authorization = from["authorization"]; authorization.is_map())
    job.authorization =
        std::string(authorization["type"].as_string("Bearer")) + " " + authorization["credentials"].str();
  job.relabeling = TRY(parse_relabel_rules(from["relabel_configs"]));
  job.metric_relabeling = TRY(parse_relabel_rules(from["metric_relabel_configs"]));
  DiscoveredJob out{std::make_shared<const ScrapeJob>(std::move(job)), {}};
  for (const Value& group : from["static_configs"].items())
    for (const Value& address : group["targets"].items()) {
      LabelList labels{{"__address__", address.str()}};
      for (const auto& entry : group["labels"].entries())
        labels.push_back({std::string(entry.key), entry.value.scalar_text()});
      out.targets.push_back(Labels::from(std::move(labels)));
    }
  return out;
}

}  // namespace

Discovered discover(const ObjectLister& list, const ScrapeDefaults& defaults) {
  return MonitorJobs(list, defaults).all();
}

Result<std::vector<DiscoveredJob>> static_jobs(const Value& scrape_configs, const ScrapeDefaults& defaults) {
  std::vector<DiscoveredJob> jobs;
  for (const Value& item : scrape_configs.items())
    jobs.push_back(TRY(static_job(item, defaults).in("scrape_configs, job " + quote(item["job_name"].as_string()))));
  return jobs;
}

}  // namespace caisson::metrics
