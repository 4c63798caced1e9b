// SPDX-License-Identifier: Apache-2.0
// The protobuf exposition format: io.prometheus.client.MetricFamily (client_model 0.6), each behind its length as a
// varint. The only format in which targets expose native histograms. Pure functions; any thread.
#pragma once
#include "observe/metrics/exposition/text.h"

namespace caisson::metrics {

inline constexpr std::string_view kProtobufAccept =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

// A histogram with both forms gives the native one; `classic_too`: both. Errors: bad_request "metric family NAME: …",
// too_large, which names the limit.
Result<Exposition> parse_protobuf(std::string_view bytes, const ExpositionLimits& limits = {},
                                  bool classic_too = false);

}  // namespace caisson::metrics
