// SPDX-License-Identifier: Apache-2.0
#include "artifact/registry/registry_client.h"

#include <map>
#include <mutex>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::registry {

using content::BlobStore;
using content::ByteSource;
using content::Descriptor;
using content::Digest;
using content::Reference;

namespace {

constexpr std::string_view kAccept =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

constexpr std::size_t kTagsMax = 100'000;

bool is_loopback(std::string_view host) {
  return host == "localhost" || host.starts_with("localhost:") || host.starts_with("127.") || host.starts_with("[::1]");
}

// What the registry says went wrong, for a person.
Error error_of(int status, std::string_view body, const std::string& doing) {
  std::string message = doing + ": " + std::to_string(status);
  if (const Result<Value> parsed = json::parse(body); parsed.ok()) {
    const Value& first = (*parsed)["errors"][0];
    if (!first.is_null()) message += " " + first["code"].str() + ": " + first["message"].str();
  } else {
    message += " " + std::string(http::reason_phrase(status));  // HEAD has no body
  }
  const ErrorCode code = status == 401   ? ErrorCode::unauthorized
                         : status == 403 ? ErrorCode::forbidden
                         : status == 404 ? ErrorCode::not_found
                         : status == 429 ? ErrorCode::too_many_requests
                         : status >= 500 ? ErrorCode::unavailable
                                         : ErrorCode::bad_request;
  return Error{code, std::move(message)};
}

// Rate limits say how long they last.
Error error_of(const http::Response& answer, const std::string& doing) {
  Error error = error_of(answer.status, answer.body, doing);
  const std::string_view pause = answer.headers.get("Retry-After");
  if (!pause.empty()) error.message += " (retry after " + std::string(pause.substr(0, 40)) + ")";
  return error;
}

// `Bearer realm="https://…",service="…"`.
std::map<std::string, std::string> challenge_parameters(std::string_view header) {
  std::map<std::string, std::string> out;
  std::size_t at = header.find(' ');
  while (at != std::string_view::npos && at < header.size()) {
    while (at < header.size() && (header[at] == ' ' || header[at] == ',')) ++at;
    const std::size_t equals = header.find('=', at);
    if (equals == std::string_view::npos) break;
    const std::string key = to_lower(header.substr(at, equals - at));
    std::size_t end;
    std::string_view value;
    if (equals + 1 < header.size() && header[equals + 1] == '"') {
      end = header.find('"', equals + 2);
      if (end == std::string_view::npos) break;
      value = header.substr(equals + 2, end - equals - 2);
      ++end;
    } else {
      end = std::min(header.find(',', equals), header.size());
      value = header.substr(equals + 1, end - equals - 1);
    }
    out[key] = value;
    at = end;
  }
  return out;
}

bool is_worth_another_try(const Error& error) {
  return error.code == ErrorCode::unavailable || error.code == ErrorCode::timeout ||
         error.code == ErrorCode::too_many_requests;
}

}  // namespace

struct RegistryClient::Impl {
  ClientOptions options;
  http::Client http;
  std::mutex mutex;
  std::map<std::string, std::string> authorizations;  // GUARDED_BY(mutex): by host and scope, the header's value

  explicit Impl(ClientOptions o) : options(std::move(o)), http(options.http) {}

  std::string base_url(const Reference& ref) const {
    if (ref.is_ours()) return options.own_url;
    const std::string host = ref.registry == "docker.io" ? "registry-1.docker.io" : ref.registry;
    return (options.plain_http || is_loopback(host) ? "http://" : "https://") + host;
  }
  std::string url(const Reference& ref, std::string_view rest) const {
    std::string out = base_url(ref) + "/v2/" + ref.repository + "/" + std::string(rest);
    if (!options.stands_for.empty())
      out += (out.find('?') == std::string::npos ? "?ns=" : "&ns=") + percent_encode(options.stands_for);
    return out;
  }

  static std::string scope(const Reference& ref, bool push) {
    return "repository:" + ref.repository + (push ? ":pull,push" : ":pull");
  }

  std::string cached(const Reference& ref, bool push) {
    const std::lock_guard lock(mutex);
    const auto it = authorizations.find(ref.registry + " " + scope(ref, push));
    if (it != authorizations.end()) return it->second;
    return {};
  }

  // Answers a 401's challenge. Errors: unauthorized when there is no way.
  Result<std::string> authorize(const Reference& ref, bool push, std::string_view challenge) {
    const std::optional<Login> login = options.login ? options.login(ref.registry) : std::nullopt;
    const std::string who = ref.is_ours() ? "our registry" : ref.registry;
    std::string header;
    if (to_lower(challenge).starts_with("basic")) {
      if (!login) return Error{ErrorCode::unauthorized, who + " asks for a login, and none is known"};
      header = basic_or_bearer(*login);
    } else if (to_lower(challenge).starts_with("bearer")) {
      header = TRY(fetch_token(ref, push, challenge, login));
    } else {
      return Error{ErrorCode::unauthorized,
                   who + " asks for an unknown kind of login: " + std::string(challenge.substr(0, 100))};
    }
    const std::lock_guard lock(mutex);
    authorizations[ref.registry + " " + scope(ref, push)] = header;
    return header;
  }

  static std::string basic_or_bearer(const Login& login) {
    if (login.is_bearer) return "Bearer " + std::string(login.password.reveal());
    return "Basic " + base64(login.user + ":" + std::string(login.password.reveal()));
  }

  Result<std::string> fetch_token(const Reference& ref, bool push, std::string_view challenge,
                                  const std::optional<Login>& login) {
    auto parameters = challenge_parameters(challenge);
    if (parameters["realm"].empty()) return Error{ErrorCode::unauthorized, "the registry's challenge names no realm"};
    http::Request request;
    const std::string join = parameters["realm"].find('?') == std::string::npos ? "?" : "&";
    request.url = parameters["realm"] + join + "service=" + percent_encode(parameters["service"]);
    const std::string wanted = parameters["scope"].empty() ? scope(ref, push) : parameters["scope"];
    if (!ref.repository.empty()) request.url += "&scope=" + percent_encode(wanted);
    if (login) request.headers.set("Authorization", basic_or_bearer(*login));
    const http::Response answer = TRY(http.send(request));
    if (answer.status != 200)
      return error_of(answer.status == 403 ? 403 : 401, answer.body, "token of " + parameters["service"]);
    const Value body = TRY(json::parse(answer.body));
    std::string token = body["token"].str();
    if (token.empty()) token = body["access_token"].str();
    if (token.empty()) return Error{ErrorCode::unauthorized, "the token server's answer holds no token"};
    return "Bearer " + token;
  }

  void prepare(http::Request& request, const Reference& ref, bool push) {
    if (const std::string header = cached(ref, push); !header.empty()) request.headers.set("Authorization", header);
    if (!options.traceparent.empty()) request.headers.set("traceparent", options.traceparent);
  }

  // Sends; on 401 once more with what the challenge asks for. A body source can't be sent twice: probe first (see
  // put_blob).
  Result<http::Response> send(http::Request request, const Reference& ref, bool push) {
    prepare(request, ref, push);
    http::Response answer = TRY(http.send(request));
    if (answer.status != 401) return answer;
    request.headers.set("Authorization", TRY(authorize(ref, push, answer.headers.get("WWW-Authenticate"))));
    return http.send(request);
  }

  Result<std::unique_ptr<http::ResponseStream>> open(http::Request request, const Reference& ref) {
    prepare(request, ref, false);
    std::unique_ptr<http::ResponseStream> answer = TRY(http.open(request));
    if (answer->status != 401) return answer;
    request.headers.set("Authorization", TRY(authorize(ref, false, answer->headers.get("WWW-Authenticate"))));
    return http.open(request);
  }

  // An upload location may be a path or a whole URL, with a query or without.
  std::string location(const Reference& ref, std::string_view header) const {
    if (header.starts_with("/")) return base_url(ref) + std::string(header);
    return std::string(header);
  }

  Result<std::vector<std::string>> list(const Reference& ref, std::string url, std::string_view member);
  static Result<FetchedManifest> kept_manifest(RegistryClient& client, const Reference& ref, const BlobStore& into);
  Result<void> fetch_part(const Reference& ref, const Descriptor& blob, BlobStore& into, const std::string& upload,
                          const FetchWatcher& watcher);
  Result<void> put_blob_once(const Reference& ref, const Digest& digest, std::uint64_t size, const ByteSource& bytes);
};

RegistryClient::RegistryClient(ClientOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
RegistryClient::RegistryClient(RegistryClient&&) noexcept = default;
RegistryClient::~RegistryClient() = default;

Result<FetchedManifest> RegistryClient::manifest(const Reference& ref) {
  http::Request request;
  request.url = impl_->url(ref, "manifests/" + (ref.digest ? ref.digest->str() : ref.tag));
  request.headers.set("Accept", kAccept);
  request.response_bytes_max = content::kManifestBytesMax;
  const std::string doing = "manifest of " + ref.familiar();
  http::Response answer = TRY(impl_->send(std::move(request), ref, false).in(doing));
  if (answer.status != 200) return error_of(answer, doing);
  FetchedManifest out;
  if (ref.digest) {
    content::Hasher hasher(ref.digest->algorithm);
    hasher.update(answer.body);
    out.digest = hasher.finish();
    if (out.digest != *ref.digest)
      return Error{ErrorCode::bad_request, doing + ": the bytes hash to " + out.digest.str()};
  } else {
    out.digest = Digest::of(answer.body);
  }
  const Value parsed = TRY(json::parse(answer.body).in(doing));
  out.media_type = TRY(content::detect_media_type(parsed).in(doing));
  out.bytes = std::move(answer.body);
  return out;
}

Result<Digest> RegistryClient::resolve(const Reference& ref) {
  if (ref.digest) return *ref.digest;
  http::Request request;
  request.method = "HEAD";
  request.url = impl_->url(ref, "manifests/" + ref.tag);
  request.headers.set("Accept", kAccept);
  const http::Response answer = TRY(impl_->send(std::move(request), ref, false).in("resolve " + ref.familiar()));
  if (answer.status != 200) return error_of(answer, "resolve " + ref.familiar());
  const std::string_view digest = answer.headers.get("Docker-Content-Digest");
  if (!digest.empty()) return Digest::parse(digest);
  const FetchedManifest whole = TRY(manifest(ref));
  return whole.digest;
}

Result<void> RegistryClient::check_login(std::string_view host) {
  Reference registry;
  registry.registry = host;
  http::Request request;
  request.url = impl_->base_url(registry) + "/v2/";
  const http::Response answer = TRY(impl_->send(std::move(request), registry, false));
  if (answer.status != 200) return error_of(answer.status, answer.body, std::string(host));
  return {};
}

Result<bool> RegistryClient::has_blob(const Reference& ref, const Digest& digest) {
  http::Request request;
  request.method = "HEAD";
  request.url = impl_->url(ref, "blobs/" + digest.str());
  const http::Response answer = TRY(impl_->send(std::move(request), ref, false));
  if (answer.status == 200) return true;
  if (answer.status == 404) return false;
  return error_of(answer.status, answer.body, "blob " + digest.str());
}

Result<ByteSource> RegistryClient::open_blob(const Reference& ref, const Digest& digest) {
  http::Request request;
  request.url = impl_->url(ref, "blobs/" + digest.str());
  request.time_max = Duration(0);
  std::shared_ptr<http::ResponseStream> answer = TRY(impl_->open(std::move(request), ref));
  if (answer->status != 200) return error_of(answer->status, "", "blob " + digest.str());
  return ByteSource([answer] { return answer->read_some(); });
}

Result<void> RegistryClient::Impl::fetch_part(const Reference& ref, const Descriptor& blob, BlobStore& into,
                                              const std::string& upload, const FetchWatcher& watcher) {
  if (watcher.stop.stop_requested()) return Error{ErrorCode::unavailable, "stopped"};
  const std::uint64_t have = TRY(into.upload_size_bytes(upload));
  if (have >= blob.size_bytes && have > 0) return {};
  http::Request request;
  request.url = url(ref, "blobs/" + blob.digest.str());
  request.time_max = Duration(0);
  if (have > 0) request.headers.set("Range", "bytes=" + std::to_string(have) + "-");
  const std::unique_ptr<http::ResponseStream> answer = TRY(open(std::move(request), ref));
  if (answer->status != 200 && answer->status != 206) {
    const Result<std::string> body = answer->read_some();
    return error_of(answer->status, body.ok() ? *body : "", "blob " + blob.digest.str());
  }
  const std::stop_callback cut(watcher.stop, [&answer] { answer->cancel(); });
  ByteSource bytes = [&]() { return answer->read_some(); };
  if (have > 0 && answer->status == 200) bytes = content::slice(bytes, have, UINT64_MAX);  // it does not know ranges
  std::uint64_t got = have;
  TRY(into.append_upload(upload, [&]() -> Result<std::string> {
    if (watcher.grown) watcher.grown(got);  // what was given before is written
    std::string piece = TRY(bytes());
    got += piece.size();
    if (got > blob.size_bytes) return Error{ErrorCode::bad_request, "more bytes than the manifest says"};
    return piece;
  }));
  if (got < blob.size_bytes) return Error{ErrorCode::unavailable, "cut off after " + std::to_string(got) + " bytes"};
  return {};
}

Result<std::uint64_t> RegistryClient::blob_size(const Reference& ref, const Digest& digest) {
  http::Request request;
  request.method = "HEAD";
  request.url = impl_->url(ref, "blobs/" + digest.str());
  const http::Response answer = TRY(impl_->send(std::move(request), ref, false));
  const std::string doing = "blob " + digest.str();
  if (answer.status != 200) return error_of(answer, doing);
  const std::optional<std::int64_t> size = parse_int(answer.headers.get("Content-Length"));
  if (!size || *size < 0) return Error{ErrorCode::bad_request, doing + ": the registry does not say its size"};
  return static_cast<std::uint64_t>(*size);
}

Result<void> RegistryClient::fetch_blob(const Reference& ref, const Descriptor& blob, BlobStore& into,
                                        const FetchWatcher& watcher) {
  if (into.touch(blob.digest)) return {};
  const std::string upload = TRY(into.begin_upload());
  if (watcher.begun) watcher.begun(upload);
  Result<void> done;
  for (int attempt = 1;; ++attempt) {
    done = impl_->fetch_part(ref, blob, into, upload, watcher);
    if (done.ok() || watcher.stop.stop_requested() || attempt >= impl_->options.attempts_max ||
        !is_worth_another_try(done.error()))
      break;
  }
  if (!done.ok()) {
    TRY(into.cancel_upload(upload));
    return std::move(done).in("fetch " + blob.digest.str());
  }
  return into.finish_upload(upload, blob.digest).in("fetch " + blob.digest.str());
}

// The manifest from `into` when it is named by digest and is there.
Result<FetchedManifest> RegistryClient::Impl::kept_manifest(RegistryClient& client, const Reference& ref,
                                                            const BlobStore& into) {
  if (!ref.digest || !into.touch(*ref.digest)) return client.manifest(ref);
  FetchedManifest out;
  out.digest = *ref.digest;
  out.bytes = TRY(into.read(out.digest, content::kManifestBytesMax));
  const Value parsed = TRY(json::parse(out.bytes));
  out.media_type = TRY(content::detect_media_type(parsed));
  return out;
}

Result<PulledImage> RegistryClient::pull(const Reference& ref, BlobStore& into, const content::Platform& platform,
                                         const std::function<void(const Descriptor&)>& progress) {
  const std::string doing = "pull " + ref.familiar();
  FetchedManifest fetched = TRY(impl_->kept_manifest(*this, ref, into).in(doing));
  if (content::is_index_type(fetched.media_type)) {
    const content::Index index = TRY(content::parse_index(fetched.bytes).in(doing));
    const Descriptor chosen = TRY(content::choose_platform(index, platform).in(doing));
    TRY(into.put(fetched.digest, content::from_string(fetched.bytes)));
    Reference one = ref;
    one.digest = chosen.digest;
    fetched = TRY(impl_->kept_manifest(*this, one, into).in(doing));
  }
  PulledImage out;
  out.digest = fetched.digest;
  out.manifest = TRY(content::parse_manifest(fetched.bytes).in(doing));
  TRY(fetch_blob(ref, out.manifest.config, into).in(doing));
  const std::string config = TRY(into.read(out.manifest.config.digest, content::kConfigBytesMax).in(doing));
  out.config = TRY(content::parse_config(config).in(doing));
  for (const Descriptor& layer : out.manifest.layers) {
    TRY(fetch_blob(ref, layer, into).in(doing));
    if (progress) progress(layer);
  }
  TRY(into.put(fetched.digest, content::from_string(fetched.bytes)));  // last: the manifest's blobs are all there
  return out;
}

Result<void> RegistryClient::Impl::put_blob_once(const Reference& ref, const Digest& digest, std::uint64_t size,
                                                 const ByteSource& bytes) {
  http::Request begin;
  begin.method = "POST";
  begin.url = url(ref, "blobs/uploads/");
  const http::Response begun = TRY(send(std::move(begin), ref, true));
  if (begun.status != 202) return error_of(begun.status, begun.body, "begin an upload to " + ref.repository);
  const std::string to = location(ref, begun.headers.get("Location"));
  http::Request put;
  put.method = "PUT";
  put.url = to + (to.find('?') == std::string::npos ? "?" : "&") + "digest=" + percent_encode(digest.str());
  put.headers.set("Content-Type", "application/octet-stream");
  put.headers.set("Content-Length", std::to_string(size));
  put.body_source = bytes;
  put.time_max = Duration(0);
  prepare(put, ref, true);
  const http::Response answer = TRY(http.send(put));
  if (answer.status != 201) return error_of(answer.status, answer.body, "upload to " + ref.repository);
  return {};
}

Result<void> RegistryClient::put_blob(const Reference& ref, const Digest& digest, std::uint64_t size_bytes,
                                      const std::function<Result<ByteSource>()>& open) {
  const bool there = TRY(has_blob(ref, digest));
  if (there) return {};
  for (int attempt = 1;; ++attempt) {
    ByteSource bytes = TRY(open());
    Result<void> done = impl_->put_blob_once(ref, digest, size_bytes, bytes);
    if (done.ok() || attempt >= impl_->options.attempts_max || !is_worth_another_try(done.error())) {
      return std::move(done).in("push blob " + digest.str());
    }
  }
}

Result<bool> RegistryClient::mount_blob(const Reference& ref, const Digest& digest, std::string_view from) {
  http::Request request;
  request.method = "POST";
  request.url =
      impl_->url(ref, "blobs/uploads/?mount=" + percent_encode(digest.str()) + "&from=" + percent_encode(from));
  const http::Response answer = TRY(impl_->send(std::move(request), ref, true));
  if (answer.status == 201) return true;
  if (answer.status != 202)
    return error_of(answer.status, answer.body, "mount " + digest.str() + " from " + std::string(from));
  http::Request cancel;  // an upload was begun instead
  cancel.method = "DELETE";
  cancel.url = impl_->location(ref, answer.headers.get("Location"));
  TRY(impl_->send(std::move(cancel), ref, true));
  return false;
}

Result<void> RegistryClient::put_manifest(const Reference& ref, std::string_view bytes, std::string_view media_type) {
  http::Request request;
  request.method = "PUT";
  request.url = impl_->url(ref, "manifests/" + (ref.tag.empty() ? ref.digest->str() : ref.tag));
  request.headers.set("Content-Type", media_type);
  request.body = bytes;
  const http::Response answer = TRY(impl_->send(std::move(request), ref, true).in("push " + ref.familiar()));
  if (answer.status != 201) return error_of(answer.status, answer.body, "push " + ref.familiar());
  return {};
}

Result<std::vector<std::string>> RegistryClient::Impl::list(const Reference& ref, std::string url,
                                                            std::string_view member) {
  constexpr int kPagesMax = 10'000;
  std::vector<std::string> out;
  for (int page = 0; page < kPagesMax && !url.empty(); ++page) {
    http::Request request;
    request.url = std::exchange(url, {});
    const std::string doing = "list " + std::string(member) + " of " + ref.registry;
    const http::Response answer = TRY(send(std::move(request), ref, false).in(doing));
    if (answer.status != 200) return error_of(answer.status, answer.body, doing);
    const Value body = TRY(json::parse(answer.body).in(doing));
    for (const Value& one : body[member].items()) out.push_back(one.str());
    const std::string_view link = answer.headers.get("Link");  // <address>; rel="next"
    const std::size_t open = link.find('<'), close = link.find('>');
    if (open != std::string_view::npos && close != std::string_view::npos &&
        link.find("next") != std::string_view::npos)
      url = location(ref, link.substr(open + 1, close - open - 1));
  }
  return out;
}

Result<std::vector<std::string>> RegistryClient::tags(const Reference& ref) {
  return impl_->list(ref, impl_->url(ref, "tags/list?n=1000"), "tags");
}

Result<std::vector<std::string>> RegistryClient::repositories(const Reference& ref) {
  return impl_->list(ref, impl_->base_url(ref) + "/v2/_catalog?n=1000", "repositories");
}

Result<content::Index> RegistryClient::referrers(const Reference& ref, const Digest& digest) {
  http::Request request;
  request.url = impl_->url(ref, "referrers/" + digest.str());
  const http::Response answer = TRY(impl_->send(std::move(request), ref, false).in("referrers of " + ref.familiar()));
  if (answer.status == 404) return content::Index{};
  if (answer.status != 200) return error_of(answer.status, answer.body, "referrers of " + ref.familiar());
  return content::parse_index(answer.body);
}

Result<void> RegistryClient::remove(const Reference& ref) {
  http::Request request;
  request.method = "DELETE";
  request.url = impl_->url(ref, "manifests/" + (ref.digest ? ref.digest->str() : ref.tag));
  const http::Response answer = TRY(impl_->send(std::move(request), ref, true).in("remove " + ref.familiar()));
  if (answer.status == 405) return Error{ErrorCode::forbidden, ref.registry + " deletes nothing"};
  if (answer.status != 202 && answer.status != 200)
    return error_of(answer.status, answer.body, "remove " + ref.familiar());
  return {};
}

Result<void> RegistryClient::push(const Reference& ref, const Digest& manifest, const BlobStore& blobs,
                                  content::LayerSource* layers) {
  const std::string bytes = TRY(blobs.read(manifest, content::kManifestBytesMax));
  const Value document = TRY(json::parse(bytes));
  const std::string type = TRY(content::detect_media_type(document));
  if (content::is_index_type(type)) {
    const content::Index index = TRY(content::parse_index(bytes));
    for (const Descriptor& child : index.manifests) {
      Reference inner = ref;
      inner.tag.clear();
      inner.digest = child.digest;
      if (blobs.has(child.digest)) TRY(push(inner, child.digest, blobs, layers));
    }
    return put_manifest(ref, bytes, type);
  }
  const content::Manifest parsed = TRY(content::parse_manifest(bytes));
  std::vector<Descriptor> parts = parsed.layers;
  parts.push_back(parsed.config);
  for (const Descriptor& part : parts) {
    const bool stored = blobs.has(part.digest);
    if (!stored && (layers == nullptr || !layers->has(part.digest))) {
      return Error{ErrorCode::not_found, "push " + ref.familiar() + ": blob " + part.digest.str() + " is not here"};
    }
    TRY(put_blob(ref, part.digest, part.size_bytes, [&]() -> Result<ByteSource> {
      if (stored) return blobs.open_read(part.digest);
      return layers->open(part.digest);
    }));
  }
  return put_manifest(ref, bytes, parsed.media_type);
}

}  // namespace caisson::registry
