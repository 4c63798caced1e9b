// SPDX-License-Identifier: Apache-2.0
// What the variables of a rule see: the request, the images, the entries of the rule's context and the element of a
// loop. Entries are loaded when the first query names them. Follows Kyverno 1.19, pkg/engine/context and factories.
//
// A Context belongs to one thread; copying one is cheap (values are shared) and how a loop gets a scope of its own.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"
#include "core/expr/jmespath/jmespath.h"

namespace caisson::policy {

class ImageSource;

// What a context entry may ask of the world. Nothing: "not here" (a test that gives the value by other means).
// Implementations have their own limits of time and size. Any thread.
class Lookups {
 public:
  virtual ~Lookups() = default;
  virtual Result<std::optional<Value>> config_map(const std::string& ns, const std::string& name) const = 0;
  // `call` is a context entry's apiCall with its variables substituted: urlPath, method, data, service. CEL's calls
  // have `body` instead of data (a document), and of services they want `anyStatus`: the answer is {statusCode, body},
  // whatever the status.
  virtual Result<std::optional<Value>> api_call(const Value& call) const = 0;
  virtual Result<std::optional<Value>> global_entry(const std::string& name) const = 0;
  // imageRegistry: {image, resolvedImage, registry, repository, identifier, manifest, configData}.
  virtual Result<std::optional<Value>> image(const std::string& reference) const = 0;
  // A live object, or null; and those of a kind in a namespace ("" : all).
  virtual Result<Value> object(const std::string& api_version, const std::string& kind, const std::string& ns,
                               const std::string& name) const = 0;
  virtual Result<std::vector<Value>> objects(const std::string& api_version, const std::string& kind,
                                             const std::string& ns) const = 0;
  // The kind of a resource: "Deployment" of ("apps/v1", "deployments"). Errors: not_found.
  virtual Result<std::string> kind_of(const std::string& api_version, const std::string& plural) const = 0;
  // Where signatures and manifests are read; null: there is no registry to ask.
  virtual const ImageSource* images() const { return nullptr; }
};

// Nothing is there; every lookup is "not here".
const Lookups& no_lookups();

// Compiled expressions by their text, so that a policy's variables are read once. Any thread.
class Expressions {
 public:
  Expressions();
  ~Expressions();
  Result<jmespath::Expression> get(std::string_view text) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The names of a dotted path; quotes keep dots: a."b.c/d" is a, b.c/d.
std::vector<std::string> dotted_names(std::string_view path);

class Context {
 public:
  Context(const Expressions& expressions, const jmespath::Environment& environment, const Lookups& lookups,
          Value root = Value::map())
      : expressions_(&expressions), environment_(&environment), lookups_(&lookups), root_(std::move(root)) {}

  const Value& root() const { return root_; }
  void set(std::string_view name, Value value) {
    found_.clear();
    root_.set(name, std::move(value));
  }
  // "request.object.spec" and the like: members are made on the way.
  void set_path(std::string_view dotted, Value value);
  void defer(const Value& entries);                                 // a rule's `context` list
  void defer_images(const Value& object, const Value& extractors);  // `images`, as images_of (images.h) gives them
  void load_images();

  // Errors: not_found when the path ends at a missing key, in Kyverno's words; bad_request otherwise.
  Result<Value> query(std::string_view expression);
  Result<Value> query(const jmespath::Expression& expression);

  bool is_delete() const { return root_["request"]["operation"].as_string() == "DELETE"; }
  bool has(std::string_view name) const { return root_.contains(name); }
  const Lookups& lookups() const { return *lookups_; }
  const Expressions& expressions() const { return *expressions_; }
  const jmespath::Environment& environment() const { return *environment_; }

 private:
  Result<void> load(std::string_view name);
  Result<void> load_entry(const Value& entry);
  Result<std::optional<Value>> value_of(const Value& entry);
  Result<std::optional<Value>> variable(const Value& entry);
  Result<std::optional<Value>> narrowed(Result<std::optional<Value>> found, const Value& source,
                                        bool must_be_there = false);

  // What expressions found in `root_`: rules of many policies ask the same of a request. A copy is made to be changed,
  // and begins without.
  class FoundOnce {
   public:
    FoundOnce() = default;
    FoundOnce(const FoundOnce&) noexcept {}
    FoundOnce(FoundOnce&&) noexcept = default;
    FoundOnce& operator=(const FoundOnce&) noexcept {
      clear();
      return *this;
    }
    FoundOnce& operator=(FoundOnce&&) noexcept = default;
    ~FoundOnce() = default;
    const Value* find(std::string_view text) const;
    void keep(const jmespath::Expression& expression, const Value& value);
    void clear() { kept_.clear(); }

   private:
    std::vector<std::pair<jmespath::Expression, Value>> kept_;
  };

  const Expressions* expressions_;
  const jmespath::Environment* environment_;
  const Lookups* lookups_;
  Value root_;
  FoundOnce found_;
  std::vector<Value> pending_;          // entries not loaded yet, in order
  Value images_of_, image_extractors_;  // what `images` are made from; null: they are there, or there are none
  int depth_ = 0;
};

}  // namespace caisson::policy
