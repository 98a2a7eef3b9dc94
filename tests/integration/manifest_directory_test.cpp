// links: veranda_adapter_source nlohmann_json::nlohmann_json
#define BOOST_TEST_MODULE manifest_directory
#include "adapters/source/manifest_directory.hpp"
#include "tests/support/temporary_directory.hpp"

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include <thread>

#include <sys/stat.h>

using namespace veranda;
using namespace veranda::source;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

std::string repository(const std::string& name, const std::string& url = "https://example.com/a", const std::string& branch = "main") {
  return "apiVersion: config.porch.kpt.dev/v1alpha1\nkind: Repository\nmetadata: {name: " + name + "}\nspec: {type: git, git: {repo: " + url + ", branch: '" +
         branch + "'}}\n";
}

using lines = std::vector<std::string>;

lines names(const manifest_state& s) {
  lines out;
  for (const auto& o : s.objects)
    out.push_back(o.file + ":" + o.key.name);
  return out;
}

std::string problems(const manifest_state& s) {
  std::string out;
  for (const auto& p : s.problems)
    out += describe(p) + "\n";
  return out;
}

std::string field(const manifest_state& s, const std::string& name, const char* key) {
  for (const auto& o : s.objects)
    if (o.key.name == name)
      return nlohmann::json::parse(o.json)["spec"]["git"][key];
  return {};
}

struct fixture {
  test::temporary_directory dir;
  std::unique_ptr<manifest_directory> followed = open_manifest_directory(dir.path(), {}, "key");

  /// Follows until what is there is `expected`; the last state.
  manifest_state until(const lines& expected) {
    manifest_state state = followed->scan();
    for (const auto deadline = std::chrono::steady_clock::now() + 60s; names(state) != expected && std::chrono::steady_clock::now() < deadline;)
      if (followed->wait(250ms))
        state = followed->scan();
    BOOST_TEST(names(state) == expected, boost::test_tools::per_element());
    return state;
  }
  /// Follows anew with more patience than a busy machine keeps a writer waiting for.
  void be_patient() {
    manifest_limits limits;
    limits.settle_time = 300ms;
    limits.longest_settling = 60s;
    followed = open_manifest_directory(dir.path(), limits, "key");
  }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(s, fixture)

BOOST_AUTO_TEST_CASE(files_come_change_and_go) {
  BOOST_TEST(followed->wait(0ms)); // never scanned
  until({});
  dir.write("a.yaml", repository("a"));
  until({"a.yaml:a"});
  BOOST_TEST(!followed->wait(0ms));
  dir.write("b.json", R"({"apiVersion":"config.porch.kpt.dev/v1alpha1","kind":"Repository","metadata":{"name":"b"},"spec":{"type":"git","git":{"repo":"x"}}})");
  dir.write("c.yml", repository("c1") + "---\n" + repository("c2"));
  auto state = until({"a.yaml:a", "b.json:b", "c.yml:c1", "c.yml:c2"});
  BOOST_TEST(problems(state) == "");
  dir.write("a.yaml", repository("a", "https://example.com/new"));
  BOOST_TEST(followed->wait(60s));
  BOOST_TEST(field(followed->scan(), "a", "repo") == "https://example.com/new");
  dir.write("new", repository("a", "https://example.com/renamed"));
  fs::rename(dir / "new", dir / "a.yaml");
  BOOST_TEST(followed->wait(60s));
  BOOST_TEST(field(followed->scan(), "a", "repo") == "https://example.com/renamed");
  dir.write("c.yml", repository("c2"));
  until({"a.yaml:a", "b.json:b", "c.yml:c2"});
  fs::remove(dir / "a.yaml");
  fs::rename(dir / "b.json", dir / "b2.json");
  until({"b2.json:b", "c.yml:c2"});
}

BOOST_AUTO_TEST_CASE(what_is_no_manifest_is_ignored) {
  for (const char* name : {".a.yaml.swp", ".hidden.yaml", "a.yaml~", "#a.yaml#", "4913", "readme.md", "a.yaml.bak", "\xFF.yaml", "a\nb.yaml"})
    dir.write(name, repository("x"));
  fs::create_directory(dir / "sub.yaml");
  const auto state = until({});
  BOOST_TEST(problems(state) == "");
}

BOOST_AUTO_TEST_CASE(a_broken_file_keeps_what_it_said) {
  dir.write("a.yaml", repository("a1") + "---\n" + repository("a2"));
  dir.write("b.yaml", repository("b"));
  until({"a.yaml:a1", "a.yaml:a2", "b.yaml:b"});
  dir.write("a.yaml", "a: [b, c\nd: \"e");
  BOOST_TEST(followed->wait(60s));
  auto state = followed->scan();
  BOOST_TEST(names(state) == (lines{"a.yaml:a1", "a.yaml:a2", "b.yaml:b"}), boost::test_tools::per_element());
  BOOST_TEST(state.unreadable_files == lines{"a.yaml"}, boost::test_tools::per_element());
  BOOST_TEST(problems(state).starts_with("a.yaml: document 1: is not valid YAML"));
  dir.write("a.yaml", repository("a1") + "---\nmetadata: [\n---\n" + repository("a3"));
  state = until({"a.yaml:a1", "a.yaml:a2", "a.yaml:a3", "b.yaml:b"});
  BOOST_TEST(problems(state).starts_with("a.yaml: document 2: "));
  dir.write("a.yaml", repository("a3"));
  state = until({"a.yaml:a3", "b.yaml:b"});
  BOOST_TEST(problems(state) == "");
  BOOST_TEST(state.unreadable_files.empty());
}

BOOST_AUTO_TEST_CASE(an_invalid_object_keeps_its_last_good_version) {
  dir.write("a.yaml", repository("a", "https://example.com/a", "good"));
  until({"a.yaml:a"});
  dir.write("a.yaml", repository("a", "https://example.com/b", "not good"));
  BOOST_TEST(followed->wait(60s));
  auto state = followed->scan();
  BOOST_TEST(field(state, "a", "branch") == "good");
  BOOST_TEST(state.objects.at(0).valid);
  BOOST_TEST(problems(state) == "a.yaml: document 1: Repository default/a: spec.git.branch: \"not good\": must be a valid git branch name\n");
  dir.write("a.yaml", repository("a", "https://example.com/b", "better"));
  BOOST_TEST(followed->wait(60s));
  state = followed->scan();
  BOOST_TEST(field(state, "a", "branch") == "better");
  BOOST_TEST(problems(state) == "");
}

BOOST_AUTO_TEST_CASE(waiting_ends_when_interrupted) {
  until({});
  const auto began = std::chrono::steady_clock::now();
  std::thread other{[&] { followed->interrupt(); }};
  BOOST_TEST(!followed->wait(1min));
  other.join();
  BOOST_TEST(!followed->wait(1min)); // and so do all later ones
  BOOST_TEST((std::chrono::steady_clock::now() - began < 1min));
}

BOOST_AUTO_TEST_CASE(an_object_that_was_never_valid_is_passed_on) {
  dir.write("a.yaml", repository("a", "https://example.com/b", "not good"));
  const auto state = until({"a.yaml:a"});
  BOOST_TEST(!state.objects.at(0).valid);
  BOOST_TEST(!state.problems.empty());
}

BOOST_AUTO_TEST_CASE(files_with_secrets_that_others_can_read_are_named) {
  using exposed = std::vector<std::string>;
  const auto now = [&] {
    exposed out;
    for (const auto& [file, changed] : followed->scan().exposed_files)
      out.push_back(file);
    return out;
  };
  const std::string text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {username: a, password: b}\n";
  for (const auto* name : {"open.yaml", "closed.yaml", "group.yaml"})
    dir.write(name, text);
  dir.write("no-secret.yaml", repository("r"));
  for (const auto& [name, mode] : {std::pair{"open.yaml", 0644U}, {"closed.yaml", 0600U}, {"group.yaml", 0640U}, {"no-secret.yaml", 0644U}})
    BOOST_REQUIRE(::chmod((dir / name).c_str(), mode) == 0);
  BOOST_TEST(now() == exposed{}, boost::test_tools::per_element()); // nobody else gets into the directory
  BOOST_REQUIRE(::chmod(dir.path().c_str(), 0711) == 0);
  followed = open_manifest_directory(dir.path(), {}, "key");
  BOOST_TEST(now() == exposed{"open.yaml"}, boost::test_tools::per_element());
  const auto before = followed->scan().exposed_files;
  BOOST_TEST((followed->scan().exposed_files == before));
  dir.write("open.yaml", text + "# changed\n");
  BOOST_TEST((followed->scan().exposed_files != before));
  BOOST_TEST(now() == exposed{"open.yaml"}, boost::test_tools::per_element());
  BOOST_REQUIRE(::chmod((dir / "open.yaml").c_str(), 0600) == 0);
  BOOST_TEST(now() == exposed{}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(the_first_file_has_the_object) {
  dir.write("a.yaml", repository("x", "https://example.com/first"));
  dir.write("b.yaml", repository("x", "https://example.com/second"));
  const auto state = until({"a.yaml:x"});
  BOOST_TEST(problems(state) == "b.yaml: document 1: Repository default/x: metadata.name: \"x\": is given before, in a.yaml (document 1), which counts\n");
  fs::remove(dir / "a.yaml");
  BOOST_TEST(problems(until({"b.yaml:x"})) == "");
}

BOOST_AUTO_TEST_CASE(a_file_is_read_when_its_writer_rests) {
  be_patient();
  dir.write("a.yaml", repository("a"));
  until({"a.yaml:a"});
  std::jthread writer{[this] { // truncates, then writes on slowly
    std::ofstream out{dir / "a.yaml", std::ios::trunc};
    const std::string text = repository("a") + "---\n" + repository("b");
    for (const char c : text) {
      out << c << std::flush;
      std::this_thread::sleep_for(1ms);
    }
  }};
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  for (manifest_state state; names(state) != lines{"a.yaml:a", "a.yaml:b"};) {
    BOOST_REQUIRE((std::chrono::steady_clock::now() < deadline));
    BOOST_REQUIRE(followed->wait(60s));
    state = followed->scan();
    BOOST_TEST(names(state).at(0) == "a.yaml:a");
  }
}

BOOST_AUTO_TEST_CASE(an_editor_moves_a_file_aside) {
  be_patient();
  dir.write("a.yaml", repository("a"));
  until({"a.yaml:a"});
  std::jthread editor{[this] {
    for (int i = 0; i < 10; ++i) {
      fs::rename(dir / "a.yaml", dir / "a.yaml~");
      std::this_thread::sleep_for(5ms);
      dir.write("a.yaml", repository("a", "https://example.com/" + std::to_string(i)));
      std::this_thread::sleep_for(400ms); // longer than it takes to settle
    }
  }};
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  for (manifest_state state; field(state, "a", "repo") != "https://example.com/9";) {
    BOOST_REQUIRE((std::chrono::steady_clock::now() < deadline));
    static_cast<void>(followed->wait(100ms));
    state = followed->scan();
    BOOST_REQUIRE(names(state) == lines{"a.yaml:a"});
  }
}

BOOST_AUTO_TEST_CASE(mounted_config_maps_swap_all_files_at_once) {
  const auto generation = [&](const std::string& name, const std::string& url) {
    fs::create_directory(dir / name);
    dir.write(name + "/a.yaml", repository("a", url));
    dir.write(name + "/b.yaml", repository("b", url));
    fs::create_directory_symlink(name, dir / "..data_tmp");
    fs::rename(dir / "..data_tmp", dir / "..data");
  };
  generation("..2026_1", "https://example.com/1");
  for (const char* name : {"a.yaml", "b.yaml"})
    fs::create_symlink(std::string{"..data/"} + name, dir / name);
  until({"a.yaml:a", "b.yaml:b"});
  generation("..2026_2", "https://example.com/2");
  fs::remove_all(dir / "..2026_1");
  BOOST_TEST(followed->wait(60s));
  const auto state = followed->scan();
  BOOST_TEST(field(state, "a", "repo") == "https://example.com/2");
  BOOST_TEST(field(state, "b", "repo") == "https://example.com/2");
}

BOOST_AUTO_TEST_CASE(a_change_behind_a_link_is_found_without_an_event) {
  test::temporary_directory elsewhere;
  elsewhere.write("real.yaml", repository("a"));
  fs::create_symlink(elsewhere / "real.yaml", dir / "a.yaml");
  until({"a.yaml:a"});
  elsewhere.write("real.yaml", repository("b"));
  until({"a.yaml:b"});
}

BOOST_AUTO_TEST_CASE(a_directory_that_goes_and_comes_back) {
  const auto path = dir / "m";
  followed = open_manifest_directory(path, {}, "key");
  auto state = followed->scan();
  BOOST_TEST(state.directory_missing);
  BOOST_TEST(state.problems.size() == 1U);
  fs::create_directory(path);
  dir.write("m/a.yaml", repository("a"));
  state = until({"a.yaml:a"});
  BOOST_TEST(!state.directory_missing);
  fs::rename(path, dir / "away");
  BOOST_TEST(followed->wait(60s));
  state = followed->scan();
  BOOST_TEST(state.directory_missing);
  BOOST_TEST(names(state) == lines{"a.yaml:a"}, boost::test_tools::per_element());
  fs::create_directory(path);
  dir.write("m/b.yaml", repository("b"));
  until({"b.yaml:b"});
  dir.write("m/c.yaml", repository("c"));
  until({"b.yaml:b", "c.yaml:c"});
}

BOOST_AUTO_TEST_CASE(hostile_files_are_bounded_and_harm_no_other) {
  manifest_limits limits;
  limits.max_file_bytes = 1U << 20U;
  followed = open_manifest_directory(dir.path(), limits, "key");
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 30; ++i) {
    const auto last = std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + last + ", *a" + last + ", *a" + last + "]\n";
  }
  dir.write("bomb.yaml", laughs);
  dir.write("deep.yaml", std::string(900'000, '['));
  dir.write("large.yaml", std::string((1U << 20U) + 1, '#'));
  dir.write("nul.yaml", std::string(10, '\0'));
  BOOST_REQUIRE(::mkfifo((dir / "pipe.yaml").c_str(), 0600) == 0);
  fs::create_symlink("nowhere", dir / "dangling.yaml");
  fs::create_symlink("/dev/zero", dir / "zero.yaml");
  dir.write("good.yaml", repository("good"));
  const auto state = until({"good.yaml:good"});
  BOOST_TEST(state.unreadable_files == (lines{"bomb.yaml", "dangling.yaml", "deep.yaml", "large.yaml", "nul.yaml", "pipe.yaml", "zero.yaml"}),
             boost::test_tools::per_element());
  BOOST_TEST(state.problems.size() == 7U);
  BOOST_TEST(!followed->wait(1500ms)); // and none of them keeps us busy
}

BOOST_AUTO_TEST_CASE(too_many_files) {
  manifest_limits limits;
  limits.max_files = 2;
  followed = open_manifest_directory(dir.path(), limits, "key");
  for (const char* name : {"a", "b"})
    dir.write(std::string{name} + ".yaml", repository(name));
  until({"a.yaml:a", "b.yaml:b"});
  dir.write("c.yaml", repository("c"));
  BOOST_TEST(followed->wait(60s));
  const auto state = followed->scan();
  BOOST_TEST(state.incomplete);
  BOOST_TEST(names(state).size() >= 2U);
}

BOOST_AUTO_TEST_CASE(a_thousand_files) {
  for (int i = 0; i < 1000; ++i)
    dir.write("r" + std::to_string(i) + ".yaml", repository("r" + std::to_string(i)));
  const auto began = std::chrono::steady_clock::now();
  auto state = followed->scan();
  const auto first = std::chrono::steady_clock::now() - began;
  BOOST_TEST(state.objects.size() == 1000U);
  dir.write("r500.yaml", repository("changed"));
  BOOST_TEST(followed->wait(60s));
  const auto again = std::chrono::steady_clock::now();
  state = followed->scan();
  const auto second = std::chrono::steady_clock::now() - again;
  BOOST_TEST(field(state, "changed", "repo") == "https://example.com/a");
  BOOST_TEST(state.objects.size() == 1000U);
  BOOST_TEST_MESSAGE("1,000 files: " << first / 1us << " us, one changed: " << second / 1us << " us");
}

BOOST_AUTO_TEST_SUITE_END()
