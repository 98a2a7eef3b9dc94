#include "adapters/git/http_transfer.hpp"
#include "adapters/git/stream_upload_pack.hpp"

namespace veranda::git {

namespace {

constexpr std::uint64_t max_report_bytes = 1U << 20U;

/// A push over smart HTTP: the advertisement and the push are a request each.
class http_push_carrier final : public exchange_carrier {
public:
  http_push_carrier(const remote_endpoint& remote, const git_url& url, const transport_limits& limits, const cancel_token& cancel)
      : exchange_carrier(remote, url, limits, cancel, !remote.auth.anonymous()), place_(http_place::of(remote, limits, receive_pack_service)) {
    ensure_curl();
    multi_ = curl_multi_init();
  }
  http_push_carrier(const http_push_carrier&) = delete;
  http_push_carrier& operator=(const http_push_carrier&) = delete;
  ~http_push_carrier() override { curl_multi_cleanup(multi_); }

  result<void> carry(exchange& talk) override {
    if (!place_) return place_.error();
    if (auto heard = advertise(talk); !heard) return heard;
    const auto body = std::move(talk.words().text);
    talk.words().text.clear();
    if (body.empty()) return failure{ec::unavailable, "the list of refs was cut short; it is asked for again", {}, {}, {}};
    http_request request;
    request.url = place_->service_url();
    request.body = &body;
    request.headers = push_headers_.get();
    request.content_type = "application/x-git-receive-pack-result";
    request.max_bytes = max_report_bytes;
    auto answer = perform(request, talk);
    if (!answer) return std::move(answer).error();
    return answer->accepted ? result<void>{} : refused(*answer);
  }

private:
  result<void> advertise(exchange& talk) {
    for (;;) {
      http_request request;
      request.url = place_->advertisement_url();
      request.headers = hello_headers_.get();
      request.content_type = "application/x-git-receive-pack-advertisement";
      request.max_bytes = limits_.max_listing_bytes;
      auto answer = perform(request, talk);
      if (!answer) return std::move(answer).error();
      if (answer->accepted) return {};
      if (answer->location.empty()) return refused(*answer);
      if (auto followed = place_->follow(answer->location, limits_); !followed) return followed;
      label_ = place_->label();
    }
  }
  [[nodiscard]] failure refused(const http_answer& answer) const {
    if (answer.status == 403)
      return {ec::auth_rejected, label_.host + ": pushing to this repository is not allowed (HTTP 403); let the credentials push, or make the branch by hand", {}, "spec.git.createBranch", {}};
    return place_->explain(answer.problem(label_));
  }
  result<http_answer> perform(http_request& request, exchange& talk) {
    request.http2 = false;
    transfer_.prepare(request, *place_, auth_, limits_, &cancel_, [&talk](std::string_view bytes) { return talk.hear(bytes); });
    return run_alone(multi_, transfer_, label_);
  }

  result<http_place> place_;
  http_headers hello_headers_{"Pragma: no-cache"};
  http_headers push_headers_{"Content-Type: application/x-git-receive-pack-request", "Accept: application/x-git-receive-pack-result", "Expect:"};
  CURLM* multi_;
  http_transfer transfer_;
};

} // namespace

std::unique_ptr<exchange_carrier> make_http_push_carrier(const remote_endpoint& remote, const git_url& url, const transport_limits& limits, const cancel_token& cancel) {
  return std::make_unique<http_push_carrier>(remote, url, limits, cancel);
}

} // namespace veranda::git
