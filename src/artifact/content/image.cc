// SPDX-License-Identifier: Apache-2.0
#include "artifact/content/image.h"

#include <algorithm>

#include "core/document/json.h"

namespace caisson::content {
namespace {

Error invalid(std::string_view what) {
  return Error{ErrorCode::invalid, std::string(what)};
}

std::vector<std::string> strings(const Value& list) {
  std::vector<std::string> out;
  for (const Value& item : list.items()) out.push_back(item.str());
  return out;
}

Pairs pairs(const Value& map) {
  Pairs out;
  for (const auto& [key, value] : map.entries()) out.emplace_back(std::string(key), value.str());
  return out;
}

std::vector<std::string> keys(const Value& map) {
  std::vector<std::string> out;
  for (const auto& [key, value] : map.entries()) out.emplace_back(key);
  std::sort(out.begin(), out.end());
  return out;
}

Value map_of(const Pairs& list) {
  Value out = Value::map();
  for (const auto& [key, value] : list) out.set(key, value);
  return out;
}

Value set_of(const std::vector<std::string>& list) {
  Value out = Value::map();
  for (const std::string& key : list) out.set(key, Value::map());
  return out;
}

Platform platform_of(const Value& value) {
  return Platform{value["os"].str(), value["architecture"].str(), value["variant"].str()};
}

Result<Descriptor> descriptor_of(const Value& value, std::string_view field) {
  if (!value.is_map()) return invalid(std::string(field) + ": want a descriptor");
  Descriptor out;
  out.media_type = value["mediaType"].str();
  Result<Digest> digest = Digest::parse(value["digest"].as_string());
  if (!digest.ok()) return invalid(std::string(field) + ".digest: " + digest.error().message);
  out.digest = *digest;
  if (!value["size"].is_int() || value["size"].as_int() < 0)
    return invalid(std::string(field) + ".size: want a number of bytes");
  out.size_bytes = static_cast<std::uint64_t>(value["size"].as_int());
  if (value["platform"].is_map()) out.platform = platform_of(value["platform"]);
  out.artifact_type = value["artifactType"].str();
  out.annotations = pairs(value["annotations"]);
  return out;
}

Value value_of(const Descriptor& d) {
  Value out = Value::map();
  out.set("mediaType", d.media_type).set("digest", d.digest.str()).set("size", d.size_bytes);
  if (d.platform) {
    Value platform = Value::map();
    platform.set("architecture", d.platform->architecture).set("os", d.platform->os);
    if (!d.platform->variant.empty()) platform.set("variant", d.platform->variant);
    out.set("platform", platform);
  }
  if (!d.artifact_type.empty()) out.set("artifactType", d.artifact_type);
  if (!d.annotations.empty()) out.set("annotations", map_of(d.annotations));
  return out;
}

Result<Value> parse_object(std::string_view bytes, std::string_view what) {
  Result<Value> parsed = json::parse(bytes);
  if (!parsed.ok()) return invalid(std::string(what) + ": " + parsed.error().message);
  if (!parsed->is_map()) return invalid(std::string(what) + ": want a JSON object");
  return parsed;
}

void write_tail(Value& out, const std::optional<Descriptor>& subject, const Pairs& annotations) {
  if (subject) out.set("subject", value_of(*subject));
  if (!annotations.empty()) out.set("annotations", map_of(annotations));
}

Value healthcheck_value(const Healthcheck& check) {
  Value out = Value::map();
  if (!check.test.empty()) out.set("Test", Value::list_of(check.test));
  if (check.interval_ns != 0) out.set("Interval", check.interval_ns);
  if (check.timeout_ns != 0) out.set("Timeout", check.timeout_ns);
  if (check.start_period_ns != 0) out.set("StartPeriod", check.start_period_ns);
  if (check.start_interval_ns != 0) out.set("StartInterval", check.start_interval_ns);
  if (check.retries != 0) out.set("Retries", check.retries);
  return out;
}

Healthcheck healthcheck_of(const Value& value) {
  Healthcheck out;
  out.test = strings(value["Test"]);
  out.interval_ns = value["Interval"].as_int();
  out.timeout_ns = value["Timeout"].as_int();
  out.start_period_ns = value["StartPeriod"].as_int();
  out.start_interval_ns = value["StartInterval"].as_int();
  out.retries = static_cast<int>(value["Retries"].as_int());
  return out;
}

Value container_config_value(const ImageConfig& c) {
  Value out = Value::map();
  const auto text = [&](std::string_view key, const std::string& value) {
    if (!value.empty()) out.set(key, value);
  };
  const auto list = [&](std::string_view key, const std::vector<std::string>& value) {
    if (!value.empty()) out.set(key, Value::list_of(value));
  };
  text("User", c.user);
  if (!c.exposed_ports.empty()) out.set("ExposedPorts", set_of(c.exposed_ports));
  list("Env", c.env);
  list("Entrypoint", c.entrypoint);
  list("Cmd", c.cmd);
  if (c.args_escaped) out.set("ArgsEscaped", true);
  if (!c.volumes.empty()) out.set("Volumes", set_of(c.volumes));
  text("WorkingDir", c.working_dir);
  if (!c.labels.empty()) out.set("Labels", map_of(c.labels));
  text("StopSignal", c.stop_signal);
  if (c.healthcheck) out.set("Healthcheck", healthcheck_value(*c.healthcheck));
  list("Shell", c.shell);
  list("OnBuild", c.on_build);
  return out;
}

void read_container_config(const Value& v, ImageConfig& out) {
  out.user = v["User"].str();
  out.exposed_ports = keys(v["ExposedPorts"]);
  out.env = strings(v["Env"]);
  out.entrypoint = strings(v["Entrypoint"]);
  out.cmd = strings(v["Cmd"]);
  out.args_escaped = v["ArgsEscaped"].as_bool();
  out.volumes = keys(v["Volumes"]);
  out.working_dir = v["WorkingDir"].str();
  out.labels = pairs(v["Labels"]);
  out.stop_signal = v["StopSignal"].str();
  if (v["Healthcheck"].is_map()) out.healthcheck = healthcheck_of(v["Healthcheck"]);
  out.shell = strings(v["Shell"]);
  out.on_build = strings(v["OnBuild"]);
}

}  // namespace

std::string ImageConfig::label(std::string_view key) const {
  for (const auto& [name, value] : labels) {
    if (name == key) return value;
  }
  return {};
}

bool is_index_type(std::string_view media_type) {
  return media_type == kOciIndex || media_type == kDockerList;
}
bool is_manifest_type(std::string_view media_type) {
  return media_type == kOciManifest || media_type == kDockerManifest;
}

Result<std::string> detect_media_type(const Value& manifest) {
  if (const std::string type = manifest["mediaType"].str(); !type.empty()) return type;
  if (manifest["manifests"].is_list()) return std::string(kOciIndex);
  if (manifest["config"].is_map() || manifest["layers"].is_list()) return std::string(kOciManifest);
  return invalid("manifest: neither mediaType nor config nor manifests says what it is");
}

Result<Manifest> parse_manifest(std::string_view bytes) {
  const Value v = TRY(parse_object(bytes, "manifest"));
  if (v["schemaVersion"].as_int() != 2) return invalid("manifest: schemaVersion: want 2");
  if (v["manifests"].is_list() && !v["config"].is_map()) return invalid("manifest: this is an index of several images");
  Manifest out;
  out.media_type = TRY(detect_media_type(v));
  out.config = TRY(descriptor_of(v["config"], "config"));
  if (!v["layers"].is_null() && !v["layers"].is_list()) return invalid("manifest: layers: want a list");
  for (std::size_t i = 0; i < v["layers"].size(); ++i) {
    out.layers.push_back(TRY(descriptor_of(v["layers"][i], "layers[" + std::to_string(i) + "]")));
  }
  out.artifact_type = v["artifactType"].str();
  if (v["subject"].is_map()) out.subject = TRY(descriptor_of(v["subject"], "subject"));
  out.annotations = pairs(v["annotations"]);
  return out;
}

Result<Index> parse_index(std::string_view bytes) {
  const Value v = TRY(parse_object(bytes, "index"));
  if (v["schemaVersion"].as_int() != 2) return invalid("index: schemaVersion: want 2");
  if (!v["manifests"].is_list()) return invalid("index: manifests: want a list");
  Index out;
  out.media_type = TRY(detect_media_type(v));
  for (std::size_t i = 0; i < v["manifests"].size(); ++i) {
    out.manifests.push_back(TRY(descriptor_of(v["manifests"][i], "manifests[" + std::to_string(i) + "]")));
  }
  out.artifact_type = v["artifactType"].str();
  if (v["subject"].is_map()) out.subject = TRY(descriptor_of(v["subject"], "subject"));
  out.annotations = pairs(v["annotations"]);
  return out;
}

Result<ImageConfig> parse_config(std::string_view bytes) {
  const Value v = TRY(parse_object(bytes, "image configuration"));
  ImageConfig out;
  out.platform = platform_of(v);
  out.created = v["created"].str();
  out.author = v["author"].str();
  read_container_config(v["config"], out);
  for (const Value& item : v["rootfs"]["diff_ids"].items()) {
    Result<Digest> digest = Digest::parse(item.as_string());
    if (!digest.ok()) return invalid("rootfs.diff_ids: " + digest.error().message);
    out.diff_ids.push_back(*digest);
  }
  for (const Value& item : v["history"].items()) {
    out.history.push_back(
        {item["created"].str(), item["created_by"].str(), item["comment"].str(), item["empty_layer"].as_bool()});
  }
  return out;
}

std::string write_manifest(const Manifest& m) {
  Value out = Value::map();
  out.set("schemaVersion", 2).set("mediaType", m.media_type);
  if (!m.artifact_type.empty()) out.set("artifactType", m.artifact_type);
  out.set("config", value_of(m.config));
  Value layers = Value::list();
  for (const Descriptor& layer : m.layers) layers.push_back(value_of(layer));
  out.set("layers", layers);
  write_tail(out, m.subject, m.annotations);
  return json::write(out);
}

std::string write_index(const Index& index) {
  Value out = Value::map();
  out.set("schemaVersion", 2).set("mediaType", index.media_type);
  if (!index.artifact_type.empty()) out.set("artifactType", index.artifact_type);
  Value manifests = Value::list();
  for (const Descriptor& manifest : index.manifests) manifests.push_back(value_of(manifest));
  out.set("manifests", manifests);
  write_tail(out, index.subject, index.annotations);
  return json::write(out);
}

std::string write_config(const ImageConfig& c) {
  Value out = Value::map();
  if (!c.created.empty()) out.set("created", c.created);
  if (!c.author.empty()) out.set("author", c.author);
  out.set("architecture", c.platform.architecture);
  if (!c.platform.variant.empty()) out.set("variant", c.platform.variant);
  out.set("os", c.platform.os);
  out.set("config", container_config_value(c));
  Value ids = Value::list();
  for (const Digest& id : c.diff_ids) ids.push_back(id.str());
  out.set("rootfs", Value{{"type", "layers"}, {"diff_ids", ids}});
  Value history = Value::list();
  for (const History& item : c.history) {
    Value entry = Value::map();
    if (!item.created.empty()) entry.set("created", item.created);
    if (!item.created_by.empty()) entry.set("created_by", item.created_by);
    if (!item.comment.empty()) entry.set("comment", item.comment);
    if (item.empty_layer) entry.set("empty_layer", true);
    history.push_back(entry);
  }
  if (!history.empty()) out.set("history", history);
  return json::write(out);
}

Result<Descriptor> choose_platform(const Index& index, const Platform& platform) {
  const Descriptor* without_variant = nullptr;
  std::string seen;
  for (const Descriptor& item : index.manifests) {
    if (!item.platform) continue;
    const Platform& p = *item.platform;
    seen += (seen.empty() ? "" : ", ") + p.os + "/" + p.architecture + (p.variant.empty() ? "" : "/" + p.variant);
    if (p.os != platform.os || p.architecture != platform.architecture) continue;
    if (p.variant == platform.variant) return item;
    if (without_variant == nullptr && (p.variant.empty() || platform.variant.empty())) without_variant = &item;
  }
  if (without_variant != nullptr) return *without_variant;
  if (index.manifests.size() == 1 && !index.manifests[0].platform) return index.manifests[0];
  return Error{ErrorCode::not_found, "no image for " + platform.os + "/" + platform.architecture +
                                         " (there is: " + (seen.empty() ? "nothing" : seen) + ")"};
}

}  // namespace caisson::content
