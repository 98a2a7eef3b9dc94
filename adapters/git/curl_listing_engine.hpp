#pragma once

#include "adapters/git/http_listing.hpp"
#include "adapters/git/http_transfer.hpp"
#include "adapters/git/ref_listing.hpp"
#include "adapters/git/side_thread.hpp"

#include <atomic>
#include <deque>
#include <unordered_map>

namespace veranda::git {

/// The real engine. Those who wait for a slot start in the order they came, but no origin gets all slots: at most half of them (or `per_host`) while it answers, an eighth
/// while that is not known. All that are not known to answer get half of the slots together, those of them that did not answer last time a quarter. Hosts that
/// swallow connections, one or many, so delay nobody else. The answers that are arriving share a budget of memory: small ones have
/// their place in it, large ones take from what is left, or wait for another time (`overloaded`). Long lists are read on a thread beside the driving one, so that nobody
/// waits for them but those behind them in the same line.
class curl_listing_engine final : public listing_engine {
public:
  curl_listing_engine(const transport_limits& limits, std::size_t max_connections, std::size_t per_host = 0);
  curl_listing_engine(const curl_listing_engine&) = delete;
  curl_listing_engine& operator=(const curl_listing_engine&) = delete;
  ~curl_listing_engine() override;

  void start(const remote_endpoint& remote, const ref_prefixes& prefixes, const std::string& known_digest, cancel_token_ptr cancel, callback done) override;
  void run_for(std::chrono::milliseconds slice) override;
  void abandon() override;
  void wake() override;
  std::size_t active() const override { return waiting_.size() + running_.size() + reading_.size() + finished_.size(); }
  std::uint64_t connections_opened() const override { return connections_opened_; }

  /// As `start`, for callers that only read the token.
  void begin(const remote_endpoint& remote, const ref_prefixes& prefixes, const std::string& known_digest, std::shared_ptr<const cancel_token> cancel,
             callback done);

private:
  struct job;
  /// Where a URL led last time, and whether v2 was spoken there.
  struct memory {
    http_place place;
    protocol_version protocol = protocol_version::unknown;
  };

  [[nodiscard]] std::size_t slots_taken() const noexcept { return running_.size() + reading_.size(); }
  void launch_waiting();
  [[nodiscard]] bool can_launch() const;
  enum class standing : std::uint8_t { answering, unknown, failing };
  [[nodiscard]] standing standing_of(const std::string& origin) const;
  [[nodiscard]] bool share_used_up(const std::string& origin) const;
  void launch(std::unique_ptr<job> next);
  void send_request(job& j);
  void run(std::unique_ptr<job> j);
  [[nodiscard]] std::uint64_t beyond_share(std::uint64_t bytes) const;
  result<void> hold(job& j, std::size_t more);
  void give_back(job& j);
  void collect();
  void on_finished(std::unique_ptr<job> j, CURLcode code);
  void on_other_advertisement(std::unique_ptr<job> j, const http_answer& answer);
  void on_other_refs(std::unique_ptr<job> j, const http_answer& answer);
  void read(std::unique_ptr<job> j);
  void collect_read();
  void on_read(std::unique_ptr<job> j);
  void on_advertisement(std::unique_ptr<job> j);
  void on_refs(std::unique_ptr<job> j);
  void again(std::unique_ptr<job> j);
  void deliver(std::unique_ptr<job> j, result<listing> answer);
  void drop_cancelled_waiting();
  void call_back();
  void remember(const job& j, protocol_version protocol);

  transport_limits limits_;
  std::size_t max_running_;
  std::size_t per_host_; ///< 0: half of them
  std::uint64_t share_; ///< bytes of an answer that every listing may have
  std::uint64_t common_; ///< of the budget, for what is beyond the shares
  std::uint64_t left_;   ///< of `common_`
  CURLM* multi_;
  http_headers hello_headers_;
  http_headers refs_headers_;
  std::deque<std::unique_ptr<job>> waiting_;
  std::unordered_map<CURL*, std::unique_ptr<job>> running_;
  std::unordered_map<job*, std::unique_ptr<job>> reading_; ///< they belong to `side_` until they are in `read_`
  std::deque<std::pair<callback, result<listing>>> finished_;
  std::vector<std::unique_ptr<http_transfer>> idle_;
  std::unordered_map<std::string, memory> places_;             ///< by canonical URL
  std::unordered_map<std::string, protocol_version> protocols_; ///< by origin
  std::unordered_map<std::string, std::size_t> running_at_; ///< listings by origin
  std::unordered_map<std::string, bool> answers_;           ///< origins that did, or did not, when they were last asked
  std::size_t unproven_running_ = 0, failing_running_ = 0;  ///< of listings that run, by what was known of their origin when they began
  std::uint64_t connections_opened_ = 0;
  std::atomic<bool> woken_{false};
  std::mutex read_mutex_;
  std::vector<job*> read_;
  side_thread side_; ///< last: it uses the others
};

} // namespace veranda::git
