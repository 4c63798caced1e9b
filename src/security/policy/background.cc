// SPDX-License-Identifier: Apache-2.0
#include "security/policy/background.h"

#include <algorithm>
#include <map>

#include "core/base/log.h"
#include "security/policy/client_lookups.h"
#include "security/policy/downstream.h"
#include "security/policy/policy_output.h"

namespace caisson::policy {
namespace {

constexpr std::string_view kManager = "caisson-policy";
const kube::ObjectKey& scan_key() {
  static const kube::ObjectKey key{"", "scan"};
  return key;
}

schema::Resource report_resource(bool cluster) {
  return cluster ? schema::Resource{"wgpolicyk8s.io", "v1alpha2", "ClusterPolicyReport", "clusterpolicyreports", false}
                 : schema::Resource{"wgpolicyk8s.io", "v1alpha2", "PolicyReport", "policyreports", true};
}

// `background.enabled` and the like of a CEL policy: true unless said otherwise.
bool runs_in_background(const CelPolicy& policy) {
  return policy.object()["spec"]["evaluation"]["background"]["enabled"].as_bool(true);
}

bool is_named(const Policy& policy, const schema::Resource& resource) {
  for (const Rule& rule : policy.rules)
    for (const ResourceFilter& filter : rule.match.filters)
      for (const KindSelector& kind : filter.kinds)
        // A wildcard of kinds means requests; scanning everything there is would be another thing.
        if (kind.kind == resource.kind && kind.matches(resource.group, resource.version, resource.kind, ""))
          return true;
  return false;
}

class Scanner final : public kube::Reconciler {
 public:
  Scanner(kube::Client& client, Clock& clock, BackgroundOptions options)
      : client_(client),
        clock_(clock),
        options_(std::move(options)),
        engine_({.clock = &clock}),
        lookups_(make_client_lookups(client, options_.images)),
        downstream_(client) {}

  std::string_view name() const override { return "policy"; }

  Result<kube::Requeue> reconcile(const kube::ObjectKey&) override {
    const auto snapshot = options_.policies->snapshot();
    std::map<std::string, Report> reports;  // by namespace/name
    std::size_t seen = 0;
    downstream_.scan_begins();
    const auto resources = TRY(client_.resources());
    for (const schema::Resource& resource : resources) {
      const Speaking policies = speaking_of(*snapshot, resource);
      if (policies.rules.empty() && policies.cel.empty()) continue;
      const auto list = client_.list(resource, {});
      if (!list.ok()) {  // a kind that can't be listed has no objects to scan
        downstream_.missed();
        continue;
      }
      for (const kube::Object& object : list->items) {
        if (++seen > options_.objects_max) {
          downstream_.missed();
          break;
        }
        if (!object.deleting()) downstream_.saw(object);
        scan(*snapshot, policies, resource, object, reports);
      }
    }
    downstream_.scan_ended(*snapshot, resources);
    TRY(write_reports(*snapshot, reports));
    return kube::Requeue::after(options_.interval);
  }

 private:
  struct Speaking {
    std::vector<const Policy*> rules;
    std::vector<const CelPolicy*> cel;
  };
  struct Report {
    kube::Object object;  // the report
    Value about;          // the object that it is of
  };

  static Speaking speaking_of(const PolicySnapshot& snapshot, const schema::Resource& resource) {
    Speaking out;
    for (const auto& policy : snapshot.policies)
      if (is_named(*policy, resource)) out.rules.push_back(policy.get());
    for (const auto& policy : snapshot.cel_policies)
      if (policy->names(resource.group, resource.version, resource.plural)) out.cel.push_back(policy.get());
    return out;
  }

  Request request_for(const schema::Resource& resource, const kube::Object& object) const {
    Request request;
    Target& target = request.target;
    target.group = resource.group;
    target.version = resource.version;
    target.kind = resource.kind;
    target.operation = "CREATE";
    target.object = object.value();
    target.object.set("apiVersion", resource.api_version()).set("kind", resource.kind);
    if (!object.ns().empty()) {
      const auto ns = client_.get(schema::kNamespaces, {"", object.ns()});
      if (ns.ok()) target.namespace_labels = ns->metadata()["labels"];
    }
    Engine::prepare(request);
    return request;
  }

  void scan(const PolicySnapshot& snapshot, const Speaking& policies, const schema::Resource& resource,
            const kube::Object& object, std::map<std::string, Report>& reports) {
    if (object.deleting()) return;
    const Request request = request_for(resource, object);
    std::vector<Finding> findings;
    for (const Policy* policy : policies.rules) {
      if (policy->background && policy->has(RuleKind::validate)) {
        const PolicyResponse response = engine_.validate(*policy, request, *lookups_, snapshot.exceptions);
        Evaluation evaluation{policy->key(), false,          request.target.object,
                              Value(),       response.rules, policy->object["metadata"]["annotations"]};
        add_findings(evaluation, !policy->scored, findings);
      }
      if (is_due(*policy, object, "generateExisting")) generate(*policy, request, snapshot);
      if (is_due(*policy, object, "mutateExistingOnPolicyUpdate")) mutate_targets(*policy, request, snapshot);
    }
    scan_cel(policies.cel, request, object, findings);
    if (!findings.empty()) add_report(object, request.target.object, findings, reports);
  }

  void scan_cel(const std::vector<const CelPolicy*>& policies, const Request& request, const kube::Object& object,
                std::vector<Finding>& findings) {
    Value namespace_object;
    if (!policies.empty() && !object.ns().empty()) {
      const auto ns = client_.get(schema::kNamespaces, {"", object.ns()});
      if (ns.ok()) namespace_object = ns->value();
    }
    for (const CelPolicy* policy : policies) {
      const Value& evaluation = policy->object()["spec"]["evaluation"];
      const bool existing =
          evaluation["generateExisting"]["enabled"].as_bool() || evaluation["mutateExisting"]["enabled"].as_bool();
      const bool makes = policy->form() == CelForm::generating || policy->form() == CelForm::mutating;
      if (makes ? !existing && !(policy->form() == CelForm::generating && is_younger(policy->object(), object))
                : !runs_in_background(*policy) || policy->form() == CelForm::image_validating)
        continue;
      Value patched = request.target.object;
      auto response = policy->evaluate(request, namespace_object, Value(), *lookups_, patched);
      if (!response) continue;
      if (policy->form() == CelForm::validating) {
        const Evaluation one{policy->name(),         true,
                             request.target.object,  Value(),
                             {std::move(*response)}, policy->object()["metadata"]["annotations"]};
        add_findings(one, false, findings);
      } else if (response->status != Status::pass) {
        if (response->status != Status::skip)
          log::warning("policy failed", {{"policy", policy->name()}, {"message", response->message}});
      } else if (policy->form() == CelForm::mutating) {
        if (patched != request.target.object) write_mutated(policy->name(), policy->name(), patched);
      } else {
        const bool synchronize = evaluation["synchronize"]["enabled"].as_bool();
        for (const Value& made : response->generated) write_generated(policy->name(), synchronize, made);
      }
    }
  }

  // What was there before the policy is left alone, unless the policy says otherwise.
  static bool is_younger(const Value& policy, const kube::Object& object) {
    const auto made = object.created();
    const auto since = parse_time(policy["metadata"]["creationTimestamp"].as_string());
    return made && since && *made >= *since;
  }
  static bool is_due(const Policy& policy, const kube::Object& object, const char* flag) {
    bool existing = policy.object["spec"][flag].as_bool();
    for (const Rule& rule : policy.rules)
      existing = existing || rule.body[flag].as_bool() || rule.body["mutateExistingOnPolicyUpdate"].as_bool();
    return existing || is_younger(policy.object, object);
  }

  void generate(const Policy& policy, const Request& request, const PolicySnapshot& snapshot) {
    if (!policy.has(RuleKind::generate)) return;
    const PolicyResponse response = engine_.generate(policy, request, *lookups_, snapshot.exceptions);
    for (const RuleResponse& rule : response.rules) {
      if (rule.status != Status::pass) {
        if (rule.status != Status::skip)
          log::warning("generate rule failed",
                       {{"policy", policy.key()}, {"rule", rule.rule}, {"message", rule.message}});
        continue;
      }
      for (const Value& object : rule.generated) keep(policy, rule.rule, object);
    }
  }

  void keep(const Policy& policy, const std::string& rule, const Value& object) {
    bool synchronize = false;
    for (const Rule& one : policy.rules)
      if (one.name == rule) synchronize = one.body["synchronize"].as_bool();
    write_generated(policy.key(), synchronize, object);
  }

  void write_generated(const std::string& policy, bool synchronize, const Value& object) {
    const kube::WriteOptions options{.field_manager = std::string(kManager), .force = true};
    const kube::Object wanted(object);
    const auto done = synchronize ? client_.apply(wanted, options) : client_.create(wanted, options);
    if (!done.ok() && done.error().code != ErrorCode::already_exists)
      log::warning("generated object refused",
                   {{"policy", policy}, {"kind", wanted.kind()}, {"name", wanted.name()}, {"error", done.error()}});
  }

  void mutate_targets(const Policy& policy, const Request& request, const PolicySnapshot& snapshot) {
    if (!policy.has(RuleKind::mutate)) return;
    const PolicyResponse response = engine_.mutate_existing(policy, request, *lookups_, snapshot.exceptions);
    for (const RuleResponse& rule : response.rules) {
      if (rule.status != Status::pass || rule.patched_target.is_null()) continue;
      write_mutated(policy.key(), rule.rule, rule.patched_target);
    }
  }

  // The resourceVersion that was read is in it: an object that changed since is looked at in the next scan.
  void write_mutated(const std::string& policy, const std::string& rule, const Value& object) {
    const auto done = client_.update(kube::Object(object), {.field_manager = std::string(kManager)});
    if (!done.ok() && done.error().code != ErrorCode::conflict)
      log::warning("existing object not changed", {{"policy", policy}, {"rule", rule}, {"error", done.error()}});
  }

  void add_report(const kube::Object& object, const Value& about, const std::vector<Finding>& findings,
                  std::map<std::string, Report>& reports) {
    const bool cluster = object.ns().empty();
    kube::Object report = kube::Object::make(report_resource(cluster), object.ns(), object.uid());
    report.set_label("app.kubernetes.io/managed-by", "kyverno");
    report.edit().set("scope", Value{{"apiVersion", about["apiVersion"]},
                                     {"kind", about["kind"]},
                                     {"name", object.name()},
                                     {"namespace", object.ns()},
                                     {"uid", object.uid()}});
    const Value owner{
        {"apiVersion", about["apiVersion"]}, {"kind", about["kind"]}, {"name", object.name()}, {"uid", object.uid()}};
    report.edit({"metadata"}).set("ownerReferences", Value(std::vector<Value>{owner}));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(clock_.now().time_since_epoch()).count();
    report.edit().set("results", report_results(findings, seconds)).set("summary", report_summary(count(findings)));
    reports.emplace(object.ns() + "/" + object.uid(), Report{std::move(report), about});
  }

  // Results without their times: a scan that finds the same writes nothing.
  static Value findings_of(const Value& report) {
    Value results = report["results"];
    for (std::size_t i = 0; i < results.size(); ++i) results.edit(i).erase("timestamp");
    return results;
  }

  // Violations that the report before did not have.
  void tell_news(const PolicySnapshot& snapshot, const Report& report, const Value& before) const {
    if (!options_.notices) return;
    const auto is_known = [&](const Value& result) {
      return std::any_of(before["results"].items().begin(), before["results"].items().end(), [&](const Value& old) {
        return old["policy"] == result["policy"] && old["rule"] == result["rule"] && old["result"] == result["result"];
      });
    };
    for (const Value& result : report.object["results"].items()) {
      if (result["result"].as_string() != "fail" || is_known(result)) continue;
      const std::string policy = result["policy"].str();
      options_.notices->violation({policy, result["rule"].str(), result["message"].str(), object_of(snapshot, policy),
                                   report.about, false, ""});
    }
  }
  static Value object_of(const PolicySnapshot& snapshot, const std::string& key) {
    for (const auto& policy : snapshot.policies)
      if (policy->key() == key) return policy->object;
    for (const auto& policy : snapshot.cel_policies)
      if (policy->name() == key) return policy->object();
    return Value{{"metadata", Value{{"name", key}}}};
  }

  Result<void> write_reports(const PolicySnapshot& snapshot, std::map<std::string, Report>& reports) {
    std::map<std::string, Value> before;
    for (const bool cluster : {false, true}) {
      const auto existing =
          TRY(client_.list(report_resource(cluster), {.label_selector = "app.kubernetes.io/managed-by=kyverno"}));
      for (const kube::Object& old : existing.items) {
        const auto wanted = reports.find(old.ns() + "/" + old.name());
        if (wanted == reports.end()) {
          const auto gone = client_.remove(report_resource(cluster), old.key());
          if (!gone.ok() && gone.error().code != ErrorCode::not_found) return gone.error();
        } else if (findings_of(wanted->second.object.value()) == findings_of(old.value())) {
          reports.erase(wanted);
        } else {
          before[wanted->first] = old.value();
        }
      }
    }
    for (const auto& [key, report] : reports) {
      tell_news(snapshot, report, before[key]);
      const auto done = client_.apply(report.object, {.field_manager = std::string(kManager), .force = true});
      // The namespace went meanwhile: so does the report.
      if (!done.ok() && done.error().code != ErrorCode::not_found && done.error().code != ErrorCode::forbidden)
        return done.error();
    }
    return {};
  }

  kube::Client& client_;
  Clock& clock_;
  BackgroundOptions options_;
  Engine engine_;
  std::unique_ptr<Lookups> lookups_;
  Downstream downstream_;
};

}  // namespace

void add_policies(kube::Runtime& runtime, BackgroundOptions options) {
  const auto policies = options.policies;
  const kube::Queue queue =
      runtime.add(std::make_unique<Scanner>(runtime.client(), runtime.clock(), std::move(options)), 1);
  const auto scan = [](const kube::Object&) { return std::vector<kube::ObjectKey>{scan_key()}; };
  for (const schema::Resource& resource : policy_resources()) {
    runtime.informer(resource).on_change([policies](const kube::Object* before, const kube::Object* after) {
      if (after != nullptr)
        policies->set(after->value());
      else if (before != nullptr)
        policies->remove(before->value());
    });
    runtime.watch(resource, queue, scan);
  }
  runtime.watch(schema::kNamespaces, queue, scan);
  queue.add(scan_key());
}

}  // namespace caisson::policy
