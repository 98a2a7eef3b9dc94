#pragma once

#include "adapters/api/net/server_core.hpp"

#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <optional>

namespace veranda::api::net_detail {

namespace beast = boost::beast;
namespace http = beast::http;
namespace asio = boost::asio;
using beast_error = beast::error_code;

/// One request and its answer.
struct exchange {
  http::request_parser<http::string_body> parser;
  request asked;
  route where;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  bool head = false;
  bool keep_alive = false;
  bool drain = false;
  unsigned version = 11;
  int status = 0;
  std::uint64_t sent_bytes = 0;
  std::optional<http::response<http::empty_body>> go_on;
  // an answer known as a whole
  std::optional<http::response<http::string_body>> whole;
  std::optional<http::response_serializer<http::string_body>> whole_writer;
  // an answer in pieces
  std::optional<http::response<http::empty_body>> stream_head;
  std::optional<http::response_serializer<http::empty_body>> stream_writer;
  std::unique_ptr<body_stream> body;
  std::string piece;
  std::chrono::milliseconds wait{0};
  std::optional<counted> watching;
  bool chunked = true;
  bool last = false;
  bool waiting = false;
  bool woken = false;
  bool settled = false;
};

/// Takes what the request's head says from the parser.
void take_head(exchange& e);
/// Why the client is not let in, if it is not. The head was taken.
[[nodiscard]] std::optional<reply> refusal(const guard& gate, const exchange& e);
/// What a request that cannot be read is answered with; nothing when the connection is to be closed without a word.
[[nodiscard]] std::optional<reply> broken_reply(beast_error error, std::uint64_t max_body_bytes);
/// Makes the answer that is known as a whole. Takes the body of `r`.
void fill_whole(exchange& e, reply& r);
/// Makes the head of an answer in pieces, and takes them from `r`.
void fill_stream(exchange& e, reply& r);
/// The next piece of the answer; one that cannot be made is `broken`. Blocks as the stream does.
[[nodiscard]] body_stream::step next_step(exchange& e) noexcept;
/// One line about it, for the log; empty for requests that tell nothing.
[[nodiscard]] std::string access_line(const exchange& e);

} // namespace veranda::api::net_detail
