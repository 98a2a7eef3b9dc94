#pragma once

#include "tests/support/script_server.hpp"

#include <fstream>
#include <iterator>

namespace veranda::test {

/// A running `tests/support/git_http_server.py`: git-http-backend behind nginx, ended with this object.
class git_http_server {
public:
  explicit git_http_server(const std::filesystem::path& root, std::vector<std::string> options = {}) : server_("git_http_server.py", with_root(root, std::move(options))) {}
  [[nodiscard]] std::string url(const std::string& repository) const { return server_.value("url") + "/" + repository; }
  [[nodiscard]] std::string ca_pem() const { return contents(server_.value("ca")); }
  [[nodiscard]] std::string client_certificate_pem() const { return contents(server_.value("client") + ".crt"); }
  [[nodiscard]] std::string client_key_pem() const { return contents(server_.value("client") + ".key"); }

private:
  static std::vector<std::string> with_root(const std::filesystem::path& root, std::vector<std::string> options) {
    options.insert(options.begin(), {"--root", root.string()});
    return options;
  }
  static std::string contents(const std::string& path) {
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, {}};
  }
  script_server server_;
};

} // namespace veranda::test
