// SPDX-License-Identifier: Apache-2.0
#include "main/cli/attach_commands.h"

#include <cstdio>

#include "cluster/kube/http_client.h"
#include "main/platform/attach.h"
#include "main/platform/attach_objects.h"

namespace caisson::cli {

Result<void> command_attach(const AttachFlags& flags) {
  if (flags.kubeconfig.empty())
    return Error{
        ErrorCode::bad_request,
        "say which Kubernetes: --kubeconfig FILE; 'caisson attach --print-rbac' prints the rights that are needed"};
  if (flags.detach)
    return Error{ErrorCode::bad_request,
                 "--detach is for the whole platform; let a service manager run 'caisson attach'"};
  platform::AttachOptions options;
  options.kubeconfig = flags.kubeconfig;
  options.context = flags.context;
  options.data_dir = flags.settings.data_dir + "/attached";
  options.home_namespace = flags.home_namespace;
  options.listen = flags.settings.listen;
  options.port = flags.settings.ports.portal;
  options.take_over = flags.take_over;
  options.progress = [](const std::string& line) { std::fprintf(stderr, "caisson: %s\n", line.c_str()); };
  return platform::attach(options);
}

Result<void> command_print_rbac(const AttachFlags& flags) {
  std::unique_ptr<kube::Client> client;
  if (!flags.kubeconfig.empty())
    client = kube::make_http_client(TRY(kube::load_kubeconfig(flags.kubeconfig, flags.context)));
  const std::string text = TRY(platform::rbac_manifest(client.get(), flags.home_namespace));
  std::fwrite(text.data(), 1, text.size(), stdout);
  return {};
}

}  // namespace caisson::cli
