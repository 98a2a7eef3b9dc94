#pragma once

#include "tests/support/closed_port.hpp"
#include "tests/support/temporary_directory.hpp"

#include <arpa/inet.h>
#include <csignal>
#include <cstdlib>
#include <netinet/in.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace veranda::test {

inline void run(const std::string& command) {
  if (std::system(("(" + command + ") >/dev/null 2>&1").c_str()) != 0) throw std::runtime_error("failed: " + command);
}

/// Makes certificates with openssl: `NAME.crt` and `NAME.key` in a directory.
class certificate_maker {
public:
  explicit certificate_maker(const temporary_directory& dir) : dir_(dir) {}
  void authority(const std::string& name) const {
    run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=" + name + " -keyout " + path(name, "key") + " -out " + path(name, "crt"));
  }
  /// `names`: subject alternative names, `DNS:a,IP:127.0.0.1`; none for clients.
  void signed_by(const std::string& authority, const std::string& name, const std::string& names, const std::string& subject) const {
    dir_.write("extensions", names.empty() ? "extendedKeyUsage=clientAuth\n" : "subjectAltName=" + names + "\nextendedKeyUsage=serverAuth\n");
    run("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj " + subject + " -keyout " + path(name, "key") + " -out " + path(name, "csr") + " && openssl x509 -req -days 2 -in " +
        path(name, "csr") + " -CA " + path(authority, "crt") + " -CAkey " + path(authority, "key") + " -CAcreateserial -extfile " + (dir_ / "extensions").string() + " -out " + path(name, "crt"));
  }
  [[nodiscard]] std::string path(const std::string& name, const std::string& extension) const { return (dir_ / (name + "." + extension)).string(); }

private:
  const temporary_directory& dir_;
};

/// nginx on a free port of 127.0.0.1 that answers every request with what it saw of it: protocol, credentials, names.
class tls_server {
public:
  /// `options`: further lines of nginx's `server` block.
  tls_server(const temporary_directory& dir, const std::string& certificate, const std::string& options = {}) {
    const auto file = [&](const std::string& name) { return (dir / name).string(); };
    dir.write("nginx.conf", "daemon off; master_process off; worker_processes 1; pid " + file("nginx.pid") + "; error_log " + file("nginx.log") +
                              ";\nevents {}\nhttp { access_log off; default_type application/json; client_body_temp_path " + file("b") + "; proxy_temp_path " + file("p") +
                              "; fastcgi_temp_path " + file("f") + "; uwsgi_temp_path " + file("u") + "; scgi_temp_path " + file("s") +
                              ";\nserver { listen 127.0.0.1:" + std::to_string(port()) + " ssl http2; ssl_certificate " + file(certificate + ".crt") + "; ssl_certificate_key " +
                              file(certificate + ".key") + "; " + options +
                              "\nlocation / { return 200 '{\"kind\":\"Echo\",\"protocol\":\"$server_protocol\",\"tls\":\"$ssl_protocol\",\"authorization\":\"$http_authorization\","
                              "\"host\":\"$http_host\",\"sni\":\"$ssl_server_name\",\"client\":\"$ssl_client_s_dn\"}'; } } }\n");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::execlp("nginx", "nginx", "-c", file("nginx.conf").c_str(), "-p", file("").c_str(), nullptr);
      ::_exit(127);
    }
    for (const auto until = std::chrono::steady_clock::now() + std::chrono::minutes{1}; !reachable();) {
      if (std::chrono::steady_clock::now() > until) throw std::runtime_error("nginx does not listen");
      std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
  }
  tls_server(const tls_server&) = delete;
  tls_server& operator=(const tls_server&) = delete;
  ~tls_server() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] std::string url(const std::string& host = "127.0.0.1") const { return "https://" + host + ":" + std::to_string(port()); }
  [[nodiscard]] int port() const { return port_.number(); }

private:
  [[nodiscard]] bool reachable() const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(static_cast<std::uint16_t>(port()));
    const bool yes = ::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
    ::close(fd);
    return yes;
  }
  closed_port port_; ///< until nginx listens on it
  pid_t pid_ = -1;
};

} // namespace veranda::test
