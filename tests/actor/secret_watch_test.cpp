// links: veranda_house veranda_actors_kube
#define BOOST_TEST_MODULE secret_watch
#include "actors/kube/secret_keeper.hpp"
#include "tests/support/actor_fixture.hpp"
#include "tests/support/fakes/actors.hpp"
#include "tests/support/fakes/api_clients.hpp"

#include <caf/typed_event_based_actor.hpp>

#include <nlohmann/json.hpp>

using namespace veranda;
using namespace veranda::test;
using namespace std::chrono_literals;
using nlohmann::json;
using names = std::vector<std::string>;

namespace {

/// An API server with Secrets, which are listed and watched as metadata, and got whole.
struct secret_server {
  struct secret {
    std::string token64;
    int version = 0;
  };
  struct change {
    int version;
    api_event_type type;
    object_key key;
  };
  std::map<object_key, secret> served;
  std::vector<change> history;
  int version = 100;
  unsigned watches = 0;
  bool may_list = true, may_watch = true, may_get = true;
  bool cut = false;    ///< the watches that are open end, and no other can be opened
  bool silent = false; ///< nothing comes from them

  void put(const object_key& key, const std::string& token64) {
    const bool known = served.contains(key);
    served[key] = {token64, ++version};
    history.push_back({version, known ? api_event_type::modified : api_event_type::added, key});
  }
  void remove(const object_key& key) {
    served.erase(key);
    history.push_back({++version, api_event_type::deleted, key});
  }
  static json metadata(const object_key& key, int at) { return {{"name", key.name}, {"namespace", key.ns}, {"uid", "u"}, {"resourceVersion", std::to_string(at)}}; }

  result<kube::api_answer> answer(const kube::api_request& r) {
    const auto path = r.target.substr(0, r.target.find('?'));
    if (path.ends_with("/secrets"))
      return list(r, path);
    BOOST_TEST(r.accept.empty());
    const auto slash = path.rfind('/');
    const std::string space = "/api/v1/namespaces/";
    const object_key key{path.substr(space.size(), path.find('/', space.size()) - space.size()), path.substr(slash + 1)};
    if (!may_get)
      return fake_api_client::refusal(403, "Forbidden");
    const auto at = served.find(key);
    if (at == served.end())
      return fake_api_client::refusal(404, "NotFound");
    return fake_api_client::answer(
      200, json{{"kind", "Secret"}, {"apiVersion", "v1"}, {"metadata", metadata(key, at->second.version)}, {"type", "Opaque"}, {"data", {{"bearerToken", at->second.token64}}}}.dump());
  }
  kube::api_answer list(const kube::api_request& r, const std::string& path) {
    BOOST_TEST(r.accept == "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
    if (!may_list)
      return fake_api_client::refusal(403, "Forbidden");
    json items = json::array();
    for (const auto& [key, one] : served)
      if (path == "/api/v1/secrets" || path == "/api/v1/namespaces/" + key.ns + "/secrets")
        items.push_back({{"metadata", metadata(key, one.version)}});
    return fake_api_client::answer(
      200, json{{"kind", "PartialObjectMetadataList"}, {"apiVersion", "meta.k8s.io/v1"}, {"metadata", {{"resourceVersion", std::to_string(version)}}}, {"items", items}}.dump());
  }

  class stream final : public kube::api_watch {
  public:
    stream(secret_server& server, const kube::api_request& r) : server_(server), all_(r.target.starts_with("/api/v1/secrets?")) {
      const std::string name = "resourceVersion=";
      position_ = std::stoi(r.target.substr(r.target.find(name) + name.size()));
      ns_ = all_ ? "" : r.target.substr(19, r.target.find('/', 19) - 19);
      if (!server_.may_watch)
        why_ = failure{ec::auth_rejected, "forbidden", {}, {}, {}};
      else if (server_.cut)
        why_ = failure{ec::unreachable, "no connection", {}, {}, {}};
      else
        ++server_.watches;
    }
    std::optional<api_event> next() override {
      if (unread() == 0)
        return std::nullopt;
      for (const auto& c : server_.history)
        if (c.version > position_) {
          position_ = c.version;
          if (all_ || c.key.ns == ns_)
            return api_event{c.type, {c.key, "u", std::to_string(c.version), 0, {}, {}}, {}};
        }
      return std::nullopt;
    }
    [[nodiscard]] kube::watch_state state() const override {
      return why_ ? kube::watch_state::failed : server_.cut ? kube::watch_state::idle : kube::watch_state::open;
    }
    [[nodiscard]] const std::optional<failure>& why() const override { return why_; }
    [[nodiscard]] std::size_t unread() const override {
      return why_ || server_.cut || server_.silent || server_.history.empty() || server_.history.back().version <= position_ ? 0 : 1;
    }

  private:
    secret_server& server_;
    bool all_;
    std::string ns_;
    int position_ = 0;
    std::optional<failure> why_;
  };
};

struct watched : actor_fixture {
  explicit watched(std::vector<std::string> namespaces = {}) {
    client->answers = [this](const kube::api_request& r) { return server.answer(r); };
    client->watches = [this](const kube::api_request& r) { return std::make_unique<secret_server::stream>(server, r); };
    kept = std::make_shared<secrets::fetched_secrets>(secrets::fetched_options{}, [this] { return steady_now(); });
    kube_secrets_deps deps;
    deps.env = env;
    deps.client = client;
    deps.secrets = kept;
    deps.watch = secret_watch_options{.namespaces = std::move(namespaces), .seed = 7};
    deps.problem = [this](const std::string& why) { problems.push_back(why); };
    deps.rest = 100ms;
    subject = spawn(kube_secrets, std::move(deps));
    auto follower = spawn(fake_supervisor, script);
    tell(subject, follow_secrets{follower});
  }
  ~watched() override { end_all(); }
  void at_end() override { subject = nullptr; }

  /// As a remote does before it uses its Secret.
  void use(const remote_identity& who) {
    const auto got = ask<bool>(subject, msg::fetch_secrets{who});
    advance(300ms);
    BOOST_REQUIRE(got->has_value());
  }
  std::string token(const remote_identity& who) {
    const auto got = kept->resolve(who.ns, who.secret, "git.example");
    return got ? got->bearer_token : std::string{to_string(got.error().code)};
  }
  /// Whole Secrets that were asked for since the last call.
  names gets() {
    names out;
    for (const auto& line : client->take_asked())
      if (const auto at = line.find("/secrets/"); at != std::string::npos)
        out.push_back(line.substr(at + 9));
    return out;
  }
  names heard() { return std::exchange(script->heard, {}); }
  std::string detail(const std::string& name) {
    for (const auto& cell : env.cells->snapshot())
      if (cell.kind == kube_secrets_state::name)
        for (const auto& [key, value] : cell.details)
          if (key == name)
            return value;
    return {};
  }

  const object_key git{"team", "git"}, far{"zoo", "git"}, unused{"team", "unused"};
  const remote_identity team{"https://git.example/r.git", "team", "git"}, zoo{"https://git.example/r.git", "zoo", "git"};
  secret_server server;
  std::shared_ptr<fake_api_client> client = std::make_shared<fake_api_client>();
  std::shared_ptr<secrets::fetched_secrets> kept;
  std::shared_ptr<supervisor_script> script = std::make_shared<supervisor_script>();
  names problems;
  kube_secrets_actor subject;
};

struct in_use : watched {
  in_use() {
    server.put(git, "b25l");
    server.put(far, "ZmFy");
    server.put(unused, "bm9uZQ==");
    use(team);
    use(zoo);
    advance(6s);
    use(team); // what was read before the first list came is read once more
    use(zoo);
    BOOST_TEST(token(team) == "one");
    gets();
  }
};
struct in_some : watched {
  in_some() : watched({"team", "zoo", "empty"}) {}
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(watching, in_use)

BOOST_AUTO_TEST_CASE(while_nothing_changes_nothing_is_read) {
  for (int n = 0; n < 60; ++n) {
    advance(1min);
    use(team);
    use(zoo);
  }
  BOOST_TEST(client->asked.empty());
  BOOST_TEST(server.watches == 1U);
  BOOST_TEST((problems == names{""}));
  BOOST_TEST(detail("watch") == "ok");
}

BOOST_AUTO_TEST_CASE(one_that_changes_is_read_at_once_and_those_who_use_it_sync) {
  server.put(git, "dHdv");
  advance(500ms);
  BOOST_TEST(token(team) == "two");
  BOOST_TEST((gets() == names{"git"}));
  BOOST_TEST((heard() == names{"secret team/git"}));
  server.remove(git);
  advance(500ms);
  BOOST_TEST(token(team) == "dependency_missing");
  BOOST_TEST((heard() == names{"secret team/git"}));
  server.put(git, "b25l");
  advance(500ms);
  BOOST_TEST(token(team) == "one");
  BOOST_TEST((heard() == names{"secret team/git"}));
}

BOOST_AUTO_TEST_CASE(one_that_only_looks_different_syncs_nobody) {
  server.put(git, "b25l");
  advance(1s);
  BOOST_TEST((gets() == names{"git"}));
  BOOST_TEST(heard().empty());
}

BOOST_AUTO_TEST_CASE(those_that_nobody_uses_are_never_read) {
  for (int n = 0; n < 5; ++n) {
    server.put(unused, "bm9uZQ==");
    server.put({"elsewhere", "new" + std::to_string(n)}, "bm9uZQ==");
    advance(1s);
  }
  server.remove(unused);
  advance(1s);
  BOOST_TEST(gets().empty());
  BOOST_TEST(kept->size() == 2U);
  BOOST_TEST(detail("kept") == "2");
  BOOST_TEST(detail("watched") == "7"); // names and versions
}

BOOST_AUTO_TEST_CASE(one_that_was_missing_or_refused_is_not_asked_for_until_it_changes) {
  const remote_identity missing{"https://git.example/r.git", "team", "missing"};
  use(missing);
  tell(subject, msg::secrets_tried{missing, true});
  tell(subject, msg::secrets_tried{team, true});
  advance(1min); // read once more: the refused one may have changed while the watch was dead
  gets();
  advance(1h);
  BOOST_TEST(gets().empty());
  server.put({"team", "missing"}, "b25l");
  advance(500ms);
  BOOST_TEST((heard() == names{"secret team/missing"}));
  BOOST_TEST(token(missing) == "one");
}

BOOST_AUTO_TEST_CASE(a_broken_watch_is_reading_before_use_until_it_is_mended) {
  server.cut = true;
  advance(1s);
  BOOST_REQUIRE(problems.size() == 2U);
  BOOST_TEST(problems.back().find("no connection") != std::string::npos, problems.back());
  BOOST_TEST(detail("watch") == "broken");
  server.put(git, "dHdv");
  server.may_list = false;
  advance(10s);
  use(team);
  BOOST_TEST(token(team) == "two");
  server.put(far, "dHdv");
  server.cut = false;
  server.may_list = true;
  advance(1min);
  BOOST_TEST(problems.back().empty());
  BOOST_TEST(token(zoo) == "two"); // what changed meanwhile
  gets();
  advance(1h);
  use(team);
  BOOST_TEST(gets().empty());
}

BOOST_AUTO_TEST_CASE(a_dead_watch_costs_a_refused_one_one_reading) {
  server.silent = true;
  server.put(git, "dHdv");
  advance(1min);
  BOOST_TEST(token(team) == "one");
  tell(subject, msg::secrets_tried{team, true});
  advance(1s);
  BOOST_TEST(token(team) == "two");
  BOOST_TEST((heard() == names{"secret team/git"}));
}

BOOST_AUTO_TEST_CASE(a_reading_that_fails_is_made_again) {
  tell(subject, msg::secrets_tried{team, true});
  server.may_get = false;
  server.put(git, "dHdv");
  advance(1s);
  BOOST_TEST(token(team) == "auth_rejected");
  heard();
  server.may_get = true; // no event tells that
  advance(15s);
  BOOST_TEST(token(team) == "two");
  BOOST_TEST((heard() == names{"secret team/git"}));
}

BOOST_AUTO_TEST_CASE(it_ends_with_the_last_who_uses_one) {
  server.cut = true;
  advance(1s);
  BOOST_TEST(!problems.back().empty());
  server.cut = false;
  tell(subject, msg::secrets_unused{team});
  tell(subject, msg::secrets_unused{zoo});
  BOOST_TEST(kept->size() == 0U);
  BOOST_TEST(detail("watch") == "not needed");
  BOOST_TEST(problems.back().empty()); // what nobody needs is no problem
  BOOST_TEST(detail("watched") == "0");
  gets();
  advance(1min);
  BOOST_TEST(client->asked.empty());
  server.put(git, "dHdv");
  use(team);
  BOOST_TEST(token(team) == "two");
  BOOST_TEST(server.watches == 2U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_CASE(without_one_in_use_nothing_is_listed, watched) {
  server.put(git, "b25l");
  advance(1h);
  BOOST_TEST(client->asked.empty());
  use({"https://git.example/open.git", "team", ""}); // anonymous, and bundles are not wanted
  advance(1min);
  BOOST_TEST(client->asked.empty());
  BOOST_TEST(problems.empty());
}

BOOST_FIXTURE_TEST_CASE(what_must_not_be_listed_or_watched_is_read_as_without, watched) {
  server.put(git, "b25l");
  for (bool* right : {&server.may_list, &server.may_watch}) {
    *right = false;
    use(team);
    advance(1s);
    BOOST_TEST(token(team) == "one");
    BOOST_TEST(problems.back().find("grant list and watch on secrets") != std::string::npos);
    const auto said = problems.size();
    advance(1min);
    gets();
    use(team);
    BOOST_TEST((gets() == names{"git"}));
    BOOST_TEST(problems.size() == said);
    *right = true;
    advance(1min);
    BOOST_TEST(problems.back().empty());
    tell(subject, msg::secrets_unused{team});
  }
}

BOOST_FIXTURE_TEST_CASE(some_namespaces_have_a_watch_each_once_a_secret_there_is_in_use, in_some) {
  server.put(git, "b25l");
  server.put(far, "ZmFy");
  server.put({"elsewhere", "git"}, "bm9uZQ==");
  use(team);
  advance(1s);
  const auto listed = client->take_asked();
  BOOST_TEST(std::count_if(listed.begin(), listed.end(), [](const auto& line) { return line.starts_with("GET /api/v1/namespaces/team/secrets?"); }) == 1);
  BOOST_TEST(server.watches == 1U);
  BOOST_TEST(detail("watched") == "1");
  use(zoo);
  advance(1s);
  BOOST_TEST(server.watches == 2U);
  server.put(far, "dHdv");
  advance(1s);
  BOOST_TEST(token(zoo) == "two");
  tell(subject, msg::secrets_unused{zoo});
  BOOST_TEST(detail("watched") == "1");
}
