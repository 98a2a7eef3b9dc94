#include "tools/verandad/release.hpp"

#include "adapters/kube/release.hpp"
#include "config/settings/settings.hpp"

#include <algorithm>
#include <array>
#include <iostream>
#include <string_view>

namespace veranda {

namespace {

constexpr int exit_settings = 2;

/// What of a daemon's settings means anything here.
constexpr std::array<std::string_view, 9> used{"config", "kubeconfig", "context", "namespace", "selector", "lease-namespace", "lease-name", "kube-api-qps", "kube-api-burst"};

constexpr const char* help =
  R"(verandad release takes the finalizers of Veranda off Repository and PackageRev objects, so that they can be deleted, and removes the Lease: for an uninstall.

Usage: verandad release [--kubeconfig FILE] [--context NAME] [--namespace NAME] [--selector SELECTOR] [--lease-namespace NAME [--lease-name NAME]]

End the daemon first, and wait for the end of its pod: a daemon that runs sets the finalizers again. While the named Lease is renewed nothing is touched, and what is
set again within some ten seconds is reported. It can be run again.

  --kubeconfig FILE, --context NAME
      The API server. Default: $KUBECONFIG, else the pod's account, else ~/.kube/config.
  --namespace NAME
      Only objects of this namespace; repeatable. Default: of all.
  --selector SELECTOR
      Only Repositories with these labels, and their PackageRevs. Default: all.
  --lease-namespace NAME, --lease-name NAME
      The Lease to remove. Default: none is removed, and veranda.
  --kube-api-qps N, --kube-api-burst N
      Requests to the API server per second, and at once. Default: 50, 100.
  --config FILE
      YAML file with these settings. They may be variables, too (VERANDAD_KUBECONFIG).
  --help, -h
      Print this and exit.

Exit status: 0 all is done, 1 something could not be done, 2 bad flags or no usable configuration.
)";

int refuse(const std::string& why) {
  std::cerr << "verandad release: " << why << "\n";
  return exit_settings;
}

/// Flags that a daemon knows, and that say nothing here.
std::vector<std::string> unused_flags(const std::vector<std::string>& arguments) {
  std::vector<std::string> out;
  for (const std::string_view argument : arguments)
    if (argument.starts_with("--") && std::ranges::find(used, argument.substr(2, argument.find('=') - 2)) == used.end())
      out.emplace_back(argument.substr(0, argument.find('=')));
  return out;
}

bool names(const std::vector<std::string>& arguments, const std::string& flag) {
  return std::ranges::any_of(arguments, [&](const std::string& a) { return a == flag || a.starts_with(flag + "="); });
}

int release(const config::settings& settings) {
  kube::config_search search;
  search.kubeconfig = settings.kubeconfig.string();
  search.context = settings.kube_context;
  const auto config = kube::load_client_config(search);
  if (!config)
    return refuse(describe(config.error()));
  kube::client_limits limits;
  limits.user_agent = "verandad/" VERANDA_VERSION " (linux)";
  limits.requests_per_second = settings.kube_api_qps;
  limits.burst = settings.kube_api_burst;
  const auto client = kube::open_api_client(*config, kube::open_credentials(*config), limits);
  kube::release_options options;
  options.namespaces = settings.namespaces;
  options.label_selector = settings.label_selector;
  if (!settings.lease_namespace.empty())
    options.lease = object_key{settings.lease_namespace, settings.lease_name};
  const auto say = [](const std::string& line) { std::cout << line << std::endl; };
  const auto sums = kube::release_all(*client, options, say);
  if (!options.lease)
    say("Lease: left as it is; --lease-namespace says where the one to be removed is");
  std::cout << sums.repositories << " Repositories and " << sums.package_revs << " PackageRevs released, " << sums.failed << " failed\n";
  return sums.failed > 0 ? 1 : 0;
}

} // namespace

int run_release(std::vector<std::string> arguments, const std::vector<std::string>& environment) {
  if (std::ranges::any_of(arguments, [](const std::string& a) { return a == "--help" || a == "-h"; })) {
    std::cout << help;
    return 0;
  }
  const auto unused = unused_flags(arguments);
  arguments.insert(arguments.begin(), {"--data-dir=/", "--kubernetes"}); // it needs no directory
  const auto parsed = config::parse(arguments, environment);
  int status = 0;
  for (const auto& problem : parsed.problems)
    status = refuse(describe(problem));
  for (const auto& flag : unused)
    if (std::ranges::none_of(parsed.problems, [&](const failure& p) { return p.object == "flag " + flag; }))
      status = refuse("flag " + flag + ": has no meaning with release");
  if (names(arguments, "--lease-name") && parsed.value.lease_namespace.empty())
    status = refuse("flag --lease-name: must come together with --lease-namespace");
  if (status != 0)
    return refuse("see verandad release --help");
  return release(parsed.value);
}

} // namespace veranda
