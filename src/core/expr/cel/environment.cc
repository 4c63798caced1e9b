// SPDX-License-Identifier: Apache-2.0
#include "core/expr/cel/environment.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/expr/cel/parser.h"

namespace caisson::cel {
namespace {

// Reads the types of a signature: "map(string, list(A))".
class SignatureParser {
 public:
  explicit SignatureParser(std::string_view text) : text_(text) {}

  Overload run() {
    Overload out;
    if (take('(')) {
      out.member = true;
      out.parameters.push_back(type());
      CHECK(take(')') && take('.'));
    }
    out.function = word("@._<>=!+-*/%[]?|&");
    CHECK(take('('));
    while (!take(')')) {
      out.parameters.push_back(type());
      take(',');
    }
    CHECK(take(':'));
    out.result = type();
    CHECK(at_ == text_.size());
    return out;
  }

 private:
  void skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string word(std::string_view more) {
    skip();
    const std::size_t begin = at_;
    const auto fits = [&](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
             more.find(c) != std::string_view::npos || (c == ':' && at_ > begin && text_[at_ - 1] == '_');
    };
    while (at_ < text_.size() && fits(text_[at_])) ++at_;
    CHECK(at_ > begin);
    return std::string(text_.substr(begin, at_ - begin));
  }

  Type type() {
    const std::string name = word(".");
    std::vector<Type> parameters;
    if (take('(')) {
      do parameters.push_back(type());
      while (take(','));
      CHECK(take(')'));
    }
    return make(name, std::move(parameters));
  }

  static Type make(const std::string& name, std::vector<Type> parameters) {
    static constexpr std::pair<std::string_view, TypeKind> kSimple[] = {{"dyn", TypeKind::dyn},
                                                                        {"null", TypeKind::null},
                                                                        {"bool", TypeKind::boolean},
                                                                        {"int", TypeKind::integer},
                                                                        {"uint", TypeKind::unsigned_integer},
                                                                        {"double", TypeKind::floating},
                                                                        {"string", TypeKind::string},
                                                                        {"bytes", TypeKind::bytes},
                                                                        {"timestamp", TypeKind::timestamp},
                                                                        {"duration", TypeKind::duration}};
    for (const auto& [known, kind] : kSimple) {
      if (known == name) return kind;
    }
    if (name == "list") return Type::list(std::move(parameters.at(0)));
    if (name == "map") return Type::map(std::move(parameters.at(0)), std::move(parameters.at(1)));
    if (name == "optional") return Type::optional(std::move(parameters.at(0)));
    if (name == "type") return Type::type_of(std::move(parameters.at(0)));
    if (name.size() == 1 && name[0] >= 'A' && name[0] <= 'Z') return Type::parameter(name);
    return Type::opaque(name, std::move(parameters));
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

void add(FunctionTable& table, std::span<const Declaration> declarations) {
  for (const Declaration& declaration : declarations) {
    Overload overload = parse_signature(declaration.signature);
    if (declaration.call != nullptr) overload.call = declaration.call;
    overload.cost = declaration.cost;
    overload.cost_by_name = declaration.cost_by_name;
    const std::string name = overload.function;
    table[name].push_back(std::move(overload));
  }
}

FunctionTable make_table(const EnvironmentOptions& options) {
  FunctionTable table;
  add(table, standard_operators());
  add(table, standard_functions());
  add(table, time_functions());
  using Provider = std::span<const Declaration> (*)();
  static constexpr std::pair<Library, Provider> kProviders[] = {
      {Library::optional_types, optional_functions},
      {Library::strings, string_functions},
      {Library::strings_reverse, string_reverse_functions},
      {Library::math, math_functions},
      {Library::lists, list_functions},
      {Library::sets, set_functions},
      {Library::encoders, encoder_functions},
      {Library::two_variable_comprehensions, map_functions},
      {Library::kubernetes_lists, kubernetes_list_functions},
      {Library::regex, regex_functions},
      {Library::urls, url_functions},
      {Library::quantity, quantity_functions},
      {Library::ip, ip_functions},
      {Library::cidr, cidr_functions},
      {Library::format, format_functions},
      {Library::semver, semver_functions},
      {Library::authorizer, authorizer_functions},
      {Library::authorizer_selectors, authorizer_selector_functions},
      {Library::json_patch, json_patch_functions}};
  for (const auto& [library, provider] : kProviders) {
    if ((options.libraries & static_cast<Libraries>(library)) != 0) add(table, provider());
  }
  for (const Function& function : options.functions) {
    Overload overload = parse_signature(function.signature);
    overload.call = function.call;
    overload.cost = function.cost;
    overload.cost_by_name = true;
    const std::string name = overload.function;
    table[name].push_back(std::move(overload));
  }
  return table;
}

}  // namespace

Overload parse_signature(std::string_view signature) {
  return SignatureParser(signature).run();
}

Libraries kubernetes_libraries(int minor) {
  Libraries out = Library::urls | Library::regex | Library::kubernetes_lists;
  out = out | Library::strings;
  if (minor >= 27) out = out | Library::authorizer;
  if (minor >= 28) out = out | Library::optional_types | Library::quantity;
  if (minor >= 29) out = out | Library::sets;
  if (minor >= 30) out = out | Library::ip | Library::cidr;
  if (minor >= 31) out = out | Library::format | Library::authorizer_selectors;
  if (minor >= 32) out = out | Library::two_variable_comprehensions;
  if (minor >= 33) out = out | Library::semver;
  return out;
}

EnvironmentOptions kubernetes_options(int minor) {
  EnvironmentOptions options;
  options.libraries = kubernetes_libraries(minor);
  options.homogeneous_literals = true;
  options.literals_checked = minor >= 29;
  options.presence_test_has_cost = false;
  return options;
}

const std::vector<Overload>* Environment::Impl::find_function(std::string_view name) const {
  const auto found = functions.find(name);
  return found == functions.end() ? nullptr : &found->second;
}

std::vector<std::string> Environment::Impl::candidates(std::string_view name) const {
  if (name.starts_with('.')) return {std::string(name.substr(1))};
  std::vector<std::string> out;
  for (std::string container = options.container; !container.empty();) {
    out.push_back(container + "." + std::string(name));
    const std::size_t dot = container.rfind('.');
    container.resize(dot == std::string::npos ? 0 : dot);
  }
  out.emplace_back(name);
  return out;
}

Environment::Environment(EnvironmentOptions options) {
  auto impl = std::make_shared<Impl>();
  impl->functions = make_table(options);
  impl->options = std::move(options);
  impl_ = std::move(impl);
}

const EnvironmentOptions& Environment::options() const {
  return impl_->options;
}

namespace {

Result<Program> compile_text(std::shared_ptr<const Environment::Impl> environment, std::string_view text,
                             bool checked) {
  auto program = std::make_shared<Program::Impl>();
  program->environment = std::move(environment);
  program->text = text;
  Findings findings(program->text);
  program->root = parse(program->text, program->environment->options, findings);
  if (program->root == nullptr) return Error{ErrorCode::invalid, findings.str()};
  resolve(*program);
  if (checked) check(*program, findings);
  if (!findings.empty()) return Error{ErrorCode::invalid, findings.str()};
  fold_constants(*program->root);
  return Program(std::move(program));
}

}  // namespace

Result<Program> Environment::compile(std::string_view text) const {
  return compile_text(impl_, text, true);
}
Result<Program> Environment::compile_unchecked(std::string_view text) const {
  return compile_text(impl_, text, false);
}

Outcome Program::evaluate(const Bindings& bindings, const Limits& limits) const {
  return cel::evaluate(*impl_, bindings, limits);
}
const Type& Program::result_type() const {
  return impl_->result;
}
const std::string& Program::text() const {
  return impl_->text;
}
bool Program::uses(std::string_view variable) const {
  return std::find(impl_->variables.begin(), impl_->variables.end(), variable) != impl_->variables.end();
}
const std::vector<std::string>& Program::variables() const {
  return impl_->variables;
}

void Bindings::set(std::string_view name, Value value) {
  for (auto& [known, old] : values_) {
    if (known != name) continue;
    old = std::move(value);
    return;
  }
  values_.emplace_back(name, std::move(value));
}

const Value* Bindings::find(std::string_view name) const {
  for (const auto& [known, value] : values_) {
    if (known == name) return &value;
  }
  return nullptr;
}

}  // namespace caisson::cel
