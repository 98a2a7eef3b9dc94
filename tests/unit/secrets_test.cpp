// links: veranda_adapter_secrets
#define BOOST_TEST_MODULE secrets
#include "adapters/secrets/manifest_secrets.hpp"
#include "tests/support/temporary_directory.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::secrets;

namespace {

constexpr const char* pem = "-----BEGIN CERTIFICATE-----\\nAA\\n-----END CERTIFICATE-----\\n";

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

BOOST_AUTO_TEST_CASE(wrong_types_and_keys_are_named) {
  struct row {
    std::string text;
    const char* field;
  };
  const row table[]{
      {secret("s", "kubernetes.io/ssh-auth", "{ssh-privatekey: x}"), "type"},
      {secret("s", "kubernetes.io/basic-auth", "{username: ann}"), "data.password"},
      {secret("s", "kubernetes.io/basic-auth", "{password: pw}"), "data.username"},
      {secret("s", "kubernetes.io/basic-auth", R"({username: "a:b", password: pw})"), "data.username"},
      {secret("s", "Opaque", "{token: x}"), "data.bearerToken"},
      {secret("s", "Opaque", "{bearerToken: ''}"), "data.bearerToken"},
      {secret("s", "Opaque", R"({bearerToken: "x\r\nHost: y"})"), "data.bearerToken"},
      {secret("s", "Opaque", "{bearerToken: x, ca.crt: nonsense}"), "data.ca.crt"},
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
