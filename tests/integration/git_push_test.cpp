// links: veranda_adapter_git veranda_adapter_process veranda_model
#define BOOST_TEST_MODULE git_push
#include "adapters/git/git_remote.hpp"
#include "adapters/process/find_program.hpp"
#include "tests/support/git_http_server.hpp"
#include "tests/support/git_repository.hpp"
#include "tests/support/scripted_server.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::git;
using namespace veranda::test;

namespace {

std::string text_of(const result<void>& r) { return r ? std::string{} : describe(r.error()); }

std::string contents(const std::filesystem::path& file) {
  std::ifstream reader{file};
  return {std::istreambuf_iterator<char>{reader}, {}};
}

struct setup {
  scratch_dir scratch;
  git_repository origin{scratch / "origin"};
  transport_limits limits;
  cancel_token cancel;
  script_server ssh{"ssh_server.py", {}};
  git_http_server http{scratch.path()};
  git_http_server closed{scratch.path(), {"--user", "robot", "--password", "a-secret-of-mine"}};

  setup() {
    origin.git("config http.receivepack true");
    limits.ssh_client = process::find_program("ssh");
    limits.allow_plaintext_credentials = true;
  }
  std::vector<remote_endpoint> ways() const {
    const std::filesystem::path keys{ssh.value("folder")};
    credentials key;
    key.ssh_private_key = contents(keys / "ed25519");
    key.ssh_known_hosts = contents(keys / "known_hosts");
    return {{(origin.dir() / ".git").string(), {}},
            {http.url("origin/.git"), {}},
            {"ssh://" + ssh.value("user") + "@127.0.0.1:" + ssh.value("port") + (origin.dir() / ".git").string(), key}};
  }
  result<void> make(const remote_endpoint& remote, const std::string& name) const { return create_branch(remote, {name, "Ann <x>\n", "ann@example.org"}, limits, cancel); }
  std::string hook(const std::string& script) const {
    const auto file = origin.dir() / ".git" / "hooks" / "pre-receive";
    std::filesystem::create_directories(file.parent_path());
    std::ofstream{file} << "#!/bin/sh\n" << script << '\n';
    shell("chmod +x '" + file.string() + "'");
    return file.string();
  }
};

} // namespace

BOOST_FIXTURE_TEST_CASE(a_branch_is_made_in_an_empty_and_in_a_full_repository, setup) {
  int number = 0;
  for (const bool full : {false, true}) {
    if (full) origin.commit("a/f", "1");
    for (const auto& remote : ways()) {
      const auto name = "made/" + std::to_string(number++);
      const auto before = full ? origin.git("rev-parse main") : "";
      const auto made = make(remote, name);
      BOOST_TEST_REQUIRE(made.ok(), remote.url << ": " << text_of(made));
      BOOST_TEST(origin.git("log --format='%P|%an|%ae|%cn|%s' " + name) == "|Ann x|ann@example.org|Ann x|Initial commit: creating branch " + name);
      BOOST_TEST(origin.git("ls-tree -r --name-only " + name) == "README.md");
      BOOST_TEST(origin.git("show " + name + ":README.md") == "Made by Veranda for the packages of this branch.");
      if (full) BOOST_TEST(origin.git("rev-parse main") == before);
    }
    BOOST_TEST(origin.git("fsck --full --strict --no-dangling") .find("error") == std::string::npos);
  }
}

BOOST_FIXTURE_TEST_CASE(one_that_is_there_is_left_alone, setup) {
  const auto tip = origin.commit("a/f", "1");
  origin.git("branch there");
  for (const auto& remote : ways()) {
    const auto made = make(remote, "there");
    BOOST_TEST_REQUIRE(!made.ok(), remote.url);
    BOOST_TEST((made.error().code == ec::conflict), text_of(made));
    BOOST_TEST(origin.git("rev-parse there") == tip);
  }
}

BOOST_FIXTURE_TEST_CASE(of_two_who_push_at_once_one_makes_it_and_the_other_reads_it, setup) {
  const auto first = origin.commit("a/f", "1");
  hook("unset GIT_QUARANTINE_PATH; git update-ref refs/heads/raced " + first); // somebody is faster, after the refs were told
  for (const auto& remote : ways()) {
    const auto made = make(remote, "raced");
    BOOST_TEST_REQUIRE(!made.ok(), remote.url);
    BOOST_TEST((made.error().code == ec::conflict), text_of(made));
    BOOST_TEST(origin.git("rev-parse raced") == first);
    origin.git("branch -q -D raced");
  }
}

BOOST_FIXTURE_TEST_CASE(a_server_that_refuses_is_told_of_and_not_repeated, setup) {
  origin.commit("a/f", "1");
  hook("echo 'no s3cret \x1b[31m words' >&2; exit 1");
  for (const auto& remote : ways()) {
    const auto made = make(remote, "refused");
    BOOST_TEST_REQUIRE(!made.ok(), remote.url);
    BOOST_TEST((made.error().code == ec::auth_rejected), text_of(made));
    BOOST_TEST(made.error().field == "spec.git.createBranch");
    BOOST_TEST(made.error().what.find("the branch \"refused\" could not be made: the server refused it") != std::string::npos, text_of(made));
    BOOST_TEST(made.error().what.find("s3cret") == std::string::npos);
  }
  std::filesystem::remove(origin.dir() / ".git" / "hooks" / "pre-receive");
  for (const auto& remote : ways()) { // a directory of it is a branch
    const auto made = make(remote, "main/below");
    BOOST_TEST_REQUIRE(!made.ok(), remote.url);
    BOOST_TEST((made.error().code == ec::auth_rejected), text_of(made));
  }
}

BOOST_FIXTURE_TEST_CASE(servers_that_take_no_pushes, setup) {
  origin.commit("a/f", "1");
  origin.git("config http.receivepack false");
  const auto off = make(ways()[1], "new");
  BOOST_TEST_REQUIRE(!off.ok());
  BOOST_TEST((off.error().code == ec::auth_rejected), text_of(off));
  BOOST_TEST(off.error().what.find("pushing to this repository is not allowed (HTTP 403)") != std::string::npos);
  origin.git("config http.receivepack true");
  const auto stranger = make({closed.url("origin/.git"), {}}, "new");
  BOOST_TEST_REQUIRE(!stranger.ok());
  BOOST_TEST((stranger.error().code == ec::auth_rejected), text_of(stranger));
  credentials robot;
  robot.username = "robot";
  robot.password = "a-secret-of-mine";
  const auto known = make({closed.url("origin/.git"), robot}, "new");
  BOOST_TEST(known.ok(), text_of(known));
  BOOST_TEST((make({"git://127.0.0.1/x", {}}, "new").error().code == ec::unsupported));
  BOOST_TEST((make({http.url("absent/.git"), {}}, "new").error().code == ec::not_found));
  const auto elsewhere = make({(scratch / "absent").string(), {}}, "new");
  BOOST_TEST_REQUIRE(!elsewhere.ok());
  BOOST_TEST((elsewhere.error().code == ec::not_found), text_of(elsewhere));
}

BOOST_FIXTURE_TEST_CASE(answers_that_are_none, setup) {
  const auto packet = [](const std::string& text) {
    std::string out;
    append_packet(out, text);
    return out;
  };
  const auto hello = packet("# service=git-receive-pack\n") + "0000" + packet(std::string(40, '0') + " capabilities^{}" + std::string(1, '\0') + "report-status agent=x\n") + "0000";
  struct row {
    std::string hello, report;
    ec expected;
  };
  for (const auto& [first, second, expected] :
       {row{hello, packet("unpack ok\n") + packet("ok refs/heads/other\n") + "0000", ec::unsupported}, row{hello, packet("unpack ok\n"), ec::unavailable}, row{hello, "zzzz", ec::unsupported},
        row{hello, packet("ERR access denied"), ec::auth_rejected}, row{packet("# service=git-upload-pack\n") + "0000", "", ec::unsupported},
        row{packet("# service=git-receive-pack\n") + "0000" + packet("version 2\n") + "0000", "", ec::unsupported}}) {
    const scripted_server server{[&, hello_answer = first, report = second](const std::string& request) {
      const bool get = request.starts_with("GET ");
      return scripted_server::reply("200 OK", get ? "application/x-git-receive-pack-advertisement" : "application/x-git-receive-pack-result", get ? hello_answer : report);
    }};
    const auto made = make({server.url("/r"), {}}, "new");
    BOOST_TEST_REQUIRE(!made.ok());
    BOOST_TEST((made.error().code == expected), text_of(made));
  }
}
