// links: veranda_adapter_kube
#define BOOST_TEST_MODULE kube_config
#include "adapters/kube/credential_source.hpp"
#include "adapters/kube/exec_credential.hpp"
#include "adapters/kube/kubeconfig.hpp"
#include "tests/support/temporary_directory.hpp"

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <map>

using namespace veranda;
using namespace veranda::kube;
using namespace std::chrono_literals;
using veranda::test::temporary_directory;

namespace {

/// A kubeconfig of one cluster, user and context; the two pieces are YAML flow mappings.
std::string one(const std::string& cluster, const std::string& user = "{token: t0ken}") {
  return "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: k, cluster: " + cluster + "}]\nusers: [{name: u, user: " + user +
         "}]\ncontexts: [{name: c, context: {cluster: k, user: u, namespace: team}}]\n";
}

result<client_config> load(const std::string& text, const std::string& context = {}) {
  auto parsed = parse_kubeconfig(text, "/etc/kube/config");
  if (!parsed) return parsed.error();
  return select_context(merge({*parsed}), context);
}

/// A computer that consists of variables and files.
struct fake_host {
  std::map<std::string, std::string> variables;
  std::map<std::string, std::string> files;
  [[nodiscard]] config_search search() const {
    config_search out;
    out.environment = [this](const std::string& name) {
      const auto found = variables.find(name);
      return found == variables.end() ? std::nullopt : std::optional{found->second};
    };
    out.read_file = [this](const std::string& path) -> result<std::string> {
      const auto found = files.find(path);
      if (found == files.end()) return failure{ec::not_found, "there is no such file", path, {}, {}};
      return found->second;
    };
    return out;
  }
};

const auto never = []() -> result<void> { return {}; };

} // namespace

BOOST_AUTO_TEST_CASE(server_urls) {
  struct row {
    std::string given, text, host;
    bool secure;
  };
  const row good[] = {
    {"https://10.0.0.1:6443", "https://10.0.0.1:6443", "10.0.0.1", true},
    {"https://api.example.org", "https://api.example.org:443", "api.example.org", true},
    {"http://localhost:8080/", "http://localhost:8080", "localhost", false},
    {"http://localhost", "http://localhost:80", "localhost", false},
    {"https://[fd00::1]:6443/k8s/clusters/c-1/", "https://[fd00::1]:6443/k8s/clusters/c-1", "fd00::1", true},
    {"api.example.org:6443", "https://api.example.org:6443", "api.example.org", true},
  };
  for (const auto& r : good) {
    const auto url = parse_server_url(r.given);
    BOOST_REQUIRE_MESSAGE(url.ok(), r.given);
    BOOST_TEST(url->text() == r.text);
    BOOST_TEST(url->host == r.host);
    BOOST_TEST(url->secure() == r.secure);
  }
  for (const auto* bad : {"", "https://", "ftp://a", "https://u:p@a", "https://a?x=1", "https://a#x", "https://a:0", "https://a:99999", "https://a:x", "https://[::1", "https://a b",
                          "https://[::1]x", "https://:443"})
    BOOST_TEST(!parse_server_url(bad).ok(), bad);
}

BOOST_AUTO_TEST_CASE(a_whole_kubeconfig) {
  const auto c = load(one("{server: 'https://h:1/p', certificate-authority-data: LS0t, tls-server-name: api, proxy-url: 'http://proxy:3128'}",
                          "{client-certificate-data: Y2VydA==, client-key: keys/k.pem, as: boss, as-uid: '7', as-groups: [a, b], as-user-extra: {Team.io/x: [y, z]}}"));
  BOOST_REQUIRE_MESSAGE(c.ok(), describe(c.ok() ? failure{} : c.error()));
  BOOST_TEST(c->origin == "kubeconfig /etc/kube/config, context c");
  BOOST_TEST(c->ns == "team");
  BOOST_TEST(c->cluster.server.text() == "https://h:1/p");
  BOOST_TEST(c->cluster.certificate_authority.text == "---");
  BOOST_TEST(c->cluster.tls_server_name == "api");
  BOOST_TEST(c->cluster.proxy_url == "http://proxy:3128");
  BOOST_TEST(c->user.client_certificate.text == "cert");
  BOOST_TEST(c->user.client_key.file == "/etc/kube/keys/k.pem");
  BOOST_TEST(c->user.as.user == "boss");
  BOOST_TEST(c->user.as.uid == "7");
  BOOST_TEST((c->user.as.groups == std::vector<std::string>{"a", "b"}));
  BOOST_TEST((c->user.as.extra == std::map<std::string, std::vector<std::string>>{{"Team.io/x", {"y", "z"}}}));
}

BOOST_AUTO_TEST_CASE(json_is_yaml_too) {
  const auto c = load(R"({"kind":"Config","clusters":[{"name":"k","cluster":{"server":"http://h"}}],"contexts":[{"name":"x","context":{"cluster":"k"}}]})", "x");
  BOOST_REQUIRE(c.ok());
  BOOST_TEST(c->cluster.server.text() == "http://h:80");
  BOOST_TEST(c->ns == "default");
  BOOST_TEST((c->user == user_config{}));
}

BOOST_AUTO_TEST_CASE(a_server_without_a_scheme_is_https_when_tls_is_configured) {
  BOOST_TEST(load(one("{server: 'h:1'}"))->cluster.server.scheme == "http");
  BOOST_TEST(load(one("{server: 'h:1', insecure-skip-tls-verify: true}"))->cluster.server.scheme == "https");
}

BOOST_AUTO_TEST_CASE(an_exec_plugin) {
  const auto c = load(one("{server: 'https://h'}", "{exec: {apiVersion: client.authentication.k8s.io/v1, command: ./bin/login, args: [--for, me], "
                                                   "env: [{name: A, value: '1'}], provideClusterInfo: true, interactiveMode: IfAvailable, installHint: install it}}"));
  BOOST_REQUIRE(c.ok());
  const auto& e = *c->user.exec;
  BOOST_TEST(e.command == "/etc/kube/bin/login");
  BOOST_TEST((e.arguments == std::vector<std::string>{"--for", "me"}));
  BOOST_TEST((e.environment == std::vector<std::pair<std::string, std::string>>{{"A", "1"}}));
  BOOST_TEST(e.provide_cluster_info);
  const auto by_name = load(one("{server: 'https://h'}", "{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: login}}"));
  BOOST_TEST(by_name->user.exec->command == "login");
}

BOOST_AUTO_TEST_CASE(broken_entries_name_file_context_and_field) {
  const std::string ok = "{server: 'https://h'}";
  struct row {
    std::string cluster, user, field;
    ec code = ec::invalid_spec;
  };
  const row rows[] = {
    {"{}", "{}", "clusters[k].cluster.server"},
    {"{server: 'https://u:hunter2@h'}", "{}", "clusters[k].cluster.server"},
    {"{server: 'https://h', certificate-authority-data: '%%%'}", "{}", "clusters[k].cluster.certificate-authority-data"},
    {"{server: 'https://h', certificate-authority: ca, insecure-skip-tls-verify: true}", "{}", "clusters[k].cluster.insecure-skip-tls-verify"},
    {"{server: 'https://h', insecure-skip-tls-verify: maybe}", "{}", "clusters[k].cluster.insecure-skip-tls-verify"},
    {"{server: 'https://h', proxy-url: 'gopher://x'}", "{}", "clusters[k].cluster.proxy-url"},
    {"[1]", "{}", "clusters[k].cluster"},
    {ok, "{client-certificate: c}", "users[u].user.client-key"},
    {ok, "{client-key-data: aHVudGVyMg==}", "users[u].user.client-key"},
    {ok, "{token: hunter2, username: me}", "users[u].user.username"},
    {ok, "{token: [hunter2]}", "users[u].user.token"},
    {ok, "{as-uid: '1'}", "users[u].user.as"},
    {ok, "{auth-provider: {name: oidc}}", "users[u].user.auth-provider", ec::unsupported},
    {ok, "{exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}}", "users[u].user.exec.apiVersion", ec::unsupported},
    {ok, "{exec: {apiVersion: client.authentication.k8s.io/v1}}", "users[u].user.exec.command"},
    {ok, "{exec: {apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: Always}}", "users[u].user.exec.interactiveMode", ec::unsupported},
    {ok, "{exec: {apiVersion: client.authentication.k8s.io/v1, command: x, env: [{value: y}]}}", "users[u].user.exec.env.name"},
    {ok, "{exec: {apiVersion: client.authentication.k8s.io/v1, command: x, args: {}}}", "users[u].user.exec.args"},
  };
  for (const auto& r : rows) {
    const auto c = load(one(r.cluster, r.user));
    BOOST_REQUIRE_MESSAGE(!c.ok(), r.field);
    BOOST_TEST(c.error().field == r.field);
    BOOST_TEST((c.error().code == r.code), r.field);
    BOOST_TEST(c.error().object == "kubeconfig /etc/kube/config");
    BOOST_TEST(describe(c.error()).find("hunter2") == std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(a_broken_entry_spoils_nobody_else) {
  const std::string text = "current-context: good\nclusters: [{name: bad, cluster: {}}, {name: k, cluster: {server: 'https://h'}}]\n"
                           "contexts: [{name: good, context: {cluster: k}}, {name: worse, context: {cluster: bad}}, {name: lost, context: {cluster: gone}},"
                           " {name: stranger, context: {cluster: k, user: nobody}}]";
  BOOST_TEST(load(text).ok());
  BOOST_TEST(load(text, "worse").error().field == "clusters[bad].cluster.server");
  BOOST_TEST(load(text, "lost").error().field == "context.cluster");
  BOOST_TEST(load(text, "lost").error().object == "kubeconfig /etc/kube/config, context lost");
  BOOST_TEST(load(text, "stranger").error().field == "context.user");
  BOOST_TEST(describe(load(text, "nope").error()) == "flag --context: `nope`: must be a context of kubeconfig /etc/kube/config"); // not the file's own choice
  BOOST_TEST((load(text, "nowhere").error().code == ec::not_found));
}

BOOST_AUTO_TEST_CASE(what_is_no_kubeconfig) {
  for (const auto* text : {"", "- 1", "kind: Pod", "a: [", "\x01\x02", "clusters: {}", "clusters: [{cluster: {}}]", "<!doctype html><p>"}) {
    const auto c = load(text);
    BOOST_REQUIRE_MESSAGE(!c.ok(), text);
    BOOST_TEST((c.error().code == ec::invalid_spec), text);
  }
  std::string deep(100'000, '[');
  BOOST_TEST(!load(deep).ok());
}

BOOST_AUTO_TEST_CASE(the_first_file_that_names_something_wins) {
  fake_host host;
  host.variables = {{"KUBECONFIG", "/a/missing:/a/one:/b/two:"}};
  host.files["/a/one"] = "contexts: [{name: c, context: {cluster: k, user: u}}]\nclusters: [{name: k, cluster: {server: 'https://one'}}]";
  host.files["/b/two"] = "current-context: c\nclusters: [{name: k, cluster: {server: 'https://two'}}, {name: other, cluster: {server: 'https://three'}}]\n"
                         "users: [{name: u, user: {tokenFile: tokens/u}}]\ncontexts: [{name: d, context: {cluster: other}}]";
  auto search = host.search();
  const auto c = load_client_config(search);
  BOOST_REQUIRE_MESSAGE(c.ok(), describe(c.ok() ? failure{} : c.error()));
  BOOST_TEST(c->cluster.server.host == "one");
  BOOST_TEST(c->user.token_file == "/b/tokens/u");
  search.context = "d";
  BOOST_TEST(load_client_config(search)->cluster.server.host == "three");
}

BOOST_AUTO_TEST_CASE(where_a_configuration_is_looked_for) {
  const std::map<std::string, std::string> files{
    {"/named", one("{server: 'https://named'}")}, {"/listed", one("{server: 'https://listed'}")}, {"/home/me/.kube/config", one("{server: 'https://home'}")},
    {"/sa/token", "sa"},                          {"/sa/namespace", "system\n"}};
  const std::pair<std::string, std::string> pod_host{"KUBERNETES_SERVICE_HOST", "fd00::1"}, pod_port{"KUBERNETES_SERVICE_PORT", "443"}, home{"HOME", "/home/me"},
    list{"KUBECONFIG", "/listed"};
  struct row {
    std::string named;
    std::map<std::string, std::string> variables;
    std::string expected;
  };
  const row rows[] = {
    {"/named", {list, home, pod_host, pod_port}, "https://named:443"}, {"", {list, home, pod_host, pod_port}, "https://listed:443"},
    {"", {home, pod_host, pod_port}, "https://[fd00::1]:443"},          {"", {home, pod_host}, "https://home:443"},
    {"", {}, ""},
  };
  for (const auto& r : rows) {
    fake_host host{r.variables, files};
    auto search = host.search();
    search.kubeconfig = r.named;
    search.service_account_dir = "/sa";
    const auto c = load_client_config(search);
    BOOST_TEST(c.ok() == !r.expected.empty());
    BOOST_TEST((c ? c->cluster.server.text() : "") == r.expected);
  }
  fake_host empty;
  auto search = empty.search();
  search.kubeconfig = "/named";
  BOOST_TEST((load_client_config(search).error().code == ec::not_found));
  BOOST_TEST(load_client_config(search).error().object == "kubeconfig /named");
}

BOOST_AUTO_TEST_CASE(a_pod) {
  fake_host host{{{"KUBERNETES_SERVICE_HOST", "10.0.0.1"}, {"KUBERNETES_SERVICE_PORT", "443"}}, {{"/sa/token", "t"}, {"/sa/namespace", "prod\n"}}};
  auto search = host.search();
  search.service_account_dir = "/sa";
  const auto c = in_cluster_config(search);
  BOOST_REQUIRE(c.ok());
  BOOST_TEST(c->ns == "prod");
  BOOST_TEST(c->user.token_file == "/sa/token");
  BOOST_TEST(c->cluster.certificate_authority.file == "/sa/ca.crt");
  host.variables["POD_NAMESPACE"] = "mine";
  BOOST_TEST(in_cluster_config(search)->ns == "mine");
  host.files.erase("/sa/token");
  BOOST_TEST((in_cluster_config(search).error().code == ec::dependency_missing));
  BOOST_TEST((load_client_config(search).error().code == ec::dependency_missing)); // in a pod without a token nothing else is tried
}

BOOST_AUTO_TEST_CASE(files_are_read_at_each_use_and_the_last_good_value_is_kept) {
  const temporary_directory dir;
  client_config c;
  c.cluster.server = *parse_server_url("https://h");
  c.cluster.certificate_authority.file = dir / "ca.crt";
  c.user.token_file = dir / "token";
  const auto source = open_credentials(c);
  BOOST_TEST(source->renewable());
  BOOST_TEST((source->read(false, never).error().code == ec::dependency_missing));
  dir.write("ca.crt", "-----BEGIN CERTIFICATE-----\n");
  dir.write("token", " first\n");
  auto read = source->read(false, never);
  BOOST_REQUIRE(read.ok());
  BOOST_TEST(read->credentials.token == "first");
  BOOST_TEST((read->fresh_for == std::optional{50s}));
  BOOST_TEST(!read->problem);
  dir.write("token", "second");
  dir.write("ca.crt", "half written");
  read = source->read(false, never);
  BOOST_TEST(read->credentials.token == "second");
  BOOST_TEST(read->credentials.ca_pem == "-----BEGIN CERTIFICATE-----\n");
  BOOST_TEST(read->problem->field == "certificate-authority");
  std::filesystem::remove(dir / "token");
  BOOST_TEST(source->read(true, never)->credentials.token == "second");
  dir.write("token", "bro\nken");
  BOOST_TEST((source->read(false, never).error().code == ec::auth_rejected));
}

BOOST_AUTO_TEST_CASE(over_plain_http_nothing_is_read) {
  client_config c;
  c.cluster.server = *parse_server_url("http://h");
  c.user.token = "secret";
  c.user.exec = exec_plugin{"client.authentication.k8s.io/v1", "/does/not/exist", {}, {}, false, {}};
  const auto source = open_credentials(c);
  BOOST_TEST(!source->renewable());
  BOOST_TEST((source->read(false, never)->credentials == api_credentials{}));
}

BOOST_AUTO_TEST_CASE(a_plugin_is_run_when_its_credentials_end_or_are_refused) {
  const temporary_directory dir;
  client_config c;
  c.origin = "kubeconfig x, context y";
  c.cluster.server = *parse_server_url("https://h");
  c.user.exec = exec_plugin{"client.authentication.k8s.io/v1", "/bin/sh",
                            {"-c", "echo run >> " + (dir / "runs").string() + "; printf '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":"
                                   "{\"token\":\"%s\",\"expirationTimestamp\":\"2026-03-10T10:00:00Z\"}}' \"$NAME-$(wc -l < " + (dir / "runs").string() + ")\""},
                            {{"NAME", "t"}}, false, {}};
  auto now = *parse_rfc3339("2026-03-10T09:00:00Z");
  credential_options options;
  options.now = [&now] { return now; };
  const auto source = open_credentials(c, options);
  BOOST_REQUIRE_MESSAGE(source->read(false, never).ok(), describe(source->read(false, never).ok() ? failure{} : source->read(false, never).error()));
  BOOST_TEST(source->read(false, never)->credentials.token == "t-1");
  BOOST_TEST(source->read(true, never)->credentials.token == "t-2");
  now += 59min;
  BOOST_TEST((source->read(false, never)->fresh_for == std::optional{50s}));
  now += 30s;
  BOOST_TEST((source->read(false, never)->fresh_for == std::optional{20s}));
  now += 25s;
  BOOST_TEST(source->read(false, never)->credentials.token == "t-3");
}

BOOST_AUTO_TEST_CASE(plugins_that_fail) {
  struct row {
    std::string script;
    ec code;
  };
  const row rows[] = {
    {"echo hunter2 >&2; exit 3", ec::auth_rejected},
    {"echo hunter2", ec::auth_rejected},
    {"echo '{}'", ec::auth_rejected},
    {"exec sleep 20", ec::timed_out},
    {"yes hunter2", ec::too_large},
  };
  for (const auto& r : rows) {
    client_config c;
    c.origin = "here";
    c.cluster.server = *parse_server_url("https://h");
    c.user.exec = exec_plugin{"client.authentication.k8s.io/v1", "/bin/sh", {"-c", r.script}, {}, false, {}};
    credential_options options;
    options.plugin_deadline = r.code == ec::timed_out ? 100ms : 30'000ms;
    const auto read = open_credentials(c, options)->read(false, never);
    BOOST_REQUIRE(!read.ok());
    BOOST_TEST((read.error().code == r.code), r.script);
    BOOST_TEST(describe(read.error()).find("hunter2") == std::string::npos);
  }
  client_config c;
  c.cluster.server = *parse_server_url("https://h");
  c.user.exec = exec_plugin{"client.authentication.k8s.io/v1", "/does/not/exist", {}, {}, false, "install the SDK"};
  const auto missing = open_credentials(c)->read(false, never);
  BOOST_TEST((missing.error().code == ec::auth_rejected));
  BOOST_TEST(missing.error().what.find("install the SDK") != std::string::npos);
  c.user.exec->command = "/bin/sleep";
  c.user.exec->arguments = {"20"};
  const auto stopped = open_credentials(c)->read(false, []() -> result<void> { return failure{ec::shutting_down, "the end", {}, {}, {}}; });
  BOOST_TEST((stopped.error().code == ec::shutting_down));
}

BOOST_AUTO_TEST_CASE(what_plugins_are_told_and_answer) {
  const exec_plugin plain{"client.authentication.k8s.io/v1", "p", {}, {}, false, {}};
  cluster_config cluster;
  cluster.server = *parse_server_url("https://h:1");
  BOOST_TEST(exec_info(plain, cluster, "ca") == R"({"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":false}})");
  auto told = plain;
  told.provide_cluster_info = true;
  BOOST_TEST(exec_info(told, cluster, "ca").find(R"("certificate-authority-data":"Y2E=")") != std::string::npos);
  BOOST_TEST(exec_info(told, cluster, "ca").find(R"("server":"https://h:1")") != std::string::npos);
  const std::string head = R"({"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1",)";
  BOOST_TEST(parse_exec_credential(plain, head + R"("status":{"clientCertificateData":"c","clientKeyData":"k"}})")->client_key_pem == "k");
  for (const auto* rest : {R"("status":{"clientCertificateData":"c"}})", R"("status":{}})", R"("status":{"token":"t","expirationTimestamp":"soon"}})", R"("status":[]})", R"("x":1})"})
    BOOST_TEST(!parse_exec_credential(plain, head + rest).ok(), rest);
  auto beta = plain;
  beta.api_version = "client.authentication.k8s.io/v1beta1";
  BOOST_TEST(parse_exec_credential(beta, head + R"("status":{"token":"t"}})").error().field == "apiVersion");
  for (const auto& [bytes, text] : std::map<std::string, std::string>{{"", ""}, {"a", "YQ=="}, {"ab", "YWI="}, {"abc", "YWJj"}, {"\xff\xfe\xfd\xfc", "//79/A=="}})
    BOOST_TEST(encode_base64(bytes) == text);
}
