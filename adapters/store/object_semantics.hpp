#pragma once

#include "adapters/store/object_store.hpp"

#include <nlohmann/json_fwd.hpp>

/// What writes do to an object, apart from where it is kept: Kubernetes' rules for metadata, generation, status and finalizers. Pure but for
/// random uids. Included by this folder's .cpp files only; they throw `sqlite::error`.
namespace veranda::store::semantics {

/// Parses an object or patch; `invalid_spec` when it is not a JSON object, `too_large` beyond 3 MiB or 64 levels.
[[nodiscard]] nlohmann::json parse_object(const std::string& text);

/// Namespace and name in the metadata; `invalid_spec` when there is no name.
[[nodiscard]] object_key key_of(const nlohmann::json& object);

/// A new object: uid, creationTimestamp and generation set, status dropped, a `generateName` completed.
[[nodiscard]] nlohmann::json created(nlohmann::json given, wall_time now);

/// `stored` after everything but its status was replaced by `given`. What the server owns in the metadata is kept. Preconditions are the
/// caller's. Equal to `stored` when nothing changed.
[[nodiscard]] nlohmann::json replaced(const nlohmann::json& stored, nlohmann::json given);

/// `stored` with another status; equal when that is no change.
[[nodiscard]] nlohmann::json with_status(const nlohmann::json& stored, nlohmann::json status);

/// `stored` marked for deletion.
[[nodiscard]] nlohmann::json marked_deleted(const nlohmann::json& stored, wall_time now);

[[nodiscard]] bool has_finalizers(const nlohmann::json& object);
[[nodiscard]] bool is_marked_deleted(const nlohmann::json& object);
/// Text member of the metadata; empty when absent. `invalid_spec` when it is not text.
[[nodiscard]] std::string meta_text(const nlohmann::json& object, const char* member);
[[nodiscard]] std::int64_t generation_of(const nlohmann::json& object);

} // namespace veranda::store::semantics
