// SPDX-License-Identifier: Apache-2.0
// The templates of one rendering, parsed on a second thread before they are needed: templates see each other's changes
// of `.Values` and so run one after the other, but their texts depend on nothing. At most some are parsed ahead, so
// that few are in memory at once. What the templates gave can be read there too, while others still run. A chart of
// little text, or a machine of one core, gets no thread.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "delivery/render/helm/engine.h"

namespace caisson::render::helm {

class ParseAhead {
 public:
  // Templates may call what `set` knows. `set` must outlive this.
  ParseAhead(const go_template::Set& set, std::vector<TemplateText> texts);
  ~ParseAhead();  // what was added and not begun is dropped

  // What set.parse_apart() gives of the text at `index`. One thread asks, best in the order of the texts. A text that
  // was taken is parsed anew.
  Result<go_template::Trees> take(std::size_t index);

  // Work that depends on nothing but what it holds, for when the thread has nothing to parse; without a thread it is
  // done at once. finish() returns when all of it is done, and takes part. The thread that asks calls both.
  void add(std::function<void()> work);
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::render::helm
