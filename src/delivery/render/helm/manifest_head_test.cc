// SPDX-License-Identifier: Apache-2.0
// The scan of heads agrees with the YAML reader on whatever it takes, broken documents included.
#include "delivery/render/helm/manifest_head.h"

#include <doctest/doctest.h>

#include <random>

#include "core/base/text.h"
#include "delivery/render/helm/chart.h"
#include "delivery/render/helm/manifest.h"

namespace caisson::render::helm {
namespace {

constexpr std::string_view kUsual = R"(# a comment
apiVersion: apps/v1
kind: Deployment
metadata:
  name: "web-1"
  annotations:
    checksum/config: 0a1b  # of the file
    "prometheus.io/scrape": "true"
    note: 'it''s here'
  labels: {}
spec:
  replicas: 2
  template:
    spec:
      containers:
      - name: web
        image: shop/web:v2
        args:
        - --port=8080
        - -v
        - "a \"quoted\" one"
        env:
          - name: A
            value: |
              first: [

                second
          # between
          - name: B
            value: >-
              folded
        ports: []
      -   name: two
          resources:
            {}
      volumes:
      - - nested
        - list
)";

// What sort_manifests says of one document; "" when it is refused.
std::string sorted(const std::string& document, Read read) {
  std::vector<std::string> warnings;
  const auto out = sort_manifests({{"c/templates/a.yaml", document}}, warnings, read);
  if (!out.ok()) return out.error().message;
  std::string text;
  for (const Manifest& one : out->resources)
    text += one.kind() + "|" + one.object["apiVersion"].scalar_text() + "|" +
            one.object["metadata"]["name"].scalar_text() + "|" + one.content + "\n";
  for (const Hook& hook : out->hooks) text += "hook " + hook.name + "\n";
  for (const std::string& warning : warnings) text += warning + "\n";
  return text;
}

// A document with some of its characters, or lines, changed, taken away or said twice.
std::string mutated(std::string text, std::mt19937& random) {
  constexpr std::string_view kPieces[] = {
      " ", "  ", "\n", "- ",        ": ",          ":",           "#",        " #",   "\"", "'",    "|",   ">",
      "{", "[",  "}",  "]",         "*a",          "&a ",         "!!str ",   "\t",   "\\", "null", "yes", "---",
      "%", "?",  "~",  "kind: X\n", "metadata:\n", "  name: y\n", "\xC3\xA9", "\xFF", "-",  "...",  ","};
  const auto below = [&](std::size_t size) { return std::uniform_int_distribution<std::size_t>(0, size - 1)(random); };
  for (std::size_t times = 1 + below(3); times > 0; --times) {
    const std::size_t at = below(text.size());
    switch (below(4)) {
      case 0:
        text.erase(at, 1 + below(3));
        break;
      case 1: {
        const std::size_t end = std::min(text.find('\n', at), text.size() - 1);
        text.insert(end + 1, text.substr(at, end + 1 - at));
        break;
      }
      default:
        text.insert(at, kPieces[below(std::size(kPieces))]);
    }
    if (text.empty()) text = "a: b\n";
  }
  return text;
}

}  // namespace

TEST_CASE("the head of a usual manifest is found without reading the whole") {
  const auto head = scan_head(trim(kUsual));
  REQUIRE(head.has_value());
  CHECK(*head == ManifestHead{"apps/v1", "Deployment", "web-1"});
  CHECK(scan_head("kind: Namespace").value() == ManifestHead{"", "Namespace", ""});
}

TEST_CASE("what the scan is not sure of is left to the reader") {
  for (const std::string_view text : {"",
                                      "# nothing",
                                      "a",
                                      "- a",
                                      "kind: [a]",
                                      "kind: 12",
                                      "kind: yes",
                                      "kind: |\n  a",
                                      "kind: Pod\nkind: Job",
                                      "metadata:\n- a",
                                      "metadata: a",
                                      "metadata:\n  annotations:\n    helm.sh/hook: test",
                                      "metadata:\n  annotations:\n    a: {}",
                                      "metadata:\n  annotations:\n    a:\n      {}",
                                      "metadata:\n  []",
                                      "kind:\n  {}",
                                      "{}",
                                      "a:\n  {}\n  b: c",
                                      "a:\n  {} b",
                                      "metadata:\n  annotations:\n    a:\n      b: c",
                                      "metadata:\n  name:\n    a: b",
                                      "a: *b",
                                      "a: &b c",
                                      "a: !!str b",
                                      "a: [b, c]",
                                      "a: \"b",
                                      "a: \"\\x41\"",
                                      "a: b\n  c",
                                      "a: b: c",
                                      "a:\tb",
                                      "a: .inf",
                                      "a: -.inf",
                                      "a:\n   b: c\n  d: e",
                                      "a: b\n c: d",
                                      "%a: b",
                                      "a: b\xFF",
                                      "a: b\n---\nc: d",
                                      "a: |2\n   b",
                                      "-",
                                      "a:\n-",
                                      "null: a",
                                      "? a",
                                      "a: @b",
                                      "a: |\n    \n  b"}) {
    CAPTURE(std::string(text));
    CHECK_FALSE(scan_head(text).has_value());
  }
}

TEST_CASE("with heads only, manifests are refused and sorted as when they are read") {
  const char* given = std::getenv("CAISSON_SEED");
  const auto seed = static_cast<unsigned>(given != nullptr ? std::atol(given) : 7);
  std::mt19937 random(seed);
  std::size_t taken = 0;
  for (int i = 0; i < 4'000; ++i) {
    const std::string document(trim(mutated(std::string(kUsual), random)));
    taken += scan_head(document).has_value() ? 1 : 0;
    const std::string whole = sorted(document, Read::whole);
    REQUIRE_MESSAGE(sorted(document, Read::heads) == whole, "seed " << seed << ", document:\n" << document);
  }
  CHECK(taken > 400);  // the scan had something to say
}

}  // namespace caisson::render::helm
