// SPDX-License-Identifier: Apache-2.0
// YAML 1.2.2: one reader with positions, in a mode by the specification and a mode as Go's yaml (the one Kubernetes
// tools use: YAML 1.1 booleans are strings unless true/false, "0777" octal as go-yaml reads it, merge keys); one writer
// with go-yaml's styles. Limits: depth, aliases (a document may not expand to more than `expanded_nodes_max`), size.
// Any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::yaml {

enum class Mode { specification, go };

struct ReadOptions {
  Mode mode = Mode::go;
  std::string name;  // of the file, for messages: "deploy.yaml: line 4, column 3: …"
  std::size_t depth_max = 100;
  std::size_t size_bytes_max = 64u << 20;
  std::size_t expanded_nodes_max = 4'000'000;
  bool old_booleans = false;  // go: yes, no, on, off, y, n are booleans, as go-yaml v2 (sigs.k8s.io/yaml) reads them
  bool expands_timestamps =
      false;  // go: a plain date becomes RFC 3339 text ("2024-01-02T00:00:00Z"), as kyaml's JSON has it
  bool duplicate_keys_refused = true;  // as sigs.k8s.io/yaml's strict mode and kustomize
};

// All documents of a stream; empty documents read as null. JSON is YAML. Errors: bad_request, with file, line and
// column.
Result<std::vector<Value>> read_all(std::string_view text, const ReadOptions& options = {});
// Exactly one document (or none: null).
Result<Value> read(std::string_view text, const ReadOptions& options = {});

struct WriteOptions {
  bool sort_keys = false;  // in go-yaml's order; sigs.k8s.io/yaml sorts, kyaml keeps order
  bool indent_sequences =
      false;            // false: "- a" under its key's column, as sigs.k8s.io/yaml; true: go-yaml v3's default
  int line_width = 80;  // longer lines are broken at the next space, as go-yaml v2 does; 0: never
};
// One document, with a final newline and no "---".
std::string write(const Value& value, const WriteOptions& options = {});

}  // namespace caisson::yaml
