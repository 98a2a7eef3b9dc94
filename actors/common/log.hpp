#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace veranda::log {

enum class level : unsigned char { trace, debug, info, warn, error };

/// One structured field of a line.
struct field {
  std::string_view key;
  std::string value;
};

/// Sets up logging to standard error; call once, before the first line. `json`: one JSON object per line. Lines are written by a thread of their own through
/// a bounded queue whose oldest lines are dropped (and counted) when it is full, so that no actor ever waits for a terminal. `over_progress`: standard error is a
/// terminal whose last line may show progress; each line takes its place.
void start(bool json, level least, bool over_progress = false);
/// Writes what is queued and ends. Later lines are dropped.
void stop();
/// Parses `trace`, `debug`, `info`, `warn`, `error`; info otherwise.
level parse_level(std::string_view name);
void set_level(level least);
[[nodiscard]] bool enabled(level l);

/// One line. Thread safe, never blocks, never throws. Every value is scrubbed.
void write(level l, std::string_view component, std::string_view message, std::initializer_list<field> fields = {});

/// `text` with the userinfo of every URL in it replaced by `***`, without their queries and fragments, and control characters made visible. A URL ends at a
/// blank or a quote.
std::string scrub(std::string_view text);

inline void debug(std::string_view c, std::string_view m, std::initializer_list<field> f = {}) { write(level::debug, c, m, f); }
inline void info(std::string_view c, std::string_view m, std::initializer_list<field> f = {}) { write(level::info, c, m, f); }
inline void warn(std::string_view c, std::string_view m, std::initializer_list<field> f = {}) { write(level::warn, c, m, f); }
inline void error(std::string_view c, std::string_view m, std::initializer_list<field> f = {}) { write(level::error, c, m, f); }

} // namespace veranda::log
