// SPDX-License-Identifier: Apache-2.0
#include "main/cli/argument_table.h"

#include <doctest/doctest.h>

#include "main/cli/app_commands.h"
#include "main/cli/proj_commands.h"

namespace caisson::cli {

TEST_CASE("flags of app and proj: values behind '=' or a blank, toggles, lists, arguments in between") {
  const auto app = read_app_arguments({"web", "--revision=main", "--resource", ":Service:a", "--prune", "--cascade=false",
                                       "--resource", "apps:Deployment:b", "--timeout", "5", "-l", "a=b", "7"});
  REQUIRE(app.ok());
  CHECK(app->words == std::vector<std::string>{"web", "7"});
  CHECK(app->revision == "main");
  CHECK(app->resources == std::vector<std::string>{":Service:a", "apps:Deployment:b"});
  CHECK(app->prune);
  CHECK_FALSE(app->cascade);
  CHECK(app->timeout_seconds == 5);
  CHECK(app->selector == "a=b");
  CHECK(read_app_arguments({"--sync-policy", "automated"})->automated);
  CHECK(read_app_arguments({"--sync-policy=none"})->manual);
  const auto proj = read_proj_arguments({"shop", "ci", "-a", "sync", "--object=*", "-s", "a", "--src", "b", "-t"});
  REQUIRE(proj.ok());
  CHECK(proj->words == std::vector<std::string>{"shop", "ci"});
  CHECK(proj->action == "sync");
  CHECK(proj->object == "*");
  CHECK(proj->sources == std::vector<std::string>{"a", "b"});
  CHECK(proj->token_only);
  CHECK(proj->permission == "allow");
}

TEST_CASE("flags of app and proj: what is not known, has no value or a wrong one is refused by name") {
  CHECK(read_app_arguments({"--nonsense"}).error().message == "app: flag --nonsense is not known");
  CHECK(read_proj_arguments({"-z"}).error().message == "proj: flag -z is not known");
  CHECK(read_app_arguments({"web", "--revision"}).error().message == "--revision needs a value");
  CHECK(read_app_arguments({"--timeout"}).error().message == "--timeout needs a value");
  CHECK(read_app_arguments({"--timeout=-1"}).error().message == "--timeout needs seconds");
  CHECK(read_app_arguments({"--timeout=soon"}).error().message == "--timeout needs seconds");
  CHECK(read_app_arguments({"--sync-policy=sometimes"}).error().message == "--sync-policy is automated or none");
}

}  // namespace caisson::cli
