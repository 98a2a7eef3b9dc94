#pragma once

#include "messages/model/failure.hpp"
#include "messages/model/object.hpp"

#include <string_view>

namespace veranda {

namespace api_names {
inline constexpr std::string_view config_group = "config.porch.kpt.dev";
inline constexpr std::string_view porch_group = "porch.kpt.dev";
inline constexpr std::string_view version = "v1alpha1";
inline constexpr std::string_view managed_by_annotation = "veranda.dev/managed-by";
inline constexpr std::string_view sync_requested_annotation = "veranda.dev/sync-requested-at";
/// `full`: the requested sync compares everything anew instead of trusting the sync basis.
inline constexpr std::string_view sync_mode_annotation = "veranda.dev/sync-mode";
/// The permit of a deletion hold: the removals that it names, and no others, are carried out.
inline constexpr std::string_view allow_deletion_annotation = "veranda.dev/allow-deletion";
inline constexpr std::string_view suspend_annotation = "veranda.dev/suspend";
/// Holds a Repository that is being deleted until what is cached of it is gone.
inline constexpr std::string_view repository_finalizer = "config.porch.kpt.dev/repository";
} // namespace api_names

enum class repository_type : std::uint8_t { unknown, git, oci };

struct git_spec {
  std::string repo;
  std::string branch = "main";
  bool create_branch = false;
  std::string directory; ///< without leading and trailing slashes; empty is the root
  std::string secret_ref;
  std::string author;
  std::string email;
  bool operator==(const git_spec&) const = default;
};

struct oci_spec {
  std::string registry;
  std::string secret_ref;
  bool operator==(const oci_spec&) const = default;
};

struct sync_spec {
  std::string schedule; ///< cron expression, empty for the default frequency
  std::optional<wall_time> run_once_at;
  bool operator==(const sync_spec&) const = default;
};

struct repository_spec {
  std::string description;
  bool deployment = false;
  repository_type type = repository_type::unknown;
  sync_spec sync;
  std::optional<git_spec> git;
  std::optional<oci_spec> oci;
  bool operator==(const repository_spec&) const = default;
};

/// One rule that a field of an object breaks.
struct field_problem {
  std::string field; ///< `spec.git.branch`
  std::string value; ///< what was found, shortened, never a secret
  std::string rule;  ///< what it must be
  bool operator==(const field_problem&) const = default;
};

/// `spec.git.branch: "a b": must be a valid git branch name`.
[[nodiscard]] std::string describe(const field_problem& p);

/// A Kubernetes condition.
struct condition {
  std::string type;
  std::string status; ///< True, False, Unknown
  std::string reason;
  std::string message;
  std::optional<wall_time> last_transition;
  std::int64_t observed_generation = 0;
  bool operator==(const condition&) const = default;
};

/// Status of a Repository: the fields that Porch writes, and Veranda's own.
struct repository_status {
  std::vector<condition> conditions; ///< `Ready` is always the first
  std::optional<wall_time> last_full_sync;
  std::optional<wall_time> next_full_sync;
  std::string next_sync_cause; ///< `periodic`, `cron`, `runOnceAt`, `retry`, `health`, `suspended`, ...
  std::int64_t observed_generation = 0;
  std::optional<wall_time> observed_run_once_at;
  std::int64_t package_count = 0;
  std::string git_commit_hash;
  std::string handled_request; ///< last handled value of `veranda.dev/sync-requested-at`
  std::int64_t fence = 0;
  std::string deletion_permit = {}; ///< value of `veranda.dev/allow-deletion` that would allow what is held; empty: nothing is
  bool operator==(const repository_status&) const = default;
};

/// A `config.porch.kpt.dev/v1alpha1` Repository as read from its source.
/// `problems` lists what is wrong with it; when it is not empty the object must not be synced.
struct repository_object {
  object_meta meta;
  repository_spec spec;
  repository_status status; ///< as stored; decides nothing, but a restarted daemon keeps its transition times
  std::vector<field_problem> problems;
  bool operator==(const repository_object&) const = default;
};

} // namespace veranda
