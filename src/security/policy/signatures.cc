// SPDX-License-Identifier: Apache-2.0
#include "security/policy/signatures.h"

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::policy {
namespace {

constexpr std::size_t kPayloadBytesMax = 32u << 20;  // bills of materials are large
constexpr std::size_t kSignaturesMax = 100, kReferrersMax = 100;
constexpr std::string_view kSignatureLayer = "application/vnd.dev.cosign.simplesigning.v1+json";
constexpr std::string_view kEnvelopeLayer = "application/vnd.dsse.envelope.v1+json";
constexpr std::string_view kBundlePrefix = "application/vnd.dev.sigstore.bundle";
constexpr std::string_view kSignatureArtifact = "application/vnd.dev.cosign.artifact.sig.v1+json";
constexpr std::string_view kAttestationArtifact = "application/vnd.dev.cosign.artifact.att.v1+json";
constexpr std::string_view kStatementType = "application/vnd.in-toto+json";
// What `cosign sign` attests with bundles: a statement without a word of its own.
constexpr std::string_view kSignPredicate = "https://sigstore.dev/cosign/sign/v1";

enum class Wanted { signatures, attestations };

Error bad(std::string why) {
  return {ErrorCode::bad_request, std::move(why)};
}

Result<Value> parsed(std::string_view text) {
  return json::parse(text, {.depth_max = 100, .size_bytes_max = kPayloadBytesMax});
}

bool names_digest(const Value& statement, std::string_view digest) {
  for (const Value& subject : statement["subject"].items())
    for (const auto& entry : subject["digest"].entries())
      if (std::string(entry.key) + ":" + entry.value.str() == digest) return true;
  return false;
}

Result<void> take_annotations(const Value& annotations, Signature& out) {
  const std::string_view certificate = annotations["dev.sigstore.cosign/certificate"].as_string();
  const std::string_view chain = annotations["dev.sigstore.cosign/chain"].as_string();
  if (!certificate.empty()) out.certificates = TRY(Certificate::parse_all(certificate));
  if (!certificate.empty() && !chain.empty())
    for (const Certificate& one : TRY(Certificate::parse_all(chain))) out.certificates.push_back(one);
  const std::string_view bundle = annotations["dev.sigstore.cosign/bundle"].as_string();
  if (!bundle.empty()) out.log_entry = TRY(parse_rekor_bundle(bundle));
  return {};
}

Result<Signature> simple_signature(std::string payload, const Value& annotations) {
  Signature out;
  out.signature = TRY(unbase64(annotations["dev.cosignproject.cosign/signature"].as_string()));
  if (out.signature.empty()) return bad("the layer has no signature");
  out.document = TRY(parsed(payload));
  out.message = payload;
  out.payload = std::move(payload);
  TRY(take_annotations(annotations, out));
  return out;
}

// One Signature for each signature of the envelope.
Result<std::vector<Signature>> envelope_signatures(const Value& envelope) {
  Signature one;
  one.payload = TRY(unbase64(envelope["payload"].as_string()));
  const std::string type = envelope["payloadType"].str();
  if (type != kStatementType) return bad("the envelope holds \"" + type + "\", not an in-toto statement");
  one.message = dsse_message(type, one.payload);
  one.document = TRY(parsed(one.payload));
  std::vector<Signature> out;
  for (const Value& given : envelope["signatures"].items()) {
    if (out.size() >= kSignaturesMax) break;
    one.signature = TRY(unbase64(given["sig"].as_string()));
    out.push_back(one);
  }
  return out;
}

Result<std::vector<Signature>> bundle_signatures(const Value& bundle) {
  const Value& material = bundle["verificationMaterial"];
  if (!bundle["dsseEnvelope"].is_map()) return bad("the bundle holds no envelope");
  auto out = TRY(envelope_signatures(bundle["dsseEnvelope"]));
  std::vector<Certificate> certificates;
  const auto take = [&](const Value& certificate) -> Result<void> {
    const std::string der = TRY(unbase64(certificate["rawBytes"].as_string()));
    certificates.push_back(TRY(Certificate::parse_der(der)));
    return {};
  };
  if (material["certificate"].is_map()) TRY(take(material["certificate"]));
  for (const Value& certificate : material["x509CertificateChain"]["certificates"].items()) TRY(take(certificate));
  for (Signature& one : out) {
    one.certificates = certificates;
    if (!material["tlogEntries"].empty()) one.log_entry = TRY(parse_bundle_entry(material["tlogEntries"][0]));
  }
  return out;
}

class Reader {
 public:
  Reader(const ImageSource& source, const SignedImage& image, Wanted wanted)
      : source_(source), image_(image), wanted_(wanted) {}

  Result<std::vector<Signature>> read() {
    const char* suffix = wanted_ == Wanted::signatures ? ".sig" : ".att";
    TRY(read_manifest(replace_all(image_.digest, ":", "-") + suffix));
    const auto referrers = source_.referrers(image_.repository, image_.digest);
    if (!referrers.ok() && referrers.error().code != ErrorCode::not_found) return referrers.error();
    std::size_t looked_at = 0;
    if (referrers.ok())
      for (const ImageReferrer& one : *referrers)
        if (is_wanted(one.artifact_type) && looked_at++ < kReferrersMax) TRY(read_manifest(one.digest));
    if (out_.empty() && first_error_) return *first_error_;
    return std::move(out_);
  }

 private:
  bool is_wanted(std::string_view artifact_type) const {
    if (artifact_type.starts_with(kBundlePrefix)) return true;
    return artifact_type == (wanted_ == Wanted::signatures ? kSignatureArtifact : kAttestationArtifact);
  }

  Result<void> read_manifest(const std::string& reference) {
    const auto found = source_.manifest(image_.repository, reference);
    if (!found.ok() && found.error().code == ErrorCode::not_found) return {};
    if (!found.ok()) return found.error();
    const Value manifest = TRY(parsed(found->bytes));
    for (const Value& layer : manifest["layers"].items()) {
      if (out_.size() >= kSignaturesMax) break;
      const auto done = read_layer(layer);
      if (!done.ok() && done.error().code != ErrorCode::bad_request) return done;
      if (!done.ok() && !first_error_) first_error_ = done.error();
    }
    return {};
  }

  Result<void> read_layer(const Value& layer) {
    const std::string_view type = layer["mediaType"].as_string();
    const bool is_bundle = type.starts_with(kBundlePrefix);
    const bool is_envelope = type == kEnvelopeLayer;
    if (wanted_ == Wanted::signatures ? type != kSignatureLayer && !is_bundle : !is_envelope && !is_bundle) return {};
    std::string bytes = TRY(source_.blob(image_.repository, layer["digest"].str(), kPayloadBytesMax));
    if (type == kSignatureLayer) {
      Signature one = TRY(simple_signature(std::move(bytes), layer["annotations"]));
      if (one.document.get({"critical", "image", "docker-manifest-digest"}).as_string() == image_.digest)
        out_.push_back(std::move(one));
      return {};
    }
    const Value document = TRY(parsed(bytes));
    auto found = TRY(is_bundle ? bundle_signatures(document) : envelope_signatures(document));
    for (Signature& one : found) {
      const bool signs = one.document["predicateType"].as_string() == kSignPredicate;
      if (!names_digest(one.document, image_.digest) || signs != (wanted_ == Wanted::signatures)) continue;
      if (is_envelope) TRY(take_annotations(layer["annotations"], one));
      out_.push_back(std::move(one));
    }
    return {};
  }

  const ImageSource& source_;
  const SignedImage& image_;
  const Wanted wanted_;
  std::vector<Signature> out_;
  std::optional<Error> first_error_;
};

}  // namespace

std::string dsse_message(std::string_view payload_type, std::string_view payload) {
  std::string out = "DSSEv1 " + std::to_string(payload_type.size()) + " ";
  out.append(payload_type).append(" ").append(std::to_string(payload.size())).append(" ").append(payload);
  return out;
}

Result<std::vector<Signature>> read_signatures(const ImageSource& source, const SignedImage& image) {
  return Reader(source, image, Wanted::signatures).read();
}
Result<std::vector<Signature>> read_attestations(const ImageSource& source, const SignedImage& image) {
  return Reader(source, image, Wanted::attestations).read();
}

}  // namespace caisson::policy
