// SPDX-License-Identifier: Apache-2.0
// cel-spec's conformance suite: SimpleTestFile messages in protobuf's text form. A case passes when the value is equal
// with its type, the deduced type is equal where one is given, or there is an error where one is expected.
#include <doctest/doctest.h>

#include "conformance/cel/messages.h"
#include "conformance/corpus.h"
#include "core/expr/cel/cel.h"

namespace caisson::conformance {
namespace {

Type type_from(const Proto& text);

Type primitive(std::string_view name) {
  if (name == "BOOL") return TypeKind::boolean;
  if (name == "INT64") return TypeKind::integer;
  if (name == "UINT64") return TypeKind::unsigned_integer;
  if (name == "DOUBLE") return TypeKind::floating;
  return name == "BYTES" ? TypeKind::bytes : TypeKind::string;
}

std::vector<Type> types_from(const Proto& text, std::string_view field) {
  std::vector<Type> out;
  for (const auto& [name, inner] : text.fields) {
    if (name == field) out.push_back(type_from(inner));
  }
  return out;
}

Type type_from(const Proto& text) {
  if (text.fields.empty()) return Type();
  const auto& [kind, inner] = text.fields[0];
  const auto part = [&inner = inner](std::string_view name) {
    const Proto* found = inner.find(name);
    return found == nullptr ? Type() : type_from(*found);
  };
  if (kind == "primitive") return primitive(inner.text);
  if (kind == "wrapper") return Type::wrapper(primitive(inner.text).kind());
  if (kind == "null") return TypeKind::null;
  if (kind == "well_known")
    return inner.text == "DURATION"    ? TypeKind::duration
           : inner.text == "TIMESTAMP" ? TypeKind::timestamp
                                       : TypeKind::dyn;
  if (kind == "list_type") return Type::list(part("elem_type"));
  if (kind == "map_type") return Type::map(part("key_type"), part("value_type"));
  if (kind == "type") return Type::type_of(type_from(inner));
  if (kind == "type_param") return Type::parameter(inner.text);
  if (kind == "abstract_type") return Type::opaque(inner.get("name"), types_from(inner, "parameter_types"));
  if (kind == "message_type") {
    if (auto known = Messages().find_type(inner.text)) return *known;
    return Type::object(inner.text);
  }
  return Type();
}

std::string signature_text(const Type& type) {
  std::string out(type.is(TypeKind::null) ? "null" : type.is(TypeKind::timestamp) ? "timestamp" : type.name());
  if (type.parameters().empty()) return out;
  for (std::size_t i = 0; i < type.parameters().size(); ++i)
    out += (i == 0 ? "(" : ", ") + signature_text(type.parameters()[i]);
  return out + ")";
}

Result<cel::Value> value_from(const Proto& text, const Messages& messages) {
  if (text.fields.empty()) return refused("no value");
  const auto& [kind, inner] = text.fields[0];
  const auto scalar = [&](const char* name) {
    Proto message;
    message.is_message = true;
    message.fields.emplace_back("value", inner);
    return messages.read(name, message);
  };
  if (kind == "null_value") return cel::Value();
  if (kind == "bool_value") return scalar("google.protobuf.BoolValue");
  if (kind == "int64_value") return scalar("google.protobuf.Int64Value");
  if (kind == "uint64_value") return scalar("google.protobuf.UInt64Value");
  if (kind == "double_value") return scalar("google.protobuf.DoubleValue");
  if (kind == "string_value") return scalar("google.protobuf.StringValue");
  if (kind == "bytes_value") return scalar("google.protobuf.BytesValue");
  if (kind == "object_value") return messages.read_any(inner);
  if (kind == "type_value") {
    const cel::Environment environment({.libraries = cel::kAllLibraries, .types = std::make_shared<Messages>()});
    const auto program = environment.compile(inner.text);
    if (!program.ok()) return program.error();
    return program->evaluate({}).value;
  }
  if (kind == "list_value") {
    std::vector<cel::Value> items;
    for (const auto& [field, item] : inner.fields) items.push_back(TRY(value_from(item, messages)));
    return cel::Value::list(std::move(items));
  }
  if (kind == "map_value") {
    std::vector<std::pair<cel::Value, cel::Value>> entries;
    for (const auto& [field, entry] : inner.fields) {
      cel::Value key = TRY(value_from(*entry.find("key"), messages));
      entries.emplace_back(std::move(key), TRY(value_from(*entry.find("value"), messages)));
    }
    return cel::Value::map(std::move(entries));
  }
  return refused("a value of kind " + kind);
}

// Equal with the same types all the way; NaN is itself.
bool same(const cel::Value& a, const cel::Value& b) {
  if (a.kind() != b.kind()) return false;
  if (a.is(Kind::floating) && std::isnan(a.as_double())) return std::isnan(b.as_double());
  if (a.is(Kind::list)) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (!same(a.item(i), b.item(i))) return false;
    }
    return true;
  }
  if (a.is(Kind::map)) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
      const auto [key, value] = a.entry(i);
      const auto other = b.find(key);
      if (!other || !same(value, *other)) return false;
    }
    return true;
  }
  return cel::equals(a, b);
}

class Case {
 public:
  explicit Case(const Proto& test) : test_(test), messages_(std::make_shared<Messages>()) {}

  // What is wrong; empty when nothing is.
  std::string run() {
    cel::EnvironmentOptions options;
    options.libraries = cel::kAllLibraries;
    options.container = test_.get("container");
    options.types = messages_;
    declare(options);
    const cel::Environment environment(std::move(options));
    const std::string text = test_.get("expr");
    const bool unchecked = test_.get("disable_check") == "true";
    const auto program = unchecked ? environment.compile_unchecked(text) : environment.compile(text);
    if (!program.ok()) return expects_error() ? "" : "does not compile: " + program.error().message;
    if (const std::string why = check_type(*program); !why.empty()) return why;
    if (test_.get("check_only") == "true") return "";
    cel::Bindings bindings;
    if (const std::string why = bind(bindings); !why.empty()) return why;
    return check_value(program->evaluate(bindings).value);
  }

 private:
  bool expects_error() const { return test_.find("eval_error") != nullptr || test_.find("any_eval_errors") != nullptr; }

  void declare(cel::EnvironmentOptions& options) {
    for (const auto& [field, declaration] : test_.fields) {
      if (field != "type_env") continue;
      const std::string name = declaration.get("name");
      if (const Proto* ident = declaration.find("ident")) {
        const Proto* type = ident->find("type");
        options.variables.push_back({name, type == nullptr ? Type() : type_from(*type)});
      } else if (const Proto* function = declaration.find("function")) {
        for (const auto& [kind, overload] : function->fields) {
          if (kind != "overloads") continue;
          std::string signature = name + "(";
          const auto parameters = types_from(overload, "params");
          for (std::size_t i = 0; i < parameters.size(); ++i)
            signature += (i > 0 ? ", " : "") + signature_text(parameters[i]);
          const Proto* result = overload.find("result_type");
          signature += "): " + signature_text(result == nullptr ? Type() : type_from(*result));
          options.functions.push_back({signature, {}, nullptr});
        }
      }
    }
  }

  std::string check_type(const cel::Program& program) const {
    const Proto* typed = test_.find("typed_result");
    const Proto* deduced = typed == nullptr ? nullptr : typed->find("deduced_type");
    if (deduced == nullptr) return "";
    const Type wanted = type_from(*deduced);
    if (program.result_type() == wanted) return "";
    return "has the type " + program.result_type().str() + " instead of " + wanted.str();
  }

  std::string bind(cel::Bindings& bindings) {
    for (const auto& [field, binding] : test_.fields) {
      if (field != "bindings") continue;
      const Proto* outer = binding.find("value");
      if (outer == nullptr || outer->find("value") == nullptr) return "a binding without a value";
      auto value = value_from(*outer->find("value"), *messages_);
      if (!value.ok()) return "binding: " + value.error().message;
      names_.push_back(std::make_unique<std::string>(binding.get("key")));
      bindings.set(*names_.back(), std::move(value).value());
    }
    return "";
  }

  std::string check_value(const Result<cel::Value>& value) const {
    if (expects_error()) return value.ok() ? "is " + value->debug_string() + " instead of an error" : "";
    if (!value.ok()) return "error: " + value.error().message;
    const Proto* wanted_text = test_.find("value");
    if (const Proto* typed = test_.find("typed_result"); wanted_text == nullptr && typed != nullptr)
      wanted_text = typed->find("result");
    cel::Value wanted(true);
    if (wanted_text != nullptr) {
      auto read = value_from(*wanted_text, *messages_);
      if (!read.ok()) return "expected value: " + read.error().message;
      wanted = std::move(read).value();
    }
    if (same(*value, wanted)) return "";
    return "is " + value->debug_string() + " instead of " + wanted.debug_string();
  }

  const Proto& test_;
  std::shared_ptr<Messages> messages_;
  std::vector<std::unique_ptr<std::string>> names_;
};

void run_file(const std::string& path, Outcomes& outcomes) {
  const std::string text = text_of(path);
  const auto file = ProtoReader(text).run();
  REQUIRE_MESSAGE(file, path);
  for (const auto& [field, section] : file->fields) {
    if (field != "section") continue;
    for (const auto& [kind, test] : section.fields) {
      if (kind != "test") continue;
      const std::string id = file->get("name") + "/" + section.get("name") + "/" + test.get("name");
      const std::string why = Case(test).run();
      if (why.empty())
        outcomes.passed(id);
      else
        outcomes.failed(id, why + "  <<" + test.get("expr") + ">>");
    }
  }
}

}  // namespace

TEST_CASE("CEL expressions give the values, types and errors of cel-spec's conformance suite") {
  Outcomes outcomes("cel");
  const std::string upstream = corpus_dir("cel");
  if (upstream.empty()) return;
  const auto names = list_dir(upstream);
  REQUIRE(names.ok());
  for (const std::string& name : *names) {
    if (name.ends_with(".textproto")) run_file(upstream + "/" + name, outcomes);
  }
  outcomes.check(true);
}

}  // namespace caisson::conformance
