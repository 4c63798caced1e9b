// SPDX-License-Identifier: Apache-2.0
#include "main/cli/logs_query.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "main/cli/helm_flags.h"
#include "main/cli/series_output.h"
#include "main/cli/session.h"
#include "observe/logs/logql/parser.h"
#include "observe/metrics/model/format.h"

namespace caisson::cli {
namespace {

constexpr FlagSpec kFlags[] = {
    {"query", FlagKind::text, 'q'},  {"since", FlagKind::text},          {"from", FlagKind::text},
    {"to", FlagKind::text},          {"limit", FlagKind::text},          {"follow", FlagKind::boolean, 'f'},
    {"forward", FlagKind::boolean},  {"instant", FlagKind::boolean},     {"step", FlagKind::text},
    {"output", FlagKind::text, 'o'}, {"data-dir", FlagKind::text},       {"kubeconfig", FlagKind::text},
    {"context", FlagKind::text},     {"namespace", FlagKind::text, 'n'}, {"help", FlagKind::boolean, 'h'}};
constexpr const char* kHelp =
    "Query the logs of everything with LogQL.\n\n"
    "  caisson logs -q '{namespace=\"shop\"} |= \"error\"'\n"
    "  caisson logs -q 'sum by (app) (rate({namespace=~\".+\"}[1m]))' --since 6h     # a graph\n\n"
    "  -q, --query QUERY      LogQL\n"
    "      --since 1h         how far back; or --from and --to, a time or how long ago\n"
    "      --limit 100        of lines\n"
    "  -f, --follow           go on with what is logged\n"
    "      --forward          the oldest lines first, when there are more than the limit\n"
    "      --instant          of a metric its value now; --step of a graph\n"
    "  -o, --output FORMAT    raw (the lines alone), labels (with all labels), json, yaml\n";

struct Line {
  std::int64_t t = 0;
  std::string text;
  Value labels;
};

std::vector<Line> lines_of(const Value& streams) {
  std::vector<Line> out;
  for (const Value& stream : streams.items())
    for (const Value& value : stream["values"].items())
      out.push_back({parse_int(value[0].as_string()).value_or(0), value[1].str(), stream["stream"]});
  std::stable_sort(out.begin(), out.end(), [](const Line& a, const Line& b) { return a.t < b.t; });
  return out;
}

// Where it comes from, as short as it can be said.
std::string origin(const Value& labels) {
  const std::string pod = labels["pod"].str();
  if (pod.empty()) return series_text(labels);
  return labels["namespace"].str() + "/" + pod +
         (labels["container"].as_string().empty() ? "" : " " + labels["container"].str());
}

Result<void> print_lines(const Value& streams, const std::string& format) {
  std::string out;
  for (const Line& line : lines_of(streams)) {
    if (format != "raw") {
      const std::string where = format == "labels" ? series_text(line.labels) : origin(line.labels);
      out += paint(format_time_micros(Time(std::chrono::nanoseconds(line.t))), kDim) + " " +
             paint(where, line.labels["stream"].as_string() == "stderr" ? kYellow : kGreen) + " ";
    }
    out += line.text + "\n";
  }
  return write_all(STDOUT_FILENO, out);
}

Result<void> follow(const Session& session, const std::string& query, std::int64_t start_ms, const std::string& limit,
                    const std::string& format) {
  http::Request request = session.request("GET", "/loki/api/v1/tail?query=" + percent_encode(query) +
                                                     "&start=" + std::to_string(start_ms) + "000000&limit=" + limit);
  request.time_max = Duration(0);
  const http::Client http(session.connection.http);
  const auto socket = TRY(http.websocket(request, {}));
  for (;;) {
    const auto message = TRY(socket->receive());
    if (!message) return Error{ErrorCode::unavailable, "the server ended the tail"};
    const Value streams = TRY(json::parse(message->data));
    if (format == "json")
      TRY(write_all(STDOUT_FILENO, message->data + "\n"));
    else
      TRY(print_lines(streams["streams"], format));
  }
}

std::string nanoseconds(std::int64_t ms) {
  return std::to_string(ms) + "000000";
}

Result<Value> ask(const Session& session, const std::string& path) {
  const http::Response response = TRY(session.send("GET", path));
  return TRY(json::parse(response.body))["data"];
}

struct Asked {
  std::string query, encoded, format;
  std::int64_t start = 0, end = 0;
};

Result<void> show_metric(const Session& session, const Flags& flags, const Asked& asked) {
  const bool as_value = asked.format == "json" || asked.format == "yaml";
  if (flags.is_set("instant")) {
    const Value data =
        TRY(ask(session, "/loki/api/v1/query?query=" + asked.encoded + "&time=" + nanoseconds(asked.end)));
    as_value ? print_value(data, asked.format) : print_instant(data);
    return {};
  }
  const std::size_t width = graph_points();
  std::int64_t step = std::max<std::int64_t>(1000, (asked.end - asked.start) / static_cast<std::int64_t>(width));
  if (flags.has("step")) step = TRY(metrics::parse_duration(flags.text("step")).in("--step"));
  if (step <= 0) return Error{ErrorCode::bad_request, "--step is not greater than 0"};
  const Value data = TRY(ask(session, "/loki/api/v1/query_range?query=" + asked.encoded +
                                          "&start=" + nanoseconds(asked.start) + "&end=" + nanoseconds(asked.end) +
                                          "&step=" + metrics::format_fixed(static_cast<double>(step) / 1000)));
  if (as_value)
    print_value(data, asked.format);
  else
    print_graph(
        data, asked.start, step,
        std::min<std::size_t>(width, static_cast<std::size_t>((asked.end - asked.start) / step) + 1) / 2 * 2 + 2);
  return {};
}

Result<void> run(const Flags& flags) {
  Global global;
  global.data_dir = flags.text("data-dir", default_data_dir());
  global.kubeconfig = flags.text("kubeconfig");
  global.context = flags.text("context");
  Asked asked;
  asked.query = flags.text("query");
  asked.format = flags.text("output");
  if (!asked.format.empty() && asked.format != "raw" && asked.format != "labels" && asked.format != "json" &&
      asked.format != "yaml")
    return Error{ErrorCode::bad_request, "-o is raw, labels, json or yaml, not '" + asked.format + "'"};
  const auto expr = TRY(logs::logql::parse(asked.query));  // refused here, before anybody is asked
  const std::int64_t now =
      std::chrono::duration_cast<std::chrono::milliseconds>(system_clock().now().time_since_epoch()).count();
  asked.end = TRY(time_of(flags.text("to"), now).in("--to"));
  asked.start = flags.has("from") ? TRY(time_of(flags.text("from"), now).in("--from"))
                                  : asked.end - TRY(metrics::parse_duration(flags.text("since", "1h")).in("--since"));
  if (asked.end <= asked.start) return Error{ErrorCode::bad_request, "--to is not after --from"};
  asked.encoded = percent_encode(asked.query);
  const Session session = TRY(connect(global));
  if (!expr->is_log()) return show_metric(session, flags, asked);
  const std::string limit = flags.text("limit", "100");
  if (flags.is_set("follow")) return follow(session, asked.query, asked.start, limit, asked.format);
  // The end is not included: a line of this very moment is.
  const Value data =
      TRY(ask(session, "/loki/api/v1/query_range?query=" + asked.encoded + "&start=" + nanoseconds(asked.start) +
                           "&end=" + nanoseconds(asked.end + 1) + "&limit=" + percent_encode(limit) +
                           "&direction=" + (flags.is_set("forward") ? "forward" : "backward")));
  if (asked.format == "json" || asked.format == "yaml") {
    print_value(data["result"], asked.format);
    return {};
  }
  return print_lines(data["result"], asked.format);
}

}  // namespace

bool is_logs_query(const std::vector<std::string>& words) {
  return !words.empty() && words[0] == "logs" &&
         std::any_of(words.begin() + 1, words.end(), [](const std::string& word) {
           return word == "-q" || word == "--query" || word.starts_with("--query=");
         });
}

Result<int> command_logs_query(const std::vector<std::string>& words, const std::vector<std::string>& front) {
  std::vector<std::string> all(words.begin() + 1, words.end());
  all.insert(all.end(), front.begin(), front.end());
  const std::span<const FlagSpec> known[] = {kFlags};
  const Flags flags = TRY(Flags::parse(all, known));
  if (flags.is_set("help")) {
    std::fputs(kHelp, stdout);
    return 0;
  }
  if (!flags.arguments().empty())
    return Error{ErrorCode::bad_request,
                 "with -q no pod is named: say {pod=\"" + flags.arguments()[0] + "\"} in the query"};
  TRY(run(flags));
  return 0;
}

}  // namespace caisson::cli
