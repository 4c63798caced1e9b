// SPDX-License-Identifier: Apache-2.0
// Recorded exchanges with an OCI registry: each begins with an empty one, and each step's status, headers and body must
// hold.
#include <doctest/doctest.h>

#include <map>

#include "artifact/registry/registry.h"
#include "conformance/corpus.h"
#include "core/document/json.h"
#include "core/http/client.h"

namespace caisson::conformance {
namespace {

using content::BlobStore;
using content::TagIndex;
using registry::Action;
using registry::Credentials;

// The registry as an exchange's `registry` says, on a port of its own.
struct Subject {
  TempDir dir = TempDir::make().value();
  BlobStore blobs = BlobStore::open(dir.path()).value();
  TagIndex tags = TagIndex::open(dir.path()).value();
  http::Server server = http::Server::start({}).value();
  std::string url;

  explicit Subject(const std::string& mode) {
    registry::RegistryOptions options{.blobs = blobs, .tags = tags};
    options.allow_delete = mode != "nodelete";
    options.read_only = mode == "readonly";
    if (mode == "basic" || mode == "token") {
      options.realm = "caisson-realm";
      if (mode == "token") {
        options.token_realm = "<realm>";
        options.token_service = "caisson.test";
      }
      options.authorize = [](const Credentials& who, std::string_view, Action) -> Result<void> {
        if (who.user == "alice" && who.secret.reveal() == "secret") return {};
        return Error{ErrorCode::unauthorized, "authentication required"};
      };
    }
    const int port = server.listen("127.0.0.1", 0, registry::make_registry(std::move(options))).value();
    url = "http://127.0.0.1:" + std::to_string(port);
  }
};

std::string expand(std::string text, const std::map<std::string, std::string>& captured) {
  for (const auto& [name, value] : captured) text = replace_all(text, "${" + name + "}", value);
  return text;
}

std::string path_of(std::string_view location) {
  if (!location.starts_with("http")) return std::string(location);
  const std::size_t slash = location.find('/', location.find("//") + 2);
  return std::string(location.substr(slash));
}

// The scheme, then the parameters as a sorted list; the scopes as a sorted set.
std::vector<std::string> challenge_parts(std::string_view text) {
  std::vector<std::string> out{std::string(text.substr(0, text.find(' ')))};
  std::string rest(text.substr(std::min(text.find(' ') + 1, text.size())));
  const std::size_t scope = rest.find("scope=\"");
  if (scope != std::string::npos) {
    const std::size_t end = rest.find('"', scope + 7);
    const std::string scopes = rest.substr(scope + 7, end - scope - 7);
    for (const std::string_view one : split(scopes, ' ')) {
      const std::size_t colon = one.rfind(':');
      std::vector<std::string> actions;
      for (const std::string_view action : split(one.substr(colon + 1), ',')) actions.emplace_back(action);
      std::sort(actions.begin(), actions.end());
      out.push_back("scope " + std::string(one.substr(0, colon)) + ":" + join(actions, ","));
    }
    rest.erase(scope, end - scope + 1);
  }
  for (const std::string_view parameter : split(rest, ',')) {
    if (!trim(parameter).empty()) out.emplace_back(trim(parameter));
  }
  std::sort(out.begin() + 1, out.end());
  return out;
}

std::string compare_header(const std::string& name, const std::string& want, const http::Headers& headers) {
  const std::string_view have = headers.get(name);
  const auto differs = [&] { return name + ": \"" + std::string(have) + "\" instead of \"" + want + "\""; };
  const std::string lower = to_lower(name);
  if (lower == "docker-distribution-api-version" || lower == "docker-upload-uuid" || lower == "etag") return "";
  if (lower == "link")
    return (want.find("rel=\"next\"") != std::string::npos) == (have.find("rel=\"next\"") != std::string_view::npos)
               ? ""
               : differs();
  if (lower == "content-type") {
    const auto plain = [](std::string_view text) { return trim(text.substr(0, text.find(';'))); };
    return plain(have) == plain(want) ? "" : differs();
  }
  if (lower == "www-authenticate") return challenge_parts(have) == challenge_parts(want) ? "" : differs();
  if (lower == "range" && want == "0-0" && have.empty()) return "";
  if (lower == "allow") {
    const auto sorted = [](std::string_view text) {
      std::set<std::string> out;
      for (const std::string_view one : split(text, ',')) out.emplace(trim(one));
      return out;
    };
    return sorted(have) == sorted(want) ? "" : differs();
  }
  if (lower == "location") {
    const std::string path = path_of(have);
    if (want.ends_with("<any>")) return path.starts_with(want.substr(0, want.size() - 5)) ? "" : differs();
    return path == path_of(want) ? "" : differs();
  }
  return have == want ? "" : differs();
}

Value without_nulls(const Value& value) {
  if (!value.is_map()) return value;
  Value out = Value::map();
  for (const auto& [key, member] : value.entries()) {
    if (!member.is_null() && !(member.is_list() && member.empty())) out.set(key, member);
  }
  return out;
}

bool same_json(std::string_view have, std::string_view want, bool as_set) {
  const auto a = json::parse(have), b = json::parse(want);
  if (!a.ok() || !b.ok()) return false;
  if (as_set && (*a)["manifests"].is_list()) {
    const auto sorted = [](const Value& index) {
      std::multiset<std::string> out;
      for (const Value& one : index["manifests"].items()) out.insert(json::write(one, {.sort_keys = true}));
      return out;
    };
    return sorted(*a) == sorted(*b);
  }
  return without_nulls(*a) == without_nulls(*b);
}

bool is_listing(const Value& step) {
  const std::string path = step["path"].str();
  return path.find("/tags/list") != std::string::npos || path.find("_catalog") != std::string::npos;
}

std::string compare_body(const Value& step, const Value& expect, const http::Response& answer) {
  if (step["method"].as_string() == "HEAD") return "";
  if (expect.contains("json")) {
    const auto body = json::parse(answer.body);
    if (!body.ok()) return "the body is no JSON: " + answer.body;
    const std::string have = (*body)["errors"][0]["code"].str();
    for (const Value& code : expect["code_any"].items()) {
      if (code.as_string() == have) return "";
    }
    const std::string want = expect["json"]["errors"][0]["code"].str();
    const auto about_name = [](std::string_view code) { return code == "NAME_UNKNOWN" || code == "MANIFEST_UNKNOWN"; };
    if (have == want || (about_name(have) && about_name(want))) return "";
    return "error code " + have + " instead of " + want;
  }
  if (!expect.contains("body") || expect["body"].as_string().starts_with("<")) return "";
  const std::string want = expect["body"].str();
  if (answer.body == want) return "";
  const bool referrers = step["path"].str().find("/referrers/") != std::string::npos;
  if ((is_listing(step) || referrers || want == "{}") && same_json(answer.body, want, referrers)) return "";
  return "body \"" + answer.body.substr(0, 300) + "\" instead of \"" + want.substr(0, 300) + "\"";
}

bool holds(const Value& numbers, int status) {
  if (numbers.is_int()) return numbers.as_int() == status;
  for (const Value& one : numbers.items()) {
    if (one.as_int() == status) return true;
  }
  return false;
}

std::string run_step(const Value& step, const std::string& base, std::map<std::string, std::string>& captured) {
  static const http::Client client([] {
    http::ClientOptions options;
    options.redirects_max = 0;
    return options;
  }());
  http::Request request;
  request.method = step["method"].str();
  std::string path = path_of(expand(step["path"].str(), captured));
  const std::string query = expand(step["query"].str(), captured);
  if (!query.empty()) path += (path.find('?') == std::string::npos ? "?" : "&") + query;
  request.url = base + path;
  for (const auto& [name, value] : step["headers"].entries()) request.headers.set(name, value.str());
  request.body = step["body"].str();
  const auto answer = client.send(request);
  if (!answer.ok()) return answer.error().message;
  for (const auto& [name, header] : step["capture"].entries())
    captured[std::string(name)] = answer->headers.get(header.as_string());
  const Value& expect = step["expect"];
  if (!holds(expect["status"], answer->status)) {
    if (holds(expect["status_any"], answer->status)) return "";
    return "status " + std::to_string(answer->status) + " instead of " + json::write(expect["status"]) + ": " +
           answer->body.substr(0, 200);
  }
  for (const auto& [name, value] : expect["headers"].entries()) {
    // Lists are compared as JSON, where [] and null are equal; their length says nothing then.
    if (name == "Content-Length" && is_listing(step)) continue;
    const std::string why = compare_header(std::string(name), value.str(), answer->headers);
    if (!why.empty()) return why;
  }
  return compare_body(step, expect, *answer);
}

std::string run_exchange(const Value& exchange) {
  const Subject subject(exchange["registry"].str());
  std::map<std::string, std::string> captured;
  std::size_t number = 0;
  for (const Value& step : exchange["steps"].items()) {
    const std::string why = run_step(step, subject.url, captured);
    if (!why.empty())
      return "step " + std::to_string(number) + " (" + step["method"].str() + " " + step["path"].str() + "): " + why;
    ++number;
  }
  return "";
}

}  // namespace

TEST_CASE("the registry answers as the OCI distribution specification and the reference registry do") {
  const std::string root = corpus_dir("oci");
  if (root.empty()) return;
  Outcomes outcomes("oci");
  const auto files = list_dir(root);
  REQUIRE(files.ok());
  for (const std::string& file : *files) {
    if (!file.ends_with(".json") || file == "INDEX.json") continue;
    const auto exchange = json::parse(text_of(root + "/" + file));
    REQUIRE_MESSAGE(exchange.ok(), file);
    const std::string why = run_exchange(*exchange);
    const std::string id = (*exchange)["name"].str();
    if (why.empty())
      outcomes.passed(id);
    else
      outcomes.failed(id, why);
  }
  outcomes.check(true);
}

}  // namespace caisson::conformance
