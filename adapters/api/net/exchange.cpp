#include "adapters/api/net/exchange.hpp"

#include "adapters/api/status.hpp"

namespace veranda::api::net_detail {

namespace {

constexpr std::string_view server_name = "veranda";

template <class Body>
void fill(http::response<Body>& out, const exchange& e, const reply& r) {
  out.result(static_cast<unsigned>(r.status));
  out.version(e.version);
  out.set(http::field::server, beast::string_view{server_name.data(), server_name.size()});
  out.set(http::field::content_type, r.content_type);
  out.set(http::field::cache_control, "no-cache, private");
  out.set("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : r.headers)
    out.set(name, value);
}

} // namespace

void take_head(exchange& e) {
  const auto& q = e.parser.get();
  const auto target = std::string_view{q.target().data(), q.target().size()};
  const auto mark = target.find('?');
  e.asked.method = std::string{q.method_string()};
  e.asked.path = std::string{target.substr(0, mark)};
  e.asked.query = mark == std::string_view::npos ? std::string{} : std::string{target.substr(mark + 1)};
  e.asked.accept = std::string{q[http::field::accept]};
  e.asked.content_type = std::string{q[http::field::content_type]};
  e.head = q.method() == http::verb::head;
  e.keep_alive = q.keep_alive();
  e.version = q.version();
}

std::optional<reply> refusal(const guard& gate, const exchange& e) {
  const auto& q = e.parser.get();
  const auto field = [&q](http::field f) { return std::string{q[f]}; };
  if (q.count(http::field::host) > 1 || !gate.host_allowed(field(http::field::host)))
    return status_reply(403, "Forbidden", "the Host header does not name this server; use the address that it listens on");
  if (!gate.origin_allowed(field(http::field::origin)))
    return status_reply(403, "Forbidden", "requests from web pages of other origins are refused");
  if (is_public(e.asked.path) || gate.authorized(field(http::field::authorization)))
    return std::nullopt;
  auto r = status_reply(401, "Unauthorized", "a valid bearer token is needed");
  r.headers.emplace_back("WWW-Authenticate", "Bearer");
  return r;
}

std::optional<reply> broken_reply(beast_error error, std::uint64_t max_body_bytes) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return status_reply(431, "RequestHeaderFieldsTooLarge", "the request headers are too large");
  if (error == http::error::body_limit)
    return status_reply(413, "RequestEntityTooLarge", "the request body is larger than " + std::to_string(max_body_bytes) + " bytes");
  if (error.category() == make_error_code(http::error::end_of_stream).category() && error != http::error::end_of_stream && error != http::error::partial_message)
    return status_reply(400, "BadRequest", "the request is not valid HTTP");
  return std::nullopt;
}

void fill_whole(exchange& e, reply& r) {
  e.whole.emplace();
  fill(*e.whole, e, r);
  e.whole->keep_alive(e.keep_alive);
  if (e.head) {
    if (!r.stream)
      e.whole->content_length(r.body.size());
    e.whole_writer.emplace(*e.whole);
    return;
  }
  e.sent_bytes = r.body.size();
  e.whole->body() = std::move(r.body);
  e.whole->prepare_payload();
}

void fill_stream(exchange& e, reply& r) {
  e.chunked = e.version >= 11;
  if (!e.chunked || e.where.action == verb::watch) // the read that tells when a watching client goes may take what it sends next
    e.keep_alive = false;
  e.body = std::move(r.stream);
  e.piece = std::move(r.body);
  e.stream_head.emplace();
  fill(*e.stream_head, e, r);
  e.stream_head->keep_alive(e.keep_alive);
  e.stream_head->chunked(e.chunked);
  e.stream_writer.emplace(*e.stream_head);
}

body_stream::step next_step(exchange& e) noexcept {
  try {
    return e.body->next();
  } catch (const std::exception&) {
    body_stream::step s;
    s.broken = true;
    return s;
  }
}

std::string access_line(const exchange& e) {
  if (e.asked.method.empty() || is_public(e.asked.path))
    return {};
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - e.started).count();
  return e.asked.method.substr(0, 16) + " " + e.asked.path.substr(0, 512) + " " + std::to_string(e.status) + " " + std::to_string(e.sent_bytes) + "B " +
         std::to_string(us / 1000) + "." + std::to_string(us / 100 % 10) + "ms";
}

} // namespace veranda::api::net_detail
