// links: veranda_adapter_kube
#define BOOST_TEST_MODULE kube_tls
#include "adapters/kube/api_client.hpp"
#include "adapters/kube/kubeconfig.hpp"
#include "tests/support/stream_server.hpp"
#include "tests/support/tls_server.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <sstream>

using namespace veranda;
using namespace veranda::kube;
using namespace std::chrono_literals;
using veranda::test::certificate_maker;
using veranda::test::stream_server;
using veranda::test::temporary_directory;
using veranda::test::tls_server;

namespace {

/// One authority, a server certificate for 127.0.0.1 and `api.test`, a client certificate, and a stranger's authority.
struct certificates {
  temporary_directory dir;
  certificate_maker make{dir};
  certificates() {
    make.authority("ca");
    make.authority("stranger");
    make.signed_by("ca", "server", "DNS:api.test,IP:127.0.0.1", "/CN=server");
    make.signed_by("ca", "named", "DNS:api.test", "/CN=server");
    make.signed_by("ca", "client", "", "/O=ops/CN=me");
  }
};

certificates& pki() {
  static certificates all;
  return all;
}

std::string text_of(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream{path}.rdbuf();
  return out.str();
}

client_config config_for(const std::string& url, const std::string& authority = "ca") {
  client_config out;
  out.cluster.server = *parse_server_url(url);
  out.cluster.certificate_authority.file = pki().make.path(authority, "crt");
  return out;
}

result<std::string> ask(api_client& client, std::chrono::milliseconds timeout = 30s) {
  auto request = get_request(repositories(), {"blue", "x"});
  request.timeout = timeout;
  std::optional<result<api_answer>> got;
  client.start(request, [&got](result<api_answer> a) { got = std::move(a); });
  const auto until = std::chrono::steady_clock::now() + 60s;
  while (!got && std::chrono::steady_clock::now() < until) client.run_for(50ms);
  if (!got) return failure{ec::internal, "never answered", {}, {}, {}};
  if (!*got) return got->error();
  return body_of(std::move(**got), request);
}

result<std::string> ask(const client_config& config, credential_options options = {}) {
  const auto client = open_api_client(config, open_credentials(config, options), {});
  return ask(*client);
}

bool holds(const result<std::string>& got, const std::string& what) { return got.ok() && got->find(what) != std::string::npos; }

} // namespace

BOOST_AUTO_TEST_CASE(tokens_go_over_https_and_http2_is_spoken) {
  const tls_server server{pki().dir, "server", "ssl_protocols TLSv1.2 TLSv1.3;"};
  auto config = config_for(server.url());
  config.user.token = "t0ken";
  const auto got = ask(config);
  BOOST_REQUIRE_MESSAGE(got.ok(), describe(got.ok() ? failure{} : got.error()));
  BOOST_TEST(holds(got, R"("authorization":"Bearer t0ken")"));
  BOOST_TEST(holds(got, R"("protocol":"HTTP/2.0")"));
  BOOST_TEST(holds(got, R"("tls":"TLSv1.3")"));
}

BOOST_AUTO_TEST_CASE(user_name_and_password) {
  const tls_server server{pki().dir, "server"};
  auto config = config_for(server.url());
  config.user.username = "me";
  config.user.password = "pa:ss";
  BOOST_TEST(holds(ask(config), R"("authorization":"Basic bWU6cGE6c3M=")"));
}

BOOST_AUTO_TEST_CASE(client_certificates) {
  const tls_server server{pki().dir, "server", "ssl_client_certificate " + pki().make.path("ca", "crt") + "; ssl_verify_client optional;"};
  auto config = config_for(server.url());
  BOOST_TEST(holds(ask(config), R"("client":"")"));
  config.user.client_certificate.file = pki().make.path("client", "crt");
  config.user.client_key.text = text_of(pki().make.path("client", "key"));
  BOOST_TEST(holds(ask(config), R"("client":"CN=me,O=ops")"));
  config.user.client_key.text = text_of(pki().make.path("server", "key")); // of another certificate
  const auto got = ask(config);
  BOOST_REQUIRE(!got.ok());
  BOOST_TEST((got.error().code == ec::auth_rejected));
  // An encrypted key asks nobody for its password.
  veranda::test::run("openssl pkcs8 -topk8 -passout pass:x -in " + pki().make.path("client", "key") + " -out " + pki().make.path("encrypted", "key"));
  config.user.client_key.text = text_of(pki().make.path("encrypted", "key"));
  BOOST_TEST((ask(config).error().code == ec::auth_rejected));
}

BOOST_AUTO_TEST_CASE(who_is_trusted) {
  const tls_server server{pki().dir, "server"};
  auto wrong = config_for(server.url(), "stranger");
  wrong.user.token = "hunter2";
  const auto refused = ask(wrong);
  BOOST_REQUIRE(!refused.ok());
  BOOST_TEST((refused.error().code == ec::unreachable));
  BOOST_TEST(refused.error().what.find("certificate") != std::string::npos);
  auto system_roots = config_for(server.url());
  system_roots.cluster.certificate_authority = {};
  BOOST_TEST(!ask(system_roots).ok());
  auto careless = wrong;
  careless.cluster.certificate_authority = {};
  careless.cluster.insecure_skip_verify = true;
  BOOST_TEST(ask(careless).ok());
}

BOOST_AUTO_TEST_CASE(the_name_of_the_server) {
  const tls_server server{pki().dir, "named"};
  auto config = config_for(server.url());
  BOOST_TEST((ask(config).error().code == ec::unreachable)); // its certificate is for api.test alone
  config.cluster.tls_server_name = "api.test";
  const auto got = ask(config);
  BOOST_TEST(holds(got, R"("sni":"api.test")"));
  BOOST_TEST(holds(got, "\"host\":\"127.0.0.1:" + std::to_string(server.port()) + "\""));
  config.cluster.tls_server_name = "other.test";
  BOOST_TEST((ask(config).error().code == ec::unreachable));
}

BOOST_AUTO_TEST_CASE(old_tls_is_refused) {
  const tls_server server{pki().dir, "server", "ssl_protocols TLSv1 TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;"};
  const auto got = ask(config_for(server.url()));
  BOOST_REQUIRE(!got.ok());
  BOOST_TEST((got.error().code == ec::unreachable));
}

BOOST_AUTO_TEST_CASE(plain_http_on_an_https_url_and_the_reverse) {
  stream_server plain{[](const std::string&, stream_server::peer& p) { p.send(stream_server::reply("200 OK", "{}")); }};
  auto config = config_for("https" + plain.url().substr(4));
  const auto got = ask(config);
  BOOST_REQUIRE(!got.ok());
  BOOST_TEST((class_of(got.error().code) == error_class::retry));
  const tls_server server{pki().dir, "server"};
  BOOST_TEST((ask(config_for("http" + server.url().substr(5))).error().code == ec::invalid_spec)); // nginx answers 400
}

BOOST_AUTO_TEST_CASE(a_rotated_token_is_noticed) {
  const temporary_directory files;
  files.write("token", "old");
  const tls_server server{pki().dir, "server", "if ($http_authorization != 'Bearer new') { return 401; }"};
  auto config = config_for(server.url());
  config.user.token_file = files / "token";
  credential_options often;
  often.reread = 1s;
  const auto client = open_api_client(config, open_credentials(config, often), {});
  BOOST_TEST((ask(*client).error().code == ec::auth_rejected));
  files.write("token", "new");
  const auto until = std::chrono::steady_clock::now() + 60s;
  while (!ask(*client).ok() && std::chrono::steady_clock::now() < until) client->run_for(50ms);
  BOOST_TEST(holds(ask(*client), "Bearer new"));
}

BOOST_AUTO_TEST_CASE(a_rotated_authority_is_noticed) {
  const temporary_directory files;
  const auto copy = [&](const std::string& name) { files.write("ca.crt", text_of(pki().make.path(name, "crt"))); };
  copy("stranger");
  const tls_server server{pki().dir, "server"};
  auto config = config_for(server.url());
  config.cluster.certificate_authority.file = files / "ca.crt";
  credential_options often;
  often.reread = 1s;
  const auto client = open_api_client(config, open_credentials(config, often), {});
  BOOST_TEST((ask(*client).error().code == ec::unreachable));
  copy("ca");
  const auto until = std::chrono::steady_clock::now() + 60s;
  while (!ask(*client).ok() && std::chrono::steady_clock::now() < until) client->run_for(50ms);
  BOOST_TEST(ask(*client).ok());
}

BOOST_AUTO_TEST_CASE(missing_credentials_are_said_and_heal) {
  const temporary_directory files;
  const tls_server server{pki().dir, "server"};
  auto config = config_for(server.url());
  config.user.token_file = files / "token";
  const auto client = open_api_client(config, open_credentials(config), {});
  const auto watch = client->watch(watch_request(repositories(), {}, "1", 300s), repositories(), 300s);
  const auto got = ask(*client);
  BOOST_REQUIRE(!got.ok());
  BOOST_TEST((got.error().code == ec::dependency_missing));
  BOOST_TEST(got.error().field == "token");
  BOOST_TEST((watch->state() == watch_state::failed));
  BOOST_TEST((client->credential_problem()->code == ec::dependency_missing));
  files.write("token", "t");
  BOOST_TEST(holds(ask(*client), "Bearer t"));
  BOOST_TEST(!client->credential_problem());
}

BOOST_AUTO_TEST_CASE(a_plugin_that_hangs_holds_up_nobody_who_wants_to_end) {
  const tls_server server{pki().dir, "server"};
  auto config = config_for(server.url());
  config.user.exec = exec_plugin{"client.authentication.k8s.io/v1", "/bin/sleep", {"300"}, {}, false, {}};
  const auto begun = std::chrono::steady_clock::now();
  {
    const auto client = open_api_client(config, open_credentials(config), {});
    BOOST_TEST((ask(*client, 300ms).error().code == ec::overloaded)); // nothing was sent
  }
  BOOST_TEST((std::chrono::steady_clock::now() - begun < 60s));
}

BOOST_AUTO_TEST_CASE(through_a_proxy) {
  // A proxy that tunnels to wherever it is told.
  std::atomic<int> tunnels{0};
  stream_server proxy{[&](const std::string& request, stream_server::peer& p) {
    if (request.starts_with("CONNECT ")) ++tunnels;
    p.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    p.close_after();
  }};
  auto config = config_for("https://10.255.255.1:6443");
  config.cluster.proxy_url = proxy.url();
  config.user.token = "hunter2";
  const auto got = ask(config);
  BOOST_REQUIRE(!got.ok());
  BOOST_TEST(tunnels > 0);
  BOOST_TEST(proxy.requests()[0].starts_with("CONNECT 10.255.255.1:6443 "));
  BOOST_TEST(proxy.requests()[0].find("hunter2") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(headers_that_nobody_can_send) {
  const tls_server server{pki().dir, "server"};
  auto config = config_for(server.url());
  config.user.as.user = "me\r\nX-Evil: 1";
  BOOST_TEST((ask(config).error().code == ec::invalid_spec));
}
