// SPDX-License-Identifier: Apache-2.0
#include "main/cli/kubectl/explain.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include "core/base/text.h"

namespace caisson::cli::kubectl {
namespace {

constexpr std::size_t kWidth = 76, kEnumShown = 4;
constexpr int kReferencesMax = 16;

std::string_view referenced(const Value& schema) {
  const std::string_view text = schema["$ref"].as_string();
  return text.substr(text.rfind('/') + 1);
}

// Breaks lines at blanks so that none is longer than `kWidth`, where a word lets it.
std::string wrapped_text(std::string_view text) {
  std::string out;
  for (std::string_view line : split(text, '\n')) {
    std::string row, gap;
    for (std::size_t at = 0; at < line.size();) {
      const std::size_t blank = std::min(line.find_first_not_of(' ', at), line.size());
      gap.append(line.substr(at, blank - at));
      const std::size_t end = std::min(line.find(' ', blank), line.size());
      const std::string_view word = line.substr(blank, end - blank);
      if (!row.empty() && row.size() + gap.size() + word.size() > kWidth) {
        out += "    " + row + "\n";
        row.clear();
      } else {
        row += gap;
      }
      gap.clear();
      row += word;
      at = end;
    }
    out += "    " + row + "\n";
  }
  return out;
}

class Explainer {
 public:
  explicit Explainer(const Value& schemas) : schemas_(schemas) {}

  // The schema with the fields: behind references, items of lists and values of maps. Null: it has none.
  const Value& with_fields(const Value& given) const {
    const Value* schema = &given;
    for (int i = 0; i < kReferencesMax && (*schema)["properties"].is_null(); ++i) {
      if (const Value& below = one_below(*schema); !below.is_null())
        schema = &below;
      else
        break;
    }
    return *schema;
  }

  // "<[]Container>"; a reference is named after its type unless that is a scalar.
  std::string type(const Value& schema) const {
    if (schema["items"].is_map()) return "[]" + type(schema["items"]);
    if (schema["additionalProperties"].is_map()) return "map[string]" + type(schema["additionalProperties"]);
    if (schema["allOf"].size() == 1 && schema["properties"].is_null()) return type(schema["allOf"][0]);
    if (const std::string_view name = referenced(schema); !name.empty()) {
      const std::string_view scalar = schemas_[name]["type"].as_string();
      return std::string(scalar.empty() || scalar == "object" ? name.substr(name.rfind('.') + 1) : scalar);
    }
    const std::string_view name = schema["type"].as_string();
    return name.empty() || name == "object" ? "Object" : std::string(name);
  }

  // A field's own description first, then that of its type.
  std::string description(const Value& schema, int depth = 0) const {
    std::string out;
    if (const std::string_view own = schema["description"].as_string(); !own.empty()) out += wrapped_text(own);
    const Value& below = one_below(schema);
    if (!below.is_null() && depth < kReferencesMax) out += description(below, depth + 1);
    return out;
  }

  std::string fields(const Value& schema, bool recursive) const {
    std::set<std::string_view> seen;
    std::string out;
    list(schema, recursive, 2, seen, out);
    return out;
  }

 private:
  const Value& one_below(const Value& schema) const {
    static const Value kNone;
    if (const std::string_view name = referenced(schema); !name.empty()) return schemas_[name];
    if (schema["allOf"].size() == 1) return schema["allOf"][0];
    if (schema["items"].is_map()) return schema["items"];
    return schema["additionalProperties"].is_map() ? schema["additionalProperties"] : kNone;
  }

  void list(const Value& given, bool recursive, int indent, std::set<std::string_view>& seen, std::string& out) const {
    std::string_view name;  // of the type, so that one that holds itself ends
    const Value* schema = &given;
    for (int i = 0; i < kReferencesMax && (*schema)["properties"].is_null() && !one_below(*schema).is_null(); ++i) {
      if (!referenced(*schema).empty()) name = referenced(*schema);
      schema = &one_below(*schema);
    }
    if (!name.empty() && !seen.insert(name).second) return;
    std::vector<std::string_view> names;
    for (const auto& [member, property] : (*schema)["properties"].entries()) names.push_back(member);
    std::sort(names.begin(), names.end());
    for (const std::string_view member : names) {
      const Value& property = (*schema)["properties"][member];
      out += std::string(static_cast<std::size_t>(indent), ' ') + std::string(member) + "\t<" + type(property) + ">";
      const auto required = (*schema)["required"].items();
      if (std::find(required.begin(), required.end(), Value(member)) != required.end()) out += " -required-";
      out += "\n" + allowed(property, indent);
      if (recursive)
        list(property, true, indent + 2, seen, out);
      else
        out += (property["description"].as_string().empty() ? "    <no description>\n"
                                                            : wrapped_text(property["description"].as_string())) +
               "\n";
    }
    if (!name.empty()) seen.erase(name);
  }

  static std::string allowed(const Value& property, int indent) {
    const Value& values = property["enum"];
    if (values.empty()) return "";
    std::vector<std::string> shown;
    for (std::size_t i = 0; i < std::min(values.size(), kEnumShown); ++i) shown.push_back(values[i].scalar_text());
    if (values.size() > kEnumShown) shown.emplace_back("....");
    return std::string(static_cast<std::size_t>(indent), ' ') + "enum: " + join(shown, ", ") + "\n";
  }

  const Value& schemas_;
};

const Value& schema_of_kind(const Value& schemas, const kube::Resource& kind) {
  static const Value kNone;
  for (const auto& [name, candidate] : schemas.entries())
    for (const Value& of : candidate["x-kubernetes-group-version-kind"].items())
      if (of["kind"].as_string() == kind.kind && of["group"].as_string() == kind.group &&
          of["version"].as_string() == kind.version)
        return candidate;
  return kNone;
}

// "pod.spec.containers" without its first part. Errors: kubectl's.
Result<std::vector<std::string>> field_path(std::string_view argument) {
  std::vector<std::string> out;
  for (std::string_view part : split(argument, '.')) {
    if (part.empty()) return usage("invalid jsonpath syntax, first node must be field node");
    out.emplace_back(part);
  }
  if (!out.empty()) out.erase(out.begin());
  return out;
}

kube::Resource in_version(kube::Resource resource, const std::string& api_version) {
  if (api_version.empty()) return resource;
  const std::size_t slash = api_version.find('/');
  resource.group = slash == std::string::npos ? "" : api_version.substr(0, slash);
  resource.version = slash == std::string::npos ? api_version : api_version.substr(slash + 1);
  return resource;
}

}  // namespace

std::string explained_kind(const kube::Resource& kind) {
  return (kind.group.empty() ? "" : "GROUP:      " + kind.group + "\n") + "KIND:       " + kind.kind +
         "\nVERSION:    " + kind.version + "\n\n";
}

Result<std::string> explained(const Value& document, const kube::Resource& kind, const std::vector<std::string>& path,
                              bool recursive) {
  const Value& schemas = document["components"]["schemas"];
  const Explainer explainer(schemas);
  const Value* schema = &schema_of_kind(schemas, kind);
  if (schema->is_null())
    return usage("GVR (" + kind.group + "/" + kind.version + ", Resource=" + kind.plural +
                 ") not found in OpenAPI schema");
  std::string out;
  for (const std::string& name : path) {
    schema = explainer.with_fields(*schema)["properties"].find(name);
    if (schema == nullptr) return usage("field \"" + name + "\" does not exist");
  }
  if (!path.empty()) {
    out += "FIELD: " + path.back() + " <" + explainer.type(*schema) + ">\n";
    if (!(*schema)["enum"].empty()) out += "ENUM:\n";
    for (const Value& value : (*schema)["enum"].items()) out += "    " + value.scalar_text() + "\n";
    out += (*schema)["enum"].empty() ? "\n\n" : "\n";
  }
  const std::string description = explainer.description(*schema);
  out += "DESCRIPTION:\n" + (description.empty() ? "    <empty>\n" : description + "    \n");
  if (const std::string fields = explainer.fields(*schema, recursive); !fields.empty()) out += "FIELDS:\n" + fields;
  return out + "\n";
}

Result<int> run_explain(Call& call) {
  if (call.arguments.size() != 1)
    return usage(call.arguments.empty() ? "You must specify the type of resource to explain. Use \"caisson "
                                          "api-resources\" for a complete list of supported resources."
                                        : "We accept only this format: explain RESOURCE");
  if (const std::string format = call.text("output", "plaintext"); format != "plaintext")
    return usage("unrecognized format: " + format);
  const std::vector<std::string> path = TRY(field_path(call.arguments[0]));
  const std::string word = call.arguments[0].substr(0, call.arguments[0].find('.'));
  const kube::Resource known = TRY(resource_of(call, word));
  const kube::Resource resource = in_version(known, call.text("api-version"));
  const auto document =
      get(call, "/openapi/v3/" + std::string(resource.group.empty() ? "api/" : "apis/") + resource.api_version());
  if (!document.ok() && document.error().code == ErrorCode::not_found)
    return usage("couldn't find resource for \"" + resource.api_version() + ", Resource=" + resource.plural + "\"");
  if (!document.ok()) return document.error();
  std::fputs(explained_kind(resource).c_str(), stdout);
  const std::string text = TRY(explained(*document, resource, path, call.is_set("recursive")));
  std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace caisson::cli::kubectl
