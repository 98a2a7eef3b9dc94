#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace veranda::api {

/// One HTTP request as the handler sees it: complete, bounded and already authenticated.
struct request {
  std::string method;
  std::string path;  ///< still percent-encoded, without the query
  std::string query; ///< without `?`
  std::string accept;
  std::string content_type;
  std::string body;
};

/// A body made piece by piece, pulled by the connection when the client has taken the last piece: memory stays flat however slow the client is.
class body_stream {
public:
  struct step {
    std::string data;
    bool done = false;                         ///< nothing follows `data`
    bool broken = false;                       ///< the body cannot be completed: cut the connection, so that the client notices
    std::chrono::milliseconds wait_at_most{0}; ///< before the next call, unless a change is signalled; zero: call again at once
  };
  virtual ~body_stream() = default;
  /// Blocks on disk only. One call at a time, from any thread.
  virtual step next() = 0;
};

struct reply {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::unique_ptr<body_stream> stream; ///< when set, goes on where `body` ends
};

} // namespace veranda::api
