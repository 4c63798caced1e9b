// SPDX-License-Identifier: Apache-2.0
// A protobuf body of the API: any bytes end in an error or in a Value that JSON can carry.
#include "cluster/schema/protobuf.h"
#include "core/document/json.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace caisson;
  static const schema::Schema kSchema = schema::Schema::built_in().value();
  const auto object = schema::from_protobuf(kSchema, {reinterpret_cast<const char*>(data), size});
  if (!object.ok()) return 0;
  const auto again = json::parse(json::write(*object));
  if (!again.ok() || !(*again == *object)) std::abort();
  return 0;
}
