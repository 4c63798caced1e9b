// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/set_template.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/patch.h"
#include "core/document/yaml.h"
#include "core/expr/go_template/datum.h"
#include "core/expr/go_template/execution.h"

namespace caisson::gitops {
namespace {

using go_template::Call;
using go_template::Datum;

constexpr std::uint64_t kStepsMax = 200'000;
constexpr std::size_t kOutputBytesMax = 1u << 20;

bool plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

Result<Datum> call_normalize(Call& call) {
  return Datum(normalized(call.text(0)));
}

// slugify [max length [smart [text]]]: cut at whole words where smart.
std::string slug(std::string_view text, std::size_t length_max, bool smart) {
  std::string out;
  for (char c : to_lower(text)) {
    if (plain(c))
      out += c;
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  if (out.size() > length_max) {
    const bool inside_word = smart && out[length_max] != '-';
    out.resize(length_max);
    const std::size_t dash = out.rfind('-');
    if (inside_word && dash != std::string::npos) out.resize(dash);
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out;
}

Result<Datum> call_slugify(Call& call) {
  return Datum(slug(call.text(0), 50, false));
}

constexpr go_template::Function kFunctions[] = {
    {"normalize", "s", call_normalize},
    {"slugify", "s", call_slugify},
};

// {{ name }}; spaces inside the braces don't count.
std::string fill_fast(std::string_view text, const Value& parameters) {
  std::string out;
  for (;;) {
    const std::size_t open = text.find("{{");
    const std::size_t close = open == std::string_view::npos ? open : text.find("}}", open);
    if (close == std::string_view::npos) return out + std::string(text);
    const std::string_view key = trim(text.substr(open + 2, close - open - 2));
    out += text.substr(0, open);
    const Value* value = parameters.find(key);
    out += value ? value->scalar_text() : std::string(text.substr(open, close + 2 - open));
    text.remove_prefix(close + 2);
  }
}

void flatten_into(const std::string& prefix, const Value& value, Value& out) {
  const auto under = [&](std::string_view key) {
    return prefix.empty() ? std::string(key) : prefix + "." + std::string(key);
  };
  if (value.is_map()) {
    for (const auto& [key, child] : value.entries()) flatten_into(under(key), child, out);
  } else if (value.is_list()) {
    for (std::size_t i = 0; i < value.size(); ++i) flatten_into(under(std::to_string(i)), value[i], out);
  } else {
    out.set(prefix, value.scalar_text());
  }
}

// What templatePatch may not change.
Value without_identity(Value patch) {
  if (patch["spec"].is_map()) patch.edit("spec").erase("project");
  return patch;
}

}  // namespace

std::string normalized(std::string_view text) {
  std::string out = to_lower(text);
  for (char& c : out) {
    if (!plain(c) && c != '-' && c != '.') c = '-';
  }
  if (out.size() > 253) out.resize(253);
  while (!out.empty() && !plain(out.back())) out.pop_back();
  std::size_t start = 0;
  while (start < out.size() && !plain(out[start])) ++start;
  return out.substr(start);
}

Value flattened(const Value& value) {
  Value out = Value::map();
  for (const auto& [key, child] : value.entries()) flatten_into(std::string(key), child, out);
  return out;
}

Result<TemplateStyle> parse_style(const Value& spec) {
  TemplateStyle out;
  out.go = spec["goTemplate"].as_bool();
  for (const Value& option : spec["goTemplateOptions"].items()) {
    const std::string_view text = option.as_string();
    if (text == "missingkey=error")
      out.missing_key_fails = true;
    else if (text != "missingkey=default" && text != "missingkey=invalid" && text != "missingkey=zero")
      return Error{ErrorCode::invalid, "spec.goTemplateOptions: \"" + option.str() + "\" is no option of Go templates"};
  }
  return out;
}

Result<std::string> fill_text(std::string_view text, const Value& parameters, const TemplateStyle& style) {
  if (text.find("{{") == std::string_view::npos) return std::string(text);
  if (!style.go) return fill_fast(text, parameters);
  go_template::Set set(
      "", {kFunctions, go_template::helm_functions(), go_template::sprig_functions(), go_template::go_functions()});
  TRY(set.parse("", text));
  go_template::Options options;
  options.missing_key = style.missing_key_fails ? go_template::MissingKey::error : go_template::MissingKey::invalid;
  options.limits.steps_max = kStepsMax;
  options.limits.output_bytes_max = kOutputBytesMax;
  go_template::Execution execution(set, options);
  return execution.run("", Datum::from(parameters));
}

Result<Value> fill(const Value& tree, const Value& parameters, const TemplateStyle& style) {
  if (tree.is_string()) return Value(TRY(fill_text(tree.as_string(), parameters, style)));
  if (tree.is_list()) {
    Value out = Value::list();
    for (const Value& item : tree.items()) out.push_back(TRY(fill(item, parameters, style)));
    return out;
  }
  if (!tree.is_map()) return tree;
  Value out = Value::map();
  for (const auto& [key, value] : tree.entries()) {
    const std::string name = TRY(fill_text(key, parameters, style));
    out.set(name, TRY(fill(value, parameters, style)));
  }
  return out;
}

Result<Value> application_from(const Value& spec, const Value& generator_template, const Value& parameters,
                               const TemplateStyle& style) {
  Value made = spec["template"];
  if (generator_template.is_map()) made = document::merge_patch(made, generator_template);
  made = TRY(fill(made, parameters, style));
  if (const std::string_view text = spec["templatePatch"].as_string(); !text.empty()) {
    const std::string filled = TRY(fill_text(text, parameters, style));
    const Value patch = TRY(yaml::read(filled, {.name = "templatePatch"}));
    if (!patch.is_null() && !patch.is_map()) return Error{ErrorCode::invalid, "spec.templatePatch: gives no object"};
    if (patch.is_map()) made = document::merge_patch(made, without_identity(patch));
  }
  made.set("apiVersion", "argoproj.io/v1alpha1");
  made.set("kind", "Application");
  return made;
}

}  // namespace caisson::gitops
