// links: veranda_system
#define BOOST_TEST_MODULE readiness
#include "actors/system/election.hpp"
#include "actors/system/readiness.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;

namespace {

void expect(const readiness& r, bool ok, const std::string& text) {
  const auto p = r.probe();
  BOOST_TEST(p.ok == ok);
  BOOST_TEST(p.text == text);
}

} // namespace

BOOST_AUTO_TEST_CASE(is_the_first_list_and_names_stores_that_cannot_be_written) {
  readiness r;
  expect(r, false, "[+]settings ok\n[+]object store ok\n[+]package cache ok\n[-]repositories: the first list has not been applied yet\n");
  r.first_list_applied();
  expect(r, true, "[+]settings ok\n[+]object store ok\n[+]package cache ok\n[+]repositories ok\n");
  const failure full{ec::unavailable, "no space left on device", {}, {}, {}};
  r.cache->note(&full);
  expect(r, true, "[+]settings ok\n[+]object store ok\n[!]package cache: the last write failed (unavailable)\n[+]repositories ok\n");
  r.objects->note(&full);
  r.cache->note(nullptr);
  expect(r, true, "[+]settings ok\n[!]object store: the last write failed (unavailable)\n[+]package cache ok\n[+]repositories ok\n");
  r.objects->note(nullptr);
  expect(r, true, "[+]settings ok\n[+]object store ok\n[+]package cache ok\n[+]repositories ok\n");
}

BOOST_AUTO_TEST_CASE(refusals_say_nothing_about_a_store) {
  store_health health;
  for (const auto code : {ec::conflict, ec::stale, ec::not_found, ec::invalid_spec, ec::too_large, ec::cancelled}) {
    const failure why{code, "no", {}, {}, {}};
    health.note(&why);
    BOOST_TEST(!health.trouble());
  }
  for (const auto code : {ec::unavailable, ec::corrupt_cache, ec::internal}) {
    const failure why{code, "it failed", {}, {}, {}};
    health.note(&why);
    BOOST_TEST((health.trouble() == code));
  }
}

BOOST_AUTO_TEST_CASE(broken_manifests_are_named_and_hold_up_nobody) {
  readiness r;
  r.first_list_applied();
  r.set_problems({{"a.yaml", 1, {}, {}, {}, "is no YAML"}, {"b.yaml", 1, {}, {}, {}, "is no YAML"}});
  BOOST_TEST(r.probe().ok);
  BOOST_TEST(r.probe().text.ends_with("[!]manifests: 2 problems, the first: a.yaml: document 1: is no YAML\n"));
  BOOST_TEST(r.problems().size() == 2U);
}

BOOST_AUTO_TEST_CASE(package_rev_objects_have_a_line_where_they_are_kept) {
  readiness r;
  r.first_list_applied();
  r.set_package_rev_problem("install its CRD");
  expect(r, true, "[+]settings ok\n[+]object store ok\n[+]package cache ok\n[+]repositories ok\n[!]PackageRev objects: install its CRD\n");
  r.set_package_rev_problem({});
  expect(r, true, "[+]settings ok\n[+]object store ok\n[+]package cache ok\n[+]repositories ok\n[+]PackageRev objects ok\n");
}

BOOST_AUTO_TEST_CASE(what_a_deletion_waits_for_is_named) {
  readiness r;
  r.first_list_applied();
  r.set_deletion_problem("team/a waits: grant it");
  expect(r, true, "[+]settings ok\n[+]object store ok\n[+]package cache ok\n[+]repositories ok\n[!]deletion of Repositories: team/a waits: grant it\n");
  r.set_deletion_problem({});
  expect(r, true, "[+]settings ok\n[+]object store ok\n[+]package cache ok\n[+]repositories ok\n");
}

BOOST_AUTO_TEST_CASE(secrets_have_a_line_where_they_are_watched) {
  readiness r;
  r.first_list_applied();
  r.set_secret_problem("grant it");
  expect(r, true, "[+]settings ok\n[+]object store ok\n[+]package cache ok\n[+]repositories ok\n[!]watch of Secrets: grant it; they are read before each use\n");
  r.set_secret_problem({});
  expect(r, true, "[+]settings ok\n[+]object store ok\n[+]package cache ok\n[+]repositories ok\n[+]watch of Secrets ok\n");
}

BOOST_AUTO_TEST_CASE(why_objects_cannot_be_followed_is_named) {
  readiness r{"API server"};
  r.set_source_problem("its CRD is not there");
  expect(r, false, "[+]settings ok\n[+]API server ok\n[+]package cache ok\n[-]repositories: the first list has not been applied yet: its CRD is not there\n");
  r.first_list_applied();
  expect(r, true, "[+]settings ok\n[+]API server ok\n[+]package cache ok\n[!]repositories: as they were some time ago: its CRD is not there\n");
  r.set_source_problem({});
  expect(r, true, "[+]settings ok\n[+]API server ok\n[+]package cache ok\n[+]repositories ok\n");
  const failure forbidden{ec::auth_rejected, "forbidden", {}, {}, {}};
  r.objects->note(&forbidden);
  expect(r, true, "[+]settings ok\n[!]API server: the last write failed (auth_rejected)\n[+]package cache ok\n[+]repositories ok\n");
}

BOOST_AUTO_TEST_CASE(who_stands_by_is_ready_while_it_can_take_over) {
  readiness r{"API server"};
  r.set_election("standby; nobody has looked yet", true, false);
  expect(r, false, "[+]settings ok\n[+]API server ok\n[+]package cache ok\n[-]leader election: standby; nobody has looked yet\n");
  r.set_election("standby; a leads", true, true);
  expect(r, true, "[+]settings ok\n[+]API server ok\n[+]package cache ok\n[+]leader election: standby; a leads\n");
  r.set_election("this process leads", false, true);
  expect(r, false,
         "[+]settings ok\n[+]API server ok\n[+]package cache ok\n[+]leader election: this process leads\n[-]repositories: the first list has not been applied yet\n");
  r.first_list_applied();
  r.set_election("this process leads, but the API server does not answer", false, false);
  expect(r, true, "[+]settings ok\n[+]API server ok\n[+]package cache ok\n[!]leader election: this process leads, but the API server does not answer\n[+]repositories ok\n");
}

BOOST_AUTO_TEST_CASE(an_election_is_told_in_one_line) {
  using logic::elector_role;
  const object_key lease{"house", "veranda"};
  const failure denied{ec::auth_rejected, "the API server forbids this", {}, {}, {}};
  BOOST_TEST((line_of({}, lease) == election_line{"standby; the Lease has not been read yet", true, false}));
  BOOST_TEST((line_of({elector_role::standby, true, "a", {}}, lease) == election_line{"standby; a leads", true, true}));
  BOOST_TEST((line_of({elector_role::standby, true, "", {}}, lease) == election_line{"standby; nobody leads", true, true}));
  BOOST_TEST((line_of({elector_role::leader, true, "a", {}}, lease) == election_line{"this process leads", false, true}));
  const auto standby = line_of({elector_role::standby, true, "a", denied}, lease);
  BOOST_TEST((standby.standby && !standby.sound));
  BOOST_TEST(standby.text.ends_with("; grant get, create and update on leases.coordination.k8s.io in namespace house"));
  const auto leader = line_of({elector_role::leader, true, "a", failure{ec::timed_out, "no answer", {}, {}, {}}}, lease);
  BOOST_TEST((!leader.standby && !leader.sound));
  BOOST_TEST(leader.text.starts_with("this process leads, but its Lease cannot be renewed: "));
}

BOOST_AUTO_TEST_CASE(a_candidate_is_like_no_other) {
  const auto one = election_policy({}), other = election_policy({});
  BOOST_TEST(one.identity != other.identity);
  const auto cut = one.identity.rfind('_');
  BOOST_REQUIRE(cut != std::string::npos);
  BOOST_TEST(one.identity.size() - cut == 37U);
  BOOST_TEST(one.identity[cut + 15] == '4');
  BOOST_TEST((one.lease_duration == std::chrono::seconds{15} && one.renew_deadline == std::chrono::seconds{10} && one.retry_period == std::chrono::seconds{2}));
}
