#include "adapters/kube/http_exchange.hpp"

#include <algorithm>
#include <array>
#include <mutex>

namespace veranda::kube {

namespace {

constexpr std::size_t max_header_bytes = 256U << 10U;
constexpr std::size_t max_warnings = 4;
constexpr std::size_t max_warning_bytes = 300;
constexpr long keepalive_seconds = 30;
constexpr curl_off_t longest_wait_seconds = 3600;

struct curl_rule {
  int code;
  ec what_to_do;
  std::string_view text;
};

constexpr std::string_view untrusted = "its certificate cannot be verified; check the certificate authority of the configuration, and the server's name";

constexpr std::array curl_rules{
  curl_rule{CURLE_URL_MALFORMAT, ec::invalid_spec, "the URL is malformed"},
  curl_rule{CURLE_COULDNT_RESOLVE_PROXY, ec::unreachable, "the name of the proxy cannot be resolved"},
  curl_rule{CURLE_COULDNT_RESOLVE_HOST, ec::unreachable, "the host name cannot be resolved; check it and the DNS"},
  curl_rule{CURLE_COULDNT_CONNECT, ec::unreachable, "no connection: refused or no route; check address and port, and that the API server runs"},
  curl_rule{CURLE_WEIRD_SERVER_REPLY, ec::unavailable, "the server does not speak HTTP; is this https?"},
  curl_rule{CURLE_UNSUPPORTED_PROTOCOL, ec::unavailable, "the server does not speak HTTP; is this https?"},
  curl_rule{CURLE_HTTP2, ec::unavailable, "the HTTP/2 connection broke"},
  curl_rule{CURLE_HTTP2_STREAM, ec::unavailable, "the HTTP/2 stream broke"},
  curl_rule{CURLE_PARTIAL_FILE, ec::unavailable, "the connection ended before the answer was complete"},
  curl_rule{CURLE_GOT_NOTHING, ec::unavailable, "the server closed the connection without an answer"},
  curl_rule{CURLE_SEND_ERROR, ec::unreachable, "the connection was lost while sending"},
  curl_rule{CURLE_RECV_ERROR, ec::unavailable, "the connection was lost while receiving"},
  curl_rule{CURLE_OPERATION_TIMEDOUT, ec::timed_out, "no connection within the time allowed; check the network"},
  curl_rule{CURLE_SSL_CONNECT_ERROR, ec::unreachable, "the TLS handshake failed; the server must speak TLS 1.2 or later, and may want a client certificate"},
  curl_rule{CURLE_SSL_CIPHER, ec::unreachable, "no TLS cipher in common with the server"},
  curl_rule{CURLE_PEER_FAILED_VERIFICATION, ec::unreachable, untrusted},
  curl_rule{CURLE_SSL_ISSUER_ERROR, ec::unreachable, untrusted},
  curl_rule{CURLE_SSL_CERTPROBLEM, ec::auth_rejected, "the client certificate or its key cannot be used"},
  curl_rule{CURLE_SSL_CACERT_BADFILE, ec::auth_rejected, "the certificate authority holds no certificate in PEM form"},
  curl_rule{CURLE_BAD_CONTENT_ENCODING, ec::unavailable, "the answer is compressed in a way that cannot be undone"},
  curl_rule{CURLE_PROXY, ec::unreachable, "the proxy refused the connection"},
  curl_rule{CURLE_OUT_OF_MEMORY, ec::unavailable, "not enough memory for the transfer"},
};

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; });
}

/// The key of an extra attribute as part of a header's name: what a name cannot hold is percent-encoded.
std::string header_key(std::string_view key) {
  constexpr std::string_view hex = "0123456789abcdef", marks = "!#$&'*+-.^_`|~";
  std::string out;
  for (char c : key) {
    const auto byte = static_cast<unsigned char>(c);
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || marks.find(c) != std::string_view::npos) out += c;
    else (out += '%').append({hex[byte >> 4U], hex[byte & 15U]});
  }
  return out;
}

bool header_is(std::string_view line, std::string_view name) {
  return line.size() > name.size() && line[name.size()] == ':' &&
         std::equal(name.begin(), name.end(), line.begin(), [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
}

curl_blob blob_of(const std::string& text) { return {const_cast<char*>(text.data()), text.size(), CURL_BLOB_COPY}; }

} // namespace

void ensure_curl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

failure from_curl(int code, const std::string& server) {
  const auto* rule = std::find_if(curl_rules.begin(), curl_rules.end(), [code](const curl_rule& r) { return r.code == code; });
  if (rule != curl_rules.end()) return {rule->what_to_do, server + ": " + std::string{rule->text}, {}, {}, {}};
  return {ec::unavailable, server + ": the transfer failed (libcurl code " + std::to_string(code) + ")", {}, {}, {}};
}

exchange_setup::exchange_setup(const client_config& with, const client_limits& bounds) : config(with), limits(bounds), server(with.cluster.server.authority()) {
  const auto& cluster = config.cluster;
  auto reached = cluster.server;
  headers = {"Expect:"};
  if (cluster.server.secure() && !cluster.tls_server_name.empty()) {
    // The name is verified and sent as if it were the host; the connection goes where the host is.
    reached.host = cluster.tls_server_name;
    connect_to.add(reached.authority() + ":" + cluster.server.authority());
    headers.push_back("Host: " + cluster.server.authority());
  }
  base_url = reached.text();
  const auto& as = config.user.as;
  const auto impersonate = [this](const std::string& name, const std::string& value) {
    if (!value.empty()) headers.push_back("Impersonate-" + name + ": " + value);
  };
  impersonate("User", as.user);
  impersonate("Uid", as.uid);
  for (const auto& g : as.groups) impersonate("Group", g);
  for (const auto& [key, values] : as.extra)
    for (const auto& value : values) impersonate("Extra-" + header_key(key), value);
  if (std::any_of(headers.begin(), headers.end(), has_control) || has_control(limits.user_agent))
    problem = failure{ec::invalid_spec, "a header would hold control characters", config.origin, "user.as", {}};
}

http_exchange::http_exchange() {
  ensure_curl();
  easy_ = curl_easy_init();
}

http_exchange::~http_exchange() { curl_easy_cleanup(easy_); }

void http_exchange::prepare(const exchange_setup& setup, const api_credentials& credentials, const api_request& request, bool watching, steady_time now) {
  answer_ = {};
  failed_.reset();
  header_bytes_ = 0;
  last_byte_ = now;
  object_ = request.object;
  curl_easy_reset(easy_);
  curl_easy_setopt(easy_, CURLOPT_URL, (setup.base_url + request.target).c_str());
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, setup.config.cluster.server.scheme.c_str());
  curl_easy_setopt(easy_, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy_, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy_, CURLOPT_USERAGENT, setup.limits.user_agent.c_str());
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(1, setup.limits.connect_timeout.count())));
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPIDLE, keepalive_seconds);
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPINTVL, keepalive_seconds / 2);
  if (watching) {
    curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(easy_, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy_, CURLOPT_FORBID_REUSE, 1L);
  } else {
    const bool alone = setup.limits.one_call_per_connection;
    curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, static_cast<long>(alone ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
    if (!alone) curl_easy_setopt(easy_, CURLOPT_PIPEWAIT, 1L);
    if (!setup.config.cluster.disable_compression) curl_easy_setopt(easy_, CURLOPT_ACCEPT_ENCODING, "gzip");
  }
  if (setup.connect_to.get() != nullptr) curl_easy_setopt(easy_, CURLOPT_CONNECT_TO, setup.connect_to.get());
  if (auto proxy = setup.config.cluster.proxy_url; !proxy.empty()) {
    if (proxy.starts_with("socks5://")) proxy.insert(6, "h"); // names are resolved by the proxy
    curl_easy_setopt(easy_, CURLOPT_PROXY, proxy.c_str());
    curl_easy_setopt(easy_, CURLOPT_NOPROXY, "");
  }
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &http_exchange::body_callback);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, &http_exchange::header_callback);
  curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  headers_.clear();
  for (const auto& line : setup.headers) headers_.add(line);
  headers_.add("Accept: " + (request.accept.empty() ? "application/json" : request.accept));
  if (!request.content_type.empty()) headers_.add("Content-Type: " + request.content_type);
  set_security(setup, credentials);
  set_method(request);
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_.get());
}

void http_exchange::set_method(const api_request& request) {
  if (!request.changes_something()) return;
  curl_easy_setopt(easy_, CURLOPT_POST, 1L);
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  curl_easy_setopt(easy_, CURLOPT_COPYPOSTFIELDS, request.body.data());
  curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, std::string{to_string(request.method)}.c_str());
}

void http_exchange::set_security(const exchange_setup& setup, const api_credentials& credentials) {
  curl_easy_setopt(easy_, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  const auto& cluster = setup.config.cluster;
  if (!cluster.server.secure()) return; // neither verified nor anything to hide: credentials belong to https
  curl_easy_setopt(easy_, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, cluster.insecure_skip_verify ? 0L : 1L);
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, cluster.insecure_skip_verify ? 0L : 2L);
  if (!credentials.ca_pem.empty()) {
    auto blob = blob_of(credentials.ca_pem);
    curl_easy_setopt(easy_, CURLOPT_CAINFO_BLOB, &blob);
    curl_easy_setopt(easy_, CURLOPT_CAPATH, nullptr); // it replaces the system's roots
  }
  if (!credentials.client_certificate_pem.empty()) {
    auto certificate = blob_of(credentials.client_certificate_pem);
    auto key = blob_of(credentials.client_key_pem);
    curl_easy_setopt(easy_, CURLOPT_SSLCERTTYPE, "PEM");
    curl_easy_setopt(easy_, CURLOPT_SSLKEYTYPE, "PEM");
    curl_easy_setopt(easy_, CURLOPT_SSLCERT_BLOB, &certificate);
    curl_easy_setopt(easy_, CURLOPT_SSLKEY_BLOB, &key);
    curl_easy_setopt(easy_, CURLOPT_KEYPASSWD, ""); // or OpenSSL would ask the terminal for that of an encrypted key
  }
  if (!credentials.token.empty()) {
    headers_.add("Authorization: Bearer " + credentials.token);
  } else if (!credentials.username.empty()) {
    curl_easy_setopt(easy_, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    curl_easy_setopt(easy_, CURLOPT_USERNAME, credentials.username.c_str());
    curl_easy_setopt(easy_, CURLOPT_PASSWORD, credentials.password.c_str());
  }
}

std::size_t http_exchange::body_callback(char* data, std::size_t size, std::size_t count, void* self) {
  auto& exchange = *static_cast<http_exchange*>(self);
  exchange.last_byte_ = std::chrono::steady_clock::now();
  const auto taken = exchange.on_body({data, size * count});
  if (!taken) return CURL_WRITEFUNC_PAUSE;
  return *taken ? size * count : 0;
}

std::size_t http_exchange::header_callback(char* data, std::size_t size, std::size_t count, void* self) {
  auto& exchange = *static_cast<http_exchange*>(self);
  exchange.last_byte_ = std::chrono::steady_clock::now();
  exchange.header_bytes_ += size * count;
  if (exchange.header_bytes_ > max_header_bytes) {
    exchange.fail({ec::too_large, "the headers of the answer are larger than allowed", exchange.object_, {}, {}});
    return 0;
  }
  exchange.on_header({data, size * count});
  return size * count;
}

void http_exchange::on_header(std::string_view line) {
  if (header_is(line, "warning") && answer_.warnings.size() < max_warnings) {
    const auto open = line.find('"');
    const auto close = line.rfind('"');
    if (open != std::string_view::npos && close > open) answer_.warnings.emplace_back(line.substr(open + 1, std::min(close - open - 1, max_warning_bytes)));
  }
  if (line != "\r\n" && line != "\n") return;
  long status = 0;
  const char* type = nullptr;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(easy_, CURLINFO_CONTENT_TYPE, &type);
  answer_.status = static_cast<int>(status);
  answer_.content_type = type != nullptr ? std::string{type}.substr(0, 100) : "";
  on_head();
}

bool http_exchange::keep(std::string_view bytes, std::size_t limit) {
  if (answer_.body.size() + bytes.size() > limit) {
    fail({ec::too_large, "the answer is larger than the " + std::to_string(limit) + " bytes allowed", object_, {}, {}});
    return false;
  }
  answer_.body.append(bytes);
  return true;
}

std::uint64_t http_exchange::connections() const {
  long opened = 0;
  curl_easy_getinfo(easy_, CURLINFO_NUM_CONNECTS, &opened);
  return static_cast<std::uint64_t>(std::max(0L, opened));
}

result<api_answer> http_exchange::finish(CURLcode code, const exchange_setup& setup) {
  if (failed_) return *std::exchange(failed_, std::nullopt);
  if (code != CURLE_OK) {
    auto why = from_curl(code, setup.server);
    why.object = object_;
    return why;
  }
  curl_off_t wait = 0;
  curl_easy_getinfo(easy_, CURLINFO_RETRY_AFTER, &wait);
  if (wait > 0) answer_.retry_after = std::chrono::seconds{std::min(wait, longest_wait_seconds)};
  return std::exchange(answer_, {});
}

} // namespace veranda::kube
