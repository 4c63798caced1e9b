// SPDX-License-Identifier: Apache-2.0
// Formats of names and values, in the words of apimachinery's util/validation. Pure; any thread. Internal to the room.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "cluster/schema/validate.h"

namespace caisson::schema {

// What is wrong with it; empty: nothing.
std::vector<std::string> check_dns_label(std::string_view text);      // RFC 1123 label
std::vector<std::string> check_dns_subdomain(std::string_view text);  // RFC 1123 subdomain
std::vector<std::string> check_dns_1035_label(std::string_view text);
std::vector<std::string> check_qualified_name(std::string_view text);  // label and annotation keys
std::vector<std::string> check_label_value(std::string_view text);
std::vector<std::string> check_path_segment(std::string_view text);  // RBAC names
std::vector<std::string> check_config_key(std::string_view text);    // keys of ConfigMaps and Secrets
std::vector<std::string> check_env_name(std::string_view text);
std::vector<std::string> check_port_name(std::string_view text);

// The rule that a kind file names with check=.
void run_check(std::string_view check, const std::string& field, const Value& value, std::vector<FieldError>& out);

bool is_ip(std::string_view text);
bool is_cidr(std::string_view text);

FieldError invalid_value(std::string field, Value bad, std::string detail);
FieldError bare_invalid(std::string field, std::string detail);  // shows no value
// A bad value that is shown as it stands: how Go prints what has no text of its own.
Value go_value(std::string text);
Value go_map(const Value& map);  // of strings, as map[string]string{…}
FieldError required_value(std::string field, std::string detail = "");
FieldError unsupported_value(std::string field, Value bad, const std::vector<std::string>& supported);
FieldError duplicate_value(std::string field, Value bad);
FieldError forbidden_value(std::string field, std::string detail);

}  // namespace caisson::schema
