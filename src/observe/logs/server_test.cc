// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/server.h"

#include <doctest/doctest.h>

#include "core/base/file.h"
#include "core/document/json.h"
#include "core/http/client.h"

namespace caisson::logs {
namespace {

struct Fixture {
  TempDir dir = TempDir::make().value();
  std::unique_ptr<Server> logs = Server::open(
                                     {.directory = dir.path() + "/store"},
                                     [](const kube::Resource&) { return std::vector<kube::Object>(); }, system_clock())
                                     .value();
  std::optional<http::Server> server;
  http::Client client;
  int port = 0;

  Fixture() {
    server.emplace(http::Server::start({}).value());
    port = server
               ->listen("127.0.0.1", 0,
                        [this](http::ExchangePtr exchange) { logs->handle(exchange, exchange->path, exchange->query); })
               .value();
    logs->start();
  }
  http::Request request(const std::string& method, const std::string& path) const {
    http::Request out;
    out.method = method;
    out.url = "http://127.0.0.1:" + std::to_string(port) + path;
    return out;
  }
  http::Response push(const std::string& body, const std::string& type = "application/json",
                      const std::string& encoding = "") {
    http::Request out = request("POST", "/loki/api/v1/push");
    out.headers.set("Content-Type", type);
    if (!encoding.empty()) out.headers.set("Content-Encoding", encoding);
    out.body = body;
    return client.send(out).value();
  }
  static std::string line(const std::string& job, const std::string& text) {
    return R"({"streams":[{"stream":{"job":")" + job + R"("},"values":[[")" +
           std::to_string(system_clock().now().time_since_epoch().count()) + R"(",")" + text + R"("]]}]})";
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "pushes over HTTP: taken with 204, refused with Loki's status") {
  CHECK(push(line("a", "one")).status == 204);
  CHECK(push("{").status == 400);
  CHECK(push("x", "text/plain").status == 415);
  CHECK(push("x", "application/x-protobuf").status == 400);
  CHECK(push("x", "application/json", "gzip").status == 400);
  CHECK(push(R"({"streams":[{"stream":{},"values":[["1","x"]]}]})").body ==
        "error at least one label pair is required per stream\n");
  CHECK(client.send(request("GET", "/loki/api/v1/push")).value().status == 405);
  CHECK(client.send(request("GET", "/loki/ready")).value().body == "ready\n");
  CHECK(client.send(request("GET", "/loki/nothing")).value().status == 404);
  const auto answer =
      json::parse(client.send(request("GET", "/loki/api/v1/query_range?query=%7Bjob%3D%22a%22%7D")).value().body)
          .value();
  CHECK(answer["data"]["result"][0]["values"][0][1].as_string() == "one");
}

TEST_CASE_FIXTURE(Fixture, "a tail gives what is there, then what comes, through its pipeline") {
  REQUIRE(push(line("a", "before")).status == 204);
  REQUIRE(push(line("b", "of another stream")).status == 204);
  http::Request out = request(
      "GET", "/loki/api/v1/tail?query=%7Bjob%3D%22a%22%7D%20%7C%20line_format%20%22%3C%7B%7B__line__%7D%7D%3E%22");
  const auto socket = client.websocket(out, {}).value();
  const auto next = [&] {
    const auto message = socket->receive().value();
    REQUIRE(message);
    return json::parse(message->data).value()["streams"][0]["values"][0][1].str();
  };
  CHECK(next() == "<before>");
  REQUIRE(push(line("b", "of another stream")).status == 204);
  REQUIRE(push(line("a", "after")).status == 204);
  CHECK(next() == "<after>");
  CHECK_FALSE(client.websocket(request("GET", "/loki/api/v1/tail?query=%7B"), {}).ok());
}

TEST_CASE_FIXTURE(Fixture, "a deletion is asked for, listed and cancelled over HTTP") {
  CHECK(push(line("a", "one")).status == 204);
  const std::string path = "/loki/api/v1/delete";
  const auto added = client.send(request("POST", path + "?query=%7Bjob%3D%22a%22%7D&start=1700000000")).value();
  CHECK(added.status == 204);
  const std::string id(added.headers.get("X-Delete-Request-ID"));
  CHECK(json::parse(client.send(request("GET", path)).value().body).value()[0]["request_id"].str() == id);
  CHECK(client.send(request("PUT", path + "?query=%7B&start=1700000000")).value().status == 400);
  CHECK(client.send(request("DELETE", path + "?request_id=" + id)).value().status == 204);
  CHECK(client.send(request("GET", path)).value().body == "[]\n");
}

}  // namespace caisson::logs
