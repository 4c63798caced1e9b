// SPDX-License-Identifier: Apache-2.0
// See nft.h.
#include "machine/network/nft.h"

#include <dlfcn.h>
#include <nftables/libnftables.h>

namespace caisson::network {

struct Nft::Impl {
  void* library = nullptr;
  nft_ctx* context = nullptr;
  decltype(&nft_ctx_free) free = nullptr;
  decltype(&nft_run_cmd_from_buffer) run = nullptr;
  decltype(&nft_ctx_get_output_buffer) output = nullptr;
  decltype(&nft_ctx_get_error_buffer) error = nullptr;

  ~Impl() {
    if (context) free(context);
    if (library) ::dlclose(library);
  }
  template <class Function>
  bool load(Function& function, const char* name) {
    function = reinterpret_cast<Function>(::dlsym(library, name));
    return function != nullptr;
  }
};

Nft::Nft(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Nft::Nft(Nft&&) noexcept = default;
Nft& Nft::operator=(Nft&&) noexcept = default;
Nft::~Nft() = default;

Result<Nft> Nft::open() {
  auto impl = std::make_unique<Impl>();
  impl->library = ::dlopen("libnftables.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!impl->library)
    return Error{ErrorCode::not_found,
                 "libnftables.so.1 can't be opened (package libnftables1): " + std::string(::dlerror())};
  decltype(&nft_ctx_new) make = nullptr;
  decltype(&nft_ctx_buffer_output) buffer_output = nullptr;
  decltype(&nft_ctx_buffer_error) buffer_error = nullptr;
  Impl& in = *impl;
  if (!in.load(make, "nft_ctx_new") || !in.load(in.free, "nft_ctx_free") ||
      !in.load(in.run, "nft_run_cmd_from_buffer") || !in.load(in.output, "nft_ctx_get_output_buffer") ||
      !in.load(in.error, "nft_ctx_get_error_buffer") || !in.load(buffer_output, "nft_ctx_buffer_output") ||
      !in.load(buffer_error, "nft_ctx_buffer_error"))
    return Error{ErrorCode::not_found, "libnftables.so.1 lacks a function: " + std::string(::dlerror())};
  in.context = make(NFT_CTX_DEFAULT);
  if (!in.context || buffer_output(in.context) != 0 || buffer_error(in.context) != 0)
    return Error{ErrorCode::internal, "libnftables can't be started"};
  return Nft(std::move(impl));
}

Result<std::string> Nft::run(const std::string& commands) {
  const int code = impl_->run(impl_->context, commands.c_str());
  const std::string error = impl_->error(impl_->context);
  const std::string output = impl_->output(impl_->context);
  // "Error: …" and below it the whole command, which may have thousands of elements: the first line says what is wrong.
  if (code != 0)
    return Error{ErrorCode::internal, "nftables: " + error.substr(0, std::min(error.find('\n', 0), std::size_t(300)))};
  return output;
}

}  // namespace caisson::network
