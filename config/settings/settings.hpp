#pragma once

#include "messages/model/failure.hpp"
#include "messages/model/ip_range.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace veranda::config {

/// Where package revisions are kept: `cr` mirrors them as PackageRev objects besides.
enum class cache_kind : std::uint8_t { sqlite, cr };

enum class log_format : std::uint8_t { text, json };

/// Everything `verandad` can be told, by flag (`--repo-sync-frequency 5m`), YAML file (`--config FILE`, key `repo-sync-frequency: 5m`) or environment
/// (`VERANDAD_REPO_SYNC_FREQUENCY=5m`); a flag beats the environment, which beats the file.
struct settings {
  std::filesystem::path manifests; ///< `--manifests`, optional: without it objects come from the CLI
  bool kubernetes = false;         ///< `--kubernetes`, or implied by `kubeconfig`: objects come from an API server, and statuses go to it
  std::filesystem::path kubeconfig; ///< `--kubeconfig`; empty: found as kubectl finds it, or the pod's service account
  std::string kube_context;         ///< `--context`; empty: the kubeconfig's current one
  std::vector<std::string> namespaces; ///< `--namespace`, repeatable; empty: all
  std::string label_selector;          ///< `--selector`
  std::uint32_t kube_api_qps = 50;     ///< requests to the API server per second
  std::uint32_t kube_api_burst = 100;
  bool finalizer = true;            ///< hold Repository objects until what is kept of them is gone
  bool namespace_ca_bundle = false; ///< Secret `<namespace>-ca-bundle` on Kubernetes; files always have it
  bool watch_secrets = false;       ///< learn of changes of Secrets on Kubernetes by list and watch
  bool leader_elect = false;      ///< of several replicas only one works: the holder of a Lease
  std::string lease_name = "veranda";
  std::string lease_namespace;    ///< empty: the pod's, or that of the kubeconfig's context
  std::chrono::milliseconds lease_duration{std::chrono::seconds{15}}; ///< whole seconds; > renew deadline > 1.2 retry periods
  std::chrono::milliseconds lease_renew_deadline{std::chrono::seconds{10}};
  std::chrono::milliseconds lease_retry_period{std::chrono::seconds{2}};
  cache_kind cache = cache_kind::sqlite; ///< `--cache`; `cr` needs `kubernetes`
  bool porch_owner_refs = false;         ///< with `cr`: PackageRev objects are owned as Porch's are
  std::uint32_t package_rev_writes = 16; ///< with `cr`: requests about PackageRev objects under way at once
  std::filesystem::path data_dir;  ///< `--data-dir`, default `$XDG_DATA_HOME/veranda` or `~/.local/share/veranda`
  std::string listen_address = "127.0.0.1"; ///< `--listen ADDR:PORT`
  std::uint16_t listen_port = 7878;
  std::filesystem::path token_file; ///< `--token-file`; empty: `<data-dir>/token`, made at first start with mode 0600
  std::filesystem::path tls_certificate, tls_key; ///< `--tls-certificate`, `--tls-key`
  bool once = false;
  bool allow_manifest_deletion = false; ///< remove over half of the objects at once when their files went
  std::chrono::milliseconds repo_sync_frequency{std::chrono::minutes{10}};
  std::chrono::milliseconds health_check_frequency{std::chrono::minutes{1}}; ///< 0 turns it off
  std::chrono::milliseconds full_compare_interval{std::chrono::hours{6}};
  std::uint32_t max_delete_percent = 50; ///< of a repository's revisions, or the objects of the manifests, that may go at once; 100: all
  std::chrono::milliseconds release_deletions_after{0}; ///< held removals that all listings agree on for so long are carried out; 0: never
  std::chrono::milliseconds sync_deadline{std::chrono::minutes{20}};
  std::chrono::milliseconds shutdown_deadline{std::chrono::seconds{20}};
  std::chrono::milliseconds connect_timeout{std::chrono::seconds{10}};
  std::chrono::milliseconds listing_timeout{std::chrono::seconds{30}};
  std::string time_zone = "UTC";
  std::uint32_t max_concurrent_syncs = 4; ///< workers
  std::uint32_t max_concurrent_per_host = 0; ///< of workers, and of listings, at one host; 0: all but one worker, a share of the connections
  std::uint32_t max_queued_syncs = 100'000;
  std::uint32_t max_connections = 64; ///< listing connections
  std::uint64_t max_pack_bytes = 8ULL << 30U;
  std::uint64_t max_pack_objects = 10'000'000;
  std::uint64_t max_object_memory = 1ULL << 30U; ///< bytes
  std::uint64_t mirror_max_bytes = 64ULL << 30U; ///< of all together; 0: no limit
  std::uint64_t max_resource_bytes = 8ULL << 20U;
  std::uint64_t max_sync_bytes = 4ULL << 30U;       ///< of package files that one sync may bring into the cache
  std::uint64_t max_metadata_bytes = 512ULL << 20U; ///< memory of the revisions that one sync adds or changes
  bool allow_local = true;                  ///< local paths as remotes; with `kubernetes` false unless it was asked for
  bool allow_plaintext_credentials = false; ///< credentials over http://
  bool allow_git_protocol = false;          ///< git://
  bool ssh_accept_unknown_hosts = false;    ///< of Secrets without known_hosts
  bool allow_create_branch = false;         ///< `spec.git.createBranch` may push a branch that is missing
  std::vector<ip_range> allow_cidr; ///< where remotes may be, although it is refused by default or within what `deny_cidr` names
  std::vector<ip_range> deny_cidr;  ///< where remotes may not be
  std::uint32_t metrics_max_repositories = 1000;
  veranda::config::log_format log_format = veranda::config::log_format::text;
  std::string log_level = "info"; ///< trace debug info warn error
};

struct parse_outcome {
  settings value;
  std::vector<failure> problems; ///< every problem, each naming source, field, value and rule; empty: valid
  bool help = false;             ///< `--help`: print `help_text()` and exit 0
  bool version = false;
};

/// Pure but for reading the one file named by `--config`. `environment`: `NAME=value` entries.
parse_outcome parse(const std::vector<std::string>& arguments, const std::vector<std::string>& environment);
std::string help_text();
/// Markdown table of every setting (docs/configuration.md is checked against it).
std::string reference_markdown();

} // namespace veranda::config
