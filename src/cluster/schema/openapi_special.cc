// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/openapi_special.h"

#include <utility>

namespace caisson::schema {
namespace {

constexpr std::string_view kTime = R"({"type":"string","format":"date-time"})";
constexpr std::string_view kObject = R"({"type":"object"})";

constexpr SpecialType kQuantity = {"io.k8s.apimachinery.pkg.api.resource.Quantity",
                                   "A number with a unit, as in 500m, 2, 1.5Gi or 1e3. Decimal units are n, u, m, k, "
                                   "M, G, T, P and E, binary ones Ki, Mi, Gi, Ti, Pi and Ei.",
                                   R"({"type":"string"})", R"({"oneOf":[{"type":"string"},{"type":"number"}]})"};
constexpr SpecialType kIntOrString = {"io.k8s.apimachinery.pkg.util.intstr.IntOrString",
                                      "A whole number or a text, such as a name or a percentage.",
                                      R"({"type":"string","format":"int-or-string"})",
                                      R"({"format":"int-or-string","oneOf":[{"type":"integer"},{"type":"string"}]})"};
constexpr SpecialType kSecondTime = {"io.k8s.apimachinery.pkg.apis.meta.v1.Time",
                                     "A time by RFC 3339, exact to the second.", kTime, kTime};
constexpr SpecialType kMicroTime = {"io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
                                    "A time by RFC 3339, exact to the microsecond.", kTime, kTime};
constexpr SpecialType kFieldsV1 = {"io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
                                   "A set of fields as a tree of names.", kObject, kObject};
constexpr SpecialType kRawExtension = {"io.k8s.apimachinery.pkg.runtime.RawExtension", "An object of any kind.",
                                       kObject, kObject};
constexpr SpecialType kJson = {"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON", "Any JSON value.", "{}",
                               "{}"};
constexpr SpecialType kOrBool = {"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool",
                                 "A schema, or whether anything is allowed.", "{}", "{}"};
constexpr SpecialType kOrArray = {"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray",
                                  "A schema, or a list of them.", "{}", "{}"};
constexpr SpecialType kOrStrings = {
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray",
    "A schema, or a list of names.", "{}", "{}"};

constexpr std::pair<std::string_view, const SpecialType*> kOfMembers[] = {
    {"ManagedFieldsEntry.fieldsV1", &kFieldsV1},
    {"WatchEvent.object", &kRawExtension},
    {"ControllerRevision.data", &kRawExtension},
    {"JSONSchemaProps.additionalItems", &kOrBool},
    {"JSONSchemaProps.additionalProperties", &kOrBool},
    {"JSONSchemaProps.default", &kJson},
    {"JSONSchemaProps.dependencies", &kOrStrings},
    {"JSONSchemaProps.enum", &kJson},
    {"JSONSchemaProps.example", &kJson},
    {"JSONSchemaProps.items", &kOrArray},
};

}  // namespace

const SpecialType* special_type(std::string_view type, std::string_view member, const Field& field) {
  if (field.format == Format::quantity) return &kQuantity;
  if (field.format == Format::time) return &kSecondTime;
  if (field.format == Format::micro_time) return &kMicroTime;
  if (field.type == FieldType::int_or_string) return &kIntOrString;
  if (field.type != FieldType::any) return nullptr;
  const std::string_view short_type = type.substr(type.rfind('.') + 1);
  for (const auto& [name, special] : kOfMembers)
    if (name.size() == short_type.size() + 1 + member.size() && name.starts_with(short_type) && name.ends_with(member))
      return special;
  return nullptr;
}

}  // namespace caisson::schema
