#include "tools/verandad/release.hpp"

#include "adapters/kube/release.hpp"

#include <iostream>

namespace veranda {

int run_release(const config::settings& settings) {
  kube::config_search search;
  search.kubeconfig = settings.kubeconfig.string();
  search.context = settings.kube_context;
  const auto config = kube::load_client_config(search);
  if (!config) {
    std::cerr << "verandad release: " << describe(config.error()) << "\n";
    return 2;
  }
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

} // namespace veranda
