// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/metrics_source.h"

#include "cluster/kube/resource_usage.h"
#include "cluster/kube/selector.h"
#include "core/base/text.h"

namespace caisson::controllers {
namespace {

constexpr std::string_view kCustom = "custom.metrics.k8s.io", kExternal = "external.metrics.k8s.io";

Result<std::string> selector_text(const Value& selector) {
  if (selector.is_null()) return std::string();
  const auto parsed = TRY(kube::LabelSelector::from(selector));
  return parsed.str();
}

PodMetric reading(const Value& from, const Value& quantity) {
  PodMetric out;
  out.milli = kube::amount_of(quantity).milli;
  out.at = parse_time(from["timestamp"].as_string()).value_or(Time());
  if (const auto window = parse_duration(from["window"].as_string()); window.ok()) out.window = *window;
  if (const auto seconds = from["windowSeconds"].as_int(); seconds > 0) out.window = std::chrono::seconds(seconds);
  return out;
}

class ClusterMetrics : public MetricsSource {
 public:
  explicit ClusterMetrics(kube::Client& client) : client_(client) {}

  Result<PodMetrics> resource(std::string_view resource, const std::string& ns, const std::string& selector,
                              const std::string& container) override {
    const schema::Resource kind{"metrics.k8s.io", "v1beta1", "PodMetrics", "pods"};
    const auto listed = client_.list(kind, {.ns = ns, .label_selector = selector});
    if (!listed.ok()) {
      return Error{listed.error().code,
                   "unable to fetch metrics from resource metrics API: " + reason(listed.error(), kind)};
    }
    if (listed->items.empty()) return Error{ErrorCode::bad_request, "no metrics returned from resource metrics API"};
    PodMetrics out;
    for (const Object& pod : listed->items) add_pod(out, pod, resource, container);
    if (out.empty()) return Error{ErrorCode::bad_request, "no metrics returned from resource metrics API"};
    return out;
  }

  Result<PodMetrics> pods(const MetricQuery& metric, const std::string& ns, const std::string& selector) override {
    const auto values = TRY(values_of({std::string(kCustom), "v1beta1", "MetricValueList", "pods/*/" + metric.name}, ns,
                                      selector, "unable to fetch metrics from custom metrics API: "));
    PodMetrics out;
    for (const Object& value : values)
      out[value["describedObject"]["name"].str()] = reading(value.value(), value["value"]);
    if (out.empty()) return Error{ErrorCode::bad_request, "no metrics returned from custom metrics API"};
    return out;
  }

  Result<std::int64_t> object(const MetricQuery& metric, const std::string& ns, const Value& object) override {
    const auto kind = TRY(client_.resource_for(object["apiVersion"].as_string("v1"), object["kind"].as_string())
                              .in("unable to fetch metrics from custom metrics API"));
    const std::string of = kind.group_resource() + "/" + object["name"].str() + "/" + metric.name;
    const std::string selector = TRY(selector_text(metric.selector));
    const auto values = TRY(values_of({std::string(kCustom), "v1beta1", "MetricValueList", of, kind.namespaced}, ns,
                                      selector, "unable to fetch metrics from custom metrics API: "));
    if (values.empty()) return Error{ErrorCode::bad_request, "no metrics returned from custom metrics API"};
    return kube::amount_of(values[0]["value"]).milli;
  }

  Result<std::int64_t> external(const MetricQuery& metric, const std::string& ns) override {
    const std::string selector = TRY(selector_text(metric.selector));
    const auto values = TRY(values_of({std::string(kExternal), "v1beta1", "ExternalMetricValueList", metric.name}, ns,
                                      selector, "unable to fetch metrics from external metrics API: "));
    if (values.empty()) return Error{ErrorCode::bad_request, "no metrics returned from external metrics API"};
    std::int64_t sum = 0;
    for (const Object& value : values) sum += kube::amount_of(value["value"]).milli;
    return sum;
  }

 private:
  // What client-go says where nobody serves the API.
  static std::string reason(const Error& error, const schema::Resource& kind) {
    if (error.code != ErrorCode::not_found) return error.message;
    return "the server could not find the requested resource (get " + kind.group_resource() + ")";
  }

  Result<std::vector<Object>> values_of(const schema::Resource& kind, const std::string& ns,
                                        const std::string& selector, const std::string& doing) {
    auto listed = client_.list(kind, {.ns = ns, .label_selector = selector});
    if (listed.ok()) return std::move(listed->items);
    if (listed.error().code != ErrorCode::not_found) return Error{listed.error().code, doing + listed.error().message};
    const std::string_view api = kind.group == kCustom ? "custom" : "external";
    return Error{ErrorCode::not_found,
                 doing + "no " + std::string(api) + " metrics API (" + kind.group + ") registered"};
  }

  // A pod counts when each of its containers has a reading, or the one that is asked for.
  static void add_pod(PodMetrics& out, const Object& pod, std::string_view resource, const std::string& container) {
    PodMetric sum = reading(pod.value(), {});
    bool found = false;
    for (const Value& one : pod["containers"].items()) {
      if (!container.empty() && one["name"].as_string() != container) continue;
      const Value& quantity = one["usage"][resource];
      if (quantity.is_null()) return;
      sum.milli += kube::amount_of(quantity).milli;
      found = true;
    }
    if (found) out[pod.name()] = sum;
  }

  kube::Client& client_;
};

}  // namespace

std::unique_ptr<MetricsSource> metrics_of_cluster(kube::Client& client) {
  return std::make_unique<ClusterMetrics>(client);
}

std::string go_selector(const Value& selector) {
  if (selector.is_null()) return "nil";
  std::string labels, expressions;
  for (const auto& [key, value] : selector["matchLabels"].entries())
    labels += std::string(key) + ": " + value.str() + ",";
  for (const Value& one : selector["matchExpressions"].items()) {
    std::vector<std::string> values;
    for (const Value& value : one["values"].items()) values.push_back(value.str());
    expressions += "LabelSelectorRequirement{Key:" + one["key"].str() + ",Operator:" + one["operator"].str() +
                   ",Values:[" + join(values, " ") + "],},";
  }
  return "&LabelSelector{MatchLabels:map[string]string{" + labels + "},MatchExpressions:[]LabelSelectorRequirement{" +
         expressions + "},}";
}

}  // namespace caisson::controllers
