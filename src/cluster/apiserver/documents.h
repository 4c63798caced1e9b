// SPDX-License-Identifier: Apache-2.0
// Documents: discovery, OpenAPI and version answers. Made when asked for; discovery is kept while the kinds stay the
// same, OpenAPI is large and is not kept. Threads: any.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cluster/apiserver/api_server.h"
#include "cluster/schema/openapi.h"

namespace caisson::apiserver {

class Documents {
 public:
  // `definitions` gives the CustomResourceDefinition of a name, null when there is none.
  Documents(schema::Schema& schema, const ApiServerOptions& options, schema::DefinitionReader definitions);
  ~Documents();

  // The answer to GET `path` ("/api", "/apis/apps/v1", "/openapi/v2", "/version"), as JSON; nothing for another path.
  // `aggregated`: the client takes APIGroupDiscoveryList.
  std::optional<std::string> get(std::string_view path, bool aggregated) const;
  std::string openapi_v2_protobuf() const;  // in the form schema::kOpenapiProtobuf

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::apiserver
