// SPDX-License-Identifier: Apache-2.0
#include "main/platform/agent_handler.h"

#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::platform {
namespace {

// GET /builds/{ns}/{name}/log?follow: the log, as it comes.
void serve_build_log(const http::ExchangePtr& exchange, build::Builder& builder) {
  const auto parts = split(exchange->path, '/');  // "", builds, ns, name, log
  if (parts.size() != 5 || parts[4] != "log") return exchange->respond({404, {}, "no such log\n"});
  const std::string_view follow = http::query_get(exchange->query, "follow");
  auto log = builder.open_log(std::string(parts[2]), std::string(parts[3]), follow == "true" || follow == "1");
  if (!log.ok()) return exchange->respond({404, {{"Content-Type", "text/plain"}}, log.error().message + "\n"});
  const auto stream = exchange->stream(200, {{"Content-Type", "text/plain; charset=utf-8"}});
  for (;;) {
    const auto piece = (*log)();
    if (!piece.ok()) return stream->abort();
    if (piece->empty()) return stream->finish();
    if (!stream->write_blocking(*piece).ok()) return;
  }
}

// GET and HEAD /layers/{digest}: the tar, made again from its tree.
void serve_layer(const http::ExchangePtr& exchange, content::LayerStore& layers) {
  const auto refuse = [&](int status, const std::string& message) {
    exchange->respond({status, {{"Content-Type", "text/plain"}}, message + "\n"});
  };
  const auto digest = content::Digest::parse(std::string_view(exchange->path).substr(8));
  if (!digest.ok()) return refuse(400, digest.error().message);
  const auto size = layers.size_bytes(*digest);
  // Without a recipe the tar can't be made again: the blob is what there is, and the server has it.
  if (!size.ok() || !layers.has_recipe(*digest)) return refuse(404, "layer " + digest->str() + " has no tree here");
  const auto stream = exchange->stream(200, {{"Content-Type", "application/x-tar"}}, *size);
  if (exchange->method == "HEAD") return stream->finish();
  auto next = layers.open(*digest);
  if (!next.ok()) return stream->abort();
  for (;;) {
    const auto piece = (*next)();
    if (!piece.ok()) return stream->abort();
    if (piece->empty()) return stream->finish();
    if (!stream->write_blocking(*piece).ok()) return;
  }
}

void shut_down(http::Exchange& exchange, node::Node& node) {
  if (exchange.method != "POST" || exchange.peer.unix_uid != 0)
    return exchange.respond({403, {{"Content-Type", "text/plain"}}, "only root shuts a node down\n"});
  const auto time = [&exchange](std::string_view name) {
    return std::chrono::milliseconds(
        std::max<std::int64_t>(parse_int(http::query_get(exchange.query, name)).value_or(0), 0));
  };
  const auto running = node.shut_down({.usual = time("usualMs"), .critical = time("criticalMs")});
  exchange.respond(
      {200, {{"Content-Type", "application/json"}}, json::write(Value{{"running", Value::list_of(running)}})});
}

}  // namespace

http::Handler make_node_handler(node::Node& node) {
  return [handler = node.handler(), &node](const http::ExchangePtr& exchange) {
    if (exchange->path == "/healthz")
      exchange->respond({200, {{"Content-Type", "text/plain"}}, "ok"});
    else if (exchange->path == "/shutdown")
      shut_down(*exchange, node);
    else
      handler(exchange);
  };
}

http::Handler make_agent_handler(node::Node& node, build::Builder& builder, content::LayerStore& layers) {
  return [node = make_node_handler(node), &builder, &layers](const http::ExchangePtr& exchange) {
    if (exchange->path.starts_with("/builds/"))
      serve_build_log(exchange, builder);
    else if (exchange->path.starts_with("/layers/"))
      serve_layer(exchange, layers);
    else
      node(exchange);
  };
}

}  // namespace caisson::platform
