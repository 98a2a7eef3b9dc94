// links: veranda_adapter_git veranda_adapter_process veranda_model
#define BOOST_TEST_MODULE git_ssh
#include "adapters/git/exchange.hpp"
#include "adapters/git/git_remote.hpp"
#include "adapters/git/ssh_client.hpp"
#include "adapters/process/find_program.hpp"
#include "adapters/process/memory_file.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iterator>
#include <sys/stat.h>

using namespace veranda;
using namespace veranda::git;

namespace {

git_url parsed(std::string_view text) {
  auto url = parse_git_url(text);
  BOOST_REQUIRE_MESSAGE(url, text);
  return *url;
}

std::string packet(std::string_view payload) {
  std::string out;
  append_packet(out, payload);
  return out;
}

const ref_prefixes all;

bool has(const std::vector<std::string>& words, const std::string& word) { return std::find(words.begin(), words.end(), word) != words.end(); }

} // namespace

BOOST_AUTO_TEST_CASE(urls_of_ssh_and_git) {
  struct row {
    const char* given;
    const char* canonical; ///< empty: refused
    const char* path;      ///< as the other side is given it
  };
  const row rows[] = {{"ssh://git@Example.com:22/org/x.git/", "ssh://git@example.com/org/x.git", "/org/x.git"},
                      {"ssh://example.com/x", "ssh://example.com/x", "/x"},
                      {"SSH://git@[2001:DB8::1]:2222/x", "ssh://git@[2001:db8::1]:2222/x", "/x"},
                      {"ssh://git@example.com/~/x.git", "ssh://git@example.com/~/x.git", "x.git"},
                      {"ssh://git@example.com/~ann/x.git", "ssh://git@example.com/~ann/x.git", "~ann/x.git"},
                      {"ssh://git@example.com/a%20b/%27", "ssh://git@example.com/a%20b/%27", "/a b/'"},
                      {"git@example.com:org/x.git", "ssh://git@example.com/~/org/x.git", "org/x.git"},
                      {"git@example.com:/srv/x.git", "ssh://git@example.com/srv/x.git", "/srv/x.git"},
                      {"git@example.com:~/x.git", "ssh://git@example.com/~/x.git", "x.git"},
                      {"git@example.com:~ann/x.git", "ssh://git@example.com/~ann/x.git", "~ann/x.git"},
                      {"git@example.com:a%20b", "ssh://git@example.com/~/a%2520b", "a%20b"},
                      {"example.com:x", "ssh://example.com/~/x", "x"},
                      {"git@[2001:DB8::1]:x", "ssh://git@[2001:db8::1]/~/x", "x"},
                      {"[::1]:x", "ssh://[::1]/~/x", "x"},
                      {"git@example.com:a@b/x", "ssh://git@example.com/~/a@b/x", "a@b/x"},
                      {"ssh://a.b_c+d-e@example.com/x", "ssh://a.b_c+d-e@example.com/x", "/x"},
                      {"git://Example.com:9418/x", "git://example.com/x", "/x"},
                      {"git://example.com:1/~/x", "git://example.com:1/~/x", "/~/x"},
                      {"ssh://-oProxyCommand=x/y", "", ""},
                      {"ssh://-oProxyCommand@example.com/y", "", ""},
                      {"ssh://git@-oProxyCommand=x/y", "", ""},
                      {"-oProxyCommand=x:y", "", ""},
                      {"git@-oProxyCommand:y", "", ""},
                      {"-oProxyCommand@example.com:y", "", ""},
                      {"git@example.com:-oProxyCommand=x", "", ""},
                      {"ssh://git@example.com/~/-upload", "", ""},
                      {"ssh://git@example.com/%7E/-upload", "", ""},
                      {"ssh://git@example.com/~/%2Dupload", "", ""},
                      {"ssh://git:pw@example.com/x", "", ""},
                      {"ann:pw@example.com:x", "", ""},
                      {"ssh://$(id)@example.com/x", "", ""},
                      {"ssh://a%20b@example.com/x", "", ""},
                      {"ssh://a=b@example.com/x", "", ""},
                      {"ssh://@example.com/x", "", ""},
                      {"ssh://example.com", "", ""},
                      {"ssh://example.com/", "", ""},
                      {"ssh://example.com/~", "", ""},
                      {"ssh://example.com/~/", "", ""},
                      {"git@example.com:", "", ""},
                      {"ssh://example.com/a%0Ab", "", ""},
                      {"ssh://example.com/a%00b", "", ""},
                      {"ssh://example.com/a%7Fb", "", ""},
                      {"ssh://example.com/a%zz", "", ""},
                      {"ssh://example.com:0/x", "", ""},
                      {"git://user@example.com/x", "", ""},
                      {"git://example.com", "", ""},
                      {"git@[::1:x", "", ""},
                      {"ext::sh -c x", "", ""}};
  for (const auto& r : rows) {
    BOOST_TEST_CONTEXT(r.given) {
      const auto c = canonical_url(r.given, true);
      BOOST_TEST((c ? *c : std::string{}) == r.canonical);
      if (!c) {
        BOOST_TEST((c.error().code == ec::invalid_spec));
        BOOST_TEST(c.error().what.find("pw") == std::string::npos);
        continue;
      }
      BOOST_TEST(*canonical_url(*c, false) == *c);
      BOOST_TEST(parsed(*c).remote_path() == r.path);
      BOOST_TEST(!is_http(*c));
      BOOST_TEST(!is_local(*c));
    }
  }
  BOOST_TEST(is_http("https://example.com/x"));
  BOOST_TEST(!is_http("/srv/x"));
}

BOOST_AUTO_TEST_CASE(the_clients_arguments) {
  const auto address = *parse_ip("2001:db8::7");
  const auto words = ssh_arguments({"/usr/bin/ssh", address, parsed("ssh://ann@git.example.org:2222/srv/it's!.git"), "/proc/1/fd/7", "/proc/1/fd/8", "/proc/1/fd/9", std::chrono::milliseconds{1'001}});
  BOOST_TEST(words.front() == "/usr/bin/ssh");
  for (const auto* word : {"BatchMode=yes", "IdentitiesOnly=yes", "IdentityAgent=none", "IdentityFile=/proc/1/fd/7", "StrictHostKeyChecking=yes", "UserKnownHostsFile=/proc/1/fd/8", "GlobalKnownHostsFile=/dev/null",
                           "HostKeyAlias=[git.example.org]:2222", "User=ann", "Port=2222", "ConnectTimeout=2", "ProxyCommand=none", "ProxyJump=none", "ControlMaster=no", "ForwardAgent=no", "ClearAllForwardings=yes",
                           "PasswordAuthentication=no", "PermitLocalCommand=no", "SetEnv=GIT_PROTOCOL=version=2", "LogLevel=ERROR"})
    BOOST_TEST(has(words, word), word);
  BOOST_REQUIRE(words.size() > 9U);
  BOOST_TEST((std::vector<std::string>(words.begin() + 1, words.begin() + 5) == std::vector<std::string>{"-F", "none", "-E", "/proc/1/fd/9"}));
  BOOST_TEST((std::vector<std::string>(words.end() - 3, words.end()) == std::vector<std::string>{"--", "2001:db8::7", R"(git-upload-pack '/srv/it'\''s'\!'.git')"}));
  const auto open = ssh_arguments({"/usr/bin/ssh", address, parsed("git.example.org:x"), "k", {}, "l"});
  for (const auto* word : {"StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "HostKeyAlias=git.example.org", "User=git", "Port=22", "ConnectTimeout=10"}) BOOST_TEST(has(open, word), word);
  BOOST_TEST(open.back() == "git-upload-pack 'x'");
}

BOOST_AUTO_TEST_CASE(what_the_client_says_of_its_failure) {
  const auto url = parsed("ssh://ann@git.example.org:2222/x");
  const remote_label remote{url.label(), true};
  struct row {
    std::string_view log;
    ec code;
    std::string_view part; ///< of the text
  };
  const row rows[] = {
    {"ssh: connect to host 10.0.0.1 port 2222: Connection refused\r\n", ec::unreachable, "no connection"},
    {"ssh: connect to host 10.0.0.1 port 2222: No route to host\r\n", ec::unreachable, "no connection"},
    {"ssh: connect to host 10.0.0.1 port 2222: Connection timed out\r\n", ec::timed_out, "within the time"},
    {"Connection timed out during banner exchange\r\nConnection to 10.0.0.1 port 2222 timed out\r\n", ec::timed_out, "said nothing"},
    {"Timeout, server 10.0.0.1 not responding.\r\n", ec::timed_out, "stopped answering"},
    {"kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 10.0.0.1 port 2222\r\n", ec::unavailable, "before it said who it is"},
    {"ann@10.0.0.1: Permission denied (publickey,password).\r\n", ec::auth_rejected, "refused for the account ann"},
    {"Load key \"/proc/1/fd/7\": error in libcrypto\r\nann@10.0.0.1: Permission denied (publickey).\r\n", ec::auth_rejected, "cannot be read"},
    {"No ED25519 host key is known for [git.example.org]:2222 and you have requested strict checking.\r\nHost key verification failed.\r\n", ec::auth_rejected, "`ssh-keyscan -p 2222 git.example.org`"},
    {"@@@@@\r\nOffending ED25519 key in /proc/1/fd/8:1\r\nHost key for [git.example.org]:2222 has changed and you have requested strict checking.\r\nHost key verification failed.\r\n", ec::auth_rejected,
     "another key"},
    {"Host key verification failed.\r\n", ec::auth_rejected, "could not be verified"},
    {"Unable to negotiate with 10.0.0.1 port 2222: no matching host key type found. Their offer: ssh-dss\r\n", ec::unsupported, "no algorithm"},
    {"No user exists for uid 4711\r\n", ec::unsupported, "/etc/passwd"},
    {"command-line: line 0: Bad configuration option: setenv\r\n", ec::unsupported, "too old"},
    {"", ec::unavailable, "ended before"},
    {"\r\n\r\n", ec::unavailable, "ended before"},
    {"something\x1b[31m new\r\nmore\r\n", ec::unavailable, "something?[31m new"},
    // what the other side can make it say is no cause
    {"Received disconnect from 10.0.0.1 port 2222:2: ann@10.0.0.1: Permission denied (publickey)\r\n", ec::unavailable, "Received disconnect"},
    {"Unknown: Host key verification failed.\r\n", ec::unavailable, "failed"},
  };
  for (const auto& r : rows) {
    const auto f = from_ssh_log(r.log, url, remote);
    BOOST_TEST((f.code == r.code), r.log << f.what);
    BOOST_TEST(f.what.starts_with("git.example.org:2222: "), f.what);
    BOOST_TEST(f.what.find(r.part) != std::string::npos, f.what);
    BOOST_TEST(f.what.find("/proc/") == std::string::npos, f.what);
    BOOST_TEST(f.what.find('{') == std::string::npos, f.what);
    BOOST_TEST(f.what.size() < 400U);
  }
  BOOST_TEST(from_ssh_log(std::string(100'000, 'x'), url, remote).what.size() < 400U);
}

BOOST_AUTO_TEST_CASE(how_the_command_at_the_other_side_failed) {
  const remote_label remote{"git.example.org", true};
  struct row {
    int exit_code;
    std::string_view errors;
    ec code;
  };
  const row rows[] = {{127, "sh: git-upload-pack: command not found\n", ec::unsupported},
                      {128, "fatal: '/x' does not appear to be a git repository\n", ec::not_found},
                      {1, "ERROR: Repository not found.\nfatal: Could not read from remote repository.\n", ec::not_found},
                      {1, "remote: ERROR: The project you were looking for could not be found or you don't have permission to view it.\n", ec::not_found},
                      {1, "FATAL: R any x ann DENIED by fallthru\n", ec::auth_rejected},
                      {1, "", ec::unavailable},
                      {137, "whatever\n", ec::unavailable}};
  for (const auto& r : rows) {
    const auto f = from_remote_exit(r.exit_code, r.errors, remote);
    BOOST_TEST((f.code == r.code), r.errors << f.what);
    BOOST_TEST(f.what.find("DENIED") == std::string::npos, "other people's words are not repeated");
  }
}

BOOST_AUTO_TEST_CASE(names_in_known_hosts) {
  BOOST_TEST(known_host_name(parsed("ssh://example.com/x")) == "example.com");
  BOOST_TEST(known_host_name(parsed("ssh://example.com:2222/x")) == "[example.com]:2222");
  BOOST_TEST(known_host_name(parsed("ssh://[::1]/x")) == "::1");
  BOOST_TEST(known_host_name(parsed("ssh://[::1]:2222/x")) == "[::1]:2222");
}

BOOST_AUTO_TEST_CASE(an_exchange_in_pieces) {
  const std::string v2 = packet("version 2\n") + packet("ls-refs\n") + "0000", v0 = packet(std::string(40, 'a') + " refs/heads/main" + std::string(1, '\0') + "side-band-64k\n") + "0000";
  const std::string answer = packet("one\n") + "0001" + packet("two\n") + "0000";
  for (std::size_t size = 1; size < 40; ++size) {
    const transport_limits limits;
    std::string heard;
    exchange talk{all, limits, [](const advertisement& found) -> result<std::string> { return std::string{found.has("ls-refs") ? "request" : "none"}; },
                  [&](std::string_view bytes) -> result<void> {
                    heard += bytes;
                    return {};
                  }};
    for (std::size_t at = 0; at < v2.size(); at += size) {
      BOOST_TEST(talk.words().text.empty(), "nothing is said before the other side has finished");
      BOOST_TEST(talk.hear(std::string_view{v2}.substr(at, size)).ok());
    }
    BOOST_TEST(talk.words().text == "request");
    BOOST_TEST(!talk.words().ended);
    talk.words().text.clear();
    for (std::size_t at = 0; at < answer.size(); at += size) {
      BOOST_TEST(!talk.complete());
      BOOST_TEST(talk.hear(std::string_view{answer}.substr(at, size)).ok());
    }
    BOOST_TEST(talk.complete());
    BOOST_TEST(heard == answer);
    BOOST_TEST(talk.words().text == "0000");
    BOOST_TEST(talk.words().ended);
    BOOST_TEST(talk.hear("a last word").ok());
    BOOST_TEST(heard == answer);
  }
  const transport_limits limits;
  exchange nothing{all, limits, [](const advertisement& found) -> result<std::string> {
                     BOOST_TEST((found.protocol == protocol_version::v0));
                     return std::string{};
                   },
                   [](std::string_view) -> result<void> { return {}; }};
  BOOST_TEST(nothing.hear(v0).ok());
  BOOST_TEST(nothing.complete());
  BOOST_TEST(nothing.words().text == "0000");
}

BOOST_AUTO_TEST_CASE(exchanges_that_go_wrong) {
  struct row {
    std::string bytes;
    ec code;
  };
  const row rows[] = {{"Welcome to this machine!\n", ec::unsupported},
                      {packet("ERR access denied or repository not exported: /x\n"), ec::auth_rejected},
                      {packet("version 2\n") + "0000" + packet("too early\n"), ec::unsupported},
                      {packet("version 2\n") + packet("object-format=sha256\n") + "0000", ec::unsupported},
                      {packet("version 2\n") + packet("ls-refs=" + std::string(2'000, 'x') + "\n"), ec::too_large}};
  for (const auto& r : rows) {
    transport_limits limits;
    limits.max_listing_bytes = 1'000;
    exchange talk{all, limits, [](const advertisement&) -> result<std::string> { return std::string{"request"}; }, [](std::string_view) -> result<void> { return {}; }};
    const auto heard = talk.hear(r.bytes);
    BOOST_REQUIRE(!heard);
    BOOST_TEST((heard.error().code == r.code), heard.error().what);
    BOOST_TEST(!talk.complete());
  }
}

BOOST_AUTO_TEST_CASE(files_in_memory) {
  std::string path;
  {
    auto file = process::memory_file::make("some text");
    BOOST_REQUIRE(file);
    path = file->path();
    std::ifstream reader{path};
    BOOST_TEST((std::string{std::istreambuf_iterator<char>{reader}, {}}) == "some text");
    struct stat found {};
    BOOST_TEST(::stat(path.c_str(), &found) == 0);
    BOOST_TEST((found.st_mode & 07777U) == 0600U);
    BOOST_TEST(found.st_uid == ::geteuid());
    std::ofstream{path, std::ios::app} << " and more";
    BOOST_TEST(file->read(11) == "some text a");
    BOOST_TEST(file->read(100) == "some text and more");
  }
  BOOST_TEST(!std::ifstream{path}.is_open());
}

BOOST_AUTO_TEST_CASE(programs_by_name) {
  BOOST_TEST(process::find_program("sh", "/nonexistent:/bin") == "/bin/sh");
  BOOST_TEST(process::find_program("sh", "bin:.::/bin") == "/bin/sh", "relative directories are left out");
  BOOST_TEST(process::find_program("no such program", "/bin:/usr/bin") == "");
  BOOST_TEST(process::find_program("passwd", "/etc") == "", "no program");
  BOOST_TEST(process::find_program("etc", "/") == "", "a directory");
  BOOST_TEST(process::find_program("sh", "") == "");
  BOOST_TEST(process::find_program("sh").starts_with("/"));
}
