#pragma once

#include "actors/logic/discovery/discovery.hpp"
#include "adapters/kpt/decoder.hpp"
#include "tests/support/memory_objects.hpp"

#include <boost/test/unit_test.hpp>

namespace veranda::test {

/// A repository that is written commit by commit on one branch.
struct discovery_fixture {
  memory_objects objects;
  std::unique_ptr<logic::package_decoder> decoder = kpt::make_decoder();
  logic::discovery_index index;
  logic::discovery_request request{{"default", "repo"}, "https://example.com/r.git", "main", "", nullptr, {}};
  file_map files;
  oid head;
  std::int64_t clock = 1'700'000'000;

  oid commit(std::string_view message, const stamp* when = nullptr) {
    clock += 10;
    head = objects.commit(objects.tree(files), head.is_zero() ? std::vector<oid>{} : std::vector<oid>{head}, when == nullptr ? stamp{"a@example.com", clock, clock} : *when, message);
    objects.set_ref("refs/heads/main", head);
    return head;
  }
  void package(const std::string& path) { files[path + "/Kptfile"] = kptfile("p"); }
  void tag(const std::string& name) { objects.set_ref("refs/tags/" + name, head); }

  logic::discovery_result discover() {
    request.refs = objects.table();
    auto found = logic::discover(request, objects, *decoder, index, {});
    BOOST_REQUIRE_MESSAGE(found.ok(), (found.ok() ? std::string{} : describe(found.error())));
    return std::move(*found);
  }
  ec failure_code() {
    request.refs = objects.table();
    const auto found = logic::discover(request, objects, *decoder, index, {});
    BOOST_REQUIRE(!found.ok());
    return found.error().code;
  }
};

inline std::vector<std::string> names(const logic::discovery_result& result) {
  std::vector<std::string> out;
  for (const auto& r : result.revisions)
    out.push_back(r.name + (r.latest ? "*" : ""));
  return out;
}

inline const package_revision& named(const logic::discovery_result& result, std::string_view name) {
  const auto at = std::find_if(result.revisions.begin(), result.revisions.end(), [&](const auto& r) { return r.name == name; });
  BOOST_REQUIRE_MESSAGE(at != result.revisions.end(), name);
  return *at;
}

inline bool has_bad(const logic::discovery_result& result, std::string_view what, std::string_view reason, bool excluded = true) {
  return std::any_of(result.bad.begin(), result.bad.end(),
                     [&](const bad_item& b) { return b.what == what && b.reason.find(reason) != std::string::npos && b.excluded == excluded; });
}

using list = std::vector<std::string>;

} // namespace veranda::test
