// SPDX-License-Identifier: Apache-2.0
// The tasks of a pipeline and what each waits for: runAfter, and the results it uses. Pure; any thread. Internal to the
// room.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::pipeline {

struct TaskNode {
  std::string name;
  Value spec;                   // the pipeline task
  bool final = false;           // of `finally`
  std::set<std::string> after;  // everything that must have ended before
  std::set<std::string> uses;   // tasks whose results it uses
};

// In an order in which every task comes after what it waits for; final tasks last. Errors: invalid, for unknown names,
// cycles, and what is not supported here, by name.
Result<std::vector<TaskNode>> pipeline_graph(const Value& pipeline_spec);

// "tasks.build.results.digest[0]" in parts.
struct ResultReference {
  std::string task, result;
  bool of_final = false;  // "finally.…"
};
std::vector<ResultReference> result_references(const Value& document);

}  // namespace caisson::pipeline
