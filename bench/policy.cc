// SPDX-License-Identifier: Apache-2.0
// What policies add to a Pod create: 50 enforcing rules in the admission plug-in, in process. CPU time of the thread,
// so that a busy machine does not count.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <span>

#include "cluster/schema/schema.h"
#include "core/base/check.h"
#include "core/document/yaml.h"
#include "security/policy/admission_plugin.h"

using namespace caisson;

namespace {

std::int64_t cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

// The rules that teams have, by form; '#' is another number in each rule, so that no two ask the same. Those of
// podSecurity do: there are no more than two levels.
constexpr const char* kForms[] = {
    R"y(pattern: {spec: {containers: [{"=(securityContext)": {"=(privileged)": "false"}, name: "!bad#"}]}})y",
    R"y(pattern: {spec: {"=(hostNetwork)": "false", "=(hostPID)": "false", "=(serviceAccountName)": "!sa#"}})y",
    R"y(pattern: {spec: {containers: [{image: "!*:v#"}]}})y",
    R"y(pattern: {metadata: {labels: {team: "?*", "=(tier)": "!t#"}}})y",
    R"y(deny: {conditions: {any: [{key: "{{ request.object.spec.containers[].image }}", operator: AnyIn, value: ["evil#/*"]}]}})y",
    R"y(cel: {expressions: [{expression: "object.spec.containers.all(c, !c.image.endsWith(':v#'))"}]})y",
    R"y(podSecurity: {level: baseline, version: latest})y",
};

std::string numbered(std::string_view form, int number) {
  std::string out;
  for (const char c : form) out += c == '#' ? std::to_string(number) : std::string(1, c);
  return out;
}

void add_policies(policy::Policies& policies, std::span<const char* const> forms) {
  for (int i = 0; i < 50; ++i) {
    const std::string name = "p" + std::to_string(i);
    const auto document =
        yaml::read("{apiVersion: kyverno.io/v1, kind: ClusterPolicy, metadata: {name: " + name +
                   "}, spec: {rules: [{name: r, match: {any: [{resources: {kinds: [Pod]}}]}, validate: "
                   "{failureAction: Enforce, message: no, " +
                   numbered(forms[static_cast<std::size_t>(i) % forms.size()], i) + "}}]}}");
    CHECK(document.ok());
    policies.set(*document);
  }
}

Value pod(int n) {
  const auto document =
      yaml::read("{apiVersion: v1, kind: Pod, metadata: {name: p" + std::to_string(n) +
                 ", namespace: shop, labels: {team: web, app: a}}, spec: {containers: [{name: a, image: "
                 "'nginx:1.27', resources: {limits: {memory: 64Mi}}}, {name: b, image: 'redis:7'}]}}");
  CHECK(document.ok());
  return *document;
}

// CPU of the thread for each request, in order of size, in nanoseconds.
std::vector<std::int64_t> admit(const schema::KindSchema& kind, std::span<const char* const> forms, int count) {
  const auto policies = std::make_shared<policy::Policies>();
  add_policies(*policies, forms);
  const auto plugin = policy::make_policy_admission({.policies = policies});
  const apiserver::User user{"dev", {"system:authenticated"}, "", {}};
  std::vector<std::int64_t> took;
  for (int n = 0; n < count + 500; ++n) {
    Value object = pod(n), details, refusal;
    const Value before;
    std::vector<std::string> warnings;
    std::vector<std::pair<std::string, std::string>> audit;
    apiserver::Reinvocation reinvocation;
    const apiserver::AdmissionRequest request{
        .operation = apiserver::AdmissionRequest::Operation::create,
        .kind = kind,
        .ns = "shop",
        .name = "p",
        .user = user,
        .before = before,
        .warnings = warnings,
        .audit_annotations = audit,
        .find = [](const schema::Resource&, std::string_view, std::string_view) { return Value(); },
        .details = details,
        .refusal = refusal,
        .reinvocation = reinvocation};
    const std::int64_t start = cpu_ns();
    const bool ok = plugin->mutate(request, object).ok() && plugin->validate(request, object).ok();
    if (n >= 500) took.push_back(cpu_ns() - start);  // the first ones compile expressions
    CHECK(ok);
  }
  std::sort(took.begin(), took.end());
  return took;
}

void print(const char* what, const std::vector<std::int64_t>& took) {
  const auto at = [&](double share) {
    return static_cast<double>(took[static_cast<std::size_t>(share * static_cast<double>(took.size() - 1))]) / 1000;
  };
  std::printf("%s: least %.1f µs, P50 %.1f µs, P90 %.1f µs, P99 %.1f µs, P99.9 %.1f µs\n", what, at(0), at(0.5),
              at(0.9), at(0.99), at(0.999));
}

}  // namespace

// Without an argument the rules of all forms together; with any, 50 of each form alone, too.
int main(int argc, char**) {
  const auto schema = schema::Schema::built_in();
  CHECK(schema.ok());
  const auto kind = schema->find("", "v1", "Pod");
  CHECK(kind != nullptr);
  print("admission of a Pod, 50 enforcing rules, CPU of the thread", admit(*kind, kForms, 20'000));
  if (argc < 2) return 0;
  for (const char* form : kForms) print(form, admit(*kind, std::span(&form, 1), 5'000));
}
