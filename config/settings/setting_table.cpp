#include "config/settings/setting_table.hpp"

#include "config/settings/label_selector.hpp"
#include "messages/model/time.hpp"

#include <cctz/time_zone.h>

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <numeric>
#include <type_traits>

namespace veranda::config {

namespace {

using std::chrono::milliseconds;

/// Decimal digits only: no sign, no blanks.
std::optional<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Bytes, optionally in Ki, Mi, Gi or Ti (a `B` may follow).
std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  if (text.ends_with('B')) text.remove_suffix(1);
  unsigned shift = 0;
  if (text.size() > 2 && text.ends_with('i')) {
    const auto unit = std::string_view{"KMGT"}.find(text[text.size() - 2]);
    if (unit == std::string_view::npos) return std::nullopt;
    shift = 10 * (static_cast<unsigned>(unit) + 1);
    text.remove_suffix(2);
  }
  const auto count = parse_count(text);
  if (!count || (*count << shift) >> shift != *count) return std::nullopt;
  return *count << shift;
}

std::string show_bytes(std::uint64_t bytes) {
  constexpr std::array units{"", "Ki", "Mi", "Gi", "Ti"};
  std::size_t unit = 0;
  for (; bytes != 0 && bytes % 1024 == 0 && unit + 1 < units.size(); ++unit) bytes /= 1024;
  return std::to_string(bytes) + units[unit];
}

setting duration(std::string_view name, std::string_view meaning, milliseconds settings::* field, milliseconds least, milliseconds most,
                 bool zero_allowed = false) {
  auto rule = "must be a duration such as 90s, 10m or 1h30m, from " + format_go_duration(least) + " to " + format_go_duration(most);
  if (zero_allowed) rule += ", or 0 to turn it off";
  return {name, "DURATION", meaning, std::move(rule),
          [=](settings& s, std::string_view text) {
            const auto parsed = parse_go_duration(text);
            if (!parsed) return false;
            const auto value = std::chrono::duration_cast<milliseconds>(*parsed);
            const bool off = zero_allowed && parsed->count() == 0;
            if (!off && (value < least || value > most)) return false;
            s.*field = value;
            return true;
          },
          [=](const settings& s) { return format_go_duration(s.*field); }};
}

template <class Integer>
setting count(std::string_view name, std::string_view meaning, Integer settings::* field, std::uint64_t least, std::uint64_t most) {
  return {name, "N", meaning, "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most),
          [=](settings& s, std::string_view text) {
            const auto value = parse_count(text);
            if (!value || *value < least || *value > most) return false;
            s.*field = static_cast<Integer>(*value);
            return true;
          },
          [=](const settings& s) { return std::to_string(s.*field); }};
}

setting bytes(std::string_view name, std::string_view meaning, std::uint64_t settings::* field, std::uint64_t least, std::uint64_t most, bool zero_allowed = false) {
  return {name, "BYTES", meaning,
          "must be a number of bytes, with Ki, Mi, Gi or Ti behind it if you like, from " + show_bytes(least) + " to " + show_bytes(most) + (zero_allowed ? ", or 0" : ""),
          [=](settings& s, std::string_view text) {
            const auto value = parse_bytes(text);
            const bool off = zero_allowed && value == std::uint64_t{0};
            if (!value || (!off && (*value < least || *value > most))) return false;
            s.*field = *value;
            return true;
          },
          [=](const settings& s) { return show_bytes(s.*field); }};
}

setting flag(std::string_view name, std::string_view meaning, bool settings::* field) {
  return {name, "", meaning, "must be true or false",
          [=](settings& s, std::string_view text) {
            if (text != "true" && text != "false") return false;
            s.*field = text == "true";
            return true;
          },
          [=](const settings& s) { return std::string{s.*field ? "true" : "false"}; }};
}

setting path(std::string_view name, std::string_view placeholder, std::string_view meaning, std::filesystem::path settings::* field) {
  return {name, placeholder, meaning, "must be a path",
          [=](settings& s, std::string_view text) {
            if (text.empty() || text.find('\0') != std::string_view::npos) return false;
            s.*field = std::filesystem::path{text};
            return true;
          },
          [=](const settings& s) { return (s.*field).string(); }};
}

/// One of a few words, kept as text or as an enumerator of the same position.
template <class Field, std::size_t N>
setting choice(std::string_view name, std::string_view meaning, Field settings::* field, std::array<std::string_view, N> words) {
  auto rule = std::accumulate(words.begin() + 1, words.end(), "must be one of " + std::string{words.front()},
                              [](std::string all, std::string_view word) { return all.append(", ").append(word); });
  return {name, "WORD", meaning, std::move(rule),
          [=](settings& s, std::string_view text) {
            const auto word = std::ranges::find(words, text);
            if (word == words.end()) return false;
            if constexpr (std::is_enum_v<Field>) {
              s.*field = static_cast<Field>(word - words.begin());
            } else {
              s.*field = Field{*word};
            }
            return true;
          },
          [=](const settings& s) {
            if constexpr (std::is_enum_v<Field>) {
              return std::string{words[static_cast<std::size_t>(s.*field)]};
            } else {
              return s.*field;
            }
          }};
}

/// One that the process takes in while it runs.
setting live(setting row) {
  row.reloads = true;
  return row;
}

bool is_address(const std::string& text) {
  in6_addr scratch{};
  return inet_pton(AF_INET, text.c_str(), &scratch) == 1 || inet_pton(AF_INET6, text.c_str(), &scratch) == 1;
}

/// `127.0.0.1:7878`, `[::1]:7878`, `localhost:0`. An IPv6 address needs its brackets.
bool assign_listen(settings& s, std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  auto host = text.substr(0, colon);
  const auto port = parse_count(text.substr(colon + 1));
  if (!port || *port > std::numeric_limits<std::uint16_t>::max() || text.substr(colon + 1).size() > 5) return false;
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  auto address = host == "localhost" ? std::string{"127.0.0.1"} : std::string{host};
  const bool six = address.find(':') != std::string::npos;
  if (six != bracketed || address.find('\0') != std::string::npos || !is_address(address)) return false;
  s.listen_address = std::move(address);
  s.listen_port = static_cast<std::uint16_t>(*port);
  return true;
}

std::string show_listen(const settings& s) {
  const bool six = s.listen_address.find(':') != std::string::npos;
  return (six ? "[" + s.listen_address + "]" : s.listen_address) + ":" + std::to_string(s.listen_port);
}

/// A DNS label, as namespaces are called.
bool is_namespace(std::string_view name) {
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 63 && alphanumeric(name.front()) && alphanumeric(name.back()) &&
         std::ranges::all_of(name, [&](char c) { return alphanumeric(c) || c == '-'; });
}

/// As objects are called.
bool is_object_name(std::string_view name) {
  if (name.size() > 253) return false;
  for (std::size_t from = 0; from <= name.size();) {
    const auto to = std::min(name.find('.', from), name.size());
    if (!is_namespace(name.substr(from, to - from))) return false;
    from = to + 1;
  }
  return true;
}

setting object_name(std::string_view name, std::string_view meaning, std::string settings::* field) {
  return {name, "NAME", meaning, "must be the name of an object",
          [=](settings& s, std::string_view text) {
            if (!is_object_name(text)) return false;
            s.*field = std::string{text};
            return true;
          },
          [=](const settings& s) { return s.*field; }};
}

/// What a Lease keeps in whole seconds.
setting whole_seconds(setting row) {
  row.rule += ", in whole seconds";
  row.assign = [assign = std::move(row.assign)](settings& s, std::string_view text) {
    const auto parsed = parse_go_duration(text);
    return parsed && *parsed % std::chrono::seconds{1} == std::chrono::nanoseconds{0} && assign(s, text);
  };
  return row;
}

bool assign_namespaces(settings& s, std::string_view text) {
  std::vector<std::string> all;
  for (std::size_t from = 0; from <= text.size();) {
    const auto to = std::min(text.find(',', from), text.size());
    const auto name = text.substr(from, to - from);
    if (!is_namespace(name)) return false;
    if (std::ranges::find(all, name) == all.end()) all.emplace_back(name);
    from = to + 1;
  }
  s.namespaces = std::move(all);
  return true;
}

std::string show_namespaces(const settings& s) {
  std::string out;
  for (const auto& name : s.namespaces) out.append(out.empty() ? "" : ",").append(name);
  return out;
}

/// Text on one line, of at most 4096 bytes; what it means is for others to judge.
setting line(std::string_view name, std::string_view placeholder, std::string_view meaning, std::string rule, std::string settings::* field) {
  return {name, placeholder, meaning, std::move(rule),
          [=](settings& s, std::string_view text) {
            const bool printable = std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
            if (text.empty() || text.size() > 4096 || !printable) return false;
            s.*field = std::string{text};
            return true;
          },
          [=](const settings& s) { return s.*field; }};
}

setting label_selector(std::string_view name, std::string_view meaning, std::string settings::* field) {
  return {name, "SELECTOR", meaning, "must be a label selector such as tier=edge,team!=blue",
          [=](settings& s, std::string_view text) {
            if (text.size() > 4096 || !is_label_selector(text)) return false;
            s.*field = std::string{text};
            return true;
          },
          [=](const settings& s) { return s.*field; }};
}

/// A list of ranges of addresses.
setting ranges(std::string_view name, std::string_view meaning, std::vector<ip_range> settings::* field) {
  return {name, "CIDR", meaning, "must be a range such as 10.0.0.0/8 or fd00::/8 without bits behind its prefix, or several with commas",
          [=](settings& s, std::string_view text) {
            std::vector<ip_range> all;
            for (std::size_t from = 0; from <= text.size();) {
              const auto to = std::min(text.find(',', from), text.size());
              const auto range = parse_ip_range(text.substr(from, to - from));
              if (!range) return false;
              if (std::ranges::find(all, *range) == all.end()) all.push_back(*range);
              from = to + 1;
            }
            s.*field = std::move(all);
            return true;
          },
          [=](const settings& s) {
            std::string out;
            for (const auto& range : s.*field) out.append(out.empty() ? "" : ",").append(to_string(range));
            return out;
          },
          true};
}

setting one_namespace(std::string_view name, std::string_view meaning, std::string settings::* field) {
  return {name, "NAME", meaning, "must be the name of a namespace",
          [=](settings& s, std::string_view text) {
            if (!is_namespace(text)) return false;
            s.*field = std::string{text};
            return true;
          },
          [=](const settings& s) { return s.*field; }};
}

/// Names of zone files only: no way out of the zone database.
bool assign_zone(settings& s, std::string_view text) {
  if (text.empty() || text.front() == '/' || text.front() == ':' || text.find("..") != std::string_view::npos) return false;
  cctz::time_zone zone;
  if (!cctz::load_time_zone(std::string{text}, &zone)) return false;
  s.time_zone = std::string{text};
  return true;
}

std::vector<setting> make_table() {
  using namespace std::chrono_literals;
  constexpr milliseconds year = std::chrono::hours{8760};
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
      {"namespace", "NAME", "Follow the Repository objects of this namespace only. Can be given several times, or as a list with commas. Without it all namespaces are followed.",
       "must be the name of a namespace, or several with commas", assign_namespaces, show_namespaces, true},
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
      {"listen", "ADDR:PORT", "Address of the HTTP API, probes and metrics. Port 0 takes a free one. An address other than loopback needs TLS.",
       "must be an IP address (IPv6 in brackets) or localhost, and a port, such as 127.0.0.1:7878 or [::1]:7878", assign_listen, show_listen},
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
      duration("sync-deadline", "How long one sync may take before it is stopped as timed_out.", &settings::sync_deadline, 1s, 24h),
      duration("shutdown-deadline", "How long an orderly shutdown may take.", &settings::shutdown_deadline, 1s, 1h),
      duration("connect-timeout", "How long making a connection to a remote may take.", &settings::connect_timeout, 100ms, 1h),
      duration("listing-timeout", "How long listing the refs of a remote may take.", &settings::listing_timeout, 100ms, 1h),
      live({"time-zone", "ZONE", "Zone in which cron expressions without a zone of their own are read.",
       "must be the name of a zone of the tz database, such as UTC or Europe/Berlin", assign_zone, [](const settings& s) { return s.time_zone; }}),
      count("max-concurrent-syncs", "Workers: fetches, discoveries and deltas that run at the same time.", &settings::max_concurrent_syncs, 1, 1024),
      count("max-concurrent-per-host",
            "Syncs that work on remotes of one host at the same time, and listings that are made there at the same time. 0 leaves one worker to the others, and half of the "
            "connections.",
            &settings::max_concurrent_per_host, 0, 1024),
      count("max-queued-syncs", "Syncs that may wait for a worker.", &settings::max_queued_syncs, 1, 10'000'000),
      count("max-connections", "Connections kept for listing refs.", &settings::max_connections, 1, 10'000),
      bytes("max-pack-bytes", "Largest pack that is accepted from a remote.", &settings::max_pack_bytes, 1ULL << 20U, 1ULL << 40U),
      count("max-pack-objects", "Most objects that a pack from a remote may hold. Indexing them takes some 200 bytes of memory each.", &settings::max_pack_objects, 1000,
            4'000'000'000),
      bytes("max-object-memory",
            "Most memory that one git object may take while it is made of the differences it is stored as. A remote's history that has large files in many versions needs "
            "three times the size of the largest.",
            &settings::max_object_memory, 16ULL << 20U, 1ULL << 40U),
      bytes("mirror-max-bytes",
            "What all mirrors may take on the disk together; 0 is no limit. Beyond it the least recently used go, but for those in use, and are fetched whole when something changes "
            "there. One may take half of it.",
            &settings::mirror_max_bytes, 1ULL << 20U, 1ULL << 50U, true),
      bytes("max-resource-bytes", "Largest file of a package whose content is kept; larger ones are named as omitted.", &settings::max_resource_bytes, 1ULL << 10U,
            1ULL << 30U),
      bytes("max-sync-bytes", "Most bytes of package files, not compressed, that one sync may bring into the cache.", &settings::max_sync_bytes, 1ULL << 20U, 1ULL << 40U),
      bytes("max-metadata-bytes",
            "Most memory that the package revisions which one sync adds or changes may take without their files: names, labels, annotations, conditions, tasks.",
            &settings::max_metadata_bytes, 1ULL << 20U, 1ULL << 40U),
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
      ranges("allow-cidr",
             "Let remotes be at these addresses, although they are refused with kubernetes (loopback, link-local, unspecified, multicast, metadata of clouds) or by deny-cidr. "
             "Of all ranges that hold an address the longest decides, of equal ones deny-cidr. Can be given several times, or as a list with commas.",
             &settings::allow_cidr),
      ranges("deny-cidr", "Refuse remotes at these addresses, after their names are resolved. Can be given several times, or as a list with commas.", &settings::deny_cidr),
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

std::string environment_name(std::string_view name) {
  std::string out = "VERANDAD_";
  for (const char c : name) out += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return out;
}

} // namespace veranda::config
