// SPDX-License-Identifier: Apache-2.0
#include "artifact/container/cgroup.h"

#include <doctest/doctest.h>

namespace caisson::container {

TEST_CASE("io.stat gives requests and bytes by device, whatever else the kernel tells") {
  const auto io = parse_io_v2(
      "254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n"
      "8:16 rbytes=512 wbytes=0 rios=1 wios=0\n"
      "garbage\n");
  CHECK(io == std::vector<CgroupIo>{{"254:0", 1, 2, 4096, 8192}, {"8:16", 1, 0, 512, 0}});
}

TEST_CASE("blkio's two files are one list; the total is not a device") {
  const auto io = parse_io_v1("8:0 Read 3\n8:0 Write 4\n8:0 Sync 7\n8:0 Total 7\nTotal 7\n",
                              "8:0 Read 300\n8:0 Write 400\n8:16 Read 5\nTotal 705\n");
  CHECK(io == std::vector<CgroupIo>{{"8:0", 3, 4, 300, 400}, {"8:16", 0, 0, 5, 0}});
}

}  // namespace caisson::container
