#pragma once

#include "messages/model/failure.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace veranda::cli {

/// Where the daemon is and how it is asked.
struct server_options {
  std::string server;   ///< base URL without trailing slash
  std::string data_dir; ///< the token is in `<data_dir>/token`
  std::string token;    ///< beats the file
  std::string ca_file;  ///< PEM; replaces the system's roots
};

struct answer {
  long status = 0;
  std::string body;
};

/// Calls the daemon. Redirects are not followed, answers are bounded, every call but a watch ends in time. Used by one thread; blocks.
class api_client {
public:
  explicit api_client(server_options options);
  ~api_client();
  api_client(const api_client&) = delete;
  api_client& operator=(const api_client&) = delete;

  /// Any HTTP status is an answer; failures are those of the connection.
  result<answer> call(const std::string& method, const std::string& path, const std::string& accept = "application/json", const std::string& body = {},
                      const std::string& content_type = {});
  /// As `call` with GET, but a status other than 200 is a failure told as the server's `Status` does.
  result<std::string> get(const std::string& path, const std::string& accept = "application/json");
  /// Reads a watch line by line until it ends, `on_line` returns false or `limit` is over (`timed_out`; zero: no limit).
  result<void> watch(const std::string& path, const std::string& accept, const std::function<bool(const std::string&)>& on_line,
                     std::chrono::milliseconds limit = {});
  [[nodiscard]] const std::string& server() const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// The failure that an answer with an error status tells.
[[nodiscard]] failure failure_of(const answer& a, const std::string& what);
/// Percent-encodes one path segment or query value.
[[nodiscard]] std::string encode(std::string_view text);

} // namespace veranda::cli
