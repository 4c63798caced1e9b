// SPDX-License-Identifier: Apache-2.0
// The command tree as CLI11 knows it. Each room's commands are registered in a tree_*.cc of their own; commands.cc
// lists them. The commands that kubectl has too are not here: kubectl/kubectl.h reads their arguments itself.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "main/cli/attach_commands.h"
#include "main/cli/commands.h"
#include "main/cli/image_commands.h"
#include "main/cli/observe_commands.h"
#include "main/cli/scan_commands.h"

namespace CLI {
class App;
}

namespace caisson::cli {

// Holds what the flags write to, and what the chosen command will do.
struct Tree {
  CLI::App& app;
  Global global;
  UpFlags up;
  AttachFlags attach;
  PromqlFlags promql;
  AlertFlags alert;
  std::vector<std::string> files;
  std::string data_dir = "/var/lib/caisson", text, from;
  DownFlags down;
  ScanFlags scan;
  ImageFlags image;
  BuildFlags build;
  std::function<Result<int>()> action;
};

// Exit status 0, or the error.
Result<int> done(const Result<void>& result);
CLI::App* add(Tree& tree, CLI::App& parent, const std::string& name, const std::string& help,
              const std::string& example, std::function<Result<int>()> action);
void take_output(Tree& tree, CLI::App* command);      // -o
void take_connection(Tree& tree, CLI::App* command);  // -n, --kubeconfig, --context, -o

void add_platform_commands(Tree& t);
void add_attachment(Tree& t, CLI::App* up);  // attach, and the flags by which `up` attaches
void add_process_commands(Tree& t);
void add_scan_commands(Tree& t);
void add_image_commands(Tree& t);
void add_observe_commands(Tree& t);
void add_delivery_commands(Tree& t);

}  // namespace caisson::cli
