#include "actors/system/kubernetes.hpp"

#include "adapters/kube/kube_source.hpp"
#include "adapters/kube/object_reader.hpp"

#include <algorithm>

namespace veranda {

namespace {

failure elsewhere() {
  return {ec::unsupported, "Repository objects are kept by the API server of the cluster: read and write them there, with kubectl", {}, {}, {}};
}

class refusing_reader final : public store::object_store_reader {
public:
  result<store::object_list> list(const std::string&, const std::string&) override { return elsewhere(); }
  result<std::optional<store::stored_object>> get(const std::string&, const object_key&) override { return elsewhere(); }
  result<std::vector<store::object_event>> events_after(const std::string&, std::int64_t, std::size_t) override { return elsewhere(); }
  result<std::int64_t> wait_beyond(std::int64_t, std::chrono::milliseconds) override { return elsewhere(); }
};

class refusing_writer final : public api::object_writer {
public:
  result<store::stored_object> create(const std::string&, const std::string&) override { return elsewhere(); }
  result<store::stored_object> update(const std::string&, const std::string&) override { return elsewhere(); }
  result<store::stored_object> merge_patch(const std::string&, const object_key&, const std::string&) override { return elsewhere(); }
  result<store::stored_object> remove(const std::string&, const object_key&) override { return elsewhere(); }
};

} // namespace

kubernetes::kubernetes(const config::settings& settings, kube::client_config config)
    : settings_(settings), config_(std::move(config)), writer_(open_client()), finalizers_(open_client()), secret_reader_(open_client()) {
  secrets::fetched_options options;
  options.ca_bundles = settings_.namespace_ca_bundle;
  secrets_ = std::make_shared<secrets::fetched_secrets>(options);
  if (settings_.cache == config::cache_kind::cr)
    package_revs_ = open_client();
}

package_rev_keeper_deps kubernetes::package_rev_deps(const runtime_env& env) const {
  package_rev_keeper_deps deps;
  deps.env = env;
  deps.client = package_revs_;
  deps.owner = settings_.porch_owner_refs ? kube::package_rev_owner::package_revision : kube::package_rev_owner::repository;
  deps.namespaces = settings_.namespaces;
  deps.policy.max_in_flight = settings_.package_rev_writes;
  return deps;
}

kube_secrets_deps kubernetes::secret_deps(const runtime_env& env) const {
  kube_secrets_deps deps{env, secret_reader_, secrets_};
  if (settings_.watch_secrets && !settings_.once) // a single pass reads what it needs
    deps.watch = secret_watch_options{.namespaces = settings_.namespaces, .seed = env.seed};
  return deps;
}

result<kubernetes> kubernetes::open(const config::settings& settings) {
  kube::config_search search;
  search.kubeconfig = settings.kubeconfig.string();
  search.context = settings.kube_context;
  auto config = kube::load_client_config(search);
  if (!config)
    return config.error();
  return kubernetes{settings, std::move(*config)};
}

kube::client_limits kubernetes::limits() const {
  kube::client_limits limits;
  limits.user_agent = "verandad/" VERANDA_VERSION " (linux)";
  limits.requests_per_second = settings_.kube_api_qps;
  limits.burst = settings_.kube_api_burst;
  limits.max_calls = std::max<std::size_t>(limits.max_calls, settings_.package_rev_writes);
  return limits;
}

std::unique_ptr<kube::api_client> kubernetes::open_client() const {
  auto with = limits();
  if (settings_.leader_elect)
    with.may_write = [permit = permit_] { return permit->valid(); };
  return kube::open_api_client(config_, kube::open_credentials(config_), with);
}

std::shared_ptr<kube::api_client> kubernetes::open_election_client() const {
  auto with = limits();
  with.one_call_per_connection = true;
  with.connect_timeout = std::min(with.connect_timeout, settings_.lease_renew_deadline / 2);
  return kube::open_api_client(config_, kube::open_credentials(config_), with);
}

std::shared_ptr<source::repository_source> kubernetes::open_source(const runtime_env& env, std::function<void(const std::optional<failure>&)> on_problem) const {
  kube::kube_source_options options;
  options.namespaces = settings_.namespaces;
  options.label_selector = settings_.label_selector;
  options.seed = env.seed;
  options.on_problem = std::move(on_problem);
  options.on_watch_lost = [telemetry = env.telemetry](logic::watch_loss how) { telemetry->watch_restarted(to_string(how)); };
  options.on_object = [known = known_](const api_object& object, bool gone) {
    if (gone)
      known->gone(object.key);
    else
      known->seen(object);
  };
  return kube::open_kube_source(open_client(), std::move(options));
}

std::unique_ptr<store::object_store_reader> kubernetes::open_reader() const {
  return kube::open_object_reader(open_client(), {kube::repositories(), settings_.namespaces, settings_.label_selector});
}

std::string explain_source_problem(const failure& why) {
  auto text = describe(why);
  if (why.code == ec::auth_rejected)
    text += "; grant list and watch on " + kube::repositories().name();
  return text;
}

std::unique_ptr<store::object_store_reader> refuse_object_reads() { return std::make_unique<refusing_reader>(); }
std::shared_ptr<api::object_writer> refuse_object_writes() { return std::make_shared<refusing_writer>(); }

} // namespace veranda
