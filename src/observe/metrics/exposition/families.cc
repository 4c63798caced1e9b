// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/exposition/families.h"

#include "core/base/text.h"
#include "observe/metrics/model/format.h"

namespace caisson::metrics {
namespace {

void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else if (c == '"' && quotes)
      out += "\\\"";
    else
      out += c;
  }
}

void append_sample(std::string& out, const ExposedSample& sample, std::string_view always) {
  out += sample.labels.get(kMetricName);
  bool first = true;
  for (const LabelView label : sample.labels.items()) {
    if (label.name == kMetricName) continue;
    out += first ? '{' : ',';
    first = false;
    if (is_plain_label_name(label.name))
      out += label.name;
    else
      out += quote(label.name);
    out += "=\"";
    append_escaped(out, label.value, true);
    out += '"';
  }
  if (!always.empty() && sample.labels.get(always).empty()) {
    ((out += first ? '{' : ',') += always) += "=\"\"";
    first = false;
  }
  if (!first) out += '}';
  out += ' ';
  out += format_general(sample.v);
  if (sample.t) (out += ' ') += std::to_string(*sample.t);
  out += '\n';
}

// "x_bucket" belongs to the family "x".
bool belongs(std::string_view sample, std::string_view family) {
  if (!sample.starts_with(family)) return false;
  sample.remove_prefix(family.size());
  return sample.empty() || sample == "_bucket" || sample == "_sum" || sample == "_count";
}

}  // namespace

void Families::family(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  out_.metadata.push_back({name_, std::string(type), std::string(help), ""});
}

void Families::add(std::vector<Label> labels, double v) {
  add_part("", std::move(labels), v);
}

void Families::add_part(std::string_view suffix, std::vector<Label> labels, double v) {
  labels.push_back({std::string(kMetricName), name_ + std::string(suffix)});
  out_.samples.push_back({Labels::from(std::move(labels)), v, {}, {}});
}

Exposition joined(Exposition a, Exposition b) {
  a.samples.insert(a.samples.end(), b.samples.begin(), b.samples.end());
  a.metadata.insert(a.metadata.end(), b.metadata.begin(), b.metadata.end());
  return a;
}

std::string write_text(const Exposition& exposition, std::string_view always) {
  std::string out;
  std::size_t family = 0;
  for (const ExposedSample& sample : exposition.samples) {
    const std::string_view name = sample.labels.get(kMetricName);
    while (family < exposition.metadata.size() &&
           (family == 0 || !belongs(name, exposition.metadata[family - 1].name))) {
      const MetricMetadata& meta = exposition.metadata[family++];
      if (!meta.help.empty()) {
        ((out += "# HELP ") += meta.name) += ' ';
        append_escaped(out, meta.help, false);
        out += '\n';
      }
      (((out += "# TYPE ") += meta.name) += ' ') += meta.type + "\n";
    }
    append_sample(out, sample, always);
  }
  return out;
}

}  // namespace caisson::metrics
