#include "adapters/git/http_transfer.hpp"
#include "adapters/git/upload_pack.hpp"

namespace veranda::git {

namespace {

constexpr int poll_slice_ms = 100;

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
    request.max_bytes = limits_.max_pack_bytes + (1U << 20U);
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
    curl_multi_add_handle(multi_, transfer_.handle());
    auto code = CURLE_OK;
    for (int running = 1; running > 0;) {
      if (curl_multi_perform(multi_, &running) != CURLM_OK) {
        code = CURLE_FAILED_INIT;
        break;
      }
      if (running > 0) curl_multi_poll(multi_, nullptr, 0, poll_slice_ms, nullptr);
    }
    int left = 0;
    while (const auto* message = curl_multi_info_read(multi_, &left))
      if (message->msg == CURLMSG_DONE) code = message->data.result;
    curl_multi_remove_handle(multi_, transfer_.handle());
    return transfer_.finish(code, label_);
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
