// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/generators.h"

#include <algorithm>
#include <map>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "delivery/render/render.h"

namespace caisson::gitops {
namespace {

constexpr int kDepthMax = 4;  // matrix of merge of …

Error invalid(const std::string& what) {
  return {ErrorCode::invalid, what};
}

bool expression_holds(const Value& expression, const Value& labels) {
  const std::string_view op = expression["operator"].as_string();
  const Value* value = labels.find(expression["key"].as_string());
  const bool listed = value && std::any_of(expression["values"].items().begin(), expression["values"].items().end(),
                                           [&](const Value& one) { return one.scalar_text() == value->scalar_text(); });
  if (op == "In") return listed;
  if (op == "NotIn") return !listed;
  if (op == "Exists") return value != nullptr;
  if (op == "DoesNotExist") return value == nullptr;
  return false;
}

bool selects(const Value& selector, const Value& labels) {
  for (const auto& [key, wanted] : selector["matchLabels"].entries()) {
    const Value* value = labels.find(key);
    if (!value || value->scalar_text() != wanted.scalar_text()) return false;
  }
  const auto expressions = selector["matchExpressions"].items();
  return std::all_of(expressions.begin(), expressions.end(),
                     [&](const Value& one) { return expression_holds(one, labels); });
}

// a/b/c as parameters: path, path.basename, path[0] … or, with Go templates, .path.path, .path.segments.
Value path_parameters(const std::string& path, const std::string& file, const std::string& prefix, bool go) {
  const auto parts = split(path, '/');
  if (go) {
    Value segments = Value::list();
    for (std::string_view part : parts) segments.push_back(Value(part));
    Value out{{"path", path},
              {"basename", path_base(path)},
              {"basenameNormalized", normalized(path_base(path))},
              {"segments", std::move(segments)}};
    if (!file.empty()) {
      out.set("filename", file);
      out.set("filenameNormalized", normalized(file));
    }
    return prefix.empty() ? Value{{"path", out}} : Value{{prefix, Value{{"path", out}}}};
  }
  const std::string name = prefix.empty() ? "path" : prefix + ".path";
  Value out{{name, path}};
  out.set(name + ".basename", path_base(path));
  out.set(name + ".basenameNormalized", normalized(path_base(path)));
  if (!file.empty()) {
    out.set(name + ".filename", file);
    out.set(name + ".filenameNormalized", normalized(file));
  }
  for (std::size_t i = 0; i < parts.size(); ++i) out.set(name + "[" + std::to_string(i) + "]", parts[i]);
  return out;
}

void add_all(Value& into, const Value& from) {
  for (const auto& [key, value] : from.entries()) {
    if (into[key].is_map() && value.is_map())
      add_all(into.edit(key), value);
    else
      into.set(key, value);
  }
}

class Generation {
 public:
  Generation(const TemplateStyle& style, const GeneratorWorld& world) : style_(style), world_(world) {}

  // `outer` are the parameters of a matrix' first generator, with which the second is filled.
  Result<std::vector<Generated>> run(Value generator, const Value& outer, int depth) {
    if (depth > kDepthMax) return invalid("generators nest more than " + std::to_string(kDepthMax) + " deep");
    if (!outer.is_null()) generator = TRY(fill_but_values(generator, outer));
    std::vector<Generated> out;
    if (generator["list"].is_map())
      out = TRY(from_list(generator["list"]));
    else if (generator.contains("clusters"))
      out = TRY(from_clusters(generator["clusters"]));
    else if (generator["git"].is_map())
      out = TRY(from_git(generator["git"]));
    else if (generator["scmProvider"].is_map())
      out = TRY(from_asked(generator["scmProvider"], world_.scm));
    else if (generator["pullRequest"].is_map())
      out = TRY(from_pull_requests(generator["pullRequest"]));
    else if (generator["plugin"].is_map())
      out = TRY(from_plugin(generator["plugin"]));
    else if (generator["clusterDecisionResource"].is_map())
      out = TRY(from_decisions(generator["clusterDecisionResource"]));
    else if (generator["matrix"].is_map())
      out = TRY(from_matrix(generator["matrix"], depth));
    else if (generator["merge"].is_map())
      out = TRY(from_merge(generator["merge"], depth));
    else
      return invalid(
          "spec.generators: " + unknown(generator) +
          " is not supported; list, clusters, git, scmProvider, pullRequest, plugin, clusterDecisionResource, "
          "matrix and merge are");
    const Value& selector = generator["selector"];
    if (selector.is_map()) {
      std::erase_if(out, [&](const Generated& one) {
        return !selects(selector, style_.go ? flattened(one.parameters) : one.parameters);
      });
    }
    if (out.size() > kGeneratedMax)
      return Error{ErrorCode::too_large, "the generators give more than 5000 Applications"};
    return out;
  }

 private:
  static std::string unknown(const Value& generator) {
    for (const auto& entry : generator.entries()) {
      if (entry.key != "selector") return "the generator \"" + std::string(entry.key) + "\"";
    }
    return "an empty generator";
  }

  // `values` and `template` are filled later, with the generator's own parameters.
  Result<Value> fill_but_values(const Value& generator, const Value& outer) {
    Value out = Value::map();
    for (const auto& [key, value] : generator.entries()) {
      Value own = value;
      const Value own_template = value["template"];
      if (own.is_map()) own.erase("template");
      own = TRY(fill(own, outer, style_));
      if (!own_template.is_null()) own.set("template", own_template);
      out.set(key, own);
    }
    return out;
  }

  Result<void> add_values(const Value& generator, Value& parameters) {
    for (const auto& [key, value] : generator["values"].entries()) {
      const std::string text = TRY(fill_text(value.scalar_text(), parameters, style_));
      if (style_.go)
        parameters.edit({"values"}).set(key, text);
      else
        parameters.set("values." + std::string(key), text);
    }
    return {};
  }

  Result<std::vector<Generated>> from_list(const Value& list) {
    std::vector<Value> elements(list["elements"].items().begin(), list["elements"].items().end());
    if (const std::string_view text = list["elementsYaml"].as_string(); !text.empty()) {
      const Value more = TRY(yaml::read(text, {.name = "list.elementsYaml"}));
      elements.insert(elements.end(), more.items().begin(), more.items().end());
    }
    std::vector<Generated> out;
    for (const Value& element : elements) {
      if (!element.is_map()) return invalid("list.elements: an element is no map");
      out.push_back({style_.go ? element : flattened(element), list["template"]});
    }
    return out;
  }

  Result<std::vector<Generated>> from_clusters(const Value& clusters) {
    std::vector<Generated> out;
    bool local_listed = false;
    for (const Value& secret : TRY(world_.clusters())) {
      const std::string server = TRY(unbase64(secret["data"]["server"].as_string()));
      const std::string name = TRY(unbase64(secret["data"]["name"].as_string()));
      local_listed = local_listed || server == kInCluster;
      if (clusters["selector"].is_map() && !selects(clusters["selector"], secret["metadata"]["labels"])) continue;
      Value parameters{{"name", name}, {"nameNormalized", normalized(name)}, {"server", server}};
      const auto project = unbase64(secret["data"]["project"].as_string());
      parameters.set("project", project.ok() ? *project : "");
      Value metadata{{"labels", secret["metadata"]["labels"]}, {"annotations", secret["metadata"]["annotations"]}};
      if (style_.go)
        parameters.set("metadata", std::move(metadata));
      else
        add_all(parameters, flattened(Value{{"metadata", std::move(metadata)}}));
      TRY(add_values(clusters, parameters));
      out.push_back({std::move(parameters), clusters["template"]});
    }
    // The cluster that this runs in has no Secret; a selector leaves it out.
    const bool selected = clusters["selector"].is_map() && !clusters["selector"].empty();
    if (!local_listed && !selected) {
      Value parameters{
          {"name", "in-cluster"}, {"nameNormalized", "in-cluster"}, {"server", kInCluster}, {"project", ""}};
      TRY(add_values(clusters, parameters));
      out.push_back({std::move(parameters), clusters["template"]});
    }
    return out;
  }

  Result<std::vector<Generated>> from_git(const Value& git) {
    const std::string url = git["repoURL"].str();
    const std::string revision = git["revision"].as_string().empty() ? "HEAD" : git["revision"].str();
    if (url.empty()) return invalid("git.repoURL: required");
    if (!git["directories"].empty()) return from_directories(git, url, revision);
    if (!git["files"].empty()) return from_files(git, url, revision);
    return invalid("git: directories or files are required");
  }

  Result<std::vector<Generated>> from_directories(const Value& git, const std::string& url,
                                                  const std::string& revision) {
    std::vector<Generated> out;
    for (const std::string& path : TRY(world_.directories(url, revision))) {
      bool in = false, left_out = false;
      for (const Value& one : git["directories"].items()) {
        if (!render::glob_matches(one["path"].as_string(), path)) continue;
        (one["exclude"].as_bool() ? left_out : in) = true;
      }
      if (!in || left_out) continue;
      Value parameters = path_parameters(path, "", git["pathParamPrefix"].str(), style_.go);
      TRY(add_values(git, parameters));
      out.push_back({std::move(parameters), git["template"]});
    }
    return out;
  }

  Result<std::vector<Generated>> from_files(const Value& git, const std::string& url, const std::string& revision) {
    std::vector<std::string> globs, excluded;
    for (const Value& one : git["files"].items())
      (one["exclude"].as_bool() ? excluded : globs).push_back(one["path"].str());
    std::vector<Generated> out;
    for (const GeneratedFile& file : TRY(world_.files(url, revision, globs))) {
      if (std::any_of(excluded.begin(), excluded.end(),
                      [&](const std::string& glob) { return render::glob_matches(glob, file.path); }))
        continue;
      const Value content = TRY(yaml::read(file.text, {.name = file.path}));
      std::vector<Value> sets{content};
      if (content.is_list()) sets.assign(content.items().begin(), content.items().end());
      for (const Value& one : sets) {
        if (!one.is_map()) return invalid(file.path + ": an object or a list of objects is wanted");
        Value parameters = style_.go ? one : flattened(one);
        const std::string directory = path_dir(file.path) == "." ? "" : path_dir(file.path);
        add_all(parameters, path_parameters(directory, path_base(file.path), git["pathParamPrefix"].str(), style_.go));
        TRY(add_values(git, parameters));
        out.push_back({std::move(parameters), git["template"]});
      }
    }
    return out;
  }

  using Ask = std::function<Result<std::vector<Value>>(const Value&)>;
  Result<std::vector<Generated>> from_asked(const Value& generator, const Ask& ask) {
    std::vector<Generated> out;
    for (Value& parameters : TRY(ask(generator))) {
      TRY(add_values(generator, parameters));
      out.push_back({std::move(parameters), generator["template"]});
    }
    return out;
  }

  Result<std::vector<Generated>> from_pull_requests(const Value& provider) {
    return from_asked(provider, [&](const Value& asked) -> Result<std::vector<Value>> {
      auto sets = TRY(world_.pull_requests(asked));
      for (Value& one : sets) {
        if (!style_.go) one.erase("labels");  // a list has no flat form
      }
      return sets;
    });
  }

  // The parameters of its input are there under generator.input.parameters.
  Result<std::vector<Generated>> from_plugin(const Value& plugin) {
    return from_asked(plugin, [&](const Value& asked) -> Result<std::vector<Value>> {
      auto sets = TRY(world_.plugin(asked));
      const Value input{{"generator", Value{{"input", Value{{"parameters", plugin["input"]["parameters"]}}}}}};
      for (Value& one : sets) {
        if (!one.is_map()) return invalid("plugin: a parameter set is no map");
        if (!style_.go) one = flattened(one);
        add_all(one, style_.go ? input : flattened(input));
      }
      return sets;
    });
  }

  // A decision names a cluster; its other members are parameters, too.
  Result<std::vector<Generated>> from_decisions(const Value& config) {
    return from_asked(config, [&](const Value& asked) -> Result<std::vector<Value>> {
      std::map<std::string, std::string> servers;
      for (const Value& secret : TRY(world_.clusters())) {
        const std::string name = TRY(unbase64(secret["data"]["name"].as_string()));
        servers[name] = TRY(unbase64(secret["data"]["server"].as_string()));
      }
      servers.emplace("in-cluster", std::string(kInCluster));
      std::vector<Value> out;
      for (const Value& one : TRY(world_.decisions(asked))) {
        const auto found = servers.find(one["cluster"].str());
        if (found == servers.end()) continue;  // decided for a cluster that is not registered here
        Value parameters{
            {"name", found->first}, {"nameNormalized", normalized(found->first)}, {"server", found->second}};
        for (const auto& [key, value] : one["decision"].entries()) parameters.set(key, value.scalar_text());
        out.push_back(std::move(parameters));
      }
      return out;
    });
  }

  Result<std::vector<Generated>> from_matrix(const Value& matrix, int depth) {
    if (matrix["generators"].size() != 2)
      return invalid("matrix: found " + std::to_string(matrix["generators"].size()) +
                     " generators, Matrix supports exactly two");
    std::vector<Generated> out;
    for (const Generated& first : TRY(run(matrix["generators"][0], Value(), depth + 1))) {
      for (const Generated& second : TRY(run(matrix["generators"][1], first.parameters, depth + 1))) {
        Value parameters = first.parameters;
        add_all(parameters, second.parameters);
        out.push_back({std::move(parameters), matrix["template"]});
        if (out.size() > kGeneratedMax) return out;
      }
    }
    return out;
  }

  Result<std::vector<Generated>> from_merge(const Value& merge, int depth) {
    if (merge["generators"].size() < 2) return invalid("found less than two generators, Merge requires two or more");
    if (merge["mergeKeys"].empty()) return invalid("merge: mergeKeys are required");
    const auto key_of = [&](const Value& parameters) {
      const Value flat = style_.go ? flattened(parameters) : parameters;
      Value key = Value::list();
      for (const Value& name : merge["mergeKeys"].items()) key.push_back(flat[name.as_string()]);
      return json::write(key);
    };
    std::vector<Generated> base = TRY(run(merge["generators"][0], Value(), depth + 1));
    std::map<std::string, std::size_t> places;
    for (std::size_t i = 0; i < base.size(); ++i) {
      base[i].own_template = merge["template"];
      if (!places.emplace(key_of(base[i].parameters), i).second)
        return invalid(
            "merge: the parameters from a generator were not unique by the given mergeKeys, Merge requires all param "
            "sets to be unique");
    }
    for (std::size_t i = 1; i < merge["generators"].size(); ++i) {
      for (const Generated& over : TRY(run(merge["generators"][i], Value(), depth + 1))) {
        const auto found = places.find(key_of(over.parameters));
        if (found != places.end()) add_all(base[found->second].parameters, over.parameters);
      }
    }
    return base;
  }

  static constexpr std::string_view kInCluster = "https://kubernetes.default.svc";
  const TemplateStyle& style_;
  const GeneratorWorld& world_;
};

}  // namespace

Result<std::vector<Generated>> generate(const Value& spec, const TemplateStyle& style, const GeneratorWorld& world) {
  std::vector<Generated> out;
  for (const Value& generator : spec["generators"].items()) {
    auto some = TRY(Generation(style, world).run(generator, Value(), 0));
    out.insert(out.end(), some.begin(), some.end());
    if (out.size() > kGeneratedMax)
      return Error{ErrorCode::too_large, "the generators give more than 5000 Applications"};
  }
  return out;
}

}  // namespace caisson::gitops
