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
std::shared_ptr<spdlog::logger> logger;
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

} // namespace

void start(bool json, level least) {
  pool = std::make_shared<spdlog::details::thread_pool>(queue_lines, 1);
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  logger = std::make_shared<spdlog::async_logger>("veranda", std::move(sink), pool, spdlog::async_overflow_policy::overrun_oldest);
  logger->set_level(spdlog::level::trace);
  logger->set_pattern(json ? "%v" : "%Y-%m-%dT%H:%M:%S.%eZ %-5l %v", spdlog::pattern_time_type::utc);
  logger->flush_on(spdlog::level::warn);
  json_lines = json;
  least_level = least;
  running = true;
}

void stop() {
  running = false;
  if (logger)
    logger->flush();
  logger.reset();
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
    logger->log(native(l), "{}", json_lines ? json_line(l, component, message, fields) : text_line(component, message, fields));
  } catch (const std::exception&) {
    // A line that cannot be written must not end an actor.
  }
}

std::string scrub(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::size_t i = 0;
  while (i < text.size()) {
    if (text.substr(i, 3) == "://") {
      out += "://";
      i += 3;
      const auto end = text.find_first_of("/ \t\n\"'", i);
      const auto authority = text.substr(i, end == std::string_view::npos ? std::string_view::npos : end - i);
      if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
        out += "***@";
        i += at + 1;
      }
      continue;
    }
    const auto c = static_cast<unsigned char>(text[i++]);
    if (c < 0x20 || c == 0x7f)
      out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : "?";
    else
      out += static_cast<char>(c);
  }
  return out;
}

} // namespace veranda::log
