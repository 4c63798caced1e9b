// SPDX-License-Identifier: Apache-2.0
// Definitions: what follows from a write of a CustomResourceDefinition: its names are accepted or in conflict, its
// kinds are served, and when it goes, its objects go first. Follows apiextensions-apiserver 1.33's controllers status,
// establish and finalizer; each acts in the write's own thread, after its commit. Internal to this room.
#pragma once
#include "cluster/apiserver/core.h"

namespace caisson::apiserver {

inline constexpr const char* kDefinitions = "customresourcedefinitions.apiextensions.k8s.io";

// At start: serves what is stored and goes on with what was going.
Result<void> load_definitions(Core& core);
void resume_definitions(Core& core);

// After a commit of the definition `object`, or of its removal.
void definition_written(Core& core, const Value& object, bool removed);
// After an object of a custom kind is gone: the last one lets a definition go that is being deleted.
void instance_gone(Core& core, const schema::KindSchema& kind);

// A deletion waits for the objects: the definition gets the finalizer for that and says so.
void mark_definition_deleted(Core& core, Value& definition);
// Is the definition of this kind being deleted?
bool is_terminating(const Core& core, const schema::KindSchema& kind);

}  // namespace caisson::apiserver
