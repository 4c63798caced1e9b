// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target without libFuzzer: each file named (or every file below a directory named), then mutations of them
// by a fixed seed.
//   fuzz_yaml [--runs=N] [--seed=S] FILE|DIRECTORY...
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t kInputBytesMax = 64 * 1024;

void add_file(const std::filesystem::path& path, std::vector<std::string>& inputs) {
  std::ifstream file(path, std::ios::binary);
  inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  if (inputs.back().size() > kInputBytesMax) inputs.pop_back();
}

void run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

// A few edits: a byte changed, taken out or repeated, a piece of another input put in.
std::string mutate(std::string text, const std::vector<std::string>& inputs, std::mt19937_64& random) {
  static constexpr char kTelling[] = "\n :-#,[]{}&*!|>'\"%@`?~\\\t0x";
  for (std::size_t edits = 1 + random() % 6; edits > 0; --edits) {
    const std::size_t at = text.empty() ? 0 : random() % text.size();
    switch (random() % 5) {
      case 0:
        if (!text.empty()) text[at] = static_cast<char>(random());
        break;
      case 1:
        if (!text.empty()) text.erase(at, 1 + random() % 8);
        break;
      case 2:
        text.insert(at, 1, kTelling[random() % (sizeof kTelling - 1)]);
        break;
      case 3:
        text.insert(at, text.substr(at, random() % 32));
        break;
      default: {
        const std::string& other = inputs[random() % inputs.size()];
        if (!other.empty()) text.insert(at, other.substr(random() % other.size(), random() % 64));
      }
    }
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t runs = 20'000;
  std::uint64_t seed = 1;
  std::vector<std::string> inputs{""};
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.starts_with("--runs="))
      runs = std::strtoull(argument.c_str() + 7, nullptr, 10);
    else if (argument.starts_with("--seed="))
      seed = std::strtoull(argument.c_str() + 7, nullptr, 10);
    else if (!std::filesystem::is_directory(argument))
      add_file(argument, inputs);
    else
      for (const auto& entry : std::filesystem::recursive_directory_iterator(argument))
        if (entry.is_regular_file()) add_file(entry.path(), inputs);
  }
  for (const std::string& input : inputs) run(input);
  std::mt19937_64 random(seed);
  for (std::size_t i = 0; i < runs; ++i) run(mutate(inputs[random() % inputs.size()], inputs, random));
  std::printf("%zu inputs, %zu mutations, seed %llu: ok\n", inputs.size(), runs, static_cast<unsigned long long>(seed));
}
