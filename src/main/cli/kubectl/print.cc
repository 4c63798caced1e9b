// SPDX-License-Identifier: Apache-2.0
// What -o asks for. JSONPath templates follow k8s.io/client-go/util/jsonpath, custom columns kubectl's reference.
#include <algorithm>
#include <cstdio>

#include "cluster/schema/json_path.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "core/expr/go_template/execution.h"
#include "core/expr/go_template/set.h"
#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli::kubectl {
namespace {

Value without_managed_fields(const Call& call, Value object) {
  if (!call.is_set("show-managed-fields") && object["metadata"].contains("managedFields"))
    object.edit("metadata").erase("managedFields");
  return object;
}

std::string shown_value(const Value& value) {
  return value.is_map() || value.is_list() ? json::write(value) : value.scalar_text();
}

// Every value under the name, at any depth, outer ones first.
void descend(const Value& value, std::string_view name, std::vector<Value>& out) {
  if (const Value* member = value.find(name)) out.push_back(*member);
  for (const auto& [key, member] : value.entries()) descend(member, name, out);
  for (const Value& item : value.items()) descend(item, name, out);
}

// A path, which may go down any number of levels: "..namespace", ".items..name".
std::vector<Value> select_values(const Value& value, const std::string& path) {
  const auto deep = path.find("..");
  if (deep == std::string::npos) return schema::json_path(value, path);
  const std::string rest = path.substr(deep + 2);
  const auto name_end = rest.find_first_of(".[");
  std::vector<Value> found, out;
  for (const Value& from : deep == 0 ? std::vector<Value>{value} : schema::json_path(value, path.substr(0, deep)))
    descend(from, rest.substr(0, name_end), found);
  if (name_end == std::string::npos) return found;
  for (const Value& one : found) {
    for (Value& inner : select_values(one, rest.substr(name_end))) out.push_back(std::move(inner));
  }
  return out;
}

// One template, from `at` to its end or to the {end} of a range.
class Template {
 public:
  Template(std::string_view text) : text_(text) {}

  Result<std::string> print(const Value& value) {
    std::size_t at = 0;
    std::string out;
    TRY(run(value, at, false, out));
    return out;
  }

 private:
  Result<void> run(const Value& value, std::size_t& at, bool in_range, std::string& out) {
    while (at < text_.size()) {
      if (text_[at] != '{') {
        out += text_[at++];
        continue;
      }
      const std::size_t end = closing(at);
      if (end == std::string_view::npos) return usage("unclosed action");
      const std::string_view action = trim(text_.substr(at + 1, end - at - 1));
      at = end + 1;
      if (action == "end") {
        if (!in_range) return usage("not in range, nothing to end");
        return {};
      }
      if (action.starts_with("range ")) {
        TRY(run_range(value, trim(action.substr(6)), at, out));
      } else if (action.starts_with('"') || action.starts_with('\'')) {
        out += unquoted(action);
      } else {
        std::vector<std::string> parts;
        for (const Value& found : select_values(value, path_of(action))) parts.push_back(shown_value(found));
        out += join(parts, " ");
      }
    }
    if (in_range) return usage("unclosed range");
    return {};
  }

  Result<void> run_range(const Value& value, std::string_view path, std::size_t& at, std::string& out) {
    const std::size_t body = at;
    std::string unused;
    TRY(run(Value(), at, true, unused));  // finds the end, also of a range over nothing
    for (const Value& item : select_values(value, path_of(path))) {
      std::size_t from = body;
      TRY(run(item, from, true, out));
    }
    return {};
  }

  // The brace that closes the action at `from`, beyond quoted text.
  std::size_t closing(std::size_t from) const {
    char quote = 0;
    for (std::size_t i = from + 1; i < text_.size(); ++i) {
      if (quote && text_[i] == '\\') {
        ++i;
      } else if (quote) {
        if (text_[i] == quote) quote = 0;
      } else if (text_[i] == '"' || text_[i] == '\'') {
        quote = text_[i];
      } else if (text_[i] == '}') {
        return i;
      }
    }
    return std::string_view::npos;
  }

  // "$.a", "@.a", ".a" and "a" are one.
  static std::string path_of(std::string_view action) {
    if (action.starts_with('$') || action.starts_with('@')) action.remove_prefix(1);
    if (action.empty() || action == ".") return "";
    return (action[0] == '.' || action[0] == '[' ? "" : ".") + std::string(action);
  }

  static std::string unquoted(std::string_view text) {
    std::string out;
    text.remove_prefix(1);
    if (!text.empty()) text.remove_suffix(1);
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\' || i + 1 == text.size()) {
        out += text[i];
        continue;
      }
      const char next = text[++i];
      out += next == 'n' ? '\n' : next == 't' ? '\t' : next == 'r' ? '\r' : next;
    }
    return out;
  }

  const std::string_view text_;
};

std::string_view after_equals(std::string_view format) {
  const auto equals = format.find('=');
  return equals == std::string_view::npos ? std::string_view() : format.substr(equals + 1);
}

Result<std::string> go_template_text(const Value& value, const std::string& text) {
  go_template::Set set("output", {go_template::go_functions()});
  TRY(set.parse("output", text).in("error parsing template " + text));
  go_template::Execution execution(set, {});
  return execution.run("output", go_template::Datum::from(value)).in("error executing template \"" + text + "\"");
}

// First line the headers, second the paths.
Result<std::string> columns_of_file(const std::string& path) {
  const std::string text = TRY(read_file(path));
  const auto lines = split(text, '\n');
  std::vector<std::string> words[2], columns;
  for (std::size_t i = 0; i < 2 && i < lines.size(); ++i) {
    for (const std::string_view word : split(lines[i], ' ')) {
      if (!trim(word).empty()) words[i].emplace_back(trim(word));
    }
  }
  if (words[0].empty() || words[0].size() != words[1].size())
    return usage("number of headers and paths must match in " + path);
  for (std::size_t i = 0; i < words[0].size(); ++i) columns.push_back(words[0][i] + ":" + words[1][i]);
  return join(columns, ",");
}

}  // namespace

Result<std::string> json_path_template(const Value& value, std::string_view text) {
  return Template(text).print(value);
}

Result<std::vector<std::vector<std::string>>> custom_columns(const Value& value, std::string_view spec) {
  std::vector<std::vector<std::string>> rows(1);
  std::vector<std::string> paths;
  for (const std::string_view column : split(spec, ',')) {
    const auto colon = column.find(':');
    if (colon == std::string_view::npos || colon + 1 == column.size())
      return usage("unexpected custom-columns spec: " + std::string(column) + ", expected <header>:<json-path-expr>");
    rows[0].emplace_back(column.substr(0, colon));
    std::string path(column.substr(colon + 1));
    if (path.starts_with('{') && path.ends_with('}')) path = path.substr(1, path.size() - 2);
    if (!path.starts_with('.') && !path.starts_with('[')) path = "." + path;
    paths.push_back(std::move(path));
  }
  const auto add = [&](const Value& object) {
    std::vector<std::string> row;
    for (const std::string& path : paths) {
      std::vector<std::string> cells;
      for (const Value& found : schema::json_path(object, path)) cells.push_back(shown_value(found));
      row.push_back(cells.empty() ? "<none>" : join(cells, ","));
    }
    rows.push_back(std::move(row));
  };
  if (value["items"].is_list()) {
    for (const Value& item : value["items"].items()) add(item);
  } else {
    add(value);
  }
  return rows;
}

Result<void> check_format(std::string_view format) {
  static constexpr std::string_view kNames[] = {"json", "yaml", "name"};
  static constexpr std::string_view kPrefixes[] = {
      "custom-columns=", "custom-columns-file=", "jsonpath=",         "jsonpath-as-json=",
      "jsonpath-file=",  "go-template=",         "go-template-file=", "template="};
  const bool known = std::find(std::begin(kNames), std::end(kNames), format) != std::end(kNames) ||
                     std::any_of(std::begin(kPrefixes), std::end(kPrefixes),
                                 [&](std::string_view p) { return format.starts_with(p); });
  if (known) return {};
  return usage("unable to match a printer suitable for the output format \"" + std::string(format) +
               "\", allowed formats are: custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,"
               "jsonpath-as-json,jsonpath-file,name,template,templatefile,wide,yaml");
}

void print_columns(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] + 3 - display_width(row[i]), ' ');
    }
    std::printf("%s\n", line.c_str());
  }
}

Result<void> print_object(const Call& call, const Value& given, std::string_view format) {
  Value object = without_managed_fields(call, given);
  object.sort_keys();  // as Go writes maps
  TRY(check_format(format));
  if (format == "json" || format == "yaml") {
    print_value(object, format);
  } else if (format == "name") {
    const kube::Object shown(object);
    std::string group = shown.api_version();
    group = group.find('/') == std::string::npos ? "" : "." + group.substr(0, group.find('/'));
    std::printf("%s%s/%s\n", to_lower(shown.kind()).c_str(), group.c_str(), shown.name().c_str());
  } else if (format.starts_with("jsonpath")) {
    const bool from_file = format.starts_with("jsonpath-file=");
    const std::string text =
        from_file ? TRY(read_file(std::string(after_equals(format)))) : std::string(after_equals(format));
    const auto printed = json_path_template(object, text);
    if (!printed.ok()) return usage("error parsing jsonpath " + text + ", " + printed.error().message);
    std::printf("%s", printed->c_str());
  } else if (format.find("template") != std::string_view::npos) {
    const bool from_file = format.starts_with("go-template-file=");
    const std::string text =
        from_file ? TRY(read_file(std::string(after_equals(format)))) : std::string(after_equals(format));
    std::printf("%s", TRY(go_template_text(object, text)).c_str());
  } else {
    const bool from_file = format.starts_with("custom-columns-file=");
    const std::string spec =
        from_file ? TRY(columns_of_file(std::string(after_equals(format)))) : std::string(after_equals(format));
    auto rows = TRY(custom_columns(object, spec));
    if (call.flags.has("no-headers") && call.is_set("no-headers")) rows.erase(rows.begin());
    print_columns(rows);
  }
  return {};
}

Result<void> print_result(const Call& call, const Target& target, const Value& object, std::string_view verb) {
  const std::string format = call.text("output");
  if (!format.empty() && format != "wide") return print_object(call, object, format);
  const std::string dry = call.dry_run();
  std::printf("%s %s%s\n", target.shown().c_str(), std::string(verb).c_str(),
              dry == "client"   ? " (dry run)"
              : dry == "server" ? " (server dry run)"
                                : "");
  return {};
}

Result<std::vector<std::string>> template_path(std::string_view kind) {
  if (kind == "Pod") return std::vector<std::string>{};
  if (kind == "CronJob") return std::vector<std::string>{"spec", "jobTemplate", "spec", "template"};
  for (const std::string_view known :
       {"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "ReplicationController"}) {
    if (kind == known) return std::vector<std::string>{"spec", "template"};
  }
  return usage("the object is not a pod or does not have a pod template: " + std::string(kind));
}

Value wrapped(const std::vector<std::string>& path, Value inner) {
  for (auto name = path.rbegin(); name != path.rend(); ++name) {
    Value outer = Value::map();
    outer.set(*name, std::move(inner));
    inner = std::move(outer);
  }
  return inner;
}

const Value& at(const Value& value, const std::vector<std::string>& path) {
  const Value* found = &value;
  for (const std::string& name : path) found = &(*found)[name];
  return *found;
}

}  // namespace caisson::cli::kubectl
