#include "tools/veranda/client.hpp"

#include <curl/curl.h>
#include <nlohmann/json.hpp>

#include <array>
#include <fstream>

namespace veranda::cli {
namespace {

constexpr std::size_t max_answer_bytes = 512U << 20U;
constexpr std::size_t max_line_bytes = 64U << 20U;
constexpr long connect_seconds = 10;
constexpr std::chrono::milliseconds longest_call{600'000};
constexpr long quiet_seconds = 60;

struct handle_deleter {
  void operator()(CURL* h) const { curl_easy_cleanup(h); }
  void operator()(CURLU* u) const { curl_url_cleanup(u); }
  void operator()(curl_slist* l) const { curl_slist_free_all(l); }
};

/// One part of a URL, empty when there is none.
std::string url_part(const std::string& url, CURLUPart part) {
  const std::unique_ptr<CURLU, handle_deleter> u{curl_url()};
  char* text = nullptr;
  if (!u || curl_url_set(u.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK || curl_url_get(u.get(), part, &text, 0) != CURLUE_OK)
    return {};
  std::string out{text};
  curl_free(text);
  return out;
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "[::1]" || host == "::1" || host.starts_with("127.");
}

std::string first_line(const std::string& file) {
  std::ifstream in{file};
  std::string line;
  std::getline(in, line);
  while (!line.empty() && (line.back() == '\r' || line.back() == ' '))
    line.pop_back();
  return line;
}

/// How long a transfer may take: a watch may be quiet for as long as it likes.
struct transfer_limit {
  std::chrono::milliseconds total{0}; ///< zero: no limit
  bool quiet = false;
};

/// Where received bytes go; returning false ends the transfer.
using sink = std::function<bool(std::string_view)>;

std::size_t on_data(char* data, std::size_t size, std::size_t count, void* target) {
  return (*static_cast<sink*>(target))({data, size * count}) ? size * count : 0;
}

} // namespace

struct api_client::impl {
  server_options options;
  std::unique_ptr<CURL, handle_deleter> handle{curl_easy_init()};
  bool to_loopback = false;
  std::string setup_problem;

  explicit impl(server_options o) : options(std::move(o)) {
    while (options.server.ends_with('/'))
      options.server.pop_back();
    const auto scheme = url_part(options.server, CURLUPART_SCHEME);
    to_loopback = is_loopback(url_part(options.server, CURLUPART_HOST));
    if (scheme != "http" && scheme != "https")
      setup_problem = "the server must be an http:// or https:// URL";
    else if (!url_part(options.server, CURLUPART_USER).empty())
      setup_problem = "the server's URL must not carry a user; the token is in VERANDA_TOKEN or the data directory";
    if (options.token.empty() && !options.data_dir.empty())
      options.token = first_line(options.data_dir + "/token");
    if (setup_problem.empty() && scheme == "http" && !to_loopback && !options.token.empty())
      setup_problem = "the token is not sent over plain http to another machine: use https:// with --ca-file";
  }

  result<long> transfer(const std::string& method, const std::string& path, const std::string& accept, const std::string& body,
                        const std::string& content_type, transfer_limit limit, sink receive) {
    if (!setup_problem.empty())
      return failure{ec::invalid_spec, setup_problem, options.server, {}, {}};
    auto* h = handle.get();
    curl_easy_reset(h);
    const auto url = options.server + path;
    curl_slist* list = curl_slist_append(nullptr, ("Accept: " + accept).c_str());
    if (!options.token.empty())
      list = curl_slist_append(list, ("Authorization: Bearer " + options.token).c_str());
    if (!content_type.empty())
      list = curl_slist_append(list, ("Content-Type: " + content_type).c_str());
    list = curl_slist_append(list, "Expect:");
    const std::unique_ptr<curl_slist, handle_deleter> headers{list};
    std::array<char, CURL_ERROR_SIZE> why{};
    curl_easy_setopt(h, CURLOPT_URL, url.c_str());
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_USERAGENT, "veranda");
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, connect_seconds);
    curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method.c_str());
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, why.data());
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, &receive);
    curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
    if (to_loopback)
      curl_easy_setopt(h, CURLOPT_NOPROXY, "*");
    if (!options.ca_file.empty())
      curl_easy_setopt(h, CURLOPT_CAINFO, options.ca_file.c_str());
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, static_cast<long>(limit.total.count()));
    if (!limit.quiet) {
      curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
      curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, quiet_seconds);
    }
    if (!body.empty()) {
      curl_easy_setopt(h, CURLOPT_POSTFIELDS, body.data());
      curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    }
    const auto code = curl_easy_perform(h);
    long status = 0;
    curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && limit.quiet))
      return status;
    std::string text = why.front() != '\0' ? why.data() : curl_easy_strerror(code);
    if (code == CURLE_COULDNT_CONNECT)
      text += "; is verandad running there? (--server, VERANDA_SERVER)";
    const auto kind = code == CURLE_WRITE_ERROR ? ec::too_large : code == CURLE_OPERATION_TIMEDOUT ? ec::timed_out : ec::unreachable;
    return failure{kind, text, options.server, {}, {}};
  }
};

api_client::api_client(server_options options) : impl_(std::make_unique<impl>(std::move(options))) {}
api_client::~api_client() = default;

const std::string& api_client::server() const { return impl_->options.server; }

result<answer> api_client::call(const std::string& method, const std::string& path, const std::string& accept, const std::string& body,
                                const std::string& content_type) {
  answer a;
  const auto status = impl_->transfer(method, path, accept, body, content_type, {longest_call, false}, [&a](std::string_view data) {
    a.body += data;
    return a.body.size() <= max_answer_bytes;
  });
  if (!status)
    return status.error();
  a.status = *status;
  return a;
}

result<std::string> api_client::get(const std::string& path, const std::string& accept) {
  auto a = call("GET", path, accept);
  if (!a)
    return a.error();
  if (a->status != 200)
    return failure_of(*a, path);
  return std::move(a->body);
}

result<void> api_client::watch(const std::string& path, const std::string& accept, const std::function<bool(const std::string&)>& on_line,
                               std::chrono::milliseconds limit) {
  std::string line;
  const auto receive = [&](std::string_view data) {
    for (const char c : data) {
      if (c != '\n') {
        line += c;
        continue;
      }
      if (!on_line(line))
        return false;
      line.clear();
    }
    return line.size() <= max_line_bytes;
  };
  const auto status = impl_->transfer("GET", path, accept, {}, {}, {limit, true}, receive);
  if (!status)
    return status.error();
  if (*status != 200)
    return failure_of({*status, line}, path);
  return {};
}

namespace {

/// Every cause on a line of its own; empty when there are not several.
std::string list_of_causes(const nlohmann::json& status) {
  static const nlohmann::json::json_pointer causes{"/details/causes"};
  if (!status.contains(causes) || !status[causes].is_array() || status[causes].size() < 2)
    return {};
  std::string out;
  for (const auto& c : status[causes])
    if (c.is_object())
      out += "\n* " + c.value("field", "") + ": " + c.value("message", "");
  return out;
}

} // namespace

failure failure_of(const answer& a, const std::string& what) {
  const auto status = nlohmann::json::parse(a.body, nullptr, false);
  std::string message = "the server answered " + std::to_string(a.status);
  if (status.is_object() && status.contains("message") && status["message"].is_string())
    message = status["message"].get<std::string>();
  if (const auto causes = list_of_causes(status); !causes.empty())
    message = message.substr(0, message.find(" is invalid: ")) + " is invalid:" + causes;
  if (a.status == 401)
    return {ec::auth_rejected, message + ": give --data-dir (the daemon's), or VERANDA_TOKEN", {}, {}, {}};
  const auto code = a.status == 404   ? ec::not_found
                    : a.status == 409 ? ec::conflict
                    : a.status == 410 ? ec::stale
                    : a.status == 403 ? ec::auth_rejected
                    : a.status >= 500 ? ec::unavailable
                                      : ec::invalid_spec;
  const bool told = status.is_object() && status.contains("message");
  return {code, message, told ? std::string{} : what.substr(0, what.find('?')), {}, {}};
}

std::string encode(std::string_view text) {
  constexpr std::string_view plain = "-._~";
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if ((u < 128 && std::isalnum(u) != 0) || plain.find(c) != std::string_view::npos)
      out += c;
    else
      ((out += '%') += digits[u >> 4U]) += digits[u & 15U];
  }
  return out;
}

} // namespace veranda::cli
