// links: veranda_adapter_kube
#define BOOST_TEST_MODULE kube_release
#include "adapters/kube/release.hpp"
#include "adapters/kube/package_revs.hpp"
#include "messages/model/repository.hpp"
#include "tests/support/fakes/api_clients.hpp"

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

using namespace veranda;
using namespace veranda::kube;
using veranda::test::fake_api_client;
using nlohmann::json;

namespace {

using lines = std::vector<std::string>;
const std::string ours{api_names::repository_finalizer};
const std::string ours_too{package_rev_finalizer};
const std::string api = "/apis/config.porch.kpt.dev/v1alpha1";
const std::string lease_path = "/apis/coordination.k8s.io/v1/namespaces/system/leases/veranda";

/// An API server with Repositories and PackageRevs, and what `release` does to them.
struct releasing {
  releasing() {
    client.answers = [this](const api_request& r) {
      most_at_once = std::max(most_at_once, client.asked.size() - answered++);
      return serve(r);
    };
  }

  json& put(const resource_type& type, const std::string& ns, const std::string& name, const lines& finalizers) {
    auto& object = objects[api + "/namespaces/" + ns + "/" + type.plural + "/" + name];
    object = {{"apiVersion", type.api_version()}, {"kind", type.kind},
              {"metadata", {{"name", name}, {"namespace", ns}, {"uid", "u-" + name}, {"resourceVersion", "1"}, {"finalizers", finalizers}}}};
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

  fake_api_client client;
  release_options options;
  std::map<std::string, json> objects;
  std::map<std::string, int> refused; ///< part of `PATCH /apis/...`: status
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
  options.namespaces = {"team", "none"};
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
  BOOST_TEST((said == lines{"the Repositories of all namespaces: there are none, nor a definition of them", "Lease system/veranda: there is none"}));
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
  objects[lease_path] = {{"apiVersion", "coordination.k8s.io/v1"}, {"kind", "Lease"}, {"metadata", {{"name", "veranda"}, {"namespace", "system"}, {"uid", "l"}, {"resourceVersion", "1"}, {"finalizers", lines{}}}}};
  BOOST_TEST(release() == "0+0-0");
  BOOST_TEST(objects.contains(lease_path));
  options.lease = object_key{"system", "veranda"};
  repository("a");
  BOOST_TEST(release() == "1+0-0");
  BOOST_TEST((said == lines{"Repository team/a: finalizer removed", "Lease system/veranda: removed"}));
  BOOST_TEST(!objects.contains(lease_path));
}

BOOST_AUTO_TEST_SUITE_END()
