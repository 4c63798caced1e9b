// SPDX-License-Identifier: Apache-2.0
// generate: what should be there because something else is: data, a copy of one object (clone) or of several
// (cloneList). Follows Kyverno 1.19, pkg/background/generate.
#include <algorithm>

#include "core/base/text.h"
#include "security/policy/stages.h"
#include "security/policy/variables.h"

namespace caisson::policy {
namespace {

void set_labels(const Stage& stage, Value& object) {
  Value& labels = object.edit({"metadata", "labels"});
  const Target& target = stage.request.target;
  labels.set("app.kubernetes.io/managed-by", "kyverno")
      .set("generate.kyverno.io/policy-name", stage.policy.name)
      .set("generate.kyverno.io/policy-namespace", stage.policy.ns)
      .set("generate.kyverno.io/rule-name", stage.rule.name)
      .set("generate.kyverno.io/trigger-group", target.group)
      .set("generate.kyverno.io/trigger-version", target.version)
      .set("generate.kyverno.io/trigger-kind", target.kind)
      .set("generate.kyverno.io/trigger-namespace", target.ns())
      .set("generate.kyverno.io/trigger-uid", target.object["metadata"]["uid"].str());
}

// What belongs to the source alone does not come with a copy.
Value copied(const Value& source, const std::string& ns, const std::string& name) {
  Value out = source;
  Value metadata = Value::map();
  for (const char* kept : {"labels", "annotations"})
    if (source["metadata"].contains(kept)) metadata.set(kept, source["metadata"][kept]);
  metadata.set("name", name);
  if (!ns.empty()) metadata.set("namespace", ns);
  out.set("metadata", metadata);
  out.erase("status");
  return out;
}

Value named(const Value& data, const Value& body) {
  Value out{{"apiVersion", body["apiVersion"]}, {"kind", body["kind"]}};
  for (const auto& entry : data.entries()) out.set(entry.key, entry.value);
  Value& metadata = out.edit("metadata");
  if (!metadata.is_map()) metadata = Value::map();
  metadata.set("name", body["name"]);
  if (!body["namespace"].as_string().empty()) metadata.set("namespace", body["namespace"]);
  return out;
}

Result<std::vector<Value>> cloned_list(const Value& list, const std::string& ns, const Lookups& lookups) {
  std::vector<Value> out;
  for (const Value& kind : list["kinds"].items()) {
    const KindSelector selector = KindSelector::parse(kind.as_string());
    const std::string group = selector.group == "*" ? "" : selector.group + "/";
    const std::string version = selector.version == "*" ? "v1" : selector.version;
    auto sources = TRY(lookups.objects(group + version, selector.kind, list["namespace"].str()));
    for (const Value& source : sources) {
      if (list["selector"].is_map() && !labels_match(list["selector"], source["metadata"]["labels"])) continue;
      out.push_back(copied(source, ns, source["metadata"]["name"].str()));
    }
  }
  return out;
}

// `body`: the rule's generate or one item of its foreach, with variables substituted.
Result<std::vector<Value>> objects_of(const Value& body, const Lookups& lookups) {
  if (body["cloneList"]["kinds"].is_list()) return cloned_list(body["cloneList"], body["namespace"].str(), lookups);
  if (!body["clone"]["name"].as_string().empty()) {
    const Value source = TRY(lookups.object(body["apiVersion"].str(), body["kind"].str(),
                                            body["clone"]["namespace"].str(), body["clone"]["name"].str()));
    if (source.is_null())
      return Error{ErrorCode::not_found, "source resource " + body["apiVersion"].str() + "/" + body["kind"].str() +
                                             "/" + body["clone"]["namespace"].str() + "/" +
                                             body["clone"]["name"].str() + " not found"};
    return std::vector<Value>{copied(source, body["namespace"].str(), body["name"].str())};
  }
  return std::vector<Value>{named(body["data"], body)};
}

Result<std::vector<Value>> loop_objects(const Value& loops, Context& context) {
  std::vector<Value> out;
  for (const Value& loop : loops.items()) {
    const auto items = TRY(loop_items(loop, context));
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (items[i].is_null()) continue;
      Context own = context;
      set_element(own, items[i], i, 0);
      own.defer(loop["context"]);
      const auto conditions = TRY(evaluate_conditions(loop["preconditions"], own));
      if (!conditions.holds) continue;
      Value body = loop;
      for (const char* name : {"list", "context", "preconditions"}) body.erase(name);
      body = TRY(substitute(body, own));
      for (Value& object : TRY(objects_of(body, context.lookups()))) out.push_back(std::move(object));
    }
  }
  return out;
}

Result<std::vector<Value>> generated_by(const Stage& stage) {
  const Value& rule = stage.rule.body;
  if (rule["foreach"].is_list()) return loop_objects(rule["foreach"], stage.context);
  const Value body = TRY(substitute(rule, stage.context).in("variable substitution failed"));
  return objects_of(body, stage.context.lookups());
}

}  // namespace

RuleResponse generate_rule(const Stage& stage) {
  auto objects = generated_by(stage);
  if (!objects.ok()) return stage.respond(Status::error, objects.error().message);
  RuleResponse response = stage.respond(Status::pass, std::to_string(objects->size()) + " resources generated");
  response.generated = std::move(objects).value();
  for (Value& object : response.generated) set_labels(stage, object);
  return response;
}

}  // namespace caisson::policy
