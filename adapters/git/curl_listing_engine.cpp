#include "adapters/git/curl_listing_engine.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace veranda::git {

namespace {

constexpr std::chrono::milliseconds look_interval{100}; ///< how soon a cancelled token is noticed
constexpr std::size_t max_remembered = 100'000;
constexpr std::size_t read_at_once = 256U << 10U; ///< bytes of an answer that are read in some milliseconds; more are read on the side
constexpr long buffer_bytes = 16L << 10;          ///< of one call, before they are unpacked to up to a thousand times as many

/// What may run at once: `per_host` 0 is half of it.
logic::admission_limits limits_for(std::size_t slots, std::size_t per_host) {
  const auto at_host = per_host != 0 ? per_host : std::max<std::size_t>(2, slots / 2);
  return {.slots = slots,
          .per_host = at_host,
          .unproven = std::max<std::size_t>(1, slots / 2),
          .unproven_per_host = std::min(at_host, std::max<std::size_t>(2, slots / 8)),
          .failing = std::max<std::size_t>(1, slots / 4),
          .max_queued = std::numeric_limits<std::size_t>::max()};
}

} // namespace

struct curl_listing_engine::job {
  std::uint64_t id = 0;
  remote_endpoint remote;
  ref_prefixes prefixes;
  std::string known_digest;
  std::shared_ptr<const cancel_token> cancel;
  callback done;
  std::string origin; ///< whose share of the slots it takes
  std::shared_ptr<const transport_limits> limits; ///< set when its turn has come, like
  result<http_place> place = failure{};
  std::optional<bool> answered = {}; ///< whether its origin did, when it was last asked
  std::optional<std::chrono::milliseconds> host_pause; ///< as its answers said
  std::unique_ptr<http_transfer> transfer;
  std::string request_body;
  std::string body; ///< is read when all of it has arrived
  std::unique_ptr<advertisement_reader> hello; ///< while the advertisement is asked for; has read what came before `body`
  std::optional<result<advertisement>> advertised = {}; ///< as read, like
  std::optional<result<listing>> listed = {};
  bool guessed = false; ///< v2 was assumed from memory
  std::uint64_t received_bytes = 0;
  std::uint64_t held_bytes = 0; ///< of the answer that is arriving
  std::chrono::steady_clock::time_point until{}; ///< set when its turn has come

  /// Reads what has arrived, and frees it. A million refs take a second.
  void read();
};

void curl_listing_engine::job::read() {
  if (hello) {
    const auto fed = hello->feed(body);
    advertised = fed ? hello->finish() : result<advertisement>{fed.error()};
    hello = nullptr;
    if (auto& found = *advertised; found && found->protocol == protocol_version::v0)
      listed = listing_of(std::exchange(found->refs, nullptr), known_digest);
  } else {
    listed = read_ls_refs(body, prefixes, known_digest, limits->max_refs);
  }
  body = {};
}

curl_listing_engine::curl_listing_engine(const live<transport_limits>& limits, std::size_t max_connections, std::size_t per_host)
    : limits_(limits), queue_({}), multi_((ensure_curl(), curl_multi_init())), hello_headers_{"Git-Protocol: version=2", "Pragma: no-cache"},
      refs_headers_{"Git-Protocol: version=2", "Content-Type: application/x-git-upload-pack-request", "Accept: application/x-git-upload-pack-result",
                    "Expect:"} {
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_MULTIPLEX));
  change_limits(max_connections, per_host);
}

void curl_listing_engine::change_limits(std::size_t max_connections, std::size_t per_host) {
  const auto slots = std::max<std::size_t>(1, max_connections);
  queue_.change_limits(limits_for(slots, per_host));
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(slots));
  const auto budget = limits_.get()->max_listings_bytes;
  share_ = budget / 4 / slots;
  left_ = common_ = budget - share_ * slots;
  const auto take = [this](const job& j) { left_ -= std::min(left_, beyond_share(j.held_bytes)); };
  for (const auto& [easy, j] : running_) take(*j);
  for (const auto& [at, j] : reading_) take(*j);
}

curl_listing_engine::~curl_listing_engine() {
  abandon();
  idle_.clear();
  curl_multi_cleanup(multi_);
}

void curl_listing_engine::abandon() {
  side_.clear();
  const failure ended{ec::shutting_down, "the listing was stopped: the program ends", {}, {}, {}};
  for (auto& [easy, j] : running_) {
    curl_multi_remove_handle(multi_, easy);
    deliver(std::move(j), ended);
  }
  running_.clear();
  for (auto& [raw, j] : reading_) deliver(std::move(j), ended);
  reading_.clear();
  read_.clear();
  for (auto& [id, j] : waiting_) deliver(std::move(j), ended);
  waiting_.clear();
  call_back();
}

void curl_listing_engine::start(const remote_endpoint& remote, const ref_prefixes& prefixes, const std::string& known_digest, cancel_token_ptr cancel,
                                callback done, const listing_lane& lane) {
  begin(remote, prefixes, known_digest, std::move(cancel), std::move(done), lane);
}

void curl_listing_engine::begin(const remote_endpoint& remote, const ref_prefixes& prefixes, const std::string& known_digest,
                                std::shared_ptr<const cancel_token> cancel, callback done, const listing_lane& lane) {
  const auto id = ++next_id_;
  const auto place = http_place::of(remote, *limits_.get());
  auto origin = place ? place->origin() : std::string{};
  queue_.push({id, lane.ns, origin, lane.user});
  waiting_.emplace(id, std::make_unique<job>(job{.id = id,
                                                 .remote = remote,
                                                 .prefixes = prefixes,
                                                 .known_digest = known_digest,
                                                 .cancel = std::move(cancel),
                                                 .done = std::move(done),
                                                 .origin = std::move(origin),
                                                 .limits = {},
                                                 .host_pause = {},
                                                 .transfer = {},
                                                 .request_body = {},
                                                 .body = {},
                                                 .hello = {}}));
}

std::string curl_listing_engine::place_of(const cancel_token_ptr& cancel) const {
  const auto j = std::ranges::find_if(waiting_, [&](const auto& w) { return cancel && w.second->cancel == cancel; });
  const auto place = j == waiting_.end() ? std::nullopt : queue_.place(j->first);
  return place ? logic::in_words(*place, queue_.waiting(), "connection") : std::string{};
}

void curl_listing_engine::wake() {
  woken_ = true;
  curl_multi_wakeup(multi_);
}

void curl_listing_engine::run_for(std::chrono::milliseconds slice) {
  const auto until = std::chrono::steady_clock::now() + slice;
  for (;;) {
    launch_waiting();
    int running = 0;
    curl_multi_perform(multi_, &running);
    collect();
    collect_read();
    call_back();
    if (woken_.exchange(false) || active() == 0) return;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return;
    if (!launch_waiting())
      curl_multi_poll(multi_, nullptr, 0, static_cast<int>(std::min(left, look_interval).count()), nullptr);
  }
}

bool curl_listing_engine::launch_waiting() {
  drop_cancelled_waiting();
  bool launched = false;
  while (const auto next = queue_.pop()) {
    launch(std::move(waiting_.extract(next->id).mapped()));
    launched = true;
  }
  return launched;
}

void curl_listing_engine::drop_cancelled_waiting() {
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    const auto here = at++;
    auto& j = here->second;
    if (!j->cancel || !j->cancel->expired()) continue;
    const bool cancelled = j->cancel->reason() == ec::cancelled;
    // The remote was not even asked: nothing is said of it.
    deliver(std::move(j), failure{cancelled ? ec::cancelled : ec::overloaded, cancelled ? "the listing was cancelled" : "the listing waited too long for its turn", {}, {}, {}});
    waiting_.erase(here);
  }
}

void curl_listing_engine::launch(std::unique_ptr<job> next) {
  auto& j = *next;
  j.limits = limits_.get();
  j.place = http_place::of(j.remote, *j.limits);
  if (!j.place) return deliver(std::move(next), j.place.error());
  if (const auto known = places_.find(j.remote.url); known != places_.end() && known->second.place.had_credentials() == j.place->had_credentials()) {
    *j.place = known->second.place;
    j.guessed = known->second.protocol == protocol_version::v2;
  } else if (const auto host = protocols_.find(j.place->origin()); host != protocols_.end()) {
    j.guessed = host->second == protocol_version::v2;
  }
  if (!j.guessed) j.hello = std::make_unique<advertisement_reader>(j.prefixes, j.limits->max_refs);
  if (idle_.empty()) idle_.push_back(std::make_unique<http_transfer>());
  j.transfer = std::move(idle_.back());
  idle_.pop_back();
  j.until = std::chrono::steady_clock::now() + j.limits->total_timeout;
  run(std::move(next));
}

void curl_listing_engine::run(std::unique_ptr<job> j) {
  send_request(*j);
  auto* easy = j->transfer->handle();
  running_.emplace(easy, std::move(j));
}

std::uint64_t curl_listing_engine::beyond_share(std::uint64_t bytes) const { return bytes > share_ ? bytes - share_ : 0; }

/// What arrives is counted as long as it, or what was read of it, stays in memory.
result<void> curl_listing_engine::hold(job& j, std::size_t more) {
  const auto wanted = beyond_share(j.held_bytes + more);
  const auto taken = wanted - beyond_share(j.held_bytes);
  if (wanted > common_) return list_too_large(j.limits->max_listing_bytes);
  if (taken > left_) // the others' doing: nothing is said of this remote
    return failure{ec::overloaded, "the lists of refs that are arriving are too large together; it is listed again later", {}, {}, {}};
  left_ -= taken;
  j.held_bytes += more;
  return {};
}

void curl_listing_engine::give_back(job& j) {
  left_ = std::min(common_, left_ + beyond_share(j.held_bytes));
  j.held_bytes = 0;
}

void curl_listing_engine::send_request(job& j) {
  http_request request;
  request.max_bytes = j.limits->max_listing_bytes;
  request.buffer_bytes = buffer_bytes;
  request.timeout = std::chrono::duration_cast<std::chrono::milliseconds>(j.until - std::chrono::steady_clock::now());
  j.body = {};
  give_back(j);
  byte_sink sink;
  if (j.hello) {
    request.url = j.place->advertisement_url();
    request.headers = hello_headers_.get();
    request.content_type = advertisement_type;
    sink = [this, &j](std::string_view bytes) {
      auto held = hold(j, bytes.size());
      if (!held) return held;
      if (j.held_bytes <= read_at_once) return j.hello->feed(bytes); // what is none at all is noticed at once
      j.body.append(bytes);
      return held;
    };
  } else {
    j.request_body = ls_refs_request(j.prefixes, j.limits->user_agent);
    request.url = j.place->service_url();
    request.body = &j.request_body;
    request.headers = refs_headers_.get();
    request.content_type = result_type;
    sink = [this, &j](std::string_view bytes) {
      auto held = hold(j, bytes.size());
      if (held) j.body.append(bytes);
      return held;
    };
  }
  j.transfer->prepare(request, *j.place, j.remote.auth, *j.limits, j.cancel.get(), std::move(sink));
  curl_multi_add_handle(multi_, j.transfer->handle());
}

void curl_listing_engine::collect() {
  int left = 0;
  while (const auto* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const auto code = message->data.result;
    auto* easy = message->easy_handle;
    long connects = 0;
    curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
    connections_opened_ += static_cast<std::uint64_t>(connects);
    curl_multi_remove_handle(multi_, easy);
    auto node = running_.extract(easy);
    if (!node.empty()) on_finished(std::move(node.mapped()), code);
  }
}

void curl_listing_engine::on_finished(std::unique_ptr<job> j, CURLcode code) {
  const auto label = j->place->label();
  auto answer = j->transfer->finish(code, label);
  if (answer) j->answered = true;
  else if (answer.error().code == ec::unreachable || answer.error().code == ec::timed_out) j->answered = false;
  if (answer && answer->pause && !answer->own_way) j->host_pause = answer->pause;
  j->received_bytes += j->transfer->received_bytes();
  if (!answer) {
    auto& f = answer.error();
    // A remembered server that suddenly answers gibberish is asked anew what it speaks; one that cannot be reached is not.
    if (j->guessed && f.code == ec::unsupported) return again(std::move(j));
    return deliver(std::move(j), f);
  }
  if (answer->accepted) return read(std::move(j));
  if (j->hello) on_other_advertisement(std::move(j), *answer);
  else on_other_refs(std::move(j), *answer);
}

void curl_listing_engine::on_other_advertisement(std::unique_ptr<job> j, const http_answer& answer) {
  auto& place = *j->place;
  if (answer.location.empty()) return deliver(std::move(j), at_remote(place.explain(answer.problem(place.label())), place.label()));
  if (auto followed = place.follow(answer.location, *j->limits); !followed) return deliver(std::move(j), at_remote(std::move(followed).error(), place.label()));
  j->hello = std::make_unique<advertisement_reader>(j->prefixes, j->limits->max_refs);
  run(std::move(j));
}

void curl_listing_engine::on_other_refs(std::unique_ptr<job> j, const http_answer& answer) {
  const bool final = answer.status == 401 || answer.status == 403 || answer.status == 407 || answer.status == 429 || answer.status == 503;
  if (j->guessed && !final) return again(std::move(j));
  auto f = j->place->explain(answer.problem(j->place->label()));
  deliver(std::move(j), std::move(f));
}

/// A long list is read on the side, and keeps its slot and its memory meanwhile.
void curl_listing_engine::read(std::unique_ptr<job> j) {
  if (j->held_bytes <= read_at_once) {
    j->read();
    return on_read(std::move(j));
  }
  auto* at = j.get();
  reading_.emplace(at, std::move(j));
  side_.add([this, at] {
    at->read();
    {
      const std::lock_guard lock{read_mutex_};
      read_.push_back(at);
    }
    curl_multi_wakeup(multi_);
  });
}

void curl_listing_engine::collect_read() {
  std::vector<job*> ended;
  {
    const std::lock_guard lock{read_mutex_};
    ended.swap(read_);
  }
  for (auto* at : ended) on_read(std::move(reading_.extract(at).mapped()));
}

void curl_listing_engine::on_read(std::unique_ptr<job> j) {
  if (j->advertised) on_advertisement(std::move(j));
  else on_refs(std::move(j));
}

void curl_listing_engine::on_advertisement(std::unique_ptr<job> j) {
  const auto fail = [&](failure f) { deliver(std::move(j), at_remote(std::move(f), j->place->label())); };
  auto found = *std::exchange(j->advertised, std::nullopt);
  if (!found) return fail(std::move(found).error());
  remember(*j, found->protocol);
  if (found->protocol == protocol_version::v0) return on_refs(std::move(j));
  if (!found->has("ls-refs")) return fail({ec::unsupported, "the server speaks protocol v2 without ls-refs", {}, {}, {}});
  run(std::move(j));
}

void curl_listing_engine::on_refs(std::unique_ptr<job> j) {
  auto listed = *std::exchange(j->listed, std::nullopt);
  if (listed) {
    listed->received_bytes = j->received_bytes;
    return deliver(std::move(j), std::move(listed));
  }
  if (j->guessed && listed.error().code != ec::too_large) return again(std::move(j));
  auto f = at_remote(std::move(listed).error(), j->place->label());
  deliver(std::move(j), std::move(f));
}

/// What was remembered no longer holds: from the beginning, once.
void curl_listing_engine::again(std::unique_ptr<job> j) {
  places_.erase(j->remote.url);
  protocols_.erase(j->place->origin());
  j->guessed = false;
  j->place = http_place::of(j->remote, *j->limits);
  j->hello = std::make_unique<advertisement_reader>(j->prefixes, j->limits->max_refs);
  run(std::move(j));
}

void curl_listing_engine::remember(const job& j, protocol_version protocol) {
  if (places_.size() >= max_remembered) places_.clear();
  if (protocols_.size() >= max_remembered) protocols_.clear();
  places_.insert_or_assign(j.remote.url, memory{*j.place, protocol});
  protocols_.insert_or_assign(j.place->origin(), protocol);
}

void curl_listing_engine::deliver(std::unique_ptr<job> j, result<listing> answer) {
  if (j->transfer) {
    give_back(*j);
    idle_.push_back(std::move(j->transfer));
    if (answer) answer->host_pause = j->host_pause;
  }
  if (!queue_.cancel(j->id)) queue_.done(j->id, j->answered);
  finished_.emplace_back(std::move(j->done), std::move(answer));
}

void curl_listing_engine::call_back() {
  while (!finished_.empty()) {
    auto [done, answer] = std::move(finished_.front());
    finished_.pop_front();
    done(std::move(answer));
  }
}

std::unique_ptr<listing_engine> make_listing_engine(const live<transport_limits>& limits, std::size_t max_connections, std::size_t per_host) {
  return std::make_unique<curl_listing_engine>(limits, max_connections, per_host);
}

} // namespace veranda::git
