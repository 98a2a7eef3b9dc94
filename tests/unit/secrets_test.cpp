// links: veranda_adapter_secrets
#define BOOST_TEST_MODULE secrets
#include "adapters/secrets/manifest_secrets.hpp"
#include "tests/support/temporary_directory.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::secrets;

namespace {

const std::string pem = "-----BEGIN CERTIFICATE-----\\nAA\\n-----END CERTIFICATE-----\\n";
const std::string pem_key = "-----BEGIN PRIVATE KEY-----\\nAA\\n-----END PRIVATE KEY-----\\n";

std::string secret(const std::string& name, const std::string& type, const std::string& data, const std::string& annotations = "{}") {
  return "apiVersion: v1\nkind: Secret\nmetadata: {name: " + name + ", namespace: team, annotations: " + annotations + "}\ntype: " + type +
         "\nstringData: " + data + "\n---\n";
}

std::string basic(const std::string& annotations = "{}", const std::string& password = "pw") {
  return secret("s", "kubernetes.io/basic-auth", "{username: ann, password: " + password + "}", annotations);
}

struct fixture {
  test::temporary_directory dir;
  std::shared_ptr<secret_files> files = std::make_shared<secret_files>();
  std::unique_ptr<secret_source> source = open_manifest_secrets({dir.path(), {}}, files);

  void write(const std::string& text) {
    dir.write("s.yaml", text);
    std::filesystem::permissions(dir / "s.yaml", std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    source::manifest_state state;
    for (const char* name : {"s", "team-ca-bundle"})
      state.objects.push_back({"secrets", {"team", name}, "s.yaml", 1, "{}"});
    files->update(state);
  }
  result<credentials> resolve(const std::string& host = "example.com", const std::string& name = "s") { return source->resolve("team", name, host); }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(s, fixture)

BOOST_AUTO_TEST_CASE(basic_authentication) {
  write(basic());
  const auto r = resolve();
  BOOST_REQUIRE(r.ok());
  BOOST_TEST(r->username == "ann");
  BOOST_TEST(r->password == "pw");
  BOOST_TEST(r->bearer_token.empty());
}

BOOST_AUTO_TEST_CASE(bearer_token_without_its_line_end) {
  write(secret("s", "Opaque", R"({bearerToken: "tok\r\n"})"));
  const auto r = resolve();
  BOOST_REQUIRE(r.ok());
  BOOST_TEST(r->bearer_token == "tok");
  BOOST_TEST(r->username.empty());
}

BOOST_AUTO_TEST_CASE(an_authority_alone_is_enough_for_a_remote_that_asks_nobody) {
  write(secret("s", "Opaque", "{ca.crt: \"" + pem + "\"}"));
  const auto r = resolve();
  BOOST_REQUIRE(r.ok());
  BOOST_TEST(r->anonymous());
  BOOST_TEST(r->ca_bundle_pem.starts_with("-----BEGIN CERTIFICATE-----"));
}

BOOST_AUTO_TEST_CASE(a_secret_of_no_use_is_told_which_keys_would_do) {
  write(secret("s", "Opaque", "{token: x}"));
  const auto r = resolve();
  BOOST_REQUIRE(!r.ok());
  for (const char* key : {"bearerToken", "username and password", "tls.crt and tls.key", "ssh-privatekey", "proxy", "ca.crt"})
    BOOST_TEST(r.error().what.find(key) != std::string::npos, key);
}

BOOST_AUTO_TEST_CASE(wrong_types_and_keys_are_named) {
  struct row {
    std::string text;
    const char* field;
  };
  const row table[]{
      {secret("s", "kubernetes.io/dockerconfigjson", "{username: ann, password: pw}"), "type"},
      {secret("s", "kubernetes.io/basic-auth", "{username: ann}"), "data.password"},
      {secret("s", "kubernetes.io/basic-auth", "{password: pw}"), "data.username"},
      {secret("s", "kubernetes.io/basic-auth", R"({username: "a:b", password: pw})"), "data.username"},
      {secret("s", "Opaque", "{token: x}"), "data"},
      {secret("s", "Opaque", "{ca.crt: nonsense}"), "data.ca.crt"},
      {secret("s", "Opaque", "{bearerToken: ''}"), "data.bearerToken"},
      {secret("s", "Opaque", R"({bearerToken: "x\r\nHost: y"})"), "data.bearerToken"},
      {secret("s", "Opaque", "{bearerToken: x, ca.crt: nonsense}"), "data.ca.crt"},
      {secret("s", "Opaque", "{username: ann}"), "data.password"},
      {secret("s", "kubernetes.io/basic-auth", "{bearerToken: x}"), "data.username"},
      {secret("s", "kubernetes.io/tls", "{username: ann, password: pw}"), "data.tls.crt"},
      {secret("s", "kubernetes.io/tls", "{tls.crt: \"" + pem + "\"}"), "data.tls.key"},
      {secret("s", "Opaque", "{bearerToken: x, tls.key: \"" + pem_key + "\"}"), "data.tls.crt"},
      {secret("s", "Opaque", "{tls.crt: nonsense, tls.key: \"" + pem_key + "\"}"), "data.tls.crt"},
      {secret("s", "Opaque", "{tls.crt: \"" + pem + "\", tls.key: nonsense}"), "data.tls.key"},
      {secret("s", "Opaque", "{tls.crt: \"" + pem + "\", tls.key: '-----BEGIN ENCRYPTED PRIVATE KEY-----'}"), "data.tls.key"},
      {secret("s", "Opaque", "{proxyUsername: ann, proxyPassword: pw, bearerToken: x}"), "data.proxy"},
      {secret("s", "Opaque", "{proxy: 'http://p:1', proxyUsername: ann}"), "data.proxyPassword"},
      {secret("s", "Opaque", "{proxy: 'http://p:1', proxyUsername: 'a:b', proxyPassword: pw}"), "data.proxyUsername"},
      {secret("s", "Opaque", "{proxy: 'http://ann:pw@p:1'}"), "data.proxy"},
      {secret("s", "Opaque", "{proxy: p}"), "data.proxy"},
  };
  for (const auto& [text, field] : table) {
    write(text);
    const auto r = resolve();
    BOOST_TEST_CONTEXT(text) {
      BOOST_REQUIRE(!r.ok());
      BOOST_TEST((r.error().code == ec::auth_rejected));
      BOOST_TEST(r.error().field == field);
      BOOST_TEST(r.error().object == "Secret team/s");
    }
  }
}

BOOST_AUTO_TEST_CASE(a_user_in_an_opaque_secret) {
  write(secret("s", "Opaque", "{username: ann, password: pw}"));
  BOOST_TEST(resolve()->username == "ann");
  write(secret("s", "Opaque", "{username: ann, password: pw, bearerToken: tok}"));
  BOOST_TEST(resolve()->bearer_token == "tok");
  BOOST_TEST(resolve()->username == "");
}

BOOST_AUTO_TEST_CASE(client_certificates) {
  const auto pair = "tls.crt: \"" + pem + "\", tls.key: \"" + pem_key + "\"";
  for (const auto& text : {secret("s", "kubernetes.io/tls", "{" + pair + "}"), secret("s", "Opaque", "{" + pair + "}"),
                           secret("s", "kubernetes.io/basic-auth", "{username: ann, password: pw, " + pair + "}"), secret("s", "kubernetes.io/tls", "{bearerToken: tok, " + pair + "}"),
                           secret("s", "Opaque", "{bearerToken: tok, " + pair + "}")}) {
    write(text);
    const auto r = resolve();
    BOOST_REQUIRE_MESSAGE(r.ok(), text);
    BOOST_TEST(r->client_certificate_pem.starts_with("-----BEGIN CERTIFICATE-----"));
    BOOST_TEST(r->client_key_pem.starts_with("-----BEGIN PRIVATE KEY-----"));
    BOOST_TEST(!r->anonymous());
    BOOST_TEST((r->username == "ann") == (text.find("username") != std::string::npos));
    BOOST_TEST((r->bearer_token == "tok") == (text.find("bearerToken") != std::string::npos));
  }
}

BOOST_AUTO_TEST_CASE(proxies) {
  write(secret("s", "Opaque", "{proxy: \"HTTP://Proxy.Example.org:3128/\\n\"}"));
  auto r = resolve();
  BOOST_REQUIRE(r.ok());
  BOOST_TEST(r->proxy.url == "http://proxy.example.org:3128");
  BOOST_TEST(r->proxy.username == "");
  BOOST_TEST(r->anonymous());
  write(secret("s", "kubernetes.io/basic-auth", "{username: ann, password: pw, proxy: 'socks5h://[fd00::1]:1080', proxyUsername: bob, proxyPassword: 'p:2'}"));
  r = resolve();
  BOOST_REQUIRE(r.ok());
  BOOST_TEST((r->proxy == proxy_setting{"socks5h://[fd00::1]:1080", "bob", "p:2"}));
  BOOST_TEST(r->username == "ann");
  for (const std::string bad : {"", "p", "p:1", "http://p", "http://p:0", "http://p:65536", "http://p:1/x", "http://p:1?q", "ftp://p:1", "file:///p:1", "socks4://p:1", "http://:1", "http://-p:1", "http://p p:1",
                                "http://[fd00::1:1", "http://[]:1", "http://[p]:1", "http://p:+1", "http://p:1#f", "http://u@p:1"}) {
    write(secret("s", "Opaque", "{proxy: '" + bad + "'}"));
    const auto refused = resolve();
    BOOST_REQUIRE_MESSAGE(!refused.ok(), bad);
    BOOST_TEST(refused.error().field == "data.proxy", bad);
    BOOST_TEST((refused.error().code == ec::auth_rejected), bad);
  }
}

namespace {
/// Begins as a key without a passphrase does, or as one with.
std::string ssh_key(bool encrypted = false) {
  return std::string{"-----BEGIN OPENSSH PRIVATE KEY-----\\nb3BlbnNzaC1rZXktdjEAAAAA"} + (encrypted ? "CmFlczI1Ni1jdHIAAAAGYmNyeXB0" : "BG5vbmUAAAAEbm9uZQAAAAAAAAAB") +
         "\\n-----END OPENSSH PRIVATE KEY-----\\n";
}
const std::string old_key = "-----BEGIN RSA PRIVATE KEY-----\\r\\nMIIB\\r\\n-----END RSA PRIVATE KEY-----";
} // namespace

BOOST_AUTO_TEST_CASE(ssh_keys) {
  const auto key = "\"" + ssh_key() + "\"";
  for (const auto& text : {secret("s", "kubernetes.io/ssh-auth", "{ssh-privatekey: " + key + ", known_hosts: \"\\n# of git\\r\\nexample.com ssh-ed25519 AAAA\"}"),
                           secret("s", "Opaque", "{identity: " + key + ", known_hosts: \"\\n# of git\\nexample.com ssh-ed25519 AAAA\\n\\n\"}"),
                           secret("s", "Opaque", "{sshPrivateKey: " + key + ", known_hosts: \"\\n# of git\\nexample.com ssh-ed25519 AAAA \\n\"}")}) {
    write(text);
    const auto r = resolve();
    BOOST_REQUIRE_MESSAGE(r.ok(), text);
    BOOST_TEST(r->ssh_private_key == "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAAB\n-----END OPENSSH PRIVATE KEY-----\n");
    BOOST_TEST(r->ssh_known_hosts == "\n# of git\nexample.com ssh-ed25519 AAAA\n");
    BOOST_TEST(r->anonymous(), "over http it says nothing");
  }
  write(secret("s", "kubernetes.io/ssh-auth", "{ssh-privatekey: \"" + old_key + "\"}"));
  BOOST_TEST(resolve()->ssh_private_key == "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----\n");
  BOOST_TEST(resolve()->ssh_known_hosts == "", "whether that will do is the transport's to say");
  write(secret("s", "Opaque", "{username: u, password: p, ssh-privatekey: " + key + ", known_hosts: ' '}"));
  BOOST_TEST(resolve()->ssh_private_key == "", "a key goes to no other hosts than those it came with");
  write(secret("s", "Opaque", "{identity: x, bearerToken: tok}"));
  BOOST_TEST(resolve()->bearer_token == "tok", "an https URL needs the token only");
  write(secret("s", "Opaque", "{ssh-privatekey: " + key + ", bearerToken: tok}"));
  BOOST_TEST(resolve()->bearer_token == "tok");
  BOOST_TEST(!resolve()->ssh_private_key.empty());
}

BOOST_AUTO_TEST_CASE(ssh_keys_that_will_not_do) {
  struct row {
    std::string text;
    const char* field;
    const char* part;
  };
  const auto good = "ssh-privatekey: \"" + ssh_key() + "\"";
  const row table[]{
      {secret("s", "kubernetes.io/ssh-auth", "{known_hosts: x}"), "data.ssh-privatekey", "must have the key ssh-privatekey"},
      {secret("s", "kubernetes.io/ssh-auth", "{ssh-privatekey: x}"), "data.ssh-privatekey", "private key"},
      {secret("s", "kubernetes.io/ssh-auth", "{ssh-privatekey: x, bearerToken: tok}"), "data.ssh-privatekey", "private key"},
      {secret("s", "Opaque", "{sshPrivateKey: 'PuTTY-User-Key-File-2: ssh-rsa'}"), "data.sshPrivateKey", "ssh-keygen"},
      {secret("s", "Opaque", "{identity: 'ssh-ed25519 AAAA ann@example.com'}"), "data.identity", "private key"},
      {secret("s", "Opaque", "{identity: \"" + ssh_key(true) + "\"}"), "data.identity", "passphrase"},
      {secret("s", "Opaque", "{identity: '-----BEGIN ENCRYPTED PRIVATE KEY-----'}"), "data.identity", "passphrase"},
      {secret("s", "Opaque", "{identity: \"-----BEGIN RSA PRIVATE KEY-----\\nProc-Type: 4,ENCRYPTED\\n\"}"), "data.identity", "passphrase"},
      {secret("s", "Opaque", "{identity: '-----BEGIN RSA PRIVATE KEY-----" + std::string(17'000, 'x') + "'}"), "data.identity", "16 KiB"},
      {secret("s", "Opaque", "{" + good + ", known_hosts: ' '}"), "data.known_hosts", "empty"},
      {secret("s", "Opaque", "{" + good + ", known_hosts: '" + std::string(300'000, 'x') + "'}"), "data.known_hosts", "256 KiB"},
      {secret("s", "Opaque", "{" + good + ", known_hosts: \"" + ssh_key() + "\"}"), "data.known_hosts", "ssh-keyscan"},
  };
  for (const auto& [text, field, part] : table) {
    write(text);
    const auto r = resolve();
    BOOST_TEST_CONTEXT(text.substr(0, 300)) {
      BOOST_REQUIRE(!r.ok());
      BOOST_TEST((r.error().code == ec::auth_rejected));
      BOOST_TEST(r.error().field == field);
      BOOST_TEST(r.error().what.find(part) != std::string::npos, r.error().what);
      BOOST_TEST(r.error().object == "Secret team/s");
    }
  }
}

BOOST_AUTO_TEST_CASE(missing_secrets) {
  BOOST_TEST((resolve().error().code == ec::dependency_missing));
  write(basic());
  BOOST_TEST((resolve("example.com", "other").error().code == ec::dependency_missing));
  std::filesystem::remove(dir / "s.yaml");
  BOOST_TEST((resolve().error().code == ec::dependency_missing));
  write("apiVersion: v1\n");
  BOOST_TEST((resolve().error().code == ec::dependency_missing));
}

BOOST_AUTO_TEST_CASE(anonymous_with_and_without_the_namespaces_ca) {
  auto r = resolve("example.com", "");
  BOOST_REQUIRE(r.ok());
  BOOST_TEST(r->anonymous());
  BOOST_TEST(r->ca_bundle_pem.empty());
  write(secret("team-ca-bundle", "Opaque", std::string{"{ca.crt: \""} + pem + "\"}"));
  r = resolve("example.com", "");
  BOOST_REQUIRE(r.ok());
  BOOST_TEST(r->ca_bundle_pem.starts_with("-----BEGIN"));
  write(secret("team-ca-bundle", "Opaque", "{ca.crt: x}"));
  BOOST_TEST((resolve("example.com", "").error().code == ec::auth_rejected));
}

BOOST_AUTO_TEST_CASE(the_secrets_own_ca_comes_first) {
  write(secret("s", "Opaque", std::string{"{bearerToken: t, ca.crt: \"own"} + pem + "\"}") +
        secret("team-ca-bundle", "Opaque", std::string{"{ca.crt: \"common"} + pem + "\"}"));
  BOOST_TEST(resolve()->ca_bundle_pem.starts_with("own"));
}

BOOST_AUTO_TEST_CASE(credentials_go_only_to_their_hosts) {
  const auto allowed = [&](const std::string& hosts, const std::string& host) {
    write(basic("{veranda.dev/hosts: '" + hosts + "'}"));
    const auto r = resolve(host);
    if (!r)
      BOOST_TEST((r.error().code == ec::auth_rejected));
    return r.ok();
  };
  BOOST_TEST(allowed("example.com", "example.com"));
  BOOST_TEST(allowed("a.org, Example.com ", "EXAMPLE.com"));
  BOOST_TEST(allowed("example.com", "example.com:8443"));
  BOOST_TEST(allowed("example.com:8443", "example.com:8443"));
  BOOST_TEST(allowed("[::1]", "[::1]:80"));
  BOOST_TEST(!allowed("example.com:8443", "example.com"));
  BOOST_TEST(!allowed("example.com:8443", "example.com:443"));
  BOOST_TEST(!allowed("example.com", "example.com.evil.org"));
  BOOST_TEST(!allowed("example.com", "evil-example.com"));
  BOOST_TEST(!allowed("", "example.com"));
  BOOST_TEST(!allowed(" , ", ""));
}

BOOST_AUTO_TEST_CASE(an_unchanged_file_is_parsed_once) {
  int reads = 0;
  wall_time now{};
  manifest_secret_settings settings{dir.path(), {}};
  settings.read = [&](const auto& where, const auto& file, const auto& key, const auto& limits) {
    ++reads;
    return source::read_secret(where, file, key, limits);
  };
  settings.now = [&] { return now; };
  source = open_manifest_secrets(settings, files);
  const auto password = [&] {
    const auto r = source->resolve("team", "s", "example.com");
    return r ? r->password : std::string{to_string(r.error().code)};
  };
  const auto reads_for = [&](const std::string& wanted) {
    reads = 0;
    BOOST_TEST(password() == wanted);
    return reads;
  };
  write(basic() + secret("team-ca-bundle", "Opaque", std::string{"{ca.crt: \""} + pem + "\"}"));
  now = std::chrono::system_clock::now(); // too young to be told from a write that follows
  BOOST_TEST(reads_for("pw") == 2);
  BOOST_TEST(reads_for("pw") == 2);
  now += std::chrono::hours{1};
  BOOST_TEST(reads_for("pw") == 2);
  BOOST_TEST(reads_for("pw") == 0);
  write(basic("{}", "new password"));
  BOOST_TEST(reads_for("new password") >= 1);
  files->update({});
  BOOST_TEST(reads_for("dependency_missing") == 0);
}

BOOST_AUTO_TEST_CASE(files_are_looked_up_by_secret_only) {
  source::manifest_state state;
  state.objects = {{"repositories.config.porch.kpt.dev", {"team", "s"}, "a.yaml", 1, "{}"}};
  files->update(state);
  BOOST_TEST(!files->find({"team", "s"}).has_value());
  BOOST_TEST((source::read_secret(dir.path(), "../s.yaml", {"team", "s"}, {}).error().code == ec::dependency_missing));
}

BOOST_AUTO_TEST_SUITE_END()
