// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/scrape/relabel.h"

#include <openssl/evp.h>

#include <algorithm>

#include "core/base/text.h"
#include "observe/metrics/model/format.h"

namespace caisson::metrics {
namespace {

constexpr std::string_view kActions[] = {"replace",  "keep",      "drop",      "keepequal", "dropequal", "hashmod",
                                         "labelmap", "labeldrop", "labelkeep", "lowercase", "uppercase"};

bool needs_target(RelabelAction action) {
  return action == RelabelAction::replace || action == RelabelAction::hash_mod || action == RelabelAction::keep_equal ||
         action == RelabelAction::drop_equal || action == RelabelAction::lowercase ||
         action == RelabelAction::uppercase;
}

Result<void> check_rule(const RelabelRule& rule) {
  const std::string name(kActions[static_cast<int>(rule.action)]);
  const auto bad = [&](const std::string& what) {
    return Error{ErrorCode::bad_request, "relabel configuration for " + name + " action " + what};
  };
  if (needs_target(rule.action) && rule.target_label.empty()) return bad("requires 'target_label' value");
  if (rule.action == RelabelAction::hash_mod && rule.modulus == 0) return bad("requires non-zero modulus");
  if ((rule.action == RelabelAction::label_drop || rule.action == RelabelAction::label_keep) &&
      (!rule.source_labels.empty() || !rule.target_label.empty() || rule.modulus != 0))
    return bad("requires only 'regex', and no other fields");
  return {};
}

// The last eight bytes of the MD5 sum, as the reference shards by it.
std::uint64_t md5_tail(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_md5(), nullptr) != 1 || size != 16) return 0;
  std::uint64_t value = 0;
  for (int i = 8; i < 16; ++i) value = value << 8 | digest[i];
  return value;
}

std::string to_upper(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

// False: the set is dropped.
bool apply_rule(const RelabelRule& rule, const Regex& regex, LabelsBuilder& labels) {
  std::vector<std::string> values;
  for (const std::string& name : rule.source_labels) values.emplace_back(labels.get(name));
  const std::string source = join(values, rule.separator);
  switch (rule.action) {
    case RelabelAction::keep:
      return regex.matches(source);
    case RelabelAction::drop:
      return !regex.matches(source);
    case RelabelAction::keep_equal:
      return labels.get(rule.target_label) == source;
    case RelabelAction::drop_equal:
      return labels.get(rule.target_label) != source;
    case RelabelAction::replace: {
      std::string target, value;
      if (!regex.expand(source, rule.target_label, target) || target.empty() || !is_valid_utf8(target)) return true;
      if (regex.expand(source, rule.replacement, value)) labels.set(target, value);
      return true;
    }
    case RelabelAction::lowercase:
      labels.set(rule.target_label, to_lower(source));
      return true;
    case RelabelAction::uppercase:
      labels.set(rule.target_label, to_upper(source));
      return true;
    case RelabelAction::hash_mod:
      labels.set(rule.target_label, std::to_string(md5_tail(source) % rule.modulus));
      return true;
    case RelabelAction::label_map: {
      const std::vector<Label> before = labels.items();
      for (const Label& label : before) {
        std::string name;
        if (regex.expand(label.name, rule.replacement, name) && !name.empty()) labels.set(name, label.value);
      }
      return true;
    }
    case RelabelAction::label_drop:
    case RelabelAction::label_keep: {
      const std::vector<Label> before = labels.items();
      for (const Label& label : before)
        if (regex.matches(label.name) == (rule.action == RelabelAction::label_drop)) labels.remove(label.name);
      return true;
    }
  }
  return true;
}

}  // namespace

Result<RelabelAction> relabel_action(std::string_view name) {
  const auto found = std::find(std::begin(kActions), std::end(kActions), to_lower(name));
  if (found == std::end(kActions)) return Error{ErrorCode::bad_request, "unknown relabel action " + quote(name)};
  return static_cast<RelabelAction>(found - std::begin(kActions));
}

Result<Relabeling> Relabeling::compile(const std::vector<RelabelRule>& rules) {
  Relabeling out;
  for (const RelabelRule& rule : rules) {
    TRY(check_rule(rule));
    auto regex = TRY(Regex::compile(rule.regex));
    out.steps_.push_back({rule, std::move(regex)});
  }
  return out;
}

std::optional<Labels> Relabeling::apply(const Labels& labels) const {
  LabelsBuilder builder(labels);
  for (const Step& step : steps_)
    if (!apply_rule(step.rule, step.regex, builder)) return std::nullopt;
  return builder.labels();
}

}  // namespace caisson::metrics
