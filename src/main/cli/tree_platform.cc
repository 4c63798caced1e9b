// SPDX-License-Identifier: Apache-2.0
// up, down, node, preflight, status, login, git-credential, timeline, and the processes of `up`.
#include <CLI/CLI.hpp>

#include "core/base/log.h"
#include "main/cli/tree.h"
#include "main/platform/up.h"

namespace caisson::cli {
namespace {

void take_settings(Tree& tree, CLI::App* command) {
  platform::Settings& s = tree.up.settings;
  command->add_option("--config", tree.up.config,
                      "caisson.yaml: the same settings by name; flags are overridden by it");
  command->add_option("--listen", s.listen, "address to listen on")->capture_default_str();
  command->add_option("--api-port", s.ports.api, "Kubernetes API (TLS)")->capture_default_str();
  command->add_option("--portal-port", s.ports.portal, "git, webhooks, health")->capture_default_str();
  command->add_option("--registry-port", s.ports.registry, "container registry")->capture_default_str();
  command->add_option("--http-port", s.ports.http, "ingress")->capture_default_str();
  command->add_option("--https-port", s.ports.https, "ingress, TLS")->capture_default_str();
  command->add_option("--pod-cidr", s.pod_cidr, "address range of pods (default: the first free one)");
  command->add_option("--service-cidr", s.service_cidr, "address range of services (default: the first free one)");
  command->add_option("--node-name", s.node_name, "name of the node (default: the host's)");
  command->add_option("--nodes", s.nodes, "how many nodes share this machine (default: as before, or 1)")
      ->check(CLI::Range(1, platform::kNodesMax));
  command
      ->add_option("--node-monitor-grace-period", s.node_monitor_grace,
                   "a node that is silent for longer is NotReady and loses its pods")
      ->capture_default_str();
  command->add_option("--stand-ins", s.stand_ins, "auto, always or never: base images from distribution packages")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  command->add_option("--package-cache", s.package_cache,
                      "directory for downloaded packages, shared between instances");
  command
      ->add_option("--collect-every", s.collect_every,
                   "how often images and layers that nobody needs any more are taken away")
      ->capture_default_str();
  command->add_option("--trust-host-ca", s.trust_host_ca, "builds get this host's CA bundle")->capture_default_str();
}

}  // namespace

void add_platform_commands(Tree& t) {
  auto* up = add(t, t.app, "up", "start the platform", "sudo caisson up --detach", [&t] {
    t.up.settings.data_dir = t.global.data_dir;
    if (t.attach.kubeconfig.empty()) return done(command_up(t.up));
    t.attach.settings = t.up.settings;
    t.attach.detach = t.up.detach;
    return done(command_attach(t.attach));
  });
  take_settings(t, up);
  add_attachment(t, up);
  up->add_flag("-d,--detach", t.up.detach, "return when it is ready; it goes on in the background");
  auto* down = add(t, t.app, "down", "stop the platform and everything it started", "sudo caisson down --purge", [&t] {
    t.down.data_dir = t.global.data_dir;
    return done(command_down(t.down));
  });
  down->add_flag("--purge", t.down.purge, "remove the data too");
  down->add_option("--grace", t.down.grace_seconds, "seconds that containers get to end by themselves")
      ->check(CLI::Range(0, 3600))
      ->capture_default_str();
  down->add_option("--config", t.down.config, "caisson.yaml that says where the data is");
  auto* node = add(t, t.app, "node", "lose and get back a node of this machine (see up --nodes)", "", nullptr);
  node->require_subcommand(1);
  for (const bool start : {false, true}) {
    auto* command =
        start ? add(t, *node, "start", "start the agent of a node that was stopped", "sudo caisson node start HOST-2",
                    [&t] { return done(command_node(t.global, t.text, true)); })
              : add(t, *node, "stop", "end a node's agent, as if its machine were lost; its processes go on",
                    "sudo caisson node stop HOST-2", [&t] { return done(command_node(t.global, t.text, false)); });
    command->add_option("name", t.text, "of the node ('caisson get nodes')")->required();
  }
  auto* preflight = add(t, t.app, "preflight", "say what of this machine would keep the platform from running",
                        "caisson preflight", [&t] {
                          t.up.settings.data_dir = t.global.data_dir;
                          return done(command_preflight(t.up, t.global.output));
                        });
  take_settings(t, preflight);
  take_output(t, preflight);
  take_connection(t, add(t, t.app, "status", "say what runs and what is wrong", "caisson status",
                         [&t] { return done(command_status(t.global)); }));
  auto* login = add(t, t.app, "login", "let kubectl, git and docker of this user talk to the platform", "caisson login",
                    [&t] { return done(command_login(t.global, t.from)); });
  login->add_option("--from", t.from, "kubeconfig to take the credentials from");
  auto* credential = add(t, t.app, "git-credential", "answer git's credential questions (set by login)", "",
                         [&t] { return done(command_git_credential(t.global, t.text)); });
  credential->add_option("operation", t.text)->required();
  auto* timeline = add(t, t.app, "timeline", "show where the time of the last push went", "caisson timeline shop-dev",
                       [&t] { return done(command_timeline(t.global, t.text)); });
  timeline->add_option("application", t.text, "of this Application; else the newest push");
  take_connection(t, timeline);
}

void add_process_commands(Tree& t) {
  // The two processes of `up`; not for people.
  for (const char* role : {"server", "agent"}) {
    auto* process = add(t, t.app, role, "", "", [&t, role]() -> Result<int> {
      const platform::Instance instance = TRY(platform::load_instance(t.global.data_dir));
      log::set_process(role);
      if (std::string_view(role) == "server") return done(platform::run_server(instance));
      return done(t.text.empty() ? platform::run_agent(instance) : platform::run_node_agent(instance, t.text));
    });
    process->group("");
    if (std::string_view(role) == "agent") process->add_option("--node", t.text);
  }
}

}  // namespace caisson::cli
