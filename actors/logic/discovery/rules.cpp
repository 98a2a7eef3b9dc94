#include "actors/logic/discovery/rules.hpp"

#include "actors/logic/discovery/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace veranda::logic {

namespace {

struct kind_prefix {
  ref_kind kind;
  std::string_view prefix;
};
constexpr std::array<kind_prefix, 4> kind_prefixes{{
    {ref_kind::tag, "refs/tags/"},
    {ref_kind::draft, "refs/heads/drafts/"},
    {ref_kind::proposed, "refs/heads/proposed/"},
    {ref_kind::deletion_proposed, "refs/heads/deletionProposed/"},
}};

/// UUID namespace of all UIDs (4.6).
constexpr std::string_view uid_namespace{"\xaa\xc7\x1d\x91\x5c\x67\x45\x6f\x8f\xd2\x90\x2e\xf6\xda\x82\x0e", 16};

void append_lower(std::string& out, std::string_view text) {
  for (const char c : text)
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Canonical text of a version 5 UUID with this SHA-1.
std::string uuid_text(const sha1_digest& digest) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  out.reserve(36);
  for (std::size_t i = 0; i < 16; ++i) {
    unsigned byte = digest[i];
    if (i == 6)
      byte = (byte & 0x0fU) | 0x50U;
    if (i == 8)
      byte = (byte & 0x3fU) | 0x80U;
    if (i == 4 || i == 6 || i == 8 || i == 10)
      out += '-';
    out += digits[byte >> 4U];
    out += digits[byte & 15U];
  }
  return out;
}

bool is_lower_alnum(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

/// The directory rule of 1.1: without its slashes, a label.
bool is_directory_name(std::string_view path) {
  if (path.find("//") != std::string_view::npos)
    return false;
  std::size_t letters = 0;
  char first = 0;
  char last = 0;
  for (const char c : path) {
    if (c == '/')
      continue;
    if (!is_lower_alnum(c) && c != '-')
      return false;
    first = letters++ == 0 ? c : first;
    last = c;
  }
  return letters == 0 || (letters <= 63 && is_lower_alnum(first) && is_lower_alnum(last));
}

} // namespace

parsed_ref parse_ref(std::string_view full_name) noexcept {
  for (const auto& [kind, prefix] : kind_prefixes) {
    if (!full_name.starts_with(prefix))
      continue;
    const std::string_view rest = full_name.substr(prefix.size());
    const std::size_t slash = rest.rfind('/');
    if (slash == std::string_view::npos)
      return kind == ref_kind::tag ? parsed_ref{} : parsed_ref{kind, {}, rest};
    return {kind, rest.substr(0, slash), rest.substr(slash + 1)};
  }
  return {};
}

std::string_view prefix_of(ref_kind kind) noexcept {
  for (const auto& p : kind_prefixes)
    if (p.kind == kind)
      return p.prefix;
  return {};
}

std::string_view short_ref(std::string_view full_name) noexcept {
  for (const std::string_view prefix : {heads_prefix, tags_prefix})
    if (full_name.starts_with(prefix))
      return full_name.substr(prefix.size());
  return full_name;
}

bool in_directory(std::string_view path, std::string_view directory) noexcept {
  return directory.empty() || (path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/'));
}

std::string_view relative_path(std::string_view path, std::string_view directory) noexcept {
  if (directory.empty())
    return path;
  return path.size() == directory.size() ? std::string_view{} : path.substr(directory.size() + 1);
}

std::int64_t revision_number(std::string_view text) noexcept {
  if (text.starts_with('v'))
    text.remove_prefix(1);
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-'))
      return -1;
  }
  std::int64_t number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? number : -1;
}

bool is_canonical_revision(std::string_view text, std::int64_t number) { return text == 'v' + std::to_string(number); }

std::int64_t branch_revision(std::string_view branch) noexcept {
  const std::int64_t number = revision_number(branch);
  return number >= 1 && number <= max_revision ? number : -1;
}

void append_object_name(std::string& out, std::string_view repository, std::string_view path, std::string_view package, std::string_view workspace) {
  if (repository.empty() || package.empty() || workspace.empty())
    return;
  out.append(repository) += '.';
  const std::size_t middle = out.size();
  if (!path.empty())
    out.append(path) += '/';
  out += package;
  std::replace(out.begin() + static_cast<std::ptrdiff_t>(middle), out.end(), '/', '.');
  while (out.size() > middle && out.back() == '.')
    out.pop_back();
  const std::size_t first = out.find_first_not_of('.', middle);
  if (first != std::string::npos)
    out.erase(middle, first - middle);
  out += '.';
  out += workspace;
}

std::string object_name(std::string_view repository, std::string_view path, std::string_view package, std::string_view workspace) {
  std::string out;
  out.reserve(repository.size() + path.size() + package.size() + workspace.size() + 3);
  append_object_name(out, repository, path, package, workspace);
  return out;
}

std::string object_uid(std::string_view prefix, std::string_view ns, std::string_view name) {
  std::string text{uid_namespace};
  text.reserve(uid_namespace.size() + prefix.size() + ns.size() + name.size() + 32);
  text += prefix;
  text += "porch.kpt.dev/v1alpha1/";
  append_lower(text, ns);
  text += '/';
  append_lower(text, name);
  return uuid_text(sha1(text));
}

std::string package_revision_uid(std::string_view ns, std::string_view name) { return object_uid("packagerevision:", ns, name); }

std::string deletion_name(std::string_view full_path, std::int64_t revision, std::string_view workspace) {
  std::string out{full_path};
  out += '/';
  if (revision > 0)
    out.append("v").append(std::to_string(revision));
  else
    out += workspace;
  return out;
}

bool is_label(std::string_view text) noexcept {
  if (text.empty() || text.size() > 63 || !is_lower_alnum(text.front()) || !is_lower_alnum(text.back()))
    return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return is_lower_alnum(c) || c == '-'; });
}

std::string path_problem(std::string_view path) {
  if (path.size() > max_name_bytes)
    return "is longer than " + std::to_string(max_name_bytes) + " bytes";
  if (has_control(path))
    return "contains control characters";
  if (!is_utf8(path))
    return "is not valid UTF-8";
  while (true) {
    const std::size_t slash = path.find('/');
    const std::string_view component = path.substr(0, slash);
    if (component.empty() || component == "." || component == "..")
      return "has an empty, `.` or `..` component";
    if (slash == std::string_view::npos)
      return {};
    path.remove_prefix(slash + 1);
  }
}

std::string name_problem(const revision_key_view& key, std::string_view name, bool from_branch) {
  if (!is_label(key.package))
    return "the package name is no RFC 1123 label of at most 63 characters";
  if (!key.path.empty() && !is_directory_name(key.path))
    return "the package path is no RFC 1123 label of at most 63 characters when its slashes are removed";
  if (!from_branch && !is_label(key.workspace))
    return "the workspace name is no RFC 1123 label of at most 63 characters";
  if (name.size() > 253)
    return "the object name is longer than 253 characters";
  return {};
}

} // namespace veranda::logic
