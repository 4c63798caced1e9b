// SPDX-License-Identifier: Apache-2.0
// What a build reaches beyond its tree, and edits of kustomization files.
#include <doctest/doctest.h>

#include "delivery/render/functions.h"
#include "delivery/render/kustomize/config.h"
#include "delivery/render/kustomize/editable.h"
#include "delivery/render/remote.h"
#include "delivery/render/render.h"

namespace caisson::render {
namespace {

std::string config_map(const std::string& name) {
  return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n";
}

// One repository, and one file.
class Shelf final : public Fetcher {
 public:
  Result<std::shared_ptr<const FileSource>> repository(const RepositoryUrl& url) override {
    ++fetched;
    if (url.clone != "https://git.example/org/repo")
      return Error{ErrorCode::unavailable, "no such repository: " + url.clone};
    return std::shared_ptr<const FileSource>(std::make_shared<MemorySource>(std::map<std::string, std::string>{
        {"base/kustomization.yaml", "resources: [a.yaml, ../more]\n"},
        {"base/a.yaml", config_map("a")},
        {"more/kustomization.yaml", "resources: [b.yaml]\n"},
        {"more/b.yaml", config_map("b")},
        {"out/kustomization.yaml", "resources: [../../own]\n"},
        {"read/kustomization.yaml", "configMapGenerator:\n- name: x\n  files: [../../own/secret]\n"}}));
  }
  Result<std::string> file(const std::string& url) override {
    if (url == "https://files.example/c.yaml") return config_map("c");
    return Error{ErrorCode::not_found, "GET " + url + ": 404"};
  }
  int fetched = 0;
};

Result<Rendering> build(const std::string& kustomization, const Options& options) {
  return kustomize(MemorySource({{"entry/kustomization.yaml", kustomization},
                                 {"entry/own.yaml", config_map("own")},
                                 {"own/kustomization.yaml", "resources: [s.yaml]\n"},
                                 {"own/s.yaml", config_map("s")},
                                 {"own/secret", "secret"}}),
                   "entry", options);
}

class Doubler final : public FunctionRunner {
 public:
  Result<std::string> run(const FunctionCall& call) override {
    program = call.program;
    input = call.input;
    return config_map("own") + "  labels: {seen: \"yes\"}\n---\n" + config_map("new");
  }
  std::string program, input;
};

}  // namespace

TEST_CASE("repository URLs are read in every form that kustomize takes") {
  struct Case {
    const char *text, *clone, *path, *ref;
  };
  const Case cases[] = {
      {"https://github.com/org/repo/a/b?ref=v1", "https://github.com/org/repo", "a/b", "v1"},
      {"github.com/org/repo", "https://github.com/org/repo", "", ""},
      {"git@github.com:org/repo.git//a?version=v2", "git@github.com:org/repo.git", "a", "v2"},
      {"ssh://git@github.com/org/repo.git", "git@github.com:org/repo.git", "", ""},
      {"git::https://git.example/org/repo//a", "https://git.example/org/repo", "a", ""},
      {"https://user@dev.azure.com/o/p/_git/repo/a/b", "https://user@dev.azure.com/o/p/_git/repo", "a/b", ""},
      {"https://git.example/deep/er/org/repo.git/a", "https://git.example/deep/er/org/repo.git", "a", ""},
      {"file:///srv/repo", "file:///srv/repo", "", ""},
      {"file:///srv/repo.git//a", "file:///srv/repo.git", "a", ""},
      {"git@host.example:org/repo//a/../b", "git@host.example:org/repo", "b", ""},
  };
  for (const Case& one : cases) {
    CAPTURE(one.text);
    const auto url = parse_repository_url(one.text);
    REQUIRE_MESSAGE(url.ok(), url.error().message);
    CHECK(url->clone == one.clone);
    CHECK(url->path == one.path);
    CHECK(url->ref == one.ref);
  }
  for (const char* text : {"../base", "/srv/repo", "base", "git.example/org/repo", "https://git.example/one",
                           "https://github.com/org/repo/../../x", ""}) {
    CAPTURE(text);
    CHECK_FALSE(parse_repository_url(text).ok());
  }
  const auto url = parse_repository_url("https://git.example/org/repo?timeout=1m30s&submodules=false");
  REQUIRE(url.ok());
  CHECK(url->timeout == std::chrono::seconds(90));
  CHECK_FALSE(url->submodules);
  CHECK(parse_repository_url("https://git.example/org/repo?timeout=never")->timeout == std::chrono::seconds(27));
}

TEST_CASE("resources of a repository are rendered, once fetched for all that name it") {
  Shelf shelf;
  const auto rendering = build(
      "resources: ['https://git.example/org/repo//base?ref=v1', own.yaml, 'https://files.example/c.yaml']\n"
      "namePrefix: x-\nbuildMetadata: [originAnnotations]\n",
      {.fetcher = &shelf});
  REQUIRE_MESSAGE(rendering.ok(), rendering.error().message);
  REQUIRE(rendering->objects.size() == 4);
  const Value& first = rendering->objects[0];
  CHECK(first["metadata"]["name"].as_string() == "x-a");
  CHECK(first["metadata"]["annotations"]["config.kubernetes.io/origin"].as_string() ==
        "path: base/a.yaml\nrepo: https://git.example/org/repo\nref: v1\n");
  CHECK(shelf.fetched == 1);
  bool listed = false;
  for (const Input& input : rendering->inputs) listed = listed || input.path == "https://files.example/c.yaml";
  CHECK(listed);
}

TEST_CASE("what is fetched stays in its repository, and nothing is fetched unasked") {
  Shelf shelf;
  Options options{.fetcher = &shelf};
  options.outside_root_allowed = true;
  for (const char* folder : {"out", "read"}) {
    const auto rendering = build("resources: ['https://git.example/org/repo//" + std::string(folder) + "']\n", options);
    REQUIRE_FALSE(rendering.ok());
    CHECK(rendering.error().code == ErrorCode::forbidden);
  }
  const auto missing = build("resources: ['https://git.example/org/repo//nowhere']\n", options);
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error().message.find("\"nowhere\" is no folder of the repository") != std::string::npos);
  const auto closed = build("resources: ['https://git.example/org/repo//base']\n", {});
  REQUIRE_FALSE(closed.ok());
  CHECK(closed.error().message.find("remote resources are not fetched here") != std::string::npos);
}

TEST_CASE("a function changes, adds and removes; without a runner it is refused") {
  const std::string text =
      "resources: [own.yaml, ../own]\ntransformers:\n- |-\n  apiVersion: example.com/v1\n  kind: Fn\n  metadata:\n    "
      "name: f\n"
      "    annotations:\n      config.kubernetes.io/function: |\n        exec:\n          path: ./f.sh\n";
  Doubler doubler;
  const auto rendering = build(text, {.functions = &doubler});
  REQUIRE_MESSAGE(rendering.ok(), rendering.error().message);
  CHECK(doubler.program == "./f.sh");
  CHECK(doubler.input.find("kind: ResourceList") != std::string::npos);
  REQUIRE(rendering->objects.size() == 2);
  CHECK(rendering->objects[0]["metadata"]["name"].as_string() == "new");
  CHECK(rendering->objects[1]["metadata"]["labels"]["seen"].as_string() == "yes");
  const auto refused = build(text, {});
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().message.find("external plugins disabled") != std::string::npos);
}

TEST_CASE("a label put into several places at once stays one that a patch changes everywhere") {
  const auto rendering = kustomize(
      MemorySource(
          {{"base/kustomization.yaml", "resources: [d.yaml]\ncommonLabels: {tier: web}\n"},
           {"base/d.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  selector: {matchLabels: {a: b}}\n"
            "  template:\n    metadata: {labels: {a: b}}\n"},
           {"top/kustomization.yaml",
            "resources: [../base]\npatches:\n- patch: |-\n    apiVersion: apps/v1\n    kind: Deployment\n"
            "    metadata: {name: d}\n    spec: {template: {metadata: {labels: {tier: other}}}}\n"}}),
      "top", {});
  REQUIRE_MESSAGE(rendering.ok(), rendering.error().message);
  CHECK(rendering->objects[0].get({"spec", "selector", "matchLabels", "tier"}).as_string() == "other");
}

TEST_CASE("no built-in field specification says what another says") {
  using kustomize_impl::TransformerConfig;
  const TransformerConfig& built_in = *TransformerConfig::built_in();
  TransformerConfig merged;
  REQUIRE(merged.merge(built_in).ok());
  for (const auto member : {&TransformerConfig::name_prefix, &TransformerConfig::name_suffix, &TransformerConfig::ns,
                            &TransformerConfig::common_labels, &TransformerConfig::template_labels,
                            &TransformerConfig::labels, &TransformerConfig::common_annotations,
                            &TransformerConfig::variables, &TransformerConfig::images, &TransformerConfig::replicas})
    CHECK(merged.*member == built_in.*member);
  REQUIRE(merged.references.size() == built_in.references.size());
  for (std::size_t i = 0; i < merged.references.size(); ++i)
    CHECK(merged.references[i].referrers == built_in.references[i].referrers);
}

TEST_CASE("an edit keeps the order of fields and the comments where they are") {
  auto file = EditableKustomization::parse(
      "# ours\nnamespace: shop # fixed\n\nresources:\n# first\n- a.yaml # why\n- b.yaml\n# the end\n",
      "kustomization.yaml");
  REQUIRE(file.ok());
  EditableKustomization edited = std::move(file).value();
  edited.fields.edit("resources").push_back("c.yaml");
  edited.fields.set("namespace", "other");
  edited.fields.set("namePrefix", "p-");
  CHECK(edited.text() ==
        "# ours\nnamespace: other # fixed\n\nresources:\n# first\n- a.yaml # why\n- b.yaml\n- c.yaml\n# the end\n"
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamePrefix: p-\n");
}

TEST_CASE("a file that is no kustomization is not edited") {
  for (const char* text :
       {"unknown: 1\n", "resources: a.yaml\n", "- a\n", "images:\n- name: a\n  newTag: 1\n", "a: [\n"}) {
    CAPTURE(text);
    CHECK_FALSE(EditableKustomization::parse(text, "kustomization.yaml").ok());
  }
}

}  // namespace caisson::render
