#pragma once

#include "adapters/kube/api_client.hpp"

#include <curl/curl.h>

namespace veranda::kube {

using steady_time = std::chrono::steady_clock::time_point;

/// Initialises libcurl once per process.
void ensure_curl();

/// What a libcurl result code other than success means for a request to `server`.
[[nodiscard]] failure from_curl(int code, const std::string& server);

/// A list of header lines, or of what else libcurl takes as one.
class curl_list {
public:
  curl_list() = default;
  curl_list(const curl_list&) = delete;
  curl_list& operator=(const curl_list&) = delete;
  ~curl_list() { clear(); }
  void clear() {
    curl_slist_free_all(list_);
    list_ = nullptr;
  }
  void add(const std::string& line) { list_ = curl_slist_append(list_, line.c_str()); }
  [[nodiscard]] curl_slist* get() const noexcept { return list_; }

private:
  curl_slist* list_ = nullptr;
};

/// What all transfers of one client have in common.
struct exchange_setup {
  exchange_setup(const client_config& config, const client_limits& limits);

  client_config config;
  client_limits limits;
  std::string base_url;
  std::string server; ///< for texts
  curl_list connect_to;
  std::vector<std::string> headers;
  std::optional<failure> problem; ///< something that no header can carry
};

/// One request and its answer on one libcurl handle. The owner adds the handle to a multi handle and removes it before this goes.
class http_exchange {
public:
  http_exchange();
  http_exchange(const http_exchange&) = delete;
  http_exchange& operator=(const http_exchange&) = delete;
  virtual ~http_exchange();

  /// `watching`: a connection of its own, no compression.
  void prepare(const exchange_setup& setup, const api_credentials& credentials, const api_request& request, bool watching, steady_time now);
  [[nodiscard]] CURL* handle() const noexcept { return easy_; }
  [[nodiscard]] steady_time last_byte() const noexcept { return last_byte_; }
  [[nodiscard]] std::uint64_t connections() const;
  /// The answer once libcurl has finished with `code`, or why there is none.
  result<api_answer> finish(CURLcode code, const exchange_setup& setup);

protected:
  /// Part of the body; false ends the transfer with `fail`ure, nothing pauses it and has the same part come again.
  virtual std::optional<bool> on_body(std::string_view bytes) = 0;
  /// Status and headers are complete.
  virtual void on_head() {}
  void fail(failure why) { failed_ = std::move(why); }
  [[nodiscard]] const api_answer& answer() const noexcept { return answer_; }
  [[nodiscard]] std::string& body() noexcept { return answer_.body; }
  /// Appends to the body unless it grows beyond `limit`.
  bool keep(std::string_view bytes, std::size_t limit);

private:
  static std::size_t body_callback(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t header_callback(char* data, std::size_t size, std::size_t count, void* self);
  void on_header(std::string_view line);
  void set_security(const exchange_setup& setup, const api_credentials& credentials);
  void set_method(const api_request& request);

  CURL* easy_;
  curl_list headers_;
  api_answer answer_;
  std::optional<failure> failed_;
  std::string object_;
  std::size_t header_bytes_ = 0;
  steady_time last_byte_{};
};

} // namespace veranda::kube
