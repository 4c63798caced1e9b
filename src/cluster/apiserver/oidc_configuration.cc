// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/oidc_configuration.h"

#include <algorithm>
#include <set>

#include "cluster/schema/validate.h"
#include "core/base/text.h"

namespace caisson::apiserver {
namespace {

using schema::FieldError;
using Type = FieldError::Type;

class Reader {
 public:
  explicit Reader(const std::string& own_issuer) : own_issuer_(own_issuer) {}

  std::vector<OidcIssuer> issuers(const Value& configuration) {
    known(configuration, "", {"apiVersion", "kind", "jwt"});
    std::vector<OidcIssuer> out;
    std::set<std::string> urls;
    for (std::size_t i = 0; i < configuration["jwt"].size(); ++i) {
      out.push_back(issuer(configuration["jwt"][i], "jwt[" + std::to_string(i) + "]"));
      if (!urls.insert(out.back().url).second)
        add(Type::duplicate, "jwt[" + std::to_string(i) + "].issuer.url", Value(out.back().url), "");
    }
    if (out.empty()) add(Type::required, "jwt", {}, "");
    return out;
  }
  const std::vector<FieldError>& errors() const { return errors_; }

 private:
  void add(Type type, std::string field, const Value& value, std::string detail) {
    errors_.push_back({type, std::move(field), value, std::move(detail)});
  }

  void known(const Value& map, const std::string& at, std::initializer_list<std::string_view> names) {
    for (const auto& [key, value] : map.entries())
      if (std::find(names.begin(), names.end(), key) == names.end())
        add(Type::forbidden, at.empty() ? std::string(key) : at + "." + std::string(key), {},
            "not a field that is supported");
  }

  void check_url(const Value& url, const std::string& at) {
    const std::string_view text = url.as_string();
    if (text.empty()) return add(Type::required, at, {}, "URL is required");
    if (!text.starts_with("https://")) return add(Type::invalid, at, url, "URL scheme must be https");
    const std::string_view rest = text.substr(8);
    if (rest.substr(0, rest.find('/')).find('@') != std::string_view::npos)
      add(Type::invalid, at, url, "URL must not contain a username or password");
    if (text.find('?') != std::string_view::npos) add(Type::invalid, at, url, "URL must not contain a query");
    if (text.find('#') != std::string_view::npos) add(Type::invalid, at, url, "URL must not contain a fragment");
  }

  void audiences(const Value& issuer, const std::string& at, OidcIssuer& out) {
    for (const Value& audience : issuer["audiences"].items()) {
      if (audience.as_string().empty()) add(Type::required, at + ".audiences", {}, "audience can't be empty");
      out.audiences.push_back(audience.str());
    }
    if (out.audiences.empty()) add(Type::required, at + ".audiences", {}, "at least one audience is required");
    const Value& policy = issuer["audienceMatchPolicy"];
    if (!policy.is_null() && policy.as_string() != "MatchAny")
      add(Type::invalid, at + ".audienceMatchPolicy", policy, "audienceMatchPolicy must be empty or MatchAny");
    else if (out.audiences.size() > 1 && policy.is_null())
      add(Type::invalid, at + ".audienceMatchPolicy", policy,
          "audienceMatchPolicy must be MatchAny for multiple audiences");
  }

  // Over `variable` ("claims" or "user"), giving `wanted` (dyn: anything).
  std::optional<cel::Program> compile(const Value& written, const std::string& at, std::string_view variable,
                                      cel::TypeKind wanted) {
    const std::string text(trim(written.as_string()));
    if (text.empty()) {
      add(Type::required, at, {}, "expression is required");
      return std::nullopt;
    }
    cel::EnvironmentOptions options = cel::kubernetes_options();
    options.variables = {{std::string(variable), cel::Type()}};
    auto program = cel::Environment(std::move(options)).compile(text);
    if (!program.ok()) {
      add(Type::invalid, at, written, "compilation failed: " + program.error().message);
      return std::nullopt;
    }
    const cel::Type& type = program->result_type();
    if (wanted != cel::TypeKind::dyn && !type.is(wanted) && !type.is(cel::TypeKind::dyn)) {
      add(Type::invalid, at, written, "must evaluate to " + std::string(cel::Type(wanted).name()));
      return std::nullopt;
    }
    return std::move(program).value();
  }

  ClaimSource source(const Value& written, const std::string& at, bool with_prefix) {
    known(written, at, {"claim", "prefix", "expression"});
    ClaimSource out{.claim = written["claim"].str(), .prefix = written["prefix"].str()};
    const bool expression = !written["expression"].is_null();
    if (!out.claim.empty() && expression) add(Type::invalid, at, {}, "claim and expression can't both be set");
    if (!out.claim.empty() && with_prefix && written["prefix"].is_null())
      add(Type::required, at + ".prefix", {},
          "prefix is required when claim is set. It can be set to an empty string to disable prefixing");
    if (expression && !written["prefix"].is_null())
      add(Type::invalid, at + ".prefix", written["prefix"], "prefix can't be set when expression is set");
    if (expression) out.expression = compile(written["expression"], at + ".expression", "claims", cel::TypeKind::dyn);
    return out;
  }

  void mappings(const Value& written, const std::string& at, OidcIssuer& out) {
    known(written, at, {"username", "groups", "uid", "extra"});
    out.username = source(written["username"], at + ".username", true);
    if (out.username.claim.empty() && written["username"]["expression"].is_null())
      add(Type::required, at + ".username", {}, "claim or expression is required");
    if (written["username"]["expression"].as_string().find("claims.email") != std::string_view::npos &&
        written["username"]["expression"].as_string().find("claims.email_verified") == std::string_view::npos)
      add(Type::invalid, at + ".username.expression", written["username"]["expression"],
          "claims.email_verified must be used in claimMappings.username.expression when claims.email is");
    out.groups = source(written["groups"], at + ".groups", true);
    out.uid = source(written["uid"], at + ".uid", false);
    for (std::size_t i = 0; i < written["extra"].size(); ++i) {
      const Value& one = written["extra"][i];
      const std::string where = at + ".extra[" + std::to_string(i) + "]";
      const std::string key = one["key"].str();
      if (key.find('/') == std::string::npos || key != to_lower(key))
        add(Type::invalid, where + ".key", one["key"],
            "must be a domain-prefixed path in lower case (such as \"acme.io/foo\")");
      if (auto program = compile(one["valueExpression"], where + ".valueExpression", "claims", cel::TypeKind::dyn))
        out.extra.emplace_back(key, std::move(*program));
    }
  }

  void claim_rules(const Value& rules, const std::string& at, OidcIssuer& out) {
    for (std::size_t i = 0; i < rules.size(); ++i) {
      const std::string where = at + "[" + std::to_string(i) + "]";
      known(rules[i], where, {"claim", "requiredValue", "expression", "message"});
      OidcIssuer::ClaimRule rule{.claim = rules[i]["claim"].str(),
                                 .required_value = rules[i]["requiredValue"].str(),
                                 .message = rules[i]["message"].str()};
      const bool expression = !rules[i]["expression"].is_null();
      if (rule.claim.empty() != expression) {
        add(Type::invalid, where, {}, "exactly one of claim and expression is required");
        continue;
      }
      if (expression)
        rule.expression = compile(rules[i]["expression"], where + ".expression", "claims", cel::TypeKind::boolean);
      if (expression && !rules[i]["requiredValue"].is_null())
        add(Type::invalid, where + ".requiredValue", rules[i]["requiredValue"],
            "requiredValue can't be set when expression is set");
      out.claim_rules.push_back(std::move(rule));
    }
  }

  OidcIssuer issuer(const Value& written, const std::string& at) {
    known(written, at, {"issuer", "claimMappings", "claimValidationRules", "userValidationRules"});
    OidcIssuer out;
    const Value& from = written["issuer"];
    known(from, at + ".issuer", {"url", "discoveryURL", "certificateAuthority", "audiences", "audienceMatchPolicy"});
    out.url = from["url"].str();
    check_url(from["url"], at + ".issuer.url");
    if (out.url == own_issuer_)
      add(Type::invalid, at + ".issuer.url", from["url"],
          "URL must not overlap with disallowed issuers: [" + own_issuer_ + "]");
    if (!from["discoveryURL"].is_null()) {
      check_url(from["discoveryURL"], at + ".issuer.discoveryURL");
      if (from["discoveryURL"] == from["url"])
        add(Type::invalid, at + ".issuer.discoveryURL", from["discoveryURL"],
            "discoveryURL must be different from URL");
    }
    out.discovery_url = from["discoveryURL"].str();
    if (out.discovery_url.empty())
      out.discovery_url = (out.url.ends_with('/') ? out.url.substr(0, out.url.size() - 1) : out.url) +
                          "/.well-known/openid-configuration";
    out.ca_pem = from["certificateAuthority"].str();
    audiences(from, at + ".issuer", out);
    mappings(written["claimMappings"], at + ".claimMappings", out);
    claim_rules(written["claimValidationRules"], at + ".claimValidationRules", out);
    const Value& rules = written["userValidationRules"];
    for (std::size_t i = 0; i < rules.size(); ++i) {
      const std::string where = at + ".userValidationRules[" + std::to_string(i) + "].expression";
      if (auto program = compile(rules[i]["expression"], where, "user", cel::TypeKind::boolean))
        out.user_rules.push_back({std::move(*program), rules[i]["message"].str()});
    }
    return out;
  }

  const std::string& own_issuer_;
  std::vector<FieldError> errors_;
};

}  // namespace

Result<std::vector<OidcIssuer>> read_oidc_issuers(const Value& configuration, const std::string& own_issuer) {
  const std::string_view version = configuration["apiVersion"].as_string();
  if (configuration["kind"].as_string() != "AuthenticationConfiguration" ||
      !version.starts_with("apiserver.config.k8s.io/v1"))
    return Error{ErrorCode::invalid,
                 "apiVersion apiserver.config.k8s.io/v1beta1 and kind AuthenticationConfiguration are expected"};
  Reader reader(own_issuer);
  std::vector<OidcIssuer> issuers = reader.issuers(configuration);
  if (reader.errors().empty()) return issuers;
  std::vector<std::string> said;
  for (const FieldError& error : reader.errors()) said.push_back(error.str());
  return Error{ErrorCode::invalid, join(said, "; ")};
}

}  // namespace caisson::apiserver
