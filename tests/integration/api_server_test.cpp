// links: veranda_adapter_api veranda_adapter_store Boost::system OpenSSL::SSL OpenSSL::Crypto nlohmann_json::nlohmann_json
#define BOOST_TEST_MODULE api_server
#include "tests/support/served_api.hpp"

#include <boost/asio/ssl.hpp>

using namespace veranda;
using namespace veranda::test;

BOOST_FIXTURE_TEST_CASE(probes_and_metrics_need_no_token_and_the_rest_does, running) {
  auto c = connect();
  BOOST_TEST(c.ask("GET", "/livez", {}, {{"Authorization", ""}}).result_int() == 200U);
  BOOST_TEST(c.ask("GET", "/readyz", {}, {{"Authorization", ""}}).result_int() == 503U);
  BOOST_TEST(c.ask("GET", "/metrics", {}, {{"Authorization", ""}}).body() == "veranda_up 1\n");
  BOOST_TEST(connect().ask("GET", "/dump", {}, {{"Authorization", ""}}).result_int() == 401U);
  BOOST_TEST(connect().ask("GET", repositories, {}, {{"Authorization", "Bearer wrong"}}).result_int() == 401U);
  BOOST_TEST(c.ask("GET", "/dump?name=x").body() == "{\"name\":\"x\"}");
  for (const auto& line : logged())
    BOOST_TEST(line.find("secret") == std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(foreign_hosts_and_origins_are_refused, running) {
  BOOST_TEST(connect().ask("GET", "/livez", {}, {{"Host", "evil.example"}}).result_int() == 403U);
  BOOST_TEST(connect().ask("GET", repositories, {}, {{"Origin", "http://evil.example"}}).result_int() == 403U);
  BOOST_TEST(connect().ask("GET", repositories, {}, {{"Origin", "http://localhost:1"}}).result_int() == 200U);
  auto c = connect();
  c.send_raw("GET /livez HTTP/1.1\r\n\r\n");
  BOOST_TEST(c.receive().result_int() == 403U);
}

BOOST_AUTO_TEST_CASE(oversized_and_broken_requests_are_refused) {
  served s;
  s.settings.max_body_bytes = 1000;
  s.settings.max_header_bytes = 2000;
  BOOST_REQUIRE(s.start().ok());
  BOOST_TEST(s.connect().ask("GET", "/livez", {}, {{"X-Long", std::string(4000, 'x')}}).result_int() == 431U);
  BOOST_TEST(s.connect().ask("POST", repositories, std::string(1001, 'x')).result_int() == 413U);
  auto chunked = s.connect();
  chunked.send("POST", repositories, {}, {{"Transfer-Encoding", "chunked"}});
  chunked.send_raw("7d0\r\n" + std::string(2000, 'x') + "\r\n0\r\n\r\n");
  BOOST_TEST(chunked.receive().result_int() == 413U);
  auto c = s.connect();
  c.send_raw("nonsense\r\n\r\n");
  BOOST_TEST(c.receive().result_int() == 400U);
  BOOST_TEST(s.connect().ask("GET", "/livez").result_int() == 200U);
}

BOOST_AUTO_TEST_CASE(a_silent_client_is_closed) {
  served s;
  s.settings.header_timeout = std::chrono::seconds{2};
  BOOST_REQUIRE(s.start().ok());
  auto silent = s.connect();
  silent.send_raw("GET /li");
  BOOST_TEST(silent.closed());
}

BOOST_AUTO_TEST_CASE(connections_are_limited) {
  served s;
  s.settings.header_timeout = std::chrono::minutes{10};
  s.settings.max_connections = 2;
  BOOST_REQUIRE(s.start().ok());
  auto first = s.connect();
  auto second = s.connect();
  BOOST_TEST(first.ask("GET", "/livez").result_int() == 200U);
  BOOST_TEST(second.ask("GET", "/livez").result_int() == 200U);
  BOOST_TEST(s.connect().closed());
  BOOST_TEST(first.ask("GET", "/livez").result_int() == 200U);
}

BOOST_FIXTURE_TEST_CASE(repositories_are_written_as_in_kubernetes, running) {
  auto c = connect();
  const auto made = c.ask("POST", repositories, repository("r"), {{"Content-Type", "application/json"}});
  BOOST_TEST(made.result_int() == 201U);
  BOOST_TEST(!body(made)["metadata"]["uid"].get<std::string>().empty());
  const auto again = c.ask("POST", repositories, repository("r"));
  BOOST_TEST(again.result_int() == 409U);
  BOOST_TEST(body(again)["reason"] == "AlreadyExists");
  auto object = body(c.ask("GET", repositories + "/r"));
  BOOST_TEST(object["metadata"]["generation"] == 1);
  object["spec"]["git"]["branch"] = "next";
  BOOST_TEST(c.ask("PUT", repositories + "/r", object.dump()).result_int() == 200U);
  BOOST_TEST(c.ask("PUT", repositories + "/r", object.dump()).result_int() == 409U); // its resourceVersion is old now
  object["metadata"].erase("resourceVersion");
  BOOST_TEST(c.ask("PUT", repositories + "/r", object.dump()).result_int() == 422U);
  const std::string patch = R"({"metadata":{"annotations":{"a":"b"}}})";
  BOOST_TEST(c.ask("PATCH", repositories + "/r", patch, {{"Content-Type", "application/merge-patch+json"}}).result_int() == 200U);
  BOOST_TEST(c.ask("PATCH", repositories + "/r", patch, {{"Content-Type", "application/json"}}).result_int() == 415U);
  const auto gone = c.ask("DELETE", repositories + "/r");
  BOOST_TEST(gone.result_int() == 200U);
  BOOST_TEST(body(gone)["status"] == "Success");
  const auto missing = c.ask("GET", repositories + "/r");
  BOOST_TEST(missing.result_int() == 404U);
  BOOST_TEST(body(missing)["message"] == "repositories.config.porch.kpt.dev \"r\" not found");
}

BOOST_FIXTURE_TEST_CASE(invalid_objects_are_refused_naming_the_field, running) {
  auto c = connect();
  const auto refused = [&](const std::string& text) { return c.ask("POST", repositories, text).result_int(); };
  BOOST_TEST(refused("{") == 400U);
  BOOST_TEST(refused("[]") == 400U);
  BOOST_TEST(refused(std::string(200, '[')) == 400U);
  BOOST_TEST(refused(R"({"kind":"Repository"})") == 400U);
  BOOST_TEST(refused(repository("r", R"(,"namespace":"other")")) == 400U);
  BOOST_TEST(refused(repository("r", R"(,"resourceVersion":"5")")) == 400U);
  BOOST_TEST(refused(repository("")) == 422U);
  BOOST_TEST(refused(repository("r", R"(,"annotations":{"veranda.dev/managed-by":"f.yaml"})")) == 422U);
  auto object = json::parse(repository("r"));
  object["spec"]["git"]["brunch"] = "x";
  const auto answer = c.ask("POST", repositories, object.dump());
  BOOST_TEST(answer.result_int() == 422U);
  BOOST_TEST(answer.body().find("spec.git.brunch") != std::string::npos);
  BOOST_TEST(c.ask("POST", revisions, "{}").result_int() == 405U);
}

BOOST_FIXTURE_TEST_CASE(what_a_file_owns_only_takes_annotations, running) {
  BOOST_REQUIRE(writer->create("repositories.config.porch.kpt.dev", repository("r", R"(,"namespace":"default","annotations":{"veranda.dev/managed-by":"r.yaml"})")).ok());
  auto c = connect();
  const http_probe::header_map merge{{"Content-Type", "application/merge-patch+json"}};
  const auto refused = c.ask("PATCH", repositories + "/r", R"({"spec":{"description":"x"}})", merge);
  BOOST_TEST(refused.result_int() == 403U);
  BOOST_TEST(refused.body().find("r.yaml") != std::string::npos);
  BOOST_TEST(c.ask("DELETE", repositories + "/r").result_int() == 403U);
  BOOST_TEST(c.ask("PUT", repositories + "/r", body(c.ask("GET", repositories + "/r")).dump()).result_int() == 403U);
  BOOST_TEST(c.ask("PATCH", repositories + "/r", R"({"metadata":{"annotations":{"veranda.dev/managed-by":null}}})", merge).result_int() == 422U);
  BOOST_TEST(c.ask("PATCH", repositories + "/r", R"({"metadata":{"annotations":{"veranda.dev/suspend":"true"}}})", merge).result_int() == 200U);
}

BOOST_FIXTURE_TEST_CASE(revisions_are_listed_selected_and_paged, running) {
  for (int i = 1; i <= 7; ++i)
    cache.put("default", "r", "p", i, i == 7, i == 3 ? lifecycle::draft : lifecycle::published);
  cache.put("other", "r", "p", 1);
  auto c = connect();
  const auto all = body(c.ask("GET", revisions));
  BOOST_TEST(all["kind"] == "PackageRevisionList");
  BOOST_TEST(all["metadata"]["resourceVersion"] == "8");
  BOOST_TEST(names(all).size() == 7U);
  BOOST_TEST(names(body(c.ask("GET", "/apis/porch.kpt.dev/v1alpha1/packagerevisions"))).size() == 8U);
  BOOST_TEST((names(body(c.ask("GET", revisions + "?labelSelector=kpt.dev%2Flatest-revision%3Dtrue"))) == std::vector<std::string>{"r.p.v7"}));
  BOOST_TEST((names(body(c.ask("GET", revisions + "?fieldSelector=spec.lifecycle%3DDraft"))) == std::vector<std::string>{"r.p.v3"}));
  BOOST_TEST(c.ask("GET", revisions + "?fieldSelector=spec.nothing%3D1").result_int() == 400U);
  std::vector<std::string> paged;
  std::vector<int> remaining;
  std::string token;
  do {
    const auto page = body(c.ask("GET", revisions + "?limit=3" + (token.empty() ? "" : "&continue=" + token)));
    for (auto& name : names(page))
      paged.push_back(name);
    token = page["metadata"].value("continue", "");
    remaining.push_back(page["metadata"].value("remainingItemCount", 0));
  } while (!token.empty());
  BOOST_TEST((paged == names(all)));
  BOOST_TEST((remaining == std::vector<int>{4, 1, 0}));
  const auto selected = body(c.ask("GET", revisions + "?limit=3&fieldSelector=spec.repository%3Dr"));
  BOOST_TEST(names(selected).size() == 3U);
  BOOST_TEST(selected["metadata"].contains("continue"));
  BOOST_TEST(!selected["metadata"].contains("remainingItemCount"));
  BOOST_TEST(c.ask("GET", revisions + "?resourceVersion=99").result_int() == 504U);
  const auto table = body(c.ask("GET", revisions, {}, {{"Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"}}));
  BOOST_TEST(table["kind"] == "Table");
  BOOST_TEST(table["rows"].size() == 7U);
  BOOST_TEST(table["rows"][0]["cells"].size() == table["columnDefinitions"].size());
  BOOST_TEST(table["rows"][0]["object"]["metadata"]["namespace"] == "default");
  const auto head = body(c.ask("GET", packages + "/r.p"));
  BOOST_TEST(head["kind"] == "Package");
  BOOST_TEST(head["status"]["latestRevision"] == 7);
}

BOOST_FIXTURE_TEST_CASE(a_continued_list_whose_position_is_forgotten_has_expired, running) {
  cache.put("default", "r", "p", 1);
  cache.put("default", "r", "p", 2);
  const auto token = body(connect().ask("GET", revisions + "?limit=1"))["metadata"]["continue"].get<std::string>();
  cache.put("default", "r", "p", 3);
  cache.forget_all();
  BOOST_TEST(connect().ask("GET", revisions + "?limit=1&continue=" + token).result_int() == 410U);
}

BOOST_FIXTURE_TEST_CASE(big_lists_stream_whole, running) {
  const oid tree{};
  cache.trees[tree] = {{package_file{"big.yaml", file_kind::regular, {}, 0}, std::string(200'000, 'x')}};
  for (int i = 1; i <= 40; ++i)
    cache.put("default", "r", "p", i);
  auto c = connect();
  c.send("GET", resources);
  const auto answer = c.receive();
  BOOST_TEST(answer.chunked());
  BOOST_TEST(answer.body().size() > 8'000'000U);
  BOOST_TEST(names(body(answer)).size() == 40U);
  BOOST_TEST(c.ask("GET", "/livez").result_int() == 200U); // the connection is whole
}

BOOST_FIXTURE_TEST_CASE(one_connection_carries_many_answers, running) {
  cache.trees[oid{}] = {{package_file{"big.yaml", file_kind::regular, {}, 0}, std::string(100'000, 'x')}};
  for (int i = 1; i <= 20; ++i)
    cache.put("default", "r", "p", i);
  auto c = connect();
  for (int round = 0; round < 3; ++round) {
    BOOST_TEST(names(body(c.ask("GET", resources))).size() == 20U); // in many pieces
    BOOST_TEST(names(body(c.ask("GET", revisions))).size() == 20U); // in one
    BOOST_TEST(names(body(c.ask("GET", resources + "?limit=7"))).size() == 7U);
    BOOST_TEST(c.ask("GET", revisions + "/nothing").result_int() == 404U);
    BOOST_TEST(c.ask("POST", repositories, repository("r" + std::to_string(round))).result_int() == 201U);
    c.send("HEAD", resources);
    const auto head = c.receive(true);
    BOOST_TEST(head.result_int() == 200U);
    BOOST_TEST(head.body().empty());
    server->notify_changed(); // wakes nobody, and no later answer
  }
  BOOST_TEST((server->load() == api::api_load{1, 0, 18}));
  c.send("GET", resources + "?watch=true&allowWatchBookmarks=true&timeoutSeconds=10");
  BOOST_TEST(c.open_stream() == 200U);
  for (int i = 1; i <= 20; ++i)
    BOOST_TEST(json::parse(c.line())["type"] == "ADDED");
  BOOST_TEST((server->load() == api::api_load{1, 1, 19}));
  cache.put("default", "r", "p", 21);
  server->notify_changed();
  BOOST_TEST(json::parse(c.line())["object"]["metadata"]["name"] == "r.p.v21");
  BOOST_TEST(json::parse(c.line())["type"] == "BOOKMARK");
  BOOST_TEST(c.line().empty());
  BOOST_TEST(c.closed()); // as the watch's header said
  BOOST_TEST(load_becomes([](const api::api_load& l) { return l.watches == 0; }));
}

BOOST_FIXTURE_TEST_CASE(a_broken_request_behind_a_head_is_answered_in_full, running) {
  auto c = connect();
  c.send("HEAD", revisions);
  BOOST_TEST(c.receive(true).result_int() == 200U);
  c.send_raw("nonsense\r\n\r\n");
  const auto refused = c.receive();
  BOOST_TEST(refused.result_int() == 400U);
  BOOST_TEST(body(refused)["kind"] == "Status");
}

BOOST_AUTO_TEST_CASE(a_client_that_does_not_read_is_cut_and_hinders_nobody) {
  served s;
  s.settings.idle_timeout = std::chrono::seconds{3};
  BOOST_REQUIRE(s.start().ok());
  s.cache.trees[oid{}] = {{package_file{"big.yaml", file_kind::regular, {}, 0}, std::string(1'000'000, 'x')}};
  for (int i = 1; i <= 60; ++i)
    s.cache.put("default", "r", "p", i);
  std::vector<std::unique_ptr<http_probe>> slow;
  for (int i = 0; i < 6; ++i) {
    slow.push_back(std::make_unique<http_probe>(s.server->port()));
    slow.back()->send("GET", resources);
  }
  for (int i = 0; i < 20; ++i)
    BOOST_TEST(s.connect().ask("GET", revisions + "?limit=1").result_int() == 200U);
  BOOST_TEST(s.load_becomes([](const api::api_load& l) { return l.connections == 0; })); // a write took too long
  for (auto& c : slow)
    BOOST_CHECK_THROW(c->receive(), boost::system::system_error);
}

BOOST_FIXTURE_TEST_CASE(discovery_documents_fit_old_and_new_clients, running) {
  auto c = connect();
  const auto aggregated = c.ask("GET", "/apis", {}, {{"Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"}});
  BOOST_TEST(aggregated[boost::beast::http::field::content_type] == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
  BOOST_TEST(body(aggregated)["items"].size() == 2U);
  BOOST_TEST(body(c.ask("GET", "/apis"))["kind"] == "APIGroupList");
  BOOST_TEST(body(c.ask("GET", "/apis/porch.kpt.dev/v1alpha1"))["resources"].size() == 3U);
  BOOST_TEST(body(c.ask("GET", "/version"))["major"] == "1");
}

BOOST_AUTO_TEST_CASE(stopping_ends_watches_cleanly_and_soon) {
  served s;
  s.settings.farewell = std::chrono::minutes{2};
  BOOST_REQUIRE(s.start().ok());
  auto c = s.connect();
  c.send("GET", revisions + "?watch=true");
  BOOST_TEST(c.open_stream() == 200U);
  const auto before = std::chrono::steady_clock::now();
  s.server->stop();
  BOOST_TEST(c.line().empty());
  BOOST_TEST((std::chrono::steady_clock::now() - before < std::chrono::minutes{1}));
}

BOOST_AUTO_TEST_CASE(other_addresses_need_tls_and_taken_ports_are_told) {
  served open;
  open.settings.address = "0.0.0.0";
  BOOST_TEST((open.start().error().code == ec::invalid_spec));
  running first;
  served second;
  second.settings.port = first.server->port();
  BOOST_TEST((second.start().error().code == ec::unavailable));
}

BOOST_AUTO_TEST_CASE(tls_serves_with_a_certificate_of_its_own) {
  served s;
  const auto cert = (s.dir / "cert.pem").string();
  const auto key = (s.dir / "key.pem").string();
  const auto command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=veranda -addext subjectAltName=IP:127.0.0.1 -keyout " +
                       key + " -out " + cert + " 2>/dev/null";
  BOOST_REQUIRE(std::system(command.c_str()) == 0);
  s.settings.tls_certificate_file = cert;
  s.settings.tls_key_file = key;
  s.settings.header_timeout = std::chrono::seconds{5};
  BOOST_REQUIRE(s.start().ok());
  namespace asio = boost::asio;
  namespace http = boost::beast::http;
  asio::io_context io;
  asio::ssl::context context{asio::ssl::context::tls_client};
  context.load_verify_file(cert);
  context.set_verify_mode(asio::ssl::verify_peer);
  asio::ssl::stream<asio::ip::tcp::socket> stream{io, context};
  stream.next_layer().connect({asio::ip::make_address("127.0.0.1"), s.server->port()});
  stream.handshake(asio::ssl::stream_base::client);
  http::request<http::empty_body> request{http::verb::get, revisions, 11};
  request.set(http::field::host, "127.0.0.1");
  request.set(http::field::authorization, "Bearer secret");
  http::write(stream, request);
  boost::beast::flat_buffer buffer;
  http::response<http::string_body> answer;
  http::read(stream, buffer, answer);
  BOOST_TEST(answer.result_int() == 200U);
  BOOST_TEST(s.server->reload_certificate().ok());
  std::filesystem::remove(key);
  BOOST_TEST(!s.server->reload_certificate().ok());
  BOOST_TEST(s.connect().closed()); // a client that never shakes hands
}
