// SPDX-License-Identifier: Apache-2.0
// The settings of one channel, with their templates expanded. Internal to the room. Borrows what it is made of.
#pragma once
#include "core/base/file.h"
#include "core/base/text.h"
#include "observe/alerts/notify.h"

namespace caisson::alerts {

class Settings {
 public:
  Settings(const Integration& i, const Notification& n, const std::vector<std::string>& templates)
      : i_(i), n_(n), templates_(templates) {}

  Result<std::string> text(const char* key, std::string_view otherwise = "") const {
    return expand_value(i_.settings[key], key, otherwise);
  }
  Result<std::string> expand_value(const Value& value, const char* key, std::string_view otherwise = "") const {
    return expand(value.is_null() ? std::string(otherwise) : value.scalar_text(), n_, templates_)
        .in(i_.id + ": " + key);
  }
  // A URL, itself or in a file.
  Result<std::string> url(const char* key) const {
    const std::string file = i_.settings[std::string(key) + "_file"].str();
    if (!file.empty()) return std::string(trim(TRY(read_file(file, 4096).in(i_.id))));
    const std::string text = TRY(this->text(key));
    if (text.empty()) return Error{ErrorCode::bad_request, i_.id + ": " + key + " is missing"};
    return text;
  }
  const Value& operator[](const char* key) const { return i_.settings[key]; }
  bool firing() const { return n_.firing(); }

 private:
  const Integration& i_;
  const Notification& n_;
  const std::vector<std::string>& templates_;
};

}  // namespace caisson::alerts
