// SPDX-License-Identifier: Apache-2.0
#include "cluster/store/sealing.h"

#include <openssl/evp.h>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/owner.h"
#include "core/base/random.h"
#include "core/base/text.h"

namespace caisson::store {
namespace {

constexpr std::string_view kMark = "sealed:v1:";  // then the key's id, ':' and base64url of nonce, cipher text and tag
constexpr std::size_t kKeyBytes = 32, kNonceBytes = 12, kTagBytes = 16;

using Context = Owned<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;

unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}
const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

Error failed(std::string_view what) {
  return {ErrorCode::internal, "AES-GCM: " + std::string(what)};
}

std::string_view id_of(std::string_view text) {
  text.remove_prefix(kMark.size());
  return text.substr(0, text.find(':'));
}

}  // namespace

Result<Sealer> Sealer::open(const std::string& path) {
  if (!exists(path)) {
    const std::string line = hex(random_bytes(4)) + " " + base64(random_bytes(kKeyBytes)) + "\n";
    TRY(write_file(path, line, 0600).in("key file"));
  }
  const SecretBytes text(TRY(read_file(path, 1u << 16).in("key file")));
  Sealer out;
  for (const std::string_view line : split(text.reveal(), '\n')) {
    if (trim(line).empty() || line.starts_with('#')) continue;
    const std::size_t space = line.find(' ');
    const std::string_view id = line.substr(0, space);
    auto key = unbase64(space == std::string_view::npos ? "" : trim(line.substr(space)));
    if (!key.ok() || key->size() != kKeyBytes || id.empty() || id.find(':') != std::string_view::npos)
      return Error{ErrorCode::internal, path + ": line " + std::to_string(out.keys_.size() + 1) +
                                            " is not \"ID BASE64\" of a key of 32 bytes"};
    out.keys_.push_back({std::string(id), SecretBytes(std::move(key).value())});
  }
  if (out.keys_.empty()) return Error{ErrorCode::internal, path + " has no key"};
  return out;
}

const Sealer::Key* Sealer::find(std::string_view id) const {
  for (const Key& key : keys_)
    if (key.id == id) return &key;
  return nullptr;
}

bool Sealer::is_sealed(std::string_view text) {
  return text.starts_with(kMark);
}

bool Sealer::is_current(std::string_view text) const {
  return is_sealed(text) && id_of(text) == keys_[0].id;
}

Result<std::string> Sealer::seal(std::string_view place, std::string_view bytes) const {
  const Key& key = keys_[0];
  std::string out = random_bytes(kNonceBytes);
  out.resize(kNonceBytes + bytes.size() + kTagBytes);
  unsigned char* const cipher = bytes_of(out) + kNonceBytes;
  const Context context(EVP_CIPHER_CTX_new());
  int written = 0;
  const bool done =
      context &&
      EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key.bytes.reveal()), bytes_of(out)) == 1 &&
      EVP_EncryptUpdate(context.get(), nullptr, &written, bytes_of(place), static_cast<int>(place.size())) == 1 &&
      EVP_EncryptUpdate(context.get(), cipher, &written, bytes_of(bytes), static_cast<int>(bytes.size())) == 1 &&
      EVP_EncryptFinal_ex(context.get(), cipher + bytes.size(), &written) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, cipher + bytes.size()) == 1;
  if (!done) return failed("sealing failed");
  return std::string(kMark) + key.id + ":" + base64url(out);
}

Result<std::string> Sealer::unseal(std::string_view place, std::string_view text) const {
  if (!is_sealed(text)) return failed("the text is not sealed");
  const std::string_view id = id_of(text);
  const Key* key = find(id);
  if (key == nullptr) return failed("key " + std::string(id) + " is not in the key file");
  std::string sealed = TRY(unbase64url(text.substr(std::min(text.size(), kMark.size() + id.size() + 1))));
  if (sealed.size() < kNonceBytes + kTagBytes) return failed("the text is cut off");
  const std::size_t size = sealed.size() - kNonceBytes - kTagBytes;
  std::string out(size, '\0');
  unsigned char* const cipher = bytes_of(sealed) + kNonceBytes;
  const Context context(EVP_CIPHER_CTX_new());
  int written = 0;
  const bool done =
      context &&
      EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key->bytes.reveal()), bytes_of(sealed)) ==
          1 &&
      EVP_DecryptUpdate(context.get(), nullptr, &written, bytes_of(place), static_cast<int>(place.size())) == 1 &&
      EVP_DecryptUpdate(context.get(), bytes_of(out), &written, cipher, static_cast<int>(size)) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, cipher + size) == 1 &&
      EVP_DecryptFinal_ex(context.get(), bytes_of(out) + size, &written) == 1;
  if (!done) return failed("the text was changed, or belongs elsewhere");
  return out;
}

}  // namespace caisson::store
