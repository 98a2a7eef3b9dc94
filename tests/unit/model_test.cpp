// links: veranda_model
#define BOOST_TEST_MODULE model
#include <boost/test/unit_test.hpp>

#include "messages/model/digest.hpp"
#include "messages/model/failure.hpp"
#include "messages/model/package_revision.hpp"
#include "messages/model/refs.hpp"
#include "messages/model/repository.hpp"
#include "messages/model/sync.hpp"
#include "messages/model/time.hpp"

#include <functional>
#include <limits>
#include <set>
#include <vector>

using namespace std::chrono_literals;
using namespace veranda;

namespace {

constexpr int first_code = static_cast<int>(ec::unreachable);
constexpr int last_code = static_cast<int>(ec::internal);

std::string formatted(std::string_view stamp) {
  const auto t = parse_rfc3339(stamp);
  return t ? format_rfc3339(*t) : "malformed";
}

package_revision sample() {
  package_revision r;
  r.key = {"a/b", "c", 3, "v3"};
  r.name = "repo.a.b.c.v3";
  r.uid = "7007e8aa-0928-50f9-b980-92a44942f055";
  r.ref = "refs/tags/a/b/c/v3";
  r.commit = *oid::parse("1111111111111111111111111111111111111111");
  r.tree = *oid::parse("2222222222222222222222222222222222222222");
  r.self_lock = {"https://git.example/r.git", "a/b/c", "a/b/c/v3", "1111111111111111111111111111111111111111"};
  r.published_by = "dev@example.org";
  r.published_at = parse_rfc3339("2026-03-10T10:07:30Z");
  r.task_json = R"({"type":"init"})";
  r.kptfile.upstream_lock = git_lock{"https://git.example/u.git", "u", "v1", "3333333333333333333333333333333333333333"};
  r.kptfile.readiness_gates = {"ready"};
  r.kptfile.conditions = {{"ready", "True", "Done", "all done"}};
  r.kptfile.labels = {{"k", "v"}};
  r.kptfile.annotations = {{"note", "x"}};
  return r;
}

} // namespace

// -- failures -----------------------------------------------------------------

BOOST_AUTO_TEST_CASE(every_code_has_a_name_and_the_class_that_says_what_to_do) {
  const std::vector<std::pair<error_class, std::vector<ec>>> table{
      {error_class::retry, {ec::unreachable, ec::timed_out, ec::unavailable}},
      {error_class::wait, {ec::throttled, ec::overloaded, ec::dependency_missing, ec::host_unavailable}},
      {error_class::needs_change, {ec::auth_rejected, ec::not_found, ec::invalid_spec, ec::too_large, ec::unsupported}},
      {error_class::race, {ec::conflict, ec::stale}},
      {error_class::damaged, {ec::checksum_mismatch, ec::corrupt_cache}},
      {error_class::stop, {ec::cancelled, ec::shutting_down}},
      {error_class::bug, {ec::internal}},
  };
  int codes = 0;
  for (const auto& [cls, members] : table)
    for (const auto code : members) {
      BOOST_TEST((class_of(code) == cls), to_string(code));
      ++codes;
    }
  BOOST_TEST(codes == last_code - first_code + 1);
  std::set<std::string_view> names;
  for (int c = first_code; c <= last_code; ++c) {
    const auto code = static_cast<ec>(c);
    BOOST_TEST(names.insert(to_string(code)).second);
    BOOST_TEST((parse_ec(to_string(code)) == code));
  }
  BOOST_TEST(!parse_ec("no_such_code").has_value());
  BOOST_TEST((class_of(static_cast<ec>(0)) == error_class::bug));
  BOOST_TEST((class_of(static_cast<ec>(200)) == error_class::bug));
}

BOOST_AUTO_TEST_CASE(a_failure_is_described_by_what_is_known_of_it) {
  BOOST_TEST(describe(failure{ec::not_found, "there is no branch \"x\"", "team-a/r", "spec.git.branch", {}}) ==
             "team-a/r: spec.git.branch: there is no branch \"x\"");
  BOOST_TEST(describe(failure{ec::not_found, "gone", "team-a/r", {}, {}}) == "team-a/r: gone");
  BOOST_TEST(describe(failure{ec::not_found, "gone", {}, {}, {}}) == "gone");
  BOOST_TEST(describe(failure{ec::timed_out, {}, {}, {}, {}}) == "timed_out");
}

BOOST_AUTO_TEST_CASE(a_field_problem_is_described_by_what_is_known_of_it) {
  BOOST_TEST(describe(field_problem{"spec.git.branch", "a b", "must be a valid git branch name"}) ==
             "spec.git.branch: \"a b\": must be a valid git branch name");
  BOOST_TEST(describe(field_problem{"spec.git.repo", "", "must be set"}) == "spec.git.repo: must be set");
}

// -- time ---------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(stamps_are_read_and_written) {
  const std::vector<std::pair<std::string, std::string>> table{
      {"2026-03-10T10:07:30Z", "2026-03-10T10:07:30Z"},
      {"2026-03-10T10:07:30.999999999999Z", "2026-03-10T10:07:30Z"},
      {"2026-03-10T10:07:30+05:30", "2026-03-10T04:37:30Z"},
      {"2026-03-10T00:07:30-14:00", "2026-03-10T14:07:30Z"},
      {"2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"},
      {"1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59Z"},
      {"2262-04-11T23:00:00Z", "2262-04-11T23:00:00Z"},
  };
  for (const auto& [text, expected] : table)
    BOOST_TEST(formatted(text) == expected);
  BOOST_TEST((*parse_rfc3339("2026-03-10T10:07:30.25Z") - *parse_rfc3339("2026-03-10T10:07:30Z") == 250ms));
}

BOOST_AUTO_TEST_CASE(malformed_stamps_are_nothing) {
  for (const auto* text :
       {"", "2026", "2026-03-10", "2026-03-10 10:07:30Z", "2026-03-10T10:07:30", "2026-03-10T10:07:30z", "2026-03-10t10:07:30Z", "2026-3-10T10:07:30Z",
        "2026-13-10T10:07:30Z", "2026-02-29T10:07:30Z", "2026-03-00T10:07:30Z", "2026-03-10T24:00:00Z", "2026-03-10T10:60:00Z", "2026-03-10T10:07:60Z",
        "2026-03-10T10:07:30.Z", "2026-03-10T10:07:30,5Z", "2026-03-10T10:07:30+0530", "2026-03-10T10:07:30+24:00", "2026-03-10T10:07:30Z ",
        " 2026-03-10T10:07:30Z", "2026-03-10T10:07:30ZZ", "0000-03-10T10:07:30Z", "-026-03-10T10:07:30Z", "+026-03-10T10:07:30Z",
        "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"}) // the last two: beyond what wall_time holds
    BOOST_TEST(!parse_rfc3339(text).has_value(), "accepted: " << text);
}

BOOST_AUTO_TEST_CASE(ages_are_shown_as_kubectl_shows_them) {
  const std::vector<std::pair<std::chrono::seconds, std::string>> table{
      {-2s, "<invalid>"},       {-1s, "0s"},
      {0s, "0s"},               {1s, "1s"},
      {119s, "119s"},           {120s, "2m"},
      {150s, "2m30s"},          {599s, "9m59s"},
      {600s, "10m"},            {659s, "10m"},
      {3h - 1s, "179m"},        {3h, "3h"},
      {3h + 25min, "3h25m"},    {8h - 1s, "7h59m"},
      {8h, "8h"},               {8h + 59min, "8h"},
      {48h - 1s, "47h"},        {48h, "2d"},
      {52h, "2d4h"},            {24h * 8 - 1s, "7d23h"},
      {24h * 8, "8d"},          {24h * 729, "729d"},
      {24h * 730, "2y"},        {24h * 740, "2y10d"},
      {24h * 365 * 8 - 1s, "7y364d"}, {24h * 365 * 8, "8y"},
      {24h * 365 * 9 + 24h, "9y"},
  };
  for (const auto& [d, text] : table)
    BOOST_TEST(human_duration(d) == text);
}

BOOST_AUTO_TEST_CASE(go_durations_are_read) {
  const std::vector<std::pair<std::string, std::chrono::nanoseconds>> table{
      {"0", 0ns},         {"+0", 0ns},         {"-0", 0ns},          {"5s", 5s},          {"1h30m", 90min},         {"250ms", 250ms},
      {"-1.5h", -90min},  {"+5s", 5s},         {"1.5s", 1500ms},     {".5s", 500ms},      {"5.s", 5s},              {"3us", 3us},
      {"3\u00b5s", 3us},  {"3\u03bcs", 3us},   {"7ns", 7ns},         {"1h1m1s1ms", 3661001ms}, {"5s5s", 10s},       {"0.3333333333333333333h", 1199999999999ns},
      {"9223372036854775807ns", std::chrono::nanoseconds::max()},    {"-9223372036854775808ns", std::chrono::nanoseconds::min()},
  };
  for (const auto& [text, d] : table) {
    const auto parsed = parse_go_duration(text);
    BOOST_REQUIRE_MESSAGE(parsed, "refused: " << text);
    BOOST_TEST(parsed->count() == d.count(), text << " is " << parsed->count());
  }
  for (const auto* text : {"", "+", "-", "5", "s", ".s", "1.2.3s", "5 s", "5 minutes", "1d", "--5s", "5s ", " 5s", "1h-5m", "9223372036854775808ns", "2562048h",
                           "99999999999999999999s", "9223372036.9s", "\xc2", "1\xc2s"})
    BOOST_TEST(!parse_go_duration(text).has_value(), "accepted: " << text);
}

BOOST_AUTO_TEST_CASE(go_durations_are_written) {
  const std::vector<std::pair<std::chrono::nanoseconds, std::string>> table{
      {0ns, "0s"},         {7ns, "7ns"},       {1500ns, "1.5\u00b5s"}, {250ms, "250ms"},  {250'050'000ns, "250.05ms"}, {1s, "1s"},
      {1999ms, "1s"},      {90s, "1m30s"},     {1h, "1h0m0s"},         {3h + 5s, "3h0m5s"}, {-90s, "-1m30s"},          {-1ms, "-1ms"},
      {std::chrono::nanoseconds::min(), "-2562047h47m16s"},
  };
  for (const auto& [d, text] : table)
    BOOST_TEST(format_go_duration(d) == text);
}

// -- digests, ids -------------------------------------------------------------

BOOST_AUTO_TEST_CASE(digests_are_those_of_the_standards) {
  BOOST_TEST(to_hex(sha1("abc")) == "a9993e364706816aba3e25717850c26c9cd0d89d");
  BOOST_TEST(to_hex(sha256("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  BOOST_TEST(to_hex(sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  sha256_hasher h;
  h.update("a");
  h.update("bc");
  BOOST_TEST(to_hex(h.finish()) == to_hex(sha256("abc")));
  h.update("abc"); // begins anew
  BOOST_TEST(to_hex(h.finish()) == to_hex(sha256("abc")));
  BOOST_TEST(to_hex(std::string_view{"\x00\xff\x7f", 3}) == "00ff7f");
}

BOOST_AUTO_TEST_CASE(field_boundaries_are_part_of_a_digest) {
  const auto digest = [](std::initializer_list<std::string_view> fields) {
    sha256_hasher h;
    for (const auto f : fields)
      h.update_field(f);
    return h.finish();
  };
  BOOST_TEST((digest({"ab", "c"}) != digest({"a", "bc"})));
  BOOST_TEST((digest({"abc"}) != digest({"abc", ""})));
  BOOST_TEST((digest({"ab", "c"}) == digest({"ab", "c"})));
}

BOOST_AUTO_TEST_CASE(uuids_are_those_of_the_reference) {
  constexpr std::string_view space = "aac71d91-5c67-456f-8fd2-902ef6da820e";
  BOOST_TEST(uuid_v5(space, "my-prefixporch.kpt.dev/v1alpha1/my-namespace/my.kube.name.of-something") == "272983f7-a30d-58e0-a809-c38e8638666d");
  BOOST_TEST(uuid_v5(space, "packagerevision:porch.kpt.dev/v1alpha1/my-namespace/my-repo.my-package.my-workspace") == "7007e8aa-0928-50f9-b980-92a44942f055");
}

BOOST_AUTO_TEST_CASE(object_ids_are_forty_hex_digits) {
  const std::string hex = "0123456789abcdef0123456789abcdef01234567";
  BOOST_TEST(oid::parse(hex)->hex() == hex);
  BOOST_TEST((oid::parse("0123456789ABCDEF0123456789abcdef01234567") == oid::parse(hex)));
  BOOST_TEST(oid::parse(std::string(40, '0'))->is_zero());
  BOOST_TEST(!oid::parse(hex)->is_zero());
  for (const auto& text : {std::string{}, hex.substr(1), hex + '0', 'g' + hex.substr(1), ' ' + hex.substr(1)})
    BOOST_TEST(!oid::parse(text).has_value());
}

// -- refs, names --------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_ref_is_found_by_its_whole_name) {
  ref_table table;
  for (const auto* name : {"refs/heads/a", "refs/heads/b", "refs/tags/a/v1"})
    table.refs.push_back({name, {}, {}});
  for (const auto& ref : table.refs)
    BOOST_TEST(table.find(ref.name) == &ref);
  for (const auto* name : {"", "refs/heads/", "refs/heads/ab", "refs/tags/a/v10", "zzz"})
    BOOST_TEST(table.find(name) == nullptr);
  BOOST_TEST(ref_table{}.find("refs/heads/a") == nullptr);
}

BOOST_AUTO_TEST_CASE(names_of_values) {
  BOOST_TEST(to_string(object_key{"team-a", "blueprints"}) == "team-a/blueprints");
  BOOST_TEST((package_revision_key{"", "p", 0, {}}.package_name()) == "p");
  BOOST_TEST((package_revision_key{"a/b", "p", 0, {}}.package_name()) == "a/b/p");
  for (const auto l : {lifecycle::draft, lifecycle::proposed, lifecycle::published, lifecycle::deletion_proposed})
    BOOST_TEST((parse_lifecycle(to_string(l)) == l));
  BOOST_TEST(to_string(lifecycle::deletion_proposed) == "DeletionProposed");
  BOOST_TEST(!parse_lifecycle("draft").has_value());
  std::set<std::string_view> causes;
  for (int c = 0; c <= static_cast<int>(sync_cause::catch_up); ++c)
    BOOST_TEST(causes.insert(to_string(static_cast<sync_cause>(c))).second);
}

// -- the digest of a package revision -----------------------------------------

BOOST_AUTO_TEST_CASE(every_visible_field_is_part_of_the_digest) {
  using change = std::function<void(package_revision&)>;
  const std::vector<std::pair<std::string, change>> changes{
      {"path", [](auto& r) { r.key.path = "a"; }},
      {"path and package joined", [](auto& r) { r.key.path = "a/bc"; r.key.package = ""; }},
      {"package", [](auto& r) { r.key.package = "d"; }},
      {"revision", [](auto& r) { r.key.revision = -1; }},
      {"workspace", [](auto& r) { r.key.workspace = "w"; }},
      {"name", [](auto& r) { r.name += 'x'; }},
      {"uid", [](auto& r) { r.uid += 'x'; }},
      {"lifecycle", [](auto& r) { r.lifecycle = lifecycle::deletion_proposed; }},
      {"latest", [](auto& r) { r.latest = true; }},
      {"from_branch", [](auto& r) { r.from_branch = true; }},
      {"ref", [](auto& r) { r.ref += 'x'; }},
      {"commit", [](auto& r) { r.commit.bytes[19] ^= 1; }},
      {"tree", [](auto& r) { r.tree.bytes[0] ^= 1; }},
      {"lock repo", [](auto& r) { r.self_lock.repo += 'x'; }},
      {"lock directory", [](auto& r) { r.self_lock.directory += 'x'; }},
      {"lock ref", [](auto& r) { r.self_lock.ref += 'x'; }},
      {"lock commit", [](auto& r) { r.self_lock.commit[0] = '2'; }},
      {"published by", [](auto& r) { r.published_by = ""; }},
      {"published at", [](auto& r) { *r.published_at += 1s; }},
      {"never published", [](auto& r) { r.published_at.reset(); }},
      {"published in 1970", [](auto& r) { r.published_at = wall_time{}; }},
      {"task", [](auto& r) { r.task_json = ""; }},
      {"problem", [](auto& r) { r.kptfile.problem = "x"; }},
      {"no upstream", [](auto& r) { r.kptfile.upstream_lock.reset(); }},
      {"empty upstream", [](auto& r) { r.kptfile.upstream_lock = git_lock{}; }},
      {"upstream commit", [](auto& r) { r.kptfile.upstream_lock->commit[0] = '4'; }},
      {"gate", [](auto& r) { r.kptfile.readiness_gates.clear(); }},
      {"two gates", [](auto& r) { r.kptfile.readiness_gates = {"rea", "dy"}; }},
      {"condition status", [](auto& r) { r.kptfile.conditions[0].status = "False"; }},
      {"condition text", [](auto& r) { r.kptfile.conditions[0].message += 'x'; }},
      {"label", [](auto& r) { r.kptfile.labels["k"] = "w"; }},
      {"label moved to annotations", [](auto& r) { r.kptfile.labels.swap(r.kptfile.annotations); }},
  };
  std::set<sha256_digest> digests{sample().digest()};
  for (const auto& [name, apply] : changes) {
    auto r = sample();
    apply(r);
    BOOST_TEST(digests.insert(r.digest()).second, "not told apart: " << name);
    BOOST_TEST((r.digest() == r.digest()));
  }
}

BOOST_AUTO_TEST_CASE(a_branch_that_moves_on_changes_no_digest_of_what_stayed) {
  auto before = sample();
  before.from_branch = true;
  auto after = before;
  after.commit.bytes[0] ^= 1;
  after.self_lock.commit[0] = '9';
  BOOST_TEST((before.digest() == after.digest()));
  after.tree.bytes[0] ^= 1;
  BOOST_TEST((before.digest() != after.digest()));
}
