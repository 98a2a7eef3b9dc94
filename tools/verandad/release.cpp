#include "tools/verandad/release.hpp"

#include "adapters/kube/release.hpp"
#include "messages/model/repository.hpp"

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
  options.finalizer = std::string{api_names::repository_finalizer};
  options.lease = {settings.lease_namespace.empty() ? config->ns : settings.lease_namespace, settings.lease_name};
  const auto sums = kube::release_all(*client, options, [](const std::string& line) { std::cout << line << std::endl; });
  std::cout << sums.released << " released, " << sums.failed << " failed\n";
  return sums.failed > 0 ? 1 : 0;
}

} // namespace veranda
