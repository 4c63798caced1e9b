// SPDX-License-Identifier: Apache-2.0
#include "cluster/store/state.h"

namespace caisson::store {
namespace {

// Takes what of `objects` (sorted by path) `options` asks for.
template <class Objects, class Item>
Listing take(const Objects& objects, const ListOptions& options, Item item_of) {
  Listing listing;
  const std::string prefix = options.ns.empty() ? "" : options.ns + "/";
  auto it = options.after.empty() ? objects.lower_bound(prefix) : objects.upper_bound(std::max(options.after, prefix));
  for (; it != objects.end() && it->first.starts_with(prefix); ++it) {
    if (options.limit != 0 && listing.items.size() == options.limit) {
      listing.more = true;
      ++listing.remaining;
    } else {
      listing.items.push_back(item_of(it->second));
    }
  }
  return listing;
}

}  // namespace

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
  const auto it = table.objects.find(item->path());
  if (it != table.objects.end()) {
    event.type = Event::Type::modified;
    event.before = it->second.item;
    unneeded_.push_back({it->second.row, item->revision()});
  }
  if (change.deletion) {
    event.type = Event::Type::deleted;
    if (it != table.objects.end()) table.objects.erase(it);
    unneeded_.push_back({change.row, item->revision()});
  } else if (it != table.objects.end()) {
    it->second = {item, change.row};
  } else {
    table.objects.emplace(item->path(), Stored{item, change.row});
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

State::Objects State::objects_at(std::string_view resource, Revision at) const {
  Objects objects;
  if (const Table* now = table(resource))
    for (const auto& [path, stored] : now->objects) objects.emplace_hint(objects.end(), path, stored.item);
  for (auto it = history_.rbegin(); it != history_.rend() && it->event.revision > at; ++it) {
    const Event& event = it->event;
    if (event.after->resource() != resource) continue;
    if (event.before)
      objects[event.after->path()] = event.before;
    else
      objects.erase(event.after->path());
  }
  return objects;
}

Result<Listing> State::list(std::string_view resource, const ListOptions& options) const {
  if (options.at > revision_)
    return Error{ErrorCode::timeout, "Too large resource version: " + std::to_string(options.at) +
                                         ", current: " + std::to_string(revision_)};
  Listing listing;
  if (options.at == 0 || options.at == revision_) {
    static const std::map<std::string, Stored, std::less<>> none;
    const Table* now = table(resource);
    listing = take(now ? now->objects : none, options, [](const Stored& stored) { return stored.item; });
    listing.revision = revision_;
    return listing;
  }
  if (options.at < oldest_)
    return Error{ErrorCode::expired,
                 "too old resource version: " + std::to_string(options.at) + " (" + std::to_string(oldest_) + ")"};
  listing = take(objects_at(resource, options.at), options, [](const ItemPtr& item) { return item; });
  listing.revision = options.at;
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
