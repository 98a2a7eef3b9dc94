#include "adapters/source/deletion_permit.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <unistd.h>

namespace veranda::source {

namespace {

/// A path as one word of a shell.
std::string word(const std::string& path) {
  constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+:@%,";
  if (path.find_first_not_of(plain) == std::string::npos)
    return path;
  std::string out = "'";
  for (const char c : path)
    out += c == '\'' ? std::string{"'\\''"} : std::string(1, c);
  return out + "'";
}

} // namespace

result<bool> deletion_permit::take() {
  if (::unlink(file_.c_str()) == 0)
    return true;
  if (errno == ENOENT || errno == ENOTDIR)
    return false;
  return failure{ec::unavailable, std::string{"cannot be removed and is not heeded: "} + std::strerror(errno), file_.string(), {}, std::nullopt};
}

std::string deletion_permit::how() const { return "touch " + word(file_.string()); }

} // namespace veranda::source
