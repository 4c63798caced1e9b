// SPDX-License-Identifier: Apache-2.0
#include "main/cli/session.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"

namespace caisson::cli {
namespace {

std::string kubeconfig_path(const Global& global) {
  if (!global.kubeconfig.empty()) return global.kubeconfig;
  if (const char* path = std::getenv("KUBECONFIG"); path && *path) return std::string(split(path, ':')[0]);
  const std::string admin = global.data_dir + "/pki/admin.kubeconfig";
  // The platform's own administrator file first, when this user may read it: it needs no login.
  if (::access(admin.c_str(), R_OK) == 0) return admin;
  return user_kubeconfig_path();
}

Error error_of(const http::Response& response) {
  const auto status = json::parse(response.body);
  std::string message = status.ok() ? (*status)["message"].str() : std::string(trim(response.body));
  if (message.empty() && status.ok()) message = status->is_string() ? status->str() : (*status)["error"].str();
  if (message.empty()) message = "the server answered " + std::to_string(response.status);
  const ErrorCode code = response.status == 404   ? ErrorCode::not_found
                         : response.status == 403 ? ErrorCode::forbidden
                         : response.status == 401 ? ErrorCode::unauthorized
                         : response.status == 409 ? ErrorCode::conflict
                         : response.status < 500  ? ErrorCode::bad_request
                                                  : ErrorCode::internal;
  if (code == ErrorCode::unauthorized) message += " (log in again with 'caisson login')";
  return {code, message};
}

// Every group with its versions, the preferred one first, and their resources: aggregated discovery (Kubernetes 1.27
// and later), two requests for all.
Result<std::vector<Value>> discover(const Session& session) {
  std::vector<Value> groups;
  for (const char* path : {"/api", "/apis"}) {
    const http::Response answer =
        TRY(session.send("GET", path, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"));
    const Value list = TRY(json::parse(answer.body));
    if (list["kind"].as_string() != "APIGroupDiscoveryList")
      return Error{ErrorCode::not_acceptable,
                   "the server has no aggregated discovery: it is older than Kubernetes 1.27"};
    for (const Value& group : list["items"].items()) groups.push_back(group);
  }
  return groups;
}

// "deploy", "deployments.apps", "deployment.v1.apps": any of its names, alone or with group or version and group.
bool is_named(const Value& item, const std::string& group, std::string_view version, std::string_view wanted) {
  const std::string_view name = wanted.substr(0, wanted.find('.'));
  const auto shorts = item["shortNames"].items();
  const bool has_name =
      name == item["resource"].as_string() || name == item["singularResource"].as_string() ||
      name == to_lower(item["responseKind"]["kind"].as_string()) ||
      std::any_of(shorts.begin(), shorts.end(), [&](const Value& one) { return one.as_string() == name; });
  if (!has_name || name.size() == wanted.size()) return has_name;
  const std::string_view rest = wanted.substr(name.size() + 1);
  return rest == group || rest == std::string(version) + (group.empty() ? "" : "." + group) ||
         rest == std::string(version) + ".";
}

}  // namespace

std::string user_kubeconfig_path() {
  if (const char* path = std::getenv("KUBECONFIG"); path && *path) return std::string(split(path, ':')[0]);
  const char* home = std::getenv("HOME");
  return std::string(home ? home : "/root") + "/.kube/config";
}

std::string default_data_dir() {
  const char* directory = std::getenv("CAISSON_DATA_DIR");
  return directory != nullptr ? directory : Global().data_dir;
}

http::Request Session::request(const std::string& method, const std::string& path) const {
  http::Request request;
  request.method = method;
  request.url = connection.server + path;
  if (!connection.token.empty()) request.headers.set("Authorization", "Bearer " + connection.token);
  return request;
}

Result<http::Response> Session::send(const std::string& method, const std::string& path, std::string_view accept,
                                     const std::string& body) const {
  http::Request message = request(method, path);
  message.headers.set("Accept", accept);
  if (!body.empty()) message.headers.set("Content-Type", "application/json");
  message.body = body;
  const http::Client http(connection.http);
  http::Response response = TRY(http.send(message));
  if (response.status >= 400) return error_of(response);
  return response;
}

Result<std::unique_ptr<http::ResponseStream>> Session::open(const std::string& path) const {
  http::Request message = request("GET", path);
  message.time_max = Duration(0);
  const http::Client http(connection.http);
  auto stream = TRY(http.open(message));
  if (stream->status < 400) return stream;
  http::Response refused{stream->status, stream->headers, ""};
  for (;;) {
    const std::string piece = TRY(stream->read_some());
    if (piece.empty()) return error_of(refused);
    refused.body += piece;
  }
}

Result<Session> connect(const Global& global) {
  const std::string path = kubeconfig_path(global);
  if (!exists(path)) {
    return Error{ErrorCode::not_found, "no platform is known to this user (" + path +
                                           " is not there): run 'caisson login', or name a file with --kubeconfig"};
  }
  Session session;
  session.connection = TRY(kube::load_kubeconfig(path, global.context).in("read " + path));
  session.ns = global.ns.empty() ? session.connection.ns : global.ns;
  session.client = kube::make_http_client(session.connection);
  return session;
}

Result<kube::Resource> find_resource(const Session& session, std::string_view word) {
  const std::string wanted = to_lower(word);
  for (const Value& group : TRY(discover(session))) {
    const std::string group_name = group["metadata"]["name"].str();
    for (const Value& version : group["versions"].items()) {
      for (const Value& item : version["resources"].items()) {
        if (!is_named(item, group_name, version["version"].as_string(), wanted)) continue;
        return kube::Resource{group_name, version["version"].str(), item["responseKind"]["kind"].str(),
                              item["resource"].str(), item["scope"].as_string() == "Namespaced"};
      }
    }
  }
  return Error{ErrorCode::not_found, "the server doesn't have a resource type '" + std::string(word) + "'"};
}

void print_table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  const auto measure = [&](const std::vector<std::string>& row) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  };
  const auto print = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - display_width(row[i]) + 3, ' ');
    }
    std::printf("%s\n", line.c_str());
  };
  if (!header.empty()) measure(header);
  for (const auto& row : rows) measure(row);
  if (!header.empty()) print(header);
  for (const auto& row : rows) print(row);
}

void print_value(const Value& value, std::string_view format) {
  if (format == "yaml")
    std::printf("%s", yaml::write(value).c_str());
  else
    std::printf("%s\n", json::write(value, {.indent = 4}).c_str());
}

bool is_terminal() {
  return ::isatty(STDOUT_FILENO) == 1;
}

std::string paint(std::string_view text, const char* color) {
  const char* off = std::getenv("NO_COLOR");
  if (!is_terminal() || (off && *off)) return std::string(text);
  return std::string("\033[") + color + "m" + std::string(text) + "\033[0m";
}

}  // namespace caisson::cli
