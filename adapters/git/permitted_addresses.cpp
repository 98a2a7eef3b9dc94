#include "adapters/git/permitted_addresses.hpp"

#include "adapters/git/bare_connection.hpp"
#include "adapters/git/connection_guard.hpp"
#include "adapters/git/http_transfer.hpp"

#include <algorithm>

namespace veranda::git {

namespace {

constexpr std::size_t max_addresses = 8;

/// libcurl resolves, with a deadline, and asks for a socket for each address; it is given none.
struct resolution {
  const address_rules& rules;
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

} // namespace

result<std::vector<ip_address>> permitted_addresses(const git_url& url, const transport_limits& limits, const cancel_token& cancel) {
  const remote_label label{url.label(), false};
  ensure_curl();
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy{curl_easy_init(), &curl_easy_cleanup};
  resolution found{limits.addresses};
  prepare_connection(easy.get(), connection_target(url), limits, cancel);
  curl_easy_setopt(easy.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(easy.get(), CURLOPT_OPENSOCKETFUNCTION, &on_open_socket);
  curl_easy_setopt(easy.get(), CURLOPT_OPENSOCKETDATA, &found);
  const auto code = curl_easy_perform(easy.get());
  if (!found.permitted.empty()) return std::move(found.permitted);
  if (!found.refused.empty()) return refused_at(label.host, found.refused);
  return connection_failure(code, label, cancel);
}

} // namespace veranda::git
