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
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(core_.settings.max_header_bytes));
    parser_->body_limit(core_.settings.max_body_bytes);
    lowest().expires_after(served_ == 0 ? core_.settings.header_timeout : core_.settings.idle_timeout);
    http::async_read_header(stream_, buffer_, *parser_, then(&session::on_header));
  }

  void on_header(beast_error error, std::size_t) {
    started_ = std::chrono::steady_clock::now();
    if (error)
      return refuse_broken(error);
    const auto& q = parser_->get();
    const auto target = std::string_view{q.target().data(), q.target().size()};
    const auto mark = target.find('?');
    request_.method = std::string{q.method_string()};
    request_.path = std::string{target.substr(0, mark)};
    request_.query = mark == std::string_view::npos ? std::string{} : std::string{target.substr(mark + 1)};
    request_.accept = std::string{q[http::field::accept]};
    request_.content_type = std::string{q[http::field::content_type]};
    head_ = q.method() == http::verb::head;
    keep_alive_ = q.keep_alive();
    version_ = q.version();
    if (auto refusal = refuse())
      return send_and_close(std::move(*refusal));
    if (beast::iequals(q[http::field::expect], "100-continue"))
      return send_continue();
    read_body();
  }

  /// Who is not let in, and why.
  std::optional<reply> refuse() {
    const auto& q = parser_->get();
    const auto field = [&q](http::field f) { return std::string{q[f]}; };
    if (q.count(http::field::host) > 1 || !core_.gate.host_allowed(field(http::field::host)))
      return status_reply(403, "Forbidden", "the Host header does not name this server; add the name to its host names if it should");
    if (!core_.gate.origin_allowed(field(http::field::origin)))
      return status_reply(403, "Forbidden", "requests from web pages of other origins are refused");
    if (is_public(request_.path))
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
    continue_.emplace(http::status::continue_, version_);
    http::async_write(stream_, *continue_, then(&session::on_continue));
  }

  void on_continue(beast_error error, std::size_t) {
    if (!error)
      read_body();
  }

  void read_body() {
    lowest().expires_after(core_.settings.idle_timeout);
    http::async_read(stream_, buffer_, *parser_, then(&session::on_body));
  }

  void on_body(beast_error error, std::size_t) {
    if (error)
      return refuse_broken(error);
    request_.body = std::move(parser_->get().body());
    route_ = route_request(request_.method, request_.path, request_.query);
    switch (request_handler::lane_of(route_)) {
    case lane::immediate:
      return send(core_.handler.handle(route_, request_));
    case lane::read:
      return answer_on(core_.readers);
    case lane::call:
      return answer_on(core_.callers);
    }
  }

  void answer_on(asio::thread_pool& pool) {
    lowest().expires_never();
    asio::post(pool, [self = this->shared_from_this()] {
      auto answer = std::make_shared<reply>(self->core_.handler.handle(self->route_, self->request_));
      asio::post(self->stream_.get_executor(), [self, answer] { self->send(std::move(*answer)); });
    });
  }

  // ---- answering

  void send_and_close(reply r) {
    keep_alive_ = false;
    drain_ = true;
    send(std::move(r));
  }

  template <class Body>
  void fill(http::response<Body>& out, const reply& r) {
    out.result(static_cast<unsigned>(r.status));
    out.version(version_);
    out.set(http::field::server, beast::string_view{server_name.data(), server_name.size()});
    out.set(http::field::content_type, r.content_type);
    out.set(http::field::cache_control, "no-cache, private");
    out.set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : r.headers)
      out.set(name, value);
  }

  void send(reply r) {
    status_ = r.status;
    sent_bytes_ = 0;
    lowest().expires_after(core_.settings.idle_timeout);
    if (r.stream && !head_)
      return send_stream(std::move(r));
    whole_.emplace();
    fill(*whole_, r);
    whole_->keep_alive(keep_alive_);
    if (head_) {
      if (!r.stream)
        whole_->content_length(r.body.size());
    } else {
      sent_bytes_ = r.body.size();
      whole_->body() = std::move(r.body);
      whole_->prepare_payload();
    }
    if (head_) {
      head_writer_.emplace(*whole_);
      return http::async_write_header(stream_, *head_writer_, then(&session::on_answered));
    }
    http::async_write(stream_, *whole_, then(&session::on_answered));
  }

  void on_answered(beast_error error, std::size_t) {
    log_access();
    whole_.reset();
    head_writer_.reset();
    request_ = {};
    ++served_;
    if (error)
      return;
    if (!keep_alive_)
      return finish();
    read_header();
  }

  void send_stream(reply r) {
    chunked_ = version_ >= 11;
    if (!chunked_)
      keep_alive_ = false;
    body_ = std::move(r.stream);
    piece_ = std::move(r.body);
    last_ = woken_ = settled_ = waiting_ = false; // the connection may have carried another stream before
    wait_ = {};
    stream_head_.emplace();
    fill(*stream_head_, r);
    stream_head_->keep_alive(keep_alive_);
    stream_head_->chunked(chunked_);
    stream_writer_.emplace(*stream_head_);
    if (route_.action == verb::watch)
      monitor();
    http::async_write_header(stream_, *stream_writer_, then(&session::on_stream_head));
  }

  void on_stream_head(beast_error error, std::size_t) {
    if (error)
      return abort();
    if (piece_.empty())
      return pull();
    write_piece();
  }

  /// Asks for the next piece once the last one has gone.
  void pull() {
    woken_ = false;
    waiting_ = false;
    asio::post(core_.readers, [self = this->shared_from_this()] {
      auto step = std::make_shared<body_stream::step>(self->next_step());
      asio::post(self->stream_.get_executor(), [self, step] { self->on_step(std::move(*step)); });
    });
  }

  body_stream::step next_step() noexcept {
    try {
      return body_->next();
    } catch (const std::exception&) {
      body_stream::step s;
      s.broken = true;
      return s;
    }
  }

  void on_step(body_stream::step s) {
    if (aborted_ || s.broken)
      return abort();
    last_ = s.done;
    wait_ = s.wait_at_most;
    piece_ = std::move(s.data);
    if (piece_.empty())
      return on_piece_gone();
    write_piece();
  }

  void write_piece() {
    sent_bytes_ += piece_.size();
    lowest().expires_after(core_.settings.idle_timeout);
    if (chunked_)
      asio::async_write(stream_, http::make_chunk(asio::buffer(piece_)), then(&session::on_piece));
    else
      asio::async_write(stream_, asio::buffer(piece_), then(&session::on_piece));
  }

  void on_piece(beast_error error, std::size_t) {
    if (error || aborted_)
      return abort();
    piece_.clear();
    on_piece_gone();
  }

  void on_piece_gone() {
    if (last_ || (core_.stopping && wait_.count() > 0))
      return end_stream();
    if (wait_.count() == 0)
      return pull();
    waiting_ = true;
    timer_.expires_after(woken_ ? std::chrono::milliseconds{wake_delay} : wait_);
    timer_.async_wait([self = this->shared_from_this()](beast_error) { self->on_timer(); });
  }

  void on_timer() {
    if (!waiting_)
      return;
    if (aborted_)
      return abort();
    if (core_.stopping)
      return end_stream();
    if (woken_ && !settled_) { // let the burst that woke us settle
      settled_ = true;
      timer_.expires_after(wake_delay);
      return timer_.async_wait([self = this->shared_from_this()](beast_error) { self->on_timer(); });
    }
    settled_ = false;
    pull();
  }

  void on_wake() {
    if (woken_)
      return;
    woken_ = true;
    if (waiting_)
      timer_.cancel();
  }

  void end_stream() {
    waiting_ = false;
    keep_alive_ = keep_alive_ && !monitoring_;
    body_.reset();
    if (!chunked_)
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
    if (!monitoring_ || !body_)
      return;
    aborted_ = true;
    if (waiting_)
      timer_.cancel();
  }

  void abort() {
    if (body_) {
      body_.reset();
      log_access();
    }
    waiting_ = false;
    beast_error ignored;
    lowest().socket().close(ignored);
  }

  void on_close() {
    if (waiting_)
      timer_.cancel();
    else if (!body_ && request_.method.empty())
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
      if (drain_)
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
    if (!core_.log || request_.method.empty() || is_public(request_.path))
      return;
    const auto ms = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - started_).count();
    core_.log(request_.method.substr(0, 16) + " " + request_.path.substr(0, 512) + " " + std::to_string(status_) + " " +
              std::to_string(sent_bytes_) + "B " + std::to_string(ms / 1000) + "." + std::to_string(ms / 100 % 10) + "ms");
  }

  server_core& core_;
  Stream stream_;
  beast::flat_buffer buffer_;
  asio::steady_timer timer_;
  std::optional<parser_type> parser_;
  request request_;
  route route_;
  std::chrono::steady_clock::time_point started_{};
  bool head_ = false;
  bool keep_alive_ = false;
  bool drain_ = false;
  unsigned version_ = 11;
  std::uint64_t served_ = 0;
  int status_ = 0;
  std::uint64_t sent_bytes_ = 0;
  std::size_t drained_ = 0;
  std::optional<http::response<http::empty_body>> continue_;
  std::optional<http::response<http::string_body>> whole_;
  std::optional<http::response_serializer<http::string_body>> head_writer_;
  std::optional<http::response<http::empty_body>> stream_head_;
  std::optional<http::response_serializer<http::empty_body>> stream_writer_;
  std::unique_ptr<body_stream> body_;
  std::string piece_;
  std::chrono::milliseconds wait_{0};
  bool chunked_ = true;
  bool last_ = false;
  bool waiting_ = false;
  bool woken_ = false;
  bool settled_ = false;
  bool monitoring_ = false;
  bool aborted_ = false;
  std::array<char, 4096> spare_{};
};

} // namespace veranda::api::net_detail
