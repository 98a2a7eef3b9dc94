// links: veranda_adapter_source nlohmann_json::nlohmann_json
#define BOOST_TEST_MODULE store_source
#include "adapters/source/store_source.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::source;
using namespace std::chrono_literals;

namespace {

struct script {
  std::int64_t current = 0;
  std::vector<store::object_event> events;
  std::optional<failure> error;
  std::chrono::steady_clock::time_point now{};
};

store::stored_object stored(const std::string& name, std::int64_t version, const std::string& json = {}) {
  const std::string text = R"({"apiVersion":"config.porch.kpt.dev/v1alpha1","kind":"Repository","metadata":{"name":")" + name +
                           R"(","namespace":"ns"},"spec":{"type":"git","git":{"repo":"https://example.com/a"}}})";
  return {"repositories.config.porch.kpt.dev", {"ns", name}, "uid-" + name, version, 2, json.empty() ? text : json};
}

class scripted_reader final : public store::object_store_reader {
public:
  explicit scripted_reader(script& s) : s_(s) {}
  result<store::object_list> list(const std::string& resource, const std::string& ns) override {
    BOOST_TEST(resource == "repositories.config.porch.kpt.dev");
    BOOST_TEST(ns.empty());
    return store::object_list{s_.current, {stored("a", 3), stored("b", 5, "{")}};
  }
  result<std::optional<store::stored_object>> get(const std::string&, const object_key&) override { return std::optional<store::stored_object>{}; }
  result<std::vector<store::object_event>> events_after(const std::string&, std::int64_t position, std::size_t limit) override {
    if (s_.error)
      return *s_.error;
    std::vector<store::object_event> out;
    for (const auto& e : s_.events)
      if (e.object.resource_version > position && out.size() < limit)
        out.push_back(e);
    return out;
  }
  result<std::int64_t> wait_beyond(std::int64_t, std::chrono::milliseconds) override { return s_.current; }

private:
  script& s_;
};

std::unique_ptr<repository_source> open(script& s) {
  return open_store_source(std::make_unique<scripted_reader>(s), [&s] { return s.now; });
}

} // namespace

BOOST_AUTO_TEST_CASE(lists_what_is_stored) {
  script s{.current = 9, .events = {}, .error = {}, .now = {}};
  const auto list = open(s)->list();
  BOOST_REQUIRE(list.ok());
  BOOST_TEST(list->resource_version == "9");
  BOOST_REQUIRE(list->items.size() == 2U);
  BOOST_TEST(list->items[0].meta.key.name == "a");
  BOOST_TEST(list->items[0].meta.uid == "uid-a");
  BOOST_TEST(list->items[0].meta.resource_version == "3");
  BOOST_TEST(list->items[0].meta.generation == 2);
  BOOST_TEST(list->items[0].problems.empty());
  BOOST_TEST(list->items[1].meta.key.name == "b"); // damaged, but there
  BOOST_TEST(list->items[1].problems.size() == 1U);
}

BOOST_AUTO_TEST_CASE(events_come_in_order) {
  script s;
  s.current = 4;
  s.events = {{store::watch_event::added, stored("a", 2)}, {store::watch_event::modified, stored("a", 3)}, {store::watch_event::deleted, stored("a", 4)}};
  const auto events = open(s)->poll("1", 0ms);
  BOOST_REQUIRE(events.ok());
  BOOST_REQUIRE(events->size() == 3U);
  BOOST_TEST(((*events)[0].type == repository_event_type::added));
  BOOST_TEST(((*events)[1].type == repository_event_type::modified));
  BOOST_TEST(((*events)[2].type == repository_event_type::deleted));
  BOOST_TEST((*events)[2].object.meta.resource_version == "4");
}

BOOST_AUTO_TEST_CASE(bookmarks_move_the_position_and_break_the_silence) {
  script s;
  s.current = 7;
  const auto source = open(s);
  const auto moved = source->poll("5", 0ms); // a Secret, say
  BOOST_REQUIRE(moved.ok());
  BOOST_REQUIRE(moved->size() == 1U);
  BOOST_TEST(((*moved)[0].type == repository_event_type::bookmark));
  BOOST_TEST((*moved)[0].object.meta.resource_version == "7");
  BOOST_TEST(source->poll("7", 0ms)->empty());
  s.now += 59s;
  BOOST_TEST(source->poll("7", 0ms)->empty());
  s.now += 1s;
  BOOST_TEST(source->poll("7", 0ms)->size() == 1U);
  BOOST_TEST(source->poll("7", 0ms)->empty());
}

BOOST_AUTO_TEST_CASE(failures_pass_through) {
  script s;
  const auto source = open(s);
  for (const char* odd : {"", "x", "1x"})
    BOOST_TEST((source->poll(odd, 0ms).error().code == ec::stale), odd);
  s.current = 3;
  s.error = failure{ec::stale, "too old", {}, {}, std::nullopt};
  BOOST_TEST((source->poll("1", 0ms).error().code == ec::stale));
}
