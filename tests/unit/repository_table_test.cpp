// links: veranda_adapter_codec nlohmann_json::nlohmann_json
#define BOOST_TEST_MODULE repository_table
#include "adapters/codec/repository_codec.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

using namespace veranda;

// The table of objects that tests/e2e/test_kube_crd.py gives to a real API server with our CustomResourceDefinition.
BOOST_AUTO_TEST_CASE(the_codec_accepts_what_the_definition_accepts) {
  std::ifstream file{VERANDA_TEST_DATA "/crds/repositories.json"};
  const auto rows = nlohmann::json::parse(file);
  BOOST_TEST(rows.size() > 100);
  for (const auto& row : rows) {
    BOOST_TEST_CONTEXT(row["name"].get<std::string>()) {
      const auto decoded = codec::decode_repository(row["object"].dump());
      BOOST_REQUIRE_MESSAGE(decoded.ok(), (decoded ? "" : describe(decoded.error())));
      const auto& problems = decoded->problems;
      BOOST_TEST(problems.empty() == row["accepted"].get<bool>());
      if (row.contains("field")) {
        const auto field = row["field"].get<std::string>();
        BOOST_TEST(std::any_of(problems.begin(), problems.end(), [&](const field_problem& p) { return p.field.starts_with(field); }),
                   "no problem of " << field << (problems.empty() ? "" : ", but of " + problems.front().field));
      }
    }
  }
}

// The status that the end-to-end test writes through /status, and finds again whole under our definition.
BOOST_AUTO_TEST_CASE(the_status_of_the_definition_tests_is_ours) {
  std::ifstream file{VERANDA_TEST_DATA "/crds/status.json"};
  const auto status = nlohmann::json::parse(file);
  const auto decoded = codec::decode_status(nlohmann::json{{"status", status}}.dump());
  BOOST_TEST(nlohmann::json::parse(codec::encode_status(decoded)) == status);
}
