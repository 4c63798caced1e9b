// SPDX-License-Identifier: Apache-2.0
#include "main/cli/unknown_command.h"

#include <doctest/doctest.h>

namespace caisson::cli {
namespace {

constexpr std::string_view kKnown[] = {"get", "set", "apply", "status", "rollout", "up", "down"};

TEST_CASE("A mistyped command brings the one that was meant") {
  CHECK(nearest_command("aply", kKnown) == "apply");
  CHECK(nearest_command("appyl", kKnown) == "apply");
  CHECK(nearest_command("stauts", kKnown) == "status");
  CHECK(nearest_command("rolout", kKnown) == "rollout");
  CHECK(nearest_command("gte", kKnown) == "get");
  CHECK(nearest_command("gets", kKnown) == "get");
}

TEST_CASE("A word that is like no command brings none") {
  CHECK(nearest_command("deploy", kKnown).empty());
  CHECK(nearest_command("x", kKnown).empty());
  CHECK(nearest_command("", kKnown).empty());
  CHECK(nearest_command(std::string(100000, 'g'), kKnown).empty());
}

TEST_CASE("A command of two words without its second lists what there is") {
  constexpr SubCommand kFamily[] = {{"rollout history", "view revisions"}, {"rollout undo", "go back"}};
  CHECK(which_command({"rollout"}, kFamily) ==
        "'rollout' is followed by one of:\n  rollout history  view revisions\n  rollout undo     go back\n");
  CHECK(which_command({"rollout", "undoo"}, kFamily).starts_with("'rollout' has no command 'undoo'; it has:\n"));
}

}  // namespace
}  // namespace caisson::cli
