#pragma once

#include "actors/kube/write_permit.hpp"
#include "actors/kube/package_rev_keeper.hpp"
#include "actors/kube/secret_keeper.hpp"
#include "adapters/api/api_server.hpp"
#include "adapters/kube/api_client.hpp"
#include "adapters/kube/known_objects.hpp"
#include "adapters/secrets/fetched_secrets.hpp"
#include "adapters/source/repository_source.hpp"
#include "config/settings/settings.hpp"

#include <functional>
#include <memory>
#include <optional>

namespace veranda {

/// What a daemon on Kubernetes has instead of the embedded object store.
class kubernetes {
public:
  /// Finds the configuration; speaks to nobody. `invalid_spec` or `not_found` naming what is wrong.
  static result<kubernetes> open(const config::settings& settings);

  // Clients: each is driven by the one actor that it is for.
  [[nodiscard]] const std::shared_ptr<kube::api_client>& writer() const noexcept { return writer_; }
  [[nodiscard]] const std::shared_ptr<kube::api_client>& finalizers() const noexcept { return finalizers_; }
  [[nodiscard]] const std::shared_ptr<kube::api_client>& secret_reader() const noexcept { return secret_reader_; }
  /// The client of the Lease alone, whose every request is over in time, and that is not held by the permit.
  [[nodiscard]] std::shared_ptr<kube::api_client> open_election_client() const;
  /// Without it nothing else is written when there is a leader to elect.
  [[nodiscard]] const std::shared_ptr<write_permit>& permit() const noexcept { return permit_; }
  [[nodiscard]] object_key lease() const { return {settings_.lease_namespace.empty() ? config_.ns : settings_.lease_namespace, settings_.lease_name}; }
  /// Null without `--cache cr`.
  [[nodiscard]] const std::shared_ptr<kube::api_client>& package_revs() const noexcept { return package_revs_; }
  /// What follows from the settings; the rest is the caller's.
  [[nodiscard]] package_rev_keeper_deps package_rev_deps(const runtime_env& env) const;
  /// What follows from the settings; the rest is the caller's.
  [[nodiscard]] kube_secrets_deps secret_deps(const runtime_env& env) const;
  /// Where Secrets that were read are resolved from.
  [[nodiscard]] const std::shared_ptr<secrets::fetched_secrets>& secrets() const noexcept { return secrets_; }
  [[nodiscard]] const std::shared_ptr<kube::known_objects>& known() const noexcept { return known_; }
  /// `on_problem`: see `kube_source_options`.
  [[nodiscard]] std::shared_ptr<source::repository_source> open_source(const runtime_env& env, std::function<void(const std::optional<failure>&)> on_problem) const;
  /// Reads the objects that are followed, anew with each call.
  [[nodiscard]] std::unique_ptr<store::object_store_reader> open_reader() const;
  /// Where the configuration came from, and the server: for the log.
  [[nodiscard]] const std::string& origin() const noexcept { return config_.origin; }
  [[nodiscard]] std::string server() const { return config_.cluster.server.text(); }

private:
  kubernetes(const config::settings& settings, kube::client_config config);
  [[nodiscard]] kube::client_limits limits() const;
  [[nodiscard]] std::unique_ptr<kube::api_client> open_client() const;

  config::settings settings_;
  kube::client_config config_;
  std::shared_ptr<write_permit> permit_ = std::make_shared<write_permit>();
  std::shared_ptr<kube::api_client> writer_, finalizers_, secret_reader_, package_revs_;
  std::shared_ptr<secrets::fetched_secrets> secrets_;
  std::shared_ptr<kube::known_objects> known_ = std::make_shared<kube::known_objects>();
};

/// Why Repository objects cannot be followed, and what to do about it, in one line.
[[nodiscard]] std::string explain_source_problem(const failure& why);

// What our own API says of Repository objects on Kubernetes: to ask the API server.
std::unique_ptr<store::object_store_reader> refuse_object_reads();
std::shared_ptr<api::object_writer> refuse_object_writes();

} // namespace veranda
