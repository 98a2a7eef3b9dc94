#include "adapters/git/git_url.hpp"

#include "adapters/git/git_remote.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace veranda::git {

namespace {

constexpr std::size_t max_url_bytes = 2'048;

failure broken(std::string rule) { return {ec::invalid_spec, std::move(rule), {}, "spec.git.repo", {}}; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string lowered(std::string_view text) {
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

int default_port(std::string_view scheme) { return scheme == "https" ? 443 : scheme == "http" ? 80 : scheme == "git" ? 9418 : 22; }

bool has_dot_segment(std::string_view path) {
  while (!path.empty()) {
    const auto slash = path.find('/');
    const auto part = path.substr(0, slash);
    if (part == ".." || part == ".") return true;
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  }
  return false;
}

std::string_view without_trailing_slashes(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  return path;
}

/// Where the path of `user@host:path` begins, as ssh's tools write it: behind a colon before any slash, and behind the brackets of an IPv6 address.
std::optional<std::size_t> scp_colon(std::string_view text) {
  const auto at = text.find_first_of("@:/");
  const auto host = at != std::string_view::npos && text[at] == '@' ? at + 1 : 0;
  const auto bracket = text.substr(host).starts_with('[') ? text.find(']') : host;
  const auto colon = bracket == std::string_view::npos ? bracket : text.find(':', bracket);
  return colon != std::string_view::npos && colon > 0 && text.find('/') > colon ? std::optional{colon} : std::nullopt;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned value = 0;
    if (text.size() - i < 3) return std::nullopt;
    const auto [end, error] = std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
    if (error != std::errc{} || end != text.data() + i + 3 || value == 0) return std::nullopt;
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

/// What a user wrote, as far as it can be repeated: whatever has an `@` may hold a password.
std::string shown(std::string_view text) {
  if (text.find('@') != std::string_view::npos) return "this";
  std::string out = "`";
  for (const char c : text.substr(0, 80)) out += c >= 0x20 && c < 0x7f ? c : '?';
  return out + (text.size() > 80 ? "...`" : "`");
}

result<git_url> local_url(std::string_view path) {
  if (!path.starts_with('/')) return broken(shown(path) + " is neither a URL, such as https://git.example.org/r.git, nor the absolute path of a local repository");
  if (path.find('\0') != std::string_view::npos) return broken("the path holds a NUL");
  if (has_dot_segment(path)) return broken("the path must not hold `.` or `..` segments");
  git_url out{"file", {}, {}, 0, {}};
  for (const char c : without_trailing_slashes(path))
    if (c != '/' || !out.path.ends_with('/')) out.path += c;
  if (out.path.empty()) return broken("the path names the root directory");
  return out;
}

result<std::string> checked_host(std::string_view host) {
  if (host.starts_with('[')) {
    const auto inner = host.substr(1, host.size() - 2);
    const bool fine = host.ends_with(']') && inner.find(':') != std::string_view::npos && lowered(inner).find_first_not_of("0123456789abcdef:.") == std::string_view::npos;
    return fine ? result<std::string>{lowered(inner)} : broken("the IPv6 address in the URL is malformed");
  }
  if (host.empty()) return broken("the URL has no host");
  auto name = lowered(host);
  if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_") != std::string::npos || name.front() == '-' || name.front() == '.' || name.size() > 253)
    return broken("the host name may hold letters, digits, `.`, `-` and `_` only (other alphabets in punycode)");
  return name;
}

/// Host and port of `authority` into `out`.
result<void> take_authority(std::string_view authority, git_url& out) {
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    const auto user = authority.substr(0, at);
    if (out.scheme != "ssh" || user.find(':') != std::string_view::npos)
      return broken("the URL must not hold a user name or password; put them into a secret named by spec.git.secretRef");
    if (user.empty() || user.front() == '-' || lowered(user).find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._+-") != std::string::npos)
      return broken("the user name in the URL may hold letters, digits, `.`, `_`, `+` and `-` only, and not begin with `-`");
    out.user = user;
    authority.remove_prefix(at + 1);
  }
  const auto bracket = authority.rfind(']');
  const auto colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  auto host = checked_host(authority.substr(0, colon));
  if (!host) return std::move(host).error();
  out.host = *std::move(host);
  if (colon == std::string_view::npos) return {};
  const auto digits = authority.substr(colon + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size() || out.port < 1 || out.port > 65'535)
    return broken("the port in the URL must be a number from 1 to 65535");
  if (out.port == default_port(out.scheme)) out.port = 0;
  return {};
}

/// What programs at the other end may be given: never what they could take for an option.
result<void> check_remote_path(std::string_view path) {
  const auto decoded = percent_decoded(path);
  if (!decoded) return broken("the path is badly percent-encoded");
  if (std::any_of(decoded->begin(), decoded->end(), [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; })) return broken("the path holds a control character");
  if (decoded->empty() || *decoded == "/~") return broken("the URL names no repository");
  if (has_dot_segment(*decoded)) return broken("the path must not hold `.` or `..` segments");
  if (decoded->starts_with("/~/-")) return broken("the path must not begin with `-`");
  return {};
}

result<git_url> network_url(std::string scheme, std::string_view rest) {
  for (const char c : rest)
    if (c <= 0x20 || c >= 0x7f || c == '\\' || c == '"' || c == '<' || c == '>' || c == '`') return broken("the URL holds a character that must be percent-encoded");
  if (rest.find_first_of("?#") != std::string_view::npos) return broken("the URL must not hold a query or a fragment");
  git_url out{std::move(scheme), {}, {}, 0, {}};
  const auto slash = std::min(rest.find('/'), rest.size());
  if (auto taken = take_authority(rest.substr(0, slash), out); !taken) return std::move(taken).error();
  out.path = without_trailing_slashes(rest.substr(slash));
  if (has_dot_segment(out.path)) return broken("the path must not hold `.` or `..` segments");
  if (out.scheme == "ssh" || out.scheme == "git")
    if (auto fine = check_remote_path(out.path); !fine) return std::move(fine).error();
  return out;
}

/// `user@host:path` as a URL: its path is no URL's, and begins at the account's home.
result<git_url> scp_url(std::string_view text, std::size_t colon) {
  const auto given = text.substr(colon + 1);
  if (text.find('@') > colon && given.substr(0, given.find('/')).find('@') != std::string_view::npos)
    return broken("the URL must not hold a password; put a key into a secret named by spec.git.secretRef");
  std::string path;
  for (const char c : given) path += c == '%' ? std::string{"%25"} : std::string{c};
  if (path.empty()) return broken("the URL names no repository");
  const auto start = path.starts_with('/') ? "" : path.starts_with('~') ? "/" : "/~/";
  return network_url("ssh", std::string{text.substr(0, colon)} + start + path);
}

/// A scheme that is worth repeating in a message; whatever else stands before `://` may be anything, a password too.
std::string shown_scheme(const std::string& scheme) {
  constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyz0123456789+-.";
  const bool plain = !scheme.empty() && scheme.size() <= 32 && scheme.find_first_not_of(allowed) == std::string::npos;
  return plain ? "`" + scheme + "`" : "what stands before `://`";
}

} // namespace

std::string git_url::text() const {
  if (scheme == "file") return path;
  std::string out = scheme + "://";
  if (!user.empty()) out += user + "@";
  return out + label() + path;
}

std::string git_url::label() const {
  if (scheme == "file") return path;
  const auto name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port == 0 ? name : name + ":" + std::to_string(port);
}

int git_url::port_or_default() const noexcept { return port != 0 ? port : default_port(scheme); }

std::string git_url::remote_path() const {
  const auto decoded = percent_decoded(path).value_or(path);
  if (scheme == "git") return decoded;
  if (decoded.starts_with("/~/")) return decoded.substr(3);
  return decoded.starts_with("/~") ? decoded.substr(1) : decoded;
}

result<git_url> parse_git_url(std::string_view text) {
  if (text.empty()) return broken("the URL is empty");
  if (text.size() > max_url_bytes) return broken("the URL is longer than 2048 bytes");
  const auto mark = text.find("://");
  if (mark == std::string_view::npos) {
    const auto colon = scp_colon(text);
    return colon ? scp_url(text, *colon) : local_url(text);
  }
  auto scheme = lowered(text.substr(0, mark));
  const auto rest = text.substr(mark + 3);
  if (scheme == "file") {
    const auto path = percent_decoded(rest.starts_with("localhost/") ? rest.substr(9) : rest);
    return path ? local_url(*path) : broken("the file URL is badly percent-encoded");
  }
  if (scheme != "https" && scheme != "http" && scheme != "ssh" && scheme != "git")
    return broken("the scheme must be https, http or ssh, not " + shown_scheme(scheme));
  return network_url(std::move(scheme), rest);
}

bool is_local(std::string_view url) {
  const auto parsed = parse_git_url(url);
  if (parsed) return parsed->scheme == "file";
  return url.starts_with('/') || lowered(url.substr(0, 7)) == "file://";
}

bool is_http(std::string_view url) {
  const auto parsed = parse_git_url(url);
  return parsed && (parsed->scheme == "https" || parsed->scheme == "http");
}

result<std::string> canonical_url(std::string_view url, bool allow_local) {
  auto parsed = parse_git_url(url);
  if (!parsed) return std::move(parsed).error();
  if (parsed->scheme == "file" && !allow_local) return broken("local paths are not allowed here; use an https, http or ssh URL, or start the daemon with --allow-local");
  return parsed->text();
}

} // namespace veranda::git
