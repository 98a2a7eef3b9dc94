// links: veranda_adapter_source nlohmann_json::nlohmann_json
#define BOOST_TEST_MODULE manifest_file
#include "adapters/source/base64.hpp"
#include "adapters/source/manifest_file.hpp"
#include "adapters/source/secret_digest.hpp"
#include "adapters/source/yaml_json.hpp"

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

using namespace veranda;
using namespace veranda::source;
using nlohmann::json;

namespace {

const manifest_limits limits;

/// The one document of the text.
json yaml(const std::string& text) {
  const auto documents = read_documents(text, false, limits);
  BOOST_REQUIRE_MESSAGE(documents.size() == 1U, documents.size() << " documents in " << text);
  BOOST_REQUIRE_MESSAGE(documents[0].error.empty(), documents[0].error);
  return json::parse(documents[0].json);
}

std::string error_of(const std::string& text, bool is_json = false, const manifest_limits& l = limits) {
  for (const auto& d : read_documents(text, is_json, l))
    if (!d.error.empty())
      return d.error;
  return {};
}

std::string repository(const std::string& name, const std::string& more = {}) {
  return "apiVersion: config.porch.kpt.dev/v1alpha1\nkind: Repository\nmetadata: {name: " + name +
         "}\nspec:\n  type: git\n  git:\n    repo: https://example.com/a\n" + more;
}

manifest_file read(const std::string& text, const std::string& file = "a.yaml") { return read_manifest(text, file, limits, "key"); }

std::vector<std::string> names(const manifest_file& f) {
  std::vector<std::string> out;
  for (const auto& o : f.objects)
    out.push_back(o.key.ns + "/" + o.key.name);
  return out;
}
using lines = std::vector<std::string>;

std::string all_problems(const manifest_file& f) {
  std::string out;
  for (const auto& p : f.problems)
    out += describe(p) + "\n";
  return out;
}

} // namespace

BOOST_AUTO_TEST_CASE(scalars_are_typed_as_kubectl_does) {
  struct row {
    const char* text;
    json value;
  };
  const std::vector<row> table{
      {"x: ", nullptr}, {"x: ~", nullptr}, {"x: null", nullptr}, {"x: 'null'", "null"}, {"x: true", true}, {"x: True", true}, {"x: yes", true},
      {"x: off", false}, {"x: \"true\"", "true"}, {"x: 12", 12}, {"x: -3", -3}, {"x: +3", 3}, {"x: 0x1F", 31}, {"x: 0o17", 15}, {"x: 017", 15},
      {"x: 08", 8.0}, {"x: 0b101", 5}, {"x: 1_000", 1000}, {"x: 1.5", 1.5}, {"x: 1e3", 1000.0}, {"x: .5", 0.5}, {"x: '12'", "12"}, {"x: 1.2.3", "1.2.3"},
      {"x: 18446744073709551615", 18446744073709551615ULL}, {"x: -9223372036854775808", std::numeric_limits<std::int64_t>::min()},
      {"x: 18446744073709551616", 18446744073709551616.0}, {"x: 2026-03-10T10:07:30Z", "2026-03-10T10:07:30Z"}, {"x: 2026-03-10", "2026-03-10"},
      {"x: 10m", "10m"}, {"x: -", json::array({nullptr})}, {"x: +", "+"}, {"x: .", "."}, {"x: main", "main"}, {"x: !!str 12", "12"}, {"x: !!int '12'", 12},
      {"x: |\n  a\n  b\n", "a\nb\n"}, {"x: >-\n  a\n  b\n", "a b"}, {"12: x", {{"12", "x"}}},
  };
  for (const auto& [text, value] : table) {
    const auto got = std::string{text} == "x: -" ? json{{"x", json::array({nullptr})}} : yaml(text);
    const json expected = value.is_object() ? value : json{{"x", value}};
    BOOST_TEST(got == expected, text << " gave " << got.dump());
  }
  for (const char* text : {"x: .inf", "x: -.INF", "x: .nan", "x: 1e999"})
    BOOST_TEST(error_of(text).starts_with("holds a number that JSON cannot hold"), text);
}

BOOST_AUTO_TEST_CASE(anchors_and_merges) {
  BOOST_TEST(yaml("a: &x {p: 1, q: 2}\nb: *x\nc: {<<: *x, p: 3}\nd: {<<: [*x, {r: 4}]}") ==
             json::parse(R"({"a":{"p":1,"q":2},"b":{"p":1,"q":2},"c":{"p":3,"q":2},"d":{"p":1,"q":2,"r":4}})"));
  BOOST_TEST(yaml("a: &k name\n*k : 1") == (json{{"a", "name"}, {"name", 1}}));
  BOOST_TEST(!error_of("a: *unknown").empty());
  BOOST_TEST(!error_of("a: &x [*x]").empty());
  BOOST_TEST(!error_of("a: 1\na: 2").empty());
  BOOST_TEST(!error_of("? [a]\n: 1").empty());
  BOOST_TEST(!error_of("<<: 1").empty());
}

BOOST_AUTO_TEST_CASE(bombs_do_not_expand) {
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 40; ++i) {
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j)
      laughs += (j == 0 ? "*a" : ", *a") + std::to_string(i - 1);
    laughs += "]\n";
  }
  BOOST_TEST(error_of(laughs).starts_with("holds too many nodes"));
  std::string large = "a: &a \"" + std::string(1U << 20U, 'x') + "\"\nb: [";
  for (int i = 0; i < 1000; ++i)
    large += "*a, ";
  BOOST_TEST(error_of(large + "]").starts_with("holds too many nodes"));
  std::string merges = "m0: &m0 {k: v}\n";
  for (int i = 1; i < 200; ++i)
    merges += "m" + std::to_string(i) + ": &m" + std::to_string(i) + " {<<: *m" + std::to_string(i - 1) + ", k" + std::to_string(i) + ": v}\n";
  BOOST_TEST(error_of(merges).empty());
  for (const std::size_t depth : {65U, 100'000U}) {
    BOOST_TEST(!error_of(std::string(depth, '[')).empty());
    BOOST_TEST(!error_of(std::string(depth, '['), true).empty());
    std::string maps;
    for (std::size_t i = 0; i < depth; ++i)
      maps += "{\"a\":";
    BOOST_TEST(!error_of(maps, true).empty());
  }
  std::string chain = "a0: &a0 [x]\n"; // deep only by aliases
  for (int i = 1; i < 70; ++i)
    chain += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + "]\n";
  BOOST_TEST(error_of(chain).starts_with("is nested too deep"));
}

BOOST_AUTO_TEST_CASE(documents_are_counted_and_isolated) {
  const auto documents = read_documents("# head\n---\na: 1\n---\nb: [\n---\n---\n# nothing\n--- {d: 4}\n---\ne: |\n  --- not a separator\n", false, limits);
  BOOST_REQUIRE(documents.size() == 4U);
  BOOST_TEST(documents[0].number == 1);
  BOOST_TEST(documents[0].json == R"({"a":1})");
  BOOST_TEST(documents[1].number == 2);
  BOOST_TEST(documents[1].error.find("line ") != std::string::npos);
  BOOST_TEST(documents[2].json == R"({"d":4})");
  BOOST_TEST(documents[2].number == 5);
  BOOST_TEST(documents[3].json == R"({"e":"--- not a separator\n"})");
  BOOST_TEST(yaml("%YAML 1.1\n---\na: 1\n") == (json{{"a", 1}}));
  BOOST_TEST(read_documents("a: 1\n...\n%YAML 1.1\n---\nb: 2\n", false, limits).size() == 2U);
  BOOST_TEST(read_documents("", false, limits).empty());
  BOOST_TEST(read_documents("---\n", false, limits).empty());
  BOOST_TEST(yaml("\xEF\xBB\xBF" "a: 1\r\n") == (json{{"a", 1}}));
  manifest_limits few;
  few.max_documents = 2;
  BOOST_TEST(error_of("a: 1\n---\nb: 1\n---\nc: 1\n", false, few) == "is one document too many");
}

BOOST_AUTO_TEST_CASE(json_files) {
  const auto documents = read_documents("{\"a\": \"\\ud83d\\ude00\"}\n{\"b\": 2}\n", true, limits);
  BOOST_REQUIRE(documents.size() == 2U);
  BOOST_TEST(documents[0].json == "{\"a\":\"\xF0\x9F\x98\x80\"}");
  BOOST_TEST(error_of("{\"a\": 1,}", true).starts_with("is not valid JSON"));
  BOOST_TEST(error_of("{\"a\": \"hunter2", true).find("hunter2") == std::string::npos);
  BOOST_TEST(!error_of("{\"a\": 1, \"a\": 2}", true).empty());
  BOOST_TEST(yaml("{\"a\": true, \"<<\": \"no merge\"}") == (json{{"a", true}, {"<<", "no merge"}}));
}

BOOST_AUTO_TEST_CASE(bytes_that_are_no_text) {
  BOOST_TEST(error_of("a: \xFF").starts_with("is not valid UTF-8"));
  BOOST_TEST(error_of(std::string("a: 1\0b: 2", 9)).find("NUL") != std::string::npos);
  BOOST_TEST(!error_of("a: \x01").empty());
}

BOOST_AUTO_TEST_CASE(objects_of_a_file) {
  const auto f = read(repository("one") + "---\n" + "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: s, namespace: team}}\n" +
                      "- {apiVersion: config.porch.kpt.dev/v1alpha1, kind: Repository, metadata: {name: two}, spec: {type: git, git: {repo: x}}}\n" + "---\n" +
                      "apiVersion: config.porch.kpt.dev/v1alpha1\nkind: RepositoryList\nitems:\n- {metadata: {name: three}, spec: {type: git, git: {repo: x}}}\n");
  BOOST_TEST(all_problems(f) == "");
  BOOST_TEST(!f.broken);
  BOOST_TEST(names(f) == (lines{"default/one", "team/s", "default/two", "default/three"}), boost::test_tools::per_element());
  BOOST_TEST(f.objects[1].resource == "secrets");
  BOOST_TEST(f.objects[3].document == 3);
  BOOST_TEST(json::parse(f.objects[0].json)["metadata"]["namespace"] == "default");
}

BOOST_AUTO_TEST_CASE(problems_name_document_field_value_and_rule) {
  const auto f = read("kind: ConfigMap\napiVersion: v1\nmetadata: {name: c}\n---\n" + repository("one", "    branch: a b\n") + "---\n- 1\n---\n" +
                      repository("two") + "---\nkind: Repository\napiVersion: config.porch.kpt.dev/v1alpha2\nmetadata: {name: x}\n");
  BOOST_TEST(names(f) == (lines{"default/one", "default/two"}), boost::test_tools::per_element());
  BOOST_TEST(!f.objects[0].valid);
  BOOST_TEST(f.objects[1].valid);
  BOOST_TEST(f.broken);
  BOOST_TEST(all_problems(f) ==
             "a.yaml: document 1: ConfigMap: kind: \"ConfigMap\": is ignored: only Repository, Secret and lists of them are read\n"
             "a.yaml: document 2: Repository default/one: spec.git.branch: \"a b\": must be a valid git branch name\n"
             "a.yaml: document 3: must be a Kubernetes object\n"
             "a.yaml: document 5: Repository: apiVersion: \"config.porch.kpt.dev/v1alpha2\": must be config.porch.kpt.dev/v1alpha1\n");
}

BOOST_AUTO_TEST_CASE(what_a_server_sets_is_left_out) {
  const auto f = read("apiVersion: config.porch.kpt.dev/v1alpha1\nkind: Repository\nmetadata:\n  name: a\n  uid: u\n  resourceVersion: '5'\n  generation: 2\n"
                      "  creationTimestamp: null\n  annotations: {veranda.dev/managed-by: x, keep: me}\nspec: {type: git, git: {repo: x}}\nstatus: {fence: 3}\n");
  BOOST_REQUIRE(f.objects.size() == 1U);
  BOOST_TEST(json::parse(f.objects[0].json)["metadata"] == (json{{"name", "a"}, {"namespace", "default"}, {"annotations", {{"keep", "me"}}}}));
  BOOST_TEST(!json::parse(f.objects[0].json).contains("status"));
}

BOOST_AUTO_TEST_CASE(secrets_are_stored_without_their_bytes) {
  const std::string text = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  annotations:\n"
                           "    kubectl.kubernetes.io/last-applied-configuration: '{\"stringData\":{\"password\":\"hunter2\"}}'\n"
                           "    veranda.dev/hosts: example.com\ntype: kubernetes.io/basic-auth\ndata: {username: YW5u}\nstringData: {password: hunter2}\ndataa: hunter2\n";
  const auto f = read(text);
  BOOST_REQUIRE(f.objects.size() == 1U);
  BOOST_TEST(f.problems.empty());
  const auto stored = f.objects[0].json;
  BOOST_TEST(stored.find("hunter2") == std::string::npos);
  BOOST_TEST(stored.find("YW5u") == std::string::npos);
  const auto notes = json::parse(stored)["metadata"]["annotations"];
  BOOST_TEST(notes["veranda.dev/secret-keys"] == "password,username");
  BOOST_TEST(notes["veranda.dev/hosts"] == "example.com");
  BOOST_TEST(notes["veranda.dev/secret-digest"].get<std::string>().size() == 64U);
  BOOST_TEST(json::parse(stored)["type"] == "kubernetes.io/basic-auth");
  const auto digest_of = [&](const std::string& t, const std::string& key) {
    return json::parse(read_manifest(t, "a.yaml", limits, key).objects.at(0).json)["metadata"]["annotations"]["veranda.dev/secret-digest"];
  };
  std::string other = text;
  other.replace(other.rfind("password: hunter2"), 17, "password: hunter3");
  BOOST_TEST(digest_of(text, "k") == digest_of(text, "k"));
  BOOST_TEST(digest_of(text, "k") != digest_of(other, "k"));
  BOOST_TEST(digest_of(text, "k") != digest_of(text, "l"));

  const auto found = find_secret(text, "a.yaml", {"default", "s"}, limits);
  BOOST_REQUIRE(found.has_value());
  BOOST_REQUIRE(found->ok());
  BOOST_TEST((*found)->data.at("username") == "ann");
  BOOST_TEST((*found)->data.at("password") == "hunter2");
  BOOST_TEST(!find_secret(text, "a.yaml", {"team", "s"}, limits).has_value());
}

BOOST_AUTO_TEST_CASE(broken_secrets_show_nothing) {
  for (const char* body : {"data: {password: 'hunter2!'}", "data: {password: [hunter2]}", "data: hunter2", "stringData: {password: 12345}",
                           "stringData: {'hunter2 x': y}", "type: [hunter2]"}) {
    const std::string text = std::string{"apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"} + body + "\n";
    const auto f = read(text);
    BOOST_TEST_CONTEXT(body) {
      BOOST_TEST(f.objects.empty());
      BOOST_TEST(f.broken);
      BOOST_TEST(f.problems.size() == 1U);
      BOOST_TEST(all_problems(f).find("hunter2") == std::string::npos);
      BOOST_TEST(all_problems(f).find("12345") == std::string::npos);
      BOOST_TEST((find_secret(text, "a.yaml", {"default", "s"}, limits)->error().code == ec::auth_rejected));
    }
  }
}

BOOST_AUTO_TEST_CASE(base64_is_strict) {
  BOOST_TEST(*decode_base64("") == "");
  BOOST_TEST(*decode_base64("YQ==") == "a");
  BOOST_TEST(*decode_base64("YWI=") == "ab");
  BOOST_TEST(*decode_base64("YW\nJj\r\n") == "abc");
  BOOST_TEST((*decode_base64("AP/+") == std::string{"\0\xFF\xFE", 3}));
  for (const char* bad : {"YQ", "YQ=", "=", "YQ===", "Y Q=", "YQ==YQ==", "Y-_=", "A===", "YWJjZ", "===="})
    BOOST_TEST(!decode_base64(bad).has_value(), bad);
}

BOOST_AUTO_TEST_CASE(the_digest_tells_fields_apart) {
  BOOST_TEST(keyed_digest("k", "t", {{"a", "bc"}}) != keyed_digest("k", "t", {{"ab", "c"}}));
  BOOST_TEST(keyed_digest("k", "t", {{"a", ""}}) != keyed_digest("k", "t", {}));
  BOOST_TEST(keyed_digest(std::string(100, 'k'), "t", {}) != keyed_digest(std::string(101, 'k'), "t", {}));
}
