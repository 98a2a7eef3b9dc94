#pragma once

#include "tests/support/stream_server.hpp"

namespace veranda::test {

/// An HTTP server on a free port of `at` that answers what a test tells it to. The handler gets the head and body of a request and returns the raw bytes of the
/// answer; an empty string means: never answer. Connections are kept as long as the client keeps them and answers say how long they are.
class scripted_server : public stream_server {
public:
  using handler = std::function<std::string(const std::string& request)>;
  explicit scripted_server(handler answer, const char* at = "127.0.0.1")
      : stream_server(
          [answer = std::move(answer)](const std::string& request, peer& to) {
            const auto bytes = answer(request);
            to.send(bytes);
            if (!bytes.empty() && bytes.find("Content-Length") == std::string::npos)
              to.close_after();
          },
          at) {}
  [[nodiscard]] std::string url(const std::string& path = "/repo", const std::string& host = {}) const { return stream_server::url(host) + path; }
  /// An HTTP answer with its length.
  static std::string reply(const std::string& status, const std::string& type, const std::string& body, const std::string& more_headers = {}) {
    return stream_server::reply(status, body, more_headers, type);
  }
};

} // namespace veranda::test
