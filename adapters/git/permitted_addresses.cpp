#include "adapters/git/permitted_addresses.hpp"

#include "adapters/git/connection_guard.hpp"
#include "adapters/git/http_transfer.hpp"

#include <algorithm>

namespace veranda::git {

namespace {

constexpr std::size_t max_addresses = 8;

/// libcurl resolves, with a deadline, and asks for a socket for each address; it is given none.
struct resolution {
  const address_rules& rules;
  const cancel_token& cancel;
  std::vector<ip_address> permitted{};
  std::string refused{}; ///< the first that the rules refuse, and why

  void take(const sockaddr& given) {
    const auto address = address_of(given);
    if (!address) return;
    if (auto why = rules.refusal(*address)) {
      if (refused.empty()) refused = "its address " + to_string(*address) + " " + *why;
    } else if (permitted.size() < max_addresses && std::find(permitted.begin(), permitted.end(), *address) == permitted.end()) {
      permitted.push_back(*address);
    }
  }
};

curl_socket_t on_open_socket(void* self, curlsocktype, curl_sockaddr* address) {
  static_cast<resolution*>(self)->take(address->addr);
  return CURL_SOCKET_BAD;
}

int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) { return static_cast<resolution*>(self)->cancel.expired() ? 1 : 0; }

} // namespace

result<std::vector<ip_address>> permitted_addresses(const git_url& url, const transport_limits& limits, const cancel_token& cancel) {
  const remote_label label{url.label(), false};
  ensure_curl();
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy{curl_easy_init(), &curl_easy_cleanup};
  resolution found{limits.addresses, cancel};
  const git_url target{"http", {}, url.host, url.port_or_default(), {}};
  curl_easy_setopt(easy.get(), CURLOPT_URL, target.text().c_str());
  curl_easy_setopt(easy.get(), CURLOPT_CONNECT_ONLY, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_QUICK_EXIT, 1L); // a resolver that hangs is left behind
  curl_easy_setopt(easy.get(), CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits.connect_timeout.count()));
  curl_easy_setopt(easy.get(), CURLOPT_OPENSOCKETFUNCTION, &on_open_socket);
  curl_easy_setopt(easy.get(), CURLOPT_OPENSOCKETDATA, &found);
  curl_easy_setopt(easy.get(), CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(easy.get(), CURLOPT_XFERINFOFUNCTION, &on_progress);
  curl_easy_setopt(easy.get(), CURLOPT_XFERINFODATA, &found);
  const auto code = curl_easy_perform(easy.get());
  if (!found.permitted.empty()) return std::move(found.permitted);
  if (!found.refused.empty()) return refused_at(label.host, found.refused);
  auto f = from_curl(code == CURLE_OK ? CURLE_COULDNT_CONNECT : code, label);
  if (code == CURLE_ABORTED_BY_CALLBACK) f.code = cancel.reason();
  return f;
}

} // namespace veranda::git
