#pragma once

#include "adapters/api/net/server_core.hpp"
#include "adapters/api/status.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include <optional>

namespace veranda::api::net_detail {

namespace beast = boost::beast;
namespace http = beast::http;
namespace asio = boost::asio;
using beast_error = beast::error_code;
using tls_stream = beast::ssl_stream<beast::tcp_stream>;

inline constexpr std::string_view server_name = "veranda";
/// How long and how much of what a refused client still sends is read away, so that it gets to see the answer.
inline constexpr std::chrono::seconds drain_time{2};
inline constexpr std::size_t drain_bytes = 8U << 20U;
/// Signals within this time cost a watch one look.
inline constexpr std::chrono::milliseconds wake_delay{5};

/// One connection: reads a request, lets the handler answer it on the right threads, writes the answer, again. Everything here runs on the connection's strand.
template <class Stream>
class session final : public connection, public std::enable_shared_from_this<session<Stream>> {
public:
  template <class... Args>
  explicit session(server_core& core, Args&&... args)
      : core_(core), stream_(std::forward<Args>(args)...), buffer_(core.settings.max_header_bytes + 4096), timer_(stream_.get_executor()) {}
  ~session() override { core_.leave(this); }
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  void run() {
    asio::dispatch(stream_.get_executor(), [self = this->shared_from_this()] { self->handshake(); });
  }
  void wake() override {
    asio::post(stream_.get_executor(), [self = this->shared_from_this()] { self->on_wake(); });
  }
  void close() override {
    asio::post(stream_.get_executor(), [self = this->shared_from_this()] { self->on_close(); });
  }

private:
  static constexpr bool secure = std::is_same_v<Stream, tls_stream>;
  using parser_type = http::request_parser<http::string_body>;

  /// One request and its answer.
  struct exchange {
    parser_type parser;
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
    std::optional<http::response<http::string_body>> whole;
    std::optional<http::response_serializer<http::string_body>> whole_writer;
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

  auto& lowest() { return beast::get_lowest_layer(stream_); }

  /// A handler on the strand that keeps the connection alive.
  template <class F>
  auto then(F f) {
    return [self = this->shared_from_this(), f](beast_error error, auto... rest) { (self.get()->*f)(error, rest...); };
  }

  void handshake() {
    lowest().expires_after(core_.settings.header_timeout);
    if constexpr (secure)
      stream_.async_handshake(asio::ssl::stream_base::server, then(&session::on_handshake));
    else
      read_header();
  }

  void on_handshake(beast_error error) {
    if (!error)
      read_header();
  }

  void read_header() {
    if (core_.stopping)
      return finish();
    now_.emplace(); // nothing of the last exchange is left
    now_->parser.header_limit(static_cast<std::uint32_t>(core_.settings.max_header_bytes));
    now_->parser.body_limit(core_.settings.max_body_bytes);
    lowest().expires_after(served_ == 0 ? core_.settings.header_timeout : core_.settings.idle_timeout);
    http::async_read_header(stream_, buffer_, now_->parser, then(&session::on_header));
  }

  void on_header(beast_error error, std::size_t) {
    now_->started = std::chrono::steady_clock::now();
    if (error)
      return refuse_broken(error);
    ++core_.requests;
    const auto& q = now_->parser.get();
    const auto target = std::string_view{q.target().data(), q.target().size()};
    const auto mark = target.find('?');
    now_->asked.method = std::string{q.method_string()};
    now_->asked.path = std::string{target.substr(0, mark)};
    now_->asked.query = mark == std::string_view::npos ? std::string{} : std::string{target.substr(mark + 1)};
    now_->asked.accept = std::string{q[http::field::accept]};
    now_->asked.content_type = std::string{q[http::field::content_type]};
    now_->head = q.method() == http::verb::head;
    now_->keep_alive = q.keep_alive();
    now_->version = q.version();
    if (auto refusal = refuse())
      return send_and_close(std::move(*refusal));
    if (beast::iequals(q[http::field::expect], "100-continue"))
      return send_continue();
    read_body();
  }

  /// Who is not let in, and why.
  std::optional<reply> refuse() {
    const auto& q = now_->parser.get();
    const auto field = [&q](http::field f) { return std::string{q[f]}; };
    if (q.count(http::field::host) > 1 || !core_.gate.host_allowed(field(http::field::host)))
      return status_reply(403, "Forbidden", "the Host header does not name this server; add the name to its host names if it should");
    if (!core_.gate.origin_allowed(field(http::field::origin)))
      return status_reply(403, "Forbidden", "requests from web pages of other origins are refused");
    if (is_public(now_->asked.path))
      return std::nullopt;
    if (!core_.gate.authorized(field(http::field::authorization))) {
      auto r = status_reply(401, "Unauthorized", "a valid bearer token is needed");
      r.headers.emplace_back("WWW-Authenticate", "Bearer");
      return r;
    }
    return std::nullopt;
  }

  void refuse_broken(beast_error error) {
    if (error == http::error::header_limit || error == http::error::buffer_overflow)
      return send_and_close(status_reply(431, "RequestHeaderFieldsTooLarge", "the request headers are too large"));
    if (error == http::error::body_limit)
      return send_and_close(status_reply(413, "RequestEntityTooLarge",
                                         "the request body is larger than " + std::to_string(core_.settings.max_body_bytes) + " bytes"));
    if (error.category() == make_error_code(http::error::end_of_stream).category() && error != http::error::end_of_stream &&
        error != http::error::partial_message)
      return send_and_close(status_reply(400, "BadRequest", "the request is not valid HTTP"));
    finish();
  }

  void send_continue() {
    now_->go_on.emplace(http::status::continue_, now_->version);
    http::async_write(stream_, *now_->go_on, then(&session::on_continue));
  }

  void on_continue(beast_error error, std::size_t) {
    if (!error)
      read_body();
  }

  void read_body() {
    lowest().expires_after(core_.settings.idle_timeout);
    http::async_read(stream_, buffer_, now_->parser, then(&session::on_body));
  }

  void on_body(beast_error error, std::size_t) {
    if (error)
      return refuse_broken(error);
    now_->asked.body = std::move(now_->parser.get().body());
    now_->where = route_request(now_->asked.method, now_->asked.path, now_->asked.query);
    switch (request_handler::lane_of(now_->where)) {
    case lane::immediate:
      return send(core_.handler.handle(now_->where, now_->asked));
    case lane::read:
      return answer_on(core_.readers);
    case lane::call:
      return answer_on(core_.callers);
    }
  }

  void answer_on(asio::thread_pool& pool) {
    lowest().expires_never();
    asio::post(pool, [self = this->shared_from_this()] {
      auto answer = std::make_shared<reply>(self->core_.handler.handle(self->now_->where, self->now_->asked));
      asio::post(self->stream_.get_executor(), [self, answer] { self->send(std::move(*answer)); });
    });
  }

  // ---- answering

  void send_and_close(reply r) {
    now_->keep_alive = false;
    now_->drain = true;
    send(std::move(r));
  }

  template <class Body>
  void fill(http::response<Body>& out, const reply& r) {
    out.result(static_cast<unsigned>(r.status));
    out.version(now_->version);
    out.set(http::field::server, beast::string_view{server_name.data(), server_name.size()});
    out.set(http::field::content_type, r.content_type);
    out.set(http::field::cache_control, "no-cache, private");
    out.set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : r.headers)
      out.set(name, value);
  }

  void send(reply r) {
    now_->status = r.status;
    now_->sent_bytes = 0;
    lowest().expires_after(core_.settings.idle_timeout);
    if (r.stream && !now_->head)
      return send_stream(std::move(r));
    now_->whole.emplace();
    fill(*now_->whole, r);
    now_->whole->keep_alive(now_->keep_alive);
    if (now_->head) {
      if (!r.stream)
        now_->whole->content_length(r.body.size());
    } else {
      now_->sent_bytes = r.body.size();
      now_->whole->body() = std::move(r.body);
      now_->whole->prepare_payload();
    }
    if (now_->head) {
      now_->whole_writer.emplace(*now_->whole);
      return http::async_write_header(stream_, *now_->whole_writer, then(&session::on_answered));
    }
    http::async_write(stream_, *now_->whole, then(&session::on_answered));
  }

  void on_answered(beast_error error, std::size_t) {
    log_access();
    ++served_;
    now_->asked = {}; // idle from here on
    if (error)
      return;
    if (!now_->keep_alive)
      return finish();
    read_header();
  }

  void send_stream(reply r) {
    now_->chunked = now_->version >= 11;
    const bool watch = now_->where.action == verb::watch;
    if (!now_->chunked || watch) // the read that tells when a watching client goes may take what it sends next
      now_->keep_alive = false;
    now_->body = std::move(r.stream);
    now_->piece = std::move(r.body);
    now_->stream_head.emplace();
    fill(*now_->stream_head, r);
    now_->stream_head->keep_alive(now_->keep_alive);
    now_->stream_head->chunked(now_->chunked);
    now_->stream_writer.emplace(*now_->stream_head);
    if (watch) {
      now_->watching.emplace(core_.watches);
      monitor();
    }
    http::async_write_header(stream_, *now_->stream_writer, then(&session::on_stream_head));
  }

  void on_stream_head(beast_error error, std::size_t) {
    if (error)
      return abort();
    if (now_->piece.empty())
      return pull();
    write_piece();
  }

  /// Asks for the next piece once the last one has gone.
  void pull() {
    now_->woken = false;
    now_->waiting = false;
    asio::post(core_.readers, [self = this->shared_from_this()] {
      auto step = std::make_shared<body_stream::step>(self->next_step());
      asio::post(self->stream_.get_executor(), [self, step] { self->on_step(std::move(*step)); });
    });
  }

  body_stream::step next_step() noexcept {
    try {
      return now_->body->next();
    } catch (const std::exception&) {
      body_stream::step s;
      s.broken = true;
      return s;
    }
  }

  void on_step(body_stream::step s) {
    if (aborted_ || s.broken)
      return abort();
    now_->last = s.done;
    now_->wait = s.wait_at_most;
    now_->piece = std::move(s.data);
    if (now_->piece.empty())
      return on_piece_gone();
    write_piece();
  }

  void write_piece() {
    now_->sent_bytes += now_->piece.size();
    lowest().expires_after(core_.settings.idle_timeout);
    if (now_->chunked)
      asio::async_write(stream_, http::make_chunk(asio::buffer(now_->piece)), then(&session::on_piece));
    else
      asio::async_write(stream_, asio::buffer(now_->piece), then(&session::on_piece));
  }

  void on_piece(beast_error error, std::size_t) {
    if (error || aborted_)
      return abort();
    now_->piece.clear();
    on_piece_gone();
  }

  void on_piece_gone() {
    if (now_->last || (core_.stopping && now_->wait.count() > 0))
      return end_stream();
    if (now_->wait.count() == 0)
      return pull();
    now_->waiting = true;
    timer_.expires_after(now_->woken ? std::chrono::milliseconds{wake_delay} : now_->wait);
    timer_.async_wait([self = this->shared_from_this()](beast_error) { self->on_timer(); });
  }

  void on_timer() {
    if (!now_->waiting)
      return;
    if (aborted_)
      return abort();
    if (core_.stopping)
      return end_stream();
    if (now_->woken && !now_->settled) { // let the burst that woke us settle
      now_->settled = true;
      timer_.expires_after(wake_delay);
      return timer_.async_wait([self = this->shared_from_this()](beast_error) { self->on_timer(); });
    }
    now_->settled = false;
    pull();
  }

  void on_wake() {
    if (now_->woken)
      return;
    now_->woken = true;
    if (now_->waiting)
      timer_.cancel();
  }

  void end_stream() {
    now_->waiting = false;
    now_->body.reset();
    now_->watching.reset();
    if (!now_->chunked)
      return on_answered({}, 0);
    lowest().expires_after(core_.settings.idle_timeout);
    asio::async_write(stream_, http::make_chunk_last(), then(&session::on_answered));
  }

  /// While a watch is quiet, only reading tells that the client went.
  void monitor() {
    monitoring_ = true;
    lowest().expires_never();
    stream_.async_read_some(asio::buffer(spare_), then(&session::on_monitored));
  }

  void on_monitored(beast_error, std::size_t) {
    if (!monitoring_ || !now_->body)
      return;
    aborted_ = true;
    if (now_->waiting)
      timer_.cancel();
  }

  void abort() {
    if (now_->body) {
      now_->body.reset();
      now_->watching.reset();
      log_access();
    }
    now_->waiting = false;
    beast_error ignored;
    lowest().socket().close(ignored);
  }

  void on_close() {
    if (now_->waiting)
      timer_.cancel();
    else if (!now_->body && now_->asked.method.empty())
      abort(); // idle between requests
  }

  // ---- the end

  void finish() {
    if (monitoring_) { // a read is pending that only the end of the connection completes
      monitoring_ = false;
      beast_error ignored;
      lowest().socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
      return;
    }
    lowest().expires_after(drain_time);
    if constexpr (secure) {
      stream_.async_shutdown([self = this->shared_from_this()](beast_error) {});
    } else {
      beast_error ignored;
      lowest().socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
      if (now_->drain)
        drain();
    }
  }

  void drain() { lowest().async_read_some(asio::buffer(spare_), then(&session::on_drained)); }

  void on_drained(beast_error error, std::size_t n) {
    drained_ += n;
    if (!error && drained_ < drain_bytes)
      drain();
  }

  void log_access() {
    if (!core_.log || now_->asked.method.empty() || is_public(now_->asked.path))
      return;
    const auto ms = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - now_->started).count();
    core_.log(now_->asked.method.substr(0, 16) + " " + now_->asked.path.substr(0, 512) + " " + std::to_string(now_->status) + " " +
              std::to_string(now_->sent_bytes) + "B " + std::to_string(ms / 1000) + "." + std::to_string(ms / 100 % 10) + "ms");
  }

  server_core& core_;
  Stream stream_;
  beast::flat_buffer buffer_;
  asio::steady_timer timer_;
  std::optional<exchange> now_{std::in_place}; ///< never empty
  std::uint64_t served_ = 0;
  std::size_t drained_ = 0;
  bool monitoring_ = false; ///< from here on only of the connection's last answer
  bool aborted_ = false;
  std::array<char, 4096> spare_{};
};

} // namespace veranda::api::net_detail
