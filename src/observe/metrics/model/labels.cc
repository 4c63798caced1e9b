// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/model/labels.h"

#include <algorithm>

#include "observe/metrics/model/format.h"
#include "observe/metrics/model/xxh64.h"

namespace caisson::metrics {
namespace {

// Length, then bytes: one byte of length below 255, else 255 and three bytes.
void append_sized(std::string& out, std::string_view text) {
  if (text.size() < 255) {
    out += static_cast<char>(text.size());
  } else {
    out += static_cast<char>(255);
    for (int shift = 0; shift < 24; shift += 8) out += static_cast<char>(text.size() >> shift & 0xFF);
  }
  out += text;
}

void append_label(std::string& out, const Label& label) {
  append_sized(out, label.name);
  append_sized(out, label.value);
}

bool contains(std::span<const std::string> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

template <class Keep>
Labels filtered(const std::vector<Label>& items, Keep keep) {
  std::vector<Label> kept;
  for (const Label& label : items)
    if (keep(label.name)) kept.push_back(label);
  return Labels::from(std::move(kept));
}

}  // namespace

Labels Labels::from(std::vector<Label> labels) {
  std::stable_sort(labels.begin(), labels.end(), [](const Label& a, const Label& b) { return a.name < b.name; });
  std::vector<Label> unique;
  unique.reserve(labels.size());
  for (Label& label : labels) {
    if (!unique.empty() && unique.back().name == label.name)
      unique.back() = std::move(label);
    else
      unique.push_back(std::move(label));
  }
  std::erase_if(unique, [](const Label& label) { return label.value.empty(); });
  Labels result;
  if (unique.empty()) return result;
  std::string bytes;
  for (const Label& label : unique) append_label(bytes, label);
  result.data_ = std::make_shared<const Data>(Data{std::move(unique), xxh64(bytes)});
  return result;
}

const std::vector<Label>& Labels::items() const {
  static const std::vector<Label> none;
  return data_ ? data_->items : none;
}

std::string_view Labels::get(std::string_view name) const {
  for (const Label& label : items())
    if (label.name == name) return label.value;
  return {};
}

std::string Labels::str() const {
  std::string out = "{";
  for (const Label& label : items()) {
    if (out.size() > 1) out += ", ";
    out += is_plain_label_name(label.name) ? label.name : quote(label.name);
    out += '=';
    out += quote(label.value);
  }
  return out + "}";
}

Labels Labels::keep(std::span<const std::string> names) const {
  return filtered(items(), [&](const std::string& name) { return contains(names, name); });
}

Labels Labels::drop(std::span<const std::string> names) const {
  return filtered(items(), [&](const std::string& name) { return !contains(names, name); });
}

Labels Labels::drop_metadata() const {
  const auto& all = items();
  if (std::none_of(all.begin(), all.end(), [](const Label& label) { return is_metadata_label(label.name); }))
    return *this;
  return filtered(all, [](const std::string& name) { return !is_metadata_label(name); });
}

std::string Labels::key_of(std::span<const std::string> names) const {
  std::string key;
  for (const Label& label : items())
    if (contains(names, label.name)) append_label(key, label);
  return key;
}

std::string Labels::key_without(std::span<const std::string> names) const {
  std::string key;
  for (const Label& label : items())
    if (!contains(names, label.name)) append_label(key, label);
  return key;
}

bool Labels::operator==(const Labels& other) const {
  return data_ == other.data_ || (hash() == other.hash() && items() == other.items());
}

std::strong_ordering Labels::operator<=>(const Labels& other) const {
  if (data_ == other.data_) return std::strong_ordering::equal;
  const auto& a = items();
  const auto& b = other.items();
  return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end());
}

std::string_view LabelsBuilder::get(std::string_view name) const {
  for (const Label& label : items_)
    if (label.name == name) return label.value;
  return {};
}

void LabelsBuilder::set(std::string_view name, std::string_view value) {
  const auto at = std::find_if(items_.begin(), items_.end(), [&](const Label& label) { return label.name == name; });
  if (value.empty()) {
    if (at != items_.end()) items_.erase(at);
  } else if (at != items_.end()) {
    at->value = value;
  } else {
    items_.push_back({std::string(name), std::string(value)});
  }
}

bool is_plain_label_name(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

bool is_metadata_label(std::string_view name) {
  return name == kMetricName || name == "__type__" || name == "__unit__";
}

}  // namespace caisson::metrics
