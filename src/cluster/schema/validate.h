// SPDX-License-Identifier: Apache-2.0
// Is this object allowed? Types, required fields, enums and bounds come from the kind's data; what Kubernetes checks in
// code (pkg/apis/*/validation) is in rules/. Words and order are Kubernetes'. Pure; any thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/schema/kind.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::schema {

// field.Error of apimachinery.
struct FieldError {
  enum class Type {
    not_found,
    required,
    duplicate,
    invalid,
    not_supported,
    forbidden,
    too_long,
    too_many,
    type_invalid,
    internal
  };
  // A bad value that begins with it is shown without it and without quotes; alone it shows nothing.
  static constexpr char kAsItStands[] = "\1";

  Type type;
  std::string field;  // "spec.containers[0].name"
  Value bad_value;    // not shown for required and forbidden
  std::string detail;

  std::string_view reason() const;  // of status.details.causes: "FieldValueInvalid"
  std::string body() const;         // without the field: what stands in a cause's message
  std::string str() const;          // "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
};

// Wrong types, found while the body is decoded: the API answers 400 with them, before anything else is looked at. Go's
// words, without the kind before them: "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas
// of type int32".
std::optional<Error> decode_error(const KindSchema& kind, const Value& object);

// Of an object that passed pruned and with_defaults. Empty: fine.
std::vector<FieldError> validate(const KindSchema& kind, const Value& object);
// The same and what may not change from `before`. Both are whole objects.
std::vector<FieldError> validate_update(const KindSchema& kind, const Value& before, const Value& after);

// Of a text that json::parse refused: what Go's encoding/json would say of its beginning.
std::string go_json_error(std::string_view text);

// As in "Deployment.apps \"web\" is invalid: [a, b]"; one error stands without brackets.
std::string invalid_message(const KindSchema& kind, std::string_view name, const std::vector<FieldError>& errors);
// status.details.causes: [{reason, message, field}].
Value causes(const std::vector<FieldError>& errors);

}  // namespace caisson::schema
