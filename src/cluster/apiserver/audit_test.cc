// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/audit.h"

#include "cluster/apiserver/testing_test.h"
#include "core/base/text.h"

using namespace caisson;
using namespace caisson::apiserver;
using namespace std::chrono_literals;

namespace {

Value policy_of(std::string_view rules) {
  return yaml::read("apiVersion: audit.k8s.io/v1\nkind: Policy\n" + std::string(rules)).value();
}

std::vector<Value> events_in(const std::string& path) {
  std::vector<Value> out;
  const std::string text = read_file(path).value();
  for (const auto line : split(text, '\n'))
    if (!line.empty()) out.push_back(json::parse(line).value());
  return out;
}

struct Directory {
  TempDir home = TempDir::make("audit").value();
  std::string path = home.path() + "/audit.log";
};

struct Audited : Directory, HttpTestServer {
  explicit Audited(Value policy = {}) : HttpTestServer(with(path, std::move(policy))) { make_namespace("shop"); }
  static ApiServerOptions with(const std::string& path, Value policy) {
    ApiServerOptions options;
    options.audit.path = path;
    options.audit.policy = std::move(policy);
    return options;
  }
  std::vector<Value> events() const { return events_in(path); }
};

const std::string kMaps = "/api/v1/namespaces/shop/configmaps";
const std::string kMap = R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"v"}})";

// Decides for a request by its method and path, as `user`.
AuditPolicy::Decision decide(const AuditPolicy& policy, const char* method, std::string_view path,
                             const User& user = {}) {
  Request request;
  parse_request_info(method, path, {}, request);
  return policy.decide(request, user);
}

}  // namespace

TEST_CASE("the first rule that matches decides") {
  struct Case {
    const char *rule, *method, *path;
    bool matches;
  };
  const User ann{"ann", {"dev"}, "", {}};
  for (const Case& c : std::initializer_list<Case>{
           {"users: [ann]", "GET", "/api/v1/pods", true},
           {"users: [bob]", "GET", "/api/v1/pods", false},
           {"userGroups: [ops, dev]", "GET", "/api/v1/pods", true},
           {"userGroups: [ops]", "GET", "/api/v1/pods", false},
           {"verbs: [list]", "GET", "/api/v1/pods", true},
           {"verbs: [watch]", "GET", "/api/v1/pods", false},
           {"namespaces: [a]", "GET", "/api/v1/namespaces/a/pods", true},
           {"namespaces: [a]", "GET", "/api/v1/pods", false},
           {"namespaces: ['']", "GET", "/api/v1/nodes", true},
           {"namespaces: [a]", "GET", "/healthz", false},
           {"resources: [{group: ''}]", "GET", "/api/v1/pods", true},
           {"resources: [{group: apps}]", "GET", "/api/v1/pods", false},
           {"resources: [{group: '', resources: [pods]}]", "GET", "/api/v1/namespaces/a/pods/x/log", false},
           {"resources: [{group: '', resources: [pods/log]}]", "GET", "/api/v1/namespaces/a/pods/x/log", true},
           {"resources: [{group: '', resources: ['pods/*']}]", "GET", "/api/v1/namespaces/a/pods/x/log", true},
           {"resources: [{group: '', resources: ['pods/*']}]", "GET", "/api/v1/namespaces/a/pods/x", false},
           {"resources: [{group: '', resources: ['*/status']}]", "GET", "/api/v1/namespaces/a/pods/x/status", true},
           {"resources: [{group: '', resources: ['*']}]", "GET", "/api/v1/namespaces/a/pods/x/log", true},
           {"resources: [{group: '', resources: [pods], resourceNames: [x]}]", "GET", "/api/v1/namespaces/a/pods/x",
            true},
           {"resources: [{group: '', resources: [pods], resourceNames: [y]}]", "GET", "/api/v1/namespaces/a/pods/x",
            false},
           {"nonResourceURLs: ['/healthz*']", "GET", "/healthz/etcd", true},
           {"nonResourceURLs: [/version]", "GET", "/api/v1/pods", false}}) {
    CAPTURE(c.rule);
    CAPTURE(c.path);
    const auto policy = AuditPolicy::parse(policy_of(std::string("rules: [{level: Metadata, ") + c.rule + "}]"));
    REQUIRE_MESSAGE(policy.ok(), failure(policy));
    CHECK((decide(*policy, c.method, c.path, ann).level == AuditLevel::metadata) == c.matches);
  }
}

TEST_CASE("a wrong audit policy is refused with the field") {
  for (const auto& [rules, message] : std::initializer_list<std::pair<const char*, const char*>>{
           {"rules: []", "rules: Required value"},
           {"rules: [{level: Everything}]", "rules[0].level: Unsupported value: \"Everything\""},
           {"rules: [{users: [a]}]", "rules[0].level: Required value"},
           {"rules: [{level: None, user: [a]}]", "rules[0].user: Forbidden: unknown field"},
           {"rules: [{level: None, omitStages: [Never]}]", "rules[0].omitStages[0]: Unsupported value: \"Never\""},
           {"rules: [{level: None, nonResourceURLs: ['/a*b']}]", "must be the final character"},
           {"rules: [{level: None, nonResourceURLs: [healthz]}]", "must begin with a '/'"},
           {"rules: [{level: None, nonResourceURLs: [/x], namespaces: [a]}]",
            "both regular resources and non-resource"},
           {"rules: [{level: None, resources: [{group: '', resourceNames: [a]}]}]", "at least one resource"}}) {
    CAPTURE(rules);
    CHECK(failure(AuditPolicy::parse(policy_of(rules))).find(message) != std::string::npos);
  }
  CHECK(!AuditPolicy::parse(yaml::read("{apiVersion: v1, kind: Policy, rules: [{level: None}]}").value()).ok());
}

TEST_CASE("the standard policy records changes, secrets, commands in pods, and whole deletions of policies") {
  const AuditPolicy policy = AuditPolicy::standard();
  const User ann{"ann", {}, "", {}};
  for (const auto& [method, path, level] : std::initializer_list<std::tuple<const char*, const char*, AuditLevel>>{
           {"GET", "/api/v1/pods", AuditLevel::none},
           {"GET", "/readyz", AuditLevel::none},
           {"GET", "/api/v1/namespaces/a/secrets/x", AuditLevel::metadata},
           {"PUT", "/api/v1/namespaces/a/secrets/x", AuditLevel::metadata},
           {"GET", "/api/v1/namespaces/a/pods/x/exec", AuditLevel::metadata},
           {"POST", "/api/v1/namespaces/a/events", AuditLevel::none},
           {"POST", "/apis/apps/v1/namespaces/a/deployments", AuditLevel::metadata},
           {"DELETE", "/apis/kyverno.io/v1/clusterpolicies/p", AuditLevel::request_response},
           {"DELETE", "/api/v1/namespaces/a/configmaps/x", AuditLevel::metadata}}) {
    CAPTURE(path);
    CHECK(decide(policy, method, path, ann).level == level);
  }
  CHECK(decide(policy, "PUT", "/api/v1/nodes/n/status", {"system:node:n", {"system:nodes"}, "", {}}).level ==
        AuditLevel::none);
}

TEST_CASE("a change is on record: who, what, from where, and how it ended") {
  Audited s(policy_of("rules: [{level: RequestResponse, resources: [{group: '', resources: [configmaps]}]}]"));
  const auto made = s.send("POST", kMaps, kMap, {{"User-Agent", "test/1"}, {"Audit-ID", "chosen"}});
  CHECK(made.headers.get("Audit-Id") == "chosen");
  const auto events = s.events();
  REQUIRE(events.size() == 2);
  CHECK(events[0]["stage"].str() == "RequestReceived");
  CHECK(events[0]["auditID"].str() == "chosen");
  const Value& done = events[1];
  CHECK(done["stage"].str() == "ResponseComplete");
  CHECK(done["level"].str() == "RequestResponse");
  CHECK(done["verb"].str() == "create");
  CHECK(done["requestURI"].str() == kMaps);
  CHECK(done["user"]["username"].str() == "root");
  CHECK(done["userAgent"].str() == "test/1");
  CHECK(done["sourceIPs"] == Value::list_of({"127.0.0.1"}));
  CHECK(done["objectRef"] ==
        json::parse(R"({"resource":"configmaps","namespace":"shop","apiVersion":"v1","name":"a"})").value());
  CHECK(done["responseStatus"]["code"].as_int() == 201);
  CHECK(done["requestObject"]["data"]["k"].str() == "v");
  CHECK(done["responseObject"]["metadata"]["uid"].is_string());
  CHECK(done["annotations"]["authorization.k8s.io/decision"].str() == "allow");
}

TEST_CASE("levels and stages say how much is on record") {
  Audited s(
      policy_of("omitStages: [RequestReceived]\nomitManagedFields: true\nrules:\n"
                "- {level: None, verbs: [get]}\n- {level: Request, verbs: [create]}\n- {level: RequestResponse, verbs: "
                "[update]}\n- {level: Metadata}"));
  s.send("POST", kMaps, kMap);
  s.send("GET", kMaps + "/a");
  s.send("PUT", kMaps + "/a", kMap);
  s.send("DELETE", kMaps + "/absent");
  const auto events = s.events();
  REQUIRE(events.size() == 3);
  CHECK(events[0]["requestObject"]["kind"].str() == "ConfigMap");
  CHECK(events[0]["responseObject"].is_null());
  CHECK(events[1]["responseObject"]["metadata"]["managedFields"].is_null());
  CHECK(events[2]["requestObject"].is_null());
  CHECK(events[2]["responseStatus"]["code"].as_int() == 404);
  CHECK(events[2]["responseStatus"]["reason"].str() == "NotFound");
}

TEST_CASE("refusals and impersonation are on record, too") {
  Audited s(policy_of("omitStages: [RequestReceived]\nrules: [{level: Metadata}]"));
  s.send("GET", kMaps, "", {{"Authorization", "Bearer wrong"}});
  s.send("GET", kMaps, "", {{"Impersonate-User", "ann"}});
  const auto events = s.events();
  REQUIRE(events.size() == 2);
  CHECK(events[0]["responseStatus"]["code"].as_int() == 401);
  CHECK(events[0]["user"]["username"].str() == "");
  CHECK(events[1]["user"]["username"].str() == "root");
  CHECK(events[1]["impersonatedUser"]["username"].str() == "ann");
  CHECK(events[1]["annotations"]["authorization.k8s.io/decision"].str() == "forbid");
  CHECK(events[1]["responseStatus"]["code"].as_int() == 403);
}

TEST_CASE("a watch is on record when it begins and when it ends") {
  Audited s(policy_of("omitStages: [RequestReceived]\nrules: [{level: Metadata}]"));
  {
    http::Request watch{.url = "http://127.0.0.1:" + std::to_string(s.port) + kMaps + "?watch=1"};
    watch.headers.set("Authorization", "Bearer " + std::string(s.token.reveal()));
    REQUIRE(s.client_.open(watch).ok());  // and closed at once
  }
  std::vector<Value> events;
  for (int i = 0; i < 500 && events.size() < 2; ++i) {
    std::this_thread::sleep_for(10ms);  // the server notices after a while that the client is gone
    events = s.events();
  }
  REQUIRE(events.size() == 2);
  CHECK(events[0]["stage"].str() == "ResponseStarted");
  CHECK(events[1]["stage"].str() == "ResponseComplete");
  CHECK(events[0]["auditID"] == events[1]["auditID"]);
}

TEST_CASE("the audit log is put aside when it is full, and old ones go") {
  Directory d;
  FakeClock clock;
  auto log = AuditLog::open({.path = d.path, .size_bytes_max = 100, .backups_max = 2}, clock);
  REQUIRE(log.ok());
  const Value event{{"text", std::string(60, 'x')}};
  for (int i = 0; i < 5; ++i) {
    (*log)->write(event);
    clock.advance(1s);
  }
  const auto files = list_dir(d.home.path()).value();
  REQUIRE(files.size() == 3);
  CHECK(files[0].starts_with("audit-2023-11-14T22-13-"));
  CHECK(files[2] == "audit.log");
  for (const std::string& file : files) CHECK(events_in(d.home.path() + "/" + file).size() == 1);
}

TEST_CASE("an audit log goes on where it was") {
  Directory d;
  FakeClock clock;
  for (int i = 0; i < 2; ++i) AuditLog::open({.path = d.path}, clock).value()->write(Value{{"i", i}});
  CHECK(events_in(d.path).size() == 2);
  CHECK(!AuditLog::open({.path = d.home.path() + "/absent/audit.log"}, clock).ok());
}
