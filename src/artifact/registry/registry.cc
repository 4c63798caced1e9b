// SPDX-License-Identifier: Apache-2.0
// One class, one method per route. Uploads and manifests are in uploads.cc and manifests.cc.
#include "artifact/registry/registry.h"

#include <algorithm>

#include "artifact/registry/service.h"
#include "core/base/encoding.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::registry {
namespace {

Credentials credentials_of(std::string_view header) {
  Credentials out;
  const std::size_t space = header.find(' ');
  if (space == std::string_view::npos) return out;
  const std::string_view scheme = header.substr(0, space), value = trim(header.substr(space + 1));
  if (equals_ignoring_case(scheme, "Bearer")) {
    out.secret = SecretBytes(std::string(value));
    out.is_bearer = true;
  } else if (equals_ignoring_case(scheme, "Basic")) {
    const Result<std::string> plain = unbase64(value);
    if (!plain.ok()) return out;
    const std::size_t colon = plain->find(':');
    if (colon == std::string::npos) return out;
    out.user = plain->substr(0, colon);
    out.secret = SecretBytes(plain->substr(colon + 1));
  }
  return out;
}

std::string scope_of(std::string_view repository, Action action) {
  if (repository.empty()) return {};
  if (repository == "*") return "registry:catalog:*";
  const std::string_view actions = action == Action::pull ? "pull" : action == Action::push ? "pull,push" : "delete";
  return "repository:" + std::string(repository) + ":" + std::string(actions);
}

Action action_of(const Route& route, std::string_view method) {
  if (method == "GET" || method == "HEAD") {
    return route.kind == Route::Kind::upload ? Action::push : Action::pull;
  }
  if (method == "DELETE" && route.kind != Route::Kind::upload) return Action::remove;
  return Action::push;
}

std::string_view allowed_methods(Route::Kind kind) {
  switch (kind) {
    case Route::Kind::manifest:
      return "DELETE, GET, HEAD, PUT";
    case Route::Kind::blob:
      return "DELETE, GET, HEAD";
    case Route::Kind::uploads:
      return "POST";
    case Route::Kind::upload:
      return "DELETE, GET, HEAD, PATCH, PUT";
    default:
      return "GET";
  }
}

bool is_allowed(Route::Kind kind, std::string_view method) {
  for (const std::string_view one : split(allowed_methods(kind), ',')) {
    if (trim(one) == method) return true;
  }
  return method == "HEAD" && kind == Route::Kind::root;
}

}  // namespace

http::Response Service::challenge(std::string_view repository, const std::vector<std::string>& scopes,
                                  bool had_token) const {
  http::Response answer = error_answer(401, "UNAUTHORIZED", "authentication required");
  if (options_.token_realm.empty()) {
    answer.headers.set("WWW-Authenticate", "Basic realm=\"" + options_.realm + "\"");
    return answer;
  }
  std::string text = "Bearer realm=\"" + options_.token_realm + "\",service=\"" + options_.token_service + "\"";
  if (!repository.empty()) text += ",scope=\"" + join(scopes, " ") + "\"";
  if (had_token) text += ",error=\"invalid_token\"";
  answer.headers.set("WWW-Authenticate", text);
  return answer;
}

Result<Route> Service::mirrored(const http::Exchange& exchange, Route route) const {
  const std::string_view ns = http::query_get(exchange.query, "ns");
  const bool reads = exchange.method == "GET" || exchange.method == "HEAD";
  if (ns.empty() || !reads || !pull_through_ || route.repository.empty()) return route;
  const std::optional<Upstream> own = TRY(upstream_of(route));
  if (own || options_.tags.tags(route.repository).ok()) return route;
  const std::string name = std::string(kProxyPrefix) + std::string(ns) + "/" + route.repository;
  if (!content::is_valid_repository(name))
    return Error{ErrorCode::not_found,
                 "ns=" + std::string(ns) + ": no repository here stands for one of that registry"};
  route.repository = name;
  return route;
}

Result<std::optional<Upstream>> Service::upstream_of(const Route& route) const {
  if (!pull_through_) return std::optional<Upstream>();
  Result<std::optional<Upstream>> found = options_.upstream(route.repository);
  if (found.ok() || found.error().code == ErrorCode::unavailable || found.error().code == ErrorCode::timeout)
    return found;
  return Error{ErrorCode::forbidden, found.error().message};  // set up wrongly: the caller sees why
}

std::optional<http::Response> Service::refuse(const http::Exchange& exchange, std::string_view repository,
                                              Action action) const {
  if (!options_.authorize) return std::nullopt;
  const Credentials who = credentials_of(exchange.headers.get("Authorization"));
  const Result<void> allowed = options_.authorize(who, repository, action);
  if (allowed.ok()) return std::nullopt;
  if (allowed.error().code == ErrorCode::unauthorized) {
    std::vector<std::string> scopes = {scope_of(repository, action)};
    const std::string_view from = http::query_get(exchange.query, "from");
    if (!from.empty() && content::is_valid_repository(from)) scopes.push_back(scope_of(from, Action::pull));
    return challenge(repository, scopes, who.is_bearer);
  }
  return error_answer(allowed.error(), "UNKNOWN");
}

void Service::handle(const http::ExchangePtr& exchange) {
  const Result<Route> asked = mirrored(*exchange, parse_route(exchange->path));
  if (!asked.ok()) return exchange->respond(error_answer(asked.error(), "NAME_UNKNOWN"));
  const Route& route = *asked;
  const std::string& method = exchange->method;
  if (route.kind == Route::Kind::unknown) return exchange->respond(error_answer(404, "NOT_FOUND", "no such page"));
  if (route.kind == Route::Kind::bad_name) {
    return exchange->respond(error_answer(400, "NAME_INVALID", "invalid repository name"));
  }
  if (!is_allowed(route.kind, method)) {
    http::Response answer = error_answer(405, "UNSUPPORTED", "The operation is unsupported.");
    answer.headers.set("Allow", allowed_methods(route.kind));
    return exchange->respond(std::move(answer));
  }
  const std::string_view repository = route.kind == Route::Kind::catalog ? "*" : std::string_view(route.repository);
  const Action action = action_of(route, method);
  if (std::optional<http::Response> refusal = refuse(*exchange, repository, action))
    return exchange->respond(std::move(*refusal));
  if (options_.read_only && action != Action::pull) {
    http::Response answer = error_answer(405, "UNSUPPORTED", "the registry is read-only");
    answer.headers.set("Allow", "GET, HEAD");
    return exchange->respond(std::move(answer));
  }
  if (action == Action::push) {
    const Result<std::optional<Upstream>> upstream = upstream_of(route);
    if (!upstream.ok()) return exchange->respond(error_answer(upstream.error(), "NAME_UNKNOWN"));
    if (*upstream)
      return exchange->respond(error_answer(405, "UNSUPPORTED",
                                            route.repository + " is pulled through from " + (*upstream)->registry +
                                                ": push there, or to another project"));
  }
  if (action == Action::remove && !options_.allow_delete) {
    return exchange->respond(error_answer(405, "UNSUPPORTED", "The operation is unsupported."));
  }
  switch (route.kind) {
    case Route::Kind::root:
      return exchange->respond(json_answer(200, "{}"));
    case Route::Kind::catalog:
      return exchange->respond(catalog(*exchange));
    case Route::Kind::tags:
      return exchange->respond(tag_list(*exchange, route));
    case Route::Kind::manifest:
      return manifest(exchange, route);
    case Route::Kind::blob:
      return blob(exchange, route);
    case Route::Kind::uploads:
      return exchange->respond(begin_upload(*exchange, route));
    case Route::Kind::upload:
      return exchange->respond(upload(*exchange, route));
    case Route::Kind::referrers:
      return exchange->respond(referrers(*exchange, route));
    default:
      return exchange->respond(error_answer(404, "NOT_FOUND", "no such page"));
  }
}

namespace {

// One page of a sorted list by `n` and `last`, and the query of the next page. Errors: bad_request.
struct Page {
  std::vector<std::string> items;
  std::string next;
};
Result<Page> page_of(const std::vector<std::string>& all, const http::Query& query) {
  const std::string_view n = http::query_get(query, "n"), last = http::query_get(query, "last");
  std::optional<std::int64_t> count;
  if (!n.empty()) {
    count = parse_int(n);
    if (!count || *count < 0) return Error{ErrorCode::bad_request, "n: want a number"};
  }
  Page page;
  auto it = last.empty() ? all.begin() : std::upper_bound(all.begin(), all.end(), std::string(last));
  for (; it != all.end() && (!count || static_cast<std::int64_t>(page.items.size()) < *count); ++it)
    page.items.push_back(*it);
  if (it != all.end() && !page.items.empty())
    page.next = "?last=" + percent_encode(page.items.back()) + "&n=" + std::string(n);
  return page;
}

http::Response page_answer(const Value& body, const std::string& path, const Page& page) {
  http::Response answer = json_answer(200, json::write(body) + "\n");
  if (!page.next.empty()) answer.headers.set("Link", "<" + path + page.next + ">; rel=\"next\"");
  return answer;
}

}  // namespace

http::Response Service::catalog(const http::Exchange& exchange) const {
  const Result<std::vector<std::string>> all = options_.tags.repositories();
  if (!all.ok()) return error_answer(all.error(), "NAME_UNKNOWN");
  const Result<Page> page = page_of(*all, exchange.query);
  if (!page.ok()) return error_answer(400, "PAGINATION_NUMBER_INVALID", page.error().message);
  Value body = Value::map();
  body.set("repositories", Value::list_of(page->items));
  return page_answer(body, "/v2/_catalog", *page);
}

http::Response Service::tag_list(const http::Exchange& exchange, const Route& route) const {
  const Result<std::optional<Upstream>> upstream = upstream_of(route);
  if (!upstream.ok()) return error_answer(upstream.error(), "NAME_UNKNOWN");
  Result<std::vector<std::string>> all =
      *upstream ? pull_through_->tags(route.repository, **upstream) : options_.tags.tags(route.repository);
  if (!all.ok()) return upstream_answer(all.error(), "NAME_UNKNOWN");
  std::vector<std::string> sorted = std::move(all).value();
  std::sort(sorted.begin(), sorted.end());
  const Result<Page> page = page_of(sorted, exchange.query);
  if (!page.ok()) return error_answer(400, "PAGINATION_NUMBER_INVALID", page.error().message);
  Value body = Value::map();
  body.set("name", route.repository).set("tags", Value::list_of(page->items));
  return page_answer(body, "/v2/" + route.repository + "/tags/list", *page);
}

bool Service::is_here(const content::Digest& digest) const {
  return options_.blobs.has(digest) || (options_.layers != nullptr && options_.layers->has(digest));
}

Result<Service::FoundBlob> Service::find_blob(const Route& route, const content::Digest& digest) const {
  FoundBlob found;
  if (!options_.tags.touch_blob(route.repository, digest) || !is_here(digest)) {
    const std::optional<Upstream> upstream = TRY(upstream_of(route));
    if (!upstream) return Error{ErrorCode::not_found, "blob unknown to registry"};
    found.size = TRY(pull_through_->find_blob(route.repository, *upstream, digest));
    if (found.size > options_.blob_bytes_max)
      return Error{ErrorCode::too_large, "a blob of more than " + std::to_string(options_.blob_bytes_max) + " bytes"};
    found.open = [this, route, digest, upstream = *upstream, size = found.size](std::uint64_t first,
                                                                                std::uint64_t length) {
      return pull_through_->open_blob(route.repository, upstream, {"", digest, size, {}, "", {}}, first, length);
    };
  }
  if (options_.blobs.touch(digest)) {
    found.size = TRY(options_.blobs.size_bytes(digest));
    found.open = [this, digest](std::uint64_t first, std::uint64_t length) {
      return options_.blobs.open_read(digest, first, length);
    };
  } else if (!found.open) {
    found.size = TRY(options_.layers->size_bytes(digest));
    // A whole layer is read to its end, where its digest is checked; a part of one can't be.
    found.open = [this, digest, size = found.size](std::uint64_t first,
                                                   std::uint64_t length) -> Result<content::ByteSource> {
      content::ByteSource bytes = TRY(options_.layers->open(digest));
      return length == size ? bytes : content::slice(std::move(bytes), first, length);
    };
  }
  return found;
}

void Service::blob(const http::ExchangePtr& exchange, const Route& route) {
  const Result<content::Digest> digest = content::Digest::parse(route.item);
  if (!digest.ok()) return exchange->respond(error_answer(400, "DIGEST_INVALID", digest.error().message));
  if (exchange->method == "DELETE") {
    if (!options_.tags.touch_blob(route.repository, *digest) || !is_here(*digest))
      return exchange->respond(error_answer(404, "BLOB_UNKNOWN", "blob unknown to registry"));
    const Result<void> gone = options_.tags.remove_blob(route.repository, *digest);
    if (!gone.ok()) return exchange->respond(error_answer(gone.error(), "BLOB_UNKNOWN"));
    return exchange->respond({202, base_headers(), ""});
  }
  const Result<FoundBlob> found = find_blob(route, *digest);
  if (!found.ok()) return exchange->respond(upstream_answer(found.error(), "BLOB_UNKNOWN"));
  http::Headers headers = base_headers();
  const std::string tag = "\"" + digest->str() + "\"";
  headers.set("Docker-Content-Digest", digest->str());
  headers.set("ETag", tag);
  if (exchange->headers.get("If-None-Match") == tag) return exchange->respond({304, headers, ""});
  headers.set("Accept-Ranges", "bytes");
  headers.set("Content-Type", "application/octet-stream");
  headers.set("Cache-Control", "max-age=31536000");
  const ByteRange range =
      exchange->method == "GET" ? parse_range(exchange->headers.get("Range"), found->size) : ByteRange{0, found->size};
  if (range.kind == ByteRange::Kind::unsatisfiable) {
    headers.set("Content-Range", "bytes */" + std::to_string(found->size));
    return exchange->respond({416, headers, ""});
  }
  if (exchange->method == "HEAD") {
    headers.set("Content-Length", std::to_string(found->size));
    return exchange->respond({200, headers, ""});
  }
  int status = 200;
  if (range.kind == ByteRange::Kind::part) {
    status = 206;
    headers.set("Content-Range", "bytes " + std::to_string(range.first) + "-" +
                                     std::to_string(range.first + range.length - 1) + "/" +
                                     std::to_string(found->size));
  }
  const Result<content::ByteSource> source = found->open(range.first, range.length);
  if (!source.ok()) return exchange->respond(error_answer(source.error(), "BLOB_UNKNOWN"));
  const std::shared_ptr<http::Stream> stream = exchange->stream(status, headers, range.length);
  for (;;) {
    const Result<std::string> piece = (*source)();
    if (!piece.ok()) {
      log::warning("blob stream broke", {{"digest", digest->str()}, {"error", piece.error()}});
      return stream->abort();
    }
    if (piece->empty()) return stream->finish();
    if (!stream->write_blocking(*piece).ok()) return;  // the client is gone
  }
}

http::Handler make_registry(RegistryOptions options) {
  auto service = std::make_shared<Service>(std::move(options));
  return [service](http::ExchangePtr exchange) { service->handle(exchange); };
}

}  // namespace caisson::registry
