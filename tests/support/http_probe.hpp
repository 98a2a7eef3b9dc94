#pragma once

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <poll.h>

#include <map>
#include <optional>
#include <string>

namespace veranda::test {

/// A blocking HTTP client over one raw connection, for tests that look at the bytes. Every read gives up after a minute.
class http_probe {
public:
  explicit http_probe(std::uint16_t port) : socket_(io_) {
    socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port});
  }
  using response = boost::beast::http::response<boost::beast::http::string_body>;
  using header_map = std::map<std::string, std::string>;

  void send_raw(const std::string& bytes) { boost::asio::write(socket_, boost::asio::buffer(bytes)); }
  void send(const std::string& method, const std::string& target, const std::string& body = {}, header_map headers = {}) {
    headers.try_emplace("Host", "127.0.0.1");
    headers.try_emplace("Authorization", "Bearer secret");
    std::string text = method + " " + target + " HTTP/1.1\r\n";
    for (const auto& [name, value] : headers)
      if (!value.empty())
        text += name + ": " + value + "\r\n";
    if (!body.empty())
      text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    send_raw(text + "\r\n" + body);
  }
  /// `head`: the answer to a HEAD, which has no body whatever its header says.
  response receive(bool head = false) {
    boost::beast::http::response_parser<boost::beast::http::string_body> parser;
    parser.body_limit(std::uint64_t{1} << 30U);
    parser.skip(head);
    boost::beast::http::read(patient_, buffer_, parser);
    return parser.release();
  }
  response ask(const std::string& method, const std::string& target, const std::string& body = {}, header_map headers = {}) {
    send(method, target, body, std::move(headers));
    return receive();
  }
  /// Reads a stream's header, then lines of its chunks one by one.
  unsigned open_stream() {
    stream_.emplace();
    stream_->body_limit(boost::none);
    boost::beast::http::read_header(patient_, buffer_, *stream_);
    return stream_->get().result_int();
  }
  /// The next line; empty at the end of the stream.
  std::string line() {
    for (;;) {
      auto& body = stream_->get().body();
      if (const auto end = body.find('\n'); end != std::string::npos) {
        auto out = body.substr(0, end);
        body.erase(0, end + 1);
        return out;
      }
      if (stream_->is_done())
        return {};
      boost::beast::error_code error;
      boost::beast::http::read_some(patient_, buffer_, *stream_, error);
      if (error && error != boost::beast::http::error::need_buffer)
        throw boost::system::system_error{error};
    }
  }
  /// True when the server closed the connection.
  bool closed() {
    std::array<char, 4096> sink{};
    boost::system::error_code error;
    while (!error)
      patient_.read_some(boost::asio::buffer(sink), error);
    return error == boost::asio::error::eof || error == boost::asio::error::connection_reset;
  }
  boost::asio::ip::tcp::socket& socket() { return socket_; }

private:
  /// The reading side of a socket, with an end to its patience. (Asio waits for ever on a blocking socket, whatever SO_RCVTIMEO says.)
  struct patient_reader {
    boost::asio::ip::tcp::socket& socket;
    template <class Buffers>
    std::size_t read_some(const Buffers& buffers, boost::system::error_code& error) {
      pollfd wanted{socket.native_handle(), POLLIN, 0};
      if (::poll(&wanted, 1, 60'000) == 0) {
        error = boost::asio::error::timed_out;
        return 0;
      }
      return socket.read_some(buffers, error);
    }
    template <class Buffers>
    std::size_t read_some(const Buffers& buffers) {
      boost::system::error_code error;
      const auto count = read_some(buffers, error);
      if (error)
        throw boost::system::system_error{error};
      return count;
    }
  };

  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_;
  patient_reader patient_{socket_};
  boost::beast::flat_buffer buffer_;
  std::optional<boost::beast::http::response_parser<boost::beast::http::string_body>> stream_;
};

} // namespace veranda::test
