#pragma once

#include "adapters/git/http_listing.hpp"

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstdlib>
#include <optional>

namespace veranda::test {

/// Why there is none; empty when there is one.
template <class T>
std::string text_of(const result<T>& r) {
  return r ? std::string{} : describe(r.error());
}

/// What an operator's environment says of proxies is nothing to the tests.
inline void forget_proxies() {
  for (const char* name : {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"}) ::unsetenv(name);
}

/// Drives an engine until one listing is done, for at most a minute; it must be told once.
inline result<git::listing> list_with(git::listing_engine& engine, const remote_endpoint& remote, const git::ref_prefixes& prefixes, const std::string& known = {},
                                      cancel_token_ptr cancel = {}) {
  std::optional<result<git::listing>> got;
  engine.start(remote, prefixes, known, std::move(cancel), [&](result<git::listing> l) {
    BOOST_TEST(!got);
    got = std::move(l);
  });
  for (const auto until = std::chrono::steady_clock::now() + std::chrono::minutes{1}; !got && std::chrono::steady_clock::now() < until;) engine.run_for(std::chrono::milliseconds{200});
  return got ? *std::move(got) : result<git::listing>{failure{ec::internal, "the engine never called back", {}, {}, {}}};
}

} // namespace veranda::test
