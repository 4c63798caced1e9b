// SPDX-License-Identifier: Apache-2.0
#include "security/policy/authority.h"

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/expr/cel/regex.h"
#include "core/expr/jmespath/wildcard.h"
#include "security/policy/notary.h"

namespace caisson::policy {
namespace {

Error bad(std::string why) {
  return {ErrorCode::bad_request, std::move(why)};
}
Error refused(std::string why) {
  return {ErrorCode::unauthorized, std::move(why)};
}

std::map<std::string, std::string> texts_of(const Value& map) {
  std::map<std::string, std::string> out;
  for (const auto& entry : map.entries()) out[std::string(entry.key)] = entry.value.scalar_text();
  return out;
}

// A Secret's member, decoded. cosign keeps a public key as "cosign.pub".
Result<std::string> secret_text(const Lookups& lookups, const std::string& ns, const std::string& name) {
  const Value secret = TRY(lookups.object("v1", "Secret", ns, name));
  if (secret.is_null()) return Error{ErrorCode::not_found, "secrets \"" + ns + "/" + name + "\" not found"};
  const Value& data = secret["data"];
  const Value* found = data.find("cosign.pub");
  if (found == nullptr && data.size() == 1) found = &data.entries()[0].value;
  if (found == nullptr) return bad("Secret " + ns + "/" + name + " has no member cosign.pub");
  return unbase64(found->as_string());
}

// PEM as it stands, or "k8s://namespace/secret".
Result<std::string> key_text(const Value& text, const Lookups& lookups) {
  constexpr std::string_view kScheme = "k8s://";
  const std::string_view given = trim(text.as_string());
  if (!given.starts_with(kScheme)) return std::string(given);
  const auto parts = split(given.substr(kScheme.size()), '/');
  if (parts.size() != 2) return bad("publicKeys: \"" + std::string(given) + "\" is not k8s://namespace/name");
  return secret_text(lookups, std::string(parts[0]), std::string(parts[1]));
}

Result<std::vector<Certificate>> certificates_in(const Value& pem, std::string_view field) {
  return Certificate::parse_all(pem.as_string()).in(field);
}

// rekor and ctlog as verifyImages has them.
void take_logs(const Value& from, Authority& out) {
  out.ignore_log = from["rekor"]["ignoreTlog"].as_bool();
  out.log_key = from["rekor"]["pubkey"].str();
  out.ignore_certificate_log = from["ctlog"]["ignoreSCT"].as_bool();
  out.certificate_log_key = from["ctlog"]["pubkey"].str();
}

Result<void> take_keys(const Value& keys, const Lookups& lookups, Authority& out) {
  if (!keys["kms"].as_string().empty()) return bad("keys.kms: key management services are not asked");
  if (!keys["signatureAlgorithm"].as_string().empty()) out.hash = keys["signatureAlgorithm"].str();
  std::string pem;
  if (keys["secret"].is_map())
    pem = TRY(secret_text(lookups, keys["secret"]["namespace"].str(), keys["secret"]["name"].str()).in("keys.secret"));
  else
    pem = TRY(key_text(keys["publicKeys"], lookups).in("keys.publicKeys"));
  out.keys = TRY(PublicKey::parse_all(pem).in("keys.publicKeys"));
  take_logs(keys, out);
  return {};
}

Result<void> take_certificates(const Value& given, Authority& out) {
  if (!given["cert"].as_string().empty()) out.certificate = TRY(certificates_in(given["cert"], "certificates.cert"));
  if (!given["certChain"].as_string().empty())
    out.roots = TRY(certificates_in(given["certChain"], "certificates.certChain"));
  if (out.certificate.empty() && out.roots.empty()) return bad("certificates: needs cert or certChain");
  take_logs(given, out);
  out.ignore_certificate_log = out.ignore_certificate_log || out.certificate_log_key.empty();
  return {};
}

Result<void> take_keyless(const Value& given, Authority& out) {
  out.keyless = true;
  SignerIdentity one{given["issuer"].str(), given["subject"].str(), given["issuerRegExp"].str(),
                     given["subjectRegExp"].str()};
  out.identities.push_back(std::move(one));
  out.extensions = texts_of(given["additionalExtensions"]);
  if (given["roots"].as_string().empty())
    return bad("keyless.roots: needs the certificate authority's root; nothing is fetched from Sigstore");
  out.roots = TRY(certificates_in(given["roots"], "keyless.roots"));
  take_logs(given, out);
  return {};
}

bool fits(std::string_view text, const std::string& plain, const std::string& pattern, bool wildcards) {
  if (!plain.empty() && !(wildcards ? jmespath::wildcard_match(plain, text) : text == plain)) return false;
  if (pattern.empty()) return true;
  const auto regex = cel::Regex::compile("^(?:" + pattern + ")$");
  return regex.ok() && regex->matches(text);
}

Result<void> check_identity(const Authority& authority, const Certificate& leaf) {
  const auto extensions = leaf.extensions();
  for (const auto& [name, wanted] : authority.extensions) {
    const auto found = extensions.find(name);
    if (found == extensions.end() || !jmespath::wildcard_match(wanted, found->second))
      return refused("extension " + name + " is \"" + (found == extensions.end() ? "" : found->second) + "\", not \"" +
                     wanted + "\"");
  }
  const std::string issuer = leaf.issuer();
  const auto subjects = leaf.subjects();
  for (const SignerIdentity& one : authority.identities) {
    if (!fits(issuer, one.issuer, one.issuer_pattern, false)) continue;
    for (const std::string& subject : subjects)
      if (fits(subject, one.subject, one.subject_pattern, true)) return {};
    if (one.subject.empty() && one.subject_pattern.empty()) return {};
  }
  return refused("signed by " + (subjects.empty() ? "nobody" : join(subjects, ", ")) + " of issuer \"" + issuer +
                 "\", which is not the wanted identity");
}

// When the signature was made: by the log's word, else now. Errors: unauthorized.
Result<Time> signing_time(const Authority& authority, const Signature& signature, const PublicKey& signer, Time now) {
  if (authority.ignore_log) return now;
  if (!signature.log_entry)
    return refused("no transparency log entry lies beside the signature (rekor.ignoreTlog would do without)");
  const PublicKey log_key =
      TRY(PublicKey::parse(authority.log_key.empty() ? kPublicRekorKey : authority.log_key).in("rekor.pubkey"));
  TRY(verify_promise(*signature.log_entry, log_key));
  TRY(check_entry_is_of(*signature.log_entry, signature.payload, signature.signature, signer));
  return signature.log_entry->time();
}

Result<void> check_certificate_log(const Authority& authority, const Certificate& leaf,
                                   const std::vector<Certificate>& issuers, Time at) {
  if (authority.ignore_certificate_log) return {};
  if (authority.certificate_log_key.empty())
    return refused("the certificate log's key is not given (ctlog.pubkey, or ctlog.ignoreSCT: true)");
  Error last = refused("the certificate's issuer is not known");
  for (const Certificate& issuer : issuers) {
    auto done = verify_embedded_timestamp(leaf, issuer, authority.certificate_log_key, at);
    if (done.ok()) return done;
    last = std::move(done).error();
  }
  return last;
}

// By a certificate that came with the signature, or that the policy gives.
Result<void> verify_by_certificate(const Authority& authority, const Signature& signature, Time now) {
  const auto& given = authority.certificate.empty() ? signature.certificates : authority.certificate;
  if (given.empty()) return refused("the signature has no certificate");
  const Certificate& leaf = given.front();
  const PublicKey key = TRY(leaf.key());
  if (!key.verifies(signature.message, signature.signature, authority.hash)) return refused("invalid signature");
  const Time at = TRY(signing_time(authority, signature, key, now));
  if (!leaf.is_valid_at(at)) return refused("the certificate was not valid when it signed");
  std::vector<Certificate> between(given.begin() + 1, given.end());
  std::vector<Certificate> roots;
  for (const Certificate& one : authority.roots) (one.is_self_signed() ? roots : between).push_back(one);
  if (roots.empty()) roots = authority.roots;
  // A certificate that the policy gives whole is itself what is trusted.
  if (!roots.empty()) TRY(verify_chain(leaf, between, roots, at));
  if (authority.keyless) TRY(check_identity(authority, leaf));
  between.insert(between.end(), roots.begin(), roots.end());
  return check_certificate_log(authority, leaf, between, at);
}

// A policy of type Notary trusts certificates: cert and certChain alike.
Result<void> verify_by_notary(const Authority& authority, const Signature& signature, Time now) {
  std::vector<Certificate> trusted = authority.certificate;
  trusted.insert(trusted.end(), authority.roots.begin(), authority.roots.end());
  if (authority.keyless || trusted.empty()) return refused("type Notary needs certificates: cert or certChain");
  return verify_notary_signature(trusted, signature, now);
}

Result<void> verify_by_keys(const Authority& authority, const Signature& signature, Time now) {
  for (const PublicKey& key : authority.keys) {
    if (!key.verifies(signature.message, signature.signature, authority.hash)) continue;
    TRY(signing_time(authority, signature, key, now));
    return {};
  }
  return refused("invalid signature");
}

}  // namespace

Result<Authority> parse_authority(const Value& entry, const Lookups& lookups) {
  Authority out;
  if (!entry["signatureAlgorithm"].as_string().empty()) out.hash = entry["signatureAlgorithm"].str();
  if (entry["keys"].is_map())
    TRY(take_keys(entry["keys"], lookups, out));
  else if (entry["certificates"].is_map())
    TRY(take_certificates(entry["certificates"], out));
  else if (entry["keyless"].is_map())
    TRY(take_keyless(entry["keyless"], out));
  else
    return bad("needs one of keys, certificates, keyless, attestor");
  out.annotations = texts_of(entry["annotations"]);
  out.repository = entry["repository"].str();
  return out;
}

Result<Authority> parse_cosign_attestor(const Value& cosign, const Lookups& lookups) {
  Authority out;
  const Value& logs = cosign["ctlog"];
  out.annotations = texts_of(cosign["annotations"]);
  out.repository = cosign["source"]["repository"].str();
  if (cosign["key"].is_map()) {
    const Value& key = cosign["key"];
    if (!key["kms"].as_string().empty()) return bad("cosign.key.kms: key management services are not asked");
    if (!key["hashAlgorithm"].as_string().empty()) out.hash = to_lower(key["hashAlgorithm"].as_string());
    const std::string pem = TRY(key_text(key["data"], lookups).in("cosign.key.data"));
    out.keys = TRY(PublicKey::parse_all(pem).in("cosign.key.data"));
  } else if (cosign["certificate"].is_map()) {
    const auto text = [](const Value& value) { return value.is_map() ? value["value"] : value; };
    TRY(take_certificates(
        Value{{"cert", text(cosign["certificate"]["cert"])}, {"certChain", text(cosign["certificate"]["certChain"])}},
        out));
  } else if (cosign["keyless"].is_map()) {
    const Value& keyless = cosign["keyless"];
    out.keyless = true;
    for (const Value& one : keyless["identities"].items())
      out.identities.push_back(
          {one["issuer"].str(), one["subject"].str(), one["issuerRegExp"].str(), one["subjectRegExp"].str()});
    const Value& roots = keyless.contains("roots") ? keyless["roots"] : keyless["root"];
    const Value& pem = roots.is_map() ? roots["data"] : roots;
    if (pem.as_string().empty())
      return bad("cosign.keyless.roots: needs the certificate authority's root; nothing is fetched from Sigstore");
    out.roots = TRY(certificates_in(pem, "cosign.keyless.roots"));
  } else {
    return bad("cosign: needs one of key, certificate, keyless");
  }
  out.ignore_log = logs["insecureIgnoreTlog"].as_bool();
  out.log_key = logs["rekorPubKey"].str();
  out.certificate_log_key = logs["ctLogPubKey"].str();
  out.ignore_certificate_log = logs["insecureIgnoreSCT"].as_bool() || (!out.keyless && out.certificate_log_key.empty());
  return out;
}

Result<Authority> parse_notary_attestor(const Value& notary) {
  Authority out;
  const Value& certs = notary["certs"].is_map() ? notary["certs"]["value"] : notary["certs"];
  out.roots = TRY(certificates_in(certs, "notary.certs"));
  return out;
}

Result<void> verify_signature(const Authority& authority, const Signature& signature, Time now) {
  if (signature.notary) return verify_by_notary(authority, signature, now);
  TRY(authority.keys.empty() ? verify_by_certificate(authority, signature, now)
                             : verify_by_keys(authority, signature, now));
  for (const auto& [name, wanted] : authority.annotations) {
    const Value& value = signature.document["optional"][name];
    if (value.scalar_text() != wanted)
      return refused("annotation " + name + " is \"" + value.scalar_text() + "\", not \"" + wanted + "\"");
  }
  return {};
}

}  // namespace caisson::policy
