// SPDX-License-Identifier: Apache-2.0
// Manifests, tags and referrers: distribution-spec 1.1 "Pulling manifests", "Pushing manifests", "Listing Referrers".
#include "artifact/content/image.h"
#include "artifact/registry/service.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::registry {

using content::Descriptor;
using content::Digest;

namespace {

bool is_digest(std::string_view item) {
  return item.find(':') != std::string_view::npos;
}

http::Response unknown_manifest() {
  return error_answer(404, "MANIFEST_UNKNOWN", "manifest unknown");
}

http::Response rule_answer(const Error& error) {
  if (error.code == ErrorCode::forbidden) return error_answer(403, "DENIED", error.message);
  return error_answer(error, "NAME_UNKNOWN");
}

// Foreign layers (Windows bases) are fetched from where their URLs say and need not be here.
bool may_be_absent(const Descriptor& layer) {
  return layer.media_type.find("nondistributable") != std::string::npos ||
         layer.media_type.find("foreign") != std::string::npos;
}

// The subject and the artifact type that a manifest's entry in the referrers list has.
struct Referring {
  std::optional<Descriptor> subject;
  Descriptor entry;
};
Result<Referring> referring(std::string_view bytes, std::string_view media_type, const Digest& digest) {
  Referring out;
  out.entry.media_type = media_type;
  out.entry.digest = digest;
  out.entry.size_bytes = bytes.size();
  if (content::is_index_type(media_type)) {
    const content::Index index = TRY(content::parse_index(bytes));
    out.subject = index.subject;
    out.entry.artifact_type = index.artifact_type;
    out.entry.annotations = index.annotations;
  } else {
    const content::Manifest manifest = TRY(content::parse_manifest(bytes));
    out.subject = manifest.subject;
    out.entry.artifact_type = manifest.artifact_type.empty() ? manifest.config.media_type : manifest.artifact_type;
    out.entry.annotations = manifest.annotations;
  }
  return out;
}

}  // namespace

void Service::manifest(const http::ExchangePtr& exchange, const Route& route) {
  if (is_digest(route.item) ? !Digest::parse(route.item).ok() : !content::is_valid_tag(route.item)) {
    const bool digest = is_digest(route.item);
    return exchange->respond(
        error_answer(digest ? 400 : 404, digest ? "DIGEST_INVALID" : "TAG_INVALID", "invalid tag or digest"));
  }
  if (exchange->method == "PUT") return exchange->respond(put_manifest(*exchange, route));
  if (exchange->method == "DELETE") return exchange->respond(delete_manifest(route));
  if (const Result<void> pulled = pull_manifest(*exchange, route); !pulled.ok())
    return exchange->respond(upstream_answer(pulled.error(), "MANIFEST_UNKNOWN"));
  exchange->respond(get_manifest(*exchange, route));
}

// Before a manifest is looked up: it is fetched where the repository stands for another registry's.
Result<void> Service::pull_manifest(const http::Exchange& exchange, const Route& route) const {
  const std::optional<Upstream> upstream = TRY(upstream_of(route));
  if (!upstream) return {};
  TRY(pull_through_->have_manifest(route.repository, *upstream, route.item));
  const Result<Digest> chosen = manifest_digest(exchange, route);  // of a list, for clients that know none
  return chosen.ok() ? pull_through_->have_manifest(route.repository, *upstream, chosen->str()) : Result<void>();
}

Result<Digest> Service::manifest_digest(const http::Exchange& exchange, const Route& route) const {
  if (is_digest(route.item)) return Digest::parse(route.item);
  const Digest digest = TRY(options_.tags.find(route.repository, route.item));
  // Clients from before manifest lists ask for an image only: they get the one for linux/amd64, as Distribution gives
  // it.
  const std::string_view accept = exchange.headers.get("Accept");
  const auto accepts = [&](std::string_view type) { return accept.find(type) != std::string_view::npos; };
  if (!accepts(content::kDockerManifest) || accepts(content::kDockerList) || accepts("*/*")) return digest;
  const std::string type = TRY(options_.tags.manifest_type(route.repository, digest));
  if (type != content::kDockerList) return digest;
  const std::string bytes = TRY(options_.blobs.read(digest, content::kManifestBytesMax));
  const content::Index index = TRY(content::parse_index(bytes));
  const Descriptor chosen = TRY(content::choose_platform(index));
  return chosen.digest;
}

http::Response Service::get_manifest(const http::Exchange& exchange, const Route& route) const {
  const Result<Digest> digest = manifest_digest(exchange, route);
  if (!digest.ok()) return unknown_manifest();
  options_.tags.touch_manifest(route.repository, *digest);  // whoever is told that it is here may count on it
  const Result<std::string> type = options_.tags.manifest_type(route.repository, *digest);
  if (!type.ok()) return unknown_manifest();
  const Result<std::string> bytes = options_.blobs.read(*digest, content::kManifestBytesMax);
  if (!bytes.ok()) return error_answer(bytes.error(), "MANIFEST_UNKNOWN");
  const std::string tag = "\"" + digest->str() + "\"";
  http::Response answer{200, base_headers(), ""};
  answer.headers.set("Docker-Content-Digest", digest->str());
  answer.headers.set("ETag", tag);
  if (exchange.headers.get("If-None-Match") == tag) {
    answer.status = 304;
    return answer;
  }
  answer.headers.set("Content-Type", *type);
  if (exchange.method == "HEAD") {
    answer.headers.set("Content-Length", std::to_string(bytes->size()));
  } else {
    answer.body = *bytes;
  }
  return answer;
}

Result<void> Service::check_parts(const Route& route, std::string_view bytes, std::string_view media_type) const {
  const auto missing = [](const Digest& digest) {
    return Error{ErrorCode::not_found, "blob unknown to registry: " + digest.str()};
  };
  if (content::is_index_type(media_type)) {
    const content::Index index = TRY(content::parse_index(bytes));
    for (const Descriptor& child : index.manifests) {
      if (!options_.tags.touch_manifest(route.repository, child.digest) &&
          !options_.tags.touch_blob(route.repository, child.digest)) {
        return missing(child.digest);
      }
    }
    return {};
  }
  const content::Manifest manifest = TRY(content::parse_manifest(bytes));
  const auto linked = [&](const Digest& digest) {
    return options_.tags.touch_blob(route.repository, digest) && is_here(digest);
  };
  if (!linked(manifest.config.digest)) return missing(manifest.config.digest);
  for (const Descriptor& layer : manifest.layers) {
    if (!linked(layer.digest) && !may_be_absent(layer)) return missing(layer.digest);
  }
  return {};
}

// A tag that never moves may be pushed again with the same bytes: clients try twice.
Result<void> Service::check_rules(const Route& route, const Digest& digest, std::string_view bytes) const {
  if (!options_.rules) return {};
  const ProjectRules rules = TRY(options_.rules(route.repository));
  if (!is_digest(route.item) && is_immutable(rules, route.item)) {
    const Result<Digest> now = options_.tags.find(route.repository, route.item);
    if (now.ok() && *now != digest)
      return Error{ErrorCode::forbidden, "the tag " + route.item + " never moves: it names " + now->str()};
  }
  if (rules.quota_bytes == 0) return {};
  const std::uint64_t size = TRY(project_size(options_.blobs, options_.tags, route.repository, bytes));
  if (size <= rules.quota_bytes) return {};
  return Error{ErrorCode::forbidden, "the project would hold " + std::to_string(size) + " bytes, and its quota is " +
                                         std::to_string(rules.quota_bytes)};
}

// Neither the tag nor the manifest behind it.
Result<void> Service::check_removal(const Route& route) const {
  if (!options_.rules) return {};
  const ProjectRules rules = TRY(options_.rules(route.repository));
  std::vector<std::string> tags{route.item};
  if (is_digest(route.item)) tags = tags_of(route.repository, TRY(Digest::parse(route.item)));
  for (const std::string& tag : tags) {
    if (is_immutable(rules, tag)) return Error{ErrorCode::forbidden, "the tag " + tag + " never goes"};
  }
  return {};
}

http::Response Service::put_manifest(http::Exchange& exchange, const Route& route) {
  const Duration began = system_clock().monotonic();
  const Result<std::string> body = exchange.read_body(content::kManifestBytesMax);
  if (!body.ok()) {
    const bool large = body.error().code == ErrorCode::too_large;
    return error_answer(large ? 413 : 400, large ? "SIZE_INVALID" : "MANIFEST_INVALID", body.error().message);
  }
  const Result<Value> parsed = json::parse(*body);
  if (!parsed.ok()) return error_answer(400, "MANIFEST_INVALID", parsed.error().message);
  const Result<std::string> detected = content::detect_media_type(*parsed);
  if (!detected.ok()) return error_answer(400, "MANIFEST_INVALID", detected.error().message);
  std::string_view given = exchange.headers.get("Content-Type");
  given = trim(given.substr(0, given.find(';')));
  const std::string type = given.empty() ? *detected : std::string(given);
  // Without a mediaType field the shape decides between image and index only, so the header may say which of the two
  // families it is.
  const bool stated = !(*parsed)["mediaType"].str().empty();
  const bool known = content::is_index_type(type) || content::is_manifest_type(type);
  if (!known || (stated && type != *detected) || content::is_index_type(type) != content::is_index_type(*detected)) {
    return error_answer(400, "MANIFEST_INVALID", "the manifest is a " + *detected + ", not a " + type);
  }
  Digest digest = Digest::of(*body);
  if (is_digest(route.item)) {
    const Digest wanted = Digest::parse(route.item).value();
    content::Hasher hasher(wanted.algorithm);
    hasher.update(*body);
    digest = hasher.finish();
    if (digest != wanted) return error_answer(400, "DIGEST_INVALID", "the manifest hashes to " + digest.str());
  }
  const Result<void> parts = check_parts(route, *body, type);
  if (!parts.ok()) {
    const bool absent = parts.error().code == ErrorCode::not_found;
    return error_answer(400, absent ? "MANIFEST_BLOB_UNKNOWN" : "MANIFEST_INVALID", parts.error().message);
  }
  const Result<Referring> about = referring(*body, type, digest);
  if (!about.ok()) return error_answer(400, "MANIFEST_INVALID", about.error().message);
  const Result<void> allowed = check_rules(route, digest, *body);
  if (!allowed.ok()) return rule_answer(allowed.error());

  // In this order, each durable: bytes, link, referrer, tag. So a tag never names what is not there.
  Result<void> done = options_.blobs.put(digest, content::from_string(*body));
  if (done.ok()) done = options_.tags.add_manifest(route.repository, digest, type);
  if (done.ok() && about->subject)
    done = options_.tags.add_referrer(route.repository, about->subject->digest, about->entry);
  const bool by_tag = !is_digest(route.item);
  if (done.ok() && by_tag) done = options_.tags.set(route.repository, route.item, digest);
  if (!done.ok()) return error_answer(done.error(), "MANIFEST_UNKNOWN");
  log::info("manifest pushed", {{"repository", route.repository}, {"reference", route.item}, {"digest", digest.str()}});
  if (options_.on_push) {
    options_.on_push({route.repository, by_tag ? route.item : "", digest,
                      std::string(exchange.headers.get("traceparent")), system_clock().monotonic() - began});
  }
  http::Response answer{201, base_headers(), ""};
  answer.headers.set("Location", "/v2/" + route.repository + "/manifests/" + digest.str());
  answer.headers.set("Docker-Content-Digest", digest.str());
  if (about->subject) answer.headers.set("OCI-Subject", about->subject->digest.str());
  return answer;
}

std::vector<std::string> Service::tags_of(std::string_view repository, const Digest& digest) const {
  std::vector<std::string> out;
  const Result<std::vector<std::string>> all = options_.tags.tags(repository);
  if (!all.ok()) return out;
  for (const std::string& tag : *all) {
    const Result<Digest> named = options_.tags.find(repository, tag);
    if (named.ok() && *named == digest) out.push_back(tag);
  }
  return out;
}

http::Response Service::delete_manifest(const Route& route) {
  const Result<void> allowed = check_removal(route);
  if (!allowed.ok()) return rule_answer(allowed.error());
  if (!is_digest(route.item)) {
    const Result<void> gone = options_.tags.remove(route.repository, route.item);
    if (gone.ok() && options_.on_remove) options_.on_remove(route.repository, route.item);
    return gone.ok() ? http::Response{202, base_headers(), ""} : error_answer(gone.error(), "MANIFEST_UNKNOWN");
  }
  const Digest digest = Digest::parse(route.item).value();
  const Result<std::string> type = options_.tags.manifest_type(route.repository, digest);
  if (!type.ok()) return unknown_manifest();
  const Result<std::string> bytes = options_.blobs.read(digest, content::kManifestBytesMax);
  if (bytes.ok()) {
    const Result<Referring> about = referring(*bytes, *type, digest);
    if (about.ok() && about->subject) {
      const Result<void> gone = options_.tags.remove_referrer(route.repository, about->subject->digest, digest);
      if (!gone.ok()) return error_answer(gone.error(), "MANIFEST_UNKNOWN");
    }
  }
  const std::vector<std::string> tags = tags_of(route.repository, digest);
  const Result<void> gone = options_.tags.remove_manifest(route.repository, digest);
  if (gone.ok() && options_.on_remove) {
    for (const std::string& tag : tags) options_.on_remove(route.repository, tag);
  }
  return gone.ok() ? http::Response{202, base_headers(), ""} : error_answer(gone.error(), "MANIFEST_UNKNOWN");
}

http::Response Service::referrers(const http::Exchange& exchange, const Route& route) const {
  const Result<Digest> subject = Digest::parse(route.item);
  if (!subject.ok()) return error_answer(400, "DIGEST_INVALID", subject.error().message);
  const Result<std::optional<Upstream>> upstream = upstream_of(route);
  if (!upstream.ok()) return error_answer(upstream.error(), "NAME_UNKNOWN");
  const Result<std::vector<Descriptor>> all = *upstream
                                                  ? pull_through_->referrers(route.repository, **upstream, *subject)
                                                  : options_.tags.referrers(route.repository, *subject);
  if (!all.ok()) return upstream_answer(all.error(), "NAME_UNKNOWN");
  const std::string_view wanted = http::query_get(exchange.query, "artifactType");
  content::Index index;
  for (const Descriptor& one : *all) {
    if (wanted.empty() || one.artifact_type == wanted) index.manifests.push_back(one);
  }
  http::Response answer{200, base_headers(), content::write_index(index)};
  answer.headers.set("Content-Type", content::kOciIndex);
  if (!wanted.empty()) answer.headers.set("OCI-Filters-Applied", "artifactType");
  return answer;
}

}  // namespace caisson::registry
