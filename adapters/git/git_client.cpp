#include "adapters/git/git_client.hpp"

namespace veranda::git {

namespace {

class real_git_client final : public git_client {
public:
  real_git_client(const live<transport_limits>& listing, const live<transport_limits>& fetching)
      : listing_limits_(listing), fetch_limits_(fetching) {}

  result<std::unique_ptr<mirror>> open_mirror(const std::filesystem::path& dir, const std::string& identity) override {
    return git::open_mirror(dir, identity, fetch_limits_.get()->max_object_memory);
  }
  result<void> remove_mirror(const std::filesystem::path& dir) override { return git::remove_mirror(dir); }
  std::optional<logic::mirror_use> measure_mirror(const std::filesystem::path& dir) override { return git::measure_mirror(dir); }
  result<listing> list_refs(const remote_endpoint& remote, const ref_prefixes& prefixes, const std::string& known_digest,
                            const cancel_token& cancel) override {
    return git::list_refs(remote, prefixes, known_digest, *listing_limits_.get(), cancel);
  }
  result<fetch_report> fetch(mirror& into, const remote_endpoint& remote, const ref_table& target, const cancel_token& cancel,
                             bool without_haves,
                             const std::function<void(std::uint64_t, std::uint64_t)>& progress) override {
    return git::fetch(into, remote, target, *fetch_limits_.get(), cancel, without_haves, progress);
  }

  result<void> create_branch(const remote_endpoint& remote, const new_branch& branch, const cancel_token& cancel) override {
    return git::create_branch(remote, branch, *listing_limits_.get(), cancel);
  }

private:
  live<transport_limits> listing_limits_;
  live<transport_limits> fetch_limits_;
};

} // namespace

std::unique_ptr<git_client> make_git_client(const live<transport_limits>& listing_limits, const live<transport_limits>& fetch_limits) {
  return std::make_unique<real_git_client>(listing_limits, fetch_limits);
}

} // namespace veranda::git
