// SPDX-License-Identifier: Apache-2.0
// attach, and the flags by which `up` attaches.
#include <CLI/CLI.hpp>

#include "main/cli/tree.h"

namespace caisson::cli {
namespace {

void take_attachment(Tree& t, CLI::App* command) {
  command->add_option("--kubeconfig", t.attach.kubeconfig,
                      "reconcile Applications of this Kubernetes instead of starting one");
  command->add_option("--context", t.attach.context, "context of the kubeconfig");
  command->add_option("--home-namespace", t.attach.home_namespace, "where the Applications are")->capture_default_str();
  command->add_flag("--take-over", t.attach.take_over, "stop an Argo CD that works there, and adopt its Applications");
}

}  // namespace

void add_attachment(Tree& t, CLI::App* up) {
  take_attachment(t, up);
  auto* attach = add(t, t.app, "attach", "reconcile Applications of a Kubernetes that is there already",
                     "caisson attach --kubeconfig ~/.kube/config", [&t] {
                       t.attach.settings = t.up.settings;
                       t.attach.settings.data_dir = t.global.data_dir;
                       return done(t.attach.print_rbac ? command_print_rbac(t.attach) : command_attach(t.attach));
                     });
  take_attachment(t, attach);
  attach->add_flag("--print-rbac", t.attach.print_rbac,
                   "print the rights it needs, as a manifest; with --kubeconfig for the kinds in use there");
  attach->add_option("--listen", t.up.settings.listen, "address for webhooks and health")->capture_default_str();
  attach->add_option("--portal-port", t.up.settings.ports.portal, "webhooks, health")->capture_default_str();
}

}  // namespace caisson::cli
