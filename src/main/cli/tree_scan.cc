// SPDX-License-Identifier: Apache-2.0
// scan
#include <CLI/CLI.hpp>

#include "main/cli/registry_access.h"
#include "main/cli/scan_commands.h"
#include "main/cli/tree.h"

namespace caisson::cli {
namespace {

void take_scan_flags(Tree& t, CLI::App* command, const char* what) {
  command->preparse_callback([&t, what](std::size_t) { t.scan.what = what; });
  command->add_option("-f,--format", t.scan.format, "table, json, sarif, cyclonedx, cyclonedx-1.5 or spdx-json")
      ->capture_default_str();
  command->add_option("-o,--output", t.scan.output, "file to write to");
  command->add_option("-s,--severity", t.scan.severity,
                      "only these, as in HIGH,CRITICAL; one found ends with --exit-code");
  command->add_option("--exit-code", t.scan.exit_code, "exit status when --severity names something found")
      ->check(CLI::Range(0, 255))
      ->capture_default_str();
  command->add_flag("--ignore-unfixed", t.scan.ignore_unfixed, "only what a new version would mend");
  command->add_flag("--no-secrets", t.scan.no_secrets, "packages only");
  command->add_option("--ignorefile", t.scan.ignore_file,
                      "what is accepted, with until when: 'CVE-2024-1 exp:2026-12-31' (default .caissonignore)");
  command->add_option("--db", t.scan.database, "the advisories' file (default ~/.cache/caisson/advisories.db)");
}

}  // namespace

void add_scan_commands(Tree& t) {
  auto* scan = add(t, t.app, "scan", "find known vulnerabilities and secrets",
                   "caisson scan image localhost:5000/shop/web:1.0", nullptr);
  scan->require_subcommand(1);
  const auto run = [&t] { return at_registry(command_scan(t.global, t.scan)); };
  auto* image = add(t, *scan, "image", "an image of a registry, or of a file",
                    "caisson scan image nginx:1.27 --severity HIGH,CRITICAL", run);
  image->add_option("image", t.scan.target, "as in nginx:1.27");
  image->add_option("--input", t.scan.input, "archive of docker save, skopeo or caisson image save");
  auto* fs = add(t, *scan, "fs", "a folder: a checkout, an unpacked root", "caisson scan fs .", run);
  fs->add_option("folder", t.scan.target)->required();
  auto* sbom = add(t, *scan, "sbom", "a bill of materials (CycloneDX, SPDX)", "caisson scan sbom web.cdx.json", run);
  sbom->add_option("file", t.scan.target)->required();
  take_scan_flags(t, image, "image");
  take_scan_flags(t, fs, "fs");
  take_scan_flags(t, sbom, "sbom");
  auto* db = add(t, *scan, "db", "the advisories that scans look into", "caisson scan db import debian.json", nullptr);
  db->require_subcommand(1);
  auto* import =
      add(t, *db, "import", "read OSV records, their zips, Debian's tracker file", "caisson scan db import all.zip",
          [&t] { return done(command_scan_import(t.scan.target, t.scan.database)); });
  import->add_option("path", t.scan.target, "file or folder")->required();
  auto* push = add(t, *db, "push", "send advisories to a platform, which looks at its images and pods at once",
                   "caisson scan db push examples/advisories localhost:5000/caisson-system/advisories:latest",
                   [&t] { return at_registry(done(command_scan_push(t.global, t.scan.target, t.text))); });
  push->add_option("path", t.scan.target, "file or folder")->required();
  push->add_option("to", t.text, "where its registry keeps them")->required();
  auto* status = add(t, *db, "status", "say what there is", "caisson scan db status",
                     [&t] { return done(command_scan_status(t.scan.database)); });
  for (CLI::App* command : {import, status}) command->add_option("--db", t.scan.database, "the advisories' file");
}

}  // namespace caisson::cli
