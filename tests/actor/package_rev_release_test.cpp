// links: veranda_house
#define BOOST_TEST_MODULE package_rev_release
#include "tests/actor/house.hpp"
#include "tests/support/fakes/finalizers.hpp"

using namespace veranda;
using namespace veranda::test;

namespace {

using names = std::vector<std::string>;

struct expulsions {
  std::optional<failure> kept; ///< by somebody else
  names done;
};

package_rev_keeper_actor::behavior_type fake_package_revs(package_rev_keeper_actor::pointer, std::shared_ptr<expulsions> script) {
  return {
    [script](const msg::repository_in_step& m) { script->done.push_back("in step " + to_string(m.repository) + " " + m.uid); },
    [script](const msg::expel_package_revs& m) -> caf::result<bool> {
      script->done.push_back("expel " + to_string(m.repository));
      return script->kept ? caf::result<bool>{to_error(*script->kept)} : caf::result<bool>{true};
    },
    [](const msg::await_package_revs&) { return true; },
    [](const msg::continue_transfers&) {},
  };
}

struct mirrored_house : house {
  mirrored_house() {
    git.publish(url, "main", "app", 1);
    api->told = [this](const repository_object& o, bool gone) { caf::anon_send(boss, msg::repository_changed{std::make_shared<const repository_object>(o), gone}); };
    finalizers = spawn(fake_finalizers, api);
    package_revs = spawn(fake_package_revs, script);
    open();
  }
  ~mirrored_house() { end_all(); }
  void apply(const repository_object& o) {
    api->put(o);
    objects->put(o.meta.key, o.meta.uid);
    tell(boss, msg::repositories_listed{std::make_shared<const std::vector<repository_object>>(std::vector<repository_object>{api->objects.at(o.meta.key)})});
  }
  names take_done() { return std::exchange(script->done, {}); }

  std::shared_ptr<finalizer_script> api = std::make_shared<finalizer_script>();
  std::shared_ptr<expulsions> script = std::make_shared<expulsions>();
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(package_revs, mirrored_house)

BOOST_AUTO_TEST_CASE(a_first_sync_is_told_once) {
  apply(an_object("a"));
  BOOST_TEST(ready("a"));
  BOOST_TEST((take_done() == names{"in step team/a uid-a"}));
  git.publish(url, "main", "app", 2);
  advance(1h);
  BOOST_TEST(take_done().empty());
  crash(repository_of("a")); // another actor has found it so itself, without a fetch
  advance(1min);
  BOOST_TEST((take_done() == names{"in step team/a uid-a"}));
}

BOOST_AUTO_TEST_CASE(a_sync_that_fails_tells_nothing) {
  git.remotes[url].listing_fails = failure{ec::unreachable, "refused", {}, {}, {}};
  apply(an_object("a"));
  advance(1h);
  BOOST_TEST(take_done().empty());
  git.remotes[url].listing_fails.reset();
  advance(1h);
  BOOST_TEST((take_done() == names{"in step team/a uid-a"}));
}

BOOST_AUTO_TEST_CASE(objects_go_before_the_finalizer_and_what_keeps_them_is_said) {
  apply(an_object("a"));
  take_done();
  script->kept = failure{ec::dependency_missing, "somebody keeps them", {}, {}, {}};
  api->remove(key("a"), wall_now());
  settle();
  advance(1min);
  BOOST_TEST(api->held(key("a")));
  BOOST_TEST(says("a", "Ready=False Error: it is being deleted, and waits: somebody keeps them"), status("a"));
  const auto asked = take_done();
  BOOST_TEST(asked.size() > 2U);
  BOOST_TEST(std::count(asked.begin(), asked.end(), "expel team/a") == static_cast<std::ptrdiff_t>(asked.size()));
  script->kept.reset();
  advance(10s);
  BOOST_TEST(!api->objects.contains(key("a")));
  BOOST_TEST(seen().releases.empty());
}

BOOST_AUTO_TEST_CASE(objects_of_one_that_is_followed_no_more_stay) {
  apply(an_object("a"));
  take_done();
  api->told = nullptr;
  tell(boss, msg::repository_changed{std::make_shared<const repository_object>(api->objects.at(key("a"))), true});
  advance(1min);
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(!api->held(key("a")));
  BOOST_TEST(take_done().empty());
}

BOOST_AUTO_TEST_SUITE_END()
