#include "adapters/git/http_transfer.hpp"

#include "adapters/git/rate_limit.hpp"

#include <algorithm>
#include <mutex>

namespace veranda::git {

namespace {

constexpr std::size_t max_header_bytes = 256U << 10U;
constexpr std::size_t max_foreign_bytes = 64U << 10U;
constexpr std::size_t kept_head_bytes = 64;
constexpr std::string_view secret_field = "spec.git.secretRef";
constexpr int poll_slice_ms = 100;

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; });
}

failure secret_problem(const git_url& url, std::string_view what) {
  return {ec::auth_rejected, url.label() + ": " + std::string{what}, {}, "spec.git.secretRef", {}};
}

/// What goes wrong on a way that the Secret chose is the Secret's matter, not the host's.
failure of_own_way(failure f, bool own_way) {
  const bool about_the_way = f.code == ec::unreachable || f.code == ec::timed_out || f.code == ec::unavailable || f.code == ec::throttled;
  if (own_way && about_the_way && f.field != secret_field) f.field = secret_field;
  return f;
}

std::string header(CURL* easy, const char* name) {
  curl_header* found = nullptr;
  return curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &found) == CURLHE_OK ? found->value : "";
}

budget_headers budget_of(CURL* easy) {
  budget_headers h{header(easy, "Retry-After"), header(easy, "RateLimit-Remaining"), header(easy, "RateLimit-Reset")};
  if (h.remaining.empty()) h.remaining = header(easy, "X-RateLimit-Remaining");
  if (h.reset.empty()) h.reset = header(easy, "X-RateLimit-Reset");
  return h;
}

/// `location` as an absolute URL. (libcurl's own CURLINFO_REDIRECT_URL may hold the credentials.)
std::string resolved(const std::string& base, const char* location) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url{curl_url(), &curl_url_cleanup};
  char* text = nullptr;
  if (curl_url_set(url.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK || curl_url_set(url.get(), CURLUPART_URL, location, 0) != CURLUE_OK ||
      curl_url_get(url.get(), CURLUPART_URL, &text, 0) != CURLUE_OK)
    return location;
  const std::string out{text};
  curl_free(text);
  return out;
}

} // namespace

std::optional<failure> exposed_proxy(const credentials& auth, const git_url& url, const transport_limits& limits) {
  if (auth.proxy.username.empty() || auth.proxy.url.starts_with("https://") || limits.allow_plaintext_credentials) return std::nullopt;
  return secret_problem(url, "the proxy's credentials are not sent in plain text; use an https:// proxy, or allow it in the settings (--allow-plaintext-credentials)");
}

void ensure_curl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

result<http_place> http_place::of(const remote_endpoint& remote, const transport_limits& limits, std::string_view service) {
  auto url = parse_git_url(remote.url);
  if (!url) return std::move(url).error();
  if (url->scheme != "https" && url->scheme != "http")
    return failure{ec::unsupported, url->label() + ": repositories over " + url->scheme + " cannot be read here; use https", {}, "spec.git.repo", {}};
  const auto& auth = remote.auth;
  if (auto why = exposed_proxy(auth, *url, limits)) return *std::move(why);
  if (has_control(auth.username) || has_control(auth.password) || has_control(auth.bearer_token))
    return secret_problem(*url, "the secret holds control characters (a line feed at the end?); store the bare values");
  if (auth.bearer_token.empty() && auth.username.find(':') != std::string::npos) return secret_problem(*url, "a user name with a colon cannot be sent");
  if (auth.anonymous() && !auth.ssh_private_key.empty())
    return secret_problem(*url, "the secret holds an ssh key only, which cannot be used over http; use the ssh URL, or a user or token");
  if (url->scheme == "http" && !auth.anonymous() && !limits.allow_plaintext_credentials)
    return secret_problem(*url, "credentials are not sent over plain http; use an https URL, or allow it with --allow-plaintext-credentials");
  if (const auto why = literal_refusal(*url, limits.addresses)) return refused_at(url->label(), *why);
  http_place place;
  place.service_ = service;
  place.base_ = url->text();
  place.at_ = *std::move(url);
  place.had_credentials_ = place.sends_credentials_ = !auth.anonymous();
  return place;
}

std::string http_place::origin() const { return at_.scheme + "://" + at_.label(); }

remote_label http_place::label() const { return {at_.label(), sends_credentials_}; }

result<void> http_place::follow(std::string_view location, const transport_limits& limits) {
  const auto refused = [this](std::string_view why) {
    return failure{ec::unsupported, at_.label() + ": the server redirects " + std::string{why} + "; use the repository's final URL", {}, "spec.git.repo", {}};
  };
  if (++redirects_ > limits.max_redirects) return refused("too many times");
  const auto suffix = advertisement_suffix();
  if (!location.ends_with(suffix)) return refused("to something that is not this repository");
  auto next = parse_git_url(location.substr(0, location.size() - suffix.size()));
  if (!next || (next->scheme != "https" && next->scheme != "http")) return refused("to a URL that is not allowed");
  if (at_.scheme == "https" && next->scheme == "http") return refused("from https to plain http");
  if (const auto why = literal_refusal(*next, limits.addresses)) return refused_at(at_.label(), "the server redirects to " + next->label() + ": " + *why);
  const bool upgraded = at_.scheme == "http" && next->scheme == "https" && at_.host == next->host && at_.port == 0 && next->port == 0;
  if (!at_.same_origin(*next) && !upgraded) sends_credentials_ = false;
  redirected_by_ = at_.label();
  base_ = next->text();
  at_ = *std::move(next);
  return {};
}

failure http_place::explain(failure f) const {
  if (had_credentials_ && !sends_credentials_ && (f.code == ec::auth_rejected || f.code == ec::not_found))
    return {ec::auth_rejected,
            at_.label() + ": the server redirects to this host, to which the credentials are not sent; if it is trusted, use its URL", {}, "spec.git.repo", {}};
  return f;
}

failure http_answer::problem(const remote_label& remote) const {
  return of_own_way(status == 200 ? from_foreign_answer(content_type, head, remote) : from_http_status(status, remote, pause), own_way);
}

http_transfer::http_transfer() {
  ensure_curl();
  easy_ = curl_easy_init();
}

http_transfer::~http_transfer() { curl_easy_cleanup(easy_); }

void http_transfer::prepare(const http_request& request, const http_place& place, const credentials& auth, const transport_limits& limits,
                            const cancel_token* cancel, byte_sink sink) {
  sink_ = std::move(sink);
  url_ = request.url;
  wanted_type_ = request.content_type;
  answer_ = {};
  judged_ = false;
  max_bytes_ = request.max_bytes;
  received_ = 0;
  header_bytes_ = 0;
  failed_.reset();
  cancel_ = cancel;
  watch_.emplace(limits);

  curl_easy_reset(easy_);
  curl_easy_setopt(easy_, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy_, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy_, CURLOPT_USERAGENT, limits.user_agent.c_str());
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, request.headers);
  curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, request.http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1);
  if (request.http2) curl_easy_setopt(easy_, CURLOPT_PIPEWAIT, 1L);
  if (request.compressed) curl_easy_setopt(easy_, CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
  if (request.body != nullptr) {
    curl_easy_setopt(easy_, CURLOPT_POST, 1L);
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body->size()));
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request.body->data());
  }
  curl_easy_setopt(easy_, CURLOPT_BUFFERSIZE, request.buffer_bytes);
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(1, limits.connect_timeout.count())));
  curl_easy_setopt(easy_, CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(1, std::min(limits.total_timeout, request.timeout).count())));
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &http_transfer::on_body);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, &http_transfer::on_header);
  curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy_, CURLOPT_XFERINFOFUNCTION, &http_transfer::on_progress);
  curl_easy_setopt(easy_, CURLOPT_XFERINFODATA, this);
  curl_easy_setopt(easy_, CURLOPT_NOPROGRESS, 0L);
  guard_.prepare(easy_, place.url(), place.redirected_by(), auth.proxy, limits);
  set_security(auth, place.sends_credentials());
}

void http_transfer::set_security(const credentials& auth, bool send_credentials) {
  curl_easy_setopt(easy_, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(easy_, CURLOPT_PROXY_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(easy_, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  if (!auth.ca_bundle_pem.empty()) {
    curl_blob blob{const_cast<char*>(auth.ca_bundle_pem.data()), auth.ca_bundle_pem.size(), CURL_BLOB_COPY};
    curl_easy_setopt(easy_, CURLOPT_CAINFO_BLOB, &blob);
    curl_easy_setopt(easy_, CURLOPT_CAPATH, nullptr); // the bundle replaces the system's roots
    curl_easy_setopt(easy_, CURLOPT_PROXY_CAINFO_BLOB, &blob);
    curl_easy_setopt(easy_, CURLOPT_PROXY_CAPATH, nullptr);
  }
  if (!send_credentials) return;
  if (!auth.client_certificate_pem.empty()) set_client_certificate(auth);
  if (!auth.bearer_token.empty()) {
    curl_easy_setopt(easy_, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BEARER));
    curl_easy_setopt(easy_, CURLOPT_XOAUTH2_BEARER, auth.bearer_token.c_str());
  } else if (!auth.username.empty() || !auth.password.empty()) {
    curl_easy_setopt(easy_, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    curl_easy_setopt(easy_, CURLOPT_USERNAME, auth.username.c_str());
    curl_easy_setopt(easy_, CURLOPT_PASSWORD, auth.password.c_str());
  }
}

/// libcurl reuses a connection for an equal certificate and never looks at the key, so the certificate is given with its key behind it: with another key it is
/// another connection.
void http_transfer::set_client_certificate(const credentials& auth) {
  auto both = auth.client_certificate_pem + "\n" + auth.client_key_pem;
  curl_blob certificate{both.data(), both.size(), CURL_BLOB_COPY};
  curl_easy_setopt(easy_, CURLOPT_SSLCERT_BLOB, &certificate);
  curl_blob key{const_cast<char*>(auth.client_key_pem.data()), auth.client_key_pem.size(), CURL_BLOB_COPY};
  curl_easy_setopt(easy_, CURLOPT_SSLKEY_BLOB, &key);
  curl_easy_setopt(easy_, CURLOPT_KEYPASSWD, ""); // or OpenSSL would ask the terminal
}

void http_transfer::judge_headers() {
  if (judged_) return;
  judged_ = true;
  const char* type = nullptr;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &answer_.status);
  curl_easy_getinfo(easy_, CURLINFO_CONTENT_TYPE, &type);
  answer_.content_type = type != nullptr ? std::string{type}.substr(0, 100) : "";
  const auto bare = answer_.content_type.substr(0, answer_.content_type.find_first_of("; "));
  answer_.accepted = answer_.status == 200 && bare == wanted_type_;
}

bool http_transfer::take(std::string_view bytes) {
  judge_headers();
  received_ += bytes.size();
  watch_->received(bytes.size());
  if (!answer_.accepted) {
    answer_.head.append(bytes.substr(0, kept_head_bytes - std::min(kept_head_bytes, answer_.head.size())));
    return received_ <= max_foreign_bytes;
  }
  if (received_ > max_bytes_) {
    failed_ = failure{ec::too_large, "the answer is larger than the " + std::to_string(max_bytes_) + " bytes allowed", {}, {}, {}};
    return false;
  }
  if (auto taken = sink_(bytes); !taken) failed_ = std::move(taken).error();
  return !failed_;
}

std::size_t http_transfer::on_body(char* data, std::size_t size, std::size_t count, void* self) {
  return static_cast<http_transfer*>(self)->take({data, size * count}) ? size * count : 0;
}

std::size_t http_transfer::on_header(char*, std::size_t size, std::size_t count, void* self) {
  auto& seen = static_cast<http_transfer*>(self)->header_bytes_;
  seen += size * count;
  return seen <= max_header_bytes ? size * count : 0;
}

int http_transfer::on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<http_transfer*>(self);
  if (transfer.cancel_ != nullptr && transfer.cancel_->expired()) {
    const auto why = transfer.cancel_->reason();
    transfer.failed_ = failure{why, why == ec::cancelled ? "the transfer was cancelled" : "no complete answer before the deadline", {}, {}, {}};
  } else if (transfer.watch_->stalled()) {
    transfer.failed_ = failure{ec::timed_out, "the server sends nothing, or too slowly; check the network and that the server is not overloaded", {}, {}, {}};
  }
  return transfer.failed_ ? 1 : 0;
}

result<http_answer> run_alone(CURLM* multi, http_transfer& transfer, const remote_label& remote) {
  curl_multi_add_handle(multi, transfer.handle());
  auto code = CURLE_OK;
  for (int running = 1; running > 0;) {
    if (curl_multi_perform(multi, &running) != CURLM_OK) {
      code = CURLE_FAILED_INIT;
      break;
    }
    if (running > 0) curl_multi_poll(multi, nullptr, 0, poll_slice_ms, nullptr);
  }
  int left = 0;
  while (const auto* message = curl_multi_info_read(multi, &left))
    if (message->msg == CURLMSG_DONE) code = message->data.result;
  curl_multi_remove_handle(multi, transfer.handle());
  return transfer.finish(code, remote);
}

result<http_answer> http_transfer::finish(CURLcode code, const remote_label& remote) {
  sink_ = nullptr;
  if (failed_) return of_own_way(at_remote(*std::move(failed_), remote), guard_.own_way());
  const bool dropped = code == CURLE_WRITE_ERROR && judged_ && !answer_.accepted;
  if (code == CURLE_WRITE_ERROR && header_bytes_ > max_header_bytes)
    return failure{ec::too_large, remote.host + ": the headers of the answer are larger than allowed", {}, {}, {}};
  if (auto why = guard_.explain(easy_, code, remote)) return *std::move(why);
  if (code != CURLE_OK && !dropped) return of_own_way(from_curl(code, remote), guard_.own_way());
  judge_headers();
  curl_header* location = nullptr;
  if (answer_.status >= 300 && answer_.status < 400 && curl_easy_header(easy_, "Location", 0, CURLH_HEADER, -1, &location) == CURLHE_OK)
    answer_.location = resolved(url_, location->value);
  answer_.own_way = guard_.own_way();
  answer_.pause = pause_of(answer_.status, budget_of(easy_), std::chrono::system_clock::now());
  return std::move(answer_);
}

} // namespace veranda::git
