#include "adapters/kube/api_client.hpp"

#include "adapters/kube/call_policy.hpp"
#include "adapters/kube/credential_keeper.hpp"
#include "adapters/kube/watch_exchange.hpp"

#include <algorithm>
#include <atomic>
#include <deque>
#include <list>
#include <unordered_map>
#include <unordered_set>

namespace veranda::kube {

namespace {

constexpr std::chrono::milliseconds look_interval{250}; ///< how soon a deadline is noticed

/// One call, from its start to its answer. Its body is kept up to a limit.
class call_exchange final : public http_exchange {
public:
  api_client::call_id id = 0;
  api_request request;
  api_client::callback done;
  steady_time deadline{};
  steady_time not_before{};
  unsigned tries = 0;
  std::uint64_t version = 0;         ///< of the credentials it was sent with
  std::optional<api_answer> refused; ///< the 401 that stands unless the credentials change
  bool reauthenticated = false;
  bool cancelled = false;
  std::size_t max_bytes = 0;

private:
  std::optional<bool> on_body(std::string_view bytes) override { return keep(bytes, max_bytes); }
};

class curl_api_client;

/// What the reader of a watch holds. The client may be gone before it.
class watch_handle final : public api_watch {
public:
  watch_handle(std::shared_ptr<watch_exchange> exchange, std::weak_ptr<curl_api_client*> client) : exchange_(std::move(exchange)), client_(std::move(client)) {}
  ~watch_handle() override;
  std::optional<api_event> next() override { return exchange_->next(); }
  [[nodiscard]] watch_state state() const override { return exchange_->state(); }
  [[nodiscard]] const std::optional<failure>& why() const override { return exchange_->why(); }
  [[nodiscard]] std::size_t unread() const override { return exchange_->unread(); }

private:
  std::shared_ptr<watch_exchange> exchange_;
  std::weak_ptr<curl_api_client*> client_;
};

class curl_api_client final : public api_client {
public:
  curl_api_client(const client_config& config, std::unique_ptr<credential_source> credentials, const client_limits& limits)
      : setup_(config, limits), bucket_(limits.requests_per_second, limits.burst), multi_((ensure_curl(), curl_multi_init()), &curl_multi_cleanup),
        self_(std::make_shared<curl_api_client*>(this)), keeper_(std::move(credentials), [this] { wake(); }) {
    curl_multi_setopt(multi_.get(), CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_MULTIPLEX));
    curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(std::max<std::size_t>(1, limits.max_calls)));
  }
  curl_api_client(const curl_api_client&) = delete;
  curl_api_client& operator=(const curl_api_client&) = delete;
  ~curl_api_client() override {
    self_.reset();
    for (auto& watch : watches_) {
      if (begun_.contains(watch.get())) curl_multi_remove_handle(multi_.get(), watch->handle());
      if (watch->running()) watch->end(ended_);
    }
    abandon();
  }

  void abandon() override {
    for (auto& [easy, call] : running_) {
      curl_multi_remove_handle(multi_.get(), easy);
      answer(std::move(call), ended_);
    }
    running_.clear();
    for (auto& call : waiting_) answer(std::move(call), ended_);
    waiting_.clear();
    call_back();
  }

  call_id start(api_request request, callback done) override {
    auto call = std::make_unique<call_exchange>();
    call->id = ++last_id_;
    const auto now = std::chrono::steady_clock::now();
    call->deadline = now + (request.timeout.count() > 0 ? request.timeout : setup_.limits.call_timeout);
    call->max_bytes = request.max_bytes != 0 ? request.max_bytes : setup_.limits.max_body_bytes;
    call->request = std::move(request);
    call->done = std::move(done);
    if (waiting_.size() < setup_.limits.max_waiting) waiting_.push_back(std::move(call));
    else answer(std::move(call), failure{ec::overloaded, "too many requests wait already", {}, {}, {}});
    return last_id_;
  }

  void cancel(call_id id) override {
    for (auto& call : waiting_)
      if (call->id == id) call->cancelled = true;
    for (auto& [easy, call] : running_)
      if (call->id == id) call->cancelled = true;
    woken_ = true;
  }

  std::unique_ptr<api_watch> watch(api_request request, const resource_type& type, std::chrono::seconds lifetime) override {
    auto exchange = std::make_shared<watch_exchange>(std::move(request), type, lifetime, setup_.limits);
    watches_.push_back(exchange);
    return std::make_unique<watch_handle>(std::move(exchange), self_);
  }

  void drop(const watch_exchange* gone) {
    const auto found = std::find_if(watches_.begin(), watches_.end(), [gone](const auto& w) { return w.get() == gone; });
    if (found == watches_.end()) return;
    stop(**found);
    watches_.erase(found);
  }

  void run_for(std::chrono::milliseconds slice) override {
    const auto until = std::chrono::steady_clock::now() + slice;
    for (;;) {
      const auto now = std::chrono::steady_clock::now();
      refresh_credentials(now);
      withhold_writes();
      sort_out_waiting(now);
      launch_watches(now);
      int running = 0;
      curl_multi_perform(multi_.get(), &running);
      collect();
      look_after(std::chrono::steady_clock::now());
      const bool answered = call_back();
      if (news() || answered || woken_.exchange(false)) return;
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      if (left.count() <= 0) return;
      curl_multi_poll(multi_.get(), nullptr, 0, static_cast<int>(std::min({left, look_interval, next_start(now)}).count()), nullptr);
    }
  }

  void wake() override {
    woken_ = true;
    curl_multi_wakeup(multi_.get());
  }
  [[nodiscard]] std::size_t active() const override { return waiting_.size() + running_.size() + finished_.size(); }
  [[nodiscard]] const client_counters& counters() const override { return counters_; }
  [[nodiscard]] const std::optional<failure>& credential_problem() const override { return keeper_.problem(); }

private:
  using call_ptr = std::unique_ptr<call_exchange>;

  void refresh_credentials(steady_time now) {
    if (!keeper_.tick(now) || keeper_.current()) return;
    // There never were any: whoever waits hears why. The next try comes by itself.
    for (auto& call : std::exchange(waiting_, {})) answer(std::move(call), *keeper_.problem());
    for (auto& watch : watches_)
      if (watch->running()) watch->end(*keeper_.problem());
  }

  [[nodiscard]] bool ready() const { return keeper_.current().has_value() || setup_.problem; }

  /// Starts, ends or keeps each call that waits, in the order they came.
  void sort_out_waiting(steady_time now) {
    for (auto& call : std::exchange(waiting_, {})) {
      const auto& object = call->request.object;
      if (call->cancelled) answer(std::move(call), failure{ec::cancelled, "the request was cancelled", object, {}, {}});
      else if (setup_.problem) answer(std::move(call), *setup_.problem);
      else if (!may(call->request)) refuse(std::move(call));
      else if (now >= call->deadline) answer(std::move(call), out_of_time(*call));
      else if (call->refused && keeper_.settled()) settle_refused(std::move(call));
      else if (call->refused || call->not_before > now || !ready() || running_.size() >= setup_.limits.max_calls || !bucket_.take(now)) waiting_.push_back(std::move(call));
      else launch(std::move(call), now);
    }
  }

  [[nodiscard]] bool may(const api_request& request) const { return !request.changes_something() || !setup_.limits.may_write || setup_.limits.may_write(); }
  void refuse(call_ptr call) {
    const failure why{ec::shutting_down, "this process may not write to the API server now", call->request.object, {}, {}};
    answer(std::move(call), why);
  }

  /// Ends writes under way that are no longer allowed, before another byte of them goes out.
  void withhold_writes() {
    for (auto at = running_.begin(); at != running_.end();) {
      if (may(at->second->request)) {
        ++at;
        continue;
      }
      curl_multi_remove_handle(multi_.get(), at->first);
      counters_.connections += at->second->connections();
      refuse(std::move(at->second));
      at = running_.erase(at);
    }
  }

  /// What a call that never got its turn, or never a whole answer, failed of.
  static failure out_of_time(const call_exchange& call) {
    if (call.refused) return explain(*call.refused, call.request);
    const bool asked = call.tries > 0;
    return {asked ? ec::timed_out : ec::overloaded, asked ? "no whole answer before the deadline" : "the request waited too long for its turn", call.request.object, {}, {}};
  }

  void settle_refused(call_ptr call) {
    if (call->version >= keeper_.version()) {
      auto stands = *std::move(call->refused);
      return answer(std::move(call), std::move(stands));
    }
    call->refused.reset();
    ++counters_.reauthenticated;
    waiting_.push_back(std::move(call));
    woken_ = true; // there is something to start
  }

  void launch(call_ptr call, steady_time now) {
    call->version = keeper_.version();
    ++call->tries;
    ++counters_.requests;
    call->prepare(setup_, *keeper_.current(), call->request, false, now);
    auto* easy = call->handle();
    curl_multi_add_handle(multi_.get(), easy);
    running_.emplace(easy, std::move(call));
  }

  void launch_watches(steady_time now) {
    if (!ready()) return;
    for (auto& watch : watches_) {
      if (!watch->running() || begun_.contains(watch.get())) continue;
      if (setup_.problem) {
        watch->end(*setup_.problem);
        continue;
      }
      watch->begin(setup_, *keeper_.current(), keeper_.version(), now);
      curl_multi_add_handle(multi_.get(), watch->handle());
      begun_.insert(watch.get());
      ++counters_.watches;
      ++counters_.requests;
    }
  }

  void collect() {
    int left = 0;
    while (const auto* message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const auto code = message->data.result;
      auto* easy = message->easy_handle;
      curl_multi_remove_handle(multi_.get(), easy);
      if (auto node = running_.extract(easy); !node.empty()) on_call_done(std::move(node.mapped()), code);
      else on_watch_done(easy, code);
    }
  }

  void on_call_done(call_ptr call, CURLcode code) {
    const auto now = std::chrono::steady_clock::now();
    counters_.connections += call->connections();
    auto got = call->finish(code, setup_);
    if (got && got->status == 401) {
      const auto verdict = keeper_.reject(call->version, now);
      if (verdict != credential_keeper::verdict::stands && !std::exchange(call->reauthenticated, true)) {
        call->refused = *std::move(got);
        waiting_.push_back(std::move(call));
        woken_ = true;
        return;
      }
    }
    if (const auto pause = repeat_after(call->request, got, call->tries); pause && now + *pause < call->deadline && !call->cancelled) {
      ++counters_.repeated;
      call->not_before = now + *pause;
      waiting_.push_back(std::move(call));
      return;
    }
    answer(std::move(call), std::move(got));
  }

  void on_watch_done(CURL* easy, CURLcode code) {
    const auto found = std::find_if(watches_.begin(), watches_.end(), [easy](const auto& w) { return w->handle() == easy; });
    if (found == watches_.end()) return;
    auto& watch = **found;
    begun_.erase(&watch);
    counters_.connections += watch.connections();
    watch.end(code, setup_);
    // The next watch goes out with better credentials, if there are any.
    if (watch.refused_credentials()) static_cast<void>(keeper_.reject(watch.version(), std::chrono::steady_clock::now()));
  }

  void stop(watch_exchange& watch) {
    if (begun_.erase(&watch) == 0) return;
    counters_.pauses += watch.pauses();
    counters_.connections += watch.connections();
    curl_multi_remove_handle(multi_.get(), watch.handle());
  }

  /// Deadlines, silence, cancelled calls, readers that caught up.
  void look_after(steady_time now) {
    for (auto at = running_.begin(); at != running_.end();) {
      auto& call = *at->second;
      const bool silent = now - call.last_byte() >= setup_.limits.idle_timeout;
      if (!call.cancelled && !silent && now < call.deadline) {
        ++at;
        continue;
      }
      curl_multi_remove_handle(multi_.get(), at->first);
      counters_.connections += call.connections();
      const failure why{call.cancelled ? ec::cancelled : ec::timed_out,
                        call.cancelled ? "the request was cancelled" : silent ? "the API server sends nothing" : "no whole answer before the deadline", call.request.object, {}, {}};
      answer(std::move(at->second), why);
      at = running_.erase(at);
    }
    for (auto& watch : watches_) {
      if (!begun_.contains(watch.get())) continue;
      if (watch->overdue(now)) stop(*watch);
      else watch->resume();
    }
  }

  void answer(call_ptr call, result<api_answer> got) { finished_.emplace_back(std::move(call->done), std::move(got)); }

  bool call_back() {
    const bool any = !finished_.empty();
    while (!finished_.empty()) {
      auto [done, got] = std::move(finished_.front());
      finished_.pop_front();
      done(std::move(got));
    }
    return any;
  }

  bool news() {
    bool any = false;
    for (auto& watch : watches_) any = watch->take_news() || any;
    return any;
  }

  /// How long until a call that waits may start.
  [[nodiscard]] std::chrono::milliseconds next_start(steady_time now) {
    auto out = look_interval;
    for (const auto& call : waiting_) {
      if (call->refused || !ready() || running_.size() >= setup_.limits.max_calls) continue;
      const auto pause = std::chrono::duration_cast<std::chrono::milliseconds>(std::max(call->not_before, now) - now);
      out = std::min(out, std::max(pause, bucket_.wait(now)));
    }
    return std::max(out, std::chrono::milliseconds{1});
  }

  exchange_setup setup_;
  token_bucket bucket_;
  std::unique_ptr<CURLM, decltype(&curl_multi_cleanup)> multi_; ///< goes after all that use it
  const failure ended_{ec::shutting_down, "the program ends", {}, {}, {}};
  std::deque<call_ptr> waiting_;
  std::unordered_map<CURL*, call_ptr> running_;
  std::deque<std::pair<callback, result<api_answer>>> finished_;
  std::list<std::shared_ptr<watch_exchange>> watches_;      ///< that somebody holds
  std::unordered_set<const watch_exchange*> begun_;         ///< whose transfer runs
  client_counters counters_;
  call_id last_id_ = 0;
  std::atomic<bool> woken_{false};
  std::shared_ptr<curl_api_client*> self_;
  credential_keeper keeper_; ///< last: its thread wakes the rest
};

watch_handle::~watch_handle() {
  if (const auto client = client_.lock()) (*client)->drop(exchange_.get());
}

} // namespace

std::unique_ptr<api_client> open_api_client(const client_config& config, std::unique_ptr<credential_source> credentials, const client_limits& limits) {
  return std::make_unique<curl_api_client>(config, std::move(credentials), limits);
}

} // namespace veranda::kube
