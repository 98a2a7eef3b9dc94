#include "adapters/git/bare_connection.hpp"

namespace veranda::git {

namespace {

int on_progress(void* cancel, curl_off_t, curl_off_t, curl_off_t, curl_off_t) { return static_cast<const cancel_token*>(cancel)->expired() ? 1 : 0; }

} // namespace

git_url connection_target(const git_url& url) { return {"http", {}, url.host, url.port_or_default(), {}}; }

void prepare_connection(CURL* easy, const git_url& target, const transport_limits& limits, const cancel_token& cancel) {
  curl_easy_setopt(easy, CURLOPT_URL, target.text().c_str());
  curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); // a resolver that hangs is left behind
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits.connect_timeout.count()));
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, &on_progress);
  curl_easy_setopt(easy, CURLOPT_XFERINFODATA, const_cast<cancel_token*>(&cancel));
}

failure connection_failure(CURLcode code, const remote_label& label, const cancel_token& cancel) {
  auto f = from_curl(code == CURLE_OK ? CURLE_COULDNT_CONNECT : code, label);
  if (code == CURLE_ABORTED_BY_CALLBACK) f.code = cancel.reason();
  return f;
}

} // namespace veranda::git
