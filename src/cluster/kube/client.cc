// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/client.h"

namespace caisson::kube {

Result<Object> Client::update_status(const Object& object) {
  WriteOptions options;
  options.subresource = "status";
  return update(object, options);
}

Result<Object> modify(Client& client, const Resource& resource, const ObjectKey& key,
                      const std::function<bool(Object&)>& change, const WriteOptions& options) {
  constexpr int kTriesMax = 10;
  for (int tries = 1;; ++tries) {
    Object object = TRY(client.get(resource, key));
    if (!change(object)) return object;
    Result<Object> written = client.update(object, options);
    if (written.ok() || written.error().code != ErrorCode::conflict || tries == kTriesMax) return written;
  }
}

}  // namespace caisson::kube
