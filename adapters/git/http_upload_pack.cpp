#include "adapters/git/http_transfer.hpp"
#include "adapters/git/upload_pack.hpp"

namespace veranda::git {

namespace {

class http_upload_pack final : public upload_pack {
public:
  http_upload_pack(const remote_endpoint& remote, const git_url& url, const transport_limits& limits, const cancel_token& cancel)
      : remote_(remote), limits_(limits), cancel_(cancel), place_(http_place::of(remote, limits)), label_{url.label(), !remote.auth.anonymous()} {
    ensure_curl();
    multi_ = curl_multi_init();
  }
  http_upload_pack(const http_upload_pack&) = delete;
  http_upload_pack& operator=(const http_upload_pack&) = delete;
  ~http_upload_pack() override { curl_multi_cleanup(multi_); }

  result<protocol_version> ask_protocol(const failure&) override {
    return read_protocol([this](const byte_sink& sink) { return advertise(sink); }, limits_);
  }
  result<void> call(protocol_version protocol, const std::string& body, const byte_sink& sink) override {
    if (!place_) return place_.error();
    http_request request;
    request.url = place_->service_url();
    request.body = &body;
    request.headers = (protocol == protocol_version::v2 ? v2_headers_ : v0_headers_).get();
    request.content_type = result_type;
    request.compressed = false; // packs are compressed already
    request.max_bytes = limits_.max_pack_bytes + limits_.max_pack_bytes / 8'000 + 2 * max_chatter_bytes; // its packets' heads, and messages
    auto answer = perform(request, sink);
    if (!answer) return std::move(answer).error();
    return answer->accepted ? result<void>{} : place_->explain(answer->problem(label_));
  }
  [[nodiscard]] const remote_label& label() const noexcept override { return label_; }

private:
  result<void> advertise(const byte_sink& sink) {
    if (!place_) return place_.error();
    for (;;) {
      http_request request;
      request.url = place_->advertisement_url();
      request.headers = hello_headers_.get();
      request.content_type = advertisement_type;
      request.max_bytes = limits_.max_listing_bytes;
      auto answer = perform(request, sink);
      if (!answer) return std::move(answer).error();
      if (answer->accepted) return {};
      if (answer->location.empty()) return place_->explain(answer->problem(label_));
      if (auto followed = place_->follow(answer->location, limits_); !followed) return followed;
      label_ = place_->label();
    }
  }
  result<http_answer> perform(http_request& request, const byte_sink& sink) {
    request.http2 = false;
    transfer_.prepare(request, *place_, remote_.auth, limits_, &cancel_, sink);
    return run_alone(multi_, transfer_, label_);
  }

  const remote_endpoint& remote_;
  const transport_limits& limits_;
  const cancel_token& cancel_;
  result<http_place> place_;
  remote_label label_;
  http_headers hello_headers_{"Git-Protocol: version=2", "Pragma: no-cache"};
  http_headers v2_headers_{"Git-Protocol: version=2", "Content-Type: application/x-git-upload-pack-request", "Accept: application/x-git-upload-pack-result",
                           "Expect:"};
  http_headers v0_headers_{"Content-Type: application/x-git-upload-pack-request", "Accept: application/x-git-upload-pack-result", "Expect:"};
  CURLM* multi_;
  http_transfer transfer_;
};

} // namespace

std::unique_ptr<upload_pack> make_http_upload_pack(const remote_endpoint& remote, const git_url& url, const transport_limits& limits,
                                                   const cancel_token& cancel) {
  return std::make_unique<http_upload_pack>(remote, url, limits, cancel);
}

} // namespace veranda::git
