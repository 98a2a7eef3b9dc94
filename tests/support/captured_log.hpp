#pragma once

#include "actors/common/log.hpp"

#include <cstdio>
#include <string>
#include <unistd.h>

namespace veranda::test {

/// What is logged while `act` runs: warnings and errors, a line each.
template <class Act>
std::string logged(Act act) {
  std::fflush(stderr);
  std::FILE* file = std::tmpfile();
  const int before = dup(STDERR_FILENO);
  dup2(fileno(file), STDERR_FILENO);
  log::start(false, log::level::warn);
  act();
  log::stop();
  dup2(before, STDERR_FILENO);
  close(before);
  std::string text(static_cast<std::size_t>(lseek(fileno(file), 0, SEEK_END)), ' ');
  std::rewind(file);
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

/// How often `part` is in `text`.
inline unsigned count(const std::string& text, const std::string& part) {
  unsigned n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++n;
  return n;
}

} // namespace veranda::test
