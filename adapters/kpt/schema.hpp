#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace veranda::kpt {

struct shape;

enum class value_kind : std::uint8_t {
  text,
  boolean,
  integer,
  text_map,  ///< names to texts
  text_list,
  object,
  object_list,
  anything, ///< not looked into
};

/// What the decoder keeps of a field.
enum class keep : std::uint8_t {
  nothing,
  api_version,
  kind,
  labels,
  annotations,
  lock,
  lock_repo,
  lock_directory,
  lock_ref,
  lock_commit,
  gate,
  gate_type,
  condition,
  condition_type,
  condition_status,
  condition_reason,
  condition_message,
};

struct field {
  std::string_view name;
  value_kind kind = value_kind::text;
  const shape* of = nullptr; ///< for objects and lists of them
  keep what = keep::nothing;
};

/// The fields that an object may have: at most 64.
struct shape {
  std::span<const field> fields;
};

/// A Kptfile of `kpt.dev/v1`.
[[nodiscard]] const shape& kptfile_shape();

} // namespace veranda::kpt
