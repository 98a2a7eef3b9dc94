// links: veranda_adapter_git veranda_model
#define BOOST_TEST_MODULE git_long_lists
#include "adapters/git/http_listing.hpp"
#include "adapters/git/ref_listing.hpp"
#include "tests/support/git_listing.hpp"
#include "tests/support/scripted_server.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::git;
using namespace veranda::test;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

namespace {

const std::string tip(40, '1');
const std::string hello_type = "application/x-git-upload-pack-advertisement";
const std::string refs_type = "application/x-git-upload-pack-result";
constexpr int many = 200'000;

std::string packet(const std::string& line) {
  std::string out;
  append_packet(out, line);
  return out;
}

/// Refs in an order in which they have to be sorted.
std::string ref_lines(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) append_packet(out, tip + " refs/heads/branch-" + std::to_string(count + i * 7919LL % count) + "\n");
  return out;
}

std::string v2_hello() { return packet("# service=git-upload-pack\n") + "0000" + packet("version 2\n") + packet("ls-refs=unborn\n") + packet("fetch=shallow\n") + "0000"; }
std::string v0_hello(const std::string& refs) { return packet("# service=git-upload-pack\n") + "0000" + packet(tip + " HEAD" + std::string{"\0side-band-64k\n", 15}) + refs + "0000"; }

struct setup {
  ref_prefixes prefixes{"refs/heads/"};
  transport_limits limits;
  const std::string refs = ref_lines(many);
  const scripted_server v2{[this](const std::string& r) {
    return r.starts_with("GET ") ? scripted_server::reply("200 OK", hello_type, v2_hello()) : scripted_server::reply("200 OK", refs_type, refs + "0000");
  }};
  const scripted_server v0{[this](const std::string&) { return scripted_server::reply("200 OK", hello_type, v0_hello(refs)); }};

  /// How long the list takes to be read.
  steady::duration reading_time() const {
    const auto begun = steady::now();
    BOOST_REQUIRE(read_ls_refs(refs + "0000", prefixes, {}, limits.max_refs));
    return steady::now() - begun;
  }
  /// The longest time for which a listing kept the driving thread, and with it everybody else, from anything.
  steady::duration longest_step(const std::string& url) const {
    const auto engine = make_listing_engine(limits, 4);
    std::optional<result<listing>> got;
    engine->start({url, {}}, prefixes, {}, {}, [&](result<listing> l) { got = std::move(l); });
    steady::duration longest{0};
    for (const auto until = steady::now() + 120s; !got && steady::now() < until;) {
      const auto begun = steady::now();
      engine->run_for(0ms);
      longest = std::max(longest, steady::now() - begun);
      std::this_thread::sleep_for(1ms);
    }
    BOOST_REQUIRE(got);
    BOOST_REQUIRE_MESSAGE(*got, text_of(*got));
    BOOST_TEST((*got)->refs->refs.size() == static_cast<std::size_t>(many));
    return longest;
  }
};

auto ms(steady::duration d) { return std::chrono::duration_cast<std::chrono::milliseconds>(d).count(); }

} // namespace

BOOST_FIXTURE_TEST_CASE(a_long_list_keeps_nobody_waiting, setup) {
  for (const auto* server : {&v2, &v0}) {
    const auto reading = reading_time();
    auto longest = longest_step(server->url());
    for (int again = 0; again < 2 && longest > reading / 4; ++again) longest = longest_step(server->url()); // the machine may have been busy
    BOOST_TEST((longest < reading / 4));
    BOOST_TEST_MESSAGE("read in " << ms(reading) << " ms; the longest step took " << ms(longest) << " ms");
  }
}

BOOST_FIXTURE_TEST_CASE(a_long_list_is_judged_as_a_short_one_is, setup) {
  const auto engine = make_listing_engine(limits, 4);
  for (const auto* server : {&v2, &v0}) {
    const auto first = list_with(*engine, {server->url(), {}}, prefixes);
    BOOST_REQUIRE_MESSAGE(first, text_of(first));
    const auto& all = first->refs->refs;
    BOOST_TEST(std::is_sorted(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; }));
    BOOST_TEST(first->received_bytes > refs.size());
    const auto known = list_with(*engine, {server->url(), {}}, prefixes, first->digest);
    BOOST_REQUIRE(known);
    BOOST_TEST(!known->refs);
  }
  limits.max_refs = many - 1;
  const auto narrow = make_listing_engine(limits, 4);
  for (const auto* server : {&v2, &v0}) BOOST_TEST((list_with(*narrow, {server->url(), {}}, prefixes).error().code == ec::too_large));
  const scripted_server broken{[this](const std::string& r) {
    return r.starts_with("GET ") ? scripted_server::reply("200 OK", hello_type, v2_hello()) : scripted_server::reply("200 OK", refs_type, refs + "no packet");
  }};
  BOOST_TEST((list_with(*engine, {broken.url(), {}}, prefixes).error().code == ec::unsupported));
}

BOOST_FIXTURE_TEST_CASE(an_engine_can_end_while_it_reads, setup) {
  std::vector<ec> said;
  for (int i = 0; i < 3; ++i) {
    const auto engine = make_listing_engine(limits, 4);
    for (const auto* server : {&v2, &v0, &v2})
      engine->start({server->url(), {}}, prefixes, {}, {}, [&](result<listing> l) { said.push_back(l ? ec::internal : l.error().code); });
    for (const auto until = steady::now() + 60s; said.empty() && i == 2 && steady::now() < until;) engine->run_for(1ms); // the others are read, or are about to be
    engine->run_for(std::chrono::milliseconds{100 * i});
    engine->abandon();
    BOOST_TEST(engine->active() == 0U);
  }
  BOOST_TEST(said.size() == 9U);
}
