// links: veranda_actors veranda_adapter_git
#define BOOST_TEST_MODULE http
#include "actors/http/http.hpp"
#include "tests/support/actor_fixture.hpp"
#include "tests/support/scripted_server.hpp"

using namespace veranda;
using namespace veranda::test;

namespace {

struct no_secrets final : secrets::secret_source {
  result<credentials> resolve(const std::string&, const std::string&, const std::string&) override { return credentials{}; }
};

/// The http actor over an engine that outlives it, as in the daemon.
struct listings : actor_fixture {
  explicit listings(std::shared_ptr<git::listing_engine> engine) {
    http_deps deps;
    deps.env = env;
    deps.engine = std::move(engine);
    deps.secrets = std::make_shared<no_secrets>();
    deps.slice = 1ms;
    subject = spawn(http_listings, std::move(deps));
  }
  ~listings() override { end_all(); }
  void at_end() override { subject = nullptr; }

  answer<msg::listing_ptr> list(const std::string& url) {
    remote_identity remote;
    remote.url = url;
    return ask<msg::listing_ptr>(subject, msg::list_http{remote, {"refs/heads/"}, {}, std::make_shared<cancel_token>()});
  }
  /// Until the server was asked: the listings are in flight, and stay so.
  void wait_for(const scripted_server& server, std::size_t requests) {
    const auto until = std::chrono::steady_clock::now() + 60s;
    while (server.requests().size() < requests && std::chrono::steady_clock::now() < until)
      step();
    BOOST_REQUIRE(server.requests().size() == requests);
  }

  http_actor subject;
};

std::string code_of(const answer<msg::listing_ptr>& a) { return !*a ? "none" : (*a)->ok() ? "ok" : std::string{to_string((*a)->error().code)}; }

} // namespace

BOOST_AUTO_TEST_CASE(who_waits_is_answered_when_the_actor_ends) {
  const scripted_server silent{[](const std::string&) { return std::string{}; }};
  const std::shared_ptr<git::listing_engine> engine = git::make_listing_engine({}, 1); // the second one waits for its turn
  listings here{engine};
  const auto running = here.list(silent.url("/a"));
  const auto waiting = here.list(silent.url("/b"));
  here.wait_for(silent, 1);
  BOOST_TEST(engine->active() == 2U);
  BOOST_TEST(code_of(running) == "none");
  caf::anon_send_exit(here.subject, caf::exit_reason::user_shutdown);
  here.settle();
  BOOST_TEST(code_of(running) == "shutting_down");
  BOOST_TEST(code_of(waiting) == "shutting_down");
  BOOST_TEST(engine->active() == 0U);
}

BOOST_AUTO_TEST_CASE(nothing_is_said_to_actors_that_are_gone) {
  const scripted_server silent{[](const std::string&) { return std::string{}; }};
  std::shared_ptr<git::listing_engine> engine = git::make_listing_engine({}, 4);
  {
    listings here{engine};
    const auto running = here.list(silent.url());
    here.wait_for(silent, 1);
  } // the actor system, too
  BOOST_TEST(engine->active() == 0U);
  engine.reset();
}
