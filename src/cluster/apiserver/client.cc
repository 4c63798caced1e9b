// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/client.h"

#include "cluster/apiserver/authorizer.h"
#include "cluster/apiserver/conversion.h"
#include "cluster/apiserver/subresources.h"
#include "cluster/apiserver/verbs.h"
#include "cluster/apiserver/watching.h"

namespace caisson::apiserver {
namespace {

using kube::DeleteOptions;
using kube::ListOptions;
using kube::Object;
using kube::ObjectKey;
using kube::ObjectList;
using kube::WriteOptions;

std::string_view propagation_name(kube::Propagation propagation) {
  switch (propagation) {
    case kube::Propagation::foreground:
      return "Foreground";
    case kube::Propagation::orphan:
      return "Orphan";
    case kube::Propagation::background:
      break;
  }
  return "Background";
}

class LocalClient : public kube::Client {
 public:
  LocalClient(Core& core, User user) : core_(core), user_(std::move(user)) {}

  Result<Object> get(const kube::Resource& resource, const ObjectKey& key) override {
    Request request = TRY(begin("get", resource, key));
    Value object = TRY(apiserver::get(core_, request));
    return Object(std::move(object));
  }

  Result<ObjectList> list(const kube::Resource& resource, const ListOptions& options) override {
    Request request = TRY(begin("list", resource, {options.ns, ""}));
    const ListParameters parameters = TRY(parameters_of(request, options));
    ItemList found = TRY(apiserver::list(core_, request, parameters));
    ObjectList result;
    result.items.reserve(found.items.size());
    std::vector<Value> values;
    values.reserve(found.items.size());
    for (const store::ItemPtr& item : found.items) values.push_back(item->value());
    values = TRY(core_.conversion->convert(*request.kind, std::move(values)));
    for (Value& value : values) result.items.emplace_back(std::move(value));
    result.resource_version = std::to_string(found.revision);
    result.continue_token = std::move(found.continue_token);
    return result;
  }

  Result<Object> create(const Object& object, const WriteOptions& options) override {
    Request request = TRY(begin_write("create", object, options));
    request.name.clear();
    if (request.kind->is_review()) {
      Value answer = TRY(review(core_, request, object.value()));
      return Object(std::move(answer));
    }
    return write(request, [&](Transaction& tx) { return apiserver::create(core_, request, tx, object.value()); });
  }

  Result<Object> update(const Object& object, const WriteOptions& options) override {
    Request request = TRY(begin_write("update", object, options));
    if (options.subresource == "scale") return scaled(write_scale(core_, request, object.value(), {}));
    if (options.subresource == "finalize") return scaled(finalize_namespace(core_, request, object.value()));
    return write(request, [&](Transaction& tx) { return apiserver::update(core_, request, tx, object.value()); });
  }

  Result<Object> patch(const kube::Resource& resource, const ObjectKey& key, kube::PatchType type, const Value& patch,
                       const WriteOptions& options) override {
    Request request = TRY(begin("patch", resource, key, &options));
    if (options.subresource == "scale") return scaled(write_scale(core_, request, patch, type));
    return write(request, [&](Transaction& tx) { return apiserver::patch(core_, request, tx, type, patch); });
  }

  Result<Object> apply(const Object& object, const WriteOptions& options) override {
    Request request = TRY(begin_write("patch", object, options));
    return write(request, [&](Transaction& tx) { return apiserver::apply(core_, request, tx, object.value()); });
  }

  Result<void> remove(const kube::Resource& resource, const ObjectKey& key, const DeleteOptions& options) override {
    Request request = TRY(begin("delete", resource, key));
    request.dry_run = options.dry_run;
    const DeleteParameters parameters = parameters_of(options);
    const auto removed =
        write(request, [&](Transaction& tx) { return apiserver::remove(core_, request, tx, parameters); });
    if (!removed.ok()) return removed.error();
    return {};
  }

  Result<Value> post(const kube::Resource& resource, const ObjectKey& key, std::string_view subresource,
                     const Value& body) override {
    WriteOptions options;
    options.subresource = std::string(subresource);
    Request request = TRY(begin("create", resource, key, &options));
    return post_subresource(core_, request, body);
  }

  Result<std::unique_ptr<kube::Watch>> watch(const kube::Resource& resource, const ListOptions& options,
                                             std::function<void(const kube::WatchEvent&)> call) override;
  Result<std::vector<Object>> transact(const std::vector<kube::Write>& writes) override;
  bool atomic() const override { return true; }

  Result<kube::Resource> resource_for(std::string_view api_version, std::string_view kind) override {
    const auto found = core_.schema.find_api_version(api_version, kind);
    if (!found)
      return Error{ErrorCode::not_found,
                   "no matches for kind \"" + std::string(kind) + "\" in version \"" + std::string(api_version) + "\""};
    return found->resource;
  }

  Result<std::vector<kube::Resource>> resources() override {
    std::vector<kube::Resource> all;
    for (const schema::KindPtr& kind : core_.schema.all())
      if (kind->served) all.push_back(kind->resource);
    return all;
  }

 private:
  // The request, authorized.
  Result<Request> begin(std::string_view verb, const kube::Resource& resource, const ObjectKey& key,
                        const WriteOptions* options = nullptr) {
    Request request;
    request.user = user_;
    request.verb = std::string(verb);
    request.is_resource = true;
    request.in_process = true;
    request.group = resource.group;
    request.version = resource.version;
    request.plural = resource.plural;
    request.ns = resource.namespaced ? key.ns : "";
    request.name = key.name;
    request.field_validation = FieldValidation::ignore;
    if (options) {
      request.field_manager = options->field_manager;
      request.dry_run = options->dry_run;
      request.force = options->force;
      request.subresource = options->subresource;
    }
    request.kind = core_.schema.find_plural(resource.group, resource.version, resource.plural);
    if (!request.kind)
      return Error{ErrorCode::not_found,
                   "the server could not find the requested resource " + resource.group_resource()};
    if (request.subresource.empty() && !request.kind->has_verb(verb))
      return request.fail(ErrorCode::method_not_allowed,
                          "the server does not allow this method on the requested resource", Value::map());
    const Attributes attributes = attributes_of(request);
    const auto decision = core_.authorizer->decide(request.user, attributes);
    if (!decision.allowed) return refusal(request, attributes, decision.reason);
    request.allowed_by = decision.by;
    return request;
  }

  Result<Request> begin_write(std::string_view verb, const Object& object, const WriteOptions& options) {
    const auto kind = core_.schema.find_object(object.value());
    if (!kind)
      return Error{ErrorCode::not_found,
                   "no matches for kind \"" + object.kind() + "\" in version \"" + object.api_version() + "\""};
    return begin(verb, kind->resource, object.key(), &options);
  }

  Result<ListParameters> parameters_of(Request& request, const ListOptions& options) {
    http::Query query;
    if (!options.label_selector.empty()) query.emplace_back("labelSelector", options.label_selector);
    if (!options.field_selector.empty()) query.emplace_back("fieldSelector", options.field_selector);
    if (options.limit > 0) query.emplace_back("limit", std::to_string(options.limit));
    if (!options.continue_token.empty()) query.emplace_back("continue", options.continue_token);
    if (!options.resource_version.empty()) query.emplace_back("resourceVersion", options.resource_version);
    return list_parameters(request, query);
  }

  static DeleteParameters parameters_of(const DeleteOptions& options) {
    return {options.grace_period_seconds, std::string(propagation_name(options.propagation)), options.uid,
            options.resource_version, false};
  }

  Result<Object> write(Request& request, const Plan& plan) {
    Planned planned = TRY(execute(core_, request, plan));
    return Object(std::move(planned.object));
  }

  static Result<Object> scaled(Result<Value> value) {
    if (!value.ok()) return std::move(value).error();
    return Object(std::move(value).value());
  }

  Result<Planned> plan(Transaction& tx, Request& request, const kube::Write& write);

  Core& core_;
  User user_;
};

class LocalWatch : public kube::Watch {
 public:
  explicit LocalWatch(std::unique_ptr<store::Watch> watch) : watch_(std::move(watch)) {}

 private:
  std::unique_ptr<store::Watch> watch_;
};

Result<std::unique_ptr<kube::Watch>> LocalClient::watch(const kube::Resource& resource, const ListOptions& options,
                                                        std::function<void(const kube::WatchEvent&)> call) {
  Request request = TRY(begin("watch", resource, {options.ns, ""}));
  const ListParameters parameters = TRY(parameters_of(request, options));
  store::WatchOptions watch{.resource = request.storage_resource(), .ns = request.ns};
  if (options.resource_version.empty() || options.resource_version == "0")
    watch.state_first = true;
  else
    watch.after = std::strtoll(options.resource_version.c_str(), nullptr, 10);
  const auto deliver = [kind = request.kind, parameters, call = std::move(call)](const store::Event& event) {
    using From = store::Event::Type;
    using To = kube::WatchEvent::Type;
    if (event.type == From::closed) return call({To::closed, Object(), event.error});
    if (event.type == From::bookmark) {
      const Value bookmark{{"kind", kind->resource.kind},
                           {"apiVersion", kind->resource.api_version()},
                           {"metadata", Value{{"resourceVersion", std::to_string(event.revision)}}}};
      return call({To::bookmark, Object(bookmark), {}});
    }
    const auto seen = seen_by(parameters, event);
    if (!seen) return;
    const To type = seen->type == From::added ? To::added : seen->type == From::modified ? To::modified : To::deleted;
    // Without a conversion webhook: it could keep everybody's events waiting. Reconcilers here watch stored versions.
    call({type, Object(in_version(*kind, seen->item->value())), {}});
  };
  std::unique_ptr<store::Watch> started = TRY(core_.store.watch(watch, deliver));
  return std::unique_ptr<kube::Watch>(std::make_unique<LocalWatch>(std::move(started)));
}

Result<Planned> LocalClient::plan(Transaction& tx, Request& request, const kube::Write& write) {
  switch (write.verb) {
    case kube::Write::Verb::create:
      return apiserver::create(core_, request, tx, write.object.value());
    case kube::Write::Verb::update:
      return apiserver::update(core_, request, tx, write.object.value());
    case kube::Write::Verb::apply:
      return apiserver::apply(core_, request, tx, write.object.value());
    case kube::Write::Verb::remove:
      break;
  }
  return apiserver::remove(core_, request, tx, parameters_of(write.remove_options));
}

Result<std::vector<Object>> LocalClient::transact(const std::vector<kube::Write>& writes) {
  static constexpr std::string_view kVerbs[] = {"create", "update", "patch", "delete"};
  const std::lock_guard pools(core_.pools);
  for (int attempt = 1;; ++attempt) {
    Transaction tx(core_.store);
    std::vector<std::pair<Request, Planned>> steps;
    for (const kube::Write& write : writes) {
      auto begun = begin_write(kVerbs[static_cast<int>(write.verb)], write.object, write.options);
      if (!begun.ok()) return std::move(begun).error();
      Request request = std::move(begun).value();
      if (write.verb == kube::Write::Verb::create) request.name.clear();
      auto planned = plan(tx, request, write);
      if (!planned.ok()) return std::move(planned).error().in(write.object.kind() + " " + write.object.key().str());
      // A definition that this transaction makes is served to what follows in it.
      if (request.plural == "customresourcedefinitions" && write.verb != kube::Write::Verb::remove)
        (void)core_.schema.add_crd(planned->object)
            .ok();  // what speaks against it, its conditions tell after the commit
      steps.emplace_back(std::move(request), std::move(planned).value());
    }
    const auto committed = tx.commit();
    if (!committed.ok() && (committed.error().code != ErrorCode::conflict || attempt == 20)) return committed.error();
    if (!committed.ok()) continue;
    std::vector<Object> objects;
    for (auto& [request, planned] : steps) {
      objects.emplace_back(planned.key ? in_version(*request.kind, tx.committed(*planned.key)) : planned.object);
      const bool gone =
          request.verb == "delete" && !core_.store.get(request.storage_resource(), request.ns, request.name);
      after_write(core_, request, objects.back().value(), gone);
    }
    return objects;
  }
}

}  // namespace

std::unique_ptr<kube::Client> make_client(Core& core, User user) {
  if (!user.in_group("system:authenticated")) user.groups.push_back("system:authenticated");
  return std::make_unique<LocalClient>(core, std::move(user));
}

}  // namespace caisson::apiserver
