// links: veranda_house
#define BOOST_TEST_MODULE stores
#include "actors/object_store/object_store.hpp"
#include "tests/actor/house.hpp"

using namespace veranda;
using namespace veranda::test;

namespace {

/// An object store that answers what it is told.
struct told_store final : store::object_store {
  using answered = result<store::stored_object>;
  answered create(const std::string&, const std::string&) override { return next; }
  answered update(const std::string&, const std::string&) override { return next; }
  answered update_status(const std::string&, const object_key&, const std::string&, const std::string&) override { return next; }
  answered merge_patch(const std::string&, const object_key&, const std::string&) override { return next; }
  answered remove(const std::string&, const object_key&) override { return next; }
  answered next = store::stored_object{};
};

} // namespace

BOOST_FIXTURE_TEST_CASE(the_object_store_says_how_its_last_write_went, actor_fixture) {
  const auto told = std::make_shared<told_store>();
  object_store_deps deps{env, told, {}};
  const auto health = deps.health;
  const auto objects = spawn(object_store_writer, std::move(deps));
  const auto trouble_after = [&](result<store::stored_object> outcome) {
    told->next = std::move(outcome);
    const auto asked = ask<msg::stored_object_ptr>(objects, msg::write_object{msg::object_operation::create, "secrets", {"team", "a"}, {}, "{}"});
    settle();
    const auto trouble = health->trouble();
    return trouble ? std::string{to_string(*trouble)} : std::string{"none"};
  };
  const auto fails = [](ec code) { return failure{code, "it failed", {}, {}, {}}; };
  BOOST_TEST(trouble_after(store::stored_object{}) == "none");
  BOOST_TEST(trouble_after(fails(ec::invalid_spec)) == "none"); // says nothing about the store
  BOOST_TEST(trouble_after(fails(ec::unavailable)) == "unavailable");
  BOOST_TEST(trouble_after(fails(ec::conflict)) == "unavailable");
  BOOST_TEST(trouble_after(fails(ec::corrupt_cache)) == "corrupt_cache");
  BOOST_TEST(trouble_after(store::stored_object{}) == "none");
}

namespace {

/// The cache writer alone.
struct cache_alone : house {
  cache_alone() { open(); }
  store::repository_claim claim(const std::string& name, const std::string& uid = "uid", std::int64_t epoch = 1) {
    return get<store::repository_claim>(cache_actor, msg::claim_repository{key(name), uid, epoch, nullptr});
  }
  answer<store::apply_result> apply(const store::repository_claim& c) {
    auto out = ask<store::apply_result>(cache_actor, msg::apply_delta{c, std::make_shared<const package_delta>(), {}});
    settle();
    return out;
  }
  template <class T>
  static std::string code(const answer<T>& a) {
    return !a->has_value() ? "no answer" : (*a)->ok() ? "ok" : std::string{to_string((*a)->error().code)};
  }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(the_cache_writer, cache_alone)

BOOST_AUTO_TEST_CASE(refuses_an_older_fence_and_an_older_epoch) {
  const auto first = claim("a", "uid", 2);
  const auto second = claim("a", "uid", 2);
  BOOST_TEST(second.fence > first.fence);
  BOOST_TEST(code(apply(first)) == "stale");
  BOOST_TEST(code(apply(second)) == "ok");
  BOOST_TEST(to_string(get_failure<store::repository_claim>(cache_actor, msg::claim_repository{key("a"), "uid", 1, nullptr}).code) == "stale");
}

BOOST_AUTO_TEST_CASE(says_of_a_full_disk_that_it_is_unavailable_and_lives_on) {
  const auto c = claim("a");
  cache.failing["apply_delta"] = {ec::unavailable, "no space left on device", {}, {}, {}};
  BOOST_TEST(!cache_health->trouble());
  BOOST_TEST(code(apply(c)) == "unavailable");
  BOOST_TEST((cache_health->trouble() == ec::unavailable));
  cache.failing.clear();
  BOOST_TEST(code(apply(c)) == "ok");
  BOOST_TEST(!cache_health->trouble());
  BOOST_TEST(cache.opened == 1U);
}

BOOST_AUTO_TEST_CASE(a_damaged_cache_is_opened_anew_and_old_claims_are_stale) {
  const auto c = claim("a");
  cache.damaged = true;
  BOOST_TEST(code(apply(c)) == "stale");
  BOOST_TEST(code(apply(c)) == "stale"); // the new file knows nothing of it
  BOOST_TEST(cache.opened == 2U);
  BOOST_TEST(code(apply(claim("a"))) == "ok");
  BOOST_TEST(alive(cache_actor));
}

BOOST_AUTO_TEST_CASE(that_cannot_be_opened_anew_is_tried_with_each_request) {
  const auto c = claim("a");
  cache.damaged = true;
  cache.failing["reopen"] = {ec::unavailable, "no space left on device", {}, {}, {}};
  BOOST_TEST(code(apply(c)) == "stale");
  BOOST_TEST((cache_health->trouble() == ec::corrupt_cache));
  BOOST_TEST(code(apply(c)) == "unavailable");
  BOOST_TEST((cache_health->trouble() == ec::unavailable));
  BOOST_TEST(code(apply(c)) == "unavailable");
  BOOST_TEST(cache.set_aside == 1U); // what is made and not whole yet is not moved again
  cache.failing.clear();
  BOOST_TEST(code(apply(claim("a"))) == "ok");
}

BOOST_AUTO_TEST_CASE(a_damaged_cache_is_rebuilt_from_the_remotes) {
  git.publish(url, "main", "app", 1);
  list({an_object("a"), an_object("b")});
  BOOST_TEST(cached("a").size() == 2U);
  cache.damaged = true;
  git.publish(url, "main", "app", 2);
  advance(10min);
  advance_until([&] { return ready("a") && ready("b") && cached("a").size() == 3 && cached("b").size() == 3; }, 1min);
}

BOOST_AUTO_TEST_CASE(damage_that_only_a_reader_met_is_looked_for_and_mended) {
  git.publish(url, "main", "app", 1);
  list({an_object("a")});
  workers->instead = [](const msg::job& job) -> std::optional<result<msg::job_result>> {
    if (job.kind != msg::job_kind::sync)
      return std::nullopt;
    return result<msg::job_result>{failure{ec::corrupt_cache, "the file is damaged", {}, {}, {}}};
  };
  git.publish(url, "main", "app", 2);
  cache.damaged = true;
  advance_until([&] { return cache.opened == 2; }, 11min);
  workers->instead = nullptr;
  advance_until([&] { return ready("a") && cached("a").size() == 3; }, 30min);
}

BOOST_AUTO_TEST_CASE(a_sound_cache_is_not_looked_through_again_and_again) {
  for (int i = 0; i < 5; ++i)
    tell(cache_actor, msg::check_cache{});
  BOOST_TEST(cache.checked == 1U);
  advance(10min);
  tell(cache_actor, msg::check_cache{});
  BOOST_TEST(cache.checked == 2U);
  BOOST_TEST(cache.opened == 1U);
}

BOOST_AUTO_TEST_CASE(lets_go_of_the_gate_when_contents_are_stored_and_when_they_are_not) {
  const auto gate = std::make_shared<msg::content_gate>(1);
  const cancel_token cancel;
  failure why;
  BOOST_REQUIRE(gate->acquire(cancel, why));
  tell(cache_actor, msg::store_contents{std::make_shared<const store::content_batch>(), gate});
  BOOST_TEST(gate->drain(cancel, why));
  BOOST_REQUIRE(gate->acquire(cancel, why));
  cache.failing["put_contents"] = {ec::unavailable, "no space left on device", {}, {}, {}};
  tell(cache_actor, msg::store_contents{std::make_shared<const store::content_batch>(), gate});
  BOOST_TEST(!gate->drain(cancel, why)); // at once, not at the deadline
  BOOST_TEST(to_string(why.code) == "unavailable");
  BOOST_TEST(!gate->acquire(cancel, why));
}

BOOST_AUTO_TEST_CASE(closing_twice_is_no_error) {
  const auto c = claim("a");
  BOOST_TEST(get<bool>(cache_actor, msg::close_rows{c}));
  BOOST_TEST(get<bool>(cache_actor, msg::close_rows{c}));
}

BOOST_AUTO_TEST_CASE(sweeps_at_intervals_whatever_happens) {
  claim("a");
  cache.failing["sweep"] = {ec::unavailable, "busy", {}, {}, {}};
  advance(11min);
  BOOST_TEST(alive(cache_actor));
  cache.damaged = true;
  advance(20min); // found by one sweep, mended before the next
  BOOST_TEST(cache.opened == 2U);
  BOOST_TEST(!cache.damaged);
}

BOOST_AUTO_TEST_SUITE_END()
