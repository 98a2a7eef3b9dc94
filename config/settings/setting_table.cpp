#include "config/settings/setting_table.hpp"

#include "config/settings/setting_kinds.hpp"

#include <utility>

namespace veranda::config {

namespace {

std::vector<setting> make_table() {
  using namespace std::chrono_literals;
  constexpr std::chrono::milliseconds year = std::chrono::hours{8760};
  return {
      path("manifests", "DIR", "Directory of manifests to follow: Repository and Secret objects in YAML or JSON. Without it objects come from `veranda apply`.",
           &settings::manifests),
      flag("allow-manifest-deletion",
           "Remove objects whose files went even when they are more than max-delete-percent of those from files, and at least ten. Without it they are kept until a file "
           "allow-deletion in the data directory releases them, once.",
           &settings::allow_manifest_deletion),
      flag("kubernetes",
           "Read Repository objects from an API server and write their statuses to it, instead of keeping objects here. Without kubeconfig the configuration is the one that "
           "$KUBECONFIG names, the pod's service account, or ~/.kube/config.",
           &settings::kubernetes),
      path("kubeconfig", "FILE", "Configuration for the API server; implies kubernetes.", &settings::kubeconfig),
      line("context", "NAME", "Context of the kubeconfig, instead of its current one.", "must be the name of a context", &settings::kube_context),
      namespaces("namespace", "Follow the Repository objects of this namespace only. Can be given several times, or as a list with commas. Without it all namespaces are followed."),
      label_selector("selector", "Follow only Repository objects with these labels.", &settings::label_selector),
      count("kube-api-qps", "Requests to the API server per second, over time. Watches are not counted.", &settings::kube_api_qps, 1, 100'000),
      count("kube-api-burst", "Requests to the API server that may be made at once.", &settings::kube_api_burst, 1, 100'000),
      flag("finalizer",
           "Hold each Repository object with a finalizer, so that one that is deleted stays until its packages and its mirror are removed. Turned off, none is set any more; "
           "those that are there are still taken off.",
           &settings::finalizer),
      flag("namespace-ca-bundle",
           "Look for a Secret `<namespace>-ca-bundle` in the API server for each namespace, and trust the certificates in its ca.crt. Secrets of manifests need no setting.",
           &settings::namespace_ca_bundle),
      flag("watch-secrets",
           "List and watch the metadata of Secrets, so that one that changes is read and used at once instead of being read before each use. Needs the rights to list and watch "
           "Secrets; until they are granted it is as without.",
           &settings::watch_secrets),
      flag("leader-elect",
           "Run as one of several replicas: only the one that holds the Lease follows objects, syncs and writes; the others stand by. It ends at once, with status 75, when it "
           "can no longer be sure that it holds it.",
           &settings::leader_elect),
      object_name("lease-name", "Name of the Lease; replicas with the same one elect one leader.", &settings::lease_name),
      one_namespace("lease-namespace", "Namespace of the Lease. Without it, the pod's own, or that of the kubeconfig's context.", &settings::lease_namespace),
      whole_seconds(duration("lease-duration", "How long replicas that stand by wait for a leader that is silent before one of them takes over.", &settings::lease_duration, 1s, 1h)),
      duration("lease-renew-deadline", "How long a leader tries to renew the Lease before it ends. Must be shorter than lease-duration.", &settings::lease_renew_deadline, 100ms, 1h),
      duration("lease-retry-period", "How often the leader renews the Lease and the others look at it. 1.2 times this must be shorter than lease-renew-deadline.",
               &settings::lease_retry_period, 50ms, 1h),
      choice("cache",
             "Where package revisions are kept: in a SQLite file alone, or also as PackageRev objects of the API server, one for each, with cr. cr needs kubernetes.",
             &settings::cache, std::array<std::string_view, 2>{"sqlite", "cr"}),
      flag("porch-owner-refs",
           "Give PackageRev objects the owner that Porch gives them, the PackageRevision that porch-server serves, instead of the Repository. Without a porch-server the garbage "
           "collector removes them again and again.",
           &settings::porch_owner_refs),
      count("package-rev-writes", "Requests about PackageRev objects that are under way at once.", &settings::package_rev_writes, 1, 256),
      path("data-dir", "DIR", "Where everything durable lives: object store, package cache, mirrors, token. Locked by the daemon that uses it.",
           &settings::data_dir),
      listen("listen", "Address of the HTTP API, probes and metrics. Port 0 takes a free one. An address other than loopback needs TLS."),
      path("token-file", "FILE", "File with the token that API clients must show. The default one is made with mode 0600 at the first start.", &settings::token_file),
      path("tls-certificate", "FILE", "Certificate chain (PEM) of the listener.", &settings::tls_certificate),
      path("tls-key", "FILE", "Private key (PEM) of the listener.", &settings::tls_key),
      flag("once", "Give every repository that is not suspended one sync, print a table and exit: 0 all ready, 1 any error, 2 bad settings, 3 data directory in use.",
           &settings::once),
      live(duration("repo-sync-frequency", "How often a repository without a cron expression is synced.", &settings::repo_sync_frequency, 1s, year)),
      live(duration("health-check-frequency", "How often each remote's refs are listed between syncs, to keep conditions honest and notice pushes.",
               &settings::health_check_frequency, 1s, year, true)),
      live(duration("full-compare-interval", "How often a sync compares everything anew instead of trusting what it remembers.", &settings::full_compare_interval, 1s,
               year)),
      live(count("max-delete-percent",
            "Share of a repository's package revisions, or of the objects from manifests, that may go at once. When more would, and at least ten, all of them are kept until that "
            "is allowed. 100 keeps nothing.",
            &settings::max_delete_percent, 0, 100)),
      live(duration("release-deletions-after",
               "Remove package revisions that were kept for max-delete-percent without being told, when every listing for this long found the same ones missing. 0 waits for a "
               "permit.",
               &settings::release_deletions_after, 1s, year, true)),
      live(duration("sync-deadline", "How long one sync may take before it is stopped as timed_out.", &settings::sync_deadline, 1s, 24h)),
      live(duration("shutdown-deadline", "How long an orderly shutdown may take.", &settings::shutdown_deadline, 1s, 1h)),
      live(duration("connect-timeout", "How long making a connection to a remote may take.", &settings::connect_timeout, 100ms, 1h)),
      live(duration("listing-timeout", "How long listing the refs of a remote may take.", &settings::listing_timeout, 100ms, 1h)),
      live(zone("time-zone", "Zone in which cron expressions without a zone of their own are read.", &settings::time_zone)),
      live(count("max-concurrent-syncs", "Workers: fetches, discoveries and deltas that run at the same time.", &settings::max_concurrent_syncs, 1, 1024)),
      live(count("max-concurrent-per-host",
            "Syncs that work on remotes of one host at the same time, and listings that are made there at the same time. 0 leaves one worker to the others, and half of the "
            "connections.",
            &settings::max_concurrent_per_host, 0, 1024)),
      live(count("max-queued-syncs", "Syncs that may wait for a worker.", &settings::max_queued_syncs, 1, 10'000'000)),
      live(count("max-connections", "Connections kept for listing refs.", &settings::max_connections, 1, 10'000)),
      live(bytes("max-pack-bytes", "Largest pack that is accepted from a remote.", &settings::max_pack_bytes, 1ULL << 20U, 1ULL << 40U)),
      live(count("max-pack-objects", "Most objects that a pack from a remote may hold. Indexing them takes some 200 bytes of memory each.", &settings::max_pack_objects, 1000,
            4'000'000'000)),
      live(bytes("max-object-memory",
            "Most memory that one git object may take while it is made of the differences it is stored as. A remote's history that has large files in many versions needs "
            "three times the size of the largest.",
            &settings::max_object_memory, 16ULL << 20U, 1ULL << 40U)),
      bytes("mirror-max-bytes",
            "What all mirrors may take on the disk together; 0 is no limit. Beyond it the least recently used go, but for those in use, and are fetched whole when something changes "
            "there. One may take half of it.",
            &settings::mirror_max_bytes, 1ULL << 20U, 1ULL << 50U, true),
      bytes("max-resource-bytes", "Largest file of a package whose content is kept; larger ones are named as omitted.", &settings::max_resource_bytes, 1ULL << 10U,
            1ULL << 30U),
      live(bytes("max-sync-bytes", "Most bytes of package files, not compressed, that one sync may bring into the cache.", &settings::max_sync_bytes, 1ULL << 20U, 1ULL << 40U)),
      live(bytes("max-metadata-bytes",
            "Most memory that the package revisions which one sync adds or changes may take without their files: names, labels, annotations, conditions, tasks.",
            &settings::max_metadata_bytes, 1ULL << 20U, 1ULL << 40U)),
      flag("allow-local", "Accept local paths and file:// URLs as remotes.", &settings::allow_local),
      flag("allow-plaintext-credentials", "Send credentials over http:// too, where anybody on the way can read them.", &settings::allow_plaintext_credentials),
      flag("allow-git-protocol", "Accept git:// URLs, where anybody on the way can read and change everything.", &settings::allow_git_protocol),
      flag("ssh-accept-unknown-hosts",
           "Take any host key over ssh when a Secret has no known_hosts: anybody on the way can then pose as the host and hand out other packages. A Secret that has some is held to "
           "them all the same.",
           &settings::ssh_accept_unknown_hosts),
      flag("allow-create-branch",
           "Make the branch of a Repository with spec.git.createBranch when its remote lacks it. Nothing else is ever pushed.",
           &settings::allow_create_branch),
      live(ranges("allow-cidr",
             "Let remotes be at these addresses, although they are refused with kubernetes (loopback, link-local, unspecified, multicast, metadata of clouds) or by deny-cidr. "
             "Of all ranges that hold an address the longest decides, of equal ones deny-cidr. Can be given several times, or as a list with commas.",
             &settings::allow_cidr)),
      live(ranges("deny-cidr", "Refuse remotes at these addresses, after their names are resolved. Can be given several times, or as a list with commas.", &settings::deny_cidr)),
      count("metrics-max-repositories", "Up to this many repositories have metric series of their own.", &settings::metrics_max_repositories, 0, 1'000'000),
      choice("log-format", "Form of the log lines.", &settings::log_format, std::array<std::string_view, 2>{"text", "json"}),
      live(choice("log-level", "Least severe log lines that are written.", &settings::log_level,
             std::array<std::string_view, 5>{"trace", "debug", "info", "warn", "error"})),
  };
}

/// Edits (insert, delete, replace) between two names.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row.back();
}

} // namespace

std::span<const setting> setting_table() {
  static const std::vector<setting> table = make_table();
  return table;
}

const setting* find_setting(std::string_view name) {
  const auto table = setting_table();
  const auto row = std::ranges::find(table, name, &setting::name);
  return row == table.end() ? nullptr : &*row;
}

std::optional<std::string_view> nearest_setting(std::string_view name) {
  std::optional<std::string_view> best;
  std::size_t least = 3;
  if (name.size() > 64) return best;
  for (const auto& row : setting_table()) {
    if (const auto edits = distance(name, row.name); edits < least) {
      least = edits;
      best = row.name;
    }
  }
  return best;
}

settings reloaded(settings in_force, const settings& again) {
  for (const auto& row : setting_table())
    if (row.reloads) row.copy(in_force, again);
  return in_force;
}

std::string environment_name(std::string_view name) {
  std::string out = "VERANDAD_";
  for (const char c : name) out += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return out;
}

} // namespace veranda::config
