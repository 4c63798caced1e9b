// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/access_rules.h"
#include "cluster/apiserver/conversion.h"
#include "cluster/apiserver/resource_metrics.h"
#include "cluster/apiserver/verbs.h"
#include "cluster/store/written_json.h"
#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::apiserver {
namespace {

// {"v":"meta.k8s.io/v1","rv":123,"start":"name\u0000"}, as etcd3's continue tokens are; "given" is ours: how many came
// before, from which remainingItemCount is known without counting.
constexpr std::string_view kTokenVersion = "meta.k8s.io/v1";

std::string make_token(store::Revision revision, std::string_view last, std::optional<std::size_t> given) {
  std::string start(last);
  start += '\0';
  Value token{{"v", kTokenVersion}, {"rv", revision}, {"start", start}};
  if (given) token.set("given", static_cast<std::int64_t>(*given));
  return base64url(json::write(token));
}

struct Token {
  store::Revision revision = 0;
  std::string after;
  std::optional<std::size_t> given;
};

Result<Token> parse_token(Request& request, std::string_view text) {
  const auto bytes = unbase64url(text);
  if (!bytes.ok())
    return request.bad_request("invalid continue token: continue key is not valid: " + bytes.error().message);
  const auto value = json::parse(*bytes);
  if (!value.ok())
    return request.bad_request("invalid continue token: continue key is not valid: " + schema::go_json_error(*bytes));
  if ((*value)["v"].as_string() != kTokenVersion)
    return request.bad_request(
        "invalid continue token: continue key is not valid: server does not recognize this encoded version \"" +
        (*value)["v"].str() + "\"");
  std::string start = (*value)["start"].str();
  if (start.empty() || start.starts_with('/') || start.find("..") != std::string::npos)
    return request.bad_request("invalid continue token: continue key is not valid: start key is missing or invalid");
  while (!start.empty() && start.back() == '\0') start.pop_back();
  Token token{(*value)["rv"].as_int(), std::move(start), {}};
  if (const std::int64_t given = (*value)["given"].as_int(); given > 0) token.given = static_cast<std::size_t>(given);
  return token;
}

Error expired_token(Request& request) {
  return request.fail(ErrorCode::expired,
                      "The provided continue parameter is too old to display a consistent list result. You can start a "
                      "new list without the "
                      "continue parameter, or use the continue token in this response to retrieve the remainder of the "
                      "results. Continuing "
                      "with the provided token results in an inconsistent list - objects that were created, modified, "
                      "or deleted between the "
                      "time the first chunk was returned and now may show up in the list.");
}

std::string too_large(store::Revision asked, store::Revision current) {
  return "Too large resource version: " + std::to_string(asked) + ", current: " + std::to_string(current);
}

Error too_large_version(Request& request, store::Revision asked, store::Revision current) {
  Value cause{{"reason", "ResourceVersionTooLarge"}, {"message", "Too large resource version"}};
  return request.fail(ErrorCode::timeout, "Timeout: " + too_large(asked, current),
                      Value{{"causes", Value(std::vector<Value>{std::move(cause)})}, {"retryAfterSeconds", 1}});
}

Result<store::Revision> parse_version(Request& request, std::string_view text) {
  const auto revision = parse_int(text);
  if (revision && *revision >= 0) return *revision;
  const schema::FieldError error{schema::FieldError::Type::invalid, "resourceVersion", Value(text),
                                 "strconv.ParseUint: parsing \"" + std::string(text) + "\": invalid syntax"};
  return request.fail_without_reason(error.str());
}

// A deletion of many says only what the parser found.
std::string selector_words(const Request& request, std::string message) {
  constexpr std::string_view kPrefix = "unable to parse requirement: ";
  return request.verb == "deletecollection" && message.starts_with(kPrefix) ? message.substr(kPrefix.size()) : message;
}

// Upstream's words, which differ by whether a kind has fields of its own to select by.
std::string unknown_field_label(const schema::KindSchema& kind, const std::string& path) {
  if (kind.resource.kind == "Job") return "field label \"" + path + "\" not supported for Job";
  if (kind.custom || !kind.selectable_fields.empty()) return "field label not supported: " + path;
  return "\"" + path + "\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"";
}

}  // namespace

bool matches(const ListParameters& parameters, const Value& object) {
  if (!parameters.labels.everything() && !parameters.labels.matches(object["metadata"]["labels"])) return false;
  if (!parameters.fields.everything() && !parameters.fields.matches(object)) return false;
  return !parameters.visible || parameters.visible(object);
}

bool matches(const ListParameters& parameters, const store::Item& item) {
  const Value parsed = parameters.visible ? item.value() : item.parsed();  // who may see it asks for all of it
  return matches(parameters, parsed.is_null() ? store::select(item.bytes(), parameters.paths) : parsed);
}

Result<ListParameters> list_parameters(Request& request, const http::Query& query) {
  ListParameters parameters;
  if (const auto text = http::query_get(query, "labelSelector"); !text.empty()) {
    auto selector = kube::LabelSelector::parse(text);
    if (!selector.ok()) return request.bad_request(selector_words(request, selector.error().message));
    parameters.labels = std::move(selector).value();
  }
  if (const auto text = http::query_get(query, "fieldSelector"); !text.empty()) {
    auto selector = kube::FieldSelector::parse(text);
    if (!selector.ok()) return request.bad_request(selector.error().message);
    parameters.fields = std::move(selector).value();
    for (const std::string& path : parameters.fields.paths()) {
      const auto& known = request.kind->selectable_fields;
      if (path == "metadata.name" || path == "metadata.namespace" ||
          std::find(known.begin(), known.end(), path) != known.end())
        continue;
      return request.bad_request(unknown_field_label(*request.kind, path));
    }
  }
  if (const auto text = http::query_get(query, "limit"); !text.empty()) {
    const auto limit = parse_int(text);
    if (!limit) return request.bad_request("strconv.ParseInt: parsing \"" + std::string(text) + "\": invalid syntax");
    parameters.limit = *limit > 0 ? static_cast<std::size_t>(*limit) : 0;
  }
  if (request.allowed_by)
    parameters.visible = [rules = request.allowed_by, user = request.user, verb = request.verb](const Value& object) {
      return rules->may_see(user, verb, object);
    };
  parameters.continue_token = std::string(http::query_get(query, "continue"));
  parameters.resource_version = std::string(http::query_get(query, "resourceVersion"));
  parameters.resource_version_match = std::string(http::query_get(query, "resourceVersionMatch"));
  parameters.paths = parameters.fields.paths();
  if (!parameters.labels.everything()) parameters.paths.emplace_back("metadata.labels");
  return parameters;
}

Result<Value> get(Core& core, Request& request, std::string_view resource_version) {
  if (is_resource_metrics(*request.kind)) return get_resource_metrics(core, request);
  if (!resource_version.empty()) {
    const store::Revision asked = TRY(parse_version(request, resource_version));
    const store::Revision current = core.store.revision();
    if (asked > current) return too_large_version(request, asked, current);
  }
  const store::ItemPtr item = core.store.get(request.storage_resource(), request.ns, request.name);
  if (!item) return request.not_found();
  return core.conversion->convert(*request.kind, item->value());
}

Result<ItemList> list(Core& core, Request& request, const ListParameters& parameters) {
  if (is_resource_metrics(*request.kind)) return list_resource_metrics(core, request, parameters);
  store::ListOptions options{.ns = request.ns};
  Token token;
  const std::string_view version = parameters.resource_version, match = parameters.resource_version_match;
  if (!parameters.continue_token.empty()) {
    if (!version.empty() && version != "0")
      return request.bad_request("specifying resource version is not allowed when using continue");
    token = TRY(parse_token(request, parameters.continue_token));
    options.at = token.revision;
    options.after = request.ns.empty() ? token.after : request.ns + "/" + token.after;
    options.given = token.given;
  } else if (!version.empty() && version != "0") {
    const store::Revision asked = TRY(parse_version(request, version));
    const store::Revision current = core.store.revision();
    if (asked > current) return too_large_version(request, asked, current);
    if (match == "Exact") options.at = asked;
  }
  const bool selective = !parameters.everything();
  if (!selective) options.limit = parameters.limit;
  auto listing = core.store.list(request.storage_resource(), options);
  if (!listing.ok()) {
    if (listing.error().code == ErrorCode::expired && !parameters.continue_token.empty()) return expired_token(request);
    if (listing.error().code == ErrorCode::expired)
      return request.fail(ErrorCode::expired, "The resourceVersion for the provided list is too old.");
    return listing.error();
  }
  store::Listing found = std::move(listing).value();
  ItemList result{.items = {}, .revision = found.revision, .continue_token = {}, .remaining = {}};
  const std::size_t skip = request.ns.empty() ? 0 : request.ns.size() + 1;
  if (!selective) {
    result.items = std::move(found.items);
    if (found.more) {
      // After a token that did not say how many came before, the next ones do not either.
      std::optional<std::size_t> given = token.after.empty() ? 0 : token.given;
      if (given) *given += result.items.size();
      result.continue_token = make_token(found.revision, result.items.back()->path().substr(skip), given);
      result.remaining = found.remaining;
    }
    return result;
  }
  for (store::ItemPtr& item : found.items) {
    if (!matches(parameters, *item)) continue;
    if (parameters.limit != 0 && result.items.size() == parameters.limit) {
      // With a selector upstream doesn't count what is left.
      result.continue_token = make_token(found.revision, result.items.back()->path().substr(skip), {});
      break;
    }
    result.items.push_back(std::move(item));
  }
  return result;
}

}  // namespace caisson::apiserver
