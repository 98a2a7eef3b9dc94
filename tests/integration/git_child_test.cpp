// links: veranda_adapter_git veranda_model
#define BOOST_TEST_MODULE git_child
#include "tests/support/mirrored_repository.hpp"

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

using namespace veranda;
using namespace veranda::git;
using namespace veranda::test;

namespace {

/// Puts a program called `git` in front of the real one for the life of this object.
struct fake_git {
  std::string before = std::getenv("PATH");
  fake_git(const scratch_dir& scratch, const std::string& script) {
    const auto bin = scratch / "bin";
    std::filesystem::create_directories(bin);
    std::ofstream{bin / "git"} << "#!/bin/sh\n" << script;
    std::filesystem::permissions(bin / "git", std::filesystem::perms::owner_all);
    ::setenv("PATH", (bin.string() + ":" + before).c_str(), 1);
  }
  ~fake_git() { ::setenv("PATH", before.c_str(), 1); }
};

bool alive(const std::filesystem::path& pid_file) {
  std::ifstream file{pid_file};
  std::string pid;
  return file >> pid && std::filesystem::exists("/proc/" + pid) && shell("cut -d' ' -f3 /proc/" + pid + "/stat 2>/dev/null || echo gone").find_first_of("RSD") == 0;
}

} // namespace

BOOST_FIXTURE_TEST_CASE(a_hanging_child_dies_with_its_group_at_the_deadline, mirrored_repository) {
  const auto pid_file = scratch / "pid";
  const fake_git hanging{scratch, "sleep 1000 & echo $! > '" + pid_file.string() + "'; wait\n"};
  cancel.deadline = std::chrono::steady_clock::now() + std::chrono::seconds{4}; // by then it has begun
  const auto begun = std::chrono::steady_clock::now();
  const auto l = list_refs(remote(), prefixes, {}, limits, cancel);
  BOOST_REQUIRE(!l);
  BOOST_TEST((l.error().code == ec::timed_out), l.error().what);
  BOOST_TEST((std::chrono::steady_clock::now() - begun < std::chrono::minutes{2}));
  BOOST_REQUIRE(std::filesystem::exists(pid_file));
  while (alive(pid_file) && std::chrono::steady_clock::now() - begun < std::chrono::minutes{2}) std::this_thread::sleep_for(std::chrono::milliseconds{20});
  BOOST_TEST(!alive(pid_file));
}

BOOST_FIXTURE_TEST_CASE(a_cancelled_child_and_a_silent_one, mirrored_repository) {
  const fake_git hanging{scratch, "sleep 1000\n"};
  std::thread stopper{[this] {
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
    cancel.stop = true;
  }};
  const auto cancelled = list_refs(remote(), prefixes, {}, limits, cancel);
  stopper.join();
  BOOST_TEST((cancelled.error().code == ec::cancelled));
  cancel.stop = false;
  limits.low_speed_time = std::chrono::seconds{1};
  const auto silent = list_refs(remote(), prefixes, {}, limits, cancel);
  BOOST_TEST((silent.error().code == ec::timed_out));
}

BOOST_FIXTURE_TEST_CASE(children_see_nothing_of_ours, mirrored_repository) {
  const auto seen = scratch / "seen";
  ::setenv("VERANDA_TEST_SECRET", "hunter2", 1);
  const fake_git curious{scratch, "{ env; ls -l /proc/$$/fd; pwd; echo \"$@\"; } > '" + seen.string() + "'; printf 0000\n"};
  const std::ofstream leaked{scratch / "open-file"};
  BOOST_REQUIRE(list_refs(remote(), prefixes, {}, limits, cancel));
  ::unsetenv("VERANDA_TEST_SECRET");
  std::stringstream text;
  text << std::ifstream{seen}.rdbuf();
  BOOST_TEST(text.str().find("hunter2") == std::string::npos);
  BOOST_TEST(text.str().find("open-file") == std::string::npos);
  BOOST_TEST(text.str().find("GIT_PROTOCOL=version=2") != std::string::npos);
  BOOST_TEST(text.str().find(" -- " + origin.url()) != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(errors_of_the_child, mirrored_repository) {
  struct row {
    const char* script;
    ec expected;
  };
  const row rows[] = {{"echo 'fatal: boom' >&2; exit 128\n", ec::unavailable},
                      {"yes x | head -c 1000000 >&2; exit 1\n", ec::unavailable},
                      {"printf 0009ERR", ec::unavailable},
                      {"printf '0011ERR not found0000'", ec::not_found},
                      {"printf zzzz", ec::unsupported},
                      {"printf '000bhello0000'", ec::unsupported},
                      {"kill -9 $$\n", ec::unavailable},
                      {"head -c 300000000 /dev/zero\n", ec::too_large}};
  for (const auto& r : rows) {
    const fake_git broken{scratch, r.script};
    const auto l = list_refs(remote(), prefixes, {}, limits, cancel);
    BOOST_REQUIRE(!l);
    BOOST_TEST((l.error().code == r.expected), r.script << l.error().what);
    BOOST_TEST(l.error().what.size() < 600U);
  }
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", "/nonexistent", 1);
  const auto l = list_refs(remote(), prefixes, {}, limits, cancel);
  ::setenv("PATH", path.c_str(), 1);
  BOOST_TEST((l.error().code == ec::unavailable), l.error().what);
}

BOOST_FIXTURE_TEST_CASE(a_cancelled_fetch_leaves_nothing, mirrored_repository) {
  for (int i = 0; i < 3; ++i) origin.commit("f" + std::to_string(i), std::string(50'000, static_cast<char>('a' + i)));
  auto m = open();
  const auto target = list();
  cancel.stop = true;
  const auto report = fetch(*m, remote(), *target.refs, limits, cancel, false, {});
  BOOST_TEST((report.error().code == ec::cancelled));
  cancel.stop = false;
  limits.max_pack_bytes = 100;
  BOOST_TEST((fetch(*m, remote(), *target.refs, limits, cancel, false, {}).error().code == ec::too_large));
  BOOST_TEST(m->refs()->refs.empty());
  BOOST_TEST(m->pack_count() == 0U);
  check_no_debris();
}
