// SPDX-License-Identifier: Apache-2.0
// Runs testdata/*.logql. A script has commands, each with the indented lines below it:
//   load LABELS [METADATA]     lines "SECONDS TEXT"
//   lines QUERY                what a range query over everything gives, forward: "LABELS TEXT"
//   instant SECONDS QUERY      "LABELS VALUE"
//   range START END STEP QUERY "LABELS VALUE VALUE …", _ where there is none
//   fail QUERY                 the error's text
//   format QUERY               how it is laid out
//   clear
#include <doctest/doctest.h>

#include <algorithm>

#include "core/base/file.h"
#include "core/base/test_dirs.h"
#include "core/base/text.h"
#include "observe/logs/logql/engine.h"
#include "observe/metrics/model/format.h"

namespace caisson::logs::logql {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kBegin = 1'700'000'000 * kSecond;

struct Command {
  std::string word, rest;
  std::vector<std::string> below;
  std::size_t number = 0;
};

std::vector<Command> read_script(const std::string& text) {
  std::vector<Command> out;
  std::size_t number = 0;
  for (const std::string_view line : split(text, '\n')) {
    ++number;
    if (trim(line).empty() || line.starts_with('#')) continue;
    if (line.starts_with("  ")) {
      out.back().below.emplace_back(line.substr(2));
      continue;
    }
    const std::size_t blank = std::min(line.find(' '), line.size());
    out.push_back({std::string(line.substr(0, blank)), std::string(trim(line.substr(blank))), {}, number});
  }
  return out;
}

std::string first_word(std::string& text) {
  const std::size_t blank = std::min(text.find(' '), text.size());
  std::string word = text.substr(0, blank);
  text = trim(text.substr(blank));
  return word;
}

std::int64_t time_at(const std::string& seconds) {
  return kBegin + static_cast<std::int64_t>(metrics::parse_float(seconds).value() * 1e9);
}

class Script {
 public:
  explicit Script(std::string name)
      : name_(std::move(name)), clock_(Time(std::chrono::nanoseconds(kBegin + 3600 * kSecond))) {
    clear();
  }

  void run(const Command& command) {
    INFO(name_ << ":" << command.number << ": " << command.word << " " << command.rest);
    if (command.word == "clear") return clear();
    if (command.word == "load") return load(command);
    if (command.word == "fail") {
      const auto got = evaluate(command.rest);
      if (got.ok())
        FAIL_CHECK("it is not refused");
      else
        CHECK(trim(got.error().message) == join(command.below, "\n"));
      return;
    }
    const auto got = command.word == "lines"    ? lines(command.rest)
                     : command.word == "format" ? format(command.rest)
                                                : metric(command);
    if (!got.ok())
      FAIL_CHECK(got.error().message);
    else
      CHECK(join(*got, "\n") == join(command.below, "\n"));
  }

 private:
  void clear() {
    store_.reset();
    directory_.emplace(TempDir::make().value());
    store_ = Store::open(directory_->path(), {}, clock_).value();
  }

  void load(const Command& command) {
    std::string labels = command.rest, metadata;
    if (const std::size_t second = labels.find("} {"); second != std::string::npos) {
      metadata = labels.substr(second + 2);
      labels.resize(second + 1);
    }
    NewStream stream{parse_stream_labels(labels).value(), {}};
    for (const std::string& line : command.below) {
      const std::size_t blank = std::min(line.find(' '), line.size());
      stream.entries.push_back({time_at(line.substr(0, blank)),
                                std::string_view(line).substr(std::min(blank + 1, line.size())),
                                metadata.empty() ? Labels() : parse_stream_labels(metadata).value()});
    }
    const auto report = store_->push({&stream, 1});
    REQUIRE(report.ok());
    REQUIRE_FALSE(report->error);
  }

  using Texts = Result<std::vector<std::string>>;

  Texts lines(const std::string& query) {
    const Selector selector = TRY(parse_log_selector(query));
    QueryStats stats;
    std::vector<std::string> out;
    for (const FoundLine& line : TRY(query_lines(
             *store_, {}, selector, {kBegin, kBegin + 3600 * kSecond, 1000, Direction::forward}, now(), stats)))
      out.push_back(line.labels().str() + " " + line.line);
    return out;
  }

  Texts evaluate(const std::string& query) {
    const ExprPtr expr = TRY(parse(query));
    if (expr->is_log()) return lines(query);
    QueryStats stats;
    TRY(query_metric(*store_, {}, *expr, {kBegin + 60 * kSecond, kBegin + 60 * kSecond, 1}, now(), stats));
    return std::vector<std::string>();
  }

  Texts format(const std::string& query) { return std::vector<std::string>{pretty(*TRY(parse(query)))}; }

  Texts metric(const Command& command) {
    std::string query = command.rest;
    Window window;
    window.start = window.end = time_at(first_word(query));
    if (command.word == "range") {
      window.end = time_at(first_word(query));
      window.step = static_cast<std::int64_t>(metrics::parse_float(first_word(query)).value() * 1e9);
    }
    QueryStats stats;
    const ExprPtr expr = TRY(parse(query));
    const Matrix matrix = TRY(query_metric(*store_, {}, *expr, window, now(), stats));
    std::vector<std::string> out;
    for (const Series& series : matrix.series) {
      std::string text = series.labels.str();
      for (std::size_t i = 0; i < series.values.size(); ++i)
        text += " " + (series.present[i] ? metrics::format_general(series.values[i]) : "_");
      out.push_back(std::move(text));
    }
    return out;
  }

  std::int64_t now() const { return clock_.now().time_since_epoch().count(); }

  const std::string name_;
  FakeClock clock_;
  std::optional<TempDir> directory_;
  std::unique_ptr<Store> store_;
};

}  // namespace

TEST_CASE("LogQL scripts give what they say") {
  const std::string directory = test_room_dir() + "/testdata";
  for (const std::string& name : list_dir(directory).value()) {
    if (!name.ends_with(".logql")) continue;
    Script script(name);
    for (const Command& command : read_script(read_file(directory + "/" + name).value())) script.run(command);
  }
}

}  // namespace caisson::logs::logql
