// links: veranda_logic veranda_adapter_kpt
#define BOOST_TEST_MODULE kptfile
#include "actors/logic/discovery/facts.hpp"
#include "adapters/kpt/kptfile.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using veranda::kpt::decode_kptfile;

namespace {

const std::string head = "apiVersion: kpt.dev/v1\nkind: Kptfile\n";

} // namespace

BOOST_AUTO_TEST_CASE(everything_that_is_kept) {
  const auto facts = decode_kptfile(head + R"(metadata:
  name: pkg
  labels: {app: "x", 'n': 5, empty: null, yes: true}
  annotations:
    config.kubernetes.io/local-config: "true"
upstreamLock:
  type: git
  git:
    repo: https://example.com/up.git
    directory: /base
    ref: base/v1
    commit: 0123456789012345678901234567890123456789
info:
  description: |
    several
    lines
  keywords: [a, b]
  readinessGates:
  - conditionType: one
  - conditionType: two
pipeline:
  mutators:
  - image: set-labels:v0.1
    configMap: {a: b}
    selectors:
    - kind: Deployment
      labels: {x: y}
inventory: {namespace: ns, name: n, inventoryID: i}
status:
  conditions:
  - type: one
    status: "True"
    reason: Because
    message: all is well
  - type: two
    status: Unknown
  renderStatus:
    mutationSteps:
    - image: set-labels:v0.1
      exitCode: 0
      results: [{message: m, tags: [1, {deep: true}]}]
)");
  BOOST_TEST(facts.problem == "");
  BOOST_TEST((facts.labels == std::map<std::string, std::string>{{"app", "x"}, {"n", "5"}, {"empty", ""}, {"yes", "true"}}));
  BOOST_TEST((facts.annotations == std::map<std::string, std::string>{{"config.kubernetes.io/local-config", "true"}}));
  BOOST_REQUIRE(facts.upstream_lock.has_value());
  BOOST_TEST((*facts.upstream_lock == git_lock{"https://example.com/up.git", "/base", "base/v1", "0123456789012345678901234567890123456789"}));
  BOOST_TEST((facts.readiness_gates == std::vector<std::string>{"one", "two"}));
  BOOST_TEST((facts.conditions == std::vector<package_condition>{{"one", "True", "Because", "all is well"}, {"two", "Unknown", "", ""}}));
  BOOST_TEST((logic::decode_facts(logic::encode_facts(facts)) == facts));
}

BOOST_AUTO_TEST_CASE(what_is_accepted) {
  const std::vector<std::string> rows{
      head,
      "# a comment\n---\n" + head + "---\nanother: document\n",
      head + "metadata:\n",
      head + "upstream: null\ninfo: ~\n",
      head + "info:\n  description: &d text\n  site: *d\n",
      "{apiVersion: kpt.dev/v1, kind: Kptfile}",
      head + "upstreamLock:\n  type: generic\n  generic: {storeID: DB}\n",
  };
  for (const std::string& text : rows) {
    const auto facts = decode_kptfile(text);
    BOOST_CHECK_MESSAGE(facts.problem.empty(), text << "\ngave " << facts.problem);
    BOOST_CHECK(!facts.upstream_lock.has_value());
  }
}

BOOST_AUTO_TEST_CASE(what_is_refused_and_why) {
  struct row {
    std::string text;
    std::string_view reason;
  };
  const std::vector<row> rows{
      {"", "no apiVersion"},
      {"# nothing\n", "no apiVersion"},
      {"just text", "must be a mapping"},
      {"- a\n", "must be a mapping"},
      {"kind: Kptfile\n", "apiVersion"},
      {"apiVersion: kpt.dev/v1\n", "kind"},
      {"apiVersion: kpt.dev/v1\nkind: Other\n", "`Other`"},
      {"apiVersion: kpt.dev/v1alpha1\nkind: Kptfile\n", "deprecated"},
      {"apiVersion: kpt.dev/v1alpha2\nkind: Kptfile\n", "deprecated"},
      {"apiVersion: kpt.dev/v2\nkind: Kptfile\n", "`kpt.dev/v2`"},
      {head + "surprise: 1\n", "line 3: unknown field `surprise`"},
      {head + "metadata:\n  finalizers: []\n", "unknown field `finalizers`"},
      {head + "kind: Kptfile\n", "`kind` is there twice"},
      {head + "metadata:\n  labels:\n    a: x\n    a: y\n", "`a` is there twice"},
      {head + "metadata: text\n", "`metadata` must be a mapping"},
      {head + "metadata:\n  name: [a]\n", "`name` must be a single value"},
      {head + "metadata:\n  labels: [a]\n", "`labels` must be a mapping"},
      {head + "metadata:\n  labels:\n    a: {}\n", "`a` must be a single value"},
      {head + "info:\n  keywords: word\n", "`keywords` must be a list"},
      {head + "info:\n  readinessGates:\n  - text\n", "must be a mapping"},
      {head + "upstream:\n  preserveExplicitNull: perhaps\n", "true or false"},
      {head + "status:\n  renderStatus:\n    mutationSteps:\n    - exitCode: many\n", "whole number"},
      {head + "status:\n  conditions:\n  - {type: ok, status: Perhaps}\n", "`ok` must be True, False or Unknown"},
      {head + "status:\n  conditions:\n  -\n", "must be True, False or Unknown"},
      {head + "info: &i {site: x}\ninventory: *i\n", "alias `i` stands for no single value"},
      {head + "info:\n  site: *unknown\n", "alias"},
      {head + "<<: {a: b}\n", "unknown field `<<`"},
      {head + "? [a]\n: b\n", "must be a text"},
      {head + "metadata: {\n", "not valid YAML"},
      {head + "metadata:\n\tname: x\n", "not valid YAML"},
      {head + "metadata:\n  name: \"\\0\"\n", "NUL"},
      {head + "metadata:\n  name: \"\xff\"\n", "UTF-8"},
      {head + std::string("metadata:\n  name: a\0b\n", 22), "NUL"},
      {head + "status:\n  renderStatus:\n    mutationSteps:\n    - results: " + std::string(100, '[') + std::string(100, ']'), "deeper than 32"},
      {head + "#" + std::string(2U << 20U, 'x'), "larger than"},
  };
  for (const row& r : rows) {
    const auto facts = decode_kptfile(r.text);
    BOOST_CHECK_MESSAGE(facts.problem.find(r.reason) != std::string::npos, r.text.substr(0, 200) << "\ngave " << facts.problem);
    kptfile_facts empty;
    empty.problem = facts.problem;
    BOOST_CHECK(facts == empty);
  }
}

BOOST_AUTO_TEST_CASE(a_few_bytes_that_stand_for_many_are_refused) {
  const std::string start = head + "metadata:\n  name: x\n";
  const std::string long_text(50'000, 'x');
  std::string labels = start + "  labels:\n    k: &a " + long_text + "\n";
  for (int n = 0; n < 20'000; ++n)
    labels += "    k" + std::to_string(n) + ": *a\n";
  std::string conditions = start + "info:\n  description: &a " + long_text + "\nstatus:\n  conditions:\n";
  for (int n = 0; n < 10'000; ++n)
    conditions += "  - {type: *a, status: \"True\"}\n";
  std::string gates = start + "info:\n  readinessGates:\n";
  for (int n = 0; n < 20'000; ++n)
    gates += "  - {}\n";
  for (const auto& text : {labels, conditions, gates, start + "  annotations:\n    k: " + std::string(300'000, 'x') + "\n"}) {
    const auto facts = decode_kptfile(text);
    BOOST_TEST(facts.problem.find("labels, annotations, gates, conditions and the upstream lock take more than 262144 bytes") != std::string::npos, facts.problem);
    BOOST_TEST(facts.labels.empty());
    BOOST_TEST(facts.conditions.empty());
  }
  BOOST_TEST(decode_kptfile(start + "  annotations:\n    k: " + std::string(250'000, 'x') + "\n").problem == "");
}

BOOST_AUTO_TEST_CASE(any_damage_to_an_encoding_is_harmless) {
  kptfile_facts facts;
  facts.upstream_lock = git_lock{"r", "d", "f", "c"};
  facts.conditions = {{"a", "b", "c", "d"}};
  facts.labels = {{"k", "v"}};
  const std::string encoded = logic::encode_facts(facts);
  for (std::size_t at = 0; at < encoded.size(); ++at)
    for (int value = 0; value < 256; ++value) {
      std::string damaged = encoded;
      damaged[at] = static_cast<char>(value);
      BOOST_REQUIRE(logic::decode_facts(damaged.substr(0, at + 1)).conditions.size() <= damaged.size());
      BOOST_REQUIRE(logic::decode_facts(damaged).labels.size() <= damaged.size());
    }
  BOOST_TEST((logic::decode_facts({}) == kptfile_facts{}));
}
