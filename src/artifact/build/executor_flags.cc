// SPDX-License-Identifier: Apache-2.0
// kaniko's command line (v1.23, README "Additional Flags"), one table: each flag has its meaning, has nothing to do
// here, or is refused with the reason.
#include <algorithm>
#include <cstdlib>

#include "artifact/build/executor.h"
#include "artifact/content/digest.h"
#include "core/base/text.h"

namespace caisson::build {
namespace {

constexpr std::string_view kPlatformPulls =
    "base images are pulled by the platform: mirrors, TLS settings and logins of registries are the ConfigMap and the "
    "Secret caisson-system/registry-upstreams";
constexpr std::string_view kFolderOnly = "the context is a folder of this pod: let a step before this one fetch it";

Error wrong_value(std::string_view name, std::string_view value, std::string_view want) {
  return Error{ErrorCode::bad_request,
               "--" + std::string(name) + "=" + std::string(value) + ": want " + std::string(want)};
}

Result<bool> bool_of(std::string_view name, std::string_view value) {
  if (value == "true" || value == "1" || value.empty()) return true;
  if (value == "false" || value == "0") return false;
  return wrong_value(name, value, "true or false");
}

// NAME=value; a name alone means the variable of this process.
Result<std::pair<std::string, std::string>> pair_of(std::string_view name, const std::string& value) {
  const std::size_t equals = value.find('=');
  if (equals != std::string::npos) return std::pair(value.substr(0, equals), value.substr(equals + 1));
  const char* inherited = ::getenv(value.c_str());
  if (inherited == nullptr)
    return Error{ErrorCode::bad_request, "--" + std::string(name) + " " + value + ": want NAME=value"};
  return std::pair(value, std::string(inherited));
}

Result<int> count_of(std::string_view name, const std::string& value) {
  const std::optional<std::int64_t> count = parse_int(value);
  if (!count || *count < 0 || *count > 100) return wrong_value(name, value, "a number from 0 to 100");
  return static_cast<int>(*count);
}

Result<void> set_registry_certificate(ExecutorFlags& out, std::string_view name, const std::string& value) {
  const std::size_t equals = value.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == value.size())
    return wrong_value(name, value, "HOST=FILE");
  out.trust.ca_files.emplace_back(value.substr(0, equals), value.substr(equals + 1));
  return {};
}

Result<void> set_client_certificate(ExecutorFlags& out, std::string_view name, const std::string& value) {
  const std::size_t equals = value.find('='), comma = value.find(',', equals == std::string::npos ? 0 : equals);
  if (equals == std::string::npos || equals == 0 || comma == std::string::npos || comma == equals + 1 ||
      comma + 1 == value.size())
    return wrong_value(name, value, "HOST=CERTIFICATE,KEY");
  out.trust.client_certificates.push_back(
      {value.substr(0, equals), value.substr(equals + 1, comma - equals - 1), value.substr(comma + 1)});
  return {};
}

Result<void> set_platform(ExecutorFlags&, std::string_view name, const std::string& value) {
  if (value == "linux/amd64" || value == "linux/x86_64") return {};
  return wrong_value(name, value, "linux/amd64, the one that is built here");
}

Result<void> set_cache_age(ExecutorFlags& out, std::string_view name, const std::string& value) {
  const Result<Duration> age = parse_duration(value);
  if (!age.ok() || *age <= Duration(0)) return wrong_value(name, value, "a time like 336h");
  out.cache_age_max = *age;
  return {};
}

Result<void> ignore_var_run(ExecutorFlags& out, std::string_view name, const std::string& value) {
  if (TRY(bool_of(name, value))) out.ignore_paths.emplace_back("/var/run");
  return {};
}

Result<void> set_reproducible(ExecutorFlags& out, std::string_view name, const std::string& value) {
  out.reproducible = TRY(bool_of(name, value));
  return {};
}

using Set = Result<void> (*)(ExecutorFlags&, std::string_view name, const std::string& value);

template <std::string ExecutorFlags::*Member>
Result<void> set_text(ExecutorFlags& out, std::string_view, const std::string& value) {
  out.*Member = value;
  return {};
}
template <std::vector<std::string> ExecutorFlags::*Member>
Result<void> add_text(ExecutorFlags& out, std::string_view, const std::string& value) {
  (out.*Member).push_back(value);
  return {};
}
template <bool ExecutorFlags::*Member>
Result<void> set_bool(ExecutorFlags& out, std::string_view name, const std::string& value) {
  out.*Member = TRY(bool_of(name, value));
  return {};
}
template <std::vector<std::pair<std::string, std::string>> ExecutorFlags::*Member>
Result<void> add_pair(ExecutorFlags& out, std::string_view name, const std::string& value) {
  (out.*Member).push_back(TRY(pair_of(name, value)));
  return {};
}
template <std::vector<std::string> RegistryTrust::*Member>
Result<void> add_host(ExecutorFlags& out, std::string_view, const std::string& value) {
  (out.trust.*Member).push_back(value);
  return {};
}
template <std::vector<std::string> RegistryTrust::*Member>
Result<void> every_host(ExecutorFlags& out, std::string_view name, const std::string& value) {
  if (TRY(bool_of(name, value))) (out.trust.*Member).emplace_back("*");
  return {};
}

struct Flag {
  std::string_view name;
  bool is_switch = false;  // without a value of its own: "--cache", "--cache=false"
  Set set = nullptr;       // neither this nor a reason: nothing to do here
  std::string_view refused = {};
};

constexpr bool kSwitch = true, kValue = false;

constexpr Flag kFlags[] = {
    {"build-arg", kValue, add_pair<&ExecutorFlags::build_args>},
    {"cache", kSwitch, set_bool<&ExecutorFlags::cache>},
    {"cache-repo", kValue, set_text<&ExecutorFlags::cache_repository>},
    {"cache-run-layers", kSwitch, set_bool<&ExecutorFlags::cache_run_layers>},
    {"cache-ttl", kValue, set_cache_age},
    {"context", kValue, set_text<&ExecutorFlags::context>},
    {"context-sub-path", kValue, set_text<&ExecutorFlags::sub_path>},
    {"custom-platform", kValue, set_platform},
    {"customPlatform", kValue, set_platform},
    {"destination", kValue, add_text<&ExecutorFlags::destinations>},
    {"digest-file", kValue, set_text<&ExecutorFlags::digest_file>},
    {"dockerfile", kValue, set_text<&ExecutorFlags::dockerfile>},
    {"ignore-path", kValue, add_text<&ExecutorFlags::ignore_paths>},
    {"ignore-var-run", kSwitch, ignore_var_run},
    {"whitelist-var-run", kSwitch, ignore_var_run},
    {"image-name-tag-with-digest-file", kValue, set_text<&ExecutorFlags::name_tag_digest_file>},
    {"image-name-with-digest-file", kValue, set_text<&ExecutorFlags::name_digest_file>},
    {"insecure", kSwitch, every_host<&RegistryTrust::plain_http>},
    {"insecure-registry", kValue, add_host<&RegistryTrust::plain_http>},
    {"label", kValue, add_pair<&ExecutorFlags::labels>},
    {"no-push", kSwitch, set_bool<&ExecutorFlags::no_push>},
    {"no-push-cache", kSwitch, set_bool<&ExecutorFlags::no_push_cache>},
    {"oci-layout-path", kValue, set_text<&ExecutorFlags::oci_layout_path>},
    {"push-ignore-immutable-tag-errors", kSwitch, set_bool<&ExecutorFlags::keep_immutable_tags>},
    {"push-retry", kValue,
     [](ExecutorFlags& out, std::string_view name, const std::string& value) -> Result<void> {
       out.push_retries = TRY(count_of(name, value));
       return {};
     }},
    {"registry-certificate", kValue, set_registry_certificate},
    {"registry-client-cert", kValue, set_client_certificate},
    {"reproducible", kSwitch, set_reproducible},
    {"secret", kValue,
     [](ExecutorFlags& out, std::string_view, const std::string& value) -> Result<void> {
       out.secrets.push_back(TRY(parse_secret_option(value)));
       return {};
     }},
    {"skip-tls-verify", kSwitch, every_host<&RegistryTrust::unverified>},
    {"skip-tls-verify-registry", kValue, add_host<&RegistryTrust::unverified>},
    {"ssh", kValue,
     [](ExecutorFlags& out, std::string_view, const std::string& value) -> Result<void> {
       out.ssh_keys.push_back(TRY(parse_ssh_option(value)));
       return {};
     }},
    {"tar-path", kValue, set_text<&ExecutorFlags::tar_path>},
    {"tarPath", kValue, set_text<&ExecutorFlags::tar_path>},
    {"target", kValue, set_text<&ExecutorFlags::target>},

    // Each instruction is a layer that is kept as files and sent as a plain tar; nothing is unpacked, compared or
    // cleaned up in this container, and every stage that is not needed is left out.
    {"cache-copy-layers", kSwitch},
    {"cache-dir", kValue},
    {"cleanup", kSwitch},
    {"compressed-caching", kSwitch},
    {"compression", kValue},
    {"compression-level", kValue},
    {"force", kSwitch},
    {"force-build-metadata", kSwitch},
    {"image-download-retry", kValue},
    {"image-fs-extract-retry", kValue},
    {"initial-fs-unpacked", kSwitch},
    {"kaniko-dir", kValue},
    {"log-format", kValue},
    {"log-timestamp", kSwitch},
    {"preserve-context", kSwitch},
    {"single-snapshot", kSwitch},
    {"skip-push-permission-check", kSwitch},
    {"skip-unused-stages", kSwitch},
    {"snapshot-mode", kValue},
    {"snapshotMode", kValue},
    {"use-new-run", kSwitch},
    {"use-old-run", kSwitch},
    {"verbosity", kValue},

    {"bucket", kValue, nullptr, kFolderOnly},
    {"credential-helpers", kValue, nullptr,
     "logins are read from docker's config.json, in DOCKER_CONFIG or /kaniko/.docker"},
    {"git", kValue, nullptr, kFolderOnly},
    {"insecure-pull", kSwitch, nullptr, kPlatformPulls},
    {"registry-map", kValue, nullptr, kPlatformPulls},
    {"registry-mirror", kValue, nullptr, kPlatformPulls},
    {"skip-default-registry-fallback", kSwitch, nullptr, kPlatformPulls},
    {"skip-tls-verify-pull", kSwitch, nullptr, kPlatformPulls},
};

constexpr std::pair<std::string_view, std::string_view> kShort[] = {
    {"b", "bucket"}, {"c", "context"}, {"d", "destination"}, {"f", "dockerfile"}, {"v", "verbosity"}};

const Flag* find_flag_of(std::string_view name) {
  for (const auto& [letter, whole] : kShort) {
    if (name == letter) name = whole;
  }
  const Flag* const found = std::find_if(std::begin(kFlags), std::end(kFlags), [&](const Flag& flag) {
    return flag.name == name;
  });
  return found == std::end(kFlags) ? nullptr : found;
}

Result<void> apply_flag(const Flag& flag, const std::string& value, ExecutorFlags& out) {
  if (flag.set != nullptr) return flag.set(out, flag.name, value);
  const bool off = flag.is_switch && !TRY(bool_of(flag.name, value));
  if (flag.refused.empty() || off) return {};
  return Error{ErrorCode::bad_request,
               "the flag --" + std::string(flag.name) + " is not supported: " + std::string(flag.refused)};
}

// What several flags say together.
Result<void> complete(ExecutorFlags& out) {
  if (!out.cache_repository.empty() && out.cache) {
    // One tag for what is built of one file to one place, so that builds that share the repository keep their own.
    std::string what = out.dockerfile + "\n" + out.target;
    if (!out.destinations.empty()) what += "\n" + out.destinations[0].substr(0, out.destinations[0].rfind(':'));
    const CacheOption cache{out.cache_repository + ":" + content::Digest::of(what).hex.substr(0, 16), true};
    out.cache_from = {cache};
    if (!out.no_push_cache) out.cache_to = cache;
  }
  const auto is_epoch = [](const auto& pair) { return pair.first == "SOURCE_DATE_EPOCH"; };
  if (out.reproducible && std::none_of(out.build_args.begin(), out.build_args.end(), is_epoch))
    out.build_args.emplace_back("SOURCE_DATE_EPOCH", "0");
  if (!out.destinations.empty()) return {};
  if (!out.no_push) {
    return Error{ErrorCode::bad_request,
                 "say where to push with --destination, or that nothing is to be pushed with --no-push"};
  }
  for (const auto& [file, flag] : {std::pair(&out.name_digest_file, "image-name-with-digest-file"),
                                   std::pair(&out.name_tag_digest_file, "image-name-tag-with-digest-file")}) {
    if (!file->empty())
      return Error{ErrorCode::bad_request, std::string("--") + flag + " needs a name: say it with --destination"};
  }
  return {};
}

}  // namespace

Result<SecretOption> parse_secret_option(std::string_view text) {
  SecretOption out;
  const auto bad = [&](const std::string& what) {
    return Error{ErrorCode::bad_request, "--secret " + std::string(text) + ": " + what};
  };
  for (const std::string_view field : split(text, ',')) {
    const std::size_t equals = field.find('=');
    const std::string_view key = field.substr(0, equals);
    const std::string value(equals == std::string_view::npos ? std::string_view() : field.substr(equals + 1));
    if (value.empty()) return bad("want id=ID,src=FILE or id=ID,env=NAME");
    if (key == "id")
      out.id = value;
    else if (key == "src" || key == "source")
      out.path = value;
    else if (key == "env")
      out.variable = value;
    else if (key != "type" || (value != "file" && value != "env"))
      return bad("\"" + std::string(field) + "\" is not supported");
  }
  if (out.id.empty()) return bad("id= is missing");
  if (!out.variable.empty() && ::getenv(out.variable.c_str()) == nullptr) return bad("there is no such variable");
  if (out.path.empty() && out.variable.empty()) {
    out.path = out.id;
    if (::getenv(out.id.c_str()) != nullptr) out.variable = out.id;
  }
  return out;
}

Result<SecretOption> parse_ssh_option(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0 || equals + 1 == text.size())
    return Error{
        ErrorCode::bad_request,
        "--ssh " + std::string(text) +
            ": want ID=KEYFILE, as in default=~/.ssh/id_ed25519 (an agent of yours can't be reached from where "
            "images are built)"};
  return SecretOption{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)), ""};
}

Result<ExecutorFlags> parse_executor_flags(const std::vector<std::string>& args) {
  ExecutorFlags out;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (!arg.starts_with("-")) return Error{ErrorCode::bad_request, "unexpected argument \"" + arg + "\""};
    const std::size_t dashes = arg.starts_with("--") ? 2 : 1, equals = arg.find('=');
    const std::string name =
        arg.substr(dashes, equals == std::string::npos ? std::string::npos : equals - dashes);
    const Flag* const flag = find_flag_of(name);
    if (flag == nullptr) return Error{ErrorCode::bad_request, "the flag --" + name + " is not supported"};
    std::string value = equals == std::string::npos ? std::string() : arg.substr(equals + 1);
    if (equals == std::string::npos && !flag->is_switch) {
      if (++i == args.size()) return Error{ErrorCode::bad_request, "--" + name + " needs a value"};
      value = args[i];
    }
    TRY(apply_flag(*flag, value, out));
  }
  TRY(complete(out));
  return out;
}

}  // namespace caisson::build
