// SPDX-License-Identifier: Apache-2.0
// `caisson app adopt` and `caisson app rollback --git`: what changes the repository instead of the cluster. Both work
// in a clone of their own, with this user's git configuration and credentials, and push one commit.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "cluster/schema/resource.h"
#include "cluster/schema/schema.h"
#include "core/base/file.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "core/document/yaml.h"
#include "delivery/gitops/adopt.h"
#include "delivery/gitops/application.h"
#include "delivery/gitops/compare.h"
#include "delivery/gitops/editors.h"
#include "delivery/render/kustomize/editable.h"
#include "delivery/render/render.h"
#include "main/cli/app_commands.h"

namespace caisson::cli {
namespace {

constexpr Duration kGitTimeMax = std::chrono::minutes(5);

// The Application's repository, checked out in a directory that goes in the end.
class Checkout {
 public:
  static Result<Checkout> clone(const gitops::Source& source) {
    Checkout out(TRY(TempDir::make("caisson-app")));
    TRY(git_in("", {"clone", "--quiet", source.repo_url, out.root()}));
    const bool head = source.target_revision.empty() || source.target_revision == "HEAD";
    if (!head) TRY(out.git({"checkout", "--quiet", source.target_revision}));
    const auto branch = out.git({"symbolic-ref", "--short", "HEAD"});
    if (!branch.ok())
      return Error{ErrorCode::invalid, "the Application follows " + source.target_revision +
                                           ", which is no branch: there is nothing to push to"};
    out.branch_ = std::string(trim(*branch));
    return out;
  }

  std::string root() const { return directory_.path() + "/clone"; }
  std::string file(const std::string& path) const { return root() + "/" + path; }
  Result<std::string> git(std::vector<std::string> args) const { return git_in(root(), std::move(args)); }

  // What changed becomes a commit, pushed; with `dry_run` it is only printed. Gives the commit, empty when nothing
  // changed.
  Result<std::string> publish(const std::string& message, bool dry_run) const {
    TRY(git({"add", "--all"}));
    const std::string difference = TRY(git({"diff", "--cached", "--stat", "--patch"}));
    if (difference.empty()) return std::string();
    if (dry_run) {
      std::printf("%s", difference.c_str());
      return std::string();
    }
    TRY(git({"commit", "--quiet", "--message", message}));
    TRY(git({"push", "--quiet", "origin", "HEAD:" + branch_}));
    return std::string(trim(TRY(git({"rev-parse", "HEAD"}))));
  }

 private:
  explicit Checkout(TempDir directory) : directory_(std::move(directory)) {}
  static Result<std::string> git_in(const std::string& directory, std::vector<std::string> args) {
    Command command;
    args.insert(args.begin(), "git");
    command.args = std::move(args);
    command.directory = directory;
    command.time_max = kGitTimeMax;
    command.own_session = false;  // git may ask for a password
    for (const char* name :
         {"SSH_AUTH_SOCK", "SSH_AGENT_PID", "GIT_SSH_COMMAND", "GIT_ASKPASS", "XDG_CONFIG_HOME", "KUBECONFIG",
          "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "DISPLAY", "TERM"}) {
      if (const char* value = std::getenv(name)) command.env.emplace_back(name, value);
    }
    return run_checked(command);
  }

  TempDir directory_;
  std::string branch_;
};

Result<gitops::Application> parsed(const AppSession& app, const kube::Object& object) {
  const auto map = app.session.client->get(schema::kConfigMaps, {app.ns, "argocd-cm"});
  if (!map.ok() && map.error().code != ErrorCode::not_found) return map.error();
  auto settings = std::make_shared<const gitops::Settings>(gitops::parse_settings(map.ok() ? (*map)["data"] : Value()));
  gitops::Application out = TRY(gitops::parse_application(object, app.ns, std::move(settings)));
  if (!out.source.more.empty() || !out.source.chart.empty())
    return Error{ErrorCode::invalid,
                 object.name() + " has several sources, or a chart of a repository: change them by hand"};
  return out;
}

// --- adopt

struct Adoption {
  gitops::ResourceId id;
  Value in_git, wanted;  // as rendered, and as it is to be
  std::vector<gitops::Edit> edits;
};

class Adopter {
 public:
  Adopter(const AppSession& app, const AppArguments& arguments, gitops::Application application,
          const schema::Schema& schema)
      : app_(app), arguments_(arguments), application_(std::move(application)), schema_(schema) {}

  Result<int> run(const Value& status) {
    const Checkout checkout = TRY(Checkout::clone(application_.source));
    const auto files = render::disk_source(checkout.root());
    const std::string path = application_.source.path.empty() ? "." : application_.source.path;
    const render::Kind kind = TRY(render::detect(*files, path));
    if (kind == render::Kind::helm || !application_.source.helm.empty())
      return Error{ErrorCode::invalid, "a chart's objects come from templates: change its values by hand"};
    const bool kustomize = kind == render::Kind::kustomize;
    if (kustomize && !application_.source.kustomize.empty())
      return Error{ErrorCode::invalid, "spec.source.kustomize changes what the folder says: take it out first"};
    const render::Rendering rendering = kustomize ? TRY(render::kustomize(*files, path, {}))
                                                  : TRY(render::directory(*files, path, directory_options()));
    for (const Value& object : rendering.objects) TRY(look(object, status));
    if (found_.empty()) {
      std::printf("nothing to adopt: no chosen object says otherwise than the repository\n");
      return 0;
    }
    std::string message = "Adopt live changes of " + application_.key.name + "\n";
    for (const Adoption& one : found_) {
      message += "\n" + one.id.str() + ": " + gitops::describe(one.edits);
      TRY(kustomize ? add_patch(checkout, path, one) : edit_file(checkout, rendering, one));
    }
    const std::string commit = TRY(checkout.publish(message, arguments_.dry_run));
    if (!commit.empty()) std::printf("%s\n%s\n", commit.c_str(), message.c_str());
    return 0;
  }

 private:
  render::DirectoryOptions directory_options() const {
    render::DirectoryOptions out;
    out.recurse = application_.source.directory["recurse"].as_bool();
    out.include = application_.source.directory["include"].str();
    out.exclude = application_.source.directory["exclude"].str();
    return out;
  }

  // GROUP:KIND:NAME of --resource; none: all.
  bool chosen(const gitops::ResourceId& id) const {
    const auto& list = arguments_.resources;
    return list.empty() || std::find(list.begin(), list.end(), id.group + ":" + id.kind + ":" + id.name) != list.end();
  }

  // Compares the rendered object with what is live, as the controller does.
  Result<void> look(const Value& object, const Value& status) {
    const auto resource = app_.session.client->resource_for(object["apiVersion"].str(), object["kind"].str());
    if (!resource.ok()) return resource.error().code == ErrorCode::not_found ? Result<void>{} : resource.error();
    const Value desired = TRY(gitops::prepare(application_, object, resource->namespaced));
    const gitops::ResourceId id = gitops::id_of(desired);
    const auto entries = status["resources"].items();
    const bool differs = std::any_of(entries.begin(), entries.end(), [&](const Value& one) {
      return one["kind"].as_string() == id.kind && one["group"].as_string() == id.group &&
             one["name"].as_string() == id.name && one["namespace"].as_string() == id.ns &&
             one["status"].as_string() == "OutOfSync";
    });
    if (!differs || !chosen(id)) return {};
    const auto live = app_.session.client->get(*resource, {id.ns, id.name});
    if (!live.ok())
      return live.error().code == ErrorCode::not_found ? Result<void>{} : live.error();  // a deletion is not adopted
    const gitops::Drift drift = gitops::compare(desired, live->value(), schema_.find_object(desired).get(),
                                                application_.ignore, application_.settings->ignore);
    if (!drift.error.empty()) return Error{ErrorCode::invalid, id.str() + ": " + drift.error};
    Value wanted = gitops::adopted(object, live->value(), drift.paths);
    if (wanted == object) return {};
    found_.push_back({id, object, std::move(wanted), gitops::editors_of(desired, live->value(), drift.paths)});
    return {};
  }

  Result<void> edit_file(const Checkout& checkout, const render::Rendering& rendering, const Adoption& one) const {
    for (const render::Input& input : rendering.inputs) {
      const std::string text = TRY(read_file(checkout.file(input.path)));
      const std::vector<Value> documents = TRY(yaml::read_all(text, {.name = input.path}));
      std::size_t index = 0;
      for (const Value& document : documents) {
        if (document.is_null()) continue;
        if (document == one.in_git) {
          bool rewritten = false;
          const std::string next = TRY(gitops::edit_document(text, index, one.wanted, rewritten).in(input.path));
          if (rewritten)
            std::fprintf(stderr, "%s: the document was written anew; comments in it are lost\n", input.path.c_str());
          return write_file(checkout.file(input.path), next);
        }
        ++index;
      }
    }
    return Error{ErrorCode::not_found, one.id.str() + " is in no document of its own: change it by hand"};
  }

  // What an overlay says about an object of its bases stands in a patch.
  static Result<void> add_patch(const Checkout& checkout, const std::string& path, const Adoption& one) {
    std::string file;
    for (const char* name : {"kustomization.yaml", "kustomization.yml", "Kustomization"}) {
      if (exists(checkout.file(path + "/" + name))) file = path + "/" + name;
    }
    if (file.empty()) return Error{ErrorCode::not_found, "no kustomization file in " + path};
    const std::string patch = "adopted-" + to_lower(one.id.kind) + "-" + one.id.name + ".yaml";
    if (exists(checkout.file(path + "/" + patch)))
      return Error{ErrorCode::already_exists,
                   patch + " is there from an earlier adoption: fold it into the overlay first"};
    TRY(write_file(checkout.file(path + "/" + patch), yaml::write(gitops::adoption_patch(one.in_git, one.wanted))));
    const std::string text = TRY(read_file(checkout.file(file)));
    auto kustomization = TRY(render::EditableKustomization::parse(text, file));
    Value& patches = kustomization.fields.edit("patches");
    if (!patches.is_list()) patches = Value::list();
    patches.push_back(Value{{"path", patch}});
    return write_file(checkout.file(file), kustomization.text());
  }

  const AppSession& app_;
  const AppArguments& arguments_;
  const gitops::Application application_;
  const schema::Schema& schema_;
  std::vector<Adoption> found_;
};

// The folder, and what else was read for it.
Result<std::set<std::string>> inputs_at(const Checkout& checkout, const std::string& path) {
  std::set<std::string> out{path};
  const auto files = render::disk_source(checkout.root());
  if (TRY(render::detect(*files, path)) != render::Kind::kustomize) return out;
  const render::Rendering rendering = TRY(render::kustomize(*files, path, {}));
  for (const render::Input& input : rendering.inputs) out.insert(input.path);
  return out;
}

}  // namespace

Result<int> app_adopt(const AppSession& app, const AppArguments& arguments) {
  const kube::Object object = TRY(app.get(arguments.words[0]));
  const schema::Schema schema = TRY(schema::Schema::built_in());
  return Adopter(app, arguments, TRY(parsed(app, object)), schema).run(object.status());
}

// A commit that brings back what the Application was rendered from at `revision`; later ones stay in the history.
Result<int> rollback_in_git(const AppSession& app, const AppArguments& arguments, const kube::Object& object,
                            const std::string& commits) {
  const std::string revision = commits.substr(0, commits.find(','));  // of the first source
  const gitops::Application application = TRY(parsed(app, object));
  const Checkout checkout = TRY(Checkout::clone(application.source));
  const std::string path = application.source.path.empty() ? "." : application.source.path;
  std::set<std::string> inputs = TRY(inputs_at(checkout, path));
  const std::string branch = std::string(trim(TRY(checkout.git({"rev-parse", "--abbrev-ref", "HEAD"}))));
  TRY(checkout.git({"checkout", "--quiet", "--detach", revision}));
  inputs.merge(TRY(inputs_at(checkout, path)));
  TRY(checkout.git({"checkout", "--quiet", branch}));
  for (const std::string& one : inputs) {
    TRY(checkout.git({"rm", "-r", "--quiet", "--ignore-unmatch", "--", one}));
    const bool there = TRY(checkout.git({"ls-tree", "--name-only", revision, "--", one == "." ? "." : one})).size() > 0;
    if (there) TRY(checkout.git({"checkout", revision, "--", one}));
  }
  const std::string message = "Roll back " + object.name() + " to " + revision.substr(0, 12);
  const std::string commit = TRY(checkout.publish(message, arguments.dry_run));
  if (commit.empty() && !arguments.dry_run)
    std::printf("nothing to roll back: the repository says what it said at %s\n", revision.substr(0, 12).c_str());
  if (!commit.empty()) std::printf("%s %s\n", commit.c_str(), message.c_str());
  return 0;
}

}  // namespace caisson::cli
