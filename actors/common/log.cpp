#include "actors/common/log.hpp"

#include "messages/model/time.hpp"

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>

namespace veranda::log {

namespace {

constexpr std::size_t queue_lines = 8192;

std::shared_ptr<spdlog::details::thread_pool> pool;
std::atomic<std::shared_ptr<spdlog::logger>> logger; ///< of actors that hang while the program ends, too
std::atomic<level> least_level{level::info};
std::atomic<bool> json_lines{false};
std::atomic<bool> running{false};

spdlog::level::level_enum native(level l) {
  switch (l) {
  case level::trace: return spdlog::level::trace;
  case level::debug: return spdlog::level::debug;
  case level::info: return spdlog::level::info;
  case level::warn: return spdlog::level::warn;
  case level::error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

const char* name_of(level l) {
  constexpr const char* names[] = {"trace", "debug", "info", "warn", "error"};
  return names[static_cast<unsigned>(l)];
}

std::string text_line(std::string_view component, std::string_view message, std::initializer_list<field> fields) {
  std::string line{component};
  line += ": ";
  line += scrub(message);
  for (const auto& f : fields) {
    if (f.value.empty())
      continue;
    line += ' ';
    line += f.key;
    line += '=';
    const auto value = scrub(f.value);
    const bool quote = value.find_first_of(" \"=") != std::string::npos;
    line += quote ? nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) : value;
  }
  return line;
}

std::string json_line(level l, std::string_view component, std::string_view message, std::initializer_list<field> fields) {
  nlohmann::ordered_json line;
  line["time"] = format_rfc3339(std::chrono::system_clock::now());
  line["level"] = name_of(l);
  line["component"] = component;
  line["message"] = scrub(message);
  for (const auto& f : fields)
    if (!f.value.empty())
      line[std::string{f.key}] = scrub(f.value);
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void append_printable(std::string& out, std::string_view text) {
  for (const char one : text) {
    const auto c = static_cast<unsigned char>(one);
    if (c < 0x20 || c == 0x7f)
      out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : "?";
    else
      out += one;
  }
}

/// What follows `://`, without what could be a secret. A password may hold any character, so userinfo reaches to the last `@`; one behind a `?` or `#` may
/// be part of either, and then nothing is shown.
void append_url_rest(std::string& out, std::string_view rest) {
  out += "://";
  const auto at = rest.rfind('@');
  const auto tail = rest.find_first_of("?#");
  if (at != std::string_view::npos) {
    out += "***";
    if (tail < at)
      return;
    out += '@';
    rest.remove_prefix(at + 1);
  }
  append_printable(out, rest.substr(0, rest.find_first_of("?#")));
}

} // namespace

void start(bool json, level least, bool over_progress) {
  pool = std::make_shared<spdlog::details::thread_pool>(queue_lines, 1);
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  const auto made = std::make_shared<spdlog::async_logger>("veranda", std::move(sink), pool, spdlog::async_overflow_policy::overrun_oldest);
  made->set_level(spdlog::level::trace);
  const std::string erase = over_progress ? "\r\x1b[K" : "";
  made->set_pattern(erase + (json ? "%v" : "%Y-%m-%dT%H:%M:%S.%eZ %-5l %v"), spdlog::pattern_time_type::utc);
  made->flush_on(spdlog::level::warn);
  logger = made;
  json_lines = json;
  least_level = least;
  running = true;
}

void stop() {
  running = false;
  if (const auto last = logger.exchange(nullptr))
    last->flush();
  pool.reset();
}

level parse_level(std::string_view name) {
  for (auto l : {level::trace, level::debug, level::info, level::warn, level::error})
    if (name == name_of(l))
      return l;
  return level::info;
}

void set_level(level least) { least_level = least; }

bool enabled(level l) { return running && l >= least_level; }

void write(level l, std::string_view component, std::string_view message, std::initializer_list<field> fields) {
  if (!enabled(l))
    return;
  try {
    if (const auto to = logger.load())
      to->log(native(l), "{}", json_lines ? json_line(l, component, message, fields) : text_line(component, message, fields));
  } catch (const std::exception&) {
    // A line that cannot be written must not end an actor.
  }
}

std::string scrub(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto scheme = text.find("://");
    append_printable(out, text.substr(0, scheme));
    if (scheme == std::string_view::npos)
      break;
    text.remove_prefix(scheme + 3);
    const auto rest = text.substr(0, text.find_first_of(" \t\r\n\"'`"));
    append_url_rest(out, rest);
    text.remove_prefix(rest.size());
  }
  return out;
}

} // namespace veranda::log
