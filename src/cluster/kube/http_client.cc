// SPDX-License-Identifier: Apache-2.0
// Source: Kubernetes API concepts (v1.33): paths, query parameters, patch content types, the framing of watches.
#include "cluster/kube/http_client.h"

#include <atomic>
#include <thread>

#include "cluster/kube/discovery.h"
#include "cluster/kube/impersonation.h"
#include "cluster/kube/status.h"
#include "core/base/encoding.h"
#include "core/base/log.h"
#include "core/document/json.h"

namespace caisson::kube {
namespace {

// Builds "?a=b&c=d"; what is empty is left out.
class QueryText {
 public:
  QueryText& add(std::string_view name, std::string_view value) {
    if (value.empty()) return *this;
    text_ += text_.empty() ? '?' : '&';
    text_.append(name).append("=").append(percent_encode(value));
    return *this;
  }
  const std::string& str() const { return text_; }

 private:
  std::string text_;
};

QueryText list_query(const ListOptions& options) {
  QueryText query;
  query.add("labelSelector", options.label_selector).add("fieldSelector", options.field_selector);
  query.add("resourceVersion", options.resource_version).add("continue", options.continue_token);
  if (options.limit > 0) query.add("limit", std::to_string(options.limit));
  return query;
}

QueryText write_query(const WriteOptions& options) {
  QueryText query;
  query.add("fieldManager", options.field_manager).add("dryRun", options.dry_run ? "All" : "");
  return query;
}

std::string_view propagation_name(Propagation propagation) {
  switch (propagation) {
    case Propagation::background:
      return "Background";
    case Propagation::foreground:
      return "Foreground";
    case Propagation::orphan:
      return "Orphan";
  }
  return "Background";
}

Value delete_body(const DeleteOptions& options) {
  Value body = Value::map();
  body.set("apiVersion", "v1");
  body.set("kind", "DeleteOptions");
  body.set("propagationPolicy", propagation_name(options.propagation));
  if (options.grace_period_seconds) body.set("gracePeriodSeconds", *options.grace_period_seconds);
  if (!options.uid.empty()) body.edit("preconditions").set("uid", options.uid);
  if (!options.resource_version.empty()) body.edit("preconditions").set("resourceVersion", options.resource_version);
  if (options.dry_run) body.set("dryRun", Value::list_of({"All"}));
  return body;
}

std::string_view patch_content_type(PatchType type) {
  switch (type) {
    case PatchType::json:
      return "application/json-patch+json";
    case PatchType::merge:
      return "application/merge-patch+json";
    case PatchType::strategic:
      return "application/strategic-merge-patch+json";
  }
  return "";
}

// One event of a watch's body, which is one JSON document a line.
WatchEvent parse_event(std::string_view line) {
  using Type = WatchEvent::Type;
  auto parsed = json::parse(line);
  if (!parsed.ok()) return {Type::closed, {}, std::move(parsed).error().in("watch event")};
  const std::string_view type = (*parsed)["type"].as_string();
  const Value& object = (*parsed)["object"];
  if (type == "ADDED") return {Type::added, Object(object), {}};
  if (type == "MODIFIED") return {Type::modified, Object(object), {}};
  if (type == "DELETED") return {Type::deleted, Object(object), {}};
  if (type == "BOOKMARK") return {Type::bookmark, Object(object), {}};
  if (type == "ERROR") {
    return {Type::closed, {}, error_from_response(static_cast<int>(object["code"].as_int(500)), json::write(object))};
  }
  return {Type::closed, {}, Error{ErrorCode::internal, "watch event of unknown type \"" + std::string(type) + "\""}};
}

// A thread reads the body and calls back; it ends with the stream.
class HttpWatch : public Watch {
 public:
  HttpWatch(std::unique_ptr<http::ResponseStream> stream, std::function<void(const WatchEvent&)> call)
      : stream_(std::move(stream)), call_(std::move(call)), thread_([this] { read(); }) {}

  ~HttpWatch() override {
    stopping_ = true;
    stream_->cancel();
    thread_.join();
  }

 private:
  static constexpr std::size_t kLineBytesMax = 64u << 20;

  void read() {
    std::string buffer;
    std::optional<Error> error;
    while (!stopping_) {
      auto piece = stream_->read_some();
      if (!piece.ok()) {
        error = std::move(piece).error();
        break;
      }
      if (piece->empty()) break;
      buffer += *piece;
      if (!deliver_lines(buffer)) return;
      if (buffer.size() > kLineBytesMax) {
        error = Error{ErrorCode::too_large, "watch event above " + std::to_string(kLineBytesMax) + " bytes"};
        break;
      }
    }
    if (!stopping_) call_({WatchEvent::Type::closed, {}, std::move(error)});
  }

  // False when the watch is over, and said so.
  bool deliver_lines(std::string& buffer) {
    std::size_t start = 0;
    for (std::size_t end; (end = buffer.find('\n', start)) != std::string::npos; start = end + 1) {
      if (end == start) continue;
      const WatchEvent event = parse_event(std::string_view(buffer).substr(start, end - start));
      if (stopping_) return false;
      call_(event);
      if (event.type == WatchEvent::Type::closed) return false;
    }
    buffer.erase(0, start);
    return true;
  }

  std::unique_ptr<http::ResponseStream> stream_;
  std::function<void(const WatchEvent&)> call_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

class HttpClient : public Client {
 public:
  explicit HttpClient(Connection connection, Impersonation as = {})
      : connection_(std::move(connection)),
        as_(std::move(as)),
        http_(connection_.http),
        discovery_([this](const std::string& path) { return exchange("GET", path); }) {
    while (!connection_.server.empty() && connection_.server.back() == '/') connection_.server.pop_back();
  }

  Result<Object> get(const Resource& resource, const ObjectKey& key) override {
    Value value = TRY(exchange("GET", resource.path(key.ns, key.name)));
    return Object(std::move(value));
  }

  Result<ObjectList> list(const Resource& resource, const ListOptions& options) override {
    const Value value = TRY(exchange("GET", resource.path(options.ns) + list_query(options).str()));
    ObjectList out;
    out.resource_version = value["metadata"]["resourceVersion"].str();
    out.continue_token = value["metadata"]["continue"].str();
    out.items.reserve(value["items"].size());
    for (const Value& item : value["items"].items()) out.items.push_back(typed(item, resource));
    return out;
  }

  Result<Object> create(const Object& object, const WriteOptions& options) override {
    const Resource resource = TRY(resource_for(object.api_version(), object.kind()));
    const std::string path = options.subresource.empty()
                                 ? resource.path(object.ns())
                                 : resource.path(object.ns(), object.name()) + "/" + options.subresource;
    Value value = TRY(exchange("POST", path + write_query(options).str(), &object.value()));
    return Object(std::move(value));
  }

  Result<Object> update(const Object& object, const WriteOptions& options) override {
    const Resource resource = TRY(resource_for(object.api_version(), object.kind()));
    Value value =
        TRY(exchange("PUT", item_path(resource, object.key(), options) + write_query(options).str(), &object.value()));
    return Object(std::move(value));
  }

  Result<Object> patch(const Resource& resource, const ObjectKey& key, PatchType type, const Value& patch,
                       const WriteOptions& options) override {
    const std::string path = item_path(resource, key, options) + write_query(options).str();
    Value value = TRY(exchange("PATCH", path, &patch, patch_content_type(type)));
    return Object(std::move(value));
  }

  Result<Object> apply(const Object& object, const WriteOptions& options) override {
    const Resource resource = TRY(resource_for(object.api_version(), object.kind()));
    QueryText query = write_query(options);
    query.add("force", options.force ? "true" : "");
    // JSON is YAML, so the body needs no other writer.
    Value value = TRY(exchange("PATCH", item_path(resource, object.key(), options) + query.str(), &object.value(),
                               "application/apply-patch+yaml"));
    return Object(std::move(value));
  }

  Result<void> remove(const Resource& resource, const ObjectKey& key, const DeleteOptions& options) override {
    const Value body = delete_body(options);
    TRY(exchange("DELETE", resource.path(key.ns, key.name), &body));
    return {};
  }

  Result<Value> post(const Resource& resource, const ObjectKey& key, std::string_view subresource,
                     const Value& body) override {
    std::string path = resource.path(key.ns, key.name);
    if (!subresource.empty()) path.append("/").append(subresource);
    return exchange("POST", path, &body);
  }

  Result<std::unique_ptr<Watch>> watch(const Resource& resource, const ListOptions& options,
                                       std::function<void(const WatchEvent&)> call) override {
    QueryText query = list_query(options);
    query.add("watch", "true").add("allowWatchBookmarks", "true");
    http::Request request = make_request("GET", resource.path(options.ns) + query.str());
    request.time_max = Duration(0);
    auto stream = TRY(http_.open(request));
    if (stream->status >= 400) {
      std::string body;
      while (body.size() < (1u << 20)) {
        const std::string piece = TRY(stream->read_some());
        if (piece.empty()) break;
        body += piece;
      }
      return error_from_response(stream->status, body);
    }
    return std::unique_ptr<Watch>(std::make_unique<HttpWatch>(std::move(stream), std::move(call)));
  }

  Result<std::vector<Object>> transact(const std::vector<Write>& writes) override {
    std::vector<Object> out;
    for (const Write& write : writes) {
      Object object = TRY(single(write).in(write.object.kind() + " " + write.object.key().str()));
      out.push_back(std::move(object));
    }
    return out;
  }
  bool atomic() const override { return false; }

  Result<Resource> resource_for(std::string_view api_version, std::string_view kind) override {
    return discovery_.find(api_version, kind);
  }
  Result<std::vector<Resource>> resources() override { return discovery_.all(); }

 private:
  static std::string item_path(const Resource& resource, const ObjectKey& key, const WriteOptions& options) {
    std::string path = resource.path(key.ns, key.name);
    if (!options.subresource.empty()) path += "/" + options.subresource;
    return path;
  }

  // Items of a list come without apiVersion and kind from an upstream server.
  static Object typed(const Value& item, const Resource& resource) {
    if (!item["kind"].is_null()) return Object(item);
    Value value = Value::map();
    value.set("apiVersion", resource.api_version());
    value.set("kind", resource.kind);
    for (const auto& entry : item.entries()) value.set(entry.key, entry.value);
    return Object(std::move(value));
  }

  Result<Object> single(const Write& write) {
    switch (write.verb) {
      case Write::Verb::create:
        return create(write.object, write.options);
      case Write::Verb::update:
        return update(write.object, write.options);
      case Write::Verb::apply:
        return apply(write.object, write.options);
      case Write::Verb::remove:
        break;
    }
    const Resource resource = TRY(resource_for(write.object.api_version(), write.object.kind()));
    TRY(remove(resource, write.object.key(), write.remove_options));
    return write.object;
  }

  http::Request make_request(std::string_view method, const std::string& path) const {
    http::Request request;
    request.method = method;
    request.url = connection_.server + path;
    request.headers.set("Accept", "application/json");
    request.headers.set("User-Agent", "caisson");
    if (!connection_.token.empty()) request.headers.set("Authorization", "Bearer " + connection_.token);
    as_.add_to(request.headers);
    request.response_bytes_max = 256u << 20;
    return request;
  }

  Result<Value> exchange(std::string_view method, const std::string& path, const Value* body = nullptr,
                         std::string_view content_type = "application/json") const {
    http::Request request = make_request(method, path);
    if (body) {
      request.headers.set("Content-Type", content_type);
      request.body = json::write(*body);
    }
    const http::Response response = TRY(http_.send(request));
    if (response.status >= 400) return error_from_response(response.status, response.body);
    if (const std::string_view warning = response.headers.get("Warning"); !warning.empty()) {
      log::warning("the API server warns", {{"request", std::string(method) + " " + path}, {"warning", warning}});
    }
    if (response.body.empty()) return Value();
    return json::parse(response.body).in("answer to " + std::string(method) + " " + path);
  }

  Connection connection_;
  const Impersonation as_;
  http::Client http_;
  Discovery discovery_;
};

}  // namespace

std::unique_ptr<Client> make_http_client(Connection connection) {
  return std::make_unique<HttpClient>(std::move(connection));
}

std::unique_ptr<Client> make_http_client(Connection connection, Impersonation as) {
  return std::make_unique<HttpClient>(std::move(connection), std::move(as));
}

void Impersonation::add_to(http::Headers& headers) const {
  if (!user.empty()) headers.set("Impersonate-User", user);
  for (const std::string& group : groups) headers.add("Impersonate-Group", group);
}

}  // namespace caisson::kube
