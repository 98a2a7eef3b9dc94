#include "adapters/api/net/session.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/strand.hpp>

#include <thread>

namespace veranda::api {
namespace {

using namespace net_detail;
using tcp = asio::ip::tcp;

failure cannot_listen(const api_settings& s, ec code, std::string why) {
  return failure{code, std::move(why), s.address + ":" + std::to_string(s.port), "listen", {}};
}

result<std::shared_ptr<asio::ssl::context>> load_certificate(const api_settings& s) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  beast_error error;
  context->use_certificate_chain_file(s.tls_certificate_file, error);
  if (error)
    return failure{ec::invalid_spec, "the TLS certificate cannot be read: " + error.message(), s.tls_certificate_file, "tls-certificate", {}};
  context->use_private_key_file(s.tls_key_file.empty() ? s.tls_certificate_file : s.tls_key_file, asio::ssl::context::pem, error);
  if (error)
    return failure{ec::invalid_spec, "the TLS key cannot be read or does not fit: " + error.message(), s.tls_key_file, "tls-key", {}};
  return context;
}

class beast_server final : public api_server {
public:
  beast_server(const api_settings& settings, api_dependencies dependencies)
      : core_(settings, std::move(dependencies)), acceptor_(asio::make_strand(core_.io)), retry_(acceptor_.get_executor()) {}
  ~beast_server() override { stop(); }

  result<void> start() {
    const auto& s = core_.settings;
    if (!s.tls_certificate_file.empty()) {
      auto context = load_certificate(s);
      if (!context)
        return context.error();
      tls_ = std::move(*context);
    }
    beast_error error;
    const auto address = asio::ip::make_address(s.address == "localhost" ? "127.0.0.1" : s.address, error);
    if (error)
      return cannot_listen(s, ec::invalid_spec, "the address to listen on must be an IP address or localhost");
    if (!address.is_loopback() && !tls_)
      return cannot_listen(s, ec::invalid_spec, "listening on an address that others can reach needs a TLS certificate and key");
    if (s.token.empty())
      return cannot_listen(s, ec::invalid_spec, "a token is needed");
    if (error = open({address, s.port}); error)
      return cannot_listen(s, ec::unavailable, "cannot listen: " + error.message());
    accept();
    for (std::size_t i = 0; i < std::max<std::size_t>(s.threads, 1); ++i)
      threads_.emplace_back([this] { core_.io.run(); });
    return {};
  }

  std::uint16_t port() const override { return port_; }

  void notify_changed() override {
    core_.for_each([](connection& c) { c.wake(); });
  }

  api_load load() const override { return {core_.count(), core_.watches, core_.requests}; }

  result<void> reload_certificate() override {
    if (core_.settings.tls_certificate_file.empty())
      return {};
    auto context = load_certificate(core_.settings);
    if (!context)
      return context.error();
    const std::lock_guard lock{tls_mutex_};
    tls_ = std::move(*context);
    return {};
  }

  void stop() override {
    const std::lock_guard once{stop_mutex_};
    if (threads_.empty())
      return;
    core_.stopping = true;
    asio::post(acceptor_.get_executor(), [this] {
      beast_error ignored;
      acceptor_.close(ignored);
      retry_.cancel();
    });
    core_.for_each([](connection& c) { c.close(); });
    for (const auto until = std::chrono::steady_clock::now() + core_.settings.farewell; core_.count() > 0 && std::chrono::steady_clock::now() < until;)
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    core_.io.stop();
    core_.readers.stop();
    core_.callers.stop();
    for (auto& t : threads_)
      t.join();
    threads_.clear();
    core_.readers.join();
    core_.callers.join();
  }

private:
  beast_error open(const tcp::endpoint& where) {
    beast_error error;
    acceptor_.open(where.protocol(), error);
    if (!error)
      acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error)
      acceptor_.bind(where, error);
    if (!error)
      acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (!error)
      port_ = acceptor_.local_endpoint(error).port();
    return error;
  }

  void accept() {
    acceptor_.async_accept(asio::make_strand(core_.io), [this](beast_error error, tcp::socket socket) { on_accept(error, std::move(socket)); });
  }

  void on_accept(beast_error error, tcp::socket socket) {
    if (core_.stopping || !acceptor_.is_open())
      return;
    if (error) { // out of descriptors, say: not a reason to spin
      retry_.expires_after(std::chrono::milliseconds{100});
      return retry_.async_wait([this](beast_error cancelled) {
        if (!cancelled)
          accept();
      });
    }
    beast_error ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    if (const auto context = certificate())
      launch(std::make_shared<session<tls_stream>>(core_, std::move(socket), *context));
    else
      launch(std::make_shared<session<beast::tcp_stream>>(core_, std::move(socket)));
    accept();
  }

  template <class Session>
  void launch(const std::shared_ptr<Session>& s) {
    if (core_.enter(s))
      s->run();
  }

  std::shared_ptr<asio::ssl::context> certificate() {
    const std::lock_guard lock{tls_mutex_};
    return tls_;
  }

  server_core core_;
  tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  std::mutex tls_mutex_;
  std::shared_ptr<asio::ssl::context> tls_;
  std::uint16_t port_ = 0;
  std::mutex stop_mutex_;
  std::vector<std::thread> threads_;
};

} // namespace

result<std::unique_ptr<api_server>> start_api_server(const api_settings& settings, api_dependencies dependencies) {
  try {
    auto server = std::make_unique<beast_server>(settings, std::move(dependencies));
    if (const auto started = server->start(); !started)
      return started.error();
    return std::unique_ptr<api_server>{std::move(server)};
  } catch (const std::exception& e) {
    return failure{ec::unavailable, std::string{"the API server cannot start: "} + e.what(), settings.address, "listen", {}};
  }
}

} // namespace veranda::api
