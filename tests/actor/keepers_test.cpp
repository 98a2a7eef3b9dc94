// links: veranda_actors_kube
#define BOOST_TEST_MODULE keepers
#include "actors/kube/finalizer_keeper.hpp"
#include "actors/kube/secret_keeper.hpp"
#include "tests/support/actor_fixture.hpp"
#include "tests/support/captured_log.hpp"
#include "tests/support/fakes/api_clients.hpp"

#include <caf/typed_event_based_actor.hpp>

#include <nlohmann/json.hpp>

using namespace veranda;
using namespace veranda::test;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

using names = std::vector<std::string>;
const std::string ours{api_names::repository_finalizer};
const object_key repo{"team", "a"};

/// The keeper of finalizers before an API server with one Repository.
struct finalizer_house : actor_fixture {
  finalizer_house() {
    client->answers = [this](const kube::api_request& r) { return serve(r); };
    kube_finalizers_deps deps;
    deps.env = env;
    deps.client = client;
    deps.known = std::make_shared<kube::known_objects>();
    subject = spawn(kube_finalizers, std::move(deps));
  }
  void at_end() override { subject = nullptr; }

  result<kube::api_answer> serve(const kube::api_request& r) {
    if (refuse)
      return *refuse;
    if (r.target.find("/namespaces/closed/") != std::string::npos)
      return fake_api_client::refusal(403, "Forbidden");
    if (object.is_null())
      return fake_api_client::refusal(404, "NotFound");
    auto& meta = object["metadata"];
    if (r.method == kube::api_method::patch) {
      const auto change = json::parse(r.body);
      if (contested > 0) {
        --contested;
        meta["resourceVersion"] = std::to_string(++version);
      }
      if (change["metadata"]["resourceVersion"] != meta["resourceVersion"] || change["metadata"]["uid"] != meta["uid"])
        return fake_api_client::refusal(409, "Conflict");
      BOOST_TEST(change.size() == 1U);
      meta["finalizers"] = change["metadata"]["finalizers"];
      meta["resourceVersion"] = std::to_string(++version);
      if (meta.contains("deletionTimestamp") && meta["finalizers"].empty()) {
        const auto last = object.dump();
        object = nullptr;
        return fake_api_client::answer(200, last);
      }
    }
    return fake_api_client::answer(200, object.dump());
  }
  [[nodiscard]] object_meta seen() const {
    object_meta meta;
    meta.key = repo;
    meta.uid = "u";
    meta.resource_version = "7";
    return meta;
  }
  /// `done` when something was written, `ok` when there was nothing to do.
  [[nodiscard]] std::string outcome(const answer<bool>& got) {
    settle();
    BOOST_REQUIRE(got->has_value());
    return (*got)->ok() ? (***got ? "done" : "ok") : std::string{to_string((*got)->error().code)};
  }
  std::string hold(const object_meta& meta) { return outcome(ask<bool>(subject, msg::hold_object{meta})); }
  std::string release(const std::string& uid = "u") { return outcome(ask<bool>(subject, msg::release_object{repo, uid})); }
  [[nodiscard]] names there() const { return object["metadata"].value("finalizers", names{}); }
  /// What was asked, `PATCH`.
  names asked() {
    names out;
    for (const auto& line : client->take_asked())
      out.push_back(line.substr(0, line.find(' ')));
    return out;
  }

  std::shared_ptr<fake_api_client> client = std::make_shared<fake_api_client>();
  kube_finalizers_actor subject;
  int version = 7;
  int contested = 0; ///< that many patches come too late
  std::optional<kube::api_answer> refuse;
  json object = {{"apiVersion", "config.porch.kpt.dev/v1alpha1"},
                 {"kind", "Repository"},
                 {"metadata", {{"name", "a"}, {"namespace", "team"}, {"uid", "u"}, {"resourceVersion", "7"}}},
                 {"spec", {{"type", "git"}, {"git", {{"repo", "https://git.example/r.git"}, {"branch", "main"}}}}}};
};

/// The keeper of Secrets before an API server that has some.
struct secret_house : actor_fixture {
  secret_house() {
    client->answers = [this](const kube::api_request& r) { return serve(r); };
    secrets::fetched_options options;
    options.ca_bundles = true;
    kept = std::make_shared<secrets::fetched_secrets>(options, [this] { return now; });
    kube_secrets_deps deps;
    deps.env = env;
    deps.client = client;
    deps.secrets = kept;
    subject = spawn(kube_secrets, std::move(deps));
  }
  void at_end() override { subject = nullptr; }

  result<kube::api_answer> serve(const kube::api_request& r) {
    if (refuse)
      return *refuse;
    const std::string base = "/api/v1/namespaces/team/secrets/";
    BOOST_REQUIRE(r.target.starts_with(base));
    BOOST_TEST((r.method == kube::api_method::get));
    const auto at = served.find(r.target.substr(base.size()));
    return at == served.end() ? fake_api_client::refusal(404, "NotFound") : fake_api_client::answer(200, at->second);
  }
  void put(const std::string& name, const std::string& token64, const std::string& version) {
    served[name] = R"({"kind":"Secret","apiVersion":"v1","metadata":{"name":")" + name + R"(","namespace":"team","uid":"u","resourceVersion":")" + version +
                   R"("},"data":{"bearerToken":")" + token64 + R"("},"type":"Opaque"})";
  }
  void fetch() {
    const auto got = ask<bool>(subject, msg::fetch_secrets{remote});
    settle();
    BOOST_REQUIRE(got->has_value());
    BOOST_TEST((**got).ok());
  }
  void pass(std::chrono::milliseconds d) {
    now += d;
    advance(d);
  }
  std::string token() {
    const auto got = kept->resolve("team", "git", "git.example");
    return got ? got->bearer_token : std::string{to_string(got.error().code)};
  }
  std::size_t gets(const std::string& name) {
    std::size_t n = 0;
    for (const auto& line : client->asked)
      n += line.ends_with("/secrets/" + name) ? 1 : 0;
    return n;
  }

  const remote_identity remote{"https://git.example/r.git", "team", "git"};
  std::shared_ptr<fake_api_client> client = std::make_shared<fake_api_client>();
  std::shared_ptr<secrets::fetched_secrets> kept;
  secrets::fetched_secrets::time now{1h};
  std::map<std::string, std::string> served;
  std::optional<kube::api_answer> refuse;
  kube_secrets_actor subject;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(finalizers, finalizer_house)

BOOST_AUTO_TEST_CASE(one_request_sets_it_when_nothing_changed_since) {
  BOOST_TEST(hold(seen()) == "done");
  BOOST_TEST(there() == names{ours});
  BOOST_TEST(asked() == names{"PATCH"});
}

BOOST_AUTO_TEST_CASE(it_takes_its_place_among_those_of_others) {
  object["metadata"]["finalizers"] = {"example.org/f"};
  auto meta = seen();
  meta.finalizers = {"example.org/f"};
  BOOST_TEST(hold(meta) == "done");
  BOOST_TEST((there() == names{"example.org/f", ours}));
  BOOST_TEST(release() == "done");
  BOOST_TEST((there() == names{"example.org/f"}));
}

BOOST_AUTO_TEST_CASE(who_saw_less_reads_first) {
  object["metadata"]["finalizers"] = {"example.org/f"};
  object["metadata"]["resourceVersion"] = "8";
  version = 8;
  BOOST_TEST(hold(seen()) == "done");
  BOOST_TEST((there() == names{"example.org/f", ours}));
  BOOST_TEST((asked() == names{"PATCH", "GET", "PATCH"}));
}

BOOST_AUTO_TEST_CASE(what_is_there_is_not_written_again) {
  object["metadata"]["finalizers"] = {ours};
  auto meta = seen();
  meta.finalizers = {ours};
  BOOST_TEST(hold(meta) == "ok");
  BOOST_TEST(asked().empty());
  BOOST_TEST(release() == "done");
  BOOST_TEST(release() == "ok");
  BOOST_TEST((asked() == names{"GET", "PATCH", "GET"}));
}

BOOST_AUTO_TEST_CASE(others_who_never_stop_writing) {
  contested = 3;
  BOOST_TEST(hold(seen()) == "done");
  BOOST_TEST(there() == names{ours});
  contested = 100;
  BOOST_TEST(release() == "throttled");
  contested = 0;
  BOOST_TEST(release() == "done");
  BOOST_TEST(there().empty());
}

BOOST_AUTO_TEST_CASE(one_that_is_gone_or_another) {
  object["metadata"]["uid"] = "v";
  object["metadata"]["finalizers"] = {ours};
  BOOST_TEST(hold(seen()) == "not_found");
  BOOST_TEST(release() == "ok");
  BOOST_TEST(there() == names{ours}); // it is not that one's
  object = nullptr;
  BOOST_TEST(hold(seen()) == "not_found");
  BOOST_TEST(release() == "ok");
}

BOOST_AUTO_TEST_CASE(one_that_is_being_deleted_takes_none_and_ends_with_ours) {
  object["metadata"]["deletionTimestamp"] = "2026-03-10T10:00:00Z";
  object["metadata"]["finalizers"] = {ours};
  auto meta = seen();
  meta.resource_version.clear();
  BOOST_TEST(hold(meta) == "not_found");
  BOOST_TEST(release() == "done");
  BOOST_TEST(object.is_null());
}

BOOST_AUTO_TEST_CASE(failures_are_the_api_servers) {
  refuse = fake_api_client::refusal(403, "Forbidden");
  BOOST_TEST(hold(seen()) == "auth_rejected");
  BOOST_TEST(release() == "auth_rejected");
  refuse = fake_api_client::answer(200, "<html>");
  BOOST_TEST(release() == "unsupported");
}

/// Whoever lets go while it is still being set means what comes after that.
BOOST_AUTO_TEST_CASE(changes_of_one_object_are_made_in_the_order_they_were_asked_for) {
  client->hold = true;
  const auto first = ask<bool>(subject, msg::hold_object{seen()});
  const auto second = ask<bool>(subject, msg::release_object{repo, "u"});
  const auto third = ask<bool>(subject, msg::release_object{repo, "u"});
  settle();
  BOOST_TEST((asked() == names{"PATCH"}));
  client->hold = false;
  tell(subject, msg::continue_transfers{});
  BOOST_TEST(outcome(first) == "done");
  BOOST_TEST(outcome(second) == "done");
  BOOST_TEST(outcome(third) == "ok");
  BOOST_TEST((asked() == names{"GET", "PATCH", "GET"}));
  BOOST_TEST(there().empty());
  BOOST_TEST(hold(seen()) == "done"); // nothing is left behind
}

BOOST_AUTO_TEST_CASE(each_cause_is_said_once_for_a_namespace) {
  object_meta closed = seen();
  closed.key.ns = "closed";
  const auto log = logged([&] {
    for (int n = 0; n < 5; ++n) {
      BOOST_TEST(hold(closed) == "auth_rejected");
      hold(seen()); // what goes well elsewhere changes nothing
    }
    refuse = fake_api_client::refusal(403, "Forbidden");
    hold(seen());
    hold(closed);
    refuse = fake_api_client::refusal(500, "InternalError");
    hold(closed);
  });
  BOOST_TEST(count(log, "cannot be changed") == 3U, log);
  BOOST_TEST(count(log, "namespace=closed") == 2U, log);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(secret, secret_house)

BOOST_AUTO_TEST_CASE(one_that_is_young_is_not_read_again) {
  put("git", "b25l", "1");
  fetch();
  BOOST_TEST(token() == "one");
  put("git", "dHdv", "2");
  pass(4s);
  fetch();
  BOOST_TEST(token() == "one");
  pass(1s);
  fetch();
  BOOST_TEST(token() == "two");
  BOOST_TEST(gets("git") == 2U);
  BOOST_TEST(gets("team-ca-bundle") == 1U);
  pass(1min);
  fetch();
  BOOST_TEST(gets("team-ca-bundle") == 2U);
}

BOOST_AUTO_TEST_CASE(all_who_ask_share_one_request) {
  put("git", "b25l", "1");
  client->hold = true;
  std::vector<answer<bool>> all;
  for (int n = 0; n < 5; ++n)
    all.push_back(ask<bool>(subject, msg::fetch_secrets{remote}));
  settle();
  for (const auto& one : all)
    BOOST_TEST(!one->has_value());
  client->hold = false;
  tell(subject, msg::continue_transfers{});
  settle();
  for (const auto& one : all)
    BOOST_TEST(one->has_value());
  BOOST_TEST(gets("git") == 1U);
}

BOOST_AUTO_TEST_CASE(failures_by_consequence) {
  fetch();
  BOOST_TEST(token() == "dependency_missing");
  const std::vector<std::pair<int, std::string>> table{{403, "auth_rejected"}, {401, "unavailable"}, {500, "unavailable"}, {503, "unavailable"}};
  for (const auto& [status, expected] : table) {
    refuse = fake_api_client::refusal(status, "X");
    pass(11min); // what was known before serves no more
    fetch();
    BOOST_TEST(token() == expected, "with " << status);
  }
  refuse.reset();
  put("git", "b25l", "1");
  pass(1min);
  fetch();
  refuse = fake_api_client::answer(200, "<html>");
  pass(1min);
  fetch();
  BOOST_TEST(token() == "one"); // somebody in between says nothing of the Secret
}

BOOST_AUTO_TEST_CASE(one_that_was_refused_is_looked_at_until_it_is_another) {
  put("git", "b25l", "1");
  fetch();
  tell(subject, msg::secrets_tried{remote, true});
  pass(35s);
  BOOST_TEST(gets("git") == 4U);
  tell(subject, msg::secrets_tried{remote, false});
  pass(1min);
  BOOST_TEST(gets("git") == 4U);
}

BOOST_AUTO_TEST_CASE(nothing_is_kept_for_remotes_that_are_no_more) {
  put("git", "b25l", "1");
  fetch();
  const remote_identity second{"https://git.example/other.git", "team", "git"};
  ask<bool>(subject, msg::fetch_secrets{second});
  tell(subject, msg::secrets_tried{remote, true});
  BOOST_TEST(kept->size() == 2U); // with that there is no bundle
  tell(subject, msg::secrets_unused{remote});
  BOOST_TEST(token() == "one");
  tell(subject, msg::secrets_unused{second});
  BOOST_TEST(kept->size() == 0U);
  BOOST_TEST(token() == "unavailable");
  pass(1min);
  BOOST_TEST(gets("git") == 1U);
  fetch();
  BOOST_TEST(token() == "one");
}

BOOST_AUTO_TEST_CASE(an_answer_that_comes_after_the_end_is_not_kept) {
  put("git", "b25l", "1");
  client->hold = true;
  const auto got = ask<bool>(subject, msg::fetch_secrets{remote});
  settle();
  tell(subject, msg::secrets_unused{remote});
  client->hold = false;
  tell(subject, msg::continue_transfers{});
  BOOST_TEST(got->has_value());
  BOOST_TEST(kept->size() == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
