// SPDX-License-Identifier: Apache-2.0
// From an event to objects: bindings and templates. Pure; any thread.
// Source: tektoncd/triggers v0.30, docs/eventlisteners.md, triggerbindings.md, triggertemplates.md.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "cluster/kube/object.h"
#include "core/base/result.h"
#include "core/http/client.h"
#include "delivery/pipeline/cel.h"

namespace caisson::pipeline {

struct TriggerEvent {
  CelInput input;
  std::string raw_body;  // for signatures
  std::string id;        // $(context.eventID); also what makes generated names repeatable
  bool trusted = false;  // of our own git: signatures are not asked for
};

// What a trigger refers to, read from the API by whoever calls, in the trigger's namespace.
struct TriggerParts {
  std::function<Result<Value>(const std::string& kind, const std::string& name)>
      find;  // a spec: TriggerBinding, TriggerTemplate, ClusterInterceptor, …
  std::function<Result<std::string>(const std::string& secret, const std::string& key)> secret;
  // Sends to a server that interceptors are behind; a host NAME.NS.svc is the Service. Only where there are such.
  std::function<Result<http::Response>(http::Request request, const std::string& ca_pem)> send;
};

// The objects that the trigger's template makes of the event, in `ns`, with names that are a function of event, trigger
// and place.
Result<std::vector<kube::Object>> instantiate(const Value& trigger, const std::string& listener, const std::string& ns,
                                              const TriggerEvent& event, const TriggerParts& parts);

// "body.commits[0].id", "header.X-Github-Event", "extensions.x", "context.eventID". Errors: not_found, naming what is
// missing.
Result<Value> binding_value(std::string_view path, const TriggerEvent& event);

}  // namespace caisson::pipeline
