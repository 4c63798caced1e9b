// SPDX-License-Identifier: Apache-2.0
// Roles of AppProjects, their tokens, and argocd-rbac-cm, as requests to the API server meet them.
#include "delivery/gitops/project_rights.h"

#include <doctest/doctest.h>

#include "cluster/apiserver/api_server.h"
#include "cluster/store/store.h"
#include "core/base/file.h"
#include "core/document/yaml.h"
#include "core/http/tls.h"
#include "delivery/gitops/application.h"
#include "delivery/gitops/project_tokens.h"
#include "delivery/gitops/rbac_policy.h"

using namespace caisson;
using namespace caisson::gitops;
using apiserver::User;

namespace {

template <class T>
T must(Result<T> result) {
  REQUIRE_MESSAGE(result.ok(), (result.ok() ? "" : result.error().message));
  return std::move(result).value();
}

constexpr const char* kProject = R"(
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: shop, namespace: argocd}
spec:
  sourceRepos: ["*"]
  destinations: [{server: "*", namespace: "*"}]
  roles:
    - name: ci
      policies: ["p, proj:shop:ci, applications, get, shop/*, allow", "p, proj:shop:ci, applications, sync, shop/web, allow"]
    - name: dev
      groups: [devs]
      policies:
        - p, proj:shop:dev, applications, *, shop/*, allow
        - p, proj:shop:dev, applications, delete, shop/web, deny
)";

struct Hub {
  Hub() {
    for (const char* ns : {"argocd", "team"}) must(admin->create(kube::Object::make(schema::kNamespaces, "", ns)));
    make(kProject);
    for (const char* name : {"web", "api"}) make_application(name, "shop");
    make_application("other", "pay");
  }
  kube::Object make(const std::string& text) { return must(admin->create(kube::Object(must(yaml::read(text))))); }
  static std::string application(const std::string& name, const std::string& project, const std::string& more = "") {
    return "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: " + name +
           ", namespace: argocd}\nspec:\n  project: " + project +
           "\n  source: {repoURL: \"https://a.example/r.git\", path: p, targetRevision: main}\n"
           "  destination: {server: \"https://kubernetes.default.svc\", namespace: team}\n" +
           more;
  }
  void make_application(const std::string& name, const std::string& project) { make(application(name, project)); }
  void rbac(const std::string& data) {
    const auto written = kube::Object(must(yaml::read(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-rbac-cm, namespace: argocd}\ndata:\n" + data)));
    if (!admin->update(written).ok()) must(admin->create(written));
  }
  std::unique_ptr<kube::Client> as(const std::string& name, const std::vector<std::string>& groups = {}) {
    return api->client({.name = name, .groups = groups});
  }

  // "" when it may; otherwise the error.
  static std::string edit(kube::Client& client, const std::string& name, const std::string& merge_patch) {
    const auto done =
        client.patch(schema::kApplications, {"argocd", name}, kube::PatchType::merge, must(yaml::read(merge_patch)));
    return done.ok() ? "" : done.error().message;
  }
  static std::vector<std::string> names(kube::Client& client) {
    std::vector<std::string> out;
    const auto list = client.list(schema::kApplications, {.ns = "argocd"});
    if (!list.ok()) return {list.error().message};
    for (const auto& one : list->items) out.push_back(one.name());
    return out;
  }

  TempDir directory = must(TempDir::make("rights"));
  std::unique_ptr<store::Store> store = must(store::Store::open(directory.path() + "/store.db", system_clock()));
  schema::Schema schema = must(schema::Schema::built_in());
  kube::Client* own = nullptr;
  std::unique_ptr<apiserver::ApiServer> api = [this] {
    apiserver::ApiServerOptions options;
    options.service_account_key_pem = SecretBytes(must(http::make_key_pem()));
    options.access.push_back(make_project_rights({.client = [this] { return own; }}));
    return must(apiserver::ApiServer::open(*store, schema, std::move(options)));
  }();
  std::unique_ptr<kube::Client> admin = api->client({.name = "admin-of-all", .groups = {"system:masters"}});
  bool ready = (own = admin.get(), true);
};

using Names = std::vector<std::string>;

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("rights: a role reads what it may get, and nothing else shows") {
  Hub hub;
  const auto ci = hub.as("proj:shop:ci");
  CHECK(Hub::names(*ci) == Names{"api", "web"});
  CHECK(ci->get(schema::kApplications, {"argocd", "web"}).ok());
  CHECK(ci->get(schema::kApplications, {"argocd", "other"}).error().code == ErrorCode::forbidden);
  CHECK(ci->get(schema::kApplications, {"argocd", "absent"}).error().code == ErrorCode::forbidden);
  CHECK(ci->get(schema::kAppProjects, {"argocd", "shop"}).ok());
  CHECK(ci->get(schema::kSecrets, {"argocd", "argocd-secret"}).error().code == ErrorCode::forbidden);
  CHECK(holds(Hub::names(*hub.as("nobody"))[0], "cannot list resource \"applications\""));
  CHECK(holds(Hub::names(*hub.as("proj:pay:ci"))[0], "cannot list"));
}

TEST_CASE("rights: a watch shows what may be read, and what leaves the project as deleted") {
  Hub hub;
  const auto ci = hub.as("proj:shop:ci");
  std::mutex mutex;
  std::condition_variable changed;
  Names seen;
  const auto watch = must(ci->watch(schema::kApplications, {.ns = "argocd"}, [&](const kube::WatchEvent& event) {
    using Type = kube::WatchEvent::Type;
    const std::lock_guard lock(mutex);
    if (event.type == Type::bookmark || event.type == Type::closed) return;
    const char* type = event.type == Type::added ? "+" : event.type == Type::deleted ? "-" : "~";
    seen.push_back(type + event.object.name());
    changed.notify_all();
  }));
  hub.make_application("hidden", "pay");
  CHECK(Hub::edit(*hub.admin, "api", "{spec: {project: pay}}") == "");
  std::unique_lock lock(mutex);
  CHECK(changed.wait_for(lock, std::chrono::seconds(20), [&] { return !seen.empty() && seen.back() == "-api"; }));
  CHECK(seen == Names{"+api", "+web", "-api"});
}

TEST_CASE("rights: sync is the operation alone, on the Applications that the role names") {
  Hub hub;
  const auto ci = hub.as("proj:shop:ci");
  CHECK(Hub::edit(*ci, "web", "{operation: {sync: {revision: main}}}") == "");
  CHECK(Hub::edit(*ci, "web", "{operation: null}") == "");
  CHECK(Hub::edit(*ci, "web", "{metadata: {annotations: {argocd.argoproj.io/refresh: normal}}}") == "");
  CHECK(Hub::edit(*ci, "api", "{metadata: {annotations: {argocd.argoproj.io/refresh: normal}}}") == "");
  CHECK(Hub::edit(*ci, "api", "{operation: {sync: {}}}") ==
        "applications.argoproj.io \"api\" is forbidden: user \"proj:shop:ci\" may not sync applications shop/api");
  CHECK(holds(Hub::edit(*ci, "web", "{spec: {source: {path: q}}}"), "may not update applications shop/web"));
  CHECK(holds(Hub::edit(*ci, "web", "{metadata: {labels: {a: b}}}"), "may not update applications shop/web"));
  CHECK(holds(Hub::edit(*ci, "web", "{operation: {sync: {source: {repoURL: \"https://b.example/x\", path: p}}}}"),
              "may not override applications shop/web"));
  CHECK(holds(Hub::edit(*ci, "web", "{operation: {sync: {manifests: [\"{}\"]}}}"), "may not override"));
  CHECK(holds(Hub::edit(*ci, "other", "{operation: {sync: {}}}"), "cannot patch resource"));
  CHECK(holds(Hub::edit(*ci, "web", "{status: {sync: {status: Synced}}}"), "its status is the controller's"));
  CHECK(ci->remove(schema::kApplications, {"argocd", "web"}).error().code == ErrorCode::forbidden);
}

TEST_CASE("rights: a running operation is ended by who may sync, with no other change of the status") {
  Hub hub;
  CHECK(Hub::edit(*hub.admin, "web", "{status: {operationState: {phase: Running, message: m}}}") == "");
  const auto ci = hub.as("proj:shop:ci");
  CHECK(holds(Hub::edit(*ci, "web", "{status: {operationState: {phase: Succeeded}}}"), "its status"));
  CHECK(holds(Hub::edit(*ci, "web", "{status: {operationState: {phase: Terminating, message: x}}}"), "its status"));
  CHECK(Hub::edit(*ci, "web", "{status: {operationState: {phase: Terminating}}}") == "");
}

TEST_CASE("rights: a source of the Application's history may be synced again without override") {
  Hub hub;
  CHECK(Hub::edit(*hub.admin, "web",
                  "{status: {history: [{id: 0, source: {repoURL: \"https://a.example/r.git\", path: old}}]}}") == "");
  CHECK(Hub::edit(*hub.as("proj:shop:ci"), "web",
                  "{operation: {sync: {source: {repoURL: \"https://a.example/r.git\", path: old}}}}") == "");
}

TEST_CASE("rights: a group's role creates, changes and deletes in its project; a denial stands above it") {
  Hub hub;
  const auto dev = hub.as("ann", {"devs"});
  const auto create = [&](kube::Client& client, const std::string& name, const std::string& project) {
    return client.create(kube::Object(must(yaml::read(Hub::application(name, project)))));
  };
  CHECK(create(*dev, "new", "shop").ok());
  CHECK(holds(create(*dev, "new2", "pay").error().message, "may not create applications pay/new2"));
  CHECK(Hub::edit(*dev, "new", "{spec: {source: {path: q}}}") == "");
  CHECK(holds(Hub::edit(*dev, "new", "{spec: {project: pay}}"), "may not create applications pay/new"));
  CHECK(dev->remove(schema::kApplications, {"argocd", "new"}).ok());
  CHECK(dev->remove(schema::kApplications, {"argocd", "web"}).error().code == ErrorCode::forbidden);
  CHECK(dev->get(schema::kApplications, {"argocd", "absent"}).error().code == ErrorCode::not_found);  // it may make it
  CHECK(holds(Hub::names(*hub.as("ann"))[0], "cannot list"));
  kube::WriteOptions applying{.field_manager = "ann"};
  CHECK(dev->apply(kube::Object(must(yaml::read(Hub::application("applied", "shop")))), applying).ok());
  CHECK_FALSE(dev->apply(kube::Object(must(yaml::read(Hub::application("applied2", "pay")))), applying).ok());
}

TEST_CASE("rights: argocd-rbac-cm gives users and groups rights over all projects, and a role to everybody") {
  Hub hub;
  hub.rbac(
      "  policy.csv: |\n    p, role:ops, applications, sync, */*, allow\n    g, ops, role:ops\n    g, root, "
      "role:admin\n"
      "  policy.more.csv: |\n    g, ops, role:readonly\n");
  const auto ops = hub.as("bob", {"ops"});
  CHECK(Hub::names(*ops) == Names{"api", "other", "web"});
  CHECK(Hub::edit(*ops, "other", "{operation: {sync: {}}}") == "");
  CHECK(holds(Hub::edit(*ops, "other", "{spec: {source: {path: q}}}"), "may not update"));
  CHECK(hub.as("root")->remove(schema::kApplications, {"argocd", "other"}).ok());
  CHECK(holds(Hub::names(*hub.as("eve"))[0], "cannot list"));
  hub.rbac("  policy.default: role:readonly\n");
  CHECK(Hub::names(*hub.as("eve")) == Names{"api", "web"});
  CHECK(holds(Hub::edit(*hub.as("eve"), "web", "{operation: {sync: {}}}"), "may not sync"));
  CHECK(holds(Hub::names(*hub.as("system:serviceaccount:team:default"))[0], "cannot list"));  // no person
  hub.rbac("  scopes: \"[email]\"\n  policy.csv: |\n    g, ops, role:admin\n    g, bob, role:readonly\n");
  CHECK(Hub::names(*hub.as("bob")).size() == 2);
  CHECK(holds(Hub::names(*hub.as("eve", {"ops"}))[0], "cannot list"));
}

TEST_CASE("rights: argocd-rbac-cm that can't be read gives nothing, and says why") {
  Hub hub;
  hub.rbac("  policy.default: role:admin\n  policy.csv: |\n    g, bob, role:admin\n    p, bob, applications\n");
  CHECK(holds(Hub::names(*hub.as("bob"))[0], "argocd-rbac-cm: policy.csv: line 2"));
  CHECK(Hub::names(*hub.as("proj:shop:ci")).size() == 2);  // roles of projects are not its business
}

TEST_CASE("rights: who may delete need not read") {
  Hub hub;
  hub.rbac("  policy.csv: |\n    p, bob, applications, delete, shop/*, allow\n");
  CHECK(hub.as("bob")->remove(schema::kApplications, {"argocd", "web"}).ok());
  CHECK(hub.as("bob")->remove(schema::kApplications, {"argocd", "other"}).error().code == ErrorCode::forbidden);
}

TEST_CASE("rights: RBAC's own are not narrowed") {
  Hub hub;
  hub.make(
      "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: edit, namespace: argocd}\n"
      "rules: [{apiGroups: [argoproj.io], resources: [applications], verbs: [get, patch]}]\n");
  hub.make(
      "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: edit, namespace: argocd}\n"
      "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: edit}\n"
      "subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: \"proj:shop:ci\"}]\n");
  CHECK(Hub::edit(*hub.as("proj:shop:ci"), "other", "{spec: {source: {path: q}}}") == "");
}

TEST_CASE("rights: a token of a role is known while it is on record") {
  Hub hub;
  const SecretBytes key = must(signing_key(*hub.admin, "argocd", true));
  CHECK(must(signing_key(*hub.admin, "argocd", true)).reveal() == key.reveal());
  const std::int64_t now =
      std::chrono::duration_cast<std::chrono::seconds>(system_clock().now().time_since_epoch()).count();
  const ProjectToken token{"shop", "ci", "build-1", now, 0};
  const std::string text = sign_project_token(token, key);
  const auto refused = [&](const std::string& shown) {
    const auto user = hub.api->authenticate_token(shown);
    return user.ok() ? "" : user.error().message;
  };
  CHECK(holds(refused(text), "has no such token"));
  const auto change = [&](const std::function<Result<void>(Value&)>& edit) {
    must(kube::modify(*hub.admin, schema::kAppProjects, {"argocd", "shop"}, [&](kube::Object& one) {
      REQUIRE(edit(one.edit()).ok());
      return true;
    }));
  };
  change([&](Value& project) { return record_token(project, token); });
  CHECK(must(hub.api->authenticate_token(text)).name == "proj:shop:ci");
  const Value project = must(hub.admin->get(schema::kAppProjects, {"argocd", "shop"})).value();
  CHECK(project.get({"status", "jwtTokensByRole", "ci", "items"})[0]["id"].str() == "build-1");
  CHECK(project["spec"]["roles"][0]["jwtTokens"][0]["iat"].as_int() == now);

  std::string altered = text;  // not in the last characters, some bits of which say nothing
  altered[text.size() - 10] = text[text.size() - 10] == 'A' ? 'B' : 'A';
  CHECK(refused(altered) == "the signature is wrong");
  CHECK(refused(sign_project_token(token, SecretBytes("another key"))) == "the signature is wrong");
  CHECK(holds(refused(sign_project_token({"shop", "dev", "build-1", now, 0}, key)), "has no such token"));
  CHECK(holds(refused(sign_project_token({"shop", "ci", "build-2", now, 0}, key)), "has no such token"));
  CHECK(refused(sign_project_token({"shop", "ci", "build-1", now, now - 1}, key)) == "the token has expired");
  CHECK(refused(sign_project_token({"shop", "ci", "build-1", now + 3600, 0}, key)) == "the token is not valid yet");
  CHECK(holds(refused(sign_project_token({"", "ci", "build-1", now, 0}, key)), "no role of a project"));

  Value again = project;
  CHECK(record_token(again, token).error().code == ErrorCode::already_exists);
  CHECK(record_token(again, {"shop", "none", "x", now, 0}).error().code == ErrorCode::not_found);
  CHECK(forget_token(again, "ci", now - 5).error().code == ErrorCode::not_found);
  change([&](Value& one) { return forget_token(one, "ci", now); });
  CHECK(holds(refused(text), "has no such token"));
}
