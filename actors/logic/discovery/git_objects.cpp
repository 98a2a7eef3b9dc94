#include "actors/logic/discovery/git_objects.hpp"

#include <charconv>
#include <cstring>

namespace veranda::logic {

namespace {

/// Takes the next line, without its newline, off the front.
std::string_view take_line(std::string_view& text) noexcept {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

/// The rest of a header line when it begins with `key` and a blank.
std::optional<std::string_view> value_of(std::string_view line, std::string_view key) noexcept {
  if (line.size() <= key.size() || !line.starts_with(key) || line[key.size()] != ' ')
    return std::nullopt;
  return line.substr(key.size() + 1);
}

struct signature {
  std::string_view email;
  std::int64_t time = no_time;
};

/// `Name <email> seconds zone`, with the outermost brackets, as Porch reads it.
signature parse_signature(std::string_view text) noexcept {
  const std::size_t open = text.rfind('<');
  const std::size_t close = text.rfind('>');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open)
    return {};
  signature out{text.substr(open + 1, close - open - 1), no_time};
  std::string_view rest = text.substr(close + 1);
  while (rest.starts_with(' '))
    rest.remove_prefix(1);
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), seconds);
  if (error == std::errc{} && (end == rest.data() + rest.size() || *end == ' '))
    out.time = seconds;
  return out;
}

entry_kind kind_of(unsigned mode) noexcept {
  switch (mode & 0170000U) {
  case 0100000U:
    return (mode & 0100U) != 0 ? entry_kind::executable : entry_kind::file;
  case 0120000U:
    return entry_kind::symlink;
  case 0040000U:
    return entry_kind::tree;
  case 0160000U:
    return entry_kind::submodule;
  default:
    return entry_kind::unknown;
  }
}

} // namespace

std::optional<parsed_commit> parse_commit(std::string_view text) {
  parsed_commit out;
  bool has_tree = false;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (line.empty())
      break;
    if (const auto tree = value_of(line, "tree")) {
      const auto id = oid::parse(*tree);
      if (!id)
        return std::nullopt;
      out.tree = *id;
      has_tree = true;
    } else if (const auto parent = value_of(line, "parent")) {
      const auto id = oid::parse(*parent);
      if (!id)
        return std::nullopt;
      out.parents.push_back(*id);
    } else if (const auto author = value_of(line, "author")) {
      const auto s = parse_signature(*author);
      out.author_email = s.email;
      out.authored = s.time;
    } else if (const auto committer = value_of(line, "committer")) {
      out.committed = parse_signature(*committer).time;
    }
  }
  if (!has_tree)
    return std::nullopt;
  out.message = text;
  return out;
}

std::optional<parsed_tag> parse_tag(std::string_view text) {
  const auto object = value_of(take_line(text), "object");
  const auto type = value_of(take_line(text), "type");
  if (!object || !type)
    return std::nullopt;
  const auto id = oid::parse(*object);
  if (!id)
    return std::nullopt;
  return parsed_tag{*id, *type};
}

bool tree_cursor::next(tree_entry& entry) noexcept {
  if (rest_.empty())
    return false;
  malformed_ = true; // until the entry is complete
  unsigned mode = 0;
  std::size_t at = 0;
  while (at < rest_.size() && at < 7 && rest_[at] >= '0' && rest_[at] <= '7')
    mode = mode * 8 + static_cast<unsigned>(rest_[at++] - '0');
  if (at == 0 || at >= rest_.size() || rest_[at] != ' ')
    return false;
  const std::size_t end = rest_.find('\0', ++at);
  if (end == std::string_view::npos || end == at || rest_.size() - end - 1 < entry.id.bytes.size())
    return false;
  entry.kind = kind_of(mode);
  entry.name = rest_.substr(at, end - at);
  std::memcpy(entry.id.bytes.data(), rest_.data() + end + 1, entry.id.bytes.size());
  rest_.remove_prefix(end + 1 + entry.id.bytes.size());
  malformed_ = entry.name.find('/') != std::string_view::npos;
  return !malformed_;
}

std::string_view to_string(git_object_type type) noexcept {
  switch (type) {
  case git_object_type::commit:
    return "commit";
  case git_object_type::tree:
    return "tree";
  case git_object_type::blob:
    return "blob";
  case git_object_type::tag:
    return "tag";
  }
  return "unknown object";
}

} // namespace veranda::logic
