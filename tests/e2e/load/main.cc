// SPDX-License-Identifier: Apache-2.0
// The load program of tests/e2e/rollout_test: a server that ends in the ways servers do, and a client that counts every
// request. Linked statically, so that it runs in any image.
#include <cstdio>
#include <string_view>

namespace load {
int serve(int argc, char** argv);
int fire(int argc, char** argv);
}  // namespace load

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "serve") return load::serve(argc - 2, argv + 2);
  if (mode == "fire") return load::fire(argc - 2, argv + 2);
  std::fputs("usage: http_load serve|fire ... (see serve.cc and fire.cc)\n", stderr);
  return 2;
}
