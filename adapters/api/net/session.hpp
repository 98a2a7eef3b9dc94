#pragma once

#include "adapters/api/net/exchange.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/ssl.hpp>

namespace veranda::api::net_detail {

using tls_stream = beast::ssl_stream<beast::tcp_stream>;

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
    take_head(*now_);
    if (auto refused = refusal(core_.gate, *now_))
      return send_and_close(*std::move(refused));
    if (beast::iequals(now_->parser.get()[http::field::expect], "100-continue"))
      return send_continue();
    read_body();
  }

  void refuse_broken(beast_error error) {
    if (auto answer = broken_reply(error, core_.settings.max_body_bytes))
      return send_and_close(*std::move(answer));
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

  void send(reply r) {
    now_->status = r.status;
    now_->sent_bytes = 0;
    lowest().expires_after(core_.settings.idle_timeout);
    if (r.stream && !now_->head)
      return send_stream(std::move(r));
    fill_whole(*now_, r);
    if (now_->head)
      return http::async_write_header(stream_, *now_->whole_writer, then(&session::on_answered));
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
    fill_stream(*now_, r);
    if (now_->where.action == verb::watch) {
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
      auto step = std::make_shared<body_stream::step>(next_step(*self->now_));
      asio::post(self->stream_.get_executor(), [self, step] { self->on_step(std::move(*step)); });
    });
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

  void log_access() const {
    if (!core_.log)
      return;
    if (const auto line = access_line(*now_); !line.empty())
      core_.log(line);
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
