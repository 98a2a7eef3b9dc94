#pragma once

#include "actors/logic/admission.hpp"
#include "adapters/git/http_listing.hpp"
#include "adapters/git/http_transfer.hpp"
#include "adapters/git/ref_listing.hpp"
#include "adapters/git/side_thread.hpp"

#include <atomic>
#include <deque>
#include <unordered_map>

namespace veranda::git {

/// The real engine. Who waits for a slot waits as for a worker (logic::admission), but no origin gets all slots: at most half of them (or `per_host`) while it answers, an
/// eighth while that is not known. All that are not known to answer get half of the slots together, those of them that did not answer last time a quarter. Hosts
/// that swallow connections, one or many, so delay nobody else. The answers that are arriving share a budget of memory: small ones have
/// their place in it, large ones take from what is left, or wait for another time (`overloaded`). Long lists are read on a thread beside the driving one, so that nobody
/// waits for them but those behind them in the same line.
class curl_listing_engine final : public listing_engine {
public:
  curl_listing_engine(const live<transport_limits>& limits, std::size_t max_connections, std::size_t per_host = 0);
  curl_listing_engine(const curl_listing_engine&) = delete;
  curl_listing_engine& operator=(const curl_listing_engine&) = delete;
  ~curl_listing_engine() override;

  void start(const remote_endpoint& remote, const ref_prefixes& prefixes, const std::string& known_digest, cancel_token_ptr cancel, callback done,
             const listing_lane& lane = {}) override;
  [[nodiscard]] std::string place_of(const cancel_token_ptr& cancel) const override;
  void change_limits(std::size_t max_connections, std::size_t per_host) override;
  void run_for(std::chrono::milliseconds slice) override;
  void abandon() override;
  void wake() override;
  std::size_t active() const override { return waiting_.size() + running_.size() + reading_.size() + finished_.size(); }
  std::size_t waiting() const override { return queue_.waiting(); }
  std::uint64_t connections_opened() const override { return connections_opened_; }

  /// As `start`, for callers that only read the token.
  void begin(const remote_endpoint& remote, const ref_prefixes& prefixes, const std::string& known_digest, std::shared_ptr<const cancel_token> cancel,
             callback done, const listing_lane& lane = {});

private:
  struct job;
  /// Where a URL led last time, and whether v2 was spoken there.
  struct memory {
    http_place place;
    protocol_version protocol = protocol_version::unknown;
  };

  /// False when nobody could be.
  bool launch_waiting();
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

  live<transport_limits> limits_;
  logic::admission queue_;
  std::uint64_t next_id_ = 0;
  std::uint64_t share_ = 0;  ///< bytes of an answer that every listing may have
  std::uint64_t common_ = 0; ///< of the budget, for what is beyond the shares
  std::uint64_t left_ = 0;   ///< of `common_`
  CURLM* multi_;
  http_headers hello_headers_;
  http_headers refs_headers_;
  std::unordered_map<std::uint64_t, std::unique_ptr<job>> waiting_; ///< by number in `queue_`
  std::unordered_map<CURL*, std::unique_ptr<job>> running_;
  std::unordered_map<job*, std::unique_ptr<job>> reading_; ///< they belong to `side_` until they are in `read_`
  std::deque<std::pair<callback, result<listing>>> finished_;
  std::vector<std::unique_ptr<http_transfer>> idle_;
  std::unordered_map<std::string, memory> places_;             ///< by canonical URL
  std::unordered_map<std::string, protocol_version> protocols_; ///< by origin
  std::uint64_t connections_opened_ = 0;
  std::atomic<bool> woken_{false};
  std::mutex read_mutex_;
  std::vector<job*> read_;
  side_thread side_; ///< last: it uses the others
};

} // namespace veranda::git
