#pragma once

#include "actors/logic/backoff.hpp"
#include "messages/model/failure.hpp"
#include "messages/model/object.hpp"

#include <array>
#include <deque>
#include <optional>
#include <queue>
#include <unordered_map>

namespace veranda::logic {

/// Stands for all that Veranda says of one object.
using part_digest = std::array<std::uint8_t, 16>;

struct package_rev_policy {
  std::size_t max_in_flight = 16;
  backoff_policy backoff{.initial = std::chrono::seconds{1}, .max = std::chrono::minutes{5}};        ///< of an object, and of a repository that may not be written
  backoff_policy server_backoff{.initial = std::chrono::seconds{1}, .max = std::chrono::seconds{30}}; ///< of everything, when the server does not serve
  std::chrono::milliseconds longest_wait{120'000};  ///< of what a server may ask for
  std::chrono::milliseconds refused_pause{600'000}; ///< after an answer that another try will hardly change
  std::chrono::milliseconds confirmation{300'000}; ///< in which the watch shows what was written; else it is read
  std::chrono::milliseconds calm{600'000}; ///< writes of one object that are nearer to each other than this are made slower and slower: somebody else undoes them
  std::chrono::milliseconds grave{2'000}; ///< between the end of an object that others deleted and the next one of its name: `kubectl delete` waits until it sees none
};

/// What the API server has of one object.
struct package_rev_view {
  std::string uid;
  std::string resource_version;
  std::string repository; ///< by its label; empty without
  part_digest digest{};   ///< of what it says of ours
  bool terminating = false;
  bool held = false;   ///< has our finalizer
  bool mine = false;   ///< says what only we say; else another program made it
  bool ended = false;  ///< terminating, and nobody's finalizer is left: an answer that says so is its last
  std::string foreign; ///< what others have put where we must write a whole list; opaque
  bool operator==(const package_rev_view&) const = default;
};

enum class package_rev_call : std::uint8_t {
  read,    ///< get: it is there, and not as it was thought to be
  create,
  patch,   ///< bring it to what is wanted
  release, ///< take our finalizer off
  remove,
};
[[nodiscard]] const char* to_string(package_rev_call call) noexcept;

/// One request, about the version that is known.
struct package_rev_order {
  package_rev_call call = package_rev_call::read;
  object_key key;
  object_key repository;
  bool absent = false; ///< it is to go for the one reason that the cache has no revision of it: not if the cache has lost the repository meanwhile
  std::string uid;
  std::string resource_version;
  std::string foreign;
};

/// Decides which requests bring the `PackageRev` objects of an API server in step with the package revisions of a cache, and keep them so. Pure: no clock, no I/O, no
/// randomness of its own. It is told what the cache wants and what the server has, in any order and more than once; it asks for nothing before both are known.
/// Of each object it keeps names, version and digests, no content.
///
/// Nothing of a repository is made, changed or removed before the cache is known to be in step with git: until then its rows may be the past of what another process has
/// written since. Then its objects without a revision go (finalizer first); and in any case when it is expelled, as its Repository object is being deleted. Objects of
/// repositories that are merely unknown here stay. But whatever is being deleted, by whomever, is let go of when it is ours: nobody can bring it back. Within a
/// repository removals come before writes; repositories take turns. What is deleted or edited by others is put right, what is deleted after a pause, and
/// slower each time when they do not stop. A failure
/// holds up what it concerns: the object, the repository when it may not be written, everything when the server does not serve; then single requests try.
class package_rev_machine {
public:
  using time = std::chrono::steady_clock::time_point;

  struct counts {
    std::size_t desired = 0;
    std::size_t present = 0;
    std::size_t pending = 0; ///< requests under way included
    std::size_t failing = 0; ///< of those, whose last request failed
    std::size_t strays = 0;  ///< objects without a revision that are left alone: of repositories that are unknown, or not known to be in step
    bool operator==(const counts&) const = default;
  };

  explicit package_rev_machine(const package_rev_policy& policy);
  package_rev_machine(const package_rev_machine&) = delete;
  package_rev_machine& operator=(const package_rev_machine&) = delete;

  // The cache.
  /// All revisions follow, by `want`; those that do not are not there.
  void begin_revisions();
  void end_revisions(time now);
  void want(const object_key& key, const std::string& repository, const part_digest& digest, time now);
  /// Its revision has left the cache.
  void unwant(const object_key& key, time now);
  /// A sync of these has succeeded in this process, and what the cache had of them then was told before this.
  void enter_step(const std::vector<object_key>& repositories, time now);
  /// The cache may not have all of them: nothing follows from what is not there.
  void leave_step(const std::vector<object_key>& repositories, time now);
  [[nodiscard]] bool in_step(const object_key& repository) const;
  /// All objects of this repository that have no revision go.
  void expel(const object_key& repository, time now);
  /// Whether they are gone; ends the order when they are.
  [[nodiscard]] bool take_expelled(const object_key& repository);
  /// Ends the order: the server has no objects at all, as it knows none of their kind. Those that come later are not of it.
  void end_expulsion(const object_key& repository, time now);
  /// What keeps objects of a repository from going.
  struct obstacle {
    std::size_t held = 0;           ///< objects that are being deleted and wait for others
    object_key example;             ///< one of them
    std::string foreign;            ///< and what others have put there
    std::optional<failure> refused; ///< why its objects cannot be written
  };
  /// Looks at every object.
  [[nodiscard]] obstacle obstacle_of(const object_key& repository) const;

  // The API server.
  void seen(const object_key& key, const package_rev_view& view, time now);
  void gone(const object_key& key, const std::string& uid, time now);
  /// A list was taken over: what was told so far is all there is.
  void listed(time now);

  // Requests. Each that was started is answered by one of the others, before or after the watch tells of it.
  [[nodiscard]] std::vector<package_rev_order> start(time now);
  /// It is now as this.
  void answered(const object_key& key, const package_rev_view& view, time now);
  /// There is no such object any more.
  void ended(const object_key& key, time now);
  /// It was not created, as it exists.
  void exists(const object_key& key, time now);
  /// True when a failure of this kind is news: worth a line in the log. `draw` is a random number in [0, 1).
  bool failed(const object_key& key, const failure& why, time now, double draw);

  /// When `start` has something new to do though nothing is told; nothing: not before.
  [[nodiscard]] std::optional<time> due() const;
  [[nodiscard]] const counts& count() const noexcept { return counts_; }
  [[nodiscard]] bool ready() const noexcept { return listed_ && loaded_; }
  [[nodiscard]] std::size_t in_flight() const noexcept { return flights_.size(); }
  /// Objects that anything is known of.
  [[nodiscard]] std::size_t size() const noexcept { return slots_.size(); }

private:
  struct slot;
  using node = std::pair<const object_key, slot>;
  struct group {
    bool in_step = false;
    bool expelled = false;
    bool in_line = false;
    bool waiting = false;  ///< in `paused_`
    std::size_t references = 0;
    std::size_t leaving = 0; ///< objects with its label and without a revision
    std::size_t in_flight = 0;
    std::size_t removing = 0; ///< of those
    std::deque<node*> removals, writes;
    std::uint32_t failures = 0;
    time paused{};
    std::optional<failure> said;
  };
  using group_node = std::pair<const object_key, group>;
  struct slot {
    group_node* wanted_by = nullptr;
    group_node* label = nullptr;
    part_digest wanted{};
    part_digest digest{};
    std::string uid, version, foreign; ///< of the object that is there
    std::string answered; ///< version of our last write, until the watch shows it
    std::string buried;   ///< uid of the one that we know to have ended, until the watch shows it
    time not_before{};
    time written{};
    time unconfirmed_at{}; ///< when it is time to doubt that the watch will show `answered`
    std::uint32_t round = 0;
    std::uint16_t failures = 0;
    std::uint16_t repairs = 0;
    bool there = false, terminating = false, held = false, mine = false;
    bool read_first = false; ///< what is known of it is wrong
    bool suspect = false;    ///< something older than our write was shown: maybe the past has come back
    bool in_flight = false;
    bool voided = false;     ///< it ended while a request was under way: the answer says nothing
    bool queued = false, waiting = false;
  };
  struct flight {
    package_rev_call call;
    std::string uid;
    group_node* of;
  };
  template <class Key>
  struct timed {
    time at;
    Key key;
    bool operator<(const timed& other) const { return at > other.at; }
  };

  [[nodiscard]] static bool leaves(const slot& s);
  [[nodiscard]] std::optional<package_rev_call> needed(const slot& s) const;
  void account(const slot& s, bool add);
  void recount(time now);
  template <class Change>
  void edit(node& n, time now, Change change);
  void schedule(node& n, time now);
  void queue(node& n);
  void enlist(group_node& g);
  node* take(group_node& g, time now);
  void wake(time now);
  void refer(group_node*& from, group_node* to);
  group_node* group_of(const object_key& repository);
  void set_step(const std::vector<object_key>& repositories, bool in_step, time now);
  void drop_if_unused(group_node& g);
  void drop_if_unused(node& n);
  void show(const object_key& ns, slot& s, const package_rev_view& view);
  template <class Change>
  void land(const object_key& key, time now, Change change);
  void went_well(slot& s, group& g);
  void mourn(slot& s, time now) const;
  void bury(slot& s, time now);
  void retry_later(slot& s, time now, double draw) const;
  bool pause_server(slot& s, const failure& why, time now, double draw);
  bool pause_repository(group_node& g, const failure& why, time now, double draw);

  const package_rev_policy policy_;
  std::unordered_map<object_key, slot> slots_;
  std::unordered_map<object_key, group> groups_;
  std::unordered_map<object_key, flight> flights_;
  std::deque<group_node*> line_; ///< repositories with something to start, each once
  std::priority_queue<timed<object_key>> delayed_;
  std::priority_queue<timed<object_key>> paused_;
  std::deque<timed<object_key>> unconfirmed_; ///< written, and not shown by the watch yet
  counts counts_;
  std::uint32_t round_ = 0;
  bool loaded_ = false;
  bool listed_ = false;
  std::uint32_t server_failures_ = 0;
  time server_paused_{};
  std::optional<ec> server_said_;
};

template <class Change>
void package_rev_machine::edit(node& n, time now, Change change) {
  account(n.second, false);
  change(n.second);
  account(n.second, true);
  schedule(n, now);
  drop_if_unused(n);
}

} // namespace veranda::logic
