#pragma once

#include "adapters/git/git_remote.hpp"
#include "tests/support/git_repository.hpp"

#include <boost/test/unit_test.hpp>

namespace veranda::test {

using namespace veranda::git;

template <class T>
std::string text_of(const result<T>& r) {
  return r ? std::string{} : describe(r.error());
}

/// A repository of git, and a mirror of it that is ours.
struct mirrored_repository {
  scratch_dir scratch;
  git_repository origin{scratch / "origin"};
  std::filesystem::path dir = scratch / "mirror";
  transport_limits limits;
  cancel_token cancel;
  ref_prefixes prefixes{"refs/heads/", "refs/tags/"};

  remote_endpoint remote() const { return {origin.url(), {}}; }
  std::unique_ptr<mirror> open(const std::string& identity = "id") const {
    auto m = open_mirror(dir, identity);
    BOOST_REQUIRE_MESSAGE(m, text_of(m));
    return *std::move(m);
  }
  listing list(const std::string& known = {}) const {
    auto l = list_refs(remote(), prefixes, known, limits, cancel);
    BOOST_REQUIRE_MESSAGE(l, text_of(l));
    return *std::move(l);
  }
  fetch_report bring(mirror& m, bool without_haves = false) const {
    const auto l = list();
    auto report = fetch(m, remote(), *l.refs, limits, cancel, without_haves, {});
    BOOST_REQUIRE_MESSAGE(report, text_of(report));
    const auto settled = m.settle();
    BOOST_REQUIRE_MESSAGE(settled, text_of(settled));
    return *report;
  }
  /// What git itself sees in our mirror, and in a mirror of its own.
  void check_like_git(mirror& m) const {
    const auto show = "for-each-ref --format='%(objectname) %(refname) %(*objectname)' refs/heads refs/tags";
    const auto ours = shell("git -c safe.directory='*' -C '" + m.path().string() + "' " + show);
    const auto theirs = shell("git -C '" + origin.url() + "' " + show);
    BOOST_TEST(ours == theirs);
    BOOST_TEST(shell("git -C '" + m.path().string() + "' fsck --full --strict --no-dangling 2>&1 | grep -v ^notice: || true") == "");
    BOOST_TEST(shell("git -C '" + m.path().string() + "' rev-list --all --objects | sort | sha1sum") ==
               shell("git -C '" + origin.url() + "' rev-list --all --objects | sort | sha1sum"));
  }
  void check_no_debris() const {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir)) {
      const auto extension = entry.path().extension();
      if (entry.path().parent_path().filename() == "pack") BOOST_TEST((extension == ".pack" || extension == ".idx"), entry.path());
      BOOST_TEST(extension != ".lock");
      BOOST_TEST(extension != ".new");
    }
  }
};

inline oid id_of(const std::string& hex) { return *oid::parse(hex); }

} // namespace veranda::test
