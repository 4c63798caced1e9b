// SPDX-License-Identifier: Apache-2.0
#include "main/platform/agent_link.h"

#include "core/base/text.h"
#include "core/http/client.h"

namespace caisson::platform {
namespace {

class AgentLayers : public content::LayerSource {
 public:
  explicit AgentLayers(const std::string& socket) : http_({.unix_socket = socket}) {}

  bool has(const content::Digest& diff_id) override {
    const auto response = http_.send(request("HEAD", diff_id));
    return response.ok() && response->status == 200;
  }

  Result<std::uint64_t> size_bytes(const content::Digest& diff_id) override {
    const http::Response response = TRY(http_.send(request("HEAD", diff_id)));
    const auto size = parse_int(response.headers.get("Content-Length"));
    if (response.status != 200 || !size) return Error{ErrorCode::not_found, "layer " + diff_id.str() + " is not here"};
    return static_cast<std::uint64_t>(*size);
  }

  Result<content::ByteSource> open(const content::Digest& diff_id) override {
    http::Request get = request("GET", diff_id);
    get.time_max = Duration(0);
    std::shared_ptr<http::ResponseStream> stream = TRY(http_.open(get));
    if (stream->status != 200) return Error{ErrorCode::not_found, "layer " + diff_id.str() + " is not here"};
    return content::ByteSource([stream] { return stream->read_some(); });
  }

 private:
  static http::Request request(const char* method, const content::Digest& diff_id) {
    http::Request request;
    request.method = method;
    request.url = "http://unix/layers/" + diff_id.str();
    return request;
  }

  http::Client http_;
};

}  // namespace

std::unique_ptr<content::LayerSource> make_agent_layers(const std::string& agent_socket) {
  return std::make_unique<AgentLayers>(agent_socket);
}

}  // namespace caisson::platform
