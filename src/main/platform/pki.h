// SPDX-License-Identifier: Apache-2.0
// The platform's keys below <data_dir>/pki: the CA (root only), the server's certificate and ServiceAccount key and the
// CA that CertificateSigningRequests are signed with (the server's user; it vouches for clients only, never for a
// server), and the first administrator's kubeconfig (whoever ran `up`). Made once; the certificate is made again when
// its names change or its last 30 days begin.
#pragma once
#include "main/platform/instance.h"

namespace caisson::platform {

// Runs as root before the server starts. `owner_uid`: who gets the administrator's kubeconfig.
Result<void> prepare_pki(const Instance& instance, int owner_uid);

inline constexpr std::string_view kAdminUser = "admin";

}  // namespace caisson::platform
