// SPDX-License-Identifier: Apache-2.0
// get: objects as the server's tables or in a format of -o, one table for each kind.
#include <algorithm>
#include <cstdio>

#include "cluster/kube/resource_usage.h"
#include "cluster/schema/json_path.h"
#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kGetFlags[] = {{"watch", FlagKind::boolean, 'w'},
                                  {"watch-only", FlagKind::boolean},
                                  {"output-watch-events", FlagKind::boolean},
                                  {"show-labels", FlagKind::boolean},
                                  {"label-columns", FlagKind::list, 'L'},
                                  {"no-headers", FlagKind::boolean},
                                  {"sort-by", FlagKind::text},
                                  {"ignore-not-found", FlagKind::boolean},
                                  {"raw", FlagKind::text},
                                  {"chunk-size", FlagKind::text},
                                  {"show-kind", FlagKind::boolean},
                                  {"subresource", FlagKind::text}};
constexpr std::string_view kTable = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

// One kind and the names asked for; none: all of it.
struct Wanted {
  kube::Resource resource;
  std::vector<std::string> names;
};

std::string selectors(const Call& call) {
  std::string out;
  if (const std::string text = call.text("selector"); !text.empty()) out += "labelSelector=" + percent_encode(text);
  if (const std::string text = call.text("field-selector"); !text.empty())
    out += std::string(out.empty() ? "" : "&") + "fieldSelector=" + percent_encode(text);
  return out;
}

Result<void> add_kind(const Call& call, std::string_view word, const std::vector<std::string>& names,
                      std::vector<Wanted>& out) {
  if (word == "all") {
    for (const char* kind :
         {"pods", "replicationcontrollers", "services", "daemonsets.apps", "deployments.apps", "replicasets.apps",
          "statefulsets.apps", "horizontalpodautoscalers.autoscaling", "cronjobs.batch", "jobs.batch"})
      out.push_back({TRY(resource_of(call, kind)), names});
    return {};
  }
  out.push_back({TRY(resource_of(call, word)), names});
  return {};
}

Result<std::vector<Wanted>> wanted_kinds(Call& call) {
  std::vector<Wanted> out;
  const std::vector<std::string>& words = call.arguments;
  for (const Target& target : TRY(read_files(call))) out.push_back({target.resource, {target.name}});
  if (words.empty()) {
    if (out.empty())
      return usage(
          "You must specify the type of resource to get. Use \"caisson api-resources\" for a complete list of "
          "supported resources.\n\nerror: Required resource not specified.");
    return out;
  }
  if (words[0].find('/') == std::string::npos) {
    for (const std::string_view kind : split(words[0], ','))
      TRY(add_kind(call, kind, {words.begin() + 1, words.end()}, out));
    return out;
  }
  for (const std::string& word : words) {
    const auto slash = word.find('/');
    if (slash == std::string::npos)
      return usage(
          "there is no need to specify a resource type as a separate argument when passing arguments in resource/name "
          "form");
    TRY(add_kind(call, std::string_view(word).substr(0, slash), {word.substr(slash + 1)}, out));
  }
  return out;
}

// What a command shows: each part a Table, a List or an object, with its kind. Names that are not there are told at the
// end.
struct Part {
  kube::Resource resource;
  bool is_list;
  Value value;
};
struct Found {
  std::vector<Part> parts;
  std::vector<Error> missing;
};
Result<Found> fetch(const Call& call, const std::vector<Wanted>& kinds, std::string_view accept) {
  Found out;
  const std::string query = selectors(call), subresource = call.text("subresource");
  for (const Wanted& wanted : kinds) {
    const std::string ns = wanted.resource.namespaced && !call.all_namespaces() ? call.session.ns : "";
    if (wanted.names.empty()) {
      Value list = TRY(get(call, wanted.resource.path(ns) + (query.empty() ? "" : "?" + query), accept));
      out.parts.push_back({wanted.resource, true, std::move(list)});
    }
    for (const std::string& name : wanted.names) {
      if (call.all_namespaces()) return usage("a resource cannot be retrieved by name across all namespaces");
      auto one = get(call, wanted.resource.path(ns, name) + (subresource.empty() ? "" : "/" + subresource), accept);
      if (one.ok())
        out.parts.push_back({wanted.resource, false, std::move(one).value()});
      else if (one.error().code != ErrorCode::not_found)
        return one.error();
      else if (!call.is_set("ignore-not-found"))
        out.missing.push_back(one.error());
    }
  }
  return out;
}

// --- order

// kubectl's: quantities and numbers by amount, texts by bytes, what is absent first.
bool is_less(const Value& a, const Value& b) {
  if (a.is_null() || b.is_null()) return a.is_null() && !b.is_null();
  if (a.is_number() && b.is_number()) return a.as_double() < b.as_double();
  const auto x = kube::parse_amount(a.scalar_text()), y = kube::parse_amount(b.scalar_text());
  if (x.ok() && y.ok()) return x->milli < y->milli;
  return a.scalar_text() < b.scalar_text();
}

void sort_items(std::string path, std::vector<Value>& items, bool in_table) {
  if (path.starts_with('{') && path.ends_with('}')) path = path.substr(1, path.size() - 2);
  if (!path.starts_with('.')) path = "." + path;
  const auto key = [&](const Value& item) {
    const auto found = schema::json_path(in_table ? item["object"] : item, path);
    return found.empty() ? Value() : found[0];
  };
  std::stable_sort(items.begin(), items.end(), [&](const Value& a, const Value& b) { return is_less(key(a), key(b)); });
}

// --- tables

std::string label_text(const Value& labels) {
  std::vector<std::string> out;
  for (const auto& [key, value] : labels.entries()) out.push_back(std::string(key) + "=" + value.str());
  std::sort(out.begin(), out.end());
  return out.empty() ? "<none>" : join(out, ",");
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return text;
}

struct TableStyle {
  bool wide, with_kind, with_namespace, with_header;
};

void add_rows(const Call& call, const Part& part, const TableStyle& style,
              std::vector<std::vector<std::string>>& rows) {
  const auto definitions = part.value["columnDefinitions"].items();
  const auto is_shown = [&](const Value& column) { return style.wide || column["priority"].as_int() == 0; };
  if (style.with_header) {
    std::vector<std::string> header;
    if (style.with_namespace) header.emplace_back("NAMESPACE");
    for (const Value& column : definitions) {
      if (is_shown(column)) header.push_back(upper(column["name"].str()));
    }
    for (const std::string& label : call.flags.all("label-columns"))
      header.push_back(upper(label.substr(label.rfind('/') + 1)));
    if (call.is_set("show-labels")) header.emplace_back("LABELS");
    rows.push_back(std::move(header));
  }
  std::vector<Value> items(part.value["rows"].items().begin(), part.value["rows"].items().end());
  if (call.flags.has("sort-by")) sort_items(call.text("sort-by"), items, true);
  for (const Value& row : items) {
    const Value& metadata = row["object"]["metadata"];
    std::vector<std::string> cells;
    if (style.with_namespace) cells.push_back(metadata["namespace"].str());
    for (std::size_t i = 0; i < definitions.size(); ++i) {
      if (!is_shown(definitions[i])) continue;
      std::string cell = row["cells"][i].is_null() ? "<none>" : row["cells"][i].scalar_text();
      if (style.with_kind && i == 0) cell = shown_name(part.resource, cell);
      cells.push_back(std::move(cell));
    }
    for (const std::string& label : call.flags.all("label-columns")) cells.push_back(metadata["labels"][label].str());
    if (call.is_set("show-labels")) cells.push_back(label_text(metadata["labels"]));
    rows.push_back(std::move(cells));
  }
}

void print_tables(const Call& call, const Found& found, bool several_kinds) {
  bool first = true, any = false;
  for (std::size_t i = 0; i < found.parts.size();) {
    std::vector<std::vector<std::string>> rows;
    const kube::Resource& resource = found.parts[i].resource;
    TableStyle style{call.text("output") == "wide", several_kinds || call.is_set("show-kind"),
                     call.all_namespaces() && resource.namespaced, !call.is_set("no-headers")};
    for (; i < found.parts.size() && found.parts[i].resource == resource; ++i) {
      if (found.parts[i].value["rows"].empty()) continue;
      add_rows(call, found.parts[i], style, rows);
      style.with_header = false;
    }
    if (rows.empty()) continue;
    if (!first) std::printf("\n");
    print_columns(rows);
    first = false;
    any = true;
  }
  if (any || !found.missing.empty() || call.is_set("ignore-not-found")) return;
  const bool namespaced = !found.parts.empty() && found.parts[0].resource.namespaced && !call.all_namespaces();
  std::fprintf(stderr, "No resources found%s\n", namespaced ? (" in " + call.session.ns + " namespace.").c_str() : "");
}

// --- formats

Value as_item(const Part& part, const Value& item) {
  Value out{{"apiVersion", part.resource.api_version()}, {"kind", part.resource.kind}};
  for (const auto& [key, value] : item.entries()) out.set(key, value);
  return out;
}

// One object as it is; all else as a List, as kubectl shows it.
Result<void> print_parts(const Call& call, const Found& found, const std::string& format) {
  if (found.parts.empty()) return {};
  if (found.parts.size() == 1 && !found.parts[0].is_list) return print_object(call, found.parts[0].value, format);
  std::vector<Value> items;
  for (const Part& part : found.parts) {
    if (!part.is_list) items.push_back(part.value);
    for (const Value& item : part.value["items"].items()) items.push_back(as_item(part, item));
  }
  if (call.flags.has("sort-by")) sort_items(call.text("sort-by"), items, false);
  if (format == "name") {
    for (const Value& item : items) TRY(print_object(call, item, format));
    return {};
  }
  return print_object(call,
                      Value{{"apiVersion", "v1"},
                            {"items", Value(std::move(items))},
                            {"kind", "List"},
                            {"metadata", Value{{"resourceVersion", ""}}}},
                      format);
}

// --- watch

Result<void> watch(const Call& call, const Wanted& wanted, const std::string& version) {
  std::string query = selectors(call);
  if (!wanted.names.empty())
    query +=
        std::string(query.empty() ? "" : "&") + "fieldSelector=" + percent_encode("metadata.name=" + wanted.names[0]);
  const std::string format = call.text("output");
  const bool tables = format.empty() || format == "wide";
  std::string path = wanted.resource.path(wanted.resource.namespaced && !call.all_namespaces() ? call.session.ns : "") +
                     "?watch=true&resourceVersion=" + version + (query.empty() ? "" : "&" + query);
  http::Request request = call.session.request("GET", path);
  request.headers.set("Accept", std::string(tables ? kTable : "application/json"));
  request.time_max = Duration(0);
  if (call.flags.has("request-timeout")) request.time_max = TRY(parse_duration(call.text("request-timeout")));
  auto stream = TRY(call.http->open(request));
  std::string pending;
  for (;;) {
    const auto piece = stream->read_some();
    if (!piece.ok()) return piece.error().code == ErrorCode::timeout ? Result<void>() : Result<void>(piece.error());
    if (piece->empty()) return {};
    pending += *piece;
    for (std::size_t end; (end = pending.find('\n')) != std::string::npos; pending.erase(0, end + 1)) {
      const Value event = TRY(json::parse(std::string_view(pending).substr(0, end)));
      if (event["type"].as_string() == "BOOKMARK") continue;
      if (event["type"].as_string() == "ERROR") return usage(event["object"]["message"].str());
      if (tables) {
        std::vector<std::vector<std::string>> rows;
        add_rows(call, {wanted.resource, true, event["object"]},
                 {format == "wide", false, call.all_namespaces() && wanted.resource.namespaced, false}, rows);
        if (call.is_set("output-watch-events")) {
          for (auto& row : rows) row.insert(row.begin(), event["type"].str());
        }
        print_columns(rows);
      } else {
        TRY(print_object(call, event["object"], format));
      }
      std::fflush(stdout);
    }
  }
}

Result<int> run_get(Call& call) {
  if (const std::string raw = call.text("raw"); !raw.empty()) {
    http::Request request = call.session.request("GET", raw);
    const http::Response response = TRY(call.http->send(request));
    if (response.status >= 400) {
      TRY(get(call, raw));
      return usage("the server answered " + std::to_string(response.status));
    }
    std::fwrite(response.body.data(), 1, response.body.size(), stdout);
    return 0;
  }
  const std::vector<Wanted> kinds = TRY(wanted_kinds(call));
  const std::string format = call.text("output");
  const bool tables = format.empty() || format == "wide", watches = call.is_set("watch") || call.is_set("watch-only");
  if (!tables) TRY(check_format(format));
  if (watches && kinds.size() > 1)
    return usage("watch is only supported on individual resources and resource collections");
  std::string accept(tables ? kTable : "application/json");
  const Found found = TRY(fetch(call, kinds, accept));
  const bool several = kinds.size() > 1 && std::any_of(kinds.begin(), kinds.end(), [&](const Wanted& w) {
                         return w.resource != kinds[0].resource;
                       });
  if (!call.is_set("watch-only")) {
    if (tables)
      print_tables(call, found, several);
    else
      TRY(print_parts(call, found, format));
  }
  std::fflush(stdout);
  if (!found.missing.empty()) return found.missing[0];
  if (watches && !found.parts.empty())
    TRY(watch(call, kinds[0], found.parts[0].value["metadata"]["resourceVersion"].str()));
  return 0;
}

constexpr Command kCommands[] = {
    {"get", "Display one or many resources.",
     "get TYPE [NAME | -l LABEL] [-o wide|json|yaml|name|jsonpath=…|custom-columns=…]", "caisson get pods -A -o wide",
     kGetFlags, run_get},
};

}  // namespace

std::span<const Command> get_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
