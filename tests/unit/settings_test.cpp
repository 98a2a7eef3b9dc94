// links: veranda_config
#define BOOST_TEST_MODULE settings
#include <boost/test/unit_test.hpp>

#include "config/settings/setting_table.hpp"

#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace veranda;
using namespace veranda::config;
using namespace std::chrono_literals;
using strings = std::vector<std::string>;

namespace {

const strings home{"HOME=/home/somebody"};

/// A file of settings that is gone with the test.
struct settings_file {
  explicit settings_file(const std::string& text)
    : path((std::filesystem::temp_directory_path() / ("veranda-settings-" + std::to_string(getpid()) + "-" + std::to_string(++made) + ".yaml")).string()) {
    std::ofstream(path) << text;
  }
  ~settings_file() { std::filesystem::remove(path); }
  settings_file(const settings_file&) = delete;
  settings_file& operator=(const settings_file&) = delete;
  std::string path;
  static inline int made = 0;
};

/// Problems as people read them, with the path of the file shortened to FILE.
strings problems(const strings& arguments, const strings& environment = home, const std::string& file = {}) {
  strings out;
  for (const auto& p : parse(arguments, environment).problems) {
    auto text = p.object + ": " + p.what;
    for (auto at = file.empty() ? std::string::npos : text.find(file); at != std::string::npos; at = text.find(file)) text.replace(at, file.size(), "FILE");
    BOOST_TEST((p.code == ec::invalid_spec), "class of " << text);
    out.push_back(std::move(text));
  }
  return out;
}

settings valid(const strings& arguments, const strings& environment = home) {
  const auto outcome = parse(arguments, environment);
  for (const auto& p : outcome.problems) BOOST_ERROR(p.object + ": " + p.what);
  return outcome.value;
}

std::string only_problem(const strings& arguments, const strings& environment = home, const std::string& file = {}) {
  const auto all = problems(arguments, environment, file);
  BOOST_TEST_REQUIRE(all.size() == 1U, "one problem, got " << all.size());
  return all.front();
}

} // namespace

BOOST_AUTO_TEST_CASE(defaults) {
  const auto s = valid({});
  BOOST_TEST(s.manifests.empty());
  BOOST_TEST(s.data_dir == "/home/somebody/.local/share/veranda");
  BOOST_TEST(s.token_file.empty(), "the data directory's own");
  BOOST_TEST(s.listen_address == "127.0.0.1");
  BOOST_TEST(s.listen_port == 7878);
  BOOST_TEST((s.repo_sync_frequency == 10min));
  BOOST_TEST((s.health_check_frequency == 1min));
  BOOST_TEST(!s.once);
  BOOST_TEST(s.allow_local);
}

BOOST_AUTO_TEST_CASE(data_directory_follows_the_environment) {
  BOOST_TEST(valid({}, {"HOME=/h", "XDG_DATA_HOME=/x"}).data_dir == "/x/veranda");
  BOOST_TEST(valid({}, {"HOME=/h", "XDG_DATA_HOME=relative"}).data_dir == "/h/.local/share/veranda");
  BOOST_TEST(valid({"--data-dir", "/d", "--token-file=/t"}, {}).token_file == "/t");
  BOOST_TEST(only_problem({}, {}) == "flag --data-dir: not given: must be a directory when neither XDG_DATA_HOME nor HOME is set");
}

BOOST_AUTO_TEST_CASE(every_kind_of_value) {
  const auto s = valid({"--manifests", "m", "--listen=[::1]:0", "--once", "--allow-local=false", "--repo-sync-frequency", "1h30m", "--health-check-frequency=0",
                        "--time-zone", "Europe/Berlin", "--max-pack-bytes=2Gi", "--max-pack-objects=2000", "--max-object-memory=2Gi", "--mirror-max-bytes=3Gi", "--max-resource-bytes", "4096", "--max-sync-bytes=2Mi", "--max-metadata-bytes=3Mi", "--allow-create-branch", "--log-format=json", "--log-level", "debug",
                        "--max-concurrent-syncs", "16"});
  BOOST_TEST(s.manifests == "m");
  BOOST_TEST(s.listen_address == "::1");
  BOOST_TEST(s.listen_port == 0);
  BOOST_TEST(s.once);
  BOOST_TEST(!s.allow_local);
  BOOST_TEST((s.repo_sync_frequency == 90min));
  BOOST_TEST((s.health_check_frequency == 0s));
  BOOST_TEST(s.time_zone == "Europe/Berlin");
  BOOST_TEST(s.max_pack_bytes == 2ULL << 30U);
  BOOST_TEST(s.max_pack_objects == 2000U);
  BOOST_TEST(s.max_object_memory == 2ULL << 30U);
  BOOST_TEST(s.mirror_max_bytes == 3ULL << 30U);
  BOOST_TEST(valid({"--mirror-max-bytes=0"}).mirror_max_bytes == 0U);
  BOOST_TEST(only_problem({"--mirror-max-bytes=1Ki"}) == "flag --mirror-max-bytes: \"1Ki\": must be a number of bytes, with Ki, Mi, Gi or Ti behind it if you like, from 1Mi to 1024Ti, or 0");
  BOOST_TEST(only_problem({"--max-pack-bytes=0"}).ends_with("to 1Ti"), "only where it means something");
  BOOST_TEST(s.max_resource_bytes == 4096U);
  BOOST_TEST(s.max_sync_bytes == 2U << 20U);
  BOOST_TEST(s.max_metadata_bytes == 3U << 20U);
  BOOST_TEST(s.allow_create_branch);
  BOOST_TEST((s.log_format == log_format::json));
  BOOST_TEST(s.log_level == "debug");
  BOOST_TEST(s.max_concurrent_syncs == 16U);
}

BOOST_AUTO_TEST_CASE(a_flag_beats_the_environment_which_beats_the_file) {
  const settings_file file("repo-sync-frequency: 1m\nmax-connections: 7\nlog-level: error\n");
  const auto s = valid({"--config", file.path, "--repo-sync-frequency=3m"}, {"HOME=/h", "VERANDAD_REPO_SYNC_FREQUENCY=2m", "VERANDAD_MAX_CONNECTIONS=8"});
  BOOST_TEST((s.repo_sync_frequency == 3min));
  BOOST_TEST(s.max_connections == 8U);
  BOOST_TEST(s.log_level == "error");
  BOOST_TEST(valid({}, {"HOME=/h", "VERANDAD_CONFIG=" + file.path}).max_connections == 7U);
  BOOST_TEST(valid({"--log-level=warn", "--log-level=debug"}).log_level == "debug", "of equal flags the last counts");
}

BOOST_AUTO_TEST_CASE(listeners) {
  struct row {
    std::string text, address;
    int port;
  };
  for (const auto& [text, address, port] : std::vector<row>{{"127.0.0.1:1", "127.0.0.1", 1}, {"localhost:80", "127.0.0.1", 80}, {"127.9.9.9:65535", "127.9.9.9", 65535}}) {
    const auto s = valid({"--listen", text});
    BOOST_TEST(s.listen_address == address, text);
    BOOST_TEST(s.listen_port == port, text);
  }
  for (const std::string text : {"", "7878", ":7878", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1", "::1:7878", "[::1]", "[127.0.0.1]:1",
                                 "[]:1", "somewhere:1", "127.0.0.1:1 ", "127.0.0.1:000080"}) {
    BOOST_TEST(only_problem({"--listen=" + text}) ==
               "flag --listen: \"" + text + "\": must be an IP address (IPv6 in brackets) or localhost, and a port, such as 127.0.0.1:7878 or [::1]:7878");
  }
}

BOOST_AUTO_TEST_CASE(beyond_loopback_needs_tls) {
  for (const std::string text : {"0.0.0.0:7878", "[::]:7878", "192.0.2.1:7878"}) {
    BOOST_TEST(only_problem({"--listen", text}).ends_with("an address other than loopback must come with tls-certificate and tls-key"), text);
    BOOST_TEST(valid({"--listen", text, "--tls-certificate=c", "--tls-key=k"}).tls_key == "k");
  }
  BOOST_TEST(only_problem({"--tls-key=k"}) == "flag --tls-key: \"k\": must come together with tls-certificate");
  BOOST_TEST(only_problem({}, {"HOME=/h", "VERANDAD_TLS_CERTIFICATE=c"}) == "VERANDAD_TLS_CERTIFICATE: \"c\": must come together with tls-key");
}

BOOST_AUTO_TEST_CASE(on_kubernetes) {
  const auto pod = valid({"--kubernetes"});
  BOOST_TEST(pod.kubernetes);
  BOOST_TEST(pod.namespaces.empty());
  BOOST_TEST(pod.kube_api_qps == 50U);
  BOOST_TEST(pod.kube_api_burst == 100U);
  BOOST_TEST(!pod.allow_local, "local paths are the node's");
  BOOST_TEST(valid({"--kubernetes", "--allow-local"}).allow_local);
  const auto s = valid({"--kubeconfig", "/k", "--context=c", "--namespace=blue", "--namespace", "red,blue", "--selector", "tier in (a,b)", "--kube-api-qps=7", "--kube-api-burst=9",
                        "--finalizer=false", "--namespace-ca-bundle", "--lease-namespace=green"});
  BOOST_TEST(s.kubernetes, "implied by the kubeconfig");
  BOOST_TEST(s.kubeconfig == "/k");
  BOOST_TEST(s.kube_context == "c");
  BOOST_TEST(s.namespaces == (strings{"blue", "red"}), boost::test_tools::per_element());
  BOOST_TEST(s.label_selector == "tier in (a,b)");
  BOOST_TEST(s.kube_api_qps == 7U);
  BOOST_TEST(s.kube_api_burst == 9U);
  BOOST_TEST((pod.finalizer && !s.finalizer));
  BOOST_TEST((!pod.namespace_ca_bundle && s.namespace_ca_bundle));
  BOOST_TEST((pod.lease_namespace.empty() && s.lease_namespace == "green"));
  BOOST_TEST(!valid({}).kubernetes);
}

BOOST_AUTO_TEST_CASE(label_selectors_are_those_that_an_api_server_takes) {
  const std::string longest(63, 'x');
  for (const auto& text : strings{"a", "!a", " a = b ", "a=b,c!=d", "a==b", "a=", "a!=", "a in (b,c)", "a notin (b)", "a in ()", "a in (,b)", "example.org/a_b.c=D-e", "in=in", "a>1", "a<-2",
                                  "a, !b ,c in (d), e", longest + "=" + longest, std::string(253, 'x') + "/a"})
    BOOST_TEST(valid({"--kubernetes", "--selector", text}).label_selector == text);
  for (const auto& text : strings{"===", "=b", "a===b", "a=b,", ",a", "a b", "a=b c", "a in b", "a in (b", "a in (b)) ", "a in(b)c", "!a=b", "a=-", "-a", "a/b/c", "/a", "a/", "A.b/c", "a..b/c", "a=b/c",
                                  "a>x", "a>", longest + "x", "a=" + longest + "x", std::string(254, 'x') + "/a", "a=\x01", "\xc3\xa4=b"})
    BOOST_TEST(only_problem({"--kubernetes", "--selector=" + text}).starts_with("flag --selector: "), text);
  BOOST_TEST(only_problem({"--kubernetes", "--selector", "==="}) == "flag --selector: \"===\": must be a label selector such as tier=edge,team!=blue");
}

BOOST_AUTO_TEST_CASE(namespaces_come_from_files_and_variables_too) {
  const settings_file file("kubernetes: true\nnamespace: [a, b]\n");
  BOOST_TEST(valid({"--config", file.path}).namespaces == (strings{"a", "b"}), boost::test_tools::per_element());
  BOOST_TEST(valid({"--config", file.path}, {"HOME=/h", "VERANDAD_NAMESPACE=c,d"}).namespaces == (strings{"c", "d"}), boost::test_tools::per_element());
  BOOST_TEST(valid({"--config", file.path, "--namespace=e"}, {"HOME=/h", "VERANDAD_NAMESPACE=c"}).namespaces == strings{"e"}, boost::test_tools::per_element());
  const settings_file nested("kubernetes: true\nnamespace: [[a], b]\n");
  BOOST_TEST(only_problem({"--config", nested.path}, home, nested.path) == "FILE:namespace: \"?,b\": must be the name of a namespace, or several with commas");
}

BOOST_AUTO_TEST_CASE(ranges_of_addresses) {
  const auto texts = [](const std::vector<ip_range>& ranges) {
    strings out;
    for (const auto& r : ranges) out.push_back(to_string(r));
    return out;
  };
  BOOST_TEST(valid({}).allow_cidr.empty());
  BOOST_TEST(valid({}).deny_cidr.empty());
  const auto s = valid({"--allow-cidr=10.0.0.0/8", "--allow-cidr", "fd00::/8,10.0.0.0/8", "--deny-cidr=0.0.0.0/0"});
  BOOST_TEST(texts(s.allow_cidr) == (strings{"10.0.0.0/8", "fd00::/8"}), boost::test_tools::per_element());
  BOOST_TEST(texts(s.deny_cidr) == strings{"0.0.0.0/0"}, boost::test_tools::per_element());
  const settings_file file("allow-cidr: [10.0.0.0/8, 127.0.0.0/8]\n");
  BOOST_TEST(texts(valid({"--config", file.path}).allow_cidr) == (strings{"10.0.0.0/8", "127.0.0.0/8"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_one_mode_does_not_know_is_refused) {
  BOOST_TEST(only_problem({"--kubernetes", "--manifests=m"}) == "flag --manifests: has no meaning with kubernetes: objects come from the API server");
  BOOST_TEST(only_problem({"--kubeconfig=k"}, {"HOME=/h", "VERANDAD_MANIFESTS=m"}) == "VERANDAD_MANIFESTS: has no meaning with kubernetes: objects come from the API server");
  BOOST_TEST(only_problem({"--kubernetes", "--allow-manifest-deletion"}) ==
             "flag --allow-manifest-deletion: has no meaning with kubernetes: objects come from the API server");
  for (const std::string flag : {"context=c", "namespace=n", "selector=a=b", "kube-api-qps=1", "kube-api-burst=1", "leader-elect", "lease-name=n", "lease-namespace=n", "finalizer=false", "namespace-ca-bundle",
                                 "watch-secrets"})
    BOOST_TEST(only_problem({"--" + flag}) == "flag --" + flag.substr(0, flag.find('=')) + ": must come together with kubernetes");
  BOOST_TEST(only_problem({"--kubernetes=false", "--kubeconfig=k"}) == "flag --kubeconfig: must come together with kubernetes");
}

BOOST_AUTO_TEST_CASE(an_election_has_its_defaults_and_can_be_told_otherwise) {
  const auto off = valid({"--kubernetes"});
  BOOST_TEST(!off.leader_elect);
  BOOST_TEST(off.lease_name == "veranda");
  BOOST_TEST(off.lease_namespace.empty());
  BOOST_TEST((off.lease_duration == std::chrono::seconds{15} && off.lease_renew_deadline == std::chrono::seconds{10} && off.lease_retry_period == std::chrono::seconds{2}));
  const auto on = valid({"--kubernetes", "--leader-elect", "--lease-name=a.b-c", "--lease-namespace", "house", "--lease-duration=3s", "--lease-renew-deadline=2s", "--lease-retry-period=300ms"});
  BOOST_TEST(on.leader_elect);
  BOOST_TEST(on.lease_name == "a.b-c");
  BOOST_TEST(on.lease_namespace == "house");
  BOOST_TEST((on.lease_duration == std::chrono::seconds{3} && on.lease_renew_deadline == std::chrono::seconds{2} && on.lease_retry_period == std::chrono::milliseconds{300}));
}

BOOST_AUTO_TEST_CASE(an_election_that_could_not_work_is_refused) {
  const auto problem_of = [](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"--kubernetes", "--leader-elect"});
    return only_problem(flags);
  };
  const std::string rule = ": must hold: lease-duration (";
  BOOST_TEST(problem_of({"--lease-duration=10s"}) == "flag --lease-duration" + rule + "10s) is longer than lease-renew-deadline (10s), and that longer than 1.2 times lease-retry-period (2s)");
  BOOST_TEST(problem_of({"--lease-renew-deadline=15s"}) ==
             "flag --lease-renew-deadline" + rule + "15s) is longer than lease-renew-deadline (15s), and that longer than 1.2 times lease-retry-period (2s)");
  BOOST_TEST(problem_of({"--lease-renew-deadline=2400ms"}).starts_with("flag --lease-renew-deadline" + rule));
  BOOST_TEST(problem_of({"--lease-retry-period=9s"}).starts_with("flag --lease-retry-period" + rule));
  BOOST_TEST(valid({"--kubernetes", "--leader-elect", "--lease-renew-deadline=2401ms"}).leader_elect);
  BOOST_TEST(only_problem({"--kubernetes", "--leader-elect", "--once"}) == "flag --leader-elect: has no meaning with once: a single pass waits for nobody");
  for (const std::string flag : {"lease-duration=20s", "lease-renew-deadline=9s", "lease-retry-period=1s"})
    BOOST_TEST(only_problem({"--kubernetes", "--" + flag}) == "flag --" + flag.substr(0, flag.find('=')) + ": must come together with leader-elect");
}

BOOST_AUTO_TEST_CASE(each_rule_is_named) {
  struct row {
    std::string name, bad, rule;
  };
  const std::vector<row> rows{
      {"repo-sync-frequency", "5", "must be a duration such as 90s, 10m or 1h30m, from 1s to 8760h0m0s"},
      {"repo-sync-frequency", "999ms", "must be a duration such as 90s, 10m or 1h30m, from 1s to 8760h0m0s"},
      {"repo-sync-frequency", "0", "must be a duration such as 90s, 10m or 1h30m, from 1s to 8760h0m0s"},
      {"repo-sync-frequency", "-1m", "must be a duration such as 90s, 10m or 1h30m, from 1s to 8760h0m0s"},
      {"health-check-frequency", "1ns", "must be a duration such as 90s, 10m or 1h30m, from 1s to 8760h0m0s, or 0 to turn it off"},
      {"max-concurrent-syncs", "0", "must be a whole number from 1 to 1024"},
      {"max-concurrent-syncs", "1025", "must be a whole number from 1 to 1024"},
      {"max-concurrent-syncs", "4 ", "must be a whole number from 1 to 1024"},
      {"max-concurrent-syncs", "18446744073709551616", "must be a whole number from 1 to 1024"},
      {"max-pack-bytes", "1KB", "must be a number of bytes, with Ki, Mi, Gi or Ti behind it if you like, from 1Mi to 1Ti"},
      {"max-pack-bytes", "16777216Ti", "must be a number of bytes, with Ki, Mi, Gi or Ti behind it if you like, from 1Mi to 1Ti"},
      {"time-zone", "Mars/Olympus", "must be the name of a zone of the tz database, such as UTC or Europe/Berlin"},
      {"time-zone", "../../etc/localtime", "must be the name of a zone of the tz database, such as UTC or Europe/Berlin"},
      {"log-format", "xml", "must be one of text, json"},
      {"log-level", "loud", "must be one of trace, debug, info, warn, error"},
      {"allow-local", "maybe", "must be true or false"},
      {"allow-cidr", "10.0.0.1/8", "must be a range such as 10.0.0.0/8 or fd00::/8 without bits behind its prefix, or several with commas"},
      {"deny-cidr", "10.0.0.0/8,", "must be a range such as 10.0.0.0/8 or fd00::/8 without bits behind its prefix, or several with commas"},
      {"manifests", "", "must be a path"},
      {"kubernetes", "yes", "must be true or false"},
      {"kubeconfig", "", "must be a path"},
      {"context", "", "must be the name of a context"},
      {"selector", "", "must be a label selector such as tier=edge,team!=blue"},
      {"lease-duration", "1500ms", "must be a duration such as 90s, 10m or 1h30m, from 1s to 1h0m0s, in whole seconds"},
      {"lease-duration", "0", "must be a duration such as 90s, 10m or 1h30m, from 1s to 1h0m0s, in whole seconds"},
      {"lease-renew-deadline", "99ms", "must be a duration such as 90s, 10m or 1h30m, from 100ms to 1h0m0s"},
      {"lease-retry-period", "2h", "must be a duration such as 90s, 10m or 1h30m, from 50ms to 1h0m0s"},
      {"lease-name", "A", "must be the name of an object"},
      {"lease-name", "a..b", "must be the name of an object"},
      {"kube-api-qps", "0", "must be a whole number from 1 to 100000"},
      {"kube-api-burst", "100001", "must be a whole number from 1 to 100000"},
      {"cache", "postgres", "must be one of sqlite, cr"},
      {"package-rev-writes", "0", "must be a whole number from 1 to 256"},
      {"lease-namespace", "a,b", "must be the name of a namespace"},
      {"finalizer", "no", "must be true or false"},
  };
  for (const auto& [name, bad, rule] : rows) {
    BOOST_TEST(only_problem({"--" + name + "=" + bad}) == "flag --" + name + ": \"" + bad + "\": " + rule);
  }
}

BOOST_AUTO_TEST_CASE(the_custom_resource_cache_needs_an_api_server) {
  BOOST_TEST(only_problem({"--cache=cr"}) == "flag --cache: \"cr\": must come together with kubernetes: it keeps PackageRev objects in an API server");
  BOOST_TEST(only_problem({"--kubernetes", "--porch-owner-refs"}) == "flag --porch-owner-refs: must come together with --cache cr");
  BOOST_TEST(only_problem({"--kubernetes", "--package-rev-writes=4"}) == "flag --package-rev-writes: must come together with --cache cr");
  const auto s = valid({"--kubernetes", "--cache=cr", "--leader-elect", "--porch-owner-refs", "--package-rev-writes=4"});
  BOOST_TEST((s.cache == cache_kind::cr));
  BOOST_TEST(s.porch_owner_refs);
  BOOST_TEST(s.package_rev_writes == 4U);
  BOOST_TEST((valid({"--kubernetes"}).cache == cache_kind::sqlite));
}

BOOST_AUTO_TEST_CASE(names_of_namespaces) {
  for (const std::string bad : {"", ",", "a,", "Blue", "-a", "a-", "a b", "a.b", "a/b"})
    BOOST_TEST(only_problem({"--kubernetes", "--namespace=" + bad}) == "flag --namespace: \"" + bad + "\": must be the name of a namespace, or several with commas");
  BOOST_TEST(valid({"--kubernetes", "--namespace=" + std::string(63, 'a')}).namespaces.size() == 1U);
  BOOST_TEST(problems({"--kubernetes", "--namespace=" + std::string(64, 'a')}).size() == 1U);
}

BOOST_AUTO_TEST_CASE(every_problem_is_named_at_once_with_its_source) {
  const settings_file file("repo-sync-frequency: soon\nmax-conections: 3\nlog-level: [info]\nlog-format: json\nlog-format: text\n");
  const strings expected{
      "flag --manifest: unknown setting: must be one of those that `verandad --help` lists; did you mean manifests?",
      "argument \"stray\": not expected: verandad takes flags only",
      "flag --data-dir: a value is missing: must be a path",
      "FILE:repo-sync-frequency: \"soon\": must be a duration such as 90s, 10m or 1h30m, from 1s to 8760h0m0s",
      "FILE:max-conections: unknown setting: must be one of those that `verandad --help` lists; did you mean max-connections?",
      "FILE:log-level: must be a single value: must be one of trace, debug, info, warn, error",
      "FILE:log-format: given twice: must be given once",
      "VERANDAD_LOG_LEVEL: \"loud\": must be one of trace, debug, info, warn, error",
      "VERANDAD_WHATEVER: unknown setting: must be one of those that `verandad --help` lists",
      "flag --time-zone: \"Nowhere\": must be the name of a zone of the tz database, such as UTC or Europe/Berlin",
  };
  const auto got = problems({"--manifest", "m", "stray", "--config=" + file.path, "--time-zone=Nowhere", "--data-dir"},
                            {"HOME=/h", "VERANDAD_LOG_LEVEL=loud", "VERANDAD_WHATEVER=1"}, file.path);
  BOOST_TEST(got == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(files_that_cannot_be_used) {
  BOOST_TEST(only_problem({"--config=/nowhere/at/all.yaml"}) == "/nowhere/at/all.yaml: cannot be read: must be a YAML file");
  const settings_file list("- a\n");
  BOOST_TEST(only_problem({"--config=" + list.path}, home, list.path) == "FILE: must be a mapping of settings to values");
  const settings_file broken("a: [1\n");
  BOOST_TEST(only_problem({"--config=" + broken.path}, home, broken.path).starts_with("FILE:2: not valid YAML: "));
  const settings_file large(std::string((1U << 20U) + 1, '#'));
  BOOST_TEST(only_problem({"--config=" + large.path}, home, large.path) == "FILE: larger than 1 MiB: must be a YAML file of settings");
  const settings_file empty("# nothing\n");
  BOOST_TEST(problems({"--config=" + empty.path}).empty());
}

BOOST_AUTO_TEST_CASE(variables_of_kubernetes_services_are_not_settings) {
  BOOST_TEST(problems({}, {"HOME=/h", "VERANDAD_PORT=tcp://10.0.0.1:7878", "VERANDAD_SERVICE_HOST=10.0.0.1", "VERANDAD_PORT_7878_TCP=x"}).empty());
}

BOOST_AUTO_TEST_CASE(help_and_version_ask_for_nothing_else) {
  BOOST_TEST(parse({"--help"}, {}).help);
  BOOST_TEST(parse({"--listen=bad", "-h"}, {}).problems.empty());
  BOOST_TEST(parse({"--version"}, {}).version);
}

BOOST_AUTO_TEST_CASE(help_and_reference_name_every_default) {
  for (const std::string_view text : {"--manifests DIR", "--repo-sync-frequency DURATION", "Default: 10m0s.", "Default: 127.0.0.1:7878.", "Default: 8Gi."}) {
    BOOST_TEST(help_text().find(text) != std::string::npos, text);
  }
  BOOST_TEST(reference_markdown().find("| `--max-connections N` | `VERANDAD_MAX_CONNECTIONS` | `64` |") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(reading_anew_takes_what_can_change_and_nothing_else) {
  settings before, again;
  before.deny_cidr = {*parse_ip_range("10.0.0.0/8")};
  again.deny_cidr = {};
  again.max_concurrent_syncs = 9;
  again.listing_timeout = std::chrono::seconds{7};
  again.max_resource_bytes = 1024;
  again.data_dir = "/elsewhere";
  again.allow_local = !before.allow_local;
  const auto now = reloaded(before, again);
  BOOST_TEST(now.deny_cidr.empty());
  BOOST_TEST(now.max_concurrent_syncs == 9U);
  BOOST_TEST((now.listing_timeout == std::chrono::seconds{7}));
  BOOST_TEST(now.max_resource_bytes == before.max_resource_bytes);
  BOOST_TEST(now.data_dir == before.data_dir);
  BOOST_TEST(now.allow_local == before.allow_local);
  for (const auto& row : setting_table())
    BOOST_TEST((!row.reloads || row.copy), row.name);
}

BOOST_AUTO_TEST_CASE(documentation_is_the_table) {
  std::ifstream in(std::filesystem::path{VERANDA_TEST_DATA}.parent_path().parent_path() / "docs/configuration.md");
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  BOOST_TEST(text.find(reference_markdown()) != std::string::npos, "docs/configuration.md must contain exactly:\n" << reference_markdown());
}
