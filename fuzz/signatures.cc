// SPDX-License-Identifier: Apache-2.0
// What lies beside an image in a registry that somebody else fills: signature manifests, payloads, envelopes, bundles,
// certificates, entries of a log. The input is given as each of them; reading ends, and nothing of it verifies.
#include "core/base/check.h"
#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "security/policy/authority.h"

using namespace caisson;

namespace {

// A registry that answers every question with the same bytes.
class SameBytes final : public policy::ImageSource {
 public:
  explicit SameBytes(std::string bytes) : bytes_(std::move(bytes)) {}
  Result<policy::FetchedManifest> manifest(const std::string&, const std::string&) const override {
    return policy::FetchedManifest{"sha256:" + sha256_hex(bytes_), "", bytes_};
  }
  Result<std::string> blob(const std::string&, const std::string&, std::size_t) const override { return bytes_; }
  Result<std::vector<policy::ImageReferrer>> referrers(const std::string&, const std::string&) const override {
    return std::vector<policy::ImageReferrer>{{"sha256:0", "application/vnd.dev.sigstore.bundle.v0.3+json"}};
  }

 private:
  std::string bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > (1u << 16)) return 0;
  const std::string text(reinterpret_cast<const char*>(data), size);
  static const policy::PublicKey log = *policy::PublicKey::parse(policy::kPublicRekorKey);
  (void)policy::PublicKey::parse_all(text).ok();
  if (const auto all = policy::Certificate::parse_all(text); all.ok())
    for (const policy::Certificate& one : *all) {
      (void)one.subjects();
      (void)one.issuer();
      (void)policy::verify_chain(one, *all, {}, Time(std::chrono::seconds(1'700'000'000))).ok();
    }
  (void)policy::Certificate::parse_der(text).ok();
  if (const auto entry = policy::parse_rekor_bundle(text); entry.ok()) (void)policy::verify_promise(*entry, log).ok();
  policy::LogEntry entry;
  entry.body = base64(text);
  (void)policy::check_entry_is_of(entry, "payload", "signature", log).ok();
  policy::Authority authority;
  authority.keys = {log};
  authority.ignore_log = true;
  const SameBytes source(text);
  for (const auto read : {policy::read_signatures, policy::read_attestations}) {
    const auto found = read(source, {"example.com/app", "sha256:" + std::string(64, 'a')});
    if (!found.ok()) continue;
    for (const policy::Signature& one : *found)
      CHECK(!policy::verify_signature(authority, one, Time(std::chrono::seconds(1'700'000'000))).ok());
  }
  return 0;
}
