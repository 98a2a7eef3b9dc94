// links: veranda_system
#define BOOST_TEST_MODULE essential_actors
#include "actors/common/guard.hpp"
#include "actors/system/real_system.hpp"
#include "messages/errors.hpp"
#include "tests/support/git_repository.hpp"
#include "tests/support/temporary_directory.hpp"

#include <boost/test/unit_test.hpp>

#include <condition_variable>
#include <set>

using namespace veranda;
using namespace veranda::test;
using namespace std::chrono_literals;

namespace {

/// A whole daemon in this process, over its real stores, one manifest and one repository, some lives long.
class daemon_fixture {
public:
  daemon_fixture() {
    shell("cd " + folder.path().string() + " && git init -q -b main remote && cd remote && mkdir app && printf 'apiVersion: kpt.dev/v1\\nkind: Kptfile\\nmetadata:\\n  name: app\\n' > app/Kptfile && "
          "git add -A && git -c user.name=a -c user.email=a@example.com commit -qm one && git tag app/v1");
    std::filesystem::create_directory(folder / "manifests");
    folder.write("manifests/app.yaml", "apiVersion: config.porch.kpt.dev/v1alpha1\nkind: Repository\nmetadata: {name: app, namespace: team}\nspec:\n  type: git\n  git: {repo: " +
                                         (folder / "remote").string() + ", branch: main}\n");
  }

  /// Begins a life, and waits for its first sync.
  void begin() {
    const auto parsed = config::parse({"--data-dir", (folder / "data").string(), "--manifests", (folder / "manifests").string(), "--listen", "127.0.0.1:0", "--allow-local"}, {});
    BOOST_REQUIRE(parsed.problems.empty());
    ended.clear();
    system = std::make_unique<real_system>(parsed.value, system_hooks{[this](const std::string& kind) { note(kind); }, {}});
    const auto started = system->start();
    BOOST_REQUIRE_MESSAGE(started.ok(), describe(started.error()));
    const auto until = std::chrono::steady_clock::now() + 60s;
    const auto first = system->wait_first_syncs([&] { return std::chrono::steady_clock::now() > until; });
    BOOST_REQUIRE(first.has_value());
    BOOST_TEST(first->ready == 1U);
  }

  /// As an exception in one of its handlers would.
  void crash(const caf::actor_addr& whom) {
    exit_now(caf::actor_cast<caf::actor>(whom), to_error({ec::internal, "crashed by the test", {}, {}, {}}));
  }
  /// Whether the process was told to end for the want of this kind.
  bool is_told(const std::string& kind) {
    std::unique_lock lock{mutex};
    return changed.wait_for(lock, 30s, [&] { return ended.contains(kind); });
  }

  temporary_directory folder;
  std::unique_ptr<real_system> system;

private:
  void note(const std::string& kind) {
    const std::lock_guard lock{mutex};
    ended.insert(kind);
    changed.notify_all();
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::set<std::string> ended;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(essential_actors, daemon_fixture)

/// The process ends in order whoever has died, and the next one goes on where it was.
BOOST_AUTO_TEST_CASE(without_any_of_them_the_process_ends_and_the_next_goes_on) {
  begin();
  std::set<std::string> kinds;
  for (const auto& [kind, address] : system->essentials())
    kinds.insert(kind);
  BOOST_TEST(kinds == (std::set<std::string>{"cache-writer", "distant-lister-pool", "hosts", "http", "lister-pool", "manifest-follower", "object-store", "status-writer", "supervisor", "watcher",
                                             "worker-pool"}),
             boost::test_tools::per_element());
  for (const auto& kind : kinds)
    BOOST_TEST_CONTEXT(kind) {
      crash(system->essentials().at(kind));
      BOOST_TEST(is_told(kind));
      BOOST_REQUIRE(system->shut_down());
      begin();
    }
  BOOST_TEST(system->shut_down());
}

BOOST_AUTO_TEST_SUITE_END()
