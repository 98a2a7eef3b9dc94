#pragma once

#include "adapters/git/git_remote.hpp"
#include "messages/model/live.hpp"

namespace veranda::git {

/// Everything the actors ask of git, as one replaceable object: blocking, for workers. Thread safe; each mirror has one user at a time.
class git_client {
public:
  virtual ~git_client() = default;
  virtual result<std::unique_ptr<mirror>> open_mirror(const std::filesystem::path& dir, const std::string& identity) = 0;
  virtual result<void> remove_mirror(const std::filesystem::path& dir) = 0;
  virtual std::optional<logic::mirror_use> measure_mirror(const std::filesystem::path& dir) = 0;
  virtual result<listing> list_refs(const remote_endpoint& remote, const ref_prefixes& prefixes, const std::string& known_digest,
                                    const cancel_token& cancel) = 0;
  virtual result<fetch_report> fetch(mirror& into, const remote_endpoint& remote, const ref_table& target, const cancel_token& cancel,
                                     bool without_haves, const std::function<void(std::uint64_t, std::uint64_t)>& progress) = 0;
  virtual result<void> create_branch(const remote_endpoint& remote, const new_branch& branch, const cancel_token& cancel) = 0;
};

/// The real one: the free functions of `git_remote.hpp` with these limits, as they are when one is called.
std::unique_ptr<git_client> make_git_client(const live<transport_limits>& listing_limits, const live<transport_limits>& fetch_limits);

} // namespace veranda::git
