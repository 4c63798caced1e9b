// SPDX-License-Identifier: Apache-2.0
// The registry: OCI distribution-spec 1.1 (and what Docker's clients ask for: schema 2, _catalog) over content's blobs,
// tags and layers.
// Invariant: a tag names a manifest whose blobs are all here and durable. Blobs are visible only through a repository
// that links them, so who may read one repository learns nothing of another. A layer that is kept as a tree is served
// by streaming its tar.
// Threads: the handler may be called from any thread, and blocks.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "artifact/content/blob_store.h"
#include "artifact/content/tag_index.h"
#include "artifact/registry/project_rules.h"
#include "artifact/registry/upstreams.h"
#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/base/secret.h"
#include "core/http/server.h"

namespace caisson::registry {

enum class Action { pull, push, remove };

// What came in the Authorization header.
struct Credentials {
  std::string user;    // of Basic
  SecretBytes secret;  // Basic's password or the Bearer token
  bool is_bearer = false;
  bool present() const { return !secret.empty() || !user.empty(); }
};

// After a tag or digest was put, on the request's thread.
struct Pushed {
  std::string repository, tag;  // tag empty: by digest
  content::Digest digest;
  std::string traceparent;  // of the request; may be empty
  Duration took{};          // from the manifest's arrival until it was durable
};

struct RegistryOptions {
  content::BlobStore& blobs;
  content::TagIndex& tags;
  content::LayerSource* layers = nullptr;  // absent: blobs only
  // May the caller do this? `repository` is empty for the version check (any known user) and "*" for the catalog.
  // Errors: unauthorized → 401 with a challenge, forbidden → 403; anything else → 503.
  std::function<Result<void>(const Credentials&, std::string_view repository, Action)> authorize;
  std::string realm = "caisson";
  // When set, the challenge is Bearer: clients fetch a token at `token_realm` (docker's token authentication).
  std::string token_realm, token_service;
  // What the project of a repository allows; asked at each push and deletion. A breach is 403 DENIED, with the rule.
  std::function<Result<ProjectRules>(std::string_view repository)> rules;
  // What a repository stands for elsewhere; nothing: it is our own. Such a repository is pulled through, and takes no
  // pushes.
  std::function<Result<std::optional<Upstream>>(std::string_view repository)> upstream;
  bool allow_delete = true;
  bool read_only = false;
  std::uint64_t blob_bytes_max = 64ull << 30;
  std::function<void(const Pushed&)> on_push;
  // After a tag was taken away, also by the deletion of its manifest.
  std::function<void(std::string_view repository, std::string_view tag)> on_remove;
};

http::Handler make_registry(RegistryOptions options);

}  // namespace caisson::registry
