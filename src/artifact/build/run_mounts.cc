// SPDX-License-Identifier: Apache-2.0
#include "artifact/build/run_mounts.h"

#include <vector>

#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::build {
namespace {

Error invalid(std::string what) {
  return Error{ErrorCode::invalid, std::move(what)};
}

// Comma-separated, with "…" around fields that hold commas.
std::vector<std::string> fields_of(std::string_view text) {
  std::vector<std::string> out{""};
  bool quoted = false;
  for (const char c : text) {
    if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      out.emplace_back();
    else
      out.back() += c;
  }
  return out;
}

Result<bool> flag_value(const std::string& key, bool has_value, const std::string& value) {
  if (!has_value || value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  return invalid("invalid value for " + key + ": " + value);
}

Result<unsigned> number(const std::string& key, const std::string& value, int base) {
  unsigned out = 0;
  if (value.empty() || value.size() > 10) return invalid("invalid value " + value + " for " + key);
  for (const char c : value) {
    if (c < '0' || c >= '0' + base) return invalid("invalid value " + value + " for " + key);
    out = out * static_cast<unsigned>(base) + static_cast<unsigned>(c - '0');
  }
  return out;
}

Result<std::uint64_t> size_of(const std::string& value) {  // "10m", "1g", bytes
  std::string_view digits = value;
  std::uint64_t unit = 1;
  if (digits.ends_with('b') || digits.ends_with('B')) digits.remove_suffix(1);
  if (!digits.empty()) {
    const char last = static_cast<char>(digits.back() | 0x20);
    unit = last == 'k' ? 1u << 10 : last == 'm' ? 1u << 20 : last == 'g' ? 1u << 30 : 1;
    if (unit != 1) digits.remove_suffix(1);
  }
  const std::optional<std::int64_t> n = parse_int(digits);
  if (!n || *n <= 0) return invalid("invalid value for size: " + value);
  return static_cast<std::uint64_t>(*n) * unit;
}

Result<void> set_type(RunMount& mount, const std::string& value) {
  using Type = RunMount::Type;
  if (value == "bind")
    mount.type = Type::bind;
  else if (value == "cache")
    mount.type = Type::cache;
  else if (value == "tmpfs")
    mount.type = Type::tmpfs;
  else if (value == "secret")
    mount.type = Type::secret;
  else if (value == "ssh")
    mount.type = Type::ssh;
  else
    return invalid("unsupported mount type \"" + value + "\"");
  return {};
}

Result<void> set_field(RunMount& mount, const std::string& key, bool has_value, const std::string& value,
                       const std::string& field) {
  if (key == "readonly" || key == "ro")
    mount.read_only = TRY(flag_value(key, has_value, value));
  else if (key == "readwrite" || key == "rw")
    mount.read_write = TRY(flag_value(key, has_value, value));
  else if (key == "required")
    mount.required = TRY(flag_value(key, has_value, value));
  else if (!has_value)
    return invalid("invalid field '" + field + "' must be a key=value pair");
  else if (key == "type")
    return set_type(mount, value);
  else if (key == "from")
    mount.from = value;
  else if (key == "source" || key == "src")
    mount.source = value;
  else if (key == "target" || key == "dst" || key == "destination") {
    mount.target = value;
    mount.has_target = true;
  } else if (key == "id")
    mount.id = value;
  else if (key == "env")
    mount.env = value;
  else if (key == "sharing") {
    if (value != "shared" && value != "private" && value != "locked")
      return invalid("unsupported sharing value \"" + value + "\"");
    mount.sharing = value;
  } else if (key == "mode")
    mount.mode = TRY(number(key, value, 8));
  else if (key == "uid")
    mount.uid = TRY(number(key, value, 10));
  else if (key == "gid")
    mount.gid = TRY(number(key, value, 10));
  else if (key == "size")
    mount.size_bytes = TRY(size_of(value));
  else
    return invalid("unexpected key '" + key + "' in '" + field + "'");
  return {};
}

}  // namespace

Result<RunMount> parse_run_mount(std::string_view text, const Variables& variables) {
  RunMount out;
  for (const std::string& field : fields_of(text)) {
    const std::size_t equals = field.find('=');
    const std::string key = to_lower(field.substr(0, equals));
    std::string value;
    if (equals != std::string::npos) value = TRY(expand(field.substr(equals + 1), variables));
    TRY(set_field(out, key, equals != std::string::npos, value, field));
  }
  const bool needs_target =
      out.type == RunMount::Type::bind || out.type == RunMount::Type::cache || out.type == RunMount::Type::tmpfs;
  if (needs_target && path_clean("/" + out.target) == "/") return invalid("invalid mount target \"/\"");
  if (out.type == RunMount::Type::secret) {
    if (out.id.empty() && out.has_target) out.id = path_base(out.target);
    if (out.id.empty() && !out.env.empty()) out.id = out.env;
    if (out.id.empty()) return invalid("invalid secret mount: one of source, target required");
    if (!out.has_target && out.env.empty()) out.target = "/run/secrets/" + out.id;
  }
  return out;
}

}  // namespace caisson::build
