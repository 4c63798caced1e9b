// SPDX-License-Identifier: Apache-2.0
// Execution: one render, of any number of a Set's templates over data that they share.
//
// Example:
//   Set set("gotpl", {own_table, helm_functions(), sprig_functions(), go_functions()});
//   TRY(set.parse("chart/templates/x.yaml", text));
//   Execution execution(set, {.missing_key = MissingKey::zero}, &host);
//   const std::string out = TRY(execution.run("chart/templates/x.yaml", data));
//
// What templates change in `data` (`set`, `merge`) is seen by the templates that run after, as in Helm. When the
// Execution ends, dicts that templates edited are emptied (they may hold themselves), so data handed to run() must not
// be used afterwards.
//
// Threads: one Execution is used by one thread at a time.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/expr/go_template/set.h"

namespace caisson::go_template {

// What a missing key of a map gives, as Go's Option("missingkey=…"): `invalid` an untyped nil; `zero` the zero value of
// the map's elements (a nil interface; "" for map[string]string); `error` ends the execution with `map has no entry for
// key "x"`.
enum class MissingKey { invalid, zero, error };

struct Limits {
  std::size_t depth_max = 100'000;        // {{template}} within {{template}}; Go's own
  std::size_t include_depth_max = 1'000;  // of one name through Execution::include; Helm's own
  // Of the whole Execution: nodes evaluated, items made, and a step for each 64 bytes of text that functions give. The
  // largest charts take some hundred thousand.
  std::uint64_t steps_max = 20'000'000;
  std::size_t output_bytes_max = 128u << 20;  // of one run, and of any text that a function gives
};

struct Options {
  MissingKey missing_key = MissingKey::invalid;
  bool lint = false;  // `required` and `fail` let pass, as in `helm lint`
  Limits limits = {};
  const Clock* clock = nullptr;  // nullptr: the system's
  // Names behind the data's "." or "$" that may give something else in the next run over the same data (Helm's
  // .Template). Not empty: the caller edits nothing but these between runs.
  std::span<const std::string_view> own_fields = {};
};

// What the functions of a caller's own table need from their Execution: derive, and cast in the function.
class Host {
 public:
  virtual ~Host() = default;
};

class Execution {
 public:
  // `set` and `host` must outlive it.
  Execution(const Set& set, const Options& options, Host* host = nullptr);
  ~Execution();
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  // The output of template `name`. Errors (invalid) in Go's words:
  //   template: chart/x.yaml:12:20: executing "chart/x.yaml" at <.Values.x.y>: nil pointer evaluating interface {}.y
  //   template: no template "x" associated with template "gotpl"
  // Above a limit: too_large (output) or timeout (steps). Lines and columns are Go's (a column counts bytes from 0).
  Result<std::string> run(std::string_view name, const Datum& data);

  // A template that is parsed when run() names it, and forgotten after that run; one that another template names stays.
  // `parse` gives what Set::parse_apart gives of its text, as often as it is asked; when that is an error, run() gives
  // it. REQUIRES: the text defines no template but this one, and the set none of this name.
  void add_text(std::string_view name, std::function<Result<Trees>()> parse);
  // Of `set`, or of a text that was added. nullptr when there is none. Errors: the parser's.
  Result<const Tree*> find(const Set& set, std::string_view name);

  // --- for functions that are called by a template of this execution

  // Helm's `include`: as run(), within the set that the calling template was parsed into; more than
  // limits.include_depth_max of one name within one another is "rendering template has a nested reference name: NAME:
  // unable to execute template".
  Result<Datum> include(std::string_view name, const Datum& data);
  // Helm's `tpl`: parses `text` into a layer over the calling template's set and runs it. "<no value>" is removed from
  // the output. Errors: `cannot parse template "TEXT": …`, `error during tpl function execution for "TEXT": …`.
  // The same text is parsed once per set.
  Result<Datum> expand(std::string_view text, const Datum& data);

  const Set& set() const;  // that of the template which runs now
  const Options& options() const { return options_; }
  const Clock& clock() const;
  Host* host() const { return host_; }
  // A function that loops asks for its steps and bytes before it makes them. Errors: timeout; too_large.
  Result<void> spend(std::uint64_t steps, std::size_t bytes = 0);
  // A function that edits a dict says so, so that what holds itself can be freed.
  void note_edit(const Ref<Map>& map);

  // Was anything edited that templates did not make themselves? Then what runs after may see it.
  bool has_edited_data() const;
  std::uint64_t steps() const;  // that were spent

  // What functions keep from one call to the next (compiled expressions), by a name of theirs; null at first.
  struct Kept {
    virtual ~Kept() = default;
  };
  std::unique_ptr<Kept>& kept(std::string_view name);

  struct State;  // execution.cc

 private:
  const Set& set_;
  Options options_;
  Host* host_;
  std::unique_ptr<State> state_;
};

}  // namespace caisson::go_template
