#pragma once

#include "adapters/kube/api_client.hpp"
#include "adapters/kube/call_policy.hpp"
#include "tests/support/stream_server.hpp"

#include <boost/test/unit_test.hpp>

// A client of an API server that a test plays.

namespace veranda::test {

using namespace veranda::kube;
using namespace std::chrono_literals;
using peer = stream_server::peer;
using words = std::vector<std::string>;

inline const std::string list_body = R"({"kind":"RepositoryList","metadata":{"resourceVersion":"1"},"items":[]})";

inline client_config at(const std::string& url) {
  client_config out;
  out.cluster.server = *parse_server_url(url);
  return out;
}

/// Credentials as a test wants them.
class scripted_credentials final : public credential_source {
public:
  explicit scripted_credentials(std::function<result<credential_reading>(bool rejected)> script, bool renews = true) : script_(std::move(script)), renewable_(renews) {}
  result<credential_reading> read(bool rejected, const std::function<result<void>()>&) override { return script_(rejected); }
  [[nodiscard]] bool renewable() const override { return renewable_; }

private:
  std::function<result<credential_reading>(bool)> script_;
  bool renewable_;
};

inline std::unique_ptr<credential_source> anonymous() {
  return std::make_unique<scripted_credentials>([](bool) { return credential_reading{}; }, false);
}

inline std::unique_ptr<api_client> open(const std::string& url, client_limits limits = {}) { return open_api_client(at(url), anonymous(), limits); }

/// Drives until `done`, for at most a minute.
inline void drive(api_client& client, const std::function<bool()>& done) {
  const auto until = std::chrono::steady_clock::now() + 60s;
  while (!done() && std::chrono::steady_clock::now() < until) client.run_for(50ms);
  BOOST_REQUIRE_MESSAGE(done(), "what was waited for did not happen");
}

inline result<api_answer> call(api_client& client, api_request request) {
  std::optional<result<api_answer>> out;
  client.start(std::move(request), [&out](result<api_answer> got) { out = std::move(got); });
  drive(client, [&out] { return out.has_value(); });
  return *std::move(out);
}

inline result<std::string> body(api_client& client, api_request request) {
  auto got = call(client, request);
  if (!got) return got.error();
  return body_of(*std::move(got), request);
}

inline api_request a_list() { return list_request(repositories(), {}, {"0", "", 500}); }
inline std::unique_ptr<api_watch> a_watch(api_client& client) { return client.watch(watch_request(repositories(), {}, "1", 300s), repositories(), 300s); }
inline void finish(api_client& client, api_watch& watch) {
  drive(client, [&] { return watch.state() != watch_state::connecting && watch.state() != watch_state::open; });
}
inline std::vector<std::string> versions(api_watch& watch) {
  std::vector<std::string> out;
  while (const auto event = watch.next()) out.push_back(event->type == api_event_type::error ? "error" : event->object.resource_version);
  return out;
}

inline std::string line(int version, const std::string& type = "ADDED", const std::string& filler = {}) {
  const auto v = std::to_string(version);
  return R"({"type":")" + type + R"(","object":{"apiVersion":"config.porch.kpt.dev/v1alpha1","kind":"Repository","metadata":{"name":"r)" + v + R"(","namespace":"blue","uid":"u)" + v +
         R"(","resourceVersion":")" + v + R"("},"spec":{"description":")" + filler + "\"}}}\n";
}

} // namespace veranda::test
