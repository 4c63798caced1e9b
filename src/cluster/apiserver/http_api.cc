// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/http_api.h"

#include "cluster/apiserver/audit.h"
#include "cluster/apiserver/authenticate.h"
#include "cluster/apiserver/authorizer.h"
#include "cluster/apiserver/connector.h"
#include "cluster/apiserver/conversion.h"
#include "cluster/apiserver/documents.h"
#include "cluster/apiserver/duplicate_fields.h"
#include "cluster/apiserver/list_text.h"
#include "cluster/apiserver/negotiate.h"
#include "cluster/apiserver/subresources.h"
#include "cluster/apiserver/verbs.h"
#include "cluster/apiserver/watch_stream.h"
#include "cluster/schema/openapi.h"
#include "cluster/schema/openapi_proto.h"
#include "cluster/schema/protobuf.h"
#include "cluster/schema/table.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::apiserver {
namespace {

constexpr std::size_t kBodyBytesMax = 3u << 20;  // as kube-apiserver's
constexpr std::size_t kFieldManagerMax = 128;

bool is_true(std::string_view text) {
  return text == "true" || text == "1";
}

std::string warning_header(std::string_view text) {
  std::string quoted = "299 - \"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c == '\n' || c == '\r' ? ' ' : c;
  }
  return quoted + "\"";
}

std::string_view options_kind(std::string_view verb) {
  return verb == "create"   ? "CreateOptions"
         : verb == "patch"  ? "PatchOptions"
         : verb == "update" ? "UpdateOptions"
                            : "DeleteOptions";
}

Error option_error(Request& request, const schema::FieldError& error) {
  const std::string kind(options_kind(request.verb));
  Value details{{"group", "meta.k8s.io"}, {"kind", kind}, {"causes", schema::causes({error})}};
  return request.fail(ErrorCode::invalid, kind + ".meta.k8s.io \"\" is invalid: " + error.str(), std::move(details));
}

Error unsupported(Request& request, std::string_view field, const std::string& message) {
  const std::string kind(options_kind(request.verb));
  Value cause{{"reason", "FieldValueNotSupported"}, {"message", message}, {"field", field}};
  Value details{{"group", "meta.k8s.io"}, {"kind", kind}, {"causes", Value(std::vector<Value>{std::move(cause)})}};
  return request.fail(ErrorCode::invalid, kind + ".meta.k8s.io \"\" is invalid: " + std::string(field) + ": " + message,
                      std::move(details));
}

// dryRun, fieldManager, fieldValidation, force.
Result<void> read_write_options(Request& request, const http::Query& query, std::string_view user_agent, bool apply) {
  using Type = schema::FieldError::Type;
  for (const auto& [key, value] : query) {
    if (key != "dryRun" || value.empty()) continue;
    if (value != "All")
      return unsupported(request, "dryRun",
                         "Unsupported value: []string{\"" + value + "\"}: supported values: \"All\"");
    request.dry_run = true;
  }
  request.field_manager = std::string(http::query_get(query, "fieldManager"));
  if (request.field_manager.size() > kFieldManagerMax)
    return option_error(request, {Type::too_long, "fieldManager", {}, "may not be more than 128 bytes"});
  if (apply && request.field_manager.empty())
    return option_error(request, {Type::required, "fieldManager", {}, "is required for apply patch"});
  if (request.field_manager.empty()) request.field_manager = std::string(user_agent.substr(0, user_agent.find('/')));
  const std::string_view force = http::query_get(query, "force");
  if (!force.empty() && !apply && request.verb == "patch")
    return option_error(request, {Type::forbidden, "force", {}, "may not be specified for non-apply patch"});
  request.force = is_true(force);
  const std::string_view validation = http::query_get(query, "fieldValidation");
  if (validation == "Strict")
    request.field_validation = FieldValidation::strict;
  else if (validation == "Ignore")
    request.field_validation = FieldValidation::ignore;
  else if (!validation.empty() && validation != "Warn")
    return unsupported(request, "fieldValidation",
                       "Unsupported value: \"" + std::string(validation) +
                           "\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"");
  return {};
}

bool group_is_known(const schema::Schema& schema, std::string_view group) {
  for (const schema::KindPtr& kind : schema.all())
    if (kind->resource.group == group && !kind->custom) return true;
  return false;
}

// Of kinds that upstream has deprecated, as its clients print it.
std::string_view deprecation(const schema::Resource& resource) {
  if (resource == schema::kEndpoints)
    return "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";
  if (resource.group.empty() && resource.plural == "componentstatuses")
    return "v1 ComponentStatus is deprecated in v1.19+";
  return {};
}

std::string_view group_in(std::string_view path) {
  const auto parts = split(path, '/');
  return parts.size() > 2 ? parts[2] : std::string_view();
}

// How the bytes of an object begin that is stored in this version (core.h, ordered).
std::string type_prefix(const schema::Resource& resource) {
  return "{\"kind\":\"" + resource.kind + "\",\"apiVersion\":\"" + resource.api_version() + "\",";
}

bool is_health(std::string_view path) {
  for (const std::string_view root : {"/healthz", "/livez", "/readyz"})
    if (path == root ||
        (path.starts_with(root) && (path.substr(root.size()) == "/ping" || path.substr(root.size()) == "/etcd")))
      return true;
  return false;
}

}  // namespace

// Held by whoever is going to answer: a write's answer comes from the thread that made it durable.
struct HttpApi::Call : std::enable_shared_from_this<HttpApi::Call> {
  explicit Call(http::ExchangePtr e) : exchange(std::move(e)) {}

  http::ExchangePtr exchange;
  Request request;
  Representation as;
  std::int64_t retry_after_seconds = 0;
  std::shared_ptr<AuditRecord> audit;  // null: not on record

  // From here on the request is on record, where the policy says so. `asker` is who asks, before impersonation.
  void record(const Core& core, const User& asker) {
    if (!core.audit) return;
    audit = core.audit->begin(request, asker, *exchange);
    if (audit) exchange = core.audit->watch(exchange, audit);
  }
  void annotate(std::string key, std::string value) const {
    if (audit) audit->annotations.emplace_back(std::move(key), std::move(value));
  }

  http::Headers headers(std::string_view content_type) {
    http::Headers headers{{"Content-Type", std::string(content_type)}};
    headers.set("Cache-Control", "no-cache, private");
    for (const std::string& warning : request.warnings) headers.add("Warning", warning_header(warning));
    if (audit)
      audit->annotations.insert(audit->annotations.end(), request.audit_annotations.begin(),
                                request.audit_annotations.end());
    if (retry_after_seconds > 0) headers.set("Retry-After", std::to_string(retry_after_seconds));
    return headers;
  }
  void send(int status, std::string body, std::string_view content_type) {
    exchange->respond({.status = status, .headers = headers(content_type), .body = std::move(body)});
  }
  void send(const Error& error) {
    const Value status = request.status_of(error);
    retry_after_seconds = status["details"]["retryAfterSeconds"].as_int();
    Representation plain = as;
    plain.table = plain.partial = plain.partial_list = false;
    send(static_cast<int>(status["code"].as_int()), encode(status, plain), plain.content_type());
  }
  void not_found() {
    request.warnings.clear();
    send(404, "404 page not found\n", "text/plain; charset=utf-8");
  }
  // Of a group that is served the answer is a Status; elsewhere there is nobody who knows Status.
  void no_resource(bool group_known) {
    if (!group_known) return not_found();
    request.warnings.clear();
    send(request.fail(ErrorCode::not_found, "the server could not find the requested resource", Value::map()));
  }
  void method_not_allowed() {
    send(request.fail(ErrorCode::method_not_allowed, "the server does not allow this method on the requested resource",
                      Value::map()));
  }

  // One object (or Status) in the representation that was asked for.
  void send_value(int status, const Value& value, Clock& clock) {
    const bool of_kind = request.kind && value["kind"].as_string() == request.kind->resource.kind;
    if (as.partial_list && of_kind)
      return send(wrong_form("PartialObjectMetadataList", "is not a list", request.kind->resource.kind));
    if (as.table && of_kind) {
      Value table = schema::table(*request.kind, std::span(&value, 1), clock.now(), include());
      if (const Value& version = value["metadata"]["resourceVersion"]; !version.is_null())
        table.edit("metadata").set("resourceVersion", version);
      table.set("apiVersion", as.meta_version);
      return send(status, encode(table, as), as.content_type());
    }
    if (as.partial && of_kind) {
      Value partial = schema::partial_metadata(value);
      partial.set("apiVersion", as.meta_version);
      return send(status, encode(partial, as), as.content_type());
    }
    send(status, encode(value, as), as.content_type());
  }
  bool as_stored() const { return !as.table && !as.partial && !as.partial_list && !as.yaml && !as.pretty; }
  // The object whose bytes are what the API shows of it in this version; else null.
  store::ItemPtr shown_as_stored(const Core& core, std::string_view name) const {
    auto item = core.store.get(request.storage_resource(), request.ns, name);
    return item && item->bytes().starts_with(type_prefix(request.kind->resource)) ? item : nullptr;
  }
  // The object's own bytes: nothing is parsed or written again.
  void send_item(int status, const store::Item& item) {
    std::string body;
    body.reserve(item.bytes().size() + 513);  // with room for the answer's head, which goes before it
    body.append(item.bytes()).append("\n");
    send(status, std::move(body), as.content_type());
  }
  // One object was asked for as a list, or a list as one object.
  Error wrong_form(std::string_view form, std::string_view what, const std::string& kind) {
    const std::string& group = request.kind->resource.group;
    const std::string package = group.empty() ? "core" : group.substr(0, group.find('.'));
    return Error{ErrorCode::not_acceptable, "you requested " + std::string(form) + ", but the requested object " +
                                                std::string(what) + " (*" + package + "." + kind + ")"};
  }
  schema::IncludeObject include() const {
    const std::string_view wanted = http::query_get(exchange->query, "includeObject");
    if (wanted == "None") return schema::IncludeObject::none;
    return wanted == "Object" ? schema::IncludeObject::object : schema::IncludeObject::metadata;
  }

  Result<Value> read(Core& core, BodyType type) {
    auto body = read_unrecorded(core, type);
    if (body.ok() && audit) audit->saw_request(*body);
    return body;
  }
  Result<Value> read_unrecorded(Core& core, BodyType type) {
    auto bytes = exchange->read_body(kBodyBytesMax);
    if (!bytes.ok()) {
      if (bytes.error().code == ErrorCode::too_large)
        return request.fail(ErrorCode::too_large,
                            "Request entity too large: limit is " + std::to_string(kBodyBytesMax));
      return std::move(bytes).error();
    }
    if (bytes->empty()) return Value();
    if (type == BodyType::protobuf) return schema::from_protobuf(core.schema, *bytes);
    const bool writes = request.verb == "create" || request.verb == "update" || request.verb == "patch";
    const bool yaml = type == BodyType::yaml || type == BodyType::apply;
    auto body = parse_body(*bytes, type);
    if (writes && type != BodyType::json_patch && request.field_validation != FieldValidation::ignore)
      request.duplicate_fields =
          yaml ? duplicate_yaml_keys(*bytes) : duplicate_json_fields(*bytes, body.ok() ? *body : Value());
    return body;
  }
  Result<Value> read(Core& core) {
    const BodyType type = TRY(body_type(exchange->headers.get("Content-Type"), false));
    return read(core, type);
  }

  // Lists from ready bytes: kind and apiVersion stand first in each (core.h, ordered) and built-in lists leave them
  // out.
  void send_list(const Core& core, ItemList list);
  void send_shown_list(const Core& core, const ItemList& list);  // as a table, or metadata alone
  void send_text(std::string body);
  std::string list_head(const ItemList& list, std::string_view kind, std::string_view api_version) const;

  void get(Core& core);
  void create(Core& core);
  void update(Core& core);
  void patch(Core& core);
  void remove(Core& core);
  void remove_collection(Core& core);
  void list(Core& core);
  void answer(Core& core, const Result<Planned>& planned) {
    if (!planned.ok()) return send(planned.error());
    if (planned->stored && as_stored() && planned->stored->bytes().starts_with(type_prefix(request.kind->resource)))
      return send_item(planned->status, *planned->stored);
    send_value(planned->status, planned->object, core.clock);
  }
  // Commits what `plan` stages and answers, without waiting for the disk.
  void write(Core& core, Plan plan) {
    execute_then(core, request, std::move(plan),
                 [&core, call = shared_from_this()](Result<Planned> planned) { call->answer(core, planned); });
  }
  void answer(Core& core, int status, const Result<Value>& value) {
    if (!value.ok()) return send(value.error());
    send_value(status, *value, core.clock);
  }
};

std::string HttpApi::Call::list_head(const ItemList& list, std::string_view kind, std::string_view api_version) const {
  Value metadata = Value::map();
  if (list.revision > 0) metadata.set("resourceVersion", std::to_string(list.revision));  // metrics have none
  if (!list.continue_token.empty() || (request.kind->custom && kind.ends_with("List")))
    metadata.set("continue", list.continue_token);
  if (list.remaining) metadata.set("remainingItemCount", static_cast<std::int64_t>(*list.remaining));
  return "{\"kind\":\"" + std::string(kind) + "\",\"apiVersion\":\"" + std::string(api_version) +
         "\",\"metadata\":" + json::write(metadata);
}

void HttpApi::Call::send_list(const Core& core, ItemList list) {
  const schema::KindSchema& kind = *request.kind;
  if (as.partial) return send(wrong_form("PartialObjectMetadata", "is a list", kind.list_kind));
  if (as.table || as.partial_list) return send_shown_list(core, list);
  const std::string list_kind = kind.list_kind.empty() ? kind.resource.kind + "List" : kind.list_kind;
  std::string begin = list_head(list, list_kind, kind.resource.api_version()) + ",\"items\":[";
  ListText text(std::move(begin), std::move(list.items), type_prefix(kind.resource), !kind.custom);
  std::vector<Value> others;
  for (const std::size_t index : text.others()) others.push_back(text.item(index)->value());
  const auto converted = core.conversion->convert(kind, std::move(others));
  if (!converted.ok()) return send(converted.error());
  for (std::size_t i = 0; i < converted->size(); ++i) text.replace(i, json::write((*converted)[i]));
  if (as.yaml || as.pretty || text.length() <= kPieceBytes) return send_text(std::move(text).whole());
  http::Response head{.status = 200, .headers = headers(as.content_type())};
  const std::uint64_t length = text.length();
  exchange->respond_in_pieces(std::move(head), length,
                              [text = std::move(text)](std::string& out) mutable { return text.next(out); });
}

void HttpApi::Call::send_shown_list(const Core& core, const ItemList& list) {
  const schema::KindSchema& kind = *request.kind;
  std::vector<Value> values;
  values.reserve(list.items.size());
  for (const store::ItemPtr& item : list.items) values.push_back(item->value());
  auto converted = core.conversion->convert(kind, std::move(values));
  if (!converted.ok()) return send(converted.error());
  values = std::move(converted).value();
  if (as.table) {
    Value table = schema::table(kind, values, core.clock.now(), include());
    Value metadata = json::parse(list_head(list, "Table", kind.resource.api_version()) + "}").value()["metadata"];
    table.set("metadata", std::move(metadata)).set("apiVersion", as.meta_version);
    return send(200, encode(table, as), as.content_type());
  }
  std::string body = list_head(list, "PartialObjectMetadataList", as.meta_version) + ",\"items\":[";
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) body += ',';
    Value partial = schema::partial_metadata(values[i]);
    partial.set("apiVersion", as.meta_version);
    json::append(body, partial);
  }
  send_text(body + "]}\n");
}

// JSON that may have to be shown otherwise.
void HttpApi::Call::send_text(std::string body) {
  if (as.yaml || as.pretty) return send(200, encode(json::parse(body).value(), as), as.content_type());
  send(200, std::move(body), as.content_type());
}

void HttpApi::Call::get(Core& core) {
  if (request.subresource == "scale") return answer(core, 200, get_scale(core, request));
  const std::string_view version = http::query_get(exchange->query, "resourceVersion");
  if (version.empty() && as_stored())
    if (const auto item = shown_as_stored(core, request.name)) return send_item(200, *item);
  answer(core, 200, apiserver::get(core, request, version));
}

void HttpApi::Call::list(Core& core) {
  const auto parameters = list_parameters(request, exchange->query);
  if (!parameters.ok()) return send(parameters.error());
  auto found = apiserver::list(core, request, *parameters);
  if (!found.ok()) return send(found.error());
  send_list(core, std::move(found).value());
}

void HttpApi::Call::create(Core& core) {
  const auto body = read(core);
  if (!body.ok()) return send(body.error());
  if (request.plural == "bindings" && request.group.empty()) {  // the path of before pods/binding
    request.kind = core.schema.find("", "v1", "Pod");
    request.plural = "pods";
    request.subresource = "binding";
    request.name = (*body)["metadata"]["name"].str();
  }
  if (!request.subresource.empty()) return answer(core, 201, post_subresource(core, request, *body));
  if (request.kind->is_review()) return answer(core, 201, review(core, request, *body));
  write(core, [this, &core, body = *body](Transaction& tx) { return apiserver::create(core, request, tx, body); });
}

void HttpApi::Call::update(Core& core) {
  const auto body = read(core);
  if (!body.ok()) return send(body.error());
  if (request.subresource == "scale") return answer(core, 200, write_scale(core, request, *body, {}));
  if (request.subresource == "finalize") return answer(core, 200, finalize_namespace(core, request, *body));
  write(core, [this, &core, body = *body](Transaction& tx) { return apiserver::update(core, request, tx, body); });
}

void HttpApi::Call::patch(Core& core) {
  const auto type = body_type(exchange->headers.get("Content-Type"), true);
  if (!type.ok()) return send(type.error());
  auto read_in = read(core, *type);
  if (!read_in.ok()) return send(read_in.error());
  const Value body = *read_in;
  const kube::PatchType patch_type = *type == BodyType::json_patch    ? kube::PatchType::json
                                     : *type == BodyType::merge_patch ? kube::PatchType::merge
                                                                      : kube::PatchType::strategic;
  if (request.subresource == "scale" && *type != BodyType::apply)
    return answer(core, 200, write_scale(core, request, body, patch_type));
  if (*type == BodyType::apply)
    return write(core, [this, &core, body](Transaction& tx) { return apiserver::apply(core, request, tx, body); });
  write(core, [this, &core, body, patch_type](Transaction& tx) {
    return apiserver::patch(core, request, tx, patch_type, body);
  });
}

void HttpApi::Call::remove(Core& core) {
  const auto body = read(core);
  if (!body.ok() && body.error().code == ErrorCode::bad_request)
    return send(request.fail_without_reason(body.error().message));
  if (!body.ok()) return send(body.error());
  const auto parameters = delete_parameters(request, exchange->query, *body);
  if (!parameters.ok()) return send(parameters.error());
  write(core, [this, &core, parameters = *parameters](Transaction& tx) {
    return apiserver::remove(core, request, tx, parameters);
  });
}

void HttpApi::Call::remove_collection(Core& core) {
  const auto body = read(core);
  if (!body.ok()) return send(body.error());
  const auto parameters = delete_parameters(request, exchange->query, *body);
  if (!parameters.ok()) return send(parameters.error());
  const auto selection = list_parameters(request, exchange->query);
  if (!selection.ok()) return send(selection.error());
  request.name.clear();
  auto found = apiserver::list(core, request, *selection);
  if (!found.ok()) return send(found.error());
  for (const store::ItemPtr& item : found->items) {
    Request one = request;
    one.verb = "delete";
    one.ns = std::string(item->ns());
    one.name = std::string(item->name());
    const auto removed =
        execute(core, one, [&](Transaction& tx) { return apiserver::remove(core, one, tx, *parameters); });
    if (!removed.ok() && removed.error().code != ErrorCode::not_found) {
      request = one;
      return send(removed.error());
    }
  }
  send_list(core, std::move(found).value());
}

HttpApi::HttpApi(Core& core) : core_(core), connector_(std::make_unique<Connector>(core)) {}
HttpApi::~HttpApi() {
  core_.answers.wait();
}

void HttpApi::handle(const http::ExchangePtr& exchange) {
  const auto call = std::make_shared<Call>(exchange);
  parse_request_info(exchange->method, exchange->path, exchange->query, call->request);
  if (is_health(exchange->path)) return call->send(200, "ok", "text/plain; charset=utf-8");
  serve(*call);
}

void HttpApi::serve(Call& call) {
  Request& request = call.request;
  const http::ExchangePtr held = call.exchange;  // a record puts its own in its place
  const http::Exchange& exchange = *held;
  request.user_agent = std::string(exchange.headers.get("User-Agent"));
  const bool reads = exchange.method == "GET" || exchange.method == "HEAD";
  if (reads && (exchange.path == "/version" || exchange.path == "/version/")) {
    // Open to everybody, as the binding system:public-info-viewer says upstream.
    return call.send(200, *core_.documents->get("/version", false), "application/json");
  }
  auto user = authenticate(core_, exchange);
  if (!user.ok()) {
    call.record(core_, {});
    return call.send(user.error());
  }
  const User asker = *user;
  user = impersonate(core_, request, exchange.headers, std::move(user).value());
  request.user = user.ok() ? *user : asker;
  call.record(core_, asker);
  if (!user.ok()) return call.send(user.error());

  const Offered offered = request.subresource == "log" ? Offered::log
                          : request.verb == "watch"    ? Offered::watch
                                                       : Offered::objects;
  const auto as = negotiate(exchange.headers.get("Accept"), offered);
  if (as.ok()) call.as = *as;
  const std::string_view pretty = http::query_get(exchange.query, "pretty");
  if (!pretty.empty()) call.as.pretty = is_true(pretty);
  const Attributes attributes = attributes_of(request);
  const auto decision = core_.authorizer->decide(request.user, attributes);
  call.annotate("authorization.k8s.io/decision", decision.allowed ? "allow" : "forbid");
  call.annotate("authorization.k8s.io/reason", decision.reason);
  if (!decision.allowed) return call.send(refusal(request, attributes, decision.reason));
  request.allowed_by = decision.by;
  if (request.is_resource) {
    request.kind = core_.schema.find_plural(request.group, request.version, request.plural);
    if (!request.kind || !request.kind->served) return call.no_resource(group_is_known(core_.schema, request.group));
    const std::string_view accept = exchange.headers.get("Accept");
    const bool takes_text = request.subresource == "log" && (accept.find("text/plain") != std::string_view::npos ||
                                                             accept.find("text/*") != std::string_view::npos);
    if (!as.ok() && !takes_text) return call.send(request.fail(as.error().code, as.error().message, Value::map()));
    return serve_resource(call);
  }
  if (request.verb != "get" && request.verb != "head") return call.method_not_allowed();
  if (exchange.path == "/openapi/v2" && exchange.headers.get("Accept").find("proto-openapi") != std::string_view::npos)
    return call.send(200, core_.documents->openapi_v2_protobuf(), schema::kOpenapiProtobuf);
  const auto document = core_.documents->get(exchange.path, call.as.aggregated);
  if (!document)
    return call.no_resource(
        exchange.path.starts_with("/api/") ||
        (exchange.path.starts_with("/apis/") && group_is_known(core_.schema, group_in(exchange.path))));
  if (call.as.aggregated && (exchange.path == "/api" || exchange.path == "/apis"))
    return call.send(200, *document + "\n", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
  if (call.as.yaml || call.as.pretty) {
    const auto value = json::parse(*document);
    if (value.ok()) return call.send(200, encode(*value, call.as), call.as.content_type());
  }
  call.send(200, *document, "application/json");
}

void HttpApi::serve_resource(Call& call) {
  Request& request = call.request;
  const schema::KindSchema& kind = *request.kind;
  const std::string& verb = request.verb;
  const bool cluster_scope = !kind.resource.namespaced;
  if (call.exchange->method == "HEAD") return call.method_not_allowed();
  if (kind.custom && cluster_scope && !request.ns.empty()) return call.not_found();
  if (cluster_scope)
    request.ns.clear();
  else if (request.ns.empty() && verb != "list" && verb != "watch")
    return call.method_not_allowed();
  const bool named = !request.name.empty() && verb != "list" && verb != "watch" && verb != "deletecollection";
  if (request.subresource.empty() && ((verb == "create") == named || verb.empty()) &&
      (verb == "create" || verb == "update" || verb == "patch" || verb.empty()))
    return call.method_not_allowed();
  if (!request.subresource.empty()) {
    const schema::Subresource* sub = kind.subresource(request.subresource);
    if (!sub && kind.custom) return call.send(request.not_found());
    if (!sub) return call.no_resource(true);
    if (Connector::connects(request.subresource)) {
      const auto admitted =
          request.subresource == "log" ? Result<void>() : admit_connect(core_, request, call.exchange->query);
      if (!admitted.ok()) return call.send(admitted.error());
      return connector_->connect(call.exchange, request);
    }
    if (std::find(sub->verbs.begin(), sub->verbs.end(), verb) == sub->verbs.end()) return call.method_not_allowed();
  } else if (!kind.has_verb(verb)) {
    return call.method_not_allowed();
  }
  if (const std::string_view advice = deprecation(kind.resource); !advice.empty())
    request.warnings.emplace_back(advice);
  if (verb != "get" && verb != "list" && verb != "watch") {
    const bool apply = verb == "patch" &&
                       to_lower(call.exchange->headers.get("Content-Type")).starts_with("application/apply-patch+yaml");
    const auto options = read_write_options(request, call.exchange->query, request.user_agent, apply);
    if (!options.ok()) return call.send(options.error());
  }
  if (verb == "get") return call.get(core_);
  if (verb == "list") return call.list(core_);
  if (verb == "create") return call.create(core_);
  if (verb == "update") return call.update(core_);
  if (verb == "patch") return call.patch(core_);
  if (verb == "delete") return call.remove(core_);
  if (verb == "deletecollection") return call.remove_collection(core_);
  if (verb != "watch") return call.method_not_allowed();
  const auto started = start_watch(core_, request, *call.exchange, call.as);
  if (!started.ok()) call.send(started.error());
}

}  // namespace caisson::apiserver
