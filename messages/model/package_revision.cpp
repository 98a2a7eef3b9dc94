#include "messages/model/package_revision.hpp"

#include <array>

namespace veranda {

namespace {

constexpr std::array<std::string_view, 4> lifecycle_names{"Draft", "Proposed", "Published", "DeletionProposed"};

/// Collects fields so that different field lists never give the same bytes: numbers have eight bytes, texts and lists
/// are preceded by their length.
class field_bytes {
public:
  explicit field_bytes(std::string& buffer) : out_(buffer) { out_.clear(); }

  void number(std::uint64_t n) {
    for (int shift = 0; shift < 64; shift += 8)
      out_.push_back(static_cast<char>(n >> shift));
  }
  void flag(bool b) { out_.push_back(b ? '\1' : '\0'); }
  void text(std::string_view s) {
    number(s.size());
    out_.append(s);
  }
  void id(const oid& o) { out_.append(reinterpret_cast<const char*>(o.bytes.data()), o.bytes.size()); }
  void map(const std::map<std::string, std::string>& m) {
    number(m.size());
    for (const auto& [k, v] : m) {
      text(k);
      text(v);
    }
  }
  void lock(const git_lock& l, bool with_commit) {
    text(l.repo);
    text(l.directory);
    text(l.ref);
    text(with_commit ? std::string_view{l.commit} : std::string_view{});
  }

private:
  std::string& out_;
};

void add(field_bytes& f, const kptfile_facts& k) {
  f.text(k.problem);
  f.flag(k.upstream_lock.has_value());
  if (k.upstream_lock)
    f.lock(*k.upstream_lock, true);
  f.number(k.readiness_gates.size());
  for (const auto& gate : k.readiness_gates)
    f.text(gate);
  f.number(k.conditions.size());
  for (const auto& c : k.conditions) {
    f.text(c.type);
    f.text(c.status);
    f.text(c.reason);
    f.text(c.message);
  }
  f.map(k.labels);
  f.map(k.annotations);
}

} // namespace

std::string_view to_string(lifecycle l) noexcept {
  const auto index = static_cast<std::size_t>(l);
  return index < lifecycle_names.size() ? lifecycle_names[index] : std::string_view{};
}

std::optional<lifecycle> parse_lifecycle(std::string_view s) noexcept {
  for (std::size_t i = 0; i < lifecycle_names.size(); ++i)
    if (lifecycle_names[i] == s)
      return static_cast<lifecycle>(i);
  return std::nullopt;
}

std::string package_revision_key::package_name() const { return path.empty() ? package : path + '/' + package; }

sha256_digest package_revision::digest() const {
  thread_local std::string buffer;
  field_bytes f{buffer};
  f.text(key.path);
  f.text(key.package);
  f.number(static_cast<std::uint64_t>(key.revision));
  f.text(key.workspace);
  f.text(name);
  f.text(uid);
  f.number(static_cast<std::uint64_t>(lifecycle));
  f.flag(latest);
  f.flag(from_branch);
  f.text(ref);
  f.id(from_branch ? oid{} : commit);
  f.id(tree);
  f.lock(self_lock, !from_branch);
  f.text(published_by);
  f.flag(published_at.has_value());
  f.number(published_at ? static_cast<std::uint64_t>(published_at->time_since_epoch().count()) : 0);
  f.text(task_json);
  add(f, kptfile);
  const auto result = sha256(buffer);
  if (buffer.capacity() > 1U << 20) // one huge revision must not keep its memory for good
    std::string{}.swap(buffer);
  return result;
}

} // namespace veranda
