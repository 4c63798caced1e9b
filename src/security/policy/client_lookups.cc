// SPDX-License-Identifier: Apache-2.0
#include "security/policy/client_lookups.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/document/json.h"
#include "core/expr/jmespath/jmespath.h"
#include "core/http/client.h"
#include "security/policy/registry_images.h"

namespace caisson::policy {
namespace {

class ClientLookups final : public Lookups {
 public:
  ClientLookups(kube::Client& client, const ImageSource* images, Duration time_max)
      : client_(client),
        images_(images),
        deadline_(time_max.count() > 0 ? system_clock().monotonic() + time_max : Duration::max()) {}

  Result<std::optional<Value>> config_map(const std::string& ns, const std::string& name) const override {
    const auto found = TRY(client_.get(schema::kConfigMaps, {ns, name}));
    return std::optional<Value>(found.value());
  }

  Result<std::optional<Value>> api_call(const Value& call) const override {
    if (call["service"].is_map()) {
      const Duration left = deadline_ - system_clock().monotonic();
      if (left.count() <= 0)
        return Error{ErrorCode::timeout, "the policies' lookups for this request have taken too long"};
      return from_service(call, std::min<Duration>(left, std::chrono::seconds(5)));
    }
    const std::string method = call["method"].as_string().empty() ? "GET" : call["method"].str();
    if (method == "POST") return post_to_cluster(call);
    if (method != "GET")
      return Error{ErrorCode::bad_request, "apiCall to the cluster: GET and POST are answered, not " + method};
    return from_cluster(call["urlPath"].str());
  }

  Result<std::optional<Value>> global_entry(const std::string& name) const override {
    static const schema::Resource kEntries{"kyverno.io", "v2alpha1", "GlobalContextEntry", "globalcontextentries",
                                           false};
    const auto entry = TRY(client_.get(kEntries, {"", name}));
    const Value& spec = entry.value()["spec"];
    std::optional<Value> data;
    if (spec["apiCall"].is_map()) {
      data = TRY(api_call(spec["apiCall"]));
    } else {
      const Value& of = spec["kubernetesResource"];
      const std::string group = of["group"].as_string().empty() ? "" : of["group"].str() + "/";
      const std::string api_version = group + of["version"].str();
      const std::string kind = TRY(kind_of(api_version, of["resource"].str()));
      auto found = TRY(objects(api_version, kind, of["namespace"].str()));
      data = Value(std::move(found));
    }
    if (!data) return data;
    Value out = *data;
    for (const Value& projection : spec["projections"].items()) {
      const auto path = TRY(jmespath::Expression::compile(projection["jmesPath"].as_string()));
      Value value = TRY(path.search(*data, {}));
      if (!out.is_map()) out = Value::map();
      out.set(projection["name"].as_string(), std::move(value));
    }
    return std::optional<Value>(std::move(out));
  }

  Result<std::optional<Value>> image(const std::string& reference) const override {
    if (images_ == nullptr) return Error{ErrorCode::unavailable, "there is no registry to read " + reference + " from"};
    Value found = TRY(image_data(*images_, reference).in("image " + reference));
    return std::optional<Value>(std::move(found));
  }
  const ImageSource* images() const override { return images_; }

  Result<Value> object(const std::string& api_version, const std::string& kind, const std::string& ns,
                       const std::string& name) const override {
    const auto resource = TRY(client_.resource_for(api_version, kind));
    const auto found = client_.get(resource, {resource.namespaced ? ns : "", name});
    if (found.ok()) return found->value();
    if (found.error().code == ErrorCode::not_found) return Value();
    return found.error();
  }

  Result<std::vector<Value>> objects(const std::string& api_version, const std::string& kind,
                                     const std::string& ns) const override {
    const auto resource = TRY(client_.resource_for(api_version, kind));
    const auto list = TRY(client_.list(resource, {.ns = ns}));
    std::vector<Value> out;
    for (const kube::Object& item : list.items) {
      Value value = item.value();
      value.set("apiVersion", api_version).set("kind", kind);
      out.push_back(std::move(value));
    }
    return out;
  }

  Result<std::string> kind_of(const std::string& api_version, const std::string& plural) const override {
    for (const auto& resource : TRY(client_.resources()))
      if (resource.api_version() == api_version && resource.plural == plural) return resource.kind;
    return Error{ErrorCode::not_found, "the server could not find " + plural + " of " + api_version};
  }

 private:
  struct Path {
    std::string api_version, kind, ns, plural, name;
  };
  // "/api/v1/namespaces/NS/PLURAL/NAME" and "/apis/GROUP/VERSION/…", as the API writes them.
  Result<Path> path_of(const std::string& url) const {
    std::vector<std::string_view> parts;
    for (const std::string_view part : split(std::string_view(url).substr(0, url.find('?')), '/'))
      if (!part.empty()) parts.push_back(part);
    const bool core = !parts.empty() && parts[0] == "api";
    const std::size_t head = core ? 2 : 3;
    if (parts.size() <= head) return Error{ErrorCode::bad_request, "apiCall.urlPath names no resource: " + url};
    Path path;
    path.api_version = core ? std::string(parts[1]) : std::string(parts[1]) + "/" + std::string(parts[2]);
    parts.erase(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(head));
    if (parts.size() > 2 && parts[0] == "namespaces") {
      path.ns = parts[1];
      parts.erase(parts.begin(), parts.begin() + 2);
    }
    path.plural = parts[0];
    if (parts.size() > 1) path.name = parts[1];
    path.kind = TRY(kind_of(path.api_version, path.plural));
    return path;
  }

  Result<std::optional<Value>> from_cluster(const std::string& url) const {
    const Path path = TRY(path_of(url));
    if (!path.name.empty()) {
      const Value found = TRY(object(path.api_version, path.kind, path.ns, path.name));
      if (found.is_null()) return Error{ErrorCode::not_found, path.plural + " \"" + path.name + "\" not found"};
      return std::optional<Value>(found);
    }
    auto found = TRY(objects(path.api_version, path.kind, path.ns));
    return std::optional<Value>(
        Value{{"apiVersion", path.api_version}, {"kind", path.kind + "List"}, {"items", Value(std::move(found))}});
  }

  // Reviews are asked so, and objects are made.
  Result<std::optional<Value>> post_to_cluster(const Value& call) const {
    const Path path = TRY(path_of(call["urlPath"].str()));
    Value object = body_of(call);
    if (!object.is_map()) return Error{ErrorCode::bad_request, "apiCall: POST to the cluster needs an object"};
    object.set("apiVersion", path.api_version).set("kind", path.kind);
    if (!path.ns.empty()) object.edit("metadata").set("namespace", path.ns);
    const auto made = TRY(client_.create(kube::Object(std::move(object)), {.field_manager = "caisson-policy"}));
    return std::optional<Value>(made.value());
  }

  // `data` is a list of members; null: nothing is sent.
  static Value body_of(const Value& call) {
    if (!call["data"].is_list()) return call["body"];
    Value body = Value::map();
    for (const Value& member : call["data"].items()) body.set(member["key"].as_string(), member["value"]);
    return body;
  }

  static Result<std::optional<Value>> from_service(const Value& call, Duration time_max) {
    const Value& service = call["service"];
    http::ClientOptions options;
    options.ca_pem = service["caBundle"].str();
    http::Client client(options);
    http::Request request{.method = call["method"].as_string().empty() ? "GET" : call["method"].str(),
                          .url = service["url"].str()};
    request.time_max = time_max;
    request.response_bytes_max = 2u << 20;
    const Value body = body_of(call);
    if (!body.is_null()) {
      request.body = json::write(body);
      request.headers.set("Content-Type", "application/json");
    }
    for (const Value& header : service["headers"].items())
      request.headers.set(header["key"].as_string(), header["value"].str());
    const auto response = TRY(client.send(request));
    if (call["anyStatus"].as_bool()) {
      const auto answered = json::parse(response.body);  // what is no JSON is no body
      return std::optional<Value>(
          Value{{"statusCode", response.status}, {"body", answered.ok() ? *answered : Value()}});
    }
    if (response.status < 200 || response.status > 299)
      return Error{ErrorCode::unavailable, "HTTP " + std::to_string(response.status) + " from " + request.url};
    const Value value = TRY(json::parse(response.body));
    return std::optional<Value>(value);
  }

  kube::Client& client_;
  const ImageSource* images_;
  const Duration deadline_;
};

bool binds(const Value& binding, const UserInfo& user) {
  for (const Value& subject : binding["subjects"].items()) {
    const std::string_view kind = subject["kind"].as_string();
    const std::string name = subject["name"].str();
    if (kind == "User" && name == user.name) return true;
    if (kind == "Group" && std::find(user.groups.begin(), user.groups.end(), name) != user.groups.end()) return true;
    if (kind == "ServiceAccount" && "system:serviceaccount:" + subject["namespace"].str() + ":" + name == user.name)
      return true;
  }
  return false;
}

}  // namespace

std::unique_ptr<Lookups> make_client_lookups(kube::Client& client, const ImageSource* images, Duration time_max) {
  return std::make_unique<ClientLookups>(client, images, time_max);
}

Result<void> add_roles(kube::Client& client, UserInfo& user) {
  const auto own = TRY(client.list(schema::kRoleBindings, {}));
  for (const kube::Object& binding : own.items) {
    if (!binds(binding.value(), user)) continue;
    const Value& role = binding.value()["roleRef"];
    if (role["kind"].as_string() == "Role") user.roles.push_back(binding.ns() + ":" + role["name"].str());
    if (role["kind"].as_string() == "ClusterRole") user.cluster_roles.push_back(role["name"].str());
  }
  const auto cluster = TRY(client.list(schema::kClusterRoleBindings, {}));
  for (const kube::Object& binding : cluster.items)
    if (binds(binding.value(), user)) user.cluster_roles.push_back(binding.value()["roleRef"]["name"].str());
  return {};
}

}  // namespace caisson::policy
