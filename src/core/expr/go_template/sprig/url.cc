// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/url.h"

#include "core/expr/go_template/sprig/convert.h"
#include "core/expr/go_template/sprig/functions.h"

namespace caisson::go_template::sprig {
namespace {

Result<std::string> text_member(const Datum& dict, std::string_view key) {
  const auto found = dict.as_map() ? dict.as_map()->find(key) : std::nullopt;
  if (!found) return std::string();
  if (is_nil(*found)) return nil_dereference();
  if (found->is_string()) return found->str();
  return invalid("unable to parse " + std::string(key) + " key, must be of type string, but " +
                 std::string(kind_name(found->kind())) + " found");
}

}  // namespace

Result<Datum> url_parse(Call& call) {
  const auto parsed = Url::parse(call.text(0));
  if (!parsed.ok()) return Error(parsed.error()).in("unable to parse url");
  const Url& url = *parsed;
  Map::Entries entries;
  entries.emplace("scheme", Datum(url.scheme));
  entries.emplace("host", Datum(url.host));
  entries.emplace("hostname", Datum(url.hostname()));
  entries.emplace("path", Datum(url.path));
  entries.emplace("query", Datum(url.raw_query));
  entries.emplace("opaque", Datum(url.opaque));
  entries.emplace("fragment", Datum(url.fragment));
  entries.emplace("userinfo", Datum(url.userinfo()));
  return Datum(make<Map>(std::move(entries)));
}

Result<Datum> url_join(Call& call) {
  const Datum& dict = call[0];
  Url url;
  url.scheme = TRY(text_member(dict, "scheme"));
  url.host = TRY(text_member(dict, "host"));
  url.path = TRY(text_member(dict, "path"));
  url.raw_query = TRY(text_member(dict, "query"));
  url.opaque = TRY(text_member(dict, "opaque"));
  url.fragment = TRY(text_member(dict, "fragment"));
  const std::string userinfo = TRY(text_member(dict, "userinfo"));
  if (!userinfo.empty()) {
    auto with_user = Url::parse("proto://" + userinfo + "@host");
    if (!with_user.ok()) return std::move(with_user).error().in("unable to parse userinfo in dict");
    url.user = with_user->user;
    url.password = with_user->password;
  }
  return Datum(url.str());
}

}  // namespace caisson::go_template::sprig
