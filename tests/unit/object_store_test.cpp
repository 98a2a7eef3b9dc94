// links: veranda_adapter_store
#define BOOST_TEST_MODULE object_store
#include "adapters/store/sqlite_object_store.hpp"
#include "tests/support/store_fixture.hpp"

#include <chrono>
#include <set>
#include <thread>

using namespace veranda;
using namespace veranda::store;
using namespace veranda::test;

namespace {

const std::string repositories = "repositories.config.porch.kpt.dev";

std::string manifest(const std::string& name, const std::string& spec = R"({"type":"git"})", const std::string& more_meta = "", const std::string& more = "") {
  return R"({"apiVersion":"config.porch.kpt.dev/v1alpha1","kind":"Repository","metadata":{"namespace":"default","name":")" + name + "\"" + more_meta +
         R"(},"spec":)" + spec + more + "}";
}

struct store_fixture {
  scratch_directory scratch;
  std::filesystem::path file = scratch / "objects.db";
  wall_time now{std::chrono::seconds{1'773'137'250}}; // 2026-03-10T10:07:30Z
  std::unique_ptr<object_store> store = value(open_object_store(file, [this] { return now; }));
  std::unique_ptr<object_store_reader> reader = value(open_object_store_reader(file));
  std::int64_t start = value(reader->list(repositories, "")).resource_version;

  std::string events() {
    std::string text;
    for (const auto& e : value(reader->events_after(repositories, start, 1000)))
      text += std::string{e.type == watch_event::added ? "+" : e.type == watch_event::modified ? "~" : "-"} + e.object.key.name + " ";
    return text;
  }
};

bool contains(const stored_object& object, const std::string& text) { return object.json.find(text) != std::string::npos; }

} // namespace

BOOST_FIXTURE_TEST_SUITE(object_store_suite, store_fixture)

BOOST_AUTO_TEST_CASE(a_created_object_gets_the_servers_metadata_and_no_status) {
  const auto made = value(store->create(repositories, manifest("a", "{}", R"(,"uid":"mine","managedFields":[],"labels":{})", R"(,"status":{"x":1})")));
  BOOST_TEST(made.uid.size() == 36U);
  BOOST_TEST(made.uid[14] == '4');
  BOOST_TEST(made.generation == 1);
  BOOST_TEST(made.resource_version == start + 1);
  BOOST_TEST(made.json == R"({"apiVersion":"config.porch.kpt.dev/v1alpha1","kind":"Repository","metadata":{"creationTimestamp":"2026-03-10T10:07:30Z",)"
                          R"("generation":1,"name":"a","namespace":"default","resourceVersion":")" +
                              std::to_string(start + 1) + R"(","uid":")" + made.uid + R"("},"spec":{}})");
  BOOST_TEST(code(store->create(repositories, manifest("a"))) == "conflict");
  const auto read = value(reader->get(repositories, {"default", "a"}));
  BOOST_REQUIRE(read);
  BOOST_TEST(read->json == made.json);
  BOOST_TEST(value(store->create(repositories, manifest("b"))).uid != made.uid);
}

BOOST_AUTO_TEST_CASE(what_is_no_object_is_refused_by_field) {
  struct {
    std::string text, code, field;
  } const table[] = {
      {"nonsense", "invalid_spec", ""},
      {"[]", "invalid_spec", ""},
      {"{}", "invalid_spec", "apiVersion"},
      {R"({"apiVersion":"v1","kind":7})", "invalid_spec", "kind"},
      {R"({"apiVersion":"v1","kind":"K","metadata":[]})", "invalid_spec", "metadata"},
      {R"({"apiVersion":"v1","kind":"K","metadata":{}})", "invalid_spec", "metadata.name"},
      {R"({"apiVersion":"v1","kind":"K","metadata":{"name":5}})", "invalid_spec", "metadata.name"},
      {manifest("a", "{}", R"(,"resourceVersion":"3")"), "invalid_spec", "metadata.resourceVersion"},
      {manifest("a", "{}", R"(,"finalizers":"x")"), "invalid_spec", "metadata.finalizers"},
      {"{\"apiVersion\":\"v1\",\"kind\":\"\xff\"}", "invalid_spec", ""},
      {manifest("a", std::string(100'000, '[') + std::string(100'000, ']')), "too_large", ""},
      {manifest("a", "\"" + std::string(4U << 20, 'x') + "\""), "too_large", ""},
  };
  for (const auto& row : table) {
    const auto made = store->create(repositories, row.text);
    BOOST_TEST(code(made) == row.code);
    BOOST_TEST((made ? "" : made.error().field) == row.field);
  }
  BOOST_TEST(events() == "");
}

BOOST_AUTO_TEST_CASE(a_generated_name_is_completed) {
  const std::string text = R"({"apiVersion":"v1","kind":"K","metadata":{"namespace":"n","generateName":"x-"}})";
  const auto made = value(store->create(repositories, text));
  BOOST_TEST(made.key.name.size() == 7U);
  BOOST_TEST(made.key.name.substr(0, 2) == "x-");
}

BOOST_AUTO_TEST_CASE(the_generation_moves_with_the_spec_only) {
  value(store->create(repositories, manifest("a")));
  const auto labelled = value(store->update(repositories, manifest("a", R"({"type":"git"})", R"(,"labels":{"x":"y"})")));
  BOOST_TEST(labelled.generation == 1);
  BOOST_TEST(labelled.resource_version == start + 2);
  const auto with_status = value(store->update_status(repositories, {"default", "a"}, labelled.uid, R"({"conditions":[]})"));
  BOOST_TEST(with_status.generation == 1);
  const auto specified = value(store->update(repositories, manifest("a", R"({"type":"oci"})", "", R"(,"status":{"forged":true})")));
  BOOST_TEST(specified.generation == 2);
  BOOST_TEST(specified.uid == labelled.uid);
  BOOST_TEST(contains(specified, R"("status":{"conditions":[]})")); // neither taken from the update nor lost
  BOOST_TEST(!contains(specified, "labels"));
  BOOST_TEST(events() == "+a ~a ~a ~a ");
}

BOOST_AUTO_TEST_CASE(a_write_that_changes_nothing_makes_no_event) {
  const auto made = value(store->create(repositories, manifest("a")));
  value(store->update_status(repositories, made.key, "", R"({"n":1})"));
  const auto before = value(reader->get(repositories, made.key));
  for (const auto& again : {store->update(repositories, manifest("a")), store->update(repositories, before->json),
                            store->update_status(repositories, made.key, made.uid, R"({"n":1})"),
                            store->merge_patch(repositories, made.key, R"({"spec":{"type":"git","absent":null}})")})
    BOOST_TEST(value(again).json == before->json);
  BOOST_TEST(events() == "+a ~a ");
}

BOOST_AUTO_TEST_CASE(preconditions_hold) {
  const auto first = value(store->create(repositories, manifest("a")));
  const auto second = value(store->merge_patch(repositories, first.key, R"({"spec":{"type":"oci"}})"));
  BOOST_TEST(code(store->update(repositories, first.json)) == "conflict");
  BOOST_TEST(code(store->update(repositories, second.json)) == "ok");
  BOOST_TEST(code(store->update(repositories, manifest("a", "{}", R"(,"uid":"another")"))) == "conflict");
  BOOST_TEST(code(store->merge_patch(repositories, first.key, R"({"metadata":{"resourceVersion":")" + std::to_string(first.resource_version) + "\"}}")) ==
             "conflict");
  BOOST_TEST(code(store->update_status(repositories, first.key, "another", "{}")) == "conflict");
  BOOST_TEST(code(store->update(repositories, manifest("absent"))) == "not_found");
  BOOST_TEST(code(store->merge_patch(repositories, {"default", "absent"}, "{}")) == "not_found");
  BOOST_TEST(code(store->update_status(repositories, {"default", "absent"}, "", "{}")) == "not_found");
  BOOST_TEST(code(store->remove(repositories, {"default", "absent"})) == "not_found");
  BOOST_TEST(code(store->merge_patch(repositories, first.key, R"({"metadata":{"name":"b"}})")) == "invalid_spec");
  BOOST_TEST(code(store->merge_patch(repositories, first.key, R"({"kind":"Secret"})")) == "invalid_spec");
  BOOST_TEST(code(store->merge_patch(repositories, first.key, R"({"metadata":null})")) == "invalid_spec");
}

BOOST_AUTO_TEST_CASE(a_merge_patch_cannot_touch_status_or_identity) {
  const auto made = value(store->create(repositories, manifest("a", R"({"type":"git","sync":{"schedule":"x","runOnceAt":"y"}})")));
  const auto patched = value(store->merge_patch(
      repositories, made.key, R"({"metadata":{"creationTimestamp":null,"generation":50,"annotations":{"k":"v"}},"spec":{"sync":{"schedule":null}},"status":{"x":1}})"));
  BOOST_TEST(patched.generation == 2);
  BOOST_TEST(patched.uid == made.uid);
  BOOST_TEST(contains(patched, R"("creationTimestamp":"2026-03-10T10:07:30Z")"));
  BOOST_TEST(contains(patched, R"("annotations":{"k":"v"})"));
  BOOST_TEST(contains(patched, R"("spec":{"sync":{"runOnceAt":"y"},"type":"git"})"));
  BOOST_TEST(!contains(patched, "status"));
}

BOOST_AUTO_TEST_CASE(deleting_tells_the_last_state_under_a_new_version) {
  const auto made = value(store->create(repositories, manifest("a")));
  const auto gone = value(store->remove(repositories, made.key));
  BOOST_TEST(gone.resource_version == made.resource_version + 1);
  BOOST_CHECK(!value(reader->get(repositories, made.key)));
  const auto last = value(reader->events_after(repositories, made.resource_version, 10));
  BOOST_REQUIRE(last.size() == 1U);
  BOOST_CHECK(last[0].type == watch_event::deleted);
  BOOST_TEST(last[0].object.json == gone.json);
  BOOST_TEST(contains(last[0].object, "\"resourceVersion\":\"" + std::to_string(gone.resource_version) + "\""));
  BOOST_TEST(value(store->create(repositories, manifest("a"))).uid != made.uid);
}

BOOST_AUTO_TEST_CASE(finalizers_hold_a_deletion_until_they_are_gone) {
  const auto made = value(store->create(repositories, manifest("a", "{}", R"(,"finalizers":["x/y"])")));
  const auto marked = value(store->remove(repositories, made.key));
  BOOST_TEST(contains(marked, R"("deletionTimestamp":"2026-03-10T10:07:30Z")"));
  BOOST_TEST(marked.generation == 2);
  BOOST_TEST(value(store->remove(repositories, made.key)).resource_version == marked.resource_version);
  BOOST_TEST(code(store->merge_patch(repositories, made.key, R"({"metadata":{"finalizers":["x/y","new"]}})")) == "invalid_spec");
  const auto gone = value(store->merge_patch(repositories, made.key, R"({"metadata":{"finalizers":null}})"));
  BOOST_TEST(gone.resource_version == marked.resource_version + 1);
  BOOST_CHECK(!value(reader->get(repositories, made.key)));
  BOOST_TEST(events() == "+a ~a -a ");
}

BOOST_AUTO_TEST_CASE(lists_are_ordered_and_resources_apart) {
  value(store->create(repositories, manifest("b")));
  value(store->create(repositories, manifest("a")));
  value(store->create(repositories, R"({"apiVersion":"v1","kind":"K","metadata":{"namespace":"another","name":"z"}})"));
  value(store->create("secrets", R"({"apiVersion":"v1","kind":"Secret","metadata":{"namespace":"default","name":"a"}})"));
  const auto names = [&](const std::string& resource, const std::string& ns) {
    std::string text;
    for (const auto& object : value(reader->list(resource, ns)).items)
      text += to_string(object.key) + " ";
    return text;
  };
  BOOST_TEST(names(repositories, "") == "another/z default/a default/b ");
  BOOST_TEST(names(repositories, "default") == "default/a default/b ");
  BOOST_TEST(names("secrets", "") == "default/a ");
  BOOST_TEST(names("absent", "") == "");
  BOOST_TEST(value(reader->list("absent", "")).resource_version == start + 4);
  BOOST_TEST(events() == "+b +a +z ");
}

BOOST_AUTO_TEST_CASE(events_are_bounded_and_a_position_outside_is_stale) {
  constexpr std::int64_t events_kept = 40;
  store.reset();
  store = value(open_object_store(file, [this] { return now; }, events_kept));
  value(store->create(repositories, manifest("a")));
  for (int n = 0; n < events_kept; ++n)
    value(store->update_status(repositories, {"default", "a"}, "", "{\"n\":" + std::to_string(n) + "}"));
  BOOST_TEST(code(reader->events_after(repositories, start, 1)) == "stale");
  BOOST_TEST(code(reader->events_after("absent", start, 1)) == "stale");
  const auto kept = value(reader->events_after(repositories, start + 1, 1'000'000));
  BOOST_TEST(kept.size() == static_cast<std::size_t>(events_kept));
  BOOST_TEST(kept.front().object.resource_version == start + 2);
  BOOST_TEST(code(reader->events_after(repositories, start + 1 + events_kept, 1)) == "ok");
  BOOST_TEST(code(reader->events_after(repositories, start + 2 + events_kept, 1)) == "stale");
  BOOST_TEST(code(reader->events_after(repositories, 0, 1)) == "stale");
}

BOOST_AUTO_TEST_CASE(waiting_ends_with_the_commit) {
  BOOST_TEST(value(reader->wait_beyond(start, std::chrono::milliseconds{1})) == start);
  std::thread writer{[&] { value(store->create(repositories, manifest("a"))); }};
  BOOST_TEST(value(reader->wait_beyond(start, std::chrono::minutes{2})) == start + 1);
  writer.join();
  BOOST_TEST(value(reader->wait_beyond(start, std::chrono::minutes{2})) == start + 1);
  auto another = value(open_object_store_reader(file));
  BOOST_TEST(value(another->wait_beyond(start, std::chrono::minutes{2})) == start + 1);
}

BOOST_AUTO_TEST_CASE(waiting_ends_when_interrupted) {
  std::thread other{[&] { reader->interrupt(); }};
  BOOST_TEST(value(reader->wait_beyond(start, std::chrono::minutes{2})) == start);
  other.join();
  BOOST_TEST(value(reader->wait_beyond(start, std::chrono::minutes{2})) == start);
}

BOOST_AUTO_TEST_CASE(objects_and_versions_survive) {
  const auto made = value(store->create(repositories, manifest("a")));
  reader.reset();
  store.reset();
  store = value(open_object_store(file, [this] { return now; }));
  reader = value(open_object_store_reader(file));
  BOOST_TEST(value(reader->get(repositories, made.key))->json == made.json);
  BOOST_TEST(value(store->remove(repositories, made.key)).resource_version == made.resource_version + 1);
}

BOOST_AUTO_TEST_SUITE_END()
