// links: veranda_actors_kube
#define BOOST_TEST_MODULE kube_writer
#include "actors/kube/kube_writer.hpp"
#include "tests/support/actor_fixture.hpp"
#include "tests/support/fakes/api_clients.hpp"

#include <nlohmann/json.hpp>

using namespace veranda;
using namespace veranda::test;
using nlohmann::json;

namespace {

using names = std::vector<std::string>;

const std::string base = "/apis/config.porch.kpt.dev/v1alpha1/namespaces/team/repositories/";

std::string ready(const std::string& status, const std::string& reason, const std::string& message = "m") {
  return json{{"conditions", {{{"type", "Ready"}, {"status", status}, {"reason", reason}, {"message", message}, {"lastTransitionTime", "2026-03-10T10:00:00Z"}}}}}.dump();
}

/// A Ready status of a repository that holds removals, if it is told which.
std::string holding(const std::string& which) {
  auto status = json::parse(ready("True", "Ready"));
  if (!which.empty())
    status["conditions"].push_back({{"type", "DeletionHeld"}, {"status", "True"}, {"reason", "TooManyRemovals"}, {"message", which}});
  return status.dump();
}

/// The writer before an API server that holds objects as a real one does, as far as it matters here.
struct writer : actor_fixture {
  writer() {
    client->answers = [this](const kube::api_request& r) { return serve(r); };
    open();
    put("a");
  }
  void open(event_sender_policy events = {}) {
    kube_writer_deps deps;
    deps.env = env;
    deps.client = client;
    deps.known = known;
    deps.health = health;
    deps.events = events;
    subject = spawn(kube_writer, std::move(deps));
  }
  void at_end() override { subject = nullptr; }

  void put(const std::string& name, json conditions = json::array(), bool watched = true) {
    auto& o = objects[name];
    o = {{"apiVersion", "config.porch.kpt.dev/v1alpha1"},
         {"kind", "Repository"},
         {"metadata", {{"name", name}, {"namespace", "team"}, {"uid", "uid-" + name}, {"resourceVersion", std::to_string(++version)}}},
         {"status", {{"conditions", std::move(conditions)}}}};
    if (watched)
      known->seen({{"team", name}, "uid-" + name, o["metadata"]["resourceVersion"], 1, o.dump(), {}});
  }
  /// Somebody else writes a condition; the watch has not heard of it.
  void touch(const std::string& name, const std::string& type) {
    objects[name]["metadata"]["resourceVersion"] = std::to_string(++version);
    objects[name]["status"]["conditions"].push_back({{"type", type}, {"status", "True"}});
  }

  result<kube::api_answer> serve(const kube::api_request& r) {
    if (fail)
      if (auto f = fail(r))
        return *std::move(f);
    if (r.target.find("/events") != std::string::npos)
      return fake_api_client::answer(201, r.body);
    const auto name = r.target.substr(base.size(), r.target.find_first_of("/?", base.size()) - base.size());
    const auto at = objects.find(name);
    if (at == objects.end())
      return fake_api_client::refusal(404, "NotFound", name);
    if (r.method == kube::api_method::patch) {
      const auto change = json::parse(r.body);
      if (change["metadata"]["resourceVersion"] != at->second["metadata"]["resourceVersion"])
        return fake_api_client::refusal(409, "Conflict");
      const auto before = at->second["status"];
      at->second["status"].merge_patch(change["status"]);
      if (before != at->second["status"])
        at->second["metadata"]["resourceVersion"] = std::to_string(++version);
    }
    return fake_api_client::answer(200, at->second.dump());
  }

  answer<msg::stored_object_ptr> start(const std::string& name, const std::string& status, const std::string& uid = "") {
    return ask<msg::stored_object_ptr>(subject, msg::write_object{msg::object_operation::update_status, kube::repositories().name(), {"team", name}, uid.empty() ? "uid-" + name : uid, status});
  }
  /// Writes; `ok` or the class of the failure.
  std::string put_status(const std::string& name, const std::string& status, const std::string& uid = "") {
    const auto got = start(name, status, uid);
    settle();
    BOOST_REQUIRE(got->has_value());
    return (*got)->ok() ? "ok" : std::string{to_string((*got)->error().code)};
  }
  names types(const std::string& name) {
    names out;
    for (const auto& c : objects[name]["status"]["conditions"])
      out.push_back(c["type"]);
    return out;
  }
  /// Requests for objects, without their query: `PATCH a/status`.
  names calls() {
    names out;
    for (auto& one : client->asked)
      if (const auto at = one.find(base); at != std::string::npos)
        out.push_back(one.substr(0, one.find(' ') + 1) + one.substr(at + base.size(), one.find('?') - at - base.size()));
    (void)client->take_asked();
    return out;
  }
  /// Events that were made and changed since the last call: `Error x1 message`.
  names told() {
    names out;
    for (const auto& r : client->requests)
      if (r.target.find("/events") != std::string::npos) {
        const auto e = json::parse(r.body);
        out.push_back(e.value("reason", "same") + " x" + std::to_string(e["count"].get<int>()) + " " + e["message"].get<std::string>());
      }
    (void)client->take_asked();
    return out;
  }

  std::shared_ptr<fake_api_client> client = std::make_shared<fake_api_client>();
  std::shared_ptr<kube::known_objects> known = std::make_shared<kube::known_objects>();
  std::shared_ptr<store_health> health = std::make_shared<store_health>();
  std::map<std::string, json> objects;
  int version = 0;
  std::function<std::optional<result<kube::api_answer>>(const kube::api_request&)> fail;
  kube_writer_actor subject;
};

using refused = std::optional<result<kube::api_answer>>;

bool about_events(const kube::api_request& r) { return r.target.find("/events") != std::string::npos; }

} // namespace

BOOST_FIXTURE_TEST_SUITE(statuses, writer)

BOOST_AUTO_TEST_CASE(a_status_is_one_request) {
  BOOST_TEST(put_status("a", ready("True", "Ready")) == "ok");
  BOOST_TEST(put_status("a", ready("False", "Error")) == "ok"); // with the version that the first was answered with, though the watch has not come so far
  BOOST_TEST(calls() == (names{"PATCH a/status", "PATCH a/status"}), boost::test_tools::per_element());
  BOOST_TEST(objects["a"]["status"]["conditions"][0]["reason"] == "Error");
}

BOOST_AUTO_TEST_CASE(an_object_that_the_watch_has_not_shown_is_read_first) {
  put("b", json::array({{{"type", "Audited"}, {"status", "True"}}}), false);
  BOOST_TEST(put_status("b", ready("True", "Ready")) == "ok");
  BOOST_TEST(calls() == (names{"GET b", "PATCH b/status"}), boost::test_tools::per_element());
  BOOST_TEST(types("b") == (names{"Ready", "Audited"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(after_a_conflict_it_is_read_and_written_again_beside_what_others_wrote) {
  touch("a", "Audited");
  BOOST_TEST(put_status("a", ready("True", "Ready")) == "ok");
  BOOST_TEST(calls() == (names{"PATCH a/status", "GET a", "PATCH a/status"}), boost::test_tools::per_element());
  BOOST_TEST(types("a") == (names{"Ready", "Audited"}), boost::test_tools::per_element());
  BOOST_TEST(state_of<kube_writer_state>(subject).conflicts == 1U);
}

BOOST_AUTO_TEST_CASE(against_those_who_never_stop_writing_it_gives_up_for_now) {
  fail = [this](const kube::api_request& r) -> refused {
    if (r.method == kube::api_method::patch && !about_events(r))
      touch("a", "Audited");
    return std::nullopt;
  };
  BOOST_TEST(put_status("a", ready("True", "Ready")) == "throttled");
  BOOST_TEST(calls().size() == 9U); // five tries, four readings
  fail = nullptr;
  BOOST_TEST(put_status("a", ready("True", "Ready")) == "ok");
}

BOOST_AUTO_TEST_CASE(an_object_that_is_gone_or_was_made_anew_is_not_found) {
  objects.erase("a");
  BOOST_TEST(put_status("a", ready("True", "Ready")) == "not_found");
  BOOST_TEST(calls() == (names{"PATCH a/status", "GET a"}), boost::test_tools::per_element());
  put("b");
  BOOST_TEST(put_status("b", ready("True", "Ready"), "uid-of-before") == "not_found");
  BOOST_TEST(calls() == (names{"GET b"}), boost::test_tools::per_element());
  BOOST_TEST(types("b").empty());
  BOOST_TEST(!health->trouble());
}

BOOST_AUTO_TEST_CASE(a_definition_without_status_is_named) {
  fail = [](const kube::api_request& r) -> refused { return r.target.find("/status") != std::string::npos ? refused{fake_api_client::refusal(404, "NotFound", "")} : std::nullopt; };
  BOOST_TEST(put_status("a", ready("True", "Ready")) == "unsupported");
}

BOOST_AUTO_TEST_CASE(what_goes_wrong_says_what_to_do) {
  struct row {
    result<kube::api_answer> answer;
    std::string code, trouble;
  };
  auto page = fake_api_client::answer(200, "<html>");
  page.content_type = "text/html";
  for (const auto& [answered, code, trouble] : std::vector<row>{{fake_api_client::refusal(403, "Forbidden"), "auth_rejected", "auth_rejected"},
                                                               {fake_api_client::refusal(422, "Invalid"), "invalid_spec", "auth_rejected"},
                                                               {fake_api_client::refusal(503, "ServiceUnavailable"), "unavailable", "unavailable"},
                                                               {page, "unavailable", "unavailable"},
                                                               {failure{ec::unreachable, "refused", {}, {}, {}}, "unreachable", "unreachable"},
                                                               {fake_api_client::answer(200, "{}"), "unavailable", "unavailable"}}) {
    fail = [&answer = answered](const kube::api_request& r) { return about_events(r) ? std::nullopt : refused{answer}; };
    BOOST_TEST(put_status("a", ready("True", "Ready")) == code);
    BOOST_REQUIRE(health->trouble());
    BOOST_TEST(std::string{to_string(*health->trouble())} == trouble);
  }
  fail = nullptr;
  BOOST_TEST(put_status("a", ready("True", "Ready")) == "ok");
  BOOST_TEST(!health->trouble());
}

BOOST_AUTO_TEST_CASE(many_are_under_way_at_once) {
  for (const auto* name : {"b", "c", "d"})
    put(name);
  client->hold = true;
  std::vector<answer<msg::stored_object_ptr>> all;
  for (const auto* name : {"a", "b", "c", "d"}) {
    all.push_back(start(name, ready("True", "Ready")));
    settle();
  }
  BOOST_TEST(calls().size() == 4U);
  client->hold = false;
  BOOST_TEST(put_status("a", ready("False", "Error")) == "ok");
  for (const auto& one : all)
    BOOST_TEST((one->has_value() && (*one)->ok()));
}

BOOST_AUTO_TEST_CASE(only_statuses_are_written) {
  const auto why = get_failure<msg::stored_object_ptr>(subject, msg::write_object{msg::object_operation::create, kube::repositories().name(), {}, {}, "{}"});
  BOOST_TEST((why.code == ec::unsupported));
  BOOST_TEST(client->asked.empty());
}

BOOST_AUTO_TEST_CASE(an_end_with_calls_under_way_is_quiet) {
  client->hold = true;
  const auto got = start("a", ready("True", "Ready"));
  settle();
  crash(subject);
  settle();
  client->hold = false;
  client->run_for(0ms);
  BOOST_TEST(!alive(subject));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(events, writer)

BOOST_AUTO_TEST_CASE(transitions_are_told_and_refreshes_are_not) {
  put_status("a", ready("False", "Reconciling"));
  put_status("a", ready("True", "Ready", "next at 1"));
  put_status("a", ready("True", "Ready", "next at 2"));
  put_status("a", ready("False", "Error", "no route"));
  put_status("a", ready("False", "Error", "no route"));
  put_status("a", ready("False", "Error", "no branch"));
  BOOST_TEST(told() == (names{"Reconciling x1 m", "Ready x1 next at 1", "Error x1 no route", "Error x1 no branch"}), boost::test_tools::per_element());
  put_status("a", ready("False", "Error", "no route"));
  BOOST_TEST(told() == (names{"same x2 no route"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(an_event_names_the_object) {
  put_status("a", ready("False", "Error", "no route"));
  const auto& r = client->requests.back();
  BOOST_TEST(r.target.starts_with("/api/v1/namespaces/team/events"));
  const auto e = json::parse(r.body);
  BOOST_TEST(e["type"] == "Warning");
  BOOST_TEST(e["involvedObject"] ==
             (json{{"apiVersion", "config.porch.kpt.dev/v1alpha1"}, {"kind", "Repository"}, {"namespace", "team"}, {"name", "a"}, {"uid", "uid-a"}}));
  BOOST_TEST(e["source"]["component"] == "verandad");
  BOOST_TEST(e["metadata"]["name"].get<std::string>().starts_with("a."));
}

BOOST_AUTO_TEST_CASE(what_the_object_said_before_the_start_is_no_news) {
  put("a", json::array({{{"type", "Ready"}, {"status", "True"}, {"reason", "Ready"}, {"message", "earlier"}}}));
  put_status("a", ready("True", "Ready", "now"));
  BOOST_TEST(told().empty());
}

BOOST_AUTO_TEST_CASE(held_removals_are_told_when_they_begin_change_and_end) {
  put_status("a", holding(""));
  put_status("a", holding("20 of 25"));
  put_status("a", holding("20 of 25"));
  put_status("a", holding("21 of 25"));
  put_status("a", holding(""));
  BOOST_TEST(told() == (names{"Ready x1 m", "DeletionHeld x1 20 of 25", "DeletionHeld x1 21 of 25", "DeletionHeldEnded x1 no removals of package revisions are held any more"}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_hold_from_before_the_start_is_no_news) {
  put("a", json::parse(holding("20 of 25"))["conditions"]);
  put_status("a", holding("20 of 25"));
  BOOST_TEST(told().empty());
  put_status("a", holding(""));
  BOOST_TEST(told() == names{"DeletionHeldEnded x1 no removals of package revisions are held any more"}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(events_never_hold_up_a_status) {
  fail = [](const kube::api_request& r) { return about_events(r) ? refused{failure{ec::unreachable, "refused", {}, {}, {}}} : std::nullopt; };
  BOOST_TEST(put_status("a", ready("False", "Error", "1")) == "ok");
  BOOST_TEST(put_status("a", ready("False", "Error", "2")) == "ok");
  BOOST_TEST(told().size() == 1U); // after a failure none is tried for ten seconds
  advance(9900ms);
  BOOST_TEST(told().empty());
  fail = nullptr;
  advance(200ms);
  BOOST_TEST(told() == (names{"Error x1 1", "Error x1 2"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(one_that_cannot_be_written_is_dropped_after_twelve_tries_and_a_refused_one_at_once) {
  fail = [](const kube::api_request& r) { return about_events(r) ? refused{failure{ec::unreachable, "refused", {}, {}, {}}} : std::nullopt; };
  put_status("a", ready("False", "Error", "1"));
  advance(1h);
  BOOST_TEST(told().size() == 12U);
  fail = [](const kube::api_request& r) { return about_events(r) ? refused{fake_api_client::refusal(403, "Forbidden")} : std::nullopt; };
  put_status("a", ready("False", "Error", "2"));
  advance(1h);
  BOOST_TEST(told().size() == 1U);
  BOOST_TEST(state_of<kube_writer_state>(subject).events->dropped() == 2U);
}

BOOST_AUTO_TEST_CASE(one_to_be_changed_that_is_not_there_is_made_again) {
  put_status("a", ready("False", "Error", "1"));
  put_status("a", ready("True", "Ready"));
  (void)told();
  fail = [](const kube::api_request& r) { return about_events(r) && r.method == kube::api_method::patch ? refused{fake_api_client::refusal(404, "NotFound")} : std::nullopt; };
  put_status("a", ready("False", "Error", "1"));
  BOOST_TEST(told() == (names{"same x2 1", "Error x2 1"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(the_queue_is_bounded_and_the_newest_stay) {
  event_sender_policy few;
  few.max_queued = 3;
  few.aggregation.max_similar = 1000;
  open(few);
  fail = [](const kube::api_request& r) { return about_events(r) ? refused{failure{ec::unreachable, "refused", {}, {}, {}}} : std::nullopt; };
  for (int i = 0; i < 10; ++i)
    put_status("a", ready("False", "Error", std::to_string(i)));
  (void)told();
  fail = nullptr;
  advance(11s);
  BOOST_TEST(told() == (names{"Error x1 7", "Error x1 8", "Error x1 9"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

// The client lives longer: what a call holds would keep the writer, and with it its thread, which the end of the actor system waits for.
BOOST_FIXTURE_TEST_CASE(a_call_under_way_ends_with_the_writer, writer) {
  client->hold = true;
  const auto asked = start("a", ready("True", "Ready"));
  settle();
  BOOST_TEST(client->held() > 0U);
  caf::anon_send_exit(subject, caf::exit_reason::user_shutdown);
  settle();
  BOOST_TEST(client->held() == 0U);
}
