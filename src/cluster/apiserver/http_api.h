// SPDX-License-Identifier: Apache-2.0
// HttpApi: the API over HTTP: who asks, what for, decoding, the verb, the answer in the representation that was asked
// for. Threads: handle runs on a worker of http::Server; watches and proxied streams live on without it.
#pragma once
#include <memory>

#include "cluster/apiserver/core.h"
#include "core/http/server.h"

namespace caisson::apiserver {

class Connector;

class HttpApi {
 public:
  explicit HttpApi(Core& core);
  ~HttpApi();
  void handle(const http::ExchangePtr& exchange);

 private:
  struct Call;
  void serve(Call& call);
  void serve_resource(Call& call);

  Core& core_;
  std::unique_ptr<Connector> connector_;
};

}  // namespace caisson::apiserver
