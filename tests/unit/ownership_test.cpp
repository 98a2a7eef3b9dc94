// links: veranda_logic nlohmann_json::nlohmann_json
#define BOOST_TEST_MODULE ownership
#include "actors/logic/ownership.hpp"

#include <boost/test/unit_test.hpp>

#include <nlohmann/json.hpp>

using namespace veranda::logic;
using json = nlohmann::json;

namespace {

const std::string managed = R"("metadata":{"annotations":{"veranda.dev/managed-by":"f.yaml"},"name":"r"})";

/// An object named r with the given spec.
std::string with_spec(const std::string& spec, bool is_managed = false) {
  return "{" + (is_managed ? managed : std::string{R"("metadata":{"name":"r"})"}) + R"(,"spec":)" + spec + "}";
}
std::string merged(const std::string& last, const std::string& desired, const std::string& live) {
  return merge_managed(last, desired, live, "f.yaml").value_or("unchanged");
}

} // namespace

BOOST_AUTO_TEST_CASE(spec_fields) {
  struct row {
    const char* why;
    const char *last, *desired, *live, *expected;
  };
  const row rows[] = {
      {"the file sets what it names", "{}", R"({"a":1})", R"({"a":2,"b":3})", R"({"a":1,"b":3})"},
      {"what it never named is kept", R"({"a":1})", R"({"a":1})", R"({"a":1,"b":{"c":2}})", R"({"a":1,"b":{"c":2}})"},
      {"what it no longer names goes", R"({"a":1,"b":2})", R"({"a":1})", R"({"a":1,"b":9})", R"({"a":1})"},
      {"in depth too", R"({"s":{"x":1,"y":2}})", R"({"s":{"x":1}})", R"({"s":{"x":1,"y":2,"z":3}})", R"({"s":{"x":1,"z":3}})"},
      {"an object it no longer names keeps the fields of others", R"({"s":{"x":1}})", "{}", R"({"s":{"x":1,"z":3}})", R"({"s":{"z":3}})"},
      {"an object emptied by that goes", R"({"s":{"x":1}})", "{}", R"({"s":{"x":1}})", "{}"},
      {"an empty object that is named stays", R"({"s":{"x":1}})", R"({"s":{}})", R"({"s":{"x":1}})", R"({"s":{}})"},
      {"lists are atomic", R"({"l":[1,2]})", R"({"l":[2]})", R"({"l":[1,2,3]})", R"({"l":[2]})"},
      {"null is not naming", R"({"a":1})", R"({"a":null})", R"({"a":1,"b":2})", R"({"b":2})"},
      {"already gone", R"({"a":1})", "{}", R"({"b":2})", R"({"b":2})"},
      {"an object replaces a value", "{}", R"({"a":{"b":1}})", R"({"a":5})", R"({"a":{"b":1}})"},
      {"a value replaces an object", R"({"a":{"b":1}})", R"({"a":5})", R"({"a":{"b":1}})", R"({"a":5})"},
  };
  for (const auto& r : rows) {
    BOOST_TEST_CONTEXT(r.why) {
      const auto live = with_spec(r.live, true);
      const auto result = merge_managed(with_spec(r.last), with_spec(r.desired), live, "f.yaml").value_or(live);
      BOOST_TEST(json::parse(result)["spec"].dump() == json::parse(r.expected).dump());
      BOOST_TEST(!merge_managed(with_spec(r.desired), with_spec(r.desired), result, "f.yaml").has_value()); // stable
    }
  }
}

BOOST_AUTO_TEST_CASE(a_new_object_is_what_the_file_says_and_managed) {
  BOOST_TEST(merged("", with_spec(R"({"a":1})"), "") == with_spec(R"({"a":1})", true));
}

BOOST_AUTO_TEST_CASE(an_equal_object_is_not_written) {
  BOOST_TEST(merged(with_spec(R"({"a":1})"), with_spec(R"({"a":1})"), with_spec(R"({"a":1})", true)) == "unchanged");
}

BOOST_AUTO_TEST_CASE(an_unmanaged_object_becomes_managed) {
  BOOST_TEST(merged("", with_spec(R"({"a":1})"), with_spec(R"({"a":1})")) == with_spec(R"({"a":1})", true));
}

BOOST_AUTO_TEST_CASE(annotations_of_others_and_of_the_store_are_kept) {
  const auto live = R"({"metadata":{"annotations":{"veranda.dev/managed-by":"f.yaml","veranda.dev/suspend":"true"},"generation":4,"name":"r","uid":"u"},"spec":{"a":1},"status":{"x":1}})";
  const auto file = R"({"metadata":{"annotations":{"team":"x"},"generation":1,"name":"r","resourceVersion":"7","uid":"foreign"},"spec":{"a":1},"status":{"x":2}})";
  const auto got = json::parse(merged("", file, live));
  BOOST_TEST(got["metadata"]["uid"] == "u");
  BOOST_TEST(got["metadata"]["generation"] == 4);
  BOOST_TEST(!got["metadata"].contains("resourceVersion"));
  BOOST_TEST(got["metadata"]["annotations"]["veranda.dev/suspend"] == "true");
  BOOST_TEST(got["metadata"]["annotations"]["team"] == "x");
  BOOST_TEST(got["status"]["x"] == 1);
}

BOOST_AUTO_TEST_CASE(hostile_texts_count_as_empty) {
  std::string deep;
  for (int i = 0; i < 200'000; ++i) deep += R"({"a":)";
  BOOST_TEST(merged(deep, with_spec("{}"), with_spec("{}", true)) == "unchanged");
  BOOST_TEST(merged("[1]", with_spec("{}"), with_spec("{}", true)) == "unchanged");
  BOOST_TEST(merged("\xff", with_spec("{}"), with_spec("{}", true)) == "unchanged");
}
