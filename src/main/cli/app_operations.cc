// SPDX-License-Identifier: Apache-2.0
// `caisson app`: sync, diff, preview, rollback, terminate, approve, actions.
#include <algorithm>
#include <cstdio>

#include "cluster/schema/resource.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "delivery/gitops/actions.h"
#include "delivery/gitops/status.h"
#include "main/cli/app_commands.h"

namespace caisson::cli {
namespace {

constexpr int kPreviewSecondsMax = 120;  // an Application that goes meanwhile never answers

// "apps:Deployment:web", ":ConfigMap:settings".
Result<Value> chosen(const std::vector<std::string>& resources) {
  Value out = Value::list();
  for (const std::string& text : resources) {
    const auto parts = split(text, ':');
    if (parts.size() != 3) return Error{ErrorCode::bad_request, "--resource is GROUP:KIND:NAME, not " + text};
    Value one{{"group", parts[0]}, {"kind", parts[1]}, {"name", parts[2]}};
    if (const std::size_t slash = parts[2].find('/'); slash != std::string_view::npos) {
      one.set("namespace", parts[2].substr(0, slash));
      one.set("name", parts[2].substr(slash + 1));
    }
    out.push_back(std::move(one));
  }
  return out;
}

bool carries(const Value& operation, const std::string& token) {
  const auto list = operation["info"].items();
  return std::any_of(list.begin(), list.end(), [&](const Value& one) { return one["value"].as_string() == token; });
}

void print_results(const Value& state) {
  for (const Value& one : state["syncResult"]["resources"].items()) {
    const std::string_view status = one["status"].as_string();
    const std::string message = one["message"].str();
    if (message == "unchanged") continue;
    const bool failed = status == "SyncFailed";
    const char* mark = failed                                          ? "!"
                       : status.starts_with("Prun")                    ? "-"
                       : message.find(" created") != std::string::npos ? "+"
                                                                       : "~";
    const std::string line = std::string(mark) + " " + one["kind"].str() + "/" + one["name"].str() + "  " + message;
    std::printf("%s\n", paint(line, failed || *mark == '-' ? kRed : *mark == '+' ? kGreen : kYellow).c_str());
  }
}

bool changes_anything(const Value& state) {
  const auto list = state["syncResult"]["resources"].items();
  return std::any_of(list.begin(), list.end(),
                     [](const Value& one) { return one["message"].as_string() != "unchanged"; });
}

Value dry_run_of(const std::string& revision) {
  Value sync{{"dryRun", true}, {"prune", true}};
  if (!revision.empty()) sync.set("revision", revision);
  return sync;
}

// An operation without the token by which its state is known.
Result<Value> operation_of(const Value& sync, const AppArguments& arguments) {
  Value info = Value::list();
  for (const std::string& text : arguments.info) {
    const std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos)
      return Error{ErrorCode::bad_request, "--info is NAME=VALUE, not " + text};
    info.push_back(Value{{"name", text.substr(0, equals)}, {"value", text.substr(equals + 1)}});
  }
  Value out{{"initiatedBy", Value{{"username", "caisson"}}}, {"info", std::move(info)}, {"sync", sync}};
  if (Value retry = TRY(retry_of(arguments, Value())); !retry.is_null()) out.set("retry", std::move(retry));
  return out;
}

bool request(kube::Object& one, const std::string& token, Value operation) {
  operation.edit("info").push_back(Value{{"name", "caisson.dev/request"}, {"value", token}});
  one.edit().set("operation", std::move(operation));
  return true;
}

// Writes `operation`; gives the token by which its state is known.
Result<std::string> begin_operation(const AppSession& app, const std::string& name, const Value& operation) {
  std::string token = random_uuid();
  TRY(app.change(name, [&](kube::Object& one) { return request(one, token, operation); }));
  return token;
}

// The same for one that was just read: it is read again only when somebody wrote it meanwhile.
Result<std::string> begin_operation(const AppSession& app, const kube::Object& known, const Value& operation) {
  std::string token = random_uuid();
  kube::Object one = known;
  request(one, token, operation);
  const auto written = app.session.client->update(one);
  if (written.ok()) return token;
  if (written.error().code != ErrorCode::conflict) return written.error();
  return begin_operation(app, known.name(), operation);
}

// What a revision would do to one Application.
struct Preview {
  std::string name, token;  // no token: it could not be asked
  std::string failure;
  Value state;  // of the dry run

  bool waits() const { return !token.empty() && state.is_null(); }
  bool good() const { return state["phase"].as_string() == "Succeeded"; }
};

// All dry runs side by side.
Result<std::vector<Preview>> preview_all(const AppSession& app, const AppArguments& arguments) {
  std::vector<Preview> all;
  for (const kube::Object& one : TRY(app.list())) {
    const Value& source = one.spec()["source"].is_map() ? one.spec()["source"] : one.spec()["sources"][0];
    if (!arguments.repo.empty() && source["repoURL"].as_string() != arguments.repo) continue;
    auto token = begin_operation(app, one, TRY(operation_of(dry_run_of(arguments.words[0]), arguments)));
    all.push_back({one.name(), token.ok() ? *token : "", token.ok() ? "" : token.error().message, {}});
  }
  const auto any_waits = [&] {
    return std::any_of(all.begin(), all.end(), [](const Preview& p) { return p.waits(); });
  };
  if (!any_waits()) return all;
  const int seconds = arguments.timeout_seconds > 0 ? arguments.timeout_seconds : kPreviewSecondsMax;
  TRY(app.follow("", seconds, [&](const kube::Object& one) {
    const auto known = std::find_if(all.begin(), all.end(), [&](const Preview& p) { return p.name == one.name(); });
    const Value& state = one.status()["operationState"];
    if (known == all.end() || !carries(state["operation"], known->token) || state["phase"].as_string() == "Running")
      return false;
    known->state = state;
    known->failure = known->good() ? "" : state["message"].str();
    return !any_waits();
  }));
  return all;
}

}  // namespace

Result<kube::Object> run_operation(const AppSession& app, const std::string& name, const Value& sync,
                                   const AppArguments& arguments, bool quiet) {
  const Value operation = TRY(operation_of(sync, arguments));
  const std::string token = TRY(begin_operation(app, name, operation));
  std::optional<kube::Object> last;
  if (arguments.async) return app.get(name);
  std::string told;
  TRY(app.follow(name, arguments.timeout_seconds, [&](const kube::Object& one) {
    const Value& state = one.status()["operationState"];
    if (!carries(state["operation"], token)) return false;
    const std::string message = state["message"].str();
    if (!quiet && message != told && !message.empty()) {
      std::printf("%s\n", paint(message, kDim).c_str());
      std::fflush(stdout);
      told = message;
    }
    if (state["phase"].as_string() == "Running") return false;
    last = one;
    return true;
  }));
  return *last;
}

// --revision of all, or --revisions of the sources that --source-positions or --source-names mean; of the others what
// the spec says.
Result<void> put_revisions(Value& sync, const Value& spec, const AppArguments& arguments) {
  if (!arguments.revision.empty()) sync.set("revision", arguments.revision);
  if (arguments.revisions.empty()) return {};
  const bool named = !arguments.source_names.empty();
  const auto& places = named ? arguments.source_names : arguments.source_positions;
  if (places.size() != arguments.revisions.size())
    return Error{ErrorCode::bad_request, "give a --source-positions or --source-names for each of --revisions"};
  Value all = Value::list();
  for (const Value& source : spec["sources"].items()) {
    const std::string target = source["targetRevision"].str();
    all.push_back(!target.empty() ? target : source["chart"].is_null() ? "HEAD" : "*");
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    AppArguments one;
    (named ? one.source_name : one.source_position) = places[i];
    const auto index = TRY(source_index(spec, one));
    if (!index) return Error{ErrorCode::bad_request, "a source's name or position is empty"};
    all.edit(*index) = Value(arguments.revisions[i]);
  }
  sync.set("revisions", std::move(all));
  return {};
}

Result<int> sync_one(const AppSession& app, const kube::Object& object, const AppArguments& arguments) {
  Value sync = Value::map();
  TRY(put_revisions(sync, object.spec(), arguments));
  if (arguments.prune) sync.set("prune", true);
  if (arguments.dry_run) sync.set("dryRun", true);
  if (const Value resources = TRY(chosen(arguments.resources)); !resources.empty()) sync.set("resources", resources);
  std::vector<std::string> options = arguments.sync_options;
  if (arguments.force) options.push_back("Force=true");
  if (arguments.replace) options.push_back("Replace=true");
  if (arguments.out_of_sync_only) options.push_back("ApplyOutOfSyncOnly=true");
  if (arguments.server_side) options.push_back("ServerSideApply=true");
  if (!options.empty()) sync.set("syncOptions", Value::list_of(options));
  if (!arguments.strategy.empty() && arguments.strategy != "apply" && arguments.strategy != "hook")
    return Error{ErrorCode::bad_request, "--strategy is apply or hook, not " + arguments.strategy};
  if (!arguments.strategy.empty()) sync.set("syncStrategy", Value{{arguments.strategy, Value::map()}});
  const kube::Object done = TRY(run_operation(app, object.name(), sync, arguments, false));
  if (arguments.async) return 0;
  const Value& state = done.status()["operationState"];
  print_results(state);
  std::printf("%s  %s\n", state["phase"].str().c_str(), state["message"].str().c_str());
  return state["phase"].as_string() == "Succeeded" ? 0 : 1;
}

// Each after the other, as argocd; the status is that of the first that failed.
Result<int> app_sync(const AppSession& app, const AppArguments& arguments) {
  const auto all = TRY(app.chosen(arguments));
  if (all.empty()) return Error{ErrorCode::bad_request, "app sync needs a name, -l SELECTOR or --project PROJECT"};
  int status = 0;
  for (const kube::Object& one : all) {
    if (all.size() > 1) std::printf("%s\n", paint(one.name(), kBold).c_str());
    const int of_this = TRY(sync_one(app, one, arguments));
    if (status == 0) status = of_this;
  }
  return status;
}

Result<int> app_diff(const AppSession& app, const AppArguments& arguments) {
  if (arguments.refresh || arguments.hard) TRY(app.refresh(arguments.words[0], arguments.hard));
  Value sync = dry_run_of("");
  const kube::Object before = TRY(app.get(arguments.words[0]));
  TRY(put_revisions(sync, before.spec(), arguments));
  const kube::Object done = TRY(run_operation(app, arguments.words[0], sync, arguments, true));
  const Value& state = done.status()["operationState"];
  print_results(state);
  if (state["phase"].as_string() != "Succeeded") return Error{ErrorCode::invalid, state["message"].str()};
  return changes_anything(state) && arguments.exit_code ? 1 : 0;  // as diff(1) and argocd
}

Result<int> app_preview(const AppSession& app, const AppArguments& arguments) {
  int touched = 0, broken = 0;
  for (const Preview& one : TRY(preview_all(app, arguments))) {
    if (one.good() && !changes_anything(one.state)) continue;
    std::printf("%s\n", paint(one.name, kBold).c_str());
    (one.good() ? touched : broken) += 1;
    if (one.good())
      print_results(one.state);
    else
      std::printf("! %s\n", one.failure.c_str());
  }
  std::printf("%d Applications would change, %d can't be rendered or synced\n", touched, broken);
  return broken > 0 ? 1 : 0;
}

Result<int> app_rollback(const AppSession& app, const AppArguments& arguments) {
  const kube::Object one = TRY(app.get(arguments.words[0]));
  const Value& automated = one.spec()["syncPolicy"]["automated"];
  if (automated.is_map() && automated["enabled"].as_bool(true) && !arguments.in_git)
    return Error{ErrorCode::invalid,
                 "rollback cannot be performed when automated sync is enabled; turn it off with: "
                 "caisson app set " +
                     one.name() + " --sync-policy none, or roll the repository back with --git"};
  const Value& history = one.status()["history"];
  const Value* entry = nullptr;
  if (arguments.words.size() > 1) {
    for (const Value& past : history.items()) {
      if (past["id"].scalar_text() == arguments.words[1]) entry = &past;
    }
  } else if (history.size() > 1) {
    entry = &history[history.size() - 2];
  }
  if (!entry) return Error{ErrorCode::not_found, "there is no such deployment in the history of " + one.name()};
  if (arguments.in_git) return rollback_in_git(app, arguments, one, gitops::commits_of(*entry));
  // As upstream: what was deployed then, applied without its hooks.
  Value sync{{"syncStrategy", Value{{"apply", Value::map()}}}};
  for (const std::string_view field : {"revision", "revisions", "source", "sources"})
    if (!(*entry)[field].is_null()) sync.set(field, (*entry)[field]);
  if (arguments.prune) sync.set("prune", true);
  if (arguments.dry_run) sync.set("dryRun", true);
  const kube::Object done = TRY(run_operation(app, one.name(), sync, arguments, false));
  print_results(done.status()["operationState"]);
  return done.status()["operationState"]["phase"].as_string() == "Succeeded" || arguments.async ? 0 : 1;
}

Result<int> app_terminate(const AppSession& app, const AppArguments& arguments) {
  bool running = false;
  TRY(app.change(arguments.words[0], [&](kube::Object& one) {
    running = one.status()["operationState"]["phase"].as_string() == "Running";
    if (running) one.edit({"status", "operationState"}).set("phase", "Terminating");
    return running;
  }));
  if (!running) return Error{ErrorCode::conflict, "no operation is in progress"};
  return 0;
}

Result<int> app_approve(const AppSession& app, const AppArguments& arguments) {
  const std::string& plan = arguments.words[0];
  const std::string call = "caisson app approve " + plan;
  const auto approve = [&](kube::Object& one) {
    one.set_annotation("caisson.dev/approved-plan", plan);
    return true;
  };
  for (const kube::Object& one : TRY(app.list())) {
    if (one.status()["operationState"]["message"].str().find(call) == std::string::npos) continue;
    TRY(app.change(one.name(), approve));
    std::printf("Application %s goes on\n", one.name().c_str());
    return 0;
  }
  const kube::Resource sets = TRY(find_resource(app.session, "applicationsets"));
  const kube::ObjectList found = TRY(app.session.client->list(sets, {.ns = app.ns}));
  for (const kube::Object& one : found.items) {
    for (const Value& condition : one.status()["conditions"].items()) {
      if (condition["message"].str().find(call) == std::string::npos) continue;
      TRY(kube::modify(*app.session.client, sets, one.key(), approve));
      std::printf("ApplicationSet %s goes on\n", one.name().c_str());
      return 0;
    }
  }
  return Error{ErrorCode::not_found, "nothing waits for the plan " + plan};
}

Result<int> app_actions(const AppSession& app, const AppArguments& arguments) {
  // "NAME list", or "list NAME" as argocd has it.
  std::vector<std::string> words = arguments.words;
  if (words[0] == "run" || words[0] == "list") std::swap(words[0], words[1]);
  const bool runs = words[1] == "run";
  if (!runs && words[1] != "list") return Error{ErrorCode::bad_request, "app actions list|run NAME [ACTION]"};
  if (runs && words.size() < 3) return Error{ErrorCode::bad_request, "app actions run NAME ACTION"};
  const kube::Object one = TRY(app.get(words[0]));
  const auto map = app.session.client->get(schema::kConfigMaps, {app.ns, "argocd-cm"});
  if (!map.ok() && map.error().code != ErrorCode::not_found) return map.error();
  const gitops::Settings settings = gitops::parse_settings(map.ok() ? (*map)["data"] : Value());
  Value parameters = Value::map();
  for (const std::string& text : arguments.parameters) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos) return Error{ErrorCode::bad_request, "--param is NAME=VALUE, not " + text};
    parameters.set(text.substr(0, equals), text.substr(equals + 1));
  }
  int done = 0;
  Value listed = Value::list();
  for (const Value& entry : one.status()["resources"].items()) {
    const auto fits = [](const std::string& want, const Value& have) {
      return want.empty() || want == have.as_string();
    };
    if (!fits(arguments.kind, entry["kind"]) || !fits(arguments.resource_name, entry["name"]) ||
        !fits(arguments.group, entry["group"]) || !fits(arguments.resource_ns, entry["namespace"]))
      continue;
    const std::string group = entry["group"].str();
    const kube::Resource resource = TRY(app.session.client->resource_for(
        (group.empty() ? "" : group + "/") + entry["version"].str(), entry["kind"].str()));
    const auto live = app.session.client->get(resource, {entry["namespace"].str(), entry["name"].str()});
    if (!live.ok()) continue;  // it is Missing, as status.resources says
    const std::string what = entry["kind"].str() + "/" + entry["name"].str();
    if (!runs) {
      for (const gitops::Action& action : gitops::actions_of(live->value(), settings))
        if (arguments.output == "json" || arguments.output == "yaml")
          listed.push_back(Value{{"group", entry["group"]},
                                 {"kind", entry["kind"]},
                                 {"name", entry["name"]},
                                 {"action", action.name},
                                 {"disabled", action.disabled}});
        else
          std::printf("%-40s %s%s\n", what.c_str(), action.name.c_str(), action.disabled ? " (disabled)" : "");
      continue;
    }
    const auto results = TRY(gitops::run_action(live->value(), settings, words[2], parameters, system_clock().now()));
    for (const gitops::ActionResult& result : results) {
      kube::WriteOptions options;
      options.field_manager = "argocd-actions";
      const kube::Object object(result.object);
      auto written = result.verb == gitops::ActionResult::Verb::create ? app.session.client->create(object, options)
                                                                       : app.session.client->update(object, options);
      if (!written.ok()) return std::move(written).error().in(words[2] + " " + what);
    }
    std::printf("%s: %s\n", what.c_str(), words[2].c_str());
    ++done;
  }
  if (!runs && !listed.empty()) print_value(listed, arguments.output);
  if (runs && done == 0) return Error{ErrorCode::not_found, "no resource of the Application fits"};
  return 0;
}

}  // namespace caisson::cli
