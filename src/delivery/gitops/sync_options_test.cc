// SPDX-License-Identifier: Apache-2.0
// Settings, ignored differences, sync windows, the order of a sync with its options, and the safety catch.
#include <doctest/doctest.h>

#include "core/document/json.h"
#include "core/document/yaml.h"
#include "delivery/gitops/jq.h"
#include "delivery/gitops/sync.h"
#include "delivery/gitops/windows.h"

namespace caisson::gitops {
namespace {

Value doc(std::string_view text) {
  auto value = yaml::read(text);
  REQUIRE_MESSAGE(value.ok(), (value.ok() ? "" : value.error().message));
  return std::move(value).value();
}

Resource made(const std::string& kind, const std::string& name, bool desired, bool exists,
              const std::string& annotations = "") {
  const Value object = doc("{apiVersion: v1, kind: " + kind + ", metadata: {name: " + name +
                           ", namespace: shop, annotations: {" + annotations + "}}}");
  Resource out;
  out.id = id_of(object);
  out.version = "v1";
  if (desired) out.desired = object;
  if (exists) out.live = object;
  return out;
}

std::vector<std::string> names(const std::vector<Step>& steps) {
  std::vector<std::string> out;
  for (const Step& step : steps) {
    for (const Task& task : step.tasks) out.push_back((task.prune ? "-" : "+") + task.id.name);
  }
  return out;
}

TEST_CASE("a script of argocd-cm gives the health of its kind, by name and by pattern") {
  const Settings settings = parse_settings(doc(R"(
resource.customizations.health.example.com_Widget: |
  return {status = obj.status.ok and "Healthy" or "Degraded", message = obj.metadata.name}
resource.customizations: |
  "*.cloud.example/*":
    health.lua: |
      return {status = "Suspended", message = obj.kind}
)"));
  CHECK(settings.errors.empty());
  const auto widget =
      health_of(doc("{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, status: {ok: true}}"), settings);
  CHECK(widget->code == HealthCode::healthy);
  CHECK(widget->message == "w");
  CHECK(health_of(doc("{apiVersion: db.cloud.example/v1, kind: Base, metadata: {name: b}}"), settings)->code ==
        HealthCode::suspended);
  CHECK_FALSE(health_of(doc("{apiVersion: other.example/v1, kind: Widget, metadata: {name: w}}"), settings));
}

TEST_CASE("a user's script that fails makes the health unknown and says why") {
  const Settings settings = parse_settings(doc("{resource.customizations.health.apps_Deployment: 'return obj.a.b.c'}"));
  const auto health = health_of(doc("{apiVersion: apps/v1, kind: Deployment, metadata: {name: w}}"), settings);
  CHECK(health->code == HealthCode::unknown);
  CHECK(health->message.find("apps/Deployment") != std::string::npos);
}

TEST_CASE("argocd-cm that can't be read is told, and the rest of it counts") {
  const Settings settings =
      parse_settings(doc("{resource.exclusions: 'a: [', application.resourceTrackingMethod: label}"));
  CHECK(settings.errors.size() == 1);
  CHECK(settings.tracking == Tracking::label);
}

TEST_CASE("how often repositories are asked is argocd-cm's") {
  const Settings settings =
      parse_settings(doc("{timeout.reconciliation: 90s, timeout.reconciliation.jitter: 0s, other: x}"));
  CHECK(settings.poll_interval == std::chrono::seconds(90));
  CHECK(settings.poll_jitter == Duration(0));
  CHECK(settings.errors.empty());
  CHECK_FALSE(parse_settings(doc("{}")).poll_interval);
  for (const char* bad : {"soon", "-1s", "100000h"}) {
    const Settings refused = parse_settings(Value{{"timeout.reconciliation", bad}});
    CHECK_FALSE(refused.poll_interval);
    REQUIRE(refused.errors.size() == 1);
    CHECK(refused.errors[0].starts_with("argocd-cm timeout.reconciliation: "));
  }
}

TEST_CASE("excluded kinds are left out, and inclusions leave out all others") {
  const Settings settings = parse_settings(doc(R"(
resource.exclusions: |
  - apiGroups: ["*.cilium.io"]
    kinds: ["*"]
resource.inclusions: |
  - apiGroups: ["apps", "net.cilium.io"]
    kinds: ["*"]
)"));
  CHECK(settings.excludes("net.cilium.io", "Identity"));
  CHECK_FALSE(settings.excludes("apps", "Deployment"));
  CHECK(settings.excludes("batch", "Job"));
}

TEST_CASE("a jq path takes a list item's field out of the comparison") {
  IgnoreRule rule;
  rule.group = "apps";
  rule.kind = "Deployment";
  rule.jq_paths = {".spec.containers[] | select(.name == \"b\") | .image"};
  Value want = doc("{spec: {containers: [{name: a, image: x}, {name: b, image: y}]}}");
  Value have = doc("{spec: {containers: [{name: a, image: x}, {name: b, image: z}]}}");
  REQUIRE(ignore({rule}, {"apps", "Deployment", "", "web"}, want, have).ok());
  CHECK(want == have);
  CHECK(want["spec"]["containers"][0]["image"].as_string() == "x");
}

TEST_CASE("several items that a jq path names go from one list") {
  IgnoreRule rule;
  rule.group = "*";
  rule.jq_paths = {".items[] | select(. > 1)"};
  Value want = doc("{items: [1, 2, 3, 1]}"), have = want;
  REQUIRE(ignore({rule}, {"", "X", "", "x"}, want, have).ok());
  CHECK(json::write(want) == R"({"items":[1,1]})");
}

TEST_CASE("jq expressions that could run for ever or look outside are refused") {
  for (const char* text : {"def f: f; f", "[range(10)]", "recurse(.)", "repeat(.)", "env.HOME", "$ENV.HOME", "input",
                           "until(false; .)", "\"\\(def f: f; f)\""}) {
    const auto got = jq_paths(text, Value::map());
    REQUIRE_MESSAGE(!got.ok(), text);
    CHECK(got.error().code == ErrorCode::invalid);
  }
  CHECK(jq_paths(".env.range", doc("{env: {range: 1}}")).ok());  // a field may have such a name
  CHECK_FALSE(jq_paths(".a[", Value::map()).ok());
}

TEST_CASE("fields of ignored managers are the live ones when RespectIgnoreDifferences applies") {
  IgnoreRule rule;
  rule.group = "apps";
  rule.managers = {"scaler"};
  const Value live = doc(
      R"({metadata: {managedFields: [{manager: scaler, fieldsV1: {"f:spec": {"f:replicas": {}}}}]}, spec: {replicas: 7, paused: true}})");
  const auto got =
      respect_ignored({rule}, {"apps", "Deployment", "", "web"}, doc("{spec: {replicas: 2, paused: false}}"), live);
  REQUIRE(got.ok());
  CHECK((*got)["spec"]["replicas"].as_int() == 7);
  CHECK_FALSE((*got)["spec"]["paused"].as_bool());
}

TEST_CASE("PruneLast puts one prune behind everything, an annotation does so for one object") {
  std::vector<Resource> resources{
      made("ConfigMap", "keep", true, false), made("ConfigMap", "old", false, true),
      made("ConfigMap", "older", false, true, "argocd.argoproj.io/sync-options: PruneLast=true")};
  const std::vector<Value> hooks{
      doc("{apiVersion: v1, kind: Pod, metadata: {name: after, annotations: {argocd.argoproj.io/hook: PostSync}}}")};
  CHECK(names(plan_sync(resources, hooks, {.prune = true})) ==
        std::vector<std::string>{"+keep", "-old", "+after", "-older"});
  CHECK(names(plan_sync(resources, hooks, {.prune = true, .prune_last = true})) ==
        std::vector<std::string>{"+keep", "+after", "-older", "-old"});
}

TEST_CASE("chosen resources are synced alone, without hooks") {
  const std::vector<Resource> resources{made("ConfigMap", "a", true, false), made("ConfigMap", "b", true, false)};
  const std::vector<Value> hooks{
      doc("{apiVersion: v1, kind: Pod, metadata: {name: h, annotations: {argocd.argoproj.io/hook: PreSync}}}")};
  PlanOptions options;
  options.selected = {doc("{kind: ConfigMap, name: b, namespace: shop}")};
  CHECK(names(plan_sync(resources, hooks, options)) == std::vector<std::string>{"+b"});
}

TEST_CASE("Delete hooks are no part of a sync") {
  const std::vector<Value> hooks{
      doc("{apiVersion: v1, kind: Pod, metadata: {name: h, annotations: {argocd.argoproj.io/hook: PostDelete}}}")};
  CHECK(plan_sync({}, hooks, {}).empty());
  CHECK(phase_hooks(hooks, Phase::post_delete, {}).size() == 1);
}

TEST_CASE("the safety catch holds large deletions, precious kinds, and Secrets without a successor") {
  const auto held = [](const std::vector<Resource>& resources, const kube::Object* project = nullptr) {
    return safety_plan(plan_sync(resources, {}, {.prune = true}), resources, project);
  };
  std::vector<Resource> many;
  for (int i = 0; i < 21; ++i) many.push_back(made("ConfigMap", "c" + std::to_string(i), false, true));
  REQUIRE(held(many));
  CHECK(held(many)->deletions.size() == 21);
  CHECK(held(many)->id == held(many)->id);
  kube::Object project(doc("{metadata: {name: p, annotations: {caisson.dev/max-deletions: 'off'}}}"));
  CHECK_FALSE(held(many, &project));
  project.set_annotation(kSafetyAnnotation, "30");
  CHECK_FALSE(held(many, &project));
  for (int i = 0; i < 25; ++i) many.push_back(made("ConfigMap", "k" + std::to_string(i), true, true));
  CHECK_FALSE(held(many));  // less than half
  CHECK(held({made("PersistentVolumeClaim", "data", false, true)}));
  CHECK(held({made("Secret", "tls-5t7k9m", false, true)}));
  CHECK_FALSE(held({made("Secret", "tls-5t7k9m", false, true), made("Secret", "tls-8c2b4h", true, false)}));
}

Application application() {
  Application out;
  out.key = {"argocd", "web"};
  out.destination_namespace = "shop";
  out.destination_server = "https://kubernetes.default.svc";
  return out;
}

WindowVerdict windows(const std::string& list, std::string_view now) {
  const kube::Object project(doc("{metadata: {name: p}, spec: {syncWindows: " + list + "}}"));
  auto verdict = check_windows(application(), &project, *parse_time(now));
  REQUIRE_MESSAGE(verdict.ok(), (verdict.ok() ? "" : verdict.error().message));
  return *verdict;
}

TEST_CASE("a deny window stops syncs while it is open, by hand too unless it says otherwise") {
  const std::string nightly = "[{kind: deny, schedule: '0 22 * * *', duration: 8h, applications: ['*']}]";
  auto verdict = windows(nightly, "2026-03-04T23:30:00Z");
  CHECK_FALSE(verdict.automated);
  CHECK_FALSE(verdict.manual);
  CHECK(format_time(*verdict.next_look) == "2026-03-05T06:00:00Z");
  verdict = windows(nightly, "2026-03-05T06:00:00Z");
  CHECK(verdict.automated);
  CHECK(format_time(*verdict.next_look) == "2026-03-05T22:00:00Z");
  CHECK(windows("[{kind: deny, schedule: '* * * * *', duration: 1h, namespaces: [shop], manualSync: true}]",
                "2026-03-04T23:30:00Z")
            .manual);
}

TEST_CASE("outside of every allow window nothing syncs by itself") {
  const std::string office =
      "[{kind: allow, schedule: '0 9 * * 1-5', duration: 8h, applications: [web], manualSync: true}]";
  CHECK(windows(office, "2026-03-04T12:00:00Z").automated);
  const auto evening = windows(office, "2026-03-04T20:00:00Z");
  CHECK_FALSE(evening.automated);
  CHECK(evening.manual);
  CHECK(windows("[{kind: allow, schedule: '0 9 * * *', duration: 1h, applications: [other]}]", "2026-03-04T20:00:00Z")
            .automated);
}

TEST_CASE("a window's time zone counts, and one that nobody knows is refused") {
  const std::string zoned =
      "[{kind: deny, schedule: '0 22 * * *', duration: 1h, applications: ['*'], timeZone: Asia/Seoul}]";
  CHECK_FALSE(windows(zoned, "2026-03-04T13:30:00Z").automated);  // 22:30 there
  CHECK(windows(zoned, "2026-03-04T22:30:00Z").automated);
  const kube::Object project(
      doc("{metadata: {name: p}, spec: {syncWindows: [{kind: deny, schedule: '* * * * *', duration: 1h, applications: "
          "['*'], timeZone: Mars/Base}]}}"));
  CHECK_FALSE(check_windows(application(), &project, Time{}).ok());
}

TEST_CASE("retries wait 5 s and twice as long each time, up to the most") {
  const Retry retry = **parse_retry(doc("{limit: 4, backoff: {duration: 5s, factor: 3, maxDuration: 1m}}"));
  CHECK(retry.delay(1) == std::chrono::seconds(5));
  CHECK(retry.delay(2) == std::chrono::seconds(15));
  CHECK(retry.delay(3) == std::chrono::seconds(45));
  CHECK(retry.delay(4) == std::chrono::minutes(1));
  const auto bad = parse_retry(doc("{backoff: {duration: soon}}"), "operation.retry");
  REQUIRE_FALSE(bad.ok());
  CHECK(bad.error().message.find("operation.retry.backoff.duration") == 0);
}

}  // namespace
}  // namespace caisson::gitops
