#pragma once

#include "actors/cache_writer/cache_writer.hpp"
#include "actors/kube/package_rev_keeper.hpp"
#include "tests/support/actor_fixture.hpp"
#include "tests/support/fakes/package_rev_server.hpp"
#include "tests/support/store_fixture.hpp"

namespace veranda::test {

/// The package cache behind its writer, and when asked for, its PackageRev objects kept by the keeper at an API server. Both can be killed and started again.
struct mirrored_cache : actor_fixture {
  explicit mirrored_cache(bool mirrored) : mirrored_(mirrored) { start(); }
  ~mirrored_cache() override { end_all(); }

  void start() {
    cache_writer_deps deps;
    deps.env = env;
    deps.open = [this] { return store::open_package_cache(file, [] { return wall_time{std::chrono::seconds{1'800'000'000}}; }, feed_kept); };
    deps.open_reader = [this] { return store::open_package_cache_reader(file); };
    writer = spawn(cache_writer, std::move(deps));
    claim = claim_repository("repo", "uid-repo");
    if (mirrored_)
      start_keeper();
  }
  void start_keeper() {
    package_rev_keeper_deps deps;
    deps.env = env;
    deps.client = server.connect();
    deps.open_cache = [this] { return store::open_package_mirror_reader(file); };
    deps.owner = owner;
    deps.policy.max_in_flight = 4;
    deps.following.page_limit = 3;
    deps.rest = 100ms;
    deps.slice = 100ms;
    deps.may_begin = [this] { return may_begin; };
    deps.problem = [this](const std::string& why) { problems.push_back(why); };
    keeper = spawn(package_rev_keeper, std::move(deps));
    for (const auto& [key, uid] : synced_before) // each is synced at once after a start
      tell(keeper, msg::repository_in_step{key, uid});
  }
  /// As by kill -9: requests that are not carried out never are.
  void kill_keeper() {
    if (keeper)
      exit_now(keeper, caf::exit_reason::kill);
    keeper = nullptr;
    settle();
  }
  void crash() {
    exit_now(writer, caf::exit_reason::kill);
    kill_keeper();
    server.serve = ~0U;
    start();
  }
  void at_end() override {
    writer = nullptr;
    keeper = nullptr;
  }

  store::repository_claim claim_repository(const std::string& name, const std::string& uid) {
    msg::claim_repository m;
    m.key = {"default", name};
    m.uid = uid;
    m.epoch = 1;
    return get<store::repository_claim>(writer, std::move(m));
  }
  /// A sync of what was discovered: contents first, then the delta.
  result<store::apply_result> sync(const store::repository_claim& by, package_delta d, bool synced = true) {
    auto batch = std::make_shared<store::content_batch>();
    for (const auto* list : {&d.added, &d.changed})
      for (const auto& r : *list)
        for (std::uint64_t n = 1; n < 20; ++n)
          if (id_of(n) == r.tree) {
            auto files = files_of(n);
            batch->trees.push_back(files.trees[0]);
            batch->contents.push_back(files.contents[0]);
          }
    auto gate = std::make_shared<msg::content_gate>(4);
    tell(writer, msg::store_contents{batch, gate});
    msg::apply_delta m;
    m.claim = by;
    m.delta = std::make_shared<const package_delta>(std::move(d));
    if (synced)
      m.state.last_success = wall_time{std::chrono::seconds{1'800'000'000}};
    auto asked = ask<store::apply_result>(writer, std::move(m));
    settle();
    BOOST_REQUIRE(asked->has_value());
    if (synced && (**asked).ok() && std::exchange(synced_before[by.key], by.uid) != by.uid && keeper)
      tell(keeper, msg::repository_in_step{by.key, by.uid});
    return **asked;
  }
  store::apply_result synced(package_delta d) { return value(sync(claim, std::move(d))); }
  void close(const store::repository_claim& by) {
    BOOST_TEST(get<bool>(writer, msg::close_rows{by}));
    synced_before.erase(by.key);
  }

  /// As when its object is being deleted; whoever asks does so until it is done.
  void expel(const store::repository_claim& by) {
    if (keeper)
      (void)ask<bool>(keeper, msg::expel_package_revs{by.key});
  }

  using contents = std::map<std::string, std::string>; ///< name to what matters
  /// `repository uid, lifecycle, tree`, as the rows have it.
  contents rows() {
    contents out;
    auto reader = value(store::open_package_mirror_reader(file));
    value(reader->list([&](const store::owned_revision& r) {
      const auto& p = r.cached.revision;
      out[p.name] = r.cached.repository.name + " " + r.repository_uid + " " + std::string{to_string(p.lifecycle)} + " " + p.tree.hex() + (p.latest ? " latest" : "");
    }));
    return out;
  }
  /// The same, as the objects have it; of those that are not as they should be, what is wrong.
  contents objects() {
    contents out;
    for (const auto& [key, o] : server.objects) {
      const auto& m = o["metadata"];
      const auto text = [&](const char* name) { return m.contains("annotations") ? m["annotations"].value(std::string{"veranda.dev/"} + name, "") : ""; };
      std::string uid = "no owner";
      for (const auto& reference : m.value("ownerReferences", nlohmann::json::array()))
        if (reference["kind"] == "Repository")
          uid = reference["uid"].get<std::string>();
      const auto finalizers = m.value("finalizers", nlohmann::json::array());
      const bool held = std::find(finalizers.begin(), finalizers.end(), kube::package_rev_finalizer) != finalizers.end();
      out[key.name] = m.value("labels", nlohmann::json::object()).value(std::string{kube::package_rev_repository_label}, "") + " " + uid + " " + text("lifecycle") + " " + text("tree") +
                      (text("latest") == "true" ? " latest" : "") + (held ? "" : " not held") + (m.contains("deletionTimestamp") ? " terminating" : "");
    }
    return out;
  }
  /// The cache holds just these, and so does the API server before long.
  void expect(std::vector<std::string> names) {
    std::vector<std::string> found;
    for (const auto& [name, what] : rows())
      found.push_back(name);
    std::sort(names.begin(), names.end());
    BOOST_TEST(found == names, boost::test_tools::per_element());
    in_step();
  }
  void in_step() {
    if (!mirrored_)
      return;
    const auto wanted = rows();
    for (int i = 0; i < 3'000 && objects() != wanted; ++i)
      advance(100ms);
    BOOST_TEST((objects() == wanted));
    for (const auto& [name, what] : objects())
      BOOST_TEST_CONTEXT(name) BOOST_TEST(what == (wanted.contains(name) ? wanted.at(name) : "nothing"));
  }
  /// Requests about single objects since the last call.
  std::vector<std::string> take_asked() { return std::exchange(server.asked, {}); }

  scratch_directory scratch;
  std::filesystem::path file = scratch / "packages.db";
  std::int64_t feed_kept = store::feed_entries_kept;
  package_rev_server server;
  kube::package_rev_owner owner = kube::package_rev_owner::repository;
  cache_writer_actor writer;
  package_rev_keeper_actor keeper;
  store::repository_claim claim;
  std::vector<std::string> problems;
  std::map<object_key, std::string> synced_before; ///< uid; by a sync that succeeded
  bool may_begin = true;

private:
  bool mirrored_;
};

} // namespace veranda::test
