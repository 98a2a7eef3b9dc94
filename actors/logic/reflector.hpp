#pragma once

#include "actors/logic/backoff.hpp"
#include "messages/model/api_object.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <string_view>
#include <unordered_map>
#include <variant>

namespace veranda::logic {

struct reflector_policy {
  backoff_policy backoff{.initial = std::chrono::seconds{1}, .max = std::chrono::seconds{30}};
  std::uint32_t page_limit = 500;
  std::chrono::seconds watch_lifetime{300};      ///< asked of the server, lengthened by up to the same again
  std::chrono::milliseconds longest_wait{120'000}; ///< of what a server may ask for
  std::chrono::milliseconds healthy_after{120'000}; ///< as long without a failure forgives those before
  std::chrono::milliseconds short_watch{1'000};     ///< one that ends sooner is taken for a failure
  std::chrono::milliseconds relist_interval{0};     ///< a list at least this often, though nothing calls for it; 0: never
  std::size_t max_objects = 1'000'000;
};

/// What a reflector tells, in order.
struct reflector_event {
  enum class kind : std::uint8_t {
    added,
    modified,
    deleted,
    bookmark, ///< the position moved; `object` has only its resource_version
    applied,  ///< a list was taken over: what was told so far is everything there is
  };
  kind type = kind::bookmark;
  api_object object; ///< of a deletion that only a list showed: identity alone
  bool operator==(const reflector_event&) const = default;
};

/// The next page of a list.
struct list_wanted {
  std::string resource_version;
  std::string continue_token;
  std::uint32_t limit = 0;
  bool operator==(const list_wanted&) const = default;
};
struct watch_wanted {
  std::string resource_version;
  std::chrono::seconds lifetime{0};
  bool operator==(const watch_wanted&) const = default;
};
/// `on_due` after this long.
struct wait_wanted {
  std::chrono::milliseconds delay{0};
  bool operator==(const wait_wanted&) const = default;
};

/// How a watch ended without a failure.
enum class watch_end : std::uint8_t {
  closed, ///< in order: the events are asked for again from the position
  cut,    ///< in the middle: likewise
  idle,   ///< nothing came for so long that the connection, or the position, must be dead
};

/// Why a watch had to be begun again, in the words of the metric.
enum class watch_loss : std::uint8_t {
  ended,   ///< the server closed it, as it does now and then
  cut,     ///< its connection broke, or fell silent
  expired, ///< the server knew its position no more
  error,   ///< refused, or ended by another failure
};
inline constexpr std::size_t watch_losses = 4;
[[nodiscard]] std::string_view to_string(watch_loss loss) noexcept;
/// Of a watch, or of a list, that failed.
[[nodiscard]] watch_loss loss_by(const failure& why) noexcept;

/// The rules of following one collection of objects at an API server: list in pages, watch from the list's position, and what to do about everything that goes
/// wrong in between. Pure: no clock, no I/O, no randomness of its own. The owner does what `next` says, one thing at a time, and reports what came of it; whatever
/// it reports out of turn is ignored. Each object is told of in order; what did not change is not told again; a name with another uid is a deletion and an addition.
/// An object without a name cannot be followed: it is left out and counted.
class reflector {
public:
  using time = std::chrono::steady_clock::time_point;
  using wanted = std::variant<list_wanted, watch_wanted, wait_wanted>;

  explicit reflector(const reflector_policy& policy);

  /// What to do now. While a watch runs: the watch.
  [[nodiscard]] const wanted& next() const noexcept { return next_; }

  // What came of it. `draw` is a random number in [0, 1).
  void on_page(api_list_page page, time now, double draw);
  void on_list_failed(const failure& why, time now, double draw);
  void on_event(api_event event, time now, double draw);
  void on_watch_failed(const failure& why, time now, double draw);
  void on_watch_ended(watch_end end, time now, double draw);
  /// The wait is over.
  void on_due(double draw);
  /// The watch was begun: its age is counted from here.
  void on_watch_begun(time now);
  /// Time passes: begins a new list when the policy asks for one now and then. True when `next` is another.
  bool on_tick(time now);
  /// Begins a new list, from wherever it stands.
  void relist();

  /// As `relist`, and forgets what was told: everything that is listed is told as added.
  void restart();

  /// What there is to tell since the last call.
  [[nodiscard]] std::vector<reflector_event> take_events();

  /// Position of the last list or event.
  [[nodiscard]] const std::string& position() const noexcept { return position_; }
  /// True once a list was taken over.
  [[nodiscard]] bool synced() const noexcept { return synced_; }
  /// What went wrong last; nothing once a watch runs again.
  [[nodiscard]] const std::optional<failure>& problem() const noexcept { return problem_; }
  /// Events that `take_events` would give.
  [[nodiscard]] std::size_t untold() const noexcept { return events_.size(); }
  [[nodiscard]] std::size_t size() const noexcept { return known_.size(); }
  [[nodiscard]] std::uint64_t lists() const noexcept { return lists_; }
  [[nodiscard]] std::uint64_t watches() const noexcept { return watches_; }
  /// Watches that ended so.
  [[nodiscard]] std::uint64_t lost(watch_loss how) const noexcept { return losses_[static_cast<std::size_t>(how)]; }
  /// Objects without a name that were left out.
  [[nodiscard]] std::uint64_t nameless() const noexcept { return nameless_; }

private:
  struct identity {
    std::string uid;
    std::string resource_version;
  };
  enum class after_wait : std::uint8_t { list, watch };

  void count(watch_loss how) { ++losses_[static_cast<std::size_t>(how)]; }
  void begin_list();
  void begin_watch(double draw);
  void wait(after_wait then, const failure& why, time now, double draw);
  void take_over(api_list_page page, time now, double draw);
  bool shrink(const list_wanted& asked);
  void apply(api_object object);
  void remove(const api_object& object);
  void tell(reflector_event::kind type, api_object object) { events_.push_back({type, std::move(object)}); }
  void bury(const std::string& uid, const std::string& version);
  [[nodiscard]] bool watching() const noexcept { return std::holds_alternative<watch_wanted>(next_); }
  [[nodiscard]] bool listing() const noexcept { return std::holds_alternative<list_wanted>(next_); }
  [[nodiscard]] bool too_short(time now) const;
  [[nodiscard]] std::vector<api_object> merge_pages(std::unordered_map<object_key, identity>& before);

  reflector_policy policy_;
  wanted next_;
  after_wait after_wait_ = after_wait::list;
  std::string position_;
  std::string list_version_;         ///< what the list under way began with
  bool position_unusable_ = false;   ///< the server does not know the position any more
  bool whole_lists_too_large_ = false; ///< lists come in pages only
  std::uint32_t page_limit_;
  bool unpaged_ = false;             ///< the list under way lost its continuation: once more, without pages
  bool synced_ = false;
  bool bookmarks_seen_ = false;
  std::uint32_t failures_ = 0;
  std::optional<time> watch_begun_;
  std::optional<time> last_trouble_; ///< end of the last wait
  std::optional<time> listed_;
  std::vector<api_object> collected_;
  std::unordered_map<object_key, identity> known_;
  std::unordered_map<std::string, std::string> graves_; ///< uids that were deleted, and their last versions: what comes late for them is nothing new
  std::deque<std::string> burials_;
  std::vector<reflector_event> events_;
  std::optional<failure> problem_;
  std::uint64_t lists_ = 0;
  std::uint64_t watches_ = 0;
  std::array<std::uint64_t, watch_losses> losses_{};
  std::uint64_t nameless_ = 0;
};

} // namespace veranda::logic
