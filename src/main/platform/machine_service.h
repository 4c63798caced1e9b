// SPDX-License-Identifier: Apache-2.0
// What the agents of an instance's other nodes ask of the first one, which has the machine's network and images, over
// <data>/run/machine.sock (root's alone):
//
//   POST /withdrawal {"address", "timeMaxMs"}    {"withdrawn": bool}: network::Withdrawal
//   POST /admission {"address", "pod"}           {} or {"error": {code, message}}: network::PolicyGate
//   POST /image {"name", "policy", "auths"}      {"pulling": true} on a line of its own when it must be fetched, then
//                                                {"image": {…}} or {"error": …}: node::ImageProvider
//
// While the first agent is away nothing is admitted or fetched, and a pod's end waits for it as long as it may.
#pragma once
#include <memory>
#include <string>

#include "core/http/server.h"
#include "machine/network/policy_gate.h"
#include "machine/network/withdrawal.h"
#include "machine/node/images.h"

namespace caisson::platform {

// Borrows all. Requests block: the server wants as many workers as the nodes have threads that ask.
http::Handler make_machine_service(const network::Withdrawal& withdrawal, network::PolicyGate& policies,
                                   node::ImageProvider& images, content::BlobStore& blobs);

std::unique_ptr<network::Withdrawal> make_remote_withdrawal(const std::string& socket);
std::unique_ptr<network::PolicyGate> make_remote_policies(const std::string& socket);
std::unique_ptr<node::ImageProvider> make_remote_images(const std::string& socket, content::RegistryNames registry);

}  // namespace caisson::platform
