#include "actors/logic/time_zones.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string_view>

namespace veranda::logic {

namespace {

constexpr std::size_t max_name_bytes = 64;

/// Components of letters, digits, `_`, `-`, `+`: no `..`, no absolute path, and none of the `file:` and `libc:` forms that cctz knows.
bool is_database_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '+' || c == '/';
  };
  return !name.empty() && name.size() <= max_name_bytes && name.front() != '/' && name.back() != '/' && name.find("//") == std::string_view::npos &&
         std::all_of(name.begin(), name.end(), allowed);
}

/// Where cctz looks.
std::filesystem::path database_directory() {
  const char* dir = std::getenv("TZDIR");
  return dir != nullptr && *dir != '\0' ? dir : "/usr/share/zoneinfo";
}

std::optional<cctz::time_zone> built_in_zone(const std::string& name) {
  if (name.empty() || name == "UTC")
    return cctz::utc_time_zone();
  if (name == "Local")
    return cctz::local_time_zone();
  return std::nullopt;
}

} // namespace

std::optional<cctz::time_zone> load_zone(const std::string& name) {
  if (const auto zone = built_in_zone(name))
    return zone;
  std::error_code none;
  cctz::time_zone zone;
  if (!is_database_name(name) || !std::filesystem::is_regular_file(database_directory() / name, none) || !cctz::load_time_zone(name, &zone))
    return std::nullopt;
  return zone;
}

cctz::time_zone loaded_zone(const std::string& name) {
  if (const auto zone = built_in_zone(name))
    return *zone;
  cctz::time_zone zone; // UTC when the name was never accepted
  cctz::load_time_zone(name, &zone);
  return zone;
}

} // namespace veranda::logic
