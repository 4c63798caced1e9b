// SPDX-License-Identifier: Apache-2.0
// Source: client-go's tools/clientcmd/api/v1/types.go. Relative paths in a kubeconfig start at its folder.
#include "cluster/kube/http_client.h"
#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/yaml.h"

namespace caisson::kube {
namespace {

struct Place {
  const std::string& file;
  std::string folder() const { return path_dir(file); }
  Error error(const std::string& message) const { return {ErrorCode::bad_request, file + ": " + message}; }
};

Result<Value> named(const Value& config, std::string_view list, std::string_view item, std::string_view name,
                    const Place& place) {
  for (const Value& entry : config[list].items()) {
    if (entry["name"].as_string() == name) return entry[item];
  }
  return place.error(std::string(list) + ": no entry named \"" + std::string(name) + "\"");
}

// The bytes of `field`: inline in base64 as FIELD-data, or the file that FIELD names. Empty when neither is there.
Result<std::string> inline_or_file(const Value& from, const std::string& field, const std::string& label,
                                   const Place& place) {
  if (const std::string_view data = from[field + "-data"].as_string(); !data.empty()) {
    auto bytes = unbase64(data);
    if (!bytes.ok()) return place.error(label + "." + field + "-data: not base64");
    return std::move(bytes).value();
  }
  const std::string path = from[field].str();
  if (path.empty()) return std::string();
  return read_file(path[0] == '/' ? path : path_join(place.folder(), path)).in(place.file + ": " + label + "." + field);
}

Result<void> read_user(const Value& user, const std::string& label, const Place& place, Connection& out) {
  if (const Value& exec = user["exec"]; !exec.is_null()) {
    return place.error(label + ".exec: the credential plug-in \"" + exec["command"].str() +
                       "\" is not run; put a token or a client certificate into the kubeconfig");
  }
  if (const Value& provider = user["auth-provider"]; !provider.is_null()) {
    return place.error(label + ".auth-provider: \"" + provider["name"].str() + "\" is not supported");
  }
  out.http.certificate_pem = TRY(inline_or_file(user, "client-certificate", label, place));
  out.http.key_pem = TRY(inline_or_file(user, "client-key", label, place));
  if (out.http.certificate_pem.empty() != out.http.key_pem.empty()) {
    return place.error(label + ": client-certificate and client-key belong together");
  }
  out.token = user["token"].str();
  if (const std::string path = user["tokenFile"].str(); !path.empty()) {
    const std::string token =
        TRY(read_file(path[0] == '/' ? path : path_join(place.folder(), path)).in(place.file + ": " + label));
    out.token = std::string(trim(token));
  }
  return {};
}

}  // namespace

Result<Connection> load_kubeconfig(const std::string& path, const std::string& context) {
  const Place place{path};
  const std::string text = TRY(read_file(path));
  yaml::ReadOptions options;
  options.name = path;
  const Value config = TRY(yaml::read(text, options));
  const std::string name = context.empty() ? config["current-context"].str() : context;
  if (name.empty()) return place.error("current-context is not set");
  const Value chosen = TRY(named(config, "contexts", "context", name, place));
  const std::string cluster_name = chosen["cluster"].str(), user_name = chosen["user"].str();
  const Value cluster = TRY(named(config, "clusters", "cluster", cluster_name, place));
  const Value user = user_name.empty() ? Value() : TRY(named(config, "users", "user", user_name, place));

  Connection out;
  const std::string label = "clusters[" + cluster_name + "].cluster";
  out.server = cluster["server"].str();
  if (out.server.empty()) return place.error(label + ".server is not set");
  for (const char* field : {"proxy-url", "tls-server-name"}) {
    if (cluster.contains(field)) return place.error(label + "." + field + " is not supported");
  }
  out.http.ca_pem = TRY(inline_or_file(cluster, "certificate-authority", label, place));
  out.http.verify = !cluster["insecure-skip-tls-verify"].as_bool();
  if (const std::string ns = chosen["namespace"].str(); !ns.empty()) out.ns = ns;
  TRY(read_user(user, "users[" + user_name + "].user", place, out));
  return out;
}

}  // namespace caisson::kube
