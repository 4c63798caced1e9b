// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/release.h"

#include <algorithm>

#include "artifact/content/compress.h"
#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::render::helm {
namespace {

constexpr std::size_t kRecordBytesMax = 64u << 20;
constexpr std::string_view kSystemLabels[] = {"name", "owner", "status", "version", "createdAt", "modifiedAt"};

Value files_json(const std::vector<File>& files) {
  Value out = Value::list();
  for (const File& file : files) out.push_back(Value{{"name", file.name}, {"data", base64(file.data)}});
  return out;
}

Result<std::vector<File>> files_of(const Value& list) {
  std::vector<File> out;
  for (const Value& one : list.items()) {
    std::string data = TRY(unbase64(one["data"].as_string()));
    out.push_back({one["name"].str(), std::move(data)});
  }
  return out;
}

Value hook_json(const ReleaseHook& from) {
  const Hook& hook = from.hook;
  Value out{{"name", hook.name},
            {"kind", hook.manifest.kind()},
            {"path", hook.manifest.source},
            {"manifest", hook.manifest.content},
            {"events", Value::list_of(hook.events)}};
  out.set("last_run",
          Value{{"started_at", from.started_at}, {"completed_at", from.completed_at}, {"phase", from.phase}});
  if (hook.weight != 0) out.set("weight", static_cast<long long>(hook.weight));
  if (!hook.delete_policies.empty()) out.set("delete_policies", Value::list_of(hook.delete_policies));
  if (!hook.output_log_policies.empty()) out.set("output_log_policies", Value::list_of(hook.output_log_policies));
  return out;
}

std::vector<std::string> strings_of(const Value& list) {
  std::vector<std::string> out;
  for (const Value& one : list.items()) out.push_back(one.str());
  return out;
}

Result<ReleaseHook> hook_of(const Value& from) {
  ReleaseHook out;
  out.hook.name = from["name"].str();
  Value document = TRY(read_yaml(from["manifest"].as_string(), false));
  out.hook.manifest = {from["path"].str(), from["manifest"].str(), std::move(document)};
  out.hook.events = strings_of(from["events"]);
  out.hook.delete_policies = strings_of(from["delete_policies"]);
  out.hook.output_log_policies = strings_of(from["output_log_policies"]);
  out.hook.weight = from["weight"].as_int();
  const Value& run = from["last_run"];
  out.started_at = run["started_at"].str();
  out.completed_at = run["completed_at"].str();
  out.phase = run["phase"].str();
  return out;
}

std::string record_name(const std::string& name, std::int64_t version) {
  return "sh.helm.release.v1." + name + ".v" + std::to_string(version);
}

Result<Release> release_of(const kube::Object& secret) {
  const std::string text = TRY(unbase64(secret["data"]["release"].as_string()));
  Release out = TRY(decode_release(text).in("Secret " + secret.key().str()));
  for (const auto& [key, value] : secret.metadata()["labels"].entries()) {
    if (std::find(std::begin(kSystemLabels), std::end(kSystemLabels), key) == std::end(kSystemLabels))
      out.labels[std::string(key)] = value.str();
  }
  if (out.ns.empty()) out.ns = secret.ns();
  return out;
}

std::string unix_seconds(const Clock& clock) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(clock.now().time_since_epoch()).count());
}

}  // namespace

Value chart_json(const Chart& chart) {
  Value out = Value::map();
  out.set("metadata", chart.metadata.fields);
  out.set("lock", chart.files->lock);
  out.set("templates", files_json(chart.files->templates));
  out.set("values", chart.values);
  out.set("schema", chart.files->schema ? Value(base64(*chart.files->schema)) : Value());
  out.set("files", files_json(chart.files->others));
  return out;
}

Result<Chart> chart_of_record(const Value& json) {
  Chart out;
  TRY(read_metadata(json["metadata"], out.metadata));
  out.values = json["values"].is_map() ? json["values"] : Value::map();
  auto files = std::make_shared<ChartFiles>();
  files->templates = TRY(files_of(json["templates"]));
  files->others = TRY(files_of(json["files"]));
  if (json["schema"].is_string()) files->schema = TRY(unbase64(json["schema"].as_string()));
  files->lock = json["lock"];
  out.files = std::move(files);
  return out;
}

Result<std::string> encode_release(const Release& release) {
  Value info = Value::map();
  info.set("first_deployed", release.first_deployed);
  info.set("last_deployed", release.last_deployed);
  info.set("deleted", release.deleted);
  info.set("description", release.description);
  info.set("status", release.status);
  if (!release.notes.empty()) info.set("notes", release.notes);
  Value json{{"name", release.name}, {"info", std::move(info)}, {"chart", release.chart}};
  if (!release.config.empty()) json.set("config", release.config);
  json.set("manifest", release.manifest);
  Value hooks = Value::list();
  for (const ReleaseHook& hook : release.hooks) hooks.push_back(hook_json(hook));
  if (!hooks.empty()) json.set("hooks", std::move(hooks));
  json.set("version", static_cast<long long>(release.version));
  json.set("namespace", release.ns);
  const content::ByteSource packed = TRY(content::compress_gzip(content::from_string(json::write(json))));
  return base64(TRY(content::read_all(packed, kRecordBytesMax)));
}

Result<Release> decode_release(std::string_view text) {
  std::string bytes = TRY(unbase64(text));
  if (bytes.starts_with("\x1f\x8b\x08")) {
    const content::ByteSource plain = TRY(content::decompress(content::from_string(std::move(bytes))));
    bytes = TRY(content::read_all(plain, kRecordBytesMax));
  }
  const Value json = TRY(json::parse(bytes));
  const Value& info = json["info"];
  Release out;
  out.name = json["name"].str();
  out.ns = json["namespace"].str();
  out.version = json["version"].as_int(1);
  out.status = info["status"].str();
  out.description = info["description"].str();
  out.notes = info["notes"].str();
  out.first_deployed = info["first_deployed"].str();
  out.last_deployed = info["last_deployed"].str();
  out.deleted = info["deleted"].str();
  out.chart = json["chart"];
  out.config = json["config"].is_map() ? json["config"] : Value::map();
  out.manifest = json["manifest"].str();
  for (const Value& hook : json["hooks"].items()) out.hooks.push_back(TRY(hook_of(hook)));
  return out;
}

Result<std::vector<kube::Object>> ReleaseStore::secrets(const std::string& selector) const {
  kube::ListOptions options;
  options.ns = ns_;
  options.label_selector = selector;
  std::vector<kube::Object> out;
  do {
    kube::ObjectList page = TRY(client_.list(schema::kSecrets, options));
    for (kube::Object& item : page.items) out.push_back(std::move(item));
    options.continue_token = page.continue_token;
  } while (!options.continue_token.empty());
  return out;
}

Result<std::vector<Release>> ReleaseStore::history(const std::string& name) const {
  std::vector<Release> out;
  for (const kube::Object& secret : TRY(secrets("owner=helm,name=" + name))) out.push_back(TRY(release_of(secret)));
  std::sort(out.begin(), out.end(), [](const Release& a, const Release& b) { return a.version < b.version; });
  return out;
}

Result<std::vector<Release>> ReleaseStore::newest() const {
  const std::vector<kube::Object> all = TRY(secrets("owner=helm"));
  const auto version = [](const kube::Object& secret) { return parse_int(secret.label("version")).value_or(0); };
  std::map<std::pair<std::string, std::string>, const kube::Object*> newest;
  for (const kube::Object& secret : all) {
    const kube::Object*& known = newest[{std::string(secret.label("name")), secret.ns()}];
    if (known == nullptr || version(*known) < version(secret)) known = &secret;
  }
  std::vector<Release> out;
  for (const auto& [key, secret] : newest) out.push_back(TRY(release_of(*secret)));
  return out;
}

Result<kube::Object> ReleaseStore::secret_of(const Release& release) const {
  kube::Object secret = kube::Object::make(schema::kSecrets, release.ns, record_name(release.name, release.version));
  secret.edit().set("type", "helm.sh/release.v1");
  secret.edit({"data", "release"}) = Value(base64(TRY(encode_release(release))));
  for (const auto& [key, value] : release.labels) secret.set_label(key, value);
  secret.set_label("name", release.name);
  secret.set_label("owner", "helm");
  secret.set_label("status", release.status);
  secret.set_label("version", std::to_string(release.version));
  return secret;
}

Result<void> ReleaseStore::create(const Release& release) {
  kube::Object secret = TRY(secret_of(release));
  secret.set_label("createdAt", unix_seconds(clock_));
  TRY(client_.create(secret, {.field_manager = "helm"}).in("create: failed to create"));
  return {};
}

Result<void> ReleaseStore::update(const Release& release) {
  kube::Object secret = TRY(secret_of(release));
  secret.set_label("modifiedAt", unix_seconds(clock_));
  TRY(client_.update(secret, {.field_manager = "helm"}).in("update: failed to update"));
  return {};
}

Result<void> ReleaseStore::remove(const std::string& name, std::int64_t version) {
  return client_.remove(schema::kSecrets, {ns_, record_name(name, version)});
}

}  // namespace caisson::render::helm
