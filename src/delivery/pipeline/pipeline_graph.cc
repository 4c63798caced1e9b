// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/pipeline_graph.h"

#include <algorithm>

#include "core/base/text.h"
#include "delivery/pipeline/substitute.h"

namespace caisson::pipeline {
namespace {

Error invalid(std::string message) {
  return Error{ErrorCode::invalid, std::move(message)};
}

Result<void> check_task(const Value& task, const std::string& where) {
  static constexpr std::string_view kKnown[] = {"name",    "displayName", "description", "taskRef",     "taskSpec",
                                                "when",    "retries",     "runAfter",    "params",      "workspaces",
                                                "timeout", "onError",     "matrix",      "pipelineRef", "pipelineSpec"};
  if (task["name"].as_string().empty()) return invalid(where + ".name is missing");
  for (const auto& entry : task.entries()) {
    if (std::find(std::begin(kKnown), std::end(kKnown), entry.key) == std::end(kKnown))
      return invalid(where + "." + std::string(entry.key) + " is not supported");
  }
  int bodies = 0;
  for (const char* body : {"taskRef", "taskSpec", "pipelineRef", "pipelineSpec"}) bodies += !task[body].is_null();
  if (bodies != 1) return invalid(where + ": expected exactly one of taskRef, taskSpec, pipelineRef and pipelineSpec");
  for (const Value* reference : {&task["taskRef"], &task["taskSpec"]}) {
    const std::string_view api = (*reference)["apiVersion"].as_string();
    if (!api.empty() && !api.starts_with("tekton.dev/"))
      return invalid(where + ": custom tasks (" + std::string(api) + ") are not supported");
  }
  const std::string_view on_error = task["onError"].as_string();
  if (!on_error.empty() && on_error != "continue" && on_error != "stopAndFail")
    return invalid(where + ".onError must be continue or stopAndFail");
  return {};
}

class Graph {
 public:
  Result<std::vector<TaskNode>> build(const Value& spec) {
    TRY(add(spec["tasks"], "tasks", false));
    if (nodes_.empty()) return invalid("spec.tasks: a pipeline needs at least one task");
    TRY(add(spec["finally"], "finally", true));
    for (TaskNode& node : nodes_) TRY(connect(node));
    for (TaskNode& node : nodes_) TRY(visit(node));
    return std::move(ordered_);
  }

 private:
  Result<void> add(const Value& tasks, const std::string& list, bool final) {
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      const std::string where = list + "[" + std::to_string(i) + "]";
      TRY(check_task(tasks[i], where));
      const std::string name = tasks[i]["name"].str();
      if (find(name) != nullptr) return invalid(where + ".name: there are two tasks called " + name);
      if (final && !tasks[i]["runAfter"].empty())
        return invalid(where + ".runAfter: final tasks run at once, after all others");
      nodes_.push_back({name, tasks[i], final, {}, {}});
    }
    return {};
  }

  const TaskNode* find(std::string_view name) const {
    for (const TaskNode& node : nodes_) {
      if (node.name == name) return &node;
    }
    return nullptr;
  }

  Result<void> connect(TaskNode& node) {
    for (const Value& before : node.spec["runAfter"].items()) {
      const TaskNode* other = find(before.as_string());
      if (other == nullptr || other->final)
        return invalid("task " + node.name + " runs after " + before.str() + ", which is no task of the pipeline");
      node.after.insert(before.str());
    }
    for (const ResultReference& reference : result_references(node.spec)) {
      const TaskNode* other = find(reference.task);
      if (other == nullptr || other->final || reference.of_final)
        return invalid("task " + node.name + " uses the result " + reference.result + " of " + reference.task +
                       ", which is no task of the pipeline");
      node.uses.insert(reference.task);
      if (!node.final) node.after.insert(reference.task);
    }
    return {};
  }

  Result<void> visit(const TaskNode& node) {
    if (std::any_of(ordered_.begin(), ordered_.end(), [&](const TaskNode& done) { return done.name == node.name; }))
      return {};
    if (std::find(path_.begin(), path_.end(), node.name) != path_.end())
      return invalid("the tasks wait for each other: " + join(path_, " → ") + " → " + node.name);
    path_.push_back(node.name);
    for (const std::string& before : node.after) TRY(visit(*find(before)));
    path_.pop_back();
    ordered_.push_back(node);
    return {};
  }

  std::vector<TaskNode> nodes_, ordered_;
  std::vector<std::string> path_;
};

}  // namespace

std::vector<ResultReference> result_references(const Value& document) {
  std::vector<ResultReference> out;
  for (const std::string& reference : references(document)) {
    const bool of_final = reference.starts_with("finally.");
    if (!of_final && !reference.starts_with("tasks.")) continue;
    const std::size_t begin = of_final ? 8 : 6;
    const auto results = reference.find(".results.", begin);
    if (results == std::string::npos) continue;
    std::string result = reference.substr(results + 9);
    result = result.substr(0, result.find_first_of(".["));  // without an object's key or an index
    out.push_back({reference.substr(begin, results - begin), result, of_final});
  }
  return out;
}

Result<std::vector<TaskNode>> pipeline_graph(const Value& pipeline_spec) {
  return Graph().build(pipeline_spec);
}

}  // namespace caisson::pipeline
