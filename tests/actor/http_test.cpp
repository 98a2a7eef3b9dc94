// links: veranda_actors veranda_adapter_git
#define BOOST_TEST_MODULE http
#include "actors/http/http.hpp"
#include "actors/logic/admission.hpp"
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

  answer<msg::listing_ptr> list(const std::string& url, bool user = false, cancel_token_ptr cancel = std::make_shared<cancel_token>()) {
    remote_identity remote;
    remote.ns = "team";
    remote.url = url;
    return ask<msg::listing_ptr>(subject, msg::list_http{remote, {"refs/heads/"}, {}, std::move(cancel), user});
  }
  std::string place(const cancel_token_ptr& of) {
    const auto said = ask<std::string>(subject, msg::find_job{of});
    for (int i = 0; i < 1000 && !*said; ++i)
      step();
    return *said ? ***said : std::string{"no answer"};
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

BOOST_AUTO_TEST_CASE(who_waits_can_say_where_and_people_go_first) {
  const scripted_server silent{[](const std::string&) { return std::string{}; }};
  const std::shared_ptr<git::listing_engine> engine = git::make_listing_engine({}, 1);
  listings here{engine};
  std::vector<cancel_token_ptr> tokens;
  std::vector<answer<msg::listing_ptr>> answers;
  for (const auto* path : {"/runs", "/first", "/second", "/person"}) {
    tokens.push_back(std::make_shared<cancel_token>());
    answers.push_back(here.list(silent.url(path), path == std::string_view{"/person"}, tokens.back()));
    if (answers.size() == 1)
      here.wait_for(silent, 1);
  }
  here.step();
  BOOST_TEST(here.place(tokens[0]).empty()); // it runs
  BOOST_TEST(here.place(tokens[3]) == "number 1 of 3 that wait for a connection: its host did not answer yet, and few connections try such hosts");
  BOOST_TEST(here.place(tokens[1]).starts_with("number 2 of 3 "));
  BOOST_TEST(here.place(tokens[2]).starts_with("number 3 of 3 "));
  tokens[0]->stop = true;
  here.wait_for(silent, 2);
  BOOST_TEST(silent.requests().back().find("/person/") != std::string::npos);
  BOOST_TEST(here.place(tokens[3]).empty());
  caf::anon_send(here.subject, msg::limits_changed{std::make_shared<const logic::admission_limits>(logic::admission_limits{.slots = 32}), {}});
  while (engine->waiting() > 0 && engine->active() == 3) // the next ones could time out first
    here.step();
  BOOST_TEST(engine->waiting() == 0U);
  BOOST_TEST(here.place(tokens[2]).empty());
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
