// SPDX-License-Identifier: Apache-2.0
// What only updates and patches ask of validation (validate.h), in upstream's words. Pure; any thread.
#pragma once
#include "cluster/schema/validate.h"

namespace caisson::schema {

// As decode_error, of an object that a strategic merge patch made: the words are those of
// runtime.DefaultUnstructuredConverter, as "cannot convert int64 to v1.RestartPolicy".
std::optional<Error> convert_error(const KindSchema& kind, const Value& object);

// How often upstream's checks of an update find a change of metadata that can't be changed; causes name it as often.
int metadata_update_checks(const KindSchema& kind);

}  // namespace caisson::schema
