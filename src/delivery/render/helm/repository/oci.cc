// SPDX-License-Identifier: Apache-2.0
// Source: Helm 3.22 pkg/registry.
#include "delivery/render/helm/repository/oci.h"

#include <algorithm>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/expr/go_template/semver.h"
#include "delivery/render/helm/chart.h"
#include "delivery/render/helm/repository/fetch.h"

namespace caisson::render::helm {
namespace {

using content::Digest;
using go_template::Version;

constexpr std::string_view kScheme = "oci://";
constexpr std::string_view kConfigType = "application/vnd.cncf.helm.config.v1+json";
constexpr std::string_view kLegacyChartType = "application/tar+gzip";
constexpr std::string_view kProvenanceType = "application/vnd.cncf.helm.chart.provenance.v1.prov";
constexpr std::size_t kChartBytesMax = 100u << 20;
constexpr std::size_t kProvenanceBytesMax = 1u << 20;

Result<content::Reference> content_reference(const OciReference& ref) {
  content::Reference out;
  out.registry = ref.host;
  out.repository = ref.repository;
  out.tag = ref.tag;
  if (!ref.digest.empty()) out.digest = TRY(Digest::parse(ref.digest));
  return out;
}

Value descriptor(std::string_view type, const std::string& bytes) {
  return {{"mediaType", type}, {"digest", Digest::of(bytes).str()}, {"size", static_cast<long long>(bytes.size())}};
}

std::string authors(const Value& maintainers) {
  std::string out;
  for (const Value& one : maintainers.items()) {
    if (!out.empty()) out += ", ";
    out += one["name"].str();
    if (!one["email"].as_string().empty()) out += " (" + one["email"].str() + ")";
  }
  return out;
}

Value annotations(const Value& chart, const std::string& created) {
  constexpr std::string_view kPrefix = "org.opencontainers.image.";
  Value out = Value::map();
  const auto add = [&](std::string_view name, std::string_view value) {
    if (!trim(value).empty()) out.set(std::string(kPrefix) + std::string(name), value);
  };
  add("description", chart["description"].as_string());
  add("title", chart["name"].as_string());
  add("version", chart["version"].as_string());
  add("url", chart["home"].as_string());
  add("created", created);
  add("source", chart["sources"][0].as_string());
  add("authors", authors(chart["maintainers"]));
  for (const auto& [key, value] : chart["annotations"].entries()) {
    if (key != "org.opencontainers.image.version" && key != "org.opencontainers.image.title") out.set(key, value);
  }
  out.sort_keys();
  return out;
}

Result<std::string> read_blob(registry::RegistryClient& client, const content::Reference& ref, const Value& descriptor,
                              std::size_t bytes_max) {
  const Digest digest = TRY(Digest::parse(descriptor["digest"].as_string()));
  const auto source = TRY(client.open_blob(ref, digest));
  std::string bytes = TRY(content::read_all(source, bytes_max));
  content::Hasher hasher(digest.algorithm);
  hasher.update(bytes);
  if (hasher.finish() != digest)
    return Error{ErrorCode::bad_request, "blob " + digest.str() + ": its bytes have another digest"};
  return bytes;
}

const Value* layer_of(const Value& manifest, std::string_view type) {
  for (const Value& layer : manifest["layers"].items()) {
    if (layer["mediaType"].as_string() == type) return &layer;
  }
  return nullptr;
}

Result<Value> logins_of(const std::string& path) {
  const auto text = read_file(path);
  if (!text.ok()) return text.error().code == ErrorCode::not_found ? Result<Value>(Value::map()) : text.error();
  if (trim(*text).empty()) return Value::map();
  return json::parse(*text).in(path);
}

std::optional<registry::Login> login_in(const std::string& path, const std::string& host) {
  const auto logins = logins_of(path);
  if (!logins.ok()) return std::nullopt;
  for (const auto& [key, entry] : (*logins)["auths"].entries()) {
    // Docker's own keys may be URLs: "https://index.docker.io/v1/".
    std::string_view name = key;
    if (const std::size_t scheme = name.find("://"); scheme != std::string_view::npos) name.remove_prefix(scheme + 3);
    name = name.substr(0, name.find('/'));
    if (name != host && !(host == "docker.io" && name == "index.docker.io")) continue;
    const auto decoded = unbase64(entry["auth"].as_string());
    const std::size_t colon = decoded.ok() ? decoded->find(':') : std::string::npos;
    if (colon == std::string::npos) continue;
    return registry::Login{decoded->substr(0, colon), SecretBytes(decoded->substr(colon + 1))};
  }
  return std::nullopt;
}

Result<void> write_logins(const std::string& path, const Value& logins) {
  TRY(make_dirs(path_dir(path), 0700));
  return write_file(path, json::write(logins, {.indent = 8}) + "\n", 0600);
}

}  // namespace

bool is_oci(std::string_view url) {
  return url.starts_with(kScheme);
}

Result<OciReference> OciReference::parse(std::string_view text) {
  const auto bad = [&](const std::string& why) { return Error{ErrorCode::bad_request, "invalid reference: " + why}; };
  std::string_view rest = text;
  if (is_oci(rest)) rest.remove_prefix(kScheme.size());
  OciReference out;
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
    out.digest = rest.substr(at + 1);
    rest = rest.substr(0, at);
    const auto digest = Digest::parse(out.digest);
    if (!digest.ok()) return bad("invalid digest \"" + out.digest + "\"");
  }
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return bad("missing registry or repository");
  out.host = rest.substr(0, slash);
  rest.remove_prefix(slash + 1);
  if (const std::size_t colon = rest.rfind(':'); colon != std::string_view::npos) {
    out.tag = replace_all(std::string(rest.substr(colon + 1)), "+", "_");
    rest = rest.substr(0, colon);
    if (!content::is_valid_tag(out.tag)) return bad("invalid tag \"" + out.tag + "\"");
  }
  out.repository = rest;
  while (out.repository.ends_with('/')) out.repository.pop_back();
  if (out.host.empty()) return bad("invalid registry \"\"");
  if (!content::is_valid_repository(out.repository)) return bad("invalid repository \"" + out.repository + "\"");
  return out;
}

std::string OciReference::str() const {
  return host + "/" + repository + (tag.empty() ? digest.empty() ? "" : "@" + digest : ":" + tag);
}

Result<ChartRegistry> ChartRegistry::open(const Home& home, const Access& access) {
  registry::ClientOptions options;
  options.http = TRY(client_options(access));
  options.plain_http = access.plain_http;
  options.login = [home, access](std::string_view host) -> std::optional<registry::Login> {
    if (!access.username.empty()) return registry::Login{access.username, access.password};
    return known_login(home, std::string(host));
  };
  return ChartRegistry(std::move(options));
}

Result<std::vector<std::string>> ChartRegistry::versions(const OciReference& ref) {
  std::vector<Version> versions;
  for (const std::string& tag : TRY(client_.tags(TRY(content_reference(ref))))) {
    auto version = Version::parse_strict(replace_all(tag, "_", "+"));
    if (version.ok()) versions.push_back(std::move(version).value());
  }
  std::stable_sort(versions.begin(), versions.end(),
                   [](const Version& a, const Version& b) { return a.compare(b) > 0; });
  std::vector<std::string> out;
  for (const Version& version : versions) out.push_back(version.str());
  return out;
}

Result<std::string> choose_version(const std::vector<std::string>& versions, const std::string& constraint) {
  if (std::find(versions.begin(), versions.end(), constraint) != versions.end()) return constraint;
  const auto range = TRY(go_template::Constraint::parse(constraint.empty() ? "*" : constraint));
  for (const std::string& version : versions) {
    const auto parsed = Version::parse(version);
    if (parsed.ok() && range.check(*parsed)) return version;
  }
  return Error{ErrorCode::not_found, "Could not locate a version matching provided version string " + constraint};
}

Result<std::string> ChartRegistry::choose(const OciReference& ref, const std::string& constraint) {
  if (Version::parse(constraint).ok()) return constraint;
  const auto there = TRY(versions(ref));
  if (there.empty()) {
    return Error{ErrorCode::not_found,
                 "Unable to locate any tags in provided repository: " + std::string(kScheme) + ref.str()};
  }
  return choose_version(there, constraint);
}

Result<OciChart> ChartRegistry::pull(const OciReference& ref, bool with_provenance) {
  const content::Reference target = TRY(content_reference(ref));
  const auto fetched = client_.manifest(target);
  if (!fetched.ok()) {
    if (fetched.error().code == ErrorCode::not_found)
      return Error{ErrorCode::not_found,
                   "failed to perform \"FetchReference\" on source: " + ref.str() + ": not found"};
    return fetched.error();
  }
  const Value manifest = TRY(json::parse(fetched->bytes));
  if (manifest["config"]["mediaType"].as_string() != kConfigType)
    return Error{ErrorCode::invalid, "could not load config with mediatype " + std::string(kConfigType)};
  const Value* layer = layer_of(manifest, kChartLayerType);
  if (layer == nullptr) layer = layer_of(manifest, kLegacyChartType);
  if (layer == nullptr)
    return Error{ErrorCode::invalid,
                 "manifest does not contain a layer with mediatype " + std::string(kChartLayerType)};
  OciChart out;
  out.digest = fetched->digest.str();
  out.version = replace_all(ref.tag, "_", "+");
  out.archive = TRY(read_blob(client_, target, *layer, kChartBytesMax));
  if (!with_provenance) return out;
  const Value* provenance = layer_of(manifest, kProvenanceType);
  if (provenance == nullptr) {
    return Error{ErrorCode::not_found,
                 "manifest does not contain a layer with mediatype " + std::string(kProvenanceType)};
  }
  out.provenance = TRY(read_blob(client_, target, *provenance, kProvenanceBytesMax));
  return out;
}

Result<ChartRegistry::Pushed> ChartRegistry::push(const std::string& archive,
                                                  const std::optional<std::string>& provenance, std::string_view remote,
                                                  const std::string& created) {
  std::vector<std::string> warnings;
  const Chart chart = TRY(load_archive(archive, warnings));
  const std::string whole =
      std::string(remote) + (remote.ends_with('/') ? "" : "/") + chart.name() + ":" + chart.metadata.version;
  const OciReference ref = TRY(OciReference::parse(whole));
  const content::Reference target = TRY(content_reference(ref));
  const std::string config = json::write(chart.metadata.fields, {.escape_html = true});
  std::vector<std::pair<std::string_view, const std::string*>> blobs{{kChartLayerType, &archive}};
  if (provenance) blobs.emplace_back(kProvenanceType, &*provenance);
  std::sort(blobs.begin(), blobs.end(),
            [](const auto& a, const auto& b) { return Digest::of(*a.second) < Digest::of(*b.second); });
  Value layers = Value::list();
  for (const auto& [type, bytes] : blobs) layers.push_back(descriptor(type, *bytes));
  const Value manifest{{"schemaVersion", 2},
                       {"config", descriptor(kConfigType, config)},
                       {"layers", std::move(layers)},
                       {"annotations", annotations(chart.metadata.fields, created)}};
  blobs.emplace_back(kConfigType, &config);
  for (const auto& [type, bytes] : blobs) {
    TRY(client_.put_blob(target, Digest::of(*bytes), bytes->size(),
                         [bytes = bytes]() -> Result<content::ByteSource> { return content::from_string(*bytes); }));
  }
  const std::string text = json::write(manifest, {.escape_html = true});
  TRY(client_.put_manifest(target, text, content::kOciManifest));
  return Pushed{ref.str(), Digest::of(text).str()};
}

std::optional<registry::Login> known_login(const Home& home, const std::string& host) {
  if (auto own = login_in(home.registry_file, host)) return own;
  return login_in(home.docker_file, host);
}

Result<void> keep_login(const Home& home, const std::string& host, const registry::Login& login) {
  Value logins = TRY(logins_of(home.registry_file));
  const std::string pair = login.user + ":" + std::string(login.password.reveal());
  logins.edit({"auths", host}) = Value{{"auth", base64(pair)}};
  return write_logins(home.registry_file, logins);
}

Result<void> forget_login(const Home& home, const std::string& host) {
  Value logins = TRY(logins_of(home.registry_file));
  if (!logins["auths"].contains(host)) return {};
  logins.edit("auths").erase(host);
  return write_logins(home.registry_file, logins);
}

}  // namespace caisson::render::helm
