// SPDX-License-Identifier: Apache-2.0
// WebhookClient: posts reviews (AdmissionReview, ConversionReview) to servers that a configuration names by URL or by
// Service. A Service is called at its cluster address while TLS checks the name NAME.NS.svc against the configuration's
// caBundle. Follows apiserver 1.33's pkg/util/webhook (client.go, serviceresolver.go).
// Threads: any; a call blocks only its own thread.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "cluster/store/store.h"
#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/document/value.h"
#include "core/http/client.h"

namespace caisson::apiserver {

// WebhookClientConfig: exactly one of `url` and `service` is set.
struct WebhookTarget {
  std::string url;
  std::string service_ns, service, service_path;
  int service_port = 443;
  std::string ca_pem;  // empty: the system's roots

  static Result<WebhookTarget> from(const Value& client_config);  // Errors: invalid when caBundle is no base64
  std::string full_url(Duration time_max) const;                  // with ?timeout=10s, as servers and errors see it
};

// Where a Service is reached. Errors: not_found, unavailable.
struct ServiceAddress {
  std::string host;
  int port = 0;
};
using ServiceResolver = std::function<Result<ServiceAddress>(const WebhookTarget&)>;
ServiceResolver cluster_ip_resolver(const store::Store& store);

class WebhookClient {
 public:
  explicit WebhookClient(ServiceResolver resolve) : resolve_(std::move(resolve)) {}
  // The answer to `review`. Errors: unavailable, timeout, bad_request (no JSON), too_large; all in client-go's words
  // ("Post \"https://…\": …").
  Result<Value> post(const WebhookTarget& target, const Value& review, Duration time_max) const;

 private:
  std::shared_ptr<const http::Client> client_of(const WebhookTarget& target, const ServiceAddress& address) const;

  ServiceResolver resolve_;
  mutable std::mutex mutex_;
  // By address and trust; GUARDED_BY(mutex_). A call holds its own reference.
  mutable std::map<std::string, std::shared_ptr<const http::Client>> clients_;
};

}  // namespace caisson::apiserver
