// SPDX-License-Identifier: Apache-2.0
// Keys and certificates. Follows crypto.go of Sprig 3.3 and Go's crypto/x509: RSA of 2,048 bits for certificates,
// serial numbers of 128 random bits, the same extensions.
#include "core/expr/go_template/sprig/certificates.h"

#include <arpa/inet.h>

#include "core/base/clock.h"
#include "core/base/encoding.h"
#include "core/expr/go_template/format.h"
#include "core/expr/go_template/sprig/convert.h"
#include "core/expr/go_template/sprig/functions.h"

namespace caisson::go_template::sprig {
namespace {

class CertificateObject : public Object {
 public:
  explicit CertificateObject(CertificatePair pair) : pair_(std::move(pair)) {}
  const Type& type() const override;
  std::optional<Datum> field(std::string_view name) const override {
    if (name == "Cert") return Datum(pair_.certificate);
    if (name == "Key") return Datum(pair_.key);
    return std::nullopt;
  }
  std::vector<std::string_view> field_names() const override { return {"Cert", "Key"}; }
  bool equals(const Object& other) const override {
    return pair_ == static_cast<const CertificateObject&>(other).pair_;
  }
  const CertificatePair& pair() const { return pair_; }

 private:
  const CertificatePair pair_;
};

constinit const Type kCertificate{Kind::structure, "sprig.certificate"};
const Type& CertificateObject::type() const {
  return kCertificate;
}

Datum datum_of(CertificatePair pair) {
  return Datum(Ref<Object>(new CertificateObject(std::move(pair))));
}

const CertificatePair& pair_of(const Datum& datum) {
  return static_cast<const CertificateObject&>(*datum.as_object()).pair();
}

Result<std::vector<std::string>> addresses_of(const Datum& list) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Datum item = list.at(i);
    if (item.type() != &kString) return invalid("error parsing ip: " + TRY(to_text(item)) + " is not a string");
    unsigned char bytes[sizeof(in6_addr)];
    const std::string text = item.str();
    if (inet_pton(AF_INET, text.c_str(), bytes) != 1 && inet_pton(AF_INET6, text.c_str(), bytes) != 1) {
      return invalid("error parsing ip: " + text);
    }
    out.push_back(text);
  }
  return out;
}

Result<std::vector<std::string>> names_of(const Datum& list) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Datum item = list.at(i);
    if (item.type() != &kString) {
      return invalid("error processing alternate dns name: " + TRY(to_text(item)) + " is not a string");
    }
    out.push_back(item.str());
  }
  return out;
}

CertificateRequest authority_request(const Call& call) {
  CertificateRequest request;
  request.common_name = std::string(call.text(0));
  request.now = call.execution.clock().now();
  request.days_valid = call[1].as_int();
  request.is_authority = true;
  return request;
}

Result<CertificateRequest> leaf_request(const Call& call) {
  CertificateRequest request;
  request.common_name = std::string(call.text(0));
  request.now = call.execution.clock().now();
  request.addresses = TRY(addresses_of(call[1]));
  request.names = TRY(names_of(call[2]));
  request.days_valid = call[3].as_int();
  return request;
}

// A key takes long to find.
Result<PrivateKey> new_key(Call& call) {
  TRY(call.execution.spend(1'000'000));
  return PrivateKey::generate("rsa", 2'048);
}

Result<PrivateKey> given_key(std::string_view pem) {
  return PrivateKey::parse(pem).in("parsing private key");
}

}  // namespace

Result<Datum> gen_private_key(Call& call) {
  TRY(call.execution.spend(2'000'000));
  const std::string_view type = call.text(0);
  const bool known = type.empty() || type == "rsa" || type == "dsa" || type == "ecdsa" || type == "ed25519";
  if (!known) return Datum("Unknown type " + std::string(type));
  const auto key = PrivateKey::generate(type, 4'096);
  if (!key.ok()) return Datum("failed to generate private key: " + key.error().message);
  return Datum(key->pem());
}

Result<Datum> build_custom_cert(Call& call) {
  const auto certificate = unbase64(call.text(0)), key = unbase64(call.text(1));
  if (!certificate.ok()) return invalid("unable to decode base64 certificate");
  if (!key.ok()) return invalid("unable to decode base64 private key");
  TRY(check_certificate(*certificate));
  TRY(PrivateKey::parse(*key).in("error parsing private key"));
  return datum_of({*certificate, *key});
}

Result<Datum> gen_ca(Call& call) {
  return datum_of(TRY(self_signed(authority_request(call), TRY(new_key(call)))));
}
Result<Datum> gen_ca_with_key(Call& call) {
  return datum_of(TRY(self_signed(authority_request(call), TRY(given_key(call.text(2))))));
}

Result<Datum> gen_self_signed_cert(Call& call) {
  const PrivateKey key = TRY(new_key(call));
  return datum_of(TRY(self_signed(TRY(leaf_request(call)), key)));
}
Result<Datum> gen_self_signed_cert_with_key(Call& call) {
  const PrivateKey key = TRY(given_key(call.text(4)));
  return datum_of(TRY(self_signed(TRY(leaf_request(call)), key)));
}

Result<Datum> gen_signed_cert(Call& call) {
  const PrivateKey key = TRY(new_key(call));
  return datum_of(TRY(signed_by(TRY(leaf_request(call)), key, pair_of(call[4]))));
}
Result<Datum> gen_signed_cert_with_key(Call& call) {
  const PrivateKey key = TRY(given_key(call.text(5)));
  return datum_of(TRY(signed_by(TRY(leaf_request(call)), key, pair_of(call[4]))));
}

}  // namespace caisson::go_template::sprig
