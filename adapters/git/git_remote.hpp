#pragma once

#include "actors/logic/discovery/object_reader.hpp"
#include "actors/logic/mirror_budget.hpp"
#include "adapters/git/address_rules.hpp"
#include "adapters/git/push_protocol.hpp"
#include "messages/model/credentials.hpp"
#include "messages/model/listing.hpp"
#include "messages/model/sync.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

namespace veranda::git {

struct transport_limits {
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds total_timeout{600'000}; ///< of one request; of a whole listing, from when its turn has come
  std::uint64_t low_speed_bytes_per_second = 1'000; ///< below this for `low_speed_time`: timed out
  std::chrono::seconds low_speed_time{30};
  std::uint64_t max_listing_bytes = 256U << 20U;
  std::uint64_t max_listings_bytes = 512U << 20U; ///< of all listings of one engine that are arriving at a time
  std::uint64_t max_refs = 1'000'000;
  std::uint64_t max_pack_bytes = 8ULL << 30U;
  std::uint64_t max_pack_objects = 10'000'000; ///< indexing keeps some 200 bytes of each
  std::uint64_t max_object_memory = 1ULL << 30U; ///< for one object while it is made: itself, what it is a difference from, and the difference
  std::uint64_t max_mirror_bytes = 0; ///< of the packs of one mirror; 0: no limit
  int max_redirects = 5;
  bool allow_plaintext_credentials = false; ///< credentials over http://
  address_rules addresses; ///< where connections may go, whatever the host is called
  std::string ssh_client; ///< absolute path of the OpenSSH client; empty: there is none
  bool ssh_accept_unknown_hosts = false; ///< of Secrets without `known_hosts`
  bool allow_git_protocol = false; ///< git://
  std::string user_agent = "git/2.39 (veranda)";
};

struct fetch_report {
  bool pack_received = false;
  std::uint64_t received_bytes = 0;
  std::uint64_t objects = 0;
};

/// A bare mirror on disk: object database with packs, one packed-refs file, an identity file, a discovery index file. One user at a time (the remote's
/// current job). All calls block.
class mirror {
public:
  virtual ~mirror() = default;
  /// Refs as of the last successful fetch.
  virtual ref_table_ptr refs() const = 0;
  /// Reader over the object database. Lives no longer than the mirror.
  virtual logic::object_reader& objects() = 0;
  virtual bool contains(const oid& id) = 0;
  /// Contents of the index file, empty when absent.
  virtual std::string load_index() = 0;
  /// Replaced by rename; after a power cut it may be an older one, or damaged.
  virtual result<void> save_index(std::string_view image) = 0;
  /// How many packs hold its objects.
  virtual std::size_t pack_count() const = 0;
  virtual const std::filesystem::path& path() const = 0;
  /// Waits until what was fetched is on the disk, refs included, and says what became of it. A fetch leaves that to a thread of its own.
  virtual result<void> settle() { return {}; }
  /// Merges small packs when there are many, and all of them, without what no ref leads to, when they have outgrown what they were. What was read stays good.
  virtual result<void> tidy(const cancel_token&) { return {}; }
};

/// Opens or creates the mirror of `url` at `dir`. Temporary packs and locks of a dead process are removed. A directory that holds another
/// identity fails with `conflict`; an unreadable object database with `corrupt_cache` (the caller removes it and
/// starts anew), one that another user has open, here or in another process, with `unavailable`. `max_object_memory`: see `transport_limits`.
result<std::unique_ptr<mirror>> open_mirror(const std::filesystem::path& dir, const std::string& identity,
                                            std::uint64_t max_object_memory = transport_limits{}.max_object_memory);
/// Removes a mirror and everything in it: at once under its name, then what `<name>.gone-<n>` holds. `unavailable` while somebody has it open.
result<void> remove_mirror(const std::filesystem::path& dir);

/// What a mirror takes on the disk, and when it was opened last; nothing when there is none. `name` is that of the directory, `remote` the identity it was opened with.
std::optional<logic::mirror_use> measure_mirror(const std::filesystem::path& dir);

/// Lists refs by a blocking call: a child process for local paths and ssh, a connection of its own for http(s) and git://. v2 `ls-refs`, v0/v1 advertisement when the server
/// has no v2. Failures are classified (`unreachable`, `timed_out`, `auth_rejected`, `not_found`, `throttled`, `unavailable`, `unsupported`).
result<listing> list_refs(const remote_endpoint& remote, const ref_prefixes& prefixes, const std::string& known_digest,
                          const transport_limits& limits, const cancel_token& cancel);

/// Brings the mirror to `target`: wants what is missing, sends haves of known tips, indexes the pack; once that is on the disk (`mirror::settle`)
/// packed-refs are replaced by rename.
/// `without_haves` refetches everything (after a missing object). On failure the mirror's refs are as before and no debris stays.
result<fetch_report> fetch(mirror& into, const remote_endpoint& remote, const ref_table& target, const transport_limits& limits,
                           const cancel_token& cancel, bool without_haves,
                           const std::function<void(std::uint64_t received_bytes, std::uint64_t objects)>& progress);

/// Makes a branch that the remote lacks, with a first commit that has no parents and a README.md alone, by a push against a ref that does not exist. `conflict`: it is there
/// by now, whoever made it. `auth_rejected`: the server does not let it be made. Blocks.
result<void> create_branch(const remote_endpoint& remote, const new_branch& branch, const transport_limits& limits, const cancel_token& cancel);

/// True when the URL is a local path or file:// URL.
bool is_local(std::string_view url);

/// True when the URL is http(s), whose remotes a `listing_engine` lists.
bool is_http(std::string_view url);

/// Canonical form of a remote URL: scheme and host lower case, default port and trailing slash removed, userinfo refused (but the user of ssh). Failure `invalid_spec` names the
/// rule that is broken.
result<std::string> canonical_url(std::string_view url, bool allow_local);

} // namespace veranda::git
