#include "adapters/api/watching.hpp"

#include "adapters/api/status.hpp"

#include <algorithm>
#include <random>
#include <unordered_map>

namespace veranda::api {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr std::size_t piece_bytes = 256U << 10U;
constexpr std::size_t batch_size = 500;
constexpr auto bookmark_interval = 60s;
/// Even without a signal the history is looked at this often.
constexpr auto longest_wait = 5s;
constexpr auto shortest_life = 30min;

std::string_view name_of(store::watch_event e) {
  switch (e) {
  case store::watch_event::added:
    return "ADDED";
  case store::watch_event::modified:
    return "MODIFIED";
  case store::watch_event::deleted:
    return "DELETED";
  case store::watch_event::bookmark:
    break;
  }
  return "BOOKMARK";
}

/// What the client asked of the watch besides selectors.
struct watch_options {
  std::int64_t position = 0;
  bool from_now = false;       ///< synthetic ADDED for what there is, then changes
  bool mark_initial_end = false; ///< a bookmark says when the synthetic ones are over
  bool bookmarks = false;
  std::chrono::seconds life{0};
};

/// Which objects the client knows: what makes a change an entry into or a departure from the selection.
class selection_memory {
public:
  enum class known : std::uint8_t { unknown, selected, not_selected };

  [[nodiscard]] known of(const object_key& key) const {
    const auto found = selected_.find(key);
    if (found != selected_.end())
      return found->second ? known::selected : known::unknown;
    return known::not_selected;
  }
  void set(const object_key& key, bool selected) {
    if (selected)
      selected_[key] = true;
    else
      selected_.erase(key);
  }
  void set_unknown(const object_key& key) { selected_[key] = false; }

private:
  std::unordered_map<object_key, bool> selected_; ///< false: not known
};

class watch_body final : public body_stream {
public:
  watch_body(view_request view, watch_options options, reader_pool& readers)
      : view_(std::move(view)), options_(options), readers_(readers), position_(options.position), deadline_(steady::now() + options.life),
        next_bookmark_(steady::now() + bookmark_interval), selective_(!view_.labels.empty() || !view_.fields.empty()) {}

  /// Before the answer's header goes: what a client does once it has the header counts as a change.
  void begin() {
    const auto objects = open_collection(*view_.kind, readers_);
    const auto ok = objects ? start(**objects) : result<void>{objects.error()};
    if (!ok)
      broken_ = ok.error();
  }

  step next() override {
    if (broken_)
      return failed(*broken_);
    auto objects = open_collection(*view_.kind, readers_);
    if (!objects)
      return failed(objects.error());
    if (next_initial_ < initial_.size())
      return send_initial(**objects);
    return send_changes(**objects);
  }

private:
  /// Reads what there is now: to send it, or to know what the client must know already.
  result<void> start(collection& objects) {
    if (!options_.from_now && !selective_)
      return {};
    const auto now = objects.list(view_.restrict_to, [&](object_view&& o) {
      if (!view_.selects(objects, o))
        return true;
      if (selective_)
        memory_.set(o.key, true);
      if (options_.from_now)
        initial_.push_back(std::move(o));
      return true;
    });
    if (!now)
      return now.error();
    if (options_.from_now) {
      position_ = *now;
      owe_initial_end_ = options_.mark_initial_end;
      return {};
    }
    return forget_changed_since(objects, *now);
  }

  /// What changed between the client's position and now: whether it was selected then is not known.
  result<void> forget_changed_since(collection& objects, std::int64_t now) {
    for (auto at = position_; at < now;) {
      const auto batch = objects.changes_after(at, batch_size);
      if (!batch)
        return batch.error();
      for (const auto& c : batch->changes)
        memory_.set_unknown(c.object.key);
      if (!batch->more)
        break;
      at = batch->position;
    }
    return {};
  }

  step send_initial(collection& objects) {
    step s;
    for (; next_initial_ < initial_.size() && s.data.size() < piece_bytes; ++next_initial_) {
      if (const auto ok = append(objects, store::watch_event::added, initial_[next_initial_], s.data); !ok)
        return failed(ok.error());
      initial_[next_initial_] = {};
    }
    if (next_initial_ == initial_.size()) {
      initial_ = {};
      next_initial_ = 0;
    }
    return s;
  }

  step send_changes(collection& objects) {
    step s;
    if (owe_initial_end_) {
      owe_initial_end_ = false;
      append_bookmark(s.data, true);
    }
    const auto batch = objects.changes_after(position_, batch_size);
    if (!batch)
      return failed(batch.error());
    for (const auto& c : batch->changes) {
      if (const auto ok = append_change(objects, c, s.data); !ok)
        return failed(ok.error());
      position_ = c.position;
      if (s.data.size() >= piece_bytes)
        return s;
    }
    position_ = std::max(position_, batch->position);
    return batch->more ? s : pause(std::move(s));
  }

  step pause(step s) {
    const auto now = steady::now();
    const bool over = now >= deadline_;
    if (options_.bookmarks && (over || now >= next_bookmark_)) {
      append_bookmark(s.data, false);
      next_bookmark_ = now + bookmark_interval;
    }
    s.done = over;
    const auto until = std::min({deadline_, next_bookmark_, now + longest_wait});
    s.wait_at_most = std::max(1ms, std::chrono::duration_cast<std::chrono::milliseconds>(until - now));
    return s;
  }

  result<void> append_change(collection& objects, const object_change& c, std::string& out) {
    if (!view_.restrict_to.ns.empty() && c.object.key.ns != view_.restrict_to.ns)
      return {};
    if (!selective_)
      return append(objects, c.type, c.object, out);
    const auto before = memory_.of(c.object.key);
    const bool after = c.type != store::watch_event::deleted && view_.selects(objects, c.object);
    const bool departs = before == selection_memory::known::selected ||
                         (before == selection_memory::known::unknown &&
                          (c.type == store::watch_event::modified || view_.selects(objects, c.object)));
    memory_.set(c.object.key, after);
    if (!after)
      return departs && c.type != store::watch_event::added ? append(objects, store::watch_event::deleted, c.object, out) : result<void>{};
    auto type = c.type;
    if (before == selection_memory::known::not_selected)
      type = store::watch_event::added;
    else if (before == selection_memory::known::selected)
      type = store::watch_event::modified;
    return append(objects, type, c.object, out);
  }

  /// An object whose contents went in the meantime is left out: its deletion follows.
  result<void> append(collection& objects, store::watch_event type, const object_view& o, std::string& out) {
    const bool table = view_.format.body == body_format::table;
    const auto text =
        table ? single_row_table(objects, o, view_.format, !columns_sent_, std::chrono::system_clock::now()) : objects.encode(o);
    if (!text)
      return text.error().code == ec::not_found ? result<void>{} : result<void>{text.error()};
    columns_sent_ = true;
    ((((out += "{\"type\":\"") += name_of(type)) += "\",\"object\":") += *text) += "}\n";
    return {};
  }

  void append_bookmark(std::string& out, bool initial_end) {
    std::string metadata = "{\"resourceVersion\":" + json_text(std::to_string(position_));
    if (initial_end)
      metadata += R"(,"annotations":{"k8s.io/initial-events-end":"true"})";
    out += "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":" + json_text(view_.kind->kind) + ",\"apiVersion\":" + json_text(view_.kind->api_version()) +
           ",\"metadata\":" + metadata + "}}}\n";
  }

  /// A watch ends with an event that says why, whatever was sent before.
  step failed(const failure& f) {
    step s;
    s.done = true;
    const auto status = f.code == ec::stale
                            ? status_json(410, "Expired", "too old resource version: " + std::to_string(position_))
                            : status_json(500, "InternalError", describe(f));
    s.data = "{\"type\":\"ERROR\",\"object\":" + status + "}\n";
    return s;
  }

  view_request view_;
  watch_options options_;
  reader_pool& readers_;
  std::int64_t position_;
  steady::time_point deadline_;
  steady::time_point next_bookmark_;
  bool selective_;
  std::optional<failure> broken_;
  bool columns_sent_ = false;
  bool owe_initial_end_ = false;
  std::vector<object_view> initial_;
  std::size_t next_initial_ = 0;
  selection_memory memory_;
};

/// Spread, so that all watches of a client do not end together.
std::chrono::seconds random_life() {
  thread_local std::minstd_rand random{static_cast<std::minstd_rand::result_type>(steady::now().time_since_epoch().count())};
  const auto base = std::chrono::seconds{shortest_life};
  return base + std::chrono::seconds{std::uniform_int_distribution<std::int64_t>{0, base.count()}(random)};
}

std::optional<reply> parse_options(const route& r, watch_options& o) {
  const auto rv = r.param("resourceVersion");
  const auto position = rv.empty() ? std::optional<std::int64_t>{0} : parse_number(rv);
  if (!position)
    return status_reply(400, "BadRequest", "resourceVersion: Invalid value: must be a number of this server");
  const bool initial = r.flag("sendInitialEvents");
  const auto match = r.param("resourceVersionMatch");
  if (initial != (match == "NotOlderThan") || (!initial && !match.empty()))
    return status_reply(422, "Invalid", "sendInitialEvents: needs resourceVersionMatch=NotOlderThan, and the reverse");
  const bool suppressed = r.query.contains("sendInitialEvents") && !initial;
  o.position = *position;
  o.from_now = initial || (*position == 0 && !suppressed);
  o.bookmarks = r.flag("allowWatchBookmarks");
  o.mark_initial_end = initial && o.bookmarks;
  o.life = random_life();
  if (const auto text = r.param("timeoutSeconds"); !text.empty()) {
    const auto seconds = parse_number(text);
    if (!seconds)
      return status_reply(400, "BadRequest", "timeoutSeconds: must be a number");
    if (*seconds > 0)
      o.life = std::chrono::seconds{std::min<std::int64_t>(*seconds, 86'400)};
  }
  return std::nullopt;
}

} // namespace

reply watch_objects(const route& r, std::string_view accept, reader_pool& readers) {
  const status_subject about{r.kind, {}};
  auto view = parse_view(r, accept);
  if (!view)
    return status_reply(400, "BadRequest", view.error().what, about);
  watch_options options;
  if (auto problem = parse_options(r, options))
    return std::move(*problem);
  reply out;
  auto body = std::make_unique<watch_body>(std::move(*view), options, readers);
  body->begin();
  out.stream = std::move(body);
  return out;
}

} // namespace veranda::api
