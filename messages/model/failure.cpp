#include "messages/model/failure.hpp"

#include <array>

namespace veranda {

namespace {

struct code_row {
  ec code;
  std::string_view name;
  error_class cls;
};

/// One row per code, in the order of the enumeration.
constexpr std::array code_table{
    code_row{ec::unreachable, "unreachable", error_class::retry},
    code_row{ec::timed_out, "timed_out", error_class::retry},
    code_row{ec::unavailable, "unavailable", error_class::retry},
    code_row{ec::throttled, "throttled", error_class::wait},
    code_row{ec::overloaded, "overloaded", error_class::wait},
    code_row{ec::dependency_missing, "dependency_missing", error_class::wait},
    code_row{ec::host_unavailable, "host_unavailable", error_class::wait},
    code_row{ec::auth_rejected, "auth_rejected", error_class::needs_change},
    code_row{ec::not_found, "not_found", error_class::needs_change},
    code_row{ec::invalid_spec, "invalid_spec", error_class::needs_change},
    code_row{ec::too_large, "too_large", error_class::needs_change},
    code_row{ec::unsupported, "unsupported", error_class::needs_change},
    code_row{ec::conflict, "conflict", error_class::race},
    code_row{ec::stale, "stale", error_class::race},
    code_row{ec::checksum_mismatch, "checksum_mismatch", error_class::damaged},
    code_row{ec::corrupt_cache, "corrupt_cache", error_class::damaged},
    code_row{ec::cancelled, "cancelled", error_class::stop},
    code_row{ec::shutting_down, "shutting_down", error_class::stop},
    code_row{ec::internal, "internal", error_class::bug},
};

constexpr bool table_is_indexed_by_code() {
  for (std::size_t i = 0; i < code_table.size(); ++i)
    if (static_cast<std::size_t>(code_table[i].code) != i + 1)
      return false;
  return code_table.size() == static_cast<std::size_t>(ec::internal);
}
static_assert(table_is_indexed_by_code());

/// A value outside the enumeration counts as a bug.
constexpr const code_row& row_of(ec code) noexcept {
  const auto index = static_cast<std::size_t>(code) - 1;
  return index < code_table.size() ? code_table[index] : code_table.back();
}

} // namespace

error_class class_of(ec code) noexcept { return row_of(code).cls; }

std::string_view to_string(ec code) noexcept { return row_of(code).name; }

std::string_view to_string(error_class c) noexcept {
  switch (c) {
  case error_class::retry: return "retry";
  case error_class::wait: return "wait";
  case error_class::needs_change: return "needs_change";
  case error_class::race: return "race";
  case error_class::damaged: return "damaged";
  case error_class::stop: return "stop";
  case error_class::bug: return "bug";
  }
  return "bug";
}

std::optional<ec> parse_ec(std::string_view name) noexcept {
  for (const auto& row : code_table)
    if (row.name == name)
      return row.code;
  return std::nullopt;
}

std::string describe(const failure& f) {
  std::string text;
  for (const std::string* part : {&f.object, &f.field, &f.what}) {
    if (part->empty())
      continue;
    if (!text.empty())
      text += ": ";
    text += *part;
  }
  return text.empty() ? std::string{to_string(f.code)} : text;
}

} // namespace veranda
