// SPDX-License-Identifier: Apache-2.0
#include "main/cli/argument_table.h"

#include <doctest/doctest.h>

#include "core/document/json.h"
#include "core/document/yaml.h"
#include "main/cli/app_commands.h"
#include "main/cli/helm_flags.h"
#include "main/cli/policy_flags.h"
#include "main/cli/proj_commands.h"

namespace caisson::cli {

TEST_CASE("flags of app and proj: values behind '=' or a blank, toggles, lists, arguments in between") {
  const auto app =
      read_app_arguments({"web", "--revision=main", "--resource", ":Service:a", "--prune", "--cascade=false",
                          "--resource", "apps:Deployment:b", "--timeout", "5", "-l", "a=b", "7"});
  REQUIRE(app.ok());
  CHECK(app->words == std::vector<std::string>{"web", "7"});
  CHECK(app->revision == "main");
  CHECK(app->resources == std::vector<std::string>{":Service:a", "apps:Deployment:b"});
  CHECK(app->prune);
  CHECK_FALSE(app->cascade);
  CHECK(app->timeout_seconds == 5);
  CHECK(app->selector == "a=b");
  CHECK(read_app_arguments({"--sync-policy", "automated"})->automated);
  CHECK(read_app_arguments({"--sync-policy=none"})->manual);
  const auto proj = read_proj_arguments({"shop", "ci", "-a", "sync", "--object=*", "-s", "a", "--src", "b", "-t"});
  REQUIRE(proj.ok());
  CHECK(proj->words == std::vector<std::string>{"shop", "ci"});
  CHECK(proj->action == "sync");
  CHECK(proj->object == "*");
  CHECK(proj->sources == std::vector<std::string>{"a", "b"});
  CHECK(proj->token_only);
  CHECK(proj->permission == "allow");
}

TEST_CASE("flags of app and proj: what is not known, has no value or a wrong one is refused by name") {
  CHECK(read_app_arguments({"--nonsense"}).error().message ==
        "app: flag --nonsense is not known; see caisson app --help");
  CHECK(read_proj_arguments({"-z"}).error().message == "proj: flag -z is not known; see caisson proj --help");
  CHECK(read_app_arguments({"web", "--revision"}).error().message == "--revision needs a value");
  CHECK(read_app_arguments({"--timeout"}).error().message == "--timeout needs a value");
  CHECK(read_app_arguments({"--timeout=-1"}).error().message == "--timeout needs seconds");
  CHECK(read_app_arguments({"--timeout=soon"}).error().message == "--timeout needs seconds");
  CHECK(read_app_arguments({"--sync-policy=sometimes"}).error().message == "--sync-policy is automated or none");
}

TEST_CASE("a boolean flag takes what Go reads as a boolean, and refuses the rest as pflag does") {
  CHECK(read_app_arguments({"web", "--prune=T"})->prune);
  CHECK_FALSE(read_app_arguments({"web", "--cascade=0"})->cascade);
  CHECK(read_app_arguments({"web", "--self-heal=false"})->self_heal == std::optional(false));
  CHECK(read_app_arguments({"web", "--self-heal=maybe"}).error().message ==
        "invalid argument \"maybe\" for \"--self-heal\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax");
  CHECK(read_app_arguments({"web", "--prune="}).error().message.starts_with("invalid argument \"\" for \"--prune\""));
  CHECK_FALSE(read_proj_arguments({"x", "--upsert=yes"}).ok());
  constexpr FlagSpec kSpecs[] = {{"watch", FlagKind::boolean, 'w'}, {"all", FlagKind::boolean}};
  const std::span<const FlagSpec> known[] = {kSpecs};
  CHECK(Flags::parse({"--watch=TRUE", "--all=f"}, known)->is_set("watch"));
  CHECK_FALSE(Flags::parse({"--all=f"}, known)->is_set("all"));
  CHECK(Flags::parse({"-w=2"}, known).error().message ==
        "invalid argument \"2\" for \"-w, --watch\" flag: strconv.ParseBool: parsing \"2\": invalid syntax");
  CHECK(read_policy_arguments(PolicyVerb::test, {"--fail-only=maybe"})
            .error()
            .message.starts_with("invalid argument \"maybe\" for \"--fail-only\" flag"));
  CHECK_FALSE(read_policy_arguments(PolicyVerb::test, {"--fail-only=false"})->fail_only);
}

TEST_CASE("flags of app: what argocd has and this has not says why") {
  CHECK(read_app_arguments({"web", "--grpc-web"}).error().message.find("there is no Argo CD server") !=
        std::string::npos);
  CHECK(read_app_arguments({"web", "--plugin-env=A=B"}).error().message ==
        "argocd's --plugin-env is not here: config management plugins are not supported");
}

namespace {

// What `app set` makes of a spec with these flags, as JSON; or why not.
std::string spec_with(const std::string& before, const std::vector<std::string>& flags) {
  auto arguments = read_app_arguments(flags);
  if (!arguments.ok()) return arguments.error().message;
  Value spec = *yaml::read(before);
  const auto done = put_flags(spec, *arguments);
  return done.ok() ? json::write(spec) : done.error().message;
}

}  // namespace

TEST_CASE("flags of app create and set: what is named twice is replaced, the rest of the spec stays") {
  CHECK(spec_with("{}", {"--repo", "r", "--helm-chart", "web", "--dest-name", "prod"}) ==
        R"({"source":{"repoURL":"r","chart":"web"},"destination":{"name":"prod"}})");
  CHECK(spec_with("{destination: {server: s, namespace: n}}", {"--dest-name=prod"}) ==
        R"({"destination":{"namespace":"n","name":"prod"}})");
  CHECK(spec_with("{source: {helm: {parameters: [{name: a, value: '1'}, {name: b, value: '2'}]}}, destination: {}}",
                  {"--helm-set", "a=x=y", "--helm-set-string=c=3"}) ==
        R"({"source":{"helm":{"parameters":[{"name":"a","value":"x=y"},{"name":"b","value":"2"},)"
        R"({"name":"c","value":"3","forceString":true}]}},"destination":{}})");
  CHECK(spec_with("{source: {kustomize: {images: ['h:5000/web:1', other]}}, destination: {}}",
                  {"--kustomize-image", "h:5000/web:2", "--kustomize-replica=web=3", "--nameprefix", "p-"}) ==
        R"({"source":{"kustomize":{"images":["other","h:5000/web:2"],"namePrefix":"p-","replicas":[{"name":"web",)"
        R"("count":3}]}},"destination":{}})");
  CHECK(
      spec_with("{}", {"--directory-recurse", "--sync-policy=automated", "--auto-prune", "--sync-retry-limit", "7"}) ==
      R"({"source":{"directory":{"recurse":true}},"destination":{},"syncPolicy":{"automated":{"prune":true},)"
      R"("retry":{"limit":7}}})");
}

TEST_CASE("flags of app set: one of several sources, retries, and false takes a setting away") {
  CHECK(spec_with("{sources: [{repoURL: a}, {repoURL: b, name: two}], destination: {}}",
                  {"--source-position", "1", "--revision", "v1"}) ==
        R"({"sources":[{"repoURL":"a","targetRevision":"v1"},{"repoURL":"b","name":"two"}],"destination":{}})");
  CHECK(spec_with("{sources: [{repoURL: a}, {repoURL: b, name: two}], destination: {}}",
                  {"--source-name=two", "--helm-skip-tests"}) ==
        R"({"sources":[{"repoURL":"a"},{"repoURL":"b","name":"two","helm":{"skipTests":true}}],"destination":{}})");
  CHECK(spec_with("{destination: {}, syncPolicy: {automated: {selfHeal: true}, retry: {limit: 1}}}",
                  {"--self-heal=false", "--sync-retry-backoff-duration=2s", "--sync-retry-refresh"}) ==
        R"({"destination":{},"syncPolicy":{"automated":{"selfHeal":false},)"
        R"("retry":{"limit":1,"backoff":{"duration":"2s"},"refresh":true}}})");
  CHECK(spec_with("{source: {repoURL: a, helm: {skipCrds: true, releaseName: r}}, destination: {}}",
                  {"--helm-skip-crds=false"}) ==
        R"({"source":{"repoURL":"a","helm":{"releaseName":"r"}},"destination":{}})");
}

TEST_CASE("flags of app create and set: what makes no sense is refused by name") {
  CHECK(spec_with("{}", {"--helm-set", "a"}) == "--helm-set is NAME=VALUE, not a");
  CHECK(spec_with("{}", {"--kustomize-replica", "web=many"}) == "--kustomize-replica needs a number, not many");
  CHECK(spec_with("{}", {"--revision-history-limit=-2"}) == "--revision-history-limit needs a number, not -2");
  CHECK(spec_with("{}", {"--self-heal"}) == "--self-heal needs --sync-policy automated");
  CHECK(spec_with("{}", {"--values-literal-file", "/nowhere"}).find("/nowhere") != std::string::npos);
  CHECK(spec_with("{sources: [{repoURL: a}]}", {"--repo", "b"}).find("several sources") != std::string::npos);
  CHECK(spec_with("{sources: [{repoURL: a}]}", {"--source-position", "2"}) ==
        "--source-position is from 1 to 1, not 2");
  CHECK(spec_with("{sources: [{repoURL: a}]}", {"--source-name", "x"}) == "no source of the Application is named x");
  CHECK(spec_with("{}", {"--sync-retry-backoff-duration", "soon"}).starts_with("--sync-retry-backoff-duration: "));
}

}  // namespace caisson::cli
