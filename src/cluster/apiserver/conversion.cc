// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/conversion.h"

#include "cluster/apiserver/core.h"
#include "cluster/apiserver/definitions.h"
#include "core/base/random.h"

namespace caisson::apiserver {
namespace {

constexpr auto kTimeMax = std::chrono::seconds(30);

Error failed(const schema::KindSchema& kind, const std::string& why) {
  return {ErrorCode::internal,
          "conversion webhook for " + kind.resource.api_version() + ", Kind=" + kind.resource.kind + " failed: " + why};
}

// Everything but labels and annotations of metadata is the server's: a webhook may not change it.
Result<Value> checked(const schema::KindSchema& kind, const Value& before, Value after) {
  if (after["apiVersion"].as_string() != kind.resource.api_version() || after["kind"].as_string() != kind.resource.kind)
    return failed(kind,
                  "the webhook returned an object of " + after["apiVersion"].str() + ", Kind=" + after["kind"].str());
  Value metadata = before["metadata"];
  for (const char* field : {"name", "namespace", "uid"})
    if (!(metadata[field] == after["metadata"][field]))
      return failed(kind, "must have the same metadata." + std::string(field));
  for (const char* field : {"labels", "annotations"}) {
    if (after["metadata"][field].is_null())
      metadata.erase(field);
    else
      metadata.set(field, after["metadata"][field]);
  }
  after.set("metadata", std::move(metadata));
  return ordered(after);
}

}  // namespace

Value Conversion::webhook_of(const schema::KindSchema& kind) const {
  if (kind.crd_name.empty()) return {};
  const store::ItemPtr definition = store_.get(kDefinitions, "", kind.crd_name);
  if (!definition) return {};
  const Value conversion = definition->value()["spec"]["conversion"];
  return conversion["strategy"].as_string() == "Webhook" ? conversion["webhook"] : Value();
}

bool Conversion::asks(const schema::KindSchema& kind) const {
  return kind.custom && !webhook_of(kind).is_null();
}

Result<Value> Conversion::convert(const schema::KindSchema& kind, const Value& object) const {
  if (object["apiVersion"].as_string() == kind.resource.api_version()) return object;
  if (!asks(kind)) return in_version(kind, object);
  std::vector<Value> converted = TRY(convert(kind, std::vector<Value>{object}));
  return std::move(converted[0]);
}

Result<std::vector<Value>> Conversion::convert(const schema::KindSchema& kind, std::vector<Value> objects) const {
  std::vector<std::size_t> others;
  for (std::size_t i = 0; i < objects.size(); ++i)
    if (objects[i]["apiVersion"].as_string() != kind.resource.api_version()) others.push_back(i);
  if (others.empty()) return objects;
  const Value webhook = kind.custom ? webhook_of(kind) : Value();
  if (webhook.is_null()) {
    for (const std::size_t i : others) objects[i] = in_version(kind, objects[i]);
    return objects;
  }
  const auto target = WebhookTarget::from(webhook["clientConfig"]);
  if (!target.ok()) return failed(kind, target.error().message);
  const std::string uid = random_uuid();
  std::vector<Value> sent;
  for (const std::size_t i : others) sent.push_back(objects[i]);
  const Value review{
      {"kind", "ConversionReview"},
      {"apiVersion", "apiextensions.k8s.io/v1"},
      {"request",
       Value{{"uid", uid}, {"desiredAPIVersion", kind.resource.api_version()}, {"objects", Value(std::move(sent))}}}};
  const auto answer = webhooks_.post(*target, review, kTimeMax);
  if (!answer.ok()) return failed(kind, answer.error().message);
  const Value response = (*answer)["response"];
  if (response["uid"].as_string() != uid)
    return failed(kind, "expected response.uid=\"" + uid + "\", got \"" + response["uid"].str() + "\"");
  if (response["result"]["status"].as_string() != "Success") {
    const std::string why = response["result"]["message"].str();
    return failed(kind, why.empty() ? "the webhook gave no reason" : why);
  }
  const Value& converted = response["convertedObjects"];
  if (converted.size() != others.size())
    return failed(kind, "expected " + std::to_string(others.size()) + " converted objects, got " +
                            std::to_string(converted.size()));
  for (std::size_t i = 0; i < others.size(); ++i)
    objects[others[i]] = TRY(checked(kind, objects[others[i]], converted[i]));
  return objects;
}

Result<Value> Conversion::to_storage(const schema::KindSchema& kind, const Value& object) const {
  if (!kind.custom || kind.storage_version == kind.resource.version || !asks(kind)) return object;
  const auto stored = schema_.find_plural(kind.resource.group, kind.storage_version, kind.resource.plural);
  if (!stored) return failed(kind, "no storage version " + kind.storage_version);
  return convert(*stored, object);
}

}  // namespace caisson::apiserver
