// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/short_requests.h"

#include <algorithm>

#include "cluster/apiserver/request.h"
#include "core/base/text.h"

namespace caisson::apiserver {
namespace {

constexpr std::int64_t kShortBytes = 32 << 10;  // of a body, and of the object that it changes

// Where there is one of these, writes ask a server, run somebody's expressions, or count what a namespace has.
constexpr std::string_view kMakeWritesLong[] = {"mutatingwebhookconfigurations.admissionregistration.k8s.io",
                                                "validatingwebhookconfigurations.admissionregistration.k8s.io",
                                                "mutatingadmissionpolicies.admissionregistration.k8s.io",
                                                "validatingadmissionpolicies.admissionregistration.k8s.io",
                                                "resourcequotas"};

bool has_short_body(const http::Exchange& exchange) {
  const std::string_view length = exchange.headers.get("Content-Length");
  if (length.empty()) return !exchange.headers.contains("Transfer-Encoding");
  const auto bytes = parse_int(length);
  return bytes && *bytes <= kShortBytes;
}

bool changes_one(std::string_view verb) {
  return verb == "create" || verb == "update" || verb == "patch" || verb == "delete";
}

bool writes_take_long(const Core& core) {
  // That there was one once is as good: asking whether there still is would cost every write more.
  const auto written = [&](std::string_view resource) { return core.store.revision_of(resource) != 0; };
  return std::any_of(std::begin(kMakeWritesLong), std::end(kMakeWritesLong), written) ||
         std::any_of(core.options.admission.begin(), core.options.admission.end(),
                     [](const auto& plugin) { return plugin->may_take_long(); });
}

}  // namespace

bool is_short(const Core& core, const http::Exchange& exchange) {
  if (core.oidc) return false;  // whose keys may have to be fetched
  Request request;
  parse_request_info(exchange.method, exchange.path, exchange.query, request);
  const bool writes = changes_one(request.verb);
  if (!request.is_resource || (!writes && request.verb != "get")) return false;
  if (!request.subresource.empty() && request.subresource != "status") return false;
  request.kind = core.schema.find_plural(request.group, request.version, request.plural);
  if (!request.kind || request.kind->custom || request.kind->is_review()) return false;
  if (request.group == "metrics.k8s.io") return false;  // asks the agents
  if (!has_short_body(exchange)) return false;
  if (writes && (has_consequences(request) || writes_take_long(core))) return false;
  if (request.name.empty()) return writes;
  const store::ItemPtr item = core.store.get(request.storage_resource(), request.ns, request.name);
  return !item || item->bytes().size() <= static_cast<std::size_t>(kShortBytes);
}

}  // namespace caisson::apiserver
