// SPDX-License-Identifier: Apache-2.0
// build, image
#include <CLI/CLI.hpp>

#include "main/cli/registry_access.h"
#include "main/cli/tree.h"

namespace caisson::cli {
void add_image_commands(Tree& t) {
  auto* build =
      add(t, t.app, "build", "have the platform build a Dockerfile", "caisson build -t localhost:5000/shop/web:1.0 .",
          [&t] { return done(command_build(t.global, t.build)); });
  build->add_option("context", t.build.context, "folder")->capture_default_str();
  build->add_option("-t,--tag", t.build.tags, "where the image goes, as in localhost:5000/shop/web:1.0")
      ->allow_extra_args(false);
  build->add_option("-f,--file", t.build.dockerfile, "relative to the context")->capture_default_str();
  build->add_option("--target", t.build.target, "stage");
  build->add_option("--build-arg", t.build.build_args, "NAME=value")->allow_extra_args(false);
  build->add_option("--label", t.build.labels, "NAME=value")->allow_extra_args(false);
  build->add_flag("--no-cache", t.build.no_cache, "run every instruction");
  build->add_option("--cache-from", t.build.cache_from, "a cache to begin from: type=registry,ref=HOST/REPOSITORY:TAG")
      ->allow_extra_args(false);
  build->add_option("--cache-to", t.build.cache_to,
                    "where the cache goes: type=registry,ref=HOST/REPOSITORY:TAG[,mode=max]");
  build->add_option("--secret", t.build.secrets, "for RUN --mount=type=secret: id=ID,src=FILE or id=ID,env=NAME")
      ->allow_extra_args(false);
  build
      ->add_option("--ssh", t.build.ssh_keys,
                   "for RUN --mount=type=ssh and ADD by ssh: ID=KEYFILE, as default=~/.ssh/id")
      ->allow_extra_args(false);
  build->add_option("--tar-path", t.build.tar_path, "archive to write");
  build->add_option("--digest-file", t.build.digest_file, "file for the digest");
  build->add_option("--portal", t.build.portal, "where the log comes from (default: the platform's on this machine)");
  take_connection(t, build);
  auto* image = add(t, t.app, "image", "look at, move and remove images", "caisson image ls", nullptr);
  image->require_subcommand(1);
  auto* ls =
      add(t, *image, "ls", "list the images of a registry (the platform's)", "caisson image ls localhost:5000/shop/web",
          [&t] { return at_registry(done(command_image_list(t.global, t.image))); });
  ls->add_option("registry", t.image.target, "host, or host/repository; else the platform's on this machine");
  ls->add_option("-o,--output", t.image.format, "json, or a table")->check(CLI::IsMember({"json", "table"}));
  auto* bootstrap = add(t, *image, "bootstrap", "make a base image from this distribution's packages, as an archive",
                        "caisson image bootstrap nginx:1.27 --output nginx.tar",
                        [&t] { return done(command_image_bootstrap(t.image)); });
  bootstrap->add_option("image", t.image.target, "as in FROM; without it the names there are");
  bootstrap->add_option("-o,--output", t.image.file, "archive to write");
  auto* inspect = add(t, *image, "inspect", "print configuration, layers and what refers to it",
                      "caisson image inspect localhost:5000/shop/web:1.0",
                      [&t] { return at_registry(done(command_image_inspect(t.global, t.image))); });
  auto* pull =
      add(t, *image, "pull", "fetch an image into an archive", "caisson image pull nginx:1.27 --output nginx.tar",
          [&t] { return at_registry(done(command_image_save(t.global, t.image))); });
  auto* save = add(t, *image, "save", "the same as pull", "caisson image save localhost:5000/shop/web:1.0 -o web.tar",
                   [&t] { return at_registry(done(command_image_save(t.global, t.image))); });
  auto* push = add(t, *image, "push", "send an image of an archive to a registry",
                   "caisson image push web.tar localhost:5000/shop/web:1.0",
                   [&t] { return at_registry(done(command_image_push(t.global, t.image))); });
  auto* load = add(t, *image, "load", "send every image of an archive to a registry, by its own name",
                   "caisson image load web.tar localhost:5000",
                   [&t] { return at_registry(done(command_image_load(t.global, t.image))); });
  auto* remove = add(t, *image, "rm", "take a tag or a manifest away", "caisson image rm localhost:5000/shop/web:1.0",
                     [&t] { return at_registry(done(command_image_remove(t.global, t.image))); });
  for (CLI::App* command : {inspect, pull, save, remove}) command->add_option("image", t.image.target)->required();
  for (CLI::App* command : {pull, save})
    command->add_option("-o,--output", t.image.file, "archive to write")->required();
  for (CLI::App* command : {push, load}) command->add_option("archive", t.image.file)->required();
  push->add_option("image", t.image.target)->required();
  load->add_option("registry", t.image.target, "host; else the platform's on this machine");
}

}  // namespace caisson::cli
