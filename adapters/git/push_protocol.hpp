#pragma once

#include "adapters/git/pkt_line.hpp"
#include "messages/model/oid.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace veranda::git {

// What is said to a `git-receive-pack` to make one branch. Pure.

/// A branch to be made, and in whose name.
struct new_branch {
  std::string name; ///< without `refs/heads/`
  std::string author;
  std::string email;
};

/// The first commit of a branch, which has no parents and holds a README.md, with what it is made of. `seconds`: its Unix time.
struct first_commit {
  oid id;
  std::string pack;
};
[[nodiscard]] first_commit make_first_commit(const new_branch& branch, std::int64_t seconds);

/// Asks for `ref` to be made with this commit, if and only if there is no such ref.
[[nodiscard]] std::string push_request(std::string_view ref, const first_commit& commit, std::string_view user_agent);

/// Reads the answer (`report-status`, not in side bands) as it arrives.
class push_report {
public:
  explicit push_report(std::string ref) : ref_(std::move(ref)) {}
  result<void> feed(std::string_view bytes);
  /// Whether the ref was made; false: the server refused. `unavailable` when the answer was cut short.
  [[nodiscard]] result<bool> finish() const;

private:
  result<void> on_line(std::string_view line);
  std::string ref_;
  packet_reader packets_;
  std::uint64_t bytes_ = 0;
  bool unpacked_ = false;
  bool made_ = false;
  bool complete_ = false;
};

} // namespace veranda::git
