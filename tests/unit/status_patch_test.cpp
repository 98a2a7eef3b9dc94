// links: veranda_adapter_kube
#define BOOST_TEST_MODULE status_patch
#include "adapters/kube/known_objects.hpp"
#include "adapters/kube/status_patch.hpp"

#include <boost/test/unit_test.hpp>

#include <string>

using namespace veranda;
using namespace veranda::kube;

namespace {

std::string object_with(const std::string& conditions) { return R"({"kind":"Repository","status":{"conditions":)" + conditions + "}}"; }

const std::string nothing_else = R"("deletionPermit":null,"fence":null,"gitCommitHash":null,"lastFullSyncTime":null,"lastHandledSyncRequest":null,"nextFullSyncTime":null,"nextSyncCause":null,)"
                                 R"("observedGeneration":null,"observedRunOnceAt":null,"packageCount":null})";

api_object object(const std::string& uid, const std::string& version, const std::string& conditions = "[]") {
  api_object o;
  o.key = {"team", "a"};
  o.uid = uid;
  o.resource_version = version;
  o.json = object_with(conditions);
  return o;
}

std::string version_of(const known_objects& all) {
  const auto found = all.find({"team", "a"});
  return found ? found->resource_version : "nothing";
}

} // namespace

BOOST_AUTO_TEST_CASE(conditions_of_others_are_those_of_no_type_of_ours) {
  struct row {
    std::string there, foreign;
  };
  for (const auto& [there, foreign] : std::vector<row>{
         {"[]", ""},
         {R"([{"type":"Ready","status":"True"}])", ""},
         {R"([{"type":"Ready"},{"type":"Reconciling"},{"type":"Stalled"},{"type":"PackagesDegraded"},{"type":"DeletionHeld"},{"type":"ScheduleInvalid"},{"type":"RepositoryConflict"}])", ""},
         {R"([{"type":"Audited","status":"True","lastTransitionTime":"2026-03-10T10:00:00.123Z","unknown":{"a":1}},{"type":"Ready"}])",
          R"([{"lastTransitionTime":"2026-03-10T10:00:00.123Z","status":"True","type":"Audited","unknown":{"a":1}}])"},
         {R"([{"type":"B"},{"type":"A"},7,null,{"type":""},{"type":3},{"status":"True"}])", R"([{"type":"B"},{"type":"A"}])"},
         {"{}", ""},
         {"null", ""}})
    BOOST_TEST(foreign_conditions(object_with(there)) == foreign, there);
  for (const std::string odd : {"", "[]", "{}", R"({"status":3})", R"({"status":{}})", "{"}) BOOST_TEST(foreign_conditions(odd).empty(), odd);
}

BOOST_AUTO_TEST_CASE(the_conditions_of_others_that_are_kept_are_bounded) {
  std::string many = "[";
  for (int i = 0; i < 1000; ++i) many += std::string{i == 0 ? "" : ","} + R"({"type":"T)" + std::to_string(i) + "\"}";
  const auto kept = foreign_conditions(object_with(many + "]"));
  BOOST_TEST(kept.find("T63") != std::string::npos);
  BOOST_TEST(kept.find("T64") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_conditions_that_events_tell) {
  BOOST_TEST(told_conditions(object_with(R"([{"type":"A"},{"type":"Ready","status":"True"}])")) == R"({"status":"True","type":"Ready"})");
  for (const std::string none : {"[]", "{}", "null", R"([{"type":"A"},3])"}) BOOST_TEST(told_conditions(object_with(none)).empty(), none);
  BOOST_TEST(told_conditions(object_with(R"([{"type":"DeletionHeld"},{"type":"A"},{"type":"Ready"}])")) == R"({"type":"Ready"},{"type":"DeletionHeld"})");
}

BOOST_AUTO_TEST_CASE(what_is_left_out_is_taken_away) {
  BOOST_TEST(status_patch("{}", "") == R"({"conditions":[],)" + nothing_else);
  BOOST_TEST(status_patch(R"({"packageCount":3,"conditions":[{"type":"Ready"}],"fence":9})", "").find(R"("fence":9,"gitCommitHash":null)") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(ours_come_first_and_those_of_others_stay_behind_them) {
  const auto ours = R"({"conditions":[{"type":"Ready"},{"type":"Stalled"}]})";
  BOOST_TEST(status_patch(ours, R"([{"type":"B","x":1},{"type":"A"}])") == R"({"conditions":[{"type":"Ready"},{"type":"Stalled"},{"type":"B","x":1},{"type":"A"}],)" + nothing_else);
  BOOST_TEST(status_patch(ours, R"([{"type":"Ready","status":"False"}])") == status_patch(ours, ""));
  BOOST_TEST(status_patch(ours, "nonsense") == status_patch(ours, ""));
}

BOOST_AUTO_TEST_CASE(text_that_is_no_unicode_does_no_harm) {
  BOOST_TEST(status_patch("{\"gitCommitHash\":\"\xff\"}", "").find("conditions") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_answer_counts_until_the_watch_has_seen_it) {
  known_objects all;
  BOOST_TEST(version_of(all) == "nothing");
  all.answered(object("u", "9"));
  BOOST_TEST(version_of(all) == "nothing", "nobody follows it");
  all.seen(object("u", "5"));
  BOOST_TEST(version_of(all) == "5");
  all.answered(object("u", "7"));
  BOOST_TEST(version_of(all) == "7");
  all.seen(object("u", "6"));
  BOOST_TEST(version_of(all) == "7", "the watch is still behind");
  all.seen(object("u", "7"));
  all.seen(object("u", "8"));
  BOOST_TEST(version_of(all) == "8");
  all.answered(object("u", "8"));
  all.seen(object("u", "10"));
  BOOST_TEST(version_of(all) == "10", "an answer that says what the watch said");
}

BOOST_AUTO_TEST_CASE(another_life_of_an_object_ends_what_was_known) {
  known_objects all;
  all.seen(object("u", "5"));
  all.answered(object("u", "7"));
  all.seen(object("v", "6"));
  BOOST_TEST(version_of(all) == "6");
  BOOST_TEST(all.find({"team", "a"})->uid == "v");
  all.gone({"team", "a"});
  BOOST_TEST(version_of(all) == "nothing");
  BOOST_TEST(all.size() == 0U);
}

BOOST_AUTO_TEST_CASE(the_conditions_of_others_are_known) {
  known_objects all;
  all.seen(object("u", "5", R"([{"type":"Ready"},{"type":"Audited"}])"));
  BOOST_TEST(all.find({"team", "a"})->foreign == R"([{"type":"Audited"}])");
}
