// SPDX-License-Identifier: Apache-2.0
// What goes over the wire and how answers are understood; behaviour against a real API server is tested in
// cluster/apiserver.
#include <doctest/doctest.h>

#include <condition_variable>

#include "cluster/kube/http_client.h"
#include "cluster/kube/impersonation.h"
#include "cluster/kube/status.h"
#include "cluster/kube/testing_client.h"
#include "core/base/file.h"
#include "core/document/json.h"
#include "core/http/server.h"

namespace caisson::kube {
namespace {

// Answers by "METHOD target" and writes down what came.
struct Wire {
  std::mutex mutex;
  std::vector<std::string> lines;  // "METHOD target content-type body"
  std::map<std::string, http::Response> answers;
  std::shared_ptr<http::Stream> watch;
  std::optional<http::Server> server;
  Connection connection;
  std::unique_ptr<Client> client;
  std::string in_the_name_of;  // of the last request

  Wire() {
    answers["GET /api/v1"] = {200, {}, R"({"resources":[{"name":"configmaps","kind":"ConfigMap","namespaced":true},
        {"name":"pods","kind":"Pod","namespaced":true},{"name":"pods/binding","kind":"Binding","namespaced":true}]})"};
    auto started = http::Server::start({});
    REQUIRE(started.ok());
    server.emplace(std::move(started).value());
    const auto port = server->listen("127.0.0.1", 0, [this](http::ExchangePtr exchange) { answer(exchange); });
    REQUIRE(port.ok());
    connection.server = "http://127.0.0.1:" + std::to_string(*port);
    connection.token = "t0";
    client = make_http_client(connection);
  }
  ~Wire() { client.reset(); }

  void answer(const http::ExchangePtr& exchange) {
    const auto body = exchange->read_body(1 << 20);
    const std::lock_guard lock(mutex);
    if (exchange->headers.get("Authorization") != "Bearer t0") return exchange->respond({401, {}, ""});
    in_the_name_of.clear();
    for (const auto& [name, value] : exchange->headers.fields()) {
      if (name.starts_with("Impersonate-")) in_the_name_of += name + "=" + value + " ";
    }
    const std::string head = exchange->method + " " + exchange->target;
    lines.push_back(head + " " + std::string(exchange->headers.get("Content-Type")) + " " + (body.ok() ? *body : "?"));
    if (exchange->target.find("watch=true") != std::string::npos) {
      watch = exchange->stream(200, {{"Content-Type", "application/json"}});
      return;
    }
    const auto found = answers.find(head);
    exchange->respond(found != answers.end() ? found->second
                                             : http::Response{200, {}, body.ok() && !body->empty() ? *body : "{}"});
  }
  std::string last() {
    const std::lock_guard lock(mutex);
    return lines.empty() ? "" : lines.back();
  }
};

Object config_map() {
  Object object = Object::make(schema::kConfigMaps, "shop", "a");
  object.edit({"data"}).set("k", "v");
  return object;
}

}  // namespace

TEST_CASE("each verb is the request that the API knows") {
  Wire wire;
  Client& client = *wire.client;
  const std::string body = json::write(config_map().value());
  WriteOptions forced;
  forced.field_manager = "me";
  forced.force = true;
  forced.dry_run = true;
  DeleteOptions gone;
  gone.propagation = Propagation::foreground;
  gone.grace_period_seconds = 0;
  gone.uid = "u1";
  Value patch = Value::map();
  patch.edit("data").set("k", "w");
  struct Case {
    std::string want;
    std::function<bool()> call;
  };
  const std::vector<Case> cases = {
      {"GET /api/v1/namespaces/shop/configmaps/a  ",
       [&] {
         return client.get(schema::kConfigMaps, {"shop", "a"}).ok();
       }},
      {"GET /api/v1/configmaps?labelSelector=a%3Db%2Cc&limit=5  ",
       [&] { return client.list(schema::kConfigMaps, {.label_selector = "a=b,c", .limit = 5}).ok(); }},
      {"POST /api/v1/namespaces/shop/configmaps?fieldManager=caisson application/json " + body,
       [&] { return client.create(config_map()).ok(); }},
      {"PUT /api/v1/namespaces/shop/configmaps/a?fieldManager=caisson application/json " + body,
       [&] { return client.update(config_map()).ok(); }},
      {"PUT /api/v1/namespaces/shop/configmaps/a/status?fieldManager=caisson application/json " + body,
       [&] { return client.update_status(config_map()).ok(); }},
      {"PATCH /api/v1/namespaces/shop/configmaps/a?fieldManager=me&dryRun=All&force=true "
       "application/apply-patch+yaml " +
           body,
       [&] { return client.apply(config_map(), forced).ok(); }},
      {R"(PATCH /api/v1/namespaces/shop/configmaps/a?fieldManager=caisson application/merge-patch+json {"data":{"k":"w"}})",
       [&] {
         return client.patch(schema::kConfigMaps, {"shop", "a"}, PatchType::merge, patch).ok();
       }},
      {R"(PATCH /api/v1/namespaces/shop/configmaps/a?fieldManager=caisson application/strategic-merge-patch+json {"data":{"k":"w"}})",
       [&] {
         return client.patch(schema::kConfigMaps, {"shop", "a"}, PatchType::strategic, patch).ok();
       }},
      {R"(DELETE /api/v1/namespaces/shop/configmaps/a application/json {"apiVersion":"v1","kind":"DeleteOptions",)"
       R"("propagationPolicy":"Foreground","gracePeriodSeconds":0,"preconditions":{"uid":"u1"}})",
       [&] {
         return client.remove(schema::kConfigMaps, {"shop", "a"}, gone).ok();
       }},
      {R"(POST /api/v1/namespaces/shop/pods/p/binding application/json {"data":{"k":"w"}})",
       [&] {
         return client.post(schema::kPods, {"shop", "p"}, "binding", patch).ok();
       }},
  };
  for (const Case& c : cases) {
    CHECK(c.call());
    CHECK_EQ(wire.last(), c.want);
  }
}

TEST_CASE("a client that asks in the name of a user says so in every request") {
  Wire w;
  const auto client = make_http_client(w.connection, {"ann", {"devs", "system:authenticated"}});
  const auto resource = client->resource_for("v1", "ConfigMap");
  REQUIRE(resource.ok());
  REQUIRE(client->get(*resource, {"shop", "a"}).ok());
  CHECK(w.in_the_name_of == "Impersonate-User=ann Impersonate-Group=devs Impersonate-Group=system:authenticated ");
  REQUIRE(w.client->get(*resource, {"shop", "a"}).ok());
  CHECK(w.in_the_name_of.empty());
}

TEST_CASE("an answer's reason decides the error, and without one its HTTP status") {
  struct Case {
    int http;
    const char* body;
    ErrorCode want;
    const char* message;
  };
  for (const Case& c :
       {Case{409, R"({"kind":"Status","reason":"AlreadyExists","message":"x exists"})", ErrorCode::already_exists,
             "x exists"},
        Case{409, R"({"kind":"Status","reason":"Conflict","message":"x changed"})", ErrorCode::conflict, "x changed"},
        Case{410, R"({"kind":"Status","reason":"Expired","message":"too old"})", ErrorCode::expired, "too old"},
        Case{500, R"({"kind":"Status","reason":"ServerTimeout","message":"slow"})", ErrorCode::timeout, "slow"},
        Case{404, "404 page not found\n", ErrorCode::not_found, "the server answered 404: 404 page not found"},
        Case{409, "", ErrorCode::conflict, "the server answered 409"},
        Case{502, "<html>", ErrorCode::internal, "the server answered 502: <html>"},
        Case{418, "{}", ErrorCode::bad_request, "the server answered 418"}}) {
    CAPTURE(c.body);
    const Error error = error_from_response(c.http, c.body);
    CHECK(error.code == c.want);
    CHECK_EQ(error.message, c.message);
  }
}

TEST_CASE("a kind that is not known is asked for once more") {
  Wire wire;
  CHECK(wire.client->resource_for("v1", "Pod").ok());
  const auto none = wire.client->resource_for("v1", "Widget");
  REQUIRE_FALSE(none.ok());
  CHECK(none.error().code == ErrorCode::not_found);
  CHECK_EQ(none.error().message, "no matches for kind \"Widget\" in version \"v1\"");
  {
    const std::lock_guard lock(wire.mutex);
    wire.answers["GET /api/v1"].body = R"({"resources":[{"name":"widgets","kind":"Widget","namespaced":false}]})";
  }
  const auto now = wire.client->resource_for("v1", "Widget");
  REQUIRE(now.ok());
  CHECK_EQ(now->plural, "widgets");
  CHECK_FALSE(now->namespaced);
}

TEST_CASE("a watch gives its events in order, and says why it ended") {
  Wire wire;
  std::mutex mutex;
  std::vector<std::string> seen;
  std::optional<Error> ended;
  bool closed = false;
  auto watch =
      wire.client->watch(schema::kConfigMaps, {.ns = "shop", .resource_version = "7"}, [&](const WatchEvent& event) {
        const std::lock_guard lock(mutex);
        if (event.type == WatchEvent::Type::closed) {
          closed = true;
          ended = event.error;
        } else {
          seen.push_back(event.object.name() + "@" + event.object.resource_version());
        }
      });
  REQUIRE(watch.ok());
  CHECK_EQ(wire.last(),
           "GET /api/v1/namespaces/shop/configmaps?resourceVersion=7&watch=true&allowWatchBookmarks=true  ");
  std::shared_ptr<http::Stream> stream;
  REQUIRE(eventually([&] {
    const std::lock_guard lock(wire.mutex);
    stream = wire.watch;
    return stream != nullptr;
  }));
  // One event comes in two pieces, two in one.
  REQUIRE(stream->write(R"({"type":"ADDED","object":{"metadata":{"name":"a","resource)").ok());
  REQUIRE(
      stream
          ->write("Version\":\"8\"}}}\n{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"9\"}}}\n")
          .ok());
  REQUIRE(eventually([&] {
    const std::lock_guard lock(mutex);
    return seen == std::vector<std::string>{"a@8", "@9"};
  }));
  REQUIRE(stream
              ->write("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"reason\":\"Expired\",\"message\":\"old\","
                      "\"code\":410}}\n")
              .ok());
  REQUIRE(eventually([&] {
    const std::lock_guard lock(mutex);
    return closed;
  }));
  REQUIRE(ended);
  CHECK(ended->code == ErrorCode::expired);
}

TEST_CASE("a kubeconfig is read with its certificates, tokens and contexts; what can't be used is refused by name") {
  auto dir = TempDir::make();
  REQUIRE(dir.ok());
  const std::string path = dir->path() + "/config";
  REQUIRE(write_file(dir->path() + "/ca.pem", "CA").ok());
  REQUIRE(write_file(dir->path() + "/token", "t1\n").ok());
  const std::string head =
      "apiVersion: v1\nkind: Config\ncurrent-context: one\ncontexts:\n"
      "- {name: one, context: {cluster: c, user: u, namespace: shop}}\n- {name: two, context: {cluster: d, user: u}}\n"
      "clusters:\n- {name: c, cluster: {server: 'https://h:6443', certificate-authority: ca.pem}}\n"
      "- {name: d, cluster: {server: 'https://i', insecure-skip-tls-verify: true, certificate-authority-data: Q0E=}}\n";
  REQUIRE(
      write_file(
          path,
          head +
              "users:\n- {name: u, user: {tokenFile: token, client-certificate-data: Qw==, client-key-data: Sw==}}\n")
          .ok());
  const auto one = load_kubeconfig(path);
  REQUIRE(one.ok());
  CHECK_EQ(one->server, "https://h:6443");
  CHECK_EQ(one->http.ca_pem, "CA");
  CHECK_EQ(one->http.certificate_pem, "C");
  CHECK_EQ(one->token, "t1");
  CHECK_EQ(one->ns, "shop");
  CHECK(one->http.verify);
  const auto two = load_kubeconfig(path, "two");
  REQUIRE(two.ok());
  CHECK_FALSE(two->http.verify);
  CHECK_EQ(two->ns, "default");

  struct Case {
    const char* user;
    const char* context;
    const char* want;
  };
  for (const Case& c :
       {Case{"{exec: {command: aws}}", "",
             "users[u].user.exec: the credential plug-in \"aws\" is not run; put a token or a "
             "client certificate into the kubeconfig"},
        Case{"{client-key-data: '***'}", "", "users[u].user.client-key-data: not base64"},
        Case{"{client-certificate-data: Qw==}", "", "users[u].user: client-certificate and client-key belong together"},
        Case{"{}", "three", "contexts: no entry named \"three\""}}) {
    REQUIRE(write_file(path, head + "users:\n- {name: u, user: " + c.user + "}\n").ok());
    const auto refused = load_kubeconfig(path, c.context);
    REQUIRE_FALSE(refused.ok());
    CHECK_EQ(refused.error().message, path + ": " + c.want);
  }
}

}  // namespace caisson::kube
