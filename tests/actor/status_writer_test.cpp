// links: veranda_house
#define BOOST_TEST_MODULE status_writer
#include "tests/actor/house.hpp"
#include "tests/support/captured_log.hpp"

using namespace veranda;
using namespace veranda::test;

namespace {

using names = std::vector<std::string>;

/// A status writer alone; a status is its package count.
struct writer : house {
  writer() {
    objects_actor = spawn(fake_object_store, objects);
    status_writer_deps deps;
    deps.env = env;
    deps.objects = objects_actor;
    deps.encode = [](const repository_status& s) { return std::to_string(s.package_count); };
    deps.resource = "repositories.config.porch.kpt.dev";
    deps.max_in_flight = 2;
    status_actor = spawn(status_writer, std::move(deps));
    for (const auto* name : {"a", "b", "c", "d"})
      objects->put(key(name), std::string{"uid-"} + name);
  }
  void publish(const std::string& name, std::int64_t count) {
    repository_status s;
    s.package_count = count;
    tell(status_actor, msg::publish_status{key(name), "uid-" + name, s, {}});
  }
  void publish_as(const std::string& name, const std::string& reason, std::int64_t count) {
    repository_status s;
    s.package_count = count;
    s.conditions.push_back({"Ready", reason == "Ready" ? "True" : "False", reason, {}, {}, 0});
    tell(status_actor, msg::publish_status{key(name), "uid-" + name, s, {}});
  }
  /// What was written, `a=1`.
  names written() {
    names out;
    for (const auto& w : objects->writes)
      out.push_back(w.key.name + "=" + w.json);
    return out;
  }
  answer<bool> flush() {
    auto out = ask<bool>(status_actor, msg::flush_status{});
    settle();
    return out;
  }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(statuses, writer)

BOOST_AUTO_TEST_CASE(what_was_said_is_not_said_again) {
  publish("a", 1);
  publish("a", 1);
  publish("a", 2);
  publish("a", 2);
  BOOST_TEST(written() == (names{"a=1", "a=2"}), boost::test_tools::per_element());
  BOOST_TEST(objects->writes.front().uid == "uid-a");
  BOOST_TEST((objects->writes.front().operation == msg::object_operation::update_status));
}

BOOST_AUTO_TEST_CASE(only_the_newest_waits_and_one_repository_stays_in_order) {
  objects->hold = true;
  publish("a", 1);
  for (int i = 2; i < 10; ++i)
    publish("a", i);
  BOOST_TEST(objects->held.size() == 1U);
  objects->release();
  settle();
  BOOST_TEST((written() == names{"a=1", "a=9"}));
}

BOOST_AUTO_TEST_CASE(what_is_under_way_is_not_that_of_another_who_had_the_name) {
  objects->hold = true;
  publish("a", 1);
  tell(status_actor, msg::forget_status{key("a"), "uid-before"});
  objects->hold = false;
  objects->release();
  settle();
  publish("a", 1); // it is known to be written
  BOOST_TEST((written() == names{"a=1"}));
}

BOOST_AUTO_TEST_CASE(a_bounded_number_is_under_way) {
  objects->hold = true;
  for (const auto* name : {"a", "b", "c", "d"})
    publish(name, 1);
  BOOST_TEST(objects->held.size() == 2U);
  objects->release();
  settle();
  BOOST_TEST((written() == names{"a=1", "b=1", "c=1", "d=1"}));
}

BOOST_AUTO_TEST_CASE(one_slow_write_lets_other_repositories_pass) {
  objects->hold = true;
  publish("a", 1);
  publish("a", 2);
  objects->hold = false;
  publish("b", 1);
  publish("c", 1);
  BOOST_TEST((written() == names{"b=1", "c=1"}));
  objects->release();
  settle();
  BOOST_TEST(written().back() == "a=2");
}

BOOST_AUTO_TEST_CASE(a_failed_one_is_tried_again_with_growing_waits) {
  bool failing = true;
  objects->fail = [&](const msg::write_object&) { return failing ? std::optional{failure{ec::unavailable, "disk full", {}, {}, {}}} : std::nullopt; };
  publish("a", 1);
  BOOST_TEST(written().size() == 1U);
  advance(190ms);
  BOOST_TEST(written().size() == 1U);
  advance(20ms);
  BOOST_TEST(written().size() == 2U);
  advance(380ms);
  BOOST_TEST(written().size() == 2U);
  advance(20ms);
  BOOST_TEST(written().size() == 3U);
  advance(10min);
  const auto tries = written().size();
  advance(1min);
  BOOST_TEST(written().size() == tries + 2); // every 30 s at the longest
  failing = false;
  advance(30s);
  BOOST_TEST(objects->statuses[key("a")] == "1");
  publish("b", 1); // and the waits begin anew
  BOOST_TEST(objects->statuses[key("b")] == "1");
}

BOOST_AUTO_TEST_CASE(one_that_its_object_does_not_take_holds_up_nobody) {
  objects->fail = [](const msg::write_object& w) { return w.key.name == "a" ? std::optional{failure{ec::auth_rejected, "forbidden", {}, {}, {}}} : std::nullopt; };
  publish("a", 1);
  publish("b", 1);
  BOOST_TEST((written() == names{"a=1", "b=1"})); // at once
  advance(29s);
  BOOST_TEST(written().size() == 2U);
  advance(2s);
  BOOST_TEST(written().size() == 3U);
  BOOST_TEST((**flush()).ok()); // nothing that can be written waits
  publish("a", 2);
  BOOST_TEST(written().back() == "a=2");
  objects->fail = nullptr;
  advance(31s);
  BOOST_TEST(objects->statuses[key("a")] == "2");
  const auto all = written().size();
  advance(10min);
  BOOST_TEST(written().size() == all);
}

BOOST_AUTO_TEST_CASE(a_newer_one_takes_the_place_of_one_that_is_held) {
  objects->fail = [](const msg::write_object& w) { return w.json == "1" ? std::optional{failure{ec::throttled, "others keep writing", {}, {}, {}}} : std::nullopt; };
  publish("a", 1);
  publish("a", 2);
  advance(2min);
  BOOST_TEST((written() == names{"a=1", "a=2"}));
}

BOOST_AUTO_TEST_CASE(a_missing_right_is_logged_once_for_its_namespace) {
  const auto refuse = [](const msg::write_object&) { return std::optional{failure{ec::auth_rejected, "forbidden", {}, {}, {}}}; };
  const auto lines = [](auto act) {
    const auto log = logged(act);
    return std::pair{count(log, "a status is refused"), count(log, "statuses are refused for further reasons")};
  };
  objects->fail = refuse;
  BOOST_TEST((lines([&] {
                for (const auto* name : {"a", "b", "c", "d"})
                  publish(name, 1);
                advance(10min);
              }) == std::pair{1U, 0U}));
  objects->put({"other", "a"}, "uid-o");
  objects->put({"third", "a"}, "uid-t");
  BOOST_TEST((lines([&] {
                for (const auto* ns : {"other", "third"}) {
                  repository_status s;
                  tell(status_actor, msg::publish_status{{ns, "a"}, std::string{"uid-"} + ns[0], s, {}});
                }
                advance(10min);
              }) == std::pair{0U, 1U})); // two namespaces, soon after one another
  objects->fail = nullptr;
  advance(31s);
  BOOST_TEST(objects->statuses[key("d")] == "1");
  objects->fail = refuse;
  BOOST_TEST((lines([&] { publish("a", 2); }) == std::pair{1U, 0U})); // it was healed meanwhile
}

BOOST_AUTO_TEST_CASE(nothing_is_kept_of_one_that_is_gone) {
  const auto& inside = state_of<status_writer_state>(status_actor);
  publish("a", 1);
  BOOST_TEST(inside.last_sent.size() == 1U);
  tell(status_actor, msg::forget_status{key("a"), "uid-of-another"});
  BOOST_TEST(inside.last_sent.size() == 1U);
  tell(status_actor, msg::forget_status{key("a"), "uid-a"});
  BOOST_TEST(inside.last_sent.empty());
  publish("a", 1); // nothing was said of it yet
  BOOST_TEST((written() == names{"a=1", "a=1"}));

  objects->fail = [](const msg::write_object&) { return std::optional{failure{ec::auth_rejected, "forbidden", {}, {}, {}}}; };
  publish("b", 1);
  BOOST_TEST(inside.held.size() == 1U);
  tell(status_actor, msg::forget_status{key("b"), "uid-b"});
  BOOST_TEST(inside.held.empty());
  BOOST_TEST(inside.refused.empty());

  objects->fail = nullptr;
  objects->hold = true;
  publish("c", 1);
  publish("c", 2);
  tell(status_actor, msg::forget_status{key("c"), "uid-c"});
  BOOST_TEST(inside.waiting.empty());
  objects->release();
  settle();
  BOOST_TEST(!inside.last_sent.contains(key("c")));
  BOOST_TEST(inside.in_flight.empty());
  BOOST_TEST((**flush()).ok());
}

BOOST_AUTO_TEST_CASE(a_failure_of_one_that_is_gone_is_not_tried_again) {
  objects->hold = true;
  publish("a", 1);
  tell(status_actor, msg::forget_status{key("a"), "uid-a"});
  objects->fail = [](const msg::write_object&) { return std::optional{failure{ec::unavailable, "busy", {}, {}, {}}}; };
  objects->release();
  settle();
  const auto tries = written().size();
  advance(10min);
  BOOST_TEST(written().size() == tries);
}

BOOST_AUTO_TEST_CASE(a_transition_passes_refreshes) {
  for (const auto* name : {"a", "b", "c", "d"})
    publish_as(name, "Ready", 1);
  objects->hold = true;
  publish_as("a", "Ready", 2);
  publish_as("b", "Ready", 2); // two under way: the others wait
  publish_as("c", "Ready", 2);
  publish_as("d", "Ready", 2);
  publish_as("d", "Error", 3); // it waited as a refresh
  objects->writes.clear();
  objects->release();
  settle();
  BOOST_TEST(written() == (names{"a=2", "b=2", "d=3", "c=2"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(many_that_fail_together_count_as_one_failure) {
  objects->hold = true;
  publish("a", 1);
  publish("b", 1);
  objects->fail = [](const msg::write_object&) { return std::optional{failure{ec::unavailable, "busy", {}, {}, {}}}; };
  objects->release();
  settle();
  objects->fail = nullptr;
  advance(210ms);
  BOOST_TEST(objects->statuses[key("a")] == "1");
  BOOST_TEST(objects->statuses[key("b")] == "1");
}

BOOST_AUTO_TEST_CASE(a_newer_one_replaces_a_failed_one) {
  objects->fail = [](const msg::write_object& w) { return w.json == "1" ? std::optional{failure{ec::unavailable, "busy", {}, {}, {}}} : std::nullopt; };
  publish("a", 1);
  publish("a", 2);
  advance(1s);
  BOOST_TEST((written() == names{"a=1", "a=2"}));
}

BOOST_AUTO_TEST_CASE(of_an_object_that_is_gone_is_dropped) {
  objects->objects.clear();
  publish("a", 1);
  advance(1min);
  BOOST_TEST(written().size() == 1U);
  objects->put(key("a"), "uid-a");
  publish("a", 1); // it came back: nothing was said of it yet
  BOOST_TEST(objects->statuses[key("a")] == "1");
}

BOOST_AUTO_TEST_CASE(of_an_older_life_of_the_object_is_dropped) {
  objects->put(key("a"), "uid-second");
  publish("a", 1);
  BOOST_TEST(objects->statuses.empty());
  BOOST_TEST((**flush()).ok());
}

BOOST_AUTO_TEST_CASE(flush_waits_for_everything_and_skips_the_wait) {
  BOOST_TEST(flush()->has_value());
  objects->hold = true;
  publish("a", 1);
  const auto waiting = flush();
  BOOST_TEST(!waiting->has_value());
  objects->release();
  settle();
  BOOST_TEST(waiting->has_value());
  objects->fail = [](const msg::write_object&) { return std::optional{failure{ec::unavailable, "busy", {}, {}, {}}}; };
  publish("a", 2);
  objects->fail = nullptr;
  BOOST_TEST(flush()->has_value()); // without the 200 ms
  BOOST_TEST(objects->statuses[key("a")] == "2");
}

BOOST_AUTO_TEST_CASE(a_store_that_never_answers_is_asked_again) {
  objects->hold = true;
  publish("a", 1);
  advance(10min - 1s);
  objects->hold = false;
  BOOST_TEST(objects->held.size() == 1U);
  advance(2s);
  BOOST_TEST(objects->statuses[key("a")] == "1");
}

BOOST_AUTO_TEST_SUITE_END()
