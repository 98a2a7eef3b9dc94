#include "adapters/git/error_map.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <array>

namespace veranda::git {

namespace {

constexpr std::string_view repo_field = "spec.git.repo";
constexpr std::string_view secret_field = "spec.git.secretRef";

struct curl_rule {
  int code;
  ec what_to_do;
  std::string_view text;
  std::string_view field;
};

constexpr std::string_view certificate_text = "its certificate cannot be verified; put the CA that signed it into `ca.crt` of a Secret that spec.git.secretRef names";

constexpr std::array curl_rules{
  curl_rule{CURLE_UNSUPPORTED_PROTOCOL, ec::unsupported, "the server does not speak HTTP; check host and port", repo_field},
  curl_rule{CURLE_URL_MALFORMAT, ec::invalid_spec, "the URL is malformed", repo_field},
  curl_rule{CURLE_COULDNT_RESOLVE_PROXY, ec::unreachable, "the name of the proxy cannot be resolved; check the proxy settings of the secret or the environment", {}},
  curl_rule{CURLE_COULDNT_RESOLVE_HOST, ec::unreachable, "the host name cannot be resolved; check it and the DNS", repo_field},
  curl_rule{CURLE_COULDNT_CONNECT, ec::unreachable, "no connection: refused or no route; check host and port, and that the server runs", repo_field},
  curl_rule{CURLE_WEIRD_SERVER_REPLY, ec::unavailable, "the server does not speak HTTP", {}},
  curl_rule{CURLE_HTTP2, ec::unavailable, "the HTTP/2 connection broke", {}},
  curl_rule{CURLE_HTTP2_STREAM, ec::unavailable, "the HTTP/2 stream broke", {}},
  curl_rule{CURLE_PARTIAL_FILE, ec::unavailable, "the connection ended before the answer was complete", {}},
  curl_rule{CURLE_GOT_NOTHING, ec::unavailable, "the server closed the connection without an answer", {}},
  curl_rule{CURLE_SEND_ERROR, ec::unreachable, "the connection was lost while sending", {}},
  curl_rule{CURLE_RECV_ERROR, ec::unreachable, "the connection was lost while receiving", {}},
  curl_rule{CURLE_OPERATION_TIMEDOUT, ec::timed_out, "no answer within the time allowed; check the network and that the server is not overloaded", {}},
  curl_rule{CURLE_SSL_CONNECT_ERROR, ec::unreachable, "the TLS handshake failed; the server must speak TLS 1.2 or later, and may want a client certificate (`tls.crt` and `tls.key` of the secret)", {}},
  curl_rule{CURLE_SSL_CIPHER, ec::unreachable, "no TLS cipher in common with the server", {}},
  curl_rule{CURLE_PEER_FAILED_VERIFICATION, ec::unreachable, certificate_text, secret_field},
  curl_rule{CURLE_SSL_ISSUER_ERROR, ec::unreachable, certificate_text, secret_field},
  curl_rule{CURLE_SSL_CERTPROBLEM, ec::auth_rejected, "the client certificate is not usable; `tls.crt` and `tls.key` of the secret must be a certificate in PEM form and its key, not encrypted", secret_field},
  curl_rule{CURLE_SSL_CACERT_BADFILE, ec::auth_rejected, "the CA bundle holds no certificate in PEM form; mend `ca.crt`", secret_field},
  curl_rule{CURLE_SSL_INVALIDCERTSTATUS, ec::unreachable, "its certificate was revoked", {}},
  curl_rule{CURLE_BAD_CONTENT_ENCODING, ec::unavailable, "the answer is compressed in a way that cannot be undone", {}},
  curl_rule{CURLE_FILESIZE_EXCEEDED, ec::too_large, "the answer is larger than allowed", {}},
  curl_rule{CURLE_LOGIN_DENIED, ec::auth_rejected, "the credentials were rejected", secret_field},
  curl_rule{CURLE_AUTH_ERROR, ec::auth_rejected, "the credentials cannot be used for authentication", secret_field},
  curl_rule{CURLE_PROXY, ec::unreachable, "the proxy refused the connection; check the proxy settings of the secret or the environment", {}},
  curl_rule{CURLE_ABORTED_BY_CALLBACK, ec::cancelled, "the transfer was cancelled", {}},
  curl_rule{CURLE_OUT_OF_MEMORY, ec::unavailable, "not enough memory for the transfer", {}},
};

failure make(ec code, const remote_label& remote, std::string_view text, std::string_view field = {}) {
  return {code, remote.host + ": " + std::string{text}, {}, std::string{field}, {}};
}

bool contains_any(std::string_view text, std::initializer_list<std::string_view> needles) {
  return std::any_of(needles.begin(), needles.end(), [text](std::string_view n) { return text.find(n) != std::string_view::npos; });
}

std::string lower(std::string_view text) {
  std::string out{text.substr(0, 1'000)};
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : static_cast<char>(c); });
  return out;
}

} // namespace

failure from_curl(int code, const remote_label& remote) {
  const auto* rule = std::find_if(curl_rules.begin(), curl_rules.end(), [code](const curl_rule& r) { return r.code == code; });
  if (rule != curl_rules.end()) return make(rule->what_to_do, remote, rule->text, rule->field);
  return make(ec::unavailable, remote, "the transfer failed (libcurl code " + std::to_string(code) + ")");
}

failure from_http_status(long status, const remote_label& remote, std::optional<std::chrono::milliseconds> retry_after) {
  const auto code = " (HTTP " + std::to_string(status) + ")";
  const auto text = [&] {
    switch (status) {
      case 401:
        return remote.authenticated ? make(ec::auth_rejected, remote, "the credentials were rejected" + code, secret_field)
                                    : make(ec::auth_rejected, remote, "credentials are needed" + code);
      case 403:
        if (retry_after) return make(ec::throttled, remote, "too many requests" + code + "; it is asked again later");
        return make(ec::auth_rejected, remote, "reading this repository is not allowed" + code, remote.authenticated ? secret_field : std::string_view{});
      case 407: return make(ec::auth_rejected, remote, "the proxy asks for credentials" + code + "; set them in the proxy settings of the secret or the environment");
      case 404:
      case 410:
        return make(ec::not_found, remote,
                    "there is no git repository at this URL" + code + (remote.authenticated ? "; check it and what the credentials may see" : "; check it, or name a secret if it is private"),
                    repo_field);
      case 408: return make(ec::timed_out, remote, "the server gave up waiting" + code);
      case 413: return make(ec::too_large, remote, "the request is larger than the server takes" + code + "; raise its body limit");
      case 429: return make(ec::throttled, remote, "too many requests" + code + "; it is asked again later");
      default: break;
    }
    if (status >= 500) return make(ec::unavailable, remote, "the server cannot answer now" + code + "; it is asked again later");
    if (status >= 300 && status < 400) return make(ec::unsupported, remote, "a redirect that leads nowhere" + code + "; use the repository's final URL", repo_field);
    return make(ec::unavailable, remote, "an unexpected answer" + code);
  }();
  auto f = text;
  if (f.code == ec::throttled || f.code == ec::unavailable) f.retry_after = retry_after;
  return f;
}

failure from_foreign_answer(std::string_view content_type, std::string_view head, const remote_label& remote) {
  const auto type = lower(content_type);
  const auto start = lower(head.substr(0, 64));
  if (start.size() >= 41 && start[40] == '\t' && start.find_first_not_of("0123456789abcdef") == 40)
    return make(ec::unsupported, remote, "only the dumb HTTP protocol is served here, which is not spoken; serve the repository with git-http-backend or the like", repo_field);
  if (type.starts_with("text/html") || contains_any(start, {"<!doctype", "<html"}))
    return make(ec::not_found, remote, "a web page was answered instead of git; check that the URL is the one to clone from, and that no login page or proxy is in between", repo_field);
  return make(ec::unsupported, remote, "the answer is not git's smart HTTP protocol; check that the URL is the one to clone from", repo_field);
}

failure remote_error(std::string_view text) {
  const auto t = lower(text);
  if (contains_any(t, {"not our ref"}))
    return {ec::conflict, "a ref moved while it was fetched; the refs are listed again", {}, {}, {}};
  if (contains_any(t, {"access denied", "permission denied", "denied by", "not allowed", "authentication", "unauthorized", "forbidden", "not authorized", "not exported"}))
    return {ec::auth_rejected, "the server does not allow reading this repository", {}, {}, {}};
  if (contains_any(t, {"not found", "could not be found", "no such", "does not exist", "not a git repository", "does not appear to be a git repository"}))
    return {ec::not_found, "the server has no such repository; check the URL", {}, std::string{repo_field}, {}};
  if (contains_any(t, {"object format", "unsupported", "unknown object"}))
    return {ec::unsupported, "the server refused the request as unsupported", {}, {}, {}};
  if (contains_any(t, {"rate limit", "too many"})) return {ec::throttled, "the server limits the rate of requests; it is asked again later", {}, {}, {}};
  return {ec::unavailable, "the server's git reported an error; see its log", {}, {}, {}};
}

failure from_local_git(std::string_view text, const remote_label& remote) {
  const auto t = lower(text);
  const auto shown = text.empty() ? std::string{} : ": " + printable(text, 300);
  if (contains_any(t, {"mismatched object format"}))
    return make(ec::unsupported, remote, "the repository names its objects by SHA-256; only SHA-1 repositories can be read", repo_field);
  if (contains_any(t, {"not our ref"})) return make(ec::conflict, remote, "a ref moved while it was fetched; the refs are listed again");
  if (contains_any(t, {"permission denied", "dubious ownership"}))
    return make(ec::auth_rejected, remote, "reading the repository is not permitted; check the owner and mode of its files" + shown, repo_field);
  if (contains_any(t, {"does not appear to be a git repository", "not a git repository", "invalid gitfile", "no such file"}))
    return make(ec::not_found, remote, "there is no git repository at this path", repo_field);
  return make(ec::unavailable, remote, "git failed there" + shown);
}

std::string_view fatal_line(std::string_view errors) noexcept {
  const auto fatal = errors.find("fatal: ");
  if (fatal != std::string_view::npos) errors.remove_prefix(fatal + 7);
  return errors.substr(0, errors.find('\n'));
}

std::string printable(std::string_view text, std::size_t limit) {
  std::string out;
  for (const char c : text.substr(0, limit)) out += c >= 0x20 && c < 0x7f ? c : '?';
  return out;
}

failure at_remote(failure f, const remote_label& remote) {
  if (!f.what.starts_with(remote.host + ": ")) f.what = remote.host + ": " + f.what;
  return f;
}

} // namespace veranda::git
