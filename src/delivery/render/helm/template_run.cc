// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/template_run.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <optional>
#include <unordered_set>

#include "core/base/text.h"
#include "delivery/render/helm/parse_ahead.h"
#include "delivery/render/helm/two_threads.h"

namespace caisson::render::helm {
namespace {

constexpr std::size_t kNowhere = std::numeric_limits<std::size_t>::max();

std::string without_no_value(std::string text) {
  constexpr std::string_view kNoValue = "<no value>";
  return text.find(kNoValue) == std::string::npos ? std::move(text) : replace_all(std::move(text), kNoValue, "");
}

// The data of one rendering and what templates have made of it. One thread at a time.
class World {
 public:
  using Parse = std::function<Result<go_template::Trees>(std::size_t late)>;

  World(const TemplateRun& run, Parse parse)
      : run_(run), templates_(run.data()), parse_(std::move(parse)), execution_(run.set, run.options, run.host) {
    for (std::size_t i = 0; i < run.late.size(); ++i)
      execution_.add_text(run.late[i].path, [this, i] { return parse_(i); });
  }

  const std::vector<Renderable>& templates() const { return templates_; }
  go_template::Execution& execution() { return execution_; }
  void parse_by(Parse parse) { parse_ = std::move(parse); }

  // Indexes only grow from one call to the next.
  Result<std::string> text_of(std::size_t index) {
    // A parent sees its subcharts' data, with the .Template of the one that ran last.
    for (; next_ < index; ++next_)
      if (templates_[next_].data.node() != templates_[next_ + 1].data.node()) set_template(templates_[next_]);
    set_template(templates_[next_++]);
    return without_no_value(TRY(execution_.run(templates_[index].path, templates_[index].data)));
  }

 private:
  const TemplateRun& run_;
  const std::vector<Renderable> templates_;
  Parse parse_;
  go_template::Execution execution_;
  std::size_t next_ = 0;  // the first whose .Template nobody has seen
};

World::Parse parse_when_asked(const TemplateRun& run) {
  return [&run](std::size_t late) { return run.set.parse_apart(run.late[late].path, run.late[late].text); };
}

void tell(const OutputReader& reader, Outputs& out, const std::string& path, std::string text) {
  if (reader && !path.ends_with(kNotesFile))
    reader(path, std::move(text));
  else
    out.insert_or_assign(path, std::move(text));
}

// The templates from `first` on, one after the other; a second thread parses texts and reads what was written.
Result<void> run_in_order(const TemplateRun& run, World& world, std::size_t first, Outputs& out) {
  const std::vector<Renderable>& templates = world.templates();
  std::unordered_set<std::string_view> wanted;
  for (std::size_t i = first; i < templates.size(); ++i) wanted.insert(templates[i].path);
  std::vector<TemplateText> texts;
  std::vector<std::size_t> places(run.late.size(), kNowhere);
  for (std::size_t i = 0; i < run.late.size(); ++i) {
    if (!wanted.contains(run.late[i].path)) continue;
    places[i] = texts.size();
    texts.push_back(run.late[i]);
  }
  ParseAhead ahead(run.set, std::move(texts));
  world.parse_by([&, places = std::move(places)](std::size_t late) {
    return places[late] == kNowhere ? parse_when_asked(run)(late) : ahead.take(places[late]);
  });
  OutputReader read_meanwhile;
  if (run.reader) {
    read_meanwhile = [&](std::string path, std::string text) {
      ahead.add([&run, path = std::move(path), text = std::move(text)]() mutable {
        run.reader(std::move(path), std::move(text));
      });
    };
  }
  for (std::size_t i = first; i < templates.size(); ++i)
    tell(read_meanwhile, out, templates[i].path, TRY(world.text_of(i)));
  ahead.finish();
  return {};
}

// One of two threads that take the templates in turns.
struct Worker {
  std::optional<World> world;
  Outputs out;
  std::vector<std::pair<std::size_t, std::uint64_t>> steps;  // which template spent how many
  std::size_t stopped_at = kNowhere;
  Result<void> result;

  void work(const TemplateRun& run, std::atomic<std::size_t>& next, std::atomic<std::size_t>& stop) {
    for (std::size_t i = next++; i < stop; i = next++) {
      if (!world) world.emplace(run, parse_when_asked(run));
      if (i >= world->templates().size()) return;
      const std::uint64_t before = world->execution().steps();
      auto text = world->text_of(i);
      steps.emplace_back(i, world->execution().steps() - before);
      const bool ends = !text.ok() || world->execution().has_edited_data();
      if (text.ok())
        tell(run.reader, out, world->templates()[i].path, std::move(text).value());
      else
        result = std::move(text).error();
      if (!ends) continue;
      stopped_at = i;
      for (std::size_t known = stop; i < known && !stop.compare_exchange_weak(known, i);) {
      }
      return;
    }
  }

  std::uint64_t steps_until(std::size_t last) const {
    std::uint64_t sum = 0;
    for (const auto& [index, spent] : steps) sum += index <= last ? spent : 0;
    return sum;
  }
};

// Nothing when only one after the other can tell how it ends.
std::optional<Result<Outputs>> run_by_two(const TemplateRun& run) {
  std::array<Worker, 2> workers;
  std::atomic<std::size_t> next = 0, stop = kNowhere;
  on_two_threads(workers.size(), true, [&](std::size_t i) { workers[i].work(run, next, stop); });
  const std::size_t stopped_at = stop;
  const bool second = stopped_at != kNowhere && workers[1].stopped_at == stopped_at;
  Worker& goes_on = workers[second ? 1 : 0];
  Worker& ends = workers[second ? 0 : 1];
  if (goes_on.steps_until(stopped_at) + ends.steps_until(stopped_at) > run.options.limits.steps_max)
    return std::nullopt;
  if (stopped_at != kNowhere && !goes_on.result.ok()) return std::move(goes_on.result).error();
  goes_on.out.merge(ends.out);
  if (stopped_at != kNowhere) {
    const auto spent = goes_on.world->execution().spend(ends.steps_until(stopped_at));
    const auto rest = spent.ok() ? run_in_order(run, *goes_on.world, stopped_at + 1, goes_on.out) : spent;
    if (!rest.ok()) return rest.error();
  }
  return std::move(goes_on.out);
}

}  // namespace

Result<Outputs> run_all_templates(const TemplateRun& run) {
  if (run.by_two) {
    if (auto out = run_by_two(run)) return *std::move(out);
  }
  World world(run, parse_when_asked(run));
  Outputs out;
  TRY(run_in_order(run, world, 0, out));
  return out;
}

}  // namespace caisson::render::helm
