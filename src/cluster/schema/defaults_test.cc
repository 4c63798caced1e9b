// SPDX-License-Identifier: Apache-2.0
// Objects as posted and as a reference server gave them back: testdata/defaults/*.json, {"in": …, "want": …}. What
// admission and allocators add (default tolerations, cluster IPs, tokens) is taken out of `want`.
#include "cluster/schema/defaults.h"

#include <doctest/doctest.h>

#include "cluster/schema/schema.h"
#include "core/base/file.h"
#include "core/base/test_dirs.h"
#include "core/document/json.h"
#include "core/document/patch.h"

using namespace caisson;
using namespace caisson::schema;

TEST_CASE("defaults are those of the reference") {
  auto made = Schema::built_in();
  REQUIRE(made.ok());
  const std::string dir = test_room_dir() + "/testdata/defaults/";
  auto names = list_dir(dir);
  REQUIRE(names.ok());
  for (const std::string& name : *names) {
    CAPTURE(name);
    auto text = read_file(dir + name);
    REQUIRE(text.ok());
    auto data = json::parse(*text);
    REQUIRE(data.ok());
    const KindPtr kind = made->find_object((*data)["in"]);
    REQUIRE(kind);
    const Value got = with_defaults(*kind, pruned(*kind, (*data)["in"]));
    for (const document::Difference& difference : document::differences((*data)["want"], got)) {
      FAIL_CHECK(name << ": " << difference.path << ": want "
                      << (difference.was_absent ? "nothing" : json::write(difference.before)) << ", got "
                      << (difference.is_absent ? "nothing" : json::write(difference.after)));
    }
    CHECK(with_defaults(*kind, got) == got);
  }
}
