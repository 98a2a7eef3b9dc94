// links: veranda_daemon
#define BOOST_TEST_MODULE service_report
#include "tools/verandad/service_report.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <filesystem>
#include <map>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

using namespace veranda;
using namespace std::chrono_literals;

namespace {

/// A service manager's end of the socket, in a folder of its own.
class manager_socket {
public:
  manager_socket() {
    std::string made = (std::filesystem::temp_directory_path() / "veranda-notify-XXXXXX").string();
    BOOST_REQUIRE(mkdtemp(made.data()) != nullptr);
    folder_ = made;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    BOOST_REQUIRE(path().size() < sizeof(address.sun_path));
    path().copy(address.sun_path, sizeof(address.sun_path) - 1);
    fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    BOOST_REQUIRE(bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  }
  ~manager_socket() {
    close(fd_);
    std::filesystem::remove_all(folder_);
  }
  manager_socket(const manager_socket&) = delete;
  manager_socket& operator=(const manager_socket&) = delete;

  std::string path() const { return folder_ / "notify"; }
  /// What was sent since the last call; a datagram is there when the call that sent it has returned.
  std::vector<std::string> said() {
    std::vector<std::string> out;
    std::array<char, 4096> buffer{};
    for (ssize_t n = 0; (n = recv(fd_, buffer.data(), buffer.size(), 0)) >= 0;)
      out.emplace_back(buffer.data(), static_cast<std::size_t>(n));
    return out;
  }

private:
  std::filesystem::path folder_;
  int fd_ = -1;
};

process::variable_reader variables(std::map<std::string, std::string> all) {
  return [all = std::move(all)](const std::string& name) { return all.contains(name) ? all.at(name) : std::string{}; };
}

using lines = std::vector<std::string>;
using boost::test_tools::per_element;
const api::probe ready{true, "[+]settings ok\n[+]repositories ok\n"};
const api::probe waiting{false, "[+]settings ok\n[-]repositories: the first list has not been applied yet\n"};

} // namespace

BOOST_AUTO_TEST_CASE(without_a_service_manager_nothing_is_said) {
  for (const char* const path : {"", "relative", "@", "/", "/no/such/socket"}) {
    process::service_manager manager{variables({{"NOTIFY_SOCKET", path}, {"WATCHDOG_USEC", "1000"}})};
    BOOST_TEST(!manager.listens());
    BOOST_TEST(!manager.watchdog().has_value());
    manager.ready(); // does nothing
  }
  const process::service_manager manager{variables({{"NOTIFY_SOCKET", std::string(200, '/')}})};
  BOOST_TEST(!manager.listens());
}

BOOST_AUTO_TEST_CASE(a_start_ends_with_the_first_list) {
  manager_socket socket;
  process::service_manager manager{variables({{"NOTIFY_SOCKET", socket.path()}})};
  BOOST_TEST(manager.listens());
  const steady_time t0{1h};
  service_report report{manager, "http://127.0.0.1:7878", t0};
  cell_registry cells;
  report.update(waiting, cells, t0);
  BOOST_TEST(socket.said() == (lines{"STATUS=not ready: repositories: the first list has not been applied yet"}), per_element());
  report.update(waiting, cells, t0 + 59s);
  BOOST_TEST(socket.said().empty());
  report.update(ready, cells, t0 + 59s);
  BOOST_TEST(socket.said() == (lines{"STATUS=serving http://127.0.0.1:7878", "READY=1"}), per_element());
  report.update(ready, cells, t0 + 2min);
  BOOST_TEST(socket.said().empty());
}

BOOST_AUTO_TEST_CASE(a_start_does_not_wait_for_others_longer_than_a_minute) {
  BOOST_TEST(counts_as_started(true, 0s));
  BOOST_TEST(!counts_as_started(false, 59s));
  BOOST_TEST(counts_as_started(false, 60s));
}

BOOST_AUTO_TEST_CASE(the_status_names_what_needs_a_look) {
  BOOST_TEST(service_status({true, "[+]a ok\n[!]manifests: 1 problems\n[!]package cache: full\n"}, "URL") == "serving URL, but look at: manifests: 1 problems; package cache: full");
  BOOST_TEST(service_status({false, "[-]a: x\n[!]b: y\n[-]c: z"}, "URL") == "not ready: a: x; c: z");
}

BOOST_AUTO_TEST_CASE(a_status_is_one_line_of_whole_characters) {
  manager_socket socket;
  process::service_manager manager{variables({{"NOTIFY_SOCKET", socket.path()}})};
  manager.status("two\nlines");
  manager.status("two\nlines");
  BOOST_TEST(socket.said() == (lines{"STATUS=two lines"}), per_element());
  manager.status(std::string(399, 'a') + "\u00e4");
  BOOST_TEST(socket.said() == (lines{"STATUS=" + std::string(399, 'a')}), per_element());
}

BOOST_AUTO_TEST_CASE(a_reload_begins_with_its_time_and_ends_with_ready) {
  manager_socket socket;
  process::service_manager manager{variables({{"NOTIFY_SOCKET", socket.path()}})};
  service_report report{manager, "URL", steady_time{}};
  report.reloading();
  report.reloaded();
  const auto said = socket.said();
  BOOST_REQUIRE(said.size() == 2);
  BOOST_TEST(said.front().starts_with("RELOADING=1\nMONOTONIC_USEC="));
  BOOST_TEST(said.back() == "READY=1");
}

BOOST_AUTO_TEST_CASE(an_end_asks_for_the_time_it_may_need) {
  manager_socket socket;
  process::service_manager manager{variables({{"NOTIFY_SOCKET", socket.path()}})};
  manager.stopping(25s);
  BOOST_TEST(socket.said() == (lines{"STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=25000000"}), per_element());
}

BOOST_AUTO_TEST_CASE(signs_of_life_come_four_times_in_a_watchdog_and_only_while_actors_get_on) {
  manager_socket socket;
  process::service_manager manager{variables({{"NOTIFY_SOCKET", socket.path()}, {"WATCHDOG_USEC", "180000000"}, {"WATCHDOG_PID", std::to_string(getpid())}})};
  BOOST_REQUIRE(manager.watchdog().has_value());
  const auto t0 = std::chrono::steady_clock::now();
  service_report report{manager, "URL", t0};
  cell_registry cells;
  report.update(ready, cells, t0);
  BOOST_TEST(socket.said() == (lines{"STATUS=serving URL", "READY=1", "WATCHDOG=1"}), per_element());
  report.update(ready, cells, t0 + 44s);
  BOOST_TEST(socket.said().empty());
  report.update(ready, cells, t0 + 45s);
  BOOST_TEST(socket.said() == (lines{"WATCHDOG=1"}), per_element());

  const auto worker = cells.add("worker"), supervisor = cells.add("supervisor");
  {
    const handling at_work{*worker, "sync_job", 0};
    report.update(ready, cells, t0 + 90s); // a worker may wait for its remote
    BOOST_TEST(socket.said() == (lines{"WATCHDOG=1"}), per_element());
    const handling hangs{*supervisor, "objects", 0};
    report.update(ready, cells, t0 + 135s);
    BOOST_TEST(socket.said().empty());
  }
  report.update(ready, cells, t0 + 136s);
  BOOST_TEST(socket.said() == (lines{"WATCHDOG=1"}), per_element());
}

BOOST_AUTO_TEST_CASE(a_watchdog_of_another_process_is_none_of_ours) {
  manager_socket socket;
  for (const std::map<std::string, std::string>& more : {std::map<std::string, std::string>{{"WATCHDOG_USEC", "1000"}, {"WATCHDOG_PID", "1"}},
                                                         {{"WATCHDOG_USEC", "0"}},
                                                         {{"WATCHDOG_USEC", "-5"}},
                                                         {{"WATCHDOG_USEC", "1s"}}}) {
    auto all = more;
    all.emplace("NOTIFY_SOCKET", socket.path());
    BOOST_TEST(!process::service_manager{variables(all)}.watchdog().has_value());
  }
}
