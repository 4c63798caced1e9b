// SPDX-License-Identifier: Apache-2.0
// Pushing blobs: distribution-spec 1.1 "Pushing blobs": monolithic, in chunks with resume, and mounted from another
// repository.
#include "artifact/registry/service.h"
#include "core/base/log.h"
#include "core/base/text.h"

namespace caisson::registry {
namespace {

http::Response created(const Route& route, const content::Digest& digest) {
  http::Response answer{201, base_headers(), ""};
  answer.headers.set("Location", "/v2/" + route.repository + "/blobs/" + digest.str());
  answer.headers.set("Docker-Content-Digest", digest.str());
  return answer;
}

http::Response unknown_upload() {
  return error_answer(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
}

// "0-4" or "bytes 0-4/*"; absent: nothing to check.
std::optional<std::int64_t> chunk_start(std::string_view header) {
  if (header.starts_with("bytes ")) header = header.substr(6);
  return parse_int(header.substr(0, header.find('-')));
}

}  // namespace

http::Response Service::upload_state(int status, const Route& route, const std::string& id, std::uint64_t size) const {
  http::Response answer{status, base_headers(), ""};
  answer.headers.set("Location", "/v2/" + route.repository + "/blobs/uploads/" + id);
  answer.headers.set("Range", "0-" + std::to_string(size == 0 ? 0 : size - 1));
  answer.headers.set("Docker-Upload-UUID", id);
  return answer;
}

http::Response Service::begin_upload(http::Exchange& exchange, const Route& route) {
  const std::string_view mount = http::query_get(exchange.query, "mount"),
                         from = http::query_get(exchange.query, "from");
  if (!mount.empty() && !from.empty()) {
    const Result<content::Digest> digest = content::Digest::parse(mount);
    if (!digest.ok()) return error_answer(400, "DIGEST_INVALID", digest.error().message);
    const bool visible = content::is_valid_repository(from) && !refuse(exchange, from, Action::pull);
    if (visible && options_.tags.touch_blob(from, *digest) && is_here(*digest)) {
      const Result<void> linked = options_.tags.add_blob(route.repository, *digest);
      if (!linked.ok()) return error_answer(linked.error(), "BLOB_UNKNOWN");
      return created(route, *digest);
    }
  }
  const Result<std::string> id = options_.blobs.begin_upload();
  if (!id.ok()) return error_answer(id.error(), "BLOB_UPLOAD_UNKNOWN");
  if (!http::query_get(exchange.query, "digest").empty()) {  // monolithic in one POST
    const Result<std::uint64_t> size = take_body(exchange, *id, 0);
    if (!size.ok()) {  // nobody was told its id, so nobody can go on with it
      if (const Result<void> gone = options_.blobs.cancel_upload(*id); !gone.ok())
        log::warning("upload not removed", {{"upload", *id}, {"error", gone.error()}});
      return error_answer(size.error(), "BLOB_UPLOAD_UNKNOWN");
    }
    return finish(exchange, route, *id);
  }
  return upload_state(202, route, *id, 0);
}

http::Response Service::upload(http::Exchange& exchange, const Route& route) {
  const std::string& id = route.item;
  const Result<std::uint64_t> size = options_.blobs.upload_size_bytes(id);
  // docker-registry says INVALID for the request that would end an upload, and clients start over at that.
  if (!size.ok())
    return exchange.method == "PUT" ? error_answer(404, "BLOB_UPLOAD_INVALID", "blob upload invalid")
                                    : unknown_upload();
  if (exchange.method == "GET" || exchange.method == "HEAD") return upload_state(204, route, id, *size);
  if (exchange.method == "DELETE") {
    const Result<void> gone = options_.blobs.cancel_upload(id);
    if (!gone.ok()) return error_answer(gone.error(), "BLOB_UPLOAD_UNKNOWN");
    http::Response answer{204, base_headers(), ""};
    answer.headers.set("Docker-Upload-UUID", id);
    return answer;
  }
  const std::string_view range = exchange.headers.get("Content-Range");
  if (!range.empty()) {
    const std::optional<std::int64_t> start = chunk_start(range);
    if (!start || *start != static_cast<std::int64_t>(*size)) {
      http::Response answer = upload_state(416, route, id, *size);
      return answer;
    }
  }
  return append(exchange, route, *size);
}

http::Response Service::append(http::Exchange& exchange, const Route& route, std::uint64_t size) {
  const std::string& id = route.item;
  if (exchange.method == "PUT") {  // refused before the body is taken
    const std::string_view digest = http::query_get(exchange.query, "digest");
    if (!content::Digest::parse(digest).ok())
      return error_answer(400, "DIGEST_INVALID", "the digest is missing or malformed");
  }
  const Result<std::uint64_t> now = take_body(exchange, id, size);
  if (!now.ok()) return error_answer(now.error(), "BLOB_UPLOAD_UNKNOWN");
  if (exchange.method == "PUT") return finish(exchange, route, id);
  return upload_state(202, route, id, *now);
}

Result<std::uint64_t> Service::take_body(http::Exchange& exchange, const std::string& id, std::uint64_t size) {
  return options_.blobs.append_upload(id, [&]() -> Result<std::string> {
    std::string piece = TRY(exchange.read_some());
    size += piece.size();
    if (size > options_.blob_bytes_max) {
      return Error{ErrorCode::too_large, "a blob of more than " + std::to_string(options_.blob_bytes_max) + " bytes"};
    }
    return piece;
  });
}

http::Response Service::finish(http::Exchange& exchange, const Route& route, const std::string& id) {
  const Result<content::Digest> digest = content::Digest::parse(http::query_get(exchange.query, "digest"));
  if (!digest.ok()) return error_answer(400, "DIGEST_INVALID", digest.error().message);
  const Result<void> stored = options_.blobs.finish_upload(id, *digest);
  if (!stored.ok()) return error_answer(stored.error(), "BLOB_UPLOAD_UNKNOWN");
  const Result<void> linked = options_.tags.add_blob(route.repository, *digest);
  if (!linked.ok()) return error_answer(linked.error(), "BLOB_UNKNOWN");
  return created(route, *digest);
}

}  // namespace caisson::registry
