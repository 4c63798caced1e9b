// SPDX-License-Identifier: Apache-2.0
#include "main/cli/commands.h"

int main(int argc, char** argv) {
  return caisson::cli::run_command_line(argc, argv);
}
