#include "adapters/source/store_source.hpp"

#include "adapters/codec/repository_codec.hpp"
#include "adapters/source/manifest_file.hpp"

#include <charconv>

namespace veranda::source {
namespace {

constexpr auto bookmark_interval = std::chrono::minutes{1};
constexpr std::size_t most_events = 1000; ///< of one poll

/// A stored object that does not decode at all still is one: it is passed on with its problem, so that its condition can say so.
repository_object decode(const store::stored_object& stored) {
  auto decoded = codec::decode_repository(stored.json);
  repository_object out;
  if (decoded)
    out = *std::move(decoded);
  else
    out.problems.push_back({decoded.error().field, {}, decoded.error().what});
  out.status = codec::decode_status(stored.json);
  out.meta.key = stored.key;
  out.meta.uid = stored.uid;
  out.meta.generation = stored.generation;
  out.meta.resource_version = std::to_string(stored.resource_version);
  return out;
}

repository_event bookmark(std::int64_t position) {
  repository_event out{repository_event_type::bookmark, {}};
  out.object.meta.resource_version = std::to_string(position);
  return out;
}

repository_event to_event(const store::object_event& event) {
  switch (event.type) {
  case store::watch_event::added: return {repository_event_type::added, decode(event.object)};
  case store::watch_event::modified: return {repository_event_type::modified, decode(event.object)};
  case store::watch_event::deleted: return {repository_event_type::deleted, decode(event.object)};
  case store::watch_event::bookmark: break;
  }
  return bookmark(event.object.resource_version);
}

class store_source final : public repository_source {
public:
  store_source(std::unique_ptr<store::object_store_reader> reader, std::function<std::chrono::steady_clock::time_point()> now)
      : reader_(std::move(reader)), now_(std::move(now)), last_event_(now_()) {}

  result<repository_list> list() override {
    auto stored = reader_->list(std::string{repositories_resource}, {});
    if (!stored)
      return stored.error();
    repository_list out{std::to_string(stored->resource_version), {}};
    out.items.reserve(stored->items.size());
    for (const auto& item : stored->items)
      out.items.push_back(decode(item));
    last_event_ = now_();
    return out;
  }

  result<std::vector<repository_event>> poll(const std::string& resource_version, std::chrono::milliseconds slice) override {
    std::int64_t position = 0;
    const auto [end, error] = std::from_chars(resource_version.data(), resource_version.data() + resource_version.size(), position);
    if (error != std::errc{} || end != resource_version.data() + resource_version.size())
      return failure{ec::stale, "the position is not one of this store", {}, {}, std::nullopt};
    const auto current = reader_->wait_beyond(position, slice);
    if (!current)
      return current.error();
    auto events = reader_->events_after(std::string{repositories_resource}, position, most_events);
    if (!events)
      return events.error();
    std::vector<repository_event> out;
    out.reserve(events->size());
    for (const auto& event : *events)
      out.push_back(to_event(event));
    // Whatever moved the store up to `current` was no Repository.
    if (out.empty() && (*current > position || now_() - last_event_ >= bookmark_interval))
      out.push_back(bookmark(*current));
    if (!out.empty())
      last_event_ = now_();
    return out;
  }
  void interrupt() override { reader_->interrupt(); }

private:
  std::unique_ptr<store::object_store_reader> reader_;
  std::function<std::chrono::steady_clock::time_point()> now_;
  std::chrono::steady_clock::time_point last_event_;
};

} // namespace

std::unique_ptr<repository_source> open_store_source(std::unique_ptr<store::object_store_reader> reader,
                                                     std::function<std::chrono::steady_clock::time_point()> now) {
  return std::make_unique<store_source>(std::move(reader), std::move(now));
}

} // namespace veranda::source
