// SPDX-License-Identifier: Apache-2.0
// `caisson timeline`: one trace, from push to running pod, as a tree with bars.
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <tuple>

#include "core/base/text.h"
#include "main/cli/commands.h"

namespace caisson::cli {
namespace {

struct Row {
  std::string id, parent, name, component, error;
  Time start, end;
  bool open;  // goes on: drawn until now
};

Row read_row(const Value& spec, Time now) {
  const auto end = parse_time(spec["endTime"].as_string());
  return {spec["spanId"].str(), spec["parentSpanId"].str(),
          spec["name"].str(),   spec["component"].str(),
          spec["error"].str(),  parse_time(spec["startTime"].as_string()).value_or(now),
          end.value_or(now),    !end};
}

std::string format_ms(Duration duration) {
  const double ms = static_cast<double>(duration.count()) / 1e6;
  char text[32];
  if (ms < 1000)
    std::snprintf(text, sizeof text, "%.0f ms", ms);
  else
    std::snprintf(text, sizeof text, "%.2f s", ms / 1000);
  return text;
}

// The trace of the newest push, or of the newest sync of an Application.
Result<std::string> newest_trace(const Session& session, const std::string& app) {
  if (!app.empty()) {
    const kube::ObjectList apps = TRY(session.client->list(schema::kApplications, {}));
    for (const kube::Object& object : apps.items) {
      if (object.name() == app && !object.trace().empty()) return object.trace().trace_id;
    }
    return Error{ErrorCode::not_found, "no Application '" + app + "' with a trace: see 'caisson get applications -A'"};
  }
  const kube::ObjectList pushes = TRY(session.client->list(schema::kPushEvents, {}));
  const kube::Object* newest = nullptr;
  for (const kube::Object& push : pushes.items) {
    if (!push.trace().empty() && (!newest || push.created() >= newest->created())) newest = &push;
  }
  if (!newest) return Error{ErrorCode::not_found, "no push yet: push a commit to a repository of this platform first"};
  return newest->trace().trace_id;
}

std::vector<std::pair<const Row*, int>> as_tree(const std::vector<Row>& rows) {
  std::map<std::string, std::vector<const Row*>> children;
  std::map<std::string, const Row*> by_id;
  for (const Row& row : rows) by_id[row.id] = &row;
  for (const Row& row : rows) children[by_id.count(row.parent) ? row.parent : ""].push_back(&row);
  std::vector<std::pair<const Row*, int>> order;
  const std::function<void(const std::string&, int)> walk = [&](const std::string& id, int depth) {
    auto& below = children[id];
    std::sort(below.begin(), below.end(),
              [](const Row* a, const Row* b) { return std::tie(a->start, a->end) < std::tie(b->start, b->end); });
    for (const Row* row : below) {
      order.emplace_back(row, depth);
      if (depth < 50) walk(row->id, depth + 1);
    }
  };
  walk("", 0);
  return order;
}

std::size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 40 ? size.ws_col : 100;
}

void draw(const std::vector<Row>& rows, const std::string& trace_id) {
  Time first = rows[0].start, last = rows[0].end;
  for (const Row& row : rows) first = std::min(first, row.start), last = std::max(last, row.end);
  const double total = std::max<double>(1, static_cast<double>((last - first).count()));
  const std::size_t columns = terminal_columns(), label = std::min<std::size_t>(44, columns / 2),
                    bar = columns - label - 26;
  std::printf("%s  %s  %s\n", paint("trace " + trace_id, kBold).c_str(), format_time(first).c_str(),
              format_ms(last - first).c_str());
  for (const auto& [row, depth] : as_tree(rows)) {
    std::string name = fit_width(std::string(static_cast<std::size_t>(depth) * 2, ' ') + row->name, label);
    name.append(label - display_width(name), ' ');
    const auto from = static_cast<std::size_t>(static_cast<double>((row->start - first).count()) / total *
                                               static_cast<double>(bar - 1));
    const auto length =
        std::max<std::size_t>(1, static_cast<std::size_t>(static_cast<double>((row->end - row->start).count()) / total *
                                                          static_cast<double>(bar)));
    std::string line(from, ' ');
    for (std::size_t i = 0; i < std::min(length, bar - from); ++i) line += "━";
    line.append(bar - from - std::min(length, bar - from), ' ');
    std::printf("%s %s %9s  %s\n", name.c_str(),
                paint(line, !row->error.empty() ? kRed
                            : row->open         ? kYellow
                                                : kGreen)
                    .c_str(),
                (format_ms(row->end - row->start) + (row->open ? " …" : "")).c_str(),
                paint(row->component, kDim).c_str());
    if (!row->error.empty()) std::printf("%*s%s\n", depth * 2 + 2, "", paint("✗ " + row->error, kRed).c_str());
  }
}

}  // namespace

Result<void> command_timeline(const Global& global, const std::string& app) {
  const Session session = TRY(connect(global));
  const std::string trace_id = TRY(newest_trace(session, app));
  const kube::ObjectList spans =
      TRY(session.client->list(schema::kSpans, {.label_selector = "caisson.dev/trace-id=" + trace_id}));
  std::vector<Row> rows;
  std::vector<Value> specs;
  for (const kube::Object& span : spans.items) {
    rows.push_back(read_row(span.spec(), system_clock().now()));
    specs.push_back(span.spec());
  }
  if (!global.output.empty()) {
    print_value(Value{{"traceId", trace_id}, {"spans", Value(std::move(specs))}}, global.output);
    return {};
  }
  if (rows.empty())
    return Error{ErrorCode::not_found, "trace " + trace_id + " has no spans yet: try again in a moment"};
  draw(rows, trace_id);
  return {};
}

}  // namespace caisson::cli
