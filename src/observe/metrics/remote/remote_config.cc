// SPDX-License-Identifier: Apache-2.0
// remote_write of a prometheus.yml: the fields of Prometheus 3's configuration page.
#include <algorithm>
#include <set>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/http/message.h"
#include "observe/metrics/model/format.h"
#include "observe/metrics/remote/sender.h"
#include "observe/metrics/scrape/target.h"

namespace caisson::metrics {
namespace {

Error bad(std::string message) {
  return {ErrorCode::bad_request, std::move(message)};
}

// Options that would silently not do what they say.
constexpr std::string_view kNotHere[] = {"sigv4",     "azuread",         "google_iam",    "oauth2",
                                         "proxy_url", "metadata_config", "send_exemplars"};

Result<void> known(const Value& from, std::initializer_list<std::string_view> names) {
  for (const auto& entry : from.entries())
    if (std::find(names.begin(), names.end(), entry.key) == names.end())
      return bad("unknown field " + std::string(entry.key));
  return {};
}

Result<void> take_duration(const Value& from, const char* name, std::int64_t& into) {
  if (!from.contains(name)) return {};
  into = TRY(parse_duration(from[name].scalar_text()).in(name));
  if (into <= 0) return bad(std::string(name) + " must be greater than 0");
  return {};
}

Result<void> take_size(const Value& from, const char* name, std::size_t& into) {
  if (!from.contains(name)) return {};
  if (from[name].as_int() <= 0) return bad(std::string(name) + " must be greater than 0");
  into = static_cast<std::size_t>(from[name].as_int());
  return {};
}

// max_shards, min_shards and sample_age_limit: one connection with everything the storage has.
Result<void> take_queue(const Value& from, RemoteWrite& remote) {
  TRY(known(from, {"capacity", "max_samples_per_send", "batch_send_deadline", "min_backoff", "max_backoff",
                   "retry_on_http_429", "max_shards", "min_shards"}));
  TRY(take_size(from, "capacity", remote.capacity));
  TRY(take_size(from, "max_samples_per_send", remote.samples_per_send_max));
  TRY(take_duration(from, "batch_send_deadline", remote.batch_deadline_ms));
  TRY(take_duration(from, "min_backoff", remote.backoff_min_ms));
  TRY(take_duration(from, "max_backoff", remote.backoff_max_ms));
  remote.retry_on_429 = from["retry_on_http_429"].as_bool();
  remote.capacity = std::max(remote.capacity, remote.samples_per_send_max);
  return {};
}

Result<void> take_credentials(const Value& from, RemoteWrite& remote) {
  if (const Value& basic = from["basic_auth"]; basic.is_map()) {
    TRY(known(basic, {"username", "password"}).in("basic_auth"));
    remote.authorization = "Basic " + base64(basic["username"].str() + ":" + basic["password"].str());
  }
  if (const Value& authorization = from["authorization"]; authorization.is_map()) {
    TRY(known(authorization, {"type", "credentials"}).in("authorization"));
    if (!remote.authorization.empty()) return bad("at most one of basic_auth and authorization may be given");
    remote.authorization =
        std::string(authorization["type"].as_string("Bearer")) + " " + authorization["credentials"].str();
  }
  if (const Value& tls = from["tls_config"]; tls.is_map()) {
    TRY(known(tls, {"ca", "insecure_skip_verify"}).in("tls_config"));
    remote.ca_pem = tls["ca"].str();
    remote.insecure_skip_verify = tls["insecure_skip_verify"].as_bool();
  }
  return {};
}

Result<RemoteWrite> parse_one(const Value& from) {
  for (const std::string_view name : kNotHere)
    if (from.contains(name) && !(from[name].is_bool() && !from[name].as_bool()))
      return bad(std::string(name) + " is not supported here");
  TRY(known(from,
            {"url", "name", "remote_timeout", "headers", "protobuf_message", "send_native_histograms",
             "write_relabel_configs", "queue_config", "basic_auth", "authorization", "tls_config", "send_exemplars"}));
  RemoteWrite remote;
  remote.url = from["url"].str();
  const auto url = TRY(http::Url::parse(remote.url).in("url"));
  if (url.scheme != "http" && url.scheme != "https")
    return bad("url: neither http nor https: " + url.str_without_userinfo());
  remote.name = from["name"].str();
  TRY(take_duration(from, "remote_timeout", remote.timeout_ms));
  for (const auto& entry : from["headers"].entries()) remote.headers.emplace_back(entry.key, entry.value.scalar_text());
  remote.histograms = from["send_native_histograms"].as_bool();
  remote.relabeling = TRY(parse_relabel_rules(from["write_relabel_configs"]).in("write_relabel_configs"));
  TRY(Relabeling::compile(remote.relabeling).in("write_relabel_configs"));
  if (const auto message = from["protobuf_message"].as_string(kWriteV1); message == kWriteV2)
    remote.protocol = WriteProtocol::v2;
  else if (message != kWriteV1)
    return bad("protobuf_message: unknown message " + std::string(message));
  TRY(take_queue(from["queue_config"], remote).in("queue_config"));
  TRY(take_credentials(from, remote));
  return remote;
}

// The name is a file's name, too.
bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= 100 && name[0] != '.' &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; });
}

}  // namespace

Result<std::vector<RemoteWrite>> parse_remote_writes(const Value& list) {
  std::vector<RemoteWrite> remotes;
  std::set<std::string> names;
  for (const Value& item : list.items()) {
    const std::string place = "remote_write[" + std::to_string(remotes.size()) + "]";
    RemoteWrite remote = TRY(parse_one(item).in(place));
    if (remote.name.empty()) remote.name = "remote-" + std::to_string(remotes.size());
    if (!is_name(remote.name))
      return bad(place + ": name: letters, digits, '-', '_' and '.' only, at most 100: " + remote.name);
    if (!names.insert(remote.name).second) return bad(place + ": name " + remote.name + " stands twice");
    remotes.push_back(std::move(remote));
  }
  return remotes;
}

}  // namespace caisson::metrics
