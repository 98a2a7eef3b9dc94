#pragma once

#include "adapters/source/manifest_directory.hpp"
#include "adapters/store/object_store.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace veranda::source {

/// `logic::merge_managed`.
using merge_function = std::function<std::optional<std::string>(const std::string& last_applied, const std::string& desired, const std::string& live,
                                                                const std::string& file)>;

enum class write_kind : std::uint8_t { create, update, remove };

/// One write that brings the object store closer to the directory.
struct manifest_write {
  write_kind kind = write_kind::create;
  std::string resource;
  object_key key;
  std::string json; ///< whole object; empty for `remove`. An update carries the uid and resourceVersion that it was planned on
  bool operator==(const manifest_write&) const = default;
};

struct plan_options {
  bool allow_deletion = false;       ///< do what the hold would hold back
  std::size_t hold_percent = 50;     ///< removals of more than so many percent of the managed objects are held,
  std::size_t hold_at_least = 10;    ///< when they are at least so many
  std::string release{};             ///< the command that lets go of them, for people; empty: there is none
};

struct manifest_plan {
  std::vector<manifest_write> writes; ///< removals last
  std::vector<manifest_problem> problems; ///< sorted: those of the state, and `DeletionHeld`
  std::size_t held = 0; ///< removals held back
};

/// What to write so that the stored objects are as the files want them. Pure.
/// `live`: all stored Repositories and Secrets. What a file said last is in annotation `veranda.dev/last-applied` of the stored object, as kubectl keeps it.
/// Managed objects whose file no longer names them are removed, unless that file could not be read as a whole. Nothing is removed while the
/// directory is missing or incomplete, or when the hold of `options` applies; a problem with rule `DeletionHeld: ...` says so then.
/// An invalid object that is stored already in a valid version is left as it is. Objects being deleted are left alone: plan again when they are gone.
[[nodiscard]] manifest_plan plan(const manifest_state& state, const std::vector<store::stored_object>& live, const merge_function& merge,
                                 const plan_options& options = {});

/// The file that an object is managed by (annotation `veranda.dev/managed-by`); empty when it is nobody's. `apply` and `delete` refuse such objects.
[[nodiscard]] std::string managed_by(const std::string& json);

/// What an `apply` or `delete` of a managed object is refused with: class `conflict`, naming the file.
[[nodiscard]] failure managed_refusal(const std::string& resource, const object_key& key, const std::string& file);

} // namespace veranda::source
