// SPDX-License-Identifier: Apache-2.0
// The templates of a chart, run. Helm runs them one after the other over the same `.Values`, so what one edits there
// the later ones see. Few charts do that: two threads take the templates in turns, each with data of its own, and as
// long as no template edits what it did not make itself, they give what one after the other would. At the first one
// that does, what was run behind it is thrown away, and the thread that met it goes on alone. The same bytes and the
// same errors come either way.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "core/expr/go_template/execution.h"
#include "delivery/render/helm/engine.h"

namespace caisson::render::helm {

struct TemplateRun {
  const go_template::Set& set;
  go_template::Options options;
  go_template::Host* host = nullptr;
  std::function<std::vector<Renderable>()> data;  // in the order of running; each call makes nodes of its own
  std::vector<TemplateText> late;                 // templates that are not in `set`: parsed when they run
  OutputReader reader;                            // may be null
  // Functions of `host` may be called by two threads at once, and the templates are many enough.
  bool by_two = false;
};

// What the templates give, by path, but for what the reader was told. Errors: those of go_template::Execution::run, of
// the first template that has one.
Result<Outputs> run_all_templates(const TemplateRun& run);

}  // namespace caisson::render::helm
