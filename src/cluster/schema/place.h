// SPDX-License-Identifier: Apache-2.0
// Place: where in an object a walk is; text ("spec.containers[0].image") only when somebody asks, which is when there is
// something to say. A place lives on the walk's stack, below those it leads through. Internal to the room.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace caisson::schema {

class Place {
 public:
  Place() = default;  // the object itself
  static Place member(const Place& up, std::string_view name) { return Place(&up, Kind::member, name, 0); }
  static Place key(const Place& up, std::string_view name) { return Place(&up, Kind::key, name, 0); }  // of a map: [name]
  static Place item(const Place& up, std::size_t index) { return Place(&up, Kind::item, {}, index); }

  bool is_root() const { return kind_ == Kind::root; }
  std::string str() const {
    std::string out;
    append(out);
    return out;
  }

 private:
  enum class Kind { root, member, key, item };
  Place(const Place* up, Kind kind, std::string_view name, std::size_t index)
      : up_(up), kind_(kind), name_(name), index_(index) {}

  void append(std::string& out) const {
    if (up_) up_->append(out);
    if (kind_ == Kind::member) {
      if (!out.empty()) out += '.';
      out += name_;
    } else if (kind_ == Kind::key) {
      out.append("[").append(name_).append("]");
    } else if (kind_ == Kind::item) {
      out.append("[").append(std::to_string(index_)).append("]");
    }
  }

  const Place* up_ = nullptr;
  Kind kind_ = Kind::root;
  std::string_view name_;
  std::size_t index_ = 0;
};

}  // namespace caisson::schema
