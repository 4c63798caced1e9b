// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/documents.h"

#include <map>
#include <mutex>

#include "cluster/schema/discovery.h"
#include "cluster/schema/openapi_proto.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::apiserver {

struct Documents::Impl {
  schema::Schema& schema;
  schema::DefinitionReader definitions;
  std::string version, build, address;
  std::mutex mutex;
  std::uint64_t generation = 0;
  std::map<std::string, std::string, std::less<>> kept;  // of `generation`

  std::optional<Value> discovery(std::string_view path, bool aggregated) const;
  std::optional<Value> openapi(std::string_view path) const;
  Value version_info() const;
};

Documents::Documents(schema::Schema& schema, const ApiServerOptions& options, schema::DefinitionReader definitions)
    : impl_(new Impl{schema,
                     std::move(definitions),
                     options.version,
                     options.build,
                     options.advertise_address + ":6443",
                     {},
                     0,
                     {}}) {}
Documents::~Documents() = default;

Value Documents::Impl::version_info() const {
  const auto parts = split(std::string_view(version).substr(1), '.');
  return Value{{"major", parts[0]},
               {"minor", parts.size() > 1 ? parts[1] : "0"},
               {"emulationMajor", parts[0]},
               {"emulationMinor", parts.size() > 1 ? parts[1] : "0"},
               {"minCompatibilityMajor", parts[0]},
               {"minCompatibilityMinor", std::to_string(parse_int(parts.size() > 1 ? parts[1] : "1").value_or(1) - 1)},
               {"gitVersion", version + "+" + build},
               {"gitCommit", ""},
               {"gitTreeState", "clean"},
               {"buildDate", "1970-01-01T00:00:00Z"},
               {"goVersion", ""},
               {"compiler", "gcc"},
               {"platform", "linux/amd64"}};
}

std::optional<Value> Documents::Impl::discovery(std::string_view path, bool aggregated) const {
  const auto parts = split(path.substr(1), '/');
  if (path == "/api") return aggregated ? schema::aggregated_discovery(schema, true) : schema::api_versions(address);
  if (path == "/apis") return aggregated ? schema::aggregated_discovery(schema, false) : schema::api_group_list(schema);
  if (parts.size() == 2 && parts[0] == "api") return schema::api_resource_list(schema, "", parts[1]);
  if (parts.size() == 2 && parts[0] == "apis") return schema::api_group(schema, parts[1]);
  if (parts.size() == 3 && parts[0] == "apis") return schema::api_resource_list(schema, parts[1], parts[2]);
  return std::nullopt;
}

std::optional<Value> Documents::Impl::openapi(std::string_view path) const {
  constexpr std::string_view kThree = "/openapi/v3/";
  if (path == "/openapi/v2") return schema::openapi_v2(schema, definitions);
  if (path == "/openapi/v3") return schema::openapi_v3_index(schema);
  if (path.starts_with(kThree)) return schema::openapi_v3(schema, path.substr(kThree.size()), definitions);
  return std::nullopt;
}

std::string Documents::openapi_v2_protobuf() const {
  return schema::openapi_protobuf(schema::openapi_v2(impl_->schema, impl_->definitions));
}

std::optional<std::string> Documents::get(std::string_view path, bool aggregated) const {
  if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  if (path == "/version") return json::write(impl_->version_info());
  if (path.starts_with("/openapi/")) {
    const auto document = impl_->openapi(path);
    if (!document) return std::nullopt;
    return json::write(*document);
  }
  if (!path.starts_with("/api")) return std::nullopt;
  const std::string key = std::string(path) + (aggregated ? "?" : "");
  const std::uint64_t generation = impl_->schema.generation();
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->generation != generation) impl_->kept.clear();
    impl_->generation = generation;
    if (const auto it = impl_->kept.find(key); it != impl_->kept.end()) return it->second;
  }
  const auto document = impl_->discovery(path, aggregated);
  if (!document) return std::nullopt;
  std::string text = json::write(*document);
  const std::lock_guard lock(impl_->mutex);
  if (impl_->generation == generation) impl_->kept[key] = text;
  return text;
}

}  // namespace caisson::apiserver
