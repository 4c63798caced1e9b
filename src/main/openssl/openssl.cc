// SPDX-License-Identifier: Apache-2.0
// OpenSSL in the program `caisson`: opened when one of its functions is called first. To load it with the program takes
// the loader over a millisecond of each command, and most need none of it (docs/adr/0001-dependencies.md). So the
// functions that we call are defined here, with the types of OpenSSL's own headers, and each passes its call on to the
// library's function of that name. Nobody includes this room: it is linked into `caisson` before the libraries, in place
// of them. Tests and sanitizers load the libraries as usual. Any thread.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <dlfcn.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ct.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <tuple>

namespace {

// There is nobody to tell an error to: the program was built for these libraries and cannot do what it was asked for.
[[noreturn]] void end_without(const char* what) {
  const char* const reason = ::dlerror();
  std::fprintf(stderr, "caisson: OpenSSL: %s: %s\n", what, reason == nullptr ? "not found" : reason);
  std::abort();
}

void* open_library(const char* name) {
  void* const library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) end_without(name);
  return library;
}

void* find(const char* name) {
  static void* const crypto = open_library("libcrypto.so.3");
  if (void* const found = ::dlsym(crypto, name)) return found;
  static void* const ssl = open_library("libssl.so.3");
  void* const found = ::dlsym(ssl, name);
  if (found == nullptr) end_without(name);
  return found;
}

template <class Function>
struct Signature;
template <class Returned, class... Parameters>
struct Signature<Returned(Parameters...)> {
  using Result = Returned;
  template <std::size_t index>
  using Parameter = std::tuple_element_t<index, std::tuple<Parameters...>>;
};

}  // namespace

#define RESULT(name) extern "C" Signature<decltype(name)>::Result name
#define P(name, index) Signature<decltype(name)>::Parameter<index>
#define PASS_ON(name, ...)                                                            \
  {                                                                                   \
    static auto* const function = reinterpret_cast<decltype(&name)>(find(#name));     \
    return function(__VA_ARGS__);                                                     \
  }

#define PARAMETERS_0(name) RESULT(name)() PASS_ON(name)
#define PARAMETERS_1(name) RESULT(name)(P(name, 0) a) PASS_ON(name, a)
#define PARAMETERS_2(name) RESULT(name)(P(name, 0) a, P(name, 1) b) PASS_ON(name, a, b)
#define PARAMETERS_3(name) RESULT(name)(P(name, 0) a, P(name, 1) b, P(name, 2) c) PASS_ON(name, a, b, c)
#define PARAMETERS_4(name)                                             \
  RESULT(name)(P(name, 0) a, P(name, 1) b, P(name, 2) c, P(name, 3) d) \
  PASS_ON(name, a, b, c, d)
#define PARAMETERS_5(name)                                                             \
  RESULT(name)(P(name, 0) a, P(name, 1) b, P(name, 2) c, P(name, 3) d, P(name, 4) e)   \
  PASS_ON(name, a, b, c, d, e)
#define PARAMETERS_6(name)                                                                            \
  RESULT(name)(P(name, 0) a, P(name, 1) b, P(name, 2) c, P(name, 3) d, P(name, 4) e, P(name, 5) f)    \
  PASS_ON(name, a, b, c, d, e, f)
#define PARAMETERS_7(name)                                                                           \
  RESULT(name)(P(name, 0) a, P(name, 1) b, P(name, 2) c, P(name, 3) d, P(name, 4) e, P(name, 5) f,   \
               P(name, 6) g)                                                                         \
  PASS_ON(name, a, b, c, d, e, f, g)
#define PARAMETERS_10(name)                                                                          \
  RESULT(name)(P(name, 0) a, P(name, 1) b, P(name, 2) c, P(name, 3) d, P(name, 4) e, P(name, 5) f,   \
               P(name, 6) g, P(name, 7) h, P(name, 8) i, P(name, 9) j)                               \
  PASS_ON(name, a, b, c, d, e, f, g, h, i, j)

#include "main/openssl/functions.inc"

// The one of variable arguments. EVP_PKEY_Q_keygen(3): the bits of an RSA key, the curve of an EC key, else nothing.
extern "C" EVP_PKEY* EVP_PKEY_Q_keygen(OSSL_LIB_CTX* context, const char* properties, const char* type, ...) {
  static auto* const function = reinterpret_cast<decltype(&EVP_PKEY_Q_keygen)>(find("EVP_PKEY_Q_keygen"));
  std::va_list rest;
  va_start(rest, type);
  EVP_PKEY* key = nullptr;
  if (std::string_view(type) == "RSA") {
    key = function(context, properties, type, va_arg(rest, std::size_t));
  } else if (std::string_view(type) == "EC") {
    key = function(context, properties, type, va_arg(rest, char*));
  } else {
    key = function(context, properties, type);
  }
  va_end(rest);
  return key;
}
