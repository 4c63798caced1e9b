// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/watch_stream.h"

#include <deque>
#include <mutex>

#include "cluster/apiserver/conversion.h"
#include "cluster/apiserver/watching.h"
#include "cluster/schema/table.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::apiserver {
namespace {

constexpr auto kBookmarkEvery = std::chrono::minutes(1);
// The server's own first objects, made before it listens: no client has seen so early a version.
constexpr store::Revision kOwnRevisions = 8;
constexpr std::size_t kWaitingMax = 10'000;
constexpr std::int64_t kTimeoutSecondsMin = 1800;  // without timeoutSeconds: between this and twice this, as upstream

bool is_true(std::string_view text) {
  return text == "true" || text == "1";
}

// Lives as long as the stream or the store's watch refers to it.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Core& core, schema::KindPtr kind, ListParameters parameters, Representation as,
          std::shared_ptr<http::Stream> stream)
      : core_(core),
        kind_(std::move(kind)),
        parameters_(std::move(parameters)),
        as_(as),
        stream_(std::move(stream)),
        prefix_("{\"kind\":\"" + kind_->resource.kind + "\",\"apiVersion\":\"" + kind_->resource.api_version() + "\","),
        waits_(core.conversion->asks(*kind_)) {}

  bool initial_events_wanted = false;

  void hold(std::unique_ptr<store::Watch> watch) {
    const std::lock_guard lock(mutex_);
    if (!ended_) watch_ = std::move(watch);
  }

  // From the store's delivery thread. What a webhook converts is sent from a worker, one event after the other, so that
  // a slow webhook keeps nobody else waiting.
  void deliver(const store::Event& event) {
    if (!waits_) return send(event);
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    if (waiting_.size() == kWaitingMax) return stream_->abort();  // it lists again from where it is
    waiting_.push_back(event);
    if (std::exchange(working_, true)) return;
    if (!core_.workers().run([self = shared_from_this()] { self->work(); }).ok()) stream_->abort();
  }

 private:
  void work() {
    for (;;) {
      std::optional<store::Event> event;
      {
        const std::lock_guard lock(mutex_);
        if (waiting_.empty() || ended_) {
          working_ = false;
          return;
        }
        event = std::move(waiting_.front());
        waiting_.pop_front();
      }
      send(*event);
    }
  }

  void send(const store::Event& event) {
    using Type = store::Event::Type;
    if (event.type == Type::closed) {
      if (event.error) write("ERROR", json::write(failure_status(event.error->code, event.error->message)));
      return end();
    }
    if (event.type == Type::bookmark) return bookmark(event.revision);
    const auto seen = seen_by(parameters_, event);
    if (!seen) return;
    const std::string_view type = seen->type == Type::added      ? "ADDED"
                                  : seen->type == Type::modified ? "MODIFIED"
                                                                 : "DELETED";
    if (!as_.table && !as_.partial && seen->item->bytes().starts_with(prefix_))
      return put(stored_line(type, seen->item));
    const auto text = object_text(*seen->item);
    if (!text.ok()) return fail(text.error());
    write(type, *text);
  }

  // Most watchers of a kind get the same line, one after the other on the same thread: it is made once.
  static const std::string& stored_line(std::string_view type, const store::ItemPtr& item) {
    struct Last {
      store::ItemPtr item;
      std::string_view type;
      std::string line;
    };
    thread_local Last last;
    if (last.item != item || last.type != type) last = {item, type, line_of(type, item->bytes())};
    return last.line;
  }

 public:
  void fail(const Error& error) {
    write("ERROR", json::write(failure_status(error.code, error.message)));
    end();
  }

  // Ends stream and watch; from any thread, from the watch's own callback too.
  void end() {
    std::unique_ptr<store::Watch> watch;
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
      watch = std::move(watch_);
    }
    watch.reset();
    stream_->finish();
  }

 private:
  void bookmark(store::Revision revision) {
    Value object{{"kind", kind_->resource.kind},
                 {"apiVersion", kind_->resource.api_version()},
                 {"metadata", Value{{"resourceVersion", std::to_string(revision)}, {"creationTimestamp", Value()}}}};
    if (std::exchange(initial_events_wanted, false))
      object.edit({"metadata", "annotations"}).set("k8s.io/initial-events-end", "true");
    else if (!bookmarks)
      return;
    if (as_.table) return write("BOOKMARK", json::write(table_of(object, false)));
    if (as_.partial) object.set("kind", "PartialObjectMetadata").set("apiVersion", "meta.k8s.io/v1");
    write("BOOKMARK", json::write(object));
  }

  Value table_of(const Value& object, bool row) {
    Value table = schema::table(*kind_, std::span(&object, row ? 1 : 0), core_.clock.now(), include);
    table.edit("metadata").set("resourceVersion", object["metadata"]["resourceVersion"]);
    if (std::exchange(columns_sent_, true)) table.set("columnDefinitions", Value());
    return table;
  }

  Result<std::string> object_text(const store::Item& item) {
    if (as_.table || as_.partial) {
      const Value object = TRY(core_.conversion->convert(*kind_, item.value()));
      return json::write(as_.table ? table_of(object, true) : schema::partial_metadata(object));
    }
    const Value object = TRY(core_.conversion->convert(*kind_, item.value()));
    return json::write(object);
  }

  static std::string line_of(std::string_view type, const std::string& object) {
    std::string line;
    line.reserve(object.size() + 40);
    line.append("{\"type\":\"").append(type).append("\",\"object\":").append(object).append("}\n");
    return line;
  }
  void write(std::string_view type, const std::string& object) { put(line_of(type, object)); }
  void put(const std::string& line) {
    const auto written = stream_->write(line);
    // A client that is gone or too slow: it lists again from where it is.
    if (!written.ok()) stream_->abort();
  }

 public:
  bool bookmarks = false;
  schema::IncludeObject include = schema::IncludeObject::metadata;

 private:
  Core& core_;
  schema::KindPtr kind_;
  ListParameters parameters_;
  Representation as_;
  std::shared_ptr<http::Stream> stream_;
  const std::string prefix_;  // how objects begin that are stored as they are shown
  const bool waits_;
  bool columns_sent_ = false;
  std::mutex mutex_;
  std::unique_ptr<store::Watch> watch_;
  bool ended_ = false;
  std::deque<store::Event> waiting_;  // GUARDED_BY(mutex_), like working_
  bool working_ = false;
};

Error forbidden_option(Request& request, std::string_view field, const std::string& why) {
  const schema::FieldError error{schema::FieldError::Type::forbidden, std::string(field), {}, why};
  Value details{{"group", "meta.k8s.io"}, {"kind", "ListOptions"}, {"causes", schema::causes({error})}};
  return request.fail(ErrorCode::invalid, "ListOptions.meta.k8s.io \"\" is invalid: " + error.str(),
                      std::move(details));
}

}  // namespace

Result<void> start_watch(Core& core, Request& request, http::Exchange& exchange, const Representation& as) {
  const http::Query& query = exchange.query;
  ListParameters parameters = TRY(list_parameters(request, query));
  if (as.yaml) return request.fail(ErrorCode::not_acceptable, "a watch is given as application/json only");
  const bool initial = is_true(http::query_get(query, "sendInitialEvents"));
  if (!parameters.resource_version_match.empty() && http::query_get(query, "sendInitialEvents").empty())
    return forbidden_option(request, "resourceVersionMatch",
                            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
  std::int64_t seconds = kTimeoutSecondsMin + static_cast<std::int64_t>(random_u64() % kTimeoutSecondsMin);
  if (const auto text = http::query_get(query, "timeoutSeconds"); !text.empty()) {
    const auto asked = parse_int(text);
    if (!asked) return request.bad_request("strconv.ParseInt: parsing \"" + std::string(text) + "\": invalid syntax");
    if (*asked > 0) seconds = *asked;
  }
  if (!request.name.empty() && parameters.fields.everything())
    parameters.fields = TRY(kube::FieldSelector::parse("metadata.name=" + request.name));
  store::WatchOptions options{
      .resource = request.storage_resource(), .ns = request.ns, .time_max = std::chrono::seconds(seconds)};
  options.bookmark_every =
      is_true(http::query_get(query, "allowWatchBookmarks")) ? Duration(kBookmarkEvery) : Duration(0);
  const std::string& version = parameters.resource_version;
  const bool from_state = version.empty() || version == "0" || initial;
  if (from_state) {
    options.state_first = true;
  } else {
    const auto after = parse_int(version);
    if (!after || *after < 0)
      return request.fail_without_reason("resourceVersion: Invalid value: \"" + version +
                                         "\": strconv.ParseUint: parsing \"" + version + "\": invalid syntax");
    options.after = *after;
  }
  const std::string type = as.table ? "application/json;as=Table;v=v1;g=meta.k8s.io" : "application/json";
  auto stream = exchange.stream(200, {{"Content-Type", type}, {"Cache-Control", "no-cache, private"}});
  auto session = std::make_shared<Session>(core, request.kind, std::move(parameters), as, stream);
  session->bookmarks = options.bookmark_every.count() > 0;
  session->initial_events_wanted = initial;
  const std::string_view include = http::query_get(query, "includeObject");
  if (include == "None") session->include = schema::IncludeObject::none;
  if (include == "Object") session->include = schema::IncludeObject::object;
  if (!from_state && options.after < kOwnRevisions) {
    session->fail({ErrorCode::expired, "too old resource version: " + std::to_string(options.after) + " (" +
                                           std::to_string(kOwnRevisions) + ")"});
    return {};
  }
  auto watch = core.store.watch(options, [session](const store::Event& event) { session->deliver(event); });
  if (!watch.ok()) {
    session->fail(watch.error());
    return {};
  }
  session->hold(std::move(watch).value());
  stream->on_close([weak = std::weak_ptr<Session>(session)] {
    if (const auto alive = weak.lock()) alive->end();
  });
  return {};
}

}  // namespace caisson::apiserver
