// links: veranda_adapter_kube
#define BOOST_TEST_MODULE kube_release
#include "adapters/kube/release.hpp"
#include "adapters/kube/package_revs.hpp"
#include "messages/model/repository.hpp"
#include "tests/support/fakes/api_clients.hpp"

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>
#include <set>

using namespace veranda;
using namespace veranda::kube;
using veranda::test::fake_api_client;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

using lines = std::vector<std::string>;
const std::string ours{api_names::repository_finalizer};
const std::string ours_too{package_rev_finalizer};
const std::string api = "/apis/config.porch.kpt.dev/v1alpha1";
const std::string lease_path = "/apis/coordination.k8s.io/v1/namespaces/system/leases/veranda";

/// An API server with Repositories and PackageRevs, and what `release` does to them.
struct releasing {
  releasing() {
    options.wait = [this](std::chrono::milliseconds d) {
      waited += d;
      if (meanwhile)
        meanwhile();
    };
    options.now = [] { return *parse_rfc3339("2030-01-31T18:00:10Z"); };
    client.answers = [this](const api_request& r) {
      most_at_once = std::max(most_at_once, client.asked.size() - answered++);
      return serve(r);
    };
  }

  json& put(const resource_type& type, const std::string& ns, const std::string& name, const lines& finalizers) {
    auto& object = objects[api + "/namespaces/" + ns + "/" + type.plural + "/" + name];
    object = {{"apiVersion", type.api_version()}, {"kind", type.kind},
              {"metadata", {{"name", name}, {"namespace", ns}, {"uid", "u-" + ns + "-" + name}, {"resourceVersion", "1"}, {"finalizers", finalizers}}}};
    return object;
  }
  json& repository(const std::string& name, const lines& finalizers = {ours}, const std::string& ns = "team") { return put(repositories(), ns, name, finalizers); }
  json& rev(const std::string& name, const std::string& of, const lines& finalizers = {ours_too}, const std::string& ns = "team") {
    auto& object = put(package_revs(), ns, name, finalizers);
    object["metadata"]["labels"] = {{package_rev_repository_label, of}};
    return object;
  }
  [[nodiscard]] lines finalizers(const resource_type& type, const std::string& name, const std::string& ns = "team") const {
    return objects.at(api + "/namespaces/" + ns + "/" + type.plural + "/" + name)["metadata"]["finalizers"].get<lines>();
  }
  [[nodiscard]] std::size_t held(const resource_type& type, const std::string& finalizer) const {
    std::size_t n = 0;
    for (const auto& [path, object] : objects)
      for (const auto& one : object["metadata"]["finalizers"])
        n += path.find("/" + type.plural + "/") != std::string::npos && one == finalizer ? 1 : 0;
    return n;
  }

  result<api_answer> serve(const api_request& r) {
    for (const auto& [part, status] : refused)
      if ((std::string{to_string(r.method)} + " " + r.target).find(part) != std::string::npos)
        return fake_api_client::refusal(status, status == 403 ? "Forbidden" : status == 404 ? "NotFound" : "InternalError");
    const auto path = r.target.substr(0, r.target.find('?'));
    if (path.starts_with("/api/v1/namespaces/"))
      return places.contains(path.substr(path.rfind('/') + 1)) ? fake_api_client::answer(200, R"({"kind":"Namespace"})") : fake_api_client::refusal(404, "NotFound");
    if (path == api)
      return fake_api_client::answer(200, json{{"kind", "APIResourceList"}, {"resources", {{{"name", "repositories"}}, {{"name", kinds}}}}}.dump());
    if (const auto at = objects.find(path); at != objects.end())
      return one(r, at);
    if (path.ends_with("/repositories") || path.ends_with("/packagerevs"))
      return list(r, path);
    return fake_api_client::refusal(404, "NotFound");
  }
  result<api_answer> one(const api_request& r, std::map<std::string, json>::iterator at) {
    auto& meta = at->second["metadata"];
    if (r.method == api_method::remove) {
      objects.erase(at);
      return fake_api_client::answer(200, R"({"kind":"Status","status":"Success"})");
    }
    if (r.method == api_method::patch) {
      const auto change = json::parse(r.body)["metadata"];
      if (contested > 0) {
        --contested;
        meta["resourceVersion"] = std::to_string(++version);
      }
      if (change["uid"] != meta["uid"] || change["resourceVersion"] != meta["resourceVersion"])
        return fake_api_client::refusal(409, "Conflict");
      meta["finalizers"] = change["finalizers"];
      meta["resourceVersion"] = std::to_string(++version);
    }
    return fake_api_client::answer(200, at->second.dump());
  }
  /// In pages. `labelSelector=x` selects what has the label `x`.
  result<api_answer> list(const api_request& r, const std::string& path) {
    const auto value = [&](const std::string& name) {
      const auto at = r.target.find(name + "=");
      return at == std::string::npos ? std::string{} : r.target.substr(at + name.size() + 1, r.target.find('&', at) - at - name.size() - 1);
    };
    const auto token = value("continue");
    if (!token.empty() && expire-- > 0)
      return fake_api_client::refusal(410, "Expired");
    std::vector<json> found;
    const auto plural = path.substr(path.rfind('/'));
    const auto prefix = path.substr(0, path.rfind('/'));
    for (const auto& [name, object] : objects)
      if (name.starts_with(prefix) && name.find(plural + "/") != std::string::npos)
        if (const auto label = value("labelSelector"); label.empty() || object["metadata"].value("labels", json::object()).contains(label))
          found.push_back(object);
    const auto limit = std::stoul(value("limit"));
    const auto from = token.empty() ? 0 : std::stoul(token);
    const auto to = std::min(found.size(), from + limit);
    json out{{"apiVersion", "config.porch.kpt.dev/v1alpha1"}, {"kind", plural == "/repositories" ? "RepositoryList" : "PackageRevList"}, {"metadata", {{"resourceVersion", "9"}}}};
    out["items"] = json::array();
    for (auto n = from; n < to; ++n)
      out["items"].push_back(found[n]);
    if (to < found.size())
      out["metadata"]["continue"] = std::to_string(to);
    return fake_api_client::answer(200, out.dump());
  }

  /// `2+5-1`: Repositories, PackageRevs, failures.
  std::string release() {
    said.clear();
    const auto sums = release_all(client, options, [this](const std::string& line) { said.push_back(line); });
    return std::to_string(sums.repositories) + "+" + std::to_string(sums.package_revs) + "-" + std::to_string(sums.failed);
  }
  [[nodiscard]] bool says(const std::string& part) const {
    return std::any_of(said.begin(), said.end(), [&](const std::string& line) { return line.find(part) != std::string::npos; });
  }

  json& lease(const json& spec) {
    auto& object = objects[lease_path];
    object = {{"apiVersion", "coordination.k8s.io/v1"}, {"kind", "Lease"}, {"spec", spec},
              {"metadata", {{"name", "veranda"}, {"namespace", "system"}, {"uid", "l"}, {"resourceVersion", "1"}, {"finalizers", lines{}}}}};
    options.lease = object_key{"system", "veranda"};
    return object;
  }

  fake_api_client client;
  release_options options;
  std::map<std::string, json> objects;
  std::map<std::string, int> refused; ///< part of `PATCH /apis/...`: status
  std::set<std::string> places{"team", "other", "system"}; ///< namespaces
  std::function<void()> meanwhile;                         ///< while it waits
  std::chrono::milliseconds waited{0};
  std::string kinds = "packagerevs";  ///< that are served beside Repositories
  int contested = 0, expire = 0, version = 1;
  std::size_t answered = 0, most_at_once = 0;
  lines said;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(release, releasing)

BOOST_AUTO_TEST_CASE(our_finalizers_go_and_those_of_others_stay) {
  repository("a");
  repository("b", {"example.org/f", ours});
  repository("c", {"example.org/f"});
  rev("a.x.v1", "a");
  rev("a.x.v2", "a", {"example.org/f", ours_too});
  rev("c.x.v1", "c", {});
  BOOST_TEST(release() == "2+2-0");
  BOOST_TEST((said == lines{"Repository team/a: finalizer removed", "Repository team/b: finalizer removed"}));
  BOOST_TEST((finalizers(repositories(), "b") == lines{"example.org/f"}));
  BOOST_TEST((finalizers(package_revs(), "a.x.v2") == lines{"example.org/f"}));
  BOOST_TEST(held(repositories(), ours) + held(package_revs(), ours_too) == 0U);
  BOOST_TEST(release() == "0+0-0");
  BOOST_TEST(said.empty());
}

BOOST_AUTO_TEST_CASE(package_revs_go_first) {
  repository("a");
  rev("a.x.v1", "a");
  release();
  lines patches;
  for (const auto& line : client.asked)
    if (line.starts_with("PATCH"))
      patches.push_back(line.substr(line.rfind('/') + 1));
  BOOST_TEST((patches == lines{"a.x.v1?fieldManager=veranda", "a?fieldManager=veranda"}));
}

BOOST_AUTO_TEST_CASE(with_a_selector_only_those_of_selected_repositories) {
  options.label_selector = "edge";
  repository("a")["metadata"]["labels"] = {{"edge", "yes"}};
  repository("b");
  repository("a", {ours}, "other");
  rev("a.x.v1", "a");
  rev("b.x.v1", "b");
  rev("a.x.v1", "a", {ours_too}, "other");
  rev("none.x.v1", "");
  BOOST_TEST(release() == "1+1-0");
  BOOST_TEST(finalizers(repositories(), "a").empty());
  BOOST_TEST(finalizers(package_revs(), "a.x.v1").empty());
  BOOST_TEST(held(repositories(), ours) == 2U);
  BOOST_TEST(held(package_revs(), ours_too) == 3U);
}

BOOST_AUTO_TEST_CASE(with_namespaces_only_those_in_them) {
  options.namespaces = {"team", "system"};
  repository("a");
  repository("a", {ours}, "other");
  rev("a.x.v1", "a");
  rev("a.x.v1", "a", {ours_too}, "other");
  BOOST_TEST(release() == "1+1-0");
  BOOST_TEST(held(repositories(), ours) == 1U);
  BOOST_TEST(held(package_revs(), ours_too) == 1U);
}

BOOST_AUTO_TEST_CASE(many_go_in_pages_some_at_once) {
  for (int n = 0; n < 1'700; ++n)
    rev("r" + std::to_string(n), "a");
  expire = 2; // the pages grow too old: from the beginning, as what is done is passed over
  BOOST_TEST(release() == "0+1700-0");
  BOOST_TEST(held(package_revs(), ours_too) == 0U);
  BOOST_TEST(most_at_once > 1U);
  BOOST_TEST(most_at_once <= options.at_once + 1); // and a list
  BOOST_TEST((said == lines{"PackageRevs: 500 finalizers removed so far", "PackageRevs: 1000 finalizers removed so far", "PackageRevs: 1500 finalizers removed so far"}));
}

BOOST_AUTO_TEST_CASE(pages_that_always_grow_too_old_are_a_failure) {
  for (int n = 0; n < 600; ++n)
    rev("r" + std::to_string(n), "a");
  expire = 1'000;
  BOOST_TEST(release() == "0+500-1");
  BOOST_TEST(says("the PackageRevs of all namespaces cannot be listed: "));
}

BOOST_AUTO_TEST_CASE(others_who_write_meanwhile) {
  repository("a");
  rev("a.x.v1", "a");
  contested = 4;
  BOOST_TEST(release() == "1+1-0");
  repository("a");
  contested = 100;
  BOOST_TEST(release() == "0+0-1");
  BOOST_TEST(says("Repository team/a: the finalizer was not removed: "));
  BOOST_TEST(held(repositories(), ours) == 1U);
}

BOOST_AUTO_TEST_CASE(what_is_not_there_is_fine) {
  refused = {{"/packagerevs", 404}, {"/repositories", 404}};
  options.lease = object_key{"system", "veranda"};
  BOOST_TEST(release() == "0+0-0");
  BOOST_TEST((said == lines{"Lease system/veranda: there is none", "the Repositories of all namespaces: there are none, nor a definition of them"}));
}

BOOST_AUTO_TEST_CASE(without_the_right_to_list_package_revs) {
  repository("a");
  refused = {{"/packagerevs", 403}};
  BOOST_TEST(release() == "1+0-1");
  BOOST_TEST(says("the PackageRevs of all namespaces cannot be listed: "));
  kinds = "packages"; // rights are looked at before the kind: there is none to list
  BOOST_TEST(release() == "0+0-0");
  refused.emplace("v1alpha1", 403); // and when even that is not known
  BOOST_TEST(release() == "0+0-2");
}

BOOST_AUTO_TEST_CASE(each_failure_is_said_up_to_a_number) {
  for (int n = 0; n < 100; ++n)
    rev("r" + std::to_string(n), "a");
  refused = {{"PATCH", 403}};
  BOOST_TEST(release() == "0+0-100");
  BOOST_TEST(said.size() == 21U);
  BOOST_TEST(says("PackageRevs: the finalizers of 80 more were not removed"));
}

BOOST_AUTO_TEST_CASE(the_lease_goes_last_and_only_when_it_was_named) {
  lease({});
  options.lease.reset();
  BOOST_TEST(release() == "0+0-0");
  BOOST_TEST(objects.contains(lease_path));
  options.lease = object_key{"system", "veranda"};
  repository("a");
  BOOST_TEST(release() == "1+0-0");
  BOOST_TEST((said == lines{"Repository team/a: finalizer removed", "Lease system/veranda: removed"}));
  BOOST_TEST(!objects.contains(lease_path));
}

BOOST_AUTO_TEST_CASE(nothing_is_touched_while_somebody_renews_the_lease) {
  struct row {
    const char* what;
    json spec;
    bool renewed; ///< while we look
    bool held;
  };
  const auto spec = [](const char* holder, const char* renewed) { return json{{"holderIdentity", holder}, {"leaseDurationSeconds", 15}, {"renewTime", renewed}}; };
  const row rows[] = {
    {"renewed within its duration", spec("pod-1", "2030-01-31T18:00:02.000000Z"), false, true},
    {"by a clock that is ahead", spec("pod-1", "2030-01-31T18:05:00.000000Z"), false, true},
    {"by a clock that is behind", spec("pod-1", "2030-01-31T17:00:00.000000Z"), true, true},
    {"silent for longer than its duration", spec("pod-1", "2030-01-31T17:59:00.000000Z"), false, false},
    {"given back", spec("", "2030-01-31T18:00:09.000000Z"), false, false},
    {"without a time", {{"holderIdentity", "pod-1"}}, false, false},
  };
  for (const auto& r : rows)
    BOOST_TEST_CONTEXT(r.what) {
      repository("a");
      lease(r.spec);
      meanwhile = [&] {
        if (r.renewed)
          objects[lease_path]["spec"]["renewTime"] = "2030-01-31T17:00:02.000000Z";
      };
      BOOST_TEST(release() == (r.held ? "0+0-1" : "1+0-0"));
      BOOST_TEST(objects.contains(lease_path) == r.held);
      BOOST_TEST(held(repositories(), ours) == (r.held ? 1U : 0U));
      BOOST_TEST(says("Lease system/veranda is held by pod-1, which renews it, so nothing was touched: ") == r.held);
    }
}

BOOST_AUTO_TEST_CASE(a_daemon_that_still_runs_is_noticed) {
  meanwhile = [this] { repository("a"); };
  repository("a");
  BOOST_TEST(release() == "1+0-1");
  BOOST_TEST(says("1 Repositories have got the finalizer again: a daemon still runs; end it, "));
  meanwhile = [this] { rev("a.x.v1", "a"); };
  rev("a.x.v1", "a");
  repository("a");
  BOOST_TEST(release() == "1+1-1");
  BOOST_TEST(says("1 PackageRevs have got the finalizer again: a daemon still runs; end it, "));
  objects.clear();
  meanwhile = [this] { lease({{"holderIdentity", "pod-1"}}); };
  lease({});
  BOOST_TEST(release() == "0+0-1");
  BOOST_TEST(says("Lease system/veranda was made anew by pod-1: a daemon still runs; end it, "));
  meanwhile = [this] { repository("b"); }; // one that was made meanwhile says nothing of a daemon
  repository("a");
  options.lease.reset();
  waited = {};
  BOOST_TEST(release() == "1+0-0");
  BOOST_CHECK(waited == 10s);
}

BOOST_AUTO_TEST_CASE(nothing_to_do_is_nothing_to_wait_for) {
  BOOST_TEST(release() == "0+0-0");
  BOOST_CHECK(waited == 0s);
}

BOOST_AUTO_TEST_CASE(a_namespace_that_is_not_there_is_said) {
  repository("a");
  options.namespaces = {"team", "taem"};
  BOOST_TEST(release() == "0+0-1");
  BOOST_TEST((said == lines{"Namespace taem: there is none; nothing was touched"}));
  options.namespaces = {"team"};
  options.lease = object_key{"sytsem", "veranda"};
  BOOST_TEST(release() == "0+0-1");
  options.lease.reset();
  refused = {{"GET /api/v1/namespaces", 403}};
  BOOST_TEST(release() == "1+0-0");
}

BOOST_AUTO_TEST_SUITE_END()
