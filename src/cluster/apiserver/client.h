// SPDX-License-Identifier: Apache-2.0
// The in-process kube::Client: a function call into the server, for one named user.
#pragma once
#include <memory>

#include "cluster/apiserver/core.h"

namespace caisson::apiserver {

std::unique_ptr<kube::Client> make_client(Core& core, User user);

}  // namespace caisson::apiserver
