// links: veranda_adapter_git veranda_adapter_process veranda_model
#define BOOST_TEST_MODULE git_over_ssh
#include "adapters/git/git_remote.hpp"
#include "adapters/process/find_program.hpp"
#include "tests/support/closed_port.hpp"
#include "tests/support/git_repository.hpp"
#include "tests/support/script_server.hpp"

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <fstream>
#include <iterator>
#include <sys/wait.h>
#include <thread>

using namespace veranda;
using namespace veranda::git;
using veranda::test::closed_port;
using veranda::test::git_repository;
using veranda::test::scratch_dir;
using veranda::test::script_server;
using veranda::test::shell;

namespace {

using clock = std::chrono::steady_clock;

template <class T>
std::string text_of(const result<T>& r) {
  return r ? std::string{} : describe(r.error());
}

std::string contents(const std::filesystem::path& file) {
  std::ifstream reader{file};
  return {std::istreambuf_iterator<char>{reader}, {}};
}

/// The sshd of tests/support/ssh_server.py.
struct ssh_server : script_server {
  explicit ssh_server(std::vector<std::string> options = {}) : script_server("ssh_server.py", std::move(options)), folder(value("folder")) {}
  [[nodiscard]] std::string url(const std::string& path, const std::string& host = "127.0.0.1") const {
    return "ssh://" + value("user") + "@" + host + ":" + value("port") + path;
  }
  [[nodiscard]] credentials auth(const std::string& key = "ed25519") const {
    credentials out;
    out.ssh_private_key = contents(folder / key);
    out.ssh_known_hosts = contents(folder / "known_hosts");
    return out;
  }
  /// Whoever logs in with this key runs that instead of what was asked for.
  void force(const std::string& key, const std::string& command) const {
    std::ofstream{folder / "authorized_keys", std::ios::trunc} << "command=\"" << command << "\" " << contents(folder / (key + ".pub"));
  }
  [[nodiscard]] std::string log() const { return contents(folder / "log"); }
  /// Connections that it took; each is logged before it is spoken to.
  [[nodiscard]] std::size_t connections() const {
    std::size_t out = 0;
    const auto text = log();
    for (auto at = text.find("Connection from "); at != std::string::npos; at = text.find("Connection from ", at + 1)) ++out;
    return out;
  }
  std::filesystem::path folder;
};

struct setup {
  setup() {
    limits.ssh_client = process::find_program("ssh");
    BOOST_REQUIRE_MESSAGE(!limits.ssh_client.empty(), "the OpenSSH client is not installed");
    origin.commit("f", "1");
  }
  ~setup() { BOOST_TEST(::waitpid(-1, nullptr, WNOHANG) <= 0, "no child is left that ended and nobody asked after"); }

  result<listing> list(const remote_endpoint& remote, const std::string& known = {}) const { return list_refs(remote, prefixes, known, limits, cancel); }
  void check_refused(const remote_endpoint& remote, ec code, const std::string& part) const {
    const auto l = list(remote);
    BOOST_REQUIRE(!l);
    BOOST_TEST((l.error().code == code), describe(l.error()));
    BOOST_TEST(l.error().what.find(part) != std::string::npos, describe(l.error()));
    BOOST_TEST(l.error().what.find("PRIVATE") == std::string::npos);
  }
  /// Lists, fetches into a mirror, moves the origin, and again.
  void check_fetch(const remote_endpoint& remote, protocol_version protocol) const {
    const scratch_dir place;
    auto opened = open_mirror(place / "mirror", "id");
    BOOST_REQUIRE(opened);
    auto& m = **opened;
    for (int round = 0; round < 3; ++round) {
      const auto l = list(remote);
      BOOST_REQUIRE_MESSAGE(l, text_of(l));
      BOOST_TEST((l->protocol == protocol));
      BOOST_REQUIRE(l->refs);
      const auto again = list(remote, l->digest);
      BOOST_REQUIRE_MESSAGE(again, text_of(again));
      BOOST_TEST(!again->refs, "unchanged");
      const auto done = fetch(m, remote, *l->refs, limits, cancel, false, {});
      BOOST_REQUIRE_MESSAGE(done, text_of(done));
      BOOST_TEST(done->pack_received);
      BOOST_REQUIRE(m.settle());
      const auto show = "for-each-ref --format='%(objectname) %(refname)' refs/heads refs/tags";
      BOOST_TEST(shell("git -c safe.directory='*' -C '" + m.path().string() + "' " + show) == shell("git -C '" + origin.url() + "' " + show));
      BOOST_TEST(shell("git -C '" + m.path().string() + "' fsck --full --no-dangling 2>&1 | grep -v ^notice: || true") == "");
      const auto id = origin.commit("f", "after " + origin.git("rev-parse HEAD"));
      origin.git("tag -a -m x v-" + id);
    }
  }

  scratch_dir scratch;
  git_repository origin{scratch / "origin"};
  transport_limits limits;
  cancel_token cancel;
  ref_prefixes prefixes{"refs/heads/", "refs/tags/"};
};

} // namespace

BOOST_FIXTURE_TEST_CASE(lists_and_fetches_with_each_kind_of_key, setup) {
  const ssh_server server;
  for (const auto* key : {"rsa", "ed25519"})
    BOOST_TEST_CONTEXT(key) check_fetch({server.url(origin.url()), server.auth(key)}, protocol_version::v2);
}

BOOST_FIXTURE_TEST_CASE(an_sshd_that_keeps_the_protocol_to_itself, setup) {
  const ssh_server server{{"--v0"}};
  check_fetch({server.url(origin.url()), server.auth()}, protocol_version::v0);
  const git_repository empty{scratch / "empty"};
  const auto l = list({server.url(empty.url()), server.auth()});
  BOOST_REQUIRE_MESSAGE(l, text_of(l));
  BOOST_TEST(l->refs->refs.empty());
}

BOOST_FIXTURE_TEST_CASE(the_hosts_key_has_to_be_known, setup) {
  const ssh_server server;
  const auto url = server.url(origin.url());
  auto auth = server.auth();
  const auto all = auth.ssh_known_hosts;
  auth.ssh_known_hosts = all.substr(0, all.find('\n') + 1); // one kind of two
  BOOST_TEST(text_of(list({url, auth})) == "");
  auth.ssh_known_hosts = "git.example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINA+xwBvNKjPHOhFGa5zEdJKZwmM3FRHAKF2kCNzJSc1\n";
  check_refused({url, auth}, ec::auth_rejected, "ssh-keyscan -p " + server.value("port") + " 127.0.0.1");
  auth.ssh_known_hosts = "[127.0.0.1]:" + server.value("port") + " " + contents(server.folder / "ed25519.pub");
  check_refused({url, auth}, ec::auth_rejected, "another key");
  limits.ssh_accept_unknown_hosts = true;
  check_refused({url, auth}, ec::auth_rejected, "another key");
  auth.ssh_known_hosts.clear();
  BOOST_TEST(text_of(list({url, auth})) == "");
  limits.ssh_accept_unknown_hosts = false;
  check_refused({url, auth}, ec::auth_rejected, "known_hosts");
}

BOOST_FIXTURE_TEST_CASE(the_key_has_to_be_accepted, setup) {
  const ssh_server server;
  const remote_endpoint remote{server.url(origin.url()), server.auth("rsa")};
  std::ofstream{server.folder / "authorized_keys", std::ios::trunc} << contents(server.folder / "ed25519.pub");
  check_refused(remote, ec::auth_rejected, "refused for the account " + server.value("user"));
  BOOST_TEST(text_of(list({remote.url, server.auth("ed25519")})) == "");
  auto damaged = server.auth("ed25519");
  damaged.ssh_private_key.replace(damaged.ssh_private_key.size() / 2, 8, "AAAAAAAA");
  check_refused({remote.url, damaged}, ec::auth_rejected, "key");
}

BOOST_FIXTURE_TEST_CASE(what_has_to_be_there, setup) {
  const ssh_server server;
  const auto url = server.url(origin.url());
  check_refused({url, {}}, ec::auth_rejected, "ssh-privatekey");
  auto auth = server.auth();
  auth.proxy.url = "http://127.0.0.1:1";
  check_refused({url, auth}, ec::unsupported, "proxy");
  limits.ssh_client.clear();
  check_refused({url, server.auth()}, ec::unsupported, "openssh-client");
  BOOST_TEST(server.log().find("Accepted") == std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(addresses_are_judged_before_anything_is_sent, setup) {
  const ssh_server server;
  auto auth = server.auth();
  auth.ssh_known_hosts += "[localhost]:" + server.value("port") + " " + contents(server.folder / "host_ed25519.pub");
  BOOST_TEST(text_of(list({server.url(origin.url(), "localhost"), auth})) == "", "an address of the name at which nobody listens is passed over");
  const auto seen = server.connections();
  BOOST_TEST(seen > 0U);
  limits.addresses.denied = {*parse_ip_range("127.0.0.0/8"), *parse_ip_range("::1/128")};
  for (const auto* host : {"127.0.0.1", "127.1", "localhost"}) {
    check_refused({server.url(origin.url(), host), auth}, ec::invalid_spec, "is refused by --deny-cidr");
    BOOST_TEST(list({server.url(origin.url(), host), auth}).error().field == "spec.git.repo");
  }
  limits.addresses.denied.pop_back();
  BOOST_TEST(!list({server.url(origin.url(), "localhost"), auth}), "the rest is tried, where nobody listens");
  BOOST_TEST(server.connections() == seen);
}

BOOST_FIXTURE_TEST_CASE(servers_that_are_not_there, setup) {
  const ssh_server server;
  const closed_port nobody;
  check_refused({"ssh://git@127.0.0.1:" + std::to_string(nobody.number()) + "/x", server.auth()}, ec::unreachable, "no connection");
  check_refused({"ssh://git@nobody.invalid/x", server.auth()}, ec::unreachable, "resolved");
}

BOOST_FIXTURE_TEST_CASE(a_server_that_says_nothing, setup) {
  const ssh_server server;
  const closed_port port;
  const int listening = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port.number()));
  BOOST_REQUIRE(::setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0);
  BOOST_REQUIRE(::bind(listening, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  BOOST_REQUIRE(::listen(listening, 16) == 0);
  const remote_endpoint remote{"ssh://git@127.0.0.1:" + std::to_string(port.number()) + "/x", server.auth()};
  limits.connect_timeout = std::chrono::seconds{1};
  check_refused(remote, ec::timed_out, "said nothing");
  limits.connect_timeout = std::chrono::minutes{10};
  cancel.deadline = clock::now() + std::chrono::seconds{1};
  check_refused(remote, ec::timed_out, "deadline");
  cancel.deadline = clock::time_point::max();
  std::thread stopper{[this] {
    std::this_thread::sleep_for(std::chrono::milliseconds{300});
    cancel.stop = true;
  }};
  check_refused(remote, ec::cancelled, "cancelled");
  stopper.join();
  ::close(listening);
}

BOOST_FIXTURE_TEST_CASE(what_is_no_repository, setup) {
  const ssh_server server;
  check_refused({server.url((scratch / "absent").string()), server.auth()}, ec::not_found, "no such repository");
  struct row {
    const char* command;
    ec code;
    const char* part;
  };
  const row rows[] = {{"exit 127", ec::unsupported, "no git-upload-pack"},
                      {"exit 0", ec::unavailable, "ended before"},
                      {"exit 255", ec::unavailable, "ended before"},
                      {"echo Welcome, stranger", ec::unsupported, "not git's protocol"},
                      {"echo 'Permission denied (publickey).' >&2; exit 1", ec::auth_rejected, "does not allow"},
                      {"printf 0011version; exit 1", ec::unavailable, "reported an error"}};
  for (const auto& r : rows)
    BOOST_TEST_CONTEXT(r.command) {
      server.force("ed25519", r.command);
      check_refused({server.url(origin.url()), server.auth()}, r.code, r.part);
    }
}

BOOST_FIXTURE_TEST_CASE(servers_that_never_end, setup) {
  const ssh_server server;
  const remote_endpoint remote{server.url(origin.url()), server.auth()};
  limits.low_speed_time = std::chrono::seconds{1};
  server.force("ed25519", "yes >&2");
  check_refused(remote, ec::timed_out, "sends nothing");
  limits.low_speed_time = std::chrono::seconds{30};
  server.force("ed25519", "printf '000eversion 2\\n'; while :; do printf 000aabcdef; done");
  check_refused(remote, ec::unsupported, "too many capabilities");
  limits.max_listing_bytes = 10'000;
  server.force("ed25519", "printf 'fff0version'; yes");
  check_refused(remote, ec::too_large, "remove refs that are not needed");
  limits.low_speed_time = std::chrono::seconds{3};
  server.force("ed25519", "printf '000eversion 2\\n000cls-refs\\n0000'; exec cat > /dev/null");
  check_refused(remote, ec::timed_out, "sends nothing");
}

BOOST_FIXTURE_TEST_CASE(paths_arrive_as_they_are_written, setup) {
  const ssh_server server;
  const git_repository odd{scratch / "$(touch x) `y` !z"};
  odd.commit("f", "1");
  std::string path;
  for (const char c : odd.url()) path += c == ' ' ? "%20" : c == '`' ? "%60" : std::string{c};
  const auto l = list({server.url(path), server.auth()});
  BOOST_REQUIRE_MESSAGE(l, text_of(l));
  BOOST_TEST(l->refs->refs.size() == 1U);
  const auto asked = scratch / "asked";
  server.force("ed25519", "printenv SSH_ORIGINAL_COMMAND GIT_PROTOCOL > '" + asked.string() + "'");
  BOOST_TEST(!list({server.url("/~/org/it's!.git"), server.auth()}));
  BOOST_TEST(contents(asked) == "git-upload-pack 'org/it'\\''s'\\!'.git'\nversion=2\n");
}

BOOST_FIXTURE_TEST_CASE(the_client_sees_nothing_of_ours, setup) {
  const ssh_server server;
  const auto seen = scratch / "seen", program = scratch / "curious";
  std::ofstream{program} << "#!/bin/sh\n{ env; ls -l /proc/$$/fd; echo \"$@\"; } > '" << seen.string() << "'\nexec /usr/bin/ssh \"$@\"\n";
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  limits.ssh_client = program.string();
  ::setenv("VERANDA_TEST_SECRET", "hunter2", 1);
  const std::ofstream leaked{scratch / "open-file"};
  const auto l = list({server.url(origin.url()), server.auth()});
  ::unsetenv("VERANDA_TEST_SECRET");
  BOOST_TEST(text_of(l) == "");
  const auto text = contents(seen);
  BOOST_TEST(text.find("LC_ALL=C") != std::string::npos);
  for (const auto* absent : {"hunter2", "open-file", "SSH_AUTH_SOCK", "PRIVATE KEY"}) BOOST_TEST(text.find(absent) == std::string::npos, absent);
}

BOOST_FIXTURE_TEST_CASE(a_client_that_does_not_end_when_all_was_said_is_not_waited_for, setup) {
  const auto client = scratch / "ssh";
  std::ofstream{client} << "#!/bin/sh\nGIT_PROTOCOL=version=2 git -c safe.directory='*' upload-pack '" << origin.url() << "'\nexec sleep 60\n";
  std::filesystem::permissions(client, std::filesystem::perms::owner_all);
  limits.ssh_client = client.string();
  credentials auth;
  auth.ssh_private_key = auth.ssh_known_hosts = "the client looks at none of them";
  const auto began = clock::now();
  const auto l = list({"ssh://git@127.0.0.1/r", auth});
  const auto took = clock::now() - began;
  BOOST_REQUIRE_MESSAGE(l, text_of(l));
  BOOST_TEST(l->refs->refs.size() == 1U);
  BOOST_TEST((took >= std::chrono::seconds{2}), "it may say farewell");
  BOOST_TEST((took < std::chrono::seconds{30}));
}
