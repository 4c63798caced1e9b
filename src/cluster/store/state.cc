// SPDX-License-Identifier: Apache-2.0
#include "cluster/store/state.h"

namespace caisson::store {
namespace {

// What of `now` (sorted by path), as it was before `then` replaced some of it, `options` asks for.
Listing take(const Table& now, const std::map<std::string, ItemPtr, std::less<>>& then, std::string_view prefix,
             std::size_t count, const ListOptions& options) {
  Listing listing;
  if (options.limit == 0) listing.items.reserve(count);
  auto it = options.after.empty() ? now.objects.lower_bound(prefix)
                                  : now.objects.upper_bound(std::max<std::string_view>(options.after, prefix));
  auto was = options.after.empty() ? then.lower_bound(prefix)
                                   : then.upper_bound(std::max<std::string_view>(options.after, prefix));
  const bool counted = options.after.empty() || options.given;
  while (true) {
    const bool old = was != then.end() && (it == now.objects.end() || was->first <= it->first);
    if (!old && (it == now.objects.end() || !it->first.starts_with(prefix))) break;
    const ItemPtr& item = old ? was->second : it->second.item;
    if (!old || (it != now.objects.end() && it->first == was->first)) ++it;
    if (old) ++was;
    if (!item) continue;
    if (options.limit == 0 || listing.items.size() < options.limit) {
      listing.items.push_back(item);
      continue;
    }
    listing.more = true;
    ++listing.remaining;
    if (counted) break;
  }
  const std::size_t passed = options.given.value_or(0) + listing.items.size();
  if (listing.more && counted && count > passed) listing.remaining = count - passed;
  return listing;
}

}  // namespace

std::size_t Table::count(std::string_view ns) const {
  if (ns.empty()) return objects.size();
  const auto it = namespaces.find(ns);
  return it == namespaces.end() ? 0 : it->second;
}

const Table* State::table(std::string_view resource) const {
  const auto it = tables_.find(resource);
  return it == tables_.end() ? nullptr : &it->second;
}

const Stored* State::find(std::string_view resource, std::string_view path) const {
  const Table* found = table(resource);
  if (!found) return nullptr;
  const auto it = found->objects.find(path);
  return it == found->objects.end() ? nullptr : &it->second;
}

Event State::apply(const Applied& change) {
  const ItemPtr& item = change.item;
  Table& table = tables_[item->resource()];
  Event event{.type = Event::Type::added, .revision = item->revision(), .after = item};
  const auto it = table.objects.lower_bound(item->path());
  const bool known = it != table.objects.end() && it->first == item->path();
  if (known) {
    event.type = Event::Type::modified;
    event.before = it->second.item;
    unneeded_.push_back({it->second.row, item->revision()});
  }
  if (change.deletion) {
    event.type = Event::Type::deleted;
    if (known) {
      table.objects.erase(it);
      const auto ns = table.namespaces.find(item->ns());
      if (--ns->second == 0) table.namespaces.erase(ns);
    }
    unneeded_.push_back({change.row, item->revision()});
  } else if (known) {
    it->second = {item, change.row};
  } else {
    table.objects.emplace_hint(it, item->path(), Stored{item, change.row});
    const auto ns = table.namespaces.find(item->ns());
    ++(ns == table.namespaces.end() ? table.namespaces.emplace(item->ns(), 0).first : ns)->second;
  }
  table.changed = revision_ = item->revision();
  last_row_ = change.row;
  // What the event alone keeps in memory is the version before.
  const std::size_t size_bytes = 200 + (event.before ? event.before->bytes().size() : 0);
  history_.push_back({event, change.at, size_bytes});
  history_bytes_ += size_bytes;
  return event;
}

void State::trim(std::int64_t now) {
  const auto age_max = std::chrono::duration_cast<std::chrono::seconds>(options_.history_age_max).count();
  while (!history_.empty()) {
    const Past& past = history_.front();
    if (past.event.revision > revision_ - options_.history_revisions_max && past.at >= now - age_max &&
        history_bytes_ <= options_.history_bytes_max)
      break;
    oldest_ = past.event.revision;
    // A transaction leaves as a whole.
    while (!history_.empty() && history_.front().event.revision == oldest_) {
      history_bytes_ -= history_.front().size_bytes;
      history_.pop_front();
    }
  }
}

void State::begin_history_at(Revision oldest) {
  oldest_ = oldest;
  while (!history_.empty() && history_.front().event.revision <= oldest) {
    history_bytes_ -= history_.front().size_bytes;
    history_.pop_front();
  }
}

std::vector<Event> State::events_after(const WatchOptions& options) const {
  std::vector<Event> events;
  auto it = std::upper_bound(history_.begin(), history_.end(), options.after,
                             [](Revision revision, const Past& past) { return revision < past.event.revision; });
  for (; it != history_.end(); ++it) {
    const Item& item = *it->event.after;
    if (item.resource() == options.resource && (options.ns.empty() || item.ns() == options.ns))
      events.push_back(it->event);
  }
  return events;
}

std::vector<Event> State::as_added(const WatchOptions& options) const {
  std::vector<Event> events;
  const auto listing = list(options.resource, {.ns = options.ns});
  if (listing.ok())  // of now: it can't fail
    for (const ItemPtr& item : listing->items)
      events.push_back({.type = Event::Type::added, .revision = item->revision(), .after = item});
  events.push_back({.type = Event::Type::bookmark, .revision = revision_});
  return events;
}

State::Objects State::changed_since(std::string_view resource, std::string_view prefix, Revision at) const {
  Objects changed;
  for (auto it = history_.rbegin(); it != history_.rend() && it->event.revision > at; ++it) {
    const Event& event = it->event;
    if (event.after->resource() == resource && event.after->path().starts_with(prefix))
      changed[event.after->path()] = event.before;
  }
  return changed;
}

Result<Listing> State::list(std::string_view resource, const ListOptions& options) const {
  if (options.at > revision_)
    return Error{ErrorCode::timeout, "Too large resource version: " + std::to_string(options.at) +
                                         ", current: " + std::to_string(revision_)};
  const Revision at = options.at == 0 ? revision_ : options.at;
  if (at < oldest_ && at != revision_)
    return Error{ErrorCode::expired,
                 "too old resource version: " + std::to_string(at) + " (" + std::to_string(oldest_) + ")"};
  static const Table none;
  const Table* known = table(resource);
  const Table& now = known ? *known : none;
  const std::string prefix = options.ns.empty() ? "" : options.ns + "/";
  const Objects changed = now.changed > at ? changed_since(resource, prefix, at) : Objects();
  std::size_t count = now.count(options.ns);
  for (const auto& [path, was] : changed) {
    const bool is = now.objects.contains(path);
    if (was && !is) ++count;
    if (!was && is) --count;
  }
  Listing listing = take(now, changed, prefix, count, options);
  listing.revision = at;
  return listing;
}

std::vector<std::int64_t> State::takeable_rows(std::size_t count) const {
  std::vector<std::int64_t> rows;
  for (const Unneeded& unneeded : unneeded_) {
    if (rows.size() == count || unneeded.since > oldest_ || unneeded.row == last_row_) break;
    rows.push_back(unneeded.row);
  }
  return rows;
}

}  // namespace caisson::store
