// SPDX-License-Identifier: Apache-2.0
// Admission: what may change or refuse a write after authorization and before it is stored. Plug-ins of this room stand
// in admit_*.cc; others (policy) are given in ApiServerOptions. Order: all mutate, then validation by schema, then all
// validate. The body of a sub-resource that is no object of the kind (Scale, Binding, Eviction, PodExecOptions) is
// shown to plug-ins that say they take such bodies; its kind is the body's own.
//
// Threads: any, several at once. A plug-in must not write through the API server.
#pragma once
#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "cluster/apiserver/user.h"
#include "cluster/schema/kind.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::apiserver {

// What plug-ins that change objects keep from one run of the chain to the next. When one of them changed the object,
// the whole chain runs once more, so that what others fill in fits; in that second run only those are asked again that
// want to be (reinvocationPolicy IfNeeded) and after which somebody changed the object. Follows apiserver's
// pkg/admission/reinvocation.go.
struct Reinvocation {
  struct Memory {
    Value left;                         // the object as the plug-in's last run left it
    std::vector<std::string> eligible;  // asked already and willing to be asked again
    std::vector<std::string> due;       // to be asked again

    void changed() {
      due.insert(due.end(), eligible.begin(), eligible.end());
      eligible.clear();
    }
    bool is_due(const std::string& key) const { return std::find(due.begin(), due.end(), key) != due.end(); }
  };
  Memory policies, webhooks;
  bool wanted = false;  // somebody changed the object
  bool second = false;  // this is the second run
};

// Made with designated initialisers; what has a default may be left out.
struct AdmissionRequest {
  enum class Operation { create, update, remove, connect } operation;
  const schema::KindSchema& kind;
  std::string ns = {}, name = {}, subresource = {};  // name is empty for a generateName that is not yet filled
  const User& user;
  const Value& before;  // null for create
  bool dry_run = false;
  std::vector<std::string>& warnings;                                   // each becomes a Warning header
  std::vector<std::pair<std::string, std::string>>& audit_annotations;  // of the audit event, "policy.example.com/key"
  // Reads as the request's own transaction sees it; null when absent.
  std::function<Value(const schema::Resource&, std::string_view ns, std::string_view name)> find = {};
  // What is stored, by name; an empty namespace: of all.
  std::function<std::vector<Value>(const schema::Resource&, std::string_view ns)> list = {};
  // Stages a change of another object, made from one that `list` or `find` gave, in the request's own transaction: both
  // are written or neither, and when somebody else changed it meanwhile the request is admitted anew.
  std::function<void(const schema::Resource&, const Value& object)> stage = {};
  Value& details;  // of the Status when the plug-in refuses; null: made from its message
  Value& refusal;  // the whole Status when the plug-in refuses with one of its own (a webhook's); null: as above
  Reinvocation& reinvocation;
  // The kind as the client asked for it, where `kind` is another version that a policy looks at; else null.
  const schema::KindSchema* asked = nullptr;
  // CreateOptions, UpdateOptions, PatchOptions or DeleteOptions as the client gave them; null for connect. Few ask.
  std::function<Value()> options = {};
};

class Admission {
 public:
  virtual ~Admission() = default;
  virtual std::string_view name() const = 0;
  virtual bool takes_subresource_bodies() const { return false; }
  // Whether `mutate` takes part in the second run of the chain.
  virtual bool runs_again() const { return true; }
  // Asked of other rooms' plug-ins: whether, as things stand, it may wait for somebody or take long. If none may,
  // writes are admitted on the thread that reads requests.
  virtual bool may_take_long() const { return true; }
  // `object` is null for remove and connect. Errors: forbidden and invalid are answered as they are.
  virtual Result<void> mutate(const AdmissionRequest&, Value& object) const {
    (void)object;
    return {};
  }
  virtual Result<void> validate(const AdmissionRequest&, const Value& object) const {
    (void)object;
    return {};
  }
};

}  // namespace caisson::apiserver
