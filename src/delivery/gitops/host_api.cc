// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/host_api.h"

#include "core/document/json.h"
#include "core/http/client.h"

namespace caisson::gitops {
namespace {

constexpr int kPagesMax = 100;
constexpr std::size_t kPageItems = 50, kAnswerBytesMax = 16u << 20;

}  // namespace

Result<HostAccess> host_access(std::string_view kind, const Value& settings, const std::string& token) {
  HostAccess out;
  out.base = settings["api"].str();
  out.verify = !settings["insecure"].as_bool();
  if (kind == "gitlab") {
    out.header = "PRIVATE-TOKEN";
    out.value = token;
    if (out.base.empty()) out.base = "https://gitlab.com";
    return out;
  }
  if (kind == "gitea" && out.base.empty()) return Error{ErrorCode::invalid, "gitea.api is missing"};
  if (out.base.empty()) out.base = "https://api.github.com";
  out.header = "Authorization";
  if (!token.empty()) out.value = (kind == "gitea" ? "token " : "Bearer ") + token;
  return out;
}

HostApi::HostApi(HostAccess access) : access_(std::move(access)) {
  while (access_.base.ends_with('/')) access_.base.pop_back();
}

Result<Value> HostApi::ask(const std::string& method, const std::string& path, const std::string& body) const {
  http::Request request;
  request.method = method;
  request.url = access_.base + path;
  request.time_max = access_.time_max;
  request.response_bytes_max = kAnswerBytesMax;
  request.body = body;
  request.headers.set("Accept", "application/json");
  request.headers.set("User-Agent", "caisson");
  if (!body.empty()) request.headers.set("Content-Type", "application/json");
  if (!access_.value.empty()) request.headers.set(access_.header, access_.value);
  http::ClientOptions options;
  options.verify = access_.verify;
  options.ca_pem = access_.ca_pem;
  const http::Response answer = TRY(http::Client(std::move(options)).send(request).in(request.url));
  if (answer.status == 404) return Error{ErrorCode::not_found, request.url + ": not found"};
  if (answer.status >= 400) {
    const auto told = json::parse(answer.body);
    const std::string why = told.ok() ? (*told)["message"].scalar_text() : "";
    return Error{ErrorCode::unavailable,
                 request.url + " answered " + std::to_string(answer.status) + (why.empty() ? "" : ": " + why)};
  }
  return json::parse(answer.body).in(request.url);
}

Result<Value> HostApi::get(const std::string& path) const {
  return ask("GET", path, "");
}

Result<Value> HostApi::post(const std::string& path, const Value& body) const {
  return ask("POST", path, json::write(body));
}

Result<std::vector<Value>> HostApi::pages(const std::string& path, const std::string& size_name) const {
  std::vector<Value> out;
  for (int page = 1; page <= kPagesMax; ++page) {
    const Value list =
        TRY(get(path + "&" + size_name + "=" + std::to_string(kPageItems) + "&page=" + std::to_string(page)));
    if (!list.is_list()) return Error{ErrorCode::unavailable, access_.base + path + ": answered no list"};
    out.insert(out.end(), list.items().begin(), list.items().end());
    if (list.size() < kPageItems) break;
  }
  return out;
}

}  // namespace caisson::gitops
