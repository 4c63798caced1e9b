// SPDX-License-Identifier: Apache-2.0
#include "artifact/content/reference.h"

#include <doctest/doctest.h>

using namespace caisson;
using namespace caisson::content;

TEST_CASE("references are normalised as docker does, and every name of our registry is one") {
  RegistryNames names;
  names.addresses = {"10.43.0.3:5000"};
  struct Case {
    const char *text, *want;
  };
  const std::string hex(64, 'a');
  for (const Case& c : std::initializer_list<Case>{
           {"nginx", "docker.io/library/nginx:latest"},
           {"nginx:1.25", "docker.io/library/nginx:1.25"},
           {"bitnami/redis:7", "docker.io/bitnami/redis:7"},
           {"docker.io/nginx", "docker.io/library/nginx:latest"},
           {"index.docker.io/library/nginx", "docker.io/library/nginx:latest"},
           {"ghcr.io/o/r/x:v1", "ghcr.io/o/r/x:v1"},
           {"localhost:5000/shop/web:v1", "shop/web:v1"},
           {"127.0.0.1:5000/shop/web", "shop/web:latest"},
           {"localhost:5001/shop/web", "localhost:5001/shop/web:latest"},
           {"registry.caisson.internal:5000/shop/web", "shop/web:latest"},
           {"10.43.0.3:5000/shop/web", "shop/web:latest"},
           {"registry.caisson-system.svc:5000/a/b:c", "a/b:c"},
           {"host.example:443/a_b/c__d/e---f", "host.example:443/a_b/c__d/e---f:latest"},
       }) {
    CAPTURE(c.text);
    const Result<Reference> ref = parse_reference(c.text, names);
    REQUIRE(ref.ok());
    CHECK(ref->str() == c.want);
  }
  const Result<Reference> pinned = parse_reference("nginx@sha256:" + hex, names);
  REQUIRE(pinned.ok());
  CHECK(pinned->tag.empty());
  CHECK(pinned->digest->hex == hex);
  CHECK(pinned->familiar() == "nginx@sha256:" + hex);
}

TEST_CASE("malformed references are refused with what is wrong") {
  for (const char* text : {"", ":v1", "Nginx", "a//b", "a/b:", "a/b:.x", "nginx@sha256:12", "-a", "a_-b", "a/b ",
                           "x@md5:aa", "registry.example:5000/", "a___b", "ghcr.io/A/b"}) {
    CAPTURE(text);
    const Result<Reference> ref = parse_reference(text, {});
    CHECK_FALSE(ref.ok());
    if (!ref.ok()) CHECK(ref.error().code == ErrorCode::bad_request);
  }
}
