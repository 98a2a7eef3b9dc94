#pragma once

#include "adapters/git/connection_guard.hpp"
#include "adapters/git/error_map.hpp"
#include "adapters/git/fetch_protocol.hpp"
#include "adapters/git/git_url.hpp"
#include "adapters/git/ref_listing.hpp"
#include "adapters/git/stall_watch.hpp"

#include <array>
#include <curl/curl.h>
#include <memory>
#include <optional>

namespace veranda::git {

/// Where a repository is served over HTTP, as far as is known: redirects move it, and take the credentials away when they lead to another host.
class http_place {
public:
  /// Refuses what is not http(s), credentials over plain http unless allowed, credentials that no header can carry, and an address as host that the rules
  /// refuse (names are judged when they are resolved).
  static result<http_place> of(const remote_endpoint& remote, const transport_limits& limits, std::string_view service = upload_pack_service);
  [[nodiscard]] std::string advertisement_url() const { return base_ + advertisement_suffix(); }
  [[nodiscard]] std::string service_url() const { return base_ + '/' + std::string{service_}; }
  [[nodiscard]] const std::string& base() const noexcept { return base_; }
  [[nodiscard]] const git_url& url() const noexcept { return at_; }
  /// The host that redirected to this one; empty for none.
  [[nodiscard]] const std::string& redirected_by() const noexcept { return redirected_by_; }
  [[nodiscard]] std::string origin() const;
  [[nodiscard]] bool had_credentials() const noexcept { return had_credentials_; }
  [[nodiscard]] bool sends_credentials() const noexcept { return sends_credentials_; }
  [[nodiscard]] remote_label label() const;
  /// Follows a redirect of the advertisement. Refused: to plain http from https, away from the service, to other schemes, to an address that
  /// the rules refuse, too many.
  result<void> follow(std::string_view location, const transport_limits& limits);
  /// A failure of this place that says so when a redirect took the credentials away.
  [[nodiscard]] failure explain(failure f) const;

private:
  [[nodiscard]] std::string advertisement_suffix() const { return "/info/refs?service=" + std::string{service_}; }
  git_url at_;
  std::string_view service_ = upload_pack_service;
  std::string base_;
  std::string redirected_by_;
  bool had_credentials_ = false;
  bool sends_credentials_ = false;
  int redirects_ = 0;
};

struct http_request {
  std::string url;
  const std::string* body = nullptr; ///< a POST when set; must outlive the transfer
  curl_slist* headers = nullptr;     ///< must outlive the transfer
  std::string_view content_type;     ///< of the answer
  bool compressed = true;
  bool http2 = true;
  std::uint64_t max_bytes = 0; ///< of the answer, decoded
  long buffer_bytes = 256L << 10; ///< read at a time, before they are decoded
  std::chrono::milliseconds timeout = std::chrono::milliseconds::max(); ///< when the limits allow more
};

struct http_answer {
  long status = 0;
  bool accepted = false; ///< status 200 and the right content type: the body went to the sink
  std::string content_type;
  std::string head; ///< first bytes of a body that was not accepted
  std::string location;
  std::optional<std::chrono::milliseconds> pause; ///< how long the host wants to be left alone
  bool own_way = false; ///< through a proxy of the Secret's: it is not known who answered
  /// What is wrong with an answer that was not accepted.
  [[nodiscard]] failure problem(const remote_label& remote) const;
};

/// One easy handle and what it receives. The body of an accepted answer goes to the sink; any other body is dropped.
class http_transfer {
public:
  http_transfer();
  http_transfer(const http_transfer&) = delete;
  http_transfer& operator=(const http_transfer&) = delete;
  ~http_transfer();
  [[nodiscard]] CURL* handle() const noexcept { return easy_; }
  void prepare(const http_request& request, const http_place& place, const credentials& auth, const transport_limits& limits, const cancel_token* cancel,
               byte_sink sink);
  /// What became of it, once curl has finished with `code`.
  result<http_answer> finish(CURLcode code, const remote_label& remote);
  [[nodiscard]] std::uint64_t received_bytes() const noexcept { return received_; }

private:
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t);
  bool take(std::string_view bytes);
  void judge_headers();
  void set_security(const credentials& auth, bool send_credentials);
  void set_client_certificate(const credentials& auth);

  CURL* easy_;
  byte_sink sink_;
  std::string url_;
  std::string wanted_type_;
  http_answer answer_;
  bool judged_ = false;
  std::uint64_t max_bytes_ = 0;
  std::uint64_t received_ = 0;
  std::size_t header_bytes_ = 0;
  std::optional<failure> failed_;
  connection_guard guard_;
  const cancel_token* cancel_ = nullptr;
  std::optional<stall_watch> watch_;
};

/// Runs a prepared transfer to its end, alone on `multi`. Blocks.
result<http_answer> run_alone(CURLM* multi, http_transfer& transfer, const remote_label& remote);

/// Initialises libcurl once per process.
void ensure_curl();
/// Why the proxy of a Secret is not used: anybody on the way to it could read its credentials.
[[nodiscard]] std::optional<failure> exposed_proxy(const credentials& auth, const git_url& url, const transport_limits& limits);

/// The headers of our requests. Shared by transfers, read only.
class http_headers {
public:
  explicit http_headers(std::initializer_list<const char*> lines) {
    for (const char* l : lines) list_ = curl_slist_append(list_, l);
  }
  http_headers(const http_headers&) = delete;
  http_headers& operator=(const http_headers&) = delete;
  ~http_headers() { curl_slist_free_all(list_); }
  [[nodiscard]] curl_slist* get() const noexcept { return list_; }

private:
  curl_slist* list_ = nullptr;
};

inline constexpr std::string_view advertisement_type = "application/x-git-upload-pack-advertisement";
inline constexpr std::string_view result_type = "application/x-git-upload-pack-result";

} // namespace veranda::git
