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
  const char* home = std::getenv("HOME");
  const std::string user = std::string(home ? home : "/root") + "/.kube/config";
  // The platform's own administrator file first, when this user may read it: it needs no login.
  if (::access(admin.c_str(), R_OK) == 0) return admin;
  return user;
}

Error error_of(const http::Response& response) {
  const auto status = json::parse(response.body);
  std::string message = status.ok() ? (*status)["message"].str() : std::string(trim(response.body));
  if (message.empty()) message = "the server answered " + std::to_string(response.status);
  const ErrorCode code = response.status == 404 ? ErrorCode::not_found : response.status == 403 ? ErrorCode::forbidden
                       : response.status == 401 ? ErrorCode::unauthorized : response.status == 409 ? ErrorCode::conflict
                       : response.status < 500 ? ErrorCode::bad_request : ErrorCode::internal;
  if (code == ErrorCode::unauthorized) message += " (log in again with 'caisson login')";
  return {code, message};
}

// Every resource with its names, from the legacy discovery documents.
Result<Value> api_resources(const Session& session) {
  const http::Response core = TRY(session.send("GET", "/api/v1"));
  std::vector<Value> lists;
  lists.push_back(TRY(json::parse(core.body)));
  const http::Response groups = TRY(session.send("GET", "/apis"));
  const Value group_list = TRY(json::parse(groups.body));
  for (const Value& group : group_list["groups"].items()) {
    const http::Response answer = TRY(session.send("GET", "/apis/" + group["preferredVersion"]["groupVersion"].str()));
    lists.push_back(TRY(json::parse(answer.body)));
  }
  return Value(std::move(lists));
}

}  // namespace

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
  const Value lists = TRY(api_resources(session));
  for (const Value& list : lists.items()) {
    const std::string group_version = list["groupVersion"].str();
    const auto slash = group_version.find('/');
    const std::string group = slash == std::string::npos ? "" : group_version.substr(0, slash);
    for (const Value& item : list["resources"].items()) {
      const std::string plural = item["name"].str();
      if (plural.find('/') != std::string::npos) continue;
      const auto shorts = item["shortNames"].items();
      const bool named = wanted == plural || wanted == item["singularName"].as_string() || wanted == to_lower(item["kind"].as_string()) ||
                         wanted == plural + "." + group ||
                         std::any_of(shorts.begin(), shorts.end(), [&](const Value& name) { return name.as_string() == wanted; });
      if (!named) continue;
      return kube::Resource{group, slash == std::string::npos ? group_version : group_version.substr(slash + 1), item["kind"].str(), plural,
                            item["namespaced"].as_bool()};
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
  if (format == "yaml") std::printf("%s", yaml::write(value).c_str());
  else std::printf("%s\n", json::write(value, {.indent = 4}).c_str());
}

bool is_terminal() { return ::isatty(STDOUT_FILENO) == 1; }

std::string paint(std::string_view text, const char* color) {
  const char* off = std::getenv("NO_COLOR");
  if (!is_terminal() || (off && *off)) return std::string(text);
  return std::string("\033[") + color + "m" + std::string(text) + "\033[0m";
}

}  // namespace caisson::cli
