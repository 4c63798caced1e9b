// SPDX-License-Identifier: Apache-2.0
// Tekton's Tasks, Pipelines and their runs in v1beta1 and v1: the fields that have other names there, as Tekton's
// docs/migrating-v1beta1-to-v1.md tells them. Fields that v1 gave up (PipelineResources) are left out of v1. Pure.
#pragma once
#include <string_view>

#include "core/document/value.h"

namespace caisson::schema {

// `object` of `kind` (Task, TaskRun, Pipeline, PipelineRun; others come back as they are) as v1 has it, or as v1beta1.
Value tekton_in_version(Value object, std::string_view kind, bool to_v1);

}  // namespace caisson::schema
