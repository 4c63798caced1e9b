// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/model/labels.h"

#include <algorithm>
#include <cstring>

#include "observe/metrics/model/characters.h"
#include "observe/metrics/model/format.h"
#include "observe/metrics/model/xxh64.h"

namespace caisson::metrics {
namespace {

// Length, then bytes: one byte of length below 255, else 255 and three bytes.
void append_sized(std::string& out, std::string_view text) {
  text = text.substr(0, Labels::kTextBytesMax);
  if (text.size() < 255) {
    out += static_cast<char>(text.size());
  } else {
    out += static_cast<char>(255);
    for (int shift = 0; shift < 24; shift += 8) out += static_cast<char>(text.size() >> shift & 0xFF);
  }
  out += text;
}

void append_label(std::string& out, LabelView label) {
  append_sized(out, label.name);
  append_sized(out, label.value);
}

// REQUIRES: what append_sized wrote lies there.
std::string_view sized_at(const char* at) {
  const auto byte = [&](int i) { return static_cast<std::size_t>(static_cast<unsigned char>(at[i])); };
  if (byte(0) < 255) return {at + 1, byte(0)};
  return {at + 4, byte(1) | byte(2) << 8 | byte(3) << 16};
}

// Whether a text with its length begins `rest`; takes it away.
bool take_sized(std::string_view& rest) {
  if (rest.empty() || (rest[0] == '\xFF' && rest.size() < 4)) return false;
  const std::string_view text = sized_at(rest.data());
  const auto before = static_cast<std::size_t>(text.data() - rest.data());
  if (text.size() > rest.size() - before) return false;
  rest.remove_prefix(before + text.size());
  return true;
}

bool contains(std::span<const std::string> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Bytes of the labels that are kept; `count` is how many.
template <class Keep>
std::string filtered(const Labels& labels, std::size_t& count, Keep keep) {
  std::string bytes;
  for (const LabelView label : labels.items()) {
    if (!keep(label.name)) continue;
    append_label(bytes, label);
    ++count;
  }
  return bytes;
}

}  // namespace

LabelView LabelRange::Iterator::operator*() const {
  const std::string_view name = sized_at(at_);
  return {name, sized_at(name.data() + name.size())};
}

LabelRange::Iterator& LabelRange::Iterator::operator++() {
  const std::string_view value = (**this).value;
  at_ = value.data() + value.size();
  return *this;
}

Labels Labels::of_bytes(std::string_view bytes, std::size_t count) {
  Labels result;
  if (bytes.empty()) return result;
  const std::size_t words = (bytes.size() + sizeof(std::uint64_t) - 1) / sizeof(std::uint64_t);
  const auto data = std::make_shared_for_overwrite<std::uint64_t[]>(kHeadWords + words);
  data[0] = xxh64(bytes);
  data[1] = static_cast<std::uint64_t>(count) << 32 | bytes.size();
  std::memcpy(data.get() + kHeadWords, bytes.data(), bytes.size());
  result.data_ = data;
  return result;
}

Labels Labels::from_views(std::span<LabelView> labels) {
  const auto before = [](const LabelView& a, const LabelView& b) { return a.name < b.name; };
  if (!std::is_sorted(labels.begin(), labels.end(), before)) std::stable_sort(labels.begin(), labels.end(), before);
  std::string bytes;
  std::size_t count = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const bool is_last = i + 1 == labels.size() || labels[i + 1].name != labels[i].name;
    if (!is_last || labels[i].value.empty()) continue;
    append_label(bytes, labels[i]);
    ++count;
  }
  return of_bytes(bytes, count);
}

Labels Labels::from(std::vector<Label> labels) {
  std::vector<LabelView> views;
  views.reserve(labels.size());
  for (const Label& label : labels) views.push_back({label.name, label.value});
  return from_views(views);
}

Result<Labels> Labels::from_bytes(std::string_view bytes) {
  std::size_t count = 0;
  for (std::string_view rest = bytes; !rest.empty(); ++count)
    if (!take_sized(rest) || !take_sized(rest)) return Error{ErrorCode::invalid, "a label set is damaged"};
  return of_bytes(bytes, count);
}

std::string_view Labels::bytes() const {
  if (!data_) return {};
  return {reinterpret_cast<const char*>(data_.get() + kHeadWords), data_[1] & 0xFFFF'FFFF};
}

LabelRange Labels::items() const {
  return {bytes(), data_ ? data_[1] >> 32 : 0};
}

std::string_view Labels::get(std::string_view name) const {
  for (const LabelView label : items())
    if (label.name == name) return label.value;
  return {};
}

std::string Labels::str() const {
  std::string out = "{";
  for (const LabelView label : items()) {
    if (out.size() > 1) out += ", ";
    if (is_plain_label_name(label.name))
      out += label.name;
    else
      out += quote(label.name);
    out += '=';
    out += quote(label.value);
  }
  return out + "}";
}

Labels Labels::keep(std::span<const std::string> names) const {
  std::size_t count = 0;
  const std::string bytes = filtered(*this, count, [&](std::string_view name) { return contains(names, name); });
  return of_bytes(bytes, count);
}

Labels Labels::drop(std::span<const std::string> names) const {
  std::size_t count = 0;
  const std::string bytes = filtered(*this, count, [&](std::string_view name) { return !contains(names, name); });
  return count == items().size() ? *this : of_bytes(bytes, count);
}

Labels Labels::drop_metadata() const {
  std::size_t count = 0;
  const std::string bytes = filtered(*this, count, [](std::string_view name) { return !is_metadata_label(name); });
  return count == items().size() ? *this : of_bytes(bytes, count);
}

std::string Labels::key_of(std::span<const std::string> names) const {
  std::size_t count = 0;
  return filtered(*this, count, [&](std::string_view name) { return contains(names, name); });
}

std::string Labels::key_without(std::span<const std::string> names) const {
  std::size_t count = 0;
  return filtered(*this, count, [&](std::string_view name) { return !contains(names, name); });
}

bool Labels::operator==(const Labels& other) const {
  return data_ == other.data_ || (hash() == other.hash() && bytes() == other.bytes());
}

std::strong_ordering Labels::operator<=>(const Labels& other) const {
  if (data_ == other.data_) return std::strong_ordering::equal;
  const LabelRange a = items(), b = other.items();
  auto x = a.begin();
  auto y = b.begin();
  for (; x != a.end() && y != b.end(); ++x, ++y)
    if (const auto order = *x <=> *y; order != 0) return order;
  return x != a.end()   ? std::strong_ordering::greater
         : y != b.end() ? std::strong_ordering::less
                        : std::strong_ordering::equal;
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
  if (name.empty() || is_digit(name[0])) return false;
  return std::all_of(name.begin(), name.end(), [](char c) { return is_letter(c) || is_digit(c); });
}

bool is_metadata_label(std::string_view name) {
  return name == kMetricName || name == "__type__" || name == "__unit__";
}

}  // namespace caisson::metrics
