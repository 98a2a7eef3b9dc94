// links: veranda_common
#define BOOST_TEST_MODULE metrics
#include <boost/test/unit_test.hpp>

#include "actors/common/metric_telemetry.hpp"

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <thread>

using namespace std::chrono_literals;
using namespace veranda;

namespace {

wall_time at(std::string_view text) { return parse_rfc3339(text).value(); }

struct fixture {
  std::shared_ptr<cell_registry> cells = std::make_shared<cell_registry>();
  metric_telemetry telemetry{{"0.1.0", at("2026-03-10T10:00:00Z"), 2}, cells};
  wall_time now = at("2026-03-10T10:07:30Z");

  std::map<std::string, std::string> samples() {
    std::map<std::string, std::string> out;
    std::istringstream lines{telemetry.render(now)};
    for (std::string line; std::getline(lines, line);)
      if (!line.starts_with('#'))
        out[line.substr(0, line.rfind(' '))] = line.substr(line.rfind(' ') + 1);
    return out;
  }
  std::string sample(const std::string& name) {
    const auto all = samples();
    const auto it = all.find(name);
    return it == all.end() ? "absent" : it->second;
  }
};

/// `name type label,label` of every family.
std::string described(const std::vector<const metric_family*>& families) {
  std::string out;
  for (const auto* f : families) {
    out += std::string{f->info().name} + ' ' + std::string{to_string(f->info().type)};
    for (std::size_t i = 0; i < f->info().labels.size(); ++i)
      out += (i == 0 ? ' ' : ',') + std::string{f->info().labels[i]};
    out += '\n';
  }
  return out;
}

} // namespace

BOOST_AUTO_TEST_CASE(names_types_and_labels_are_the_golden_ones) {
  fixture f;
  std::ifstream file{std::string{VERANDA_TEST_DATA} + "/metrics.golden"};
  std::stringstream golden;
  golden << file.rdbuf();
  BOOST_TEST(described(f.telemetry.families()) == golden.str());
}

BOOST_AUTO_TEST_CASE(names_follow_the_conventions) {
  fixture f;
  std::set<std::string_view> names;
  for (const auto* family : f.telemetry.families()) {
    const auto& info = family->info();
    BOOST_TEST_CONTEXT(info.name) {
      BOOST_TEST(names.insert(info.name).second);
      BOOST_TEST(std::regex_match(std::string{info.name}, std::regex{"veranda_[a-z]+(_[a-z]+)*"}));
      BOOST_TEST((info.type == metric_type::counter) == info.name.ends_with("_total"));
      if (info.type == metric_type::histogram)
        BOOST_TEST(info.name.ends_with("_seconds"));
      BOOST_TEST(info.help.ends_with('.'));
    }
  }
}

BOOST_AUTO_TEST_CASE(every_label_value_exists_as_0_from_the_start) {
  fixture f;
  const auto samples = f.samples();
  for (int c = 0; c <= static_cast<int>(sync_cause::catch_up); ++c) {
    const auto cause = std::string{to_string(static_cast<sync_cause>(c))};
    for (const auto* outcome : {R"(result="success",error_class="none")", R"(result="unchanged",error_class="none")", R"(result="failure",error_class="retry")",
                                R"(result="failure",error_class="bug")", R"(result="cancelled",error_class="stop")"})
      BOOST_TEST(samples.at("veranda_sync_runs_total{cause=\"" + cause + "\"," + outcome + '}') == "0");
  }
  for (const auto* name : {"veranda_sync_duration_seconds_count{result=\"failure\"}", "veranda_package_revision_changes_total{change=\"removed\"}",
                           "veranda_watch_events_total{type=\"bookmark\"}", "veranda_condition_transitions_total{to=\"Error\"}", "veranda_queue_length",
                           "veranda_remote_fetched_bytes_total", "veranda_repositories_by_condition{ready=\"unknown\"}",
                           "veranda_repositories_by_success_age{within_seconds=\"+Inf\"}", "veranda_cache_transactions_total{result=\"failure\"}"})
    BOOST_TEST(samples.at(name) == "0");
}

BOOST_AUTO_TEST_CASE(every_error_code_has_a_series_of_its_own_class) {
  for (int code = static_cast<int>(ec::unreachable); code <= static_cast<int>(ec::internal); ++code) {
    fixture f;
    const failure why{static_cast<ec>(code), "x", {}, {}, {}};
    f.telemetry.sync_finished({"d", "a"}, sync_cause::cron, &why, false, 1s, f.now);
    f.telemetry.listing_ended(&why, 1s, 0);
    f.telemetry.fetched(&why, 1s, 0);
    const auto cls = class_of(why.code);
    const auto labels = std::string{cls == error_class::stop ? R"(result="cancelled")" : R"(result="failure")"} + ",error_class=\"" + std::string{to_string(cls)} + "\"}";
    BOOST_TEST(f.sample("veranda_sync_runs_total{cause=\"cron\"," + labels) == "1");
    BOOST_TEST(f.sample("veranda_remote_listings_total{" + labels) == "1");
    BOOST_TEST(f.sample("veranda_remote_fetches_total{" + labels) == "1");
  }
}

BOOST_FIXTURE_TEST_CASE(a_sync_is_counted_by_cause_and_outcome, fixture) {
  const object_key key{"team-a", "blueprints"};
  telemetry.sync_started(key, sync_cause::start);
  telemetry.sync_finished(key, sync_cause::start, nullptr, false, 1500ms, now);
  telemetry.sync_started(key, sync_cause::periodic);
  telemetry.sync_finished(key, sync_cause::periodic, nullptr, true, 20ms, now);
  BOOST_TEST(sample(R"(veranda_sync_runs_total{cause="start",result="success",error_class="none"})") == "1");
  BOOST_TEST(sample(R"(veranda_sync_runs_total{cause="periodic",result="unchanged",error_class="none"})") == "1");
  BOOST_TEST(sample(R"(veranda_sync_duration_seconds_bucket{result="success",le="1"})") == "0");
  BOOST_TEST(sample(R"(veranda_sync_duration_seconds_bucket{result="success",le="2.5"})") == "1");
  BOOST_TEST(sample(R"(veranda_sync_duration_seconds_sum{result="success"})") == "1.5");
  BOOST_TEST(sample(R"(veranda_sync_interval_seconds_count)") == "1");
}

BOOST_FIXTURE_TEST_CASE(repositories_are_summed_and_shown_up_to_the_limit, fixture) {
  const object_key a{"team-a", "blueprints"}, b{"team-b", "x"}, c{"team-c", "y"};
  durable_state state;
  state.packages = 3;
  state.revisions = 10;
  state.bad_count = 1;
  state.hold = deletion_hold{20, 25, 25, "20-x", "why", now, now};
  state.last_success = now - 90s;
  telemetry.repository_counts(a, state);
  state.last_success.reset();
  telemetry.repository_counts(c, state);
  telemetry.repository_ready(a, true);
  telemetry.repository_ready(b, false);
  telemetry.lateness(a, 1250ms);
  telemetry.repository_next_sync(a, now + 10min);
  telemetry.repositories(3);

  BOOST_TEST(sample("veranda_cache_packages") == "6");
  BOOST_TEST(sample("veranda_cache_package_revisions") == "20");
  BOOST_TEST(sample("veranda_discovery_bad_items") == "2");
  BOOST_TEST(sample("veranda_deletions_held") == "40");
  BOOST_TEST(sample(R"(veranda_repositories_by_condition{ready="true"})") == "1");
  BOOST_TEST(sample(R"(veranda_repositories_by_condition{ready="false"})") == "1");
  BOOST_TEST(sample(R"(veranda_repositories_by_condition{ready="unknown"})") == "1");
  BOOST_TEST(sample(R"(veranda_repositories_by_success_age{within_seconds="60"})") == "0");
  BOOST_TEST(sample(R"(veranda_repositories_by_success_age{within_seconds="120"})") == "1");
  BOOST_TEST(sample(R"(veranda_repository_ready{namespace="team-a",name="blueprints"})") == "1");
  BOOST_TEST(sample(R"(veranda_repository_last_success_timestamp_seconds{namespace="team-a",name="blueprints"})") == "1773137160");
  BOOST_TEST(sample(R"(veranda_repository_next_sync_timestamp_seconds{namespace="team-a",name="blueprints"})") == "1773137850");
  BOOST_TEST(sample(R"(veranda_repository_lateness_seconds{namespace="team-a",name="blueprints"})") == "1.25");
  BOOST_TEST(sample(R"(veranda_repository_last_success_timestamp_seconds{namespace="team-b",name="x"})") == "absent");
  BOOST_TEST(sample(R"(veranda_repository_ready{namespace="team-c",name="y"})") == "absent");
  BOOST_TEST(sample("veranda_repository_series_left_out") == "1");

  telemetry.repository_gone(a);
  BOOST_TEST(sample(R"(veranda_repository_ready{namespace="team-a",name="blueprints"})") == "absent");
  BOOST_TEST(sample(R"(veranda_repository_ready{namespace="team-c",name="y"})") == "0");
  BOOST_TEST(sample("veranda_repository_series_left_out") == "0");
  BOOST_TEST(sample("veranda_cache_packages") == "3");
}

BOOST_FIXTURE_TEST_CASE(each_report_reaches_its_family, fixture) {
  package_delta delta;
  delta.added.resize(3);
  delta.changed.resize(2);
  delta.removed.resize(1);
  telemetry.delta_applied(delta);
  telemetry.condition_transition("Ready");
  telemetry.condition_transition("Surprise");
  telemetry.watch_event("ADDED");
  telemetry.watch_event("modified");
  telemetry.watch_event("strange");
  telemetry.watch_restarted("ended");
  telemetry.watch_restarted("expired");
  telemetry.watch_restarted("ended");
  telemetry.manifest_problems(4);
  telemetry.listing_ended(nullptr, 30ms, 100);
  telemetry.fetched(nullptr, 2s, 5000);
  telemetry.mirrors(4, 8000, 3);
  telemetry.queue(7, 2);
  telemetry.queue_wait(3s);
  telemetry.cache_transaction(true, 2ms);
  telemetry.cache_transaction(false, 2ms);
  telemetry.contents_stored(12, 3456);
  telemetry.feed_position(9'007'199'254);
  telemetry.status_written(true);
  telemetry.status_written(false);
  telemetry.lateness({"d", "a"}, -5ms);
  const std::map<std::string, std::string> expected{
      {R"(veranda_build_info{version="0.1.0"})", "1"},
      {"veranda_process_start_time_seconds", "1773136800"},
      {R"(veranda_package_revision_changes_total{change="added"})", "3"},
      {R"(veranda_package_revision_changes_total{change="changed"})", "2"},
      {R"(veranda_package_revision_changes_total{change="removed"})", "1"},
      {R"(veranda_condition_transitions_total{to="Ready"})", "1"},
      {R"(veranda_condition_transitions_total{to="other"})", "1"},
      {R"(veranda_watch_events_total{type="added"})", "1"},
      {R"(veranda_watch_events_total{type="modified"})", "1"},
      {R"(veranda_watch_events_total{type="other"})", "1"},
      {R"(veranda_watch_reconnects_total{reason="ended"})", "2"},
      {R"(veranda_watch_reconnects_total{reason="cut"})", "0"},
      {R"(veranda_watch_reconnects_total{reason="expired"})", "1"},
      {R"(veranda_watch_reconnects_total{reason="error"})", "0"},
      {"veranda_source_manifest_problems", "4"},
      {R"(veranda_remote_listings_total{result="success",error_class="none"})", "1"},
      {R"(veranda_remote_listing_seconds_bucket{le="0.05"})", "1"},
      {"veranda_remote_listed_bytes_total", "100"},
      {R"(veranda_remote_fetches_total{result="success",error_class="none"})", "1"},
      {"veranda_remote_fetch_seconds_sum", "2"},
      {"veranda_remote_fetched_bytes_total", "5000"},
      {"veranda_mirrors", "4"},
      {"veranda_mirror_bytes", "8000"},
      {"veranda_mirrors_removed_total", "3"},
      {"veranda_queue_length", "7"},
      {"veranda_workers_busy", "2"},
      {"veranda_queue_wait_seconds_sum", "3"},
      {R"(veranda_cache_transactions_total{result="success"})", "1"},
      {R"(veranda_cache_transactions_total{result="failure"})", "1"},
      {"veranda_cache_transaction_seconds_count", "2"},
      {"veranda_cache_contents_stored_rows_total", "12"},
      {"veranda_cache_contents_stored_bytes_total", "3456"},
      {"veranda_cache_feed_position", "9007199254"},
      {R"(veranda_status_writes_total{result="success"})", "1"},
      {R"(veranda_status_writes_total{result="failure"})", "1"},
      {"veranda_sync_lateness_seconds_sum", "0"},
  };
  const auto all = samples();
  for (const auto& [name, value] : expected)
    BOOST_TEST(all.at(name) == value, name << " is " << all.at(name));
}

BOOST_FIXTURE_TEST_CASE(actors_are_summed_by_kind, fixture) {
  auto a = cells->add("repository", "d/a");
  const auto b = cells->add("repository", "d/b");
  { const handling h{*a, "sync_now", 9}; }
  { const handling h{*b, "sync_now", 4}; }
  telemetry.actor_restarted("repository");
  a.reset();
  BOOST_TEST(sample(R"(veranda_actors{kind="repository"})") == "1");
  BOOST_TEST(sample(R"(veranda_actors_stuck{kind="repository"})") == "0");
  BOOST_TEST(sample(R"(veranda_actor_messages_total{kind="repository",type="sync_now"})") == "2");
  BOOST_TEST(sample(R"(veranda_actor_mailbox_depth_max{kind="repository"})") == "4");
  BOOST_TEST(sample(R"(veranda_actor_restarts_total{kind="repository"})") == "1");
  BOOST_TEST(std::stod(sample(R"(veranda_actor_handler_seconds_total{kind="repository"})")) > 0.0);
}

BOOST_AUTO_TEST_CASE(the_text_format) {
  static constexpr std::array bounds{0.1, 1.0};
  metric_registry registry;
  counters c{registry, {"a_total", metric_type::counter, "Back\\slash\nand \"quotes\".", {"x", "y"}}, {{"p\\q", "\"r\"\ns"}}};
  histograms h{registry, {"b_seconds", metric_type::histogram, "B."}, {{}}, bounds};
  c.at({"p\\q", "\"r\"\ns"}).add(2);
  h.get().observe(0.1); // on the bound
  h.get().observe(0.5);
  h.get().observe(70);
  exposition out;
  registry.write(out);
  BOOST_TEST(std::move(out).take() == "# HELP a_total Back\\\\slash\\nand \"quotes\".\n"
                                      "# TYPE a_total counter\n"
                                      "a_total{x=\"p\\\\q\",y=\"\\\"r\\\"\\ns\"} 2\n"
                                      "# HELP b_seconds B.\n"
                                      "# TYPE b_seconds histogram\n"
                                      "b_seconds_bucket{le=\"0.1\"} 1\n"
                                      "b_seconds_bucket{le=\"1\"} 2\n"
                                      "b_seconds_bucket{le=\"+Inf\"} 3\n"
                                      "b_seconds_sum 70.6\n"
                                      "b_seconds_count 3\n");
}

BOOST_AUTO_TEST_CASE(counting_is_lock_free_and_loses_nothing) {
  BOOST_TEST(std::atomic<std::uint64_t>::is_always_lock_free);
  BOOST_TEST(std::atomic<double>::is_always_lock_free);
  constexpr std::array bounds{0.5};
  histogram h{bounds};
  gauge g;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 10'000; ++n) {
        h.observe(n % 2);
        g.add(1);
      }
    });
  for (auto& t : threads)
    t.join();
  BOOST_TEST(h.count() == 40'000U);
  BOOST_TEST(h.sum() == 20'000.0);
  BOOST_TEST(g.value() == 40'000.0);
}
