// links: veranda_adapter_source veranda_logic nlohmann_json::nlohmann_json
#define BOOST_TEST_MODULE manifest_sync
#include "actors/logic/ownership.hpp"
#include "adapters/source/deletion_permit.hpp"
#include "adapters/source/manifest_file.hpp"
#include "adapters/source/manifest_sync.hpp"
#include "tests/support/temporary_directory.hpp"

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>

using namespace veranda;
using namespace veranda::source;
using nlohmann::json;

namespace {

json repository_json(const std::string& name, const std::string& url = "https://example.com/a") {
  return {{"apiVersion", "config.porch.kpt.dev/v1alpha1"},
          {"kind", "Repository"},
          {"metadata", {{"name", name}, {"namespace", "default"}}},
          {"spec", {{"type", "git"}, {"git", {{"repo", url}}}}}};
}

manifest_object wanted(const std::string& name, const std::string& file = "a.yaml", const json& object = {}) {
  return {std::string{repositories_resource}, {"default", name}, file, 1, (object.is_null() ? repository_json(name) : object).dump(), true};
}

/// A small object store: applies writes as the real one would.
struct store_model {
  std::map<object_key, store::stored_object> objects;
  std::int64_t version = 0;

  [[nodiscard]] std::vector<store::stored_object> live() const {
    std::vector<store::stored_object> out;
    for (const auto& [key, object] : objects)
      out.push_back(object);
    return out;
  }
  void apply(const manifest_plan& p) {
    for (const auto& w : p.writes) {
      if (w.kind == write_kind::remove) {
        BOOST_TEST(objects.erase(w.key) == 1U);
        continue;
      }
      BOOST_TEST(objects.contains(w.key) == (w.kind == write_kind::update));
      json object = json::parse(w.json);
      if (w.kind == write_kind::update) {
        BOOST_TEST(object["metadata"]["resourceVersion"] == std::to_string(objects[w.key].resource_version));
        BOOST_TEST(object["metadata"]["uid"] == "u");
      }
      object["metadata"]["uid"] = "u";
      object["metadata"]["resourceVersion"] = std::to_string(++version);
      objects[w.key] = {w.resource, w.key, "u", version, 1, object.dump()};
    }
  }
  json& edit(const std::string& name, json& scratch) {
    scratch = json::parse(objects.at({"default", name}).json);
    return scratch;
  }
  void put(const std::string& name, const json& object) { objects.at({"default", name}).json = object.dump(); }
};

manifest_plan plan_now(const manifest_state& state, const store_model& s, const plan_options& o = {}) { return plan(state, s.live(), logic::merge_managed, o); }

manifest_state of(std::vector<manifest_object> objects) {
  std::sort(objects.begin(), objects.end(), [](const auto& a, const auto& b) { return std::tie(a.resource, a.key) < std::tie(b.resource, b.key); });
  manifest_state out;
  out.objects = std::move(objects);
  return out;
}

std::string held_rule(const manifest_plan& p) {
  for (const auto& problem : p.problems)
    if (problem.rule.starts_with("DeletionHeld"))
      return problem.rule;
  return {};
}

} // namespace

BOOST_AUTO_TEST_CASE(files_create_update_and_remove) {
  store_model s;
  s.apply(plan_now(of({wanted("a"), wanted("b", "b.yaml")}), s));
  BOOST_REQUIRE(s.objects.size() == 2U);
  BOOST_TEST(managed_by(s.objects.at({"default", "a"}).json) == "a.yaml");
  BOOST_TEST(plan_now(of({wanted("a"), wanted("b", "b.yaml")}), s).writes.empty());

  const auto changed = plan_now(of({wanted("a", "a.yaml", repository_json("a", "https://example.com/new")), wanted("b", "b.yaml")}), s);
  BOOST_REQUIRE(changed.writes.size() == 1U);
  BOOST_TEST((changed.writes[0].kind == write_kind::update));
  s.apply(changed);
  BOOST_TEST(json::parse(s.objects.at({"default", "a"}).json)["spec"]["git"]["repo"] == "https://example.com/new");

  const auto removed = plan_now(of({wanted("b", "b.yaml")}), s);
  BOOST_REQUIRE(removed.writes.size() == 1U);
  BOOST_TEST((removed.writes[0].kind == write_kind::remove));
  BOOST_TEST(removed.writes[0].key.name == "a");
}

BOOST_AUTO_TEST_CASE(a_file_owns_only_what_it_names) {
  store_model s;
  auto first = repository_json("a");
  first["spec"]["description"] = "from the file";
  s.apply(plan_now(of({wanted("a", "a.yaml", first)}), s));
  json scratch;
  s.edit("a", scratch)["metadata"]["annotations"]["veranda.dev/suspend"] = "true";
  scratch["status"]["fence"] = 3;
  s.put("a", scratch);
  BOOST_TEST(plan_now(of({wanted("a", "a.yaml", first)}), s).writes.empty());
  s.apply(plan_now(of({wanted("a")}), s)); // the description goes from the file
  const auto now = json::parse(s.objects.at({"default", "a"}).json);
  BOOST_TEST(!now["spec"].contains("description"));
  BOOST_TEST(now["metadata"]["annotations"]["veranda.dev/suspend"] == "true");
  BOOST_TEST(now["status"]["fence"] == 3);
}

BOOST_AUTO_TEST_CASE(an_object_moves_between_files) {
  store_model s;
  s.apply(plan_now(of({wanted("a")}), s));
  const auto p = plan_now(of({wanted("a", "z.yaml")}), s);
  BOOST_REQUIRE(p.writes.size() == 1U);
  BOOST_TEST((p.writes[0].kind == write_kind::update));
  s.apply(p);
  BOOST_TEST(managed_by(s.objects.at({"default", "a"}).json) == "z.yaml");
}

BOOST_AUTO_TEST_CASE(what_no_file_made_is_left_alone) {
  store_model s;
  s.objects[{"default", "mine"}] = {std::string{repositories_resource}, {"default", "mine"}, "u", 1, 1, repository_json("mine").dump()};
  BOOST_TEST(plan_now({}, s).writes.empty());
  manifest_state gone;
  gone.directory_missing = true;
  BOOST_TEST(held_rule(plan_now(gone, s)).empty());
  BOOST_TEST(managed_by(s.objects.begin()->second.json).empty());
}

BOOST_AUTO_TEST_CASE(removals_are_held) {
  std::vector<manifest_object> all;
  for (int i = 0; i < 20; ++i)
    all.push_back(wanted("r" + std::to_string(i)));
  store_model s;
  s.apply(plan_now(of(all), s));
  const auto keep = [&](int n) { return of({all.begin(), all.begin() + n}); };
  const auto removals = [&](const manifest_state& state, const plan_options& o = {}) { return plan_now(state, s, o).writes.size(); };
  BOOST_TEST(removals(keep(11)) == 9U);
  BOOST_TEST(removals(keep(10)) == 10U); // exactly half
  BOOST_TEST(removals(keep(9)) == 0U);
  BOOST_TEST(plan_now(keep(9), s).held == 11U);
  BOOST_TEST(held_rule(plan_now(keep(9), s)).starts_with("DeletionHeld: 11 of 20 "));
  BOOST_TEST(removals(keep(9), {.allow_deletion = true}) == 11U);
  auto missing = keep(19);
  missing.directory_missing = true;
  BOOST_TEST(removals(missing) == 0U);
  BOOST_TEST(removals(missing, {.allow_deletion = true}) == 0U);
  BOOST_TEST(held_rule(plan_now(missing, s)).ends_with("the manifest directory is missing; put it back (an empty one to remove them all)"));
  BOOST_TEST(held_rule(plan_now(keep(9), s, {.release = "touch /d/allow-deletion"})).ends_with("; put them back, or remove the objects with: touch /d/allow-deletion"));
  auto incomplete = keep(19);
  incomplete.incomplete = true;
  BOOST_TEST(removals(incomplete) == 0U);
  for (int i = 19; i >= 9; --i)
    s.objects.erase({"default", "r" + std::to_string(i)});
  BOOST_TEST(removals(keep(0)) == 9U); // few objects are never held
}

BOOST_AUTO_TEST_CASE(a_permit_counts_once) {
  const test::temporary_directory data;
  const auto file = data.path() / "it's" / "allow-deletion";
  deletion_permit permit{file};
  BOOST_TEST(*permit.take() == false); // not even its directory
  std::filesystem::create_directory(file.parent_path());
  BOOST_TEST(permit.how() == "touch '" + data.path().string() + "/it'\\''s/allow-deletion'");
  BOOST_REQUIRE(std::system(permit.how().c_str()) == 0);
  BOOST_TEST(*permit.take() == true);
  BOOST_TEST(!std::filesystem::exists(file));
  BOOST_TEST(*permit.take() == false);
  std::filesystem::create_directory(file);
  BOOST_REQUIRE(!permit.take());
  BOOST_TEST(describe(permit.take().error()).ends_with("allow-deletion: cannot be removed and is not heeded: Is a directory"));
  BOOST_TEST(deletion_permit{"/var/lib/veranda/allow-deletion"}.how() == "touch /var/lib/veranda/allow-deletion");
}

BOOST_AUTO_TEST_CASE(a_file_that_cannot_be_read_removes_nothing) {
  store_model s;
  s.apply(plan_now(of({wanted("a"), wanted("b", "b.yaml")}), s));
  manifest_state state;
  state.unreadable_files = {"a.yaml"};
  const auto p = plan_now(state, s);
  BOOST_REQUIRE(p.writes.size() == 1U);
  BOOST_TEST(p.writes[0].key.name == "b");
}

BOOST_AUTO_TEST_CASE(an_invalid_object_never_replaces_a_valid_one) {
  store_model s;
  auto bad = repository_json("a");
  bad["spec"]["git"]["branch"] = "a b";
  auto object = wanted("a", "a.yaml", bad);
  object.valid = false;
  s.apply(plan_now(of({object}), s)); // never seen before: its condition is to say what is wrong
  BOOST_TEST(s.objects.size() == 1U);
  s.apply(plan_now(of({wanted("a")}), s));
  BOOST_TEST(!json::parse(s.objects.at({"default", "a"}).json)["spec"]["git"].contains("branch"));
  BOOST_TEST(plan_now(of({object}), s).writes.empty());
}

BOOST_AUTO_TEST_CASE(what_is_being_deleted_is_left_alone) {
  store_model s;
  s.apply(plan_now(of({wanted("a")}), s));
  json scratch;
  s.edit("a", scratch)["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  s.put("a", scratch);
  BOOST_TEST(plan_now(of({wanted("a", "z.yaml")}), s).writes.empty());
  BOOST_TEST(plan_now({}, s).writes.empty());
}

BOOST_AUTO_TEST_CASE(refusal_names_the_file) {
  const auto f = managed_refusal(std::string{repositories_resource}, {"ns", "a"}, "a.yaml");
  BOOST_TEST((f.code == ec::conflict));
  BOOST_TEST(describe(f).find("a.yaml") != std::string::npos);
  BOOST_TEST(managed_by("nonsense").empty());
}
