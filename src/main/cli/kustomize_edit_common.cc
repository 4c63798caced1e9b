// SPDX-License-Identifier: Apache-2.0
#include <glob.h>

#include <algorithm>
#include <cstdio>

#include "core/base/file.h"
#include "core/base/text.h"
#include "delivery/render/kustomize/editable.h"
#include "delivery/render/remote.h"
#include "main/cli/kustomize_commands.h"
#include "main/cli/kustomize_fetch.h"

namespace caisson::cli {

Result<std::string> kustomization_file() {
  std::vector<std::string> found;
  for (const char* name : {"kustomization.yaml", "kustomization.yml", "Kustomization"}) {
    if (exists(name)) found.emplace_back(name);
  }
  if (found.empty()) return Error{ErrorCode::not_found, "Missing kustomization file 'kustomization.yaml'."};
  if (found.size() > 1)
    return Error{ErrorCode::conflict, "Found multiple kustomization file: [" + join(found, " ") + "]"};
  if (is_directory(found[0])) return Error{ErrorCode::bad_request, found[0] + " should be a file"};
  return found[0];
}

Result<void> edit_kustomization(const std::function<Result<void>(Value& fields)>& change, Unchanged unchanged) {
  const std::string file = TRY(kustomization_file());
  const std::string before = TRY(read_file(file));
  render::EditableKustomization kustomization = TRY(render::EditableKustomization::parse(before, file));
  const Value fields = kustomization.fields;
  TRY(change(kustomization.fields));
  if (unchanged == Unchanged::left && kustomization.fields == fields) return {};
  const std::string after = kustomization.text();
  if (after == before) return {};
  return write_file(file, after);
}

namespace {

// Sorted. As Go's Glob, "*" also finds names that begin with a dot.
std::vector<std::string> glob_files(const std::string& pattern) {
  std::vector<std::string> out;
  glob_t found{};
  const bool any = ::glob(pattern.c_str(), GLOB_PERIOD, nullptr, &found) == 0;
  const bool literal = pattern.find_first_of("*?[") == std::string::npos;
  for (std::size_t i = 0; any && i < found.gl_pathc; ++i) {
    const std::string path = found.gl_pathv[i], name = path_base(path);
    if (literal || (name != "." && name != "..")) out.push_back(path);
  }
  ::globfree(&found);
  return out;
}

// Whether there is something behind the URL.
Result<void> check_remote(const std::string& url) {
  NetworkFetcher fetcher;
  if (render::is_http_url(url) && fetcher.file(url).ok()) return {};
  const render::RepositoryUrl repository = TRY(render::parse_repository_url(url));
  TRY(fetcher.repository(repository));
  return {};
}

}  // namespace

std::vector<std::string> files_matching(const std::vector<std::string>& patterns) {
  std::vector<std::string> out;
  for (const std::string& pattern : patterns) {
    const std::vector<std::string> files = glob_files(pattern);
    if (files.empty()) edit_note(pattern + " has no match");
    out.insert(out.end(), files.begin(), files.end());
  }
  return out;
}

Result<std::vector<std::string>> resources_matching(const std::vector<std::string>& patterns, bool unchecked) {
  if (unchecked) return patterns;
  std::vector<std::string> out;
  for (const std::string& pattern : patterns) {
    const std::vector<std::string> files = glob_files(pattern);
    out.insert(out.end(), files.begin(), files.end());
    if (!files.empty()) continue;
    if (!render::is_remote(pattern))
      return Error{ErrorCode::not_found, pattern + " has no match: no such file or directory"};
    TRY(check_remote(pattern).in(pattern + " has no match"));
    out.push_back(pattern);
  }
  return out;
}

Result<Value> parse_pairs(const std::vector<std::string>& texts, const std::string& what) {
  Value out = Value::map();
  for (const std::string& text : texts) {
    const std::size_t colon = text.find(':');
    if (colon == 0) {
      return Error{ErrorCode::bad_request,
                   "invalid " + what + ": '" + text + "' (need k:v pair where v may be quoted)"};
    }
    std::string_view value = colon == std::string::npos ? "" : std::string_view(text).substr(colon + 1);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    out.set(text.substr(0, colon), Value(value));
  }
  return out;
}

Result<std::vector<std::string>> parse_build_metadata(const std::vector<std::string>& arguments) {
  if (arguments.empty()) return Error{ErrorCode::bad_request, "must specify a buildMetadata option"};
  if (arguments.size() > 1) {
    return Error{ErrorCode::bad_request, "too many arguments: [" + join(arguments, " ") +
                                             "]; to provide multiple buildMetadata options, please separate options "
                                             "by comma"};
  }
  std::vector<std::string> out;
  for (const std::string_view option : split(arguments[0], ',')) {
    if (option != "originAnnotations" && option != "transformerAnnotations" && option != "managedByLabel")
      return Error{ErrorCode::bad_request, "invalid buildMetadata option: " + std::string(option)};
    out.emplace_back(option);
  }
  return out;
}

Value patch_of(const Flags& flags) {
  static constexpr std::pair<const char*, const char*> kTarget[] = {{"group", "group"},
                                                                    {"version", "version"},
                                                                    {"kind", "kind"},
                                                                    {"name", "name"},
                                                                    {"namespace", "namespace"},
                                                                    {"annotation-selector", "annotationSelector"},
                                                                    {"label-selector", "labelSelector"}};
  Value patch = Value::map();
  for (const char* field : {"path", "patch"}) {
    if (!flags.text(field).empty()) patch.set(field, Value(flags.text(field)));
  }
  for (const auto& [flag, field] : kTarget) {
    if (!flags.text(flag).empty()) patch.edit("target").set(field, Value(flags.text(flag)));
  }
  return patch;
}

bool list_contains(const Value& list, std::string_view text) {
  const auto items = list.items();
  return std::any_of(items.begin(), items.end(), [&](const Value& item) { return item.as_string() == text; });
}

bool same_namespace(std::string_view a, std::string_view b) {
  return (a.empty() ? "default" : a) == (b.empty() ? "default" : b);
}

void edit_note(const std::string& text) {
  std::fprintf(stderr, "%s\n", text.c_str());
}

}  // namespace caisson::cli
