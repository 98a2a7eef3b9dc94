#pragma once

#include "adapters/store/sqlite_object_store.hpp"
#include "tests/support/fake_stores.hpp"
#include "tests/support/http_probe.hpp"

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <thread>

namespace veranda::test {

using nlohmann::json;

inline const std::string repositories = "/apis/config.porch.kpt.dev/v1alpha1/namespaces/default/repositories";
inline const std::string revisions = "/apis/porch.kpt.dev/v1alpha1/namespaces/default/packagerevisions";
inline const std::string packages = "/apis/porch.kpt.dev/v1alpha1/namespaces/default/packages";
inline const std::string resources = "/apis/porch.kpt.dev/v1alpha1/namespaces/default/packagerevisionresources";

/// Writes to a real store, as the daemon's own writer does.
class locked_writer final : public api::object_writer {
public:
  explicit locked_writer(std::unique_ptr<store::object_store> s) : store_(std::move(s)) {}
  result<store::stored_object> create(const std::string& r, const std::string& j) override { return run([&] { return store_->create(r, j); }); }
  result<store::stored_object> update(const std::string& r, const std::string& j) override { return run([&] { return store_->update(r, j); }); }
  result<store::stored_object> merge_patch(const std::string& r, const object_key& k, const std::string& p) override {
    return run([&] { return store_->merge_patch(r, k, p); });
  }
  result<store::stored_object> remove(const std::string& r, const object_key& k) override { return run([&] { return store_->remove(r, k); }); }

private:
  template <class F>
  result<store::stored_object> run(const F& f) {
    const std::lock_guard lock{mutex_};
    return f();
  }
  std::mutex mutex_;
  std::unique_ptr<store::object_store> store_;
};

struct served {
  std::filesystem::path dir;
  fake_cache cache;
  std::shared_ptr<locked_writer> writer;
  api::api_settings settings;
  std::unique_ptr<api::api_server> server;
  std::mutex log_mutex;
  std::vector<std::string> log;

  served() {
    auto pattern = (std::filesystem::temp_directory_path() / "veranda-api-XXXXXX").string();
    dir = ::mkdtemp(pattern.data());
    settings.port = 0;
    settings.token = "secret";
  }
  ~served() {
    server.reset();
    std::filesystem::remove_all(dir);
  }
  result<void> start() {
    auto opened = store::open_object_store(dir / "objects.db", [] { return std::chrono::system_clock::now(); });
    if (!opened)
      return opened.error();
    writer = std::make_shared<locked_writer>(std::move(*opened));
    api::api_dependencies d;
    d.open_cache = [this] { return std::make_unique<fake_cache_reader>(cache); };
    d.open_objects = [this]() -> std::unique_ptr<store::object_store_reader> {
      auto reader = store::open_object_store_reader(dir / "objects.db");
      return reader ? std::move(*reader) : nullptr;
    };
    d.writer = writer;
    d.livez = [] { return api::probe{true, "[+]all ok\n"}; };
    d.readyz = [] { return api::probe{false, "[-]list: not applied yet\n"}; };
    d.metrics = [] { return std::string{"veranda_up 1\n"}; };
    d.dump = [](const std::string& name, bool) { return result<std::string>{"{\"name\":\"" + name + "\"}"}; };
    d.log = [this](const std::string& line) {
      const std::lock_guard lock{log_mutex};
      log.push_back(line);
    };
    auto started = api::start_api_server(settings, std::move(d));
    if (!started)
      return started.error();
    server = std::move(*started);
    return {};
  }
  http_probe connect() const { return http_probe{server->port()}; }
  /// The server is done with something a little after its client is; waits for at most a minute.
  bool load_becomes(const std::function<bool(const api::api_load&)>& wanted) const {
    const auto until = std::chrono::steady_clock::now() + std::chrono::minutes{1};
    while (!wanted(server->load()) && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    return wanted(server->load());
  }
  /// What the access log has so far; the line of an answer may come after the answer.
  std::vector<std::string> logged() {
    const std::lock_guard lock{log_mutex};
    return log;
  }
};

struct running : served {
  running() { BOOST_REQUIRE(start().ok()); }
};

inline std::string repository(const std::string& name, const std::string& extra = {}) {
  return R"({"apiVersion":"config.porch.kpt.dev/v1alpha1","kind":"Repository","metadata":{"name":")" + name + "\"" + extra +
         R"(},"spec":{"type":"git","git":{"repo":"https://git.example/r.git","branch":"main"}}})";
}

inline json body(const http_probe::response& r) { return json::parse(r.body(), nullptr, false); }

inline std::vector<std::string> names(const json& list) {
  std::vector<std::string> out;
  for (const auto& item : list.at("items"))
    out.push_back(item.at("metadata").at("name"));
  return out;
}

} // namespace veranda::test
